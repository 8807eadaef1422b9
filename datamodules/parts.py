"""The parts of data, and how it is split into them."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from datamodules.checks import check_seed
from datamodules.examples import Examples, as_examples, check_void

Part = Literal["train", "val", "test"]
Pair = TypeVar("Pair", bound=tuple[Any, Any])
Parts = dict[Part, Any]  # examples, or NamedTuples of tensors with all examples; parts may be missing


def check_parts(name: str, parts: Any) -> dict[Part, Examples]:
    """Checks the result of `load`, and returns its parts as examples.

    Args:
        name: The name of the datamodule, for messages.
        parts: The result.

    Raises:
        TypeError: If it is not a dict of `Examples`, or of NamedTuples with a method `void`, all of one batch type.
        ValueError: If a part has an unknown name or no examples, or if its fields differ in length.
    """
    if not isinstance(parts, dict) or not parts:
        raise TypeError(f"{name}: load: got {type(parts).__name__}, expected a dict of parts; is a return missing?")
    for part, examples in parts.items():
        where = f"{name}: load: {part}"
        if part not in get_args(Part):
            raise ValueError(f"{where}: unknown part, expected one of {', '.join(get_args(Part))}")
        if isinstance(examples, Examples):
            if not len(examples):
                raise ValueError(f"{where}: expected at least 1 example")
        elif not hasattr(examples, "_fields"):
            raise TypeError(f"{where}: got {type(examples).__name__}, expected Examples, or a NamedTuple of tensors")
        else:
            _check_rows(where, examples)
    found = {part: as_examples(examples) for part, examples in parts.items()}
    if len(kinds := {examples.batch_type.__name__ for examples in found.values()}) > 1:
        raise TypeError(f"{name}: load: expected one batch type for all parts, got {', '.join(sorted(kinds))}")
    if parts.get("val") is parts.get("train") is not None:
        found["val"] = found["train"]
    return found


def _check_rows(where: str, rows: Any) -> None:
    check_void(rows)
    sizes = {field: len(values) for field, values in rows._asdict().items() if values is not None}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        found = ", ".join(f"{field} {size}" for field, size in sizes.items())
        raise ValueError(f"{where}: expected the same number of examples in all fields, at least 1, got {found}")


def overlap(rows: Mapping[Part, Sequence[Hashable]], what: str) -> Iterator[str]:
    """Yields a note for each held-out part that has rows of the training part.

    Args:
        rows: The rows of each part.
        what: What a row is, in the plural, for the notes.
    """
    known = set(rows.get("train", ()))
    for part, found in rows.items():
        if part != "train" and (shared := sum(row in known for row in found)):
            yield f"{shared:,} of {len(found):,} {what} of the {part} part are in the training part, too"


def split_sizes(size: int, val_fraction: float, test_fraction: float) -> tuple[int, int, int]:
    """Returns the sizes of the training, validation and test parts. Validation and test are rounded down.

    A fraction of 1 makes everything this part.
    """
    if 1 in (val_fraction, test_fraction):
        return (0, 0, size) if test_fraction == 1 else (0, size, 0)
    val, test = int(size * val_fraction), int(size * test_fraction)
    return size - val - test, val, test


def random_split(
    size: int, val_fraction: float, test_fraction: float, seed: int
) -> dict[Part, np.ndarray[Any, np.dtype[np.int64]]]:
    """Returns the example indices of each part, drawn at random with the seed. Empty parts are omitted."""
    check_seed("split_seed", seed)
    order = np.random.RandomState(seed).permutation(size)  # NumPy guarantees that its stream never changes
    train, val, _ = split_sizes(size, val_fraction, test_fraction)
    cut = {"train": order[:train], "val": order[train : train + val], "test": order[train + val :]}
    return {part: np.sort(rows) for part, rows in cut.items() if len(rows)}  # type: ignore[misc]


def split_by_source(pairs: list[Pair], val_fraction: float, test_fraction: float, seed: int) -> dict[Part, list[Pair]]:
    """Returns the pairs of each part, in their order. Pairs with the same source are in one part.

    Args:
        pairs: All pairs: a source, and what belongs to it.
        val_fraction: Fraction of the distinct sources for validation.
        test_fraction: Fraction of them for the test.
        seed: Determines which sources are in which part.
    """
    sources = list(dict.fromkeys(source for source, _ in pairs))
    split = random_split(len(sources), val_fraction, test_fraction, seed)
    place = {sources[row]: part for part, rows in split.items() for row in rows}
    return {part: [pair for pair in pairs if place[pair[0]] == part] for part in split}


def stratified_split(
    keys: Sequence[Hashable], labels: Sequence[str], val_fraction: float, test_fraction: float, seed: int
) -> dict[Part, list[int]]:
    """Returns the example indices of each part: of each class the same share, drawn at random with the seed.

    Args:
        keys: What each example is. Equal ones are in one part, and count as the class of the first.
        labels: The class of each example.
        val_fraction: Fraction held out for validation.
        test_fraction: Fraction held out for the test.
        seed: The seed.

    Raises:
        ValueError: If a class has one example, and some are to be held out.
    """
    copies: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        copies[key].append(place)
    by_class: defaultdict[str, list[Hashable]] = defaultdict(list)
    for key, places in copies.items():
        by_class[labels[places[0]]].append(key)
    found: dict[Part, list[int]] = {"train": [], "val": [], "test": []}
    held_out = 1 not in (val_fraction, test_fraction) and max(val_fraction, test_fraction) > 0
    for number, label in enumerate(sorted(by_class)):
        distinct = by_class[label]
        if held_out and len(distinct) == 1:
            what = "one example" if len(copies[distinct[0]]) == 1 else "one distinct example"
            raise ValueError(f"label: class {label!r} has {what}, expected at least 2 to hold some out")
        order = np.random.RandomState([seed, number]).permutation(len(distinct))
        sizes = _shares(len(distinct), val_fraction, test_fraction)
        for part, drawn in zip(found, np.split(order, np.cumsum(sizes)[:2]), strict=True):
            found[part] += [place for one in np.sort(drawn) for place in copies[distinct[one]]]
    return found


def _shares(size: int, val_fraction: float, test_fraction: float) -> tuple[int, int, int]:
    """Returns the sizes of the parts of a class, rounded to the nearest number; at least one example is trained on."""
    if 1 in (val_fraction, test_fraction):
        return split_sizes(size, val_fraction, test_fraction)
    val, test = round(size * val_fraction), round(size * test_fraction)
    while val + test >= size:
        val, test = (val - 1, test) if val > test else (val, test - 1)
    return size - val - test, val, test


def with_validation(parts: Parts) -> Parts:
    """Returns parts with a validation part: without held-out parts, this is the training part."""
    return {**parts, "val": parts["train"]} if list(parts) == ["train"] else parts

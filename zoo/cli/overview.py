"""What some data is, as plain values and as text."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from zoo import tags
from zoo.batch import IGNORE, ClassBatch, PairBatch, TagBatch, TextBatch, ValueBatch
from zoo.vocab import Vocab, describe_symbols

SHOWN = 5  # examples
WIDTH = 72  # characters of an example
PIECE, MOST_LOOKED_AT = 2048, 200_000  # examples
NOTED = 12  # lines of a block


class Overview(NamedTuple):
    """What some data is."""

    name: str  # of its class
    sources: dict[str, str]  # name -> SHA-256
    parts: dict[str, int]  # examples
    facts: dict[str, Any]
    kind: str  # what `counted` counts: classes, lengths or symbols
    counted: dict[str, dict[str, int]]  # part -> name -> count
    numbers: dict[str, dict[str, dict[str, float]]]  # part -> target -> its minimum, mean and so on
    examples: list[str]  # of the first batch
    notes: list[str]


def overview(data: Any) -> Overview:
    """Returns what a datamodule is, after `setup`."""
    parts: dict[str, Any] = getattr(data, "parts", {})
    spec = dict(getattr(data, "spec", {}))
    unknown = str(getattr(data, "unknown", "") or "")
    found: dict[str, Counter[str]] = {}
    kind = ""
    for part, examples in parts.items():
        kind, count = _counting(examples.batch_type, spec)
        found[part] = Counter()
        step = -(-len(examples) // MOST_LOOKED_AT)  # every n-th of very many
        rows = torch.arange(0, len(examples), step)
        for piece in rows.split(PIECE) if kind else ():
            found[part].update(count(data.collate(examples.take(piece))))
    return Overview(
        type(data).__name__,
        dict(getattr(data, "sources", {})),
        {part: len(examples) for part, examples in parts.items()},
        {name: value for name, value in spec.items() if value is not None},
        kind,
        {part: dict(counts) for part, counts in found.items()},
        {part: {name: _summary(values) for name, values in columns.items()} for part, columns in targets(data).items()},
        _first_examples(data, spec),
        [*getattr(data, "notes", []), *([unknown] if unknown else [])],
    )


def _counting(batch_type: type, spec: Mapping[str, Any]) -> tuple[str, Callable[[Any], Any]]:
    """Returns what to count in a batch, classes, symbols or lengths, and how. An empty name if there is nothing."""
    if issubclass(batch_type, ClassBatch):
        return "classes", lambda batch: [spec["classes"][i] for i in batch.targets.tolist() if i != IGNORE]
    if issubclass(batch_type, TagBatch):
        return "tags", lambda batch: [spec["tags"][i] for i in batch.targets.flatten().tolist() if i != IGNORE]
    if issubclass(batch_type, TextBatch):
        return "symbols", lambda batch: _symbols(batch, spec["vocab"])
    if issubclass(batch_type, PairBatch):
        return "lengths of sources", lambda batch: map(str, batch.source_lengths.tolist())
    return "", lambda _: ()


def targets(data: Any) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Returns the numbers to predict of each part, by the target's name: of each example, those of the first step."""
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    for part, examples in getattr(data, "parts", {}).items():
        if not issubclass(examples.batch_type, ValueBatch):
            continue
        rows = torch.arange(0, len(examples), -(-len(examples) // MOST_LOOKED_AT))
        pieces = [data.collate(examples.take(piece)).targets for piece in rows.split(PIECE)]
        values = torch.cat([piece if piece.ndim == 2 else piece[:, 0] for piece in pieces]).numpy()
        names = data.spec.get("target_columns") or [f"target {number}" for number in range(values.shape[1])]
        found[part] = dict(zip(names, values.T, strict=True))
    return found


def _summary(values: NDArray[np.float32]) -> dict[str, float]:
    exact = values.astype(np.float64)
    found = {"min": exact.min(), "mean": exact.mean(), "max": exact.max(), "std": exact.std()}
    return {name: float(value) for name, value in found.items()}


def _symbols(batch: TextBatch, vocab: list[str]) -> dict[str, int]:
    counts = np.bincount(batch.targets[batch.targets != IGNORE].numpy(), minlength=len(vocab))
    return {vocab[i]: int(counts[i]) for i in np.flatnonzero(counts)}


# -- examples


def _first_examples(data: Any, spec: Mapping[str, Any]) -> list[str]:
    parts = getattr(data, "parts", None)
    loader = data.train_dataloader() if parts is None or "train" in parts else data.loader(data.last_part())
    batch = next(iter(loader))
    if not isinstance(batch, tuple):
        return []
    size = len(batch[0])
    rows = range(0, size, max(1, size // SHOWN))[:SHOWN]  # from all of the batch, which may be sorted by length
    return [_example(batch, row, spec) for row in rows]


def _example(batch: Any, row: int, spec: Mapping[str, Any]) -> str:
    """Returns an example as text: what the model reads, an arrow, and what it learns to predict."""
    for kind, example in EXAMPLES.items():
        if isinstance(batch, kind):
            return example(batch, row, spec)
    fields = (f"{name} {tuple(value.shape)}" for name, value in batch._asdict().items() if value is not None)
    return ", ".join(fields)


def _text_example(batch: TextBatch, row: int, spec: Mapping[str, Any]) -> str:
    real = batch.targets[row] != IGNORE
    read = real.flip(0).cumsum(0).flip(0) > 0  # up to the last target
    text = _short(repr(_text(batch.inputs[row][read], spec, "")))
    return text if torch.equal(read, real) else f"{text} -> {_text(batch.targets[row][real], spec, '')!r}"


def _class_example(batch: ClassBatch, row: int, spec: Mapping[str, Any]) -> str:
    target = spec["classes"][int(batch.targets[row])]
    length = len(batch.inputs[row]) if batch.lengths is None else int(batch.lengths[row])
    if spec.get("vocab") is None:
        return f"{length} x {batch.inputs.shape[2]} numbers -> {target}"
    return f"{_short(repr(_text(batch.inputs[row, :length], spec, '')))} -> {target}"


def _tag_example(batch: TagBatch, row: int, spec: Mapping[str, Any]) -> str:
    length = int(batch.lengths[row])
    symbols = [spec["vocab"][i] for i in batch.inputs[row, :length]]
    names = [spec["tags"][i] for i in batch.targets[row, :length]]
    if tags.is_edits(spec["tags"]):
        return f"{_short(repr(''.join(symbols)))} -> {_short(repr(tags.edited(symbols, names)))}"
    return _short(" ".join(f"{symbol}/{tag}" for symbol, tag in zip(symbols, names, strict=True)))


def _pair_example(batch: PairBatch, row: int, spec: Mapping[str, Any]) -> str:
    source = _text(batch.source[row, : int(batch.source_lengths[row])], spec, "source_")
    target = batch.target[row, 1:]
    return f"{_short(repr(source))} -> {_short(repr(_text(target[target != IGNORE], spec, 'target_')))}"


def _value_example(batch: ValueBatch, row: int, spec: Mapping[str, Any]) -> str:
    return f"{_numbers(batch.inputs[row])} -> {_numbers(batch.targets[row])}"


EXAMPLES: dict[type, Callable[[Any, int, Mapping[str, Any]], str]] = {
    TextBatch: _text_example,
    ClassBatch: _class_example,
    TagBatch: _tag_example,
    PairBatch: _pair_example,
    ValueBatch: _value_example,
}


def _text(ids: torch.Tensor, spec: Mapping[str, Any], side: str) -> str:
    kind: Any = spec.get(f"{side}symbols") or "characters"
    return Vocab(spec[f"{side}vocab"], kind, spec.get(f"{side}tokenizer")).decode(ids.tolist())


def _numbers(values: torch.Tensor, most: int = 4) -> str:
    flat = values.flatten().tolist()
    shown = " ".join(f"{value:.4g}" for value in flat[-most:])
    return f"... {shown}" if len(flat) > most else shown


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


# -- as text


def show(found: Overview) -> str:
    """Returns an overview as text."""
    lines = [found.name]
    lines += _block("parts", [f"{part:<6}{size:>12,} examples" for part, size in found.parts.items()])
    lines += _block("facts", [f"{name}: {_fact(value)}" for name, value in found.facts.items()])
    lines += _block("examples of a batch", found.examples)
    lines += _block(found.kind, _counts(found))
    lines += _block("targets", _ranges(found))
    lines += _block("notes", found.notes)
    lines += _block("sources", [f"{name}   SHA-256 {digest[:12]}..." for name, digest in found.sources.items()])
    return "\n".join(lines)


def _block(title: str, rows: list[str]) -> list[str]:
    shown = [*rows[:NOTED], *([f"and {len(rows) - NOTED:,} more"] if len(rows) > NOTED else [])]
    return ["", title, *(f"  {row}" for row in shown)] if rows else []


def _counts(found: Overview) -> list[str]:
    if found.kind.startswith("lengths"):
        rows = []
        for part, counts in found.counted.items():
            lengths = np.repeat([int(name) for name in counts], list(counts.values()))
            middle = int(np.median(lengths))
            rows.append(f"{part:<6} {lengths.min()} to {lengths.max()}, median {middle}")
        return rows
    names: Counter[str] = Counter()
    for counts in found.counted.values():
        names.update(counts)
    width = max((len(repr(name)) for name in names), default=0)
    return [
        f"{name!r:<{width}}  " + "  ".join(f"{part} {counts.get(name, 0):,}" for part, counts in found.counted.items())
        for name, _ in names.most_common()
    ]


def _ranges(found: Overview) -> list[str]:
    names = {name: None for columns in found.numbers.values() for name in columns}
    width = max(map(len, names), default=0)
    rows = [(part, name, columns[name]) for name in names for part, columns in found.numbers.items()]
    return [
        f"{name:<{width}}  {part:<6}" + "  ".join(f"{measure} {value:.6g}" for measure, value in measures.items())
        for part, name, measures in rows
    ]


def _fact(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], str):
        return f"{len(value):,}: {describe_symbols(value)}"
    return _short(str(value))

"""A baseline for tags of symbols."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain

from zoo.tags import marks

Unit = tuple[str, tuple[str, ...]]  # one or some symbols, and their tags


def most_frequent(train: Sequence[Sequence[Unit]], others: Sequence[Sequence[Unit]]) -> dict[str, float]:
    """Returns what the most frequent tags of each unit, for example of each word, reach.

    A unit that is not in the training part gets the tag that is the most frequent of all.

    Args:
        train: The training sequences.
        others: Those to tag.

    Returns:
        `f1` and `accuracy`, see `zoo.tags.marks`, -> value.
    """
    counts: defaultdict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for symbols, tags in chain.from_iterable(train):
        counts[symbols][tags] += 1
    best = {symbols: found.most_common(1)[0][0] for symbols, found in counts.items()}
    every = Counter(tag for _, tags in chain.from_iterable(train) for tag in tags)
    common = every.most_common(1)[0][0]
    known = {*every, *(tag for _, tags in chain.from_iterable(others) for tag in tags)}
    right = total = hits = marked = 0
    for units in others:
        wanted = [tag for _, tags in units for tag in tags]
        guess = [tag for symbols, tags in units for tag in best.get(symbols, (common,) * len(tags))]
        right += sum(a == b for a, b in zip(guess, wanted, strict=True))
        total += len(wanted)
        sides = marks(guess, known), marks(wanted, known)
        hits += len(sides[0] & sides[1])
        marked += len(sides[0]) + len(sides[1])
    return {"f1": 2 * hits / max(marked, 1), "accuracy": right / total}

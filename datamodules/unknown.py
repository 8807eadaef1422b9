"""What a model does not know in some data: symbols and classes."""

from collections import Counter

NOUNS = {
    "vocab": "symbols",
    "source_vocab": "symbols of the sources",
    "target_vocab": "symbols of the targets",
    "classes": "examples of classes",
}
SHOWN = 8  # names in a message


class Unknown:
    """Counts what a model does not know, by the fact that lacks it, for example `vocab`.

    Example:
        >>> unknown = Unknown()
        >>> unknown.add("vocab", Counter("xyx"), total=100)
        >>> print(unknown)
        3 of 100 symbols are unknown to the model: 'x' (2), 'y' (1)
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.totals: Counter[str] = Counter()

    def add(self, fact: str, found: Counter[str], total: int) -> None:
        """Adds the counts of unknown names, and the number of all names."""
        self.counts.setdefault(fact, Counter()).update(found)
        self.totals[fact] += total

    def __bool__(self) -> bool:
        return any(map(len, self.counts.values()))

    def __str__(self) -> str:
        return "; ".join(self._line(fact, counts) for fact, counts in self.counts.items() if counts)

    def _line(self, fact: str, counts: Counter[str]) -> str:
        names = [f"{name!r} ({count:,})" for name, count in counts.most_common(SHOWN)]
        names += [f"and {len(counts) - SHOWN:,} others"] if len(counts) > SHOWN else []
        what = NOUNS.get(fact, fact)
        return f"{counts.total():,} of {self.totals[fact]:,} {what} are unknown to the model: {', '.join(names)}"

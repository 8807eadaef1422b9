"""What a model does not know in some data: symbols and classes."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Self

NOUNS = {
    "vocab": "symbols",
    "source_vocab": "symbols of the sources",
    "target_vocab": "symbols of the targets",
    "classes": "examples of classes",
    "tags": "tags",
}
SHOWN = 8  # names in a message


class Unknown:
    """Counts what a model does not know, by the part of the data and the fact that lacks it, for example `vocab`.

    Example:
        >>> unknown = Unknown()
        >>> unknown.part = "test"
        >>> unknown.add("vocab", Counter("xyx"), total=100)
        >>> print(unknown)
        3 of 100 symbols are unknown to the model: 'x' (2), 'y' (1)
        >>> unknown.text(["val"])
        ''
    """

    def __init__(self) -> None:
        self.part = ""  # the part that is being read; what is counted without one belongs to every part
        self.refused: set[str] = set()  # the parts in which it is an error
        self._counts: dict[tuple[str, str], Counter[str]] = {}  # (part, fact) -> unknown names
        self._totals: Counter[tuple[str, str]] = Counter()
        self._dropped: Counter[str] = Counter()  # examples that were left out, by part
        self._examples: Counter[str] = Counter()

    def add(self, fact: str, found: Counter[str], total: int) -> None:
        """Adds the counts of unknown names, and the number of all names."""
        self._counts.setdefault((self.part, fact), Counter()).update(found)
        self._totals[self.part, fact] += total

    def drop(self, dropped: int, total: int) -> None:
        """Adds the number of examples that were left out, and the number of all examples."""
        self._dropped[self.part] += dropped
        self._examples[self.part] += total

    def state(self) -> dict[str, Any]:
        """Returns the counts as plain values, for `of`."""
        counts = [[*key, dict(found), self._totals[key]] for key, found in self._counts.items()]
        return {"counts": counts, "dropped": dict(self._dropped), "examples": dict(self._examples)}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """Returns the counts that `state` gave."""
        made = cls()
        for part, fact, found, total in state["counts"]:
            made._counts[part, fact], made._totals[part, fact] = Counter(found), total
        made._dropped, made._examples = Counter(state["dropped"]), Counter(state["examples"])
        return made

    def refuses(self, parts: Collection[str] | None = None) -> bool:
        """Returns whether something in these parts is an error. None: in any part."""
        return any(_counts_in(part, parts) for part in self.refused)

    def text(self, parts: Collection[str] | None = None) -> str:
        """Returns what is unknown in these parts, in a line. Empty if it is nothing. None: in all parts."""
        lines = []
        for fact in dict.fromkeys(fact for _, fact in self._counts):
            keys = [key for key in self._counts if key[1] == fact and _counts_in(key[0], parts)]
            counts = sum((self._counts[key] for key in keys), Counter())
            if counts:
                lines.append(_line(NOUNS.get(fact, fact), counts, sum(self._totals[key] for key in keys)))
        used = [part for part in self._dropped if _counts_in(part, parts)]
        if dropped := sum(self._dropped[part] for part in used):
            total = sum(self._examples[part] for part in used)
            lines.append(f"{dropped:,} of {total:,} examples can't be used without them")
        return "; ".join(lines)

    def __bool__(self) -> bool:
        return bool(self.text())

    def __str__(self) -> str:
        return self.text()


def _counts_in(part: str, parts: Collection[str] | None) -> bool:
    return parts is None or not part or part in parts


def _line(what: str, counts: Counter[str], total: int) -> str:
    names = [f"{name!r} ({count:,})" for name, count in counts.most_common(SHOWN)]
    names += [f"and {len(counts) - SHOWN:,} others"] if len(counts) > SHOWN else []
    return f"{counts.total():,} of {total:,} {what} are unknown to the model: {', '.join(names)}"

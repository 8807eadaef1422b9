"""Tags of symbols, the spans that they mark, and tags that say how to edit a text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

OUTSIDE = "O"
KEEP, UPPER = "=", "^"  # what an edit does to its symbol; the text after it is added


class Span(NamedTuple):
    """Neighbouring symbols with one label, from `start` up to `end`, which is not in it."""

    label: str
    start: int
    end: int


def is_bio(tags: Iterable[str]) -> bool:
    """Returns whether tags mark spans: `B-X` begins a span of the label X, `I-X` goes on with it, `O` is outside.

    Example:
        >>> is_bio(["O", "B-name", "I-name"]), is_bio(["noun", "verb"])
        (True, False)
    """
    known = {*tags}
    return all(tag == OUTSIDE or tag[:2] in ("B-", "I-") for tag in known) and bool(known - {OUTSIDE})


def outside_of(tags: Iterable[str]) -> str | None:
    """Returns the tag that says nothing: `O`, or for edits, to keep the symbol. None if all tags say something."""
    known = {*tags}
    return OUTSIDE if OUTSIDE in known else KEEP if is_edits(known) else None


def is_edits(tags: Iterable[str]) -> bool:
    """Returns whether tags say how to edit a text, see `edited`."""
    known = {*tags}
    return KEEP in known and all(tag[:1] in (KEEP, UPPER) for tag in known)


def spans(tags: Sequence[str]) -> Iterator[Span]:
    """Yields the spans of the tags of a sequence, as conlleval finds them (Tjong Kim Sang and De Meulder 2003).

    A span begins at `B-X`, or at an `I-X` that does not follow a tag of X.

    Example:
        >>> list(spans(["B-x", "I-x", "B-x", "O", "I-y"]))
        [Span(label='x', start=0, end=2), Span(label='x', start=2, end=3), Span(label='y', start=4, end=5)]
    """
    start, label = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        kind, new = tag[:1], tag[2:]
        if label and (kind != "I" or new != label):
            yield Span(label, start, place)
            label = ""
        if kind in ("B", "I") and not label:
            start, label = place, new


def marks(tags: Sequence[str], known: Iterable[str]) -> set[Span]:
    """Returns what the tags of a sequence say: its spans, or each symbol by itself whose tag says something.

    Args:
        tags: The tags.
        known: All tags that there are.

    Example:
        >>> sorted(marks(["=", "^", "=,"], ["=", "^", "=,"]))
        [Span(label='=,', start=2, end=3), Span(label='^', start=1, end=2)]
    """
    if is_bio(known):
        return set(spans(tags))
    outside = outside_of(known)
    return {Span(tag, place, place + 1) for place, tag in enumerate(tags) if tag != outside}


def edited(symbols: Iterable[str], tags: Iterable[str]) -> str:
    """Returns the text of symbols after the edits that their tags say.

    `=` keeps a symbol, `^` makes it upper case; what follows in the tag is written after it.

    Example:
        >>> edited("oh dear", ["^", "=,", "=", "=", "=", "=", "=!"])
        'Oh, dear!'
    """
    return "".join(
        (symbol.upper() if tag[:1] == UPPER else symbol) + tag[1:] for symbol, tag in zip(symbols, tags, strict=True)
    )

"""Writing many texts at once: a text joins the batch when its request comes, and leaves it when it ends.

Legend: B texts in the batch, V vocabulary.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from zoo.decoding import Array, Choice, Sampling, Symbols, draws
from zoo.methods.arrays import pad
from zoo.methods.char_lm import CharLMMethods, Continuation
from zoo.serve.worker import Worker

MOST_ROWS = 256  # of a batch
INTERVAL = 0.05  # seconds between two reports of new symbols; each of them costs more than a symbol


@dataclass(eq=False)
class Draft:
    """A text that is being written.

    Args:
        ids: Of the prompt, at least one.
        seen: Those that were given.
        text: What the symbols are added to.
        length: Maximum number of symbols.
        sampling: How they are chosen.
        seed: The random seed. The text is that of `generate` with it.
        top: How many of the likeliest symbols to report with each one.
        state: The name of the state to report after each symbol; None reports none.
    """

    ids: list[int]
    seen: list[int]
    text: Continuation
    length: int
    sampling: Sampling
    seed: int
    top: int = 0
    state: str | None = None

    new: deque[dict[str, Any]] = field(default_factory=deque)  # what was not fetched yet
    count: int = 0
    done: bool = False
    error: Exception | None = None
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.uniform: Iterator[float] = itertools.chain.from_iterable(draws(self.seed, 0))
        self.marked: Array | None = None  # which symbols were seen (V,)

    def fetch(self) -> list[dict[str, Any]]:
        """Returns what came since the last time."""
        return [self.new.popleft() for _ in range(len(self.new))]  # the thread may append to it at the same time


class Writer(Worker[Draft]):
    """Writes the texts of one language model, in a thread.

    Args:
        model: The model.
        most: Texts that may wait or be written at a time.
        report: Is called from the thread with the texts that have something new, or are done.
    """

    def __init__(self, model: CharLMMethods, most: int, report: Callable[[list[Draft]], None]) -> None:
        self.model, self.report, self.reported = model, report, 0.0
        self.decoder = model.decoder()
        self.choice = lru_cache(MOST_ROWS)(lambda sampling: Choice(sampling, len(model.vocab)))
        self.active: list[Draft] = []
        self.arriving: list[Draft] = []  # taken, and not active yet
        self.logits: Array = np.zeros((0, len(model.vocab)), dtype=np.float32)
        self.state: Any = None
        super().__init__(most)

    def count(self) -> int:
        """See `Worker`."""
        return len(self.active) + len(self.arriving)

    def _take(self) -> list[Draft]:
        free = MOST_ROWS - len(self.active)
        self.arriving = [self.waiting.popleft() for _ in range(min(len(self.waiting), free))]
        return self.arriving

    def _work(self, taken: list[Draft]) -> None:
        try:
            self._admit([draft for draft in taken if not draft.cancelled])
        except Exception as error:  # a request must not end the thread
            fail(taken, error)
        self.arriving = []
        try:
            self._advance()
        except Exception as error:
            fail(self.active, error)
        due = time.monotonic() - self.reported >= INTERVAL
        self.reported = time.monotonic() if due else self.reported
        self.report([draft for draft in {*self.active, *taken} if draft.done or (due and draft.new)])
        self._keep([row for row, draft in enumerate(self.active) if not (draft.done or draft.cancelled)])

    def _admit(self, new: list[Draft]) -> None:
        """Reads the prompts of some texts, and adds them to the batch."""
        if not new:
            return
        logits, state = self.model.read(pad([draft.ids for draft in new]), np.array([len(draft.ids) for draft in new]))
        for draft in new:
            if draft.sampling.repetition_penalty != 1.0:
                draft.marked = np.zeros(logits.shape[1], dtype=bool)
                draft.marked[draft.seen] = True
        self.state = self.decoder.join([self.state, state]) if self.active else state
        self.logits = np.concatenate([self.logits, logits])
        self.active += new

    def _advance(self) -> None:
        """Writes a symbol of each text."""
        if not self.active:
            return
        chosen = self._choose()
        log_probs = Symbols(chosen, self.logits, chosen >= 0).log_probs.tolist()
        likeliest = [self._likeliest(draft, row) for row, draft in enumerate(self.active)]
        self.logits, self.state = self.decoder(chosen, self.state)
        for row, (draft, number) in enumerate(zip(self.active, chosen.tolist(), strict=True)):
            symbol: dict[str, Any] = {
                "text": draft.text.add(number),
                "log_prob": round(log_probs[row], 4) + 0.0,
            }
            if draft.top:
                symbol["top"] = likeliest[row]
            if draft.state is not None:
                symbol["state"] = rounded(self.decoder.part(self.state, draft.state)[row])
            draft.count += 1
            done = draft.text.ended or draft.count >= draft.length
            if done:
                symbol["text"] += draft.text.end()
            draft.new.append(symbol)
            draft.done = done  # last: whoever sees it, fetches all symbols

    def _choose(self) -> Array:
        groups: dict[Sampling, list[int]] = {}
        for row, draft in enumerate(self.active):
            groups.setdefault(draft.sampling, []).append(row)
        chosen = np.zeros(len(self.active), dtype=np.int64)
        for sampling, rows in groups.items():
            drafts = [self.active[row] for row in rows]
            uniform = np.array([next(draft.uniform) for draft in drafts]) if sampling.temperature else None
            marks = [draft.marked for draft in drafts if draft.marked is not None]
            seen = np.stack(marks) if marks else None
            chosen[rows] = self.choice(sampling)(self.logits[rows], seen, uniform)
            if seen is not None:
                for draft, mark in zip(drafts, seen, strict=True):
                    draft.marked = mark
        return chosen

    def _likeliest(self, draft: Draft, row: int) -> list[tuple[str, float]]:
        """Returns the likeliest symbols of a row, with the probabilities that they are drawn with."""
        if not draft.top:
            return []
        return top_of(self.model, self.choice(draft.sampling), self.logits[row : row + 1], draft.top)

    def _keep(self, rows: list[int]) -> None:
        """Keeps some rows of the batch."""
        if len(rows) == len(self.active):
            return
        self.active, index = [self.active[row] for row in rows], np.array(rows, dtype=np.int64)
        self.logits = self.logits[index]
        self.state = self.decoder.select(self.state, index) if rows else None


def fail(drafts: list[Draft], error: Exception) -> None:
    """Ends some texts with an error."""
    for draft in drafts:
        draft.error, draft.done = error, True


def top_of(model: CharLMMethods, choice: Choice, logits: Array, count: int) -> list[tuple[str, float]]:
    """Returns the likeliest symbols after one text, and their probabilities; logits are (1, V)."""
    chances = choice.probabilities(logits)[0]
    best = np.argsort(-chances, kind="stable")[:count]
    return [(model.vocab[number], round(float(chances[number]), 4)) for number in best.tolist()]


def rounded(values: Array) -> list[float]:
    """Returns a state as plain numbers of few digits."""
    return [round(value, 3) for value in values.reshape(-1).tolist()]

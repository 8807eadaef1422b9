"""Decoding: pure functions over a step function, the same for language models and decoders, with any library.

Legend: B batch, V vocabulary, K beams, N decoded symbols.

A step function maps ids (B,) and a state to logits (B, V), float32, and the new state. Ids and logits are NumPy arrays.
The state is the model's own. Decoding begins with the logits of the first symbol to decode and the state that gave
them, which a model has after a prompt, whatever its length.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from zoo.checks import check_choice

Array = NDArray[Any]
Step = Callable[[Array, Any], tuple[Array, Any]]
LengthPenalty = Literal["none", "average", "wu"]
MAX_BEAM = 10_000
DRAWS = 256  # random numbers drawn at a time
SHOWN_IDS = 20
COLDEST = 1e-30  # a lower temperature would overflow float32, and does the same


@dataclass(frozen=True)
class Sampling:
    """How the next symbol is chosen. The order is repetition penalty, temperature, top-k, top-p.

    Args:
        temperature: The logits are divided by it. Above 1, the distribution is flatter, below 1 sharper.
            0 takes the most likely symbol (greedy). Some notebooks call 1 / temperature `scale_factor`.
        top_k: Choose among the k most likely symbols. None chooses among all.
        top_p: Choose among the most likely symbols that together have at least this probability
            (nucleus sampling, Holtzman et al. 2020), in (0, 1].
        repetition_penalty: Above 1, symbols that occurred before become less likely: their logits are
            divided by it if positive, and multiplied by it if negative (Keskar et al. 2019).
        allowed: The only ids that may be chosen. None allows all.
        forbidden: Ids that are never chosen.

    Raises:
        ValueError: If a value is outside its range, naming it.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    allowed: Sequence[int] | None = None
    forbidden: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: got {self.temperature}, expected at least 0")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: got {self.top_k}, expected at least 1")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p: got {self.top_p}, expected above 0 and at most 1")
        if not 0.0 < self.repetition_penalty < math.inf:
            raise ValueError(f"repetition_penalty: got {self.repetition_penalty}, expected above 0")


GREEDY = Sampling(temperature=0.0)


class Decoder(Protocol):
    """A model's step function, and what is done with its states."""

    def __call__(self, ids: Array, state: Any) -> tuple[Array, Any]:
        """See `Step`."""

    def select(self, state: Any, index: Array) -> Any:
        """Returns the states of the rows `index` (N,), int64. Rows may repeat."""

    def reorder(self, state: Any, index: Array) -> Any:
        """Returns the states of the rows `index` (B,), each of the same source as the row that it replaces."""

    def join(self, states: Sequence[Any]) -> Any:
        """Returns the states of several rows as one."""

    def part(self, state: Any, name: str) -> Array:
        """Returns a tensor of a state (B, ...), by its name in an exported graph.

        Raises:
            ValueError: If there is none of this name.
        """

    def unseen(self, state: Any) -> Array:
        """How much of each source was not looked at yet (B,), see `AttentionDecoder.unseen`.

        Raises:
            ValueError: If the model has no attention.
        """


class Symbols(NamedTuple):
    """One decoded symbol of each row."""

    ids: Array  # (B,) int64; undefined in rows that have ended
    logits: Array  # (B, V) float32, the model's own, before any `Sampling`
    rows: Array  # (B,) bool: the rows that have not ended

    @property
    def log_probs(self) -> Array:
        """The natural logarithms of the model's own probabilities (B,)."""
        chosen = self.logits[np.arange(len(self.ids)), self.ids]  # in a third of the time of take_along_axis
        return chosen - log_sum_exp(self.logits)[:, 0]


class Decoded(NamedTuple):
    """A decoded sequence, its last symbol included.

    Example:
        >>> Decoded([3, 1, 2], [-0.5, -1.25, -0.25])
        Decoded(ids [3, 1, 2], log_probs with sum -2.0000)
    """

    ids: list[int]
    log_probs: list[float]  # of each symbol, see `Symbols`

    def __repr__(self) -> str:
        ids = ", ".join([*map(str, self.ids[:SHOWN_IDS]), *(["..."] if len(self.ids) > SHOWN_IDS else [])])
        return f"Decoded(ids [{ids}], log_probs with sum {sum(self.log_probs):.4f})"


class Hypothesis(NamedTuple):
    """A sequence that beam search found."""

    ids: list[int]  # including the end symbol, if it was reached
    log_prob: float  # of the whole sequence, natural logarithm
    score: float  # log_prob divided by the length penalty, and the coverage penalty; beams are ranked by it


def stream(
    step: Step,
    logits: Array,
    state: Any,
    length: int | Sequence[int],
    sampling: Sampling = GREEDY,
    *,
    seed: int | None = None,
    end: int | None = None,
    stop: Sequence[Sequence[int]] = (),
    seen: Array | None = None,
) -> Iterator[Symbols]:
    """Decodes symbol by symbol, feeding each one back.

    The random numbers of a row depend only on the seed and the row's index. So a row is the same in
    any batch, up to rounding: the last bits of a matrix product may depend on the batch size.

    Args:
        step: The model's step function.
        logits: Of the first symbol (B, V).
        state: The state that gave them.
        length: Maximum number of symbols to decode, for all rows or for each, at least 1.
        sampling: How to choose. Default: greedy.
        seed: The random seed, at least 0. None draws a seed.
        end: A row ends with this symbol.
        stop: A row ends when its last symbols are one of these sequences.
        seen: Which symbols occurred before (B, V), bool, for the repetition penalty. None means none.

    Yields:
        The next symbols, until every row has ended.

    Raises:
        ValueError: If an argument is outside its range, or if no symbol may be chosen.
    """
    if not isinstance(length, int) and len(length) != len(logits):
        raise ValueError(f"length: got {len(length)} lengths, expected one, or {len(logits)}")
    lengths = np.broadcast_to(np.asarray(length), len(logits))
    _check_at_least(length=(int(lengths.min()), 1), seed=(seed or 0, 0))
    if not all(stop):
        raise ValueError("stop: got an empty sequence, expected at least one symbol in each")
    stops = [list(sequence) for sequence in stop]
    choice = Choice(sampling, logits.shape[1])
    draws: Iterator[Any] = itertools.repeat(None)
    if sampling.temperature:
        draws = _uniform(int(np.random.default_rng().integers(2**31)) if seed is None else seed, len(logits))
    if sampling.repetition_penalty != 1.0:
        seen = np.zeros(logits.shape, dtype=bool) if seen is None else seen.copy()
    else:
        seen = None
    tails: list[list[int]] = [[] for _ in range(len(logits))]
    rows = np.ones(len(logits), dtype=bool)
    shortest, longest = int(lengths.min()), int(lengths.max())
    for count in range(1, longest + 1):
        ids = choice(logits, seen, next(draws))
        yield Symbols(ids, logits, rows)
        if count == longest:
            return
        ended = _ended(tails, ids, end, stops) if end is not None or stops else []
        if any(ended):
            rows = rows & ~np.array(ended)
        if count >= shortest:
            rows = rows & (lengths > count)
        if (any(ended) or count >= shortest) and not rows.any():
            return
        logits, state = step(ids, state)


def collect(symbols: Iterable[Symbols]) -> list[Decoded]:
    """Returns the whole sequences that `stream` yields, each with its own length."""
    columns = zip(*((step.ids, step.log_probs, step.rows) for step in symbols), strict=True)
    ids, log_probs, rows = (np.stack(column, 1) for column in columns)  # each (B, N)
    return [Decoded(i[r].tolist(), p[r].tolist()) for i, p, r in zip(ids, log_probs, rows, strict=True)]


def log_sum_exp(logits: Array) -> Array:
    """The natural logarithm of the sum of exp(logits) over the last axis, which stays with size 1."""
    most = logits.max(-1, keepdims=True)
    return most + np.log(np.exp(logits - most).sum(-1, keepdims=True))


class Choice:
    """Chooses the next symbols.

    Args:
        sampling: How to choose.
        symbols: The number of all symbols, V.

    Raises:
        ValueError: If no symbol may be chosen.
    """

    def __init__(self, sampling: Sampling, symbols: int) -> None:
        self.sampling, self.banned = sampling, banned(sampling, symbols)

    def __call__(self, logits: Array, seen: Array | None = None, uniform: Array | None = None) -> Array:
        """Returns ids (B,), int64.

        Args:
            logits: The model's (B, V), float32.
            seen: Which symbols occurred before (B, V), bool, if there is a repetition penalty; the chosen ones are
                marked in it.
            uniform: Numbers in [0, 1) to draw by (B,), float64; None if greedy.
        """
        if seen is not None:
            penalty = self.sampling.repetition_penalty
            logits = np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)
        if self.banned is not None:
            logits = np.where(self.banned, -math.inf, logits)
        if uniform is None:
            ids: Array = logits.argmax(-1)
        else:  # by inverting the cumulative distribution; an id of NaN is 0
            cumulative = self._chances(logits).cumsum(-1)
            ids = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(-1)
        if seen is not None:
            seen[np.arange(len(ids)), ids] = True
        return ids

    def probabilities(self, logits: Array) -> Array:
        """Returns the probabilities (B, V) that symbols are drawn with, without those of a repetition penalty."""
        allowed = logits if self.banned is None else np.where(self.banned, -math.inf, logits)
        chances = self._chances(allowed) if self.sampling.temperature else np.eye(logits.shape[1])[allowed.argmax(-1)]
        return chances / chances.sum(-1, keepdims=True)

    def _chances(self, logits: Array) -> Array:
        """Returns the probabilities (B, V), float64, each row times a constant."""
        sampling = self.sampling
        scaled = (logits - logits.max(-1, keepdims=True)) / np.float32(max(sampling.temperature, COLDEST))  # at most 0
        chances = np.exp(scaled.astype(np.float64))
        if sampling.top_k is None and sampling.top_p in (None, 1.0):
            return chances
        rows, order = np.arange(len(logits))[:, None], (-logits).argsort(-1, kind="stable")
        ordered = chances[rows, order]
        if sampling.top_k is not None:
            ordered[:, sampling.top_k :] = 0.0
        if sampling.top_p is not None and sampling.top_p < 1.0:
            up_to = ordered.cumsum(-1)
            ordered[up_to - ordered >= sampling.top_p * up_to[:, -1:]] = 0.0  # those before are likely enough
        chances[rows, order] = ordered
        return chances


def banned(sampling: Sampling, symbols: int) -> Array | None:
    """Which of V symbols may not be chosen (V,), bool; None if all may.

    Raises:
        ValueError: If no symbol is left.
    """
    if sampling.allowed is None and not sampling.forbidden:
        return None
    found = np.full(symbols, sampling.allowed is not None)
    found[list(sampling.allowed or ())] = False
    found[list(sampling.forbidden)] = True
    if found.all():
        raise ValueError("allowed, forbidden: no symbol is left to choose")
    return found


def draws(seed: int, row: int) -> Iterator[Array]:
    """Blocks of numbers in [0, 1), (DRAWS,), by which the symbols of a row are drawn."""
    generator = np.random.default_rng([seed, row])
    while True:
        yield generator.random(DRAWS)


def _uniform(seed: int, rows: int) -> Iterator[Array]:
    """Numbers in [0, 1) (B,), for each step."""
    blocks = [draws(seed, row) for row in range(rows)]
    while True:
        yield from np.stack([next(block) for block in blocks], 1)


def _ended(tails: list[list[int]], ids: Array, end: int | None, stop: Sequence[list[int]]) -> list[bool]:
    """Returns which rows end now, and updates `tails`, their last symbols."""
    numbers = ids.tolist()
    if not stop:
        return [number == end for number in numbers]
    longest = max(map(len, stop))
    for tail, number in zip(tails, numbers, strict=True):
        tail.append(number)
        del tail[:-longest]
    return [tail[-1] == end or any(tail[-len(s) :] == s for s in stop) for tail in tails]


def beam_search(
    step: Decoder,
    logits: Array,
    state: Any,
    length: int,
    beam: int,
    *,
    end: int | None = None,
    length_penalty: LengthPenalty = "none",
    alpha: float = 0.6,
    coverage: float = 0.0,
    sampling: Sampling = GREEDY,
) -> list[list[Hypothesis]]:
    """Beam search: keeps the K best hypotheses at each step, including those that have ended.

    One beam is greedy search. As many beams as there are sequences are exhaustive search.

    Args:
        step: The model's step function.
        logits: Of the first symbol (B, V).
        state: The state that gave them.
        length: Maximum number of symbols to decode, at least 1.
        beam: Number of beams K, from 1 to 10,000.
        end: A sequence ends with this symbol.
        length_penalty: What a sequence's log-probability is divided by: `none` 1; `average` its
            number of symbols n; `wu` ((5 + n) / 6) ** alpha (Wu et al. 2016, equation 14).
        alpha: The exponent of `wu`, at least 0.
        coverage: The factor of the coverage penalty, at least 0 (Wu et al. 2016, equation 14): hypotheses that have
            looked at all of the source come first.
        sampling: Only its `allowed` and `forbidden` symbols are used.

    Returns:
        For each row, up to K hypotheses, the best one first.

    Raises:
        ValueError: If an argument is outside its range, if no symbol may be chosen, or if there is a coverage penalty
            and no attention.
    """
    _check_at_least(length=(length, 1), beam=(beam, 1))
    if beam > MAX_BEAM:
        raise ValueError(f"beam: got {beam}, expected at most {MAX_BEAM}")
    check_choice("length_penalty", length_penalty, get_args(LengthPenalty))
    if not 0.0 <= alpha < math.inf:
        raise ValueError(f"alpha: got {alpha}, expected at least 0")
    if not 0.0 <= coverage < math.inf:
        raise ValueError(f"coverage: got {coverage}, expected at least 0")
    rows, symbols = logits.shape  # B, V
    never = banned(sampling, symbols)
    first = np.arange(rows)[:, None] * beam  # each row's first beam among all B*K
    state = step.select(state, np.arange(rows).repeat(beam))
    logits = logits.repeat(beam, 0)  # (B*K, V)
    total = np.full((rows, beam), -math.inf, dtype=np.float32)  # log-probabilities
    total[:, 0] = 0.0  # the other beams start empty
    lengths = np.zeros((rows, beam), dtype=np.int64)
    ended = np.zeros((rows, beam), dtype=bool)
    ids = np.empty((rows, beam, 0), dtype=np.int64)
    stay = np.full(symbols, -math.inf, dtype=np.float32)
    stay[0] = 0.0  # the only continuation of a hypothesis that has ended
    bonus = np.zeros_like(total)  # the coverage penalty, which stays as it is when a hypothesis has ended
    for _ in range(length):
        if coverage:
            bonus = np.where(ended, bonus, np.float32(coverage) * step.unseen(state).reshape(rows, beam))
        log_probs = (logits - log_sum_exp(logits)).reshape(rows, beam, symbols)
        if never is not None:
            log_probs = np.where(never, -math.inf, log_probs)
        log_probs = np.where(ended[:, :, None], stay, log_probs)
        totals = total[:, :, None] + log_probs  # (B, K, V)
        sizes = lengths + ~ended
        scores = totals / _penalty(sizes, length_penalty, alpha)[:, :, None] + bonus[:, :, None]
        best = _largest(scores.reshape(rows, -1), beam)  # (B, K)
        parent, symbol = best // symbols, best % symbols
        total = np.take_along_axis(totals.reshape(rows, -1), best, 1)
        lengths, bonus, ended = (np.take_along_axis(one, parent, 1) for one in (sizes, bonus, ended))
        ids = np.concatenate([np.take_along_axis(ids, parent[:, :, None], 1), symbol[:, :, None]], 2)
        if end is not None:
            ended = ended | (symbol == end)
        if (ended | np.isinf(total)).all() or ids.shape[2] == length:
            break
        logits, state = step(symbol.reshape(-1), step.reorder(state, (first + parent).reshape(-1)))
    scores = total / _penalty(lengths, length_penalty, alpha) + bonus
    return [
        [
            Hypothesis(ids[row, k, : lengths[row, k]].tolist(), float(total[row, k]), float(scores[row, k]))
            for k in range(beam)
            if total[row, k] > -math.inf
        ]
        for row in range(rows)
    ]


def _largest(scores: Array, count: int) -> Array:
    """The places (B, count) of the largest scores (B, N), the largest first; of equal ones, the first."""
    found = np.argpartition(-scores, count - 1, -1)[:, :count]
    found.sort(-1)
    order = np.argsort(-np.take_along_axis(scores, found, -1), -1, kind="stable")
    return np.take_along_axis(found, order, -1)


def _penalty(lengths: Array, kind: LengthPenalty, alpha: float) -> Array:
    if kind == "average":
        return lengths.astype(np.float32)
    return (((5.0 + lengths) / 6.0) ** (alpha if kind == "wu" else 0.0)).astype(np.float32)


def _check_at_least(**values: tuple[int, int]) -> None:
    for name, (value, least) in values.items():
        if value < least:
            raise ValueError(f"{name}: got {value}, expected at least {least}")

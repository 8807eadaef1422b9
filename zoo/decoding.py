"""Decoding: pure functions over a step function, the same for language models and decoders.

Legend: B batch, V vocabulary, K beams, N decoded symbols.

A step function maps ids (B,) and a state to logits (B, V) and the new state; `CharNet.step` is one.
Decoding begins with the logits (B, V) of the first symbol to decode and the state that gave them,
which `CharNet.read` has after a prompt, whatever its length.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from zoo.checks import check_choice
from zoo.nn import Recurrent, State

Step = Callable[[Tensor, State], tuple[Tensor, State]]
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


class Symbols(NamedTuple):
    """One decoded symbol of each row."""

    ids: Tensor  # (B,) int64; undefined in rows that have ended
    logits: Tensor  # (B, V) float32, the model's own, before any `Sampling`
    rows: Tensor  # (B,) bool: the rows that have not ended

    @property
    def log_probs(self) -> Tensor:
        """The natural logarithms of the model's own probabilities (B,)."""
        log_probs = self.logits.log_softmax(-1)  # (B, V)
        if self.ids.numel() == 1:
            return log_probs.take(self.ids)  # the same in a third of the time
        return log_probs.gather(1, self.ids[:, None])[:, 0]


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
    logits: Tensor,
    state: State,
    length: int | Sequence[int],
    sampling: Sampling = GREEDY,
    *,
    seed: int | None = None,
    end: int | None = None,
    stop: Sequence[Sequence[int]] = (),
    seen: Tensor | None = None,
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
        seed: The random seed, at least 0. None draws a seed from torch's generator.
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
    lengths = torch.as_tensor(length, device=logits.device).expand(len(logits))
    _check_at_least(length=(int(lengths.min()), 1), seed=(seed or 0, 0))
    if not all(stop):
        raise ValueError("stop: got an empty sequence, expected at least one symbol in each")
    stops = [list(sequence) for sequence in stop]
    logits, banned = logits.detach(), _banned(logits, sampling)
    alone = len(logits) == 1 and logits.device.type == "cpu"
    choose = _choose_row if alone else _choose
    draws: Iterator[Any] = itertools.repeat(None)
    if sampling.temperature:
        seed = int(torch.randint(2**31, ())) if seed is None else seed
        blocks = _uniform(seed, len(logits))
        draws = (u for x in blocks for u in (x[:, 0].tolist() if alone else torch.from_numpy(x).to(logits.device)))
    if sampling.repetition_penalty != 1.0:
        seen = torch.zeros_like(logits, dtype=torch.bool) if seen is None else seen.clone()
    else:
        seen = None
    tails: list[list[int]] = [[] for _ in range(len(logits))]
    rows = torch.ones_like(lengths, dtype=torch.bool)
    shortest, longest = int(lengths.min()), int(lengths.max())
    no_grad = torch.no_grad()  # one for all steps: around the generator, torch would make one for each
    for count in range(1, longest + 1):
        logits = logits.float()
        ids = choose(logits, seen, banned, sampling, next(draws))
        yield Symbols(ids, logits, rows)
        if count == longest:
            return
        ended = _ended(tails, ids, end, stops) if end is not None or stops else []
        if any(ended):
            rows = rows & ~torch.tensor(ended, device=rows.device)
        if count >= shortest:
            rows = rows & (lengths > count)
        if (any(ended) or count >= shortest) and not rows.any():
            return
        with no_grad:
            logits, state = step(ids, state)


def collect(symbols: Iterable[Symbols]) -> list[Decoded]:
    """Returns the whole sequences that `stream` yields, each with its own length."""
    columns = zip(*((step.ids, step.log_probs, step.rows) for step in symbols), strict=True)
    ids, log_probs, rows = (torch.stack(column, 1).cpu() for column in columns)  # each (B, N)
    return [Decoded(i[r].tolist(), p[r].tolist()) for i, p, r in zip(ids, log_probs, rows, strict=True)]


def _banned(logits: Tensor, sampling: Sampling) -> Tensor | None:
    """Which symbols may not be chosen (V,), bool; None if all may."""
    if sampling.allowed is None and not sampling.forbidden:
        return None
    banned = torch.full(logits.shape[-1:], sampling.allowed is not None, device=logits.device)
    banned[list(sampling.allowed or ())] = False
    banned[list(sampling.forbidden)] = True
    if banned.all():
        raise ValueError("allowed, forbidden: no symbol is left to choose")
    return banned


def _choose(
    logits: Tensor, seen: Tensor | None, banned: Tensor | None, sampling: Sampling, uniform: Tensor | None
) -> Tensor:
    """The next symbols.

    Args:
        logits: The model's (B, V), float32.
        seen: See `stream`; the chosen symbols are marked in it.
        banned: Which symbols may not be chosen (V,), bool; None if all may.
        sampling: How to choose.
        uniform: Numbers in [0, 1) to draw by (B,), float64; None if greedy.

    Returns:
        Ids (B,).
    """
    filtered = _filter(logits, seen, banned, sampling)
    ids = filtered.argmax(-1) if uniform is None else _draw(filtered, uniform)
    if seen is not None:
        seen.scatter_(1, ids[:, None], True)
    return ids


def _filter(logits: Tensor, seen: Tensor | None, banned: Tensor | None, sampling: Sampling) -> Tensor:
    """Logits (B, V) after all of `Sampling`; -inf where a symbol may not be chosen."""
    if seen is not None:
        penalty = sampling.repetition_penalty
        logits = torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    if banned is not None:
        logits = logits.masked_fill(banned, -math.inf)
    if sampling.temperature == 0.0:
        return logits
    logits = (logits - logits.amax(-1, keepdim=True)) / max(sampling.temperature, COLDEST)  # at most 0
    if sampling.top_k is None and sampling.top_p is None:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    if sampling.top_k is not None:
        ordered[:, sampling.top_k :] = -math.inf
    if sampling.top_p is not None and sampling.top_p < 1.0:
        chances = ordered.double().softmax(-1)
        before = chances.cumsum(-1) - chances  # the probability of all that are likelier
        ordered = ordered.masked_fill(before >= sampling.top_p, -math.inf)
    return torch.empty_like(logits).scatter(-1, order, ordered)


def _draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Ids (B,) by inverting the cumulative distribution of softmax(logits) at (B,) numbers in [0, 1)."""
    cumulative = logits.double().softmax(-1).cumsum(-1)
    return (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(-1)


def _choose_row(
    logits: Tensor, seen: Tensor | None, banned: Tensor | None, sampling: Sampling, uniform: float | None
) -> Tensor:
    """`_choose` for one row on the CPU, in NumPy, where an operation on so few numbers costs far less."""
    x = logits.numpy()[0]  # (V,)
    if seen is not None:
        penalty = sampling.repetition_penalty
        x = np.where(seen.numpy()[0], np.where(x > 0, x / penalty, x * penalty), x)
    if banned is not None:
        x = np.where(banned.numpy(), -math.inf, x)
    number = x.argmax()
    if uniform is not None:
        x = (x - x[number]) / max(sampling.temperature, COLDEST)
        chances = np.exp(x.astype(np.float64))  # times a constant
        if sampling.top_k is not None or sampling.top_p is not None:
            order = (-x).argsort(kind="stable")[: sampling.top_k]
            ordered = chances[order]
            if sampling.top_p is not None and sampling.top_p < 1.0:
                up_to = np.add.accumulate(ordered)
                ordered[up_to.searchsorted(sampling.top_p * up_to[-1]) + 1 :] = 0.0
            chances = np.zeros(len(x))
            chances[order] = ordered
        cumulative = np.add.accumulate(chances)
        number = cumulative.searchsorted(uniform * cumulative[-1], "right") % len(x)  # of NaN 0, as in `_draw`
    if seen is not None:
        seen.numpy()[0, number] = True
    return torch.from_numpy(np.array([number]))


def _uniform(seed: int, rows: int) -> Iterator[np.ndarray]:
    """Blocks of numbers in [0, 1), (DRAWS, B): each row has a generator of its own."""
    generators = [np.random.default_rng([seed, row]) for row in range(rows)]
    while True:
        yield np.stack([generator.random(DRAWS) for generator in generators], 1)


def _ended(tails: list[list[int]], ids: Tensor, end: int | None, stop: Sequence[list[int]]) -> list[bool]:
    """Returns which rows end now, and updates `tails`, their last symbols."""
    numbers = ids.tolist()
    if not stop:
        return [number == end for number in numbers]
    longest = max(map(len, stop))
    for tail, number in zip(tails, numbers, strict=True):
        tail.append(number)
        del tail[:-longest]
    return [tail[-1] == end or any(tail[-len(s) :] == s for s in stop) for tail in tails]


@torch.no_grad()
def beam_search(
    step: Step,
    logits: Tensor,
    state: State,
    length: int,
    beam: int,
    *,
    end: int | None = None,
    length_penalty: LengthPenalty = "none",
    alpha: float = 0.6,
    coverage: float = 0.0,
    unseen: Callable[[State], Tensor] | None = None,
    reorder: Callable[[State, Tensor], State] = Recurrent.select,
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
        unseen: What it is a factor of: maps a state to numbers (B,), see `AttentionDecoder.unseen`.
        reorder: Takes some rows of a state, each in place of a row of the same source.
        sampling: Only its `allowed` and `forbidden` symbols are used.

    Returns:
        For each row, up to K hypotheses, the best one first.

    Raises:
        ValueError: If an argument is outside its range, or if no symbol may be chosen.
    """
    _check_at_least(length=(length, 1), beam=(beam, 1))
    if beam > MAX_BEAM:
        raise ValueError(f"beam: got {beam}, expected at most {MAX_BEAM}")
    check_choice("length_penalty", length_penalty, get_args(LengthPenalty))
    if not 0.0 <= alpha < math.inf:
        raise ValueError(f"alpha: got {alpha}, expected at least 0")
    if not 0.0 <= coverage < math.inf:
        raise ValueError(f"coverage: got {coverage}, expected at least 0")
    if coverage and unseen is None:
        raise ValueError("coverage: it needs a model with attention")
    banned = _banned(logits, sampling)
    rows, symbols = logits.shape  # B, V
    first = torch.arange(rows, device=logits.device)[:, None] * beam  # each row's first beam among all B*K
    state = Recurrent.select(state, torch.arange(rows, device=logits.device).repeat_interleave(beam))
    logits = logits.repeat_interleave(beam, 0)  # (B*K, V)
    total = logits.new_full((rows, beam), -math.inf, dtype=torch.float32)  # log-probabilities
    total[:, 0] = 0.0  # the other beams start empty
    lengths = torch.zeros_like(total, dtype=torch.long)
    ended = torch.zeros_like(total, dtype=torch.bool)
    ids = torch.empty(rows, beam, 0, dtype=torch.long, device=logits.device)
    stay = torch.full((symbols,), -math.inf, device=logits.device)
    stay[0] = 0.0  # the only continuation of a hypothesis that has ended
    bonus = torch.zeros_like(total)  # the coverage penalty, which stays as it is when a hypothesis has ended
    for _ in range(length):
        if coverage and unseen is not None:
            bonus = torch.where(ended, bonus, coverage * unseen(state).view(rows, beam))
        log_probs = logits.float().log_softmax(-1).view(rows, beam, symbols)
        if banned is not None:
            log_probs = log_probs.masked_fill(banned, -math.inf)
        log_probs = torch.where(ended[:, :, None], stay, log_probs)
        totals = total[:, :, None] + log_probs  # (B, K, V)
        sizes = (lengths + ~ended)[:, :, None]
        scores = totals / _penalty(sizes, length_penalty, alpha) + bonus[:, :, None]
        best = scores.flatten(1).topk(beam).indices  # (B, K)
        parent, symbol = best // symbols, best % symbols
        total = totals.flatten(1).gather(1, best)
        lengths, bonus = sizes[:, :, 0].gather(1, parent), bonus.gather(1, parent)
        ids = torch.cat([ids.gather(1, parent[:, :, None].expand_as(ids)), symbol[:, :, None]], 2)
        ended = ended.gather(1, parent)
        if end is not None:
            ended = ended | (symbol == end)
        if (ended | total.isinf()).all() or ids.shape[2] == length:
            break
        state = reorder(state, (first + parent).flatten())
        logits, state = step(symbol.flatten(), state)
    scores = total / _penalty(lengths, length_penalty, alpha) + bonus
    return [
        [
            Hypothesis(ids[row, k, : lengths[row, k]].tolist(), float(total[row, k]), float(scores[row, k]))
            for k in range(beam)
            if total[row, k] > -math.inf
        ]
        for row in range(rows)
    ]


def _penalty(lengths: Tensor, kind: LengthPenalty, alpha: float) -> Tensor:
    if kind == "average":
        return lengths.float()
    return ((5.0 + lengths) / 6.0) ** (alpha if kind == "wu" else 0.0)


def _check_at_least(**values: tuple[int, int]) -> None:
    for name, (value, least) in values.items():
        if value < least:
            raise ValueError(f"{name}: got {value}, expected at least {least}")

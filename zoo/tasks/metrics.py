"""Metrics that are means over real items, and the sums that they are computed from.

V is the size of the vocabulary.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import Metric
from torchmetrics.functional.text import edit_distance
from torchmetrics.text import CHRFScore, SacreBLEUScore

from zoo.batch import IGNORE
from zoo.tags import marks


def summed_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Returns the cross entropy, summed over all real targets.

    It is computed in float32 for float16 and bfloat16 logits: the sum over a batch exceeds the
    range of float16 and the precision of bfloat16.

    Args:
        logits: Unnormalized log-probabilities (..., V).
        targets: Class ids (...), int64; `IGNORE` for missing targets.
        weights: Factors of the losses by class (V,). None: all are 1.
        label_smoothing: How much of the target's probability is spread evenly over all classes.

    Returns:
        The loss in nats, a scalar: float32, or float64 for float64 logits.

    Example:
        >>> summed_cross_entropy(torch.zeros(2, 3, 4, dtype=torch.float16), torch.tensor([[0, 1, 2], [3, -100, -100]]))
        tensor(5.5452)
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weights = None if weights is None else weights.to(logits.dtype)
    return cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        weights,
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def summed_pinball(errors: Tensor, quantiles: Sequence[float], mask: Tensor) -> Tensor:
    """Returns the pinball loss, averaged over quantiles and summed over real values (Koenker and Bassett 1978).

    Args:
        errors: True value minus predicted quantile (..., Q).
        quantiles: The Q quantiles.
        mask: Which values are real (...).

    Returns:
        The loss, a scalar. For the median alone, it is half of the absolute error.

    Example:
        >>> summed_pinball(torch.tensor([[2.0], [-2.0]]), [0.5], torch.tensor([True, True]))
        tensor(2.)
    """
    losses = torch.zeros_like(errors[..., 0])
    for number, level in enumerate(quantiles):
        error = errors[..., number]
        losses = losses + torch.maximum(level * error, (level - 1) * error) / len(quantiles)
    return torch.where(mask, losses, torch.zeros_like(losses)).sum()


def edit_errors(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[Tensor, Tensor]:
    """Returns the number of symbols to insert, delete or substitute to turn predictions into what is right.

    A `Mean` updated with both counts is the error rate: of characters, if texts are given. torchmetrics'
    `CharErrorRate` keeps float sums, which a module in bfloat16 casts to bfloat16.

    Args:
        predictions: Texts, or lists of symbols.
        references: For each of them, one or several that are right. The nearest one counts, and the first of these.

    Returns:
        The number of errors (Levenshtein distance) and the number of symbols in the references that count,
        both int64 scalars on the CPU.

    Example:
        >>> edit_errors(["rain", "abc"], [["shine"], ["xyzxyz", "abc"]])
        (tensor(3), tensor(8))
    """
    if not predictions:
        return torch.tensor(0), torch.tensor(0)
    ids: defaultdict[str, int] = defaultdict(lambda: len(ids) + 1)  # torchmetrics compares texts

    def text(symbols: Sequence[str]) -> str:
        return "".join(chr(ids[symbol]) for symbol in symbols)

    found = [text(one) for one, several in zip(predictions, references, strict=True) for _ in several]
    right = [text(one) for several in references for one in several]
    distances = iter(edit_distance(found, right, reduction="none").tolist())
    best = [min(((next(distances), len(one)) for one in several), key=itemgetter(0)) for several in references]
    errors, symbols = (sum(counts) for counts in zip(*best, strict=True))
    return torch.tensor(int(errors)), torch.tensor(symbols)


def leave_inference_mode(metrics: nn.Module) -> None:
    """Makes the states of metrics ordinary tensors, with the same values.

    A trainer resets metrics where it used them, for validate and test in inference mode. Such states
    can't be updated elsewhere, for example by the next fit.

    Args:
        metrics: A module that contains the metrics.

    Example:
        >>> mean = Mean()
        >>> with torch.inference_mode():
        ...     mean.reset()
        >>> leave_inference_mode(nn.ModuleList([mean]))
        >>> mean.update(torch.tensor(3.0), torch.tensor(2))
    """
    for metric in metrics.modules():
        if isinstance(metric, Metric):
            for name, state in metric.metric_state.items():
                if isinstance(state, Tensor) and state.is_inference():
                    setattr(metric, name, state.clone())


def keeping_dtype(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Returns a function that moves a tensor to another device as `fn` does, but keeps its dtype."""

    def move(state: Tensor) -> Tensor:
        moved = fn(state)
        return moved if moved.dtype == state.dtype else state.to(moved.device)

    return move


class Mean(Metric):
    """The mean of all values over batches and ranks, computed from their sum and their number.

    The sum is kept in float32 together with the rounding error of its last addition, which is
    added to the next value (Kahan 1965, "Further remarks on reducing truncation errors"). Its error
    does not grow with the number of updates, even on devices without float64. Casting the module
    does not cast the states. An update does not wait for the device, unlike in torchmetrics'
    `MeanMetric`, which checks for NaN.

    The mean is NaN if the sum is not finite.

    Example:
        >>> mean = Mean()
        >>> mean.update(total=torch.tensor(3.0), count=torch.tensor(2))
        >>> mean.compute().item()
        1.5
    """

    higher_is_better = False
    full_state_update = False  # states can be merged by adding them
    total: Tensor
    compensation: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float32), dist_reduce_fx="sum")
        self.add_state("compensation", torch.tensor(0.0, dtype=torch.float32), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, total: Tensor, count: Tensor) -> None:
        """Adds some values.

        Args:
            total: Their sum, a scalar.
            count: Their number, an int64 scalar.
        """
        running, compensation = self.total, self.compensation  # updated in place: assigning to a module is slow
        compensation.add_(total)
        before = running.clone()
        running.add_(compensation)
        compensation.sub_(running - before)  # the rest is the rounding error
        self.count.add_(count)

    def compute(self) -> Tensor:
        """Returns the mean, a float32 scalar; NaN if there were no values."""
        return (self.total + self.compensation) / self.count

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Any:
        """Moves the states to another device as `fn` does, but keeps their dtypes."""
        return super()._apply(keeping_dtype(fn), exclude_state)


class Share(Mean):
    """The share of correct items, for example an accuracy."""

    higher_is_better = True


class BitsPerCharacter(Mean):
    """The mean of losses in nats, converted to bits: divided by ln 2."""

    def compute(self) -> Tensor:
        """Returns the bits per character, a float32 scalar."""
        return super().compute() / math.log(2)


class Perplexity(Mean):
    """The exponential of the mean of losses in nats: the number of equally likely choices."""

    def compute(self) -> Tensor:
        """Returns the perplexity, a float32 scalar."""
        return super().compute().exp()


class TagF1(Metric):
    """The F1 score of what tags mark, over all labels at once, in [0, 1].

    With tags as `B-X`, `I-X` and `O`, it is that of whole spans: one is right if its label, beginning and end are. With
    others, it is that of single symbols whose tag says something (see `zoo.tags.outside_of`). Without any, it is 0.

    Args:
        names: The names of the tags in the order of their ids.

    Example:
        >>> f1 = TagF1(["O", "B-x", "I-x"])
        >>> f1.update(torch.tensor([[1, 2, 0, 1]]), torch.tensor([[1, 2, 0, 0]]))
        >>> f1.compute()
        tensor(0.6667)
    """

    higher_is_better = True
    full_state_update = False
    right: Tensor
    marked: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("marked", torch.tensor(0), dist_reduce_fx="sum")  # by both sides

    def update(self, predicted: Tensor, targets: Tensor) -> None:
        """Adds the tags (B, T) of some sequences. Targets are `IGNORE` where there are none."""
        real = (targets != IGNORE).tolist()
        for rows in zip(real, predicted.tolist(), targets.tolist(), strict=True):
            kept = [(self.names[a], self.names[b]) for is_real, a, b in zip(*rows, strict=True) if is_real]
            found, wanted = (marks([pair[side] for pair in kept], self.names) for side in (0, 1))
            self.right += len(found & wanted)
            self.marked += len(found) + len(wanted)

    def compute(self) -> Tensor:
        """Returns the score, a float32 scalar."""
        return 2 * self.right / self.marked.clamp(min=1)


class Bleu(SacreBLEUScore):
    """BLEU of texts, in [0, 1] (Papineni et al. 2002), as torchmetrics computes it. It keeps its counts in float32.

    sacreBLEU's signature: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:none`.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Any:
        """Moves the states to another device as `fn` does, but keeps their dtypes."""
        return super()._apply(keeping_dtype(fn), exclude_state)


class Chrf(CHRFScore):
    """The chrF of texts, in [0, 1] (Popovic 2015), as torchmetrics computes it. It keeps its counts in float32.

    sacreBLEU's signature: `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no`.
    """

    def __init__(self) -> None:
        super().__init__(n_char_order=6, n_word_order=0, beta=2.0)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Any:
        """Moves the states to another device as `fn` does, but keeps their dtypes."""
        return super()._apply(keeping_dtype(fn), exclude_state)

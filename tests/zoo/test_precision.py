"""Numbers that are right in every precision, and however examples lie in batches."""

from collections.abc import Callable

import lightning as L
import pytest
import torch

from datamodules import NumericSequences, SequenceData, TextString, ToySeq2Seq
from zoo import CharLM, Regressor, Seq2Seq
from zoo.batch import TextBatch, ValueBatch

pytestmark = [
    pytest.mark.filterwarnings("ignore:The .*_dataloader. does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


class Bits(SequenceData):
    """Random bits, which take one bit each, whatever a model does."""

    spec = {"vocab": ["0", "1"]}

    def load(self) -> dict:
        bits = torch.randint(2, (64, 257), generator=torch.Generator().manual_seed(0))
        part = TextBatch(bits[:, :-1].contiguous(), bits[:, 1:].contiguous())
        return {"train": part, "val": part}


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "bf16-mixed"])
def test_random_bits_take_one_bit_each_in_half_precision(precision: str, trainer: Callable) -> None:
    L.seed_everything(0)
    task = CharLM(cell="gru", hidden_size=4, lr=1e-4)
    fit = trainer(max_epochs=1, precision=precision)
    fit.fit(task, Bits(batch_size=4, seed=0))
    assert fit.callback_metrics["train/bpc"] == pytest.approx(1.0, abs=0.05)
    assert fit.callback_metrics["val/loss"] == pytest.approx(0.693, abs=0.035)


@pytest.mark.parametrize("precision", ["16-true", "bf16-true"])
@pytest.mark.parametrize("init", ["torch", "keras"])
def test_a_toy_is_learned_in_true_half_precision(precision: str, init: str, trainer: Callable) -> None:
    L.seed_everything(0)
    task = Seq2Seq(cell="rnn", hidden_size=64, lr=0.01, init=init)  # type: ignore[arg-type]
    fit = trainer(max_epochs=40, precision=precision)
    fit.fit(task, ToySeq2Seq(batch_size=6))
    assert all(weight.isfinite().all() for weight in task.parameters())
    assert fit.callback_metrics["val/loss"] < 0.5


def test_numbers_are_regressed_in_half_precision(trainer: Callable) -> None:
    L.seed_everything(0)
    fit = trainer(max_epochs=60, precision="bf16-true")
    fit.fit(Regressor(lr=0.01), NumericSequences())
    assert fit.callback_metrics["val/loss"] < 0.1


def step_of(sizes: list[int], trainer: Callable, **options: object) -> torch.Tensor:
    """The weights after one optimizer step on 18 examples, which come in batches of some sizes."""
    torch.manual_seed(0)
    inputs = torch.randn(18, 3, 1)
    targets = torch.where(torch.arange(18) < 16, 5.0, -40.0)[:, None]
    batches, start = [], 0
    for size in sizes:
        batches.append(ValueBatch(inputs[start : start + size], targets[start : start + size]))
        start += size
    task = Regressor(input_size=1, target_size=1, normalize="none", hidden_size=4)
    task.configure_optimizers = lambda: torch.optim.SGD(task.parameters(), lr=0.1)  # type: ignore[method-assign]
    fit = trainer(max_epochs=1, accumulate_grad_batches=len(sizes), limit_val_batches=0, **options)
    fit.fit(task, torch.utils.data.DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    return task.model.network.head[1].bias.detach().clone()


def test_accumulated_batches_count_by_their_items(trainer: Callable) -> None:
    whole = step_of([18], trainer)
    torch.testing.assert_close(step_of([16, 2], trainer), whole)
    torch.testing.assert_close(step_of([9, 9], trainer), whole)
    clipped = step_of([18], trainer, gradient_clip_val=0.01)
    torch.testing.assert_close(step_of([2, 15, 1], trainer, gradient_clip_val=0.01), clipped)


def test_of_an_epoch_that_is_validated_twice_the_last_translations_are_kept(trainer: Callable) -> None:
    task = Seq2Seq(hidden_size=8)
    trainer(max_epochs=4, val_check_interval=0.5).fit(task, ToySeq2Seq(batch_size=3))
    assert [epoch for epoch, _ in task._samples] == [1, 2, 4]


def test_a_stream_of_one_lane_more_than_chunks_is_trained(trainer: Callable) -> None:
    data = TextString("ab" * 40, mode="stream", seq_len=7, batch_size=32, val_fraction=0, test_fraction=0)
    fit = trainer(max_epochs=1)
    fit.fit(CharLM(hidden_size=4), data)
    assert fit.global_step == len(data.train_dataloader())

"""What `SequenceData` gives to classes of other packages."""

from typing import Any, NamedTuple, Self

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules import MNISTRows, NumericSequences, SequenceData, TextString, ToySeq2Seq, WordCompletion
from datamodules.examples import take
from datamodules.loader import BatchLoader, EpochSampler
from datamodules.parts import Parts
from zoo.batch import IGNORE, ClassBatch, PairBatch, TextBatch, ValueBatch


class Tags(NamedTuple):
    """A batch type of another package."""

    inputs: Tensor
    labels: Tensor

    def void(self, rows: Tensor) -> Self:
        return self._replace(labels=self.labels.masked_fill(rows[:, None], IGNORE))


class Unvoidable(NamedTuple):
    inputs: Tensor
    labels: Tensor


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (TextString("abcdef", seq_len=2, val_fraction=0, test_fraction=0), TextBatch),
        (WordCompletion(), ClassBatch),
        (ToySeq2Seq(), PairBatch),
        (NumericSequences(), ValueBatch),
    ],
)
def test_the_batch_type_is_that_of_the_examples(data: SequenceData, expected: type) -> None:
    data.setup()
    assert data.batch_type is expected


def test_the_batch_type_is_known_after_setup() -> None:
    with pytest.raises(RuntimeError, match=r"batch_type: call setup\(\) first"):
        _ = MNISTRows().batch_type


def test_rows_without_an_example_are_voided_by_their_own_type() -> None:
    part = Tags(torch.arange(6).view(3, 2), torch.ones(3, 2, dtype=torch.long))
    batch = take(part, torch.tensor([2, -1]))
    assert batch.labels.tolist() == [[1, 1], [IGNORE, IGNORE]]
    assert part.labels.eq(1).all()


@pytest.mark.parametrize(
    ("batch", "field"),
    [
        (TextBatch(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.long)), "targets"),
        (ClassBatch(torch.zeros(2, 3), torch.ones(2, dtype=torch.long)), "targets"),
        (PairBatch(torch.zeros(2, 3), torch.ones(2), torch.ones(2, 3, dtype=torch.long)), "target"),
        (ValueBatch(torch.zeros(2, 3, 1), torch.ones(2, 1)), "targets"),
    ],
)
def test_each_batch_voids_its_rows(batch: Any, field: str) -> None:
    voided = batch.void(torch.tensor([False, True]))
    values, before = getattr(voided, field), getattr(batch, field)
    assert torch.equal(values[0], before[0])
    assert (values[1].isnan() | (values[1] == IGNORE)).all()
    assert (before == 1).all()
    for name in batch._fields:
        if name != field:
            assert getattr(voided, name) is getattr(batch, name)


def test_no_row_is_voided_where_none_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tags, "void", lambda self, rows: pytest.fail("there is nothing to void"))
    part = Tags(torch.zeros(3, 2), torch.zeros(3, 2))
    assert len(list(BatchLoader(part, EpochSampler(3, 2)))) == 2


def test_a_batch_type_that_cannot_void_is_refused_when_the_loader_is_made() -> None:
    part = Unvoidable(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(TypeError, match=r"Unvoidable: expected a batch type with a method void\(rows\)"):
        BatchLoader(part, EpochSampler(3, 2))


class Mine(SequenceData):
    """A datamodule of another package, which asks its trainer."""

    def __init__(self) -> None:
        super().__init__(batch_size=2, seed=0)
        self.asked: list[Any] = []

    def setup(self, stage: str | None = None) -> None:
        assert self.trainer is not None
        self.asked.append((stage, self.trainer.world_size))
        super().setup(stage)

    def load(self) -> Parts:
        assert self.trainer is not None
        self.asked.append(self.trainer.global_rank)
        part = ClassBatch(torch.zeros(3, 2, 1), torch.zeros(3, dtype=torch.long))
        return {"train": part, "val": part}

    @property
    def spec(self) -> dict[str, Any]:
        return {}


class Probe(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.rows: list[int] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.rows.append(len(batch[0]))
        return self.weight * 0

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())


OPTIONS: dict[str, Any] = {
    "accelerator": "cpu",
    "max_epochs": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def test_a_subclass_may_ask_its_trainer() -> None:
    data, probe = Mine(), Probe()
    L.Trainer(**OPTIONS).fit(probe, datamodule=data)
    assert data.asked == [("fit", 1), 0]
    assert probe.rows == [2, 1]
    assert data.sources == {}


def test_nothing_in_the_base_needs_a_trainer() -> None:
    class Alone(Mine):
        def setup(self, stage: str | None = None) -> None:
            SequenceData.setup(self, stage)

        def load(self) -> Parts:
            return {"train": ClassBatch(torch.zeros(3, 2, 1), torch.zeros(3, dtype=torch.long))}

    data = Alone()
    data.setup()
    assert [len(batch.targets) for batch in data.train_dataloader()] == [2, 1]


def test_batches_of_another_kind_are_moved_too() -> None:
    batch = {"x": torch.zeros(2, 1)}
    assert torch.equal(Mine().transfer_batch_to_device(batch, torch.device("cpu"), 0)["x"], batch["x"])

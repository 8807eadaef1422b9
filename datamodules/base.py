"""What all datamodules share: parts, loaders, and the facts that they offer."""

import os
from abc import ABC, abstractmethod
from typing import Any, Literal

import lightning as L
import numpy as np
import torch

from datamodules.loader import BatchLoader, EpochSampler, Sampler

Part = Literal["train", "val", "test"]
Parts = dict[Part, Any]  # NamedTuples of tensors with all examples; a part may be missing


class SequenceData(L.LightningDataModule, ABC):
    """Data in memory, in up to three parts.

    Args:
        batch_size: Examples of each optimizer step, over all devices.
        seed: It fixes the batch order, with epoch and rank; None takes `seed_everything`'s.

    Raises:
        ValueError: If the batch size is below 1, or the seed below 0.
    """

    def __init__(self, batch_size: int, seed: int | None) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size: got {batch_size}, expected at least 1")
        check_seed("seed", seed or 0)
        self.batch_size, self.seed = batch_size, seed
        self.parts: Parts = {}

    # -- what a subclass defines

    @abstractmethod
    def load(self) -> Parts:
        """Reads and checks the data, and cuts it into parts."""

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The facts that a task may ask for, plain values; after `setup`."""

    @property
    @abstractmethod
    def sources(self) -> dict[str, str]:
        """Where the data came from: a name and a SHA-256 each; after `setup`."""

    def collate(self, batch: Any) -> Any:
        """What else to do to a batch; by default nothing."""
        return batch

    # -- Lightning's hooks

    def setup(self, stage: str | None = None) -> None:
        """Loads the data, once."""
        if not self.parts:
            self.parts = self.load()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves a batch, but for its lengths: packing wants them on the CPU, and would wait for them."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        lengths = [name for name in batch._fields if name.endswith("lengths")]
        return moved._replace(**{name: getattr(batch, name) for name in lengths})

    def train_dataloader(self) -> Any:
        """Batches of the training part, shuffled."""
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> Any:
        """Batches of the validation part; none if there is no such part."""
        return self.loader("val") if "val" in self.parts else []

    def test_dataloader(self) -> Any:
        """Batches of the test part.

        Raises:
            ValueError: If this data has no test part.
        """
        if "test" not in self.parts:
            raise ValueError(f"{type(self).__name__}: this data has no test part; it has {', '.join(self.parts)}")
        return self.loader("test")

    def predict_dataloader(self) -> Any:
        """Batches of the test part, or else of the last one that there is, without filled-up rows."""
        return self.predict_loader(self.parts[self.last_part()])

    # -- loaders

    def last_part(self) -> Part:
        """The test part, or else validation, or else training."""
        return next(name for name in ("test", "val", "train") if name in self.parts)  # type: ignore[return-value]

    def loader(self, part: Part, shuffle: bool = False) -> BatchLoader:
        """Batches of a part."""
        return BatchLoader(self.parts[part], self.sampler(part, shuffle), self.collate)

    def sampler(self, part: Part, shuffle: bool) -> Sampler:
        """The order of a part's batches."""
        size = len(self.parts[part][0])
        seed = self.order_seed() if shuffle else 0
        return EpochSampler(size, self.batch_size, shuffle=shuffle, seed=seed, **self.place())

    def predict_loader(self, examples: Any) -> BatchLoader:
        """Batches of some examples in order; each comes once over all ranks."""
        sampler = EpochSampler(len(examples[0]), self.batch_size, fill=False, **self.place())
        return BatchLoader(examples, sampler, self.collate)

    def order_seed(self) -> int:
        """The seed of the batch order."""
        return int(os.environ.get("PL_GLOBAL_SEED", "0")) if self.seed is None else self.seed

    def place(self) -> dict[str, Any]:
        """Rank and world size; one process where no trainer is attached."""
        if self.trainer is None:
            return {"rank": 0, "world_size": 1}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}


def check_seed(name: str, seed: int) -> None:
    """Raises ValueError for a seed that is negative."""
    if seed < 0:
        raise ValueError(f"{name}: got {seed}, expected at least 0")


def check_predict_inputs(inputs: list[str]) -> None:
    """Raises ValueError unless there is an input, and no empty one."""
    if not inputs or not all(inputs):
        raise ValueError(f"predict_inputs: got {inputs}, expected one or more texts, none of them empty")


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raises ValueError unless both are shares that leave something to train on."""
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise ValueError(
            f"val_fraction, test_fraction: got {val_fraction} and {test_fraction}, "
            "expected shares from 0 that add up to less than 1"
        )


def split_sizes(size: int, val_fraction: float, test_fraction: float) -> tuple[int, int, int]:
    """Sizes of the training, validation and test parts; the fractions are rounded down."""
    val, test = int(size * val_fraction), int(size * test_fraction)
    return size - val - test, val, test


def random_split(
    size: int, val_fraction: float, test_fraction: float, seed: int
) -> dict[Part, np.ndarray[Any, np.dtype[np.int64]]]:
    """Example numbers of each part, drawn with a seed of their own; empty parts are left out."""
    check_seed("split_seed", seed)
    order = np.random.RandomState(seed).permutation(size)  # its stream is frozen by NumPy's policy
    train, val, _ = split_sizes(size, val_fraction, test_fraction)
    cut = {"train": order[:train], "val": order[train : train + val], "test": order[train + val :]}
    return {part: np.sort(rows) for part, rows in cut.items() if len(rows)}  # type: ignore[misc]

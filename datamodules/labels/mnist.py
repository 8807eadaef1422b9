"""The digits of MNIST as sequences."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from datamodules.base import SequenceData
from datamodules.baselines import counting
from datamodules.examples import NONE
from datamodules.parts import Part, Parts
from datamodules.sources.cache import cached, check_sha256
from datamodules.sources.idx import read_idx
from zoo.batch import ClassBatch

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/{name}.gz"  # torchvision's own mirror
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
NUM_VAL = 5_000
PERMUTATION_SEED = 92916
MAX_SHIFT = 2
DIGITS = [str(digit) for digit in range(10)]


class MNISTRows(SequenceData):
    """Handwritten digits, 28 x 28 pixels in [0, 1], as sequences.

    The training part is the first 55,000 images of the official training set, validation its last
    5,000, and the test part the official test set of 10,000.

    Args:
        view: `rows`: 28 steps of 28 pixels, from the top. `pixels`: 784 steps of 1 pixel. `permuted`:
            784 steps of 1 pixel in a fixed random order, NumPy's
            `RandomState(92916).permutation(784)` (the task of Le, Jaitly and Hinton 2015).
        shifted_copies: Copies of each training image, each moved by up to 2 pixels up or down, and left or right, at
            random. They are the same in each epoch and for each `seed`.
        batch_size: Images per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ClassBatch

    def __init__(
        self,
        view: Literal["rows", "pixels", "permuted"] = "rows",
        shifted_copies: int = 0,
        batch_size: int = 128,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        if shifted_copies < 0:
            raise ValueError(f"shifted_copies: got {shifted_copies}, expected at least 0")
        if view not in ("rows", "pixels", "permuted"):
            raise ValueError(f"view: got {view!r}, expected rows, pixels or permuted")
        self.view, self.shifted_copies = view, shifted_copies

    def prepare_data(self) -> None:
        """Downloads the files that are missing, and checks all of them."""
        for name in FILES:
            _path(name)

    def load(self) -> Parts:
        """See `SequenceData`."""
        images, labels = self._read("train")
        train = images[:-NUM_VAL]
        if self.shifted_copies:
            seeds = range(self.shifted_copies)
            train = torch.cat([train, *(shifted(train, np.random.RandomState(seed)) for seed in seeds)])
        cut: dict[Part, tuple[torch.Tensor, torch.Tensor]] = {
            "train": (train, labels[:-NUM_VAL].repeat(1 + self.shifted_copies)),
            "val": (images[-NUM_VAL:], labels[-NUM_VAL:]),
            "test": self._read("t10k"),
        }
        return {part: self._examples(*found) for part, found in cut.items()}

    def _examples(self, images: torch.Tensor, labels: torch.Tensor) -> ClassBatch:
        if self.view != "rows":
            images = images.reshape(-1, 784, 1)
        if self.view == "permuted":
            order = np.random.RandomState(PERMUTATION_SEED).permutation(784)
            images = images[:, torch.from_numpy(order)]
        known = labels != NONE
        return ClassBatch((images if known.all() else images[known]).contiguous(), labels[known])

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the accuracy of the most common answer: see `SequenceData`."""
        if "train" not in self.parts:
            return {}
        examples: list[Any] = [self.parts["train"], self.parts[part]]  # in memory
        train, answers = (list(map(str, found.rows.targets.tolist())) for found in examples)
        return {"majority": {"accuracy": counting.majority(train, answers)}}

    def _read(self, prefix: str) -> tuple[torch.Tensor, torch.Tensor]:
        images = self._read_idx(f"{prefix}-images-idx3-ubyte", axes=3)  # (N, 28, 28) uint8
        digits = self._read_idx(f"{prefix}-labels-idx1-ubyte", axes=1).tolist()
        self.classes = self.facts.get("classes") or DIGITS
        return images, self.encode_classes([DIGITS[digit] for digit in digits], self.classes)

    def _read_idx(self, name: str, axes: int) -> torch.Tensor:
        path = _path(name)
        return read_idx(path, axes, self.read_source(path, f"MNIST/raw/{name}"))

    def collate(self, batch: ClassBatch) -> ClassBatch:
        """Scales the pixels, stored as bytes, to [0, 1]."""
        return batch._replace(inputs=batch.inputs.float().div_(255))

    @property
    def spec(self) -> dict[str, Any]:
        """The pixels per step, the number of steps, and the ten digits."""
        steps, pixels = (28, 28) if self.view == "rows" else (784, 1)
        return {"input_size": pixels, "num_steps": steps, "classes": list(self.classes)}


def shifted(images: torch.Tensor, random: np.random.RandomState) -> torch.Tensor:
    """Returns images (N, H, W), each moved by up to `MAX_SHIFT` pixels in both directions. What comes in is 0."""
    height, width = images.shape[1:]
    wide = torch.nn.functional.pad(images, (MAX_SHIFT,) * 4)
    places = torch.from_numpy(random.randint(2 * MAX_SHIFT + 1, size=(len(images), 2)))
    moved = torch.empty_like(images)
    for y in range(2 * MAX_SHIFT + 1):
        for x in range(2 * MAX_SHIFT + 1):
            rows = ((places[:, 0] == y) & (places[:, 1] == x)).nonzero()[:, 0]
            moved[rows] = wide[rows, y : y + height, x : x + width]
    return moved


def _path(name: str) -> Path:
    return cached(f"MNIST/raw/{name}", URL.format(name=name), check_sha256(FILES[name]))

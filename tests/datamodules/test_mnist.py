from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import MNISTRows
from datamodules.labels.mnist import FILES, shifted
from datamodules.sources.cache import cache_dir
from support import needs_mnist

RAW = Path("MNIST") / "raw"


@needs_mnist
def test_rows_are_28_steps_of_28_pixels_in_three_parts() -> None:
    data = MNISTRows(batch_size=100)
    data.setup()
    assert [len(data.parts[part].rows.targets) for part in ("train", "val", "test")] == [55_000, 5_000, 10_000]
    batch = next(iter(data.test_dataloader()))
    assert batch.inputs.shape == (100, 28, 28)
    assert (batch.inputs.min(), batch.inputs.max()) == (0.0, 1.0)
    assert batch.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.spec == {"input_size": 28, "num_steps": 28, "classes": list("0123456789")}


@needs_mnist
def test_pixels_and_permuted_hold_the_same_image_in_other_orders() -> None:
    views = {}
    for view in ("rows", "pixels", "permuted"):
        data = MNISTRows(view=view, batch_size=3)
        data.setup()
        views[view] = next(iter(data.val_dataloader())).inputs
    assert views["pixels"].shape == (3, 784, 1)
    assert torch.equal(views["pixels"].flatten(1), views["rows"].flatten(1))
    order = np.random.RandomState(92916).permutation(784)
    assert torch.equal(views["permuted"], views["pixels"][:, order])


def test_shifted_images_are_moved_by_two_pixels_at_most() -> None:
    images = torch.zeros(500, 28, 28, dtype=torch.uint8)
    images[:, 10, 1] = 9
    moved = shifted(images, np.random.RandomState(0))
    places = {(y - 10, x - 1) for _, y, x in moved.nonzero().tolist()}
    assert places == {(y, x) for y in range(-2, 3) for x in range(-1, 3)}  # further left, it leaves the image
    assert torch.equal(moved, shifted(images, np.random.RandomState(0)))


@needs_mnist
def test_shifted_copies_are_training_examples_alone() -> None:
    plain, data = MNISTRows(), MNISTRows(shifted_copies=2)
    for one in (plain, data):
        one.setup()
    before, after = plain.parts["train"].rows, data.parts["train"].rows
    assert len(after.targets) == 3 * 55_000
    assert torch.equal(after.targets.view(3, -1), before.targets.expand(3, -1))
    assert torch.equal(after.inputs[:55_000], before.inputs)
    assert torch.equal(data.parts["test"].rows.inputs, plain.parts["test"].rows.inputs)


def test_no_network_and_no_cache_say_which_file_from_where_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "cache"))
    with pytest.raises(
        OSError,
        match=r"train-images-idx3-ubyte: could not be fetched from https://.*download it by hand and put it there",
    ):
        MNISTRows().prepare_data()
    assert not list(tmp_path.iterdir())


@needs_mnist
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / RAW
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).symlink_to((cache_dir() / RAW / name).resolve())
    labels = raw / "t10k-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(content[:-10])
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
    with pytest.raises(OSError, match="t10k-labels-idx1-ubyte: its SHA-256 is .*delete it"):
        MNISTRows().prepare_data()
    assert labels.exists()

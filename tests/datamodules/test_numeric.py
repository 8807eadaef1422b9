from pathlib import Path

import pytest
import torch

from datamodules import NumericSequences


def test_the_thirteen_rows() -> None:
    data = NumericSequences(batch_size=13, normalize="instance")
    data.setup()
    (batch,) = data.val_dataloader()
    assert batch.inputs.shape == (13, 3, 1)
    assert batch.inputs[0, :, 0].tolist() == [1, 2, 3]
    assert batch.targets[:, 0].tolist() == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 50, 60, 70]


def test_windows_over_a_column_are_split_by_time(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("day,price\n" + "".join(f"{i},{i * 10}\n" for i in range(20)))
    data = NumericSequences(path=str(path), column="price", window=3, val_fraction=0.25, test_fraction=0.25)
    data.setup()
    train, val, test = (data.parts[part].rows for part in ("train", "val", "test"))
    assert train.inputs[-1, :, 0].tolist() == [60, 70, 80]
    assert train.targets[-1].item() == 90
    assert val.inputs[0, :, 0].tolist() == [100, 110, 120]
    assert test.targets[-1].item() == 190
    assert data.spec["mean"] == 45.0  # of the training part alone
    assert data.spec["scale"] == pytest.approx(28.7228, abs=1e-4)


def test_predict_inputs_are_sequences_of_one_length() -> None:
    data = NumericSequences(predict_inputs=[[25, 35, 45]])
    data.setup()
    (batch,) = data.predict_dataloader()
    assert batch.inputs.flatten().tolist() == [25, 35, 45]
    assert torch.isnan(batch.targets).all()
    data.predict_inputs = [[1, 2], [3]]
    with pytest.raises(ValueError, match=r"sequences of \[1, 2\] numbers"):
        data.predict_dataloader()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n1,2\n3,\n", {}, r"column 'b', row 2: got (None|nan), expected a finite number"),
        ("a,b\n1,2\n3,inf\n", {}, "column 'b', row 2: got inf"),
        ("a,b\n1,2\n3,x\n", {}, "column 'b', row 2: got 'x'"),
        ("a,b\n1,2\n", {"column": "c"}, "column 'c' not found, expected one of a, b"),
        ("1,2\n3,4\n", {}, "expected column names in the first line, got 1,2"),
        ("a\n1\n2\n", {}, "got one column, a, expected at least two"),
        ("a\n1\n2\n", {"column": "a"}, r"its train part has 2 numbers, expected at least window \+ 1 = 4"),
    ],
)
def test_bad_numbers_are_named(tmp_path: Path, content: str, options: dict, message: str) -> None:
    (tmp_path / "n.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        NumericSequences(path=str(tmp_path / "n.csv"), **options).setup()

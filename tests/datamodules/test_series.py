"""Windows of series: what is read, split, filled and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import NumericSequences, TimeSeries
from datamodules.baselines import series as simple
from datamodules.examples import NONE

DAYS = [f"2024-01-{day:02}" for day in range(1, 31)]


def write(path: Path, rows: list[str], head: str = "date,load,temp") -> str:
    path.write_text("\n".join([head, *rows]) + "\n")
    return str(path)


@pytest.fixture
def thirty_days(tmp_path: Path) -> str:
    return write(tmp_path / "days.csv", [f"{day},{i},{100 + i}" for i, day in enumerate(DAYS)])


def ready(*args: Any, **options: Any) -> TimeSeries:
    data = TimeSeries(*args, **options)
    data.setup()
    return data


def test_inputs_and_targets_are_chosen_by_name(thirty_days: str) -> None:
    data = ready(thirty_days, inputs=["temp", "load"], targets=["load"], window=3, horizon=2)
    batch = data.parts["train"].take(torch.tensor([1, NONE]))
    assert batch.inputs[0].tolist() == [[101, 1], [102, 2], [103, 3]]
    assert batch.targets[0].tolist() == [[4], [5]]
    assert batch.targets[1].isnan().all()
    assert batch.times.shape == (2, 5)
    assert data.spec["freq"] == "1 day"


@pytest.mark.parametrize(
    "options",
    [
        {"val_fraction": 0.2, "test_fraction": 0.2},
        {"split_rows": [18, 6, 6]},
        {"split_dates": ["2024-01-19", "2024-01-25"]},
    ],
    ids=["share", "rows", "dates"],
)
def test_targets_are_of_their_part_and_only_inputs_look_back(thirty_days: str, options: dict) -> None:
    data = ready(thirty_days, inputs=["load"], window=4, horizon=2, **options)
    borders = {"train": (0, 18), "val": (18, 24), "test": (24, 30)}
    for part, (first, end) in borders.items():
        examples = data.parts[part]
        batch = examples.take(torch.arange(len(examples)))
        assert (batch.inputs[:, -1, 0] + 1).equal(batch.targets[:, 0, 0])
        assert batch.targets.max() == end - 1
        assert batch.targets.min() == (4 if part == "train" else first)
        assert len(examples) == (13 if part == "train" else 5)
    assert data.spec["mean"] == pytest.approx([8.5, 8.5])  # of the training part alone


def test_windows_are_cut_from_one_array_and_stride_skips_some(thirty_days: str) -> None:
    data = ready(thirty_days, inputs=["load"], window=4, horizon=2, stride=5)
    train, test = data.parts["train"], data.parts["test"]
    assert train.values is test.values
    assert train.starts.tolist() == [0, 5, 10, 15]


def test_gaps_and_missing_numbers_are_filled_on_request(tmp_path: Path) -> None:
    rows = ["2024-01-31,1,5", "2024-02-29,,6", "2024-03-31,3,7", "2024-05-31,5,9", "2024-06-30,6,9", "2024-07-31,7,9"]
    path = write(tmp_path / "months.csv", rows)
    whole = {"val_fraction": 0, "test_fraction": 0, "window": 2}
    line = ready(path, fill="linear", **whole).parts["train"]
    assert line.values.tolist() == [[1, 5], [2, 6], [3, 7], [4, 8], [5, 9], [6, 9], [7, 9]]
    assert str(line.times.astype("datetime64[s]")[3]) == "2024-04-30T00:00:00"
    forward = ready(path, fill="forward", **whole)
    assert forward.parts["train"].values[:4].tolist() == [[1, 5], [1, 6], [3, 7], [3, 7]]
    said = "months.csv: missing: 1 of 7 times, 1 of 7 numbers of 'load' (first: 2024-02-29); filled (forward)"
    assert forward.notes == [said]


def test_rows_that_are_not_regular_count_as_steps(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["2024-01-05,1,1", "2024-01-08,2,2", "2024-01-09,3,3"])
    data = ready(path, regular=False, window=1, val_fraction=0, test_fraction=0)
    assert data.spec["freq"] is None


ROWS = [f"{day},{i},{i}" for i, day in enumerate(DAYS)]
FAULTS: dict[str, tuple[list[str], dict, str]] = {
    "a column that is not there": (ROWS, {"inputs": ["laod"]}, r"column 'laod' not found; did you mean 'load'\?"),
    "a target that is not there": (ROWS, {"targets": ["tmp"]}, r"column 'tmp' not found; did you mean 'temp'\?"),
    "too few cells": ([*ROWS[:2], "2024-01-03,1", *ROWS[3:]], {}, "row 3: got 2 cells, expected 3: date, load, temp"),
    "no date": ([*ROWS[:1], "soon,1,1"], {}, "column 'date', row 2: got 'soon', expected a date like 2024-01"),
    "another format": (ROWS, {"time_format": "%d.%m.%Y"}, "row 1: got '2024-01-01', expected a date of the format %d"),
    "order": ([ROWS[1], ROWS[0]], {}, "row 2: 2024-01-01 is not after 2024-01-02, the time before it"),
    "no number": ([*ROWS[:2], "2024-01-03,1,", *ROWS[3:]], {}, r"column 'temp', row 3 \(2024-01-03\): no number; set"),
    "a gap": ([*ROWS[:2], *ROWS[3:]], {}, "column 'date', row 3: 2024-01-04 follows 2024-01-02, expected a step of 1"),
    "a word": ([ROWS[0], "2024-01-02,x,1"], {}, "column 'load', row 2: got 'x', expected a number"),
    "infinite": ([ROWS[0], "2024-01-02,inf,1"], {}, "column 'load', row 2: got 'inf', expected a finite number"),
    "a long window": (ROWS, {"window": 24}, r"its train part has 21 rows, expected at least 25 = 24 \(window\) \+ 1"),
    "a long horizon": (ROWS, {"window": 4, "horizon": 4}, r"its val part has 3 rows, expected at least 4"),
    "an instance without its input": (
        ROWS,
        {"inputs": ["load"], "targets": ["temp"], "normalize": "instance"},
        "'temp' is no input; add it to inputs",
    ),
    "nothing before": (["2024-01-01,,1", *ROWS[1:]], {"fill": "forward"}, "row 1: no number, and none before it"),
    "too many rows": (
        ROWS,
        {"split_rows": [20, 10, 10]},
        r"split_rows: got \[20, 10, 10\], expected rows for training",
    ),
    "no rows": ([], {}, "got no rows"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_tables_are_named(fault: str, tmp_path: Path) -> None:
    rows, options, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        ready(write(tmp_path / "a.csv", rows), **options)


def test_a_model_that_is_trained_keeps_its_scale(thirty_days: str) -> None:
    data = TimeSeries(thirty_days, inputs=["load"], window=3)
    data.facts = {"mean": [5.0, 5.0], "scale": [2.0, 2.0], "naive_error": [4.0]}
    data._load()
    assert (data.spec["mean"], data.spec["scale"]) == ([5.0, 5.0], [2.0, 2.0])
    assert data.baselines("test")["last value"] == pytest.approx(
        {"mae": 1.0, "mse": 1.0, "scaled_mae": 0.5, "scaled_mse": 0.25, "mase": 0.25}
    )


# -- simple forecasts


def test_baselines_are_what_they_are_called(tmp_path: Path) -> None:
    values = [10 * (i % 4) for i in range(60)]
    times = np.arange("2024-01-01", 60, dtype="datetime64[D]")
    path = write(tmp_path / "wave.csv", [f"{t},{v}" for t, v in zip(times, values, strict=True)], "date,wave")
    data = ready(path, window=8, horizon=3, season=4)
    found = data.baselines("test")
    assert list(found) == ["last value", "seasonal naive", "ridge regression"]
    assert found["seasonal naive"]["mae"] == 0
    assert found["ridge regression"]["mae"] < 0.1
    assert found["last value"]["mae"] > 10


def test_mase_divides_by_the_seasonal_naive_error() -> None:
    series = np.array([[0.0], [1.0], [2.0], [5.0]])
    assert simple.naive_errors(series, 1).tolist() == pytest.approx([5 / 3])
    assert simple.naive_errors(series, 2).tolist() == [3.0]


def test_rows_of_numbers_have_a_baseline() -> None:
    data = NumericSequences()
    data.setup()
    assert data.baselines("val")["last value"]["mae"] == pytest.approx(40 / 13)


def test_the_shipped_series_is_monthly_and_names_its_gaps() -> None:
    with pytest.raises(ValueError, match=r"column 'co2', row 4 \(1958-06-01\): no number \(5 such cells\)"):
        ready()
    data = ready(fill="linear")
    assert (data.spec["freq"], data.spec["time_column"]) == ("1 month", "month")

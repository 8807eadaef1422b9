"""Forecasts: shapes, scaling, strategies, quantiles, and tables in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from datamodules import TimeSeries
from zoo.batch import ValueBatch
from zoo.methods.times import as_times
from zoo.models import RegressorConfig, RegressorModel
from zoo.models.calendar import calendar
from zoo.tasks import Regressor

TWO = {
    **{"input_size": 2, "target_size": 2, "input_columns": ("a", "b"), "target_columns": ("b", "a")},
    **{"num_steps": 4, "horizon": 3, "hidden_size": 4, "normalize": "instance", "time_column": "day", "freq": "1 day"},
}


def model(**options: Any) -> RegressorModel:
    torch.manual_seed(0)
    return RegressorModel(RegressorConfig(**{**TWO, **options})).eval()


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("normalize", ["instance", "standard"])
def test_each_column_has_its_own_units(strategy: str, normalize: str) -> None:
    scales = {"mean": (1.0, 2.0, 2.0, 1.0), "scale": (1.0, 3.0, 3.0, 1.0)}
    units = torch.tensor([1000.0, 0.5])
    other = {"mean": (1000.0, 1.0, 1.0, 1000.0), "scale": (1000.0, 1.5, 1.5, 1000.0)}
    inputs = torch.rand(5, 4, 2)
    found = model(strategy=strategy, normalize=normalize, **scales)(inputs)
    assert found.shape == (5, 3, 2)
    changed = model(strategy=strategy, normalize=normalize, **other)(inputs * units)
    torch.testing.assert_close(changed, found * units.flip(0), rtol=1e-4, atol=1e-4)


def test_step_by_step_feeds_each_forecast_back() -> None:
    one = model(strategy="recursive", normalize="none", scale=None)
    inputs = torch.rand(2, 4, 2)
    steps, window = [], inputs
    for _ in range(3):
        outputs, _ = one.network.recurrent(window)
        steps.append(one.network.head(outputs[:, -1]))
        window = torch.cat([window, steps[-1].flip(1)[:, None]], dim=1)  # the targets are b and a
    torch.testing.assert_close(one(inputs), torch.stack(steps, dim=1))


def test_quantiles_are_in_order_and_the_median_is_the_forecast() -> None:
    found = model(quantiles=(0.1, 0.5, 0.9))
    inputs = torch.rand(5, 4, 2)
    quantiles = found.distribution(inputs)
    assert quantiles.shape == (5, 3, 2, 3)
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert found(inputs).equal(quantiles[..., 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantiles": (0.1, 0.9)}, "quantiles: got .* 0.5 among them"),
        ({"strategy": "recursive", "target_size": 1, "target_columns": ("a",)}, "every input to be a target"),
        ({"target_columns": ("b", "c")}, "normalize: instance needs"),
        ({"mean": (1.0, 2.0)}, "mean: got 2 numbers, expected 4"),
        ({"calendar": ("hours",)}, "calendar: got 'hours'"),
        ({"linear": True, "num_steps": None}, "linear: it needs num_steps"),
        ({"freq": "monthly"}, "freq: got 'monthly'"),
    ],
)
def test_models_that_can_not_be_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**options)


def test_the_calendar_knows_months_and_leap_days() -> None:
    days = np.arange("1899-12-01", "2101-01-01", dtype="datetime64[D]")
    seconds = torch.from_numpy(days.astype("datetime64[s]").astype(np.int64))[None]
    sine, cosine = calendar(seconds, ["month"])[0].T
    found = torch.atan2(sine, cosine).mul(12 / (2 * torch.pi)).round().remainder(12)
    months = days.astype("datetime64[M]").astype(int) % 12
    assert found.numpy().tolist() == ((months - 2) % 12).tolist()
    assert as_times(["2024-01"]).tolist() == as_times(["2024-01-01 00:00"]).tolist()


def test_a_calendar_needs_times() -> None:
    found = model(calendar=("weekday", "month"), strategy="recursive")
    with pytest.raises(ValueError, match="times: this model needs them for its calendar, weekday, month"):
        found(torch.rand(1, 4, 2))
    times = torch.arange(7)[None] * 86400
    later = found(torch.ones(1, 4, 2), times + 3 * 86400)
    assert not torch.allclose(found(torch.ones(1, 4, 2), times), later)


def test_metrics_are_in_units_scaled_and_against_the_naive_forecast() -> None:
    options = {"mean": [0.0] * 4, "scale": [1.0, 4.0, 4.0, 1.0], "naive_error": [2.0, 1.0], "normalize": "standard"}
    task = Regressor(**{**TWO, **options, "input_columns": ["a", "b"], "target_columns": ["b", "a"]})
    task.configure_model()
    task.eval()
    inputs = torch.rand(2, 4, 2)
    targets = task(inputs).detach() + torch.tensor([2.0, 1.0])
    task.score(ValueBatch(inputs, targets), "val")
    found = {name: task.metric("val", name).compute().item() for name in ("mae", "mse", "scaled_mae", "mase")}
    assert found == pytest.approx({"mae": 1.5, "mse": 2.5, "scaled_mae": 0.75, "mase": 1.0}, rel=1e-5)


def test_coverage_and_pinball_loss() -> None:
    task = Regressor(input_size=1, target_size=1, normalize="none", horizon=1, quantiles=[0.1, 0.5, 0.9])
    task.configure_model()
    task.eval()
    inputs = torch.rand(2, 4, 1)
    low, middle, high = task.model.distribution(inputs)[0, 0, 0].tolist()
    targets = torch.tensor([middle, float("nan")])[:, None, None]
    loss = task.score(ValueBatch(inputs, targets), "val")
    assert loss.items == 1
    assert loss.total.item() == pytest.approx(0.1 * ((middle - low) + (high - middle)) / 3, rel=1e-4)
    assert task.metric("val", "coverage").compute() == 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on the shipped series."""
    from zoo.__main__ import main

    folder = tmp_path_factory.mktemp("series")
    command = ["fit", "--model", "Regressor", "--data", "TimeSeries", "--data.fill", "linear", "--data.horizon", "3"]
    command += ["--model.quantiles", "[0.1,0.5,0.9]", "--data.calendar", "[month]", "--trainer.max_epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*command, "--run_dir", "run", "--trainer.accelerator", "cpu"]) == 0
    return folder / "run"


def table(rows: int = 24, head: str = "month,co2") -> str:
    months = np.arange("2010-01", rows, dtype="datetime64[M]")
    return "\n".join([head, *(f"{month},{380 + i % 12}" for i, month in enumerate(months))]) + "\n"


def test_infer_forecasts_from_a_table(run: Path, zoo_command: Callable) -> None:
    Path("w.csv").write_text(table())
    printed = zoo_command("infer", run, "w.csv")
    lines = printed.out.splitlines()
    assert [line.split()[0] for line in lines] == ["month", "2012-01", "2012-02", "2012-03"]
    assert lines[0].split() == ["month", "co2", "co2", "0.1", "co2", "0.9"]
    found = json.loads(zoo_command("infer", run, "w.csv", "--json").out)
    assert found["times"] == ["2012-01", "2012-02", "2012-03"]
    python = zoo.load(run).forecast({"co2": [380 + i % 12 for i in range(24)]}, np.arange("2010-01", 24, dtype="M8[M]"))
    assert found["values"]["co2"] == pytest.approx(python["values"]["co2"])
    assert found["quantiles"]["co2"]["0.5"] == found["values"]["co2"]
    assert (run / "predictions.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(head="month,c02"), "column 'co2' not found; did you mean 'c02'?"),
        (table(rows=23), "column 'co2': got 23 rows, expected at least 24"),
        (table().replace(",391\n", ",\n", 1), "column 'co2', row 12: no number"),
        (table(rows=26).replace("2010-12,391\n", ""), "row 12: 2011-01 follows 2010-11, expected a step of 1 month"),
    ],
    ids=["name", "short", "missing", "gap"],
)
def test_infer_refuses_tables_that_do_not_fit(content: str, message: str, run: Path, zoo_command: Callable) -> None:
    Path("w.csv").write_text(content)
    result = zoo_command("infer", run, "w.csv")
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_predict_and_test_take_the_shipped_series(run: Path, zoo_command: Callable) -> None:
    rows = zoo_command("predict", "--ckpt_path", run).out.splitlines()
    assert rows[0] == "input,prediction,quantile_0.1,quantile_0.5,quantile_0.9,target"
    assert rows[1].split(",")[0][:7].count("-") == 1
    result = zoo_command("test", "--ckpt_path", run, "--data.horizon", "6")
    assert result.code == 2
    assert "horizon: Regressor has 3, and TimeSeries has 6" in result.err


def test_more_inputs_than_targets_learn(trainer: Callable, tmp_path: Path) -> None:
    times = np.arange("2024-01-01", 80, dtype="datetime64[D]")
    rows = [f"{time},{i % 7},{(i + 1) % 7},{3}" for i, time in enumerate(times)]
    (tmp_path / "a.csv").write_text("\n".join(["day,x,y,z", *rows]) + "\n")
    data = TimeSeries(str(tmp_path / "a.csv"), targets=["y"], window=7, horizon=2, season=7)
    task = Regressor(hidden_size=16, lr=0.02, linear=True)
    fit = trainer(max_epochs=30)
    fit.fit(task, data)
    assert fit.callback_metrics["val/mae"] < 0.5
    assert task.model.config.input_columns == ("x", "y", "z")

"""The commands runs and compare: run folders that a test writes, as a user looks at them."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from support import ROOT, refused


def write_run(
    folder: str,
    losses: list[float],
    seed: int = 1,
    status: str | None = "finished",
    digest: str = "d1",
    trainer: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    **model: Any,
) -> None:
    path = Path(folder)
    path.mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "trainer": {"max_epochs": 3, "precision": None, "limit_val_batches": None, **(trainer or {})},
        "model": {"class_path": "zoo.CharLM", "init_args": {"cell": "lstm", "hidden_size": 8, **model}},
        "data": {"class_path": "datamodules.TextString", "init_args": {"val_fraction": 0.1, **(data or {})}},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    with (path / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "train/loss", "val/accuracy", "val/loss"])
        writer.writerows([n, n, loss, 1 - loss / 10, loss] for n, loss in enumerate(losses))
    if status is not None:
        names = ("train/loss", "val/accuracy", "val/loss")
        summary = {
            "status": status,
            "config": "/home/me/configs/small.yaml",
            "metrics": {name: {"last": losses[-1], "best": min(losses)} for name in names},
            "higher_is_better": ["val/accuracy"],
            "monitor": ["val/loss", "min"],
            "data": {"text": digest},
            "params": 100,
        }
        (path / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def three(zoo_command: Callable) -> Callable:
    """Two seeds and a larger model, in the folder `runs`; gives the command line."""
    write_run("runs/a", [3.0, 2.0], seed=1)
    write_run("runs/b", [3.0, 1.0, 1.5], seed=2)
    write_run("runs/c", [3.0, 1.8], seed=1, hidden_size=16, status="interrupted")
    return zoo_command


def listed(result: Any) -> list[str]:
    assert result.code == 0, result.err
    return [line.split()[-1] for line in result.out.split("\n\n")[0].splitlines()[1:]]


def test_runs_are_sorted_by_any_metric_the_best_first(three: Callable) -> None:
    assert listed(three("runs", "--sort", "val/loss")) == ["runs/b", "runs/c", "runs/a"]
    assert listed(three("runs", "--sort", "val/accuracy")) == ["runs/b", "runs/c", "runs/a"]
    refused(three("runs", "--sort", "val/acuracy"), "got 'val/acuracy', expected a metric of these runs; did you mean")


def test_runs_are_filtered_by_status_name_and_config(three: Callable) -> None:
    assert listed(three("runs", "--filter", "status=interrupted")) == ["runs/c"]
    assert set(listed(three("runs", "--filter", "model.hidden_size=8.0"))) == {"runs/a", "runs/b"}
    chosen = three("runs", "--filter", "config=sm*", "--filter", "model.hidden_size!=16", "--filter", "seed=2")
    assert listed(chosen) == ["runs/b"]
    assert three("runs", "--filter", "run=*nowhere*").out.startswith("no runs in runs match run=*nowhere*")
    assert json.loads(three("runs", "--json", "--filter", "status=failed").out) == []


WRONG_FILTERS = {
    "hidden_size=8": "unknown key 'hidden_size', expected status, config, run, seed or a key of a config; "
    "did you mean model.hidden_size?",
    "model.hiden_size=8": "did you mean model.hidden_size?",
    "status=finnished": "did you mean finished?",
    "status": "got 'status', expected KEY=GLOB",
}


@pytest.mark.parametrize("condition", WRONG_FILTERS)
def test_a_wrong_filter_names_the_nearest_key(condition: str, three: Callable) -> None:
    refused(three("runs", "--filter", condition), WRONG_FILTERS[condition])


def test_the_seeds_of_a_config_are_one_row_with_mean_and_spread(three: Callable) -> None:
    write_run("runs/d", [3.0, 9.0], seed=3, status=None)  # killed: counted, and not in the mean
    rows = json.loads(three("runs", "--group", "--sort", "val/loss", "--json").out)
    assert [(row["seeds"], row["mean"], row["min"], row["max"]) for row in rows] == [(3, 1.5, 1, 2), (1, 1.8, 1.8, 1.8)]
    assert rows[0]["std"] == pytest.approx(0.5**0.5)
    text = three("runs", "--group", "--sort", "val/loss").out
    assert "3  val/loss 1.5000 ± 0.7071 (1.0000 to 2.0000)  2 finished, 1 killed  small: hidden_size 8" in text
    assert "only finished runs are in a mean" in text


UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "other data": ({"digest": "d2"}, "text has other contents"),
    "another split": ({"data": {"val_fraction": 0.2}}, "data.val_fraction 0.2, not 0.1"),
    "precision": ({"trainer": {"precision": "bf16"}}, "trainer.precision bf16-mixed, not 32-true"),
    "a share": ({"trainer": {"limit_val_batches": 0.5}}, "trainer.limit_val_batches 0.5, not null"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_a_run_whose_figure_cannot_be_compared_is_marked_with_the_reason(case: str, three: Callable) -> None:
    options, reason = UNLIKE[case]
    write_run("runs/odd", [0.5], **options)
    text = three("runs", "--sort", "val/loss").out
    assert f"a: can't be compared with the others: {reason}\n" in text
    assert [line.split()[-1] for line in text.splitlines() if " 0.5000 a " in line] == ["runs/odd"]
    rows = json.loads(three("runs", "--json").out)
    assert {row["run"]: row["not_comparable"] for row in rows if row["not_comparable"]} == {"runs/odd": [reason]}
    assert f"a: can't be compared with the others: {reason}\n" in three("compare", "runs").out


def test_precision_and_shares_are_compared_by_what_they_mean(three: Callable) -> None:
    write_run("runs/same", [0.5], trainer={"precision": "32-true", "limit_val_batches": 1.0}, data={"batch_size": 9})
    assert "can't be compared" not in three("runs").out


def test_compare_prints_what_differs_and_marks_the_best(three: Callable) -> None:
    text = three("compare", "runs", "-o", "all.png").out
    lines = [line.split() for line in text.splitlines()]
    assert ["seed_everything", "1", "2", "1"] in lines
    assert ["model.hidden_size", "8", "8", "16"] in lines
    assert ["val/loss", "2.0000", "1.0000", "*", "1.8000"] in lines
    assert ["val/accuracy", "0.8000", "0.9000", "*", "0.8200"] in lines
    assert not any("max_epochs" in line for line in text.splitlines())
    assert text.endswith("learning curves: all.png\n")
    assert Path("all.png").exists()


@pytest.mark.draws
def test_compare_replaces_its_own_pictures_and_no_other_file(three: Callable) -> None:
    for _ in range(2):
        assert three("compare", "runs/a", "runs/b").code == 0
    with Image.open("compare.png") as picture:
        assert picture.info["Software"] == "zoo compare"
    Image.new("L", (2, 2)).save("other.png")
    refused(three("compare", "runs", "-o", "other.png"), "other.png already exists, and is no picture of `zoo compare`")
    refused(three("compare", "runs", "-o", "a.txt"), "expected a name that ends with .png, .pdf, .svg")
    refused(three("compare", "runs", "-o", "no/a.png"), "--output: folder not found: no")


def test_compare_names_what_is_no_run(three: Callable) -> None:
    refused(three("compare", "runs/a"), "compare: got one run, runs/a, expected at least two")
    refused(three("compare", "rusn"), "compare: rusn: folder not found; did you mean runs?")
    Path("empty").mkdir()
    refused(three("compare", "empty", "runs"), "compare: empty: there is no run in this folder")


def test_a_damaged_run_does_not_hide_the_others(three: Callable) -> None:
    write_run("runs/bad", [1.0])
    Path("runs/bad/config.yaml").write_text("a: [")
    Path("runs/bad/metrics.csv").write_text("epoch,val/loss\n0,abc\n")
    Path("runs/bad/summary.json").write_text('{"monitor": 3, "data": []}')
    assert set(listed(three("runs"))) == {"runs/a", "runs/b", "runs/c", "runs/bad"}
    assert three("runs", "--group").code == three("compare", "runs").code == 0


def test_looking_at_runs_imports_no_torch(three: Callable) -> None:
    commands = [["runs", "--group"], ["compare", "runs"]]
    code = f"import sys, zoo.__main__ as m\nfor command in {commands}: assert m.main(command) == 0"
    script = f"sys.path.insert(0, {str(ROOT)!r})\n{code}\nassert not {{'torch', 'lightning'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{script}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

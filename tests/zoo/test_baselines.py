"""Baselines of the data, beside a run's result."""

import json
import subprocess
from pathlib import Path

import pytest

from datamodules import TextString, ToySeq2Seq
from support import CONFIGS, run_zoo


def fit(folder: Path) -> tuple[dict, subprocess.CompletedProcess[str]]:
    options = ("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--run_dir", folder)
    done = run_zoo("fit", "--config", CONFIGS / "toy_en_ko.yaml", *options)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "summary.json").read_text()), done


def test_fit_writes_and_prints_what_simple_methods_reach(tmp_path: Path) -> None:
    summary, done = fit(tmp_path / "run")
    assert summary["baselines"] == {"majority": {"val/exact_match": pytest.approx(1 / 6)}}
    assert "baseline: majority: val/exact_match 0.1667" in done.stdout


def test_a_failing_baseline_does_not_fail_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToySeq2Seq, "baselines", lambda *_: 1 / 0)
    summary, done = fit(tmp_path / "run")
    assert (summary["status"], summary["baselines"]) == ("finished", {})
    assert "there are no baselines: ZeroDivisionError" in done.stderr


def test_the_baseline_of_a_text_is_in_bits_per_character(monkeypatch: pytest.MonkeyPatch) -> None:
    data = TextString("ab" * 50, seq_len=4, batch_size=2)
    data.setup()
    assert 0 < data.baselines("train")["character 5-gram"]["bpc"] < 0.2
    monkeypatch.setattr("datamodules.texts.text.MOST_COUNTED", 50)
    assert data.baselines("train") == {}

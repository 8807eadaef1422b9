"""What a command gives: a run folder, a checkpoint that stands alone, and the same numbers again."""

import csv
import io
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import zoo
from datamodules import ToySeq2Seq
from support import CONFIGS, run_zoo
from zoo.cli.results import print_predictions
from zoo.files import checkpoint
from zoo.models import Seq2SeqModel

TOY = ["fit", "--config", CONFIGS / "toy_en_ko.yaml"]


def test_the_front_door_answers_help_and_version(zoo_command: Callable) -> None:
    assert "python -m zoo COMMAND" in zoo_command("--help").out
    assert zoo_command("--version").out.strip() == zoo.__version__
    assert zoo_command().code == 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of a translator that learned its six words, pictures and all, and what the command said."""
    run = tmp_path_factory.mktemp("trained") / "run"
    return run, run_zoo(*TOY, "--run_dir", run, "--trainer.max_epochs", "60")


def test_a_run_is_one_complete_folder(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    run, result = trained
    assert result.returncode == 0, result.stderr
    names = {path.name for path in run.rglob("*") if not path.name.startswith("events.out.tfevents")}
    assert names == {
        *("config.yaml", "metrics.csv", "hparams.yaml", "summary.json", "curves.png", "samples.png"),
        *("checkpoints", "best.ckpt", "last.ckpt", "step-59.ckpt"),
    }
    summary = json.loads((run / "summary.json").read_text())
    assert {name: summary[name] for name in ("status", "seed", "epochs", "steps", "item")} == {
        "status": "finished",
        "seed": 1,
        "epochs": 60,
        "steps": 60,
        "item": "pairs",
    }
    assert summary["metrics"]["val/exact_match"] == {"last": 1.0, "best": 1.0}
    assert summary["metrics"]["val/char_error_rate"]["last"] == 0.0
    assert summary["params"] == 38_927
    assert summary["items_per_s"] > 0
    assert len(summary["data"]["en_ko"]) == 64
    assert summary["versions"]["torch"] == version("torch")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["teacher_forcing"] == 1.0  # defaults are spelt out
    pictures = [tag for f in run.glob("events*") for tag in EventAccumulator(str(f)).Reload().Tags()["images"]]
    assert sorted(pictures) == ["curves", "samples"]
    assert all((run / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert "val/exact_match" in result.stdout
    assert "epoch 60/60" in result.stdout


def test_the_saved_config_repeats_the_run_to_the_bit(zoo_command: Callable) -> None:
    assert zoo_command(*TOY, "--run_dir", "a", "--trainer.max_epochs", "5").code == 0
    assert zoo_command("fit", "--config", "a/config.yaml", "--run_dir", "b").code == 0
    assert Path("a/metrics.csv").read_text() == Path("b/metrics.csv").read_text()
    first, second = (torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_goes_on_where_it_stopped(zoo_command: Callable) -> None:
    assert zoo_command(*TOY, "--run_dir", "straight", "--trainer.max_epochs", "5").code == 0
    assert zoo_command(*TOY, "--run_dir", "a", "--trainer.max_epochs", "3").code == 0
    longer = ["--run_dir", "a", "--trainer.max_epochs", "5", "--resume"]
    refused = zoo_command(*TOY, *longer)
    assert refused.code == 2
    assert "trainer.max_epochs: the run has 3, and the command 5" in refused.err
    assert refused.err.strip().endswith("add --override")
    result = zoo_command(*TOY, *longer, "--override")
    assert result.code == 0, result.err
    assert Path("a/metrics.csv").read_text() == Path("straight/metrics.csv").read_text()
    assert json.loads(Path("a/summary.json").read_text())["steps"] == 5


def test_a_checkpoint_needs_no_second_copy_of_what_it_knows(trained: tuple, zoo_command: Callable) -> None:
    best = trained[0] / "checkpoints" / "best.ckpt"
    assert "val/exact_match" in zoo_command("validate", "--ckpt_path", best).out
    for options in ([], ["--config", CONFIGS / "toy_en_ko.yaml"]):
        result = zoo_command("predict", "--ckpt_path", best, "--data.predict_inputs", "[word, kiss]", *options)
        assert result.code == 0, result.err
        rows = list(csv.DictReader(io.StringIO(result.out)))
        assert rows == [{"input": "word", "prediction": "단어"}, {"input": "kiss", "prediction": "키스"}]
    assert not Path("runs").exists()


@pytest.mark.parametrize("callbacks", [[], ["--trainer.callbacks", "EMAWeightAveraging"]])
def test_where_there_is_a_test_part_fit_ends_by_testing_the_best_checkpoint(
    callbacks: list[str], zoo_command: Callable
) -> None:
    text = ["--model", "CharLM", "--model.hidden_size", "8", "--data", "TextString", "--data.text", "abcd" * 60]
    part = ["--data.seq_len", "8", "--data.val_fraction", "0.2", "--data.test_fraction", "0.2"]
    assert zoo_command("fit", *text, *part, *callbacks, "--run_dir", "a", "--trainer.max_epochs", "2").code == 0
    metrics = json.loads(Path("a/summary.json").read_text())["metrics"]
    again = zoo_command("test", "--ckpt_path", "a/checkpoints/best.ckpt").out
    assert f"{metrics['test/bpc']['last']:.5f}" in again


def test_the_best_checkpoint_is_ours_whatever_callbacks_a_user_adds(zoo_command: Callable) -> None:
    config = yaml.safe_load((CONFIGS / "toy_en_ko.yaml").read_text())
    worst = {"monitor": "train/loss", "mode": "max", "dirpath": "worst"}
    plain = {"class_path": "ModelCheckpoint"}
    monitor = {"class_path": "LearningRateMonitor"}
    config["data"]["init_args"] |= {"val_fraction": 0.2, "test_fraction": 0.2}
    config["trainer"] |= {"max_epochs": 5, "callbacks": [{**plain, "init_args": worst}, plain, monitor]}
    Path("c.yaml").write_text(yaml.safe_dump(config))
    result = zoo_command("fit", "--config", "c.yaml", "--run_dir", "a")
    assert result.code == 0, result.err
    tested = json.loads(Path("a/summary.json").read_text())["metrics"]["test/loss"]["last"]
    assert f"{tested:.5f}" in zoo_command("test", "--ckpt_path", "a/checkpoints/best.ckpt").out
    assert zoo_command("fit", "--config", "c.yaml", "--trainer.fast_dev_run", "true").code == 0


def test_predictions_of_a_stream_go_on_where_the_last_chunk_stopped(zoo_command: Callable) -> None:
    text = ["--model", "CharLM", "--model.hidden_size", "16", "--data", "TextString", "--data.text", "abcdef" * 50]
    stream = ["--data.mode", "stream", "--data.seq_len", "7", "--data.batch_size", "4", "--optimizer", "Adam"]
    assert zoo_command("fit", *text, *stream, "--run_dir", "a", "--trainer.max_epochs", "3").code == 0
    result = zoo_command("predict", "--ckpt_path", "a/checkpoints/best.ckpt")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    right = [p == t for row in rows for p, t in zip(row["prediction"], row["target"], strict=True)]
    accuracy = json.loads(Path("a/summary.json").read_text())["metrics"]["test/accuracy"]["last"]
    assert sum(right) / len(right) == pytest.approx(accuracy)
    assert "".join(row["target"] for row in rows) == ("abcdef" * 50)[-14:]


def test_two_processes_predict_every_row_once_in_order(trained: tuple, zoo_command: Callable) -> None:
    predict = ["predict", "--ckpt_path", trained[0] / "checkpoints" / "best.ckpt", "--data.batch_size", "4"]
    alone = zoo_command(*predict)
    assert [line.split(",")[0] for line in alone.out.splitlines()] == "input word wood game girl kiss love".split()
    two = run_zoo(*predict, "--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp")
    assert two.stdout == alone.out, two.stderr


def test_a_run_that_goes_on_changes_what_it_learns_only_on_demand(zoo_command: Callable) -> None:
    assert zoo_command(*TOY, "--run_dir", "a", "--trainer.max_epochs", "1").code == 0
    before = Path("a/config.yaml").read_text()
    faster = [*TOY, "--run_dir", "a", "--resume", "--trainer.max_epochs", "2", "--model.lr", "0.5"]
    result = zoo_command(*faster)
    assert result.code == 2
    assert "model.init_args.lr: the run has 0.01, and the command 0.5" in result.err
    assert Path("a/config.yaml").read_text() == before
    other_data = zoo_command(*faster, "--override", "--data.batch_size", "3")
    assert other_data.code == 2
    assert "these can't change in a run" in other_data.err
    assert zoo_command(*faster, "--override").code == 0
    groups = torch.load("a/checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert [group["lr"] for group in groups] == [0.5]


def test_a_loss_that_is_no_longer_finite_stops_the_run(zoo_command: Callable) -> None:
    steps = ["fit", "--model", "Regressor", "--data", "NumericSequences", "--optimizer", "SGD", "--run_dir", "a"]
    result = zoo_command(*steps, "--optimizer.lr", "1e30", "--trainer.max_epochs", "50", "--data.batch_size", "2")
    assert result.code == 1
    assert re.search(r"the loss is not finite at step \d+", result.err)
    assert "gradient_clip_val" in result.err
    summary = json.loads(Path("a/summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["status"] == "diverged"
    assert summary["epochs"] < 3


def test_a_regressor_keeps_its_own_scale_on_other_data(zoo_command: Callable) -> None:
    steps = ["fit", "--model", "Regressor", "--data", "NumericSequences", "--run_dir", "a", "--trainer.max_epochs", "1"]
    assert zoo_command(*steps).code == 0
    Path("n.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    best = "a/checkpoints/best.ckpt"
    result = zoo_command("predict", "--ckpt_path", best, "--data.predict_inputs", "[[1, 2, 3]]")
    other = zoo_command("predict", "--ckpt_path", best, "--data.path", "n.csv", "--data.predict_inputs", "[[1, 2, 3]]")
    assert (other.code, other.out) == (0, result.out), other.err


def test_schedulers_that_count_steps_are_stepped_each_step(zoo_command: Callable) -> None:
    schedule = ["--model.lr", "0.001", "--optimizer", "SGD", "--optimizer.lr", "0.1", "--lr_scheduler", "OneCycleLR"]
    options = ["--lr_scheduler.max_lr", "0.5", "--lr_scheduler.total_steps", "6", "--data.batch_size", "2"]
    result = zoo_command(*TOY, *schedule, *options, "--run_dir", "a", "--trainer.max_epochs", "2")
    assert result.code == 0, result.err
    state = torch.load("a/checkpoints/last.ckpt", weights_only=True)["lr_schedulers"][0]
    assert state["last_epoch"] == 6


def test_each_command_reads_builds_and_sets_up_once(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def counted(cls: Any, name: str) -> None:
        original = getattr(cls, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(cls, name, call)

    for cls, name in (
        *((ToySeq2Seq, name) for name in ("prepare_data", "setup")),
        *((zoo.Seq2Seq, name) for name in ("bind", "configure_model")),
        (Seq2SeqModel, "build_network"),
        (checkpoint, "read"),
    ):
        counted(cls, name)
    once = dict.fromkeys(("prepare_data", "setup", "bind", "configure_model", "build_network"), 1)
    assert zoo_command(*TOY, "--run_dir", "run", "--trainer.max_epochs", "2").code == 0
    assert counts == once
    counts.clear()
    assert zoo_command("validate", "--ckpt_path", "run/checkpoints/best.ckpt").code == 0
    assert counts == {**once, "build_network": 2, "read": 1}  # once without values, to check what the checkpoint holds


def test_predictions_with_other_fields_and_lists_of_texts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_predictions([[{"input": "a", "tags": ["N", "V"]}], [{"input": "b", "score": [0.5, 1.0]}]], 1, True)
    assert capsys.readouterr().out == "input,tags,score\na,N V,\nb,,0.5 1\n"
    print_predictions([[{"input": "read", "references": ["R EH D", "R IY D"]}]], 1, True)
    assert capsys.readouterr().out == "input,references\nread,R EH D | R IY D\n"

"""A run that was stopped, and goes on, ends like one that never was, to the last bit."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import faults
import harness
from harness import CASES, CHAR_LM, Bench, fit, fork, kill_at, wait
from zoo.runs.history import RUNNING_FILE, is_running, take_lock

pytestmark = pytest.mark.short

STEPS = {  # the validation boundary, an epoch's last batch, and within an epoch
    "CharLM": (2, 5, 6),
    "CharLM, carried state": (7,),
    "CharLM, bf16-mixed": (10,),
    "Seq2Seq": (3,),
    "SeqClassifier": (4,),
    "SeqTagger": (4,),
    "Regressor": (23,),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("faults"), short=True)


@pytest.fixture(scope="module")
def killed(bench: Bench) -> Callable[[Path], Path]:
    """Copies a run of `CharLM` that was killed in its tenth step."""
    run = bench.folder / "killed"
    assert wait(fork(fit(CASES["CharLM"], run), kill_at(9))) == -signal.SIGKILL
    return lambda folder: shutil.copytree(run, folder)


@pytest.mark.parametrize(("case", "step"), [(case, step) for case, steps in STEPS.items() for step in steps])
def test_a_run_killed_at_a_step_ends_as_if_it_had_not_been(bench: Bench, case: str, step: int) -> None:
    run = bench.new()
    assert wait(fork(fit(CASES[case], run), kill_at(step))) == -signal.SIGKILL
    assert bench.goes_on(case, run) == []


def test_a_run_that_ended_with_an_epoch_goes_on_to_more_steps(tmp_path: Path) -> None:
    """An epoch of `three_steps` is one step, and its callback needs the metrics of each epoch."""
    whole, extended = tmp_path / "whole", tmp_path / "extended"
    assert wait(fork(fit(["--config", "three_steps", "--trainer.max_steps", "5"], whole))) == 0
    assert wait(fork(fit(["--config", "three_steps", "--trainer.max_steps", "2"], extended))) == 0
    more = ["fit", "--run_dir", str(extended), "--resume", "--override", "--trainer.max_steps", "5"]
    assert wait(fork(more)) == 0
    ends = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, extended)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("row", [faults.killed_writes, faults.failing_writes, faults.truncated, faults.signals])
def test_nothing_is_lost(row: Callable[[Bench], Iterator[list[str]]], bench: Bench) -> None:
    tries = list(row(bench))
    assert tries
    assert [wrong for wrong in tries if wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [faults.each_step, faults.random_kills, faults.kills_of_two_ranks, faults.full_disk, faults.truncated]
)
def test_nothing_is_lost_in_many_tries(row: Callable[[Bench], Iterator[list[str]]], tmp_path: Path) -> None:
    tries = list(row(Bench(tmp_path, short=False)))
    if row is faults.full_disk and not tries:
        pytest.skip("needs the right to mount a disk")
    assert tries
    assert [wrong for wrong in tries if wrong] == []


def test_the_bench_sees_a_single_bit(bench: Bench) -> None:
    copy = bench.folder / "copy"
    shutil.copytree(bench.straight("CharLM"), copy)
    last = copy / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    weight = checkpoint["state_dict"]["model.network.head.1.bias"]
    weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))
    torch.save(checkpoint, last)
    assert harness.unlike(bench.straight("CharLM"), copy) == ["/state_dict/model.network.head.1.bias"]


def test_resume_needs_no_config_and_may_find_the_run_elsewhere(
    bench: Bench, killed: Callable[[Path], Path], zoo_command: Callable
) -> None:
    moved = killed(Path("elsewhere"))
    result = zoo_command("fit", "--run_dir", "elsewhere", "--resume")
    assert result.code == 0, result.err
    assert "resuming from elsewhere/checkpoints/last.ckpt, step 9" in result.out
    assert harness.unlike(bench.straight("CharLM"), moved) == []


def test_a_run_that_has_ended_stays_as_it_is(bench: Bench) -> None:
    run = bench.new()
    shutil.copytree(bench.straight("CharLM"), run)
    (run / "samples.png").unlink()
    assert bench.goes_on("CharLM", run) == []
    assert (run / "samples.png").exists()


def test_a_run_without_a_checkpoint_begins_at_the_start(bench: Bench) -> None:
    run = bench.new()
    assert bench.goes_on("CharLM", run) == []
    assert "has no checkpoint yet" in (bench.folder / "log").read_text()


def test_a_run_belongs_to_one_process(bench: Bench, zoo_command: Callable) -> None:
    run = bench.new()
    pid = fork(fit(CASES["CharLM"], run, "--trainer.max_epochs", "100000"))
    assert harness.wait_for((run / "checkpoints" / "last.ckpt").exists, 60)
    result = zoo_command("fit", "--run_dir", run, "--resume")
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    assert result.code == 2
    assert "another process is training" in result.err


def test_looking_at_a_run_neither_refuses_its_start_nor_shows_it_running(tmp_path: Path) -> None:
    (tmp_path / RUNNING_FILE).touch()
    with ThreadPoolExecutor() as pool:
        looks = [pool.submit(lambda: [is_running(tmp_path) for _ in range(1000)]) for _ in range(2)]
        assert not any(running for look in looks for running in look.result())
        looks = [pool.submit(lambda: [is_running(tmp_path) for _ in range(1000)]) for _ in range(2)]
        for _ in range(100):
            with take_lock(tmp_path / RUNNING_FILE, {}):
                assert is_running(tmp_path)


def test_a_run_of_a_version_without_an_option_goes_on(killed: Callable[[Path], Path], zoo_command: Callable) -> None:
    run = killed(Path("run"))
    path = run / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    lines = [line for line in state["config"].splitlines() if "convolution:" not in line]
    assert len(lines) == len(state["config"].splitlines()) - 1
    torch.save({**state, "config": "\n".join(lines)}, path)
    result = zoo_command("fit", "--run_dir", run, "--resume")
    assert result.code == 0, result.err


def test_data_that_changed_is_seen(zoo_command: Callable) -> None:
    Path("text.txt").write_text("abcdef" * 50)
    data = ["--data", "TextFile", "--data.paths", "[text.txt]", "--data.seq_len", "8"]
    command = ["fit", "--model", "CharLM", "--model.hidden_size", "4", *data, "--run_dir", "a"]
    assert zoo_command(*command, "--trainer.max_epochs", "1").code == 0
    Path("text.txt").write_text("fedcba" * 50)
    result = zoo_command(*command, "--trainer.max_epochs", "2", "--resume", "--override")
    assert result.code == 2
    assert "the data changed since the run began: text.txt" in result.err


def test_checkpoints_come_as_often_as_one_likes(zoo_command: Callable) -> None:
    assert zoo_command(*fit(CHAR_LM, Path("a")), "--checkpoint.keep", "4").code == 0
    names = sorted(path.name for path in Path("a/checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt", "step-21.ckpt", "step-22.ckpt", "step-23.ckpt"]
    rare = [*fit(CHAR_LM, Path("b")), "--checkpoint.every_n_steps", "null", "--checkpoint.keep", "9"]
    assert zoo_command(*rare).code == 0
    names = sorted(path.name for path in Path("b/checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt", "step-12.ckpt", "step-18.ckpt", "step-6.ckpt"]
    assert zoo_command(*fit(CHAR_LM, Path("c")), "--checkpoint.keep", "0").code == 2


def test_another_number_of_processes_is_refused(killed: Callable[[Path], Path], zoo_command: Callable) -> None:
    run = killed(Path("run"))
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["resume"]["world_size"] = 2
    torch.save(checkpoint, run / "checkpoints" / "last.ckpt")
    refused = zoo_command("fit", "--run_dir", run, "--resume")
    assert refused.code == 2
    assert "the run has 2 processes, and the command 1" in refused.err
    result = zoo_command("fit", "--run_dir", run, "--resume", "--override")
    assert result.code == 0, result.err
    assert "the last bits of the numbers may differ: processes: 2 -> 1" in result.err


def test_runs_are_listed_with_what_became_of_them(
    bench: Bench, killed: Callable[[Path], Path], zoo_command: Callable
) -> None:
    shutil.copytree(bench.straight("CharLM"), "all/done")
    killed(Path("all/dead"))
    wait(fork(fit(CASES["CharLM"], Path("all/told")), kill_at(9, signal.SIGTERM)))
    pid = fork(fit(CASES["CharLM"], Path("all/lives"), "--trainer.max_epochs", "100000"))
    assert harness.wait_for(Path("all/lives/checkpoints/last.ckpt").exists, 60)
    result = zoo_command("runs", "all")
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    lines = [line.split() for line in result.out.splitlines()[1:5]]
    states = {line[-1].removeprefix("all/"): line[0] for line in lines}
    assert states == {"done": "finished", "dead": "killed", "told": "interrupted", "lives": "running"}
    assert result.out.strip().endswith("--resume")
    rows = {row["run"]: row for row in json.loads(zoo_command("runs", "all", "--json").out)}
    assert (rows["all/done"]["epoch"], rows["all/done"]["metric"]) == (4, "val/loss")
    summary = json.loads(Path("all/done/summary.json").read_text())
    assert rows["all/done"]["best"] == summary["metrics"]["val/loss"]["best"]
    assert zoo_command("runs", "nowhere").code == 2

"""The command sweep: what it searches, how its trials end, and that it is stopped and resumed like a run."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest
import yaml

import harness
from support import refused
from zoo.__main__ import main
from zoo.cli import space, sweep_study, sweep_worker
from zoo.runs.sweeps import JOURNAL, Sweep
from zoo.runs.trials import SOCKET

pytestmark = pytest.mark.short

LEARNS, DIVERGES, STANDS = 0.02, 1e30, 1e-9  # learning rates of three_steps
SLOWLY = ("--trainer.max_epochs", "40", "--trials", "3", "--no_prune")  # can be stopped in the midst of a trial
BASE = ("--config", "three_steps", "--trainer.max_epochs", "4", "--data.batch_size", "3")
CLOSED = range(3, 200)  # file numbers that a run does not inherit


class Forked:
    """A run in a child of this process, which has loaded everything, with the methods of Popen that a sweep calls."""

    def __init__(self, command: list[str], theirs: Any, output: Any, lock: IO[bytes] | None = None) -> None:
        self.output = TemporaryFile() if output == subprocess.PIPE else output  # noqa: SIM115
        self.returncode: int | None = None
        kept = {theirs.fileno(), self.output.fileno(), *([lock.fileno()] if lock else [])}
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.dup2(self.output.fileno(), 1)
                os.dup2(self.output.fileno(), 2)
                self.before = sys.stdout, sys.stderr  # their end would close the numbers
                sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
                for number in set(CLOSED) - kept:
                    with contextlib.suppress(OSError):
                        os.close(number)
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                os.environ[SOCKET] = str(theirs.fileno())
                sys.argv = command[2:]
                code = main(command[3:])
            finally:
                os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None and (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(found[1])
        return self.returncode

    def wait(self) -> int:
        while self.poll() is None:
            time.sleep(0.01)
        return int(self.returncode or 0)

    def communicate(self) -> tuple[bytes, None]:
        self.wait()
        with self.output:
            self.output.seek(0)
            return self.output.read(), None


@pytest.fixture(autouse=True)
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials do not begin with the import of everything."""
    monkeypatch.setattr(sweep_worker, "start", Forked)
    monkeypatch.setattr(sweep_worker, "NOTICE_S", 0.0)  # a signal is for the sweep alone


@pytest.fixture
def sweep(zoo_command: Callable) -> Callable:
    """Runs a sweep of three_steps with some learning rates, in the folder `s`."""

    def run(rates: Any, *options: object) -> Any:
        Path("space.yaml").write_text(yaml.safe_dump({"model.lr": rates}))
        return zoo_command("sweep", *BASE, "--space", "space.yaml", "--sweep_dir", "s", *options)

    return run


def trials(folder: str = "s") -> list[Any]:
    return sweep_study.open_study(Sweep.read(Path(folder)), 4).get_trials()


def states(folder: str = "s") -> list[str]:
    return [trial.state.name for trial in trials(folder)]


# -- what is checked before anything runs

WRONG: dict[str, tuple[Any, str]] = {
    "an option that is not there": (
        {"model.hiden_size": [1, 2]},
        "no argument 'hiden_size'; did you mean hidden_size?",
    ),
    "an option without its group": ({"hidden_size": [1, 2]}, "unknown option 'hidden_size'; did you mean model.hid"),
    "an empty range": ({"model.lr": {"low": 0.1, "high": 0.1}}, "model.lr: the range from 0.1 to 0.1 is empty"),
    "a value that fit refuses": ({"model.hidden_size": [8, "big"]}, "space.yaml: hidden_size: got big, expected int"),
    "one choice": ({"model.lr": [0.1]}, "expected at least two choices"),
    "a choice twice": ({"model.cell": ["rnn", "rnn"]}, "duplicate choice 'rnn'"),
    "an unknown key": ({"model.lr": {"min": 0, "high": 1}}, "unknown key 'min', expected a list of choices, or {low"),
    "zero in a logarithmic range": ({"model.lr": {"low": 0, "high": 1, "log": True}}, "expected low above 0"),
    "a step that is too large": (
        {"model.lr": {"low": 0.0, "high": 1.0, "step": 2}},
        "expected above 0, and at most 1.0",
    ),
    "a fraction between integers": ({"model.hidden_size": {"low": 1, "high": 9, "step": 0.5}}, "expected an integer"),
    "no number": ({"model.lr": {"low": "small", "high": 1}}, "low: got 'small', expected a number"),
    "the run folder": ({"run_dir": ["a", "b"]}, "run_dir can't be searched"),
    "an option of the command": ({"trainer.max_epochs": [1, 2]}, "--trainer.max_epochs is also in the space"),
    "a list": ([1, 2], "expected options of fit with their values"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_space_is_refused_before_anything_runs(case: str, zoo_command: Callable) -> None:
    content, message = WRONG[case]
    Path("space.yaml").write_text(yaml.safe_dump(content))
    refused(zoo_command("sweep", *BASE, "--space", "space.yaml", "--sweep_dir", "s"), message)
    assert not Path("s").exists()


def test_a_wrong_command_is_refused(sweep: Callable, zoo_command: Callable) -> None:
    refused(sweep([0.1, 0.2], "--trails", "3"), "unknown argument '--trails'; did you mean trials?")
    refused(sweep([0.1, 0.2], "--trials", "0"), "--trials: got 0, expected at least 1")
    refused(sweep([0.1, 0.2], "--run_dir", "a"), "--run_dir is not for sweeps")
    refused(zoo_command("sweep", "--resume"), "--resume: which sweep? Give its folder with --sweep_dir")
    refused(zoo_command("sweep", "--sweep_dir", "s", "--resume"), "there is no sweep in s; to start one, give --config")
    refused(zoo_command("sweep", *BASE, "--space", "absent.yaml"), "--space: absent.yaml: No such file")


def test_a_config_that_can_not_run_is_refused_before_the_first_trial(sweep: Callable) -> None:
    result = sweep([0.1, 0.2], "--data.path", "absent.csv")
    assert result.code == 2
    assert "zoo: error: sweep: a run with this config fails: " in result.err
    assert not Path("s").exists()


def test_without_optuna_it_says_what_to_install(sweep: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("optuna", "zoo.cli.sweep_"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused(sweep([0.1, 0.2]), "sweep: it needs optuna; pip install 'rnn-zoo[sweep]'")


def test_each_kind_of_range_becomes_the_same_range_of_optuna() -> None:
    content = {
        "model.hidden_size": {"low": 8, "high": 64, "step": 8},
        "model.lr": {"low": "1e-4", "high": 0.1, "log": True},
        "model.dropout": {"low": 0.0, "high": 0.5},
        "model.cell": ["rnn", {"class_path": "x"}, True, None],
    }
    found = space.ranges(content, "space.yaml")
    assert space.ranges(space.as_content(found), "again") == found
    study = sweep_study.optuna.create_study()
    trial = study.ask()
    values = {name: one.suggest(name, trial) for name, one in found.items()}
    kinds = {name: type(one).__name__ for name, one in trial.distributions.items()}
    assert list(kinds.values()) == [
        "IntDistribution",
        "FloatDistribution",
        "FloatDistribution",
        "CategoricalDistribution",
    ]
    assert {name: one.suggest(name, trial) for name, one in found.items()} == values
    assert space.words({"a.b": True, "c": None, "d": '{"x": 1}', "e": "rnn", "f": 0.5}) == [
        *("--a.b=true", "--c=null", '--d={"x": 1}', "--e=rnn", "--f=0.5")
    ]


# -- trials


def test_a_sweep_ends_with_a_table_a_picture_and_a_config_that_repeats_its_best_trial(
    sweep: Callable, zoo_command: Callable
) -> None:
    result = sweep([LEARNS, STANDS, DIVERGES], "--trials", "5", "--no_prune")
    assert result.code == 0, result.err
    assert set(states()) == {"COMPLETE", "FAIL"}, "one that diverges counts as failed, and the sweep goes on"
    assert len(trials()) == 5
    table = result.out.split("\n\n")[1]
    assert table.startswith("rank  trial  status    val/loss  lr\n1     ")
    assert "failed: the loss is not finite at step " in table
    assert Path("s/sweep.png").exists()

    best = Path(table.splitlines()[-1].rpartition(" ")[2].rstrip(")")).name
    assert zoo_command("fit", "--config", "s/best.yaml", "--run_dir", "again").code == 0
    assert Path("again/metrics.csv").read_bytes() == Path("s", best, "metrics.csv").read_bytes()
    assert str(LEARNS) in Path("s/best.yaml").read_text().partition("\nseed_everything")[0]


def test_runs_lists_a_sweep_as_one_row_and_its_trials_with_what_was_searched(
    sweep: Callable, zoo_command: Callable
) -> None:
    assert sweep([LEARNS, STANDS], "--trials", "2").code == 0
    assert zoo_command("fit", *BASE, "--run_dir", "alone").code == 0
    listed = zoo_command("runs", ".").out
    assert [line.split()[-1] for line in listed.split("\n\n")[0].splitlines()[1:]] == ["alone", "s"]
    assert "\n2 trials " in listed
    rows = zoo_command("runs", "s").out.splitlines()
    assert rows[0].split()[-2:] == ["lr", "run"]
    assert {row.split()[-2] for row in rows[1:]} <= {str(LEARNS), "1e-09"}
    assert zoo_command("compare", "s", "-o", "s.png").code == 0


@pytest.mark.slow
def test_a_bad_trial_is_pruned_and_its_run_can_be_resumed(
    sweep: Callable, zoo_command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_study, "FIRST_TRIALS", 1)
    assert sweep([LEARNS, STANDS], "--trials", "6").code == 0
    found = {trial.state.name: trial for trial in trials()}
    assert set(found) == {"COMPLETE", "PRUNED"}
    pruned = found["PRUNED"]
    assert pruned.params["model.lr"] == STANDS
    run = f"s/trial-{pruned.number:03d}"
    assert zoo_command("runs", "s", "--filter", "status=pruned").out.count("\npruned ") >= 1
    assert zoo_command("fit", "--run_dir", run, "--resume").code == 0
    assert zoo_command("fit", "--config", f"{run}/config.yaml", "--run_dir", "whole").code == 0
    assert Path(run, "metrics.csv").read_bytes() == Path("whole/metrics.csv").read_bytes()


def test_the_option_that_decides_is_the_most_important() -> None:
    study = sweep_study.optuna.create_study(sampler=sweep_study.TPESampler(seed=0))
    for _ in range(12):
        trial = study.ask()
        trial.suggest_int("noise", 0, 100)
        study.tell(trial, 10.0 ** -trial.suggest_int("decides", 0, 8))
    trials = sorted(study.get_trials(), key=lambda trial: trial.value)
    found = sweep_study.importances(trials)
    assert found["decides"] > 0.7
    assert sum(found.values()) == pytest.approx(1)
    assert sweep_study.importances(trials[:1]) == {}


# -- stopped, resumed, and shared


def begin(*options: str) -> int:
    """Starts a sweep in a child of this process, in the folder `s`."""
    argv = ["sweep", *BASE, "--space", "space.yaml", "--sweep_dir", "s", *options]
    log = Path(f"log-{len(list(Path().glob('log-*')))}")
    log.touch()
    return harness.fork(argv, log=log)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)]
)
def test_a_sweep_that_is_stopped_and_resumed_ends_like_one_that_was_not(
    number: int, sweep: Callable, zoo_command: Callable
) -> None:
    assert sweep({"low": 1e-3, "high": 0.1, "log": True}, *SLOWLY).code == 0
    shutil.move("s", "reference")

    pid = begin(*SLOWLY)
    until(lambda: Path("s/trial-001/metrics.csv").exists())
    os.kill(pid, number)
    assert harness.wait(pid) == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert states() == ["COMPLETE", "RUNNING"]

    result = zoo_command("sweep", "--sweep_dir", "s", "--resume")
    assert result.code == 0, result.err
    assert "trial 1: taken up again" in result.out
    found, expected = (
        [(one.params, one.value, one.intermediate_values) for one in trials(s)] for s in ("s", "reference")
    )
    assert found == expected, "no report of an epoch is lost"
    for run in ("trial-000", "trial-001", "trial-002"):
        assert not harness.different(harness.state_of(Path("s", run)), harness.state_of(Path("reference", run)))
        assert Path("s", run, "metrics.csv").read_bytes() == Path("reference", run, "metrics.csv").read_bytes()


@pytest.mark.slow
def test_two_processes_share_the_trials_of_a_sweep(sweep: Callable) -> None:
    Path("space.yaml").write_text(yaml.safe_dump({"model.lr": {"low": 1e-3, "high": 0.1, "log": True}}))
    pids = [begin("--resume", "--trials", "6", "--trainer.max_epochs", "20") for _ in range(2)]
    assert [harness.wait(pid) for pid in pids] == [0, 0]
    found = trials()
    assert len(found) == 6
    assert all(trial.state.is_finished() for trial in found)
    assert len({trial.params["model.lr"] for trial in found}) == 6
    logs = [Path(f"log-{n}").read_text() for n in range(2)]
    assert sum(log.count("\ntrial ") for log in logs) >= 6
    assert all("\ntrial " in log for log in logs), "both worked"


def test_a_second_sweep_is_refused_in_a_folder_and_so_is_the_storage_of_another(
    sweep: Callable, zoo_command: Callable
) -> None:
    assert sweep([LEARNS, STANDS], "--trials", "1").code == 0
    refused(sweep([LEARNS, STANDS]), "--sweep_dir: s already holds a sweep; give another folder, or --resume")
    refused(sweep([LEARNS, 0.5], "--resume"), "space.yaml differs from the space of the sweep in s")
    result = sweep([LEARNS, STANDS], "--resume", "--model.hidden_size", "7")
    refused(result, "the sweep in s has another model.hidden_size")

    shutil.move("s", "first")
    assert sweep([LEARNS, 0.5], "--trials", "1").code == 0
    shutil.copy(Path("first", JOURNAL), Path("s", JOURNAL))
    message = f"s/{JOURNAL} is the storage of another sweep"
    refused(zoo_command("sweep", "--sweep_dir", "s", "--resume"), message)
    Path("s/sweep.yaml").unlink()
    refused(sweep([LEARNS, 0.5]), message)


def test_more_trials_can_be_asked_for_later(sweep: Callable, zoo_command: Callable) -> None:
    assert sweep([LEARNS, STANDS], "--trials", "1").code == 0
    assert zoo_command("sweep", "--sweep_dir", "s", "--resume", "--trials", "2").code == 0
    assert len(trials()) == Sweep.read(Path("s")).trials == 2


def test_a_line_of_the_storage_that_a_kill_has_cut_is_removed(sweep: Callable, zoo_command: Callable) -> None:
    assert sweep([LEARNS, STANDS], "--trials", "1").code == 0
    with Path("s", JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    assert zoo_command("sweep", "--sweep_dir", "s", "--resume", "--trials", "2").code == 0
    assert len(trials()) == 2


def test_a_full_disk_ends_the_sweep_and_not_its_trials(
    sweep: Callable, zoo_command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = OSError(errno.ENOSPC, "no space left on the disk to write s/trial-000/checkpoints/last.ckpt")
    with monkeypatch.context() as patch:
        patch.setattr("zoo.runs.files.os.replace", lambda *_: (_ for _ in ()).throw(reason))
        patch.setattr("zoo.cli.sweep.write_whole", lambda path, text: path.write_text(text))
        result = sweep([LEARNS, STANDS], "--trials", "2")
    assert result.code == 1
    assert "zoo: error: no space left on the disk of s; free some, and resume with\n" in result.err
    assert states() == ["RUNNING"]
    assert zoo_command("sweep", "--sweep_dir", "s", "--resume").code == 0
    assert states() == ["COMPLETE", "COMPLETE"]

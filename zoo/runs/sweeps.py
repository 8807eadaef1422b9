"""The folder of a sweep: what it searches, its trials, and who works on them. Imports neither torch nor Optuna."""

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import yaml

from zoo.files.limits import MAX_CONFIG_BYTES, check_size, check_yaml
from zoo.runs.history import read_note, try_lock

SWEEP_FILE = "sweep.yaml"
JOURNAL = "trials.journal"
LOCK, TAKEN = "sweep.lock", "taken.json"
WAIT_S = 0.05
HEAD = "# A sweep; `python -m zoo sweep --sweep_dir THIS_FOLDER --resume` resumes it.\n"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep, as `sweep.yaml` describes it.

    Args:
        folder: The folder.
        config: The name of the config, without its folder and suffix.
        trials: The number of trials.
        prune: Whether unpromising trials are stopped early.
        seed: The seed of the search.
        monitor: The metric of the trials, and `min` or `max`.
        space: The content of the space's file.
    """

    folder: Path
    config: str
    trials: int
    prune: bool
    seed: int
    monitor: tuple[str, str]
    space: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads a sweep's folder.

        Raises:
            ValueError: If it has no sweep, or a damaged one.
        """
        path = folder / SWEEP_FILE
        if not path.is_file():
            raise ValueError(f"there is no sweep in {folder}")
        check_size(path, MAX_CONFIG_BYTES, "a sweep")
        text = path.read_text(encoding="utf-8")
        check_yaml(text)
        try:
            found = yaml.safe_load(text)
            metric, mode = map(str, found["monitor"])
            return cls(
                folder=folder,
                config=Path(str(found["config"])).name,
                trials=int(found["trials"]),
                prune=bool(found["prune"]),
                seed=int(found["seed"]),
                monitor=(metric, mode),
                space=dict(found["space"]),
            )
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from error

    @property
    def content(self) -> str:
        """The text of `sweep.yaml`."""
        facts = {name: getattr(self, name) for name in ("config", "trials", "prune", "seed")}
        facts |= {"monitor": list(self.monitor), "space": dict(self.space)}
        return HEAD + yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)

    @property
    def base(self) -> Path:
        """The complete config of all trials, but for what is searched."""
        return self.folder / "base" / f"{self.config}.yaml"

    @property
    def identity(self) -> str:
        """What makes it this sweep: a digest of config, space and metric, which its storage has, too."""
        facts = json.dumps([self.base.read_text(encoding="utf-8"), dict(self.space), self.monitor, self.seed])
        return f"zoo-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"

    @property
    def rises(self) -> bool:
        """Whether higher values of the metric are better."""
        return self.monitor[1] == "max"

    def of(self, trials: int) -> Self:
        """Returns the same sweep with another number of trials."""
        return replace(self, trials=trials)

    def run_of(self, number: int) -> Path:
        """Returns the run folder of a trial."""
        return self.folder / f"trial-{number:03d}"


def sweep_of(run: Path) -> Path | None:
    """Returns the folder of the sweep that a run is a trial of, or None."""
    return run.parent if run.name.startswith("trial-") and (run.parent / SWEEP_FILE).is_file() else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits until no other process decides about a sweep, and keeps others from doing so."""
    with (folder / LOCK).open("a") as file:
        while not try_lock(file):
            time.sleep(WAIT_S)
        yield


def take(run: Path) -> IO[bytes] | None:
    """Takes a trial for this process. Returns the file whose lock says so, or None if another process has the trial.

    A run inherits the file, so that a trial is free once neither its sweep nor its run exists any more.
    """
    run.mkdir(parents=True, exist_ok=True)
    file = (run / TAKEN).open("ab")
    if not try_lock(file):
        file.close()
        return None
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode() + b"\n")
    file.flush()
    return file


def is_left(run: Path) -> bool:
    """Returns whether a trial's process on this machine has died. Its run ends soon, and the trial is free then."""
    note = read_note(run / TAKEN)
    if note.get("host") != socket.gethostname() or not isinstance(note.get("pid"), int):
        return False
    try:
        os.kill(note["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False

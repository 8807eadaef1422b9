"""Finding the checkpoints of a run, and checking that they are whole."""

import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

BEST, LAST = "best.ckpt", "last.ckpt"

log = logging.getLogger(__name__)


def find_checkpoint(run: Path) -> Path:
    """Returns the checkpoint of a run to use as a model: the best one, else the last one, else an older one.

    Damaged checkpoints are skipped with a warning.

    Args:
        run: The folder of a run.

    Raises:
        ValueError: If there is no whole checkpoint.
    """
    folder = run / "checkpoints"
    for path in ([folder / BEST] if (folder / BEST).exists() else []) + list(newest_first(folder)):
        try:
            check_sums(path)
        except ValueError as error:
            log.warning("%s; trying another checkpoint of the run", error)
            continue
        return path
    raise ValueError(f"{run}: this run has no {'whole ' if any(folder.glob('*.ckpt')) else ''}checkpoint")


def is_run(folder: Path) -> bool:
    """Returns whether a folder is that of a run."""
    return (folder / "config.yaml").is_file() or (folder / "checkpoints").is_dir()


def step_name(step: int) -> str:
    """Returns the name of a checkpoint that is no longer the last one."""
    return f"step-{step}.ckpt"


def older(folder: Path) -> list[Path]:
    """Returns the checkpoints before the last one, the newest first."""
    found = {int(match[1]): path for path in folder.glob("step-*.ckpt") if (match := re.search(r"-(\d+)\.", path.name))}
    return [found[step] for step in sorted(found, reverse=True)]


def newest_first(folder: Path) -> Iterator[Path]:
    """Yields a run's checkpoints, the last one first."""
    if (folder / LAST).exists():
        yield folder / LAST
    yield from older(folder)


def check_sums(path: Path) -> None:
    """Raises ValueError if a checkpoint does not match the checksums that it contains."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} can't be read as a checkpoint: it is damaged") from error
    if damaged is not None:
        raise ValueError(f"{path} can't be read as a checkpoint: it is damaged in {damaged}")

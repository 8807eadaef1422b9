"""Checkpoint files that are whole or not there: how they are written, checked, kept and found again."""

import errno
import io
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

LAST = "last.ckpt"
TEMPORARY = ".tmp"  # the ending of what a killed process may leave behind


def write_whole(path: Path, data: bytes | str, aside: Path | None = None) -> None:
    """Writes a file, or leaves it as it was; when this returns, it outlasts a power failure.

    The data goes to a file beside the target, so that putting it in place is one rename.

    Args:
        path: The file.
        data: Bytes, or text, which becomes UTF-8.
        aside: Where to put the file that is there.

    Raises:
        OSError: If it can't be written; where the disk is full, with the path and what remains.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with naming_a_full_disk(path), temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        if aside is not None and path.exists():
            os.replace(path, aside)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def naming_a_full_disk(path: Path) -> Iterator[None]:
    """Has the error of a full disk say which file it is about, and what became of it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        kept = "; the one before is as it was" if path.exists() else ""
        raise OSError(error.errno, f"no space left on the disk to write {path}{kept}") from error


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlast a power failure, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def clear_temporaries(folder: Path) -> None:
    """Removes what a killed process left half-written in a folder and in those below."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer, but that a checkpoint is put in place by one rename, on its own file system."""

    read: dict[str, Any] | None = None  # the checkpoint that the trainer is to resume from, which was read already
    aside: Path | None = None  # where the next write puts the file that is there; no option, as FSDP refuses those

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint whole: see `write_whole`."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside, self.aside = self.aside, None
        write_whole(path, buffer.getvalue(), aside)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Reads a checkpoint, unless it was read already."""
        found, self.read = self.read, None
        return super().load_checkpoint(path, *args, **kwargs) if found is None else found


# -- the checkpoints of a run


def step_name(step: int) -> str:
    """The name of a checkpoint that is no longer the last one."""
    return f"step-{step}.ckpt"


def older(folder: Path) -> list[Path]:
    """The checkpoints that were put aside, the newest one first."""
    found = {int(match[1]): path for path in folder.glob("step-*.ckpt") if (match := re.search(r"-(\d+)\.", path.name))}
    return [found[step] for step in sorted(found, reverse=True)]


def newest_first(folder: Path) -> Iterator[Path]:
    """A run's checkpoints, the last one first."""
    if (folder / LAST).exists():
        yield folder / LAST
    yield from older(folder)


def check_sums(path: Path) -> None:
    """Raises ValueError unless every byte of a checkpoint is as it was written, by the checksums that it holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} can't be read as a checkpoint: it is damaged") from error
    if damaged is not None:
        raise ValueError(f"{path} can't be read as a checkpoint: it is damaged in {damaged}")

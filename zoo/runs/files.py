"""Writing files completely or not at all."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

TEMPORARY = ".tmp"  # the suffix of files that a killed process may leave behind


def write_whole(path: Path, data: bytes | str, aside: Path | None = None) -> None:
    """Writes a file completely, or leaves it unchanged. Once this returns, the file survives a power failure.

    The data is written to a temporary file in the same folder, which is then renamed.

    Args:
        path: The file.
        data: Bytes, or text, which is encoded as UTF-8.
        aside: Where to move an existing file.

    Raises:
        OSError: If it can't be written. If the disk is full, the message gives the path.
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
    """Adds the path to the error of a full disk, and says whether the previous file is unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        kept = "; the previous file is unchanged" if path.exists() else ""
        raise OSError(error.errno, f"no space left on the disk to write {path}{kept}") from error


def sync_folder(folder: Path) -> None:
    """Makes the file names in a folder survive a power failure, on systems that support it."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def clear_temporaries(folder: Path) -> None:
    """Removes incomplete files of killed processes from a folder and its subfolders."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer, but checkpoints are written with `write_whole`."""

    read: dict[str, Any] | None = None  # the checkpoint to resume from, if it was read already
    aside: Path | None = None  # where the next write moves an existing file; FSDP refuses storage options for this

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint completely or not at all, see `write_whole`."""
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

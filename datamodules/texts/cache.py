"""Encoded texts on the disk: written once, by one process, and mapped by all others.

An entry is a folder of the cache, `texts/<digest of the files' names and all options>`. It is written under another
name and moved to its place with one rename. So it is whole, or not there.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from datamodules.examples import Mapped
from datamodules.sources.cache import cache_dir

FORMAT = 1
META = "meta.json"


class TextCache:
    """The entry of some files and options.

    Args:
        options: Everything that the encoded texts depend on, as plain values.
        files: The files. If one has another size or time of change, the entry is outdated.
    """

    def __init__(self, options: Mapping[str, Any], files: Sequence[str]) -> None:
        self.files = files
        key = json.dumps({"format": FORMAT, "files": [os.path.abspath(file) for file in files], **options})
        self.folder = cache_dir() / "texts" / hashlib.sha256(key.encode()).hexdigest()[:32]
        self.scratch = self.folder.with_suffix(".part")
        self.outdated = ""  # the file that changed

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Waits until no other process writes this entry. Removes what a process that was killed has left.

        Raises:
            OSError: If the folder can't be written to, or is full. The message says what to do.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder.with_suffix(".lock")):
                shutil.rmtree(self.scratch, ignore_errors=True)
                self.scratch.mkdir()
                try:
                    yield
                finally:
                    shutil.rmtree(self.scratch, ignore_errors=True)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR):
                reason = os.strerror(error.errno).lower()
                raise OSError(
                    error.errno, f"{self.folder.parent}: {reason}; set ZOO_DATA_DIR to a folder with space to write"
                ) from error
            raise

    def read(self) -> dict[str, Any] | None:
        """Returns the facts of the entry, or None if there is none or if it is outdated."""
        try:
            meta = json.loads((self.folder / META).read_text())
        except (OSError, ValueError):
            return None
        for file, stamp in zip(self.files, meta["stamps"], strict=True):
            if stamp_of(file) != stamp:
                self.outdated = file
                return None
        return meta

    def parts(self, meta: Mapping[str, Any]) -> dict[str, Mapped]:
        """Returns the parts, mapped into memory."""
        return {
            part: Mapped.open(self.folder / f"{part}.bin", dtype, np.load(self.folder / f"{part}.npy"))
            for part, dtype in meta["parts"].items()
        }

    def write(self, parts: Mapping[Any, Mapped], meta: Mapping[str, Any], stamps: Sequence[Any]) -> None:
        """Completes the entry. The ids of the parts are in the scratch folder already."""
        for part, documents in parts.items():
            np.save(self.scratch / f"{part}.npy", documents.bounds)
        dtypes = {part: str(documents.values.dtype) for part, documents in parts.items()}
        (self.scratch / META).write_text(json.dumps({**meta, "parts": dtypes, "stamps": stamps}))
        if self.folder.exists():
            shutil.rmtree(self.folder)
        os.replace(self.scratch, self.folder)


def stamp_of(file: str) -> list[int]:
    """Returns the size of a file and its time of change."""
    found = Path(file).expanduser().stat()
    return [found.st_size, found.st_mtime_ns]

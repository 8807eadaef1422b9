"""The cache of downloaded data: `$ZOO_DATA_DIR`, else `~/.cache/zoo`.

What is there is used and never fetched again. What is missing is fetched into a temporary file
beside its place, checked, and put in place with one rename: a broken download leaves nothing.
"""

import gzip
import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 30
MAX_BYTES = 256 * 2**20


def cache_dir() -> Path:
    """The folder that holds downloaded data."""
    given = os.environ.get("ZOO_DATA_DIR")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "zoo"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached(name: str, url: str, check: Callable[[Path], None]) -> Path:
    """The path of a file in the cache, which is downloaded if it isn't there.

    Args:
        name: Its path inside the cache.
        url: Its official address; a name ending in `.gz` is unpacked.
        check: Raises ValueError for a damaged file, with the reason.

    Raises:
        OSError: If the file can't be fetched, or if it is damaged; it says where to put it by hand.
    """
    path = cache_dir() / name
    if not path.exists():
        new_folders = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as temporary:
                fetched = Path(temporary) / path.name
                _download(url, fetched)
                check(fetched)
                os.replace(fetched, path)
        except (OSError, EOFError, ValueError) as error:
            for folder in new_folders:
                folder.rmdir()
            raise OSError(f"{path}: could not be fetched from {url} ({error}); get it and put it there") from error
    try:
        check(path)
    except ValueError as error:
        raise OSError(f"{path}: {error}; the file is damaged: delete it, and it will be fetched from {url}") from error
    return path


def check_sha256(expected: str) -> Callable[[Path], None]:
    """A check that a file's SHA-256 is the expected one."""

    def check(path: Path) -> None:
        if (found := sha256(path)) != expected:
            raise ValueError(f"its SHA-256 is {found[:12]}..., expected {expected[:12]}...")

    return check


def _download(url: str, path: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "rnn-zoo"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        expected = answer.headers.get("Content-Length")
        body = answer.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    if expected is not None and len(body) != int(expected):
        raise ValueError(f"got {len(body)} of {expected} bytes")
    path.write_bytes(gzip.decompress(body) if url.endswith(".gz") else body)

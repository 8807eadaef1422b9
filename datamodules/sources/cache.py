"""The cache of downloaded data: `$ZOO_DATA_DIR`, else `~/.cache/zoo`.

Files in the cache are used as they are and never downloaded again. A missing file is downloaded into
a temporary folder next to its final place, checked, and moved there with one rename. A failed
download leaves nothing behind.
"""

import gzip
import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

TIMEOUT_S = 30  # maximum time between two pieces of a response
MAX_SECONDS = 1800  # maximum time of a whole download
MAX_BYTES = 256 * 2**20  # maximum size of a file, both compressed and decompressed
PIECE = 2**20
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    http.client.HTTPException,
)  # errors of a download or of its content


def cache_dir() -> Path:
    """Returns the folder of downloaded data."""
    given = os.environ.get("ZOO_DATA_DIR")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "zoo"


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached(name: str, url: str, check: Callable[[Path], None]) -> Path:
    """Returns the path of a file in the cache. A missing file is downloaded.

    Args:
        name: Its path inside the cache.
        url: Its official https address. If it ends in `.gz`, the download is decompressed.
        check: A function that raises ValueError if the file is damaged.

    Raises:
        OSError: If the file cannot be downloaded, or if it is damaged or larger than `MAX_BYTES`. The
            message says where to put it by hand.
        ValueError: If the name is not inside the cache.
    """
    path = _place(name)
    if not path.exists():
        new_folders = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _check_inside(path)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as temporary:
                fetched = Path(temporary) / path.name
                _download(url, fetched)
                check(fetched)
                os.replace(fetched, path)
        except BaseException as error:
            with suppress(OSError):  # another process may have put files there by now
                for folder in new_folders:
                    folder.rmdir()
            if not isinstance(error, DAMAGE):
                raise
            raise OSError(
                f"{path}: could not be fetched from {url} ({error}); download it by hand and put it there"
            ) from error
    try:
        check(path)
    except ValueError as error:
        raise OSError(f"{path}: {error}; the file is damaged: delete it to download it again from {url}") from error
    return path


def check_sha256(expected: str) -> Callable[[Path], None]:
    """Returns a function that raises ValueError if a file's SHA-256 is not the expected one."""

    def check(path: Path) -> None:
        if (found := sha256(path)) != expected:
            raise ValueError(f"its SHA-256 is {found[:12]}..., expected {expected[:12]}...")

    return check


def _place(name: str) -> Path:
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise ValueError(f"{name!r}: expected a path inside the cache")
    return cache_dir() / name


def _check_inside(path: Path) -> None:
    """Raises ValueError if a symbolic link puts a download outside the cache."""
    folder = path.parent.resolve()
    if not folder.is_relative_to(cache_dir().resolve()):
        raise ValueError(f"its folder is a symbolic link to {folder}, outside the cache")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but only to https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Returns the next request. Raises ValueError if its address is not https."""
        parts = urllib.parse.urlsplit(newurl)
        if parts.scheme == "http" and urllib.parse.urlsplit(req.full_url).scheme == "https":
            newurl = parts._replace(
                scheme="https"
            ).geturl()  # some servers redirect to http, but all mirrors offer https
        _check_address(newurl, local=_is_local(req.full_url))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_local(url: str) -> bool:
    return urllib.parse.urlsplit(url).hostname in THIS_MACHINE


def _check_address(url: str, local: bool) -> None:
    if urllib.parse.urlsplit(url).scheme != "https" and not (local and url.startswith("http://") and _is_local(url)):
        raise ValueError(f"{url}: expected an https address")


def _download(url: str, path: Path) -> None:
    _check_address(url, local=True)
    deadline = time.monotonic() + MAX_SECONDS
    request = urllib.request.Request(url, headers={"User-Agent": "rnn-zoo"})
    packed = path.with_name(f"{path.name}.gz") if url.endswith(".gz") else path
    with urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT_S) as answer:
        expected = answer.headers.get("Content-Length")
        with packed.open("wb") as file:
            size = _copy(answer, file, deadline)
    if expected is not None and size != int(expected):
        raise ValueError(f"got {size} of {expected} bytes")
    if packed != path:
        with gzip.open(packed) as archive, path.open("wb") as file:
            _copy(archive, file, deadline)


def _copy(source: Any, target: BinaryIO, deadline: float) -> int:
    """Copies piece by piece and returns the number of bytes. Stops reading one byte after `MAX_BYTES`."""
    size = 0
    while piece := source.read(min(PIECE, MAX_BYTES + 1 - size)):
        size += len(piece)
        if size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise ValueError(f"it took longer than {MAX_SECONDS} s")
        target.write(piece)
    return size

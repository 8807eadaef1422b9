"""Downloads and files of data that mean harm: none is taken, and nothing of them stays."""

import bz2
import gzip
import lzma
import shutil
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from datamodules.sources import cache
from datamodules.sources.cache import cached
from datamodules.sources.files import read_table
from datamodules.sources.idx import read_idx
from support import serving


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "MAX_BYTES", 2**16)
    bodies = {
        "/large": bytes(2**16 + 1),
        "/bomb.gz": gzip.compress(bytes(2**22)),
        "/cut.gz": gzip.compress(b"hello" * 99)[:-9],
        "/broken.gz": gzip.compress(b"hello" * 99)[:12] + b"\xff" * 20,
        "/hello": b"hello",
    }
    places = {"/to-file": "file:///etc/hostname", "/to-ftp": "ftp://127.0.0.1/a", "/to-http": "http://example.org/a"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path in places else 200)
            if self.path in places:
                self.send_header("Location", places[self.path])
            if self.path == "/odd":
                self.send_header("Content-Length", "many")
            self.end_headers()
            with suppress(OSError):  # whoever asked has had enough
                for _ in range(2**10 * (self.path == "/endless")):
                    self.wfile.write(bytes(2**12))
                self.wfile.write(bodies.get(self.path, b"hello"))

    with serving(Handler) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("large", "it is larger than 65536 bytes"),
        ("endless", "it is larger than 65536 bytes"),
        ("bomb.gz", "it is larger than 65536 bytes"),
        ("cut.gz", "could not be fetched"),
        ("broken.gz", "could not be fetched"),
        ("odd", "could not be fetched"),
        ("to-file", "could not be fetched"),
        ("to-ftp", "expected an https address"),
        ("to-http", "expected an https address"),
    ],
)
def test_a_download_that_means_harm_leaves_nothing(path: str, message: str, server: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=message):
        cached("a/b/file", f"{server}/{path}", lambda _: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/hostname", "data:,a", "a"])
def test_downloads_come_over_https_alone(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "cache"))
    with pytest.raises(OSError, match="expected an https address"):
        cached("a", url, lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_redirect_out_of_https_goes_on_with_https() -> None:
    request = cache.urllib.request.Request("https://example.org/a")
    followed = cache._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/b?c#d")
    assert followed.full_url == "https://example.org/b?c#d"
    with pytest.raises(ValueError, match="expected an https address"):
        cache._Redirects().redirect_request(request, None, 302, "", {}, "ftp://example.org/b")


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "", "a/.."])
def test_no_name_leads_out_of_the_cache(name: str, server: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a path inside the cache"):
        cached(name, f"{server}/hello", lambda _: None)
    assert not list(tmp_path.iterdir())


def test_no_link_leads_out_of_the_cache(server: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "cache" / "a").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="its folder is a symbolic link to .* outside the cache"):
        cached("a/b/c", f"{server}/hello", lambda _: None)
    assert not list((tmp_path / "mine").iterdir())
    (tmp_path / "cache" / "d").symlink_to(tmp_path / "mine" / "file")
    cached("d", f"{server}/hello", lambda _: None)  # the link is replaced, and what it led to is not written
    assert not list((tmp_path / "mine").iterdir())


def test_a_download_that_is_interrupted_leaves_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("a/b", f"{server}/hello", interrupt)
    monkeypatch.setattr(cache, "MAX_SECONDS", -1)
    with pytest.raises(OSError, match="it took longer than"):
        cached("a/b", f"{server}/hello", lambda _: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("ending", "archive"), [("csv", "gzip"), ("txt", "zip"), ("jsonl", "tar"), ("parquet", "bz2"), ("csv", "xz")]
)
def test_an_archive_is_not_unpacked_under_another_name(ending: str, archive: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a,b\n1,2\n" * 9)
    packed = tmp_path / f"file.{ending}"
    pack = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    if archive in pack:
        packed.write_bytes(pack[archive](bytes(2**20)))
    else:
        shutil.make_archive(str(tmp_path / "b"), archive, tmp_path, "a")
        (tmp_path / f"b.{archive}").rename(packed)
    with pytest.raises(ValueError, match="this is an archive; unpack it, and pass the file inside"):
        read_table(str(packed))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected an IDX file of bytes with 3 axes"),
        (b"\x00\x00\x08\x03", "got 4 bytes, expected 16"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x00", "expected an IDX file of bytes with 3 axes"),
        (b"\x00\x00\x0d\x03" + b"\xff" * 12, "expected an IDX file of bytes with 3 axes"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "got 16 bytes, expected 79228162458924105385300197391"),
        (b"\x00\x00\x08\x03" + b"\x00\x00\x00\x02" * 3 + bytes(7), "got 23 bytes, expected 24"),
        (b"\x00\x00\x08\x03" + b"\x00\x00\x00\x02" * 3 + bytes(9), "got 25 bytes, expected 24"),
    ],
)
def test_an_idx_file_is_of_the_size_that_its_header_says(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file", axes=3)

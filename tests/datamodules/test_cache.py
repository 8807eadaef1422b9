"""Downloads, from a server on this machine."""

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from datamodules import Gutenberg
from datamodules.sources.cache import cached, check_sha256
from datamodules.texts import gutenberg
from support import serving

BOOK = "The Project Gutenberg eBook\r\n*** START OF IT ***\r\nOnce upon a time.\r\n*** END OF THE BOOK ***\r\n"
HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "cache"))
    files = {"/hello": b"hello", "/hello.gz": gzip.compress(b"hello"), "/7": BOOK.encode(), "/8": b"<html>busy</html>"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files[self.path.removesuffix("-short")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 5 * self.path.endswith("-short")))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as address:
        yield address


@pytest.mark.parametrize("name", ["hello", "hello.gz"])
def test_a_file_is_fetched_once_checked_and_unpacked(server: str, name: str) -> None:
    path = cached("a/hello", f"{server}/{name}", check_sha256(HELLO))
    assert path.read_bytes() == b"hello"
    assert [p.name for p in path.parent.iterdir()] == ["hello"]
    assert cached("a/hello", "http://127.0.0.1:1/gone", check_sha256(HELLO)) == path


@pytest.mark.parametrize("fault", ["hello-short", "7"])
def test_a_broken_download_leaves_nothing(server: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="could not be fetched"):
        cached("a/hello", f"{server}/{fault}", check_sha256(HELLO))
    assert not list(tmp_path.iterdir())


def test_a_book_is_fetched_from_its_address(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gutenberg, "GUTENBERG_URL", server + "/{book}")
    data = Gutenberg([7], seq_len=10, val_fraction=0, test_fraction=0)
    data.prepare_data()
    data.setup()
    assert "Once upon a time." in data.read("book 7")
    with pytest.raises(OSError, match="not a complete book"):
        Gutenberg([8]).prepare_data()

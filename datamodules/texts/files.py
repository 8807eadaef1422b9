"""Text files: finding them, reading them in pieces, and training on them."""

import codecs
import glob
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from datamodules.texts.encoder import SkipError
from datamodules.texts.text import Text, TextData

PIECE_BYTES = 4 * 2**20
SUFFIXES = (".txt", ".text", ".md")  # of the files that are taken from a folder
TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
PACKED = (".gz", ".zst")
OnError = Literal["stop", "skip", "replace"]


def find_files(paths: Sequence[str], exclude: Sequence[str] = (), suffixes: tuple[str, ...] = SUFFIXES) -> list[str]:
    """Returns the files of some paths: files, folders with their subfolders, and patterns such as `a/*.txt`.

    Args:
        paths: The paths. The files of a folder or pattern are sorted.
        exclude: Patterns of files to leave out. A pattern without `/` is compared with the name alone.
        suffixes: Those of the files that are taken from a folder.

    Raises:
        FileNotFoundError: If a path is not found.
        ValueError: If a folder or pattern has no such file.
    """
    found: list[str] = []
    for path in paths:
        expanded = os.path.expanduser(path)
        if os.path.isdir(expanded):
            inside = sorted(str(file) for file in Path(expanded).rglob("*") if file.is_file())
            files = [file for file in inside if _ends_in(Path(file), suffixes)]
            if not files:
                kind = "text files" if suffixes == SUFFIXES else "tables"
                raise ValueError(f"{path}: the folder has no {kind}, expected names that end in {_names(suffixes)}")
        elif os.path.isfile(expanded):
            if os.path.splitext(path)[1].lower() in TABLES:
                raise ValueError(
                    f"{path}: got a table, expected a text; LabelledSequences, TextPairs and TimeSeries take tables"
                )
            files = [path]
        elif glob.has_magic(path):
            files = sorted(file for file in glob.glob(expanded, recursive=True) if os.path.isfile(file))
            if not files:
                raise FileNotFoundError(f"{path}: no file matches this pattern")
        else:
            raise FileNotFoundError(f"{path}: file not found")
        found += files
    kept = [file for file in dict.fromkeys(found) if not any(_matches(file, pattern) for pattern in exclude)]
    if not kept:
        raise ValueError(f"exclude: {', '.join(exclude)} leaves no file of {len(found)}")
    return kept


def _ends_in(file: Path, suffixes: tuple[str, ...]) -> bool:
    packed = suffixes == SUFFIXES and file.suffix in PACKED
    name = file.name.removesuffix(file.suffix) if packed else file.name
    return Path(name).suffix.lower() in suffixes and not file.name.startswith(".")


def _names(suffixes: tuple[str, ...]) -> str:
    return ", ".join(suffixes) + (f", or one of them with {' or '.join(PACKED)}" if suffixes == SUFFIXES else "")


def _matches(file: str, pattern: str) -> bool:
    return fnmatch(file if "/" in pattern else os.path.basename(file), pattern)


class ZstdFile:
    """The decompressed bytes of a Zstandard file. Unlike `zstandard.open`, it notices that a file is cut off.

    Args:
        packed: The file.
    """

    def __init__(self, packed: "Source") -> None:
        self.packed = packed
        self.frame: Any = None

    def read(self, size: int) -> bytes:
        """Reads some bytes, not exactly `size`. Returns none at the end."""
        import zstandard

        found = b""
        while not found:
            data = self.packed.read(size // 64)
            if not data and self.frame is not None and not self.frame.eof:
                raise EOFError("the file is cut off")
            if not data:
                return b""
            while data:  # a file may have several frames
                if self.frame is None or self.frame.eof:
                    self.frame = zstandard.ZstdDecompressor().decompressobj()
                found += self.frame.decompress(data)
                data = self.frame.unused_data if self.frame.eof else b""
        return found


class Source:
    """A file that is being read: counts and digests its bytes.

    Args:
        path: The file.
        advance: Called with the number of bytes that were read.
    """

    def __init__(self, path: str, advance: Callable[[int], Any] = lambda _: None) -> None:
        self.path, self.advance, self.digest = path, advance, hashlib.sha256()
        self.file = open(os.path.expanduser(path), "rb")  # noqa: SIM115

    def read(self, size: int = -1) -> bytes:
        """Reads some bytes."""
        data = self.file.read(size)
        self.digest.update(data)
        self.advance(len(data))
        return data

    def unpacked(self) -> Any:
        """Returns the file, or a file of its decompressed bytes if its name ends in `.gz` or `.zst`."""
        if self.path.endswith(".gz"):
            return gzip.GzipFile(fileobj=self)  # type: ignore[call-overload]
        if self.path.endswith(".zst"):
            return ZstdFile(self)
        return self

    def pieces(self, encoding: str = "utf-8", on_error: OnError = "stop") -> Iterator[str]:
        """Yields the text in pieces of about 4 MB, without a byte order mark.

        Args:
            encoding: The encoding of the file.
            on_error: `replace` replaces bytes that are not in this encoding. Otherwise, they are an error.

        Raises:
            ValueError: If the file is not in this encoding, or can't be decompressed. The message gives the position.
        """
        decoder = codecs.getincrementaldecoder(encoding)("replace" if on_error == "replace" else "strict")
        offset, file, data = 0, self.unpacked(), b"start"
        with self.file:
            while data:
                try:
                    data = file.read(PIECE_BYTES)
                except Exception as error:  # gzip, zlib and zstandard have errors of their own
                    raise ValueError(f"{self.path}: can't be decompressed: {error}") from error
                pending = len(decoder.getstate()[0])
                try:
                    text = decoder.decode(data, final=not data)
                except UnicodeDecodeError as error:
                    name = "UTF-8" if encoding == "utf-8" else encoding
                    raise ValueError(
                        f"{self.path}: not {name} at byte {offset - pending + error.start}; save it as {name}, "
                        "or set encoding, or on_error: skip or replace"
                    ) from error
                if not offset:
                    text = text.removeprefix("\ufeff")
                offset += len(data)
                if text:
                    yield text


def decode(name: str, data: bytes) -> str:
    """Decodes UTF-8, without a byte order mark.

    Raises:
        ValueError: If it is not UTF-8. The message gives the position of the first invalid byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from error


class TextFile(TextData):
    """Your own text files, of any size.

    Up to 16 MB of files are read at each start. More are encoded once, in the folder `texts` of the cache,
    and mapped into memory from there. If a file changes, all are encoded again.

    Args:
        paths: Files, folders, and patterns such as `books/*.txt`: one, or a list. A folder stands for
            all of its text files (`.txt`, `.text`, `.md`), also in its subfolders. Each file is a
            document. Files that end in `.gz` or `.zst` are decompressed.
        exclude: Patterns of files to leave out, for example `draft*`.
        encoding: The encoding of the files.
        on_error: What to do if a file is not in this encoding: `stop` with an error, `skip` the file, or
            `replace` what can't be read with U+FFFD.
        **options: See `TextData`.
    """

    def __init__(
        self,
        paths: str | list[str],
        exclude: str | list[str] | None = None,
        encoding: str = "utf-8",
        on_error: OnError = "stop",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not paths:
            raise ValueError("paths: got none, expected at least one file")
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error: got {on_error!r}, expected one of {', '.join(get_args(OnError))}")
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"encoding: got {encoding!r}, expected one that Python knows, such as latin-1") from None
        self.paths = [paths] if isinstance(paths, str) else paths
        self.exclude = [exclude] if isinstance(exclude, str) else exclude or []
        self.encoding, self.on_error = encoding, on_error

    def files(self) -> list[str]:
        """See `TextData`."""
        return find_files(self.paths, self.exclude)

    def documents(self) -> Mapping[str, Text]:
        """See `TextData`."""
        return {file: partial(self._read, file) for file in self.files()}

    def _read(self, file: str) -> Iterator[str]:
        source = Source(file, self.advance)
        try:
            yield from source.pieces(self.encoding, self.on_error)
        except ValueError as error:
            if self.on_error == "skip":
                raise SkipError(str(error).partition(";")[0]) from error
            raise
        self._sources[file] = source.digest.hexdigest()

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "encoding": self.encoding, "on_error": self.on_error}

"""Reading columns of users' files with Hugging Face `datasets`, which is imported only here."""

import csv
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")

FACTS = Path(__file__).parent.parent / "facts"  # tables in the package
READERS = {
    ".txt": "text",
    ".text": "text",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".parquet": "parquet",
}


def read_table(path: str, as_text: bool = False, data: bytes | None = None) -> dict[str, list[Any]]:
    """Reads a text, CSV, TSV, JSON lines or Parquet file.

    Args:
        path: The file. Its suffix gives the format. The first line of CSV and TSV holds the column names.
        as_text: Whether to keep the cells of CSV and TSV as strings. Otherwise 007 is read as the
            number 7, and NA as a missing value.
        data: The content of the file. Default: read it from `path`.

    Returns:
        Column name -> values. A text file has one column, `text`, with one value per line.

    Raises:
        FileNotFoundError: If the file is not found.
        ValueError: If the suffix is unknown, or if the file cannot be read, is empty, or is an archive.
    """
    suffix = Path(path).suffix.lower()
    data = check_file(path).read_bytes() if data is None else data
    if suffix not in READERS:
        raise ValueError(f"{path}: unknown suffix {Path(path).suffix!r}, expected one of {', '.join(READERS)}")
    if not data:
        raise ValueError(f"{path}: the file is empty")
    if check_file(path).parent == FACTS:  # small files: importing datasets would take longer than training a toy
        return _read_facts(suffix, data.decode(), as_text)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"data{suffix}"  # a copy, because the file may change before datasets reads it
        copy.write_bytes(data)
        return _read_copy(path, copy, as_text)


def _read_facts(suffix: str, text: str, as_text: bool) -> dict[str, list[Any]]:
    """Returns the columns of a table in the package, as texts or numbers."""
    if suffix == ".txt":
        return {"text": list(text.splitlines())}
    names, *rows = csv.reader(text.splitlines())
    cells = rows if as_text else [[float(cell) for cell in row] for row in rows]
    return {name: list(column) for name, column in zip(names, zip(*cells, strict=True), strict=True)}


def _read_copy(path: str, copy: Path, as_text: bool) -> dict[str, list[Any]]:
    import datasets
    from datasets.utils.extract import Extractor

    if Extractor.infer_extractor_format(copy):  # datasets would unpack it, no matter how large
        raise ValueError(f"{path}: this is an archive; unpack it, and pass the file inside")
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    reader = READERS[copy.suffix]
    options: dict[str, Any] = {}
    if reader == "csv":
        options["sep"] = "\t" if copy.suffix == ".tsv" else ","
        if as_text:
            with copy.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
                names = next(csv.reader(lines, delimiter=options["sep"]))
            text = datasets.Value("string")
            options |= {"features": datasets.Features(dict.fromkeys(names, text)), "keep_default_na": False}
    try:
        table = getattr(datasets.Dataset, f"from_{reader}")(
            str(copy), cache_dir=str(copy.parent), keep_in_memory=True, **options
        ).to_dict()
    except Exception as error:  # datasets wraps the errors of its readers
        reason = str(error.__cause__ or error).replace(str(copy), path).strip().splitlines()
        raise ValueError(f"{path}: cannot be read as {reader}: {reason[0] if reason else error!r}") from error
    return {str(name): list(values) for name, values in table.items()}


def distinct(path: str, what: str, rows: Iterable[T]) -> list[T]:
    """Returns the distinct rows of a file in their order. Logs a warning with the number of duplicates."""
    given = list(rows)
    found = list(dict.fromkeys(given))
    if dropped := len(given) - len(found):
        log.warning("%s: %s of %s %ss are duplicates, and left out", path, f"{dropped:,}", f"{len(given):,}", what)
    return found


def check_file(path: str) -> Path:
    """Returns the path of a user's file.

    Raises:
        FileNotFoundError: If the file is not found.
        ValueError: If it is a folder.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise ValueError(f"{path}: expected a file, got a folder")
    if not file.is_file():
        raise FileNotFoundError(f"{path}: file not found")
    return file

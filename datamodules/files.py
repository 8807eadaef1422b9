"""Columns of users' files, read by Hugging Face's `datasets`, which is imported only here."""

import csv
import tempfile
from pathlib import Path
from typing import Any

READERS = {
    ".txt": "text",
    ".text": "text",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".parquet": "parquet",
}


def read_table(path: str, as_text: bool = False) -> dict[str, list[Any]]:
    """Reads a text, CSV, TSV, JSON lines or Parquet file.

    Args:
        path: The file; its ending tells the format. The first line of CSV and TSV names the columns.
        as_text: Take the cells of CSV and TSV as they stand there; else 007 is a number, and NA none.

    Returns:
        Column name -> values. A text file has one column, `text`, with a line each.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its ending is unknown, or if it can't be read, is empty, or is an archive.
    """
    file = check_file(path)
    if file.suffix.lower() not in READERS:
        raise ValueError(f"{path}: unknown ending {file.suffix!r}, expected one of {', '.join(READERS)}")
    if not file.stat().st_size:
        raise ValueError(f"{path}: the file is empty")
    import datasets
    from datasets.utils.extract import Extractor

    if Extractor.infer_extractor_format(file):  # datasets would unpack it, however large
        raise ValueError(f"{path}: this is an archive; unpack it, and give the file in it")
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    options: dict[str, Any] = {}
    if READERS[file.suffix.lower()] == "csv":
        options["sep"] = "\t" if file.suffix.lower() == ".tsv" else ","
        if as_text:
            with file.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
                names = next(csv.reader(lines, delimiter=options["sep"]))
            text = datasets.Value("string")
            options |= {"features": datasets.Features(dict.fromkeys(names, text)), "keep_default_na": False}
    with tempfile.TemporaryDirectory() as folder:
        try:
            reader = READERS[file.suffix.lower()]
            table = getattr(datasets.Dataset, f"from_{reader}")(
                str(file.resolve()), cache_dir=folder, keep_in_memory=True, **options
            ).to_dict()
        except Exception as error:  # datasets wraps whatever its many readers raise
            reason = str(error.__cause__ or error).strip().splitlines()
            raise ValueError(f"{path}: can't be read as {reader}: {reason[0] if reason else error!r}") from error
    return {str(name): list(values) for name, values in table.items()}


def check_file(path: str) -> Path:
    """The path of a user's file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise ValueError(f"{path}: this is a folder, expected a file")
    if not file.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    return file

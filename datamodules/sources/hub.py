"""Datasets of the Hugging Face Hub."""

import csv
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.parts import Part

SPLITS: dict[str, Part] = {
    **{name: "train" for name in ("train", "training")},
    **{name: "val" for name in ("validation", "val", "valid", "dev")},
    **{name: "test" for name in ("test", "testing")},
}
DATA = ("csv", "tsv", "json", "jsonl", "parquet", "txt")
PATTERNS = ["*.md", *(f"*.{suffix}" for suffix in DATA), *(f"*.{suffix}.{p}" for suffix in DATA for p in ("gz", "zst"))]


class HubDataset(NamedTuple):
    """The tables of a dataset."""

    commit: str
    parts: dict[Part, dict[str, list[Any]]]  # column name -> cells
    others: list[str]  # names of parts that are left out


def download(name: str, revision: str | None, *, only_cached: bool = False) -> Path:
    """Returns the folder with the files of a dataset, in the Hub's own cache.

    Args:
        name: `user/name`.
        revision: A commit, branch or tag. None: the newest.
        only_cached: Whether to take what is in the cache without asking the Hub, if there is anything.

    Raises:
        ValueError: If this is not a valid name.
        FileNotFoundError: If it is not in the cache, and the Hub does not have it or can't be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    options: dict[str, Any] = {"repo_type": "dataset", "revision": revision, "allow_patterns": PATTERNS}
    try:
        if only_cached:
            try:
                return Path(snapshot_download(name, local_files_only=True, **options))
            except LocalEntryNotFoundError:
                pass
        return Path(snapshot_download(name, **options))
    except HFValidationError as error:
        raise ValueError(f"dataset: got {name!r}, expected the name of a dataset of the Hub, user/name") from error
    except LocalEntryNotFoundError as error:
        version = "" if revision is None else f" at revision {revision}"
        raise FileNotFoundError(
            f"dataset: {name}{version} is not in the cache, and the Hugging Face Hub can't be reached; "
            "run once with a network, or download it by hand and give its file as path"
        ) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"dataset: {name} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"dataset: the Hub has no {name}, or it is private") from error
    except OSError as error:  # the Hub's own errors are a kind of OSError
        raise FileNotFoundError(f"dataset: {name}: {_reason(error)}") from error


def read_dataset(name: str, subset: str | None, revision: str | None) -> HubDataset:
    """Reads a dataset from the Hub's cache, or from the Hub if it is not there.

    Args:
        name: `user/name`.
        subset: Which of its subsets (configurations). None: the default.
        revision: A commit, branch or tag. None: the newest.

    Raises:
        ValueError: If it has no such subset, no tables, or no training or test part.
        FileNotFoundError: See `download`.
    """
    import datasets

    folder = download(name, revision, only_cached=True)
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    with tempfile.TemporaryDirectory() as cache:
        try:
            builder = datasets.load_dataset_builder(str(folder), subset, cache_dir=cache)
            _keep_texts(builder)
            builder.download_and_prepare()
            found: Any = builder.as_dataset(in_memory=True)
        except Exception as error:  # datasets wraps the errors of its readers
            reason = _reason(error.__cause__ or error).replace(str(folder), name)
            hint = "" if subset or "Config name" not in reason else "; choose one of them as subset"
            if "No (supported) data files" in reason:
                hint = "; a dataset that is a program may have tables at revision refs/convert/parquet"
            raise ValueError(f"dataset: {name} can't be read: {reason}{hint}") from error
        parts: dict[Part, dict[str, list[Any]]] = {}
        others = []
        for split, table in found.items():
            part = SPLITS.get(str(split).lower())
            if part is None or part in parts:
                others.append(str(split))
            else:
                parts[part] = _cells(table)
    if not {"train", "test"} & parts.keys():
        raise ValueError(f"dataset: {name} has the parts {', '.join(map(str, found))}, expected train")
    return HubDataset(folder.name, parts, others)


def _keep_texts(builder: Any) -> None:
    """Has the cells of CSV files read as texts. Otherwise, 007 would be the number 7, and NA a missing value."""
    if not hasattr(builder.config, "keep_default_na") or builder.config.features is not None:  # no CSV
        return
    from datasets import Features, Value

    file = next(str(file) for files in builder.config.data_files.values() for file in files)
    if Path(file).suffix.lower() not in (".csv", ".tsv"):  # it is packed
        return
    separator = "\t" if Path(file).suffix.lower() == ".tsv" else builder.config.sep
    with open(file, newline="", encoding="utf-8-sig") as lines:
        names = next(csv.reader(lines, delimiter=separator), [])
    builder.config.sep, builder.config.keep_default_na = separator, False
    builder.config.features = builder.info.features = Features(dict.fromkeys(names, Value("string")))


def _reason(error: BaseException) -> str:
    """Returns the message of an error of a library in one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}..."


def _cells(table: Any) -> dict[str, list[Any]]:
    """Returns the columns of a table, with the names of classes in place of their numbers. -1 is no class."""
    found = table.to_dict()
    for name, feature in table.features.items():
        if hasattr(feature, "int2str"):
            found[name] = [None if cell is None or cell < 0 else feature.int2str(cell) for cell in found[name]]
    return found

"""Datasets of the Hugging Face Hub."""

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
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

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
    except OSError as error:  # the Hub's own errors are a kind of OSError
        raise FileNotFoundError(f"dataset: {name}: {str(error).strip().splitlines()[0]}") from error


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
            found = datasets.load_dataset(str(folder), subset, cache_dir=cache, keep_in_memory=True)
        except Exception as error:  # datasets wraps the errors of its readers
            reason = str(error.__cause__ or error).replace(str(folder), name).strip().splitlines()
            raise ValueError(
                f"dataset: {name} can't be read: {reason[0] if reason else error!r}; a dataset that is a program has "
                "tables at revision refs/convert/parquet"
            ) from error
        parts: dict[Part, dict[str, list[Any]]] = {}
        for split, table in found.items():
            if str(split) in SPLITS:
                parts[SPLITS[str(split)]] = _cells(table)
    if not {"train", "test"} & parts.keys():
        raise ValueError(f"dataset: {name} has the parts {', '.join(map(str, found))}, expected train")
    return HubDataset(folder.name, parts)


def _cells(table: Any) -> dict[str, list[Any]]:
    """Returns the columns of a table, with the names of classes in place of their numbers. -1 is no class."""
    found = table.to_dict()
    for name, feature in table.features.items():
        if hasattr(feature, "int2str"):
            found[name] = [None if cell is None or cell < 0 else feature.int2str(cell) for cell in found[name]]
    return found

"""Printing predictions as CSV, and the summary of a run."""

import csv
import math
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

from zoo.cli.errors import UsageError


def print_predictions(batches: list[list[dict[str, Any]]], world_size: int, is_main: bool) -> None:
    """Prints the rows of all ranks as CSV on standard output. Only the main process prints."""
    if world_size > 1:
        batches = gather(batches, world_size)
    rows = [{name: text_of(value) for name, value in row.items()} for batch in batches for row in batch]
    if rows and is_main:
        names = list(dict.fromkeys(name for row in rows for name in row))  # rows can have different columns
        writer = csv.DictWriter(sys.stdout, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def gather(batches: list[list[Any]], world_size: int) -> list[list[Any]]:
    """Returns the rows of all ranks in the order of the data. Each rank has every n-th row of a batch."""
    import torch

    ranks: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(ranks, batches)
    together = zip_longest(*ranks, fillvalue=[])
    return [[row for rows in zip_longest(*shares) for row in rows if row is not None] for shares in together]


def text_of(value: Any) -> Any:
    """Returns a value as the text of a cell. A list's items are joined with spaces, or bars if one has a space."""
    if not isinstance(value, list):
        return value
    items = [f"{item:.6g}" if isinstance(item, float) else str(item) for item in value]
    return (" | " if any(" " in item for item in items) else " ").join(items)


def save_figure(figure: Any, path: Path, option: str) -> None:
    """Saves a picture. The option that names the file is for the message.

    Raises:
        UsageError: If the file can't be written, or its ending is not that of a picture.
    """
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UsageError(f"{option}: {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{option}: {path}: expected a picture, for example {path.stem}.png") from error


def print_summary(summary: dict[str, Any], folder: Path) -> None:
    """Prints a run's metrics and the path of its folder."""
    speed = f", {summary['items_per_s']:,.0f} {summary['item']}/s" if summary["items_per_s"] else ""
    print(f"\n{summary['epochs']} epochs, {summary['steps']} steps in {summary['wall_s']:.0f} s{speed}")
    print(f"  {summary['params']:,} parameters")
    for name, values in summary["metrics"].items():
        last, best = (math.nan if value is None else value for value in (values["last"], values["best"]))
        print(f"  {name:<22} {last:.4f}   best {best:.4f}")
    for name, values in summary.get("baselines", {}).items():
        shown = (f"{metric} {math.nan if value is None else value:.4f}" for metric, value in values.items())
        print(f"  baseline: {name}: {', '.join(shown)}")
    names = ("curves.png", "summary.json", "checkpoints/best.ckpt")
    print(f"run folder: {folder}   ({', '.join(name for name in names if (folder / name).exists())})")

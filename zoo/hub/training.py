"""What is known of how a checkpoint was trained: from the checkpoint itself, and from the folder of its run."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.files.private import file_names, without_folders

VERSIONS = ("torch", "lightning", "zoo", "python")
Rows = list[dict[str, str]]


def about_training(path: Path, found: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the card of a checkpoint says, see `zoo.files.card`. Unknown facts are left out.

    Args:
        path: The checkpoint. If it is in the folder of a run, the run's metrics and summary are read.
        found: Its contents.
        arguments: The fields of its model's config, which the card shows anyway.
    """
    summary, rows = _read_run(path.parent.parent)
    text = found.get("config")
    config = yaml.safe_load(text) if isinstance(text, str) else None
    config = config if isinstance(config, dict) else {}
    metrics, epoch = _metrics(path, found, summary, rows)
    data = _of(summary, "data") or _of(_of(_of(found, "resume"), "facts"), "data")
    names = file_names(map(str, data))
    made: dict[str, Any] = {
        "data": {names[str(name)]: str(digest) for name, digest in data.items()},
        "metrics": {name: _rounded(value) for name, value in metrics.items()},
        "optimizer": _optimizer(found, config),
        "schedule": _describe(config.get("lr_scheduler")) or ("constant" if config else ""),
        "training_options": _options(found, arguments),
        "seed": "" if config.get("seed_everything") is None else str(config["seed_everything"]),
        "trained_for": _length(found, summary, epoch),
        "training_time": _time(found),
        "hardware": _hardware(found, summary),
        "versions": _versions(found, summary),
    }
    if config:
        made["config_yaml"] = yaml.safe_dump(without_folders(config), sort_keys=False, allow_unicode=True)
    return {key: value for key, value in made.items() if value or key in ("data", "metrics")}


def _read_run(folder: Path) -> tuple[Mapping[str, Any], Rows]:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a run that was killed has none
        summary = {}
    try:
        with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        rows = []
    return summary if isinstance(summary, dict) else {}, rows


def _of(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


# -- metrics


def _metrics(
    path: Path, found: Mapping[str, Any], summary: Mapping[str, Any], rows: Rows
) -> tuple[dict[str, float], int | None]:
    """Returns the metrics of these weights, and the epoch after which they were measured.

    A row of `metrics.csv` is of these weights if it was written at their step. The test is of the best checkpoint.
    Training metrics are means over an epoch, in which the weights changed: they stand in only if there is no
    validation.
    """
    step = _step(found)
    here = {name: value for row in rows if row.get("step") == str(step - 1) for name, value in _numbers(row).items()}
    epochs = [text for row in rows if row.get("step") == str(step - 1) and (text := row.get("epoch") or "").isdigit()]
    epoch = int(epochs[-1]) + 1 if epochs else None
    metrics = {name: value for name, value in here.items() if name.startswith("val/")}
    if not any(name.startswith("val/") for row in rows for name in _numbers(row)):
        metrics = {name: value for name, value in here.items() if name.startswith("train/")}
    if summary.get("status") == "finished" and (path.name == "best.ckpt" or step == _best_step(summary, rows)):
        tested = [values for row in rows if (values := _numbers(row)) and any(n.startswith("test/") for n in values)]
        for name, value in (tested[-1] if tested else {}).items():
            metrics |= {name: value} if name.startswith("test/") else {}
    return {name: metrics[name] for name in sorted(metrics)}, epoch


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    values = {}
    for name, text in row.items():
        if name and text and "/" in name and not name.endswith("_step"):
            try:
                values[name] = float(text)
            except (TypeError, ValueError):
                continue
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _rounded(value: float) -> float:
    """Returns a value with four decimals, or with four digits if it is small."""
    return round(value, 4) if abs(value) >= 1e-3 else float(f"{value:.4g}")


def _step(found: Mapping[str, Any]) -> int:
    """The number of batches after which the optimizer stepped, by which Lightning counts the rows of metrics."""
    loop = _of(_of(_of(found, "loops"), "fit_loop"), "epoch_loop.state_dict")
    step = loop.get("_batches_that_stepped", found.get("global_step"))
    return step if isinstance(step, int) else 0


def _best_step(summary: Mapping[str, Any], rows: Rows) -> int | None:
    monitor = summary.get("monitor")
    if not (isinstance(monitor, list) and len(monitor) == 2):
        return None
    name, mode = monitor
    values = [(values[name], int(row["step"])) for row in rows if name in (values := _numbers(row)) and row.get("step")]
    if not values:
        return None
    best = (max if mode == "max" else min)(value for value, _ in values)
    return next(step for value, step in values if value == best) + 1  # of equal ones, the first is kept


# -- optimizer and length


def _optimizer(found: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    states = found.get("optimizer_states")
    group = states[0]["param_groups"][0] if isinstance(states, list) and states else {}
    now = group.get("lr") if isinstance(group, dict) else None
    lr = _of(found, "hyper_parameters").get("lr")
    text = _describe(config.get("optimizer")) or (f"Adam, lr {lr}" if config and lr is not None else "")
    if isinstance(now, float):
        here = f"learning rate {now:.4g} at this checkpoint"
        return f"{text}; {here}" if text else here
    return text


def _describe(entry: Any) -> str:
    """Returns a class of a config with its options, without those that are unset."""
    if not isinstance(entry, dict) or not isinstance(entry.get("class_path"), str):
        return ""
    options = entry.get("init_args") or {}
    shown = [f"{key} {value}" for key, value in options.items() if value is not None and value is not False]
    return ", ".join([entry["class_path"].rpartition(".")[2], *map(str, without_folders(shown))])


def _options(found: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Returns the task's arguments that its model does not have, for example the teacher forcing."""
    options = {key: value for key, value in _of(found, "hyper_parameters").items() if key not in (*arguments, "lr")}
    return ", ".join(f"{key} {without_folders(value)}" for key, value in options.items() if value is not None)


def _length(found: Mapping[str, Any], summary: Mapping[str, Any], epoch: int | None) -> str:
    steps, finished = found.get("global_step"), found.get("epoch")
    epochs = epoch if epoch is not None else finished
    if not isinstance(steps, int) or not isinstance(epochs, int):
        return ""
    text = f"{_count(epochs, 'epoch')}, {_count(steps, 'step')}"
    progress = _of(_of(_of(found, "loops"), "fit_loop"), "epoch_loop.batch_progress")
    if epoch is not None and progress.get("is_last_batch") is False:
        text = f"{_count(steps, 'step')}, within epoch {epoch}"
    whole = summary.get("steps")
    if isinstance(whole, int) and whole > steps:
        text += f"; the run went on to {_count(summary.get('epochs', 0), 'epoch')}, {_count(whole, 'step')}"
    status = summary.get("status")
    return text if status in (None, "finished") else f"{text}; the run is not finished: {status}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" + ("" if number == 1 else "s")


def _time(found: Mapping[str, Any]) -> str:
    seconds = _of(found, "run").get("wall_seconds")
    if not isinstance(seconds, int | float):
        return ""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _hardware(found: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    known = summary.get("hardware")
    if isinstance(known, str) and known:
        return known
    facts = _of(_of(found, "resume"), "facts")
    threads = facts.get("threads")
    parts = [facts.get("processor"), _count(threads, "thread") if isinstance(threads, int) else None]
    return ", ".join(str(part) for part in parts if part)


def _versions(found: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    known = dict(_of(summary, "versions"))
    known.setdefault("torch", _of(_of(found, "resume"), "facts").get("torch"))
    known.setdefault("lightning", found.get("pytorch-lightning_version"))
    return ", ".join(f"{name} {known[name]}" for name in VERSIONS if known.get(name))

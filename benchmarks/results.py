"""Retrains configs over some seeds, and writes what they reach into `benchmarks/results.csv`.

    python benchmarks/results.py configs/mnist_rnn.yaml --seeds 1 2 3
    python benchmarks/results.py configs/*.yaml --keep        only those runs that are not there yet

A run is `python -m zoo fit --config CONFIG --seed_everything SEED`, in `runs/results/<config>/<seed>`. Its best
checkpoint is scored, in evaluation mode, on the last part that the data has: the test part, or else validation, or
else training. Beside the mean over seeds stands what the naive baseline of `baselines.py` reaches on the same part.
`cards.py` writes the README's table and the models' cards from the file.
"""

import argparse
import csv
import json
import platform
import shutil
import statistics
import subprocess
import sys
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch

import zoo
from baselines import baseline, load_data
from datamodules import SequenceData
from zoo import Task

ROOT = Path(__file__).parent.parent
RUNS = Path("runs/results")
TABLE = ROOT / "benchmarks" / "results.csv"
COLUMNS = (
    *("config", "metric", "seeds", "mean", "std", "values", "shipped", "shipped_dtype"),
    *("baseline", "baseline_value", "lift", "parameters", "item", "items_per_s", "minutes", "peak_memory_mb"),
    *("hardware", "torch", "commit", "date", "data"),
)


def commit() -> str:
    """The commit that is trained; `+` marks changes that are in no commit."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def hardware() -> str:
    """The processor's name, and how many threads torch uses."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{name}, {torch.get_num_threads()} thread(s)"


def train(config: Path, seed: int, keep: bool) -> Path:
    """Trains a config; returns the run's folder. A run that was cut short goes on where it stopped."""
    run = RUNS / config.stem / str(seed)
    if (run / "commit").exists() and keep:
        return run
    command = [sys.executable, "-m", "zoo", "fit", "--config", str(config)]
    command += ["--seed_everything", str(seed), "--run_dir", str(run)]
    if keep and (run / "checkpoints" / "last.ckpt").exists():
        command.append("--resume")
    else:
        shutil.rmtree(run, ignore_errors=True)
    trained = commit()
    subprocess.run(command, check=True)
    (run / "commit").write_text(trained + "\n")
    return run


def evaluate(task: Task, data: SequenceData) -> tuple[str, float]:
    """The metric of a task on the last part of its data: its name, with the part, and its value."""
    part = data.last_part()
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about loaders without workers
        (found,) = trainer.validate(task, data.loader(part), verbose=False)
    name = task.shown[0]  # the one that a reader asks for first
    return f"{part}/{name}", found[f"val/{name}"]


def in_half_precision(task: Task) -> Task:
    """The task with weights as half precision keeps them."""
    for weight in task.network.parameters():
        weight.data = weight.data.half().float()
    return task


def shipped(task: Task, data: SequenceData, max_bytes: float = 4e6) -> tuple[float, str]:
    """What the weights reach as they are stored: in half precision, where the figure doesn't move or the size asks."""
    _, full = evaluate(task, data)
    size = 4 * sum(weight.numel() for weight in task.network.parameters())
    _, half = evaluate(in_half_precision(task), data)
    return (half, "float16") if round(half, 4) == round(full, 4) or size > max_bytes else (full, "float32")


def measure(config: Path, seeds: list[int], keep: bool) -> dict[str, Any]:
    """Trains and scores a config; returns its row of the table."""
    runs = [train(config, seed, keep) for seed in seeds]
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    data = load_data(config)
    tasks = [zoo.load(run / "checkpoints" / "best.ckpt") for run in runs]
    scored = [evaluate(task, data) for task in tasks]
    metric, values = scored[0][0], [value for _, value in scored]
    guess = baseline(data)
    better = 1 if tasks[0].higher_is_better(f"val/{metric.split('/')[1]}") else -1
    kept, dtype = shipped(tasks[0], data)
    mean = statistics.mean(values)
    return {
        "config": config.stem,
        "metric": metric,
        "seeds": " ".join(map(str, seeds)),
        "mean": f"{mean:.4f}",
        "std": f"{statistics.stdev(values):.4f}" if len(values) > 1 else "",
        "values": " ".join(f"{value:.4f}" for value in values),
        "shipped": f"{kept:.4f}",
        "shipped_dtype": dtype,
        "baseline": guess.name,
        "baseline_value": f"{guess.value:.4f}",
        "lift": f"{better * (mean - guess.value):.4f}",
        "parameters": summaries[0]["params"],
        "item": summaries[0]["item"],
        "items_per_s": round(statistics.median(s["items_per_s"] for s in summaries)),
        "minutes": f"{statistics.median(s['wall_s'] for s in summaries) / 60:.1f}",
        "peak_memory_mb": round(max(s["peak_rss_mb"] for s in summaries)),
        "hardware": hardware(),
        "torch": summaries[0]["versions"]["torch"],
        "commit": " ".join(dict.fromkeys((run / "commit").read_text().strip() for run in runs)),
        "date": f"{datetime.fromtimestamp((runs[-1] / 'summary.json').stat().st_mtime).astimezone():%Y-%m-%d}",
        "data": " ".join(f"{name}={digest}" for name, digest in summaries[0]["data"].items()),
    }


def read_table() -> dict[str, dict[str, str]]:
    """The rows of the table, by config."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="") as file:
        return {row["config"]: row for row in csv.DictReader(file)}


def write_table(rows: dict[str, dict[str, Any]]) -> None:
    """Writes the table, in the order of the configs' names."""
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def main() -> None:
    """Trains, scores, and brings the table up to date after each config."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--keep", action="store_true", help="keep runs that are there, and go on with those cut short")
    parser.add_argument("--train_only", action="store_true", help="leave the table as it is")
    options = parser.parse_args()
    L.pytorch._logger.setLevel("ERROR")
    for config in options.configs:
        if options.train_only:
            for seed in options.seeds:
                train(config, seed, options.keep)
            continue
        row = measure(config, options.seeds, options.keep)
        write_table({**read_table(), config.stem: row})
        spread = f" ± {row['std']}" if row["std"] else ""
        print(
            f"{config.stem:<20} {row['metric']:<16} {row['mean']}{spread}   {row['baseline']} {row['baseline_value']}"
        )


if __name__ == "__main__":
    main()

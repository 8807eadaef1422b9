"""Retrains configs over some seeds, and writes what they reach into `benchmarks/results.csv`.

    python benchmarks/results.py configs/mnist_rnn.yaml --seeds 1 2 3 4 5
    python benchmarks/results.py configs/mnist_rnn.yaml --seeds 6 7 --add     two seeds more
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
from zoo import Model, Task

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
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


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


def evaluate(model: Model, data: SequenceData) -> tuple[str, float]:
    """The metric of a model on the last part of its data: its name, with the part, and its value."""
    task, part = Task.from_model(model), data.last_part()
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


def in_half_precision(model: Model) -> Model:
    """The model with weights as half precision keeps them."""
    for weight in model.network.parameters():
        weight.data = weight.data.half().float()
    return model


def shipped(model: Model, data: SequenceData, max_bytes: float = 4e6) -> tuple[float, str]:
    """What the weights reach as they are stored: in half precision, where the figure doesn't move or the size asks."""
    _, full = evaluate(model, data)
    size = 4 * sum(weight.numel() for weight in model.network.parameters())
    _, half = evaluate(in_half_precision(model), data)
    return (half, "float16") if round(half, 4) == round(full, 4) or size > max_bytes else (full, "float32")


def measure(config: Path, seeds: list[int], keep: bool, before: dict[str, str] | None = None) -> dict[str, Any]:
    """Trains and scores a config; returns its row of the table.

    Args:
        config: The config.
        seeds: The seeds to train.
        keep: Whether runs that are there are kept.
        before: The config's row so far, of other seeds, to add to.
    """
    runs = [train(config, seed, keep) for seed in seeds]
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    data = load_data(config)
    models = [zoo.load(run / "checkpoints" / "best.ckpt") for run in runs]
    scored = [evaluate(model, data) for model in models]
    metric, values = scored[0][0], [value for _, value in scored]
    guess = baseline(data)
    better = 1 if Task.from_model(models[0]).higher_is_better(f"val/{metric.split('/')[1]}") else -1
    if before is not None:
        values = [*map(float, before["values"].split()), *values]
        mean = statistics.mean(values)
        lift = better * (mean - guess.value)
        seeds = [*map(int, before["seeds"].split()), *seeds]
        commits = " ".join(dict.fromkeys([*before["commit"].split(), *(commit_of(run) for run in runs)]))
        return {**before, **spread(seeds, values), "lift": f"{lift:.4f}", "commit": commits}
    kept, dtype = shipped(models[0], data)
    mean = statistics.mean(values)
    return {
        "config": config.stem,
        "metric": metric,
        **spread(seeds, values),
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
        "commit": " ".join(dict.fromkeys(commit_of(run) for run in runs)),
        "date": f"{datetime.fromtimestamp((runs[-1] / 'summary.json').stat().st_mtime).astimezone():%Y-%m-%d}",
        "data": " ".join(f"{name}={digest}" for name, digest in summaries[0]["data"].items()),
    }


def commit_of(run: Path) -> str:
    """The commit that a run was trained with."""
    return (run / "commit").read_text().strip()


def spread(seeds: list[int], values: list[float]) -> dict[str, str]:
    """What the table says of the values over seeds: the mean, the standard deviation, and all of them."""
    return {
        "seeds": " ".join(map(str, seeds)),
        "mean": f"{statistics.mean(values):.4f}",
        "std": f"{statistics.stdev(values):.4f}" if len(values) > 1 else "",
        "values": " ".join(f"{value:.4f}" for value in values),
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--add", action="store_true", help="keep the row's values of other seeds, and add to them")
    parser.add_argument("--keep", action="store_true", help="keep runs that are there, and go on with those cut short")
    parser.add_argument("--train_only", action="store_true", help="leave the table as it is")
    options = parser.parse_args()
    L.pytorch._logger.setLevel("ERROR")
    for config in options.configs:
        if options.train_only:
            for seed in options.seeds:
                train(config, seed, options.keep)
            continue
        before = read_table().get(config.stem) if options.add else None
        row = measure(config, options.seeds, options.keep, before)
        write_table({**read_table(), config.stem: row})
        deviation = f" ± {row['std']}" if row["std"] else ""
        guess = f"{row['baseline']} {row['baseline_value']}"
        print(f"{config.stem:<20} {row['metric']:<16} {row['mean']}{deviation}   {guess}")


if __name__ == "__main__":
    main()

"""Trains every cell at the same number of parameters on the tasks of `cells.yaml`, and measures its speed.

    python benchmarks/cells.py                                     all runs that are not in cells.csv yet
    python benchmarks/cells.py --part 1 2                          a half of them, for one of two processes
    python benchmarks/cells.py --cells lstm min_gru --tasks adding --seeds 1 2
    python benchmarks/cells.py --speed                             the engines, and each cell's speed

A run is `python -m zoo fit --config runs/cells/TASK/CELL/SEED.yaml`, with a config that this script writes. It is
scored by its best checkpoint on the test part. The file gets one line for each run, when the run has ended, so that
a second start goes on where the first one stopped, in the middle of a run, too. `cells_page.py` writes the results in
docs/cells.md from it.
"""

import argparse
import csv
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

import datamodules
import zoo
from harness import ROOT, fork
from results import commit
from zoo.nn import CELLS, Recurrent
from zoo.nn.engines.diagonal import diagonal, scan
from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import run_steps

SETTINGS = yaml.safe_load((ROOT / "benchmarks" / "cells.yaml").read_text())
TABLE = ROOT / "benchmarks" / "cells.csv"
RUNS = Path("runs/cells")
TOLERANCE = 0.03  # of the number of parameters
COLUMNS = ("task", "cell", "seed", "metric", "value", "hidden_size", "parameters", "minutes", "commit")
SPEED = "speed"
DIVERGED = "the loss is not finite"  # what `fit` says; the value is then nan
OWN = "own"  # the task of a cell's claim, in a setting of its own
TASKS = [*SETTINGS["tasks"], OWN]


class Run(NamedTuple):
    """One training."""

    task: str
    cell: str
    seed: int


# -- the table


def read_table() -> dict[tuple[str, str, str, str], dict[str, str]]:
    """The rows, by task, cell, seed and metric."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="") as file:
        return {(row["task"], row["cell"], row["seed"], row["metric"]): row for row in csv.DictReader(file)}


def add(*rows: dict[str, Any]) -> None:
    """Adds rows to the table, in one write, so that two processes can do it."""
    if not TABLE.exists():
        TABLE.write_text(",".join(COLUMNS) + "\n")
    with TABLE.open("a") as file:
        file.write("".join(",".join(str(row.get(name, "")) for name in COLUMNS) + "\n" for row in rows))


def sort_table() -> None:
    """Puts the rows in order, the last one of each run alone."""
    tasks = [*TASKS, SPEED]
    rows = sorted(read_table().values(), key=lambda row: (tasks.index(row["task"]), row["cell"], row["seed"]))
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# -- trainings


@cache
def facts(task: str) -> dict[str, Any]:
    """The facts of a task's data."""
    given = SETTINGS["tasks"][task]["config"]["data"]
    data = getattr(datamodules, given["class_path"])(**given.get("init_args", {}))
    data.prepare_data()
    data.setup()
    return dict(data.spec)


def block(task: str) -> dict[str, Any]:
    """What is around each layer in a task."""
    found: dict[str, Any] = SETTINGS["tasks"][task].get("block", SETTINGS["block"])
    return found


def count_parameters(task: str, cell: str, hidden_size: int) -> int:
    """The number of parameters of a task's model."""
    given = SETTINGS["tasks"][task]["config"]["model"]
    make = getattr(zoo, given["class_path"])
    known = {name: value for name, value in facts(task).items() if name in make.facts}
    made = make(cell=cell, hidden_size=hidden_size, **block(task), **known, **given.get("init_args", {}))
    with torch.device("meta"):
        made.configure_model()
    return sum(weight.numel() for weight in made.model.network.parameters())


@cache
def size(task: str, cell: str) -> int:
    """The hidden size whose number of parameters is nearest to that of all cells.

    Raises:
        ValueError: If none is within the tolerance.
    """
    wanted, low, high = SETTINGS["parameters"], 1, 1024
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count_parameters(task, cell, middle) <= wanted else (low, middle)
    found = min((low, high), key=lambda hidden: abs(count_parameters(task, cell, hidden) - wanted))
    parameters = count_parameters(task, cell, found)
    if abs(parameters / wanted - 1) > TOLERANCE:
        raise ValueError(f"{task}: {cell} with {found} units has {parameters} parameters, expected about {wanted}")
    return found


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The first settings, with what the second ones say."""
    both = {
        key: merge(first[key], value) if isinstance(value, dict) and isinstance(first.get(key), dict) else value
        for key, value in second.items()
    }
    return {**first, **both}


def task_of(run: Run) -> dict[str, Any]:
    """The settings of a run's task."""
    name = SETTINGS["cells"][run.cell]["task"] if run.task == OWN else run.task
    found: dict[str, Any] = SETTINGS["tasks"][name]
    return found


def config(run: Run) -> dict[str, Any]:
    """The config of a run, as `fit` takes it."""
    given = merge(SETTINGS["common"], task_of(run)["config"])
    if run.task == OWN:
        given = merge(given, {"model": {"init_args": {"cell": run.cell}}})
        given = merge(given, SETTINGS["cells"][run.cell]["own"])
    else:
        options = {"cell": run.cell, "hidden_size": size(run.task, run.cell), **block(run.task)}
        given = merge(given, {"model": {"init_args": options}})
    return {"seed_everything": run.seed, **given}


def train(run: Run) -> dict[str, Any]:
    """Trains a run, or goes on with it; returns its row.

    Raises:
        RuntimeError: If it failed. Its log says why.
    """
    folder = RUNS / run.task / run.cell
    folder.mkdir(parents=True, exist_ok=True)
    file, out, log = (folder / f"{run.seed}{end}" for end in (".yaml", "", ".log"))
    file.write_text(yaml.safe_dump(config(run), sort_keys=False))
    command = ["fit", "--config", str(file), "--run_dir", str(out)]
    if (out / "checkpoints" / "last.ckpt").exists():
        command.append("--resume")
    else:
        shutil.rmtree(out, ignore_errors=True)
    _, status = os.waitpid(fork(command, log=log), 0)
    metric = task_of(run)["metric"]
    hidden_size = config(run)["model"]["init_args"]["hidden_size"]
    row = {**run._asdict(), "metric": metric, "hidden_size": hidden_size, "commit": commit()}
    if status and DIVERGED in log.read_text():
        return {**row, "value": math.nan}
    if status:
        raise RuntimeError(
            f"{run.task}, {run.cell}, seed {run.seed}: it ended with {os.waitstatus_to_exitcode(status)}; see {log}"
        )
    summary = json.loads((out / "summary.json").read_text())
    shutil.rmtree(out / "checkpoints")
    value = f"{summary['metrics'][f'test/{metric}']['last']:.4g}"
    return {**row, "value": value, "parameters": summary["params"], "minutes": f"{summary['wall_s'] / 60:.2f}"}


def wanted(options: argparse.Namespace) -> Iterator[Run]:
    """The runs of a part that the options name, without those that are in the table."""
    known, (number, of) = read_table(), options.part
    runs = [
        Run(task, cell, seed)
        for task in options.tasks
        for seed in options.seeds or (SETTINGS["tasks"][task]["seeds"] if task != OWN else [1])
        for cell in options.cells
        if task != OWN or "own" in SETTINGS["cells"][cell]
    ]
    runs.sort(key=lambda run: run.seed)  # the first seed of all tasks comes first
    for run in runs[number - 1 :: of]:
        if (run.task, run.cell, str(run.seed), task_of(run)["metric"]) not in known:
            yield run


# -- speed


def interleaved(*calls: Callable[[], Any], repeats: int = 7) -> list[float]:
    """The median seconds of each call, measured in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(repeats):
        for call, found in zip(calls, times, strict=True):
            start = perf_counter()
            call()
            found.append(perf_counter() - start)
    return [median(found) for found in times]


def log_space(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The scan of positive numbers by sums of logarithms, as in "Were RNNs all we needed?" (Feng et al. 2024)."""
    factors = a.log().cumsum(1)
    terms = torch.cat([h.log()[:, None], b.log() - factors], dim=1)
    return (factors + terms.logcumsumexp(1)[:, 1:]).exp()


def gradients(run: Callable[..., Tensor], *given: Tensor) -> Callable[[], Any]:
    """A forward and a backward pass."""
    return lambda: torch.autograd.grad(run(*given).sum(), given)


def trains(run: Callable[..., tuple[Tensor, Any]], *given: Any) -> Callable[[], Any]:
    """A forward and a backward pass of a layer or a model."""
    return lambda: run(*given)[0].sum().backward()


def engines() -> None:
    """Prints how the engines compare with what is otherwise used."""
    rows, steps, width = 16, 256, 512
    a, b = (torch.rand(rows, steps, width).clamp(0.01).requires_grad_() for _ in range(2))
    h = torch.rand(rows, width).clamp(0.01).requires_grad_()
    own, parallel, logs = interleaved(*(gradients(run, a, b, h) for run in (diagonal, scan, log_space)))
    print(f"diagonal, T {steps}, B {rows}, H {width}: {own * 1e3:.1f} ms")
    print(f"  times as long: associative_scan {parallel / own:.1f}, log-space scan {logs / own:.1f}")

    rows, steps, width = 64, 100, 256
    x = torch.randn(rows, steps, width)
    own, other = interleaved(*(trains(Recurrent(width, width, cell=cell), x) for cell in ("min_gru", "gru")))
    print(f"min_gru, T {steps}, B {rows}, H {width}: {rows * steps / own:,.0f} steps a second")
    print(f"  times the speed of nn.GRU: {other / own:.2f}")

    for rows, width in ((64, 256), (32, 128), (32, 64), (16, 128)):
        print(f"unit by unit, times the speed of the plain loop, T {steps}, B {rows}, H {width}:")
        x = torch.randn(rows, steps, width)
        for name, cell in CELLS.items():
            if issubclass(cell, UnitWise):
                layer = cell(width, width)
                state = layer.init_state(rows)
                own, loop = interleaved(trains(layer, x, state), trains(partial(run_steps, layer), x, state))
                print(f"  {name:<18} {loop / own:.2f}")


def speed(cell: str) -> list[dict[str, Any]]:
    """The rows of a cell's speed, in the model of the task `alice`, and of the state of one stream."""
    hidden_size = size("alice", cell)
    given = SETTINGS["tasks"]["alice"]["config"]
    vocab = facts("alice")["vocab"]
    task = zoo.CharLM(vocab=vocab, cell=cell, hidden_size=hidden_size, **block("alice"), **given["model"]["init_args"])
    task.configure_model()
    model = task.model
    ids = torch.randint(len(vocab), (32, 60))
    model.train()
    (train_s,) = interleaved(trains(model, ids))
    length = 200
    (write_s,) = interleaved(lambda: model.generate("alice ", length=length, seed=1), repeats=3)
    state = model.network.recurrent.init_state(1)
    values = {
        "trains_characters_per_s": f"{ids.numel() / train_s:.0f}",
        "writes_characters_per_s": f"{length / write_s:.0f}",
        "state_bytes": sum(one.numel() * one.element_size() for one in state),
    }
    shared = {"task": SPEED, "cell": cell, "hidden_size": hidden_size, "commit": commit()}
    return [{**shared, "metric": metric, "value": value} for metric, value in values.items()]


def main() -> None:
    """Trains or measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=[*CELLS], default=[*CELLS], metavar="CELL")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: those of each task")
    parser.add_argument("--part", type=int, nargs=2, default=[1, 1], metavar=("NUMBER", "OF"), help="of the runs")
    parser.add_argument("--speed", action="store_true", help="measure speeds, and train nothing")
    options = parser.parse_args()
    if not 1 <= options.part[0] <= options.part[1]:
        parser.error(f"--part: got {options.part}, expected a NUMBER from 1 to OF")
    torch.set_num_threads(1)
    if options.speed:
        engines()
        for cell in options.cells:
            add(*(rows := speed(cell)))
            print(cell, *(row["value"] for row in rows))
        sort_table()
        return
    for run in wanted(options):
        try:
            row = train(run)
        except RuntimeError as error:  # the next start tries it again
            print(f"error: {error}")
            continue
        add(row)
        minutes = row.get("minutes", "diverged")
        print(f"{run.task:<16} {run.cell:<18} seed {run.seed}  {row['metric']} {row['value']}  minutes {minutes}")
    if options.part == [1, 1]:
        sort_table()


if __name__ == "__main__":
    main()

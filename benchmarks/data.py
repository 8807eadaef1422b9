"""What large texts cost: memory, the first encoding, the second start, and the speed of batches.

    python benchmarks/data.py 100 1000

The text of each size (in MB) is made of the two books in the cache, repeated with changes, in ten files. Every
row is a whole `zoo fit` of 20 steps in a process of its own; the first row is one of a text of 4 kB.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from datamodules import TextFile
from datamodules.sources.cache import cache_dir
from zoo import CharLM

BOOKS = ("gutenberg/11.txt", "gutenberg/11027.txt")
FIT = "--model CharLM --model.hidden_size 8 --trainer.max_epochs 1 --trainer.limit_train_batches 20"
FIT += " --trainer.limit_val_batches 2 --trainer.enable_checkpointing false --trainer.enable_model_summary false"
FIT += " --data.test_fraction 0 --trainer.accelerator cpu"


class Cost(NamedTuple):
    """Of a process."""

    seconds: float
    peak_mb: float


def write_text(folder: Path, megabytes: int) -> None:
    """Writes ten files: both books again and again, each time with some other letters."""
    text = "".join((cache_dir() / name).read_text(encoding="utf-8-sig") for name in BOOKS)
    draw = random.Random(0)
    for number in range(10):
        left = megabytes * 10**5
        with (folder / f"{number}.txt").open("wb") as file:
            while left > 0:
                letters = draw.sample("abcdefghijklmnopqrstuvwxyz", 2)
                data = text.replace(*letters).encode()[:left]
                left -= file.write(data.decode(errors="ignore").encode()) or left


def fit(options: str, data_dir: Path, folder: Path) -> Cost:
    """Runs `zoo fit`, and returns what it cost."""
    run = str(folder / f"run{time.time()}")
    command = [sys.executable, "-m", "zoo", "fit", *options.split(), *FIT.split(), "--run_dir", run]
    environment = {**os.environ, "ZOO_DATA_DIR": str(data_dir), "OMP_NUM_THREADS": "1"}
    os.sync()  # what was written before is not part of it
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: {errors.decode()}")
    return Cost(time.perf_counter() - start, usage.ru_maxrss / 1024)


def batches_per_lstm_step(folder: Path, data_dir: Path, steps: int = 50) -> float:
    """How many batches of 64 windows of 60 are made while a layer of 512 LSTM units learns from one."""
    before = os.environ.get("ZOO_DATA_DIR")
    os.environ["ZOO_DATA_DIR"] = str(data_dir)
    torch.set_num_threads(1)
    data = TextFile(str(folder), batch_size=64, test_fraction=0)
    data.setup()
    os.environ.pop("ZOO_DATA_DIR") if before is None else os.environ.update(ZOO_DATA_DIR=before)
    task = CharLM(hidden_size=512)
    task.bind(data.spec, "data")
    task.configure_model()
    optimizer = torch.optim.Adam(task.model.parameters())
    batches = iter(data.train_dataloader())
    made, learned = [], []
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        made.append(time.perf_counter() - start)
        logits, _ = task.model(batch.inputs)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        learned.append(time.perf_counter() - start - made[-1])
    return median(learned) / median(made)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", type=int, nargs="+")
    parser.add_argument("--symbols", default="characters")
    given = parser.parse_args()
    print("| text, MB | start | s | MB/s | peak, MB | above empty, MB | s above empty | batches per LSTM step |")
    print("|---|---|---|---|---|---|---|---|")
    for size in given.megabytes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("ZOO_BENCH_DIR")) as name:
            folder, cache = Path(name) / "texts", Path(name) / "cache"
            folder.mkdir()
            write_text(folder, size)
            (Path(name) / "small.txt").write_text("ab" * 2000)
            one = f"--data TextFile --data.paths {name}/small.txt"
            empty = fit(one, cache, Path(name))
            options = f"--data TextFile --data.paths {folder} --data.symbols {given.symbols}"
            first, second = fit(options, cache, Path(name)), fit(options, cache, Path(name))
            again = fit(one, cache, Path(name))
            base = Cost(min(empty.seconds, again.seconds), min(empty.peak_mb, again.peak_mb))
            print(f"| - | empty | {base.seconds:.1f} | | {base.peak_mb:.0f} | | | |")
            speed = size / (first.seconds - base.seconds)
            above = first.peak_mb - base.peak_mb
            print(f"| {size} | first | {first.seconds:.1f} | {speed:.0f} | {first.peak_mb:.0f} | {above:.0f} | | |")
            ratio, above = batches_per_lstm_step(folder, cache), second.peak_mb - base.peak_mb
            row = f"| {size} | second | {second.seconds:.1f} | | {second.peak_mb:.0f} | {above:.0f} |"
            print(f"{row} {second.seconds - base.seconds:.2f} | {ratio:.0f} |", flush=True)


if __name__ == "__main__":
    main()

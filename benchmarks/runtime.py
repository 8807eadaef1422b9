"""Exported models in `zoo.runtime`, against the same models in PyTorch: the first answer, and generation.

    python benchmarks/runtime.py [--repeats 5] [--python OTHER/bin/python] [MODEL]

The first table has whole processes that load a language model and write 20 characters: medians of the rounds, which run
in turn, and the peak memory. `--python` takes an environment that has NumPy and onnxruntime alone for the export.
The second one has characters per second of `generate_batch` in this process, interleaved, on one thread: medians, and
the median of the rounds' ratios.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import zoo
import zoo.runtime
from startup import run
from zoo.graphs import write

ROOT = Path(__file__).parent.parent
PROMPT, LENGTH = "alice was", 400
STREAMS = (1, 64)


def first_answers(source: str, folder: Path, python: str, repeats: int) -> None:
    """Prints the table of whole processes."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    code = "print({load}({source!r}).generate({prompt!r}, 20, temperature=0))"
    ways = {
        "zoo.runtime": (python, f"{path}import zoo.runtime\n", "zoo.runtime.load", str(folder)),
        "zoo": (sys.executable, f"{path}import zoo\n", "zoo.load", source),
    }
    rounds = []
    for _ in range(repeats + 1):
        rounds.append(
            {
                name: run(binary, ["-c", head + code.format(load=load, source=what, prompt=PROMPT)])
                for name, (binary, head, load, what) in ways.items()
            }
        )
    del rounds[0]  # it warms the disk's cache
    print("| a process, to its first answer | seconds | peak memory, MB |\n|---|---|---|")
    for name in ways:
        seconds, memory = (statistics.median(found[name][part] for found in rounds) for part in (0, 1))
        print(f"| `{name}.load` | {seconds:.2f} | {memory:.0f} |")


def generation(model: Any, exported: Any, repeats: int) -> None:
    """Prints the table of characters per second."""
    print("\n| streams | zoo.runtime | PyTorch | ratio | its range |\n|---|---|---|---|---|")
    for streams in STREAMS:
        rounds = []
        for _ in range(repeats + 1):
            rates = []
            for one in (exported, model):
                began = time.perf_counter()
                one.generate_batch([PROMPT] * streams, LENGTH, temperature=0.7, seed=1)
                rates.append(streams * LENGTH / (time.perf_counter() - began))
            rounds.append(rates)
        del rounds[0]
        fast, slow = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = sorted(first / second for first, second in rounds)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"| {streams} | {fast:,.0f} | {slow:,.0f} | {statistics.median(ratios):.2f} | {spread} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="char_lm_lstm.alice")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = zoo.load(options.model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "export"
        write(model, folder)
        first_answers(options.model, folder, str(Path(options.python).absolute()), options.repeats)
        generation(model, zoo.runtime.load(folder), options.repeats)


if __name__ == "__main__":
    main()

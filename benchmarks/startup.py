"""What a command costs before it does anything: seconds of whole processes, as ratios to an import.

    python benchmarks/startup.py [--repeats 5] [--python OTHER/bin/python]

- `zoo infer` of the toy translator, against `import torch`: the ratio says what zoo adds to torch.
- `zoo fit` of one epoch of the toy, against `import lightning.pytorch`.

All run in turn, each in a process of its own, on one thread; a figure is the median of the rounds, a ratio the median
of the rounds' ratios. Beside them stands the peak memory of a process.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "import torch": ["-c", "import torch"],
    "infer": ["-m", "zoo", "infer", "seq2seq_rnn.toy_en_ko", "word"],
    "import lightning.pytorch": ["-c", "import lightning.pytorch"],
    "fit": ["-m", "zoo", "fit", "--config", "toy_en_ko", "--trainer.max_epochs", "1", "--run_dir", "run"],
}
AGAINST = {"infer": "import torch", "fit": "import lightning.pytorch"}
MEASURE = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
MEASURE += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def run(python: str, arguments: list[str]) -> tuple[float, float]:
    """Runs a process in an empty folder; returns its seconds and its peak memory in MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, python, *arguments],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return time.perf_counter() - began, int(done.stdout) / 1024


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="of another environment, to compare with")
    options = parser.parse_args()
    python = str(Path(options.python).absolute())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rounds = [{name: run(python, words) for name, words in COMMANDS.items()} for _ in range(options.repeats + 1)]
    del rounds[0]  # it warms the disk's cache
    print(f"medians of {options.repeats}, one thread, each in a process of its own\n")
    print("| process | s | peak memory, MB | ratio to its import | its range |\n|---|---|---|---|---|")
    for name in COMMANDS:
        seconds, memory = (statistics.median(found[name][part] for found in rounds) for part in (0, 1))
        cells = ["", ""]
        if name in AGAINST:
            ratios = sorted(found[name][0] / found[AGAINST[name]][0] for found in rounds)
            cells = [f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}"]
        print(f"| `{name}` | {seconds:.2f} | {memory:.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

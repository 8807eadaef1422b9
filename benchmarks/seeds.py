"""A config over several seeds: the mean and the standard deviation of its metrics.

    python benchmarks/seeds.py configs/mnist_rnn.yaml --seeds 1 2 3
    python benchmarks/seeds.py configs/three_steps.yaml --seeds 1 2 3 4 5 --predict_inputs '[[25, 35, 45]]'

Each seed is one `python -m zoo fit`, in a run folder of its own below `runs/seeds`. What a run tested is shown, or
else its last epoch.
"""

import argparse
import json
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path


def zoo(*args: str) -> str:
    """Runs a command, and returns what it printed."""
    command = [sys.executable, "-m", "zoo", *args]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Prints one line for each metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--predict_inputs", help="what to predict with each run's best checkpoint")
    options = parser.parse_args()
    folder = Path("runs") / "seeds" / options.config.stem / f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}"
    values: dict[str, list[float]] = {}
    for seed in options.seeds:
        run = folder / str(seed)
        zoo("fit", "--config", str(options.config), "--seed_everything", str(seed), "--run_dir", str(run))
        metrics = json.loads((run / "summary.json").read_text())["metrics"]
        tested = {name: value for name, value in metrics.items() if name.startswith("test/")}
        for name, value in (tested or metrics).items():
            values.setdefault(name, []).append(value["last"])
        if options.predict_inputs:
            best = str(run / "checkpoints" / "best.ckpt")
            print(zoo("predict", "--ckpt_path", best, "--data.predict_inputs", options.predict_inputs), end="")
    for name, found in values.items():
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        each = " ".join(f"{value:.4f}" for value in found)
        print(f"{name:<22} {statistics.mean(found):.4f} ± {spread:.4f}   seeds {options.seeds}: {each}")


if __name__ == "__main__":
    main()

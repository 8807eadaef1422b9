"""Retrains configs over some seeds, and writes `results.csv`."""

import argparse
import subprocess
import sys
from pathlib import Path

RUNS = Path("runs/results")


def commit() -> str:
    """The commit that is trained; `+` marks changes that are in no commit."""
    command = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def train(config: Path, seed: int) -> Path:
    """Trains a config, unless that was done already; returns the run's folder."""
    run = RUNS / config.stem / str(seed)
    if not (run / "commit").exists():
        command = [sys.executable, "-m", "zoo", "fit", "--config", str(config)]
        command += ["--seed_everything", str(seed), "--run_dir", str(run)]
        subprocess.run([*command, *(["--resume"] if (run / "checkpoints" / "last.ckpt").exists() else [])], check=True)
        (run / "commit").write_text(commit() + "\n")
    return run


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    for config in options.configs:
        for seed in options.seeds:
            train(config, seed)


if __name__ == "__main__":
    main()

"""Writes the README's table, the configs' heads and the models' cards from `results.csv` and `cards.yaml`.

python benchmarks/cards.py              bring all up to date
python benchmarks/cards.py --check      only say what isn't
python benchmarks/cards.py --weights    take the weights of the runs in `runs/results` (first seed), too
python benchmarks/cards.py --weights co2 addition    those of some configs only
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from results import ROOT, RUNS, read_table
from zoo.files import bundle
from zoo.hub import export

README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks/cards.py writes this table -->\n", "<!-- until here -->\n"
Row = dict[str, str]


def figure(row: Row) -> str:
    """A row's mean, standard deviation and range."""
    values = sorted(row["values"].split(), key=float)
    return f"{row['mean']} ± {row['std']} ({values[0]} to {values[-1]})" if row["std"] else row["mean"]


def seeds(row: Row) -> str:
    """How many seeds there were."""
    count = len(row["seeds"].split())
    return f"{count} seeds" if count > 1 else "1 seed"


def duration(minutes: str) -> str:
    """Minutes in words."""
    return f"{float(minutes):.0f} min" if float(minutes) >= 1 else "less than a minute"


def about(words: dict[str, str], row: Row) -> dict[str, Any]:
    """What a shipped model's card says, see `zoo.files.card`."""
    pipeline = {"pipeline": words["pipeline"]} if "pipeline" in words else {}  # else the card has its task's own
    return {
        "title": words["title"],
        "description": f"{words['model']}, trained by `configs/{row['config']}.yaml`.",
        "config": row["config"],
        "dataset": words["dataset"],
        "data": dict(item.rsplit("=", 1) for item in row["data"].split()),
        "split": words["split"],
        "recipe": f"python -m zoo fit --config {row['config']} --seed_everything {row['seeds'].split()[0]}",
        "metrics": {row["metric"]: float(row["shipped"])},
        "spread": f"{row['metric']} {figure(row)} over {seeds(row)} ({row['seeds']})",
        "baseline": f"{row['baseline']}: {float(row['baseline_value']):.4f}; lift {row['lift']}",
        "hardware": f"{row['hardware']}, PyTorch {row['torch']}, {row['date']}, commit {row['commit']}",
        "training_time": f"{duration(row['minutes'])}, {int(row['items_per_s']):,} {row['item']} a second",
        "license": "mit",
        "limits": words["limits"],
        "use": f'import zoo\n\nmodel = zoo.load("{words["bundle"]}")\n{words["use"]}',
        **pipeline,
    }


def table(words: dict[str, dict[str, str]], rows: dict[str, Row]) -> str:
    """The README's table."""
    lines = [
        "| config | what it learns | model | reaches | naive baseline | seeds | time |",
        "|---|---|---|---|---|---|---|",
    ]
    for config, said in words.items():
        row = rows[config]
        mark = "" if row["metric"].startswith("test/") else " *"
        guess = f"{float(row['baseline_value']):.4f} ({row['baseline']})"
        count = len(row["seeds"].split())
        cells = (f"`{config}`", said["title"], said["model"], f"{row['metric']} {figure(row)}{mark}", guess)
        lines.append("| " + " | ".join((*cells, str(count), duration(row["minutes"]))) + " |")
    return "\n".join(lines) + "\n"


def write_weights(name: str, row: Row) -> None:
    """Makes a shipped bundle of the first seed's best checkpoint."""
    run = RUNS / row["config"] / row["seeds"].split()[0]
    export(run / "checkpoints" / "best.ckpt", bundle.SHIPPED / name, half=row["shipped_dtype"] == "float16")


def files(words: dict[str, dict[str, str]], rows: dict[str, Row]) -> dict[Path, str]:
    """All files that are written, with what belongs in them."""
    found: dict[Path, str] = {}
    index = {}
    for config, said in words.items():
        if "bundle" in said:
            folder = bundle.SHIPPED / said["bundle"]
            known = bundle.read_config(folder)
            described = {**known, "about": about(said, rows[config])}
            found |= {folder / file: text for file, text in bundle.describe(described).items()}
            index[said["bundle"]] = bundle.sha256(found[folder / bundle.CONFIG].encode())
    found[bundle.INDEX] = json.dumps(dict(sorted(index.items())), indent=1) + "\n"
    for config, row in rows.items():
        path = ROOT / "configs" / f"{config}.yaml"
        text = f"{row['metric']} {figure(row)} ({seeds(row)}); {row['baseline']} {row['baseline_value']}"
        found[path] = re.sub(r"^# Scored:.*$", f"# Scored: {text}", path.read_text(), count=1, flags=re.MULTILINE)
    before, _, rest = README.read_text().partition(BEGIN)
    found[README] = before + BEGIN + table(words, rows) + END + rest.partition(END)[2]
    return found


def main() -> None:
    """Writes, or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if a file is out of date, naming it")
    parser.add_argument("--weights", nargs="*", metavar="CONFIG", help="make bundles anew from runs/results")
    options = parser.parse_args()
    words = yaml.safe_load((ROOT / "benchmarks" / "cards.yaml").read_text())
    rows = read_table()
    if options.weights is not None:
        for config, said in words.items():
            if "bundle" in said and (not options.weights or config in options.weights):
                write_weights(said["bundle"], rows[config])
    stale = {path: text for path, text in files(words, rows).items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if not options.check:
            path.write_text(text)
        print(f"{'out of date' if options.check else 'written'}: {path.relative_to(ROOT)}")
    if stale and options.check:
        sys.exit("run python benchmarks/cards.py")


if __name__ == "__main__":
    main()

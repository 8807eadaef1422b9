"""Writes the results in docs/cells.md, with their picture, from `cells.csv` and `cells.yaml`.

python benchmarks/cells_page.py            bring it up to date
python benchmarks/cells_page.py --check    only say whether it is
"""

import argparse
import math
import statistics
import sys
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from cells import OWN, SETTINGS, SPEED, read_table
from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter

from results import ROOT
from zoo.nn import CELLS

PAGE, PICTURE = ROOT / "docs" / "cells.md", ROOT / "docs" / "cells.svg"
BEGIN, END = "<!-- benchmarks/cells_page.py writes this part -->\n", "<!-- until here -->\n"
MOST_BITS = 2.4  # of the picture; worse cells are marked at its upper edge
NAME_HEIGHT, LETTER_WIDTH = 0.009, 0.0045  # in bits, and in powers of ten of characters a second
LOWER = ("mse", "bpc")  # metrics of which less is better
TITLES = {
    "adding": "adding, MSE",
    "copy": "copy",
    "parity": "parity",
    "permutations": "S3",
    "mnist_rows": "MNIST, rows",
    "mnist_permuted": "MNIST, permuted",
    "alice": "Alice, bpc",
    "alice_plain": "Alice, one plain layer, bpc",
    "grimm": "Grimm, bpc",
}
SPEEDS = {
    "trains_characters_per_s": "trains, characters/s",
    "writes_characters_per_s": "writes, characters/s",
    "state_bytes": "state, bytes",
}
Values = dict[str, dict[str, list[float]]]  # task, or metric of speed -> cell -> the value of each seed


def values() -> Values:
    """All values of the table."""
    found: Values = {}
    for (task, cell, _, metric), row in read_table().items():
        found.setdefault(metric if task == SPEED else task, {}).setdefault(cell, []).append(float(row["value"]))
    return found


def shown(task: str, found: list[float] | None) -> str:
    """A mean, and the deviation where there is more than one seed."""
    if not found:
        return ""
    digits = {"mse": 4, "bpc": 3}.get(SETTINGS["tasks"][task]["metric"], 4 if task.startswith("mnist") else 2)
    ended = [value for value in found if not math.isnan(value)]
    if len(ended) < len(found):
        return "diverged" if len(ended) <= 1 else f"{len(found) - len(ended)} of {len(found)} diverged"
    mean = f"{statistics.mean(found):.{digits}f}"
    return mean if len(found) == 1 else f"{mean} ± {statistics.stdev(found):.{digits}f}"


def table(known: Values) -> list[str]:
    """The table of all cells, the best ones on Alice first."""
    alice = {cell: statistics.mean(found) for cell, found in known.get("alice", {}).items()}
    order = sorted(CELLS, key=lambda cell: alice[cell] if alice.get(cell, math.nan) < math.inf else math.inf)
    lines = [
        f"| cell | {' | '.join([*TITLES.values(), *SPEEDS.values()])} |",
        "|---" * (len(TITLES) + len(SPEEDS) + 1) + "|",
    ]
    for cell in order:
        cells = [shown(task, known.get(task, {}).get(cell)) for task in TITLES]
        cells += [f"{known[name][cell][-1]:,.0f}" if cell in known.get(name, {}) else "" for name in SPEEDS]
        lines.append(f"| `{cell}` | {' | '.join(cells)} |")
    return lines


def verdict(cell: str, about: dict[str, Any], known: Values) -> str:
    """What a cell is for, and whether what its paper says of it was seen here."""
    line = f"- `{cell}`: {about['for']}."
    if "claim" not in about:
        return line
    task = about["task"]
    less = SETTINGS["tasks"][task]["metric"] in LOWER
    if "better_than" in about:
        other = known.get(task, {}).get(about["better_than"], [math.nan])
        bound = statistics.mean(other) + about.get("slack", 0.0) * (1 if less else -1)
        against = f"`{about['better_than']}`: {shown(task, other)}"
    else:
        bound = about["bound"]
        against = f"{'at most' if less else 'at least'} {bound}"

    def seen(found: list[float] | None) -> str:
        if not found or math.isnan(bound):
            return "not measured"
        held = statistics.mean(found) <= bound if less else statistics.mean(found) >= bound
        return f"**{'seen' if held else 'not seen'}** ({shown(task, found)}; {against})"

    result = seen(known.get(task, {}).get(cell))
    if "own" in about:
        result += f"; with {about['own_about']}: {seen(known.get(OWN, {}).get(cell))}"
    tried = f" {about['tried']}" if "tried" in about else ""
    return f"{line} Its paper says that {about['claim']}: {result}.{tried}"


def draw(known: Values) -> None:
    """Draws bits per character on Alice over the speed of training, with the name of each cell."""
    bits = {cell: statistics.mean(found) for cell, found in known.get("alice", {}).items()}
    speeds = {cell: found[-1] for cell, found in known.get("trains_characters_per_s", {}).items()}
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    axes.set_xscale("log")
    axes.set_xlabel("training: characters a second, one thread")
    axes.set_ylabel("Alice, held out: bits per character")
    axes.grid(alpha=0.3)
    placed: list[tuple[float, float, float]] = []  # the names: their left and right ends, and their heights
    for cell in sorted(bits.keys() & speeds.keys(), key=lambda cell: (bits[cell], cell)):
        x, y, name = speeds[cell], bits[cell], cell
        if not y <= MOST_BITS:  # above the picture, or diverged
            name, y = f"{cell} ({y:.2f})" if y > MOST_BITS else f"{cell} (diverged)", MOST_BITS
        left, right = x * 1.012, x * 1.012 * 10 ** (LETTER_WIDTH * len(name))
        places = (y + NAME_HEIGHT * number / 2 * sign for number in range(99) for sign in (1, -1))
        place = next(
            place
            for place in places
            if not any(
                abs(place - other) < NAME_HEIGHT and left < end and start < right for start, end, other in placed
            )
        )
        placed.append((left, right, place))
        (line,) = axes.plot(x, y, "^" if y == MOST_BITS else "o", markersize=4)
        arrow = {"arrowstyle": "-", "color": line.get_color(), "alpha": 0.4, "lw": 0.6} if place != y else None
        axes.annotate(
            name, (x, y), xytext=(left, place), fontsize=8, va="center", color=line.get_color(), arrowprops=arrow
        )
    axes.set_xlim(right=max(end for _, end, _ in placed))
    axes.set_ylim(top=MOST_BITS + 3 * NAME_HEIGHT)
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.xaxis.set_minor_formatter(EngFormatter())
    mpl.rcParams["svg.hashsalt"] = "cells"
    figure.savefig(PICTURE, metadata={"Date": None})


def page() -> str:
    """The page, with this part as the table has it."""
    known = values()
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    about = SETTINGS["cells"]
    lines = [*table(known), "", "![Bits per character over the speed of training](cells.svg)", ""]
    lines += [verdict(cell, about[cell], known) for cell in CELLS]
    return before + BEGIN + "\n".join(lines) + "\n" + END + after


def main() -> None:
    """Writes the page and its picture, or compares the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = page()
    if options.check:
        if text != PAGE.read_text():
            sys.exit("docs/cells.md is not what benchmarks/cells.csv says; run python benchmarks/cells_page.py")
        return
    PAGE.write_text(text)
    draw(values())


if __name__ == "__main__":
    main()

"""Measures exported models, and writes the table in docs/export.md.

    python benchmarks/export.py                       measure all, and write the table (15 minutes)
    python benchmarks/export.py --models lstm gru     measure some, and keep the other rows; none: only write the page
    python benchmarks/export.py --check               only say whether the page has what `export.csv` says

The models are those of the package, and for each cell an untrained language model of 50 symbols and 128 units. A step
is one of a single row on one thread, in PyTorch and in onnxruntime in float32 and in int8: a language model or decoder
gets the next symbol and its state, with PyTorch's weights laid out by `stepper()`; another model reads a whole
sequence, whose time is divided by its steps. It is the time of the processor, so that other processes matter less. The
three take turns; a figure is the median of the rounds, a ratio the median of the rounds' ratios.
"""

import argparse
import csv
import datetime
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import onnxruntime
import torch

import zoo
from results import ROOT
from zoo import graphs
from zoo.cli import scoring
from zoo.graphs import Export
from zoo.models import CharLMModel, Model, Seq2SeqModel
from zoo.nn import CELLS
from zoo.runs.hardware import processor

TABLE, PAGE = ROOT / "benchmarks" / "export.csv", ROOT / "docs" / "export.md"
BEGIN, END = "<!-- benchmarks/export.py writes this part -->\n", "<!-- until here -->\n"
SYMBOLS, HIDDEN = 50, 128  # of a cell's model
STEPS = 28  # of a sequence that a model reads as a whole, as of a digit
ROUNDS, SECONDS = 15, 0.02  # of each way in a round
COLUMNS = (
    *("model", "difference", "torch_difference", "float32_bytes", "int8_bytes", "torch_us", "float32_us", "int8_us"),
    *("float32_ratio", "int8_ratio", "metric", "float32", "int8", "part", "machine"),
)
HEADS = (
    *("model", "ONNX differs by", "torch differs by", "float32, MB", "int8, MB", "PyTorch, µs", "float32, µs"),
    *("int8, µs", "PyTorch / float32", "PyTorch / int8", "metric", "in float32", "in int8"),
)
NOTABLE = 0.1  # a gain that is worth a word
Row = dict[str, Any]


def models() -> dict[str, Callable[[], Model]]:
    """What is measured, by name."""
    found: dict[str, Callable[[], Model]] = {
        name: lambda name=name: zoo.load(name) for name in zoo.list_models(pretrained=True)
    }
    return found | {cell: lambda cell=cell: untrained(cell) for cell in CELLS}


def untrained(cell: str) -> Model:
    """The model of a cell."""
    torch.manual_seed(0)
    return zoo.create(f"char_lm_{cell}", vocab=[chr(97 + symbol) for symbol in range(SYMBOLS)], hidden_size=HIDDEN)


def in_torch(model: Model, example: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    """A step in PyTorch, or a whole sequence."""
    if not isinstance(model, CharLMModel | Seq2SeqModel):
        graph = model.graphs()["sequence"]
        return lambda: graph.run(*example)
    step = (model.network if isinstance(model, CharLMModel) else model.network.decoder).stepper()
    ids, *state = example
    return lambda: step(ids, tuple(state))


def in_onnx(export: Export, example: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    """The same in onnxruntime, without PyTorch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(export.data, options, providers=["CPUExecutionProvider"])
    given = {name: one.numpy() for name, one in zip(export.inputs, example, strict=True)}
    return lambda: session.run(None, given)


def times(ways: list[Callable[[], object]]) -> list[list[float]]:
    """Microseconds of each way, in each round."""
    counts = [max(1, round(SECONDS / _time(way, 3))) for way in ways]
    rounds = [[_time(way, count) * 1e6 for way, count in zip(ways, counts, strict=True)] for _ in range(ROUNDS + 1)]
    return [list(found) for found in zip(*rounds[1:], strict=True)]


def _time(way: Callable[[], object], count: int) -> float:
    began = time.thread_time()
    for _ in range(count):
        way()
    return (time.thread_time() - began) / count


@torch.no_grad()
def measure(name: str, model: Model) -> Row:
    """A row of the table."""
    model = graphs.plain(model)
    float32 = graphs.export(model)
    int8 = graphs.quantize(model, float32)
    key = "step" if "step" in float32 else "sequence"
    example = model.graphs()[key].example(1, STEPS)
    steps = 1 if key == "step" else example[0].shape[1]
    ways = [in_torch(model, example), in_onnx(float32[key], example), in_onnx(int8[key], example)]
    found = times(ways)
    ratios = [statistics.median(a / b for a, b in zip(found[0], other, strict=True)) for other in found[1:]]
    row = {
        "model": name,
        "difference": max(one.difference for one in float32.values()),
        "torch_difference": max(one.difference for one in graphs.export(model, "torch").values()),
        "float32_bytes": sum(len(one.data) for one in float32.values()),
        "int8_bytes": sum(len(one.data) for one in int8.values()),
        **{
            f"{way}_us": statistics.median(found[place]) / steps
            for place, way in enumerate(("torch", "float32", "int8"))
        },
        "float32_ratio": ratios[0],
        "int8_ratio": ratios[1],
        "machine": f"{processor()}, PyTorch {torch.__version__.partition('+')[0]}, onnxruntime "
        f"{onnxruntime.__version__}, {datetime.date.today():%B %Y}",
    }
    if name in CELLS:
        return row
    try:
        scores = scoring.compare(name, [], model, int8)
    except scoring.NotMeasured as error:
        print(f"{name}: {error}", file=sys.stderr)
        return row
    return row | {column: scores[column] for column in ("metric", "float32", "int8", "part") if column in scores}


def read_table() -> dict[str, Row]:
    """The rows that are known, by model."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def write_table(rows: dict[str, Row]) -> None:
    """Writes the rows, in the order of the models."""
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in models() if name in rows)


def shown(row: Row) -> str:
    """A line of the page."""
    metric = row["metric"] + (f" ({float(row['part']):.0%} of the data)" if row["part"] else "")
    cells = [f"`{row['model']}`", *(f"{float(row[name]):.0e}" for name in ("difference", "torch_difference"))]
    cells += [f"{float(row[name]) / 1e6:.2f}" for name in ("float32_bytes", "int8_bytes")]
    cells += [f"{float(row[name]):.0f}" for name in ("torch_us", "float32_us", "int8_us")]
    cells += [f"{float(row[name]):.2f}" for name in ("float32_ratio", "int8_ratio")]
    cells += [metric, *(value_of(row[name]) for name in ("float32", "int8"))]
    return f"| {' | '.join(cells)} |"


def value_of(text: str) -> str:
    """A metric with four decimals, or two digits if it is small."""
    return "" if text == "" else f"{float(text):.4f}" if float(text) >= 1e-3 else f"{float(text):.1e}"


def summary(rows: dict[str, Row]) -> str:
    """What the table says."""
    slow = [f"`{name}`" for name, row in rows.items() if float(row["float32_ratio"]) < 1]
    gains = {name: float(row["float32_us"]) / float(row["int8_us"]) for name, row in rows.items()}
    faster = [f"`{name}`" for name, gain in gains.items() if gain > 1 + NOTABLE]
    slower = [gain for gain in gains.values() if gain < 1]
    shares = [float(row["float32_bytes"]) / float(row["int8_bytes"]) for row in rows.values()]
    machines = " and ".join(sorted({row["machine"] for row in rows.values()}))
    return f"""\
In onnxruntime, a step of {len(rows) - len(slow)} of {len(rows)} models takes less time than in PyTorch; \
not of {", ".join(slow) or "none"}.

In int8, files are {min(shares):.1f} to {max(shares):.1f} times smaller. A step is more than {NOTABLE:.0%} faster than \
in float32 for {len(faster)} models: {", ".join(faster) or "none"}. It is slower for {len(slower)}, by up to \
{1 / min(gains.values()) - 1:.0%}.

A step of one row, in microseconds of the processor, on one thread: {machines}.
`benchmarks/export.py` says how it was measured. Models without a metric are untrained."""


def page() -> str:
    """The page, with this part as the table has it."""
    rows = read_table()
    before, rest = PAGE.read_text().split(BEGIN)
    head = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    lines = [summary(rows), "", *head, *map(shown, rows.values())]
    return before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1]


def main() -> None:
    """Measures and writes, or compares the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=list(models()), metavar="MODEL")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if given.check:
        if page() != PAGE.read_text():
            sys.exit("docs/export.md is not what benchmarks/export.csv says; run python benchmarks/export.py")
        return
    torch.set_num_threads(1)
    rows = read_table()
    for name in given.models:
        rows[name] = measure(name, models()[name]())
        write_table(rows)
        print(shown({**dict.fromkeys(COLUMNS, ""), **rows[name]}), flush=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()

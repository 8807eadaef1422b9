"""The command export: a model as a bundle, or as graphs that run without this package."""

import argparse
from pathlib import Path
from typing import Any

from zoo import hub
from zoo.cli.arguments import Command
from zoo.cli.errors import UsageError
from zoo.cli.use import parser
from zoo.models import Model

FORMATS = ("bundle", "onnx", "torch")


def run(command: Command) -> int:
    """Exports a model; returns the exit code."""
    command.import_packages()
    text = "Turn a checkpoint into a bundle: a folder that loads anywhere, without pickle."
    options = parser("export", text, exports=False)
    options.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="the folder to write")
    options.add_argument("--half", action="store_true", help="store the weights in half precision")
    options.add_argument(
        "--format",
        choices=FORMATS,
        default="bundle",
        help="onnx: graphs that run without PyTorch; torch: programs of torch.export, which run without this package",
    )
    options.add_argument("--int8", action="store_true", help="with --format onnx: store the matrices in 8 bits")
    given = options.parse(command.argv)
    if given.output.exists() and (not given.output.is_dir() or any(given.output.iterdir())):
        raise UsageError(f"--output: {given.output} already exists; give a new folder")
    if given.half and given.format != "bundle":
        raise UsageError(f"--half: it has no effect with --format {given.format}")
    if given.int8 and given.format != "onnx":
        raise UsageError("--int8: it needs --format onnx")
    try:
        if given.format == "bundle":
            return _export_bundle(given)
        return _export_graphs(given, command.packages)
    except UnicodeError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error


def _export_bundle(given: argparse.Namespace) -> int:
    config = hub.export(given.model, given.output, half=given.half)
    size = sum(file.stat().st_size for file in given.output.iterdir())
    print(f"{given.output}: {config['name']}, {config['parameters']:,} parameters, {size / 1e6:.2f} MB")
    return 0


def _export_graphs(given: argparse.Namespace, packages: list[str]) -> int:
    """Writes the graphs of a model."""
    from zoo import graphs

    model = hub.load(given.model)
    more: dict[str, Any] = {}
    try:
        found = graphs.export(model, given.format)
    except ModuleNotFoundError as error:
        if given.format != "onnx":
            raise
        raise UsageError(f"--format onnx: it needs {error.name}; pip install 'rnn-zoo[onnx]'") from error
    if given.int8:
        before = sum(len(graph.data) for graph in found.values())
        found = graphs.quantize(model, found)
        more["int8"] = _scores(given.model, packages, model, found)
    graphs.save(model, found, given.output, **more)
    for name, graph in found.items():
        path, size = given.output / graphs.file_name(name, graph), len(graph.data) / 1e6
        print(f"{path}: {size:.2f} MB, differs from the model by at most {graph.difference:.1e}")
    if given.int8:
        size = sum(len(graph.data) for graph in found.values())
        print(f"int8: {size / 1e6:.2f} MB, {before / 1e6:.2f} MB in float32")
        print(_describe(more["int8"]))
    return 0


def _scores(source: str, packages: list[str], model: Model, found: Any) -> dict[str, Any]:
    """Returns the metric before and after, or why it was not measured."""
    from zoo.cli import scoring

    try:
        return scoring.compare(source, packages, model, found)
    except scoring.NotMeasured as error:
        return {"not_measured": " ".join(str(error).split())}


def _describe(scores: dict[str, Any]) -> str:
    if "not_measured" in scores:
        return f"the metric was not measured: {scores['not_measured']}"
    part = f", {scores['part']:.0%} of the data" if "part" in scores else ""
    return (
        f"{scores['metric']}: {scores['int8']:.4f}, {scores['float32']:.4f} in float32 "
        f"({scores['items']:,} {scores['counted']}{part})"
    )

"""The command page: a web page on which visitors try models."""

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.sources.cache import cached
from zoo import hub
from zoo.cli.arguments import Command, Parser
from zoo.cli.errors import UsageError
from zoo.cli.sources import name_of
from zoo.runtime.loading import is_export

if TYPE_CHECKING:
    from zoo.models import Model


def page(argv: list[str]) -> int:
    """Writes a page that runs models in the browser."""
    options = Parser("page", "Write a web page on which visitors try models, for any web host.")
    options.add_argument(
        "models", nargs="+", metavar="MODEL", help="what `zoo export` takes, or a folder that it wrote as onnx"
    )
    options.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="the folder to write")
    given = options.parse(argv)
    folder: Path = given.output
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--output: {folder} already exists; give a new folder")
    try:
        from zoo.page import runtime
        from zoo.page.writing import write
    except ModuleNotFoundError as error:
        raise UsageError(f"page: it needs {error.name}; pip install 'rnn-zoo[onnx]'") from error
    archive = cached(runtime.NAME, runtime.URL, runtime.check)
    found: dict[str, Model | Path] = {}
    for source in given.models:
        name = name_of(source)
        if name in found:
            raise UsageError(f"page: two of the models have the name {name}")
        found[name] = Path(source) if is_export(Path(source)) else hub.load(source)
    write(found, folder, archive)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    models = f"{len(found)} model{'s' if len(found) > 1 else ''}"
    print(f"{folder}: {models}, {size / 1e6:.1f} MB; to look at it: python -m http.server --directory {folder}")
    return 0


def run(command: Command) -> int:
    """Runs page; returns the exit code."""
    command.import_packages()
    try:
        return page(command.argv)
    except UnicodeError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error

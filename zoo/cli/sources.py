"""Where the commands that use a model find it."""

from pathlib import Path
from typing import Any

from zoo.cli.errors import UsageError
from zoo.runtime.loading import is_export


def load(source: str) -> Any:
    """Returns the model of any source of `zoo.load`, or of an export, for which PyTorch is not imported.

    Raises:
        UsageError: If it can't be loaded.
    """
    folder = Path(source).expanduser()
    try:
        if is_export(folder):
            from zoo import runtime

            return runtime.load(folder)
        from zoo import hub

        return hub.load(source)
    except ModuleNotFoundError as error:
        if error.name == "onnxruntime":
            raise UsageError(f"{source}: {error}") from error
        raise UsageError(f"{source}: no export, and other models need {error.name}; pip install rnn-zoo") from error
    except ValueError as error:
        raise UsageError(str(error)) from error

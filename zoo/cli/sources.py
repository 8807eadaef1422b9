"""Where the commands that use a model find it."""

import re
from pathlib import Path
from typing import Any

from zoo.cli.errors import UsageError
from zoo.runtime.loading import is_export


def load(source: str, threads: int | None = None) -> Any:
    """Returns the model of any source of `zoo.load`, or of an export, for which PyTorch is not imported.

    Args:
        source: The source.
        threads: Threads of one operation. None: what the library takes.

    Raises:
        UsageError: If it can't be loaded.
    """
    folder = Path(source).expanduser()
    try:
        if is_export(folder):
            from zoo import runtime

            return runtime.load(folder, threads or 1)
        import torch

        from zoo import hub

        if threads is not None:
            torch.set_num_threads(threads)
        return hub.load(source)
    except ModuleNotFoundError as error:
        if error.name == "onnxruntime":
            raise UsageError(f"{source}: {error}") from error
        raise UsageError(f"{source}: no export, and other models need {error.name}; pip install rnn-zoo") from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def name_of(source: str) -> str:
    """Returns the name of a model in addresses: the last part of its source, with characters that addresses take.

    Example:
        >>> name_of("char_lm_lstm.alice"), name_of("runs/my toy/")
        ('char_lm_lstm.alice', 'my-toy')
    """
    last = (
        Path(source).resolve().name.removesuffix(".ckpt")
        if Path(source).exists()
        else source.rstrip("/").rpartition("/")[2]
    )
    return re.sub(r"[^\w.-]+", "-", last, flags=re.ASCII).strip(".-") or "model"

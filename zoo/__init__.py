"""A Lightning-based, reusable zoo of recurrent sequence models.

Public names are resolved when they are first used, so that `import zoo` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CharLM": "zoo.tasks",
    "create": "zoo.pretrained",
    "list_models": "zoo.pretrained",
    "load": "zoo.pretrained",
    "register_model": "zoo.pretrained",
    "Regressor": "zoo.tasks",
    "Seq2Seq": "zoo.tasks",
    "SeqClassifier": "zoo.tasks",
    "Task": "zoo.tasks",
    "Recurrent": "zoo.nn",
    "Vocab": "zoo.vocab",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

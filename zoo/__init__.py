"""A Lightning-based, reusable zoo of recurrent sequence models.

Public names are resolved when they are first used, so that `import zoo` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo import plots as plots
    from zoo.hub import create as create
    from zoo.hub import export as export
    from zoo.hub import list_models as list_models
    from zoo.hub import load as load
    from zoo.hub import register_model as register_model
    from zoo.models import Model as Model
    from zoo.models import ModelConfig as ModelConfig
    from zoo.nn import Recurrent as Recurrent
    from zoo.runs.display import ProgressBar as ProgressBar
    from zoo.tasks import CharLM as CharLM
    from zoo.tasks import Regressor as Regressor
    from zoo.tasks import Seq2Seq as Seq2Seq
    from zoo.tasks import SeqClassifier as SeqClassifier
    from zoo.tasks import SeqTagger as SeqTagger
    from zoo.tasks import Task as Task
    from zoo.vocab import Vocab as Vocab

__version__ = "0.2.0"

_HOMES = {
    "CharLM": "zoo.tasks",
    "create": "zoo.hub",
    "export": "zoo.hub",
    "list_models": "zoo.hub",
    "load": "zoo.hub",
    "Model": "zoo.models",
    "ModelConfig": "zoo.models",
    "ProgressBar": "zoo.runs.display",
    "Recurrent": "zoo.nn",
    "register_model": "zoo.hub",
    "Regressor": "zoo.tasks",
    "Seq2Seq": "zoo.tasks",
    "SeqClassifier": "zoo.tasks",
    "SeqTagger": "zoo.tasks",
    "Task": "zoo.tasks",
    "Vocab": "zoo.vocab",
}
_MODULES = ("plots",)
__all__ = ["__version__", *_HOMES, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"zoo.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

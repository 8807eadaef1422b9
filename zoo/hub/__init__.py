"""The registry of models: what there is, what has weights, and how models are loaded and saved."""

from zoo.hub.exporting import export
from zoo.hub.loading import load, load_checkpoint
from zoo.hub.registry import create, list_models, register_model
from zoo.hub.transfer import freeze, initialize_from

__all__ = [
    "create",
    "export",
    "freeze",
    "initialize_from",
    "list_models",
    "load",
    "load_checkpoint",
    "register_model",
]

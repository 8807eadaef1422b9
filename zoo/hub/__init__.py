"""The registry of models: listing, creating, loading and saving them."""

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

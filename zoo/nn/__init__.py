"""Plain `nn.Module`s: recurrent stacks and the networks built on them."""

from zoo.nn.networks import CharNet, ClassifierNet, EncoderDecoder, OneHot, RegressorNet
from zoo.nn.recurrent import CELLS, Cell, Recurrent, State, initialize

__all__ = [
    "CELLS",
    "Cell",
    "CharNet",
    "ClassifierNet",
    "EncoderDecoder",
    "OneHot",
    "Recurrent",
    "RegressorNet",
    "State",
    "initialize",
]

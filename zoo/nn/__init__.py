"""Plain `nn.Module`s: recurrent stacks and the networks built on them."""

from zoo.nn.networks import CharNet, ClassifierNet, EncoderDecoder, OneHot, RegressorNet
from zoo.nn.recurrent import CELLS, Cell, CellName, InitName, Recurrent, State, initialize

__all__ = [
    "CELLS",
    "Cell",
    "CellName",
    "CharNet",
    "ClassifierNet",
    "EncoderDecoder",
    "InitName",
    "OneHot",
    "Recurrent",
    "RegressorNet",
    "State",
    "initialize",
]

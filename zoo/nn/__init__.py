"""Plain `nn.Module`s: recurrent layers, stacks of them, and the networks built on them."""

from zoo.choices import AttentionName, BridgeName, CellSpec, InitName, Norm, Pooling, cell_name
from zoo.nn.encoder_decoder import AttentionDecoder, EncoderDecoder
from zoo.nn.engines.diagonal import DiagonalLayer, diagonal
from zoo.nn.engines.unitwise import UnitWise, unitwise
from zoo.nn.layer import CELLS, Layer, State, register_cell
from zoo.nn.networks import CharNet, ClassifierNet, OneHot, RegressorNet, TaggerNet
from zoo.nn.recurrent import Recurrent, initialize
from zoo.nn.stack import StackOptions

__all__ = [
    "CELLS",
    "AttentionDecoder",
    "AttentionName",
    "BridgeName",
    "CellSpec",
    "CharNet",
    "ClassifierNet",
    "DiagonalLayer",
    "EncoderDecoder",
    "InitName",
    "Layer",
    "Norm",
    "OneHot",
    "Pooling",
    "Recurrent",
    "RegressorNet",
    "StackOptions",
    "State",
    "TaggerNet",
    "UnitWise",
    "cell_name",
    "diagonal",
    "initialize",
    "register_cell",
    "unitwise",
]

"""Plain `nn.Module`s: recurrent layers, stacks of them, and the networks built on them."""

from typing import Literal

from zoo.nn.attention import AttentionName
from zoo.nn.encoder_decoder import AttentionDecoder, BridgeName, EncoderDecoder
from zoo.nn.engines.diagonal import DiagonalLayer, diagonal
from zoo.nn.engines.unitwise import UnitWise, unitwise
from zoo.nn.layer import CELLS, CellSpec, Layer, State, cell_name, register_cell
from zoo.nn.networks import CharNet, ClassifierNet, OneHot, RegressorNet, TaggerNet
from zoo.nn.recurrent import Recurrent, initialize
from zoo.nn.stack import Norm, StackOptions

InitName = Literal["torch", "keras"]

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

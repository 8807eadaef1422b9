"""Datamodules: reading, splitting and batching data.

Public names are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.base import SequenceData as SequenceData
    from datamodules.gutenberg import Gutenberg as Gutenberg
    from datamodules.labelled import LabelledSequences as LabelledSequences
    from datamodules.mnist import MNISTRows as MNISTRows
    from datamodules.numeric import NumericSequences as NumericSequences
    from datamodules.pairs import ToySeq2Seq as ToySeq2Seq
    from datamodules.pronunciation import Pronunciations as Pronunciations
    from datamodules.punctuation import Punctuation as Punctuation
    from datamodules.series import TimeSeries as TimeSeries
    from datamodules.synthetic import AddingProblem as AddingProblem
    from datamodules.synthetic import Parity as Parity
    from datamodules.synthetic import PermutationProduct as PermutationProduct
    from datamodules.synthetic import SelectiveCopy as SelectiveCopy
    from datamodules.tagged import TaggedSequences as TaggedSequences
    from datamodules.text import TextString as TextString
    from datamodules.text_files import TextFile as TextFile
    from datamodules.text_pairs import TextPairs as TextPairs
    from datamodules.words import WordCompletion as WordCompletion

_HOMES = {
    "AddingProblem": "datamodules.synthetic",
    "Gutenberg": "datamodules.gutenberg",
    "LabelledSequences": "datamodules.labelled",
    "MNISTRows": "datamodules.mnist",
    "NumericSequences": "datamodules.numeric",
    "Parity": "datamodules.synthetic",
    "PermutationProduct": "datamodules.synthetic",
    "Pronunciations": "datamodules.pronunciation",
    "Punctuation": "datamodules.punctuation",
    "SelectiveCopy": "datamodules.synthetic",
    "SequenceData": "datamodules.base",
    "TaggedSequences": "datamodules.tagged",
    "TextFile": "datamodules.text_files",
    "TextPairs": "datamodules.text_pairs",
    "TextString": "datamodules.text",
    "TimeSeries": "datamodules.series",
    "ToySeq2Seq": "datamodules.pairs",
    "WordCompletion": "datamodules.words",
}
__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Datamodules: reading, splitting and batching data.

Public names are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.base import SequenceData as SequenceData
    from datamodules.labels.labelled import LabelledSequences as LabelledSequences
    from datamodules.labels.mnist import MNISTRows as MNISTRows
    from datamodules.labels.words import WordCompletion as WordCompletion
    from datamodules.numbers.numeric import NumericSequences as NumericSequences
    from datamodules.numbers.series import TimeSeries as TimeSeries
    from datamodules.numbers.synthetic import AddingProblem as AddingProblem
    from datamodules.numbers.synthetic import Parity as Parity
    from datamodules.numbers.synthetic import PermutationProduct as PermutationProduct
    from datamodules.numbers.synthetic import SelectiveCopy as SelectiveCopy
    from datamodules.pairs.pronunciation import Pronunciations as Pronunciations
    from datamodules.pairs.text_pairs import TextPairs as TextPairs
    from datamodules.pairs.toy import ToySeq2Seq as ToySeq2Seq
    from datamodules.tags.punctuation import Punctuation as Punctuation
    from datamodules.tags.tagged import TaggedSequences as TaggedSequences
    from datamodules.texts.files import TextFile as TextFile
    from datamodules.texts.gutenberg import Gutenberg as Gutenberg
    from datamodules.texts.text import TextString as TextString

_HOMES = {
    "AddingProblem": "datamodules.numbers.synthetic",
    "Gutenberg": "datamodules.texts.gutenberg",
    "LabelledSequences": "datamodules.labels.labelled",
    "MNISTRows": "datamodules.labels.mnist",
    "NumericSequences": "datamodules.numbers.numeric",
    "Parity": "datamodules.numbers.synthetic",
    "PermutationProduct": "datamodules.numbers.synthetic",
    "Pronunciations": "datamodules.pairs.pronunciation",
    "Punctuation": "datamodules.tags.punctuation",
    "SelectiveCopy": "datamodules.numbers.synthetic",
    "SequenceData": "datamodules.base",
    "TaggedSequences": "datamodules.tags.tagged",
    "TextFile": "datamodules.texts.files",
    "TextPairs": "datamodules.pairs.text_pairs",
    "TextString": "datamodules.texts.text",
    "TimeSeries": "datamodules.numbers.series",
    "ToySeq2Seq": "datamodules.pairs.toy",
    "WordCompletion": "datamodules.labels.words",
}
__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

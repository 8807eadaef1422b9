"""Models: networks with their vocabulary, classes or scale. They do not import Lightning."""

from zoo.models.base import Features, Model
from zoo.models.char_lm import CharLMConfig, CharLMModel
from zoo.models.config import ModelConfig
from zoo.models.regressor import RegressorConfig, RegressorModel
from zoo.models.seq2seq import Seq2SeqConfig, Seq2SeqModel
from zoo.models.seq_classifier import SeqClassifierConfig, SeqClassifierModel
from zoo.models.seq_tagger import SeqTaggerConfig, SeqTaggerModel

__all__ = [
    "CharLMConfig",
    "CharLMModel",
    "Features",
    "Model",
    "ModelConfig",
    "RegressorConfig",
    "RegressorModel",
    "Seq2SeqConfig",
    "Seq2SeqModel",
    "SeqClassifierConfig",
    "SeqClassifierModel",
    "SeqTaggerConfig",
    "SeqTaggerModel",
]

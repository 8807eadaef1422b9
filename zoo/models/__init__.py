"""Models: networks with their vocabulary, classes or scale. They do not import Lightning."""

from zoo.methods.char_lm import CharLMConfig
from zoo.methods.config import ModelConfig
from zoo.methods.regressor_config import RegressorConfig
from zoo.methods.seq2seq import Seq2SeqConfig
from zoo.methods.seq_classifier import SeqClassifierConfig
from zoo.methods.seq_tagger import SeqTaggerConfig
from zoo.models.base import Features, Model
from zoo.models.char_lm import CharLMModel
from zoo.models.regressor import RegressorModel
from zoo.models.seq2seq import Seq2SeqModel
from zoo.models.seq_classifier import SeqClassifierModel
from zoo.models.seq_tagger import SeqTaggerModel

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

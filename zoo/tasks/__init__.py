"""The five tasks: LightningModules that work with every datamodule that provides the facts they need."""

from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.char_lm import CharLM
from zoo.tasks.regressor import Regressor
from zoo.tasks.seq2seq import Seq2Seq
from zoo.tasks.seq_classifier import SeqClassifier
from zoo.tasks.seq_tagger import SeqTagger

TASKS: tuple[type[Task], ...] = (CharLM, SeqClassifier, SeqTagger, Seq2Seq, Regressor)
"""The five tasks."""

__all__ = ["TASKS", "CharLM", "Loss", "Regressor", "Seq2Seq", "SeqClassifier", "SeqTagger", "Stage", "Task"]

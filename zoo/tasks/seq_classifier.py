"""Training sequence classifiers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassF1Score

from zoo.batch import IGNORE, ClassBatch
from zoo.methods.texts import Normalization
from zoo.models import SeqClassifierModel
from zoo.nn import CellSpec, InitName, Norm
from zoo.nn.networks import Pooling
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.confusion import KeepsConfusion
from zoo.tasks.metrics import Share, summed_cross_entropy
from zoo.vocab import SymbolKind


class SeqClassifier(KeepsConfusion, Task):
    """Trains a model to predict the class of a sequence of features or symbols.

    Validation and test report `accuracy` and `macro_f1`: the mean over the classes of the F1 score, without
    the classes that neither occur nor are predicted.

    Args:
        classes: Names of the classes in the order of their ids. None: taken from the data.
        input_size: Features per step. None: taken from the data, or the inputs are symbols.
        vocab: The input symbols in the order of their ids. None: taken from the data, or the inputs
            are features.
        symbols: `characters`, `bytes`, `words` or `bpe`. None: taken from the data.
        tokenizer: The JSON of a BPE tokenizer. None: taken from the data.
        lowercase: Whether the model converts texts to lower case. None: taken from the data.
        normalization: A Unicode normal form of the texts, applied first. None: taken from the data.
        input_columns: Names of the features. None: taken from the data, or they have none.
        sequence_column: The column that tells which rows of a table are a sequence. None: taken from the data.
        mean: What the model subtracts from each feature. None: taken from the data, or nothing.
        scale: What the model divides each feature by. None: taken from the data, or nothing.
        num_steps: Steps of each sequence, T. None: taken from the data, or any length.
        max_length: Steps that the model reads of each sequence. None: taken from the data, or all.
        hidden_size: Units per layer and direction.
        num_layers: Number of recurrent layers.
        cell: A recurrent cell, for example `lstm`, or a dict with its `name` and options.
            docs/cells.md has all.
        bidirectional: Whether to also read the sequence backwards.
        pooling: `last` state, or `mean` or `max` of the outputs over time.
        embedding_dim: Size of the embedding of symbols. None: one-hot.
        dropout: Dropout between layers, see `zoo.nn.Recurrent`.
        variational_dropout: Dropout of each layer's inputs, with one mask for all steps.
        weight_drop: Dropout of recurrent weights, with one mask for all steps.
        zoneout: The probability that a number of the state stays as it was at a step.
        residual: Whether each layer's inputs are added to its outputs.
        norm: A normalization of each layer's inputs: `none`, `layer` or `rms`.
        mlp: Whether a gated MLP follows each layer. It needs `residual`.
        convolution: Steps that a causal convolution of each layer's inputs looks at; 0 is none. It needs `residual`.
        learn_state: Whether the state before the first step is learned.
        head_dropout: Dropout before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        class_weights: Factors of the training loss, one for each class in the order of `classes`. The loss of
            validation and test has no weights. None: taken from the data, or all are 1.
        lr: Learning rate of Adam.

    Example:
        >>> task = SeqClassifier(classes=["even", "odd"], vocab=["a", "b"], hidden_size=8)
        >>> task
        SeqClassifier(classes=<2>, vocab=<2>, hidden_size=8)
          no model yet
        >>> task.configure_model()
        >>> task
        SeqClassifier(classes=<2>, vocab=<2>, symbols='characters', lowercase=False, hidden_size=8)
          SeqClassifierModel: seq_classifier_lstm, 402 parameters, takes texts
    """

    model_class = SeqClassifierModel
    batch_type = ClassBatch
    facts = (
        *("classes", "input_size", "vocab", "symbols", "tokenizer", "lowercase", "normalization", "input_columns"),
        *("sequence_column", "mean", "scale", "num_steps", "max_length"),
    )
    requires = (("classes",), ("input_size", "vocab"))
    keeps = ("lowercase", "normalization", "sequence_column", "mean", "scale", "num_steps", "max_length")
    monitor = ("val/accuracy", "max")
    shown = ("accuracy",)
    item = "sequences"
    model: SeqClassifierModel
    _weights: Tensor | None

    def __init__(
        self,
        classes: list[str] | None = None,
        input_size: int | None = None,
        vocab: list[str] | None = None,
        symbols: SymbolKind | None = None,
        tokenizer: str | None = None,
        lowercase: bool | None = None,
        normalization: Normalization | None = None,
        input_columns: list[str] | None = None,
        sequence_column: str | None = None,
        mean: list[float] | None = None,
        scale: list[float] | None = None,
        num_steps: int | None = None,
        max_length: int | None = None,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: CellSpec = "lstm",
        bidirectional: bool = False,
        pooling: Pooling = "last",
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        variational_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        residual: bool = False,
        norm: Norm = "none",
        mlp: bool = False,
        convolution: int = 0,
        learn_state: bool = False,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        class_weights: list[float] | None = None,
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        if class_weights is not None and not all(0.0 <= weight < math.inf for weight in class_weights):
            raise ValueError(f"class_weights: got {class_weights}, expected numbers of at least 0")
        self._confusion: Tensor | None = None

    @property
    def class_names(self) -> Sequence[str]:
        """See `KeepsConfusion`."""
        return self.model.config.classes

    def bind(self, spec: Mapping[str, Any], source: str) -> None:
        """See `Task`. Takes the class weights, too: they belong to the training, and are no fact of the model."""
        super().bind(spec, source)
        if self.hparams.get("class_weights") is None:
            self.hparams["class_weights"] = spec.get("class_weights")

    def configure_model(self) -> None:
        """See `Task`.

        Raises:
            ValueError: If there is not one weight for each class.
        """
        super().configure_model()
        given, classes = self.hparams.get("class_weights"), self.model.config.classes
        if given is not None and len(given) != len(classes):
            raise ValueError(f"class_weights: got {len(given)}, expected {len(classes)}, one for each class")
        weights = None if given is None else torch.tensor(given, dtype=torch.float32)
        self.register_buffer("_weights", weights, persistent=False)

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        metrics: dict[str, Metric] = {"accuracy": Share()}
        if stage != "train":
            metrics["macro_f1"] = MulticlassF1Score(
                len(self.model.config.classes), average="macro", ignore_index=IGNORE
            )
            metrics["_confusion"] = MulticlassConfusionMatrix(len(self.model.config.classes), ignore_index=IGNORE)
        return metrics

    def score(self, batch: ClassBatch, stage: Stage) -> Loss:
        """See `Task`."""
        if stage != "train":
            self.model.check(batch)
        logits = self.model(batch.inputs, batch.lengths)
        total = summed_cross_entropy(logits, batch.targets, self._weights if stage == "train" else None)
        count = (batch.targets != IGNORE).sum()
        predicted = logits.argmax(-1)
        self.metric(stage, "accuracy").update((predicted == batch.targets).sum(), count)
        if stage != "train":
            self.metric(stage, "macro_f1").update(predicted, batch.targets)
            self.metric(stage, "_confusion").update(predicted, batch.targets)
        return Loss(total, count)

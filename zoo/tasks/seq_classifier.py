"""Sequence classifiers."""

from typing import Any

from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo import plots
from zoo.batch import IGNORE, ClassBatch
from zoo.nn import ClassifierNet
from zoo.nn.networks import Pooling
from zoo.nn.recurrent import CellName, InitName
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.metrics import Share
from zoo.vocab import Vocab


class SeqClassifier(Task):
    """Predicts the class of a sequence of features, or of symbols.

    Args:
        classes: Names of the classes in the order of their ids; None asks the data.
        input_size: Features of each step; None asks the data, or the inputs are symbols.
        vocab: The input symbols in the order of their ids; None asks the data, or the inputs are
            features.
        num_steps: Steps of every sequence, T; None asks the data, or takes sequences of any length.
        hidden_size: Units of each layer and direction.
        num_layers: Recurrent layers.
        cell: `rnn`, `rnn_relu`, `lstm` or `gru`.
        bidirectional: Also read from the right.
        pooling: `last` state, or `mean` or `max` of the outputs over time.
        embedding_dim: Width of the symbols' embedding; None for one-hot.
        dropout: Between layers, see `zoo.nn.Recurrent`.
        head_dropout: Before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        lr: Learning rate of Adam.

    Example:
        >>> import torch
        >>> task = SeqClassifier(classes=["even", "odd"], input_size=4, hidden_size=8)
        >>> task.configure_model()
        >>> task.network(torch.zeros(1, 10, 4)).shape
        torch.Size([1, 2])
    """

    model_prefix = "seq_classifier"
    facts = ("classes", "input_size", "vocab", "num_steps")
    requires = (("classes",), ("input_size", "vocab"))
    keeps = ("num_steps",)
    monitor = ("val/accuracy", "max")
    shown = ("accuracy",)
    item = "sequences"
    figure_name = "confusion_matrix"
    network: ClassifierNet

    def __init__(
        self,
        classes: list[str] | None = None,
        input_size: int | None = None,
        vocab: list[str] | None = None,
        num_steps: int | None = None,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: CellName = "lstm",
        bidirectional: bool = False,
        pooling: Pooling = "last",
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        self.save_hyperparameters()
        self._confusion: Tensor | None = None

    def build_network(self) -> ClassifierNet:
        """See `Task`."""
        vocab = self.hparams["vocab"]
        return ClassifierNet(
            len(self.hparams["classes"]),
            input_size=self.hparams["input_size"],
            vocab_size=None if vocab is None else len(vocab),
            embedding_dim=self.hparams["embedding_dim"],
            pooling=self.hparams["pooling"],
            bidirectional=self.hparams["bidirectional"],
            **self.recurrent_arguments(),
        )

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        metrics: dict[str, Metric] = {"accuracy": Share()}
        if stage != "train":
            # its counts are drawn, not logged: hence the underscore
            metrics["_confusion"] = MulticlassConfusionMatrix(len(self.hparams["classes"]), ignore_index=IGNORE)
        return metrics

    def score(self, batch: ClassBatch, stage: Stage) -> Loss:
        """See `Task`."""
        logits = self.network(batch.inputs, batch.lengths)
        total = cross_entropy(logits, batch.targets, ignore_index=IGNORE, reduction="sum")
        count = (batch.targets != IGNORE).sum()
        predicted = logits.argmax(-1)
        self.metric(stage, "accuracy").update((predicted == batch.targets).sum(), count)
        if stage != "train":
            self.metric(stage, "_confusion").update(predicted, batch.targets)
        return Loss(total, count)

    def on_validation_epoch_end(self) -> None:
        """Keeps the epoch's confusion matrix, summed over ranks."""
        self._keep_confusion("val")

    def on_test_epoch_end(self) -> None:
        """Keeps the confusion matrix, summed over ranks."""
        self._keep_confusion("test")

    def _keep_confusion(self, stage: Stage) -> None:
        metric = self.metric(stage, "_confusion")
        self._confusion = metric.compute().cpu()
        metric.reset()

    @staticmethod
    def num_items(batch: ClassBatch) -> int:
        """Sequences in a batch."""
        return len(batch.targets)

    def predict_step(self, batch: ClassBatch, batch_idx: int) -> list[dict[str, Any]]:
        """The most likely class, and its probability."""
        chances = self.network(batch.inputs, batch.lengths).float().softmax(-1)
        best, predicted = chances.max(-1)
        classes = self.hparams["classes"]
        rows = []
        for row, (number, chance) in enumerate(zip(predicted.tolist(), best.tolist(), strict=True)):
            target = int(batch.targets[row])
            entry = {"prediction": classes[number], "probability": round(chance, 4)}
            if target != IGNORE:
                entry["target"] = classes[target]
            rows.append({**self._input(batch, row), **entry})
        return rows

    def _input(self, batch: ClassBatch, row: int) -> dict[str, str]:
        if self.hparams["vocab"] is None:
            return {}
        ids: Tensor = batch.inputs[row] if batch.lengths is None else batch.inputs[row, : batch.lengths[row]]
        return {"input": Vocab(self.hparams["vocab"]).decode(ids.tolist())}

    def figure(self) -> Figure | None:
        """The confusion matrix of the test part, or else of the last validation."""
        return None if self._confusion is None else plots.confusion(self._confusion, self.hparams["classes"])

"""Sequence classifiers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo import images, plots
from zoo.batch import IGNORE, ClassBatch
from zoo.nn import ClassifierNet
from zoo.nn.networks import HEAD_AXES, Pooling, input_axes
from zoo.nn.recurrent import CellName, InitName
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.metrics import Share
from zoo.tasks.texts import as_list
from zoo.vocab import Vocab


class Classified(NamedTuple):
    """The class of an input."""

    label: str
    probability: float
    probabilities: dict[str, float]  # of every class


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
    remembers = ("_confusion",)
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

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Task`."""
        symbols = self.hparams["vocab"] is not None
        inputs = input_axes(self.network.input, "input", "recurrent") if symbols else {}
        return {name: (axis, "vocab") for name, axis in inputs.items()} | {
            name: (axis, "classes") for name, axis in HEAD_AXES.items()
        }

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

    # -- use

    @torch.no_grad()
    def classify(self, inputs: Any) -> list[Classified]:
        """Names the class of some inputs.

        Args:
            inputs: One, or a list of them. To a model of symbols: texts. To a model of features:
                arrays or nested lists (T, D) or all in one (N, T, D), whole numbers from 0 to
                255, which are divided by 255, or the data's own (pixels in [0, 1]); or PIL images
                of T x D grey pixels, white on black.

        Returns:
            As many classes, with the probability of each: a list, for one input too.

        Raises:
            ValueError: If an input has not the kind, length or size that the model takes, or a symbol that it
                doesn't know.
        """
        with self.evaluating():
            batch = self._batch(inputs)
            chances = self.network(batch.inputs, batch.lengths).float().softmax(-1)
        classes = self.hparams["classes"]
        return [
            Classified(
                classes[max(range(len(row)), key=row.__getitem__)], max(row), dict(zip(classes, row, strict=True))
            )
            for row in chances.tolist()
        ]

    def complete(self, beginnings: str | Sequence[str]) -> list[str]:
        """Completes some words by the symbol that is likeliest to follow.

        Raises:
            ValueError: If the model reads no symbols, or see `classify`.
        """
        if self.hparams["vocab"] is None:
            raise ValueError("complete: this model reads features; use classify")
        return [text + found.label for text, found in zip(as_list(beginnings), self.classify(beginnings), strict=True)]

    @torch.no_grad()
    def infer(self, values: Any) -> list[dict[str, Any]]:
        """The class of each input, see `classify`, and its probability."""
        with self.evaluating():
            return self.predict_step(self._batch(values), 0)

    def parse(self, word: str) -> Any:
        """See `Task`: a text, or the path of an image."""
        return word if self.hparams["vocab"] is not None else images.read(word)

    @property
    def takes(self) -> str:
        """See `Task`."""
        steps = self.hparams["num_steps"]
        if self.hparams["vocab"] is not None:
            return "texts" if steps is None else f"texts of {steps} symbols"
        return f"images or arrays of {steps or 'any number of'} steps x {self.hparams['input_size']} features"

    def _batch(self, inputs: Any) -> ClassBatch:
        steps = self.hparams["num_steps"]
        if self.hparams["vocab"] is None:
            features = images.features(inputs, steps, self.hparams["input_size"]).to(self.device)
            return ClassBatch(features, torch.full((len(features),), IGNORE))
        texts = as_list(inputs)
        for text in texts:
            if steps is not None and len(text) != steps:
                raise ValueError(f"{text!r} has {len(text)} symbols, expected {steps}")
        vocab = Vocab(self.hparams["vocab"])
        rows = [torch.tensor(vocab.encode(text)) for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        return ClassBatch(
            pad_sequence(rows, batch_first=True).to(self.device), torch.full((len(rows),), IGNORE), lengths
        )

    def _input(self, batch: ClassBatch, row: int) -> dict[str, str]:
        if self.hparams["vocab"] is None:
            return {}
        ids: Tensor = batch.inputs[row] if batch.lengths is None else batch.inputs[row, : batch.lengths[row]]
        return {"input": Vocab(self.hparams["vocab"]).decode(ids.tolist())}

    def figure(self) -> Figure | None:
        """The confusion matrix of the test part, or else of the last validation."""
        return None if self._confusion is None else plots.confusion(self._confusion, self.hparams["classes"])

"""Training sequence taggers."""

from collections.abc import Sequence

from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.batch import IGNORE, TagBatch
from zoo.methods.texts import Normalization
from zoo.models import SeqTaggerModel
from zoo.nn import CellSpec, InitName, Norm
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.confusion import KeepsConfusion
from zoo.tasks.metrics import Share, TagF1, summed_cross_entropy
from zoo.vocab import SymbolKind


class SeqTagger(KeepsConfusion, Task):
    """Trains a model to predict a tag for each symbol of a text, for example a word's part of speech.

    Reports `accuracy`, the share of symbols with the right tag; and, in validation and test, `f1`: with tags as `B-X`,
    `I-X` and `O`, that of whole spans, and with others, that of the tags that say something.

    Args:
        tags: Names of the tags in the order of their ids. None: taken from the data.
        vocab: The symbols in the order of their ids. None: taken from the data.
        symbols: `characters`, `bytes`, `words` or `bpe`. None: taken from the data.
        tokenizer: The JSON of a BPE tokenizer. None: taken from the data.
        letters: The letters of words in the order of their ids. None: taken from the data.
        lowercase: Whether the model converts texts to lower case. None: taken from the data.
        normalization: A Unicode normal form of the texts, applied first. None: taken from the data.
        hidden_size: Units per layer and direction.
        num_layers: Number of recurrent layers.
        cell: A recurrent cell, for example `lstm`, or a dict with its `name` and options.
            docs/cells.md has all.
        bidirectional: Whether to also read from the right.
        embedding_dim: Size of the embedding of symbols. None: one-hot.
        spelling_size: Units of each direction of a network that reads each word letter by letter, so that the tags of
            unknown words can be told from their spelling. 0: none. It needs an `embedding_dim`.
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
        lr: Learning rate of Adam.

    Example:
        >>> task = SeqTagger(tags=["vowel", "other"], vocab=["a", "b"], hidden_size=8)
        >>> task.configure_model()
        >>> task
        SeqTagger(tags=<2>, vocab=<2>, symbols='characters', lowercase=False, hidden_size=8)
          SeqTaggerModel: seq_tagger_lstm, 802 parameters, takes texts
    """

    model_class = SeqTaggerModel
    batch_type = TagBatch
    facts = ("tags", "vocab", "symbols", "tokenizer", "letters", "lowercase", "normalization")
    keeps = ("lowercase", "normalization")
    monitor = ("val/f1", "max")
    shown = ("f1", "accuracy")
    item = "symbols"
    model: SeqTaggerModel

    def __init__(
        self,
        tags: list[str] | None = None,
        vocab: list[str] | None = None,
        symbols: SymbolKind | None = None,
        tokenizer: str | None = None,
        letters: list[str] | None = None,
        lowercase: bool | None = None,
        normalization: Normalization | None = None,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: CellSpec = "lstm",
        bidirectional: bool = True,
        embedding_dim: int | None = None,
        spelling_size: int = 0,
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
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        self._confusion = None

    @property
    def class_names(self) -> Sequence[str]:
        """See `KeepsConfusion`."""
        return self.model.config.tags

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        metrics: dict[str, Metric] = {"accuracy": Share()}
        if stage != "train":
            names = self.model.config.tags
            metrics["f1"] = TagF1(names)
            metrics["_confusion"] = MulticlassConfusionMatrix(len(names), ignore_index=IGNORE)
        return metrics

    @staticmethod
    def num_items(batch: TagBatch) -> int:
        """See `Task`: the number of symbols."""
        return int(batch.lengths.sum())

    def score(self, batch: TagBatch, stage: Stage) -> Loss:
        """See `Task`."""
        logits = self.model(batch.inputs, batch.lengths, batch.letters)
        predicted, count = logits.argmax(-1), (batch.targets != IGNORE).sum()
        self.metric(stage, "accuracy").update((predicted == batch.targets).sum(), count)
        if stage != "train":
            self.metric(stage, "f1").update(predicted, batch.targets)
            self.metric(stage, "_confusion").update(predicted, batch.targets)
        return Loss(summed_cross_entropy(logits, batch.targets), count)

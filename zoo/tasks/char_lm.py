"""Training character language models."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.batch import IGNORE, TextBatch
from zoo.methods.texts import Normalization
from zoo.models import CharLMModel
from zoo.nn import CellSpec, InitName, Norm, State
from zoo.tasks.base import Loss, Stage, Task, is_sampling_epoch
from zoo.tasks.metrics import BitsPerCharacter, Perplexity, Share, summed_cross_entropy
from zoo.vocab import SymbolKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class CharLM(Task):
    """Trains a model to predict the next symbol of a text: a character, byte, word, or part of a word.

    `bpc`, bits per character, compares models whatever their symbols are: the loss of all symbols,
    divided by the number of characters that they stand for. An unknown word (`<unk>`) counts as no
    characters. `loss`, `perplexity` and `accuracy` are per symbol.

    Windows are independent of each other. In a stream (`Gutenberg(mode="stream")`) the state is
    carried from batch to batch. It is detached, so gradients stop at the start of the batch (truncated
    backpropagation through time, Williams and Peng 1990). It is set to zero at the start of each
    document. Training, validation and test have separate states.

    Args:
        vocab: The symbols in the order of their ids. None: taken from the data.
        symbols: `characters`, `bytes`, `words` or `bpe`. None: taken from the data.
        tokenizer: The JSON of a BPE tokenizer. None: taken from the data.
        lowercase: Whether the model converts texts to lower case. None: taken from the data.
        normalization: A Unicode normal form of the texts, applied first. None: taken from the data.
        hidden_size: Units per layer.
        num_layers: Number of recurrent layers.
        cell: A recurrent cell, for example `lstm`, or a dict with its `name` and options.
            docs/cells.md has all.
        embedding_dim: Size of the embedding. None: one-hot.
        dropout: Dropout between layers, see `zoo.nn.Recurrent`.
        variational_dropout: Dropout of each layer's inputs, with one mask for all steps.
        weight_drop: Dropout of recurrent weights, with one mask for all steps.
        zoneout: The probability that a number of the state stays as it was at a step.
        residual: Whether each layer's inputs are added to its outputs.
        norm: A normalization of each layer's inputs: `none`, `layer` or `rms`.
        mlp: Whether a gated MLP follows each layer. It needs `residual`.
        convolution: Steps that a causal convolution of each layer's inputs looks at; 0 is none. It needs `residual`.
        learn_state: Whether the state before the first step is learned.
        tie_weights: Whether the head's weights are those of the embedding, which must be as wide as the outputs.
        head_dropout: Dropout before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        lr: Learning rate of Adam.

    Example:
        >>> task = CharLM(vocab=["a", "b"], hidden_size=8)
        >>> task.configure_model()
        >>> len(task.model.generate("ab", length=5))
        5
    """

    model_class = CharLMModel
    batch_type = TextBatch
    facts = ("vocab", "symbols", "tokenizer", "lowercase", "normalization")
    keeps = ("lowercase", "normalization")
    shown = ("bpc", "accuracy")
    item = "symbols"
    figure_name = "samples"
    remembers = ("_states", "_samples")
    model: CharLMModel

    def __init__(
        self,
        vocab: list[str] | None = None,
        symbols: SymbolKind | None = None,
        tokenizer: str | None = None,
        lowercase: bool | None = None,
        normalization: Normalization | None = None,
        hidden_size: int = 256,
        num_layers: int = 1,
        cell: CellSpec = "lstm",
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
        tie_weights: bool = False,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        self._spacings: Tensor | None = None
        self._states: dict[Stage, State] = {}
        self._samples: list[tuple[int, str]] = []

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        return {"accuracy": Share(), "bpc": BitsPerCharacter(), "perplexity": Perplexity()}

    def score(self, batch: TextBatch, stage: Stage) -> Loss:
        """See `Task`."""
        logits, state = self.model(batch.inputs, self._state_before(batch, stage))
        self._keep_state(batch, stage, state)
        total = summed_cross_entropy(logits, batch.targets)
        count = (batch.targets != IGNORE).sum()
        self.metric(stage, "bpc").update(total.detach(), self._characters(batch, count))
        self.metric(stage, "perplexity").update(total.detach(), count)
        self.metric(stage, "accuracy").update((logits.argmax(-1) == batch.targets).sum(), count)
        return Loss(total, count)

    def _characters(self, batch: TextBatch, count: Tensor) -> Tensor:
        """Returns the number of characters that the targets of a batch stand for."""
        if self.model.vocab.kind == "characters":
            return count
        if self._spacings is None or self._spacings.device != batch.inputs.device:
            self._spacings = torch.tensor(self.model.vocab.spacings(), device=batch.inputs.device)
        characters, before, after = self._spacings.unbind(1)
        targets = batch.targets.clamp(min=0)
        found = characters[targets] + before[targets] * after[batch.inputs]  # a usual space has no symbol of its own
        return (found * (batch.targets != IGNORE)).sum()

    def _state_before(self, batch: TextBatch, stage: Stage) -> State | None:
        state = self._states.get(stage)
        if batch.resets is None or state is None or len(state[0]) != len(batch.inputs):
            return None
        return self.model.network.recurrent.reset(state, batch.resets)

    def _keep_state(self, batch: TextBatch, stage: Stage, state: State) -> None:
        if batch.resets is not None:
            self._states[stage] = self.model.network.recurrent.detach(state)

    @staticmethod
    def num_items(batch: TextBatch) -> int:
        """Returns the number of symbols in a batch."""
        return batch.inputs.numel()

    def predict_step(self, batch: TextBatch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns the most likely next symbol after each symbol. In a stream, the state is carried."""
        logits, state = self.model(batch.inputs, self._state_before(batch, "test"))
        self._keep_state(batch, "test", state)
        return self.model.rows(batch, logits)

    def on_train_epoch_end(self) -> None:
        """Generates a sample of 200 characters in epochs 1, 2, 4, 8, ... and the last one."""
        epoch = self.current_epoch + 1
        if self.trainer.is_global_zero and (is_sampling_epoch(epoch) or epoch == self.trainer.max_epochs):
            self._samples.append((epoch, self.model.generate(temperature=0.7, seed=0)))

    def figure(self) -> "Figure | None":
        """Draws the samples of all these epochs."""
        from zoo import plots

        return plots.text_samples(self._samples) if self._samples else None

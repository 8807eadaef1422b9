"""Character language models."""

from typing import Any

import torch
from matplotlib.figure import Figure
from torch.nn.functional import cross_entropy
from torchmetrics import Metric

from zoo import plots
from zoo.batch import IGNORE, TextBatch
from zoo.decoding import sample
from zoo.nn import CharNet, State
from zoo.nn.recurrent import CellName, InitName
from zoo.tasks.base import Loss, Stage, Task, is_sampling_epoch
from zoo.tasks.metrics import BitsPerCharacter, Perplexity, Share
from zoo.vocab import Vocab


class CharLM(Task):
    """Predicts the next character of a text.

    Windows are independent of each other. In a stream (`Gutenberg(mode="stream")`) the state is
    carried from batch to batch: detached, so that gradients stop at the batch's start (truncated
    backpropagation through time, Williams and Peng 1990), zeroed where a document begins, and kept
    apart for training, validation and test.

    Args:
        vocab: The symbols in the order of their ids; None asks the data.
        hidden_size: Units of each layer.
        num_layers: Recurrent layers.
        cell: `rnn`, `rnn_relu`, `lstm` or `gru`.
        embedding_dim: Width of the embedding; None for one-hot.
        dropout: Between layers, see `zoo.nn.Recurrent`.
        head_dropout: Before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        lr: Learning rate of Adam.

    Example:
        >>> task = CharLM(vocab=["a", "b"], hidden_size=8)
        >>> task.configure_model()
        >>> task.network(torch.tensor([[0, 1, 0]]))[0].shape
        torch.Size([1, 3, 2])
    """

    model_prefix = "char_lm"
    facts = ("vocab",)
    requires = (("vocab",),)
    monitor = ("val/loss", "min")
    shown = ("bpc", "accuracy")
    item = "characters"
    figure_name = "samples"
    network: CharNet

    def __init__(
        self,
        vocab: list[str] | None = None,
        hidden_size: int = 256,
        num_layers: int = 1,
        cell: CellName = "lstm",
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        self.save_hyperparameters()
        self._states: dict[Stage, State] = {}
        self._samples: list[tuple[int, str]] = []

    @property
    def vocab(self) -> Vocab:
        """The symbols that the model knows."""
        return Vocab(self.hparams["vocab"])

    def build_network(self) -> CharNet:
        """See `Task`."""
        size = len(self.vocab)
        return CharNet(size, embedding_dim=self.hparams["embedding_dim"], **self.recurrent_arguments())

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        return {"accuracy": Share(), "bpc": BitsPerCharacter(), "perplexity": Perplexity()}

    def score(self, batch: TextBatch, stage: Stage) -> Loss:
        """See `Task`; a batch is inputs (B, T) and the symbols that follow them (B, T)."""
        logits, state = self.network(batch.inputs, self._state_before(batch, stage))
        if batch.resets is not None:
            self._states[stage] = self.network.recurrent.detach(state)
        total = cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum")
        count = (batch.targets != IGNORE).sum()
        self.metric(stage, "bpc").update(total.detach(), count)
        self.metric(stage, "perplexity").update(total.detach(), count)
        self.metric(stage, "accuracy").update((logits.argmax(-1) == batch.targets).sum(), count)
        return Loss(total, count)

    def _state_before(self, batch: TextBatch, stage: Stage) -> State | None:
        state = self._states.get(stage)
        if batch.resets is None or state is None or state[0].shape[1] != len(batch.inputs):
            return None
        return self.network.recurrent.reset(state, batch.resets)

    @staticmethod
    def num_items(batch: TextBatch) -> int:
        """Characters in a batch."""
        return batch.inputs.numel()

    def predict_step(self, batch: TextBatch, batch_idx: int) -> list[dict[str, Any]]:
        """The most likely next symbol after each symbol."""
        logits, state = self.network(batch.inputs, self._state_before(batch, "test"))
        if batch.resets is not None:
            self._states["test"] = state
        rows = []
        for inputs, predicted, targets in zip(batch.inputs, logits.argmax(-1), batch.targets, strict=True):
            known = targets != IGNORE
            row = {"input": inputs, "prediction": predicted}
            if known.any():
                row = {"input": inputs[known], "prediction": predicted[known], "target": targets[known]}
            elif batch.resets is not None:  # a stream's row with nothing in it
                continue
            rows.append({name: self.vocab.decode(ids.tolist()) for name, ids in row.items()})
        return rows

    def on_train_epoch_end(self) -> None:
        """Keeps a sample of 200 characters now and then, to show how they improve."""
        epoch = self.current_epoch + 1
        if self.trainer.is_global_zero and (is_sampling_epoch(epoch) or epoch == self.trainer.max_epochs):
            self._samples.append((epoch, self.sample_text()))

    def sample_text(self, length: int = 200, temperature: float = 0.7, seed: int = 0) -> str:
        """Draws a text from the zero state.

        Args:
            length: Characters.
            temperature: See `zoo.decoding.sample`.
            seed: Of the draws; torch's own random state is left alone.
        """
        vocab = self.vocab
        ids = torch.tensor([vocab.id(" ") if " " in vocab else 0], device=self.device)
        generator = torch.Generator(self.device).manual_seed(seed)
        training = self.training
        self.eval()
        state = self.network.recurrent.init_state(1)
        text = sample(self.network.step, ids, state, length=length, temperature=temperature, generator=generator)
        self.train(training)
        return vocab.decode(text[0].tolist())

    def figure(self) -> Figure | None:
        """Samples as they improve."""
        return plots.text_samples(self._samples) if self._samples else None

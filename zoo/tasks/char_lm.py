"""Character language models."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torchmetrics import Metric

from zoo import plots
from zoo.batch import IGNORE, TextBatch
from zoo.decoding import Symbols, collect, stream
from zoo.nn import CharNet, State
from zoo.nn.networks import HEAD_AXES, input_axes
from zoo.nn.recurrent import CellName, InitName
from zoo.tasks.base import Loss, Stage, Task, is_sampling_epoch
from zoo.tasks.metrics import BitsPerCharacter, Perplexity, Share
from zoo.tasks.texts import ScoredText, as_list, end_of, sampling_of, search_texts
from zoo.vocab import OnUnknown, Vocab


class Generated(NamedTuple):
    """A text that the model wrote."""

    text: str
    log_probs: list[float]  # of each symbol, natural logarithms of the model's own probabilities


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
    takes = "texts"
    shown = ("bpc", "accuracy")
    item = "characters"
    figure_name = "samples"
    remembers = ("_states", "_samples")
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

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Task`."""
        inputs = input_axes(self.network.input, "input", "recurrent")
        return {name: (axis, "vocab") for name, axis in {**inputs, **HEAD_AXES}.items()}

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

    # -- generation

    def stream(self, prompt: str = "", length: int = 200, **options: Any) -> Iterator[str]:
        """Writes on after a prompt, symbol by symbol: see `generate_batch`."""
        if not isinstance(prompt, str):
            raise ValueError(f"prompt: got {prompt!r}, expected a text; generate_batch takes several")
        decoding = self._decode([prompt], length, **options)
        vocab = self.vocab
        for symbols in decoding:
            yield vocab.decode(symbols.ids.tolist())

    def generate(self, prompt: str = "", length: int = 200, **options: Any) -> str:
        """Writes on after a prompt.

        Args:
            prompt: What the text begins with. The model reads it from the zero state; an empty one
                stands for a single blank (in an alphabet without, for its first symbol).
            length: Symbols to write, at most.
            **options: As of `generate_batch`: temperature, top_k, top_p, seed, ...

        Returns:
            What follows the prompt.
        """
        return "".join(self.stream(prompt, length, **options))

    def generate_batch(
        self, prompts: Sequence[str], length: int | Sequence[int] = 200, **options: Any
    ) -> list[Generated]:
        """Writes on after some prompts, all in one batch.

        Args:
            prompts: Texts, which may be empty, see `generate`. The same one several times gives
                several samples.
            length: Symbols to write, at most, after all or after each.
            **options: `temperature`, `top_k`, `top_p`, `repetition_penalty`: see
                `zoo.decoding.Sampling`. `allowed`, `forbidden`: strings of the only symbols to
                write, and of those never to write. `stop`: a list of strings; a text ends with the
                first of them that it comes to. `seed`: of the draws; a text depends on it and on
                its place in the batch; None draws one. `on_unknown`: `skip` leaves symbols out of
                a prompt that the model doesn't know, where `error` refuses them.

        Returns:
            What follows each prompt, with the log-probability of each symbol.

        Raises:
            ValueError: If an option is outside its range, or a symbol outside the vocabulary.
        """
        if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError(f"prompts: got {prompts!r}, expected a list of texts")
        rows = collect(self._decode(prompts, length, **options))
        return [Generated(self.vocab.decode(row.ids), row.log_probs) for row in rows]

    @torch.no_grad()
    def search(
        self, prompt: str = "", length: int = 50, beam: int = 5, *, on_unknown: OnUnknown = "error", **options: Any
    ) -> list[ScoredText]:
        """The likeliest texts after a prompt, the best one first.

        Args:
            prompt: See `generate`.
            length: Symbols of a text, at most.
            beam: How many beginnings are kept, and texts returned.
            on_unknown: See `generate_batch`.
            **options: `length_penalty`, `alpha`, `allowed`, `forbidden`: see `zoo.tasks.texts.search_texts`.
        """
        with self.evaluating():
            logits, state, _ = self._read([prompt], on_unknown)
            return search_texts(self.network, self.vocab, logits, state, length, beam, **options)[0]

    def _decode(
        self,
        prompts: Sequence[str],
        length: int | Sequence[int],
        *,
        stop: Sequence[str] = (),
        seed: int | None = None,
        on_unknown: OnUnknown = "error",
        **sampling: Any,
    ) -> Iterator[Symbols]:
        with self.evaluating():
            ends = [self.vocab.encode(text) for text in ([stop] if isinstance(stop, str) else stop)]
            chosen = sampling_of(self.vocab, **sampling)
            logits, state, seen = self._read(prompts, on_unknown)
            step = self.network.stepper()
        return stream(step, logits, state, length, chosen, seed=seed, end=end_of(self.vocab), stop=ends, seen=seen)

    @torch.no_grad()
    def _read(self, prompts: Sequence[str], on_unknown: OnUnknown) -> tuple[Tensor, State, Tensor]:
        """Logits (B, V) and state after the prompts, and which symbols they have (B, V), bool."""
        vocab = self.vocab
        blank = [vocab.id(" ") if " " in vocab else 0]
        given = [vocab.encode(prompt, on_unknown) for prompt in prompts]
        rows = [torch.tensor(ids or blank) for ids in given]
        if not rows:
            raise ValueError("prompts: got none, expected at least one")
        ids = pad_sequence(rows, batch_first=True).to(self.device)
        logits, state = self.network.read(ids, torch.tensor([len(row) for row in rows]))
        seen = torch.zeros_like(logits, dtype=torch.bool)
        for row, symbols in enumerate(given):
            seen[row, symbols] = True
        return logits, state, seen

    def parse(self, word: str) -> str:
        """See `Task`."""
        return word

    @torch.no_grad()
    def infer(self, values: str | Sequence[str]) -> list[dict[str, Any]]:
        """The most likely next symbol after each symbol of some texts."""
        rows = []
        for text in as_list(values):
            ids = torch.tensor([self.vocab.encode(text)], device=self.device)
            with self.evaluating():
                rows += self.predict_step(TextBatch(ids, torch.full_like(ids, IGNORE)), 0)
        return rows

    def on_train_epoch_end(self) -> None:
        """Keeps a sample of 200 characters now and then, to show how they improve."""
        epoch = self.current_epoch + 1
        if self.trainer.is_global_zero and (is_sampling_epoch(epoch) or epoch == self.trainer.max_epochs):
            self._samples.append((epoch, self.generate(temperature=0.7, seed=0)))

    def figure(self) -> Figure | None:
        """Samples as they improve."""
        return plots.text_samples(self._samples) if self._samples else None

"""Sequence-to-sequence models with teacher forcing."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torchmetrics import Metric
from torchmetrics.text import CharErrorRate

from zoo import plots
from zoo.batch import IGNORE, PairBatch
from zoo.decoding import GREEDY, Decoded, Sampling, collect, stream
from zoo.nn import EncoderDecoder, State
from zoo.nn.networks import HEAD_AXES, input_axes
from zoo.nn.recurrent import CellName, InitName, check_choice, check_sizes
from zoo.tasks.base import Loss, Stage, Task, is_sampling_epoch
from zoo.tasks.metrics import Share
from zoo.tasks.texts import ScoredText, as_list, sampling_of, search_texts
from zoo.vocab import END, START, OnUnknown, Vocab

Schedule = Literal["constant", "linear", "inverse_sigmoid"]
SHOWN_PAIRS = 12
MAX_LENGTH = 10_000  # a model that never ends would else decode for hours


def teacher_forcing_ratio(epoch: float, schedule: Schedule, start: float, end: float, epochs: float) -> float:
    """The chance that a decoder step is fed the true symbol (Bengio et al. 2015, section 2.4).

    Args:
        epoch: Epochs trained so far, from 0.
        schedule: `constant`: always `start`. `linear`: from `start` to `end` within `epochs`.
            `inverse_sigmoid`: k / (k + exp(epoch / k)) with k = `epochs`, brought to run from
            `start` down to `end`.
        start: The ratio at epoch 0.
        end: The ratio it goes to.
        epochs: The schedule's length, above 0; for `inverse_sigmoid`, k, by which it has hardly begun.

    Returns:
        A probability.

    Example:
        >>> teacher_forcing_ratio(5, "linear", start=1.0, end=0.0, epochs=10)
        0.5
    """
    check_choice("teacher_forcing_schedule", schedule, get_args(Schedule))
    if schedule == "constant":
        return start
    if schedule == "linear":
        return start + (end - start) * min(1.0, epoch / epochs)
    falling = (epochs + 1) / (epochs + math.exp(min(epoch / epochs, 700.0)))  # 1 at epoch 0
    return end + (start - end) * falling


class Seq2Seq(Task):
    """Maps a sequence of symbols to another one.

    In training, each decoder step is fed the true previous symbol with the chance of the teacher
    forcing ratio, drawn for each row and step, and else its own last choice. Validation reports
    both sides of it: the loss with the true symbols (teacher-forced), and `exact_match` and
    `char_error_rate` of decoding freely from nothing but its own symbols.

    Args:
        source_vocab: The source's symbols in the order of their ids; None asks the data.
        target_vocab: The target's symbols, with `<start>` and `<end>`; None asks the data.
        hidden_size: Units of each layer of encoder and decoder.
        num_layers: Recurrent layers of each.
        cell: `rnn`, `rnn_relu`, `lstm` or `gru`.
        embedding_dim: Width of both embeddings; None for one-hot.
        reverse_source: Read the source from its end.
        dropout: Between layers, see `zoo.nn.Recurrent`.
        head_dropout: Before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        teacher_forcing: The ratio to begin with, in [0, 1].
        teacher_forcing_schedule: `constant`, `linear` or `inverse_sigmoid`, see
            `teacher_forcing_ratio`.
        teacher_forcing_end: The ratio that the schedule goes to, in [0, 1].
        teacher_forcing_epochs: The schedule's length in epochs, or k of `inverse_sigmoid`.
        max_length: The most symbols to decode; at most 10,000.
        lr: Learning rate of Adam.

    Example:
        >>> vocab = ["<pad>", "<start>", "<end>", "a", "b"]
        >>> task = Seq2Seq(source_vocab=vocab, target_vocab=vocab, hidden_size=8)
        >>> task.configure_model()
        >>> len(task.translate(["abba", "b"]))
        2
    """

    model_prefix = "seq2seq"
    facts = ("source_vocab", "target_vocab")
    requires = (("source_vocab",), ("target_vocab",))
    monitor = ("val/loss", "min")  # exact match is reached early and then stays; the loss goes on
    takes = "texts"
    shown = ("exact_match",)
    item = "pairs"
    figure_name = "samples"
    remembers = ("_samples",)
    network: EncoderDecoder

    def __init__(
        self,
        source_vocab: list[str] | None = None,
        target_vocab: list[str] | None = None,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: CellName = "lstm",
        embedding_dim: int | None = None,
        reverse_source: bool = False,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        teacher_forcing: float = 1.0,
        teacher_forcing_schedule: Schedule = "constant",
        teacher_forcing_end: float = 0.0,
        teacher_forcing_epochs: int = 10,
        max_length: int = 50,
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        self.save_hyperparameters()
        for name in ("teacher_forcing", "teacher_forcing_end"):
            if not 0.0 <= self.hparams[name] <= 1.0:
                raise ValueError(f"{name}: got {self.hparams[name]}, expected a ratio in [0, 1]")
        check_sizes(teacher_forcing_epochs=teacher_forcing_epochs, max_length=max_length)
        if max_length > MAX_LENGTH:
            raise ValueError(f"max_length: got {max_length}, expected at most {MAX_LENGTH}")
        check_choice("teacher_forcing_schedule", teacher_forcing_schedule, get_args(Schedule))
        self._shown_pairs: list[dict[str, str]] = []
        self._samples: list[tuple[int, list[dict[str, str]]]] = []

    @property
    def source_vocab(self) -> Vocab:
        """The symbols that it reads."""
        return Vocab(self.hparams["source_vocab"])

    @property
    def target_vocab(self) -> Vocab:
        """The symbols that it writes."""
        return Vocab(self.hparams["target_vocab"])

    def build_network(self) -> EncoderDecoder:
        """See `Task`."""
        return EncoderDecoder(
            len(self.source_vocab),
            len(self.target_vocab),
            embedding_dim=self.hparams["embedding_dim"],
            reverse_source=self.hparams["reverse_source"],
            **self.recurrent_arguments(),
        )

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Task`."""
        sources = input_axes(self.network.source_input, "source_input", "encoder")
        targets = input_axes(self.network.decoder.input, "input", "recurrent") | HEAD_AXES
        return {name: (axis, "source_vocab") for name, axis in sources.items()} | {
            f"decoder.{name}": (axis, "target_vocab") for name, axis in targets.items()
        }

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        metrics: dict[str, Metric] = {"accuracy": Share()}
        if stage != "train":
            metrics["exact_match"] = Share()
            metrics["char_error_rate"] = CharErrorRate()
        return metrics

    def score(self, batch: PairBatch, stage: Stage) -> Loss:
        """See `Task`."""
        # The decoder reads the target but for its last symbol, and predicts it but for its first.
        # What it reads behind the end has no effect: no loss is counted there.
        true_inputs = batch.target[:, :-1].clamp(min=0)
        targets = batch.target[:, 1:]
        ratio = self.teacher_forcing_now() if stage == "train" else 1.0
        if ratio == 1.0:
            logits = self.network(batch.source, batch.source_lengths, true_inputs)
        else:
            logits = self._decode_with_draws(batch, true_inputs, ratio)
        total = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")
        count = (targets != IGNORE).sum()
        self.metric(stage, "accuracy").update((logits.argmax(-1) == targets).sum(), count)
        if stage != "train":
            self._score_freely(batch, stage)
        return Loss(total, count)

    def teacher_forcing_now(self) -> float:
        """The ratio of the current epoch."""
        h = self.hparams
        return teacher_forcing_ratio(
            self.current_epoch,
            h["teacher_forcing_schedule"],
            h["teacher_forcing"],
            h["teacher_forcing_end"],
            h["teacher_forcing_epochs"],
        )

    def _decode_with_draws(self, batch: PairBatch, true_inputs: Tensor, ratio: float) -> Tensor:
        state = self.network.encode(batch.source, batch.source_lengths)
        forced = torch.rand(true_inputs.shape, device=true_inputs.device) < ratio
        steps: list[Tensor] = []
        ids = true_inputs[:, 0]
        for t in range(true_inputs.shape[1]):
            if t:
                ids = torch.where(forced[:, t], true_inputs[:, t], steps[-1].argmax(-1))
            logits, state = self.network.decoder.step(ids, state)
            steps.append(logits)
        return torch.stack(steps, 1)

    def _score_freely(self, batch: PairBatch, stage: Stage) -> None:
        if (needed := batch.target.shape[1] - 1) > self.hparams["max_length"]:
            raise ValueError(
                f"max_length: got {self.hparams['max_length']}, but a target has {needed} symbols with its end"
            )
        rows = [row for row in self.predict_step(batch, 0) if "target" in row]
        right = sum(row["prediction"] == row["target"] for row in rows)
        self.metric(stage, "exact_match").update(torch.tensor(right), torch.tensor(len(rows)))
        if rows:
            self.metric(stage, "char_error_rate").update(
                [row["prediction"] for row in rows], [row["target"] for row in rows]
            )
        if stage == "val" and len(self._shown_pairs) < SHOWN_PAIRS:
            self._shown_pairs.extend(rows[: SHOWN_PAIRS - len(self._shown_pairs)])

    def on_validation_epoch_start(self) -> None:
        """Forgets the pairs of the last validation."""
        self._shown_pairs = []

    def on_validation_epoch_end(self) -> None:
        """Keeps the first translations now and then, to show how they improve."""
        epoch = self.current_epoch + 1
        if not self.trainer.sanity_checking and (is_sampling_epoch(epoch) or epoch == self.trainer.max_epochs):
            self._samples.append((epoch, self._shown_pairs))

    @staticmethod
    def num_items(batch: PairBatch) -> int:
        """Pairs in a batch."""
        return len(batch.source)

    def translate(
        self,
        texts: str | Sequence[str],
        *,
        temperature: float = 0.0,
        seed: int | None = None,
        on_unknown: OnUnknown = "error",
        **sampling: Any,
    ) -> list[str]:
        """Translates some texts; `search` finds better ones, and several.

        Args:
            texts: One source, or a list of them, none of them empty.
            temperature: 0 writes the likeliest symbol each time; above, symbols are drawn.
            seed: Of the draws; None draws one.
            on_unknown: `skip` leaves symbols out that the model doesn't know; `error` refuses them.
            **sampling: `top_k`, `top_p`, `repetition_penalty`: see `zoo.decoding.Sampling`.
                `allowed`, `forbidden`: strings of the only symbols to write, and of those never to
                write.

        Returns:
            As many targets: a list, for one source too.

        Raises:
            ValueError: If a text is empty or has a symbol that the model doesn't know, or if an
                option is outside its range.
        """
        with self.evaluating():
            chosen = sampling_of(self.target_vocab, temperature=temperature, **sampling)
            batch = self._batch(texts, on_unknown)
            rows = self._decode(batch, chosen, seed)
        return [self.target_vocab.decode(row.ids) for row in rows]

    @torch.no_grad()
    def search(
        self, texts: str | Sequence[str], beam: int = 5, *, on_unknown: OnUnknown = "error", **options: Any
    ) -> list[list[ScoredText]]:
        """The likeliest targets of each text, the best one first.

        Args:
            texts: See `translate`.
            beam: How many beginnings are kept, and targets returned.
            on_unknown: See `translate`.
            **options: `length_penalty`, `alpha`, `allowed`, `forbidden`: see `zoo.tasks.texts.search_texts`.
        """
        with self.evaluating():
            logits, state = self._start(self._batch(texts, on_unknown))
            length = self.hparams["max_length"]
            return search_texts(self.network.decoder, self.target_vocab, logits, state, length, beam, **options)

    def _batch(self, texts: str | Sequence[str], on_unknown: OnUnknown = "error") -> PairBatch:
        rows = [torch.tensor(self.source_vocab.encode(text, on_unknown)) for text in as_list(texts)]
        if not all(map(len, rows)):
            raise ValueError("a text has no symbol that the model knows")
        source = pad_sequence(rows, batch_first=True).to(self.device)
        target = source.new_full((len(rows), 2), IGNORE)
        target[:, 0] = self.target_vocab.id(START)
        return PairBatch(source, torch.tensor([len(row) for row in rows]), target)

    @torch.no_grad()
    def _start(self, batch: PairBatch) -> tuple[Tensor, State]:
        """The first logits (B, V), and the state that gave them."""
        state = self.network.encode(batch.source, batch.source_lengths)
        start = batch.source.new_full((len(batch.source),), self.target_vocab.id(START))
        return self.network.decoder.step(start, state)

    def _decode(self, batch: PairBatch, sampling: Sampling = GREEDY, seed: int | None = None) -> list[Decoded]:
        """Decodes freely: it reads nothing but its own symbols."""
        logits, state = self._start(batch)
        length, end = self.hparams["max_length"], self.target_vocab.id(END)
        return collect(stream(self.network.decoder.stepper(), logits, state, length, sampling, seed=seed, end=end))

    def parse(self, word: str) -> str:
        """See `Task`."""
        return word

    @torch.no_grad()
    def infer(self, values: str | Sequence[str]) -> list[dict[str, Any]]:
        """The free, greedy translation of some texts."""
        with self.evaluating():
            return self.predict_step(self._batch(values), 0)

    def predict_step(self, batch: PairBatch, batch_idx: int) -> list[dict[str, Any]]:
        """The free translation of each source."""
        decoded = [row.ids for row in self._decode(batch)]
        sources, targets = batch.source.tolist(), batch.target.tolist()
        rows = []
        for source, length, target, ids in zip(sources, batch.source_lengths.tolist(), targets, decoded, strict=True):
            row = {"input": self.source_vocab.decode(source[:length]), "prediction": self.target_vocab.decode(ids)}
            if len(target) > 1 and target[1] != IGNORE:
                row["target"] = self.target_vocab.decode(i for i in target if i != IGNORE)
            rows.append(row)
        return rows

    def figure(self) -> Figure | None:
        """Translations as they improve."""
        if not self._samples:
            return None
        _, pairs = self._samples[-1]
        predictions = [(epoch, [row["prediction"] for row in rows]) for epoch, rows in self._samples]
        return plots.decoded_pairs([row["input"] for row in pairs], [row["target"] for row in pairs], predictions)

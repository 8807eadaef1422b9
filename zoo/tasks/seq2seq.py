"""Training sequence-to-sequence models with teacher forcing."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.batch import IGNORE, PairBatch
from zoo.checks import check_choice, check_ratios, check_sizes
from zoo.decoding import LengthPenalty
from zoo.methods.seq2seq import check_max_length
from zoo.methods.texts import Normalization
from zoo.models import Seq2SeqModel
from zoo.nn import AttentionName, BridgeName, CellSpec, InitName, Norm
from zoo.nn.encoder_decoder import WHOLE
from zoo.tasks.base import Loss, Stage, Task, is_sampling_epoch
from zoo.tasks.metrics import Bleu, Chrf, Mean, Share, edit_errors, summed_cross_entropy
from zoo.vocab import SymbolKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Schedule = Literal["constant", "linear", "inverse_sigmoid"]
SHOWN_PAIRS = 12
ALIGNED_PAIRS, ALIGNED_EPOCHS = 3, 4  # in the picture of the attention


def teacher_forcing_ratio(epoch: float, schedule: Schedule, start: float, end: float, epochs: float) -> float:
    """Returns the probability that a decoder step gets the true symbol (Bengio et al. 2015, section 2.4).

    Args:
        epoch: Epochs trained so far, from 0.
        schedule: `constant`: always `start`. `linear`: from `start` to `end` within `epochs`.
            `inverse_sigmoid`: k / (k + exp(epoch / k)) with k = `epochs`, rescaled to decrease from
            `start` to `end`.
        start: The ratio at epoch 0.
        end: The final ratio.
        epochs: The length of the schedule, above 0. For `inverse_sigmoid`: k; after k epochs, the
            ratio is still close to `start`.

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
    """Trains a model to map a sequence of symbols to another one.

    In training, the teacher forcing ratio is the probability that a decoder step gets the true
    previous symbol instead of the predicted one. It is drawn for each row and step. Validation reports
    the loss with teacher forcing, and `exact_match` and `char_error_rate` without it: the decoder
    then gets only its own symbols. Where targets are not split into characters, there is also a
    `symbol_error_rate`, of phonemes, words or pieces of words. Of several right targets, the nearest one
    counts. If targets are sentences, it also reports `bleu`, and the test `chrf`, both in [0, 1]: see
    `zoo.tasks.metrics`. Validation is greedy; the test and `predict` may search with several beams.

    Args:
        source_vocab: The symbols of the source in the order of their ids. None: taken from the data.
        target_vocab: The symbols of the target, with `<start>` and `<end>`. None: taken from the data.
        source_symbols: `characters`, `bytes`, `words` or `bpe`. None: taken from the data.
        target_symbols: The same for the targets. None: taken from the data.
        source_tokenizer: The JSON of the sources' BPE tokenizer. None: taken from the data.
        target_tokenizer: The JSON of the targets' BPE tokenizer. None: taken from the data.
        lowercase: Whether sources are converted to lower case. None: as in the data.
        normalization: A Unicode normal form of the sources, applied first. None: as in the data.
        hidden_size: Units per layer of encoder and decoder.
        num_layers: Number of recurrent layers in each of them.
        cell: A recurrent cell, for example `lstm`, or a dict with its `name` and options.
            docs/cells.md has all.
        embedding_dim: Size of both embeddings. None: one-hot.
        reverse_source: Whether to read the source from its end.
        bidirectional: Whether the encoder reads from both ends. It needs `bridge: linear`.
        bridge: `none`: the decoder starts from the encoder's state. `linear`: from a map of the encoder's last outputs.
        attention: `none`, `additive`, `dot`, `general` or `multi_head`: how the decoder looks at the source.
        attention_heads: Of `multi_head`.
        input_feeding: Whether what the decoder found is an input of its next step. Training then takes longer.
        copy: Whether symbols may be copied from the source. It needs an attention.
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
        teacher_forcing: The initial ratio, in [0, 1].
        teacher_forcing_schedule: `constant`, `linear` or `inverse_sigmoid`, see
            `teacher_forcing_ratio`.
        teacher_forcing_end: The final ratio of the schedule, in [0, 1].
        teacher_forcing_epochs: The length of the schedule in epochs, or k of `inverse_sigmoid`.
        label_smoothing: How much of the target's probability is spread evenly over all symbols, in [0, 1], in training
            (Szegedy et al. 2016). The best checkpoint is then that with the fewest wrong characters.
        sentences: Whether targets are sentences, for which `bleu` and `chrf` are reported. None: if they may have
            several words.
        max_length: Maximum number of symbols to decode, up to 10,000.
        beam: Beams of the test and of `predict`. 1 takes the most likely symbol each time.
        length_penalty: With several beams: `none`, `average` or `wu`, see `zoo.decoding.beam_search`.
        lr: Learning rate of Adam.
    """

    model_class = Seq2SeqModel
    batch_type = PairBatch
    facts = (
        *("source_vocab", "target_vocab", "source_symbols", "target_symbols"),
        *("source_tokenizer", "target_tokenizer", "lowercase", "normalization"),
    )
    keeps = ("lowercase", "normalization")
    monitor = ("val/loss", "min")  # exact_match stops improving early, but the loss does not
    shown = ("exact_match",)
    item = "pairs"
    figure_name = "samples"
    remembers = ("_samples", "_alignments")
    model: Seq2SeqModel

    def __init__(
        self,
        source_vocab: list[str] | None = None,
        target_vocab: list[str] | None = None,
        source_symbols: SymbolKind | None = None,
        target_symbols: SymbolKind | None = None,
        source_tokenizer: str | None = None,
        target_tokenizer: str | None = None,
        lowercase: bool | None = None,
        normalization: Normalization | None = None,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: CellSpec = "lstm",
        embedding_dim: int | None = None,
        reverse_source: bool = False,
        bidirectional: bool = False,
        bridge: BridgeName = "none",
        attention: AttentionName = "none",
        attention_heads: int = 4,
        input_feeding: bool = False,
        copy: bool = False,
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
        teacher_forcing: float = 1.0,
        teacher_forcing_schedule: Schedule = "constant",
        teacher_forcing_end: float = 0.0,
        teacher_forcing_epochs: int = 10,
        label_smoothing: float = 0.0,
        sentences: bool | None = None,
        max_length: int = 50,
        beam: int = 1,
        length_penalty: LengthPenalty = "none",
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        check_ratios(
            teacher_forcing=teacher_forcing, teacher_forcing_end=teacher_forcing_end, label_smoothing=label_smoothing
        )
        check_sizes(teacher_forcing_epochs=teacher_forcing_epochs, beam=beam)
        check_choice("length_penalty", length_penalty, get_args(LengthPenalty))
        for name in WHOLE:
            if self.hparams[name] and (teacher_forcing != 1.0 or teacher_forcing_schedule != "constant"):
                raise ValueError(f"{name}: it has one mask for all steps, and needs a teacher_forcing of 1")
        check_max_length(max_length)
        check_choice("teacher_forcing_schedule", teacher_forcing_schedule, get_args(Schedule))
        if label_smoothing:  # the loss without it gets worse while the answers still get better
            self.monitor = ("val/char_error_rate", "min")  # type: ignore[misc]
        self._shown_pairs: list[dict[str, str]] = []
        self._aligned_pairs: PairBatch | None = None
        self._samples: list[tuple[int, list[dict[str, str]]]] = []
        self._alignments: list[tuple[int, list[tuple[Any, ...]]]] = []

    def setup(self, stage: str) -> None:
        """See `Task`. A datamodule may say how many symbols a target has at most, with its end: `longest_target`.

        Raises:
            ValueError: If `max_length` is less.
        """
        super().setup(stage)
        limit = self.hparams["max_length"]
        longest = getattr(getattr(self._trainer, "datamodule", None), "longest_target", 0)
        if stage != "predict" and longest > limit:
            raise ValueError(f"max_length: got {limit}, but a target has {longest} symbols with its end")

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        metrics: dict[str, Metric] = {"accuracy": Share()}
        if stage != "train":
            metrics["exact_match"] = Share()
            metrics["char_error_rate"] = Mean()
            if self.model.target_vocab.kind != "characters":
                metrics["symbol_error_rate"] = Mean()
            if self._are_sentences():
                metrics["bleu"] = Bleu()
                if stage == "test":  # it is slow to count
                    metrics["chrf"] = Chrf()
        return metrics

    def _are_sentences(self) -> bool:
        """Returns whether the targets are sentences: as `sentences` says, or if they may have several words."""
        if (given := self.hparams["sentences"]) is not None:
            return bool(given)
        vocab = self.model.target_vocab
        return vocab.kind != "characters" or " " in vocab

    def score(self, batch: PairBatch, stage: Stage) -> Loss:
        """See `Task`."""
        # The decoder reads the target without its last symbol, and predicts it without its first.
        # Symbols after the end have no effect: they are not in the loss.
        true_inputs = batch.target[:, :-1].clamp(min=0)
        targets = batch.target[:, 1:]
        ratio = self.teacher_forcing_now() if stage == "train" else 1.0
        if ratio == 1.0:
            logits = self.model(batch.source, batch.source_lengths, true_inputs)
        else:
            logits = self._decode_with_draws(batch, true_inputs, ratio)
        smoothing = self.hparams["label_smoothing"] if stage == "train" else 0.0
        total = summed_cross_entropy(logits, targets, label_smoothing=smoothing)
        count = (targets != IGNORE).sum()
        self.metric(stage, "accuracy").update((logits.argmax(-1) == targets).sum(), count)
        if stage != "train":
            self._score_freely(batch, stage)
        return Loss(total, count)

    def teacher_forcing_now(self) -> float:
        """Returns the ratio of the current epoch."""
        h = self.hparams
        return teacher_forcing_ratio(
            self.current_epoch,
            h["teacher_forcing_schedule"],
            h["teacher_forcing"],
            h["teacher_forcing_end"],
            h["teacher_forcing_epochs"],
        )

    def _decode_with_draws(self, batch: PairBatch, true_inputs: Tensor, ratio: float) -> Tensor:
        state = self.model.network.start(batch.source, batch.source_lengths)
        forced = torch.rand(true_inputs.shape, device=true_inputs.device) < ratio
        steps: list[Tensor] = []
        ids = true_inputs[:, 0]
        for t in range(true_inputs.shape[1]):
            if t:
                ids = torch.where(forced[:, t], true_inputs[:, t], steps[-1].argmax(-1))
            logits, state = self.model.network.decoder.step(ids, state)
            steps.append(logits)
        return torch.stack(steps, 1)

    def _score_freely(self, batch: PairBatch, stage: Stage) -> None:
        longest = self.model.config.max_length
        if (needed := batch.target.shape[1] - 1) > longest:
            raise ValueError(f"max_length: got {longest}, but a target has {needed} symbols with its end")
        answers = self.model.answer(batch) if stage == "val" else self._search(batch)
        rows = [row for row in answers if "target" in row]
        predictions = [row["prediction"] for row in rows]
        references = [row.get("references", [row["target"]]) for row in rows]
        right = sum(text in several for text, several in zip(predictions, references, strict=True))
        self.metric(stage, "exact_match").update(torch.tensor(right), torch.tensor(len(rows)))
        self.metric(stage, "char_error_rate").update(*edit_errors(predictions, references))
        metrics: Any = self.metrics[f"{stage}_metrics"]
        if "symbol_error_rate" in metrics:
            split = self.model.target_vocab.split
            found = [[*split(text)] for text in predictions]
            right_ones = [[[*split(text)] for text in several] for several in references]
            self.metric(stage, "symbol_error_rate").update(*edit_errors(found, right_ones))
        for name in ("bleu", "chrf"):
            if rows and name in metrics:
                self.metric(stage, name).update(predictions, references)
        if stage == "val" and not self._shown_pairs:
            chosen = [place for place, row in enumerate(answers) if "target" in row][:ALIGNED_PAIRS]
            self._aligned_pairs = PairBatch(*(part[chosen] for part in batch[:3])) if chosen else None
        if stage == "val" and len(self._shown_pairs) < SHOWN_PAIRS:
            self._shown_pairs.extend(rows[: SHOWN_PAIRS - len(self._shown_pairs)])

    def predict_step(self, batch: Any, batch_idx: int) -> list[dict[str, Any]]:
        """See `Task`."""
        return self._search(batch)

    def _search(self, batch: PairBatch) -> list[dict[str, Any]]:
        return self.model.answer(batch, self.hparams["beam"], self.hparams["length_penalty"])

    def on_validation_epoch_start(self) -> None:
        """Clears the pairs of the last validation."""
        self._shown_pairs, self._aligned_pairs = [], None

    def on_validation_epoch_end(self) -> None:
        """Keeps the first predictions in epochs 1, 2, 4, 8, ... and the last one.

        If an epoch has several validations, those of the last one are kept.
        """
        epoch = self.current_epoch + 1
        if not self.trainer.sanity_checking and (is_sampling_epoch(epoch) or epoch == self.trainer.max_epochs):
            earlier = [sample for sample in self._samples if sample[0] != epoch]
            self._samples = [*earlier, (epoch, self._shown_pairs)]
            if self.model.config.attention != "none" and self._aligned_pairs is not None:
                found = self.model.aligned(self._aligned_pairs)
                known = [sample for sample in self._alignments if sample[0] != epoch]
                self._alignments = [*known, (epoch, [tuple(one) for one in found])]

    def figures(self) -> dict[str, Callable[[], "Figure | None"]]:
        """See `Task`: with an attention, also where the model looks."""
        more = {"alignments": self._aligned} if self.model.config.attention != "none" else {}
        return super().figures() | more

    def _aligned(self) -> "Figure | None":
        """Draws where the model looked after some of these epochs, a row for each pair."""
        from zoo import plots

        if not self._alignments:
            return None
        places = {round(i * (len(self._alignments) - 1) / (ALIGNED_EPOCHS - 1)) for i in range(ALIGNED_EPOCHS)}
        shown = [self._alignments[place] for place in sorted(places)]
        rows = range(len(shown[-1][1]))
        return plots.alignments(
            [[(f"epoch {epoch}", *found[row]) for epoch, found in shown if row < len(found)] for row in rows]
        )

    def figure(self) -> "Figure | None":
        """Draws the predictions of all these epochs."""
        from zoo import plots

        if not self._samples:
            return None
        _, pairs = self._samples[-1]
        predictions = [(epoch, [row["prediction"] for row in rows]) for epoch, rows in self._samples]
        return plots.decoded_pairs([row["input"] for row in pairs], [row["target"] for row in pairs], predictions)

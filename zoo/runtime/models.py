"""Exported models: the methods of `zoo.methods`, computed by ONNX graphs.

Legend: B batch, T time steps, S source steps, C classes, V vocabulary.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from zoo import html
from zoo.batch import ClassBatch, PairBatch, TagBatch
from zoo.decoding import Array
from zoo.methods.base import Methods
from zoo.methods.char_lm import PIECE, CharLMMethods
from zoo.methods.config import ModelConfig
from zoo.methods.regressor import RegressorMethods
from zoo.methods.seq2seq import Seq2SeqMethods
from zoo.methods.seq_classifier import SeqClassifierMethods
from zoo.methods.seq_tagger import SeqTaggerMethods
from zoo.runtime.graphs import Graph, StepDecoder, mirrored


class Exported(Methods):
    """A model of graphs.

    Args:
        model_name: Its registry name, for example `char_lm_lstm`.
        config: Describes the model.
        about: Plain values of its card.
        graphs: Its graphs, by name.
        digest: Of the graphs.
    """

    needs: ClassVar[tuple[str, ...]] = ("sequence",)  # its graphs; the last one has the logits
    predicts: ClassVar[str | None] = None  # the field of the config that lists what they are of

    def __init__(
        self,
        model_name: str,
        config: ModelConfig,
        about: dict[str, Any],
        graphs: Mapping[str, Graph],
        digest: str,
    ) -> None:
        self._name, self.config, self.about, self.graphs = model_name, config, about, graphs
        self._digest = digest

    @classmethod
    def check_graphs(cls, config: Any, graphs: Mapping[str, Graph], where: str) -> None:
        """Checks that graphs and config belong together.

        Raises:
            ValueError: If a graph is missing, or its last output has another width than the config says.
        """
        for name in cls.needs:
            if name not in graphs:
                raise ValueError(f"{where}: the graph {name} is missing")
        size = None if cls.predicts is None else len(getattr(config, cls.predicts))
        width = graphs[cls.needs[-1]].width
        if size is not None and width != size:
            raise ValueError(
                f"{where}: {cls.predicts} has {size} entries, and the graph {cls.needs[-1]} {width} logits"
            )
        if "sequence" in graphs and len(graphs["sequence"].first(1)) != len(graphs["sequence"].state):
            raise ValueError(f"{where}: the graph sequence lacks its first state")

    @property
    def model_name(self) -> str:
        """See `Methods`."""
        return self._name

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.model_name}, exported, takes {self.takes}"

    def _repr_html_(self) -> str:
        return html.table(self.about.get("title", self.model_name), {"model": self.model_name, "takes": self.takes})

    def first_state(self) -> tuple[Array, ...]:
        """See `Methods`."""
        return self.graphs["sequence"].first(1) if "sequence" in self.graphs else ()

    def advance(self, inputs: tuple[Array, ...], state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """See `Methods`."""
        return self.graphs["sequence"](inputs, state)

    def digest(self) -> str:
        """See `Methods`: that of the graphs."""
        return self._digest

    def _sequence(self, *inputs: Any) -> Array:
        """Returns the answer to whole inputs."""
        graph = self.graphs["sequence"]
        return graph(inputs, graph.first(len(inputs[0])))[0]


class CharLM(CharLMMethods, Exported):
    """An exported language model."""

    needs, predicts = ("sequence", "step"), "vocab"

    def logits(self, ids: Any) -> Array:
        """See `CharLMMethods`."""
        given = np.asarray(ids)
        return self._sequence(given, np.full(len(given), given.shape[1]))

    def read(self, ids: Array, lengths: Array) -> tuple[Array, dict[str, Array]]:
        """See `CharLMMethods`."""
        graph, rows = self.graphs["sequence"], np.arange(len(ids))
        state, last = graph.first(len(ids)), np.zeros((len(ids), len(self.vocab)), dtype=np.float32)
        for begin in range(0, ids.shape[1], PIECE):
            left = np.clip(lengths - begin, 0, PIECE)
            piece = np.ascontiguousarray(ids[:, begin : begin + PIECE])
            logits, state = graph((piece, left), state)
            last = np.where((left > 0)[:, None], logits[rows, left - 1], last)
        return last, dict(zip(graph.state, state, strict=True))

    def decoder(self) -> StepDecoder:
        """See `CharLMMethods`."""
        return StepDecoder(self.graphs["step"])


class SeqClassifier(SeqClassifierMethods, Exported):
    """An exported classifier."""

    predicts = "classes"

    def logits(self, batch: ClassBatch) -> Array:
        """See `SeqClassifierMethods`."""
        inputs: Any = batch.inputs
        lengths = np.full(len(inputs), inputs.shape[1]) if batch.lengths is None else batch.lengths
        return self._sequence(inputs, lengths)


class SeqTagger(SeqTaggerMethods, Exported):
    """An exported tagger."""

    predicts = "tags"

    def logits(self, batch: TagBatch) -> Array:
        """See `SeqTaggerMethods`."""
        return self._sequence(batch.inputs, batch.lengths, *(() if batch.letters is None else (batch.letters,)))


class Seq2Seq(Seq2SeqMethods, Exported):
    """An exported encoder and decoder."""

    needs, predicts = ("encode", "step"), "target_vocab"

    def encode(self, batch: PairBatch) -> dict[str, Array]:
        """See `Seq2SeqMethods`."""
        graph = self.graphs["encode"]
        found = graph.run(None, {"source": np.asarray(batch.source), "lengths": np.asarray(batch.source_lengths)})
        return dict(zip(graph.outputs, found, strict=True))

    def decoder(self) -> StepDecoder:
        """See `Seq2SeqMethods`."""
        return StepDecoder(self.graphs["step"])

    def weights(self, batch: PairBatch, ids: Array) -> Array:
        """See `Seq2SeqMethods`."""
        if self.config.attention == "none":
            raise ValueError("attention: none; the model has no alignment")
        found = self.decoder().weights(ids, self.encode(batch))
        return mirrored(found, np.asarray(batch.source_lengths)) if self.config.reverse_source else found


class Regressor(RegressorMethods, Exported):
    """An exported regressor."""

    def predicted(self, inputs: Any, times: Any = None) -> Array:
        """See `RegressorMethods`."""
        if self.config.calendar and times is None:
            raise ValueError(f"times: this model needs them for its calendar, {', '.join(self.config.calendar)}")
        return self._sequence(inputs, *((times,) if self.config.calendar else ()))


KINDS: dict[str, type[Exported]] = {
    one.task_name: one for one in (CharLM, SeqClassifier, SeqTagger, Seq2Seq, Regressor)
}

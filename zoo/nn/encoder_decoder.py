"""Sequence to sequence: an encoder, and a decoder that starts from its state and may look at its outputs.

Legend: B batch, S source steps, T target steps, H hidden units, M numbers of an encoder's output, V target symbols.

A decoder has `forward`, `step` and `stepper` as `CharNet` has them; `EncoderDecoder.start` makes its first state. What
else it needs of the source is in that state, so that decoding is the same with attention and without.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from zoo.checks import check_choice
from zoo.choices import AttentionName, BridgeName
from zoo.nn.attention import Memory, make_attention
from zoo.nn.layer import State, real_steps
from zoo.nn.networks import CharNet, head, symbol_input
from zoo.nn.recurrent import Recurrent, initialize

LEAST = 1e-20  # of a probability
WHOLE = ("weight_drop", "variational_dropout")  # one mask for all steps: not where a decoder goes step by step


class AttentionDecoder(nn.Module):
    """A decoder that looks at the encoder's outputs after each step (Luong et al. 2015).

        s_t = recurrent layers of [y_{t-1}; a_{t-1}], with output o_t       a_{t-1} with input feeding only
        w_t = the attention's weights of o_t over the encoder's outputs, c_t = their weighted mean
        a_t = tanh(W [c_t; o_t] + b)
        P_t = softmax of the head of a_t

    With `copy` (See et al. 2017, section 2.2, with a_t for what they put into the gate), a symbol may also come from
    the source: g_t = sigmoid(v . a_t + b), and P_t = g_t softmax(head of a_t) + (1 - g_t) w_t.

    Its state is that of the layers, a_t (B, H) with input feeding, the memory, the target symbols of the source (B, S)
    with `copy`, and how much each source step was looked at so far (B, S).

    Args:
        vocab_size: Symbols, V.
        memory_size: Numbers of an encoder's output, M.
        hidden_size: Units of each layer, and numbers of a_t, H.
        embedding_dim: Width of the embedding; None for one-hot.
        attention: Its name, see `zoo.nn.attention`.
        attention_heads: Of `multi_head`.
        input_feeding: Whether a_t is an input of the next step (section 3.3 of the paper). Training then goes step by
            step.
        copy: Whether symbols of the source may be copied.
        head_dropout: Probability of dropping what the head sees, in training.
        **recurrent: Arguments of `Recurrent`.

    Raises:
        ValueError: If `input_feeding` meets one-hot inputs or an option with one mask for all steps.
    """

    def __init__(
        self,
        vocab_size: int,
        memory_size: int,
        hidden_size: int,
        *,
        embedding_dim: int | None,
        attention: AttentionName,
        attention_heads: int,
        input_feeding: bool,
        copy: bool = False,
        head_dropout: float,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        if input_feeding and embedding_dim is None:
            raise ValueError("input_feeding: it needs an embedding_dim")
        for name in WHOLE:
            if input_feeding and recurrent.get(name):
                raise ValueError(f"{name}: it has one mask for all steps, and does not work with input_feeding")
        self.input_feeding, self.hidden_size = input_feeding, hidden_size
        self.input = symbol_input(vocab_size, embedding_dim)
        self.recurrent = Recurrent(
            self.input.embedding_dim + (hidden_size if input_feeding else 0), hidden_size, **recurrent
        )
        self.attention = make_attention(attention, self.recurrent.output_size, memory_size, attention_heads)
        self.combine = nn.Linear(self.attention.context_size + self.recurrent.output_size, hidden_size)
        self.head = head(hidden_size, vocab_size, head_dropout)
        self.gate = nn.Linear(hidden_size, 1) if copy else None

    def start(self, state: State, outputs: Tensor, real: Tensor, symbols: Tensor) -> State:
        """Returns the first state.

        Args:
            state: Of the recurrent layers.
            outputs: The encoder's (B, S, M).
            real: Which of them are no padding (B, S), bool.
            symbols: The target symbols that they are of (B, S), int64; -1 where there is none.
        """
        feed = (outputs.new_zeros(outputs.shape[0], self.hidden_size),) if self.input_feeding else ()
        copied = () if self.gate is None else (symbols,)
        seen = outputs.new_zeros(outputs.shape[:2], dtype=torch.promote_types(outputs.dtype, torch.float32))
        return (*state, *feed, *self.attention.remember(outputs, real), *copied, seen)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the tensors of a state: of the layers, of the source, and `seen`, see the class."""
        feed, copied = ("feed",) * self.input_feeding, () if self.gate is None else ("copied",)
        return (*self.recurrent.state_names, *feed, *Memory._fields, *copied, "seen")

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Maps the symbols before each step (B, T) to logits (B, T, V) and the last state."""
        vectors, weights, state = self._run(ids, state)
        return self._logits(vectors, weights, state), state

    def align(self, ids: Tensor, state: State) -> Tensor:
        """Returns how much each step looks at each source step (B, T, S), for the symbols before each step (B, T)."""
        return self._run(ids, state)[1]

    def _run(self, ids: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Returns a (B, T, H), the attention's weights (B, T, S), and the last state."""
        if not self.input_feeding:
            outputs, after = self.recurrent(self.input(ids), self._layers(state))
            return self._look(outputs, after, state)
        found = []
        for id_t in ids.unbind(1):
            vector, weights, state = self._advance(id_t, state)
            found.append((vector, weights))
        vectors, weights = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        return vectors, weights, state

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Maps ids (B,) of one time step to logits (B, V) and the new state."""
        vectors, weights, state = self._advance(ids, state)
        return self._logits(vectors, weights, state)[:, 0], state

    @torch.no_grad()
    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Prepares the weights and returns a fast `step` for evaluation mode, see `CharNet.stepper`."""
        advance = self.recurrent.stepper()
        table = None if self.input_feeding else self.recurrent.project(self.input.weight)

        def step(ids: Tensor, state: State) -> tuple[Tensor, State]:
            p_t = self.recurrent.project(self._inputs(ids, state)) if table is None else table.index_select(0, ids)
            output, after = advance(p_t, self._layers(state))
            vectors, weights, state = self._look(output[:, None], after, state)
            return self._logits(vectors, weights, state)[:, 0], state

        return step

    def reorder(self, state: State, index: Tensor) -> State:
        """Returns the state of the rows `index` (B,), each of which is of the same source as the row that it replaces.

        What belongs to the source stays where it is.
        """
        moved = self._count + self.input_feeding
        return (*Recurrent.select(state[:moved], index), *state[moved:-1], state[-1].index_select(0, index))

    def unseen(self, state: State) -> Tensor:
        """How much of each source was not looked at yet (B,): sum_s log(min(its weights' sum, 1)), at most 0.

        It is the coverage penalty of Wu et al. 2016, equation 14, without its factor. A step that was never looked at
        counts as one with a sum of 1e-4.
        """
        real = state[self._count + self.input_feeding + Memory._fields.index("real")]
        return state[-1].clamp(1e-4, 1.0).log().masked_fill(~real, 0.0).sum(-1)

    def _advance(self, ids: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Returns a_t (B, 1, H), the weights (B, 1, S) and the new state."""
        output, after = self.recurrent.step(self._inputs(ids, state), self._layers(state))
        return self._look(output[:, None], after, state)

    def _inputs(self, ids: Tensor, state: State) -> Tensor:
        """What the layers read of symbols (B,)."""
        x_t = self.input(ids)
        return torch.cat([x_t, state[self._count]], dim=-1) if self.input_feeding else x_t

    @property
    def _count(self) -> int:
        return len(self.recurrent.layers.state_shapes)

    def _layers(self, state: State) -> State:
        """The part of the recurrent layers."""
        return state[: self._count]

    def _look(self, outputs: Tensor, after: State, state: State) -> tuple[Tensor, Tensor, State]:
        """Looks at the memory.

        Args:
            outputs: Of the recurrent layers (B, T, O).
            after: Their new state.
            state: The whole state before.

        Returns:
            a (B, T, H), the weights (B, T, S), and the whole new state.
        """
        *rest, seen = state[self._count + self.input_feeding :]
        contexts, weights = self.attention(outputs, Memory(*rest[: len(Memory._fields)]))
        vectors = self.combine(torch.cat([contexts, outputs], dim=-1)).tanh()
        feed = (vectors[:, -1],) if self.input_feeding else ()
        return vectors, weights, (*after, *feed, *rest, seen + weights.sum(1))

    def _logits(self, vectors: Tensor, weights: Tensor, state: State) -> Tensor:
        """Maps a (B, T, H) and the weights (B, T, S) to logits (B, T, V); with `copy`, logarithms of probabilities."""
        logits = self.head(vectors)
        if self.gate is None:
            return logits
        symbols = state[-2][:, None].expand_as(weights)
        wide = logits.to(weights.dtype)
        copied = torch.zeros_like(wide).scatter_add(2, symbols.clamp_min(0), weights * (symbols >= 0))
        own = self.gate(vectors).to(wide.dtype).sigmoid()
        return (own * wide.softmax(-1) + (1 - own) * copied).clamp_min(LEAST).log()


class Bridge(nn.Module):
    """Makes a decoder's first state: s_0 = tanh(W e + b), where e is what the encoder says last.

    As in Bahdanau et al. 2015, appendix A.2.2, with the outputs of both directions.

    Args:
        input_size: Numbers of the encoder's last outputs.
        shapes: The shapes of the decoder's state, of one row.
    """

    def __init__(self, input_size: int, shapes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.shapes = shapes
        self.linear = nn.Linear(input_size, sum(map(math.prod, shapes)))

    def forward(self, last: Tensor) -> State:
        """Maps outputs (B, O) to a state, in the precision of the weights, as the layers' own states are."""
        first = self.linear(last).tanh().to(self.linear.weight.dtype)
        parts = first.split([math.prod(shape) for shape in self.shapes], dim=-1)
        return tuple(part.unflatten(-1, shape) for part, shape in zip(parts, self.shapes, strict=True))


class EncoderDecoder(nn.Module):
    """Sequence to sequence (Sutskever et al. 2014): the decoder starts from the encoder's last state.

    Args:
        source_size: Symbols of the source.
        target_size: Symbols of the target, V.
        embedding_dim: Width of both embeddings; None for one-hot.
        reverse_source: Read the source from its end, so that its beginning is closer to the target's
            (section 3.3 of the paper).
        bidirectional: Whether the encoder reads from both ends. It needs a bridge.
        bridge: `none`: the decoder starts from the encoder's state. `linear`: see `Bridge`.
        attention: See `AttentionDecoder`, as for the next ones. `none`: the decoder sees the first state alone.
        attention_heads: Of `multi_head`.
        input_feeding: Whether what the decoder found is an input of its next step.
        copy: Which target symbol each source symbol is (source_size), -1 for none, if symbols may be copied.
        head_dropout: Probability of dropping what the head sees, in training.
        init: Initialisation of all weights, see `initialize`.
        **recurrent: Arguments of `Recurrent` for both sides.

    Raises:
        ValueError: If the options do not suit each other, or a name is unknown.
    """

    decoder: CharNet | AttentionDecoder
    targets_of_source: Tensor | None

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        embedding_dim: int | None,
        reverse_source: bool,
        bidirectional: bool = False,
        bridge: BridgeName = "none",
        attention: AttentionName = "none",
        attention_heads: int = 4,
        input_feeding: bool = False,
        copy: Sequence[int] | None = None,
        head_dropout: float,
        init: Any,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        check_choice("bridge", bridge, get_args(BridgeName))
        check_choice("attention", attention, get_args(AttentionName))
        if bidirectional and bridge == "none":
            raise ValueError("bidirectional: it needs a bridge to the decoder; try bridge: linear")
        for name, given in (("input_feeding", input_feeding), ("copy", copy is not None)):
            if given and attention == "none":
                raise ValueError(f"{name}: it needs an attention")
        self.reverse_source = reverse_source
        self.source_input = symbol_input(source_size, embedding_dim)
        self.encoder = Recurrent(self.source_input.embedding_dim, bidirectional=bidirectional, **recurrent)
        shared = {"embedding_dim": embedding_dim, "head_dropout": head_dropout, **recurrent}
        if attention == "none":
            self.decoder = CharNet(target_size, init="torch", **shared)  # type: ignore[arg-type]
        else:
            self.decoder = AttentionDecoder(
                target_size,
                self.encoder.output_size,
                attention=attention,
                attention_heads=attention_heads,
                input_feeding=input_feeding,
                copy=copy is not None,
                **shared,  # type: ignore[arg-type]
            )
        self.register_buffer("targets_of_source", None if copy is None else torch.tensor(copy), persistent=False)
        self.bridge: Bridge | None = None
        if bridge == "linear":
            self.bridge = Bridge(self.encoder.output_size, self.decoder.recurrent.layers.state_shapes)
        initialize(self, init)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Maps a source (B, S) of `lengths` (B,) real symbols to the encoder's outputs and last state.

        Returns:
            Outputs (B, S, M), in the order in which the encoder reads, 0 at padding; and the state.
        """
        if self.reverse_source:
            source = source.gather(1, self.mirror(source, lengths))
        return self.encoder(self.source_input(source), lengths=lengths)

    def start(self, source: Tensor, lengths: Tensor) -> State:
        """Returns the decoder's first state for a source (B, S) of `lengths` (B,) real symbols."""
        outputs, state = self.encode(source, lengths)
        if self.bridge is not None:
            state = self.bridge(self.encoder.last(outputs, lengths))
        if isinstance(self.decoder, AttentionDecoder):
            symbols = source if self.targets_of_source is None else self.targets_of_source[source]
            if self.reverse_source:  # as the encoder has read it
                symbols = symbols.gather(1, self.mirror(source, lengths))
            state = self.decoder.start(state, outputs, real_steps(lengths.cpu(), source), symbols)
        return state

    @staticmethod
    def mirror(source: Tensor, lengths: Tensor) -> Tensor:
        """Returns which source step to read at each step (B, S), int64, from the last real one to the first."""
        steps = torch.arange(source.shape[1], device=source.device)
        return (lengths.to(source.device)[:, None] - 1 - steps).clamp(min=0)  # below 0 there is only padding

    def forward(self, source: Tensor, lengths: Tensor, decoder_inputs: Tensor) -> Tensor:
        """Maps a source (B, S) and the true symbols before each step (B, T) to logits (B, T, V)."""
        return self.decoder(decoder_inputs, self.start(source, lengths))[0]

    def align(self, source: Tensor, lengths: Tensor, decoder_inputs: Tensor) -> Tensor:
        """Returns how much each step looks at each source symbol (B, T, S); the sum over the source is 1.

        Raises:
            ValueError: If there is no attention.
        """
        if not isinstance(self.decoder, AttentionDecoder):
            raise ValueError("attention: none; the model has no alignment")
        weights = self.decoder.align(decoder_inputs, self.start(source, lengths))
        if not self.reverse_source:
            return weights
        index = self.mirror(source, lengths)[:, None].expand_as(weights)
        return weights.gather(2, index).masked_fill(~real_steps(lengths.cpu(), source)[:, None], 0.0)

"""Four small networks around one recurrent stack. They know no loss, optimizer or Trainer.

Legend: B batch, T time steps, S source steps, D features, H hidden units, V vocabulary, C classes,
K target values.
"""

from collections.abc import Callable
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from zoo.checks import check_choice, check_dropout, check_sizes
from zoo.choices import CellSpec, Pooling
from zoo.nn.layer import State, draw_normal
from zoo.nn.recurrent import Recurrent, allocating, initialize

LETTER_DIM = 32  # width of the letters' embedding in a `Speller`
MAX_ONE_HOT = 10_000  # symbols; the size of the identity matrix is the square of this


class OneHot(nn.Module):
    """Symbols as one-hot vectors: looks up rows of the identity matrix.

    Args:
        num_symbols: The vocabulary's size, V.
    """

    weight: Tensor

    def __init__(self, num_symbols: int) -> None:
        super().__init__()
        self.embedding_dim = num_symbols
        # Not torch.eye, which imports PyTorch's compiler on the meta device.
        identity = torch.zeros(num_symbols, num_symbols).fill_diagonal_(1.0)
        self.register_buffer("weight", identity, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Maps ids (...), int64, to vectors (..., V)."""
        return embedding(ids, self.weight)


def symbol_input(vocab_size: int, embedding_dim: int | None) -> nn.Embedding | OneHot:
    """Returns an embedding, or one-hot vectors if `embedding_dim` is None."""
    check_sizes(vocab_size=vocab_size)
    if embedding_dim is None:
        if vocab_size > MAX_ONE_HOT:
            raise ValueError(
                f"vocab: got {vocab_size} symbols, expected at most {MAX_ONE_HOT} without an embedding_dim"
            )
        return OneHot(vocab_size)
    check_sizes(embedding_dim=embedding_dim)
    with allocating(vocab_size=vocab_size, embedding_dim=embedding_dim):
        weight = torch.empty(vocab_size, embedding_dim)
    draw_normal(weight, 1.0)
    return nn.Embedding.from_pretrained(weight, freeze=False)


def input_axes(network: nn.Module, inputs: str = "input", recurrent: str = "recurrent") -> dict[str, int]:
    """Returns which tensors of a network hold a vector for each input symbol, and along which axis.

    Args:
        network: The network.
        inputs: The name of its module from `symbol_input`.
        recurrent: The name of the stack that reads it.
    """
    if isinstance(network.get_submodule(inputs), nn.Embedding):
        return {f"{inputs}.weight": 0}
    stack: Recurrent = network.get_submodule(recurrent)  # type: ignore[assignment]
    return {f"{recurrent}.{name}": axis for name, axis in stack.input_axes().items()}


def head(input_size: int, output_size: int, dropout: float) -> nn.Sequential:
    """The last layer: dropout, then linear."""
    check_dropout(head_dropout=dropout)
    with allocating(head_inputs=input_size, head_outputs=output_size):
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(input_size, output_size))


HEAD_AXES = {"head.1.weight": 0, "head.1.bias": 0}  # tensors with a row for each symbol or class to predict


class CharNet(nn.Module):
    """A language model: the logits of the next symbol at each step.

    Args:
        vocab_size: Symbols, V.
        embedding_dim: Width of the embedding; None for one-hot.
        head_dropout: Probability of dropping what the head sees, in training.
        tie_weights: Whether the head's weights are those of the embedding (Press and Wolf 2017).
        init: Initialisation of all weights, see `initialize`.
        **recurrent: Arguments of `Recurrent`: hidden_size, num_layers, cell, dropout and so on.

    Raises:
        ValueError: If tied weights would have two shapes.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        embedding_dim: int | None,
        head_dropout: float,
        tie_weights: bool = False,
        init: Any,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        self.input = symbol_input(vocab_size, embedding_dim)
        self.recurrent = Recurrent(self.input.embedding_dim, **recurrent)
        self.head = head(self.recurrent.output_size, vocab_size, head_dropout)
        initialize(self, init)
        if tie_weights:
            if embedding_dim != self.recurrent.output_size:
                raise ValueError(
                    f"tie_weights: it needs an embedding_dim of {self.recurrent.output_size}, as wide as the outputs; "
                    f"got {embedding_dim}"
                )
            with torch.no_grad():  # an embedding's own scale would be far too large for logits
                self.input.weight.copy_(self.head[1].weight)  # type: ignore[arg-type]
            self.head[1].weight = self.input.weight

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Maps ids (B, T) to logits (B, T, V) and the last state."""
        outputs, state = self.recurrent(self.input(ids), state)
        return self.head(outputs), state

    reorder = staticmethod(Recurrent.select)  # see `AttentionDecoder.reorder`

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the tensors of a state."""
        return self.recurrent.state_names

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Maps ids (B,) of one time step to logits (B, V) and the new state."""
        output, state = self.recurrent.step(self.input(ids), state)
        return self.head(output), state

    @torch.no_grad()
    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Prepares the weights and returns a fast `step` for evaluation mode. Call it again after they change.

        The embedding and the first layer's input weights become one table, (V, G*H), of which a
        step looks one row up for each symbol.
        """
        table = self.recurrent.project(self.input.weight)
        last: nn.Linear = self.head[1]  # type: ignore[assignment]
        recurrent_step = self.recurrent.stepper()

        def step(ids: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = recurrent_step(table.index_select(0, ids), state)
            return linear(output, last.weight, last.bias), state

        return step

    def read(self, ids: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Maps ids (B, T), of `lengths` (B,) real symbols, to the logits after them (B, V) and the state."""
        outputs, state = self.recurrent(self.input(ids), lengths=lengths)
        return self.head(self.recurrent.last(outputs, lengths)), state


class ClassifierNet(nn.Module):
    """A sequence classifier: the logits of each class, from the last or pooled outputs.

    Args:
        num_classes: Classes, C.
        input_size: Features of each step, D; None if the inputs are symbols.
        vocab_size: Symbols, V; None if the inputs are features.
        embedding_dim: Width of the symbols' embedding; None for one-hot.
        pooling: `last` output of each direction, or `mean` or `max` of the outputs over time.
        head_dropout: Probability of dropping what the head sees, in training.
        init: Initialisation of all weights, see `initialize`.
        **recurrent: Arguments of `Recurrent`: hidden_size, num_layers, cell, dropout, bidirectional and so on.

    Raises:
        ValueError: If not exactly one of input_size and vocab_size is given.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        input_size: int | None,
        vocab_size: int | None,
        embedding_dim: int | None,
        pooling: Pooling,
        head_dropout: float,
        init: Any,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes)
        check_choice("pooling", pooling, get_args(Pooling))
        if (input_size is None) == (vocab_size is None):
            raise ValueError("expected either input_size (features) or vocab (symbols), got both or neither")
        self.input = nn.Identity() if vocab_size is None else symbol_input(vocab_size, embedding_dim)
        width = input_size if vocab_size is None else self.input.embedding_dim
        self.recurrent = Recurrent(width, **recurrent)  # type: ignore[arg-type]
        self.pooling = pooling
        self.head = head(self.recurrent.output_size, num_classes, head_dropout)
        initialize(self, init)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Maps features (B, T, D) or symbols (B, T), of `lengths` (B,) real steps, to logits (B, C)."""
        outputs, _ = self.recurrent(self.input(inputs), lengths=lengths)
        return self.head(self.pool(outputs, lengths))

    def pool(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Makes one vector (B, F) of outputs (B, T, F)."""
        if self.pooling == "last":
            return self.recurrent.last(outputs, lengths)
        if lengths is None:
            return outputs.mean(1) if self.pooling == "mean" else outputs.amax(1)
        steps = torch.arange(outputs.shape[1], device=outputs.device)
        lengths = lengths.to(outputs.device)[:, None]
        padding = (steps >= lengths)[:, :, None]  # (B, T, 1)
        if self.pooling == "mean":
            return outputs.masked_fill(padding, 0.0).sum(1) / lengths
        return outputs.masked_fill(padding, float("-inf")).amax(1)


class TaggerNet(nn.Module):
    """A tagger: the logits of each tag at each step.

    Args:
        num_tags: Tags, C.
        vocab_size: Symbols, V.
        embedding_dim: Width of the symbols' embedding; None for one-hot.
        num_letters: Letters of the symbols, which are words, with the padding, 0; None: words are not spelled.
        spelling_size: Units of each direction of a network that reads the letters of a word (Lample et al. 2016).
        head_dropout: Probability of dropping what the head sees, in training.
        init: Initialisation of all weights, see `initialize`.
        **recurrent: Arguments of `Recurrent`: hidden_size, num_layers, cell, dropout, bidirectional and so on.
    """

    def __init__(
        self,
        num_tags: int,
        *,
        vocab_size: int,
        embedding_dim: int | None,
        num_letters: int | None = None,
        spelling_size: int = 0,
        head_dropout: float,
        init: Any,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        check_sizes(num_tags=num_tags)
        self.input = symbol_input(vocab_size, embedding_dim)
        width = self.input.embedding_dim
        self.speller: Speller | None = None
        if num_letters is not None and spelling_size:
            self.speller = Speller(num_letters, spelling_size, recurrent["cell"])
            width += self.speller.output_size
        self.recurrent = Recurrent(width, **recurrent)
        self.head = head(self.recurrent.output_size, num_tags, head_dropout)
        initialize(self, init)

    def forward(self, ids: Tensor, lengths: Tensor | None = None, letters: Tensor | None = None) -> Tensor:
        """Maps symbols (B, T), of `lengths` (B,) real steps, and their letters (B, T, L) to logits (B, T, C)."""
        outputs, _ = self.recurrent(self.read(ids, letters), lengths=lengths)
        return self.head(outputs)

    def read(self, ids: Tensor, letters: Tensor | None = None) -> Tensor:
        """Maps symbols (B, T) and their letters (B, T, L) to what the recurrent layers read (B, T, F)."""
        return self.input(ids) if self.speller is None else torch.cat([self.input(ids), self.speller(letters)], dim=-1)


class Speller(nn.Module):
    """Reads the letters of each word from both sides (Lample et al. 2016, section 4.1).

    Args:
        num_letters: Letters, with the padding, 0.
        hidden_size: Units of each direction.
        cell: The cell, with its options.
    """

    def __init__(self, num_letters: int, hidden_size: int, cell: CellSpec) -> None:
        super().__init__()
        self.input = symbol_input(num_letters, LETTER_DIM)
        self.recurrent = Recurrent(LETTER_DIM, hidden_size, cell=cell, bidirectional=True)
        self.output_size = self.recurrent.output_size

    def forward(self, letters: Tensor) -> Tensor:
        """Maps letters (B, T, L), with 0 after a word's end, to a vector for each word (B, T, output_size)."""
        words = letters.flatten(0, 1)
        lengths = (words != 0).sum(-1).clamp(min=1).cpu()
        outputs, _ = self.recurrent(self.input(words), lengths=lengths)
        return self.recurrent.last(outputs, lengths).unflatten(0, letters.shape[:2])


class RegressorNet(nn.Module):
    """A sequence regressor: K values from the last state, of one step or of several at once.

    Args:
        input_size: Features of each step, D.
        target_size: Values to predict, K.
        linear_size: The number of inputs of a linear map from the window to the values, which is added to the head:
            T times the first so many features. None: no such map. See LSTNet (Lai et al. 2018, section 3.6).
        head_dropout: Probability of dropping what the head sees, in training.
        init: Initialisation of all weights, see `initialize`.
        **recurrent: Arguments of `Recurrent`: hidden_size, num_layers, cell, dropout and so on.
    """

    def __init__(
        self,
        input_size: int,
        target_size: int,
        *,
        linear_size: int | None = None,
        head_dropout: float,
        init: Any,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        check_sizes(target_size=target_size)
        self.recurrent = Recurrent(input_size, **recurrent)
        self.head = head(self.recurrent.output_size, target_size, head_dropout)
        self.linear = None if linear_size is None else nn.Linear(linear_size, target_size)
        initialize(self, init)

    def forward(self, inputs: Tensor, window: Tensor | None = None) -> Tensor:
        """Maps inputs (B, T, D), and the window (B, linear_size) if there is a linear map, to values (B, K)."""
        outputs, _ = self.recurrent(inputs)
        values = self.head(outputs[:, -1])
        return values if self.linear is None else values + self.linear(window)

    def unroll(self, inputs: Tensor, steps: int, following: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Predicts step by step: each prediction is the next input.

        Args:
            inputs: The window (B, T, D).
            steps: Steps to predict, H.
            following: Maps the number of a step, from 0, and its values (B, K) to the input of the next one (B, D).

        Returns:
            Values (B, H, K).
        """
        outputs, state = self.recurrent(inputs)
        output, values = outputs[:, -1], []
        for step in range(steps):
            values.append(self.head(output))
            if step < steps - 1:
                output, state = self.recurrent.step(following(step, values[-1]), state)
        return torch.stack(values, dim=1)

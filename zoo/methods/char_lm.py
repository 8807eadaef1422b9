"""What character language models do with texts."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from zoo import html
from zoo.batch import IGNORE, TextBatch
from zoo.checks import brief
from zoo.decoding import Array, Decoder, Sampling, Symbols, collect, stream
from zoo.methods.arrays import pad, softmax
from zoo.methods.base import Methods
from zoo.methods.session import Pushed
from zoo.methods.texts import ScoredText, TextConfig, as_list, encode_text, end_of, sampling_of, search_ids
from zoo.symbols import Joiner
from zoo.vocab import END, OnUnknown, Vocab

BLANKS = (" ", "\n", "\u0120", "\u010a")  # what an empty prompt stands for; byte-level BPE writes them as Ġ and Ċ
PIECE = 512  # steps that are read at once, so that long texts need little memory
EXACT = ("characters", "bytes")  # a text always has the same symbols


class Generated(NamedTuple):
    """A text that the model generated.

    Example:
        >>> Generated("on", [-0.5, -1.25])
        Generated('on', 2 log_probs, sum -1.7500)
    """

    text: str
    log_probs: list[float]  # of each symbol, natural logarithms of the model's own probabilities

    def __repr__(self) -> str:
        return f"Generated({self.text!r}, {len(self.log_probs)} log_probs, sum {sum(self.log_probs):.4f})"

    def _repr_html_(self) -> str:
        if len(self.text) == len(self.log_probs):
            return html.symbols(self.text, self.log_probs)
        return html.symbols([self.text], [sum(self.log_probs)])  # symbols of several characters, or an end symbol


@dataclass(frozen=True, kw_only=True)
class CharLMConfig(TextConfig):
    """Describes a `CharLMModel`.

    Args:
        vocab: The symbols in the order of their ids.
        embedding_dim: Width of the embedding. None is one-hot.
        tie_weights: Whether the head's weights are those of the embedding.
        lowercase: See `TextConfig`, as for the other fields.
    """

    vocab: tuple[str, ...]
    hidden_size: int = 256
    embedding_dim: int | None = None
    tie_weights: bool = False


class Continuation:
    """A text that is generated symbol by symbol.

    Args:
        vocab: The symbols.
        before: The symbol before the text.
        stops: The text ends with the first of these that occurs.
    """

    def __init__(self, vocab: Vocab, before: str, stops: list[str]) -> None:
        self.vocab, self.joiner, self.stops = vocab, Joiner(vocab.kind, before), stops
        self.longest = max(map(len, stops), default=0)
        self.text, self.ended = "", False  # the last characters

    def add(self, number: int) -> str:
        """Returns what a symbol adds to the text: nothing for the end symbol, or for a part of a character."""
        if (symbol := self.vocab[number]) == END:
            self.ended = True
            return ""
        piece = self.joiner.add(symbol)
        if self.stops:
            self.text = self.text[-self.longest :] + piece
            self.ended = any(stop in self.text for stop in self.stops)
        return piece

    def end(self) -> str:
        """Returns the rest, if the text ends within a character."""
        return "" if self.stops and self.ended else self.joiner.end()


class CharLMMethods(Methods):
    """Predicts the next symbol of a text, and generates texts."""

    task_name = "char_lm"
    config_class = CharLMConfig
    config: CharLMConfig
    takes = "texts"

    @cached_property
    def vocab(self) -> Vocab:
        """The symbols that the model knows."""
        return Vocab(self.config.vocab, self.config.symbols, self.config.tokenizer)

    @property
    def decoding(self) -> dict[str, Any]:
        """See `Methods`: `blank` stands for an empty prompt, and the ids in `never` are not written."""
        never = list(self.sampling().forbidden)
        return {"blank": self.blank, "end": end_of(self.vocab), "never": never, "temperature": 1.0, "length": 200}

    # -- what computes

    @abstractmethod
    def logits(self, ids: Any) -> Array:
        """Maps ids (B, T) to the logits of the next symbol at each step (B, T, V), from the first state on."""

    @abstractmethod
    def read(self, ids: Array, lengths: Array) -> tuple[Array, Any]:
        """Maps ids (B, T), of `lengths` (B,) real symbols, to the logits after them (B, V), and the state."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """Prepares the weights, and returns what predicts the next symbol."""

    # -- plain values

    def infer(self, values: str | Sequence[str], on_unknown: OnUnknown | None = None) -> list[dict[str, Any]]:
        """Gives the most likely next symbol after each symbol of some texts.

        Args:
            values: See `Model`.
            on_unknown: See `generate_batch`.
        """
        rows = []
        for text in as_list(values):
            known = encode_text(self.vocab, self.config.clean(text), on_unknown)
            ids: Any = np.array([known])
            rows += self.answer(TextBatch(ids, np.full_like(ids, IGNORE)))
        return rows

    def answer(self, batch: TextBatch) -> list[dict[str, Any]]:
        """Gives the most likely next symbol after each symbol; each row begins with the first state."""
        return self.rows(batch, self.logits(batch.inputs))

    def rows(self, batch: TextBatch, logits: Any) -> list[dict[str, Any]]:
        """Converts a batch and its logits (B, T, V) to plain values: see `answer`."""
        rows = []
        for inputs, predicted, targets in zip(batch.inputs, logits.argmax(-1), batch.targets, strict=True):
            known = targets != IGNORE
            row = {"input": inputs, "prediction": predicted}
            if known.any():
                row = {"input": inputs[known], "prediction": predicted[known], "target": targets[known]}
            elif batch.resets is not None:  # a row of a stream without an example
                continue
            rows.append({name: self.vocab.decode(ids.tolist()) for name, ids in row.items()})
        return rows

    def push(self, values: Any, state: tuple[Array, ...], on_unknown: OnUnknown | None = None) -> Pushed:
        """See `Session.push`."""
        if not isinstance(values, str):
            raise ValueError(f"session: got {brief(values)}, expected a text")
        (text,) = as_list(values)
        ids = encode_text(self.vocab, self.config.clean(text), on_unknown)
        for begin in range(0, len(ids), PIECE):
            piece = np.array([ids[begin : begin + PIECE]])
            logits, state = self.advance((piece, np.array([piece.shape[1]])), state)
        chances = softmax(logits[0, -1])
        return Pushed(dict(zip(self.vocab, chances.tolist(), strict=True)), state, len(ids))

    # -- generation

    def stream(self, prompt: str = "", length: int = 200, **options: Any) -> Iterator[str]:
        """Generates a text symbol by symbol: see `generate_batch`."""
        if not isinstance(prompt, str):
            raise ValueError(f"prompt: got {prompt!r}, expected a text; generate_batch takes several")
        ids = (int(symbols.ids[0]) for symbols in self._decode([prompt], length, **options))
        yield from self._pieces(ids, prompt, options)

    def generate(self, prompt: str = "", length: int = 200, **options: Any) -> str:
        """Generates a text after a prompt.

        Args:
            prompt: The beginning of the text. The model reads it from the zero state. An empty prompt
                stands for a single space, or for the first symbol of a vocabulary without a space.
            length: Maximum number of symbols to generate.
            **options: See `generate_batch`: temperature, top_k, top_p, seed, ...

        Returns:
            The text after the prompt.
        """
        return "".join(self.stream(prompt, length, **options))

    def generate_batch(
        self, prompts: Sequence[str], length: int | Sequence[int] = 200, **options: Any
    ) -> list[Generated]:
        """Generates a text after each of some prompts, in one batch.

        Args:
            prompts: Texts, which may be empty, see `generate`. Repeat a prompt to get several samples.
            length: Maximum number of symbols to generate, for all prompts or for each.
            **options: `temperature`, `top_k`, `top_p`, `repetition_penalty`: see
                `zoo.decoding.Sampling`. `allowed`, `forbidden`: strings of the only symbols to
                generate, and of symbols never to generate. `stop`: a list of strings; a text ends
                with the first of them that occurs. `seed`: the random seed; a text depends on it and
                on its position in the batch; None draws a seed. `on_unknown`: for unknown symbols
                of a prompt, see `zoo.Vocab.encode`.

        Returns:
            The text after each prompt, with the log-probability of each symbol.

        Raises:
            ValueError: If an option is outside its range, or a symbol outside the vocabulary.
        """
        if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError(f"prompts: got {prompts!r}, expected a list of texts")
        rows = collect(self._decode(prompts, length, **options))
        found = []
        for prompt, row in zip(prompts, rows, strict=True):
            pieces = list(self._pieces(row.ids, prompt, options))
            found.append(Generated("".join(pieces), row.log_probs[: len(pieces)]))
        return found

    def _pieces(self, ids: Iterable[int], prompt: str, options: Mapping[str, Any]) -> Iterator[str]:
        """Yields what each symbol adds to the text, up to the end symbol, or to a text to stop at."""
        text = self.continuation(prompt, options.get("stop", ()), options.get("on_unknown"))
        for number in ids:
            yield text.add(number)
            if text.ended:
                break
        if rest := text.end():
            yield rest

    def continuation(
        self, prompt: str, stop: str | Sequence[str] = (), on_unknown: OnUnknown | None = None
    ) -> Continuation:
        """Returns the text after a prompt, to which symbols are added one by one."""
        symbols: list[str] = []
        if self.vocab.kind == "words":
            symbols = [*self.vocab.split(self.config.clean(prompt))]
            symbols = [one for one in symbols if on_unknown != "skip" or one in self.vocab]
        return Continuation(self.vocab, symbols[-1] if symbols else "", self._stops(stop))

    def search(
        self, prompt: str = "", length: int = 50, beam: int = 5, *, on_unknown: OnUnknown | None = None, **options: Any
    ) -> list[ScoredText]:
        """Finds the most likely texts after a prompt, the best one first.

        Args:
            prompt: See `generate`.
            length: Maximum number of symbols of a text.
            beam: Number of beams, and maximum number of texts returned.
            on_unknown: See `generate_batch`.
            **options: `length_penalty`, `alpha`, `allowed`, `forbidden`: see `zoo.methods.texts.search_ids`.
        """
        logits, state, _ = self._read([prompt], on_unknown)
        (found,) = search_ids(self.decoder(), self.vocab, logits, state, length, beam, **self._cleaned(options))
        return [ScoredText(self.vocab.decode(one.ids), one.log_prob, one.score) for one in found]

    def _decode(
        self,
        prompts: Sequence[str],
        length: int | Sequence[int],
        *,
        stop: Sequence[str] = (),
        seed: int | None = None,
        on_unknown: OnUnknown | None = None,
        **sampling: Any,
    ) -> Iterator[Symbols]:
        ends = [self.vocab.encode(text, "error") for text in self._stops(stop) if self.vocab.kind in EXACT]
        chosen = self.sampling(**sampling)
        logits, state, seen = self._read(prompts, on_unknown)
        return stream(
            self.decoder(),
            logits,
            state,
            length,
            chosen,
            seed=self.draw_seed() if seed is None else seed,
            end=end_of(self.vocab),
            stop=ends,
            seen=seen,
        )

    def sampling(self, **options: Any) -> Sampling:
        """Returns how symbols are chosen, from the options of `generate_batch`."""
        return sampling_of(self.vocab, **self._cleaned(options))

    @property
    def blank(self) -> int:
        """The id that stands for an empty prompt."""
        return next((self.vocab.id(symbol) for symbol in BLANKS if symbol in self.vocab), 0)

    def _stops(self, stop: str | Sequence[str]) -> list[str]:
        texts = [stop] if isinstance(stop, str) else list(stop)
        if not all(texts):
            raise ValueError("stop: got an empty text, expected at least one symbol in each")
        return [self.config.clean(text) for text in texts]

    def _cleaned(self, options: dict[str, Any]) -> dict[str, Any]:
        """Returns options of decoding with their symbols as the model writes them."""
        texts = ("allowed", "forbidden")
        return {name: self.config.clean(value) if name in texts and value else value for name, value in options.items()}

    def _read(self, prompts: Sequence[str], on_unknown: OnUnknown | None) -> tuple[Array, Any, Array]:
        """Returns logits (B, V) and state after the prompts, and which symbols occur in them (B, V), bool."""
        vocab = self.vocab
        given = [vocab.encode(self.config.clean(prompt), on_unknown) for prompt in prompts]
        rows = [ids or [self.blank] for ids in given]
        if not rows:
            raise ValueError("prompts: got none, expected at least one")
        logits, state = self.read(pad(rows), np.array([len(row) for row in rows]))
        seen = np.zeros(logits.shape, dtype=bool)
        for row, symbols in enumerate(given):
            seen[row, symbols] = True
        return logits, state, seen

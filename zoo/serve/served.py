"""A model behind a server: what each request asks of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from functools import cached_property
from typing import Any, NamedTuple, get_args

import numpy as np

from zoo.checks import check_choice
from zoo.decoding import LengthPenalty
from zoo.methods.base import Methods
from zoo.methods.char_lm import CharLMMethods
from zoo.serve import requests
from zoo.serve.batcher import MOST_AT_ONCE, Batcher, length_of
from zoo.serve.writer import Draft, Writer, rounded, top_of
from zoo.tags import edited

ACTIONS: dict[str, dict[str, type[requests.Request]]] = {  # of each task: the methods of `Served` that a client calls
    "char_lm": {"generate": requests.Generate, "stream": requests.Stream, "read": requests.Read},
    "seq_classifier": {"classify": requests.Classify},
    "seq_tagger": {"tag": requests.Tag},
    "seq2seq": {"translate": requests.Translate},
    "regressor": {"values": requests.Values, "forecast": requests.Forecast},
}
MOST_BEAMS, MOST_TOP = 50, 100


class Limits(NamedTuple):
    """What a server takes.

    Args:
        bytes: Of a body.
        length: Symbols of a text to read or to write, and inputs of a request.
        waiting: Requests to one model at a time.
    """

    bytes: int = 1_000_000
    length: int = 10_000
    waiting: int = 256


class TooLargeError(ValueError):
    """A request asks for more than the server gives."""


def check_length(name: str, found: int, limits: Limits) -> None:
    """Raises TooLargeError if something is longer than the server takes."""
    if found > limits.length:
        raise TooLargeError(f"{name}: got {found}, expected at most {limits.length}")


class Served:
    """A model, and the threads that compute with it.

    Args:
        name: Its name in addresses.
        model: The model.
        limits: What the server takes.
        loop: The server's event loop.
    """

    def __init__(self, name: str, model: Methods, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.name, self.model, self.limits, self.loop = name, model, limits, loop
        self.actions = ACTIONS[model.task_name]
        self.batcher = Batcher(limits.waiting)
        self.writer = Writer(model, limits.waiting, self._report) if isinstance(model, CharLMMethods) else None
        self.events: dict[Draft, asyncio.Event] = {}

    def stop(self) -> None:
        """Ends the threads, after all requests are computed."""
        self.batcher.stop()
        if self.writer is not None:
            self.writer.stop()

    @cached_property
    def description(self) -> dict[str, Any]:
        """What `GET /models` says of it."""
        model: Any = self.model
        return {
            "name": self.name,
            "title": model.about.get("title", self.name),
            "task": model.task_name,
            "model": model.model_name,
            "takes": model.takes,
            "about": model.about,
            "arguments": model.config.as_dict(),
            "state": self._state_names(),
            "actions": list(self.actions),
        }

    def _state_names(self) -> list[str]:
        return [f"state_{number}" for number in range(len(self._first))] if self.writer is not None else []

    @cached_property
    def _first(self) -> Any:
        return self.model.first_state()

    # -- texts that are written

    async def generate(self, asked: requests.Generate) -> dict[str, Any]:
        """Writes a text."""
        symbols = [symbol async for piece in self._written(self._draft(asked)) for symbol in piece]
        return {"text": "".join(one["text"] for one in symbols), "log_probs": [one["log_prob"] for one in symbols]}

    def stream(self, asked: requests.Stream) -> AsyncIterator[list[dict[str, Any]]]:
        """Yields the symbols of a text as they come."""
        return self._written(self._draft(asked, asked.top, asked.state))

    def _draft(self, asked: requests.Generate, top: int = 0, state: str | None = None) -> Draft:
        assert self.writer is not None
        model: Any = self.model
        check_length("length", asked.length, self.limits)
        check_length("prompt", len(asked.prompt), self.limits)
        if asked.length < 1:
            raise ValueError(f"length: got {asked.length}, expected at least 1")
        if asked.seed is not None and asked.seed < 0:
            raise ValueError(f"seed: got {asked.seed}, expected at least 0")
        self._check_shown(top, state)
        stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
        if not all(isinstance(text, str) for text in stop):
            raise ValueError("stop: expected texts")
        sampling = model.sampling(
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            repetition_penalty=asked.repetition_penalty,
            allowed=asked.allowed,
            forbidden=asked.forbidden,
        )
        self.writer.choice(sampling)  # tells whether any symbol is left
        given = model.vocab.encode(model.config.clean(asked.prompt), requests.on_unknown(asked.on_unknown))
        seed = int(np.random.default_rng().integers(2**31)) if asked.seed is None else asked.seed
        text = model.continuation(asked.prompt, stop, asked.on_unknown)
        return Draft(given or [model.blank], given, text, asked.length, sampling, seed, top, state)

    def _check_shown(self, top: int, state: str | None) -> None:
        if not 0 <= top <= MOST_TOP:
            raise ValueError(f"top: got {top}, expected 0 to {MOST_TOP}")
        if state is not None:
            check_choice("state", state, self._state_names())

    async def _written(self, draft: Draft) -> AsyncIterator[list[dict[str, Any]]]:
        """Yields what a text gets. If nobody asks for more, it is not written to its end."""
        assert self.writer is not None
        event = self.events[draft] = asyncio.Event()
        try:
            self.writer.add(draft)
            while True:
                await event.wait()
                event.clear()
                done = draft.done
                if draft.error is not None:
                    raise draft.error
                if piece := draft.fetch():
                    yield piece
                if done:
                    return
        finally:
            draft.cancelled = True
            del self.events[draft]

    def _report(self, drafts: list[Draft]) -> None:
        """Tells the event loop, from the writer's thread, which texts have something new."""
        if drafts:
            self.loop.call_soon_threadsafe(self._wake, drafts)

    def _wake(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            if draft in self.events:
                self.events[draft].set()

    # -- what is computed at once

    async def read(self, asked: requests.Read) -> list[dict[str, Any]]:
        """Reads a text, and tells the state after each symbol, and what is expected after it."""
        check_length("text", len(asked.text), self.limits)
        self._check_shown(asked.top, asked.state)
        units = 0 if asked.state is None else self._first[self._state_names().index(asked.state)].size
        if (size := len(asked.text) * (asked.top + units)) > MOST_AT_ONCE:
            raise TooLargeError(f"got {size} numbers to answer, expected at most {MOST_AT_ONCE}; read a shorter text")
        unknown = requests.on_unknown(asked.on_unknown)
        (found,) = await self._compute(None, [asked.text], lambda texts: [self._read(texts[0], asked, unknown)])
        return list(found)

    def _read(self, text: str, asked: requests.Read, unknown: Any) -> list[dict[str, Any]]:
        model: Any = self.model
        if not text:
            return []
        ids = model.vocab.encode(model.config.clean(text), unknown)
        joiner, decoder = model.continuation(""), model.decoder()
        assert self.writer is not None
        choice = self.writer.choice(model.sampling())
        state: Any = None
        found = []
        for place, number in enumerate(ids):
            if place == 0:
                logits, state = model.read(np.array([[number]]), np.array([1]))
            else:
                logits, state = decoder(np.array([number]), state)
            symbol: dict[str, Any] = {"text": joiner.add(number)}
            if asked.top:
                symbol["top"] = top_of(model, choice, logits, asked.top)
            if asked.state is not None:
                symbol["state"] = rounded(decoder.part(state, asked.state))
            found.append(symbol)
        return found

    async def classify(self, asked: requests.Classify) -> list[Any]:
        """Classifies sequences, see `classify` of the model; with `steps`, after each step."""
        model: Any = self.model
        self._check_inputs(asked.inputs)
        unknown = requests.on_unknown(asked.on_unknown)
        inputs = [_features(one) if isinstance(one, list) else one for one in asked.inputs]
        if asked.steps:
            found = await self._compute(
                None, inputs, lambda inputs: [model.classify_steps(one, unknown) for one in inputs]
            )
            return [[one._asdict() for one in steps] for steps in found]
        found = await self._compute(("classify", unknown), inputs, lambda inputs: model.classify(inputs, unknown))
        return [one._asdict() for one in found]

    async def tag(self, asked: requests.Tag) -> list[dict[str, Any]]:
        """Tags texts, and edits them if the tags say how."""
        model: Any = self.model
        self._check_inputs(asked.texts)
        unknown = requests.on_unknown(asked.on_unknown)

        def tag(texts: list[Any]) -> list[Any]:
            return [
                {**one._asdict(), "edited": edited(one.symbols, one.tags) if model.edits else None}
                for one in model.tag(texts, unknown)
            ]

        return await self._compute(("tag", unknown), asked.texts, tag)

    async def translate(self, asked: requests.Translate) -> list[dict[str, Any]]:
        """Translates texts, and tells where the model looks."""
        model: Any = self.model
        unknown = requests.on_unknown(asked.on_unknown)
        if asked.beam < 1:
            raise ValueError(f"beam: got {asked.beam}, expected at least 1")
        if asked.beam > MOST_BEAMS:
            raise TooLargeError(f"beam: got {asked.beam}, expected at most {MOST_BEAMS}")
        self._check_inputs(asked.texts, asked.beam)
        check_choice("length_penalty", asked.length_penalty, get_args(LengthPenalty))
        if asked.beam > 1 and (asked.temperature or asked.seed is not None):
            raise ValueError("temperature, seed: they have no effect with several beams")

        def translate(texts: list[Any]) -> list[Any]:
            if asked.beam > 1:
                found = model.search(texts, asked.beam, on_unknown=unknown, length_penalty=asked.length_penalty)
                written = [row[0].text for row in found]
            else:
                how = {"temperature": asked.temperature, "seed": asked.seed, "on_unknown": unknown}
                written = model.translate(texts, **how)
            looked: list[Any] = [None] * len(texts)
            if asked.alignment and model.config.attention != "none":
                looked = [one._asdict() for one in model.align(texts, written, unknown)]
            return [{"text": text, "alignment": one} for text, one in zip(written, looked, strict=True)]

        key = None if asked.temperature else ("translate", unknown, asked.beam, asked.length_penalty, asked.alignment)
        return await self._compute(key, asked.texts, translate)

    async def values(self, asked: requests.Values) -> list[Any]:
        """Predicts what follows sequences."""
        model: Any = self.model
        self._check_inputs(asked.sequences)
        if not all(isinstance(one, list) for one in asked.sequences):
            raise ValueError("sequences: expected a list of sequences, for example [[1, 2, 3]]")
        return await self._compute(("values",), asked.sequences, model.predict_values)

    async def forecast(self, asked: requests.Forecast) -> dict[str, Any]:
        """Forecasts what follows the last rows of a table."""
        model: Any = self.model
        (found,) = await self._compute(None, [asked.table], lambda tables: [model.forecast(tables[0], asked.times)])
        return dict(found)

    def _check_inputs(self, inputs: list[Any], beams: int = 1) -> None:
        if not inputs:
            raise ValueError("got no input, expected at least one")
        longest = max(map(length_of, inputs))
        check_length("inputs", len(inputs), self.limits)
        check_length("an input", longest, self.limits)
        if (size := len(inputs) * longest * beams) > MOST_AT_ONCE:
            raise TooLargeError(f"got {size} symbols in all, with padding and beams, expected at most {MOST_AT_ONCE}")

    async def _compute(self, key: Any, inputs: list[Any], compute: Callable[[list[Any]], list[Any]]) -> list[Any]:
        future: Future[list[Any]] = self.batcher.submit(key, inputs, compute)
        return await asyncio.wrap_future(future)


def _features(values: list[Any]) -> Any:
    """Returns numbers as an array of floats, which stay as they are: whole ones would be taken for grey values."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("inputs: expected texts, or arrays (T, D)") from None
    if found.ndim != 2:
        raise ValueError(f"inputs: got shape {found.shape}, expected texts, or arrays (T, D)")
    return found

"""What models do with plain values, by whatever computes it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from zoo.methods.arrays import Array
from zoo.methods.config import ModelConfig
from zoo.methods.session import Pushed, Session
from zoo.vocab import OnUnknown


class Methods(ABC):
    """Plain values in, plain values out.

    A subclass of one kind of model has its methods, and names what has to be computed in abstract ones. `zoo.models`
    computes with PyTorch, `zoo.runtime` with exported graphs. Batches are the tuples of `zoo.batch`, of NumPy arrays or
    of tensors.
    """

    task_name: ClassVar[str]  # the first part of its registry names, for example `char_lm`
    config_class: ClassVar[type[ModelConfig]]
    config: Any  # of config_class
    about: dict[str, Any]  # plain values of its card

    @property
    @abstractmethod
    def model_name(self) -> str:
        """The registry name, for example `char_lm_lstm`."""

    @abstractmethod
    def answer(self, batch: Any) -> list[dict[str, Any]]:
        """Gives a row of plain values for each example: its input, the prediction, and the target if known.

        Raises:
            ValueError: If the batch does not have the shape that the model takes.
        """

    @abstractmethod
    def infer(self, values: Any) -> list[dict[str, Any]]:
        """Gives a row for each input, as `answer` does.

        Args:
            values: One input or a list of inputs, as `takes` describes.

        Raises:
            ValueError: If an input does not fit this description.
        """

    @property
    @abstractmethod
    def takes(self) -> str:
        """Describes the input of `infer`."""

    @property
    def decoding(self) -> dict[str, Any]:
        """How symbols are decoded by default, as plain values; empty for models that write no texts."""
        return {}

    def draw_seed(self) -> int | None:
        """Returns a random seed for texts without one. None: decoding draws one."""
        return None

    # -- input that never ends

    def session(self) -> Session:
        """Begins to read an input in pieces: see `Session`.

        Raises:
            ValueError: If an answer needs the whole input.
        """
        return Session(self)

    @abstractmethod
    def first_state(self) -> tuple[Array, ...]:
        """Returns the state of one row before anything was read (1, ...); none if an answer needs the whole input."""

    @abstractmethod
    def advance(self, inputs: tuple[Array, ...], state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """Maps the inputs of the graph `sequence` and a state to its first output and the new state."""

    @abstractmethod
    def digest(self) -> str:
        """Returns a text that tells this model from others."""

    def push(self, values: Any, state: tuple[Array, ...], on_unknown: OnUnknown | None = None) -> Pushed:
        """Reads a piece of an input, see `Session.push`."""
        raise ValueError(f"session: this {self.task_name} needs its whole input, and can't read it in pieces")

    def parse(self, word: str) -> Any:
        """Converts a word of a command line to an input. By default, the word itself.

        Raises:
            ValueError: If this is not possible.
        """
        return word

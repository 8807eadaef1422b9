"""Reading an input that never ends, piece by piece."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoo.methods.arrays import Array
from zoo.vocab import OnUnknown

if TYPE_CHECKING:
    from zoo.methods.base import Methods


class Pushed(NamedTuple):
    """What came of a piece of an input."""

    answer: Any
    state: tuple[Array, ...]
    steps: int  # of the piece


class Session:
    """An input of one model, read in pieces. All that was read is in its state.

    Args:
        model: The model. What it answers to some pieces is what it answers to all of them as one.

    Raises:
        ValueError: If the model's answers need the whole input.
    """

    def __init__(self, model: "Methods") -> None:
        self.model, self.state, self.steps = model, model.first_state(), 0
        if not self.state:
            raise ValueError(f"session: this {model.task_name} needs its whole input, and can't read it in pieces")

    def push(self, values: Any, on_unknown: OnUnknown | None = None) -> Any:
        """Reads the next piece of the input.

        Args:
            values: A language model and a tagger read texts; a classifier reads texts, or arrays (T, D); a regressor
                reads arrays (T, D). A text is split into symbols by itself, so that words and the symbols of a
                tokenizer must not lie in two pieces.
            on_unknown: What to do with unknown symbols of texts, see `zoo.Vocab.encode`.

        Returns:
            A language model: the probability of each symbol to come next. A classifier: the class of all that was
            read (`Classified`). A tagger: the tags of the piece (`Tagged`). A regressor: the predicted values.

        Raises:
            ValueError: If the piece can't be read, or is beyond the steps that the model takes.
        """
        found = self.model.push(values, self.state, on_unknown)
        most = getattr(self.model.config, "num_steps", None) or getattr(self.model.config, "max_length", None)
        if most is not None and self.steps + found.steps > most:
            raise ValueError(f"session: the model reads {most} steps, and {self.steps} were read before this piece")
        self.state, self.steps = found.state, self.steps + found.steps
        return found.answer

    def save(self, path: str | Path) -> None:
        """Writes the state to a file, in one go: a file that was there is replaced or stays."""
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            np.savez(file, *self.state, model=self.model.digest(), steps=self.steps)
        os.replace(part, path)

    def restore(self, path: str | Path) -> None:
        """Reads a state that `save` wrote.

        Raises:
            ValueError: If the file can't be read, or is of another model.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                found = tuple(file[f"arr_{place}"] for place in range(len(self.state)))
                digest, steps = str(file["model"]), int(file["steps"])
        except FileNotFoundError:
            raise ValueError(f"{path}: file not found") from None
        except Exception as error:  # a damaged file makes NumPy raise anything
            raise ValueError(f"{path}: can't be read as the state of a session of this model") from error
        expected = [(one.shape, one.dtype) for one in self.state]
        if digest != self.model.digest() or [(one.shape, one.dtype) for one in found] != expected:
            raise ValueError(f"{path}: the state of another model")
        self.state, self.steps = found, steps

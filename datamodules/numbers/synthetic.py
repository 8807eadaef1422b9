"""Generated tasks that show what a recurrent layer can remember and compute.

Legend: N examples, T time steps.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import permutations
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.base import SequenceData
from datamodules.baselines import counting
from datamodules.checks import check_seed, check_sizes
from datamodules.parts import Part, Parts
from zoo.batch import IGNORE, ClassBatch, TextBatch, ValueBatch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
BLANK, ASK = ".", ":"
ORDERS = tuple(permutations(range(3)))


class Generated(SequenceData):
    """Examples that are drawn at random, in three parts that are independent of each other.

    A subclass defines `draw`.

    Args:
        num_train: Training examples.
        num_val: Validation examples.
        num_test: Test examples.
        data_seed: Determines the examples.
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    def __init__(
        self, num_train: int, num_val: int, num_test: int, data_seed: int, batch_size: int, seed: int | None
    ) -> None:
        super().__init__(batch_size, seed)
        check_sizes(num_train=num_train, num_val=num_val, num_test=num_test)
        check_seed("data_seed", data_seed)
        self.num_train, self.num_val, self.num_test = num_train, num_val, num_test
        self.data_seed = data_seed

    @abstractmethod
    def draw(self, random: np.random.RandomState, count: int, part: Part) -> Any:
        """Returns `count` examples of a part: a batch of this datamodule's type."""

    def load(self) -> Parts:
        """See `SequenceData`."""
        sizes = (self.num_train, self.num_val, self.num_test)
        parts: Parts = {}
        for number, (part, count) in enumerate(zip(get_args(Part), sizes, strict=True)):
            # NumPy guarantees that the stream of RandomState never changes.
            parts[part] = self.draw(np.random.RandomState([self.data_seed, number]), count, part)
            self.record_source(part, b"".join(rows.numpy().tobytes() for rows in parts[part] if rows is not None))
        return parts

    def rows(self, part: Part) -> Any:
        """Returns all examples of a part, as one batch."""
        return self.parts[part].rows  # type: ignore[attr-defined]  # in memory


class AddingProblem(Generated):
    """Adding two numbers that are marked in a sequence of numbers: a test of memory over many steps.

    Each step has a number, uniform in [0, 1], and a mark, which is 1 at one step of the first half and at one of the
    second half, and 0 elsewhere. The target is the sum of the two marked numbers. Predicting the mean, 1, gives a mean
    squared error of 1/6. From Hochreiter and Schmidhuber 1997, "Long short-term memory", in the form of Le, Jaitly and
    Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units".

    Args:
        steps: Steps of each sequence, T.
        num_train: Training examples.
        num_val: Validation examples.
        num_test: Test examples.
        data_seed: Determines the examples.
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ValueBatch

    def __init__(
        self,
        steps: int = 100,
        num_train: int = 5_000,
        num_val: int = 500,
        num_test: int = 1_000,
        data_seed: int = 0,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, seed)
        if steps < 2:
            raise ValueError(f"steps: got {steps}, expected at least 2, one for each number")
        self.steps = steps

    def draw(self, random: np.random.RandomState, count: int, part: Part) -> ValueBatch:
        """See `Generated`."""
        half = self.steps // 2
        numbers = random.uniform(size=(count, self.steps))
        marks = np.zeros_like(numbers)
        rows = np.arange(count)
        marks[rows, random.randint(half, size=count)] = 1
        marks[rows, random.randint(half, self.steps, size=count)] = 1
        inputs = torch.from_numpy(np.stack([numbers, marks], axis=-1)).float()
        return ValueBatch(inputs, (inputs[:, :, 0] * inputs[:, :, 1]).sum(1, keepdim=True))

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the errors of always predicting the mean: see `SequenceData`."""
        error = (self.rows("train").targets.mean() - self.rows(part).targets).double()
        return {"mean": {"mae": float(error.abs().mean()), "mse": float(error.square().mean())}}

    @property
    def spec(self) -> dict[str, Any]:
        """The number and the mark of each step, and one number to predict. The model scales nothing."""
        return {
            "input_size": 2,
            "target_size": 1,
            "num_steps": self.steps,
            "normalize": "none",
            "input_columns": ["number", "mark"],
            "target_columns": ["sum"],
        }


class SelectiveCopy(Generated):
    """Remembering letters that are scattered among blanks, and writing them down at the end.

    A text is `steps` characters, `letters` of which are letters and the others blanks; then a colon; then the
    letters in their order: `..c.a....b.:cab`. Only the letters after the colon are targets. A model has to choose what
    it stores. From Gu and Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", after Jing et
    al. 2019, "Gated orthogonal recurrent units". Departure from them: a model reads what was written so far, as any
    language model does, so that it can be asked: `zoo generate MODEL --prompt "..c.a....b.:" --length 3`.

    Args:
        steps: Characters before the colon.
        letters: Letters to remember.
        alphabet: Different letters.
        num_train: Training examples.
        num_val: Validation examples.
        num_test: Test examples.
        data_seed: Determines the examples.
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = TextBatch

    def __init__(
        self,
        steps: int = 64,
        letters: int = 8,
        alphabet: int = 8,
        num_train: int = 20_000,
        num_val: int = 500,
        num_test: int = 1_000,
        data_seed: int = 0,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, seed)
        check_sizes(letters=letters)
        if steps < letters:
            raise ValueError(f"steps: got {steps}, expected at least {letters}, the number of letters")
        if not 2 <= alphabet <= len(LETTERS):
            raise ValueError(f"alphabet: got {alphabet}, expected 2 to {len(LETTERS)}")
        self.steps, self.letters, self.alphabet = steps, letters, alphabet

    def draw(self, random: np.random.RandomState, count: int, part: Part) -> TextBatch:
        """See `Generated`."""
        symbols = [*LETTERS[: self.alphabet], BLANK, ASK]
        self.vocab = self.vocab_of(symbols)
        places = np.sort(random.uniform(size=(count, self.steps)).argsort(1)[:, : self.letters], axis=1)
        letters = random.randint(self.alphabet, size=(count, self.letters))
        texts = np.full((count, self.steps + 1 + self.letters), symbols.index(BLANK))
        np.put_along_axis(texts, places, letters, axis=1)
        texts[:, self.steps] = symbols.index(ASK)
        texts[:, self.steps + 1 :] = letters
        ids = torch.tensor(self.vocab.encode(symbols, "error"))[torch.from_numpy(texts)]
        targets = ids[:, 1:].clone()
        targets[:, : self.steps] = IGNORE
        return TextBatch(ids[:, :-1], targets)

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns what the frequencies of the letters alone reach: see `SequenceData`."""
        train, answers = (rows.targets[rows.targets != IGNORE] for rows in map(self.rows, ("train", part)))
        bits = -(train.bincount(minlength=len(self.vocab)).clamp(min=1) / len(train)).log2()[answers].mean()
        accuracy = counting.majority(train.tolist(), answers.tolist())
        return {"frequencies": {"bpc": float(bits), "accuracy": accuracy}}

    @property
    def spec(self) -> dict[str, Any]:
        """The letters, the blank and the colon."""
        return {"vocab": list(self.vocab), "symbols": "characters", "lowercase": False}


class WordProblem(Generated):
    """The product of a sequence of a group's elements: a test of whether a state is really updated step by step.

    The sequences of the test part are longer than those of the training: a model that has learned the rule, and no
    shortcut, stays right. A subclass gives the group.

    Args:
        train_steps: The least and the greatest number of steps in the training and validation parts.
        test_steps: The same, in the test part.
        num_train: Training examples.
        num_val: Validation examples.
        num_test: Test examples.
        data_seed: Determines the examples.
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ClassBatch
    symbols: ClassVar[Sequence[str]]  # of the elements, the neutral one first
    names: ClassVar[Sequence[str]]  # of the products, in the same order
    table: ClassVar[NDArray[np.int64]]  # [a, b]: the element that does a, then b

    def __init__(
        self,
        train_steps: tuple[int, int] = (1, 16),
        test_steps: tuple[int, int] = (17, 128),
        num_train: int = 20_000,
        num_val: int = 500,
        num_test: int = 1_000,
        data_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, seed)
        for name, (least, most) in {"train_steps": train_steps, "test_steps": test_steps}.items():
            if not 1 <= least <= most:
                raise ValueError(f"{name}: got {least} to {most}, expected at least 1 step, and the smaller one first")
        self.train_steps, self.test_steps = tuple(train_steps), tuple(test_steps)

    def draw(self, random: np.random.RandomState, count: int, part: Part) -> ClassBatch:
        """See `Generated`."""
        self.vocab, self.classes = self.vocab_of(self.symbols), self.vocab_of(self.names, "classes")
        least, most = self.test_steps if part == "test" else self.train_steps
        lengths = random.randint(least, most + 1, size=count)
        elements = random.randint(len(self.symbols), size=(count, most))
        elements[np.arange(most) >= lengths[:, None]] = 0  # the neutral element changes no product
        product = np.zeros(count, np.int64)
        for element in elements.T:
            product = self.table[product, element]
        ids, classes = (
            torch.tensor(known.encode(own, "error"))
            for known, own in ((self.vocab, self.symbols), (self.classes, self.names))
        )
        return ClassBatch(
            ids[torch.from_numpy(elements)], classes[torch.from_numpy(product)], torch.from_numpy(lengths)
        )

    def lengths(self, part: Part) -> NDArray[np.int64]:
        """See `SequenceData`."""
        found: NDArray[np.int64] = self.rows(part).lengths.numpy()
        return found

    def collate(self, batch: ClassBatch) -> ClassBatch:
        """Cuts the padding that no sequence of a batch needs."""
        assert batch.lengths is not None
        return batch._replace(inputs=batch.inputs[:, : int(batch.lengths.max())])

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the accuracy of the most common product: see `SequenceData`."""
        train, answers = (self.rows(name).targets.tolist() for name in ("train", part))
        return {"majority": {"accuracy": counting.majority(train, answers)}}

    @property
    def spec(self) -> dict[str, Any]:
        """The elements as symbols, and the products as classes."""
        return {
            "vocab": list(self.vocab),
            "symbols": "characters",
            "lowercase": False,
            "classes": list(self.classes),
        }


class Parity(WordProblem):
    """Whether a sequence of 0 and 1 has an even or an odd number of ones.

    The sequences of the test part are longer than those of the training. A layer whose state is a diagonal
    recurrence with factors in [0, 1] cannot represent this for all lengths. From Grazzi et al. 2025, "Unlocking
    state-tracking in linear RNNs through negative eigenvalues".

    Args:
        train_steps: The least and the greatest number of steps in the training and validation parts.
        test_steps: The same, in the test part.
        num_train: Training examples.
        num_val: Validation examples.
        num_test: Test examples.
        data_seed: Determines the examples.
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    symbols = "01"
    names = ("even", "odd")
    table = np.array([[0, 1], [1, 0]])


class PermutationProduct(WordProblem):
    """The order of three things after they were swapped again and again: the product in the group S3.

    A symbol is one of the six permutations, named a to f: abc, acb, bac, bca, cab and cba. The class is the order
    that results. The sequences of the test part are longer than those of the training. No layer whose state
    is a diagonal recurrence can represent this for all lengths, because the order of the factors matters. From
    Merrill, Petty and Sabharwal 2024, "The illusion of state in state-space models", which takes S5.

    Args:
        train_steps: The least and the greatest number of steps in the training and validation parts.
        test_steps: The same, in the test part.
        num_train: Training examples.
        num_val: Validation examples.
        num_test: Test examples.
        data_seed: Determines the examples.
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    symbols = "abcdef"
    names = tuple("".join("abc"[place] for place in order) for order in ORDERS)
    table = np.array([[ORDERS.index(tuple(a[place] for place in b)) for b in ORDERS] for a in ORDERS])

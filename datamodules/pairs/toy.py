"""Pairs of symbol sequences: a toy dictionary, a user's file, and two generated tasks.

Legend: B batch, S source steps, T target steps.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from datamodules.base import SequenceData
from datamodules.baselines import counting
from datamodules.checks import check_fractions, check_predict_inputs, check_sizes
from datamodules.parts import Part, Parts, random_split, with_validation
from datamodules.sources.files import FACTS, distinct, read_table
from zoo.batch import IGNORE, PairBatch
from zoo.vocab import END, PAD, START, UNK, Vocab

EN_KO = FACTS / "en_ko.csv"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
Pair = tuple[str, str]


class ToySeq2Seq(SequenceData):
    """Mapping a source text to a target text, symbol by symbol.

    The held-out pairs are drawn at random with `split_seed`. Without held-out parts (both fractions
    0), validation uses the training pairs. Its metrics then measure memorization.

    Args:
        task: `en_ko`: six English words and their Korean translations. `reverse`: random strings of
            letters and their reversals. `addition`: questions such as 123+45 and their answers. If
            123+45 occurs, 45+123 does not.
        path: A file with two columns, source and target, which replaces `task`: CSV or TSV with
            column names in the first line, JSON lines, or Parquet.
        num_examples: Number of pairs to generate.
        digits: For `addition`: the maximum number of digits of each number.
        min_length: For `reverse`: the minimum number of letters.
        max_length: For `reverse`: the maximum number of letters.
        val_fraction: Fraction of the pairs held out for validation.
        test_fraction: Fraction of the pairs held out for the test.
        split_seed: Determines the generated pairs, and which pairs are held out.
        min_count: Symbols that occur fewer times in the training pairs become `<unk>`. None: the
            vocabularies have all symbols of all parts, and no `<unk>`.
        batch_size: Pairs per optimizer step, over all devices.
        predict_inputs: Sources for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = PairBatch

    def __init__(
        self,
        task: Literal["en_ko", "reverse", "addition"] = "en_ko",
        path: str | None = None,
        num_examples: int = 50_000,
        digits: int = 3,
        min_length: int = 3,
        max_length: int = 8,
        val_fraction: float = 0.0,
        test_fraction: float = 0.0,
        split_seed: int = 0,
        min_count: int | None = None,
        batch_size: int = 32,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        if task not in ("en_ko", "reverse", "addition"):
            raise ValueError(f"task: got {task!r}, expected en_ko, reverse or addition")
        check_sizes(num_examples=num_examples, digits=digits, min_length=min_length, min_count=min_count)
        if max_length < min_length:
            raise ValueError(f"max_length: got {max_length}, expected at least min_length, {min_length}")
        self.task, self.path, self.num_examples, self.digits = task, path, num_examples, digits
        self.min_length, self.max_length = min_length, max_length
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        self.min_count, self.predict_inputs = min_count, predict_inputs

    def pairs(self) -> list[Pair]:
        """Returns all pairs, (source, target)."""
        if self.path is not None:
            return read_pairs(self.path, self.read_source(self.path, Path(self.path).name))
        if self.task == "en_ko":
            return read_pairs(str(EN_KO))
        if self.task == "reverse":
            return generate_reverse(self.num_examples, self.min_length, self.max_length, self.split_seed)
        return generate_addition(self.num_examples, self.digits, self.split_seed)

    def load(self) -> Parts:
        """See `SequenceData`."""
        pairs = self.pairs()
        if self.path is None:  # records the pairs: one per line, with a tab between source and target
            self.record_source(self.task, "".join(f"{source}\t{target}\n" for source, target in pairs).encode())
        split = random_split(len(pairs), self.val_fraction, self.test_fraction, self.split_seed)
        seen = pairs if self.min_count is None else [pairs[row] for row in split.get("train", ())]
        self.source_vocab = self._vocab("source_vocab", [PAD], "".join(source for source, _ in seen))
        self.target_vocab = self._vocab("target_vocab", [PAD, START, END], "".join(target for _, target in seen))
        parts: Parts = {part: self._examples(part, [pairs[row] for row in rows]) for part, rows in split.items()}
        return with_validation(parts)

    def _vocab(self, fact: str, specials: list[str], text: str) -> Vocab:
        if self.min_count is None:
            return self.vocab_of(list(Vocab.of(text, specials)), fact)
        frequent = sorted(symbol for symbol, count in Counter(text).items() if count >= self.min_count)
        return self.vocab_of([*specials, UNK, *frequent], fact)

    def _examples(self, part: str, pairs: list[Pair]) -> PairBatch:
        self.unknown.part = part
        start, end = self.target_vocab.id(START), self.target_vocab.id(END)
        sources = [self.encode(source, self.source_vocab, "source_vocab") for source, _ in pairs]
        targets = [[start, *self.encode(target, self.target_vocab, "target_vocab"), end] for _, target in pairs]
        known = [  # a target without a symbol would be another target
            (ids, target)
            for (_, text), ids, target in zip(pairs, sources, targets, strict=True)
            if ids and len(target) == len(list(self.target_vocab.split(text))) + 2
        ]
        self.unknown.drop(len(pairs) - len(known), len(pairs))
        if not known:
            raise ValueError("no pair has a source and a target that the model knows")
        return self._batch(*zip(*known, strict=True))

    def _batch(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> PairBatch:
        rows = [torch.tensor(ids) for ids in sources]
        return PairBatch(
            pad_sequence(rows, batch_first=True),
            torch.tensor([len(row) for row in rows]),
            pad_sequence([torch.tensor(ids) for ids in targets], batch_first=True, padding_value=IGNORE),
        )

    def collate(self, batch: PairBatch) -> PairBatch:
        """Removes the columns that are padding in all rows."""
        target_width = max(2, int((batch.target != IGNORE).any(0).sum()))
        return batch._replace(
            source=batch.source[:, : int(batch.source_lengths.max())], target=batch.target[:, :target_width]
        )

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the exact match of the most common answer: see `SequenceData`."""
        if "train" not in self.parts:
            return {}
        examples: list[Any] = [self.parts["train"], self.parts[part]]  # in memory
        train, answers = (list(map(str, found.rows.target.tolist())) for found in examples)
        return {"majority": {"exact_match": counting.majority(train, answers)}}

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        check_predict_inputs(self.predict_inputs)
        sources = [self.encode_input(text, self.source_vocab) for text in self.predict_inputs]
        return self.predict_loader(self._batch(sources, [[self.target_vocab.id(START)]] * len(sources)))

    @property
    def spec(self) -> dict[str, Any]:
        """Both vocabularies: the special symbols, then the characters of all parts, sorted."""
        return {"source_vocab": list(self.source_vocab), "target_vocab": list(self.target_vocab)}

    @property
    def longest_target(self) -> int:
        """See `TextPairs`."""
        judged: list[Any] = [examples for part, examples in self.parts.items() if part != "train"]
        return max([1, *(int((one.rows.target != IGNORE).sum(1).max()) for one in judged)]) - 1  # without the start


def read_pairs(path: str, data: bytes | None = None) -> list[Pair]:
    """Reads the two columns of a file.

    Args:
        path: The file.
        data: The content of the file. Default: read it from `path`.

    Returns:
        The distinct pairs, (source, target).

    Raises:
        ValueError: If the file does not have two columns, or if a source is empty.
    """
    table = read_table(path, as_text=True, data=data)
    if len(table) != 2:
        raise ValueError(
            f"{path}: got {len(table)} column(s), {', '.join(table)}; expected two columns, source and target"
        )
    pairs = [tuple("" if cell is None else str(cell) for cell in row) for row in zip(*table.values(), strict=True)]
    pairs = distinct(path, "pair", pairs)  # so that no pair is in two parts
    if not pairs:
        raise ValueError(f"{path}: got no pairs, expected at least one")
    for number, (source, _) in enumerate(pairs, 1):
        if not source:
            raise ValueError(f"{path}: the source of pair {number} is empty")
    return pairs  # type: ignore[return-value]


def generate_reverse(num_examples: int, min_length: int, max_length: int, seed: int) -> list[Pair]:
    """Returns distinct random strings of a-z and their reversals.

    Raises:
        ValueError: If fewer than `num_examples` such strings exist.
    """
    possible = sum(len(LETTERS) ** length for length in range(min_length, max_length + 1))
    if num_examples > possible:
        raise ValueError(f"num_examples: got {num_examples}, expected at most {possible}, the number of such strings")
    random = np.random.RandomState(seed)
    strings: dict[str, None] = {}
    while len(strings) < num_examples:
        length = random.randint(min_length, max_length + 1)
        strings["".join(LETTERS[i] for i in random.randint(len(LETTERS), size=length))] = None
    return [(string, string[::-1]) for string in strings]


def generate_addition(num_examples: int, digits: int, seed: int) -> list[Pair]:
    """Returns distinct questions a+b of numbers with up to `digits` digits, and their answers.

    The number of digits is drawn before the number itself, so that short numbers are not rare.

    Raises:
        ValueError: If fewer than `num_examples` such questions exist.
    """
    possible = 10**digits * (10**digits + 1) // 2
    if num_examples > possible:
        raise ValueError(f"num_examples: got {num_examples}, expected at most {possible}, the number of such questions")
    random = np.random.RandomState(seed)
    questions: dict[tuple[int, int], Pair] = {}
    while len(questions) < num_examples:
        a, b = (int(random.randint(10 ** random.randint(1, digits + 1))) for _ in range(2))
        questions.setdefault((min(a, b), max(a, b)), (f"{a}+{b}", str(a + b)))
    return list(questions.values())

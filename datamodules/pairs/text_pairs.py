"""Pairs of texts: two columns of a table, or two files line by line."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.base import SequenceData
from datamodules.checks import check_fractions, check_predict_inputs, check_seed, check_sizes
from datamodules.examples import NONE, Mapped, void_missing
from datamodules.pairs.files import Pair, read_lines, read_pair_table
from datamodules.parts import Part, Parts, overlap, split_by_source, with_validation
from datamodules.symbols import check_symbols, learn_vocab
from datamodules.texts.cleaning import plain
from zoo.batch import IGNORE, PairBatch
from zoo.vocab import END, PAD, START, UNK, SymbolKind, Vocab

Files = str | list[str]


class PairExamples:
    """Pairs of symbol sequences of any lengths, padded when they are taken.

    Args:
        sources: The symbols of each source.
        targets: The start symbol, the symbols of each target, and the end symbol.
        references: All targets of each source that are right, if there may be several.

    Example:
        >>> pairs = PairExamples(Mapped.of([[1, 2], [3]]), Mapped.of([[1, 5, 2], [1, 2]]))
        >>> pairs.take(torch.tensor([0, 1])).target
        tensor([[   1,    5,    2],
                [   1,    2, -100]])
    """

    batch_type = PairBatch

    def __init__(
        self, sources: Mapped, targets: Mapped, references: Sequence[Sequence[list[int]]] | None = None
    ) -> None:
        self.sources, self.targets, self.references = sources, targets, references

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, index: torch.Tensor) -> PairBatch:
        """See `Examples`."""
        source, lengths = self.sources.padded(index)
        references = None if self.references is None else pad_references([self.references[i] for i in index.tolist()])
        return void_missing(PairBatch(source, lengths, self.targets.padded(index, IGNORE)[0], references), index)


def pad_references(rows: Sequence[Sequence[list[int]]]) -> torch.Tensor:
    """Returns all targets of each row (B, R, T), with `IGNORE` where there are fewer or shorter ones."""
    width = max(len(ids) for targets in rows for ids in targets)
    found = torch.full((len(rows), max(map(len, rows)), width), IGNORE)
    for row, targets in enumerate(rows):
        for place, ids in enumerate(targets):
            found[row, place, : len(ids)] = torch.tensor(ids)
    return found


class Sides(NamedTuple):
    """How both sides of the pairs are split into symbols."""

    source: SymbolKind
    target: SymbolKind


class TextPairs(SequenceData):
    """Mapping a text to another one, for example a sentence to its translation.

    The pairs are two columns of a table (`path`), or the lines of two files (`source_path`, `target_path`). They
    are split at random with `split_seed`, and pairs with the same source are in one part. Or each part has files of
    its own (`train`, `val`, `test`). Pairs with an empty side are left out.

    Args:
        path: A table: CSV or TSV with column names in the first line, JSON lines, or Parquet.
        source: The column of the sources. Default: the first of two columns.
        target: The column of the targets. Default: the second of two columns.
        source_path: A file with a source in each line, in UTF-8.
        target_path: A file with the target of each of these lines.
        train: The training part: a table, or a list of two files with a source and a target in each line.
        val: The validation part, as `train`.
        test: The test part, as `train`.
        val_fraction: Fraction of the sources held out for validation, unless the parts have files.
        test_fraction: Fraction of the sources held out for the test, unless the parts have files.
        split_seed: Determines which pairs are held out.
        symbols: How texts are split: `characters`, `bytes`, `words` or `bpe`.
        source_symbols: How sources are split. Default: `symbols`.
        target_symbols: How targets are split. Default: `symbols`.
        shared: Whether both sides have one vocabulary, with the symbols of both.
        min_count: For characters and words: symbols that occur fewer times in the training part become `<unk>`.
            Default: for words, 1; for characters, there is no `<unk>`.
        vocab_size: For `bpe`: how many symbols to learn, for each vocabulary. Default: 4,096.
        tokenizer: For `bpe`: a tokenizer.json of Hugging Face's `tokenizers`, which replaces the learning.
        max_length: Pairs with more symbols on a side are left out. Default: any number.
        lowercase: Whether to convert both sides to lower case. A model then does so with its sources.
        normalization: A Unicode normal form of both sides, applied first.
        any_target: Whether, outside the training part, pairs with the same source are one example, for which each of
            their targets is right. The loss is that of the first one.
        batch_size: Pairs per optimizer step, over all devices.
        predict_inputs: Sources for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = PairBatch

    def __init__(
        self,
        path: str | None = None,
        source: str | None = None,
        target: str | None = None,
        source_path: str | None = None,
        target_path: str | None = None,
        train: str | list[str] | None = None,
        val: str | list[str] | None = None,
        test: str | list[str] | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        symbols: SymbolKind = "characters",
        source_symbols: SymbolKind | None = None,
        target_symbols: SymbolKind | None = None,
        shared: bool = False,
        min_count: int | None = None,
        vocab_size: int | None = None,
        tokenizer: str | None = None,
        max_length: int | None = None,
        lowercase: bool = False,
        normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None,
        any_target: bool = False,
        batch_size: int = 32,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        check_seed("split_seed", split_seed)
        check_sizes(max_length=max_length)
        self.path, self.source, self.target = path, source, target
        self.source_path, self.target_path = source_path, target_path
        self.train, self.val, self.test = train, val, test
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        self.symbols, self.source_symbols, self.target_symbols = symbols, source_symbols, target_symbols
        self.shared, self.min_count, self.vocab_size = shared, min_count, vocab_size
        self.tokenizer, self.max_length, self.predict_inputs = tokenizer, max_length, predict_inputs
        self.lowercase, self.normalization, self.any_target = lowercase, normalization, any_target
        self.kinds = Sides(source_symbols or symbols, target_symbols or symbols)
        self._check_files()
        self._check_symbols()

    def _check_files(self) -> None:
        """Checks that the pairs have one origin."""
        lines = (self.source_path, self.target_path)
        if (lines[0] is None) != (lines[1] is None):
            raise ValueError("source_path, target_path: got one of them, expected both")
        parts = {"train": self.train, "val": self.val, "test": self.test}
        given = [self.path is not None, lines[0] is not None, any(parts.values())]
        if sum(given) != 1:
            raise ValueError(
                f"got {'no files' if not any(given) else 'several origins of the pairs'}, "
                "expected one of: path; source_path and target_path; train, val and test"
            )
        for part, files in parts.items():
            if isinstance(files, list) and len(files) != 2:
                raise ValueError(f"{part}: got {len(files)} files, expected a table, or two files of lines")

    def _check_symbols(self) -> None:
        """Checks the options of both vocabularies. An option has to have an effect on one of them."""
        if self.shared and self.kinds.source != self.kinds.target:
            raise ValueError(f"shared: sources are {self.kinds.source} and targets {self.kinds.target}; expected one")
        for kind in dict.fromkeys(self.kinds):
            check_symbols(kind, None, None, None)
        counted = next((kind for kind in self.kinds if kind in ("characters", "words")), self.kinds.source)
        learned = next((kind for kind in self.kinds if kind == "bpe"), self.kinds.source)
        check_symbols(counted, self.min_count, None, None)
        check_symbols(learned, None, self.vocab_size, self.tokenizer)

    # -- reading

    def load(self) -> Parts:
        """See `SequenceData`."""
        pairs = {part: self._without_empty(part, self._cleaned(rows)) for part, rows in self._read().items()}
        self.source_vocab, self.target_vocab = self._vocabs(pairs)
        return with_validation({part: self._examples(part, rows) for part, rows in pairs.items() if rows})

    def _read(self) -> dict[Part, list[Pair]]:
        given: dict[Part, Files | None] = {"train": self.train, "val": self.val, "test": self.test}
        if any(given.values()):
            found = {part: self._pairs(files) for part, files in given.items() if files}
            for text in overlap(found, "pairs"):
                self.note(text)
            return found
        pairs = self._pairs(self.path or [str(self.source_path), str(self.target_path)])
        return split_by_source(pairs, self.val_fraction, self.test_fraction, self.split_seed)

    def _pairs(self, files: Files) -> list[Pair]:
        """Reads a table, or two files of lines."""
        names = [files] if isinstance(files, str) else files
        data = [self.read_source(name, Path(name).name if len(set(names)) == 1 else name) for name in names]
        if isinstance(files, str):
            return read_pair_table(files, data[0], self.source, self.target)
        return read_lines((names[0], data[0]), (names[1], data[1]))

    def _cleaned(self, pairs: list[Pair]) -> list[Pair]:
        return [(self._clean(source), self._clean(target)) for source, target in pairs]

    def _clean(self, text: str) -> str:
        return plain(text, **self.cleaning_of(self.lowercase, self.normalization))

    def _without_empty(self, part: str, pairs: list[Pair]) -> list[Pair]:
        kept = [pair for pair in pairs if all(text.strip() for text in pair)]
        if len(kept) < len(pairs):
            self.note(f"{len(pairs) - len(kept):,} of {len(pairs):,} pairs of the {part} part have an empty side")
        if not kept:
            raise ValueError(f"no pair of the {part} part has a source and a target")
        return kept

    # -- symbols

    def _vocabs(self, pairs: dict[Part, list[Pair]]) -> tuple[Vocab, Vocab]:
        seen = pairs.get("train") or [pair for rows in pairs.values() for pair in rows]
        others = [pair for part, rows in pairs.items() if part != "train" for pair in rows]
        sides = [([pair[side] for pair in seen], [pair[side] for pair in others]) for side in (0, 1)]
        specials = [[PAD], [PAD, START, END]]
        if self.shared and not {"source_vocab", "target_vocab"} & self.facts.keys():
            (train, held_out), (more, more_held_out) = sides
            both = self._learn(self.kinds.source, [*train, *more], [*held_out, *more_held_out], specials[1])
            return both, both
        found = []
        for side, fact in enumerate(("source_vocab", "target_vocab")):
            learn = partial(self._learn, self.kinds[side], *sides[side], specials[side])
            found.append(self.vocab_of(learn, fact))
        return found[0], found[1]

    def _learn(self, kind: SymbolKind, train: Iterable[str], others: Iterable[str], specials: Sequence[str]) -> Vocab:
        counted, learned = kind in ("characters", "words"), kind == "bpe"
        return learn_vocab(
            train,
            others,
            symbols=kind,
            specials=specials,
            min_count=self.min_count if counted else None,
            vocab_size=self.vocab_size if learned else None,
            tokenizer=self.tokenizer if learned else None,
        )

    def _examples(self, part: str, pairs: list[Pair]) -> PairExamples:
        self.unknown.part = part
        start, end = self.target_vocab.id(START), self.target_vocab.id(END)
        sources, targets, dropped, longer = [], [], 0, 0
        grouped: dict[str, tuple[list[int], list[list[int]]]] = {}  # of each source
        for texts in pairs:
            source, target = list(self.source_vocab.split(texts[0])), list(self.target_vocab.split(texts[1]))
            if self.max_length is not None and max(len(source), len(target)) > self.max_length:
                longer += 1
                continue
            ids = self.encode(source, self.source_vocab, "source_vocab")
            wanted = self.encode(target, self.target_vocab, "target_vocab")
            if not ids or len(wanted) < len(target):  # a target without a symbol would be another target
                dropped += 1
                continue
            sources.append(ids)
            targets.append([start, *wanted, end])
            grouped.setdefault(texts[0], (ids, []))[1].append(targets[-1])
        self.unknown.drop(dropped, len(pairs) - longer)
        if longer:
            counts = f"{longer:,} of {len(pairs):,} pairs of the {part} part"
            self.note(f"{counts} are left out: a side has more than {self.max_length} symbols (max_length)")
        if not sources:
            why = "is short enough (max_length)" if longer == len(pairs) else "has a source and a target that are known"
            raise ValueError(f"no pair of the {part} part {why}")
        if not self.any_target or part == "train":
            return PairExamples(Mapped.of(sources), Mapped.of(targets))
        distinct = [ids for ids, _ in grouped.values()]
        references = [several for _, several in grouped.values()]
        return PairExamples(Mapped.of(distinct), Mapped.of([several[0] for several in references]), references)

    # -- what the trainer, the model and the user get

    def lengths(self, part: Part) -> NDArray[np.int64]:
        """See `SequenceData`: the symbols of both sides."""
        examples: Any = self.parts[part]
        return examples.sources.lengths + examples.targets.lengths

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        check_predict_inputs(self.predict_inputs)
        sources = [self.encode_input(self._clean(text), self.source_vocab) for text in self.predict_inputs]
        targets = [[self.target_vocab.id(START)]] * len(sources)
        return self.predict_loader(PairExamples(Mapped.of(sources), Mapped.of(targets)))

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns how often the most frequent target of the training part is right: see `SequenceData`.

        A target with `<unk>` is never right, as in the task's `exact_match`.
        """
        if "train" not in self.parts:
            return {}
        unknown = self.target_vocab.id(UNK) if UNK in self.target_vocab else NONE
        known = Counter(target for (target,) in self._targets("train") if unknown not in target)
        if not known:
            return {}
        guess, wanted = known.most_common(1)[0][0], self._targets(part)
        return {"majority": {"exact_match": sum(guess in several for several in wanted) / len(wanted)}}

    def _targets(self, part: Part) -> list[list[tuple[int, ...]]]:
        """Returns the targets of each example of a part."""
        examples: Any = self.parts[part]
        if examples.references is not None:
            return [[*map(tuple, several)] for several in examples.references]
        return [[tuple(target.tolist())] for target in examples.targets]

    @property
    def spec(self) -> dict[str, Any]:
        """Both vocabularies, and how each side is cleaned and split into symbols."""
        source, target = self.source_vocab, self.target_vocab
        return {
            "source_vocab": list(source),
            "target_vocab": list(target),
            "source_symbols": source.kind,
            "target_symbols": target.kind,
            "source_tokenizer": source.tokenizer,
            "target_tokenizer": target.tokenizer,
            **self.cleaning_of(self.lowercase, self.normalization),
        }

    @property
    def longest_target(self) -> int:
        """The most symbols, with the end, of the targets that a model has to decode: not those of training."""
        judged: list[Any] = [examples for part, examples in self.parts.items() if part != "train"]
        others = [len(ids) for one in judged for several in one.references or () for ids in several]
        return max([1, *others, *(int(one.targets.lengths.max()) for one in judged)]) - 1  # without the start

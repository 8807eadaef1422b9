"""Tagged sequences from files."""

from pathlib import Path
from typing import Literal

from datamodules.checks import check_fractions, check_seed
from datamodules.parts import Part, overlap, split_by_source
from datamodules.tags.data import TagData, TaggedText
from datamodules.tags.files import TagColumns, read_tagged


class TaggedSequences(TagData):
    """Texts whose words have tags, for example parts of speech, or names in the scheme BIO.

    Give `path`; or `train` with or without `val` and `test`. Parts without a file are drawn at random from the texts
    with `split_seed`, and equal texts are in one part.

    Args:
        path: A file in CoNLL's format: a word in each line, in columns with white space between them, and an empty line
            after each text; comments and split words of `.conllu` are left out. Or a table: CSV or TSV with column
            names in the first line, JSON lines, or Parquet, with a text in each row.
        tokens: The column of the words: its name in a table; its number in CoNLL's format, from 1. Default: `tokens`;
            1; 2 in `.conllu`.
        tags: The column of the tags, as `tokens`. Default: `tags`; -1, the last one; 4 in `.conllu`.
        sequence: For a table with a word in each row: the column that tells which rows are a text.
        train: A file with the training part.
        val: A file with the validation part. None: `val_fraction` of the training part.
        test: A file with the test part. None: `test_fraction` of the training part.
        val_fraction: Fraction of the texts held out for validation.
        test_fraction: Fraction of the texts held out for the test.
        split_seed: Determines which texts are held out.
        min_count: Words that occur fewer times in the training part become `<unk>`.
        lowercase: Whether to convert words to lower case. A model that does so needs no option.
        normalization: A Unicode normal form, applied first. If the model already has one, that one.
        batch_size: Texts per optimizer step, over all devices.
        predict_inputs: Texts for `predict`, with white space between words. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    kind = "words"
    what = "texts"

    def __init__(
        self,
        path: str | None = None,
        tokens: str | int | None = None,
        tags: str | int | None = None,
        sequence: str | None = None,
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        min_count: int = 2,
        lowercase: bool = False,
        normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None,
        batch_size: int = 32,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(min_count, lowercase, normalization, batch_size, predict_inputs, seed)
        check_fractions(val_fraction, test_fraction)
        check_seed("split_seed", split_seed)
        self.path, self.train, self.val, self.test = path, train, val, test
        self.tokens, self.tags, self.sequence = tokens, tags, sequence
        self.lowercase, self.normalization = lowercase, normalization
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        if (path is None) == (train is None and val is None and test is None):
            raise ValueError(
                f"got {'no files' if path is None else 'several origins of the texts'}, "
                "expected path; or train, val and test"
            )

    def read(self) -> dict[Part, list[TaggedText]]:
        """See `TagData`."""
        files: dict[Part, str | None] = {"train": self.train or self.path, "val": self.val, "test": self.test}
        given = {part: self._texts(file) for part, file in files.items() if file is not None}
        if "train" not in given:
            return given
        val, test = (0.0 if part in given else getattr(self, f"{part}_fraction") for part in ("val", "test"))
        rows = given.pop("train")
        if twice := len(rows) - len({row.symbols for row in rows}):
            self.note(f"{twice:,} of {len(rows):,} texts are duplicates: each is in the part of the first")
        found = {**split_by_source(rows, val, test, self.split_seed), **given}
        for text in overlap({part: [row.symbols for row in texts] for part, texts in found.items()}, "texts"):
            self.note(text)
        return found

    def _texts(self, file: str) -> list[TaggedText]:
        return read_tagged(
            file, self.read_source(file, Path(file).name), TagColumns(self.tokens, self.tags, self.sequence)
        )

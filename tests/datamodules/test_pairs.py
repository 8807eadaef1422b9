from pathlib import Path

import pytest

from datamodules import ToySeq2Seq
from datamodules.pairs.toy import generate_addition, generate_reverse
from zoo.batch import IGNORE


def test_the_six_pairs_have_start_end_and_padding() -> None:
    data = ToySeq2Seq(batch_size=6)
    data.setup()
    (batch,) = data.val_dataloader()
    assert [data.source_vocab.decode(row) for row in batch.source.tolist()] == "word wood game girl kiss love".split()
    vocab = data.target_vocab
    for row, target in zip(batch.target.tolist(), "단어 나무 놀이 소녀 키스 사랑".split(), strict=True):
        assert row == [vocab.id("<start>"), *vocab.encode(target), vocab.id("<end>")]


def test_addition_has_answers_that_are_right_and_no_mirrored_question_twice() -> None:
    pairs = generate_addition(5_000, 3, seed=0)
    questions = [tuple(map(int, question.split("+"))) for question, _ in pairs]
    assert all(a + b == int(answer) for (a, b), (_, answer) in zip(questions, pairs, strict=True))
    assert len({(min(q), max(q)) for q in questions}) == 5_000
    assert pairs == generate_addition(5_000, 3, seed=0) != generate_addition(5_000, 3, seed=1)


def test_reverse_is_backwards() -> None:
    pairs = generate_reverse(100, 3, 5, seed=0)
    assert all(target == source[::-1] and 3 <= len(source) <= 5 for source, target in pairs)
    assert len({source for source, _ in pairs}) == 100


def test_held_out_pairs_are_held_out_and_rows_are_padded() -> None:
    data = ToySeq2Seq(task="addition", num_examples=200, val_fraction=0.1, test_fraction=0.2, batch_size=50)
    data.setup()
    seen = {part: set() for part in ("train", "val", "test")}
    for part in seen:
        for batch in data.loader(part):
            for source, length, target in zip(*(field.tolist() for field in batch[:3]), strict=True):
                seen[part].add(data.source_vocab.decode(source[:length]))
                assert set(source[length:]) <= {0}
                assert eval(data.source_vocab.decode(source[:length])) == int(
                    data.target_vocab.decode(i for i in target[1:] if i != IGNORE)
                )
    assert [len(seen[part]) for part in seen] == [140, 20, 40]
    assert not seen["train"] & (seen["val"] | seen["test"])


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.jsonl", "pairs.parquet"])
def test_a_users_two_columns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("jsonl"):
        path.write_text('{"en": "cat", "de": "Katze"}\n{"en": "dog", "de": "Hund"}\n')
    elif name.endswith("parquet"):
        import datasets

        datasets.Dataset.from_dict({"en": ["cat", "dog"], "de": ["Katze", "Hund"]}).to_parquet(path)
    else:
        sep = "," if name.endswith("csv") else "\t"
        path.write_text(f"en{sep}de\ncat{sep}Katze\ndog{sep}Hund\n")
    data = ToySeq2Seq(path=str(path))
    assert data.pairs() == [("cat", "Katze"), ("dog", "Hund")]
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_cells_are_taken_as_they_stand_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("from,to\n120,021\nNA,007\nnull,\n")
    assert ToySeq2Seq(path=str(tmp_path / "p.csv")).pairs() == [("120", "021"), ("NA", "007"), ("null", "")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "en\ncat\n", r"got 1 column\(s\), en; expected two columns"),
        ("p.csv", "en,de\n,Hund\n", "the source of pair 1 is empty"),
        ("p.xls", "x", "unknown suffix '.xls', expected one of .txt"),
        ("p.jsonl", "{broken", "cannot be read as json"),
        ("p.csv", "", "the file is empty"),
    ],
)
def test_bad_pair_files_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        ToySeq2Seq(path=str(tmp_path / name)).setup()


def test_more_examples_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at most 55"):
        ToySeq2Seq(task="addition", digits=1, num_examples=56).setup()

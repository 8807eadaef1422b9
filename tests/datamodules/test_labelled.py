from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import LabelledSequences
from zoo.batch import IGNORE

ENDINGS = {"German": "mann", "Italian": "ini", "Polish": "ski"}
STEMS = ["Ha", "Wo", "Ber", "Lo", "Pet", "Mar", "Kos", "Zor", "Gol", "Nap", "Tit", "Ros"]
NAMES = [(stem + ending, label) for label, ending in ENDINGS.items() for stem in STEMS]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "names.csv"
    path.write_text("name,language\n" + "".join(f"{name},{label}\n" for name, label in NAMES))
    return path


def of(path: Path, **options: Any) -> LabelledSequences:
    data = LabelledSequences(str(path), text="name", label="language", **options)
    data.setup()
    return data


def texts(data: LabelledSequences, part: str) -> list[tuple[str, str]]:
    batch = data.parts[part].take(torch.arange(len(data.parts[part])))
    lines = zip(batch.inputs.tolist(), batch.lengths.tolist(), batch.targets.tolist(), strict=True)
    return [(data.vocab.decode(ids[:length]), data.classes[target]) for ids, length, target in lines]


def test_each_class_has_the_same_share_in_each_part(table: Path) -> None:
    data = of(table, val_fraction=0.25, test_fraction=0.25)
    found = {part: texts(data, part) for part in ("train", "val", "test")}
    assert sorted(sum(found.values(), [])) == sorted(NAMES)
    assert [Counter(label for _, label in rows)["Polish"] for rows in found.values()] == [6, 3, 3]
    again, other = of(table, val_fraction=0.25, test_fraction=0.25), of(table, split_seed=1)
    assert texts(again, "test") == found["test"]
    assert texts(other, "test") != found["test"]


def test_a_batch_is_padded_to_its_own_longest_text(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("name,language\n" + "".join(f"{'x' * n},{n % 2}\n" for n in range(1, 61)))
    data = of(path, batch_size=6, val_fraction=0, test_fraction=0)
    batches = [*data.train_dataloader()]
    assert sum(len(batch.inputs) for batch in batches) == 60
    for batch in batches:
        assert batch.inputs.shape[1] == batch.lengths.max()
        assert batch.lengths.max() - batch.lengths.min() <= 6
    assert data.spec["classes"] == ["0", "1"]


def test_equal_texts_are_in_one_part_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    rows = [*NAMES, *NAMES[:10], ("Hamann", "Polish")]
    path.write_text("name,language\n" + "".join(f"{name},{label}\n" for name, label in rows))
    data = of(path, val_fraction=0.3, test_fraction=0.3)
    parts = [{text for text, _ in texts(data, part)} for part in ("train", "val", "test")]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    assert sum(map(len, data.parts.values())) == len(rows)
    assert data.notes == [
        "11 of 47 texts are duplicates: each is in the part of the first",
        "1 of 36 distinct texts have several classes",
    ]


@pytest.mark.parametrize("layout", ["a folder for each class", "a file for each class"])
def test_a_folder_names_the_classes(layout: str, tmp_path: Path) -> None:
    for label in ENDINGS:
        names = [name for name, language in NAMES if language == label]
        if layout == "a file for each class":
            (tmp_path / f"{label}.txt").write_text("\n".join(names))
        else:
            (tmp_path / label).mkdir()
            for number, name in enumerate(names):
                (tmp_path / label / f"{number}.txt").write_text(name + "\n")
    data = LabelledSequences(str(tmp_path), val_fraction=0, test_fraction=0)
    data.setup()
    assert sorted(texts(data, "train")) == sorted(NAMES)


def test_files_of_parts_stay_as_they_are(table: Path, tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("language\tname\nPolish\tNowak\n")
    options: dict[str, Any] = {"text": "name", "label": "language", "val_fraction": 0.25, "symbols": "words"}
    data = LabelledSequences(train=str(table), test=str(tmp_path / "test.tsv"), **options)
    data.setup()
    assert {part: len(examples) for part, examples in data.parts.items()} == {"train": 27, "val": 9, "test": 1}
    assert texts(data, "test") == [("<unk>", "Polish")]
    (name, found), _ = data.baselines("val").items()
    assert (name, found["accuracy"]) == ("majority", pytest.approx(1 / 3))


def test_texts_and_classes_that_files_do_not_share_are_noted(table: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("name,language\nHamann,German\nNagy,Hungarian\n")
    data = LabelledSequences(
        train=str(table), test=str(tmp_path / "test.csv"), text="name", label="language", val_fraction=0
    )
    data.setup()
    assert data.notes == [
        "1 of 2 texts of the test part are in the training part, too",
        "classes of the test part without an example in the training part: 'Hungarian'",
    ]


def test_balanced_classes_count_the_same_in_sum(tmp_path: Path) -> None:
    rows = ["aa,x", "ab,x", "ba,x", "bb,y"]
    (tmp_path / "names.csv").write_text("name,language\n" + "\n".join(rows) + "\n")
    options: dict[str, Any] = {"val_fraction": 0, "test_fraction": 0}
    assert of(tmp_path / "names.csv", **options).spec["class_weights"] is None
    weights = of(tmp_path / "names.csv", class_weights="balanced", **options).spec["class_weights"]
    assert weights == pytest.approx([2 / 3, 2.0])


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("name,language\na,x\nb,y\n", {"text": "nam"}, "column 'nam' not found; did you mean 'name'? It has name, lan"),
        (
            "name,language\na,x\nb,y\nc,y\n",
            {},
            "label: class 'x' has one example, expected at least 2",
        ),
        ("name,language\na,x\n,y\n", {}, "row 2: column 'name' is empty"),
        ("name,language\na,x\nb\n", {}, "row 2: got 1 cells, expected 2: name, language"),
        ("name,language\n", {}, "got no rows"),
        ("name,language\na,x\nb,x\n", {}, "label: got one class, 'x', expected at least 2"),
        ("name,language\na,x\n", {"class_weights": "equal"}, "class_weights: got 'equal', expected none or balanced"),
        ("name,language\na,x\n", {"max_length": 0}, "max_length: got 0"),
    ],
)
def test_bad_input_is_named(content: str, options: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text(content)
    given = {"text": "name", "label": "language", **options}
    with pytest.raises(ValueError, match=message.replace("?", "\\?")):
        LabelledSequences(str(tmp_path / "names.csv"), **given).setup()


def test_empty_files_folders_and_missing_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the folder has no text files"):
        LabelledSequences(str(tmp_path)).setup()
    (tmp_path / "A.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"A.txt: the file is empty"):
        LabelledSequences(str(tmp_path)).setup()
    with pytest.raises(ValueError, match=r"A.txt: got a text, expected a table with the columns text, label; TextFile"):
        LabelledSequences(str(tmp_path / "A.txt")).setup()
    with pytest.raises(FileNotFoundError, match=r"none.csv: file not found"):
        LabelledSequences(str(tmp_path / "none.csv")).setup()
    with pytest.raises(ValueError, match="path, train, dataset: got none, expected one of them"):
        LabelledSequences()


def test_names_are_learned_and_told_apart(table: Path, zoo_command: Callable) -> None:
    options = ["--data.path", table, "--data.text", "name", "--data.label", "language", "--data.lowercase", "true"]
    model = ["--model.hidden_size", "16", "--model.lr", "0.02", "--trainer.max_epochs", "30", "--run_dir", "run"]
    result = zoo_command("fit", "--model", "SeqClassifier", "--data", "LabelledSequences", *options, *model)
    assert result.code == 0, result.err
    assert "test/macro_f1" in result.out
    assert "baseline: naive Bayes: test/accuracy" in result.out
    result = zoo_command("infer", "run", "KOSMANN", "Wolini")
    assert result.out.splitlines()[0].startswith("KOSMANN -> German")
    result = zoo_command("test", "--ckpt_path", "run", "--data.test_fraction", "1")
    assert result.code == 0, result.err


def test_rows_without_an_example_have_no_class(table: Path) -> None:
    data = of(table, val_fraction=0, test_fraction=0)
    assert data.parts["train"].take(torch.tensor([0, -1])).targets[1] == IGNORE

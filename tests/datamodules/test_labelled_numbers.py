"""`LabelledSequences` of numbers: where they come from, how they are split and scaled, and what is refused."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from datamodules import LabelledSequences
from zoo.methods.seq_classifier import SeqClassifierConfig
from zoo.models import SeqClassifierModel

RANDOM = np.random.RandomState(0)
SIGNALS = [
    (f"s{i}", kind, np.stack([RANDOM.randn(3 + i % 5) * 0.1 + level, 100 + RANDOM.randn(3 + i % 5)], 1).round(3))
    for i, (kind, level) in enumerate([("high", 5.0), ("low", -5.0)] * 12)
]  # name, class, numbers (T, 2)
FEATURES: dict[str, Any] = {"features": ["x", "y"], "label": "kind"}
WHOLE: dict[str, Any] = {"val_fraction": 0, "test_fraction": 0}


def rows(signals: list = SIGNALS) -> str:
    lines = [f"{name},{kind},{x},{y}" for name, kind, steps in signals for x, y in steps.tolist()]
    return "\n".join(["id,kind,x,y", *lines]) + "\n"


def of(**options: Any) -> LabelledSequences:
    data = LabelledSequences(**{**FEATURES, **options})
    data.setup()
    return data


def sequences(data: LabelledSequences, part: str) -> list[tuple[str, bytes]]:
    batch = data.parts[part].take(torch.arange(len(data.parts[part])))
    lines = zip(batch.inputs, batch.lengths, batch.targets, strict=True)
    return sorted((data.classes[target], steps[:length].numpy().tobytes()) for steps, length, target in lines)


EXPECTED = sorted((kind, steps.tobytes()) for _, kind, steps in SIGNALS)


def as_a_table(folder: Path) -> dict[str, Any]:
    (folder / "signals.csv").write_text(rows())
    return {"path": str(folder / "signals.csv"), "sequence": "id"}


def as_lists(folder: Path) -> dict[str, Any]:
    lines = [json.dumps({"kind": k, "x": s[:, 0].tolist(), "y": s[:, 1].tolist()}) for _, k, s in SIGNALS]
    (folder / "signals.jsonl").write_text("\n".join(lines))
    return {"path": str(folder / "signals.jsonl")}


def as_a_folder_per_class(folder: Path) -> dict[str, Any]:
    for name, kind, steps in SIGNALS:
        (folder / "all" / kind).mkdir(parents=True, exist_ok=True)
        text = "\n".join(["x,y", *(f"{x},{y}" for x, y in steps.tolist())])
        (folder / "all" / kind / f"{name}.csv").write_text(text)
    return {"path": str(folder / "all")}


def as_a_file_per_class(folder: Path) -> dict[str, Any]:
    (folder / "all").mkdir()
    for kind in ("high", "low"):
        (folder / "all" / f"{kind}.csv").write_text(rows([row for row in SIGNALS if row[1] == kind]))
    return {"path": str(folder / "all"), "sequence": "id"}


@pytest.mark.parametrize("lies", [as_a_table, as_lists, as_a_folder_per_class, as_a_file_per_class])
def test_the_same_sequences_are_found_in_every_kind_of_file(lies: Callable, tmp_path: Path) -> None:
    data = of(**lies(tmp_path), **WHOLE)
    assert sequences(data, "train") == EXPECTED
    assert data.spec["classes"] == ["high", "low"]


def test_parts_are_stratified_and_the_training_part_gives_the_scale(tmp_path: Path) -> None:
    data = of(**as_a_table(tmp_path), val_fraction=0.25, test_fraction=0.25)
    found = {part: sequences(data, part) for part in ("train", "val", "test")}
    assert sorted(sum(found.values(), [])) == EXPECTED
    assert [Counter(kind for kind, _ in part)["low"] for part in found.values()] == [6, 3, 3]
    steps = np.concatenate([np.frombuffer(numbers).reshape(-1, 2) for _, numbers in found["train"]])
    assert data.spec["mean"] == pytest.approx(steps.mean(0).tolist(), rel=1e-5)
    assert data.spec["scale"] == pytest.approx(steps.std(0).tolist(), rel=1e-5)
    assert "mean" not in of(**as_a_table(tmp_path), normalize="none").spec
    (majority, regression) = data.baselines("test").values()
    assert (majority["accuracy"], regression["accuracy"]) == (0.5, 1.0)


def test_large_numbers_keep_their_differences_and_a_long_sequence_is_cut_first(tmp_path: Path) -> None:
    far = [(name, kind, steps + np.array([1.7e9, 0])) for name, kind, steps in SIGNALS]
    (tmp_path / "far.csv").write_text(rows(far))
    data = of(path=str(tmp_path / "far.csv"), sequence="id", max_length=3, **WHOLE)
    assert data.notes == ["19 sequences cut to 3 steps (max_length)"]
    assert data.spec["scale"][0] == pytest.approx(5, rel=0.1)
    batch = next(iter(data.train_dataloader()))
    spec = {name: tuple(data.spec[name]) for name in ("mean", "scale", "classes")}
    model = SeqClassifierModel(SeqClassifierConfig(**spec, input_size=2))
    assert model._scaled(batch.inputs)[..., 0].abs().mean() == pytest.approx(1, rel=0.1)


def test_ids_are_read_without_spaces_and_rows_may_lie_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,kind,x,y\n a,p,1,2\nb,q,3,4\na ,p,5,6\nb,q,7,8\n")
    data = of(path=str(tmp_path / "a.csv"), sequence="id", **WHOLE)
    batch = next(iter(data.val_dataloader()))
    assert sorted(batch.inputs[:, :, 0].tolist()) == [[1, 5], [3, 7]]


def test_a_model_scales_what_it_reads_and_does_not_read_padding() -> None:
    plain = {"classes": ("a", "b"), "input_size": 2, "hidden_size": 5}
    scaled = SeqClassifierModel(
        SeqClassifierConfig(**plain, mean=(1.0, 100.0), scale=(2.0, 10.0), input_columns=("x", "y"), max_length=4)
    )
    other = SeqClassifierModel(SeqClassifierConfig(**plain))
    other.network.load_state_dict(scaled.network.state_dict())
    steps = torch.randn(3, 4, 2)
    torch.testing.assert_close(scaled(steps * torch.tensor([2.0, 10.0]) + torch.tensor([1.0, 100.0])), other(steps))
    short, long = np.random.randn(2, 2), np.random.randn(9, 2)
    found = scaled.classify([short, long, {"x": short[:, 0], "y": short[:, 1], "other": ["?", "?"]}])
    assert found[0].probability == pytest.approx(scaled.classify([short])[0].probability)
    assert found[0].probability == pytest.approx(found[2].probability)
    assert found[1].probability == pytest.approx(scaled.classify([long[:4]])[0].probability)  # max_length


def test_they_are_learned_and_a_table_is_classified(tmp_path: Path, zoo_command: Callable) -> None:
    Path("signals.csv").write_text(rows())
    options = ["--data.path", "signals.csv", "--data.features", "[x,y]", "--data.sequence", "id"]
    training = ["--model.hidden_size", "8", "--model.lr", "0.05", "--trainer.max_epochs", "8", "--run_dir", "run"]
    result = zoo_command(
        "fit", "--model", "SeqClassifier", "--data", "LabelledSequences", "--data.label", "kind", *options, *training
    )
    assert result.code == 0, result.err
    assert "baseline: logistic regression: test/accuracy" in result.out
    Path("new.csv").write_text("y,x\n100,5.1\n99,4.9\n")  # one sequence, in other columns
    result = zoo_command("infer", "run", "new.csv", "signals.csv")
    lines = result.out.splitlines()
    assert (lines[0].split(" (")[0].strip(), len(lines)) == ("new.csv -> high", 1 + len(SIGNALS))
    assert lines[2].startswith("signals.csv: s1 -> low")
    result = zoo_command("export", "run", "-o", "bundle")
    assert result.code == 0, result.err
    assert zoo.load("bundle").classify([[[5.0, 100.0]]])[0].label == "high"
    Path("texts.csv").write_text("kind,text\nhigh,up\nlow,down\n")
    more = ["--data.features", "null", "--data.sequence", "null", "--data.test_fraction", "1"]
    refused = zoo_command("test", "--ckpt_path", "run", "--data.path", "texts.csv", *more)
    assert "the model reads numbers, and these sequences are texts" in refused.err
    Path("new.csv").write_text("x\n5.1\n")
    assert "column 'y' not found; it has x" in zoo_command("infer", "run", "new.csv").err


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("id,kind,x,y\na,p,1,2\nb,q,1,2\n", {"features": ["x", "yy"]}, "column 'yy' not found; did you mean 'y'"),
        ("id,kind,x,y\na,p,1,2\na,q,1,2\n", {}, "row 2: column 'kind': got 'q', but the sequence 'a' began with 'p'"),
        ("id,kind,x,y\na,p,1,\nb,q,1,2\n", {}, "column 'y', row 1: no number"),
        ("id,kind,x,y\na,p,1,z\nb,q,1,2\n", {}, "column 'y', row 1: got 'z', expected a number"),
        ("id,kind,x,y\na,p,1,2\nb,,1,2\n", {}, "row 2: column 'kind' is empty"),
        ("id,kind,x,y\na,p,1,2\n,q,1,2\n", {}, "row 2: column 'id' is empty"),
        ("id,kind,x,y\na,p,1,2\nb,q,3,4\n", {}, "class 'p' has one example, expected at least 2"),
        ("id,kind,x,y\na,p,1,2\n", {"sequence": None}, "column 'x' has a number in each row, expected sequence"),
        ("id,kind,x,y\na,p,1,2\na,p,1,2\n", {"features": "xy"}, "features: got 'xy', expected a list of columns"),
        ("id,kind,x,y\na,p,1,2\n", {"symbols": "words"}, "symbols: got 'words', but features are numbers"),
        ("id,kind,x,y\na,p,1,2\n", {"features": []}, r"features: got \[\], expected at least one column"),
        ("id,kind,x,y\na,p,1,2\n", {"features": ["x", "id"]}, "features, sequence: got 'id' for both"),
        ("id,kind,x,y\na,p,1,2\n", {"features": None}, "sequence: got 'id', but no features"),
    ],
)
def test_bad_input_is_named(content: str, options: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        of(**{"path": str(tmp_path / "a.csv"), "sequence": "id", **options})

"""Bundles: what they keep, and what is refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import zoo
from support import TOY, tiny
from zoo.files import bundle
from zoo.hub import export
from zoo.hub.registry import CLASSES
from zoo.models import Model, RegressorModel
from zoo.nn import CELLS

pytestmark = pytest.mark.short


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", CLASSES.values(), ids=CLASSES)
def test_a_bundle_gives_the_same_model_back(task: type[Model], cell: str, tmp_path: Path) -> None:
    facts: dict[str, dict[str, Any]] = {
        "char_lm": {},
        "seq_classifier": {"classes": ["x", "y"], "vocab": list("ab")},
        "seq_tagger": {"tags": ["x", "y"], "vocab": list("ab")},
        "seq2seq": {"source_vocab": list("ab"), "target_vocab": ["<pad>", "<start>", "<end>", "a"]},
        "regressor": {"input_size": 1, "target_size": 1, "normalize": "dataset", "mean": 3.0, "scale": 2.0},
    }
    model = tiny(f"{task.task_name}_{cell}", **facts[task.task_name])
    model.save_pretrained(tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    state = torch.get_rng_state()
    loaded = zoo.load(tmp_path / "bundle")
    assert torch.equal(torch.get_rng_state(), state)
    assert (type(loaded), loaded.training, loaded.config) == (task, False, model.config)
    for name, weight in model.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], weight)
    assert type(task.from_pretrained(tmp_path / "bundle")) is task


def test_a_checkpoint_becomes_a_bundle_and_half_precision_is_half_as_large(tmp_path: Path) -> None:
    assert export(TOY, tmp_path / "copy") == bundle.read_config(bundle.SHIPPED / TOY)
    zoo.load(TOY).save_pretrained(tmp_path / "full")
    assert "It knows six words" in (tmp_path / "full" / "README.md").read_text()
    export(tmp_path / "full", tmp_path / "half", half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half", "copy")]
    assert sizes[0] > 1.9 * sizes[1] == 1.9 * sizes[2]
    assert zoo.load(tmp_path / "half").translate("love") == ["사랑"]


def test_a_bundle_of_format_1_which_has_arguments_of_training_too_is_read(saved: Path) -> None:
    known = bundle.read_config(saved)
    arguments(saved, lr=0.001, teacher_forcing=1.0)
    change(saved, format_version=1)
    assert bundle.read_config(saved) == known
    assert len(zoo.load(saved).generate("a", 5)) == 5


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tiny().save_pretrained(tmp_path / "bundle")
    return tmp_path / "bundle"


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def arguments(folder: Path, **values: Any) -> None:
    change(folder, arguments={**json.loads((folder / "config.json").read_text())["arguments"], **values})


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def other_tensors(folder: Path) -> None:
    data = safetensors.torch.save({"head.1.weight": torch.zeros(3, 3)})
    (folder / "model.safetensors").write_bytes(data)
    change(folder, sha256=bundle.sha256(data))


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "damaged weights": (lambda f: flip(f / "model.safetensors"), "model.safetensors: damaged file: SHA-256 is"),
    "truncated weights": (lambda f: os.truncate(f / "model.safetensors", 99), "damaged file: SHA-256 is"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: can't be read: No such file"),
    "weights of another shape": (other_tensors, "its weights do not fit its config: head.1.bias is None, expected"),
    "other arguments": (lambda f: arguments(f, hidden_size=7), r"head.1.weight is \(4, 6\), expected \(4, 7\)"),
    "a giant": (lambda f: arguments(f, hidden_size=10**7), r"head.1.weight is \(4, 6\), expected \(4, 10000000\)"),
    "no config": (lambda f: (f / "config.json").unlink(), "not a bundle: config.json not found"),
    "broken config": (lambda f: (f / "config.json").write_text('{"a":'), "config.json: can't be read as JSON"),
    "a list": (lambda f: (f / "config.json").write_text("[1]"), "it has no format_version"),
    "another kind of config": (lambda f: (f / "config.json").write_text("{}"), "it has no format_version"),
    "newer format": (
        lambda f: change(f, format_version=3),
        "format_version is 3, but zoo .* reads only versions up to 2",
    ),
    "unknown model": (
        lambda f: change(f, name="char_lm_lstn"),
        "unknown model 'char_lm_lstn'; did you mean",
    ),
    "another cell": (lambda f: arguments(f, cell="rnn"), "its weights do not fit|its name is char_lm_gru"),
    "many layers": (lambda f: arguments(f, num_layers=10**6), "num_layers is 1000000"),
    "a card of other kinds": (lambda f: change(f, about={"metrics": [1]}), r"about: metrics: got \[1\], expected dict"),
    "unknown argument": (lambda f: arguments(f, hiden_size=6), "no field 'hiden_size'; did you mean hidden_size"),
    "wrong value": (lambda f: arguments(f, cell="lstn"), "cell: got 'lstn', expected one of"),
    "wrong type": (lambda f: arguments(f, hidden_size="six"), "its config does not describe a char_lm_gru"),
    "true for a number": (lambda f: arguments(f, num_layers=True), "num_layers: got True, expected int"),
    "class path": (lambda f: arguments(f, vocab={"class_path": "os.system"}), "vocab: got .*, expected a plain value"),
    "hidden class path": (
        lambda f: arguments(f, _class_path="os.system"),
        "'_class_path' is not a valid argument name",
    ),
    "a pipe": (
        lambda f: [(f / "config.json").unlink(), os.mkfifo(f / "config.json")],
        "config.json: not a regular file, expected a config",
    ),
    "a large config": (lambda f: os.truncate(f / "config.json", 2**23), "got 8388608 bytes, expected a config of at"),
    "weights that are a pipe": (
        lambda f: [(f / "model.safetensors").unlink(), os.mkfifo(f / "model.safetensors")],
        "model.safetensors: not a regular file, expected weights",
    ),
    "not a number": (lambda f: (f / "config.json").write_text('{"format_version": NaN}'), "NaN is no JSON"),
    "not UTF-8": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "can't be read as JSON"),
    "deeply nested": (lambda f: (f / "config.json").write_text("[" * 10**5), "can't be read as JSON"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_bundle_is_refused(fault: str, saved: Path) -> None:
    spoil, message = BROKEN[fault]
    spoil(saved)
    with pytest.raises(ValueError, match=message):
        zoo.load(saved)


def test_a_shipped_bundle_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bundle.SHIPPED / TOY, tmp_path / TOY)
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path)
    assert zoo.load(TOY).translate("love") == ["사랑"]
    arguments(tmp_path / TOY, max_length=3)
    with pytest.raises(ValueError, match="config.json: damaged file: SHA-256 is"):
        zoo.load(TOY)


def test_a_bundle_of_another_task_is_refused(saved: Path) -> None:
    with pytest.raises(ValueError, match="expected a regressor model, got a char_lm_gru"):
        RegressorModel.from_pretrained(saved)

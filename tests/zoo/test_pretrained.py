"""The registry, checkpoints as sources of weights, and the Hub."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from hub import Hub
from support import ROOT, tiny
from zoo.hub.registry import CLASSES, FUNCTIONS, register_model
from zoo.models import Model
from zoo.nn import CELLS

# -- the registry


def test_every_task_comes_with_every_cell() -> None:
    assert set(zoo.list_models()) >= {f"{task}_{cell}" for task in CLASSES for cell in CELLS}
    assert zoo.list_models("char_lm_l*") == ["char_lm_lstm"]
    assert "char_lm_lstm.alice" in zoo.list_models("char_lm*", pretrained=True)
    assert zoo.list_models("nothing*") == []


def test_a_model_is_created_ready_to_use() -> None:
    assert len(tiny().generate("a", 5, seed=0)) == 5
    assert zoo.create("char_lm_gru", vocab=["a", "b"], hidden_size=3).config.cell == "gru"


def test_a_model_can_be_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.hub.registry.FUNCTIONS", dict(FUNCTIONS))

    @register_model
    def char_lm_small(**arguments: Any) -> Model:
        return zoo.create("char_lm_rnn", **{"hidden_size": 3, **arguments})

    assert zoo.create("char_lm_small", vocab=["a"]).config.hidden_size == 3
    assert "char_lm_small" in zoo.list_models()
    with pytest.raises(ValueError, match="a model named 'char_lm_small' already exists"):
        register_model(char_lm_small)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.create("char_lm_lstn"), "unknown model 'char_lm_lstn'; did you mean char_lm_lstm"),
        (lambda: zoo.create("char_lm_lstm", cell="gru"), "cell: got 'gru', but char_lm_lstm has 'lstm'"),
        (lambda: zoo.load(""), "unknown model ''"),
        (
            lambda: zoo.create("char_lm_lstm", hiden_size=3),
            "CharLMConfig has no field 'hiden_size'; did you mean hidden_size",
        ),
        (lambda: zoo.create("seq2seq_lstm"), "Seq2SeqConfig needs source_vocab, target_vocab"),
        (lambda: zoo.create("char_lm_lstm.alice"), "this is a trained model, use load"),
        (
            lambda: zoo.load("char_lm_lstm.alic"),
            "unknown model 'char_lm_lstm.alic'; did you mean char_lm_lstm.alice",
        ),
        (lambda: zoo.load("char_lm_lstm"), "this model has no weights; trained models: char_lm_lstm.alice"),
        (lambda: zoo.load("https://example.com/a.ckpt"), "this is an address"),
        (lambda: zoo.load("no/such/folder/a.ckpt"), "file not found"),
        (lambda: zoo.load("best.ckpt"), "file not found"),
    ],
)
def test_unknown_names_list_the_nearest(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# -- checkpoints


class Payload:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("executed"),)


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(**values: Any) -> dict[str, Any]:
    task = tiny()
    state = {f"model.network.{name}": weight for name, weight in task.network.state_dict().items()}
    given = {"state_dict": state, "hyper_parameters": task.config.as_dict(), "model_name": task.model_name}
    return {**given, **values}


def test_a_checkpoint_loads_alone(in_empty_folder: Path) -> None:
    torch.save(checkpoint(), "a.ckpt")
    assert zoo.load("a.ckpt").generate("a", 9, seed=1) == tiny().generate("a", 9, seed=1)


def test_a_pickle_with_a_payload_is_refused_and_not_run(in_empty_folder: Path) -> None:
    torch.save(checkpoint(extra=Payload()), "a.ckpt")
    Path("b.ckpt").write_bytes(pickle.dumps(Payload()))
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(ValueError, match="it is damaged, or holds more than tensors and plain values"):
            zoo.load(name)
    assert not Path("executed").exists()


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "a class path": (
        {"hyper_parameters": {"_class_path": "antigravity.X"}},
        "'_class_path' is not a valid argument name",
    ),
    "an instantiator": (
        {"hyper_parameters": {"_instantiator": "antigravity.f"}},
        "'_instantiator' is not a valid argument name",
    ),
    "a mapping": (
        {"hyper_parameters": {"vocab": {"class_path": "antigravity.X"}}},
        "vocab: got .*, expected a plain value",
    ),
    "a class path by a plain name": ({"hyper_parameters": {"class_path": "antigravity.X"}}, "CharLMConfig needs vocab"),
    "no model": ({"model_name": None}, "expected the checkpoint of a zoo task"),
    "another model": ({"model_name": "gpt"}, "unknown model 'gpt'"),
    "no weights": ({"state_dict": {}}, "its weights do not fit"),
}


@pytest.mark.parametrize("fault", FOREIGN)
def test_a_checkpoint_with_anything_else_is_refused_before_it_is_imported(fault: str, in_empty_folder: Path) -> None:
    values, message = FOREIGN[fault]
    torch.save(checkpoint(**values), "a.ckpt")
    with pytest.raises(ValueError, match=message):
        zoo.load("a.ckpt")
    assert "antigravity" not in sys.modules


# -- the Hub


def test_the_hub_takes_a_model_and_gives_it_back(tmp_path: Path) -> None:
    hub = Hub()
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def python(code: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", f"import torch, zoo.models; torch.manual_seed(0)\n{code}"]
        return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)

    pushed = python("zoo.create('char_lm_gru', vocab=list('abc '), hidden_size=6).push_to_hub('me/tiny', token='x')")
    assert pushed.returncode == 0, pushed.stderr
    first = hub.revisions["me/tiny"]["main"]
    assert set(first) >= {"README.md", "config.json", "model.safetensors"}
    tiny(hidden_size=9).save_pretrained(tmp_path / "other")
    hub.commit("me/tiny", {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()})
    (old,) = (name for name, files in hub.revisions["me/tiny"].items() if files is first)
    sizes = "print(zoo.load('me/tiny').config.hidden_size, "
    sizes += f"zoo.models.CharLMModel.from_pretrained('me/tiny', revision='{old}').config.hidden_size)"
    assert python(sizes).stdout.split() == ["9", "6"]
    asked = len(hub.requests)
    offline = python(sizes, HF_HUB_OFFLINE="1")
    assert (offline.stdout.split(), len(hub.requests)) == (["9", "6"], asked), offline.stderr
    missing = python("zoo.load('me/missing')", HF_HUB_OFFLINE="1")
    assert "OSError: me/missing: file not found, and the download from the Hugging Face Hub failed" in missing.stderr

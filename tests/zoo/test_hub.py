"""The registry, checkpoints as sources of weights, and the Hub."""

import os
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

pytestmark = pytest.mark.short

# -- the registry


def test_every_task_comes_with_every_cell() -> None:
    assert set(zoo.list_models()) >= {f"{task}_{cell}" for task in CLASSES for cell in CELLS}
    assert zoo.list_models("char_lm_ls*") == ["char_lm_lstm", "char_lm_lstm_proj"]
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
    register_model(char_lm_small)  # as in a notebook's cell that runs twice

    def another(**arguments: Any) -> Model:
        return zoo.create("char_lm_gru", **arguments)

    another.__name__ = "char_lm_small"
    with pytest.raises(ValueError, match="a model named 'char_lm_small' already exists"):
        register_model(another)


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


def test_a_checkpoint_loads_alone(tmp_path: Path) -> None:
    model = tiny()
    state = {f"model.network.{name}": weight for name, weight in model.network.state_dict().items()}
    given = {"state_dict": state, "hyper_parameters": model.config.as_dict(), "model_name": model.model_name}
    torch.save(given, tmp_path / "a.ckpt")
    assert zoo.load(tmp_path / "a.ckpt").generate("a", 9, seed=1) == model.generate("a", 9, seed=1)


# -- the Hub


ONLINE = """
torch.manual_seed(0)
first = zoo.create("char_lm_gru", vocab=list("abc "), hidden_size=6).push_to_hub("me/tiny", token="x")
zoo.create("char_lm_gru", vocab=list("abc "), hidden_size=9).push_to_hub("me/tiny", token="x")
print(first.oid)
"""
SIZES = """
print(zoo.load("me/tiny").config.hidden_size)
print(CharLMModel.from_pretrained("me/tiny", revision=sys.argv[1] or first.oid).config.hidden_size)
"""
MISSING = """
try:
    zoo.load("me/missing")
except OSError as error:
    print(error)
"""


def test_the_hub_takes_a_model_and_gives_it_back(tmp_path: Path) -> None:
    """In fresh processes: the Hub's client reads its settings when it is imported."""
    hub = Hub()
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def python(code: str, revision: str = "", **more: str) -> list[str]:
        command = [
            sys.executable,
            "-c",
            f"import sys, torch, zoo\nfrom zoo.models import CharLMModel\n{code}",
            revision,
        ]
        done = subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    revision, *sizes = python(ONLINE + SIZES)
    assert sizes == ["9", "6"]
    assert set(hub.revisions["me/tiny"][revision]) >= {"README.md", "config.json", "model.safetensors"}
    asked = len(hub.requests)
    *sizes, missing = python(SIZES + MISSING, revision, HF_HUB_OFFLINE="1")
    assert (sizes, len(hub.requests)) == (["9", "6"], asked)
    assert missing.startswith("me/missing: file not found, and the download from the Hugging Face Hub failed")

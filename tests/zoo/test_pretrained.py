"""The registry, bundles, checkpoints as sources of weights, and the Hub."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import zoo
from hub import Hub
from support import ROOT
from zoo import bundle
from zoo.nn import CELLS
from zoo.pretrained import MODELS, export, register_model
from zoo.tasks import TASKS, Task
from zoo.transfer import freeze, initialize_from

TOY = "seq2seq_rnn.toy_en_ko"


def tiny(name: str = "char_lm_gru", **arguments: Any) -> Task:
    given = {"hidden_size": 6, **({"vocab": list("abc ")} if name.startswith("char_lm") else {}), **arguments}
    torch.manual_seed(0)
    return zoo.create(name, **given)


# -- the registry


def test_every_task_comes_with_every_cell() -> None:
    assert set(zoo.list_models()) >= {f"{task.model_prefix}_{cell}" for task in TASKS for cell in CELLS}
    assert zoo.list_models("char_lm_l*") == ["char_lm_lstm"]
    assert "char_lm_lstm.alice" in zoo.list_models("char_lm*", pretrained=True)
    assert zoo.list_models("nothing*") == []


def test_a_model_is_created_with_its_network_where_all_facts_are_given() -> None:
    assert tiny().generate("a", 5, seed=0)
    asks_its_data = zoo.create("seq2seq_lstm", hidden_size=8)
    assert not hasattr(asks_its_data, "network")
    assert asks_its_data.hparams["cell"] == "lstm"


def test_a_model_can_be_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.pretrained.MODELS", dict(MODELS))

    @register_model
    def char_lm_small(**arguments: Any) -> Task:
        return zoo.create("char_lm_rnn", **{"hidden_size": 3, **arguments})

    assert zoo.create("char_lm_small", vocab=["a"]).hparams["hidden_size"] == 3
    assert "char_lm_small" in zoo.list_models()
    with pytest.raises(ValueError, match="there is a model 'char_lm_small' already"):
        register_model(char_lm_small)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.create("char_lm_lstn"), "unknown model 'char_lm_lstn'; did you mean char_lm_lstm"),
        (lambda: zoo.create("char_lm_lstm", cell="gru"), "cell: got 'gru', but char_lm_lstm has 'lstm'"),
        (lambda: zoo.load(""), "unknown model ''"),
        (lambda: zoo.create("char_lm_lstm", hiden_size=3), "no argument 'hiden_size'; did you mean hidden_size"),
        (lambda: zoo.create("char_lm_lstm.alice"), "it has weights, for load"),
        (
            lambda: zoo.load("char_lm_lstm.alic"),
            "unknown model 'char_lm_lstm.alic'; did you mean char_lm_lstm.alice",
        ),
        (lambda: zoo.load("char_lm_lstm"), "this model has no weights; with weights there are char_lm_lstm.alice"),
        (lambda: zoo.load("https://example.com/a.ckpt"), "this is an address"),
        (lambda: zoo.load("no/such/folder/a.ckpt"), "there is no such file"),
        (lambda: zoo.load("best.ckpt"), "there is no such file"),
    ],
)
def test_unknown_names_list_the_nearest(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# -- bundles


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.model_prefix)
def test_a_bundle_gives_the_same_model_back(task: type[Task], cell: str, tmp_path: Path) -> None:
    facts: dict[str, dict[str, Any]] = {
        "char_lm": {},
        "seq_classifier": {"classes": ["x", "y"], "vocab": list("ab")},
        "seq2seq": {"source_vocab": list("ab"), "target_vocab": ["<pad>", "<start>", "<end>", "a"]},
        "regressor": {"input_size": 1, "target_size": 1, "normalize": "dataset", "mean": 3.0, "scale": 2.0},
    }
    model = tiny(f"{task.model_prefix}_{cell}", **facts[task.model_prefix])
    model.save_pretrained(tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    state = torch.get_rng_state()
    loaded = zoo.load(tmp_path / "bundle")
    assert torch.equal(torch.get_rng_state(), state)
    assert (type(loaded), loaded.training, dict(loaded.hparams)) == (task, False, dict(model.hparams))
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
    "damaged weights": (lambda f: flip(f / "model.safetensors"), "model.safetensors: it is damaged: its SHA-256 is"),
    "truncated weights": (lambda f: os.truncate(f / "model.safetensors", 99), "it is damaged: its SHA-256 is"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: can't be read: No such file"),
    "weights of another shape": (other_tensors, "its weights don't fit its arguments: head.1.bias is None, expected"),
    "other arguments": (lambda f: arguments(f, hidden_size=7), r"head.1.weight is \(4, 6\), expected \(4, 7\)"),
    "a giant": (lambda f: arguments(f, hidden_size=10**7), r"head.1.weight is \(4, 6\), expected \(4, 10000000\)"),
    "no config": (lambda f: (f / "config.json").unlink(), "this is no bundle: it has no config.json"),
    "broken config": (lambda f: (f / "config.json").write_text('{"a":'), "config.json: can't be read as JSON"),
    "a list": (lambda f: (f / "config.json").write_text("[1]"), "it has no format_version"),
    "another kind of config": (lambda f: (f / "config.json").write_text("{}"), "it has no format_version"),
    "newer format": (lambda f: change(f, format_version=2), "its format_version is 2, and zoo .* reads up to 1"),
    "unknown model": (
        lambda f: change(f, name="char_lm_lstn"),
        "'char_lm_lstn', which is no known model; did you mean",
    ),
    "another cell": (lambda f: arguments(f, cell="rnn"), "its weights don't fit|its name is char_lm_gru"),
    "many layers": (lambda f: arguments(f, num_layers=10**6), "num_layers is 1000000"),
    "a card of other kinds": (lambda f: change(f, about={"metrics": [1]}), r"about: metrics: got \[1\], expected dict"),
    "unknown argument": (lambda f: arguments(f, hiden_size=6), "unexpected keyword argument 'hiden_size'"),
    "wrong value": (lambda f: arguments(f, cell="lstn"), "cell: got 'lstn', expected one of"),
    "wrong type": (lambda f: arguments(f, hidden_size="six"), "its arguments make no char_lm_gru"),
    "true for a number": (lambda f: arguments(f, num_layers=True), "num_layers: got True, expected int"),
    "class path": (lambda f: arguments(f, vocab={"class_path": "os.system"}), "vocab: got .*, expected a plain value"),
    "hidden class path": (lambda f: arguments(f, _class_path="os.system"), "'_class_path' has no name of an argument"),
    "a pipe": (
        lambda f: [(f / "config.json").unlink(), os.mkfifo(f / "config.json")],
        "config.json: this is no file, expected a config",
    ),
    "a large config": (lambda f: os.truncate(f / "config.json", 2**23), "got 8388608 bytes, expected a config of at"),
    "weights that are a pipe": (
        lambda f: [(f / "model.safetensors").unlink(), os.mkfifo(f / "model.safetensors")],
        "model.safetensors: this is no file, expected weights",
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
    with pytest.raises(ValueError, match="config.json: it is damaged: its SHA-256 is"):
        zoo.load(TOY)


def test_a_bundle_of_another_task_is_refused(saved: Path) -> None:
    with pytest.raises(ValueError, match="this is a char_lm_gru, and no Regressor"):
        zoo.Regressor.from_pretrained(saved)


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
    state = {f"network.{name}": weight for name, weight in task.network.state_dict().items()}
    given = {"state_dict": state, "hyper_parameters": dict(task.hparams), "model_name": task.model_name}
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
    "a class path": ({"hyper_parameters": {"_class_path": "antigravity.X"}}, "'_class_path' has no name"),
    "an instantiator": ({"hyper_parameters": {"_instantiator": "antigravity.f"}}, "'_instantiator' has no name"),
    "a mapping": (
        {"hyper_parameters": {"vocab": {"class_path": "antigravity.X"}}},
        "vocab: got .*, expected a plain value",
    ),
    "a class path by a plain name": ({"hyper_parameters": {"class_path": "antigravity.X"}}, "'class_path'"),
    "no model": ({"model_name": None}, "it names no model"),
    "another model": ({"model_name": "gpt"}, "'gpt', which is no known model"),
    "no weights": ({"state_dict": {}}, "its weights don't fit"),
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
        command = [sys.executable, "-c", f"import zoo, torch; torch.manual_seed(0)\n{code}"]
        return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)

    pushed = python("zoo.create('char_lm_gru', vocab=list('abc '), hidden_size=6).push_to_hub('me/tiny', token='x')")
    assert pushed.returncode == 0, pushed.stderr
    first = hub.revisions["me/tiny"]["main"]
    assert set(first) >= {"README.md", "config.json", "model.safetensors"}
    tiny(hidden_size=9).save_pretrained(tmp_path / "other")
    hub.commit("me/tiny", {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()})
    (old,) = (name for name, files in hub.revisions["me/tiny"].items() if files is first)
    sizes = "print(zoo.load('me/tiny').hparams['hidden_size'], "
    sizes += f"zoo.CharLM.from_pretrained('me/tiny', revision='{old}').hparams['hidden_size'])"
    assert python(sizes).stdout.split() == ["9", "6"]
    asked = len(hub.requests)
    offline = python(sizes, HF_HUB_OFFLINE="1")
    assert (offline.stdout.split(), len(hub.requests)) == (["9", "6"], asked), offline.stderr
    missing = python("zoo.load('me/missing')", HF_HUB_OFFLINE="1")
    assert "OSError: me/missing: there is no such file, and the Hugging Face Hub did not give it" in missing.stderr


# -- starting from other weights


def rows(task: Task, name: str, symbols: str) -> torch.Tensor:
    axis, fact = task.symbol_axes()[name]
    index = torch.tensor([task.hparams[fact].index(symbol) for symbol in symbols])
    return task.network.state_dict()[name].index_select(axis, index)


@pytest.mark.parametrize("embedding_dim", [None, 5])
def test_shared_symbols_keep_their_vectors_and_new_ones_start_fresh(embedding_dim: int | None, tmp_path: Path) -> None:
    old = tiny("char_lm_lstm", vocab=list("abcd"), embedding_dim=embedding_dim)
    old.save_pretrained(tmp_path / "old")
    new = tiny("char_lm_lstm", vocab=list("xdyb"), embedding_dim=embedding_dim)
    fresh = {name: weight.clone() for name, weight in new.network.state_dict().items()}
    report = initialize_from(new, tmp_path / "old")
    assert report.endswith("tensors; vocab: 2 symbols kept, 2 new")
    for name, (axis, _) in new.symbol_axes().items():
        if name in fresh:
            assert torch.equal(rows(new, name, "db"), rows(old, name, "db"))
            unknown = torch.tensor([0, 2])
            assert torch.equal(rows(new, name, "xy"), fresh[name].index_select(axis, unknown))
    name = "recurrent.layers.weight_hh_l0"
    assert torch.equal(new.network.state_dict()[name], old.network.state_dict()[name])


def test_a_classifier_of_other_classes_gets_a_new_head(tmp_path: Path) -> None:
    old = tiny("seq_classifier_gru", vocab=list("ab"), classes=["x", "y"])
    old.save_pretrained(tmp_path / "old")
    new = tiny("seq_classifier_gru", vocab=list("ab"), classes=["x", "y", "z"])
    head = new.network.head[1].weight.clone()
    assert "other classes, so the head starts fresh" in initialize_from(new, tmp_path / "old")
    assert torch.equal(new.network.head[1].weight, head)


def test_encoder_and_decoder_can_come_from_different_models(tmp_path: Path) -> None:
    tiny("char_lm_gru", vocab=list("abc")).save_pretrained(tmp_path / "reader")
    torch.manual_seed(5)
    symbols = {"source_vocab": list("ab"), "target_vocab": ["<pad>", "<start>", "<end>", "c"]}
    tiny("seq2seq_gru", **symbols).save_pretrained(tmp_path / "translator")
    new = tiny("seq2seq_gru", **symbols)
    initialize_from(new, tmp_path / "reader", "encoder")
    initialize_from(new, tmp_path / "translator", "decoder")
    reader, translator = zoo.load(tmp_path / "reader"), zoo.load(tmp_path / "translator")
    assert torch.equal(new.network.encoder.layers.weight_hh_l0, reader.network.recurrent.layers.weight_hh_l0)
    assert torch.equal(new.network.decoder.head[1].weight, translator.network.decoder.head[1].weight)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (("char_lm_gru", {"hidden_size": 7}), "hidden_size and embedding_dim must agree"),
        (("char_lm_rnn", {}), "is a char_lm_rnn, and this is a char_lm_gru"),
        (("char_lm_gru", {"num_layers": 2}), "num_layers and embedding_dim must agree"),
        (
            ("seq_classifier_gru", {"vocab": ["a"], "classes": ["b", "c"]}),
            r"a seq_classifier_gru .* is no beginning for all of a char_lm",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_taken(other: tuple, message: str, tmp_path: Path) -> None:
    tiny(other[0], **other[1]).save_pretrained(tmp_path / "other")
    torch.manual_seed(3)
    task = zoo.create("char_lm_gru", vocab=list("abc "), hidden_size=6)
    before = {name: weight.clone() for name, weight in task.network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        initialize_from(task, tmp_path / "other")
    assert all(torch.equal(weight, before[name]) for name, weight in task.network.state_dict().items())


def test_weights_are_frozen_by_their_names() -> None:
    task = tiny()
    frozen, trained = freeze(task, ["recurrent.*"])
    assert frozen + trained == sum(weight.numel() for weight in task.network.parameters())
    assert {name for name, w in task.network.named_parameters() if w.requires_grad} == {"head.1.weight", "head.1.bias"}
    with pytest.raises(ValueError, match=r"'recurent.\*' fits no weight; there are recurrent.layers.weight_ih_l0"):
        freeze(task, ["recurent.*"])
    with pytest.raises(ValueError, match="nothing is left to train"):
        freeze(task, ["*"])

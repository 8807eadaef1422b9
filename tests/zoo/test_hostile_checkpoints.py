"""Checkpoints and bundles that mean harm: each is refused whichever way it comes, and nothing of it is run."""

import json
import pickle
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch

import zoo
from datamodules import ToySeq2Seq
from support import ADDRESSES, laughs
from zoo.files import bundle

MANY_SYMBOLS = "vocab: got 60000 symbols, expected at most 10000 without an embedding_dim"
TOY = "model: {class_path: Seq2Seq, init_args: {hidden_size: 4}}\ndata: {class_path: ToySeq2Seq}\n"
FIT = ["fit", "--run_dir", "run", "--trainer.max_epochs", "1"]


class Payload:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("executed"),)


@cache
def facts() -> dict[str, Any]:
    data = ToySeq2Seq()
    data.setup()
    return data.spec


@cache
def sound() -> dict[str, Any]:
    """What a checkpoint holds of a tiny model."""
    torch.manual_seed(0)
    task = zoo.create("seq2seq_lstm", hidden_size=4, **facts())
    return {
        "state_dict": {f"model.network.{name}": weight for name, weight in task.network.state_dict().items()},
        "hyper_parameters": task.config.as_dict(),
        "model_name": task.model_name,
        "pytorch-lightning_version": "2.6.6",
        "config": TOY,
    }


def contents(**values: Any) -> dict[str, Any]:
    """The same, with some values in place of others."""
    return {**sound(), **values}


def arguments(**values: Any) -> dict[str, Any]:
    return {"hyper_parameters": {**sound()["hyper_parameters"], **values}}


def every_way(path: str) -> list[list[str]]:
    """All commands that read a checkpoint; `--resume` wants it in a run's folder."""
    folder = Path("resumed/checkpoints")
    folder.mkdir(parents=True, exist_ok=True)
    if Path(path).is_file():
        shutil.copy(path, folder / "last.ckpt")
    return [
        ["generate", path],
        ["infer", path, "word"],
        ["export", path, "-o", "out"],
        [*FIT, "--config", TOY, "--init_from", path],
        [*FIT, "--config", TOY, "--init_from", json.dumps({"encoder": path})],
        *([command, "--ckpt_path", path] for command in ("validate", "test", "predict")),
        *([command, "--ckpt_path", path, "--config", TOY] for command in ("validate", "test", "predict")),
        *([["fit", "--config", TOY, "--run_dir", "resumed", "--resume"]] if Path(path).is_file() else []),
    ]


FEW = slice(None, None, 4)  # of these ways: by `zoo.load`, as a beginning, and beside a config


BAD: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "code": (lambda: contents(extra=Payload()), "holds more than tensors and plain values"),
    "code among weights": (lambda: contents(state_dict={"network.a": Payload()}), "holds more than tensors"),
    "code among hyperparameters": (lambda: contents(**arguments(vocab=Payload())), "holds more than tensors"),
    "a class path": (lambda: contents(**arguments(vocab={"class_path": "evil_module.Nosy"})), "expected a plain value"),
    "Lightning's class path": (lambda: contents(**arguments(_class_path="evil_module.Nosy")), "not a valid argument"),
    "Lightning's instantiator": (
        lambda: contents(**arguments(_instantiator="evil_module.build")),
        "not a valid argument",
    ),
    "nothing but a class path": (lambda: contents(hyper_parameters={"class_path": "os.system"}), "Config needs source"),
    "no model": (lambda: contents(model_name=None), "expected the checkpoint of a zoo task"),
    "another model": (lambda: contents(model_name="gpt"), "unknown model 'gpt'"),
    "no weights": (lambda: contents(state_dict={}), "its weights do not fit"),
    "a list of lists": (lambda: contents(**arguments(source_vocab=[["a"]])), "expected a plain value"),
    "a tensor": (lambda: contents(**arguments(hidden_size=torch.tensor(4))), "expected a plain value"),
    "no names": (lambda: contents(hyper_parameters=[1]), "expected a dictionary of plain values"),
    "a long number": (lambda: contents(**arguments(hidden_size=2**999)), "got a number of 1000 bits"),
    "a longer number": (lambda: contents(**arguments(hidden_size=2**99_999)), "can't be read as a checkpoint"),
    "laughs": (lambda: contents(**arguments(source_vocab=nested(40))), "expected a plain value"),
    "many layers": (lambda: contents(**arguments(num_layers=10**9)), "num_layers is 1000000000"),
    "wide layers": (lambda: contents(**arguments(hidden_size=10**12)), "hidden_size 1000000000000"),
    "wide layers that fit": (lambda: expanded(30_000), "some of its values are missing"),
    "weights used often": (lambda: shared(400), "its tensors use"),
    "weights that are none": (lambda: contents(state_dict={"network.a": "b"}), "got str, expected a tensor"),
    "sparse weights": (lambda: contents(state_dict={"network.a": torch.eye(2).to_sparse()}), "expected a tensor"),
    "weights without names": (lambda: contents(state_dict={1: torch.zeros(2)}), "state_dict: 1: got Tensor"),
    "a config that is none": (lambda: contents(config=[1]), "its config can't be read: got list, expected text"),
    "a config with laughs": (lambda: contents(config=laughs(9)), "its config can't be read: it has more than"),
    "a config with tags": (
        lambda: contents(config="a: !!python/name:os.system"),
        "its config can't be read: got the tag",
    ),
    "a version that is none": (lambda: contents(**{"pytorch-lightning_version": "x"}), "expected a version"),
    "a way out": (
        lambda: callbacks(best_model_path="run/checkpoints/../../mine/a.ckpt"),
        "expected the path of a checkpoint",
    ),
    "a folder to delete": (
        lambda: callbacks(kth_best_model_path="run/checkpoints/mine"),
        "expected the path of a checkpoint",
    ),
    "a bucket to delete": (lambda: callbacks(best_k_models={"s3://bucket/a.ckpt": 1.0}), "this is an address"),
    "a path that is none": (lambda: callbacks(last_model_path=[1]), "got [1], expected a path"),
}


def nested(levels: int) -> list:
    """Lists within lists, 2 ** levels when written out."""
    value: list = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


def expanded(hidden_size: int) -> dict[str, Any]:
    """Weights of 30 GB that are a few numbers in the file, as a stride of 0 says."""
    with torch.device("meta"):
        task = zoo.create("seq2seq_lstm", hidden_size=hidden_size, **facts())
    state = {f"model.network.{name}": torch.zeros(1).expand(w.shape) for name, w in task.network.state_dict().items()}
    return contents(state_dict=state, hyper_parameters=task.config.as_dict())


def shared(layers: int) -> dict[str, Any]:
    """Weights of many layers that are one layer's in the file."""
    with torch.device("meta"):
        task = zoo.create("seq2seq_lstm", hidden_size=16, num_layers=layers, **facts())
    whole = torch.zeros(64 * 64)
    state = {f"model.network.{name}": whole[: w.numel()].view(w.shape) for name, w in task.network.state_dict().items()}
    return contents(state_dict=state, hyper_parameters=task.config.as_dict())


def callbacks(**state: Any) -> dict[str, Any]:
    return contents(callbacks={"BestCheckpoint{'monitor': 'val/loss'}": {"dirpath": "run/checkpoints", **state}})


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.usefixtures("evil_module")
def test_a_checkpoint_of_more_than_plain_values_and_its_own_weights_is_refused(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = BAD[fault]
    torch.save(make(), "a.ckpt")
    began = time.process_time()
    with pytest.raises(ValueError, match=re.escape(message)):
        zoo.load("a.ckpt")
    assert time.process_time() - began < 5
    assert not Path("executed").exists()
    assert "evil_module" not in sys.modules


def test_it_is_refused_in_every_way(refused: Callable) -> None:
    make, message = BAD["code"]
    torch.save(make(), "a.ckpt")
    for command in every_way("a.ckpt"):
        refused(*command, message=message)
    assert not Path("executed").exists()


@pytest.mark.parametrize("fault", ["Lightning's class path", "wide layers that fit"])
def test_what_is_no_code_is_refused_by_all_readers(fault: str, refused: Callable) -> None:
    make, message = BAD[fault]
    torch.save(make(), "a.ckpt")
    for command in [*every_way("a.ckpt")[FEW], every_way("a.ckpt")[-1]]:
        refused(*command, message=message)


@pytest.mark.parametrize("arguments", [{"num_layers": 10**9}, {"hidden_size": 10**12}])
def test_a_giant_is_refused_in_every_way_before_it_is_built(arguments: dict[str, int], refused: Callable) -> None:
    config = TOY.replace("hidden_size: 4", ", ".join(f"{name}: {value}" for name, value in arguments.items()))
    hyperparameters = {**sound()["hyper_parameters"], **arguments}
    torch.save(contents(config=config, hyper_parameters=hyperparameters), "a.ckpt")
    for command in [*every_way("a.ckpt")[FEW], ["validate", "--ckpt_path", "a.ckpt"]]:
        refused(*command, message="zoo: error: ")


def test_a_pickle_that_is_no_archive_is_refused_in_every_way(refused: Callable) -> None:
    Path("a.ckpt").write_bytes(pickle.dumps(Payload()))
    for command in [*every_way("a.ckpt")[FEW], every_way("a.ckpt")[-1]]:
        refused(*command, message="can't be read as a checkpoint")
    assert not Path("executed").exists()


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(refused: Callable) -> None:
    torch.save(contents(), "b.ckpt")
    with zipfile.ZipFile("b.ckpt") as whole, zipfile.ZipFile("a.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry) + bytes(2**24 * entry.filename.endswith("/0")))
    Path("b.ckpt").unlink()
    for command in every_way("a.ckpt")[FEW]:
        refused(*command, message="can't be read as a checkpoint")


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_checkpoint_is_read_from_an_address(
    address: str, refused: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *_, **__: pytest.fail("fetched"))
    monkeypatch.setattr("fsspec.open", lambda *_, **__: pytest.fail("opened"))
    Path(address).parent.mkdir(parents=True, exist_ok=True)
    torch.save(contents(), address)  # also where there is a file of this very name
    with pytest.raises(ValueError, match="this is an address"):
        zoo.load(address)
    for command in every_way(address)[:-1] if address == ADDRESSES[0] else []:
        refused(*command, message="this is an address")


@pytest.mark.parametrize("word", ["hpc", "last", "best", "registry"])
def test_a_word_of_lightnings_is_a_name_like_any_other(word: str, refused: Callable, zoo_command: Callable) -> None:
    refused("validate", "--ckpt_path", word, message=word)
    torch.save(contents(callbacks={}), word)
    Path("hpc_ckpt_1.ckpt").write_bytes(pickle.dumps(Payload()))
    result = zoo_command("validate", "--ckpt_path", word)
    assert result.code == 0, result.err
    assert not Path("executed").exists()


def test_a_folder_whose_name_begins_like_an_address_is_a_folder(zoo_command: Callable) -> None:
    fit = ["fit", "--config", TOY, "--run_dir", "https_runs", "--trainer.max_epochs"]
    assert zoo_command(*fit, "1").code == 0
    result = zoo_command(*fit, "2", "--resume", "--override")
    assert result.code == 0, result.err


def test_what_lightning_finds_by_itself_is_checked_too(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = "lightning.pytorch.trainer.connectors.checkpoint_connector.SLURMEnvironment"
    monkeypatch.setattr(connector, SimpleNamespace(detect=lambda: True))  # where a job goes on after a requeue
    Path("run").mkdir()
    for fault in ("code", "a bucket to delete"):
        make, message = BAD[fault]
        torch.save(make(), "run/hpc_ckpt_1.ckpt")
        result = zoo_command(*FIT, "--config", TOY)
        shutil.rmtree("run/checkpoints", ignore_errors=True)
        Path("run/config.yaml").unlink(missing_ok=True)
        assert result.code == (1 if fault == "code" else 2), result
        assert ("Weights only load failed" if fault == "code" else message) in result.err
        assert not Path("executed").exists()


def test_the_config_in_a_checkpoint_is_trusted_no_more_than_any_other(refused: Callable) -> None:
    Path("other.yaml").write_text(TOY)
    for text, message in (
        ("model: evil_module.Nosy\ndata: ToySeq2Seq\n", "--allow_import PACKAGE"),
        (f"{TOY}trainer: {{callbacks: [evil_module.Nosy]}}\n", "--allow_import PACKAGE"),
        ("other.yaml", "zoo: error: "),
        ("memory://other.yaml", "zoo: error: "),
        (f"{TOY}weights_only: false\n", "weights_only: got false"),
    ):
        torch.save(contents(config=text), "a.ckpt")
        refused("validate", "--ckpt_path", "a.ckpt", message=message)


def test_nothing_turns_weights_only_off(refused: Callable) -> None:
    torch.save(contents(), "a.ckpt")
    for command in ([*FIT], ["validate", "--ckpt_path", "a.ckpt"]):
        refused(*command, "--config", TOY, "--weights_only", "false", message="weights_only: got false")


def test_a_bundle_of_a_long_alphabet_takes_no_square_of_it(refused: Callable) -> None:
    task = zoo.create("char_lm_gru", vocab=list("ab"), hidden_size=1)
    task.save_pretrained("bundle")
    config = json.loads(Path("bundle/config.json").read_text())
    vocab = [f"{number:x}" for number in range(60_000)]
    shapes = {"recurrent.layers.weight_ih_l0": (3, len(vocab)), "head.1.weight": (len(vocab), 1)}
    shapes["head.1.bias"] = (len(vocab),)
    weights = {name: torch.zeros(shapes.get(name, w.shape)) for name, w in task.network.state_dict().items()}
    data = safetensors.torch.save(weights)
    Path("bundle/model.safetensors").write_bytes(data)
    config["arguments"]["vocab"], config["sha256"] = vocab, bundle.sha256(data)
    Path("bundle/config.json").write_text(json.dumps(config))
    for command in (["generate", "bundle"], [*FIT, "--config", TOY, "--init_from", "bundle"]):
        refused(*command, message=MANY_SYMBOLS)

"""Configs that mean harm: each is refused, nothing of it is imported or run, and nothing is written."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import laughs
from zoo.cli.errors import explain

EVIL = "evil_module"
TOY = "model: {class_path: Seq2Seq, init_args: {hidden_size: 4}}\ndata: {class_path: ToySeq2Seq}\n"
FIT = ["fit", "--run_dir", "run"]

# -- what a config may name

NOSY = "{class_path: evil_module.Nosy}"
PLACES = {
    "a model": f"model: {NOSY}\ndata: ToySeq2Seq\n",
    "a datamodule by its path alone": "model: Seq2Seq\ndata: evil_module.Nosy\n",
    "a callback": f"{TOY}trainer: {{callbacks: [EarlyStopping, {NOSY}]}}\n",
    "a callback's function": TOY
    + "trainer: {callbacks: [{class_path: LambdaCallback, init_args: {on_fit_start: evil_module.build}}]}\n",
    "a class in a callback's function": TOY
    + f"trainer: {{callbacks: [{{class_path: LambdaCallback, init_args: {{on_fit_start: {NOSY}}}}}]}}\n",
    "a logger": f"{TOY}trainer: {{logger: {NOSY}}}\n",
    "a strategy's part": f"{TOY}trainer: {{strategy: {{class_path: lightning.pytorch.strategies.DDPStrategy, "
    f"init_args: {{checkpoint_io: {NOSY}}}}}}}\n",
    "plugins": f"{TOY}trainer: {{plugins: [{NOSY}]}}\n",
    "an optimizer": f"{TOY}optimizer: {NOSY}\n",
    "a schedule's function": TOY + "lr_scheduler: {class_path: LambdaLR, init_args: {lr_lambda: evil_module.build}}\n",
    "a value of any type": f"{TOY}optimizer: {{class_path: Adam, init_args: {{lr: {NOSY}}}}}\n",
    "further arguments": TOY + "trainer: {logger: {class_path: TensorBoardLogger, "
    f"init_args: {{save_dir: x}}, dict_kwargs: {{a: {NOSY}}}}}}}\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_class_of_another_package_is_refused_before_it_is_imported(place: str, refused: Callable) -> None:
    Path("c.yaml").write_text(PLACES[place])
    message = "is not a class" if place == "further arguments" else "is not allowed in a config, expected a class"
    refused(*FIT, "--config", "c.yaml", message=message)


@pytest.mark.parametrize(
    "options",
    [
        ["--model.class_path", "evil_module.Nosy"],
        ["--data=evil_module.Nosy"],
        ["--trainer.callbacks+=evil_module.Nosy"],
        ["--trainer.callbacks=[{class_path: evil_module.Nosy}]"],
        ["--lr_scheduler", "evil_module.Nosy"],
        ["--trainer.callbacks.help", "evil_module.Nosy"],
        ["--trainer.callbacks+=evil_module.Nosy", "--print_config"],
    ],
    ids=" ".join,
)
def test_a_class_of_another_package_is_refused_in_an_option(options: list[str], refused: Callable) -> None:
    refused(*FIT, "--config", TOY, *options, message="--allow_import PACKAGE")


@pytest.mark.parametrize(
    "path",
    [
        "zoo.cli.train.os.system",
        "zoo.cli.train.L.pytorch.cli.instantiate_class",
        "zoo.load",
        "zoo.tasks.CharLM.load_from_checkpoint",
        "datamodules.sources.cache.shutil.rmtree",
        "lightning.pytorch.utilities.os.system",
        "lightning.pytorch.LightningModule.load_from_checkpoint",
        "lightning.data.StreamingDataset",
        "lightning.evil_module.Nosy",
        "torch.optim.sys.modules",
        "torch.optim.adam.torch.hub.load",
        "torch.load",
        "torchmetrics.metric.functools.partial",
        "pytorch_lightning.callbacks.EarlyStopping",
        "builtins.eval",
        "jsonargparse.set_parsing_settings",
        "zoolog.evil",
        "torch.optimizer.X",
    ],
)
def test_no_way_leads_through_a_trusted_package_to_anything_but_its_classes(path: str, refused: Callable) -> None:
    refused(*FIT, "--config", TOY, "--trainer.callbacks", path, message="trainer.callbacks: ")


def test_functions_are_refused_wherever_they_could_be_called(refused: Callable) -> None:
    lambdas = ["--trainer.callbacks+=LambdaCallback", "--trainer.callbacks.on_fit_start"]
    refused(*FIT, "--config", TOY, *lambdas, "zoo.load", message="on_fit_start: zoo.hub.loading.load is not a class")
    refused(
        *FIT,
        "--config",
        TOY,
        "--model",
        "zoo.load",
        "--model.source",
        "x",
        message="model: got zoo.load, expected a class",
    )
    logger = (
        "{class_path: TensorBoardLogger, init_args: {save_dir: x}, dict_kwargs: {a: {class_path: subprocess.Popen}}}"
    )
    refused(
        *FIT, "--config", TOY, "--trainer.logger", logger, message="dict_kwargs.a: subprocess.Popen is not a class of"
    )
    schedule = ["--lr_scheduler", "LambdaLR", "--lr_scheduler.lr_lambda", "zoo.files.bundle.write"]
    refused(*FIT, "--config", TOY, "--optimizer", "Adam", *schedule, message="zoo.files.bundle.write is not a class")


def test_classes_of_trusted_packages_go_by_short_and_full_names(zoo_command: Callable) -> None:
    stopping = {"init_args": {"monitor": "train/loss"}}
    config = {
        "model": "zoo.Seq2Seq",
        "data": "datamodules.ToySeq2Seq",
        "optimizer": {"class_path": "torch.optim.Adam"},
        "lr_scheduler": {"class_path": "StepLR", "init_args": {"step_size": 3}},
        "trainer": {
            "fast_dev_run": True,
            "callbacks": [
                {"class_path": "EarlyStopping", **stopping},
                "lightning.pytorch.callbacks.timer.Timer",
                "lightning.Callback",
            ],
            "plugins": ["lightning.pytorch.plugins.environments.LightningEnvironment"],
        },
    }
    result = zoo_command(*FIT, "--config", f"{json.dumps(config)}\n")
    assert result.code == 0, result.err


def test_what_the_user_allows_is_imported_for_this_command_alone(zoo_command: Callable, refused: Callable) -> None:
    command = [*FIT, "--config", TOY, "--trainer.fast_dev_run", "true", "--trainer.callbacks+=evil_module.Nosy"]
    refused(
        *command, "--allow_import", "evil", message="--allow_import evil: ModuleNotFoundError: No module named 'evil'"
    )
    refused(*command, "--allow_import", "calendar", message="--allow_import PACKAGE")
    result = zoo_command(*command, "--allow_import=calendar", "--allow_import", EVIL)
    assert result.code == 0, result.err
    assert Path("imported").exists()
    functions = ["--trainer.callbacks+=LambdaCallback", "--trainer.callbacks.on_sanity_check_end=evil_module.build"]
    assert zoo_command(*command, *functions, "--allow_import", EVIL).code == 0
    Path("imported").unlink()
    del sys.modules[EVIL]
    refused(*command, message="--allow_import PACKAGE")


def test_a_config_can_allow_nothing(refused: Callable) -> None:
    refused(*FIT, "--config", f"allow_import: {EVIL}\n{TOY}", message="unknown key 'allow_import'")
    refused(*FIT, "--config", f"allow_import: [{EVIL}]\n{PLACES['a model']}", message="zoo: error: ")


@pytest.mark.parametrize("package", ["", "a..b", "jsonargparse._common", "*"])
def test_only_packages_can_be_allowed(package: str, refused: Callable) -> None:
    refused(*FIT, "--config", TOY, "--allow_import", package, message="--allow_import: ")


def test_a_message_that_names_a_class_imports_nothing() -> None:
    text = "Problem with given class_path 'antigravity.X': Option 'y' is not accepted"
    assert "has no argument 'y'" in explain(text, [], [])
    assert "antigravity" not in sys.modules


# -- how a config is written


YAMLS = {
    "Python's tags": (
        "model: !!python/object/apply:pathlib.Path.touch [imported]\n",
        "got the tag 'tag:yaml.org,2002:",
    ),
    "a local tag": ("model: !include other.yaml\n", "got the tag '!include'"),
    "laughs": (laughs(9), "it has more than 20000 values"),
    "laughs in a text": (
        f"{TOY}seed_everything: '{{{laughs(9)[:-1].replace(chr(10), ', ')}}}'\n",
        "seed_everything: got",
    ),
    "merged laughs": (laughs(9).replace("[", "{<<: [").replace("]", "]}").replace("[x", "[{x: x}"), "it has more than"),
    "a snake that eats its tail": ("model: &a [*a]\n", "the alias *a is undefined, or refers to itself"),
    "depth": ("model: " + "[" * 100_000 + "\n", "it is nested more than 50 levels deep"),
    "depth of mappings": ("".join("  " * n + "a:\n" for n in range(100)), "it is nested more than 50 levels deep"),
    "depth in a text": (f"{TOY}seed_everything: '{'[' * 100_000}'\n", "seed_everything: got"),
    "length": (f"{TOY}# {'x' * 2**20}\n", "it has 1048"),
    "values": ("model: [" + "a, " * 30_000 + "]\n", "it has more than 20000 values"),
    "a list": (f"{TOY}run_dir: [{'a, ' * 9_000}]\n", "'run_dir': got 9000 items, expected at most 2000"),
    "callbacks": (
        f"{TOY}trainer: {{callbacks: [{'Timer, ' * 200}]}}\n",
        "'callbacks': got 200 items, expected at most 100",
    ),
    "a long number": (f"seed_everything: {'9' * 5_000}\n{TOY}", "got a number of 5000 characters"),
    "a number to the base of 60": (f"seed_everything: {'1:' * 400_000}1\n{TOY}", "got a number of 800001 characters"),
    "no text": ("model: \x07\n", "unacceptable character"),
    "documents": (f"{TOY}---\n{TOY}", "expected a single document"),
}


IN_EVERY_WAY = ("Python's tags", "laughs", "length")


@pytest.mark.parametrize("fault", YAMLS)
def test_a_config_that_is_too_much_is_refused_at_once(fault: str, refused: Callable) -> None:
    text, message = YAMLS[fault]
    Path("c.yaml").write_text(text)
    refused(*FIT, "--config", "c.yaml", message="c.yaml: got 1048" if fault == "length" else message)
    if fault in IN_EVERY_WAY:
        refused(*FIT, "--config", text, message=message)
        Path("outer.yaml").write_text("model: c.yaml\ndata: ToySeq2Seq\n")
        refused(*FIT, "--config", "outer.yaml", message="zoo: error: ")


def test_of_a_large_config_no_more_is_read_than_it_takes_to_refuse_it(refused: Callable) -> None:
    with Path("large.yaml").open("wb") as file:
        file.truncate(2**40)  # it takes no room on the disk
    for options in (["--config", "large.yaml"], ["--model", "large.yaml"], ["--data", "large.yaml"]):
        refused(*FIT, *options, message="zoo: error: ")


def test_no_config_and_no_folder_is_an_address(refused: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsspec.open", lambda *_, **__: pytest.fail("opened"))
    folder = ["--trainer.callbacks+=OnExceptionCheckpoint", "--trainer.callbacks.dirpath"]
    options = {  # each with an address of another kind
        ("--config", "https://127.0.0.1:1/a.yaml"): "file not found",
        ("--config", "memory://a.yaml\n"): "zoo: error: ",
        ("--config", TOY, "--model", "file:a.yaml"): "model: ",
        ("--config", f"{TOY}trainer: {{callbacks: 'simplecache::memory://a'}}\n"): "trainer.callbacks: ",
        ("--config", TOY, "--trainer.default_root_dir", "s3://bucket/a"): "this is an address",
        ("--config", TOY, "--run_dir", "file:///a"): "this is an address",
        ("--config", TOY, *folder, "zip://a::memory://b.zip"): "this is an address",
    }
    for given, message in options.items():
        refused(*FIT, *given, message=message)

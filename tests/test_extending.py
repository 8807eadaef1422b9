"""The code in docs/extending.md works from a package outside the repository, and what is left out of it is named."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from types import ModuleType
from typing import Any, NamedTuple

import lightning as L
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringDataModule
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

import zoo
from datamodules.base import SequenceData
from datamodules.examples import take
from datamodules.loader import BatchLoader, EpochSampler
from support import ROOT, refused
from zoo.hub import initialize_from
from zoo.hub.registry import CLASSES
from zoo.nn import CELLS
from zoo.tasks.base import Loss
from zoo.tasks.metrics import Share

PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(CONSOLE,) = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [shlex.split(line)[3:] for line in CONSOLE.splitlines()]
ALLOWED = ("--allow_import", "my_package")
RUN = "runs/tagger"
REGISTERED: dict[str, Any] = {}
FACTS: dict[str, Any] = {"vocab": list("aby"), "tags": ["C", "V"], "hidden_size": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the page, in a folder of their own, and the run of its first command."""
    path = tmp_path_factory.mktemp("extending")
    for name, text in FILES:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "zoo", *COMMANDS[0]]
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path)
        CLASSES.update(REGISTERED)
        yield path
    # The modules stay, because jsonargparse looks for short names in all subclasses. So they register nothing again,
    # if a worker comes back to this file.
    REGISTERED.update({name: CLASSES.pop(name) for name in ("tagger",) if name in CLASSES})


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, zoo_command: Callable) -> Callable:
    """Runs a command in that folder."""
    monkeypatch.chdir(folder)
    return zoo_command


@pytest.fixture(scope="module")
def mine(folder: Path) -> ModuleType:
    """The package."""
    return importlib.import_module("my_package")


@pytest.fixture(scope="module")
def words(mine: ModuleType, folder: Path) -> Callable[..., Any]:
    """Makes the page's datamodule."""
    return lambda **options: mine.TaggedWords(str(folder / "words.txt"), **options)


# -- the example


def test_its_first_command_leaves_a_whole_run(folder: Path) -> None:
    run = folder / RUN
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["status"], summary["item"], summary["monitor"]) == ("finished", "words", ["val/accuracy", "max"])
    assert [*summary["data"]] == ["words.txt"]
    assert summary["metrics"]["val/accuracy"]["best"] > 0.7
    for name in ("config.yaml", "curves.png", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert (run / name).is_file(), name


def test_its_other_commands_run(here: Callable, folder: Path) -> None:
    out = {}
    for command in COMMANDS[1:]:
        result = here(*command)
        assert result.code == 0, result.err
        out[command[0]] = result.out
    assert "val/accuracy" in out["validate"]
    assert out["predict"].splitlines()[0] == "input,prediction,target"
    assert re.fullmatch(r"yesterday -> [CV]{9}\n", out["infer"])
    assert type(zoo.load(folder / "tagger")).__name__ == "TaggerModel"


def test_full_class_paths_and_options_do_without_a_config_and_a_run_resumes(here: Callable, tmp_path: Path) -> None:
    options = ("--model.hidden_size", "4", "--data.path", "words.txt", "--run_dir", tmp_path / "run", *ALLOWED)
    command = ("fit", "--model", "my_package.task.Tagger", "--data", "my_package.data.TaggedWords", *options)
    assert here(*command, "--trainer.max_epochs", "1").code == 0
    assert here(*command, "--trainer.max_epochs", "2", "--resume", "--override").code == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["epochs"], summary["steps"]) == ("finished", 2, 6)


def test_without_its_package_a_run_says_what_to_import(here: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CLASSES, "tagger", raising=False)
    result = here("infer", RUN, "day")
    refused(result, "unknown model 'tagger_gru'")
    assert "if its class is in a package of yours, import it" in result.err


def test_a_run_and_a_bundle_give_the_model(mine: ModuleType, folder: Path, tmp_path: Path) -> None:
    model = zoo.load(folder / RUN)
    assert (type(model), model.training, model.model_name) == (mine.TaggerModel, False, "tagger_gru")
    (row,) = model.infer("day")
    assert {**row, "prediction": ""} == {"input": "day", "prediction": ""}
    model.save_pretrained(tmp_path / "bundle")
    for same in (zoo.load(tmp_path / "bundle"), mine.TaggerModel.from_pretrained(tmp_path / "bundle")):
        assert same.config == model.config
        assert all(map(torch.equal, same.state_dict().values(), model.state_dict().values()))
    features = model.features(["day", "yellow"])
    assert features.outputs.shape == (2, 6, 2 * model.config.hidden_size)
    assert (features.outputs[0, 3:] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_its_model(mine: ModuleType, cell: str) -> None:
    model = zoo.create(f"tagger_{cell}", **FACTS).eval()
    assert f"tagger_{cell}" in zoo.list_models("tagger_*")
    whole = model(torch.tensor([[0, 1, 2], [1, 1, 0]]), torch.tensor([3, 2]))
    torch.testing.assert_close(whole[1, :2], model(torch.tensor([[1, 1]]))[0])


def test_its_python_runs(mine: ModuleType, here: Callable, trainer: Callable, words: Callable) -> None:
    (code,) = re.findall(r"^```python\n(import my_package\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)
    model, task = names["model"], names["task"]
    assert (type(task), task.model) == (mine.Tagger, model)
    before = model.network.head.weight.clone()
    trainer(max_epochs=1).fit(task, words())
    assert not torch.equal(model.network.head.weight, before)


def test_rows_without_an_example_change_neither_loss_nor_metrics(mine: ModuleType, words: Callable) -> None:
    data, task = words(), mine.Tagger()
    data.setup()
    task.bind(data.spec, "data")
    task.configure_model()
    part = data.parts["train"]
    full = next(iter(BatchLoader(part, EpochSampler(len(part), len(part)))))
    padded = part.take(torch.tensor([*range(len(part)), -1, -1]))
    loss, same = task.score(full, "val"), task.score(padded, "test")
    torch.testing.assert_close(same, loss)
    assert task.metric("val", "accuracy").compute() == task.metric("test", "accuracy").compute()


def test_its_tables_name_every_member_that_a_subclass_may_define() -> None:
    inherited = {*dir(L.LightningModule), *dir(nn.Module)}
    own = {name for name in vars(zoo.Task) if name[0] != "_" and name not in inherited} | {"predict_step"}
    own -= {"bind", "known_facts", "adopt", "from_model", "metric", "higher_is_better"}
    own |= {"model_class", "batch_type", "requires"}
    for name in own:
        assert f"`{name}" in PAGE, name
    for name in zoo.Model.__abstractmethods__ | {"parse", "symbol_axes", "task_name", "config_class"}:
        assert f"`{name}`" in PAGE, name


# -- what a class lacks


class NoVoid(NamedTuple):
    inputs: Tensor


@dataclass(frozen=True, kw_only=True)
class WithList(zoo.ModelConfig):
    labels: list[str]


@dataclass(frozen=True, kw_only=True)
class WithNames(zoo.ModelConfig):
    names: tuple[str, ...] = ()


class NoRecord(zoo.ModelConfig):
    labels: tuple[str, ...] = ()


def sub(base: type, **members: Any) -> type:
    """A subclass of a class, which looks as if it were defined once more."""
    return type("Mine", (base,), {"__module__": __name__, **members})


def bare(mine: ModuleType, **members: Any) -> type:
    """A task from scratch."""
    needed = {"model_class": mine.TaggerModel, "batch_type": mine.data.TagBatch, "score": mine.Tagger.score}
    given = {name: value for name, value in {**needed, **members}.items() if value is not None}
    return sub(zoo.Task, **given)


def unregistered(mine: ModuleType) -> type:
    return sub(mine.TaggerModel)


CLASS_FAULTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no model_class": (lambda m: bare(m, model_class=None), "Mine: a task needs the class attribute 'model_class'"),
    "no batch_type": (lambda m: bare(m, batch_type=None), "Mine: a task needs the class attribute 'batch_type'"),
    "no score": (lambda m: bare(m, score=None), r"Mine: a task needs the method score\(self, batch, stage\)"),
    "a network for a model": (lambda m: bare(m, model_class=nn.LSTM), "got LSTM, expected a subclass of zoo.Model"),
    "an unregistered model": (
        lambda m: bare(m, model_class=unregistered(m)),
        "model_class: Mine is not registered.* @zoo.register_model",
    ),
    "score without a stage": (
        lambda m: bare(m, score=lambda self, batch: None),
        r"score: it is called as score\(batch, stage\): too many",
    ),
    "figure with an argument": (lambda m: bare(m, figure=lambda self, x: None), r"called as figure\(\): missing"),
    "figure_name curves": (lambda m: bare(m, figure_name="curves"), "figure_name: got 'curves', expected"),
    "item None": (lambda m: sub(m.Tagger, item=None), "item: got None, expected a text"),
    "monitor without a mode": (lambda m: bare(m, monitor="val/loss"), r"monitor: got 'val/loss', expected .*'max'\)"),
    "monitor of another mode": (lambda m: bare(m, monitor=("val/loss", "low")), r"monitor: got \('val/loss', 'low'\)"),
    "facts in no tuple": (lambda m: sub(m.Tagger, facts=("vocab")), r"facts: got 'vocab', .* for example \('vocab',\)"),
    "an unknown fact": (lambda m: sub(m.Tagger, facts=("vocap",)), "no field 'vocap'; did you mean vocab"),
    "a fact that is no argument": (lambda m: bare(m, facts=("tags",)), "no argument 'tags'; add tags=None"),
    "keeps no fact": (lambda m: sub(m.Tagger, keeps=("cell",)), "keeps: 'cell' is not one of its facts, vocab, tags"),
    "requires in no groups": (lambda m: sub(m.Tagger, requires=("tags",)), r"requires: got 'tags', .* \('tags',\)"),
    "requires no fact": (lambda m: sub(m.Tagger, requires=(("cell",),)), "requires: 'cell' is not one of its facts"),
    "remembers in no tuple": (lambda m: sub(m.Tagger, remembers="_states"), r"remembers: got '_states', expected"),
    "no task_name": (lambda m: sub(zoo.Model, config_class=zoo.ModelConfig), "needs the class attribute 'task_name'"),
    "no config_class": (lambda m: sub(zoo.Model, task_name="a"), "Mine: a model needs the class attribute 'config_c"),
    "task_name with a dot": (lambda m: sub(m.TaggerModel, task_name="a.b"), "task_name: got 'a.b', expected a name"),
    "a config that is a dict": (lambda m: sub(m.TaggerModel, config_class=dict), "expected a subclass of ModelConfig"),
    "a config without decorator": (
        lambda m: sub(m.TaggerModel, config_class=NoRecord),
        "labels is no field; add @data",
    ),
    "a config with a list": (lambda m: sub(m.TaggerModel, config_class=WithList), r"labels: got the type list\[str\]"),
    "a config's own names": (lambda m: sub(m.TaggerModel, config_class=WithNames), "names: ModelConfig has a member"),
    "takes a method": (lambda m: sub(m.TaggerModel, takes=lambda self: "a"), "takes: got a method, expected a text"),
    "a model without methods": (
        lambda m: zoo.register_model(sub(zoo.Model, task_name="a", config_class=zoo.ModelConfig)),
        "Mine needs answer, build_network, features, forward, infer, takes",
    ),
}


@pytest.mark.parametrize("fault", CLASS_FAULTS)
def test_a_class_that_lacks_something_cannot_be_made(fault: str, mine: ModuleType) -> None:
    make, message = CLASS_FAULTS[fault]
    with pytest.raises(TypeError, match=message):
        make(mine)


def test_a_model_may_be_defined_again_but_not_by_another_package(mine: ModuleType) -> None:
    again = type("TaggerModel", (zoo.Model,), {**vars(mine.TaggerModel)})
    try:
        zoo.register_model(again)
        assert type(zoo.create("tagger_gru", **FACTS)) is again
    finally:
        CLASSES["tagger"] = mine.TaggerModel
    with pytest.raises(ValueError, match="a model named 'tagger' already exists"):
        zoo.register_model(sub(mine.TaggerModel))


# -- what a run finds at its beginning


def metrics(make: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    """The page's task with other metrics."""
    return lambda mine, words: (sub(mine.Tagger, build_metrics=lambda self, stage: make(stage))(), words())


def attribute(**values: Any) -> Callable[[Any, Any], Any]:
    """The page's task with other class attributes."""
    return lambda mine, words: (sub(mine.Tagger, **values)(), words())


def data(**members: Any) -> Callable[[Any, Any], Any]:
    """The page's data with other members."""
    return lambda mine, words: (mine.Tagger(), sub(mine.TaggedWords, **members)(words().path))


def holding(value: Any) -> Callable[[Any, Any], Any]:
    """The page's task that remembers a value."""

    def init(self: Any) -> None:
        zoo.Task.__init__(self)
        self.value = value

    return lambda mine, words: (bare(mine, remembers=("value",), __init__=init)(), words())


def no_parts(self: Any) -> None:
    """A `load` that lacks its return."""


def loads(change: Callable[[dict], dict]) -> Callable[[Any, Any], Any]:
    """The page's data with changed parts."""
    return lambda mine, words: data(load=lambda self: change(mine.TaggedWords.load(self)))(mine, words)


ONE = Share()
START_FAULTS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "a monitor that no metric gives": (
        attribute(monitor=("val/acuracy", "max")),
        "no metric 'val/acuracy'; did you mean val/accuracy. It logs train/loss, train/accuracy, val/loss, val/acc",
    ),
    "a monitor without its stage": (attribute(monitor=("accuracy", "max")), "no metric 'accuracy'"),
    "a shown metric that is not there": (attribute(shown=("val/accuracy",)), "shown: .*'val/accuracy'; there are acc"),
    "a metric named loss": (metrics(lambda _: {"loss": Share()}), r"build_metrics\('train'\): loss: expected a name"),
    "a metric with its stage": (metrics(lambda s: {f"{s}/accuracy": Share()}), "accuracy: expected a name such as"),
    "a metric named keys": (metrics(lambda _: {"keys": Share()}), "keys: PyTorch's ModuleDict has a member of this"),
    "a metric that is none": (metrics(lambda _: {"accuracy": max}), "accuracy: got builtin_function_or_method, expec"),
    "one metric for all stages": (
        metrics(lambda _: {"accuracy": ONE}),
        r"\('val'\): accuracy: this metric is used twice",
    ),
    "no metrics but None": (metrics(lambda _: None), "got None, expected a dict of metrics"),
    "an attribute that is missing": (attribute(remembers=("_seen",)), "remembers: it has no attribute '_seen'; set it"),
    "an attribute of its own kind": (holding(EpochSampler(1, 1)), "remembers: value is .*, expected tensors and plain"),
    "an argument that is no plain value": (
        lambda mine, words: (mine.Tagger(tags={"C": 0}), words()),
        "Tagger: hparams: tags: got {'C': 0}, expected a plain value",
    ),
    "a fact that is missing": (
        data(spec=property(lambda self: {"vocab": list(self.vocab)})),
        "Tagger does not fit Mine: it needs tags, and Mine offers vocab; choose data that offers it, or pass tags",
    ),
    "a fact that is no plain value": (
        data(spec=property(lambda self: {"vocab": list(self.vocab), "tags": {"C", "V"}})),
        "Mine: spec: tags: got {.*}, expected a plain value",
    ),
    "a spec that is no property": (data(spec=lambda self: {}), "Mine: spec: got .*, expected a mapping; is it a prop"),
    "facts on which both sides differ": (
        lambda mine, words: (
            mine.Tagger(vocab=[*ascii_lowercase]),
            sub(mine.TaggedWords, spec=property(lambda self: {"vocab": ["a"], "tags": list(self.tags)}))(words().path),
        ),
        "vocab: Tagger has 26 symbols 'a' .*, and Mine has 1 symbols 'a'",
    ),
    "a fact that the data can't follow": (
        lambda mine, words: (mine.Tagger(tags=["a"]), words()),
        "TaggedWords: 70 of 70 tags are unknown to the model: 'C' .41., 'V' .29.; to leave them out",
    ),
    "no parts": (data(load=no_parts), "Mine: load: got NoneType, expected a dict of parts; is a return missing"),
    "a part of another name": (
        loads(lambda parts: {"valid": parts["val"]}),
        "Mine: load: valid: unknown part, expected one of train, val, test",
    ),
    "no training part": (loads(lambda parts: {"val": parts["val"]}), "Mine: this data has no training part; it has v"),
    "parts that are tensors": (loads(lambda parts: {"train": parts["train"].inputs}), "got Tensor, expected Examples"),
    "a batch without void": (loads(lambda parts: {"train": NoVoid(torch.ones(1))}), "NoVoid: expected .* method void"),
    "parts of two types": (
        loads(lambda parts: {**parts, "val": zoo.tasks.seq_classifier.ClassBatch(torch.ones(1), torch.ones(1))}),
        "expected one batch type for all parts, got ClassBatch, TagBatch",
    ),
    "an empty part": (
        loads(lambda parts: {**parts, "val": take(parts["val"], torch.arange(0))}),
        "val: expected the same number of examples in all fields, at least 1, got inputs 0, targets 0, lengths 0",
    ),
    "fields of other lengths": (
        loads(lambda parts: {"train": parts["train"]._replace(lengths=torch.ones(1))}),
        "train: expected the same number of examples in all fields, at least 1, got inputs 12, targets 12, lengths 1",
    ),
    "data without its constructor": (
        data(__init__=lambda self, path: L.LightningDataModule.__init__(self)),
        r"Mine: call super\(\).__init__\(batch_size, seed\)",
    ),
    "batches of another task": (
        lambda mine, words: (zoo.CharLM(), words()),
        "CharLM does not fit TaggedWords: expected batches of type TextBatch, got TagBatch",
    ),
    "data of another kind": (
        lambda mine, words: (mine.Tagger(), BoringDataModule()),
        "Tagger does not fit BoringDataModule: it needs vocab, and BoringDataModule offers no facts",
    ),
    "a loss that is a tensor": (
        attribute(score=lambda self, batch, stage: self.model(batch.inputs).sum()),
        r"Mine: score: got Tensor, expected Loss\(total, items\)",
    ),
}


@pytest.mark.parametrize("fault", START_FAULTS)
def test_a_run_that_lacks_something_does_not_begin(
    fault: str, mine: ModuleType, words: Callable, trainer: Callable
) -> None:
    make, message = START_FAULTS[fault]
    task, module = make(mine, words)
    with pytest.raises((ValueError, TypeError), match=message):
        trainer(max_epochs=1).fit(task, module)
    assert task.global_step == 0


def test_a_wrong_task_leaves_no_folder(here: Callable, mine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mine.Tagger, "monitor", ("val/f1", "max"))
    result = here(*COMMANDS[0][:3], "--run_dir", "runs/wrong", *ALLOWED)
    refused(result, "Tagger: monitor: there is no metric 'val/f1'")
    assert not Path("runs/wrong").exists()


def test_a_figure_that_fails_is_a_warning_and_the_run_is_whole(
    here: Callable, mine: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mine.Tagger, "figure", lambda self: 1 / 0)
    result = here(*COMMANDS[0][:3], "--run_dir", "runs/undrawn", *ALLOWED, "--trainer.max_epochs", "1")
    assert result.code == 0, result.err
    assert "could not be drawn: ZeroDivisionError" in caplog.text
    assert json.loads(Path("runs/undrawn/summary.json").read_text())["status"] == "finished"
    assert not Path("runs/undrawn/running.json").exists()


def test_weights_for_other_tags_are_refused(mine: ModuleType, tmp_path: Path) -> None:
    zoo.create("tagger_gru", **FACTS).save_pretrained(tmp_path / "bundle")
    model = zoo.create("tagger_gru", **{**FACTS, "tags": ["N", "V"]})
    with pytest.raises(ValueError, match="init_from: tags: expected .*'N', 'V'.*, got .*'C', 'V'"):
        initialize_from(model, tmp_path / "bundle")


# -- what may be left out


def test_a_task_needs_no_more_than_a_model_a_batch_type_and_a_score(
    mine: ModuleType, words: Callable, trainer: Callable, tmp_path: Path
) -> None:
    class Least(zoo.Task):
        model_class = mine.TaggerModel
        batch_type = mine.data.TagBatch
        facts = ("vocab", "tags")

        def __init__(self, vocab: list[str] | None = None, tags: list[str] | None = None) -> None:
            super().__init__()

        def score(self, batch: Any, stage: str) -> Loss:
            logits = self.model(batch.inputs, batch.lengths)
            return Loss(logits.square().sum(), (batch.targets != -100).sum())

    fit = trainer(max_epochs=1)
    fit.fit(Least(), words())
    fit.save_checkpoint(tmp_path / "a.ckpt")
    again = Least.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert again.hparams["tags"] == ["C", "V"]
    assert again.figure() is None
    assert type(zoo.load(tmp_path / "a.ckpt")) is mine.TaggerModel


def test_a_constructor_may_hand_its_options_on(mine: ModuleType, words: Callable, trainer: Callable) -> None:
    class Wider(mine.Tagger):
        def __init__(self, weight: float = 1.0, **options: Any) -> None:
            super().__init__(**options)

    task = Wider(weight=2.0, hidden_size=8)
    trainer(max_epochs=1).fit(task, words())
    assert (task.hparams["weight"], task.model.config.hidden_size) == (2.0, 8)


def test_a_vocabulary_is_taken_for_a_list(mine: ModuleType, words: Callable, trainer: Callable) -> None:
    task = mine.Tagger(tags=zoo.Vocab("CV"))
    trainer(max_epochs=1).fit(task, words())
    assert task.hparams["tags"] == ["C", "V"]


def test_data_may_offer_more_than_a_task_asks_for(mine: ModuleType, words: Callable, trainer: Callable) -> None:
    class More(mine.TaggedWords):
        @property
        def spec(self) -> dict[str, Any]:
            return {**super().spec, "classes": object()}

        def setup(self, stage: str | None = None) -> None:
            assert self.trainer is None or self.trainer.world_size == 1
            super().setup(stage)

    trainer(max_epochs=1).fit(mine.Tagger(), More(words().path))


def test_any_lightning_datamodule_will_do(mine: ModuleType, words: Callable, trainer: Callable) -> None:
    class Plain(L.LightningDataModule):
        def setup(self, stage: str) -> None:
            self.inner = words()
            self.inner.setup(stage)

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(
                [*map(mine.data.TagBatch, *self.inner.parts["train"].rows)], batch_size=4
            )

        def val_dataloader(self) -> Any:
            return self.train_dataloader()

    words_of = words()
    words_of.setup()
    trainer(max_epochs=1).fit(mine.Tagger(**words_of.spec), Plain())


def test_metrics_of_torchmetrics_will_do(mine: ModuleType, words: Callable, trainer: Callable) -> None:
    class Usual(mine.Tagger):
        def build_metrics(self, stage: str) -> dict[str, Metric]:
            return {"accuracy": MulticlassAccuracy(len(self.model.tags), average="micro", ignore_index=-100)}

        def score(self, batch: Any, stage: str) -> Loss:
            logits = self.model(batch.inputs, batch.lengths)
            self.metric(stage, "accuracy").update(logits.flatten(0, 1), batch.targets.flatten())
            return Loss(logits.square().sum(), (batch.targets != -100).sum())

    fit = trainer(max_epochs=1)
    fit.fit(Usual(), words())
    assert 0 <= fit.callback_metrics["val/accuracy"] <= 1


def test_a_datamodule_needs_no_more_than_load_and_spec(mine: ModuleType, words: Callable) -> None:
    class Least(SequenceData):
        def load(self) -> Any:
            return mine.TaggedWords.load(words())

        @property
        def spec(self) -> dict[str, Any]:
            return {}

    least = Least(batch_size=4)
    least.setup()
    assert len(least.train_dataloader()) == 3
    assert least.sources == {}

"""Who may import whom, and what the front door may load."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support import ROOT

# Each layer may import those before it, and itself: [tool.layers] in pyproject.toml.
LAYERS = [set(layer) for layer in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["layers"]["order"]]
DATA_MAY_USE = {"zoo.vocab", "zoo.batch", "zoo.tags"}
HEAVY = {"lightning", "pytorch_lightning", "torchmetrics", "torchvision", "matplotlib", "datasets", "jsonargparse"}


def layer_of(module: str) -> int:
    name = module.split(".")[1]
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imports(file: Path) -> set[str]:
    """Modules of both packages that a file imports; `from zoo import hub` counts as `zoo.hub`."""
    found = set()
    tree = ast.parse(file.read_text())
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    skipped = {inner for node in for_types for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            module = str(node.module)
            found |= {f"zoo.{alias.name}" for alias in node.names} if module == "zoo" else {module}
    return {name for name in found if name.split(".")[0] in ("zoo", "datamodules")}


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("file", sorted((ROOT / "zoo").rglob("*.py")), ids=module_name)
def test_imports_point_one_way(file: Path) -> None:
    module = module_name(file)
    if module == "zoo":
        assert not imports(file)
        return
    for name in imports(file) - {"zoo"}:
        if name.startswith("datamodules"):
            assert module.startswith("zoo.cli."), f"{module} imports {name}: of zoo, cli alone may"
        else:
            assert layer_of(name) <= layer_of(module), f"{module} imports {name}"


@pytest.mark.parametrize("file", sorted((ROOT / "datamodules").rglob("*.py")), ids=module_name)
def test_datamodules_know_only_vocabulary_and_batches(file: Path) -> None:
    assert {name for name in imports(file) if name.startswith("zoo")} <= DATA_MAY_USE


def loaded_by(code: str, names: set[str]) -> set[str]:
    """Which of some packages are imported in a fresh process by some code."""
    script = f"import sys\n{code}\nprint('|', *({names!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.rpartition("|")[2].split())


@pytest.mark.parametrize(
    "code", ["import zoo, zoo.vocab, datamodules", "import zoo.__main__ as m\nm.main(['--help'])\nm.main(['list'])"]
)
def test_the_front_door_is_light(code: str) -> None:
    assert not loaded_by(code, HEAVY | {"torch", "numpy"})


def test_using_a_model_needs_torch_alone() -> None:
    load = (
        "import zoo\nmodels = [zoo.load(name) for name in zoo.list_models(pretrained=True)]\nassert len(models) == 23"
    )
    translate = "zoo.load('seq2seq_rnn.toy_en_ko').translate('word')"
    create = "zoo.create('char_lm_gru', vocab=['a'])"
    commands = "import zoo.__main__ as m\nm.main(['infer', 'regressor_lstm.three_steps', '25,35,45'])"
    generate = "m.main(['generate', 'char_lm_lstm.alice', '--length', '3'])\nm.main(['show', 'char_lm_lstm.alice'])"
    script = "\n".join([load, translate, create, commands, generate])
    assert loaded_by(script, HEAVY | {"torch", "torch._dynamo", "sympy"}) == {"torch"}

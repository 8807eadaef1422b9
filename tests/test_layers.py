"""Who may import whom, and what the front door may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT

# Each layer may import those before it, and itself.
LAYERS = [
    {
        f"zoo.{name}"
        for name in ("vocab", "batch", "reference", "plots", "images", "messages", "limits", "card", "trust")
    },
    {"zoo.bundle", "zoo.checkpoints"},
    {"zoo.nn"},
    {"zoo.decoding"},
    {"zoo.tasks"},
    {"zoo.pretrained"},
    {"zoo.transfer", "zoo.runs", "zoo.arguments"},
    {"zoo.cli", "zoo.commands", "zoo.catalogue"},
    {"zoo.__main__"},
]
DATA_MAY_USE = {"zoo.vocab", "zoo.batch"}


def layer_of(module: str) -> int:
    name = ".".join(module.split(".")[:2])
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imports(file: Path) -> set[str]:
    """Modules of both packages that a file imports; `from zoo import plots` counts as `zoo.plots`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
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
            assert module == "zoo.cli", f"{module} imports {name}: of zoo, cli alone may"
        else:
            assert layer_of(name) <= layer_of(module), f"{module} imports {name}"


@pytest.mark.parametrize("file", sorted((ROOT / "datamodules").rglob("*.py")), ids=module_name)
def test_datamodules_know_only_vocabulary_and_batches(file: Path) -> None:
    assert {name for name in imports(file) if name.startswith("zoo")} <= DATA_MAY_USE


@pytest.mark.parametrize("code", ["import zoo, zoo.vocab, datamodules", "import zoo.__main__ as m; m.main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    heavy = "{'torch', 'lightning', 'numpy', 'matplotlib', 'datasets'} & set(sys.modules)"
    script = f"import sys; {code}; sys.exit(str({heavy}) if {heavy} else 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr

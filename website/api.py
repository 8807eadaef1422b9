"""The pages of the API: one for each package, with all of its public names."""

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType

PACKAGES = {
    "zoo": "what most programs need",
    "zoo.hub": "the registry: list, create, load, export",
    "zoo.models": "models: networks with their vocabulary, classes or scale",
    "zoo.tasks": "LightningModules around the models",
    "zoo.nn": "recurrent stacks, and networks built on them",
    "zoo.plots": "pictures of a run",
    "zoo.graphs": "models outside of this package",
    "zoo.runtime": "exported models without PyTorch",
    "zoo.decoding": "greedy decoding, sampling and beam search",
    "zoo.vocab": "symbols and their ids",
    "zoo.reference": "the equations in NumPy",
    "datamodules": "reading, splitting and batching data",
}
INHERITING = ("zoo.models",)  # their methods are those of classes that have no page


def names(package: str) -> list[str]:
    """The public names of a package: its `__all__`, or what it defines or imports by name."""
    module = importlib.import_module(package)
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("_")]
    tree = ast.parse(Path(str(module.__file__)).read_text())
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            found += [alias.asname for alias in node.names if alias.asname == alias.name]
    return [name for name in found if not name.startswith("_")]


def home(package: str, name: str) -> str:
    """Where a name is documented: `module.name` of its definition."""
    value = getattr(importlib.import_module(package), name)
    if isinstance(value, ModuleType):
        return value.__name__
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{_origin(package, name)}.{name}"


def _origin(package: str, name: str) -> str:
    """The module that assigns a name, from a package's imports."""
    module = importlib.import_module(package)
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.ImportFrom) and any(name in (alias.asname, alias.name) for alias in node.names):
            return _origin(str(node.module), name)
    return package


def undocumented() -> list[str]:
    """The public names without a docstring: of classes, functions and modules, and below constants."""
    missing = []
    for package in PACKAGES:
        module = importlib.import_module(package)
        if not module.__doc__:
            missing.append(package)
        for name in names(package):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value) or isinstance(value, ModuleType):
                documented = bool(value.__doc__)
            else:
                documented = _constant_has_docstring(_origin(package, name), name)
            if not documented:
                missing.append(f"{package}.{name}")
    return missing


def _constant_has_docstring(module: str, name: str) -> bool:
    body = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text()).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    return False


def page(package: str) -> str:
    """The page of a package."""
    module = importlib.import_module(package)
    lines = [f"# {package}", "", inspect.cleandoc(module.__doc__ or ""), ""]
    if package == "zoo":
        lines += ["| name | |", "|---|---|"]
        for name in names(package):
            summary = (inspect.getdoc(getattr(module, name)) or "").split("\n\n")[0].replace("\n", " ")
            target = "plots.md" if name == "plots" else ""
            link = f"[`zoo.{name}`]({'zoo.' + target})" if target else f"[`zoo.{name}`][{home(package, name)}]"
            lines.append(f"| {link} | {summary} |")
        documented = {home(other, name) for other in PACKAGES if other != "zoo" for name in names(other)}
        rest = [name for name in names(package) if home(package, name) not in documented | {"zoo.plots"}]
    else:
        rest = names(package)
    for name in rest:
        lines += ["", f"::: {package}.{name}"]
        if package in INHERITING:
            lines += ["    options:", "      inherited_members: true"]
    return "\n".join(lines) + "\n"


def index() -> str:
    """The table of packages."""
    rows = [f"| [`{package}`]({package}.md) | {says} | {len(names(package))} |" for package, says in PACKAGES.items()]
    return "\n".join(["| package | | public names |", "|---|---|---|", *rows]) + "\n"

"""Writing a page that runs exported models in the browser."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.files import bundle
from zoo.graphs import write as write_graphs
from zoo.models import Model
from zoo.page import files, runtime
from zoo.runtime.loading import read_config, read_graphs

MODELS = "models"  # the folder of the models, and the name of the list
TASKS = ("char_lm", "seq_classifier", "seq_tagger", "seq2seq", "regressor")
SYMBOLS = ("symbols", "source_symbols", "target_symbols")
ENGINE = 'data-engine="{}"'  # in index.html


def write(models: Mapping[str, Model | Path], folder: Path, archive: Path) -> None:
    """Writes a page that needs nothing but a web host: no server of its own, and no other address.

    Args:
        models: Name -> model, or the folder of its ONNX graphs, see `zoo.graphs.write`. The first one is shown first.
        folder: The folder to write. All files are written to a temporary one first.
        archive: The package of onnxruntime-web, see `zoo.page.runtime`.

    Raises:
        ValueError: If a model can't be exported, if an exported one is damaged, or if the page can't show it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        rows = [_add(name, model, temporary) for name, model in models.items()]
        (temporary / f"{MODELS}.json").write_text(json.dumps(rows, ensure_ascii=False) + "\n", encoding="utf-8")
        for file in files():
            shutil.copyfile(file, temporary / file.name)
        index = temporary / "index.html"
        text = index.read_text(encoding="utf-8").replace(ENGINE.format("server"), ENGINE.format("browser"))
        index.write_text(text, encoding="utf-8")
        runtime.unpack(archive, temporary / "runtime")
        temporary.chmod(0o755)  # a web host reads it as another user
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add(name: str, model: Model | Path, page: Path) -> dict[str, Any]:
    """Writes the graphs of a model, and returns its row of the list, as `GET /models` of a server gives it."""
    target = page / MODELS / name
    if isinstance(model, Path):
        config = read_config(model)
        _check_shown(name, config["name"], config["arguments"])
        target.mkdir(parents=True)
        shutil.copyfile(model / bundle.CONFIG, target / bundle.CONFIG)
        for graph, data in read_graphs(model, config).items():
            (target / Path(config["graphs"][graph]["file"]).name).write_bytes(data)
    else:
        _check_shown(name, model.model_name, model.config.as_dict())
        write_graphs(model, target)
        config = read_config(target)
    return {
        "name": name,
        "title": config["about"].get("title", name),
        "task": _task_of(config["name"]),
        "folder": f"{MODELS}/{name}",
        "about": config["about"],
        "arguments": config["arguments"],
    }


def _task_of(model_name: str) -> str | None:
    return next((task for task in TASKS if model_name.startswith(f"{task}_")), None)


def _check_shown(name: str, model_name: str, arguments: Mapping[str, Any]) -> None:
    """Raises ValueError if the page has no view of a model, or can't split its texts."""
    if _task_of(model_name) is None:
        raise ValueError(f"{name}: the page has no view of a {model_name}, expected one of {', '.join(TASKS)}")
    if "bpe" in [arguments.get(key) for key in SYMBOLS]:
        raise ValueError(
            f"{name}: its symbols are bpe; in the browser, the page splits texts into characters, bytes or words"
        )

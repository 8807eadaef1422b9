"""Reading a folder that `zoo export --format onnx` wrote."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.checks import brief

if TYPE_CHECKING:
    from zoo.runtime.models import Exported

FORMAT, FORMAT_VERSION = "onnx", 1  # of `config.json`
MAX_CONFIG_BYTES = 2**26  # a vocabulary or a learned first state may be long
MAX_GRAPH_BYTES = 2**31
PARTS = {"name": str, "arguments": dict, "about": dict, "graphs": dict}
PARTS_OF_GRAPH = {"file": str, "sha256": str, "inputs": dict, "outputs": list}


def load(folder: str | Path, threads: int = 1) -> "Exported":
    """Loads an exported model.

    Args:
        folder: The folder.
        threads: Threads of one operation. More than one pays off with wide layers or large batches.

    Returns:
        A model with the methods and answers of `zoo.load`, which needs NumPy and onnxruntime alone.

    Raises:
        ValueError: If the folder is no export, is damaged, or is of a newer version.
        ModuleNotFoundError: If onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "exported models need onnxruntime; pip install onnxruntime", name=error.name
        ) from None
    from zoo.runtime.graphs import Graph
    from zoo.runtime.models import KINDS

    folder = Path(folder)
    config = read_config(folder)
    task = next((task for task in KINDS if config["name"].startswith(f"{task}_")), None)
    if task is None:
        raise ValueError(f"{folder}: a {config['name']}, which is none of {', '.join(KINDS)}")
    data = read_graphs(folder, config)
    try:
        arguments = KINDS[task].config_class.from_dict(config["arguments"])
        graphs = {name: Graph(data[name], one, threads) for name, one in config["graphs"].items()}
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}") from error
    except Exception as error:  # onnxruntime has many classes of them
        raise ValueError(f"{folder}: onnxruntime {onnxruntime.__version__} can't load it: {error}") from error
    KINDS[task].check_graphs(arguments, graphs, str(folder))
    digest = ",".join(one["sha256"] for one in config["graphs"].values())
    return KINDS[task](config["name"], arguments, config["about"], graphs, digest)


def read_config(folder: Path) -> dict[str, Any]:
    """Reads and checks `config.json`.

    Raises:
        ValueError: See `load`.
    """
    path = folder / "config.json"
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it has more than {MAX_CONFIG_BYTES} bytes")
        config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{folder}: not an exported model: config.json not found") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: can't be read as JSON: {error}") from error
    if not isinstance(config, dict) or type(config.get("format_version")) is not int:
        raise ValueError(f"{path}: not the config of an exported model: it has no format_version")
    if config.get("format") != FORMAT:
        kind = "a bundle" if config.get("format") is None else f"of the format {brief(config['format'])}"
        raise ValueError(f"{folder}: {kind}, expected an export; zoo export MODEL -o DIR --format onnx writes one")
    if not 1 <= config["format_version"] <= FORMAT_VERSION:
        raise ValueError(
            f"{path}: format_version is {config['format_version']}, but this zoo reads only versions from 1 to "
            f"{FORMAT_VERSION}; install a newer zoo"
        )
    _check(config, PARTS, str(path))
    for name, graph in config["graphs"].items():
        _check(graph, PARTS_OF_GRAPH, f"{path}: graphs: {name}")
    return config


def _check(values: Any, kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        found = values.get(key) if isinstance(values, dict) else None
        if not isinstance(found, kind):
            raise ValueError(f"{where}: {key}: got {brief(found)}, expected {kind.__name__}")


def is_export(folder: Path) -> bool:
    """Returns whether a folder was written by `zoo export --format onnx`."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("format") == FORMAT


def read_graphs(folder: Path, config: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns the graphs of an export by name, after checking their SHA-256.

    Raises:
        ValueError: See `load`.
    """
    return {name: _read_graph(folder, one) for name, one in config["graphs"].items()}


def _read_graph(folder: Path, description: Mapping[str, Any]) -> bytes:
    path = folder / Path(description["file"]).name
    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise ValueError(f"{path}: it has more than {MAX_GRAPH_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror}") from error
    found, expected = hashlib.sha256(data).hexdigest(), description["sha256"]
    if found != expected:
        raise ValueError(f"{path}: damaged file: SHA-256 is {found[:12]}..., expected {expected[:12]}...")
    return data

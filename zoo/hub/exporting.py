"""Turning models into bundles."""

import json
import shutil
from pathlib import Path
from typing import Any

from zoo.files import bundle, checkpoint, run
from zoo.hub.loading import load


def export(source: str | Path, folder: Path, half: bool = False) -> bundle.Config:
    """Turns any source of `load` into a bundle. A bundle is copied.

    If a checkpoint is in a run folder, the card gets the run's data, config and metrics.

    Args:
        source: See `load`.
        folder: The folder to write.
        half: Whether to store the weights in half precision.

    Returns:
        The bundle's config.

    Raises:
        ValueError: See `load`.
    """
    if run.is_run(folder_of_run := Path(source).expanduser()):
        source = run.find_checkpoint(folder_of_run)
    model = load(source)
    given = bundle.SHIPPED / source if str(source) in bundle.shipped() else Path(source).expanduser()
    if (given / bundle.CONFIG).is_file() and not half:
        folder.mkdir(parents=True, exist_ok=True)
        for file in bundle.FILES:
            shutil.copy(given / file, folder / file)
        return bundle.read_config(folder)
    if given.is_file():
        model.about = _about_run(given.resolve())
    weights = {name: w.half() if half else w for name, w in model.network.state_dict().items()}
    if half:
        model.about.pop("metrics", None)  # they were measured with the original weights
    bundle.write(folder, model.model_name, model.config.as_dict(), weights, model.about)
    return bundle.read_config(folder)


def _about_run(path: Path) -> dict[str, Any]:
    """Returns what the card says about a checkpoint's run. Empty if the checkpoint is not in a run folder."""
    try:
        summary = json.loads((path.parent.parent / "summary.json").read_text(encoding="utf-8"))
        known = {name: value["best"] for name, value in summary["metrics"].items() if value["best"] is not None}
        data, monitor = summary["data"], summary["monitor"][:1]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    tested = {name: value for name, value in known.items() if name.startswith("test/")}
    metrics = tested or {name: value for name, value in known.items() if name in monitor}
    if path.name != "best.ckpt":
        metrics = {}
    about = {"data": data, "metrics": {name: round(value, 4) for name, value in metrics.items()}}
    config = checkpoint.read(path).get("config")
    return {**about, "config_yaml": config} if isinstance(config, str) else about

"""Turning models into bundles."""

import logging
import shutil
from pathlib import Path

from zoo.files import bundle, checkpoint, run
from zoo.hub.loading import load
from zoo.hub.training import about_training

log = logging.getLogger(__name__)


def export(source: str | Path, folder: str | Path, half: bool = False) -> bundle.Config:
    """Turns any source of `load` into a bundle. A bundle is copied.

    The card of a checkpoint gets what is known of its training: its metrics, data, config, optimizer, seed, length
    and hardware. Paths of this machine are left out.

    Args:
        source: See `load`.
        folder: The folder to write.
        half: Whether to store the weights in half precision.

    Returns:
        The bundle's config.

    Raises:
        ValueError: See `load`.
    """
    folder = Path(folder)
    if run.is_run(folder_of_run := Path(source).expanduser()):
        source = run.find_checkpoint(folder_of_run)
        log.info("using %s", source)
    model = load(source)
    given = bundle.SHIPPED / source if str(source) in bundle.shipped() else Path(source).expanduser()
    if (given / bundle.CONFIG).is_file() and not half:
        folder.mkdir(parents=True, exist_ok=True)
        for file in bundle.FILES:
            shutil.copy(given / file, folder / file)
        return bundle.read_config(folder)
    if given.is_file():
        path = given.resolve()
        model.about = about_training(path, checkpoint.read(path), model.config.as_dict())
    weights = {name: w.half() if half else w for name, w in model.network.state_dict().items()}
    if half:
        model.about.pop("metrics", None)  # they were measured with the original weights
    bundle.write(folder, model.model_name, model.config.as_dict(), weights, model.about)
    return bundle.read_config(folder)

"""The metric of a model's card, before and after its graphs are quantized."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from datamodules import SequenceData
from zoo.cli import configs, data, trust
from zoo.cli.errors import UsageError
from zoo.cli.train import quieten
from zoo.graphs import Export, plain
from zoo.graphs.running import with_graphs
from zoo.models import Model
from zoo.tasks import Task

MOST = {"symbols": 300_000, "sequences": 10_000}  # items that a metric is measured on, by what a task counts
MOST_OTHERS = 3_000  # for example pairs, which are decoded


class NotMeasured(Exception):  # noqa: N818  (it is no error)
    """Why a metric can't be measured."""


def compare(source: str, packages: list[str], model: Model, graphs: Mapping[str, Export]) -> dict[str, Any]:
    """Returns the metric of a model's card, of the model and of its graphs, on the data that the card's config names.

    Args:
        source: Where the model is from, see `zoo.load`.
        packages: Those whose classes the config may name.
        model: The model.
        graphs: Its graphs in int8.

    Returns:
        `metric`, its name, for example `test/bpc`; `float32` and `int8`, its values; `items`, how many things they are
        of, and `counted`, what these are, for example symbols; and `part`, which share of the data that is, if it is
        not all of it.

    Raises:
        NotMeasured: If the card names no config, or the data is not at hand, or not that of the model.
    """
    try:
        config, _ = configs.config_of(source)
    except (UsageError, OSError) as error:
        raise NotMeasured(str(error)) from error
    if config is None:
        raise NotMeasured("its card names no config")
    found = read(config, packages, model)
    name = metric_of(model, found)
    stage: Any
    stage, _, metric = name.partition("/")
    task = Task.from_model(model)
    loader = found.loader(stage, shuffle=True)  # which leaves streams as they are
    batches = list(first(loader, task))
    values = [score(one, batches, stage, metric) for one in (plain(model), with_graphs(model, graphs))]
    items = sum(map(task.num_items, batches))
    part = {} if len(batches) == len(loader) else {"part": len(batches) / len(loader)}
    return {"metric": name, "float32": values[0], "int8": values[1], "items": items, "counted": task.item, **part}


def read(config: str, packages: list[str], model: Model) -> SequenceData:
    """Returns the data of a config, if its facts are those of a model."""
    quieten()
    logging.getLogger("datamodules").setLevel(logging.WARNING)
    trust.enforce(packages)
    try:
        found: Any = data.load([config], [])
        Task.from_model(model).bind(found.spec, type(found).__name__)
    except (UsageError, ValueError, OSError) as error:
        raise NotMeasured(str(error)) from error
    if not isinstance(found, SequenceData):
        raise NotMeasured(f"{type(found).__name__} is not one of the zoo's datamodules")
    return found


def metric_of(model: Model, data: SequenceData) -> str:
    """Returns the name of the card's metric: the first one, of the test if there is one.

    A run has no card. Its metric is the one that its best checkpoint was selected by, on the last part of the data.
    """
    names = sorted(model.about.get("metrics") or {}, key=lambda name: not str(name).startswith("test/"))
    return str(names[0]) if names else f"{data.last_part()}/{Task.from_model(model).monitor[0].partition('/')[2]}"


@torch.inference_mode()
def score(model: Model, batches: Iterable[Any], stage: Any, metric: str) -> float:
    """Returns a metric of a model on some batches."""
    task = Task.from_model(model).eval()
    for batch in batches:
        loss = task.score(batch, stage)
        task.metric(stage, "loss").update(loss.total, loss.items)
    return float(task.metric(stage, metric).compute())


def first(loader: Iterable[Any], task: Task) -> Iterator[Any]:
    """Yields batches, until they have the most items that a metric is measured on."""
    items = 0
    for batch in loader:
        yield batch
        items += task.num_items(batch)
        if items >= MOST.get(task.item, MOST_OTHERS):
            return

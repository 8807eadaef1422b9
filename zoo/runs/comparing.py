"""Comparing runs: which figures can be compared, what differs between configs, and the seeds of one config."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.runs.records import SEED, Run, text_of

ABSENT = "-"
# Options of the data that change no figure, or whose effect is in the SHA-256 of the sources.
FREE_OF_DATA = {"batch_size", "seed", "predict_inputs", "num_workers", "pin_memory"}
PRECISIONS = {None: "32-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed", "64": "64-true"}
SHARES = {
    "train": ("limit_train_batches", "overfit_batches"),
    "val": ("limit_val_batches", "overfit_batches"),
    "test": ("limit_test_batches",),
}
MAX_DIFFERENCES = 3  # named in a label


# -- which figures can be compared


def incomparable(runs: Sequence[Run], metrics: Sequence[str], all_stages: bool = False) -> list[list[str]]:
    """Returns why the figures of each run can't be compared with those of most of the others.

    Args:
        runs: The runs.
        metrics: The metric of each run's figure.
        all_stages: Whether figures of all stages are compared, and not only those of the metric's stage.

    Returns:
        For each run: the reasons. Empty if its figure can be compared.
    """
    made = [
        _conditions(run, metric, tuple(SHARES) if all_stages else (metric.split("/")[0],))
        for run, metric in zip(runs, metrics, strict=True)
    ]
    if not made:
        return []
    keys = [_key(facts) for facts in made]
    # The data of a run that never ended is not known. It then agrees with any other.
    counted = Counter(key for key, facts in zip(keys, made, strict=True) if facts["sources"]) or Counter(keys)
    usual = keys.index(counted.most_common(1)[0][0])
    return [_differ(facts, made[usual], run, runs[usual]) for facts, run in zip(made, runs, strict=True)]


def _conditions(run: Run, metric: str, stages: Iterable[str]) -> dict[str, Any]:
    """What a figure depends on, beside the model and its training."""
    precision = run.config.get("trainer.precision")
    facts = {
        "metric": metric,
        "sources": tuple(sorted(run.digests.values())),
        "trainer.precision": PRECISIONS.get(None if precision is None else str(precision), str(precision)),
    }
    for name in dict.fromkeys(name for stage in stages for name in SHARES.get(stage, ())):
        value = run.config.get(f"trainer.{name}")
        whole = value is None or (isinstance(value, float) and value in (0.0, 1.0))
        facts[f"trainer.{name}"] = "null" if whole else text_of(value)
    for key, value in run.config.items():
        if key == "data" or (key.startswith("data.") and not _is_free(key.removeprefix("data."), run)):
            facts[key] = text_of(value)
    return facts


def _is_free(option: str, run: Run) -> bool:
    is_path = option.rsplit("_", maxsplit=1)[-1] in ("path", "paths", "dir", "file", "files", "root")
    return option in FREE_OF_DATA or (is_path and bool(run.digests))


def _key(facts: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(facts.items()))


def _differ(facts: Mapping[str, Any], usual: Mapping[str, Any], run: Run, other: Run) -> list[str]:
    if facts["metric"] != usual["metric"]:
        return [f"another metric, {facts['metric']}, not {usual['metric']}"]
    reasons = []
    if facts["sources"] and usual["sources"] and facts["sources"] != usual["sources"]:
        changed = [name for name, digest in run.digests.items() if other.digests.get(name) not in (None, digest)]
        reasons.append(
            f"{', '.join(_file_names(changed))} has other contents"
            if changed
            else f"other data, {', '.join(_file_names(run.digests))}, not {', '.join(_file_names(other.digests))}"
        )
    if facts.get("data") != usual.get("data"):  # another class, with options of its own
        return reasons or [f"data {facts.get('data', ABSENT)}, not {usual.get('data', ABSENT)}"]
    for key in dict.fromkeys((*usual, *facts)):
        mine, theirs = (known.get(key, ABSENT) for known in (facts, usual))
        known = run.config and other.config  # a config may be unreadable
        if key not in ("metric", "sources") and mine != theirs and known:
            reasons.append(f"{key} {mine}, not {theirs}")
    return reasons


def _file_names(sources: Iterable[str]) -> list[str]:
    return [Path(name).name if Path(name).is_absolute() else name for name in sources]


# -- what differs


def differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Returns the options that are not the same in all configs, with the value in each one."""
    found = {}
    for key in dict.fromkeys(key for config in configs for key in config):
        values = [text_of(config[key]) if key in config else ABSENT for config in configs]
        if len(set(values)) > 1:
            found[key] = values
    return found


def labels(configs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Returns a label for each config: what differs, for example `hidden_size 64`.

    Args:
        configs: Flat configs.
        names: What to call a config if too much differs, or if its label is not its own.
    """
    differing = differences(configs)
    short = short_keys(differing)
    made = []
    for number, name in enumerate(names):
        parts = [f"{short[key]} {values[number]}" for key, values in differing.items() if values[number] != ABSENT]
        made.append(", ".join(parts) if parts and len(differing) <= MAX_DIFFERENCES else name)
    twice = {label for label, count in Counter(made).items() if count > 1}
    return [name if label in twice else label for label, name in zip(made, names, strict=True)]


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Returns the last part of each key, or the whole key if several end with it."""
    keys = list(keys)
    ends = Counter(key.rpartition(".")[2] for key in keys)
    made = {key: end if ends[end := key.rpartition(".")[2]] == 1 else key for key in keys}
    return {key: "seed" if key == SEED else short for key, short in made.items()}


def short_names(runs: Sequence[Run]) -> list[str]:
    """Returns the paths of runs without the folders that all of them share."""
    paths = [run.folder.resolve().parts for run in runs]
    shared = 0
    while len(paths) > 1 and all(len(path) > shared + 1 for path in paths) and len({p[shared] for p in paths}) == 1:
        shared += 1
    return [str(Path(*path[shared:])) if len(paths) > 1 else path[-1] for path in paths]


# -- seeds


@dataclass(frozen=True, kw_only=True)
class Group:
    """The runs of one config with several seeds.

    Args:
        runs: The runs.
        metric: The metric of the figures.
        values: The best value of each seed that finished; of all seeds, if none has finished.
    """

    runs: list[Run]
    metric: str
    values: list[float]

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(_latest(self.runs))

    @property
    def mean(self) -> float | None:
        """The mean over seeds."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation over seeds, of a sample. None if there are fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def statuses(self) -> dict[str, int]:
        """How many runs have each status."""
        return dict(Counter(run.status for run in self.runs).most_common())


def groups(runs: Sequence[Run], metric: str | None) -> list[Group]:
    """Gathers the runs whose configs are the same but for the seed, and whose figures can be compared.

    Args:
        runs: The runs.
        metric: The metric of the figures. None takes the one that selects the best checkpoint.
    """
    gathered: dict[tuple[Any, ...], list[Run]] = {}
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}  # of a config, the data of its finished runs
    for run in sorted(runs, key=lambda run: not run.digests):
        options = tuple(sorted((key, text_of(value)) for key, value in run.config.items() if key != SEED))
        config = options or (str(run.folder),)
        digests = tuple(sorted(run.digests.values())) or known.get(config, ())
        known.setdefault(config, digests)
        gathered.setdefault((config, digests), []).append(run)
    return [_group(members, metric or members[0].monitor) for members in gathered.values()]


def _group(runs: list[Run], metric: str) -> Group:
    counted = _latest([run for run in runs if run.status == "finished"]) or _latest(runs)
    values = [value for run in counted if (value := run.best(metric)) is not None]
    return Group(runs=runs, metric=metric, values=values)


def _latest(runs: Sequence[Run]) -> list[Run]:
    """Returns the latest run of each seed. A seed that was drawn (`true` or `null`) counts each time."""
    kept: dict[Any, Run] = {}
    for run in sorted(runs, key=lambda run: -run.age_s):
        drawn = run.seed is None or isinstance(run.seed, bool)
        kept[str(run.folder) if drawn else run.seed] = run
    return list(kept.values())

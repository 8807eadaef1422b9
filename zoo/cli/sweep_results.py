"""What a sweep found: a table of its trials, a picture of what mattered, and the best config."""

import sys
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from zoo.cli import space as spaces
from zoo.cli.marks import number_text, option_text, rank
from zoo.cli.sweep_study import importances
from zoo.cli.sweep_worker import WHY
from zoo.runs.comparing import short_keys
from zoo.runs.files import write_whole
from zoo.runs.history import CONFIG_FILE
from zoo.runs.records import text_of
from zoo.runs.sweeps import Sweep

BEST, PICTURE = "best.yaml", "sweep.png"
STATUSES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.FAIL: "failed",
}
ORDER = list(STATUSES)


def finish(sweep: Sweep, study: Study) -> None:
    """Prints the table, and writes the picture and the best config, if a trial has finished."""
    trials = _ordered(sweep, study.get_trials(deepcopy=False))
    print()
    for line in table(sweep, trials):
        print(line)
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == TrialState.FAIL:
            print(f"trial {trial.number} failed: {trial.user_attrs.get(WHY, 'not known')}")
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    if running:
        print(f"{running} more in other processes; the last one to end writes the results of all trials")
    best = next(iter(trials), None)
    if best is None or best.state != TrialState.COMPLETE:
        print("no trial has finished, so there is no best config")
        return
    write_whole(sweep.folder / BEST, _best_config(sweep, best, len(trials)))
    _draw(sweep, trials)
    print(f"sweep folder: {sweep.folder}   ({BEST}, {PICTURE}, {sweep.run_of(best.number).name})")


def _ordered(sweep: Sweep, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Finished trials with the best one first, then pruned ones, then the others."""
    return sorted(trials, key=lambda t: (ORDER.index(t.state), *rank(t.value, sweep.rises), t.number))


def table(sweep: Sweep, trials: Sequence[FrozenTrial]) -> list[str]:
    """Returns the lines of a table of trials, in their order."""
    short = short_keys(sweep.space)
    rows = [["rank", "trial", "status", sweep.monitor[0], *(short[name] for name in sweep.space)]]
    for place, trial in enumerate(trials, 1):
        value = "-" if trial.value is None else number_text(trial.value)
        options = [option_text(trial.params[name]) if name in trial.params else "-" for name in sweep.space]
        shown = str(place) if trial.state == TrialState.COMPLETE else "-"
        rows.append([shown, str(trial.number), STATUSES[trial.state], value, *options])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _best_config(sweep: Sweep, best: FrozenTrial, trials: int) -> str:
    """Returns the config of a trial, with a comment that says where it comes from."""
    config = (sweep.run_of(best.number) / CONFIG_FILE).read_text(encoding="utf-8")
    assert best.value is not None
    options = "".join(f"#   {word}\n" for word in spaces.words(best.params))
    head = f"# Trial {best.number}, the best of {trials} of a sweep: {sweep.monitor[0]} {number_text(best.value)}.\n"
    return f"{head}#\n#   python -m zoo fit --config {BEST}\n#\n# It is {sweep.config} with\n{options}{config}"


def _draw(sweep: Sweep, trials: Sequence[FrozenTrial]) -> None:
    from zoo import plots

    found = spaces.ranges(dict(sweep.space), "")
    options = [
        plots.Searched(name, one.low, one.high, one.log, [*map(text_of, one.choices)]) for name, one in found.items()
    ]
    points = [
        plots.Point(
            {name: text_of(value) if found[name].choices else value for name, value in trial.params.items()},
            trial.value,
            trial.state == TrialState.PRUNED,
        )
        for trial in trials
        if trial.value is not None
    ]
    figure = plots.sweep(sweep.monitor[0], options, points, importances(trials), sweep.rises)
    try:
        figure.savefig(sweep.folder / PICTURE, dpi=120)
    except OSError as error:
        print(f"{PICTURE} could not be drawn: {error.strerror}", file=sys.stderr)

"""Printing the forecasts of a model that reads tables."""

import json
import sys
from typing import Any

from datamodules.sources.tables import read_series
from zoo.cli.errors import UsageError
from zoo.methods.regressor import RegressorMethods

STANDARD_INPUT = "standard input.csv"


def infer(model: RegressorMethods, words: list[str], as_json: bool) -> int:
    """Prints the forecast after the last rows of each file. `-` reads CSV from standard input."""
    found = [(word, forecast(model, word)) for word in words]  # all of them, before anything is printed
    for number, (word, one) in enumerate(found):
        if as_json:
            print(json.dumps({"input": word, **one}, ensure_ascii=False), flush=True)
            continue
        if len(found) > 1:
            print(f"{'' if number == 0 else chr(10)}{word}")
        print("\n".join(lines(one, model.config.time_column or "step")), flush=True)
    return 0


def forecast(model: RegressorMethods, path: str) -> dict[str, Any]:
    """Returns the forecast after the last rows of a file, see `RegressorMethods.forecast`.

    Raises:
        UsageError: If the file can't be read, or does not fit the model.
    """
    config = model.config
    name = STANDARD_INPUT if path == "-" else path
    data = sys.stdin.buffer.read() if path == "-" else None
    try:
        table = read_series(name, config.time_column, config.input_columns, config.time_format, data)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    columns = {column: table.values[:, place] for place, column in enumerate(table.names)}
    try:
        return model.forecast(columns, table.times)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def lines(one: dict[str, Any], time: str) -> list[str]:
    """Returns a forecast as the lines of a table: a line for each step, a column for each target and quantile."""
    columns: dict[str, list[float]] = {}
    for target, values in one["values"].items():
        columns[target] = values
        columns |= {f"{target} {level}": v for level, v in one["quantiles"].get(target, {}).items() if level != "0.5"}
    steps = len(next(iter(columns.values())))
    times = one["times"] or [f"+{step}" for step in range(1, steps + 1)]
    rows = [[time, *columns], *([times[i], *(f"{values[i]:.6g}" for values in columns.values())] for i in range(steps))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]

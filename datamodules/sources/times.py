"""The times of a series: reading them, the step between them, and which are missing.

Legend: R rows.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]  # (R,), in seconds, without a time zone
SECONDS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
DAY = np.timedelta64(1, "D")


def parse_times(where: str, cells: Sequence[Any], time_format: str | None = None) -> Times:
    """Reads dates, with or without a time of day. Times with a UTC offset are converted to UTC.

    Args:
        where: The file and column, for messages.
        cells: R texts or datetimes.
        time_format: The format of the texts, as in `datetime.strptime`. Default: ISO 8601, for
            example 2024-01, 2024-01-31 or 2024-01-31 13:00.

    Raises:
        ValueError: If a cell can't be read. The message gives its row.
    """
    found = np.empty(len(cells), "datetime64[s]")
    for row, cell in enumerate(cells, 1):
        try:
            found[row - 1] = _parse(cell, time_format)
        except (TypeError, ValueError):
            wanted = "2024-01, 2024-01-31 or 2024-01-31 13:00; for others, give time_format"
            wanted = f"a date like {wanted}" if time_format is None else f"a date of the format {time_format}"
            raise ValueError(f"{where}, row {row}: got {cell!r}, expected {wanted}") from None
    return found


def _parse(cell: Any, time_format: str | None) -> np.datetime64:
    if isinstance(cell, date):
        moment: Any = cell
    elif time_format is not None:
        moment = datetime.strptime(str(cell), time_format)
    elif re.fullmatch(r"\d{4}(-\d\d)?", str(cell)):
        return np.datetime64(cell, "s")
    else:
        moment = datetime.fromisoformat(str(cell).strip())
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment, "s")


def show(time: np.datetime64) -> str:
    """Returns a time as text: without the time of day at midnight."""
    text = str(time.astype("datetime64[s]"))
    return text.removesuffix("T00:00:00").replace("T", " ")


class Step(NamedTuple):
    """The step of a regular series: a number of months or of seconds."""

    size: int
    unit: str  # month or second

    def __str__(self) -> str:
        """Returns for example `1 month` or `15 minutes`."""
        unit = "month" if self.unit == "month" else next(name for name, n in SECONDS.items() if self.size % n == 0)
        size = self.size // SECONDS.get(unit, 1)
        return f"{size} {unit}{'' if size == 1 else 's'}"


def check_order(where: str, times: Times) -> None:
    """Raises ValueError if a time is not after the one before. The message gives its row."""
    wrong = np.flatnonzero(np.diff(times) <= np.timedelta64(0))
    if len(wrong):
        row = int(wrong[0]) + 1
        raise ValueError(
            f"{where}, row {row + 1}: {show(times[row])} is not after {show(times[row - 1])}, the time before it; "
            "sort the rows by time"
        )


def step_of(times: Times) -> Step:
    """Returns the most common step between the times. Months count as equal, however many days they have.

    Example:
        >>> str(step_of(np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "datetime64[s]")))
        '1 month'
    """
    numbers, unit = _numbers(times)
    sizes, counts = np.unique(np.diff(numbers), return_counts=True)
    return Step(int(sizes[counts.argmax()]), unit)


def find_gap(times: Times, step: Step) -> int | None:
    """Returns the first row (from 0) that is not one step after the row before. None if there is none."""
    numbers, unit = _numbers(times)
    if unit != step.unit:  # a single row can look monthly
        numbers, _ = times.astype(np.int64), "second"
    wrong = np.flatnonzero(np.diff(numbers) != step.size)
    return int(wrong[0]) + 1 if len(wrong) else None


def place_on_grid(where: str, times: Times, step: Step) -> tuple[Times, NDArray[np.int64]]:
    """Returns all times from the first to the last, and the place of each given time among them.

    Raises:
        ValueError: If a time lies between two steps. The message gives its row.
    """
    numbers, unit = _numbers(times)
    places, rest = np.divmod(numbers - numbers[0], step.size)
    if rest.any():
        row = int(rest.nonzero()[0][0])
        raise ValueError(
            f"{where}, row {row + 1}: {show(times[row])} is not a whole number of steps of {step} after the first row, "
            f"{show(times[0])}; correct it, or set regular: false"
        )
    grid = numbers[0] + step.size * np.arange(places[-1] + 1)
    if unit == "second":
        return grid.astype("datetime64[s]"), places
    at_end = bool((_day_of_month(times) != _day_of_month(times)[0]).any())
    return _in_month(grid, times[0], at_end), places


def _numbers(times: Times) -> tuple[NDArray[np.int64], str]:
    """Returns months, if all times have the same place in their month, else seconds; and the unit."""
    days = _day_of_month(times)
    same_day = bool((days == days[0]).all()) or bool((_day_of_month(times + DAY) == 1).all())
    clock = times - times.astype("datetime64[D]")
    if len(times) > 1 and same_day and bool((clock == clock[0]).all()):
        months = times.astype("datetime64[M]").astype(np.int64)
        if (np.diff(months) > 0).all():
            return months, "month"
    return times.astype(np.int64), "second"


def _day_of_month(times: Times) -> NDArray[np.int64]:
    return (times.astype("datetime64[D]") - times.astype("datetime64[M]")).astype(np.int64) + 1


def _in_month(months: NDArray[np.int64], like: np.datetime64, at_end: bool) -> Times:
    """Returns times in the given months, at the same place as `like`, or at their last day."""
    starts = months.astype("datetime64[M]")
    clock = like - like.astype("datetime64[D]")
    if at_end:
        return (starts + 1).astype("datetime64[s]") - DAY + clock
    return starts.astype("datetime64[s]") + (like - like.astype("datetime64[M]"))

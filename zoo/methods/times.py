"""Times of a forecast: how they are read and written, and which follow."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
Calendar = Literal["minute", "hour", "weekday", "month", "yearday"]
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def as_times(values: Any) -> Times:
    """Converts dates to seconds: ISO texts, datetimes or NumPy's datetime64.

    Raises:
        ValueError: If this is not possible.
    """
    try:
        found = np.asarray(values).astype("datetime64[s]")
    except (TypeError, ValueError, OverflowError):
        raise ValueError("times: expected dates such as 2024-01-31 or 2024-01-31 13:00") from None
    if found.ndim != 1 or np.isnat(found).any():
        raise ValueError("times: expected a list of dates, none of them missing")
    return found


def following(times: Times, freq: str, count: int) -> Times:
    """Returns the times after the last of some times.

    Args:
        times: Times in order. If all of them are the last day of a month, so are the ones that follow.
        freq: The step: a number and a unit, for example `1 month` or `15 minutes`.
        count: How many.

    Example:
        >>> following(as_times(["2023-11-30", "2023-12-31"]), "1 month", 2).astype("datetime64[D]").tolist()
        [datetime.date(2024, 1, 31), datetime.date(2024, 2, 29)]
    """
    return _steps_after(times[-1], freq, count, _end_months(times))


def check_steps(times: Times, freq: str, first_row: int) -> None:
    """Raises ValueError if times do not follow each other in steps of `freq`. The message gives the row.

    Args:
        times: The times.
        freq: See `following`.
        first_row: The row of the first time in its file.
    """
    expected = _steps_after(times[0], freq, len(times) - 1, _end_months(times))
    wrong = np.flatnonzero(expected != times[1:])
    if len(wrong):
        row = int(wrong[0]) + 1
        raise ValueError(
            f"row {first_row + row}: {show(times[row], freq)} follows {show(times[row - 1], freq)}, "
            f"expected a step of {freq}"
        )


def _steps_after(time: np.datetime64, freq: str, count: int, at_end: bool) -> Times:
    size, _, unit = freq.partition(" ")
    steps = int(size) * np.arange(1, count + 1)
    unit = unit.removesuffix("s")
    if unit != "month":
        return time + (steps * SECONDS[unit]).astype("timedelta64[s]")
    months = time.astype("datetime64[M]") + steps
    if at_end:
        return (months + 1).astype("datetime64[s]") - np.timedelta64(1, "D") + (time - time.astype("datetime64[D]"))
    return months.astype("datetime64[s]") + (time - time.astype("datetime64[M]"))


def _end_months(times: Times) -> bool:
    days = times.astype("datetime64[D]")
    return bool(((days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")).all())


def check_freq(freq: str) -> None:
    """Raises ValueError if a step can't be read."""
    size, _, unit = freq.partition(" ")
    if not size.isdecimal() or int(size) < 1 or unit.removesuffix("s") not in (*SECONDS, "month"):
        raise ValueError(f"freq: got {freq!r}, expected a number and a unit, for example 1 month or 15 minutes")


def show(time: np.datetime64, freq: str | None) -> str:
    """Returns a time as text, as exact as the step needs: 2024-01, 2024-01-31, 2024-01-31 13:00 or with seconds."""
    text = str(time.astype("datetime64[s]")).replace("T", " ")
    if freq is not None and ("hour" in freq or "minute" in freq):
        return text.removesuffix(":00")
    if freq is not None and "second" in freq:
        return text
    text = text.removesuffix(" 00:00:00")
    return text.removesuffix("-01") if freq is not None and "month" in freq and len(text) == 10 else text

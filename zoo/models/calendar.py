"""What a model learns from the times of a forecast.

Legend: B batch size, T time steps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

DAY = 86400  # seconds
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
EPOCH_DAYS = 719468  # days from 0000-03-01 to 1970-01-01


def calendar(times: Tensor, names: Sequence[str]) -> Tensor:
    """Returns sine and cosine of the position in each cycle.

    Args:
        times: Seconds since 1970 (B, T), int64.
        names: N of `minute` (of the hour), `hour`, `weekday`, `month`, `yearday`.

    Returns:
        Numbers (B, T, 2 N), float32.

    Example:
        >>> noon_and_midnight = torch.tensor([[12 * 3600, 24 * 3600]])
        >>> calendar(noon_and_midnight, ["hour"])[0, :, 1]
        tensor([-1.,  1.])
    """
    phases = torch.stack([_phase(times, name) for name in names], dim=-1) * (2 * torch.pi)
    return torch.stack([phases.sin(), phases.cos()], dim=-1).flatten(-2).float()


def _phase(times: Tensor, name: str) -> Tensor:
    """Returns the position in a cycle (B, T), float32 in [0, 1)."""
    if name == "minute":
        return times % 3600 / 3600
    if name == "hour":
        return times % DAY / DAY
    days = times // DAY
    if name == "weekday":
        return (days + EPOCH_WEEKDAY) % 7 / 7
    month, day = _months_since_march(days)
    return month / 12 if name == "month" else day / 366


def _months_since_march(days: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the month (0: March, 11: February) and the day since the first of March, for days since 1970.

    With the year beginning in March, the leap day is its last: Hinnant, "chrono-compatible low-level date
    algorithms" (2013), `civil_from_days`.
    """
    of_era = (days + EPOCH_DAYS) % 146097  # the calendar repeats every 400 years
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    day = of_era - (365 * year + year // 4 - year // 100)
    return (5 * day + 2) // 153, day

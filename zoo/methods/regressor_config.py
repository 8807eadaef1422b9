"""What describes a sequence regressor.

Legend: B batch, T time steps, D inputs, K targets, H steps ahead.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from zoo.checks import check_choice, check_positive, check_sizes
from zoo.methods import times as calendars
from zoo.methods.config import ModelConfig

Normalize = Literal["none", "dataset", "standard", "instance"]
Strategy = Literal["direct", "recursive"]


@dataclass(frozen=True, kw_only=True)
class RegressorConfig(ModelConfig):
    """Describes a `RegressorModel`.

    Args:
        input_size: Inputs of each step, D, without those of the calendar.
        target_size: Values to predict at each step, K.
        num_steps: Steps of every sequence, T. None takes sequences of any length.
        normalize: `none`; `dataset`: minus `mean`, over `scale`; `standard`: the same for each column;
            `instance`: minus the mean of each input of each sequence, over its standard deviation. For
            `instance`, a target is scaled as the input of its name; without names, as the input of its
            number, or as the only input, so that D must be 1 or K.
        mean: The training data's mean: one number, or one for each input and then each target (D + K).
        scale: The training data's standard deviation, likewise. For `instance`, 0.3% of it (of 1, if
            None) is the smallest deviation, so that a constant sequence can be scaled.
        horizon: Steps to predict, H. None: one step, and predictions (B, K) without an axis for steps.
        strategy: `direct`: the head gives all steps at once. `recursive`: step by step, and each prediction is
            the next input, so that every input must be a target.
        quantiles: Quantiles to predict, 0.5 among them, which is then the prediction. Empty: the mean.
        linear: Whether to add a linear map from the scaled window to the prediction (Lai et al. 2018). It
            needs `num_steps`.
        input_columns: The names of the inputs. With names, the model forecasts from tables.
        target_columns: The names of the targets.
        time_column: The name of the column of times.
        time_format: The format of times in files, as in `datetime.strptime`. None: ISO 8601.
        freq: The step between times, for example `1 month`. None: any.
        calendar: What is known of each time, see `zoo.models.calendar`.
        season: Steps of a season, for MASE.
        naive_error: The mean absolute error of the seasonal naive forecast on the training data, for each target.
        hidden_size: See `ModelConfig`, as for the other fields.
    """

    input_size: int
    target_size: int
    num_steps: int | None = None
    normalize: Normalize
    mean: float | tuple[float, ...] | None = None
    scale: float | tuple[float, ...] | None = None
    horizon: int | None = None
    strategy: Strategy = "direct"
    quantiles: tuple[float, ...] = ()
    linear: bool = False
    input_columns: tuple[str, ...] | None = None
    target_columns: tuple[str, ...] | None = None
    time_column: str | None = None
    time_format: str | None = None
    freq: str | None = None
    calendar: tuple[str, ...] = ()
    season: int | None = None
    naive_error: tuple[float, ...] | None = None
    hidden_size: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("normalize", self.normalize, get_args(Normalize))
        check_choice("strategy", self.strategy, get_args(Strategy))
        check_sizes(**{name: value for name in ("horizon", "season") if (value := getattr(self, name)) is not None})
        for name in self.calendar:
            check_choice("calendar", name, get_args(calendars.Calendar))
        if self.freq is not None:
            calendars.check_freq(self.freq)
        self._check_scale()
        self._check_columns()
        self._check_quantiles()
        if self.linear and (self.num_steps is None or self.strategy == "recursive"):
            raise ValueError("linear: it needs num_steps, and the strategy direct")
        if self.strategy == "recursive" and set(self.sources) != set(range(self.input_size)):
            raise ValueError(
                "strategy: recursive needs every input to be a target, because predictions are the next inputs; "
                f"got {self._named()}; take direct, or other targets"
            )
        if self.strategy == "recursive" and self.calendar and self.freq is None:
            raise ValueError("strategy: recursive with a calendar needs equal steps (regular: true)")

    def _check_scale(self) -> None:
        if self.normalize in ("dataset", "standard") and None in (self.mean, self.scale):
            raise ValueError(
                f"normalize: {self.normalize} needs mean and scale, which the data does not offer; pass both"
            )
        columns = self.input_size + self.target_size
        for name in ("mean", "scale"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != columns:
                raise ValueError(
                    f"{name}: got {len(value)} numbers, expected {columns}: of {self.input_size} inputs and "
                    f"{self.target_size} targets"
                )
        for value in self.scale if isinstance(self.scale, tuple) else (self.scale,):
            if value is not None:
                check_positive(scale=value)
        for value in self.naive_error or ():
            check_positive(naive_error=value)

    def _check_columns(self) -> None:
        named = {"input_columns": self.input_size, "target_columns": self.target_size}
        for name, size in {**named, "naive_error": self.target_size}.items():
            value = getattr(self, name)
            if value is not None and len(value) != size:
                raise ValueError(f"{name}: got {len(value)}, expected {size}")
        if (self.input_columns is None) != (self.target_columns is None):
            raise ValueError("input_columns, target_columns: expected both or neither")
        if self.normalize == "instance" and None in self.sources:
            raise ValueError(
                f"normalize: instance needs one feature, or as many as targets, or an input of each target's name; "
                f"got {self._named()}"
            )

    def _check_quantiles(self) -> None:
        found = self.quantiles
        if found and (sorted(set(found)) != list(found) or not 0 < found[0] <= found[-1] < 1 or 0.5 not in found):
            raise ValueError(f"quantiles: got {list(found)}, expected ascending numbers in (0, 1), 0.5 among them")

    def _named(self) -> str:
        if self.input_columns is None or self.target_columns is None:
            return f"input_size {self.input_size} and target_size {self.target_size}"
        return f"inputs {', '.join(self.input_columns)} and targets {', '.join(self.target_columns)}"

    @property
    def sources(self) -> tuple[int | None, ...]:
        """For each target its place among the inputs; None if it is not among them."""
        if self.input_columns is not None and self.target_columns is not None:
            places = {name: place for place, name in enumerate(self.input_columns)}
            return tuple(places.get(name) for name in self.target_columns)
        if self.input_size == self.target_size:
            return tuple(range(self.target_size))
        return (0 if self.input_size == 1 else None,) * self.target_size

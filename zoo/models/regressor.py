"""Sequence regressors.

Legend: B batch, T time steps, D inputs, K targets, H steps ahead, Q quantiles.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoo.decoding import Array
from zoo.methods.regressor import RegressorMethods
from zoo.models.base import Features, Model
from zoo.models.calendar import calendar
from zoo.models.decoders import array
from zoo.models.graphs import Graph, after, first_state
from zoo.nn import RegressorNet

EPSILON = 1e-5  # added to an instance's variance, in units of the dataset's variance (as in RevIN, Kim et al. 2022)


class Scaling(NamedTuple):
    """What to subtract and what to divide by, float32. Each is (B or 1, 1, D or 1), of targets (B or 1, 1, K or 1)."""

    offset: Tensor
    scale: Tensor
    target_offset: Tensor
    target_scale: Tensor


class RegressorModel(RegressorMethods, Model):
    """Predicts numbers from a sequence of numbers. The scaling is a part of the model.

    Example:
        >>> from zoo.models import RegressorConfig
        >>> model = RegressorModel(RegressorConfig(input_size=1, target_size=1, normalize="instance"))
        >>> model(torch.tensor([[[10.0], [20.0], [30.0]]])).shape
        torch.Size([1, 1])
    """

    network: RegressorNet

    def build_network(self) -> RegressorNet:
        """See `Model`."""
        config = self.config
        steps = (config.horizon or 1) if config.strategy == "direct" else 1
        return RegressorNet(
            config.input_size + 2 * len(config.calendar),
            steps * config.target_size * (len(config.quantiles) or 1),
            linear_size=(config.num_steps or 0) * config.input_size if config.linear else None,
            **config.recurrent_arguments(),
        )

    def scaling(self, inputs: Tensor) -> Scaling:
        """Returns how to scale inputs (B, T, D) and their targets."""
        config = self.config
        inputs = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # not in half precision
        if config.normalize == "instance":
            variance, mean = torch.var_mean(inputs, dim=1, correction=0, keepdim=True)
            whole = self.constant("scale", config.scale, inputs) if isinstance(config.scale, tuple) else None
            least: Any = (config.scale or 1.0) if whole is None else whole[..., : config.input_size]
            scale = (variance + EPSILON * least**2).sqrt()
            if config.input_size == 1:
                return Scaling(mean, scale, mean, scale)
            places: Any = list(config.sources)
            return Scaling(mean, scale, mean[..., places], scale[..., places])
        known = config.normalize != "none"
        mean = self.constant("mean", config.mean if known else 0.0, inputs)
        scale = self.constant("scale", config.scale if known else 1.0, inputs)
        if mean.shape[-1] == 1:
            return Scaling(mean, scale, mean, scale)
        size = config.input_size
        return Scaling(mean[..., :size], scale[..., :size], mean[..., size:], scale[..., size:])

    def target_constant(self, name: str, like: Tensor) -> Tensor:
        """Returns the config's `scale` or `naive_error` of the targets (1, 1, K or 1), on a tensor's device."""
        value = getattr(self.config, name)
        return self.constant(name, value, like)[..., -self.config.target_size :]

    def forward(self, inputs: Tensor, times: Tensor | None = None) -> Tensor:
        """Maps inputs (B, T, D) to predictions (B, K), or (B, H, K) with a horizon, float32, in the data's units.

        Args:
            inputs: The window, in the data's units.
            times: Of the window and the steps to predict (B, T + H), int64, in seconds since 1970. Only a calendar
                needs them.
        """
        return self.point(self.distribution(inputs, times))

    def distribution(self, inputs: Tensor, times: Tensor | None = None) -> Tensor:
        """Returns the quantiles (B, H, K, Q), in the data's units; without quantiles, the mean, Q = 1.

        In evaluation mode, they are sorted, so that they do not cross (Chernozhukov et al. 2010).
        """
        config, scaling = self.config, self.scaling(inputs)
        window = ((inputs - scaling.offset) / scaling.scale).to(self.dtype)
        if config.calendar and times is None:
            raise ValueError(f"times: this model needs them for its calendar, {', '.join(config.calendar)}")
        known = None if not config.calendar or times is None else calendar(times, config.calendar)
        steps = inputs.shape[1]
        features = window if known is None else torch.cat([window, known[:, :steps].to(window.dtype)], dim=-1)
        if config.strategy == "recursive":
            later = None if known is None else known[:, steps:].to(window.dtype)
            ahead = config.horizon or 1
            scaled = self.network.unroll(features, ahead, lambda step, values: self._next(step, values, later))
        else:
            scaled = self.network(features, window.flatten(1) if config.linear else None)
        return self._unscaled(scaled, scaling)

    def _unscaled(self, scaled: Tensor, scaling: Scaling) -> Tensor:
        """Returns the quantiles (B, H, K, Q) of what the network says."""
        config = self.config
        shape = (scaled.shape[0], config.horizon or 1, config.target_size, len(config.quantiles) or 1)
        predicted = scaled.reshape(shape).float() * scaling.target_scale[..., None] + scaling.target_offset[..., None]
        return predicted if self.training or shape[-1] == 1 else predicted.sort(dim=-1).values

    def _next(self, step: int, values: Tensor, known: Tensor | None) -> Tensor:
        """Returns the input (B, D) after a predicted step: its values (B, K * Q), and its calendar (B, H, N)."""
        medians = values.reshape(values.shape[0], self.config.target_size, -1)[..., self._median]
        places: Any = [self.config.sources.index(place) for place in range(self.config.input_size)]
        inputs = medians[:, places]
        return inputs if known is None else torch.cat([inputs, known[:, step]], dim=-1)

    def graphs(self) -> dict[str, Graph]:
        """See `Model`: the quantiles of each value, or its mean; with a state, if all that was read is in it."""
        config = self.config
        whole = config.num_steps or config.normalize == "instance" or config.calendar or config.strategy == "recursive"
        first = {} if whole else first_state(self.network.recurrent)

        def sequence(inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            if not first:
                return (self.distribution(inputs, *rest),)
            scaling = self.scaling(inputs)
            outputs, new = self.network.recurrent(((inputs - scaling.offset) / scaling.scale).to(self.dtype), rest)
            return (self._unscaled(self.network.head(outputs[:, -1]), scaling), *new)

        def example(rows: int, steps: int) -> tuple[Tensor, ...]:
            steps = config.num_steps if config.linear and config.num_steps else steps
            inputs = torch.rand(rows, steps, config.input_size)
            if config.calendar:
                return inputs, torch.randint(2**31, (rows, steps + (config.horizon or 1)))
            start = tuple(one.expand(rows, *one.shape[1:]) for one in first.values())
            return inputs, *sequence(inputs, *start)[1:]

        inputs = ("inputs", "times")[: 2 if config.calendar else 1]
        return {"sequence": Graph(sequence, (*inputs, *first), ("quantiles", *after(first)), example, first)}

    # -- what the methods compute with

    @torch.no_grad()
    def predicted(self, inputs: Any, times: Any = None) -> Array:
        """See `RegressorMethods`."""
        with self.evaluating():
            return array(self.distribution(self.tensor(inputs), None if times is None else self.tensor(times)))

    @torch.no_grad()
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some sequences: see `Model`."""
        inputs = self.tensor(self._inputs(values))
        if self.config.calendar:
            raise ValueError("features: this model also reads a calendar; use its network")
        scaling = self.scaling(inputs)
        with self.evaluating():
            outputs, state = self.network.recurrent(((inputs - scaling.offset) / scaling.scale).to(self.dtype))
        return Features(outputs, torch.full((len(inputs),), inputs.shape[1]), state)

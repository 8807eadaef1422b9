"""The structurally constrained recurrent network: some units, the context, change slowly at a fixed rate.

    s_t = (1 - alpha) * B x_t + alpha * s_{t-1}
    h_t = sigmoid(P s_t + A x_t + R h_{t-1})
    y_t = h_t and s_t, side by side

Mikolov, Joulin, Chopra, Mathieu and Ranzato 2015, "Learning longer memory in recurrent neural networks", with the
fixed alpha. As there, there are no biases.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.checks import check_ratios
from zoo.nn.engines.diagonal import diagonal
from zoo.nn.engines.unitwise import unitwise
from zoo.nn.layer import Layer, State, real_steps, register_cell
from zoo.reference import Array, sigmoid


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, alpha: float = 0.95, context_size: int = 0
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    units = len(w["weight_hh"])
    h, s = state[0][:units], state[0][units:]
    s = (1 - alpha) * (w["weight_ih"][units:] @ x) + alpha * s
    h = sigmoid(w["weight_sh"] @ s + w["weight_ih"][:units] @ x + w["weight_hh"] @ h)
    y = np.concatenate([h, s])
    return y, (y,)


def hidden_update(x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
    """Returns the next hidden units, see `zoo.nn.engines.unitwise.Update`."""
    return (x.sigmoid(),)


@register_cell("scrn", reference)
class SCRN(Layer):
    """A simple network with slow context units. The state is the output.

    Args:
        input_size: Features of each input, D.
        hidden_size: Hidden units and context units together, H.
        alpha: How much of the context stays at each step; 0.95 in the paper.
        context_size: Context units; 0: a quarter of all, at least 1.
    """

    recurrent_weights = ("weight_hh",)
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int, alpha: float = 0.95, context_size: int = 0) -> None:
        super().__init__()
        check_ratios(alpha=alpha)
        if hidden_size < 2:
            raise ValueError(f"hidden_size: got {hidden_size}, expected at least 2, a hidden and a context unit")
        if not 0 <= context_size < hidden_size:
            raise ValueError(
                f"context_size: got {context_size}, expected from 0 to less than the hidden_size, {hidden_size}"
            )
        context = context_size or max(1, hidden_size // 4)
        self.alpha, self.units = alpha, hidden_size - context
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))  # A, then B
        self.weight_sh = nn.Parameter(torch.empty(self.units, context))  # P
        self.weight_hh = nn.Parameter(torch.empty(self.units, self.units))  # R
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: A x and B x."""
        return linear(x, self.weight_ih)

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """See `Layer`. First the context of all steps, then the hidden units."""
        p = self.project(x)
        real = None if lengths is None else real_steps(lengths, x)[:, :, None]
        with torch.autocast(x.device.type, enabled=False):
            from_x, wide = self._widen(p, state)
            h, s = self._split(state[0].to(wide))
            context = self._context(from_x[..., self.units :], s, real)
            sums = from_x[..., : self.units] + linear(context, self.weight_sh)
            hidden, last = unitwise(
                hidden_update,
                sums.transpose(0, 1).contiguous(),
                self.weight_hh,
                None,
                (h,),
                sums=True,
                hold=None if real is None else ((~real).transpose(0, 1).to(wide),),
            )
            y = torch.cat([hidden.transpose(0, 1), context], dim=-1)
            new = torch.cat([last[0], context[:, -1]], dim=-1)
        y = y if real is None else y.masked_fill(~real, 0.0)
        return y.to(p.dtype), (new.to(state[0].dtype),)

    def _context(self, b: Tensor, s: Tensor, real: Tensor | None) -> Tensor:
        """Returns the context after each step (B, T, context), for B x of all steps. It stays in padding."""
        terms = ((1 - self.alpha) * b).to(torch.promote_types(b.dtype, torch.float32))
        factors = terms.new_full((), self.alpha).expand_as(terms)
        if real is not None:
            factors, terms = torch.where(real, factors, 1.0), torch.where(real, terms, 0.0)
        return diagonal(factors.contiguous(), terms, s.to(terms.dtype)).to(b.dtype)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        with torch.autocast(p_t.device.type, enabled=False):
            from_x, wide = self._widen(p_t, state)
            h, s = self._split(state[0].to(wide))
            s = (1 - self.alpha) * from_x[:, self.units :] + self.alpha * s
            h = (from_x[:, : self.units] + linear(s, self.weight_sh) + linear(h, self.weight_hh)).sigmoid()
            new = torch.cat([h, s], dim=-1)
        return new.to(p_t.dtype), (new.to(state[0].dtype),)

    def _widen(self, p: Tensor, state: State) -> tuple[Tensor, torch.dtype]:
        """Returns the projected inputs in the wider type of both, and that type."""
        wide = torch.promote_types(p.dtype, state[0].dtype)
        return p.to(wide), wide

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the hidden units and the context."""
        return state[:, : self.units], state[:, self.units :]

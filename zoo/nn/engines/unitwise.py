"""Recurrences of each unit by itself, beside one matrix product per step.

A unit's next state depends on its own gates and states alone.
Autograd goes through the steps, so that no derivative is written by hand; but it does not see the recurrent weight,
for which it would multiply and add matrices at each step. Something is added to each product, what comes from the input
or a bias. Its gradient, of all steps, is that of the products, and then one product gives the gradient of the weight.

Legend: B batch, T time steps, H units, X numbers that come from the input, R numbers that come from the recurrent
product, N numbers that the product reads.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from zoo.nn.layer import Layer, State, real_steps

# Maps what comes from the input (..., X), what comes from the recurrent product (..., R), the state and the constants
# to the new state. All states are (..., H).
Update = Callable[[Tensor, Tensor, State, tuple[Tensor, ...]], State]


def product(h: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Returns the recurrent product (..., R) of states h (..., N).

    Args:
        h: The states that it reads.
        weight: (R, N); or (heads, R / heads, N / heads), where each head reads its own units only; None: there is no
            product, and the result has R = 0.
        bias: (R,), or None.
    """
    if weight is None:
        return h[..., :0]
    if weight.ndim == 2:
        return linear(h, weight, bias)
    heads, rows, columns = weight.shape
    found = torch.einsum("...hc,hrc->...hr", h.unflatten(-1, (heads, columns)), weight)
    gates = rows // columns
    found = found.unflatten(-1, (gates, columns)).transpose(-3, -2).flatten(-3)
    return found if bias is None else found + bias


def _weight_grad(grad: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    """Returns the gradient of the weight, for those of the products (B, T, R) and what they read (B, T, N)."""
    if weight.ndim == 2:
        return grad.flatten(0, 1).t() @ h.flatten(0, 1)
    heads, rows, columns = weight.shape
    by_head = grad.unflatten(-1, (rows // columns, heads, columns)).transpose(-3, -2).flatten(-2)
    return torch.einsum("bthr,bthc->hrc", by_head, h.unflatten(-1, (heads, columns)))


class _Before(torch.autograd.Function):
    """Stands before the first step. It returns its tensors; on the way back, it finds the gradient of the weight."""

    @staticmethod
    def forward(ctx: Any, found: list[Tensor], weight: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Takes the list that `_After` fills, the weight, what is added to the products (B, T, R), and others."""
        ctx.found = found
        ctx.save_for_backward(weight)
        return tuple(one.view_as(one) for one in tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # type: ignore[override]
        """Runs last. The first gradient is also that of the products."""
        read = torch.stack(ctx.found, dim=1)
        ctx.found.clear()
        return (None, _weight_grad(grads[0], read, *ctx.saved_tensors), *grads)


class _After(torch.autograd.Function):
    """Stands after the last step. It keeps what the products read, until the graph is freed."""

    @staticmethod
    def forward(ctx: Any, found: list[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Takes what the products read, one tensor (B, N) a step, out of the list."""
        ctx.found = found
        ctx.save_for_backward(*found)
        ctx.set_materialize_grads(False)
        found.clear()
        return tuple(one.view_as(one) for one in tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> Any:  # type: ignore[override]
        """Runs first. Fills the list for `_Before`."""
        ctx.found[:] = ctx.saved_tensors
        return (None, *grads)


def _read(state: Sequence[Tensor], reads: Sequence[int]) -> Tensor:
    """Returns the tensors of a state that the product reads, side by side."""
    return state[reads[0]] if len(reads) == 1 else torch.cat([state[i] for i in reads], dim=-1)


def unitwise(
    update: Update,
    from_input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    state: State,
    constants: tuple[Tensor, ...] = (),
    *,
    sums: bool = False,
    reads: tuple[int, ...] = (0,),
    hold: State | None = None,
) -> tuple[Tensor, State]:
    """Runs a recurrence of each unit by itself over all steps.

    Args:
        update: One step, see `Update`. Elementwise: a unit's new state depends on its own gates and states alone.
        from_input: What comes from the input (T, B, X).
        weight: Of the recurrent product, see `product`.
        bias: Added to the product (R,), or None.
        state: The state before the first step, each (B, H).
        constants: Learned numbers of each unit (H,), or of all (1,).
        sums: Whether the update takes the sum of both kinds of gates (X = R) in place of what comes from the input,
            and nothing from the product. This is faster. It needs a product.
        reads: Which tensors of the state the product reads, one after the other.
        hold: For each tensor of the state, how much of it to keep from the step before, in [0, 1] (T, B, H) or
            (T, B, 1). None: nothing.

    Returns:
        The first state after each step (T, B, H), and the last state.
    """
    x = added = from_input.transpose(0, 1)  # batch first, as in a layer: nothing is copied, forward or back
    if weight is not None and not sums:
        rows = weight.shape[:-1].numel()
        added = (x.new_zeros(rows) if bias is None else bias).expand(*x.shape[:2], rows)
    found: list[Tensor] = []
    collects = weight is not None and weight.requires_grad and torch.is_grad_enabled()
    if collects:
        added, *rest = _Before.apply(found, weight, added, *state, *constants)  # type: ignore[no-untyped-call]
        state, constants = tuple(rest[: len(state)]), tuple(rest[len(state) :])
    fixed = None if weight is None else weight.detach()
    columns = fixed.t() if fixed is not None and fixed.ndim == 2 else None
    outputs, r = [], from_input[0, :, :0]
    nothing = r
    for t, (x_t, added_t) in enumerate(zip(x.unbind(1), added.unbind(1), strict=True)):
        if fixed is not None:
            h = _read(state, reads)
            r = product(h, fixed, None) + added_t if columns is None else torch.addmm(added_t, h, columns)
            if collects:
                found.append(h.detach())
        new = update(r, nothing, state, constants) if sums else update(x_t, r, state, constants)
        if hold is not None:
            new = tuple(torch.lerp(b, a, kept[t]) for a, b, kept in zip(state, new, hold, strict=True))
        state = new
        outputs.append(state[0])
    y = torch.stack(outputs, dim=1)
    if collects:
        y, *others = _After.apply(found, y, *state[1:])  # type: ignore[no-untyped-call]
        state = (y[:, -1], *others)
    return y.transpose(0, 1), state


class UnitWise(Layer):
    """A layer with one recurrent product per step; the rest of a step is elementwise.

    A subclass defines `update`, and says how many gates come from the input and from the product. The output is the
    first state. The weights are laid out as in `torch.nn`: `weight_ih` (X, D), `weight_hh` (R, N), `bias_ih` (X,) and
    `bias_hh` (R,), uniform in +-1/sqrt(H).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.

    Attributes:
        input_gates: X / H.
        product_gates: R / H. 0: there is no product.
        num_states: S.
        reads: Which tensors of the state the product reads.
        has_input_bias: Whether what comes from the input has a bias.
        has_product_bias: Whether the product has a bias of its own.
        sums_gates: Whether `update` takes the sum of both kinds of gates as `x`, and an empty `r`.
    """

    input_gates = 1
    product_gates = 1
    num_states = 1
    reads: tuple[int, ...] = (0,)
    has_input_bias = True
    has_product_bias = False
    sums_gates = True
    recurrent_weights: tuple[str, ...] = ("weight_hh",)
    shows_state: ClassVar[bool] = True

    bias_ih: Tensor  # None without `has_input_bias`
    weight_hh: Tensor | None
    bias_hh: Tensor | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.product_gates:
            cls.recurrent_weights = ()

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.output_size = hidden_size
        self.state_shapes = ((hidden_size,),) * self.num_states
        self.weight_ih = nn.Parameter(torch.empty(self.input_gates * hidden_size, input_size))
        bias = nn.Parameter(torch.empty(self.input_gates * hidden_size)) if self.has_input_bias else None
        self.register_parameter("bias_ih", bias)
        rows = self.product_gates * hidden_size
        self.weight_hh = nn.Parameter(torch.empty(rows, len(self.reads) * hidden_size)) if rows else None
        self.bias_hh = nn.Parameter(torch.empty(rows)) if rows and self.has_product_bias else None
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    # -- what a subclass defines

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """Returns the new state, each tensor (..., H). Elementwise.

        Args:
            x: What comes from the input (..., X): W_ih x + b_ih. With `sums_gates`, W_ih x + b_ih + W_hh h + b_hh.
            r: What comes from the product (..., R): W_hh h + b_hh. With `sums_gates`, nothing.
            state: The state before, each (..., H).
            constants: See `constants`.
        """
        raise NotImplementedError

    def constants(self) -> tuple[Tensor, ...]:
        """Returns the learned numbers of each unit (H,), or of all units (1,), that `update` takes."""
        return ()

    def product_weight(self) -> Tensor | None:
        """Returns the weight of the product, see `product`. By default, `weight_hh`."""
        return self.weight_hh

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W_ih x + b_ih. With `sums_gates`, both biases are added here."""
        bias = self.bias_ih if self.bias_hh is None or not self.sums_gates else self.bias_ih + self.bias_hh
        return linear(x, self.weight_ih, bias)

    # -- running

    def forward(
        self, x: Tensor, state: State, lengths: Tensor | None = None, zoneout: float = 0.0
    ) -> tuple[Tensor, State]:
        """See `Layer`.

        Args:
            x: Inputs (B, T, D).
            state: The state before the first step.
            lengths: See `Layer`.
            zoneout: The probability that a unit keeps its state at a step (Krueger et al. 2017). In training, it is
                drawn; otherwise, the mean of both states is taken.
        """
        p = self.project(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = torch.promote_types(p.dtype, state[0].dtype)
            from_input = p.to(wide).transpose(0, 1)
            real = None if lengths is None else real_steps(lengths, x)  # (B, T)
            hold = None
            if real is not None or zoneout:
                hold = tuple(
                    _hold(one.expand(len(from_input), *one.shape), real, zoneout, self.training) for one in state
                )
            y, last = unitwise(
                self.update,
                from_input,
                self.product_weight(),
                None if self.sums_gates else self.bias_hh,
                state,
                self.constants(),
                sums=self.sums_gates and self.product_gates > 0,
                reads=self.reads,
                hold=hold,
            )
        y = y.transpose(0, 1)
        if real is not None:
            y = y.masked_fill(~real[:, :, None], 0.0)
        return y.to(p.dtype), last

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        return self._advance(p_t, state, self.product_weight(), self.constants())

    def _advance(
        self, p_t: Tensor, state: State, weight: Tensor | None, constants: tuple[Tensor, ...]
    ) -> tuple[Tensor, State]:
        with torch.autocast(p_t.device.type, enabled=False):
            x = p_t.to(torch.promote_types(p_t.dtype, state[0].dtype))
            sums = self.sums_gates and self.product_gates > 0
            r = product(_read(state, self.reads), weight, None if sums else self.bias_hh)
            new = self.update(x + r, r[..., :0], state, constants) if sums else self.update(x, r, state, constants)
        return new[0].to(p_t.dtype), new

    @torch.no_grad()
    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """See `Layer`."""
        weight, constants = self.product_weight(), self.constants()
        return lambda p_t, state: self._advance(p_t, state, weight, constants)


def _hold(like: Tensor, real: Tensor | None, zoneout: float, training: bool) -> Tensor:
    """Returns how much of a state each unit keeps (T, B, H) or (T, B, 1): all in padding, and by zoneout.

    Args:
        like: The state for each step (T, B, H).
        real: Which steps are real (B, T), or None.
        zoneout: See `UnitWise.forward`.
        training: Whether to draw.
    """
    held = torch.full_like(like, zoneout) if zoneout else like.new_zeros(*like.shape[:2], 1)
    held = torch.bernoulli(held) if zoneout and training else held
    return held if real is None else held.masked_fill(~real.t()[:, :, None], 1.0)

"""Recurrences of each unit by itself, beside one matrix product per step.

A unit's next state depends on its own gates and states alone.
The derivative needs no formula by hand, and no graph of all steps. Because the update is elementwise, its Jacobian is
diagonal: one vector-Jacobian product with ones, over many steps at once, gives the whole diagonal. What remains is a
short loop from the last step to the first, and one product for the gradient of the weights.

Legend: B batch, T time steps, H units, X numbers that come from the input, R numbers that come from the recurrent
product, S tensors of the state.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from zoo.nn.layer import Layer, State, real_steps

# Maps what comes from the input (..., X), what comes from the recurrent product (..., R), the state and the constants
# to the new state. All states are (..., H).
Update = Callable[[Tensor, Tensor, State, tuple[Tensor, ...]], State]
Factor = tuple[int, tuple[Tensor, ...]]
AT_ONCE = 2**18  # numbers of the gates whose derivatives are taken at once: so many stay in a processor's cache


class Plan(NamedTuple):
    """How a recurrence is run. It has no gradient."""

    update: Update
    sums: bool  # whether the update takes the sum of both kinds of gates
    reads: tuple[int, ...]  # which tensors of the state the product reads
    hold: State | None  # how much of each state to keep


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


def back(grad: Tensor, weight: Tensor) -> Tensor:
    """Returns the gradient of the states (..., N), for that of a recurrent product (..., R)."""
    if weight.ndim == 2:
        return grad @ weight
    return torch.einsum("...hr,hrc->...hc", _by_head(grad, weight), weight).flatten(-2)


def _by_head(grad: Tensor, weight: Tensor) -> Tensor:
    heads, rows, columns = weight.shape
    return grad.unflatten(-1, (rows // columns, heads, columns)).transpose(-3, -2).flatten(-2)


def _weight_grad(grad: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    """Returns the gradient of the weight, for those of the products (T, B, R) and the states (T, B, N)."""
    if weight.ndim == 2:
        return grad.flatten(0, 1).t() @ h.flatten(0, 1)
    return torch.einsum("tbhr,tbhc->hrc", _by_head(grad, weight), h.unflatten(-1, (weight.shape[0], weight.shape[2])))


def _read(state: Sequence[Tensor], reads: Sequence[int]) -> Tensor:
    """Returns the tensors of a state that the product reads, side by side."""
    return state[reads[0]] if len(reads) == 1 else torch.cat([state[i] for i in reads], dim=-1)


def _loop(
    plan: Plan, from_input: Tensor, weight: Tensor | None, bias: Tensor | None, state: State, constants: State
) -> tuple[list[Tensor], Tensor]:
    """Returns the states before each step and after the last, each (T + 1, B, H), and the products (T, B, R).

    With `sums`, what comes from the input is added to the products.
    """
    steps, batch = from_input.shape[:2]
    columns = weight.t().contiguous() if weight is not None and weight.ndim == 2 else None
    rows = 0 if weight is None else weight.shape[0] if weight.ndim == 2 else weight.shape[0] * weight.shape[1]
    found = from_input.new_empty(steps, batch, rows)
    states = [state]
    nothing = from_input[0, :, :0]
    for t, (x_t, r) in enumerate(zip(from_input.unbind(0), found.unbind(0), strict=True)):
        h = _read(state, plan.reads)
        added = x_t if plan.sums else bias
        if columns is not None:
            torch.mm(h, columns, out=r) if added is None else torch.addmm(added, h, columns, out=r)
        elif weight is not None:
            r.copy_(product(h, weight, None) if added is None else product(h, weight, None) + added)
        new = plan.update(r, nothing, state, constants) if plan.sums else plan.update(x_t, r, state, constants)
        if plan.hold is not None:
            new = tuple(torch.lerp(b, a, h[t]) for a, b, h in zip(state, new, plan.hold, strict=True))
        state = new
        states.append(state)
    return [torch.stack(parts) for parts in zip(*states, strict=True)], found


class _UnitWise(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        plan: Plan,
        count: int,
        from_input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns the first state after each step (T, B, H), and the other states after the last step."""
        state, constants = tensors[:count], tensors[count:]
        stacked, found = _loop(plan, from_input, weight, bias, state, constants)
        ctx.plan, ctx.count, ctx.has_bias = plan, count, bias is not None
        ctx.save_for_backward(None if plan.sums else from_input, weight, found, *stacked, *constants)
        return (stacked[0][1:], *(one[-1].clone() for one in stacked[1:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, *grad_last: Tensor) -> Any:  # type: ignore[override]
        from_input, weight, found, *rest = ctx.saved_tensors
        plan, stacked, constants = ctx.plan, rest[: ctx.count], rest[ctx.count :]
        back = _Backward(plan, from_input, weight, found, stacked, constants)
        state = [torch.zeros_like(grad_y[0]), *grad_last]
        size = max(1, AT_ONCE // max(1, found[0].numel() + (0 if from_input is None else from_input[0].numel())))
        for end in range(len(grad_y), 0, -size):
            state = back.chunk(max(0, end - size), end, grad_y, state)
        grad_weight = grad_bias = None
        if weight is not None:
            read = torch.cat([stacked[i][:-1] for i in plan.reads], dim=-1)
            grad_weight = _weight_grad(back.grad_found, read, weight)
            grad_bias = back.grad_found.sum((0, 1)) if ctx.has_bias else None
        return (None, None, back.grad_input, grad_weight, grad_bias, *state, *back.grad_constants)


class _Backward:
    """The gradients of a recurrence, from the last step to the first."""

    def __init__(
        self,
        plan: Plan,
        from_input: Tensor | None,
        weight: Tensor | None,
        found: Tensor,
        stacked: Sequence[Tensor],
        constants: Sequence[Tensor],
    ) -> None:
        self.plan, self.from_input, self.weight, self.found = plan, from_input, weight, found
        self.stacked, self.constants = stacked, constants
        self.grad_found = torch.empty_like(found)
        self.grad_input = self.grad_found if from_input is None else torch.empty_like(from_input)
        self.grad_constants = [torch.zeros_like(one) for one in constants]
        self.gates = found.shape[-1] // stacked[0].shape[-1]
        self.grad_products = self.grad_found.unbind(0)
        self.grad_gates = self.grad_found.unflatten(-1, (self.gates, -1)).unbind(0) if self.gates else ()

    def chunk(self, start: int, end: int, grad_y: Tensor, later: list[Tensor]) -> list[Tensor]:
        """Goes through some steps. Maps the gradients of the state after them to those of the state before."""
        plan, count = self.plan, len(self.stacked)
        with torch.enable_grad():
            found = self.found[start:end].detach().requires_grad_()
            before = tuple(one[start:end].detach().requires_grad_() for one in self.stacked)
            fixed = tuple(one.detach().requires_grad_() for one in self.constants)
            if self.from_input is None:
                x = found
                new = plan.update(found, found[..., :0], before, fixed)
            else:
                x = self.from_input[start:end].detach().requires_grad_()
                new = plan.update(x, found, before, fixed)
        by_found, by_state = self._diagonals(new, found, before)
        wanted = (*(() if self.from_input is None else (x,)), *fixed)
        grad_new: list[list[Tensor]] = [[] for _ in new]  # of each state, from the last step to the first
        hold = None if plan.hold is None else [one[start:end].unbind(0) for one in plan.hold]
        grads = grad_y[start:end].unbind(0)
        for t in range(end - start - 1, -1, -1):
            later[0] = later[0] + grads[t]
            held: list[Tensor | None] = [None] * count
            if hold is not None:
                held = [one * kept[t] for one, kept in zip(later, hold, strict=True)]
                later = [one - kept for one, kept in zip(later, held, strict=True)]  # type: ignore[operator]
            if wanted:
                for one, grad in zip(grad_new, later, strict=True):
                    one.append(grad)
            later = self._before(start + t, t, later, held, by_found, by_state)
        if wanted:
            pairs = zip(new, grad_new, strict=True)
            used = [(one, torch.stack(grad[::-1])) for one, grad in pairs if one.requires_grad]
            results = list(
                torch.autograd.grad(
                    [one for one, _ in used],
                    wanted,
                    [grad for _, grad in used],
                    allow_unused=True,
                    materialize_grads=True,
                )
            )
            if self.from_input is not None:
                self.grad_input[start:end] = results.pop(0)
            self.grad_constants = [one + part for one, part in zip(self.grad_constants, results, strict=True)]
        return later

    def _diagonals(self, new: State, found: Tensor, before: State) -> tuple[list[Factor], list[tuple[int, Factor]]]:
        """Returns the diagonals of each new state's Jacobian, one step after the other.

        Returns:
            By the products: the number of the new state, and (B, gates, H) of each step. By the states: the same,
            (B, H), with the number of the state before it.
        """
        by_found: list[Factor] = []
        by_state: list[tuple[int, Factor]] = []
        wanted = (*((found,) if self.gates else ()), *before)
        for j, one in enumerate(new):
            if not one.requires_grad:
                continue
            ones = one.new_ones(()).expand_as(one)
            results = list(torch.autograd.grad(one, wanted, ones, retain_graph=True, allow_unused=True))
            if self.gates and (first := results.pop(0)) is not None:
                by_found.append((j, first.unflatten(-1, (self.gates, -1)).unbind(0)))
            by_state += [(i, (j, factor.unbind(0))) for i, factor in enumerate(results) if factor is not None]
        return by_found, by_state

    def _before(
        self,
        step: int,
        t: int,
        now: list[Tensor],
        earlier: list[Tensor | None],
        by_found: list[Factor],
        by_state: list[tuple[int, Factor]],
    ) -> list[Tensor]:
        """Returns the gradients of the state before a step, for those of the new state."""
        for i, (j, factors) in by_state:
            known = earlier[i]
            earlier[i] = now[j] * factors[t] if known is None else torch.addcmul(known, now[j], factors[t])
        if self.gates:
            grad_gates, first = self.grad_gates[step], True
            for j, factors in by_found:
                grad = now[j].unsqueeze(1)
                torch.mul(grad, factors[t], out=grad_gates) if first else grad_gates.addcmul_(grad, factors[t])
                first = False
        if self.weight is not None:
            through = back(self.grad_products[step], self.weight)
            reads = self.plan.reads
            parts = (through,) if len(reads) == 1 else through.chunk(len(reads), -1)
            for i, part in zip(reads, parts, strict=True):
                known = earlier[i]
                earlier[i] = part if known is None else known + part
        return [torch.zeros_like(now[0]) if one is None else one for one in earlier]


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
            and nothing from the product. This is faster.
        reads: Which tensors of the state the product reads, one after the other.
        hold: For each tensor of the state, how much of it to keep from the step before, in [0, 1] (T, B, H) or
            (T, B, 1). None: nothing.

    Returns:
        The first state after each step (T, B, H), and the last state.
    """
    plan = Plan(update, sums, reads, hold)
    tensors = (from_input, *state, *constants, *(one for one in (weight, bias) if one is not None))
    if not torch.is_grad_enabled() or not any(one.requires_grad for one in tensors):
        stacked, _ = _loop(plan, from_input, weight, bias, state, constants)
        return stacked[0][1:], tuple(one[-1] for one in stacked)
    found = _UnitWise.apply(  # type: ignore[no-untyped-call]
        plan, len(state), from_input, weight, bias, *state, *constants
    )
    return found[0], (found[0][-1], *found[1:])


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
        has_product_bias: Whether the product has a bias of its own.
        sums_gates: Whether `update` takes the sum of both kinds of gates as `x`, and an empty `r`.
    """

    input_gates = 1
    product_gates = 1
    num_states = 1
    reads: tuple[int, ...] = (0,)
    has_product_bias = False
    sums_gates = True
    recurrent_weights: ClassVar[tuple[str, ...]] = ("weight_hh",)
    shows_state: ClassVar[bool] = True

    weight_hh: Tensor | None
    bias_hh: Tensor | None

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.output_size = hidden_size
        self.state_shapes = ((hidden_size,),) * self.num_states
        self.weight_ih = nn.Parameter(torch.empty(self.input_gates * hidden_size, input_size))
        self.bias_ih = nn.Parameter(torch.empty(self.input_gates * hidden_size))
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
            from_input = p.to(wide).transpose(0, 1).contiguous()
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

    @torch.no_grad()
    def initialize(self, init: str) -> None:
        """See `Layer`. `keras` also sets biases to 0."""
        super().initialize(init)
        if init == "keras":
            for bias in (self.bias_ih, self.bias_hh):
                if bias is not None:
                    bias.zero_()


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

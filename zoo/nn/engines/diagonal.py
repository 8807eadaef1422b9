"""Diagonal recurrences: h_t = a_t * h_{t-1} + b_t, for each number by itself, real or complex.

Legend: B batch, T time steps, H units.
"""

from typing import Any

import torch
from torch import Tensor

from zoo.nn.layer import Layer, State, real_steps


class _Diagonal(torch.autograd.Function):
    """A loop of one multiply-add per step, forward and backward."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: Tensor) -> Tensor:  # type: ignore[override]
        out = torch.empty_like(b)
        previous = h
        for t in range(b.shape[1]):
            torch.addcmul(b[:, t], a[:, t], previous, out=out[:, t])
            previous = out[:, t]
        ctx.save_for_backward(a, out, h)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        a, out, h = ctx.saved_tensors
        a = a.conj().resolve_conj() if a.is_complex() else a
        grad_b = torch.empty_like(out)
        steps = out.shape[1]
        grad_b[:, -1] = grad[:, -1]
        for t in range(steps - 2, -1, -1):
            torch.addcmul(grad[:, t], a[:, t + 1], grad_b[:, t + 1], out=grad_b[:, t])
        grad_h = a[:, 0] * grad_b[:, 0] if ctx.needs_input_grad[2] else None
        if not ctx.needs_input_grad[0]:
            return None, grad_b, grad_h
        grad_a = torch.empty_like(out)
        grad_a[:, 0] = grad_b[:, 0] * h.conj()
        torch.mul(grad_b[:, 1:], out[:, :-1].conj(), out=grad_a[:, 1:])
        return grad_a, grad_b, grad_h


def diagonal(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Returns all h_t = a_t * h_{t-1} + b_t.

    On a CPU, this is a loop over the steps. On a GPU, it is PyTorch's `associative_scan`, which needs log2(T) passes.

    Args:
        a: Factors (B, T, H), real or complex.
        b: Terms (B, T, H), of the same type.
        h: The values before the first step (B, H).

    Example:
        >>> ones = torch.ones(1, 3, 1)
        >>> diagonal(0.5 * ones, ones, torch.zeros(1, 1)).flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """
    if b.device.type != "cuda":
        return _Diagonal.apply(a, b, h)  # type: ignore[no-untyped-call]
    return scan(a, b, h)


def scan(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The same as `diagonal`, in log2(T) passes over all steps at once, with PyTorch's own gradients."""
    from torch._higher_order_ops.associative_scan import associative_scan

    def combine(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return left[0] * right[0], torch.addcmul(right[1], right[0], left[1])

    factors, terms = associative_scan(combine, (a, b), dim=1, combine_mode="generic")
    return torch.addcmul(terms, factors, h[:, None])


class DiagonalLayer(Layer):
    """A layer whose state is a diagonal recurrence of factors and terms that depend on the input alone.

    A subclass defines `project`, `gates`, and `show`, if its output is not its state. The recurrence is computed in
    float32 at least. Complex states are kept as pairs of real numbers.

    Attributes:
        is_complex: Whether the state is complex: then its shape is (H, 2).
    """

    is_complex = False

    def gates(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Returns factors a and terms b (..., H) of projected inputs (..., P); pairs (..., H, 2) of complex numbers."""
        raise NotImplementedError

    def show(self, p: Tensor, h: Tensor) -> Tensor:
        """Returns outputs (..., output_size) for projected inputs (..., P) and values h, as `gates`. By default, h."""
        return h

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """See `Layer`."""
        p = self.project(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = p.to(torch.promote_types(p.dtype, torch.float32))
            a, b = self.gates(wide)
            h = state[0].to(b.dtype)
            if self.is_complex:
                a, b, h = (torch.view_as_complex(one.contiguous()) for one in (a, b, h))
            real = None if lengths is None else real_steps(lengths, x)[:, :, None]
            if real is not None:  # the state stays as it is
                a, b = torch.where(real, a, 1.0), torch.where(real, b, 0.0)
            h = diagonal(a.contiguous(), b, h)
            h = torch.view_as_real(h) if self.is_complex else h
            y = self.show(wide, h)
        y = y if real is None else y.masked_fill(~real, 0.0)
        return y.to(p.dtype), (h[:, -1].to(state[0].dtype),)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        with torch.autocast(p_t.device.type, enabled=False):
            wide = p_t.to(torch.promote_types(p_t.dtype, torch.float32))
            a, b = self.gates(wide)
            before = state[0].to(b.dtype)
            h = b + multiplied(a, before) if self.is_complex else torch.addcmul(b, a, before)
            y = self.show(wide, h)
        return y.to(p_t.dtype), (h.to(state[0].dtype),)


def polar(radius: Tensor, angle: Tensor) -> Tensor:
    """Returns complex numbers (...) as pairs (..., 2)."""
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)


def multiplied(a: Tensor, b: Tensor) -> Tensor:
    """Returns the product of complex numbers (..., 2), in real ones, which every runtime has."""
    (a_real, a_imaginary), (b_real, b_imaginary) = a.unbind(-1), b.unbind(-1)
    product = a_real * b_real - a_imaginary * b_imaginary, a_real * b_imaginary + a_imaginary * b_real
    return torch.stack(product, dim=-1)


def parts(h: Tensor) -> Tensor:
    """Returns the real parts of complex numbers (..., H, 2), and then the imaginary ones (..., 2H)."""
    return h.transpose(-1, -2).flatten(-2)

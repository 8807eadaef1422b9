"""The delta rule: a matrix that learns, at each step, what to answer to a key.

Of each head:

    q_t, k_t = unit(SiLU(W_q x_t)), unit(SiLU(W_k x_t))          unit(u) = u / sqrt(|u|^2 + 1e-6)
    v_t = SiLU(W_v x_t)
    beta_t = sigmoid(w_beta x_t)                                 one number per head
    S_t = S_{t-1} - beta_t (S_{t-1} k_t - v_t) k_t^T             d x d
    y_t = W_o RMSNorm(S_t q_t)

Schlag, Irie and Schmidhuber 2021, "Linear transformers are secretly fast weight programmers", in the form of Yang et
al. 2024, "Parallelizing linear transformers with the delta rule over sequence length". Their short convolutions are
those of a stack, see `StackOptions`. Whole sequences run in chunks, as there: all errors beta_t (v_t - S_{t-1} k_t) of
a chunk solve a triangular system.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu

from zoo.checks import check_sizes
from zoo.nn.engines.chunked import ChunkedLayer
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid

EPS = 1e-6


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, heads: int = 1
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    size = state[0].shape[-1]
    width = heads * size
    p = w["linear.weight"] @ x
    q, k, v = (p * sigmoid(p))[: 3 * width].reshape(3, heads, size)
    beta = sigmoid(p[3 * width :])
    answers, memories = [], []
    for j in range(heads):
        query, key = q[j] / np.sqrt(q[j] @ q[j] + 1e-6), k[j] / np.sqrt(k[j] @ k[j] + 1e-6)
        memory = state[0][j] - beta[j] * np.outer(state[0][j] @ key - v[j], key)
        answer = memory @ query
        answers.append(w["scale"] * answer / np.sqrt(np.mean(answer**2) + 1e-6))
        memories.append(memory)
    return w["out.weight"] @ np.concatenate(answers), (np.stack(memories),)


@register_cell("delta_net", reference)
class DeltaNet(ChunkedLayer):
    """A matrix that the delta rule writes to. The state is S, of each head.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        heads: Matrices, each d x d with d = H / heads.

    Raises:
        ValueError: If `heads` does not divide `hidden_size`.
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int = 1) -> None:
        super().__init__()
        check_sizes(heads=heads)
        if hidden_size % heads:
            raise ValueError(f"heads: got {heads}, expected a divisor of the hidden_size, {hidden_size}")
        self.output_size, self.heads = hidden_size, heads
        size = hidden_size // heads
        self.state_shapes = ((heads, size, size),)
        self.linear = nn.Linear(input_size, 3 * hidden_size + heads, bias=False)  # q, k, v; beta of each head
        self.scale = nn.Parameter(torch.ones(size))
        self.out = nn.Linear(hidden_size, hidden_size, bias=False)

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: q, k, v and beta."""
        p = self.linear(x)
        width = self.output_size
        with torch.autocast(x.device.type, enabled=False):
            wide = p.to(torch.promote_types(p.dtype, torch.float32))
            active = silu(wide[..., : 3 * width]).unflatten(-1, (3, self.heads, -1))
            pair = active[..., :2, :, :]
            pair = pair * (pair.square().sum(-1, keepdim=True) + EPS).rsqrt()
            parts = [pair.flatten(-3), active[..., 2, :, :].flatten(-2), wide[..., 3 * width :].sigmoid()]
            return torch.cat(parts, dim=-1).to(p.dtype)

    def neutral(self, p: Tensor) -> Tensor:
        """See `ChunkedLayer`: beta is 0."""
        return p.new_zeros(p.shape[-1])

    def chunk(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """See `ChunkedLayer`."""
        width = self.output_size
        with torch.autocast(p.device.type, enabled=False):
            wide = p.to(torch.promote_types(torch.promote_types(p.dtype, state[0].dtype), torch.float32))
            memory = state[0].to(wide.dtype)
            q, k, v = (
                wide[..., : 3 * width].unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            )  # (B, heads, L, d)
            beta = wide[..., 3 * width :].mT[..., None]
            system = (beta * k @ k.mT).tril(-1)  # and ones on the diagonal
            error = torch.linalg.solve_triangular(system, beta * (v - k @ memory.mT), upper=False, unitriangular=True)
            answer = q @ memory.mT + (q @ k.mT).tril() @ error
            answer = rms_norm(answer, self.scale.shape, self.scale.to(wide.dtype), EPS)
            memory = memory + error.mT @ k
        return self.out(answer.transpose(1, 2).flatten(2).to(p.dtype)), (memory.to(state[0].dtype),)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        width, rows = self.output_size, len(p_t) * self.heads
        with torch.autocast(p_t.device.type, enabled=False):
            wide = torch.promote_types(torch.promote_types(p_t.dtype, state[0].dtype), torch.float32)
            p, memory = p_t.to(wide), state[0].to(wide).flatten(0, 1)
            q, k, v = p[:, : 3 * width].view(len(p), 3, self.heads, -1).transpose(0, 1).reshape(3, rows, -1, 1)
            error = p[:, 3 * width :].reshape(rows, 1, 1) * (v - memory @ k)
            memory = torch.baddbmm(memory, error, k.mT)
            answer = rms_norm((memory @ q)[..., 0], self.scale.shape, self.scale.to(wide), EPS)
        y = self.out(answer.view(len(p_t), width).to(p_t.dtype))
        return y, (memory.view(state[0].shape).to(state[0].dtype),)

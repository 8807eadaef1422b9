"""The LSTM with a matrix as memory.

Of each head:

    q_t, v_t = W_q x_t + b_q, W_v x_t + b_v
    k_t = (W_k x_t + b_k) / sqrt(d)
    i_t = exp(w_i x_t + b_i)                 one number per head
    f_t = sigmoid(w_f x_t + b_f)             one number per head
    o_t = sigmoid(W_o x_t + b_o)
    C_t = f_t C_{t-1} + i_t v_t k_t^T        d x d
    n_t = f_t n_{t-1} + i_t k_t
    h_t = o_t * (C_t q_t) / max(|n_t^T q_t|, 1)

Beck et al. 2024, "xLSTM: Extended long short-term memory". So that nothing overflows, the state has exp(-m_t) C_t and
exp(-m_t) n_t, with m_t = max(log f_t + m_{t-1}, log i_t), as in the paper. Of the block around it, the normalization of
each head, the convolution and the maps up and down are left out. Whole sequences run in chunks. Within a chunk, the
weight of step s at step t >= s is exp(a_s - max(m_0, a_1, ..., a_t)), where a_s = log i_s - log f_1 - ... - log f_s.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from zoo.checks import check_sizes
from zoo.nn.engines.chunked import ChunkedLayer
from zoo.nn.layer import State, draw_normal, register_cell
from zoo.reference import Array, sigmoid

LEAST = -80.0  # exp(80) is finite in float32


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, heads: int = 1
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy, without the stabilizer: it only scales what is kept."""
    size = state[1].shape[-1]
    p = w["linear.weight"] @ x + w["linear.bias"]
    width = heads * size
    q, k, v, o = p[: 4 * width].reshape(4, heads, size)
    log_i, f = p[4 * width :].reshape(2, heads)
    f = sigmoid(f)
    y, memories, sums, maxima = np.zeros((heads, size)), [], [], []
    for j in range(heads):
        scale = np.exp(state[2][j])
        key = k[j] / np.sqrt(size)
        memory = f[j] * scale * state[0][j] + np.exp(log_i[j]) * np.outer(v[j], key)
        total = f[j] * scale * state[1][j] + np.exp(log_i[j]) * key
        y[j] = sigmoid(o[j]) * (memory @ q[j]) / max(abs(total @ q[j]), 1.0)
        m = max(np.log(f[j]) + state[2][j], log_i[j])
        memories.append(memory * np.exp(-m))
        sums.append(total * np.exp(-m))
        maxima.append(m)
    return y.reshape(-1), (np.stack(memories), np.stack(sums), np.stack(maxima))


@register_cell("mlstm", reference)
class MLSTM(ChunkedLayer):
    """The LSTM with a matrix as memory. The state is (C, n, m), of each head.

    At first, the biases of the forget gates go evenly from 3 to 6 over the heads, so that much is kept, and the input
    gates' are near 0.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        heads: Memories, each d x d with d = H / heads.

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
        self.state_shapes = ((heads, size, size), (heads, size), (heads,))
        self.linear = nn.Linear(input_size, 4 * hidden_size + 2 * heads)  # q, k, v, o; i and f of each head
        self.set_biases()

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`: those of the input and the forget gates."""
        bias, heads = self.linear.bias, self.heads
        draw_normal(bias[-2 * heads : -heads], 0.1)
        bias[-heads:] = torch.linspace(3.0, 6.0, heads, device="cpu")

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: q, k, v, o, log i and log f."""
        width = self.output_size
        q, k, v, o, i, f = self.linear(x).split([width, width, width, width, self.heads, self.heads], dim=-1)
        scale = 1 / math.sqrt(width // self.heads)
        return torch.cat([q, k * scale, v, o.sigmoid(), i, logsigmoid(f)], dim=-1)

    def neutral(self, p: Tensor) -> Tensor:
        """See `ChunkedLayer`: log i is minus infinity, and log f is 0."""
        found = p.new_zeros(p.shape[-1])
        found[-2 * self.heads : -self.heads] = -math.inf
        return found

    def chunk(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """See `ChunkedLayer`."""
        width, heads = self.output_size, self.heads
        with torch.autocast(p.device.type, enabled=False):
            wide = p.to(torch.promote_types(torch.promote_types(p.dtype, state[0].dtype), torch.float32))
            memory, total, m = (one.to(wide.dtype) for one in state)
            vectors = wide[..., : 4 * width].unflatten(-1, (4, heads, -1))
            q, k, v, o = vectors.permute(2, 0, 3, 1, 4)  # (B, heads, L, d)
            log_i, log_f = wide[..., 4 * width :].unflatten(-1, (2, heads)).permute(2, 0, 3, 1)  # (B, heads, L)
            kept = log_f.cumsum(-1)
            a = log_i - kept
            peak = torch.maximum(m[..., None], a.cummax(-1).values)
            later = torch.ones_like(a[0, 0]).diag().cumsum(0) == 0  # [t, s]: s comes after t
            weight = (a[..., None, :] - peak[..., None]).masked_fill(later, -math.inf).exp()
            before = (m[..., None] - peak).exp()[..., None]
            scores = weight * (q @ k.mT)
            size = (scores.sum(-1, keepdim=True) + before * (q @ total[..., None])).abs()
            least = (-(kept + peak).clamp_min(LEAST)).exp()[..., None]
            y = o * (scores @ v + before * (q @ memory.mT)) / torch.maximum(size, least)
            new_m = (kept[..., -1] + peak[..., -1]).to(state[2].dtype).to(wide.dtype)  # see `advance`
            rounding = (kept[..., -1] + peak[..., -1] - new_m).exp()[..., None]
            last, first = (weight[..., -1, :] * rounding)[..., None] * k, before[..., -1, :] * rounding
            new = (first[..., None] * memory + v.mT @ last, first * total + last.sum(-2), new_m)
        y = y.transpose(1, 2).flatten(2).to(p.dtype)
        return y, tuple(one.to(old.dtype) for one, old in zip(new, state, strict=True))

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        width, heads = self.output_size, self.heads
        with torch.autocast(p_t.device.type, enabled=False):
            wide = torch.promote_types(torch.promote_types(p_t.dtype, state[0].dtype), torch.float32)
            memory, total, m = (one.to(wide) for one in state)
            p = p_t.to(wide)
            q, k, v = p[:, : 3 * width].view(len(p), 3, heads, -1).unbind(1)  # (B, heads, d)
            log_i, log_f = p[:, 4 * width :].view(len(p), 2, heads).unbind(1)
            kept = log_f + m
            m = torch.maximum(kept, log_i).to(state[2].dtype).to(wide)  # as it is kept: its rounding is no factor then
            f, i = (kept - m).exp()[:, :, None], (log_i - m).exp()[:, :, None]
            k = i * k
            memory = torch.addcmul(v[..., :, None] * k[..., None, :], f[..., None], memory)
            total = torch.addcmul(k, f, total)
            size = (total * q).sum(-1, keepdim=True).abs()
            found = (memory @ q[..., None])[..., 0] / torch.maximum(size, (-m.clamp_min(LEAST)).exp()[:, :, None])
            y = p[:, 3 * width : 4 * width] * found.flatten(1)
        new = (memory, total, m)
        return y.to(p_t.dtype), tuple(one.to(old.dtype) for one, old in zip(new, state, strict=True))

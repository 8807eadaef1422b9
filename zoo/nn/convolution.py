"""A short convolution over time, of each feature by itself.

Legend: B batch, T time steps, D features, K steps that a filter looks at.
"""

import torch
from torch import Tensor, nn


class CausalConvolution(nn.Module):
    """y_t = b + sum_k w_k * x_{t-k} for k from 0 to K - 1, as in the blocks of Griffin (De et al. 2024).

    Its state is the last K - 1 inputs (B, K - 1, D), the latest one last.

    Args:
        width: Features of inputs and outputs, D.
        steps: Steps that a filter looks at, K.
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.state_shape = (steps - 1, width)
        self.weight = nn.Parameter(torch.empty(steps, width))
        self.bias = nn.Parameter(torch.empty(width))
        for weight in self.parameters():  # as PyTorch's convolutions
            nn.init.uniform_(weight, -(steps**-0.5), steps**-0.5)

    def forward(self, x: Tensor, state: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps inputs (B, T, D) and the inputs before them to outputs (B, T, D) and the last inputs.

        Args:
            x: Inputs.
            state: The inputs before.
            lengths: Real steps of each row (B,), int64; None: all are real.
        """
        given = torch.cat([state.to(x.dtype), x], dim=1)
        before, count = state.shape[1], x.shape[1]
        y = self.bias.expand_as(x)
        for k, weight in enumerate(self.weight):
            y = torch.addcmul(y, given[:, before - k : before - k + count], weight)
        if lengths is None:
            last = given[:, count:]
        else:
            steps = lengths.to(x.device)[:, None] + torch.arange(before, device=x.device)
            last = given.gather(1, steps[:, :, None].expand(-1, -1, x.shape[2]))
        return y, last.to(state.dtype)

"""Recurrences that can run some steps at once, by matrix products.

Legend: B batch, T time steps, L steps of a chunk, P numbers of a projected input.
"""

import torch
from torch import Tensor

from zoo.nn.layer import Layer, State, real_steps

CHUNK = 64  # steps; the products within a chunk grow with its square


class ChunkedLayer(Layer):
    """A layer that runs chunk by chunk. A subclass defines `project`, `advance`, `chunk` and `neutral`."""

    def chunk(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs some steps: maps projected inputs (B, L, P) and the state to outputs and the new state."""
        raise NotImplementedError

    def neutral(self, p: Tensor) -> Tensor:
        """Returns a projected input (P,) that leaves the state as it is. Its output does not matter."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """See `Layer`."""
        p = self.project(x)
        real = None if lengths is None else real_steps(lengths, x)[:, :, None]
        p = p if real is None else torch.where(real, p, self.neutral(p))
        outputs = []
        for part in p.split(CHUNK, dim=1):
            y, state = self.chunk(part, state)
            outputs.append(y)
        y = torch.cat(outputs, dim=1)
        return y if real is None else y.masked_fill(~real, 0.0), state

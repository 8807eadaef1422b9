"""Networks that predict the next symbol, as `zoo.decoding` takes them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.checks import check_choice
from zoo.decoding import Array
from zoo.nn import AttentionDecoder, CharNet, Recurrent, State


class NetworkDecoder:
    """A network's step for evaluation mode: see `zoo.decoding.Decoder`.

    Args:
        network: The network. Its weights are prepared here, so that a later change has no effect.
    """

    def __init__(self, network: CharNet | AttentionDecoder) -> None:
        self.network, self.device = network, next(network.parameters()).device
        self.step, self.no_grad = network.stepper(), torch.no_grad()

    def __call__(self, ids: Array, state: State) -> tuple[Array, State]:
        """See `zoo.decoding.Step`."""
        with self.no_grad:
            logits, state = self.step(self._tensor(ids), state)
        return array(logits), state

    def select(self, state: State, index: Array) -> State:
        """See `zoo.decoding.Decoder`."""
        return Recurrent.select(state, self._tensor(index))

    def reorder(self, state: State, index: Array) -> State:
        """See `zoo.decoding.Decoder`."""
        return self.network.reorder(state, self._tensor(index))

    def join(self, states: Sequence[State]) -> State:
        """See `zoo.decoding.Decoder`."""
        return tuple(torch.cat(parts) for parts in zip(*states, strict=True))

    def part(self, state: State, name: str) -> Array:
        """See `zoo.decoding.Decoder`."""
        names = self.network.state_names
        check_choice("state", name, names)
        return array(state[names.index(name)])

    def unseen(self, state: State) -> Array:
        """See `zoo.decoding.Decoder`."""
        if not isinstance(self.network, AttentionDecoder):
            raise ValueError("coverage: it needs a model with attention")
        return array(self.network.unseen(state))

    def _tensor(self, values: Array) -> Tensor:
        found = torch.from_numpy(values)
        return found if self.device.type == "cpu" else found.to(self.device)


def array(tensor: Tensor) -> Array:
    """Returns numbers as an array, float32."""
    return tensor.detach().float().cpu().numpy()

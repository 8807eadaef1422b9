"""Decoding: pure functions over a step function, the same for language models and decoders.

Legend: B batch, V vocabulary. A step function maps ids (B,) and a state to logits (B, V) and the
new state; `CharNet.step` is one.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.nn import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]


def greedy(step: Step, ids: Tensor, state: State, length: int, end: int | None = None) -> Tensor:
    """Feeds the most likely symbol back, step by step.

    Args:
        step: The model's step function.
        ids: The symbols to begin with (B,), int64; they are not part of the result.
        state: The state before them.
        length: The most symbols to decode.
        end: The symbol that ends a sequence; None decodes `length` symbols. It stops as soon as
            every row has ended; what a row holds after its first `end` has no meaning.

    Returns:
        Decoded ids (B, n), n <= length.
    """
    return _decode(step, ids, state, length, end, lambda logits: logits.argmax(-1))


def sample(
    step: Step,
    ids: Tensor,
    state: State,
    length: int,
    end: int | None = None,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draws each symbol from softmax(logits / temperature), and feeds it back.

    Args:
        step: The model's step function.
        ids: The symbols to begin with (B,), int64; they are not part of the result.
        state: The state before them.
        length: The most symbols to decode.
        end: As in `greedy`.
        temperature: Above 1 bolder, below 1 more careful; must be above 0.
        generator: The source of randomness; None is torch's own.

    Returns:
        Decoded ids (B, n), n <= length.

    Raises:
        ValueError: If the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}, expected above 0")

    def draw(logits: Tensor) -> Tensor:
        chances = torch.softmax(logits.float() / temperature, -1)
        return torch.multinomial(chances, 1, generator=generator).squeeze(-1)

    return _decode(step, ids, state, length, end, draw)


@torch.no_grad()
def _decode(
    step: Step, ids: Tensor, state: State, length: int, end: int | None, choose: Callable[[Tensor], Tensor]
) -> Tensor:
    decoded: list[Tensor] = []
    ended = torch.zeros_like(ids, dtype=torch.bool)
    while len(decoded) < length and not (end is not None and bool(ended.all())):
        logits, state = step(ids, state)
        ids = choose(logits)
        decoded.append(ids)
        ended = ended | (ids == end) if end is not None else ended
    return torch.stack(decoded, 1) if decoded else ids.new_empty((len(ids), 0))

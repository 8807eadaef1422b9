import pytest
import torch

from zoo.decoding import greedy, sample
from zoo.nn import State

LOGITS = torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])


def chain(ids: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
    """A Markov chain: 0 -> 1 -> 2 -> 0 are the most likely steps."""
    return LOGITS[ids], state


def test_greedy_feeds_back_the_most_likely_symbol() -> None:
    assert greedy(chain, torch.tensor([0, 1]), (), 4).tolist() == [[1, 2, 0, 1], [2, 0, 1, 2]]


def test_decoding_stops_when_every_row_has_ended() -> None:
    assert greedy(chain, torch.tensor([1, 0]), (), 9, end=2).tolist() == [[2, 0], [1, 2]]
    assert greedy(chain, torch.tensor([1]), (), 0).shape == (1, 0)


def test_sampled_frequencies_agree_with_the_softmax() -> None:
    draws = sample(chain, torch.zeros(20_000, dtype=torch.long), (), 1, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(draws.flatten(), minlength=3) / 20_000
    torch.testing.assert_close(shares, LOGITS[0].softmax(-1), rtol=0, atol=0.01)


def test_a_cold_sample_is_greedy_and_a_temperature_of_zero_is_refused() -> None:
    start = torch.tensor([0, 1])
    assert torch.equal(sample(chain, start, (), 4, temperature=0.01), greedy(chain, start, (), 4))
    with pytest.raises(ValueError, match="temperature"):
        sample(chain, start, (), 4, temperature=0.0)

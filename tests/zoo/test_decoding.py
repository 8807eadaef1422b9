"""Decoding, on Markov chains whose every probability is known, and on a small LSTM."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

import zoo
from zoo.decoding import GREEDY, Array, Decoded, Sampling, beam_search, collect, stream
from zoo.models.decoders import NetworkDecoder, array
from zoo.nn import CharNet

pytestmark = pytest.mark.short

LOGITS = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]], dtype=np.float32)
CHI_SQUARE_2_DF = 13.8  # exceeded once in a thousand tries


class Chain:
    """A Markov chain: 0 -> 1 -> 2 -> 0 are the most likely steps. It has no state."""

    def __call__(self, ids: Array, state: object) -> tuple[Array, object]:
        return LOGITS[ids], state

    def select(self, state: object, index: Array) -> object:
        return state

    reorder = select

    def unseen(self, state: object) -> Array:
        raise ValueError("no attention")


chain = Chain()


def after(net: CharNet, prompts: object, lengths: object = None) -> tuple[Array, object]:
    """Logits and state after some prompts (B, T)."""
    logits, state = net.read(torch.as_tensor(prompts), lengths)  # type: ignore[arg-type]
    return array(logits), state


def run(first: list[int], length: int | list[int], sampling: Sampling = GREEDY, **options: object) -> list[list[int]]:
    """Decodes with the chain, after the symbols `first`."""
    return [row.ids for row in collect(stream(chain, LOGITS[first], (), length, sampling, **options))]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def net() -> CharNet:
    torch.manual_seed(0)
    net = CharNet(5, embedding_dim=None, head_dropout=0.0, init="torch", hidden_size=8, num_layers=2, cell="lstm")
    net.head[1].weight.data *= 8  # so that its choices differ
    return net.eval()


def test_greedy_feeds_back_the_most_likely_symbol() -> None:
    assert run([0, 1], 4) == [[1, 2, 0, 1], [2, 0, 1, 2]]


def test_each_row_has_its_own_length() -> None:
    assert run([1, 0], 9, end=2) == [[2], [1, 2]]
    assert run([0, 0], [1, 3]) == [[1], [1, 2, 0]]
    assert run([0, 1, 2], 9, stop=[[2, 0]]) == [[1, 2, 0], [2, 0], [0, 1, 2, 0]]


def test_log_probabilities_are_the_models_own() -> None:
    sampling = Sampling(temperature=0.5, top_k=1, repetition_penalty=3.0, forbidden=[1])
    (row,) = collect(stream(chain, LOGITS[[0]], (), 1, sampling))
    assert row.ids == [2]
    assert row.log_probs == pytest.approx([torch.tensor(LOGITS[0]).log_softmax(-1)[2].item()])


def chi_square(counts: Array, chances: Array) -> float:
    expected = chances * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


# The notebook's three logits, and its scale_factor, which is 1 / temperature.
NOTEBOOK = np.array([1.0, 1.0, 3.0], dtype=np.float32)
SCALED = {1.0: (0.107, 0.107, 0.787), 0.5: (0.212, 0.212, 0.576), 0.1: (0.310, 0.310, 0.379)}


@pytest.mark.parametrize("scale_factor", SCALED)
def test_sampled_frequencies_agree_with_the_softmax(scale_factor: float) -> None:
    logits = np.tile(NOTEBOOK, (20_000, 1))
    (symbols,) = stream(chain, logits, (), 1, Sampling(temperature=1 / scale_factor), seed=0)
    chances = torch.tensor(NOTEBOOK * scale_factor).softmax(-1).numpy()
    assert chances.tolist() == pytest.approx(SCALED[scale_factor], abs=1e-3)
    assert chi_square(np.bincount(symbols.ids, minlength=3), chances) < CHI_SQUARE_2_DF


FILTERS = {
    "top_k": (Sampling(top_k=2), [1, 3]),
    "top_p below the first": (Sampling(top_p=0.3), [3]),
    "top_p": (Sampling(top_p=0.7), [1, 3]),
    "top_p of all": (Sampling(top_p=1.0), [0, 1, 2, 3]),
    "forbidden": (Sampling(forbidden=[3, 0]), [1, 2]),
    "allowed": (Sampling(allowed=[0, 2], forbidden=[0]), [2]),
}


@pytest.mark.parametrize("name", FILTERS)
def test_only_what_the_filters_leave_is_drawn(name: str) -> None:
    sampling, left = FILTERS[name]
    logits = np.tile(np.log([0.15, 0.25, 0.1, 0.5]), (4000, 1))
    (symbols,) = stream(chain, logits, (), 1, sampling)
    assert sorted(set(symbols.ids.tolist())) == left


def test_repeated_symbols_are_penalised() -> None:
    assert run([0], 1, Sampling(temperature=0.0, repetition_penalty=4.0)) == [[1]]
    seen = np.array([[False, True, False]])
    assert run([0], 1, Sampling(temperature=0.0, repetition_penalty=4.0), seen=seen) == [[2]]


def test_a_seed_gives_the_same_rows_in_any_batch(net: CharNet) -> None:
    def rows(count: int, seed: int = 5) -> list[list[int]]:
        symbols = stream(NetworkDecoder(net), *after(net, [[0, 3, 1]] * count), 30, Sampling(), seed=seed)
        return [row.ids for row in collect(symbols)]

    four = rows(4)
    assert rows(4) == four
    assert rows(1) == four[:1]
    assert rows(9)[:4] == four
    assert len({tuple(row) for row in [*four, *rows(4, seed=6)]}) == 8


OPTIONS: dict[str, tuple[object, ...]] = {
    "top_k": (None, 4, 100),
    "top_p": (None, 1e-9, 0.7),
    "repetition_penalty": (1.0, 1.7, 0.6),
    "allowed": (None, [1, 2, 3, 5, 8, 13]),
    "forbidden": ((), [0, 2, 5]),
}


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 0.6, 2.0])
def test_a_row_alone_comes_out_as_in_a_batch_with_all_options(temperature: float) -> None:
    table = torch.randn(15, 15, generator=torch.Generator().manual_seed(3)).numpy() * 3
    table[:, 7] = table[:, 6]  # two that are equally likely
    seen = np.zeros((3, 15), dtype=bool)
    seen[:, [1, 4]] = True

    def decode(rows: int, sampling: Sampling) -> list[Decoded]:
        first, length = table[[2] * rows], [15, 7, 10][:rows]
        symbols = stream(lambda ids, state: (table[ids], state), first, (), length, sampling, seed=9, seen=seen[:rows])
        return collect(symbols)

    for values in itertools.product(*OPTIONS.values()):
        sampling = Sampling(temperature, **dict(zip(OPTIONS, values, strict=True)))  # type: ignore[arg-type]
        alone, among = decode(1, sampling)[0], decode(3, sampling)[0]
        assert alone.ids == among.ids, sampling
        assert alone.log_probs == pytest.approx(among.log_probs, abs=1e-6)


@pytest.mark.parametrize("stop", [[], [[1]], [[3, 1], [2, 0, 2]]])
@pytest.mark.parametrize("end", [None, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_row_alone_ends_where_it_does_in_a_batch(
    net: CharNet, end: int | None, stop: list[list[int]], seed: int
) -> None:
    def decode(rows: int) -> list[Decoded]:
        logits, state = after(net, [[0, 3, 1]] * rows)
        return collect(stream(NetworkDecoder(net), logits, state, 30, Sampling(), seed=seed, end=end, stop=stop))

    alone, among = decode(1)[0], decode(3)[0]
    assert alone.ids == among.ids
    ends = [
        i for i in range(1, 31) if alone.ids[i - 1 : i] == [end] or any(alone.ids[:i][-len(s) :] == s for s in stop)
    ]
    assert len(alone.ids) == min([*ends, 30])


def test_draws_invert_the_cumulative_distribution_at_numpys_numbers() -> None:
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([[0.125, 0.0, 0.375, 0.5]], dtype=np.float32))
    (row,) = collect(stream(lambda ids, _: (logits, ()), logits, (), 600, Sampling(), seed=4))
    uniform = np.random.default_rng([4, 0]).random(600)
    assert row.ids == [0 if u < 0.125 else 2 if u < 0.5 else 3 for u in uniform]


def test_logits_that_are_not_numbers_choose_a_symbol_alone_as_in_a_batch() -> None:
    broken = np.full((2, 4), math.nan)
    for sampling in (GREEDY, Sampling(), Sampling(top_k=2), Sampling(top_p=0.5)):
        ids = [next(stream(chain, logits, (), 1, sampling, seed=0)).ids[0] for logits in (broken[:1], broken)]
        assert ids == [0, 0]


GOLDEN = {  # of the shipped model, before single rows were chosen in NumPy
    (("temperature", 0),): " looked at the jury-box, and said the mock turtle.",
    (("temperature", 0.7), ("seed", 1)): " soon get in an off converst on igs from the choki",
    (("top_k", 5), ("seed", 3)): " had no very clear nginat her first round it meati",
    (("temperature", 1.3), ("top_p", 0.9), ("seed", 4)): " looked at the jury-box, and said the king, glaved",
    (("repetition_penalty", 1.3), ("seed", 5)): " soon begwandnting, and used foor-thing at project",
}


@pytest.mark.parametrize("options", GOLDEN)
def test_a_seed_keeps_its_text(options: tuple[tuple[str, float], ...]) -> None:
    assert zoo.load("char_lm_lstm.alice").generate("alice", 50, **dict(options)) == GOLDEN[options]


def test_a_batch_decodes_as_its_rows_do_alone(net: CharNet) -> None:
    prompts = [[1, 2, 3, 0], [4], [0, 0]]
    padded = [row + [0] * (4 - len(row)) for row in prompts]
    together = collect(stream(NetworkDecoder(net), *after(net, padded, torch.tensor([4, 1, 2])), 20))
    for prompt, row in zip(prompts, together, strict=True):
        (alone,) = collect(stream(NetworkDecoder(net), *after(net, [prompt]), 20))
        assert alone.ids == row.ids
        assert alone.log_probs == pytest.approx(row.log_probs, abs=1e-5)


def test_one_beam_is_greedy(net: CharNet) -> None:
    prompts = torch.randint(5, (8, 3), generator=torch.Generator().manual_seed(1))
    greedy = collect(stream(NetworkDecoder(net), *after(net, prompts), 12, end=2))
    for penalty in ("none", "average", "wu"):
        found = beam_search(NetworkDecoder(net), *after(net, prompts), 12, 1, end=2, length_penalty=penalty)
        for (hypothesis,), row in zip(found, greedy, strict=True):
            assert hypothesis.ids == row.ids
            assert hypothesis.log_prob == pytest.approx(sum(row.log_probs), abs=1e-4)


PENALTIES: dict[str, Callable[[int], float]] = {
    "none": lambda n: 1.0,
    "average": lambda n: n,
    "wu": lambda n: ((5 + n) / 6) ** 0.6,
}


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_beam_as_wide_as_the_tree_is_exhaustive(net: CharNet, penalty: str) -> None:
    prompt, end, length = [0, 1], 3, 3
    every = []
    for n in range(1, length + 1):
        for ids in itertools.product(range(5), repeat=n):
            if end not in ids[:-1] and (ids[-1] == end or n == length):
                log_probs = net(torch.tensor([[*prompt, *ids]]))[0][0].detach().log_softmax(-1)
                total = sum(float(log_probs[1 + i, symbol]) for i, symbol in enumerate(ids))
                every.append((total / PENALTIES[penalty](n), list(ids)))
    every.sort(reverse=True)
    logits, state = after(net, [prompt])
    (found,) = beam_search(NetworkDecoder(net), logits, state, length, 5**length, end=end, length_penalty=penalty)
    assert [hypothesis.ids for hypothesis in found] == [ids for _, ids in every]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in every], abs=1e-5)


def test_beams_of_a_batch_are_those_of_its_rows(net: CharNet) -> None:
    prompts = torch.tensor([[0, 1], [4, 4], [2, 0]])
    together = beam_search(NetworkDecoder(net), *after(net, prompts), 6, 3, end=2)
    for row in range(3):
        (alone,) = beam_search(NetworkDecoder(net), *after(net, prompts[row : row + 1]), 6, 3, end=2)
        assert [h.ids for h in alone] == [h.ids for h in together[row]]
        assert [h.score for h in alone] == sorted((h.score for h in alone), reverse=True)


def test_beams_leave_forbidden_symbols_out(net: CharNet) -> None:
    (found,) = beam_search(NetworkDecoder(net), *after(net, [[0]]), 3, 200, sampling=Sampling(forbidden=[1, 4]))
    assert {symbol for hypothesis in found for symbol in hypothesis.ids} == {0, 2, 3}
    assert len(found) == 3**3


def test_gradients_are_off_in_here_and_nowhere_else() -> None:
    symbols = zoo.load("char_lm_lstm.alice").stream("alice", 3)
    next(symbols), next(symbols)
    assert torch.is_grad_enabled()


def test_a_coverage_penalty_needs_attention(net: CharNet) -> None:
    with pytest.raises(ValueError, match="coverage: it needs a model with attention"):
        beam_search(NetworkDecoder(net), *after(net, [[0]]), 3, 2, coverage=0.5)


BAD = {
    "temperature: got -1": lambda: Sampling(temperature=-1),
    "temperature: got nan": lambda: Sampling(temperature=math.nan),
    "top_k: got 0": lambda: Sampling(top_k=0),
    "top_p: got 0": lambda: Sampling(top_p=0.0),
    "top_p: got 1.5": lambda: Sampling(top_p=1.5),
    "repetition_penalty: got 0": lambda: Sampling(repetition_penalty=0.0),
    "length: got 0": lambda: run([0], 0),
    "seed: got -1": lambda: run([0], 1, seed=-1),
    "stop: got an empty sequence": lambda: run([0], 1, stop=[[]]),
    "no symbol is left": lambda: run([0], 1, Sampling(forbidden=[0, 1, 2])),
    "beam: got 0": lambda: beam_search(chain, LOGITS[[0]], (), 3, 0),
    "beam: got 100000, expected at most": lambda: beam_search(chain, LOGITS[[0]], (), 3, 100_000),
    "length_penalty: got 'wuu'": lambda: beam_search(chain, LOGITS[[0]], (), 3, 1, length_penalty="wuu"),  # type: ignore[arg-type]
    "alpha: got -1": lambda: beam_search(chain, LOGITS[[0]], (), 3, 1, alpha=-1),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments_are_named(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BAD[message]()

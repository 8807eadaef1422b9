import pickle

import numpy as np
import pytest
import torch
from torch import nn

from zoo import reference
from zoo.nn import CELLS, CharNet, Recurrent, initialize

B, T, D, H = 3, 7, 4, 5
EXACT = {torch.float64: 1e-12, torch.float32: 1e-6}
every_cell = pytest.mark.parametrize("cell", CELLS)


def close(a: torch.Tensor, b: torch.Tensor, atol: float) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


@every_cell
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_fused_stack_equals_the_textbook(cell: str, num_layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    stack = Recurrent(D, H, num_layers=num_layers, cell=cell, bidirectional=bidirectional).double()
    x = torch.randn(B, T, D, dtype=torch.float64)
    state = tuple(torch.randn_like(s) for s in stack.init_state(B))
    outputs, last = stack(x, state)
    parts = range(num_layers * stack.num_directions)
    weights = [reference.Weights(*(w.detach().numpy() for w in stack.weights(part))) for part in parts]
    for row in range(B):
        states = [tuple(s[part, row].numpy() for s in state) for part in parts]
        expected, expected_last = reference.run_stack(cell, x[row].numpy(), states, weights, bidirectional)
        np.testing.assert_allclose(outputs[row].detach(), expected, rtol=0, atol=1e-10)
        for part in parts:
            for got, want in zip(last, expected_last[part], strict=True):
                np.testing.assert_allclose(got[part, row].detach(), want, rtol=0, atol=1e-10)


@every_cell
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("dtype", EXACT)
def test_whole_equals_stepwise_equals_split(cell: str, num_layers: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    stack = Recurrent(D, H, num_layers=num_layers, cell=cell, dropout=0.5 if num_layers > 1 else 0.0).to(dtype).eval()
    x = torch.randn(B, T, D, dtype=dtype)
    whole, last = stack(x)
    first, state = stack(x[:, :3])
    second, split_last = stack(x[:, 3:], state)
    close(torch.cat([first, second], 1), whole, EXACT[dtype])
    state = stack.init_state(B)
    steps = []
    for t in range(T):
        y, state = stack.step(x[:, t], state)
        steps.append(y)
    close(torch.stack(steps, 1), whole, EXACT[dtype])
    for a, b, c in zip(last, split_last, state, strict=True):
        close(b, a, EXACT[dtype])
        close(c, a, EXACT[dtype])


@every_cell
def test_the_contract_holds_in_bfloat16_autocast(cell: str) -> None:
    torch.manual_seed(0)
    stack = Recurrent(D, H, cell=cell).eval()
    x = torch.randn(B, T, D)
    with torch.autocast("cpu", torch.bfloat16):
        whole, _ = stack(x)
        first, state = stack(x[:, :3])
        second, _ = stack(x[:, 3:], state)
        state, steps = stack.init_state(B), []
        for t in range(T):
            y, state = stack.step(x[:, t], state)
            steps.append(y)
    close(torch.cat([first, second], 1).float(), whole.float(), 0.02)
    close(torch.stack(steps, 1).float(), whole.float(), 0.02)


@every_cell
def test_padding_changes_neither_outputs_nor_state(cell: str) -> None:
    torch.manual_seed(0)
    stack = Recurrent(D, H, cell=cell, bidirectional=True).double()
    x = torch.randn(B, T, D, dtype=torch.float64)
    lengths = torch.tensor([7, 2, 4])
    outputs, last = stack(x, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, alone_last = stack(x[row : row + 1, :length])
        close(outputs[row, :length], alone[0], 1e-12)
        assert not outputs[row, length:].any()
        for got, want in zip(last, alone_last, strict=True):
            close(got[:, row], want[:, 0], 1e-12)


@every_cell
def test_later_inputs_never_change_earlier_outputs(cell: str) -> None:
    stack = Recurrent(D, H, num_layers=2, cell=cell)
    x = torch.randn(1, T, D)
    changed = x.clone()
    changed[:, 4:] += 1
    assert torch.equal(stack(x)[0][:, :4], stack(changed)[0][:, :4])


def test_state_rows_can_be_selected_reset_and_detached() -> None:
    stack = Recurrent(D, H, cell="lstm")
    _, state = stack(torch.randn(B, T, D))
    h, c = stack.select(state, torch.tensor([2, 0, 2]))
    assert torch.equal(h[:, 0], state[0][:, 2])
    assert torch.equal(c[:, 1], state[1][:, 0])
    h, _ = stack.reset(state, torch.tensor([False, True, False]))
    assert not h[:, 1].any()
    assert torch.equal(h[:, 2], state[0][:, 2])
    assert not any(s.requires_grad for s in stack.detach(state))


def test_a_stack_can_be_pickled() -> None:
    stack = pickle.loads(pickle.dumps(Recurrent(D, H)))
    assert stack.cell is CELLS["lstm"]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_shapes_and_counts_of_the_notebooks() -> None:
    outputs, _ = Recurrent(4, 8, cell="rnn")(torch.zeros(1, 10, 4))
    assert outputs[0].shape == (10, 8)
    x = torch.zeros(1, 10, 5)
    outputs, (h,) = Recurrent(5, 8, cell="rnn")(x)
    assert (outputs.shape, h.shape) == ((1, 10, 8), (1, 1, 8))
    two_layers = Recurrent(5, 8, num_layers=2, cell="rnn")
    assert two_layers(x)[1][0].shape == (2, 1, 8)
    outputs, (h,) = Recurrent(5, 8, num_layers=2, cell="rnn", bidirectional=True)(x)
    assert (outputs.shape, h.shape) == ((1, 10, 16), (4, 1, 8))

    # torch.nn has two biases where Keras has one.
    assert count(Recurrent(10, 3, cell="rnn")) == 45
    assert count(Recurrent(10, 3, cell="rnn")) - 3 == 42
    assert count(two_layers) - 2 * 8 == 112 + 136

    net = CharNet(70, embedding_dim=256, head_dropout=0.0, init="torch", hidden_size=512, num_layers=1, cell="lstm")
    assert count(net.input) == 17_920
    assert count(net.recurrent) - 4 * 512 == 1_574_912
    assert count(net.head) == 35_910


def test_keras_initialisation_is_glorot_orthogonal_and_zero_but_for_the_forget_gate() -> None:
    torch.manual_seed(0)
    stack = Recurrent(40, 32, num_layers=2, cell="lstm", init="keras")
    for layer, width in enumerate((40, 32)):
        w = stack.weights(layer)
        limit = (6 / (width + 4 * 32)) ** 0.5
        assert 0.95 * limit < w.ih.abs().max() <= limit
        close(w.hh.T @ w.hh, torch.eye(32), 1e-5)
        assert w.b_ih.tolist() == [0.0] * 32 + [1.0] * 32 + [0.0] * 64
        assert not w.b_hh.any()


def test_bad_arguments_are_named() -> None:
    for options, message in [
        ({"hidden_size": -1}, "hidden_size: got -1"),
        ({"num_layers": 0}, "num_layers: got 0"),
        ({"cell": "lstn"}, "cell: got 'lstn', expected one of rnn, rnn_relu, lstm, gru"),
        ({"dropout": 1.0}, "dropout: got 1.0"),
        ({"dropout": 0.5}, "dropout: got 0.5 with one layer"),
    ]:
        with pytest.raises(ValueError, match=message):
            Recurrent(4, **{"hidden_size": 8, **options})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="init: got 'kears'"):
        initialize(nn.Linear(1, 1), "kears")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bidirectional"):
        Recurrent(4, 8, bidirectional=True).step(torch.zeros(1, 4), ())

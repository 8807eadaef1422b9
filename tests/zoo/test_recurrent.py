"""What a stack does with any cell: its options, states, sizes and errors. What each cell does is in test_cells.py."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo import reference
from zoo.nn import CELLS, CharNet, Recurrent, diagonal, initialize
from zoo.nn.engines import chunked
from zoo.nn.engines.diagonal import scan
from zoo.nn.layer import run_steps
from zoo.nn.stack import GatedMLP

B, T, D, H = 3, 7, 4, 6


def close(a: Tensor, b: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize("cell", reference.STEPS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_fused_stack_equals_the_textbook(cell: str, num_layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    stack = Recurrent(D, H, num_layers=num_layers, cell=cell, bidirectional=bidirectional).double()
    x = torch.randn(B, T, D, dtype=torch.float64)
    state = tuple(torch.randn_like(s) for s in stack.init_state(B))
    outputs, last = stack(x, state)
    parts, size = range(num_layers * (1 + bidirectional)), CELLS[cell].num_states  # type: ignore[attr-defined]
    weights = [reference.Weights(*(w.detach().numpy() for w in stack.layers.weights(part))) for part in parts]
    for row in range(B):
        states = [tuple(s[row].numpy() for s in state[part * size : (part + 1) * size]) for part in parts]
        expected, expected_last = reference.run_stack(cell, x[row].numpy(), states, weights, bidirectional)
        np.testing.assert_allclose(outputs[row].detach(), expected, rtol=0, atol=1e-10)
        for got, want in zip(last, (one for part in expected_last for one in part), strict=True):
            np.testing.assert_allclose(got[row].detach(), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", reference.STEPS)
def test_both_implementations_of_the_classics_agree(cell: str) -> None:
    torch.manual_seed(0)
    fused, layered = Recurrent(D, H, cell=cell).double(), Recurrent(D, H, cell=cell, zoneout=1e-300).double().eval()
    own = layered.layers.layers[0].state_dict()
    layered.layers.layers[0].load_state_dict({name: fused.state_dict()[f"layers.{name}_l0"] for name in own})
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    close(layered(x)[0], fused(x)[0])
    grads = [torch.autograd.grad(stack(x)[0].cos().sum(), x)[0] for stack in (fused, layered)]
    close(*grads)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_a_scan_equals_the_loop(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    a, b = (torch.randn(B, 13, H, dtype=dtype, requires_grad=True) for _ in range(2))
    h = torch.randn(B, H, dtype=dtype, requires_grad=True)
    loop, fast = diagonal(a, b, h), scan(a, b, h)
    close(fast, loop, 1e-9)
    grad = torch.randn_like(loop)
    for one, other in zip(*(torch.autograd.grad(y, (a, b, h), grad) for y in (loop, fast)), strict=True):
        close(one, other, 1e-9)
    torch.autograd.gradcheck(diagonal, (a, b, h), fast_mode=True)


# -- options


def stacked(cell: str = "lstm", **options: Any) -> tuple[Recurrent, Tensor]:
    torch.manual_seed(0)
    return Recurrent(D, H, cell=cell, **options).double(), torch.randn(B, T, D, dtype=torch.float64)


def test_variational_dropout_has_one_mask_for_all_steps() -> None:
    stack, _ = stacked("rnn", variational_dropout=0.5)
    ones = torch.ones(B, T, D, dtype=torch.float64)
    seen: list[Tensor] = []
    stack.layers.layers[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    stack(ones)
    (given,) = seen
    assert set(given.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(given, given[:, :1].expand_as(given))
    stack.eval()(ones)
    assert torch.equal(seen[1], ones)


@pytest.mark.parametrize("cell", ["gru", "mgu"])  # fused, and not
def test_weight_drop_drops_recurrent_weights_alone_and_the_same_at_all_steps(cell: str) -> None:
    stack, x = stacked(cell, weight_drop=0.5)
    (weight,) = (weight for name, weight in stack.named_parameters() if "weight_hh" in name)
    torch.manual_seed(1)
    outputs, _ = stack(x)
    outputs.sum().backward()
    assert weight.grad is not None
    torch.manual_seed(1)
    dropped = nn.functional.dropout(weight, 0.5)
    assert 0.3 < (dropped == 0).double().mean() < 0.7
    assert torch.equal(dropped == 0, weight.grad == 0)
    with torch.no_grad():
        weight.copy_(dropped)
    stack.eval()
    close(stack(x)[0], outputs)


@pytest.mark.parametrize("cell", ["lstm", "min_gru"])
def test_zoneout_keeps_numbers_of_the_state(cell: str) -> None:
    stack, x = stacked(cell, zoneout=0.4)
    outputs, _ = stack(x)
    kept = (outputs[:, 1:] == outputs[:, :-1]).double().mean()
    assert 0.2 < kept < 0.6
    stack.eval()
    layer = stack.layers.layers[0]
    state = layer.init_state(B)
    for t in range(T):
        _, new = layer.step(x[:, t], state)
        state = tuple(0.4 * old + 0.6 * one for old, one in zip(state, new, strict=True))
        close(stack(x)[0][:, t], state[0])


def test_a_block_is_the_layer_between_a_norm_and_a_sum_and_then_an_mlp() -> None:
    stack, x = stacked("gru", residual=True, norm="layer", mlp=True)
    (block,) = stack.layers.blocks
    inputs = stack.layers.entry(x)  # 4 features are mapped to 6
    y, _ = run_steps(block.directions[0], block.norm(inputs), stack.init_state(B))
    y = inputs + y
    y = y + block.mlp(block.mlp_norm(y))
    close(stack(x)[0], stack.layers.exit(y))
    mlp = GatedMLP(2)
    gate, values = (torch.ones(1, 2) @ mlp.inner.weight.T + mlp.inner.bias).chunk(2, -1)
    close(mlp(torch.ones(1, 2)), mlp.outer(nn.functional.gelu(gate) * values), 1e-6)


def test_a_convolution_lets_a_layer_see_its_last_inputs() -> None:
    stack, x = stacked("gru", residual=True, convolution=3)
    (block,) = stack.layers.blocks
    inputs = stack.layers.entry(x)
    earlier = torch.randn(B, 2, H, dtype=torch.float64)  # what the state has of the inputs before
    state = (torch.randn(B, H, dtype=torch.float64), earlier)
    given = nn.functional.pad(inputs, (0, 0, 2, 0))
    given[:, :2] = earlier
    filters = block.convolutions[0].weight.flip(0).T[:, None]  # the latest input last, as PyTorch's
    seen = nn.functional.conv1d(given.mT, filters, block.convolutions[0].bias, groups=H).mT
    y, _ = run_steps(block.directions[0], seen, state[:1])
    outputs, last = stack(x, state)
    close(outputs, inputs + y)
    close(last[1], inputs[:, -2:])


def test_a_learned_state_is_where_sequences_begin() -> None:
    stack, x = stacked(learn_state=True)
    with torch.no_grad():
        for one in stack.first_state:
            one.normal_()
    given = tuple(one.expand(B, H) for one in stack.first_state)
    close(stack(x)[0], stack(x, given)[0])
    stack(x)[0].sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in stack.first_state)
    _, state = stack(x)
    again = stack.reset(state, torch.tensor([True, False, True]))
    assert torch.equal(again[0][0], stack.first_state[0])
    assert torch.equal(again[1][1], state[1][1])


def test_tied_weights_are_one_tensor_also_after_saving(tmp_path: Any) -> None:
    import zoo

    options: dict[str, Any] = {"vocab": ["a", "b"], "hidden_size": 6, "embedding_dim": 6, "tie_weights": True}
    model = zoo.create("char_lm_gru", **options)
    assert model.network.head[1].weight is model.network.input.weight
    model.save_pretrained(tmp_path / "bundle")
    loaded = zoo.load(tmp_path / "bundle")
    assert loaded.network.head[1].weight is loaded.network.input.weight
    assert torch.equal(loaded.network.input.weight, model.network.input.weight)
    with pytest.raises(ValueError, match="tie_weights: it needs an embedding_dim of 6"):
        zoo.create("char_lm_gru", **{**options, "embedding_dim": 5})


# -- states and sizes


def test_state_rows_can_be_selected_reset_and_detached() -> None:
    stack = Recurrent(D, H, cell="lstm")
    _, state = stack(torch.randn(B, T, D))
    h, c = stack.select(state, torch.tensor([2, 0, 2]))
    assert torch.equal(h[0], state[0][2])
    assert torch.equal(c[1], state[1][0])
    h, _ = stack.reset(state, torch.tensor([False, True, False]))
    assert not h[1].any()
    assert torch.equal(h[2], state[0][2])
    assert not any(s.requires_grad for s in stack.detach(state))


def test_a_stack_can_be_pickled() -> None:
    for options in ({}, {"cell": "slstm", "residual": True}):
        stack = Recurrent(D, H, **options)  # type: ignore[arg-type]
        again = pickle.loads(pickle.dumps(stack))
        x = torch.randn(B, T, D)
        assert torch.equal(stack(x)[0], again(x)[0])


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_shapes_and_counts_of_the_notebooks() -> None:
    outputs, _ = Recurrent(4, 8, cell="rnn")(torch.zeros(1, 10, 4))
    assert outputs[0].shape == (10, 8)
    x = torch.zeros(1, 10, 5)
    outputs, (h,) = Recurrent(5, 8, cell="rnn")(x)
    assert (outputs.shape, h.shape) == ((1, 10, 8), (1, 8))
    two_layers = Recurrent(5, 8, num_layers=2, cell="rnn")
    assert [one.shape for one in two_layers(x)[1]] == [(1, 8)] * 2
    outputs, state = Recurrent(5, 8, num_layers=2, cell="rnn", bidirectional=True)(x)
    assert (outputs.shape, len(state)) == ((1, 10, 16), 4)

    # torch.nn has two biases where Keras has one.
    assert count(Recurrent(10, 3, cell="rnn")) == 45
    assert count(Recurrent(10, 3, cell="rnn")) - 3 == 42
    assert count(two_layers) - 2 * 8 == 112 + 136

    net = CharNet(70, embedding_dim=256, head_dropout=0.0, init="torch", hidden_size=512, num_layers=1, cell="lstm")
    assert count(net.input) == 17_920
    assert count(net.recurrent) - 4 * 512 == 1_574_912
    assert count(net.head) == 35_910


@pytest.mark.parametrize("options", [{}, {"zoneout": 0.1}])
def test_keras_initialisation_is_glorot_orthogonal_and_zero_but_for_the_forget_gate(options: dict) -> None:
    torch.manual_seed(0)
    stack = Recurrent(40, 32, num_layers=2, cell="lstm", init="keras", **options)
    for layer, width in enumerate((40, 32)):
        if options:
            one = stack.layers.layers[layer]
            ih, hh, b_ih, b_hh = one.weight_ih, one.weight_hh, one.bias_ih, one.bias_hh
        else:
            ih, hh, b_ih, b_hh = stack.layers.weights(layer)
        limit = (6 / (width + 4 * 32)) ** 0.5
        assert 0.95 * limit < ih.abs().max() <= limit
        close(hh.T @ hh, torch.eye(32), 1e-5)
        assert b_ih.tolist() == [0.0] * 32 + [1.0] * 32 + [0.0] * 64
        assert not b_hh.any()


def test_keras_initialisation_is_by_head_and_keeps_the_biases_of_a_cells_paper() -> None:
    layer = Recurrent(40, 32, cell={"name": "slstm", "heads": 4}, init="keras").layers.layers[0]
    for head in layer.weight_hh:
        close(head.T @ head, torch.eye(8), 1e-5)
    assert layer.bias_ih.view(4, 32).bool().any(1).tolist() == [False, True, False, False]
    close(layer.bias_ih[32:64], torch.linspace(3, 6, 32), 1e-5)
    assert not Recurrent(40, 32, cell="min_gru", init="keras").layers.layers[0].linear.bias.any()
    assert set(Recurrent(40, 32, cell="rhn", init="keras").layers.layers[0].bias[1].tolist()) == {0.0, -2.0}


# -- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": -1}, "hidden_size: got -1"),
        ({"num_layers": 0}, "num_layers: got 0"),
        ({"cell": "lstn"}, "cell: got 'lstn', expected one of rnn, lstm, gru, .*; did you mean lstm?"),
        ({"cell": {"name": "slstm", "head": 2}}, "cell: slstm has no option 'head'; it has heads; did you mean heads?"),
        ({"cell": {"name": "gru", "heads": 2}}, "cell: gru has no option 'heads'; it has none"),
        ({"cell": {"name": "slstm", "heads": "2"}}, "cell: slstm: heads: got '2', expected int, for example 1"),
        ({"cell": {"name": "slstm", "heads": 3}}, "heads: got 3, expected a divisor of the hidden_size, 8"),
        ({"cell": {"heads": 3}}, "cell: got {'heads': 3}, expected a name"),
        ({"dropout": 1.0}, "dropout: got 1.0"),
        ({"zoneout": -0.1}, "zoneout: got -0.1, expected a probability"),
        ({"weight_drop": 1.5}, "weight_drop: got 1.5"),
        ({"variational_dropout": 2.0}, "variational_dropout: got 2.0"),
        ({"dropout": 0.5}, "dropout: got 0.5 with one layer"),
        ({"cell": "min_gru", "weight_drop": 0.5}, "weight_drop: min_gru has no recurrent matrix"),
        ({"cell": "lru", "zoneout": 0.5}, "zoneout: lru does not support it"),
        ({"cell": "slstm", "zoneout": 0.5}, "zoneout: slstm does not support it"),
        ({"norm": "batch"}, "norm: got 'batch', expected one of none, layer, rms"),
        ({"mlp": True}, "mlp: it needs residual: true"),
        ({"convolution": 4}, "convolution: it needs residual: true"),
        ({"convolution": 1, "residual": True}, "convolution: got 1, expected 0 or from 2 to 64"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", "\\?")):
        Recurrent(4, **{"hidden_size": 8, **options})


@pytest.mark.parametrize("cell", ["delta_net", "mlstm"])
@pytest.mark.parametrize("lengths", [None, torch.tensor([10, 4, 1])])
def test_chunks_are_the_steps(cell: str, lengths: torch.Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK", 4)
    layer = CELLS[cell](4, 6, heads=2).double()  # type: ignore[call-arg]
    x, state = torch.randn(3, 10, 4).double(), tuple(torch.randn_like(one) for one in layer.init_state(3))
    whole, steps = layer(x, state, lengths), run_steps(layer, x, state, lengths)
    close(whole[0], steps[0])
    for one, other in zip(whole[1], steps[1], strict=True):
        close(one, other)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_norms_take_the_types_of_mixed_precision(norm: str) -> None:
    stack = Recurrent(4, 8, num_layers=2, cell="min_gru", residual=True, norm=norm, mlp=True)  # type: ignore[arg-type]
    x = torch.randn(2, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = stack(x)
    close(outputs.float(), stack(x)[0], 0.1)


def test_wrong_states_and_steps_are_named() -> None:
    with pytest.raises(ValueError, match="got sequences of 0 steps"):
        Recurrent(4, 8)(torch.zeros(2, 0, 4))
    with pytest.raises(ValueError, match="init: got 'kears'"):
        initialize(nn.Linear(1, 1), "kears")
    with pytest.raises(ValueError, match="bidirectional"):
        Recurrent(4, 8, bidirectional=True).step(torch.zeros(1, 4), ())
    x = torch.zeros(2, 3, 4)
    _, state = Recurrent(4, 8, cell="gru")(x)
    with pytest.raises(ValueError, match=r"state: got \(2, 8\); lstm needs \(2, 8\), \(2, 8\)"):
        Recurrent(4, 8, cell="lstm")(x, state)
    with pytest.raises(ValueError, match=r"state: got \(2, 8\); gru needs \(2, 7\)"):
        Recurrent(4, 7, cell="gru")(x, state)

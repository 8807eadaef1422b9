"""What every registered cell guarantees, also those of other packages.

A cell of another package is tested by `CELLS` having it: import the package in a conftest.py.
"""

import copy
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import zoo
from zoo.decoding import GREEDY, stream
from zoo.models.decoders import NetworkDecoder
from zoo.nn import CELLS, CharNet, Recurrent, State

B, T, D, H = 3, 7, 4, 8
EXACT = {torch.float64: 1e-12, torch.float32: 2e-5}
every_cell = pytest.mark.parametrize("cell", CELLS)
BLOCK: dict[str, Any] = {"num_layers": 2, "residual": True, "norm": "rms", "mlp": True, "convolution": 3}
SHAPES: dict[str, dict[str, Any]] = {"one layer": {}, "two layers": {"num_layers": 2}, "blocks": BLOCK}


def close(a: Tensor, b: Tensor, atol: float) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def made(cell: str, dtype: torch.dtype = torch.float64, **options: Any) -> tuple[Recurrent, Tensor, State]:
    """A stack in evaluation mode, inputs, and a first state that a sequence has led to."""
    torch.manual_seed(0)
    stack = Recurrent(D, H, cell=cell, **options).to(dtype).eval()
    _, state = stack(torch.randn(B, T, D, dtype=dtype))
    return stack, torch.randn(B, T, D, dtype=dtype), stack.detach(state)


@every_cell
def test_it_equals_its_equations(cell: str) -> None:
    kind = CELLS[cell]
    if kind.reference is None:
        pytest.skip(f"{cell} has no reference")
    torch.manual_seed(0)
    layer = kind(D, H).double().eval()  # type: ignore[call-arg]
    _, state = layer(torch.randn(B, T, D, dtype=torch.float64), layer.init_state(B))
    x = torch.randn(B, T, D, dtype=torch.float64)
    outputs, last = layer(x, state)
    weights = {name: weight.numpy() for name, weight in layer.state_dict().items()}
    for row in range(B):
        expected = tuple(part[row].detach().numpy() for part in state)
        for t in range(T):
            y, expected = kind.reference(weights, x[row, t].numpy(), expected)
            np.testing.assert_allclose(outputs[row, t].detach(), y, rtol=0, atol=1e-10)
        for got, want in zip(last, expected, strict=True):
            np.testing.assert_allclose(got[row].detach(), want, rtol=0, atol=1e-10)


@every_cell
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", EXACT)
def test_whole_equals_stepwise_equals_split(cell: str, shape: str, dtype: torch.dtype) -> None:
    stack, x, first = made(cell, dtype, **SHAPES[shape])
    whole, last = stack(x, first)
    parts, state = [], first
    for part in (x[:, :3], x[:, 3:]):
        y, state = stack(part, state)
        parts.append(y)
    close(torch.cat(parts, 1), whole, EXACT[dtype])
    ends = [state]
    for step, inputs in ((stack.step, x), (stack.stepper(), stack.project(x))):
        state, steps = first, []
        for t in range(T):
            y, state = step(inputs[:, t], state)
            steps.append(y)
        close(torch.stack(steps, 1), whole, EXACT[dtype])
        ends.append(state)
    for end in ends:
        for got, want in zip(end, last, strict=True):
            close(got, want, EXACT[dtype])


@every_cell
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_neither_outputs_nor_state(cell: str, shape: str, bidirectional: bool) -> None:
    stack, x, first = made(cell, bidirectional=bidirectional, **SHAPES[shape])
    lengths = torch.tensor([7, 2, 4])
    outputs, last = stack(x, first, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, alone_last = stack(x[row : row + 1, :length], stack.select(first, torch.tensor([row])))
        close(outputs[row, :length], alone[0], 1e-12)
        assert not outputs[row, length:].any()
        for got, want in zip(last, alone_last, strict=True):
            close(got[row], want[0], 1e-12)
    close(stack.last(outputs, lengths)[1], stack.last(alone_of(stack, x, first, 1, 2))[0], 1e-12)


def alone_of(stack: Recurrent, x: Tensor, state: State, row: int, length: int) -> Tensor:
    return stack(x[row : row + 1, :length], stack.select(state, torch.tensor([row])))[0]


@every_cell
def test_later_inputs_never_change_earlier_outputs(cell: str) -> None:
    stack, x, first = made(cell, torch.float32, **BLOCK)
    changed = x.clone()
    changed[:, 4:] += 1
    assert torch.equal(stack(x, first)[0][:, :4], stack(changed, first)[0][:, :4])
    assert not torch.equal(stack(x, first)[0][:, 4:], stack(changed, first)[0][:, 4:])


@every_cell
@pytest.mark.parametrize("options", [{}, {"residual": True, "bidirectional": True}])
def test_the_weights_of_an_input_are_found(cell: str, options: dict[str, bool]) -> None:
    """Also where one input more would need one weight less."""
    torch.manual_seed(0)
    inputs = Recurrent(D, H, cell=cell, **options).output_size - 1  # type: ignore[arg-type]
    stack = Recurrent(inputs, H, cell=cell, num_layers=2, **options).eval()  # type: ignore[arg-type]
    x = torch.randn(B, T, inputs)
    changed = x.clone()
    changed[..., 1] += 1
    weights = stack.state_dict()
    for name, axis in stack.input_axes().items():
        weights[name].select(axis, 1).zero_()
    assert torch.equal(stack(x)[0], stack(changed)[0])


@every_cell
@pytest.mark.parametrize("shape", ["one layer", "blocks"])
def test_its_gradients_are_right(cell: str, shape: str) -> None:
    stack, x, first = made(cell, **SHAPES[shape])
    lengths = torch.tensor([7, 2, 4])

    def loss(x: Tensor, *given: Tensor) -> Tensor:
        outputs, last = stack(x, given[: len(first)], lengths)
        factors = torch.arange(outputs.numel(), dtype=outputs.dtype).view_as(outputs).cos()
        return (outputs * factors).sum() + sum((one * one).sum() for one in last)

    weights = list(stack.parameters())
    states = [one.clone().requires_grad_() for one in first]
    torch.autograd.gradcheck(loss, [x.requires_grad_(), *states, *weights], fast_mode=True, atol=1e-4)
    stack(x, first)[0].sum().backward()
    assert [name for name, weight in stack.named_parameters() if weight.grad is None] == []


@every_cell
def test_the_contract_holds_in_bfloat16(cell: str) -> None:
    stack, x, first = made(cell, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        whole, _ = stack(x, first)
        state, steps = first, []
        for t in range(T):
            y, state = stack.step(x[:, t], state)
            steps.append(y)
    close(torch.stack(steps, 1).float(), whole.float(), 0.05)
    exact, _ = stack(x, first)
    close(whole.float(), exact, 0.1)
    outputs, last = stack.bfloat16()(x.bfloat16())
    assert {outputs.dtype, *(one.dtype for one in last)} == {torch.bfloat16}
    assert outputs.isfinite().all()


@every_cell
def test_it_learns_a_batch_by_heart(cell: str) -> None:
    """Which of six sequences it is. In the blocks that some cells are made for."""
    torch.manual_seed(0)
    x, targets = torch.randn(6, 4, D), torch.arange(6)
    stack = Recurrent(D, 16, cell=cell, residual=True, norm="layer")
    head = nn.Linear(stack.output_size, 6)
    weights = [*stack.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, 0.03)
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(stack(x)[0][:, -1]), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    assert loss < 0.1


@every_cell
def test_generation_equals_the_whole_sequence(cell: str) -> None:
    torch.manual_seed(0)
    net = CharNet(9, embedding_dim=None, head_dropout=0.0, init="torch", hidden_size=H, num_layers=2, cell=cell).eval()
    ids = torch.randint(9, (2, 5))
    with torch.no_grad():
        logits, state = net.read(ids)
        symbols = stream(NetworkDecoder(net), logits.numpy(), state, 6, GREEDY)
        drawn = torch.tensor(np.stack([one.ids for one in symbols], 1))
        expected = net(torch.cat([ids, drawn], 1))[0][:, 4:-1].argmax(-1)
    assert torch.equal(drawn, expected)


@pytest.mark.slow
@every_cell
def test_a_run_that_stopped_ends_like_one_that_did_not(cell: str, zoo_command: Callable) -> None:
    """Checkpoint, resume and bundle, bit by bit. A process that is killed leaves the same checkpoint."""
    options = ["--model.cell", cell, "--model.hidden_size", "8", "--config", "apple_rnn", "--model.embedding_dim", "4"]
    options += ["--trainer.enable_progress_bar", "false"]
    for folder, more in (("whole", ["4"]), ("parts", ["2"]), ("parts", ["4", "--resume", "--override"])):
        result = zoo_command("fit", *options, "--run_dir", folder, "--trainer.max_epochs", *more)
        assert result.code == 0, result.err
    saved = [torch.load(f"{folder}/checkpoints/last.ckpt", weights_only=True) for folder in ("whole", "parts")]
    for name, weight in saved[0]["state_dict"].items():
        assert torch.equal(weight, saved[1]["state_dict"][name]), name
    zoo.load("whole").save_pretrained(Path("bundle"))
    assert zoo.load("bundle").generate("a", length=5, seed=1) == zoo.load("whole").generate("a", length=5, seed=1)


def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    """The gradients of two processes with half of a batch each are those of one, for every cell."""
    mp.spawn(_rank, (free_port(), list(CELLS)), nprocs=2)  # type: ignore[no-untyped-call]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def group(rank: int, port: int) -> Iterator[None]:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    try:
        yield
    finally:
        dist.destroy_process_group()


class Mean(nn.Module):
    """The mean of a stack's outputs, weighted."""

    def __init__(self, stack: Recurrent) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.stack(x)
        return (outputs * torch.arange(outputs.shape[-1], dtype=x.dtype).cos()).mean()


def _rank(rank: int, port: int, cells: list[str]) -> None:
    with group(rank, port):
        for cell in cells:
            torch.manual_seed(0)
            alone = Mean(Recurrent(D, H, cell=cell).double())
            x = torch.randn(4, T, D, dtype=torch.float64)
            together = DistributedDataParallel(copy.deepcopy(alone))
            together(x[rank::2]).backward()
            alone(x).backward()
            for one, other in zip(alone.parameters(), together.parameters(), strict=True):
                assert one.grad is not None
                assert other.grad is not None
                torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)

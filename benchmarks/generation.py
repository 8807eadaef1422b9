"""Characters per second of generation: zoo's step against the ways of the notebooks, and against the bound.

    python benchmarks/generation.py [--repeats 5] [--cells lstm gru rnn] [--streams 1 64]

Four ways to write on, of one model (512 units over an embedding of 256, 70 symbols), greedily, on one thread:

- zoo: `zoo.decoding.stream` with `CharNet.step`, choice of the symbol and log-probabilities included;
- torch: `torch.nn.LSTM` (GRU, RNN) called for one step at a time, the state carried;
- prefix: the notebooks' way: for each character the whole text so far, from nothing; the first 100 characters;
- bound: the recurrent weights times the state alone, which no step can do without.

All run in this process, in turn; a figure is the median of its rounds, a ratio the median of the rounds' ratios.

A second table has single streams and several ways to choose. There a figure is the best of the rounds, a ratio that
of the bests, and the choice is what a character takes beyond the network's step: symbol, draw and log-probability.
Reading the prompt and laying out the weights, once for each text, are left out.
"""

import argparse
import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.decoding import Array, Sampling, Step, stream
from zoo.models.decoders import NetworkDecoder, array
from zoo.nn import CharNet, State

VOCAB, EMBEDDING, HIDDEN = 70, 256, 512
PREFIX = 100  # characters
MODULES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


CHOICES: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "temperature 1, seed": {"temperature": 1.0},
    "top_k 10": {"temperature": 1.0, "top_k": 10},
    "top_p 0.9": {"temperature": 1.0, "top_p": 0.9},
}


def build(cell: str) -> CharNet:
    """The model that all ways share."""
    torch.manual_seed(0)
    sizes = {"hidden_size": HIDDEN, "num_layers": 1, "cell": cell}
    return CharNet(VOCAB, embedding_dim=EMBEDDING, head_dropout=0.0, init="torch", **sizes).eval()


def by_zoo(net: CharNet, streams: int, steps: int) -> list[int]:
    """Writes with zoo; returns the first stream's ids."""
    logits, state = net.read(torch.zeros(streams, 1, dtype=torch.long))
    return choose(NetworkDecoder(net), array(logits), state, steps)


def choose(step: Step, logits: Array, state: State, steps: int, **options: Any) -> list[int]:
    """Writes on, greedily by default, asking for each log-probability; returns the first stream's ids."""
    found = []
    for symbols in stream(step, logits, state, steps, Sampling(**{"temperature": 0.0, **options}), seed=1):
        found.append(symbols.ids.tolist()[0])
        _ = symbols.log_probs
    return found


def step_alone(step: Step, state: State, steps: int) -> None:
    """The network's step of one stream, with nothing chosen."""
    ids = np.zeros(1, dtype=np.int64)
    for _ in range(steps):
        _, state = step(ids, state)


def by_torch(net: CharNet, streams: int, steps: int) -> list[int]:
    """Writes with the module of `torch.nn`, step by step."""
    ids, state, found = torch.zeros(streams, 1, dtype=torch.long), None, []
    for _ in range(steps):
        outputs, state = net.recurrent.layers(net.input(ids), state)
        ids = net.head(outputs).argmax(-1)
        found.append(int(ids[0, 0]))
    return found


def by_prefix(net: CharNet, streams: int, steps: int) -> list[int]:
    """Writes with the module of `torch.nn`, reading the whole text again for each character."""
    ids = torch.zeros(streams, 1, dtype=torch.long)
    for _ in range(steps):
        outputs, _ = net.recurrent.layers(net.input(ids))
        ids = torch.cat([ids, net.head(outputs[:, -1:]).argmax(-1)], 1)
    return ids[0, 1:].tolist()


def bound(net: CharNet, streams: int, steps: int) -> None:
    """The recurrent weights times the state, and nothing else."""
    weights, state = net.recurrent.layers.weights(0).hh, torch.zeros(HIDDEN, streams)
    product: Callable[[], torch.Tensor] = (
        (lambda: torch.mv(weights, state[:, 0])) if streams == 1 else (lambda: torch.mm(weights, state))
    )
    for _ in range(steps):
        product()


WAYS: dict[str, tuple[Callable[[CharNet, int, int], object], int]] = {  # the steps of one round
    "zoo": (by_zoo, 400),
    "torch": (by_torch, 60),
    "prefix": (by_prefix, PREFIX),
    "bound": (bound, 400),
}


def rate(way: str, net: CharNet, streams: int, share: float) -> float:
    """Characters per second of one round."""
    function, steps = WAYS[way]
    steps = max(2, int(steps * share / (1 if streams == 1 else 4))) if way != "prefix" else max(2, int(steps * share))
    began = time.perf_counter()
    function(net, streams, steps)
    return streams * steps / (time.perf_counter() - began)


def print_choices(cell: str, net: CharNet, repeats: int, steps: int) -> None:
    """Prints the second table's rows of one cell."""
    first, state = net.read(torch.zeros(1, 1, dtype=torch.long))
    logits, step = array(first), NetworkDecoder(net)
    ways: dict[str, Callable[[], object]] = {
        name: functools.partial(choose, step, logits, state, steps, **options) for name, options in CHOICES.items()
    }
    ways |= {"step": lambda: step_alone(step, state, steps), "bound": lambda: bound(net, 1, steps)}
    best = dict.fromkeys(ways, math.inf)  # microseconds a character
    for _ in range(repeats):
        for way, function in ways.items():
            began = time.perf_counter()
            function()
            best[way] = min(best[way], (time.perf_counter() - began) / steps * 1e6)
    for name in CHOICES:
        figures = (best[name], best[name] - best["step"], best["step"], best["bound"])
        numbers = " | ".join(f"{figure:.0f}" for figure in figures)
        print(f"| {cell} | 1 | {name} | {numbers} | {best['bound'] / best[name]:.2f} |", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cells", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 64])
    parser.add_argument("--share", type=float, default=1.0, help="of a round's steps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, {HIDDEN} units, one thread, characters per second, medians of {options.repeats}\n"
    )
    names = ("cell", "streams", "zoo", "torch, step by step", "whole prefix", "bound")
    print("| " + " | ".join((*names, *(f"zoo / {way}" for way in ("torch", "prefix", "bound")))) + " |")
    print("|---" * 9 + "|")
    nets = {cell: build(cell) for cell in options.cells}
    for cell, net in nets.items():
        with torch.inference_mode():
            assert by_zoo(net, 1, 20) == by_torch(net, 1, 20)
            assert by_torch(net, 1, 20) == by_prefix(net, 1, 20)
            for streams in options.streams:
                rounds = [
                    {way: rate(way, net, streams, options.share) for way in WAYS} for _ in range(options.repeats + 1)
                ][1:]
                middle = {way: statistics.median(found[way] for found in rounds) for way in WAYS}
                ratios = [
                    statistics.median(found["zoo"] / found[way] for found in rounds)
                    for way in ("torch", "prefix", "bound")
                ]
                figures = " | ".join(f"{middle[way]:,.0f}" for way in WAYS)
                print(
                    f"| {cell} | {streams} | {figures} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |", flush=True
                )
    print(f"\nmicroseconds a character, best of {options.repeats}\n")
    print("| cell | streams | choice of a symbol | zoo | of it the choice | the step | bound | zoo / bound |")
    print("|---" * 8 + "|")
    with torch.inference_mode():
        for cell, net in nets.items():
            print_choices(cell, net, options.repeats, max(2, int(WAYS["zoo"][1] * options.share)))


if __name__ == "__main__":
    main()

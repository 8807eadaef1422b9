"""Pairs per second of an encoder and decoder: each attention against none, in training, greedily and with five beams.

    python benchmarks/translation.py [--repeats 5] [--rows 64] [--steps 20]

All models are LSTMs of 256 units over an embedding of 128, with 64 symbols on both sides, on one thread. Each source
and target has as many symbols as `--steps` says; no end symbol is known, so that all of them are decoded. All run in
this process, in turn; a figure is the median of its rounds, a ratio the median of the rounds' ratios to `none`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, get_args

import torch

from zoo.decoding import beam_search, stream
from zoo.models.decoders import NetworkDecoder
from zoo.nn import AttentionName, EncoderDecoder

SYMBOLS, EMBEDDING, HIDDEN, BEAM = 64, 128, 256, 5


def build(**options: Any) -> EncoderDecoder:
    """A model."""
    torch.manual_seed(0)
    sizes = {"embedding_dim": EMBEDDING, "hidden_size": HIDDEN, "head_dropout": 0.0, "init": "torch"}
    return EncoderDecoder(SYMBOLS, SYMBOLS, reverse_source=False, **sizes, **options)  # type: ignore[arg-type]


def ways(net: EncoderDecoder, rows: int, steps: int) -> dict[str, Callable[[], Any]]:
    """What is measured of a model."""
    source, target = torch.randint(SYMBOLS, (2, rows, steps))
    lengths, decoder = torch.full((rows,), steps), NetworkDecoder(net.decoder)

    def train() -> None:
        net.train()
        net(source, lengths, target).sum().backward()

    def begin() -> tuple[Any, Any]:
        net.eval()
        return decoder(target[:, 0].numpy(), net.start(source, lengths))

    @torch.no_grad()
    def greedy() -> None:
        for _ in stream(decoder, *begin(), steps):
            pass

    @torch.no_grad()
    def beam() -> None:
        beam_search(decoder, *begin(), steps, BEAM)

    return {"trains": train, "greedy": greedy, f"beam {BEAM}": beam}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=64, help="pairs at once")
    parser.add_argument("--steps", type=int, default=20, help="symbols of each source and target")
    given = parser.parse_args()
    torch.set_num_threads(1)
    models = {name: build(attention=name) for name in get_args(AttentionName)}
    models["general, input feeding"] = build(attention="general", input_feeding=True)
    measured = {name: ways(net, given.rows, given.steps) for name, net in models.items()}
    times: dict[str, dict[str, list[float]]] = {name: {way: [] for way in found} for name, found in measured.items()}
    for number in range(given.repeats + 1):
        for name, found in measured.items():
            for way, run in found.items():
                start = time.perf_counter()
                run()
                if number:  # the first round warms up
                    times[name][way].append(time.perf_counter() - start)
    print(f"pairs a second, {given.rows} at once, {given.steps} symbols (ratio to none)")
    print(f"{'':<24}" + "".join(f"{way:>18}" for way in times["none"]))
    for name, found in times.items():
        cells = []
        for way, seconds in found.items():
            ratio = statistics.median(none / own for none, own in zip(times["none"][way], seconds, strict=True))
            cells.append(f"{given.rows / statistics.median(seconds):,.0f} ({ratio:.2f})")
        print(f"{name:<24}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()

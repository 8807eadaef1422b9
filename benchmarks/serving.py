"""Speed of a server that streams many texts at once, against the model's own batched decoder.

    python benchmarks/serving.py [--streams 64] [--length 500] [--repeats 5] [MODEL]

The server runs in a process of its own, with one thread for each operation; this process asks for all streams at once,
by `POST /models/NAME/stream`, and reads them to their end. In between, the batched decoder (`generate_batch`) writes as
many texts in this process. Symbols per second, medians, and the median of the ratios of the rounds. A second table has
what one stream gets, and the time to its first symbol.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from zoo.cli.sources import load

PROMPT, TEMPERATURE = "alice was", 0.7


async def read_stream(port: int, name: str, length: int, seed: int) -> tuple[int, float]:
    """Reads one stream; returns its symbols, and the seconds to the first one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = {"prompt": PROMPT, "length": length, "temperature": TEMPERATURE, "seed": seed}
    body = json.dumps(asked).encode()
    head = f"POST /models/{name}/stream HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    began = time.perf_counter()
    writer.write(head.encode() + body)
    symbols, first = 0, 0.0
    while True:
        line = await reader.readline()
        if line.startswith(b"data: ["):
            first = first or time.perf_counter() - began
            symbols += len(json.loads(line[6:]))
        elif line.startswith((b"event: done", b"event: error")) or not line:
            break
    writer.close()
    assert symbols == length, (symbols, line)
    return symbols, first


async def ask(port: int, name: str, streams: int, length: int) -> tuple[float, float]:
    """Reads many streams at once; returns symbols per second, and the median of the times to a first symbol."""
    began = time.perf_counter()
    found = await asyncio.gather(*(read_stream(port, name, length, seed) for seed in range(streams)))
    return sum(count for count, _ in found) / (time.perf_counter() - began), statistics.median(s for _, s in found)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="char_lm_lstm.alice")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--length", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, name = load(options.model), Path(options.model).name
    command = [sys.executable, "-m", "zoo", "serve", options.model, "--port", "0", "--max_waiting", "4096"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split()[0].rpartition(":")[2])
            rows = []
            for round_number in range(options.repeats + 1):
                served, first = asyncio.run(ask(port, name, options.streams, options.length))
                alone, _ = asyncio.run(ask(port, name, 1, options.length))
                began = time.perf_counter()
                model.generate_batch([PROMPT] * options.streams, options.length, temperature=TEMPERATURE, seed=0)
                direct = options.streams * options.length / (time.perf_counter() - began)
                if round_number:  # the first one warms up
                    rows.append((served, direct, served / direct, first, alone))
        finally:
            server.terminate()
    served, direct, ratio, first, alone = (statistics.median(column) for column in zip(*rows, strict=True))
    spread = [row[2] for row in rows]
    print(
        "| model | streams | served, symbols/s | batched decoder | ratio | its range | first symbol, ms | one stream |"
    )
    print("|---" * 8 + "|")
    print(
        f"| {options.model} | {options.streams} | {served:,.0f} | {direct:,.0f} | {ratio:.2f} | {min(spread):.2f} to "
        f"{max(spread):.2f} | {first * 1000:.0f} | {alone:,.0f} |"
    )


if __name__ == "__main__":
    main()

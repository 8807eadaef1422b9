"""What the framework costs: an epoch through zoo against a hand-written PyTorch loop of the same model.

    python benchmarks/training_loop.py [--repeats 5] [--recipes alice grimm mnist]

Both sides run in this process, in turn, on one thread, over the same number of batches of the same data. The ratio is
the median of the pairs' ratios. The hand-written loop is what a person would write with `torch.nn` alone: tensors in
memory, `torch.randperm`, `nn.LSTM`, cross entropy, Adam; it counts nothing and logs nothing. zoo's side is
`Trainer.fit` with its datamodule, its task and all the task's training metrics.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from datamodules import Gutenberg, MNISTRows, SequenceData
from zoo import CharLM, SeqClassifier, Task

WHOLE = {"val_fraction": 0.0, "test_fraction": 0.0}
CLEAN = {"strip_lines": True, "lowercase": True, "ascii_only": True, "join_lines": True}


class HandWritten(nn.Module):
    """The recipes' models in plain `torch.nn`."""

    def __init__(self, vocab: int | None, embedding: int | None, rnn: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.vocab, self.rnn = vocab, rnn
        self.embedding = nn.Embedding(vocab, embedding) if vocab and embedding else None
        self.head = nn.Linear(rnn.hidden_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps symbols (B, T) to logits (B, T, V), or pixels (B, T, D) to logits (B, C)."""
        if self.vocab is None:
            return self.head(self.rnn(x)[0][:, -1])
        x = one_hot(x, self.vocab).float() if self.embedding is None else self.embedding(x)
        return self.head(self.rnn(x)[0])


def alice() -> tuple[Task, SequenceData, HandWritten]:
    """Two LSTMs of 256 units over one-hot characters."""
    model = HandWritten(55, None, nn.LSTM(55, 256, 2, batch_first=True), 55)
    return CharLM(num_layers=2, hidden_size=256), Gutenberg([11], seq_len=60, batch_size=32, **CLEAN, **WHOLE), model


def grimm() -> tuple[Task, SequenceData, HandWritten]:
    """An LSTM of 512 units over an embedding of 256."""
    marks = {"start_marker": "THE GOOSE-GIRL", "end_marker": "END OF THE PROJECT GUTENBERG"}
    model = HandWritten(70, 256, nn.LSTM(256, 512, batch_first=True), 70)
    task = CharLM(embedding_dim=256, hidden_size=512)
    return task, Gutenberg([11027], seq_len=50, batch_size=64, **marks, **WHOLE), model


def mnist() -> tuple[Task, SequenceData, HandWritten]:
    """A simple RNN of 128 units over 28 rows of 28 pixels."""
    model = HandWritten(None, None, nn.RNN(28, 128, batch_first=True), 10)
    return SeqClassifier(cell="rnn", hidden_size=128), MNISTRows(batch_size=512), model


RECIPES = {"alice": alice, "grimm": grimm, "mnist": mnist}


def hand_written_epoch(model: HandWritten, inputs: Tensor, targets: Tensor, batch_size: int, batches: int) -> None:
    """One epoch as a person would write it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for index in torch.randperm(len(inputs)).split(batch_size)[:batches]:
        x = inputs[index]
        loss = cross_entropy(model(x if x.dtype != torch.uint8 else x / 255).flatten(0, -2), targets[index].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Clock(L.Callback):
    """The time from an epoch's start to its end, its metrics included."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts."""
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops, when the epoch's metrics are known."""
        assert trainer.callback_metrics["train/loss"] > 0
        self.seconds = time.perf_counter() - self.began


def zoo_epoch(task: Task, data: SequenceData, batches: int) -> float:
    """Seconds of one epoch through the Trainer."""
    clock = Clock()
    trainer = L.Trainer(
        max_epochs=1,
        limit_train_batches=batches,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(task, data)
    return clock.seconds


def timed(function: Callable[[], None]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def measure(name: str, repeats: int, limit: int | None) -> Iterator[tuple[float, float]]:
    """Pairs of (zoo's, hand-written) seconds, interleaved; the first of each, which warms up, is left out."""
    for repeat in range(repeats + 1):
        torch.manual_seed(0)
        task, data, model = RECIPES[name]()
        data.prepare_data()
        data.setup()
        inputs, targets, *_ = data.parts["train"].take(torch.arange(len(data.parts["train"])))
        batches = min(len(data.train_dataloader()), limit or 10**9)
        by_zoo = zoo_epoch(task, data, batches)
        assert sum(p.numel() for p in task.parameters()) == sum(p.numel() for p in model.parameters())
        by_hand = timed(
            lambda m=model, i=inputs, t=targets, d=data, b=batches: hand_written_epoch(m, i, t, d.batch_size, b)  # type: ignore[misc]
        )
        if repeat:
            yield by_zoo, by_hand


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each side that count")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--limit", type=int, help="batches of an epoch; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    L.pytorch._logger.setLevel("ERROR")
    print(f"torch {torch.__version__}, lightning {L.__version__}, one thread, medians of {options.repeats}\n")
    print("| recipe | zoo, s | by hand, s | ratio | its range |\n|---|---|---|---|---|")
    for name in options.recipes:
        pairs = list(measure(name, options.repeats, options.limit))
        zoo, hand = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = sorted(a / b for a, b in pairs)
        middle = statistics.median(ratios)
        print(f"| {name} | {zoo:.2f} | {hand:.2f} | {middle:.3f} | {ratios[0]:.3f} to {ratios[-1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()

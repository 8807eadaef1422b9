"""Exported graphs: the same answers without PyTorch or without this package, at any number of rows and steps."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import zoo
from support import ALICE, TOY, fit_apple, needs_alice, refused, run_zoo, tiny
from zoo.graphs import FORMATS, export, quantize, writing
from zoo.nn import Layer, register_cell
from zoo.nn.layer import CELLS

VOCAB = ["<pad>", "<start>", "<end>", *"abc"]
PAIRS = {"source_vocab": VOCAB, "target_vocab": VOCAB}
STACK = {"norm": "rms", "residual": True, "mlp": True, "convolution": 3, "zoneout": 0.1, "learn_state": True}
BOTH = {"bidirectional": True, "bridge": "linear", "reverse_source": True}


SPELLED = {"vocab": VOCAB, "symbols": "words", "letters": ["<pad>", "<unk>", "a"], "spelling_size": 3}
CASES = [
    ("seq2seq_gru", {**PAIRS, **BOTH, "attention": "additive", "embedding_dim": 4, "input_feeding": True}),
    ("char_lm_mgu", {"vocab": VOCAB, "num_layers": 2, **STACK}),
    ("char_lm_lstm", {"vocab": VOCAB, "num_layers": 2}),
    ("seq_classifier_slstm", {"classes": ["x", "y"], "input_size": 3, "bidirectional": True, "pooling": "mean"}),
    ("seq_tagger_gru", {"tags": ["x", "y"], "embedding_dim": 4, **SPELLED}),
    ("seq2seq_lstm", {**PAIRS, "attention": "multi_head", "attention_heads": 2, "copy": True, "embedding_dim": 4}),
    ("regressor_gru", {"input_size": 2, "target_size": 1, "horizon": 3, "normalize": "none", "quantiles": [0.1, 0.5]}),
]


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_graphs_equal_the_model(name: str, options: dict[str, Any], format: str) -> None:
    torch.manual_seed(0)
    model = zoo.create(name, hidden_size=8, **options).eval()
    found = export(model, format)
    assert all(one.difference <= writing.LARGEST for one in found.values())
    for graph, one in zip(model.graphs().values(), found.values(), strict=True):
        difference, _ = writing.compare(one, graph)  # with other numbers
        assert difference <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_be_exported(cell: str, format: str) -> None:
    torch.manual_seed(0)
    found = export(zoo.create(f"char_lm_{cell}", vocab=VOCAB, hidden_size=8).eval(), format)
    assert max(one.difference for one in found.values()) <= writing.LARGEST


def test_a_text_in_pieces_is_the_text_as_a_whole(tmp_path: Path) -> None:
    assert run_zoo("export", ALICE, "-o", tmp_path / "out", "--format", "onnx").returncode == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    graphs = {
        name: onnxruntime.InferenceSession(tmp_path / "out" / one["file"]) for name, one in config["graphs"].items()
    }
    model = zoo.load(ALICE)
    ids = np.array([model.vocab.encode("alice was beginning")])
    names = list(config["graphs"]["step"]["inputs"])[1:]
    state = [np.zeros((1, 256), np.float32)] * len(names)
    given = {"ids": ids, "lengths": np.array([ids.shape[1]]), **dict(zip(names, state, strict=True))}
    whole, *last = graphs["sequence"].run(None, given)
    for t in range(ids.shape[1]):
        logits, *state = graphs["step"].run(None, {"ids": ids[:, t], **dict(zip(names, state, strict=True))})
        np.testing.assert_allclose(logits, whole[:, t], atol=1e-5)
    np.testing.assert_allclose(np.stack(state), np.stack(last), atol=1e-5)
    assert config["arguments"]["vocab"] == list(model.vocab)
    with pytest.raises(ValueError, match="exported graphs, and no bundle; zoo.runtime.load runs them"):
        zoo.load(tmp_path / "out")


ALONE = """\
import sys
sys.modules["zoo"] = None  # an import would be an error
import json, torch
config = json.load(open("out/config.json"))
encode, step = (torch.export.load(f"out/{one['file']}").module() for one in config["graphs"].values())
source, target = config["arguments"]["source_vocab"], config["arguments"]["target_vocab"]
words = ["love", "word"]
state = encode(torch.tensor([[source.index(symbol) for symbol in word] for word in words]), torch.tensor([4, 4]))
ids, texts = torch.tensor([target.index("<start>")] * 2), ["", ""]
for _ in range(3):
    logits, *state = step(ids, *state)
    ids = logits.argmax(-1)
    texts = [text + target[int(number)] for text, number in zip(texts, ids)]
print(*texts)
"""


def test_a_program_runs_without_this_package(tmp_path: Path) -> None:
    writing.write(zoo.load(TOY), tmp_path / "out", "torch")
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["사랑<end>", "단어<end>"]
    with pytest.raises(ValueError, match=r"exported graphs, and no bundle; torch.export.load runs them"):
        zoo.load(tmp_path / "out")


@pytest.mark.parametrize("format", FORMATS)
def test_files_name_no_code_of_the_machine_and_no_unused_weights(format: str) -> None:
    found = export(tiny("seq2seq_gru", **PAIRS), format)
    for one in found.values():
        parts = [one.data]
        if format == "torch":
            archive = zipfile.ZipFile(io.BytesIO(one.data))
            parts = [archive.read(name) for name in archive.namelist()]
            assert sum("/weight_" in name for name in archive.namelist()) <= 7  # four, an embedding and a head
        assert not any(b".py" in part for part in parts)


# -- int8


def test_matrices_are_stored_in_8_bits(tmp_path: Path) -> None:
    done = run_zoo("export", TOY, "-o", tmp_path / "out", "--format", "onnx", "--int8")
    assert "val/exact_match: 1.0000, 1.0000 in float32 (6 pairs)" in done.stdout, done.stderr
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["int8"]["metric"], config["int8"]["int8"]) == ("val/exact_match", 1.0)
    for one in config["graphs"].values():
        assert 1e-4 < one["difference"] < 0.5
        weights = list(initializers(onnx.load(tmp_path / "out" / one["file"]).graph))
        kinds = {weight.data_type for weight in weights if len(weight.dims) == 2}
        assert onnx.TensorProto.INT8 in kinds
        assert kinds <= {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}  # of an embedding


def initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The weights of a graph, and of the bodies of its loops."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from initializers(attribute.g)


@pytest.mark.slow
@needs_alice
def test_an_lstm_is_a_quarter_as_large_and_nearly_as_good(zoo_command: Callable) -> None:
    result = zoo_command("export", "char_lm_lstm.alice_heldout", "-o", "out", "--format", "onnx", "--int8")
    assert result.code == 0, result.err
    scores = json.loads(Path("out/config.json").read_text())["int8"]
    assert scores["float32"] == pytest.approx(2.0145, abs=1e-4)  # the card's
    assert scores["float32"] < scores["int8"] < scores["float32"] + 0.01
    assert scores["items"] == 7020
    small, large = (float(word) for word in result.out.split("int8: ")[1].replace(",", "").split()[0:3:2])
    assert 3.5 < large / small < 4


@pytest.mark.slow
def test_a_run_is_measured_by_the_metric_of_its_best_checkpoint(zoo_command: Callable) -> None:
    fit_apple(zoo_command)
    result = zoo_command("export", "run", "-o", "out", "--format", "onnx", "--int8")
    assert "train/loss: " in result.out
    zoo_command("export", "run", "-o", "bundle")
    result = zoo_command("export", "bundle", "-o", "again", "--format", "onnx", "--int8")
    assert (result.code, result.out.splitlines()[-1]) == (0, "the metric was not measured: its card names no config")


def test_without_data_the_metric_is_not_measured(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.cli.scoring.data.load", _no_data)
    result = zoo_command("export", TOY, "-o", "out", "--format", "onnx", "--int8")
    assert result.out.splitlines()[-1] == "the metric was not measured: no network"
    assert json.loads(Path("out/config.json").read_text())["int8"] == {"not_measured": "no network"}


def _no_data(*_: object) -> None:
    raise OSError("no\nnetwork")


# -- what is refused


def test_options_that_do_not_fit_are_refused(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, message in {
        "--int8": "--int8: it needs --format onnx",
        "--format torch --int8": "--int8: it needs --format onnx",
        "--format torch --half": "--half: it has no effect with --format torch",
        "--format tflite": "invalid choice: 'tflite'",
    }.items():
        refused(zoo_command("export", TOY, "-o", "out", *options.split()), message)
    Path("full").mkdir()
    Path("full/file").touch()
    refused(zoo_command("export", TOY, "-o", "full", "--format", "torch"), "--output: full already exists")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "zoo.graphs.as_onnx", raising=False)
    message = "--format onnx: it needs onnxruntime; pip install 'rnn-zoo[onnx]'"
    refused(zoo_command("export", TOY, "-o", "out", "--format", "onnx"), message)
    assert not Path("out").exists()


class Fixed(Layer):
    """Its step is another one for more rows: in ONNX, the number of rows becomes a constant."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(input_size, hidden_size)
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)

    def step(self, x_t: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, tuple]:
        h = state[0] + self.linear(x_t) * (2 if len(x_t) > 2 else 1)
        return h, (h,)


class Branching(Fixed):
    """Its step depends on the values."""

    def step(self, x_t: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, tuple]:
        h = state[0] + self.linear(x_t) * (2 if bool(x_t.sum() > 2) else 1)
        return h, (h,)


@pytest.mark.parametrize(
    ("cell", "format", "message"),
    [
        (Fixed, "onnx", r"the graph sequence differs from the model by .* with [35] rows of"),
        (Fixed, "torch", "char_lm_bad: the graph sequence can't be exported: "),
        (Branching, "onnx", "char_lm_bad: the graph sequence can't be exported: "),
        (Branching, "torch", "char_lm_bad: the graph sequence can't be exported: "),
    ],
)
def test_a_cell_that_can_not_be_exported_is_refused_by_name(
    cell: type[Layer], format: str, message: str, tmp_path: Path
) -> None:
    register_cell("bad")(type("Bad", (cell,), {}))
    try:
        with pytest.raises(ValueError, match=message):
            writing.write(zoo.create("char_lm_bad", vocab=VOCAB, hidden_size=4), tmp_path / "out", format)
        assert not list(tmp_path.iterdir())
    finally:
        del CELLS["bad"]


def test_what_is_not_finite_in_int8_is_refused() -> None:
    model = tiny()
    graphs = export(model)
    torch.nn.init.constant_(model.network.head[-1].bias, float("nan"))
    with pytest.raises(ValueError, match="char_lm_gru: the graph sequence is not finite in int8"):
        quantize(model, graphs)

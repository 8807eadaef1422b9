"""ONNX graphs of models: the same answers without PyTorch, at any number of rows and steps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import zoo
from support import run_zoo
from zoo.graphs import export, writing
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
@pytest.mark.parametrize(("name", "options"), CASES)
def test_graphs_equal_the_model(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = zoo.create(name, hidden_size=8, **options).eval()
    found = export(model)
    assert all(one.difference <= writing.LARGEST for one in found.values())
    for graph, one in zip(model.graphs().values(), found.values(), strict=True):
        difference, _ = writing.compare(one, graph)  # with other numbers
        assert difference <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_be_exported(cell: str) -> None:
    torch.manual_seed(0)
    found = export(zoo.create(f"char_lm_{cell}", vocab=VOCAB, hidden_size=8).eval())
    assert max(one.difference for one in found.values()) <= writing.LARGEST


def test_a_text_in_pieces_is_the_text_as_a_whole(tmp_path: Path) -> None:
    assert run_zoo("export", "char_lm_lstm.alice", "-o", tmp_path / "out", "--format", "onnx").returncode == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    graphs = {
        name: onnxruntime.InferenceSession(tmp_path / "out" / one["file"]) for name, one in config["graphs"].items()
    }
    model = zoo.load("char_lm_lstm.alice")
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
    with pytest.raises(ValueError, match="exported graphs, and no bundle"):
        zoo.load(tmp_path / "out")


def test_a_graph_that_is_wrong_with_more_rows_is_not_written(tmp_path: Path) -> None:
    @register_cell("fixed_rows")
    class Fixed(Layer):
        def __init__(self, input_size: int, hidden_size: int) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(input_size, hidden_size)
            self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)

        def step(self, x_t: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, tuple]:
            h = state[0] + self.linear(x_t) * (2 if len(x_t) > 2 else 1)  # the number of rows becomes a constant
            return h, (h,)

    try:
        with pytest.raises(ValueError, match=r"the graph sequence differs from the model by .* with [35] rows of"):
            writing.write(zoo.create("char_lm_fixed_rows", vocab=VOCAB, hidden_size=4), tmp_path / "out")
        assert not list(tmp_path.iterdir())
    finally:
        del CELLS["fixed_rows"]

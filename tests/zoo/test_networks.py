import pytest
import torch
from torch.nn.functional import one_hot

from zoo.nn import CELLS, CharNet, ClassifierNet, EncoderDecoder, OneHot

pytestmark = pytest.mark.short

CELL = {"hidden_size": 6, "num_layers": 1, "cell": "gru", "head_dropout": 0.0, "init": "keras"}


def test_one_hot_is_a_lookup_and_has_no_weights() -> None:
    ids = torch.tensor([[2, 0]])
    layer = OneHot(3)
    assert torch.equal(layer(ids), one_hot(ids, 3).float())
    assert not list(layer.parameters())
    assert not layer.state_dict()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("embedding_dim", [None, 4])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_language_model_steps_as_it_runs(cell: str, num_layers: int, embedding_dim: int | None, rows: int) -> None:
    net = CharNet(9, embedding_dim=embedding_dim, **{**CELL, "cell": cell, "num_layers": num_layers}).eval()
    ids = torch.randint(9, (rows, 5))
    logits, last = net(ids)
    for step in (net.step, net.stepper()):
        state = net.recurrent.init_state(rows)
        for t in range(5):
            found, state = step(ids[:, t], state)
            torch.testing.assert_close(found, logits[:, t], rtol=0, atol=1e-4)
        for a, b in zip(state, last, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    after, read = net.read(ids)
    torch.testing.assert_close(after, logits[:, -1], rtol=0, atol=1e-6)
    assert all(map(torch.equal, read, last))


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_never_changes_a_classification(pooling: str, bidirectional: bool) -> None:
    net = ClassifierNet(
        3, input_size=4, vocab_size=None, embedding_dim=None, pooling=pooling, bidirectional=bidirectional, **CELL
    )
    x = torch.randn(2, 6, 4)
    logits = net(x, torch.tensor([6, 3]))
    torch.testing.assert_close(logits[1:], net(x[1:, :3]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("reverse_source", [False, True])
def test_padding_never_changes_what_a_decoder_starts_from(reverse_source: bool) -> None:
    net = EncoderDecoder(5, 6, embedding_dim=None, reverse_source=reverse_source, **CELL)
    source = torch.randint(5, (2, 6))
    _, (h,) = net.encode(source, torch.tensor([6, 3]))
    _, (alone,) = net.encode(source[1:, :3], torch.tensor([3]))
    torch.testing.assert_close(h[1], alone[0], rtol=0, atol=1e-6)


def test_a_reversed_source_is_read_from_its_end() -> None:
    torch.manual_seed(0)
    forward = EncoderDecoder(5, 6, embedding_dim=None, reverse_source=False, **CELL)
    backward = EncoderDecoder(5, 6, embedding_dim=None, reverse_source=True, **CELL)
    backward.load_state_dict(forward.state_dict())
    source, length = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    (h,), (expected,) = backward.encode(source, length)[1], forward.encode(source.flip(1), length)[1]
    assert torch.equal(h, expected)


def test_a_classifier_needs_features_or_symbols() -> None:
    with pytest.raises(ValueError, match="either input_size"):
        ClassifierNet(3, input_size=None, vocab_size=None, embedding_dim=None, pooling="last", **CELL)

"""Decoders that look at the source: their equations, and that decoding is the same with them."""

import itertools
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from datamodules import ToySeq2Seq
from support import run_zoo
from zoo.decoding import beam_search
from zoo.models import Seq2SeqConfig, Seq2SeqModel
from zoo.models.decoders import NetworkDecoder, array
from zoo.nn import CELLS, EncoderDecoder
from zoo.nn.attention import Memory, make_attention

ATTENTIONS = ("additive", "dot", "general", "multi_head")
LENGTHS = torch.tensor([5, 2, 3])
COPIED = [-1, 2, 3, 4, 5, 6]


def made(**options: Any) -> EncoderDecoder:
    """A small model in float64 and evaluation mode."""
    torch.manual_seed(0)
    chosen = {"cell": "gru", "hidden_size": 8, "embedding_dim": 5, "attention": "general", "attention_heads": 2}
    net = EncoderDecoder(6, 7, **{"reverse_source": False, "head_dropout": 0.0, "init": "torch", **chosen, **options})
    return net.double().eval()


def pairs() -> tuple[Tensor, Tensor]:
    """Three sources and what the decoder reads."""
    torch.manual_seed(1)
    return torch.randint(6, (3, 5)), torch.randint(7, (3, 4))


def close(a: Tensor, b: Any, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, torch.as_tensor(b), rtol=0, atol=atol)


def softmax(scores: np.ndarray) -> np.ndarray:
    shifted = np.exp(scores - scores.max())
    return shifted / shifted.sum()


@pytest.mark.parametrize("name", ATTENTIONS)
def test_an_attention_equals_its_equation(name: str) -> None:
    torch.manual_seed(0)
    attention = make_attention(name, 6, 6, heads=2).double()  # type: ignore[arg-type]
    queries, outputs = torch.randn(1, 2, 6).double(), torch.randn(1, 4, 6).double()
    real = torch.tensor([[True, True, True, False]])
    contexts, weights = attention(queries, attention.remember(outputs, real))
    w = {key: value.numpy() for key, value in attention.state_dict().items()}
    entries = outputs[0, :3].numpy()
    for t, q in enumerate(queries[0].numpy()):
        if name == "multi_head":
            query, keys, values = (
                (x @ w[f"{part}.weight"].T + w[f"{part}.bias"]).reshape(-1, 2, 3)
                for x, part in ((q, "query"), (entries, "key"), (entries, "value"))
            )
            each = [softmax(keys[:, j] @ query[0, j] / np.sqrt(3)) for j in range(2)]
            joined = np.concatenate([one @ values[:, j] for j, one in enumerate(each)])
            expected, context = np.mean(each, 0), w["out.weight"] @ joined + w["out.bias"]
        else:
            score = {
                "dot": lambda m, q=q: q @ m,
                "general": lambda m, q=q: q @ w["key.weight"] @ m,
                "additive": lambda m, q=q: (
                    w["score.weight"][0] @ np.tanh(w["query.weight"] @ q + w["key.weight"] @ m + w["key.bias"])
                ),
            }[name]
            expected = softmax(np.array([score(m) for m in entries]))
            context = expected @ entries
        close(weights[0, t], [*expected, 0.0])
        close(contexts[0, t], context)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("copy", [None, COPIED])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_step_by_step_equals_the_whole_pass(
    attention: str, input_feeding: bool, copy: list[int] | None, reverse_source: bool
) -> None:
    check_steps(made(attention=attention, input_feeding=input_feeding, copy=copy, reverse_source=reverse_source))


@pytest.mark.parametrize("cell", CELLS)
def test_any_cell_can_be_on_both_sides(cell: str) -> None:
    check_steps(made(cell=cell, bidirectional=True, bridge="linear", num_layers=2, residual=True, norm="rms"))


def check_steps(net: EncoderDecoder) -> None:
    """Steps, the stepper's and the whole pass agree; padding has no effect; weights are a distribution."""
    source, ids = pairs()
    whole = net(source, LENGTHS, ids)
    for step in (net.decoder.step, net.decoder.stepper()):
        state = net.start(source, LENGTHS)
        with torch.no_grad():
            for t in range(4):
                logits, state = step(ids[:, t], state)
                close(logits, whole[:, t])
    close(net(source[1:2, :2], LENGTHS[1:2], ids[1:2]), whole[1:2])
    weights = net.align(source, LENGTHS, ids)
    close(weights.sum(-1), torch.ones(3, 4).double())
    assert not weights[1, :, 2:].any()


def test_attention_is_on_what_the_layers_say_last_and_feeds_the_next_step() -> None:
    net = made(input_feeding=True)
    decoder, (source, ids) = net.decoder, pairs()
    outputs, (h,) = net.encode(source, LENGTHS)
    real = torch.arange(5) < LENGTHS[:, None]
    vector, memory = torch.zeros(3, 8).double(), decoder.attention.remember(outputs, real)
    expected = []
    for t in range(4):
        output, (h,) = decoder.recurrent.step(torch.cat([decoder.input(ids[:, t]), vector], -1), (h,))
        contexts, _ = decoder.attention(output[:, None], memory)
        vector = decoder.combine(torch.cat([contexts[:, 0], output], -1)).tanh()
        expected.append(decoder.head(vector))
    close(net(source, LENGTHS, ids), torch.stack(expected, 1))


def test_a_bridge_makes_the_first_state_of_both_directions() -> None:
    net = made(cell="lstm", bidirectional=True, bridge="linear", attention="none")
    source, _ = pairs()
    outputs, _ = net.encode(source, LENGTHS)
    last = torch.stack([torch.cat([outputs[i, n - 1, :8], outputs[i, 0, 8:]]) for i, n in enumerate(LENGTHS.tolist())])
    h, c = net.bridge.linear(last).tanh().chunk(2, -1)  # type: ignore[union-attr]
    for found, expected in zip(net.start(source, LENGTHS), (h, c), strict=True):
        close(found, expected)


def test_copying_mixes_the_vocabulary_with_the_source() -> None:
    net = made(copy=COPIED)
    source, ids = pairs()
    source = source.clamp_min(1)  # the first symbol has no target
    probabilities, weights = net(source, LENGTHS, ids).exp(), net.align(source, LENGTHS, ids)
    close(probabilities.sum(-1), torch.ones(3, 4).double())
    plain = made()
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if ".gate." not in name})
    vocabulary = plain(source, LENGTHS, ids).softmax(-1)
    symbols = net.targets_of_source[source]  # type: ignore[index]
    copied = torch.stack([(weights * (symbols == v)[:, None]).sum(-1) for v in range(7)], -1)
    own = (probabilities - copied)[..., 0] / (vocabulary - copied)[..., 0]  # the same for all symbols
    close(own[..., None] * vocabulary + (1 - own[..., None]) * copied, probabilities, 1e-9)
    assert ((own > 0) & (own < 1)).all()


def test_a_copied_unknown_symbol_is_that_of_the_source() -> None:
    torch.manual_seed(0)
    special = ("<pad>", "<start>", "<end>", "<unk>")
    config = Seq2SeqConfig(
        source_vocab=(*special, "my", "name", "is"),
        target_vocab=(*special, "ich", "heiße"),
        source_symbols="words",
        target_symbols="words",
        hidden_size=16,
        embedding_dim=8,
        attention="general",
        copy=True,
        max_length=5,
    )
    model = Seq2SeqModel(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    source, target = torch.tensor([[4, 5, 6, 3]]), torch.tensor([[1, 4, 5, 3, 2]])  # my name is X: ich heiße X
    for _ in range(60):
        logits = model(source, torch.tensor([4]), target[:, :-1])
        loss = nn.functional.cross_entropy(logits.mT, target[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = model.align("my name is Zoo").pop().weights[2]
    assert model.translate(["my name is Zoo"]) == [f"ich heiße {'my name is Zoo'.split()[int(np.argmax(weights))]}"]
    assert model.search("my name is Zoo", beam=2)[0][0].text == model.translate("my name is Zoo")[0]
    assert "<unk>" not in model.infer(["my name is Zoo"])[0]["prediction"]


def test_a_copied_unknown_symbol_is_never_a_known_one() -> None:
    torch.manual_seed(0)
    special = ("<pad>", "<start>", "<end>", "<unk>")
    options: dict[str, Any] = {"hidden_size": 8, "embedding_dim": 4, "attention": "general", "max_length": 3}
    model = Seq2SeqModel(Seq2SeqConfig(source_vocab=(*special, *"ab"), target_vocab=special, copy=True, **options))
    model.network.decoder.head[1].bias.data[special.index("<unk>")] = 50.0
    for text, unknown in (("a?!", "?!"), ("??ab", "?"), ("b!a", "!")):
        (written,) = model.translate([text])
        assert len(written) == 3
        assert set(written) <= set(unknown)


@pytest.mark.parametrize("copy", [False, True])
def test_a_source_that_can_not_be_read_is_named(copy: bool) -> None:
    vocab = ("<pad>", "<start>", "<end>", "a")  # it has no <unk>, so that copying an unknown symbol can't be said
    options: dict[str, Any] = {"hidden_size": 4, "attention": "dot", "copy": copy}
    model = Seq2SeqModel(Seq2SeqConfig(source_vocab=vocab, target_vocab=vocab, **options))
    for text, message in (("", "empty text"), ("ab", "the symbol 'b' at position 1 is not among the 4 symbols")):
        for use in (model.translate, model.search, model.align, model.infer):
            with pytest.raises(ValueError, match=message):
                use(text)
    with pytest.raises(ValueError, match="attention: the model has 'dot', and the task has 'general'"):
        zoo.Seq2Seq(**options | {"attention": "general"}).adopt(model)


@pytest.mark.parametrize("coverage", [0.0, 0.7])
def test_a_beam_as_wide_as_the_tree_is_exhaustive(coverage: float) -> None:
    net = made(input_feeding=True, copy=COPIED)
    source, _ = pairs()
    source, lengths, end, length = source[:1], LENGTHS[:1], 3, 3
    every = []
    for n in range(1, length + 1):
        for ids in itertools.product(range(7), repeat=n):
            if end not in ids[:-1] and (ids[-1] == end or n == length):
                inputs = torch.tensor([[1, *ids[:-1]]])
                log_probs = net(source, lengths, inputs)[0].detach().log_softmax(-1)
                seen = net.align(source, lengths, inputs)[0].detach().sum(0).clamp(1e-4, 1.0)
                total = sum(float(log_probs[i, symbol]) for i, symbol in enumerate(ids))
                every.append((total + coverage * float(seen.log().sum()), list(ids)))
    every.sort(reverse=True)
    logits, state = net.decoder.step(torch.tensor([1]), net.start(source, lengths))
    decoder = NetworkDecoder(net.decoder)
    (found,) = beam_search(decoder, array(logits), state, length, 7**length, end=end, coverage=coverage)
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in every], abs=1e-5)
    assert [hypothesis.ids for hypothesis in found[:20]] == [ids for _, ids in every[:20]]


def test_padding_gets_no_weight_in_half_precision() -> None:
    attention = make_attention("dot", 4, 4, 1)
    outputs, real = torch.randn(2, 3, 4, dtype=torch.bfloat16), torch.tensor([[True, True, True], [True, False, False]])
    contexts, weights = attention(outputs, Memory(outputs, outputs, real))
    assert contexts.dtype == torch.bfloat16
    assert weights[1].tolist() == [[1.0, 0.0, 0.0]] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "adaptive"}, "attention: got 'adaptive', expected one of none, additive"),
        ({"attention": "multi_head", "attention_heads": 3}, "attention_heads: got 3, expected a divisor of 8"),
        ({"attention": "dot", "bidirectional": True, "bridge": "linear"}, "dot needs an encoder and a decoder of one"),
        ({"bidirectional": True}, "bidirectional: it needs a bridge"),
        ({"bridge": "wooden"}, "bridge: got 'wooden'"),
        ({"attention": "none", "input_feeding": True}, "input_feeding: it needs an attention"),
        ({"attention": "none", "copy": COPIED}, "copy: it needs an attention"),
        ({"embedding_dim": None, "input_feeding": True}, "input_feeding: it needs an embedding_dim"),
        ({"weight_drop": 0.5, "input_feeding": True}, "weight_drop: it has one mask for all steps"),
    ],
)
def test_what_does_not_suit_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_scheduled_sampling_does_not_hide_an_option() -> None:
    with pytest.raises(ValueError, match="weight_drop: it has one mask for all steps, and needs a teach"):
        zoo.Seq2Seq(weight_drop=0.5, teacher_forcing=0.5)


def test_the_test_and_predictions_search_with_the_beams_that_are_asked_for(tmp_path: Path) -> None:
    data = ToySeq2Seq("en_ko", predict_inputs=["w", "ord", "wise"], batch_size=2)
    data.setup()
    torch.manual_seed(0)
    task = zoo.Seq2Seq(**data.spec, hidden_size=8, max_length=5, beam=4, length_penalty="average")
    task.configure_model()
    for weight in task.parameters():
        weight.data.mul_(2)  # otherwise all symbols are about as likely
    trainer = L.Trainer(accelerator="cpu", default_root_dir=tmp_path, logger=False, enable_checkpointing=False)
    rows = [row for batch in trainer.predict(task, data) or [] for row in batch]
    found = task.model.search(["w", "ord", "wise"], 4, length_penalty="average")
    assert [row["prediction"] for row in rows] == [several[0].text for several in found]
    assert [row["prediction"] for row in rows] != task.model.translate(["w", "ord", "wise"])
    for options in ({"beam": 0}, {"length_penalty": "long"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            zoo.Seq2Seq(**options)  # type: ignore[arg-type]


def test_a_model_without_attention_has_no_alignment() -> None:
    vocab = ("<pad>", "<start>", "<end>", "a")
    model = Seq2SeqModel(Seq2SeqConfig(source_vocab=vocab, target_vocab=vocab, hidden_size=4))
    with pytest.raises(ValueError, match="attention: none"):
        model.align("a")
    with pytest.raises(ValueError, match="coverage: it needs a model with attention"):
        model.search("a", coverage=0.5)


@pytest.mark.draws
def test_alignments_are_drawn_in_training_and_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--model.attention", "additive", "--model.bidirectional", "true", "--model.bridge", "linear"]
    sizes = ["--model.hidden_size", "8", "--trainer.max_epochs", "2", "--run_dir", "run"]
    assert run_zoo("fit", "--config", "toy_en_ko", *options, *sizes).returncode == 0
    assert (tmp_path / "run" / "alignments.png").stat().st_size > 5_000
    done = run_zoo("infer", "run", "word", "wood", "--alignment", "looks.png")
    assert done.returncode == 0
    assert (tmp_path / "looks.png").stat().st_size > 3_000
    assert run_zoo("infer", "run", "word", "--beam", "3", "--alignment", "b.png").stdout.startswith("word -> ")
    done = run_zoo("infer", "run", "word", "--alignment", "looks.txt")
    assert done.returncode != 0
    assert "--alignment: looks.txt: expected a picture" in done.stderr
    assert (
        "--alignment: it does not work with standard input" in run_zoo("infer", "run", "-", "--alignment", "a").stderr
    )
    done = run_zoo("infer", "seq2seq_rnn.toy_en_ko", "word", "--alignment", "more.png")
    assert "--alignment: seq2seq_rnn has no attention" in done.stderr

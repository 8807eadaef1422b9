"""Exported models without PyTorch: the methods, seeds and answers of `zoo.load`; and sessions, of both."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
import zoo.runtime
from support import ALICE, DIGITS, ROOT, TOY
from zoo.graphs import write
from zoo.methods.base import Methods

pytestmark = pytest.mark.short

VOCAB = ["<pad>", "<start>", "<end>", "<unk>", *"abcdefgh "]
TEXTS = ["abba", "hag fed", "c"]
WINDOW = {"x": [1.0, 2.0, 4.0, 3.0], "y": [0.5, 0.25, 0.125, 0.0]}


def both(name: str, folder: Path, **options: Any) -> tuple[Any, Any]:
    """A model with random weights, and the same exported."""
    torch.manual_seed(0)
    model = zoo.create(name, hidden_size=8, **options).eval()
    for weight in model.network.parameters():
        weight.data *= 2.0  # so that its choices differ
    write(model, folder)
    return model, zoo.runtime.load(folder)


def same(found: Any, expected: Any) -> None:
    """Numbers are nearly equal, all else is equal."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-4)
    else:
        assert found == expected


def test_a_language_model_writes_the_same(tmp_path: Path) -> None:
    model, exported = both("char_lm_gru", tmp_path / "out", vocab=VOCAB, num_layers=2, embedding_dim=4)
    draws: list[dict[str, Any]] = [
        *({"temperature": 0.0}, {"temperature": 0.7, "seed": 1}, {"top_k": 3, "seed": 2, "stop": ["ab"]}),
        {"top_p": 0.6, "repetition_penalty": 1.5, "seed": 3, "forbidden": "a"},
    ]
    for options in draws:
        same(exported.generate_batch([*TEXTS, ""], 20, **options), model.generate_batch([*TEXTS, ""], 20, **options))
        assert list(exported.stream("abba", 20, **options)) == list(model.stream("abba", 20, **options))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["decoding"] == {"blank": 12, "end": 2, "never": [3, 0, 1], "temperature": 1.0, "length": 200}
    same(exported.search("abba", 8, 4, length_penalty="wu"), model.search("abba", 8, 4, length_penalty="wu"))
    same(exported.infer(TEXTS), model.infer(TEXTS))
    prompts = ["abba hag fed " * 50, "c"]  # one is read in two pieces
    same(exported.generate_batch(prompts, 5, seed=1), model.generate_batch(prompts, 5, seed=1))


def test_a_translator_writes_and_looks_the_same(tmp_path: Path) -> None:
    pairs = {"source_vocab": VOCAB, "target_vocab": VOCAB, "embedding_dim": 4, "max_length": 9}
    looks = {"attention": "additive", "input_feeding": True, "copy": True}
    reads = {"bidirectional": True, "bridge": "linear", "reverse_source": True}
    model, exported = both("seq2seq_lstm", tmp_path / "out", **pairs, **looks, **reads)
    same(exported.translate(TEXTS), model.translate(TEXTS))
    same(exported.translate(TEXTS, temperature=1.0, seed=4), model.translate(TEXTS, temperature=1.0, seed=4))
    same(exported.search(TEXTS, 3, coverage=0.5), model.search(TEXTS, 3, coverage=0.5))
    same(exported.align(TEXTS), model.align(TEXTS))
    same(exported.infer(TEXTS), model.infer(TEXTS))


def test_classifiers_taggers_and_regressors_answer_the_same(tmp_path: Path) -> None:
    model, exported = both("seq_classifier_rnn", tmp_path / "a", classes=["x", "y", "z"], vocab=VOCAB, pooling="max")
    same(exported.classify(TEXTS), model.classify(TEXTS))
    table = {"input_size": 2, "input_columns": ["x", "y"], "mean": [1.0, 2.0], "scale": [2.0, 0.5]}
    model, exported = both("seq_classifier_gru", tmp_path / "t", classes=["x", "y"], **table)
    same(exported.classify(WINDOW), model.classify(WINDOW))
    same(exported.session().push(WINDOW), model.session().push(WINDOW))
    words = {"vocab": [*VOCAB, "bad"], "symbols": "words", "letters": ["<pad>", "<unk>", *"abd"], "spelling_size": 3}
    model, exported = both("seq_tagger_gru", tmp_path / "b", tags=["O", "B-x", "I-x"], embedding_dim=4, **words)
    same(exported.tag(["a bad b", "bad"]), model.tag(["a bad b", "bad"]))
    columns: dict[str, Any] = {"input_columns": ["x", "y"], "target_columns": ["y"], "freq": "1 day", "num_steps": 4}
    sizes = {"input_size": 2, "target_size": 1, "horizon": 3, "quantiles": [0.1, 0.5], "calendar": ["weekday"]}
    model, exported = both("regressor_lstm", tmp_path / "c", normalize="instance", **columns, **sizes)
    days = ["2024-02-26", "2024-02-27", "2024-02-28", "2024-02-29"]
    same(exported.forecast(WINDOW, days), model.forecast(WINDOW, days))
    with pytest.raises(ValueError, match="times: this model needs them"):
        exported.forecast(WINDOW)


def test_it_needs_neither_torch_nor_any_package_but_two(tmp_path: Path) -> None:
    write(zoo.load(TOY), tmp_path / "out")
    script = (
        "import sys, zoo.runtime\n"
        f"print(zoo.runtime.load({str(tmp_path / 'out')!r}).translate(['word', 'love']))\n"
        "print({name.partition('.')[0] for name in sys.modules} & {'torch', 'lightning', 'yaml', 'safetensors'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["['단어', '사랑']", "set()"]


def pieces(model: Methods, whole: Any, at: int) -> Any:
    session = model.session()
    session.push(whole[:at])
    return session.push(whole[at:])


SESSIONS: dict[str, dict[str, Any]] = {
    "char_lm_lstm": {"vocab": VOCAB},
    "seq_classifier_gru": {"vocab": VOCAB, "classes": ["x", "y"]},
    "seq_tagger_slstm": {"vocab": VOCAB, "tags": ["x", "y"], "bidirectional": False},
    "regressor_rnn": {"input_size": 1, "target_size": 1, "normalize": "none"},
}


EXPORTED = ("char_lm_lstm", "seq_classifier_gru")  # the others differ in their methods alone


@pytest.mark.parametrize("name", SESSIONS)
def test_an_input_in_pieces_is_the_input_as_a_whole(name: str, tmp_path: Path) -> None:
    whole: Any = [1.0, 3.0, 2.0, 5.0, 4.0] if name.startswith("regressor") else "bad hag"
    torch.manual_seed(0)
    alone = (zoo.create(name, hidden_size=8, **SESSIONS[name]).eval(),)
    for model in both(name, tmp_path / "out", **SESSIONS[name]) if name in EXPORTED else alone:
        expected, found = model.session().push(whole), pieces(model, whole, 3)
        if name.startswith("seq_tagger"):  # of the last piece
            expected = type(expected)(*(part[3:] for part in expected))
        same(found, expected)
        session, other = model.session(), model.session()
        session.push(whole[:3])
        session.save(tmp_path / "state.npz")
        other.restore(tmp_path / "state.npz")
        same(other.push(whole[3:]), found)


def test_a_session_of_a_classifier_answers_as_classify_does() -> None:
    model, rows = zoo.load(DIGITS), np.random.default_rng(0).random((28, 28))
    session = model.session()
    answers = [session.push(row[None]) for row in rows]
    same(answers[-1], model.classify(rows)[0])
    with pytest.raises(ValueError, match="the model reads 28 steps, and 28 were read"):
        session.push(rows[:1])
    with pytest.raises(ValueError, match="session: this seq2seq needs its whole input"):
        zoo.load(TOY).session()


def test_steps_are_those_of_the_input_as_it_is_split() -> None:
    torch.manual_seed(0)
    vocab = [chr(number) for number in range(256)]
    options = {"vocab": vocab, "symbols": "bytes", "classes": ["x", "y"], "hidden_size": 8, "max_length": 5}
    model = zoo.create("seq_classifier_gru", **options).eval()
    steps = model.classify_steps("ée é")
    assert len(steps) == 5  # of 6 bytes
    same(steps[-1], model.classify("ée é")[0])


def test_words_after_an_unknown_one_are_words_of_their_own() -> None:
    torch.manual_seed(0)
    words = {"vocab": ["<unk>", "cat", "dog"], "symbols": "words"}
    model = zoo.create("char_lm_gru", hidden_size=8, **words).eval()
    assert model.generate("zzz", 2, seed=1).startswith(" ")
    assert model.generate("zzz", 2, seed=1, on_unknown="skip").startswith(("cat", "dog"))


def test_bad_states_are_refused(tmp_path: Path) -> None:
    session = zoo.load(ALICE).session()
    session.push("alice")
    session.save(tmp_path / "state.npz")
    torch.manual_seed(0)
    other = zoo.create("char_lm_lstm", vocab=VOCAB, hidden_size=8).eval().session()
    before = other.state
    (tmp_path / "text.npz").write_text("no state")
    for file, message in {"state": "the state of another model", "text": "can't be read", "none": "not found"}.items():
        with pytest.raises(ValueError, match=message):
            other.restore(tmp_path / f"{file}.npz")
    assert other.state is before


def test_bad_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    write(zoo.load(TOY), folder)
    config = json.loads((folder / "config.json").read_text())
    arguments = config["arguments"]

    def refused(message: str, **changes: Any) -> None:
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
        with pytest.raises(ValueError, match=message):
            zoo.runtime.load(folder)

    refused("format_version is 99, but this zoo reads only versions from 1 to", format_version=99)
    refused("reads only versions from 1 to", format_version=0)
    refused("the graph step is missing", graphs={"encode": config["graphs"]["encode"]})
    refused("target_vocab has 3 entries, and the graph step", arguments={**arguments, "target_vocab": VOCAB[:3]})
    renamed = {**config["graphs"]["step"], "inputs": {"x": {"dtype": "int64", "shape": ["rows"]}}}
    refused("its inputs are ids, state_0, not x", graphs={**config["graphs"], "step": renamed})
    refused("a bundle, expected an export; zoo export MODEL", format=None)
    refused("it has no format_version", format_version="1")
    refused("graphs: got 'x', expected dict", graphs="x")
    refused("a painter_rnn, which is none of", name="painter_rnn")
    refused("Seq2SeqConfig has no field 'hiden_size'; did you mean hidden_size", arguments={"hiden_size": 3})
    (folder / "step.onnx").write_bytes(b"x" + (folder / "step.onnx").read_bytes())
    refused("step.onnx: damaged file: SHA-256 is")
    (folder / "step.onnx").unlink()
    refused("step.onnx: can't be read: No such file")
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json: can't be read as JSON"):
        zoo.runtime.load(folder)
    with pytest.raises(ValueError, match=r"not an exported model: config.json not found"):
        zoo.runtime.load(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModuleNotFoundError, match="pip install onnxruntime"):
        zoo.runtime.load(folder)

"""Models are torch modules: what they take and give as tensors, and how they come from a task and go back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from datamodules import NumericSequences, ToySeq2Seq
from support import ALICE, DIGITS, STEPS, TOY, WORDS, tiny
from zoo.models import CharLMConfig, RegressorConfig, RegressorModel


def test_a_model_is_a_part_of_anybodys_module(tmp_path: Path) -> None:
    class Rhyme(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reader = zoo.load(ALICE)
            self.head = nn.Linear(256, 2)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.reader.network.recurrent(self.reader.network.input(ids))[0][:, -1])

    module = Rhyme()
    module(torch.zeros(2, 5, dtype=torch.long)).sum().backward()
    assert all(weight.grad is not None for weight in module.reader.network.recurrent.parameters())
    torch.save(module.state_dict(), tmp_path / "a.pt")
    module.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))


SYMBOLS = {"source_vocab": list("abc"), "target_vocab": ["<pad>", "<start>", "<end>", "x"]}
READERS: dict[str, Callable[[], tuple]] = {
    "char_lm": lambda: (tiny("char_lm_lstm", num_layers=2), ["abc", "a"]),
    "symbols": lambda: (
        tiny("seq_classifier_gru", vocab=list("abc"), classes=["x", "y"], bidirectional=True),
        ["abc", "a"],
    ),
    "tags": lambda: (tiny("seq_tagger_lstm", vocab=list("abc"), tags=["x", "y"]), ["abc", "a"]),
    "seq2seq": lambda: (tiny("seq2seq_rnn", **SYMBOLS), ["abc", "a"]),
    "reversed": lambda: (tiny("seq2seq_lstm", reverse_source=True, **SYMBOLS), ["abc", "a"]),
    "numbers": lambda: (tiny("regressor_gru", input_size=1, target_size=1, normalize="instance"), [[1, 2, 5]] * 2),
}


@pytest.mark.parametrize("kind", READERS)
def test_features_are_the_hidden_states_of_each_input(kind: str) -> None:
    model, values = READERS[kind]()
    outputs, lengths, state = model.features(values)
    directions = 2 if kind in ("symbols", "tags") else 1
    assert outputs.shape == (2, 3, 6 * directions)
    assert lengths.tolist() == [len(value) for value in values]
    for row, length in enumerate(lengths):
        alone = model.features([values[row]])
        torch.testing.assert_close(outputs[row, :length], alone.outputs[0])
        assert not outputs[row, length:].any()
        last = 0 if kind == "reversed" else length - 1  # what the encoder reads at last
        h = state[-len(state) // model.config.num_layers]  # the first tensor of the last layer
        torch.testing.assert_close(outputs[row, last, :6], h[row])


@pytest.mark.parametrize("kind", ["char_lm", "seq2seq", "numbers"])
def test_a_task_around_a_loaded_model_trains_it_in_place(kind: str, trainer: Callable, tmp_path: Path) -> None:
    data = {"seq2seq": ToySeq2Seq, "numbers": lambda: NumericSequences(normalize="instance")}.get(kind)
    if data is None:
        with pytest.raises(ValueError, match="lr: got 0"):
            zoo.Task.from_model(tiny(), lr=0)
        with pytest.raises(ValueError, match="Seq2Seq: expected a Seq2SeqModel, got a CharLMModel"):
            zoo.Seq2Seq.from_model(tiny())
        with pytest.raises(ValueError, match="hidden_size: the model has a value for this; leave it out"):
            zoo.CharLM.from_model(tiny(), hidden_size=3)
        return
    model = zoo.load({"seq2seq": TOY, "numbers": STEPS}[kind])
    before = model.network.state_dict()["decoder.head.1.bias" if kind == "seq2seq" else "head.1.bias"].clone()
    task = zoo.Task.from_model(model, lr=0.5)
    fit = trainer(max_epochs=1)
    fit.fit(task, data())
    assert task.model is model
    after = model.network.state_dict()["decoder.head.1.bias" if kind == "seq2seq" else "head.1.bias"]
    assert not torch.equal(before, after)
    fit.save_checkpoint(tmp_path / "a.ckpt")
    again = zoo.load(tmp_path / "a.ckpt")
    assert again.config == model.config
    assert all(torch.equal(again.state_dict()[name], weight) for name, weight in model.state_dict().items())


def test_a_config_is_frozen_and_says_what_is_wrong_with_a_value() -> None:
    config = CharLMConfig(vocab=["a", "b"], hidden_size=3)
    assert (config.vocab, config.as_dict()["vocab"]) == (("a", "b"), ["a", "b"])
    with pytest.raises(AttributeError):
        config.hidden_size = 4  # type: ignore[misc]
    for wrong, message in (
        ({"hidden_size": True}, "hidden_size: got True, expected int"),
        ({"hiden_size": 3}, "no field 'hiden_size'; did you mean hidden_size"),
        ({"cell": 3}, "cell: got 3"),
        ({"vocab": [1, 2]}, "vocab: got .1, 2., expected tuple.str"),
    ):
        with pytest.raises(ValueError, match=message):
            CharLMConfig.from_dict({"vocab": ["a"], **wrong})


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_model_of_another_dtype_takes_the_same_values(dtype: torch.dtype) -> None:
    digits, steps = zoo.load(DIGITS).to(dtype), zoo.load(STEPS).to(dtype)
    assert len(digits.classify(np.zeros((28, 28)))) == 1
    assert digits.features(np.zeros((28, 28))).outputs.dtype == dtype
    assert steps.predict_values([25, 35, 45])[0] == pytest.approx([55], abs=3)
    assert steps.features([25, 35, 45]).outputs.dtype == dtype


def test_plain_calls_answer_as_they_did() -> None:
    assert zoo.load(WORDS).complete("wor") == ["word"]
    assert zoo.load(STEPS).infer([25, 35, 45])[0]["prediction"] == zoo.load(STEPS).predict_values([25, 35, 45])[0]


# -- the regressor's scaling


def regressor(size: int = 1, scale: float | None = None) -> RegressorModel:
    torch.manual_seed(0)
    return RegressorModel(RegressorConfig(input_size=size, target_size=size, normalize="instance", scale=scale))


def test_an_almost_flat_sequence_is_not_blown_up() -> None:
    task = zoo.Regressor.from_model(regressor(scale=1.0))
    inputs, targets = torch.tensor([[[5.0], [5.0], [5.00001]]]), torch.tensor([[6.0]])
    assert task.score(task.batch_type(inputs, targets), "val").total < 1e6
    assert regressor()(inputs).sub(5).abs().max() < 0.1


def test_each_feature_has_its_own_scale_and_units_do_not_matter() -> None:
    model = regressor(size=2)
    small = torch.tensor([[[1.0, 100.0], [2.0, 300.0], [4.0, 200.0]]])
    units = torch.tensor([1000.0, 0.5])
    torch.testing.assert_close(model(small * units), model(small) * units, rtol=1e-3, atol=0)
    with pytest.raises(ValueError, match="normalize: instance needs one feature, or as many as targets"):
        RegressorConfig(input_size=2, target_size=3, normalize="instance")


# -- predict refuses what infer refuses


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        (STEPS, "[[1, 2, 3, 4, 5]]", "got 5 numbers, expected 3"),
        (WORDS, "[wo]", "got an input of 2 steps, expected 3"),
    ],
)
def test_predict_refuses_what_infer_refuses(name: str, inputs: str, message: str, zoo_command: Callable) -> None:
    result = zoo_command("predict", "--ckpt_path", name, "--data.predict_inputs", inputs)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_predict_and_infer_give_the_same_rows(zoo_command: Callable) -> None:
    predicted = zoo_command("predict", "--ckpt_path", STEPS, "--data.predict_inputs", "[[25, 35, 45]]").out
    ((inferred,),) = [zoo.load(STEPS).infer([25, 35, 45])]
    header, row = predicted.splitlines()
    assert (header, row.split(",")[0]) == ("input,prediction", "25 35 45")
    assert float(row.split(",")[1]) == pytest.approx(inferred["prediction"][0], rel=1e-5)

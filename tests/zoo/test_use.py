"""Models in Python: what plain values they take, what they refuse, and in which mode they are."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from datamodules import ToySeq2Seq
from support import ALICE, DIGITS, STEPS, TOY, WORDS

pytestmark = pytest.mark.short


def test_symbols_stream_as_they_are_written() -> None:
    model = zoo.load(ALICE)
    symbols = model.stream("alice", 50, seed=1)
    first = [next(symbols) for _ in range(10)]
    assert "".join(first) == model.generate("alice", 50, seed=1)[:10]


def test_python_values_of_all_kinds_are_taken() -> None:
    words, digits, steps = zoo.load(WORDS), zoo.load(DIGITS), zoo.load(STEPS)
    assert words.complete("wor") == words.complete(["wor"]) == ["word"]
    (found,) = words.classify("wor")
    assert found.label == "d"
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 13:16] = 255
    kinds = (
        pixels,
        pixels.tolist(),
        pixels / 255,
        pixels[None],
        (pixels / 255).tolist(),
        Image.fromarray(pixels),
        torch.tensor(pixels),
    )
    for value in (*kinds, Image.fromarray(pixels)):
        (same,) = digits.classify(value)
        assert same.label == "1"
        assert same.probability == pytest.approx(digits.classify(pixels)[0].probability, abs=1e-6)
    assert len(digits.classify([Image.fromarray(pixels)] * 3)) == len(digits.classify(np.stack([pixels] * 3))) == 3
    for numbers in ([25, 35, 45], [[25, 35, 45]], np.array([25.0, 35, 45]), torch.tensor([[[25.0], [35], [45]]])):
        assert steps.predict_values(numbers)[0] == pytest.approx([55], abs=0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.load(DIGITS).classify("one"), r"expected numbers of shape \(N, T, 28\)"),
        (lambda: zoo.load(DIGITS).classify(np.zeros((14, 28))), r"got shape \(1, 14, 28\), expected \(N, 28, 28\)"),
        (lambda: zoo.load(DIGITS).classify(np.full((28, 28), np.nan)), "not finite"),
        (lambda: zoo.load(DIGITS).classify(np.full((28, 28), 256)), "got integers from 256 to 256"),
        (lambda: zoo.load(ALICE).generate(["a"]), "expected a text; generate_batch takes several"),
        (lambda: zoo.load(ALICE).generate_batch("ab"), "expected a list of texts"),
        (lambda: zoo.load(ALICE).generate_batch(["a", "b"], [1, 2, 3]), "length: got 3 lengths, expected one, or 2"),
        (lambda: zoo.load(STEPS).predict_values([3e38, -3e38, 3e38]), "the prediction is not finite"),
        (lambda: zoo.load(DIGITS).complete("wor"), "this model reads features; use classify"),
        (lambda: zoo.load(WORDS).classify(3), "expected a text, or a list of texts"),
        (lambda: zoo.load(WORDS).classify([3]), "got 3, expected a text"),
        (lambda: zoo.load(TOY).translate([]), "got \\[\\], expected a text"),
        (lambda: zoo.load(TOY).search("love", beam=0), "beam: got 0"),
        (lambda: zoo.load(STEPS).predict_values([[1, 2, 3], [4]]), "in sequences of the same length"),
        (lambda: zoo.load(STEPS).predict_values([]), "got no numbers"),
    ],
)
def test_python_values_of_other_kinds_are_refused(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_translations_can_be_searched_and_drawn() -> None:
    model = zoo.load(TOY)
    best = model.search("love", beam=4)[0]
    assert best[0].text == "사랑"
    assert len(best) == 4
    assert all("어" not in found.text for found in model.search("word", forbidden="어")[0])
    assert model.translate("lo?ve", on_unknown="skip") == ["사랑"]
    drawn = {model.translate("girl", temperature=5.0, seed=seed)[0] for seed in range(9)}
    assert len(drawn) > 3


def test_writing_leaves_a_model_in_the_mode_that_it_was_in() -> None:
    model = zoo.load(ALICE)
    model.train()
    model.network.head.eval()
    text = model.stream("a", 3)
    next(text)
    assert [model.training, model.network.head.training] == [True, False]
    assert len(model.generate("a", 3)) == 3
    assert [model.training, model.network.head.training] == [True, False]


def test_a_loaded_model_is_trained_in_training_mode(trainer: Callable) -> None:
    model = zoo.load(TOY)
    task = zoo.Seq2Seq.from_model(model, lr=0.001)
    modes: list[bool] = []
    model.network.register_forward_hook(lambda network, *_: modes.append(network.training))
    trainer(max_epochs=1, limit_val_batches=0).fit(task, ToySeq2Seq())
    assert modes == [True]
    assert model.about == {}  # what the card said is true no longer

from typing import Any

import pytest
import torch

import datamodules as data
from datamodules.numbers.synthetic import Generated
from zoo.batch import IGNORE

SMALL: dict[str, Any] = {"num_train": 300, "num_val": 20, "num_test": 200}
TASKS: dict[str, type[Generated]] = {
    "adding": data.AddingProblem,
    "copy": data.SelectiveCopy,
    "parity": data.Parity,
    "permutations": data.PermutationProduct,
}


def made(name: str, **options: Any) -> Any:
    found = TASKS[name](**SMALL, **options)  # type: ignore[arg-type]
    found.setup()
    return found


def test_adding_marks_a_number_in_each_half() -> None:
    found = made("adding", steps=11)
    numbers, marks = found.rows("train").inputs.unbind(-1)
    assert (marks[:, :5].sum(1) == 1).all()
    assert (marks[:, 5:].sum(1) == 1).all()
    torch.testing.assert_close(found.rows("train").targets[:, 0], (numbers * marks).sum(1))
    assert made("adding").baselines("test")["mean"]["mse"] == pytest.approx(1 / 6, abs=0.03)


def test_selective_copy_asks_for_the_letters_in_their_order() -> None:
    found = made("copy", steps=20, letters=5)
    batch = found.rows("test")
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        text, asked = found.vocab.decode(inputs), targets.index(next(i for i in targets if i != IGNORE))
        answer = found.vocab.decode(targets[asked:])
        assert text == text[:20] + ":" + answer[:-1]  # a model reads what was written so far
        assert text[:20].replace(".", "") == answer
        assert asked == 20
    assert found.baselines("test")["frequencies"]["bpc"] == pytest.approx(3, abs=0.05)  # of eight letters


def test_products_are_those_of_the_group() -> None:
    batch = made("parity").rows("test")
    ones = [sum(row[:n]) for row, n in zip(batch.inputs.tolist(), batch.lengths.tolist(), strict=True)]
    assert batch.targets.tolist() == [count % 2 for count in ones]

    found = made("permutations")
    batch = found.rows("test")
    for inputs, n, target in zip(batch.inputs.tolist(), batch.lengths.tolist(), batch.targets.tolist(), strict=True):
        order = "abc"
        for symbol in inputs[:n]:
            order = "".join(order["abc".index(place)] for place in found.classes[symbol])
        assert order == found.classes[target]


@pytest.mark.parametrize("name", ["parity", "permutations"])
def test_sequences_of_the_test_are_longer(name: str) -> None:
    found = made(name, train_steps=(3, 8), test_steps=(9, 20))
    assert found.lengths("train").max() == 8
    assert found.lengths("test").min() == 9
    batches = list(found.train_dataloader())
    assert all(batch.inputs.shape[1] == batch.lengths.max() for batch in batches)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_determines_the_examples(name: str) -> None:
    first, again, other = made(name), made(name), made(name, data_seed=1)
    assert first.sources == again.sources != other.sources
    assert len(set(first.sources.values())) == 3  # no part is another one's beginning


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.AddingProblem(steps=1), "steps: got 1, expected at least 2"),
        (lambda: data.AddingProblem(num_test=0), "num_test: got 0"),
        (lambda: data.SelectiveCopy(steps=4, letters=5), "steps: got 4, expected at least 5"),
        (lambda: data.SelectiveCopy(alphabet=27), "alphabet: got 27, expected 2 to 26"),
        (lambda: data.Parity(train_steps=(8, 3)), "train_steps: got 8 to 3"),
        (lambda: data.PermutationProduct(data_seed=-1), "data_seed: got -1"),
    ],
)
def test_bad_options(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

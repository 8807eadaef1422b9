"""Guarantees that every task gives, and a few of each."""

import math
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import lightning as L
import pytest
import torch

import datamodules as data
from zoo import CharLM, Regressor, Seq2Seq, SeqClassifier, SeqTagger, Task
from zoo.batch import IGNORE, ClassBatch, PairBatch, TextBatch, ValueBatch
from zoo.tasks import TASKS
from zoo.tasks.seq2seq import teacher_forcing_ratio

SMALL = {"hidden_size": 32, "lr": 0.02, "init": "keras"}
TEXT = "the quick brown fox jumps over the lazy dog. " * 3


def plain_text() -> data.Punctuation:
    """A text whose punctuation is to be restored."""
    path = Path(mkdtemp()) / "text.txt"
    path.write_text("Oh dear! The King said, I see. Who is there? " * 6)
    return data.Punctuation(paths=[str(path)], length=30, min_count=1)


PAIRS: dict[str, Callable[[], tuple[Task, L.LightningDataModule]]] = {
    "windows": lambda: (
        CharLM(cell="gru", **SMALL),
        data.TextString(TEXT, seq_len=16, val_fraction=0.2, test_fraction=0.2),
    ),
    "stream": lambda: (
        CharLM(embedding_dim=8, **SMALL),
        data.TextString(TEXT, mode="stream", seq_len=8, batch_size=4, val_fraction=0.2, test_fraction=0.2),
    ),
    "words": lambda: (SeqClassifier(pooling="mean", **SMALL), data.WordCompletion()),
    "tags": lambda: (SeqTagger(**SMALL), plain_text()),
    "pairs": lambda: (Seq2Seq(reverse_source=True, **SMALL), data.ToySeq2Seq()),
    "numbers": lambda: (Regressor(**SMALL), data.NumericSequences()),
}
every_pair = pytest.mark.parametrize("pair", PAIRS)
Trainer = Callable[..., L.Trainer]


def test_every_task_is_covered() -> None:
    assert {type(make()[0]) for make in PAIRS.values()} == set(TASKS)


@every_pair
def test_it_plugs_into_its_data_and_learns_it_by_heart(pair: str, trainer: Trainer) -> None:
    L.seed_everything(0)
    task, datamodule = PAIRS[pair]()
    fit = trainer(max_epochs=80, check_val_every_n_epoch=80)
    fit.fit(task, datamodule)
    assert task.hparams[task.facts[0]] == datamodule.spec[task.facts[0]]
    assert fit.callback_metrics["train/loss"] < 0.1
    assert task.figure() is not None


@every_pair
def test_a_checkpoint_alone_restores_the_model_to_the_bit(pair: str, trainer: Trainer, tmp_path: Path) -> None:
    task, datamodule = PAIRS[pair]()
    fit = trainer(max_epochs=1, enable_checkpointing=True)
    fit.fit(task, datamodule)
    fit.save_checkpoint(tmp_path / "a.ckpt")
    restored = type(task).load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert dict(restored.hparams) == dict(task.hparams)
    for name, value in task.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value), name


@every_pair
def test_rows_without_an_example_change_neither_loss_nor_metrics(pair: str) -> None:
    task, datamodule = PAIRS[pair]()
    datamodule.setup()
    task.bind(datamodule.spec, "data")
    task.configure_model()
    task.eval()
    part = datamodule.parts["train"]
    full = datamodule.collate(part.take(torch.arange(len(part))))
    padded = datamodule.collate(part.take(torch.tensor([*range(len(part)), -1, -1])))
    loss, same = task.score(full, "val"), task.score(padded, "test")
    torch.testing.assert_close(same.total, loss.total, rtol=1e-6, atol=0)
    assert same.items == loss.items
    for name, metric in task.metrics["val_metrics"].items():
        if name != "loss":
            torch.testing.assert_close(task.metric("test", name).compute(), metric.compute())


def test_facts_on_which_both_sides_differ_are_refused() -> None:
    task = CharLM(vocab=["a", "b"])
    with pytest.raises(ValueError, match=r"vocab: CharLM has 2 symbols 'a' 'b', and Text has 2 symbols 'a' 'c'"):
        task.bind({"vocab": ["a", "c"]}, "Text")


def test_data_that_does_not_fit_is_refused(trainer: Trainer) -> None:
    words = data.WordCompletion()
    with pytest.raises(ValueError, match="CharLM does not fit WordCompletion: expected batches of type TextBatch, got"):
        trainer(max_epochs=1).fit(CharLM(), words)
    with pytest.raises(ValueError, match="Regressor does not fit X: it needs input_size, and X offers no facts"):
        Regressor().bind({}, "X")


def test_with_plain_dataloaders_the_missing_argument_is_named(trainer: Trainer) -> None:
    ids = torch.zeros(2, 4, dtype=torch.long)
    batches = data.loader.BatchLoader(TextBatch(ids, ids), data.loader.EpochSampler(2, 2))
    with pytest.raises(ValueError, match=r"the dataloaders.* pass vocab"):
        trainer(max_epochs=1).fit(CharLM(), batches, batches)
    trainer(max_epochs=1).fit(CharLM(vocab=["a", "b"], hidden_size=4), batches, batches)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (CharLM, {"lr": 0.0}, "lr: got 0.0"),
        (Seq2Seq, {"teacher_forcing": 1.5}, "teacher_forcing: got 1.5"),
        (Seq2Seq, {"teacher_forcing_schedule": "cosine"}, "teacher_forcing_schedule: got 'cosine'"),
        (Regressor, {"normalize": "minmax"}, "normalize: got 'minmax'"),
    ],
)
def test_bad_arguments_are_named(task: type[Task], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**options)


# -- CharLM


def test_bits_per_character_and_perplexity_follow_from_the_loss() -> None:
    task = CharLM(vocab=list("abcd"), hidden_size=4)
    task.configure_model()
    batch = TextBatch(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, IGNORE]]))
    loss = task.score(batch, "val")
    mean = float(loss.total.detach() / loss.items)
    assert loss.items == 2
    assert float(task.metric("val", "bpc").compute()) == pytest.approx(mean / math.log(2))
    assert float(task.metric("val", "perplexity").compute()) == pytest.approx(math.exp(mean))


def test_a_stream_equals_the_whole_text_and_gradients_stop_at_its_batches() -> None:
    torch.manual_seed(0)
    task = CharLM(vocab=list("abc"), hidden_size=4)
    task.configure_model()
    ids = torch.randint(3, (2, 13))
    whole = task.score(TextBatch(ids[:, :-1], ids[:, 1:]), "val").total
    parts = []
    for start in (0, 4, 8):
        resets = torch.tensor([start == 0] * 2)
        batch = TextBatch(ids[:, start : start + 4], ids[:, start + 1 : start + 5], resets)
        parts.append(task.score(batch, "train").total)
    torch.testing.assert_close(sum(parts), whole)
    assert not any(s.requires_grad for s in task._states["train"])


def test_a_document_start_resets_its_lane_alone_and_validation_keeps_its_own_state() -> None:
    torch.manual_seed(0)
    task = CharLM(vocab=list("abc"), hidden_size=4)
    task.configure_model()
    ids = torch.randint(3, (2, 5))
    batch = TextBatch(ids[:, :-1], ids[:, 1:], torch.tensor([False, False]))
    task.score(batch, "train")
    before = task._states["train"]
    task.score(batch, "val")
    assert task._states["train"] is before
    task.score(batch._replace(resets=torch.tensor([True, False])), "train")
    fresh = task.model.network(ids[:, :-1])[1][0]
    carried = task.model.network(ids[:, :-1], before)[1][0]
    torch.testing.assert_close(task._states["train"][0][0], fresh[0])
    torch.testing.assert_close(task._states["train"][0][1], carried[1])


def test_samples_are_the_same_for_the_same_seed_and_leave_the_random_state_alone() -> None:
    task = CharLM(vocab=list("abc "), hidden_size=4)
    task.configure_model()
    state = torch.get_rng_state()
    assert task.model.generate(length=20, seed=1) == task.model.generate(length=20, seed=1)
    assert len(task.model.generate(length=20, seed=0)) == 20
    assert torch.equal(torch.get_rng_state(), state)


# -- SeqClassifier


def test_accuracy_and_confusions_count_each_example_once() -> None:
    task = SeqClassifier(classes=["a", "b"], input_size=1, hidden_size=4)
    task.configure_model()
    for size in (3, 2):
        task.score(ClassBatch(torch.randn(size, 2, 1), torch.zeros(size, dtype=torch.long)), "test")
    counts = task.metric("test", "_confusion").compute()
    assert counts.sum() == 5
    assert float(task.metric("test", "accuracy").compute()) == pytest.approx(float(counts[0, 0]) / 5)


def test_class_weights_multiply_the_training_loss_only() -> None:
    task = SeqClassifier(classes=["a", "b"], input_size=1, hidden_size=4, class_weights=[0.5, 3.0])
    task.configure_model()
    batch = ClassBatch(torch.randn(5, 2, 1), torch.tensor([0, 1, 1, 0, -100]))
    losses = torch.nn.functional.cross_entropy(task(batch.inputs), batch.targets, reduction="none")
    total, items = task.score(batch, "train")
    assert total.item() == pytest.approx((losses * torch.tensor([0.5, 3.0, 3.0, 0.5, 0.0])).sum().item())
    assert items == 4
    assert task.score(batch, "val").total.item() == pytest.approx(losses.sum().item())
    assert not [name for name in task.state_dict() if "weights" in name and not name.startswith("model.")]


def test_class_weights_of_the_data_are_used_also_for_a_model_that_exists() -> None:
    given = SeqClassifier(classes=["a", "b"], input_size=1, hidden_size=4)
    given.configure_model()
    task = SeqClassifier.from_model(given.model)
    task.bind({"class_weights": [0.5, 3.0]}, "data")
    task.configure_model()
    assert task._weights is not None
    assert task._weights.tolist() == [0.5, 3.0]


def test_bad_class_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class_weights: got \[-1.0, 1.0\], expected numbers of at least 0"):
        SeqClassifier(class_weights=[-1.0, 1.0])
    with pytest.raises(ValueError, match="class_weights: got 3, expected 2, one for each class"):
        SeqClassifier(classes=["a", "b"], input_size=1, class_weights=[1.0, 1.0, 1.0]).configure_model()


# -- Seq2Seq


def test_teacher_forcing_schedules() -> None:
    options = {"start": 0.9, "end": 0.1, "epochs": 10}
    assert teacher_forcing_ratio(99, "constant", **options) == 0.9
    assert [teacher_forcing_ratio(e, "linear", **options) for e in (0, 5, 20)] == pytest.approx([0.9, 0.5, 0.1])
    falling = [teacher_forcing_ratio(e, "inverse_sigmoid", **options) for e in range(0, 101, 10)]
    assert falling[0] == pytest.approx(0.9)
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(0.1, abs=0.01)


def toy_pairs(**options: Any) -> tuple[Seq2Seq, PairBatch]:
    torch.manual_seed(0)
    task, datamodule = Seq2Seq(hidden_size=8, **options), data.ToySeq2Seq()
    datamodule.setup()
    task.bind(datamodule.spec, "data")
    task.configure_model()
    return task, next(iter(datamodule.val_dataloader()))


def test_without_teacher_forcing_the_true_symbols_are_never_fed(trainer: Trainer) -> None:
    task, batch = toy_pairs(teacher_forcing=0.0)
    changed = batch.target.clone()
    changed[:, 1] = task.model.target_vocab.id("사")
    first, second = (task._decode_with_draws(batch, t[:, :-1].clamp(min=0), 0.0) for t in (batch.target, changed))
    assert torch.equal(first, second)
    forced = task._decode_with_draws(batch, batch.target[:, :-1].clamp(min=0), 1.0)
    whole = task.model.network(batch.source, batch.source_lengths, batch.target[:, :-1].clamp(min=0))
    torch.testing.assert_close(forced, whole, rtol=0, atol=1e-6)


def test_free_decoding_feeds_back_its_own_symbols_until_the_end() -> None:
    task, batch = toy_pairs(max_length=4)
    vocab, net = task.model.target_vocab, task.model.network
    decoded = task.model._decode(batch)[0].ids
    state, ids = net.encode(batch.source[:1], batch.source_lengths[:1])[1], torch.tensor([vocab.id("<start>")])
    for symbol in decoded:
        logits, state = net.decoder.step(ids, state)
        ids = logits.argmax(-1)
        assert ids.item() == symbol
    assert len(decoded) == 4 or decoded[-1] == vocab.id("<end>")


def test_lengths_stay_on_the_cpu_where_packing_wants_them() -> None:
    _, batch = toy_pairs()
    moved = data.ToySeq2Seq().transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert (moved.source.device.type, moved.source_lengths.device.type) == ("meta", "cpu")


def test_a_stop_within_validation_costs_no_picture(trainer: Trainer) -> None:
    task, datamodule = Seq2Seq(hidden_size=8), data.ToySeq2Seq()
    trainer(max_epochs=2).fit(task, datamodule)
    task.on_validation_epoch_start()
    assert task.figure() is not None


def test_unknown_and_empty_sources_are_refused() -> None:
    task, _ = toy_pairs()
    with pytest.raises(ValueError, match=r"'z' at position 0"):
        task.model.translate(["zoo"])
    with pytest.raises(ValueError, match="empty"):
        task.model.translate([""])


# -- Regressor


@pytest.mark.parametrize("normalize", ["dataset", "instance"])
def test_scaling_lives_in_the_model(normalize: str) -> None:
    task = Regressor(input_size=1, target_size=1, normalize=normalize, mean=20.0, scale=10.0)
    task.configure_model()
    inputs = torch.tensor([[[10.0], [20.0], [30.0]]])
    offset, scale = (20.0, 10.0) if normalize == "dataset" else (20.0, inputs.std(correction=0))
    expected = task.model.network((inputs - offset) / scale) * scale + offset
    torch.testing.assert_close(task(inputs), expected)
    batch = ValueBatch(inputs, expected + 3)
    assert task.score(batch, "val").total.item() == pytest.approx(float(9 / scale**2), rel=1e-4)
    assert task.metric("val", "mae").compute().item() == pytest.approx(3.0, rel=1e-4)


def test_an_instance_without_spread_is_not_divided_by_zero() -> None:
    task = Regressor(input_size=1, target_size=1, normalize="instance")
    task.configure_model()
    assert task(torch.full((1, 3, 1), 7.0)).isfinite().all()

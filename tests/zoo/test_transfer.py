"""Training that begins with other weights, and leaves some as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import zoo
from support import ALICE, TOY, fit_apple, needs_alice, refused, tiny
from zoo.hub import freeze, initialize_from
from zoo.models import Model


def rows(task: Model, name: str, symbols: str) -> torch.Tensor:
    axis, fact = task.symbol_axes()[name]
    index = torch.tensor([getattr(task.config, fact).index(symbol) for symbol in symbols])
    return task.network.state_dict()[name].index_select(axis, index)


@pytest.mark.parametrize("embedding_dim", [None, 5])
def test_shared_symbols_keep_their_vectors_and_new_ones_start_fresh(embedding_dim: int | None, tmp_path: Path) -> None:
    old = tiny("char_lm_lstm", vocab=list("abcd"), embedding_dim=embedding_dim)
    old.save_pretrained(tmp_path / "old")
    new = tiny("char_lm_lstm", vocab=list("xdyb"), embedding_dim=embedding_dim)
    fresh = {name: weight.clone() for name, weight in new.network.state_dict().items()}
    report = initialize_from(new, tmp_path / "old")
    assert report.endswith("tensors; vocab: 2 symbols kept, 2 new")
    for name, (axis, _) in new.symbol_axes().items():
        if name in fresh:
            assert torch.equal(rows(new, name, "db"), rows(old, name, "db"))
            unknown = torch.tensor([0, 2])
            assert torch.equal(rows(new, name, "xy"), fresh[name].index_select(axis, unknown))
    name = "recurrent.layers.weight_hh_l0"
    assert torch.equal(new.network.state_dict()[name], old.network.state_dict()[name])


def test_a_classifier_of_other_classes_gets_a_new_head(tmp_path: Path) -> None:
    old = tiny("seq_classifier_gru", vocab=list("ab"), classes=["x", "y"])
    old.save_pretrained(tmp_path / "old")
    new = tiny("seq_classifier_gru", vocab=list("ab"), classes=["x", "y", "z"])
    head = new.network.head[1].weight.clone()
    assert "the classes differ, so the head starts fresh" in initialize_from(new, tmp_path / "old")
    assert torch.equal(new.network.head[1].weight, head)


@pytest.mark.parametrize("reads", ["symbols", "numbers"])
def test_symbols_and_numbers_are_no_beginning_for_each_other(reads: str, tmp_path: Path) -> None:
    kinds: dict[str, dict] = {"symbols": {"vocab": list("ab")}, "numbers": {"input_size": 2}}
    new = tiny("seq_classifier_gru", classes=["x", "y"], **kinds.pop(reads))
    (other,) = kinds.values()
    tiny("seq_classifier_gru", classes=["x", "y"], **other).save_pretrained(tmp_path / "old")
    with pytest.raises(ValueError, match="expected a model that takes .*, got one that takes .*old"):
        initialize_from(new, tmp_path / "old")


def test_encoder_and_decoder_can_come_from_different_models(tmp_path: Path) -> None:
    tiny("char_lm_gru", vocab=list("abc")).save_pretrained(tmp_path / "reader")
    torch.manual_seed(5)
    symbols = {"source_vocab": list("ab"), "target_vocab": ["<pad>", "<start>", "<end>", "c"]}
    tiny("seq2seq_gru", **symbols).save_pretrained(tmp_path / "translator")
    new = tiny("seq2seq_gru", **symbols)
    initialize_from(new, tmp_path / "reader", "encoder")
    initialize_from(new, tmp_path / "translator", "decoder")
    reader, translator = zoo.load(tmp_path / "reader"), zoo.load(tmp_path / "translator")
    assert torch.equal(new.network.encoder.layers.weight_hh_l0, reader.network.recurrent.layers.weight_hh_l0)
    assert torch.equal(new.network.decoder.head[1].weight, translator.network.decoder.head[1].weight)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (("char_lm_gru", {"hidden_size": 7}), "hidden_size: expected 6, got 7"),
        (("char_lm_rnn", {}), "expected a char_lm_gru, got a char_lm_rnn"),
        (("char_lm_gru", {"num_layers": 2}), "num_layers: expected 1, got 2"),
        (
            ("seq_classifier_gru", {"vocab": ["a"], "classes": ["b", "c"]}),
            r"a seq_classifier_gru .* can't initialize all of a char_lm",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_taken(other: tuple, message: str, tmp_path: Path) -> None:
    tiny(other[0], **other[1]).save_pretrained(tmp_path / "other")
    torch.manual_seed(3)
    task = zoo.create("char_lm_gru", vocab=list("abc "), hidden_size=6)
    before = {name: weight.clone() for name, weight in task.network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        initialize_from(task, tmp_path / "other")
    assert all(torch.equal(weight, before[name]) for name, weight in task.network.state_dict().items())


def test_weights_of_another_attention_are_refused(tmp_path: Path) -> None:
    vocab = ["<pad>", "<start>", "<end>", "a"]
    options = {"source_vocab": vocab, "target_vocab": vocab, "hidden_size": 4}
    tiny("seq2seq_gru", **options, attention="additive").save_pretrained(tmp_path / "other")
    for attention in ("none", "general"):
        with pytest.raises(ValueError, match=f"attention: expected '{attention}', got 'additive'"):
            initialize_from(tiny("seq2seq_gru", **options, attention=attention), tmp_path / "other")


def test_weights_are_frozen_by_their_names() -> None:
    task = tiny()
    frozen, trained = freeze(task, ["recurrent.*"])
    assert frozen + trained == sum(weight.numel() for weight in task.network.parameters())
    assert {name for name, w in task.network.named_parameters() if w.requires_grad} == {"head.1.weight", "head.1.bias"}
    with pytest.raises(
        ValueError, match=r"'recurent.\*' matches no weight; the weights are recurrent.layers.weight_ih_l0"
    ):
        freeze(task, ["recurent.*"])
    with pytest.raises(ValueError, match="nothing is left to train"):
        freeze(task, ["*"])


# -- by the command line


@needs_alice
def test_training_begins_with_other_weights_and_leaves_some_as_they_are(zoo_command: Callable) -> None:
    book = [
        "--data.seq_len",
        "60",
        "--data.strip_license",
        "true",
        "--model.hidden_size",
        "256",
        "--model.num_layers",
        "2",
    ]
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1"]
    fit = ["fit", "--model", "CharLM", "--data", "Gutenberg", "--data.books", "[11]", *book, *short, "--run_dir", "run"]
    result = zoo_command(*fit, "--init_from", ALICE, "--freeze", "[recurrent.*]")
    assert result.code == 0, result.err
    assert "symbols kept, " in result.out
    assert "freeze: " in result.out
    before, after = zoo.load(ALICE), zoo.load("run/checkpoints/last.ckpt")
    name = "layers.weight_hh_l0"
    assert torch.equal(after.network.recurrent.state_dict()[name], before.network.recurrent.state_dict()[name])
    assert "init_from: char_lm_lstm.alice" in Path("run/config.yaml").read_text()


def test_a_run_that_began_with_other_weights_goes_on_with_its_own(zoo_command: Callable) -> None:
    fit_apple(zoo_command)
    again = ["fit", "--config", "apple_rnn", "--run_dir", "again", "--trainer.max_epochs"]
    best = "run/checkpoints/best.ckpt"
    assert zoo_command(*again, "1", "--init_from", best, "--freeze", "[head.*]").code == 0
    before = zoo.load("again/checkpoints/last.ckpt").network.head[1].weight
    result = zoo_command(*again, "2", "--freeze", "[head.*]", "--resume", "--override")
    assert (result.code, "tensors" in result.out) == (0, False), result.err
    assert torch.equal(zoo.load("again/checkpoints/last.ckpt").network.head[1].weight, before)
    assert f"init_from: {best}" in Path("again/config.yaml").read_text()
    other = zoo_command(*again, "3", "--init_from", ALICE, "--freeze", "[head.*]", "--resume")
    refused(other, "init_from: the run has 'run/checkpoints/best.ckpt'")


def test_faults_of_init_from_and_freeze(zoo_command: Callable) -> None:
    fit = ["fit", "--config", "apple_rnn", "--run_dir", "run"]
    for options, message in (
        (["--init_from", "char_lm_lstm.alicia"], "did you mean char_lm_lstm.alice"),
        (["--init_from", ALICE], "init_from: expected a char_lm_rnn, got a char_lm_lstm (char_lm_lstm.alice)"),
        (["--init_from", TOY], "can't initialize all of a char_lm_rnn"),
        (["--freeze", "[recurent.*]"], "matches no weight"),
    ):
        result = zoo_command(*fit, *options)
        assert (result.code, Path("run").exists()) == (2, False)
        assert message in result.err

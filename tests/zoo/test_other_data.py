"""A trained model is scored on other data: in its own symbols, classes and scale."""

import re
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest

import zoo
from datamodules import NumericSequences, TextString, ToySeq2Seq, WordCompletion
from support import ALICE, STEPS, TOY, WORDS, refused
from zoo.tasks import CharLM, Regressor, Task
from zoo.vocab import UNK

SCORE_ALL = ["--data.test_fraction", "1"]
ALICE_TEXT = ["--ckpt_path", ALICE, "--data", "TextFile"]


def test_a_text_with_fewer_symbols_is_scored_and_lowered_as_the_model_needs(zoo_command: Callable) -> None:
    Path("a.txt").write_text("Alice was beginning to get very tired of sitting by her sister on the bank. " * 3)
    Path("b.txt").write_text(Path("a.txt").read_text().upper())
    rows = [zoo_command("test", *ALICE_TEXT, *SCORE_ALL, "--data.paths", name) for name in ("a.txt", "b.txt")]
    assert [row.code for row in rows] == [0, 0], rows
    assert rows[0].out == rows[1].out
    assert "test/bpc" in rows[0].out


def test_unknown_symbols_are_counted_and_named_or_left_out(zoo_command: Callable) -> None:
    Path("a.txt").write_text("alice ~ the {afe ~ " * 20)
    command = ["test", *ALICE_TEXT, *SCORE_ALL, "--data.paths", "a.txt"]
    known = "60 of 379 symbols are unknown to the model: '~' (40), '{' (20)"
    refused(zoo_command(*command), f"TextFile: {known}; to leave them out, add --on_unknown skip")
    result = zoo_command(*command, "--on_unknown", "skip")
    assert (result.code, result.err) == (0, f"{known} (left out)\n")
    refused(zoo_command(*command, "--on_unknown", "unk"), "this vocabulary has no <unk>; use error or skip")


def test_a_translator_is_scored_on_pairs_it_has_not_seen(zoo_command: Callable) -> None:
    Path("p.csv").write_text("source,target\nlove,\uc0ac\ub791\nlive,\ub098\ubb34\n")
    data = ["--ckpt_path", TOY, "--data.path", "p.csv", "--data.test_fraction", "1"]
    assert re.search(r"test/exact_match\W+0\.5\b", zoo_command("test", *data).out)
    assert zoo_command("predict", *data).out.splitlines()[1] == "love,\uc0ac\ub791,\uc0ac\ub791"


def test_the_model_is_that_of_the_checkpoint_whatever_the_config_says(zoo_command: Callable) -> None:
    Path("data.yaml").write_text("data: {class_path: ToySeq2Seq, init_args: {batch_size: 2}}\n")
    assert zoo_command("validate", "--ckpt_path", TOY, "--config", "data.yaml").code == 0
    Path("both.yaml").write_text(Path("data.yaml").read_text() + "model: {class_path: Seq2Seq}\n")
    result = zoo_command("validate", "--ckpt_path", TOY, "--config", "both.yaml")
    assert (result.code, result.err) == (0, f"the model is that of {TOY}: cell 'rnn', not 'lstm'\n")
    claimed = zoo_command("validate", "--ckpt_path", TOY, "--model.hidden_size", "64")
    refused(claimed, "hidden_size: the model has 128, and the task has 64")


def test_unknown_classes_are_counted_or_left_out(trainer: Callable, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("wor\u00e9\nword\ndeep\n")
    task = Task.from_model(zoo.load(WORDS))
    data = WordCompletion(str(tmp_path / "words.txt"))
    with pytest.raises(ValueError, match="1 of 3 examples of classes are unknown to the model: '\u00e9'"):
        trainer().validate(task, data, verbose=False)
    data.on_unknown = "skip"
    (scores,) = trainer().validate(task, data, verbose=False)
    assert scores["val/accuracy"] == 1.0
    assert len(data.parts["val"].rows.targets) == 2


def test_numbers_are_scaled_as_the_model_was_trained(trainer: Callable, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("a,b,c,d\n100,200,300,400\n110,210,310,410\n")
    model = zoo.load(STEPS)
    (scores,) = trainer().validate(Task.from_model(model), NumericSequences(str(tmp_path / "n.csv")), verbose=False)
    predicted = model.predict_values([[100, 200, 300], [110, 210, 310]])
    errors = [abs(value - true) for (value,), true in zip(predicted, (400, 410), strict=True)]
    assert scores["val/mae"] == pytest.approx(sum(errors) / 2)
    instance = Regressor(normalize="instance", hidden_size=4)
    trainer(max_epochs=1).fit(instance, NumericSequences())
    assert instance.model.config.normalize == "instance"


def test_a_refusal_stays_one_until_the_data_is_read_in_another_way(trainer: Callable) -> None:
    task, data = Task.from_model(zoo.load(TOY)), ToySeq2Seq()
    data.pairs = lambda: [("lo~ve", "\uc0ac\ub791"), ("word", "\ub2e8\uc5b4"), ("kiss", "\ud0a4x")]  # type: ignore[method-assign]
    data.setup()  # in its own symbols
    for _ in range(2):
        with pytest.raises(ValueError, match="1 of 13 symbols of the sources are unknown to the model: '~'"):
            trainer().validate(task, data, verbose=False)
    data.on_unknown = "skip"
    (scores,) = trainer().validate(task, data, verbose=False)
    assert scores["val/exact_match"] == 1.0
    assert "1 of 3 examples can't be used without them" in data.unknown_in("validate")
    data.on_unknown = "error"
    with pytest.raises(ValueError, match="unknown to the model"):
        trainer().validate(task, data, verbose=False)


def test_only_the_part_that_is_scored_counts(trainer: Callable) -> None:
    data = TextString("~" * 20 + "alice " * 60, seq_len=20, val_fraction=0, test_fraction=0.2)
    assert trainer().test(Task.from_model(zoo.load(ALICE)), data, verbose=False)
    assert data.unknown_in("test") == ""
    assert data.unknown_in("fit").startswith("20 of 380 symbols")


def test_data_of_another_kind_is_named_before_it_is_read(zoo_command: Callable) -> None:
    Path("a.txt").write_text("alice " * 100)
    for model, batches in ((TOY, "PairBatch"), (STEPS, "ValueBatch")):
        result = zoo_command("validate", "--ckpt_path", model, "--data", "TextFile", "--data.paths", "a.txt")
        refused(result, f"does not fit TextFile: expected batches of type {batches}, got TextBatch")
    refused(zoo_command("validate", *ALICE_TEXT, *SCORE_ALL, "--data.paths", "a.txt"), "has no validation part")


def test_sequences_of_another_length_are_refused(zoo_command: Callable) -> None:
    Path("n.csv").write_text("a\n" + "\n".join(map(str, range(20))))
    data = ["--data.path", "n.csv", "--data.column", "a", "--data.test_fraction", "1"]
    result = zoo_command("test", "--ckpt_path", STEPS, *data, "--data.window", "4")
    assert (result.code, result.err) == (1, "zoo: error: got 4 numbers, expected 3\n")
    assert zoo_command("test", "--ckpt_path", STEPS, *data).code == 0


def test_a_bundle_is_scored_with_data_that_the_command_names(zoo_command: Callable) -> None:
    assert zoo_command("export", TOY, "-o", "bundle").code == 0
    refused(zoo_command("validate", "--ckpt_path", "bundle"), "bundle has no config; give its data with --data")
    Path("data.yaml").write_text("data: {class_path: ToySeq2Seq}\n")
    for data in (["--config", "data.yaml"], ["--data", "ToySeq2Seq"]):
        assert zoo_command("validate", "--ckpt_path", "bundle", *data).code == 0


def test_data_is_encoded_anew_for_each_model(trainer: Callable) -> None:
    data = TextString("abcabc" * 20, seq_len=5)
    first, second = CharLM(vocab=[*"zabc"], hidden_size=4), CharLM(hidden_size=4)
    for task, symbols in ((first, [*"zabc"]), (second, [*"abc"]), (first, [*"zabc"])):
        trainer(max_epochs=1).fit(task, data)
        assert task.hparams["vocab"] == list(data.vocab) == symbols


def test_rare_symbols_become_unknown_on_request_and_are_never_generated(trainer: Callable) -> None:
    text = "abab" * 30 + "c" + "abab" * 9 + "xyz"
    data = TextString(text, seq_len=5, min_count=2, val_fraction=0.1, test_fraction=0.1)
    task = CharLM(hidden_size=8)
    trainer(max_epochs=1).fit(task, data)
    assert task.hparams["vocab"] == [UNK, "a", "b"]
    assert str(data.unknown).startswith("4 of 160 symbols are unknown to the model: 'c' (1)")
    assert set(task.model.generate("c?", length=50, seed=1)) == {"a", "b"}
    with pytest.raises(ValueError, match="'c' at position 0"):
        task.model.generate("c", on_unknown="error")
    pairs = ToySeq2Seq(min_count=2)
    pairs.setup()
    assert UNK in pairs.source_vocab
    assert UNK in pairs.target_vocab


def test_text_options_live_in_the_checkpoint_and_the_bundle(trainer: Callable, tmp_path: Path) -> None:
    task = CharLM(hidden_size=4)
    run: L.Trainer = trainer(max_epochs=1)
    run.fit(task, TextString("caf\u00e9 " * 40, seq_len=5, lowercase=True, normalization="NFC"))
    run.save_checkpoint(tmp_path / "a.ckpt")
    zoo.export(tmp_path / "a.ckpt", tmp_path / "bundle")
    for source in ("a.ckpt", "bundle"):
        model = zoo.load(tmp_path / source)
        assert (model.config.lowercase, model.config.normalization) == (True, "NFC")
        assert model.generate("CAFE\u0301", length=4, temperature=0) == model.generate(
            "caf\u00e9", length=4, temperature=0
        )


def test_predict_takes_what_is_unknown(zoo_command: Callable) -> None:
    command = ["predict", "--ckpt_path", ALICE, "--on_unknown", "skip", "--data.predict_inputs"]
    result = zoo_command(*command, "['Al~ice']")
    assert result.out.splitlines()[1].startswith("alice,")
    assert result.err == "1 of 6 symbols are unknown to the model: '~' (1) (left out)\n"
    refused(zoo_command(*command, "['~~']"), "predict_inputs: '~~' has no symbol that the model knows")


def test_infer_takes_what_is_unknown(zoo_command: Callable) -> None:
    refused(zoo_command("infer", TOY, "lo?ve"), "the symbol '?' at position 2")
    assert zoo_command("infer", TOY, "lo?ve", "--on_unknown", "skip").out == "lo?ve -> \uc0ac\ub791\n"
    refused(zoo_command("infer", STEPS, "1,2,3", "--on_unknown", "skip"), "which have no unknown symbols")


def test_what_is_dropped_from_a_file_is_counted(zoo_command: Callable) -> None:
    Path("w.csv").write_text("name,language\nword,en\nword,en\ndeep,en\n")
    fit = ["fit", "--model", "SeqClassifier", "--model.hidden_size", "4", "--data", "WordCompletion"]
    err = zoo_command(*fit, "--data.path", "w.csv", "--trainer.max_epochs", "1").err
    assert "w.csv: the words are in column name; ignored: language\n" in err
    assert "w.csv: 1 of 3 words are duplicates, and left out\n" in err

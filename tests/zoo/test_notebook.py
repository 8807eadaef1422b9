"""What a notebook shows: learning curves without a logger, pictures, and HTML of models, results and data."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from PIL import Image

import zoo
from datamodules import TextString, ToySeq2Seq, WordCompletion
from support import ALICE, TOY, WORDS, fit_apple, tiny
from zoo import html
from zoo.methods.char_lm import Generated

TEXT = "the quick brown fox jumps over the lazy dog. " * 20
SHORT: dict[str, Any] = {"seq_len": 10, "batch_size": 8, "val_fraction": 0.2}


def trained(trainer: Callable, **options: object) -> L.Trainer:
    torch.manual_seed(0)
    found = trainer(max_epochs=2, **options)
    found.fit(zoo.CharLM(hidden_size=4), TextString(TEXT, **SHORT))
    return found


def test_a_task_remembers_the_metrics_of_each_epoch(trainer: Callable) -> None:
    done = trained(trainer)
    history = done.lightning_module.history
    assert {name: [epoch for epoch, _ in points] for name, points in history.items()} == {
        f"{stage}/{name}": [1.0, 2.0]
        for stage in ("train", "val")
        for name in ("loss", "accuracy", "bpc", "perplexity")
    }
    assert history["val/bpc"][-1][1] == pytest.approx(float(done.callback_metrics["val/bpc"]))
    done.test(done.lightning_module, done.datamodule, verbose=False)
    assert [epoch for epoch, _ in history["test/loss"]] == [2.0]


def test_a_validation_within_an_epoch_has_its_place_there_and_a_new_training_begins_anew(trainer: Callable) -> None:
    done = trained(trainer, val_check_interval=0.5, num_sanity_val_steps=2)
    epochs = [epoch for epoch, _ in done.lightning_module.history["val/loss"]]
    assert epochs == pytest.approx([4 / 9, 8 / 9, 13 / 9, 17 / 9])  # 9 batches in an epoch, validated after 4 and 8
    trainer(max_epochs=1).fit(done.lightning_module, done.datamodule)
    assert [epoch for epoch, _ in done.lightning_module.history["train/loss"]] == [1.0]
    done.validate(done.lightning_module, done.datamodule, verbose=False)
    assert len(done.lightning_module.history["val/loss"]) == 1


def test_validate_and_test_come_anywhere_between_trainings(trainer: Callable) -> None:
    words, data = WordCompletion(val_fraction=0.2, test_fraction=0.2), TextString(TEXT, test_fraction=0.2, **SHORT)
    for task, parts in ((zoo.SeqClassifier(hidden_size=4), words), (zoo.CharLM(hidden_size=4), data)):
        for _ in range(2):
            trainer(max_epochs=1).validate(task, parts, verbose=False)
            trainer(max_epochs=1).fit(task, parts)
            trainer(max_epochs=1, inference_mode=False).validate(task, parts, verbose=False)
            trainer(max_epochs=1).test(task, parts, verbose=False)
            trainer(max_epochs=1, inference_mode=False).test(task, parts, verbose=False)


def test_a_checkpoint_holds_nothing_of_the_history(trainer: Callable, tmp_path: Path) -> None:
    done = trained(trainer)
    done.save_checkpoint(tmp_path / "a.ckpt")
    text = repr(torch.load(tmp_path / "a.ckpt", weights_only=True))
    assert "history" not in text.lower()


@pytest.mark.draws
def test_curves_and_samples_come_from_a_trainer_a_task_or_a_run(trainer: Callable, zoo_command: Callable) -> None:
    done = trained(trainer)
    for source in (done, done.lightning_module):
        assert zoo.plots.curves(source).axes[0].get_title() == "loss"
        assert zoo.plots.samples(source).texts[0].get_text() == "epoch 1"
    both = zoo.plots.compared_curves({"trainer": done, "task": done.lightning_module})
    assert [text.get_text() for text in both.legends[0].get_texts()] == ["trainer", "task", "train", "val"]
    fit_apple(zoo_command)
    assert zoo.plots.curves("run").axes[0].lines[0].get_xdata()[-1] == 20


def test_what_has_no_curves_is_refused(trainer: Callable, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no metrics yet"):
        zoo.plots.curves(zoo.CharLM())
    with pytest.raises(ValueError, match="no metrics yet"):
        zoo.plots.compared_curves({"a": zoo.CharLM()})
    with pytest.raises(ValueError, match=r"expected the folder of a run, but it has no metrics.csv"):
        zoo.plots.curves(tmp_path)
    for source in (trainer(), 3):
        with pytest.raises(TypeError, match="expected a trainer with a task"):
            zoo.plots.curves(source)
        with pytest.raises(TypeError, match="expected a trainer with a task"):
            zoo.plots.samples(source)


def test_the_progress_bar_counts_epochs_from_1(trainer: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    trained(trainer, enable_progress_bar=True, callbacks=[zoo.ProgressBar()])
    shown = "".join(capsys.readouterr())
    assert "epoch 1:" in shown
    assert "epoch 2:" in shown
    assert "v_num" not in shown


@pytest.mark.draws
def test_a_figure_shows_itself() -> None:
    figure = zoo.plots.curves({"train/loss": [(1, 1.0)]})
    data, shown = figure._repr_png_()
    assert Image.open(io.BytesIO(data)).size == (2 * shown["width"], 2 * shown["height"]), "sharp on every screen"


def test_models_results_and_data_have_html() -> None:
    assert "val/exact_match 1.0" in zoo.load(TOY)._repr_html_()
    assert "parameters" in tiny()._repr_html_()
    (found,) = zoo.load(WORDS).classify("wor")
    assert found._repr_html_().startswith("<b>d</b>")
    (text,) = zoo.load(ALICE).generate_batch(["alice"], 20, seed=1)
    assert text._repr_html_().count("<span") == 20
    assert "log-probability" in zoo.load(ALICE).search("alice was", 5, 2)[0]._repr_html_()
    data = ToySeq2Seq()
    assert data._repr_html_().startswith("<pre>ToySeq2Seq(")
    data.setup()
    assert "train 6" in data._repr_html_()


def test_html_is_escaped() -> None:
    evil = "<script>"
    model = tiny(vocab=["a", evil])
    model.about = {"title": evil, "dataset": evil, "metrics": {evil: 1.0}, "baseline": evil}
    data = TextString(evil * 10, seq_len=2, batch_size=1)
    data.setup()
    data.record_source(evil, b"")
    shown = [
        *(model._repr_html_(), data._repr_html_(), html.bars(evil, {evil: 0.5}), html.scored(evil, -1.0, -1.0)),
        *(html.table(evil, {evil: evil}), Generated(evil, [-1.0] * len(evil))._repr_html_()),
        Generated(evil, [-1.0])._repr_html_(),
    ]
    assert not any(evil in text for text in shown)

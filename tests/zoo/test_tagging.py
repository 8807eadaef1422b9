"""Tags for each symbol: what they mark, what a model of them answers, and the commands."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

import zoo
from datamodules import TaggedSequences
from support import ROOT, tiny
from zoo.batch import IGNORE
from zoo.tags import Span, marks, spans
from zoo.tasks.metrics import TagF1

NAMES = ["O", "B-x", "I-x", "B-y", "I-y"]


def test_spans_are_those_of_conlleval() -> None:
    """An `I` begins a span where none of its label is open."""
    tags = ["I-x", "I-x", "B-x", "I-y", "O", "B-y", "I-x", "I-x"]
    assert list(spans(tags)) == [
        *(Span("x", 0, 2), Span("x", 2, 3), Span("y", 3, 4)),
        *(Span("y", 5, 6), Span("x", 6, 8)),
    ]
    assert marks(["a", "b"], ["a", "b"]) == {Span("a", 0, 1), Span("b", 1, 2)}  # each tag says something


def test_f1_is_summed_over_batches_without_padding() -> None:
    torch.manual_seed(0)
    of_edits = ["=", "=,", "^", "^,"]
    metric, rows = TagF1(of_edits), torch.randint(4, (2, 3, 50))
    rows[1, :, 40:] = IGNORE
    for batch in rows.split(1, 1):
        metric.update(batch[0], batch[1])
    real = rows[1] != IGNORE
    expected = f1_score(rows[1][real], rows[0][real], labels=[1, 2, 3], average="micro")
    assert float(metric.compute()) == pytest.approx(expected)
    of_spans = TagF1(NAMES)
    of_spans.update(torch.tensor([[1, 2, 0, 3], [1, 2, 2, 0]]), torch.tensor([[1, 2, 0, 1], [1, 2, 0, IGNORE]]))
    assert float(of_spans.compute()) == pytest.approx(1 / 3)  # a right one; 3 are found, and 3 are wanted
    nothing = TagF1(NAMES)
    nothing.update(torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.int64))
    assert nothing.compute() == 0


@pytest.fixture
def tagger() -> zoo.Model:
    return tiny("seq_tagger_gru", vocab=["<unk>", "the", "cat", "sat"], tags=NAMES, symbols="words")


def test_padding_changes_no_logits(tagger: zoo.Model) -> None:
    tagger.double().eval()
    ids = torch.tensor([[1, 2, 3, 1], [3, 2, 0, 0]])
    both = tagger(ids, torch.tensor([4, 2]))
    torch.testing.assert_close(both[1, :2], tagger(ids[1:, :2])[0])
    torch.testing.assert_close(both[0], tagger(ids[:1])[0])


def test_a_text_or_its_words_are_tagged(tagger: zoo.Model) -> None:
    (whole,), (words,) = tagger.tag("the cat sat"), tagger.tag([["the", "cat", "sat"]])
    assert whole == words
    assert whole.symbols == ["the", "cat", "sat"]
    assert len(whole.tags) == len(whole.probabilities) == 3
    assert whole.spans == list(spans(whole.tags))
    assert [len(found.tags) for found in tagger.tag(["the dog", "cat"])] == [2, 1]
    assert tagger.tag("the dog sat", on_unknown="skip")[0].symbols == ["the", "sat"]
    assert tagger.infer("the cat") == [{"input": "the cat", "prediction": tagger.tag("the cat")[0].tags}]
    for call, message in [
        (lambda: tagger.tag(""), "got an empty text"),
        (lambda: tagger.tag([]), "got no text"),
        (lambda: tagger.tag([3]), "got 3, expected a text"),
        (lambda: tagger.tag("a dog", on_unknown="skip"), "without any known symbol"),
        (lambda: tagger.tag("a dog", on_unknown="error"), "the symbol 'a' at position 0"),
        (lambda: tagger.edit("the cat"), "the tags of this model are no edits: O, B-x"),
        (lambda: zoo.create("seq_tagger_gru", vocab=["a"], tags=["x"], embedding_dim=0), "embedding_dim: got 0"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()


SUFFIXES = {"ing": "V", "ness": "N", "ful": "A"}


def test_unknown_words_are_told_from_their_spelling(tmp_path: Path) -> None:
    """The words of the test part are not in the training part."""
    stems = [a + b for a in ("ba", "de", "ki", "lo", "mu", "ra") for b in ("b", "ck", "d", "g", "ll", "n", "r", "t")]
    for part, some in (("train", stems[:40]), ("test", stems[40:])):
        pairs = [f"{stem}{suffix} {tag}\n" for stem in some for suffix, tag in SUFFIXES.items()]
        texts = ["".join(pairs[(7 * n + m * m) % len(pairs)] for m in range(1 + n % 4)) for n in range(120)]
        (tmp_path / f"{part}.conll").write_text("\n".join(texts))
    accuracy = {}
    for size in (0, 16):
        data = TaggedSequences(train=str(tmp_path / "train.conll"), test=str(tmp_path / "test.conll"), batch_size=16)
        torch.manual_seed(0)
        task = zoo.SeqTagger(embedding_dim=16, hidden_size=16, spelling_size=size, lr=0.02)
        trainer = L.Trainer(
            max_epochs=10, logger=False, enable_checkpointing=False, accelerator="cpu", enable_model_summary=False
        )
        trainer.fit(task, data)
        (found,) = trainer.test(task, data, verbose=False)
        accuracy[size] = found["test/accuracy"]
    assert accuracy[16] > 0.97
    assert accuracy[0] < 0.7
    (found,) = task.model.tag("dokuing taleness")
    assert found.tags == ["V", "N"]
    batch = task.model._batch([["dokuing", "taleness"], ["baful"]])
    assert [row["input"] for row in task.model.answer(batch)] == ["dokuing taleness", "baful"]
    task.model.eval()
    logits = task.model.logits(batch)
    np.testing.assert_allclose(logits[1:, :1], task.model.logits(task.model._batch([["baful"]])), rtol=1e-5)


def test_words_are_tagged_from_a_file_to_the_command_line(zoo_command: Callable, tmp_path: Path) -> None:
    lines = [("the", "D"), ("cat", "N"), ("sat", "V"), ("dogs", "N"), ("run", "V")]
    texts = (lines[n % 5 :] + lines[: n // 5 % 6] + [lines[n % 3]] for n in range(75))
    Path("pos.conll").write_text("\n".join("".join(f"{word} {tag}\n" for word, tag in text) for text in texts))
    fit = ["fit", "--model", "SeqTagger", "--model.hidden_size", "16", "--model.lr", "0.03", "--run_dir", "run"]
    fit += ["--data", "TaggedSequences", "--data.path", "pos.conll", "--trainer.max_epochs", "40"]
    fit += ["--data.batch_size", "8"]
    done = zoo_command(*fit)
    assert done.code == 0, done.err
    assert "  baseline: most frequent tags: test/f1 1.0000, test/accuracy 1.0000" in done.out
    answer = zoo_command("infer", "run/checkpoints/last.ckpt", "the dogs sat", "dogs run").out.splitlines()
    assert answer == ["the dogs sat -> D N V", "dogs run -> N V"]
    rows = list(csv.DictReader(zoo_command("predict", "--ckpt_path", "run/checkpoints/last.ckpt").out.splitlines()))
    assert len(rows) > 2
    assert [row["prediction"] for row in rows] == [row["target"] for row in rows]
    other = zoo_command("test", "--ckpt_path", "run", "--data", "Punctuation", "--data.paths", str(ROOT / "LICENSE"))
    assert other.code == 2
    assert "unknown to the model" in other.err

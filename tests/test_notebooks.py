"""The notebooks in docs run as they stand there, without an error or a warning, and the lessons say what is true."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from datamodules.sources.cache import cache_dir
from notebook import DOCS, LESSONS, NOTEBOOKS, execute
from support import needs_alice, needs_grimm, needs_mnist

MOST_BYTES = 700_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of the client's own sockets; the cells' warnings are looked for below
def test_it_runs_without_a_warning(path: Path, tmp_path: Path) -> None:
    assert_silent(execute(path, tmp_path))


def assert_silent(executed: nbformat.NotebookNode) -> None:
    for cell in executed.cells:
        said = [output for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
        assert not said, f"{cell.source}\n{said}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_with_its_outputs_and_small(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds


# What the text of each lesson says about its outputs. The names are those of its cells.
CLAIMS = {
    "1_a_step_by_hand": """
assert np.abs(echo(0.9)[-1]).mean() < 0.01 < 0.3 < np.abs(echo(1.3)[-1]).mean()
assert error[0] > 0.3 > error[-1]  # a lost state: the first outputs are worst
assert share > 0.2  # of swapped gates
assert round(np.abs(run(2 * xs, np.zeros(H)) - 2 * states).max(), 2) == 0.93
""",
    "2_writing_like_carroll": """
import re
assert apple.model.generate("a", length=5, temperature=0) == "pple!"
assert says == "".join(vocab[i] for i in seen[5].argmax(-1)) == "pple!" and seen[20].amax(-1).min() > 0.95
assert abs(best - 2 / 5 * math.log(2)) < 1e-9
assert softmax(np.array([1.0, 1.0, 3.0]), 1.0).round(3).tolist() == [0.107, 0.107, 0.787]
assert all(share > 0.95 for chunk in (13, 26) for share in found_with[chunk])
assert all(0.4 < share < 0.6 for chunk in (4, 8) for share in found_with[chunk])
assert share < 0.01  # of the gradient
kept = [bits(alice, test_ids, reset) for reset in (1, 2, 5, 20, 60, None)]
assert kept == sorted(kept, reverse=True) and kept[0] > 1.9 * kept[-1]
assert bits(alice, shuffled[test_ids]) > 2 * math.log2(len(alice.vocab))  # far worse than guessing
assert [round(bits_of[0], 2) for bits_of in scored.values()] == [1.12, 2.01]
assert len(by_heart.vocab) == 55 and scored["learned all of Alice"][1] > 0.9 * math.log2(55)
assert scored["learned all of Alice"][1] > scored["learned 90% of Alice"][1] + 1
in_book = set(re.findall("[a-z]+", book.vocab.decode(train_ids.tolist())))
for options, least, most in (({"top_k": 3}, 0.9, 0.97), ({}, 0.75, 0.85), ({"temperature": 0.5}, 0.93, 0.98)):
    words = re.findall("[a-z]+", alice.generate("alice was ", length=3000, seed=1, **options))
    assert least < np.mean([word in in_book for word in words]) < most
""",
    "3_reading_digits": """
assert right[:24].max() < 0.21 and right[27] > 0.97  # its own head
assert probed[8] > 0.5 and probed[20] > 0.9
assert [scores_of[name] > least for name, least in (("RNN", 0.8), ("LSTM", 0.92))] == [True, True]
assert shares[-1, 0] > 0.95 > 0.87 > shares[-1, 1]
assert accuracy(images * 255) < 0.3
assert accuracy(images.roll(2, 2)) < 0.92 and accuracy(images.roll(2, 1)) < 0.87
assert [round(accuracy(turned), 2) for turned in (images.flip(1), images.transpose(1, 2))] == [0.37, 0.18]
""",
    "4_words_and_translations": """
assert toy.model.translate(["word", "wood", "game", "girl", "kiss", "love"]) == [
    "단어", "나무", "놀이", "소녀", "키스", "사랑"
]
assert all(toy.model.translate(word)[0] in {"단어", "나무", "놀이", "소녀", "키스", "사랑"} for word in ("loev", "dog"))
assert attentive.history["val/exact_match"][-1][1] > 0.9 > 0.4 > plain.history["val/exact_match"][-1][1]
forced, own = by_position(plain.model)
assert abs(forced[0] - own[0]) < 1e-6 and own[4] < forced[4] - 0.1  # the first symbol has none before it
assert 0.2 < (forced - own).max() < 0.35  # 27 points
assert 0.9 < np.mean(shares) < 1 and min(shares) < 0.95  # with dropout
assert rated[True] > rated[False] + 0.1
assert learned == 1
assert unseen.about["metrics"]["test/accuracy"] < counted + 0.02 < 0.3
""",
    "5_the_next_number": """
answers = {scaling: [ask(net, 25, 35, 45) for net, _ in runs] for scaling, runs in trained.items()}
assert all(abs(answer - 55) < 0.01 for answer in answers["instance"])
assert all(0.3 < abs(answer - 55) < 3 for answer in answers["none"] + answers["dataset"])
assert np.mean(np.abs(np.subtract(answers["dataset"], 55))) < np.mean(np.abs(np.subtract(answers["none"], 55)))
assert all(abs(ask(net, 100, 110, 120) - ask(net, 80, 90, 100)) < 0.1 for net, _ in trained["none"])  # flat
assert abs(ask(trained["instance"][0][0], 100, 110, 120) - 130) < 0.1
assert scores["test/mae"] < co2.baselines("test")["ridge regression"]["mae"]
assert 0.8 < scores["test/coverage"] < 0.86
assert judged["at random"] < 0.7 < 1.13 < judged["in time"]
""",
}
MARKS = {
    "2_writing_like_carroll": [pytest.mark.slow, needs_alice, needs_grimm],
    "3_reading_digits": [pytest.mark.slow, needs_mnist],
    "4_words_and_translations": [pytest.mark.slow],
    "5_the_next_number": [pytest.mark.slow],
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, [])) for name in CLAIMS])
@pytest.mark.filterwarnings("ignore")  # see above
def test_a_lesson_runs_and_its_text_is_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA_DIR", str(cache_dir().resolve()))
    assert_silent(execute(DOCS / "lessons" / f"{name}.ipynb", tmp_path, last=CLAIMS[name]))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def text_of(notebook: nbformat.NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_all_lessons_are_tested_and_listed() -> None:
    assert [path.stem for path in LESSONS] == sorted(CLAIMS)
    index = (DOCS / "lessons" / "index.md").read_text()
    assert re.findall(r"\((\d_\w+\.ipynb)\)", index) == [path.name for path in LESSONS]


def test_a_lesson_is_valid_and_stored_without_outputs(lesson: nbformat.NotebookNode) -> None:
    nbformat.validate(lesson)
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    assert code
    for cell in code:
        ast.parse(cell.source)
        assert not cell.outputs
        assert cell.execution_count is None


def test_a_lesson_has_its_sections(lesson: nbformat.NotebookNode) -> None:
    first, text = lesson.cells[0].source, text_of(lesson)
    assert re.match(r"# \d\. \w", first)
    assert "**What you learn:**" in first
    assert "**Time:**" in first
    _, wrong, changes = re.split(
        r"^## Where the notebooks went wrong, and what it cost$|^## Three things to change$", text, flags=re.MULTILINE
    )
    assert wrong.strip()
    assert re.findall(r"^(\d)\. ", changes, flags=re.MULTILINE) == ["1", "2", "3"]
    assert changes.count("Expect") >= 3


@pytest.mark.parametrize("path", [DOCS / "lessons" / "index.md", *LESSONS], ids=lambda path: path.stem)
def test_the_links_of_lessons_lead_somewhere(path: Path) -> None:
    text = path.read_text() if path.suffix == ".md" else text_of(nbformat.read(path, as_version=4))
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert links
    for target in links:
        assert (path.parent / target).exists(), target

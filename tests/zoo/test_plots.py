"""What the pictures of a run show: their figures are drawn, and then asked."""

import itertools

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from zoo import fonts, plots

pytestmark = pytest.mark.draws


def drawn(figure: Figure) -> Figure:
    figure.savefig("/dev/null", format="png")
    return figure


def texts(figure: Figure) -> list[str]:
    """All that is written in a figure, titles and ticks left out."""
    found = [*figure.texts, *(text for axis in figure.axes for text in axis.texts)]
    return [text.get_text() for text in found]


def test_curves_show_each_metric_of_each_stage() -> None:
    figure = drawn(
        plots.curves({"train/loss": [(1, 2.0), (2, 1.0)], "val/loss": [(1, 2.5)], "test/accuracy": [(3, 0.5)]})
    )
    loss, accuracy = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["loss", "accuracy"]
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 2.0], [2, 1.0]], [[1, 2.5]]]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train 1", "val 2.5"]
    assert list(accuracy.lines[0].get_ydata()) == [0.5, 0.5]


@pytest.mark.parametrize("classes", [3, 41])
def test_a_confusion_matrix_has_shares_and_names_and_its_counts_or_a_list_of_confusions(classes: int) -> None:
    counts = 2 * np.eye(classes, dtype=int)
    counts[0, 1] = 2
    figure = drawn(plots.confusion(counts, [f"class {i}" for i in range(classes)]))
    axis, *_ = figure.axes
    shares = np.asarray(axis.images[0].get_array()) ** 2
    assert shares[0, :2].tolist() == pytest.approx([0.5, 0.5])
    assert axis.get_title() == f"{classes / (classes + 1):.2%} of {2 * classes + 2} correct"
    assert [label.get_text() for label in axis.get_xticklabels()] == [f"class {i}" for i in range(classes)]
    if classes == 3:
        assert texts(figure) == ["2"] * 4
    else:
        assert texts(figure)[0] == "most frequent confusions"
        assert texts(figure)[2:] == ["2  class 0 \u2192 class 1  (50%)"]


def test_names_of_a_hundred_classes_do_not_overlap() -> None:
    figure = drawn(plots.confusion(np.eye(100, dtype=int), ["a long name of a class"] * 99 + ["x" * 99]))
    for labels, side in ((figure.axes[0].get_xticklabels(), "x"), (figure.axes[0].get_yticklabels(), "y")):
        boxes = [label.get_window_extent() for label in labels]
        ends = sorted((getattr(box, f"{side}0"), getattr(box, f"{side}1")) for box in boxes)
        assert len(boxes) == 100
        assert all(end <= start + 0.5 for (_, end), (start, _) in itertools.pairwise(ends))
    assert labels[-1].get_text() == "x" * 23 + "\u2026"
    assert "no confusions" in texts(figure)


def test_predictions_lie_over_true_values_beside_a_diagonal() -> None:
    (axis,) = drawn(plots.predicted_against_true([1.0, 4.0], [1.0, 3.0])).axes
    diagonal, points = axis.lines
    assert diagonal.get_slope() == 1
    assert points.get_xydata().tolist() == [[1.0, 1.0], [3.0, 4.0]]
    assert axis.get_title() == "mean absolute error 0.5"


NOTE = "drawn as ?: 2 characters that no font here has (Hangul: install Noto Sans CJK)"


@pytest.fixture
def no_hangul(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the fonts of this machine, only those without Korean letters."""
    own = [(name, path) for name, path in fonts._fonts() if ord("나") not in fonts._glyphs(path)]
    monkeypatch.setattr(fonts, "_fonts", lambda: own)


@pytest.mark.usefixtures("no_hangul")
def test_samples_are_written_as_they_are_but_for_symbols_that_no_font_has() -> None:
    figure = drawn(plots.text_samples([(1, "나무 wood $x$"), (2, "a b\nc é")], width=8))
    assert texts(figure)[:-1] == ["epoch 1", "?? woo", "d $x$", "epoch 2", "a b c é"]
    figure = drawn(plots.text_samples([(1, "나무")]))
    assert texts(figure)[1:] == ["??", NOTE]


@pytest.mark.usefixtures("no_hangul")
def test_decoded_pairs_are_coloured_by_whether_they_are_right() -> None:
    figure = drawn(plots.decoded_pairs(["wood", "a$b$"], ["나무", "x"], [(1, ["나무", "y\n"]), (2, ["나", "x"])]))
    (axis,) = figure.axes
    colours = np.asarray(axis.images[0].get_array())
    assert (colours > 0.5).tolist() == [[True, False], [False, True]]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["wood", "a$b$"]
    assert texts(figure) == [NOTE, "??", "y\u21b5", "?", "x"]


def test_long_pairs_are_whole_and_the_epochs_of_one_prediction_share_a_line() -> None:
    source, target = "where is the station " * 6, "où est la gare, s'il vous plaît " * 2
    samples = [(epoch, [text]) for epoch, text in ((1, "la la"), (2, "la la"), (4, target), (8, target))]
    figure = drawn(plots.decoded_pairs([source], [target], samples))
    written = texts(figure)
    assert "".join(written[1:3]) == source
    assert written[3:] == ["target", target, "epoch 1-2", "la la", "epoch 4-8", target]
    assert [patch.get_facecolor() for patch in figure.patches] == [to_rgba(c) for c in (plots.RED, plots.GREEN)]


def test_each_character_is_drawn_in_a_font_that_has_it() -> None:
    only_sans = next(
        chr(code)
        for code in sorted(fonts._glyphs(fonts._fonts()[0][1]))
        if code > 0x600 and code not in fonts._glyphs(font_manager.findfont(fonts.MONO))
    )
    found = fonts.drawable(f"a{only_sans}", fonts.MONO)
    assert (found.text, found.families[0], found.missing) == (f"a{only_sans}", fonts.MONO, "")
    assert len(found.families) == 2


def test_compared_curves_have_a_colour_for_each_run_and_grey_for_the_others() -> None:
    history = {"train/loss": [(1, 2.0), (2, 1.0)], "val/loss": [(1, 2.5), (2, 2.0)]}
    figure = drawn(plots.compared_curves({"cell lstm": history, "cell gru": history}, others=[history] * 3))
    (axis,) = figure.axes
    assert [line.get_linestyle() for line in axis.lines] == ["--", "-"] * 5
    assert len({to_rgba(line.get_color()) for line in axis.lines}) == 3
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["cell lstm", "cell gru", "3 other runs", "train", "val"]

"""What the pictures of a run show: their figures are drawn, and then asked."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from zoo import plots

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
def test_a_confusion_matrix_shows_shares_and_of_few_classes_counts_and_names(classes: int) -> None:
    counts = 2 * np.eye(classes, dtype=int)
    counts[0, 1] = 2
    figure = drawn(plots.confusion(counts, [f"c{i}" for i in range(classes)]))
    (axis,) = figure.axes
    shares = np.asarray(axis.images[0].get_array()) ** 2
    assert shares[0, :2].tolist() == pytest.approx([0.5, 0.5])
    assert axis.get_title() == f"{classes / (classes + 1):.2%} of {2 * classes + 2} correct"
    few = classes == 3
    assert texts(figure) == (["2"] * 4 if few else [])
    assert ([label.get_text() for label in axis.get_xticklabels()] == ["c0", "c1", "c2"]) is few


def test_predictions_lie_over_true_values_beside_a_diagonal() -> None:
    (axis,) = drawn(plots.predicted_against_true([1.0, 4.0], [1.0, 3.0])).axes
    diagonal, points = axis.lines
    assert diagonal.get_slope() == 1
    assert points.get_xydata().tolist() == [[1.0, 1.0], [3.0, 4.0]]
    assert axis.get_title() == "mean absolute error 0.5"


def test_samples_are_written_as_they_are_but_for_symbols_that_the_font_lacks() -> None:
    figure = drawn(plots.text_samples([(1, "나무 wood $x$"), (2, "a b\nc")], width=6))
    assert texts(figure) == ["epoch 1", "?? woo", "d $x$", "epoch 2", "a b c"]


def test_decoded_pairs_are_coloured_by_whether_they_are_right() -> None:
    figure = drawn(plots.decoded_pairs(["wood", "a$b$"], ["나무", "x"], [(1, ["나무", "y" * 13]), (2, ["단어", "x"])]))
    (axis,) = figure.axes
    colours = np.asarray(axis.images[0].get_array())
    assert (colours > 0.5).tolist() == [[True, False], [False, True]]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["wood", "a$b$"]
    here = ["나무", "y" * 11 + "...", "단어", "x"]
    assert texts(figure) in (here, ["correct", "wrong", "wrong", "correct"])  # without a font that has them all

import numpy as np
import pytest

from zoo.tasks import plots


@pytest.mark.parametrize("classes", [3, 41])
def test_a_confusion_matrix_of_any_number_of_classes_is_drawn(classes: int, tmp_path) -> None:
    plots.confusion(np.eye(classes, dtype=int), [str(i) for i in range(classes)]).savefig(tmp_path / "a.png")


def test_symbols_that_no_font_has_are_drawn_without_a_warning(tmp_path) -> None:
    plots.text_samples([(1, "나무 wood $x$")]).savefig(tmp_path / "a.png")
    plots.decoded_pairs(["wood"], ["나무"], [(1, ["나무"]), (2, ["단어"])]).savefig(tmp_path / "b.png")


def test_curves_show_each_metric_of_each_stage(tmp_path) -> None:
    figure = plots.curves({"train/loss": [(1, 2.0), (2, 1.0)], "val/loss": [(1, 2.5)], "test/accuracy": [(3, 0.5)]})
    assert [axis.get_title() for axis in figure.axes] == ["loss", "accuracy"]
    assert len(figure.axes[0].lines) == 2

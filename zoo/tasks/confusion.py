"""The confusion matrix of tasks that predict classes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class KeepsConfusion:
    """Keeps the confusion matrix of the last validation or test, and draws it. A mixin of tasks.

    The metrics of the task have one named `_confusion`, which counts; the underscore: it is drawn, not logged.
    """

    figure_name: ClassVar[str] = "confusion_matrix"
    remembers: ClassVar[tuple[str, ...]] = ("_confusion",)
    metric: Callable[..., Any]
    _confusion: Tensor | None

    @property
    def class_names(self) -> Sequence[str]:
        """The names of rows and columns."""
        raise NotImplementedError

    def on_validation_epoch_end(self) -> None:
        """Keeps the epoch's confusion matrix, summed over ranks."""
        self._keep_confusion("val")

    def on_test_epoch_end(self) -> None:
        """Keeps the confusion matrix, summed over ranks."""
        self._keep_confusion("test")

    def _keep_confusion(self, stage: str) -> None:
        metric = self.metric(stage, "_confusion")
        self._confusion = metric.compute().cpu()
        metric.reset()

    def figure(self) -> "Figure | None":
        """Draws the confusion matrix of the test part, or of the last validation if there was no test."""
        from zoo import plots

        return None if self._confusion is None else plots.confusion(self._confusion, self.class_names)

"""The pictures of a run. Each function returns a matplotlib figure, and works without a display."""

from zoo.plots.alignments import alignments
from zoo.plots.classes import confusion
from zoo.plots.figure import Figure
from zoo.plots.histograms import counts, ranges
from zoo.plots.sweeps import Point, Searched, sweep
from zoo.plots.texts import GREEN, RED, decoded_pairs, text_samples
from zoo.plots.training import Series, compared_curves, curves, samples, search
from zoo.plots.values import Forecast, forecasts, predicted_against_true

__all__ = [
    "GREEN",
    "RED",
    "Figure",
    "Forecast",
    "Point",
    "Searched",
    "Series",
    "alignments",
    "compared_curves",
    "confusion",
    "counts",
    "curves",
    "decoded_pairs",
    "forecasts",
    "predicted_against_true",
    "ranges",
    "samples",
    "search",
    "sweep",
    "text_samples",
]

"""Pictures of data: how often each class, symbol or length occurs."""

from collections.abc import Mapping

import numpy as np

from zoo import fonts
from zoo.plots.figure import Figure

MOST_BARS = 40


def counts(kind: str, counted: Mapping[str, Mapping[str, int]]) -> Figure:
    """Draws the counts of each part of some data, as shares of the part.

    Args:
        kind: What is counted, for example `classes`. For `lengths ...`, the names are numbers, and a
            histogram is drawn; otherwise bars, the most common ones first.
        counted: Part -> name -> count.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    axis = figure.subplots()
    totals = {part: max(1, sum(counts.values())) for part, counts in counted.items()}
    if kind.startswith("lengths"):
        longest = max((int(name) for counts in counted.values() for name in counts), default=1)
        edges = np.linspace(0.5, longest + 0.5, min(longest, MOST_BARS) + 1).tolist()
        for part, counts in counted.items():
            lengths, weights = [int(name) for name in counts], [n / totals[part] for n in counts.values()]
            axis.hist(lengths, edges, weights=weights, histtype="step", label=f"{part} ({totals[part]:,})")
        axis.set_xlabel(kind)
    else:
        names = sorted(
            {name for counts in counted.values() for name in counts},
            key=lambda name: -sum(counts.get(name, 0) / totals[part] for part, counts in counted.items()),
        )
        places = np.arange(len(names[:MOST_BARS]))
        width = 0.8 / max(1, len(counted))
        for number, (part, counts) in enumerate(counted.items()):
            shares = [counts.get(name, 0) / totals[part] for name in names[:MOST_BARS]]
            axis.bar(places + number * width, shares, width, label=f"{part} ({totals[part]:,})")
        drawable = [fonts.drawable(name if name.strip() else repr(name), fonts.SANS) for name in names[:MOST_BARS]]
        upright = max((len(name) for name in names[:MOST_BARS]), default=0) <= 3
        axis.set_xticks(places + 0.4 - width / 2, [found.text for found in drawable], rotation=0 if upright else 60)
        more = f", the {MOST_BARS} most common of {len(names):,}" if len(names) > MOST_BARS else ""
        axis.set_xlabel(kind + more)
    axis.set_ylabel("share of the part")
    axis.legend()
    return figure

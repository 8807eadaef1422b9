"""Pictures of data: how often each class, symbol, length or number occurs."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zoo import fonts
from zoo.plots.figure import Figure

MOST_BARS = 40
MOST_PANELS = 12


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
            key=lambda name: (-sum(counts.get(name, 0) / totals[part] for part, counts in counted.items()), name),
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


def ranges(numbers: Mapping[str, Mapping[str, NDArray[np.float32]]]) -> Figure:
    """Draws a histogram of each target of some data, a panel each.

    Args:
        numbers: Part -> target -> its numbers.
    """
    names = list(dict.fromkeys(name for columns in numbers.values() for name in columns))[:MOST_PANELS]
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure = Figure(figsize=(max(6, 4 * across), 1 + 3 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for panel, name in zip(panels, names, strict=False):
        found = {part: columns[name] for part, columns in numbers.items() if name in columns}
        edges = np.histogram_bin_edges(np.concatenate(list(found.values())), MOST_BARS).tolist()
        for part, values in found.items():
            weights = np.full(len(values), 1 / len(values))
            panel.hist(values, edges, weights=weights, histtype="step", label=f"{part} ({len(values):,})")
        panel.set_xlabel(fonts.drawable(name, fonts.SANS).text)
    panels[0].set_ylabel("share of the part")
    panels[0].legend()
    return figure

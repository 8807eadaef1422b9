"""Where a decoder with attention looked."""

from typing import NamedTuple


class Alignment(NamedTuple):
    """How much each predicted symbol looked at each symbol of the source.

    Example:
        >>> Alignment(["a", "b"], ["b", "<end>"], [[0.25, 0.75], [0.5, 0.5]])
        Alignment(['a', 'b'] -> ['b', '<end>'], 2 x 2 weights)
    """

    source: list[str]  # S symbols
    target: list[str]  # T symbols, the end symbol included
    weights: list[list[float]]  # T x S; each row has the sum 1

    def __repr__(self) -> str:
        return f"Alignment({self.source} -> {self.target}, {len(self.target)} x {len(self.source)} weights)"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        from zoo import plots

        return plots.alignments([[("", *self)]])._repr_png_()

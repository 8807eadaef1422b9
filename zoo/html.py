"""HTML that notebooks show for models, results and data: pure functions of plain values. All text is escaped."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

MOST_VALUES = 20  # of a list


def table(title: str, rows: Mapping[str, Any]) -> str:
    """Returns a title and a table of two columns. Rows whose value is None or empty are omitted.

    Of a list, the number of values and the first ones are shown.

    Example:
        >>> table("a", {"b": "<c>", "d": None}).count("<tr>")
        1
    """
    shown = ((name, _text(value)) for name, value in rows.items() if value not in (None, "", {}, (), []))
    lines = (
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{text}</td></tr>'
        for name, text in shown
    )
    return f"<b>{escape(title)}</b><table>{''.join(lines)}</table>"


def model(name: str, about: Mapping[str, Any], parameters: int, dtype: str, takes: str) -> str:
    """Returns a table about a model: its size, what it takes, and its card's data and metrics."""
    rows = {
        "model": name if about.get("title") else None,
        "parameters": f"{parameters:,}, {dtype}",
        "takes": takes,
        "data": about.get("dataset"),
        "reaches": about.get("metrics"),
        "baseline": about.get("baseline"),
    }
    return table(about.get("title", name), rows)


def symbols(text: Sequence[str], log_probs: Sequence[float]) -> str:
    """Returns a text with each symbol shaded by its log-probability: the darker, the less likely.

    The exact values show when the pointer is over a symbol.
    """
    spans = []
    for symbol, log_prob in zip(text, log_probs, strict=True):
        chance = math.exp(log_prob)
        shade = f"background:rgba(214,39,40,{0.7 * (1 - chance):.2f})"
        spans.append(f'<span style="{shade}" title="{log_prob:.3f}, p = {chance:.3f}">{escape(symbol)}</span>')
    return f'<pre style="white-space:pre-wrap">{"".join(spans)}</pre>'


def bars(title: str, chances: Mapping[str, float], most: int = 10) -> str:
    """Returns probabilities as bars, the most likely first, at most `most` of them."""
    ranked = sorted(chances.items(), key=lambda pair: -pair[1])
    rows = "".join(
        f'<tr><td style="text-align:left"><code>{escape(name)}</code></td><td style="text-align:left">{_bar(chance)}'
        f"</td><td>{chance:.4f}</td></tr>"
        for name, chance in ranked[:most]
    )
    rest = f"<tr><td colspan=3>and {len(ranked) - most} more</td></tr>" if len(ranked) > most else ""
    return f"<b>{escape(title)}</b><table>{rows}{rest}</table>"


def scored(text: str, log_prob: float, score: float) -> str:
    """Returns a text that beam search found, with its probability as a bar."""
    chance = math.exp(log_prob)
    return (
        f"<pre>{escape(text)}</pre>{_bar(chance)} p = {chance:.3g}, log-probability {log_prob:.3f}, score {score:.3f}"
    )


def _bar(chance: float) -> str:
    style = "display:inline-block;height:0.7em;background:#1f77b4"
    return f'<span style="{style};width:{100 * chance:.0f}px"></span>'


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return escape(", ".join(f"{name} {item}" for name, item in value.items()))
    if isinstance(value, list):
        shown = " ".join(str(item) if str(item).strip() else repr(item) for item in value[:MOST_VALUES])
        return escape(f"{len(value)}: {shown}{' ...' if len(value) > MOST_VALUES else ''}")
    return escape(str(value))

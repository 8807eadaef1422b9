"""HTML that notebooks show for a datamodule. All text is escaped."""

from collections.abc import Mapping
from html import escape
from typing import Any

MOST = 20  # values of a list to show


def table(title: str, rows: Mapping[str, Any]) -> str:
    """Returns a title and a table of two columns. Rows whose value is None or empty are omitted.

    Example:
        >>> table("a", {"b": "<c>", "d": None}).count("<tr>")
        1
    """
    lines = (
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{_text(value)}</td></tr>'
        for name, value in rows.items()
        if value not in (None, "", [])
    )
    return f"<b>{escape(title)}</b><table>{''.join(lines)}</table>"


def _text(value: Any) -> str:
    if isinstance(value, list):
        shown = " ".join(escape(repr(item) if item == " " else str(item)) for item in value[:MOST])
        return f"{len(value)}: {shown}{' ...' if len(value) > MOST else ''}"
    return escape(str(value))

"""Notebooks as pages: executed, each piece of code followed by what it shows."""

import base64
import html
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TIMEOUT = 300  # seconds of a cell
EQUATION = re.compile(r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|\$(?!\s)([^$\n]+?)(?<!\s)\$", re.DOTALL)


def title(path: Path) -> str:
    """The first heading of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    headings = (re.search(r"^# (.+)$", cell.source, re.MULTILINE) for cell in cells if cell.cell_type == "markdown")
    return next((found[1] for found in headings if found), path.stem)


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with what it shows. A cell that fails is raised."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],  # not that its connection is not encrypted
            resources={"metadata": {"path": folder}},
        )
        client.coalesce_streams = True
        return client.execute()


def pages(paths: Sequence[Path]) -> dict[Path, tuple[str, dict[str, bytes]]]:
    """See `page`; on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(paths, pool.map(page, paths), strict=True))


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """An executed notebook as Markdown, and its pictures by their names, which are beside the page."""
    pictures: dict[str, bytes] = {}
    pieces = []
    for cell in execute(path).cells:
        if cell.cell_type == "markdown":
            pieces.append(equations(cell.source))
        elif cell.cell_type == "code" and cell.source.strip():
            pieces.append(f"~~~~python\n{cell.source}\n~~~~")
            pieces += _shown(cell.outputs, path.stem, pictures)
    note = f'!!! note ""\n    This page is a notebook: [download it]({path.name}){{ download }} and open it in Jupyter.'
    first, *rest = pieces
    heading, _, below = first.partition("\n")
    return "\n\n".join([heading, note, below.strip(), *rest]) + "\n", pictures


def equations(markdown: str) -> str:
    """The equations of a text as MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    def drawn(match: re.Match[str]) -> str:
        if match[1] is not None:  # code
            return match[0]
        display = "block" if match[2] is not None else "inline"
        return convert(match[2] if display == "block" else match[3], display=display)

    return EQUATION.sub(drawn, markdown)


def _shown(outputs: list[Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """What a piece of code shows, as Markdown: of several forms, the richest."""
    for output in outputs:
        data = output.get("data", {})
        if output.output_type == "stream":
            yield _text(settled(output.text))
        elif "image/png" in data:
            name = f"{stem}_{len(pictures) + 1}.png"
            pictures[name] = base64.b64decode(data["image/png"])
            width, height = (int.from_bytes(pictures[name][at : at + 4]) for at in (16, 20))  # of a PNG
            shown = output.get("metadata", {}).get("image/png", {}).get("width")  # half as wide, for sharp screens
            marks = [".shown", *([".wide"] if 2 * width > 5 * height else []), *([f"width={shown}"] if shown else [])]
            yield f"![What the code above shows]({name}){{ {' '.join(marks)} }}"
        elif "image/svg+xml" in data:
            yield f'<div class="shown">{"".join(data["image/svg+xml"].splitlines())}</div>'
        elif "text/html" in data:
            lines = data["text/html"].replace("\n", "&#10;")  # an empty line would end the block
            yield f'<div class="shown">{lines}</div>'
        elif "text/markdown" in data:
            yield data["text/markdown"]
        elif "text/plain" in data:
            yield _text(data["text/plain"])


def settled(text: str) -> str:
    """A printed text as a terminal shows it in the end: a bar of progress is one line."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    bars = [number for number, line in enumerate(lines) if "it/s" in line]
    return "\n".join(line for number, line in enumerate(lines) if number not in bars[:-1] and line.strip())


def _text(text: str) -> str:
    return f'<pre class="shown"><code>{html.escape(text.strip(chr(10)), quote=False)}</code></pre>'.replace(
        "\n", "&#10;"
    )

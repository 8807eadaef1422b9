"""Executes the notebooks in docs; `make notebook` stores the new outputs of those that are stored with them."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
LESSONS = sorted((DOCS / "lessons").glob("*.ipynb"))  # stored without outputs


def execute(path: Path, folder: Path, last: str | None = None) -> nbformat.NotebookNode:
    """The notebook with new outputs, executed in a folder. An error in a cell is raised.

    Args:
        path: The notebook.
        folder: Where it runs.
        last: Code that is executed after its cells, and sees their names.
    """
    notebook = nbformat.read(path, as_version=4)
    if last is not None:
        notebook.cells.append(nbformat.v4.new_code_cell(last))
    metadata = {"path": str(folder)}
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": metadata}, record_timing=False
    )
    client.coalesce_streams = True
    executed = client.execute()
    for output in (output for cell in executed.cells for output in cell.get("outputs", ())):
        if output.output_type == "stream" and "it/s" in output.text:
            # A bar as it ends. In a file, the movements of the cursor would be noise.
            output.text = [line for line in output.text.split("\n") if line.startswith("epoch")][-1] + "\n"
    return executed


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    for path in NOTEBOOKS:
        with TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)
        sys.stdout.write(f"{path}: {path.stat().st_size // 1000} kB\n")

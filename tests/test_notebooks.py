"""The notebooks in docs run as they stand there, without an error or a warning."""

from pathlib import Path

import nbformat
import pytest

from notebook import NOTEBOOKS, execute

MOST_BYTES = 300_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of the client's own sockets; the cells' warnings are looked for below
def test_it_runs_without_a_warning(path: Path, tmp_path: Path) -> None:
    for cell in execute(path, tmp_path).cells:
        said = [output for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
        assert not said, f"{cell.source}\n{said}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_with_its_outputs_and_small(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds

"""Every notebook runs from where people start it, and is committed with the outputs they come to see."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 400_000

NEEDS = {"06_deep_view": "tshark"}
SNIFFS = "05_live_segment"
"""It runs without the right to capture as well, and then says so: that is not what is committed."""

# Paths of somebody's machine. A URL has no blank or quote before its path.
ABSOLUTE = re.compile(r"""(?:^|[\s"'(])(?:/(?:home|root|tmp|work|Users|usr|opt|var|mnt)/|[A-Z]:\\)""")


def load(notebook: Path) -> Any:
    return nbformat.read(notebook, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.filterwarnings("default")  # of Jupyter's own libraries
@pytest.mark.parametrize("start", [".", "notebooks"])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.needs(NEEDS[path.stem])] if path.stem in NEEDS else [])
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_it_runs(path: Path, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem == SNIFFS and (sys.platform != "linux" or os.geteuid() != 0):
        pytest.skip("root may capture on loopback, others may not")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel is to show charts inline, as Jupyter does
    notebook = load(path)
    committed = [kinds(cell) for cell in code_cells(notebook)]
    client = NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(ROOT / start)}})
    client.execute()
    assert [kinds(cell) for cell in code_cells(notebook)] == committed, "make notebooks, and commit it"


def kinds(cell: Any) -> list[str]:
    """What a cell gives: text, pictures, tables. Their content may differ with the versions of libraries."""
    return [kind for one in cell.outputs for kind in sorted(one.get("data", [one.get("name", "error")]))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_outputs_are_committed(path: Path) -> None:
    notebook = load(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), (
        "run from top to bottom"
    )
    assert any(kinds(cell) for cell in cells)
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", "a warning is no output to keep"
            shown = [output.get("text", ""), *output.get("data", {}).values()]
            assert not any(ABSOLUTE.search(str(text)) for text in shown)
    assert path.stat().st_size < MAX_BYTES

"""The notebook: small, without outputs, and it runs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def notebook(repository: Path) -> dict[str, Any]:
    path = repository / "pytracking" / "notebooks" / "analyze_results.ipynb"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_is_stored_without_outputs(notebook: dict[str, Any]) -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells(notebook))


def test_what_it_imports_from_us_exists(notebook: dict[str, Any]) -> None:
    imports = []
    for cell in code_cells(notebook):
        for node in ast.parse("".join(cell["source"])).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("pytracking", "ltr")):
                imports.append(ast.unparse(node))
    assert len(imports) >= 5
    for statement in imports:
        exec(statement, {})


@pytest.mark.slow
def test_it_runs(notebook: dict[str, Any], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    smaller = {'"edcf:default", ': "", "get_dataset(DATASET, DATASET_PATH)": "get_dataset(DATASET)[:1]"}
    for old, new in smaller.items():
        cell = next(cell for cell in code_cells(notebook) if old in "".join(cell["source"]))
        cell["source"] = "".join(cell["source"]).replace(old, new)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel shows plots in the page
    monkeypatch.setenv("PYTHONPATH", str(repository))  # the kernel works in another folder
    executed = nbclient.NotebookClient(
        nbformat.reads(json.dumps(notebook), as_version=4), timeout=280, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output["data"].get("text/markdown", "") for output in outputs if "data" in output]
    assert any("| opencv:mil" in text for text in texts)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    assert (tmp_path / "results" / "opencv" / "mil").is_dir()

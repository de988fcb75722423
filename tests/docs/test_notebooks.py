"""The notebooks run from the first cell to the last, from a clone, in a kernel of their own."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, absent

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def printed(notebook: Any) -> str:
    """Return everything that a notebook's cells printed."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_text_with_its_format_named(source: Path) -> None:
    assert "format_name: percent" in source.read_text(encoding="utf-8")


def test_the_thread_runs_to_a_sound_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("jupytext", "nbclient", "ipykernel"):
        if find_spec(package) is None:
            absent(package, "pip install '.[dev]'")
    import jupytext
    from nbclient import NotebookClient

    for name in ("HOME", "KEYS", "STORE", "MLRUNS", "LANG"):
        monkeypatch.delenv(f"WORKBENCH_{name}", raising=False)
    notebook = jupytext.read(ROOT / "notebooks" / "01_the_thread.py")
    client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    client.execute()

    said = printed(notebook)
    verdicts = [json.loads(line) for line in said.splitlines() if line.startswith('{"sound"')]
    assert [verdict["sound"] for verdict in verdicts] == [True]
    for code in ("governance.not_allowed", "model.leakage"):
        assert f"[{code}]" in said
    kinds = [cell.outputs for cell in notebook.cells if cell.cell_type == "code" and "tracing.trace" in cell.source]
    assert "release" in str(kinds)
    assert "model" in str(kinds)

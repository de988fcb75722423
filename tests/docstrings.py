"""A check that every public module, class and function of the package says what it is: `python -m tests.docstrings`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "workbench"
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def missing(source: Path) -> Iterator[str]:
    """Yield a file's public definitions without a docstring, as `line name`."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    if ast.get_docstring(tree) is None:
        yield "1 (module)"
    yield from _inside(tree)


def _inside(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            if ast.get_docstring(child) is None:
                yield f"{child.lineno} {child.name}"
            if isinstance(child, ast.ClassDef):
                yield from _inside(child)


def main() -> int:
    """Print every public definition that says nothing; 1 where there is any."""
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line}" for path in sorted(PACKAGE.rglob("*.py")) for line in missing(path)
    ]
    for line in found:
        sys.stdout.write(f"{line}: no docstring\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The verifier that runs elsewhere finds what the workbench finds, and shares nothing with it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from workbench.governance import log_periods, verify_elsewhere
from workbench.store import chain, documents

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | KEYS,
    lambda each: st.lists(each, max_size=4) | st.dictionaries(KEYS, each, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_its_canonical_json_is_rfc_8785(value: Any) -> None:
    assert verify_elsewhere.canonical(value).encode() == rfc8785.dumps(value)


def test_it_knows_the_same_rules() -> None:
    assert verify_elsewhere.ACCESSES == log_periods.ACCESS_VERBS
    assert verify_elsewhere.SHORTEST.days == log_periods.SHORTEST
    assert verify_elsewhere.FIELDS == chain.ENTRY_FIELDS
    assert verify_elsewhere.MANIFESTS == documents.MANIFESTS


def test_it_needs_the_standard_library_and_cryptography_only() -> None:
    tree = ast.parse(Path(verify_elsewhere.__file__).read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in named} <= {*sys.stdlib_module_names, "cryptography"}

"""Each rule of `rules.py`, on every engine and by the interpreter."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cohorts.rules import RULES, database, of_rule
from tests.cohorts.small_database import arrow
from tests.engines.conftest import ENGINES, open_engine
from tests.engines.servers import postgres_server
from workbench.cohorts.circe import Definition
from workbench.cohorts.generate import generate
from workbench.cohorts.reference import interpret

pytestmark = pytest.mark.xdist_group("portable")


@pytest.fixture(scope="module", params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("model", RULES)
def test_the_interpreter_gives_the_rows_of_every_rule(model: str) -> None:
    rules = RULES[model]
    tables = database(model)
    found = {rule.name: of_rule(interpret(rule.definition, tables), at, rule) for at, rule in enumerate(rules)}
    assert found == {rule.name: rule.expected for rule in rules}


@pytest.mark.parametrize("model", RULES)
def test_every_engine_gives_the_rows_of_every_rule(kind: str, model: str, tmp_path: Path) -> None:
    rules = RULES[model]
    tables = {name: arrow(name, rows) for name, rows in database(model).items()}
    with ExitStack() as stack:
        url = stack.enter_context(postgres_server()) if kind == "postgres" else ""
        engine = open_engine(kind, tables, tmp_path, url)
        stack.callback(engine.close)
        made = generate(engine, {rule.name: Definition(rule.definition, rule.name) for rule in rules})
    assert not made.failed
    rows: dict[str, list[tuple[int, dt.date, dt.date]]] = {rule.name: [] for rule in rules}
    for name, *row in zip(*(column.to_pylist() for column in made.rows.columns), strict=True):
        rows[name].append(tuple(row))
    found = {rule.name: of_rule(rows[rule.name], at, rule) for at, rule in enumerate(rules)}
    assert found == {rule.name: rule.expected for rule in rules}

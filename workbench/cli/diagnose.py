"""`workbench cohort diagnose`: when, where, in whom and by which codes a phenotype finds its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.cohort import Database, Engine, app, shown
from workbench.cli.common import As, Home, Json, give, language, opened, progress_bar, table, tell, words
from workbench.kernel.text import say
from workbench.services import own_data, reading

if TYPE_CHECKING:
    from workbench.services.diagnosing import DiagnosticsView, Row

MOST = 20
"""So many lines of a list are printed; --json gives all."""


@app.command("diagnose")
def diagnose(
    what: Annotated[str, typer.Argument(help="With --database a definition; in a home a cohort's name or id.")],
    database: Database = None,
    engine: Engine = "duckdb",
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Show when, where, in whom and by which codes a phenotype finds its events, and concepts that it nearly has."""
    from workbench.services import diagnosing  # noqa: PLC0415 - heavy, and for this verb only

    if database is None:
        with opened(home, as_name) as (wb, actor), progress_bar(words("diagnosing")) as progress:
            view = diagnosing.diagnose_cohort(wb, actor, what, progress)
    else:
        definition = reading.read_one(Path(what))
        opened_engine = own_data.own_engine(database, engine)
        try:
            with progress_bar(words("diagnosing")) as progress:
                view = diagnosing.diagnose_own(opened_engine, definition, progress)
        finally:
            opened_engine.close()
    give(as_json, {"id": what, "state": "diagnosed", **asdict(view)})
    if not as_json:
        _tell(view)


def _tell(view: DiagnosticsView) -> None:
    tell(words("diagnose_total", persons=shown(view.total.persons), events=shown(view.total.events)))
    _section("years", ["year"], [[str(row.what["year"])] for row in view.years], view.years)
    _section("sites", ["site"], [[_site(row)] for row in view.sites], view.sites)
    people = [row for row in view.people if row.persons.value != 0]
    _section("people", ["age", "sex"], [_people(row) for row in people], people, events=False)
    _section("codes", ["table", "concept", "source"], [_code(row) for row in view.codes], view.codes)
    _section("reasons", ["failed"], [[_failed(row, view.rules)] for row in view.reasons], view.reasons)
    for name, rows in view.orphans.items():
        cells = [_orphan(row) for row in rows]
        _section("orphans", ["concept", "table", "relation"], cells, rows, name=name)
    if view.questions:
        tell(f"\n{words('diagnose_questions')}")
    for question in view.questions:
        tell(f"{question['path']}: {question['text'][language()]}")


def _section(
    title: str,
    heads: Sequence[str],
    cells: Sequence[list[str]],
    rows: Sequence[Row],
    *,
    events: bool = True,
    name: str = "",
) -> None:
    if not rows:
        return
    tell(f"\n{words(f'diagnose_{title}', name=name)}")
    numbers = ["persons", "events"] if events else ["persons"]
    lines = [
        [*cell, shown(row.persons), *([shown(row.events)] if events else [])]
        for cell, row in zip(cells[:MOST], rows[:MOST], strict=True)
    ]
    table([words(head) for head in [*heads, *numbers]], lines)
    if len(rows) > MOST:
        tell(words("and_more", count=len(rows) - MOST))


def _site(row: Row) -> str:
    return str(row.what["name"] or row.what["id"] or words("not_recorded"))


def _people(row: Row) -> list[str]:
    low = row.what["low"]
    band = words("age_last", low=low) if low == 90 else f"{low}–{low + 9}"
    return [band, sex(row.what["sex"])]


def sex(concept_id: int) -> str:
    """Return a sex in the terminal's language; other concepts by their number, none as not recorded."""
    if concept_id in (8507, 8532):
        return say(f"cohort.say_gender_{concept_id}", language())
    return str(concept_id) if concept_id else words("not_recorded")


def _code(row: Row) -> list[str]:
    return [row.what["table"], concept(row.what["concept"]), concept(row.what["source"])]


def _orphan(row: Row) -> list[str]:
    return [concept(row.what["concept"]), row.what["table"], words(f"relation_{row.what['relation']}")]


def concept(found: dict[str, Any] | None) -> str:
    """Return a concept by vocabulary, code and name."""
    if found is None:
        return words("not_recorded")
    return f"{found['vocabulary']} {found['code']} {found['name']}"


def _failed(row: Row, rules: Sequence[str]) -> str:
    if not row.what["failed"]:
        return words("meets_all")
    return "; ".join(str(rules[at] or words("rule_number", number=at + 1)) for at in row.what["failed"])

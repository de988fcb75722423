"""Verbs of one's own data alone: inclusion statistics as ATLAS counts them, and negative control outcomes.

Both give exact numbers or rows of persons, so neither runs in a home.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.batch import Batch
from workbench.cli.cohort import Engine, Files, app
from workbench.cli.common import MOST, Home, Json, give, number, progress_bar, read_json, table, tell, words
from workbench.services import own_data, reading

if TYPE_CHECKING:
    from workbench.cohorts.inclusion import Combinations, Inclusion

OwnDatabase = Annotated[
    str, typer.Option("--database", help="Your own OMOP data: a DuckDB file, a Parquet folder, a postgresql:// URL.")
]


@app.command("inclusion")
def inclusion(
    files: Files,
    database: OwnDatabase,
    engine: Engine = "duckdb",
    as_json: Json = False,
    home: Home = None,  # noqa: ARG001 - every verb takes --home
) -> int:
    """Count who meets which combination of the inclusion rules, as ATLAS does, on your own data."""
    batch = Batch(files)
    opened = own_data.own_engine(database, engine)
    try:
        found = batch.each(lambda definition: own_data.inclusion_own(opened, definition))
    finally:
        opened.close()
    give(as_json, {name: _document(one) for name, one in found.items()})
    if not as_json:
        for name, one in found.items():
            tell(f"\n{name}")
            _show(one, reading.rule_names(batch.definitions[name]))
    return batch.close(as_json)


def _document(found: Inclusion) -> dict[str, object]:
    return {"events": _numbers(found.events), "persons": _numbers(found.persons), "lost": found.lost}


def _numbers(found: Combinations) -> dict[str, object]:
    rules = [asdict(rule) for rule in found.rules]
    return {"total": found.total, "final": found.final, "rules": rules, "by_mask": dict(sorted(found.by_mask.items()))}


def _show(found: Inclusion, names: list[str]) -> None:
    lines = [
        (name or words("rule_number", number=at + 1), *(number(n) for n in (p.met, p.gain, e.met, e.gain)))
        for at, (name, p, e) in enumerate(zip(names, found.persons.rules, found.events.rules, strict=True))
    ]
    heads = ("rule", "inclusion_persons", "inclusion_persons_gain", "inclusion_events", "inclusion_events_gain")
    table([words(head) for head in heads], lines)
    for side in ("persons", "events"):
        numbers: Combinations = getattr(found, side)
        tell(words(f"inclusion_final_{side}", final=number(numbers.final), total=number(numbers.total)))
    if lines:
        tell(words("inclusion_note"))
    if found.lost:
        tell(words("inclusion_lost", count=number(found.lost)))


@app.command("controls")
def controls(
    rule: Annotated[Path, typer.Argument(help="A JSON file: occurrenceType, detectOnDescendants, domains.")],
    database: OwnDatabase,
    out: Annotated[Path, typer.Option("--out", help="Where the rows go (.parquet, .csv).")],
    concepts: Annotated[
        list[int],
        typer.Option("--concept", min=0, max=MOST, help="A concept that the exposure is known not to cause."),
    ],
    engine: Engine = "duckdb",
    as_json: Json = False,
    home: Home = None,  # noqa: ARG001 - every verb takes --home
) -> None:
    """Generate negative control outcomes, one cohort a concept, on your own data: they calibrate effect estimates."""
    document = read_json(rule)
    opened = own_data.own_engine(database, engine)
    try:
        with progress_bar(words("generating")):
            found = own_data.controls_own(opened, document, concepts, out)
    finally:
        opened.close()
    give(as_json, {"id": str(out), "state": "done", "persons": found.persons, "events": found.events})
    if not as_json:
        lines = [(name, number(found.persons[name]), number(found.events[name])) for name in found.persons]
        table([words(head) for head in ("concept", "persons", "events")], lines)

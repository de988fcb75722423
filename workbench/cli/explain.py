"""`workbench cohort check`, `draw`, `why`: a definition questioned, drawn, and seen through one person."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.batch import Batch
from workbench.cli.cohort import Database, Engine, Files, app
from workbench.cli.common import MOST, As, Home, Json, give, language, opened, tell, words
from workbench.kernel.text import Lang, say
from workbench.services import own_data, reading

if TYPE_CHECKING:
    from workbench.cohorts.check_reading import Question
    from workbench.cohorts.why_words import Explanation

Language = Annotated[str, typer.Option("--lang", help="fr or en.")]


def chosen(lang: str) -> Lang:
    """Return the language asked for, else the terminal's; raises `own.language_unknown`."""
    return reading.language(lang) if lang else language()


@app.command("check")
def check(
    files: Files,
    database: Database = None,
    engine: Engine = "duckdb",
    release: Annotated[bool, typer.Option("--release", help="Also against the home's current vocabulary.")] = False,
    lang: Language = "",
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> int:
    """Name what a careful reader would question, and what is worth knowing; exit 1 where there is a question."""
    spoken = chosen(lang)
    batch = Batch(files)
    found = _questions(batch, database, engine, (home, as_name) if release else None)
    report = {
        name: [{"path": q.path, "code": q.code, "level": q.level, "text": q.text(spoken)} for q in questions]
        for name, questions in found.items()
    }
    asked = any(question.level == "question" for questions in found.values() for question in questions)
    give(as_json, {"id": "check", "state": "questions" if asked else "clean", "warnings": report})
    if not as_json:
        for name, questions in found.items():
            for question in questions:
                facts = {"name": name, "path": question.path, "text": question.text(spoken)}
                tell(say(f"cli.check_{question.level}", spoken, **facts))
            if not questions:
                tell(f"{name}: {say('cli.nothing_to_question', spoken)}")
    failed = batch.close(as_json)
    return 1 if asked else failed


def _questions(
    batch: Batch, database: str | None, engine: str, place: tuple[Path | None, str | None] | None
) -> dict[str, list[Question]]:
    """Ask the document alone, one's own data, or the vocabulary of a home's current release."""
    if database is not None:
        opened_engine = own_data.own_engine(database, engine)
        try:
            return batch.each(lambda definition: own_data.check_own(opened_engine, definition))
        finally:
            opened_engine.close()
    if place is not None:
        from workbench.services import cohorts  # noqa: PLC0415 - needs a store, for --release only

        with opened(*place) as (wb, actor):
            return cohorts.check_here(wb, actor, batch.definitions)
    return batch.each(reading.check)


@app.command("why")
def why(
    person: Annotated[
        int,
        typer.Option(
            "--person", min=-MOST, max=MOST, help="With --database its person_id, with --extract a pseudonym."
        ),
    ],
    file: Annotated[Path | None, typer.Argument(help="With --database: a definition, or a shipped cohort.")] = None,
    database: Database = None,
    extract: Annotated[str | None, typer.Option("--extract", help="An extract: why is this person in it?")] = None,
    engine: Engine = "duckdb",
    lang: Language = "",
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Say why one person is in a cohort or not, rule by rule: on your own data, or inside an extract by pseudonym."""
    from workbench.services import why as reasons  # noqa: PLC0415 - heavy, and for this verb only

    spoken = chosen(lang)
    if database is None:
        with opened(home, as_name) as (wb, actor):
            if extract is None:
                reasons.why_outside(wb, actor)
            found = reasons.why_in_extract(wb, actor, extract or "", person)
    elif file is None or extract is not None:
        raise typer.BadParameter(words("why_file_needed"))
    else:
        definition = reading.read_one(file)
        opened_engine = own_data.own_engine(database, engine)
        try:
            found = reasons.why_own(opened_engine, definition, person)
        finally:
            opened_engine.close()
    lines = found.lines(spoken)
    give(as_json, {"id": "why", "state": "in" if found.in_cohort else "out", **_document(found), "text": lines}, *lines)


def _document(found: Explanation) -> dict[str, Any]:
    """An explanation as JSON, in days: no date, and criteria as their verdicts."""

    def rule(each: Any) -> dict[str, Any]:
        criteria = [{"holds": one.holds, "days": one.days} for one in each.criteria]
        return {"name": each.name, "holds": each.holds, "criteria": criteria}

    entries = [
        {
            **{key: value for key, value in asdict(entry).items() if key not in ("rules", "additional")},
            "verdict": entry.verdict,
            "additional": rule(entry.additional) if entry.additional else None,
            "rules": [rule(each) for each in entry.rules],
        }
        for entry in found.entries
    ]
    return {"periods": found.periods, "entries": entries}


@app.command("draw")
def draw(
    file: Annotated[Path, typer.Argument(help="A definition: a file, or the name of a shipped cohort.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where it goes (.svg); else it is printed.")] = None,
    lang: Language = "",
    as_json: Json = False,
    home: Home = None,  # noqa: ARG001 - every verb takes --home
) -> None:
    """Draw a definition as a timeline: entry day, windows, time in the cohort."""
    definition = reading.read_one(file)
    picture = reading.draw(definition, chosen(lang))
    if out is None:
        give(as_json, {"id": definition.digest, "state": "drawn", "svg": picture}, picture.rstrip())
        return
    reading.write_picture(picture, out)
    give(as_json, {"id": str(out), "state": "drawn"}, words("drawn", file=out))

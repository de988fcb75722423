"""A release in words: its rows, what was set aside and why, its quality, its rules, and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.cli.common import day, language, number, table, tell, words
from workbench.kernel.text import say

if TYPE_CHECKING:
    from workbench.governance.actors import Actor
    from workbench.services.context import Workbench
    from workbench.services.releases import ReleaseView
    from workbench.services.vocabularies import LoadedVocabulary

FEW = 6


def show(view: ReleaseView) -> None:
    """Print a release for people."""
    tell(words("release", id=view.id, name=view.name, digest=view.digest))
    if view.synthetic:
        tell(words("synthetic"))
    if view.retired:
        tell(say("release.said_retired", language()))
    if view.erased_at:
        tell(say("release.said_erased", language(), day=day(view.erased_at), before=view.in_place_of))
    rows = [(name, counted(count)) for name, count in view.rows.items() if count != 0]
    table((words("table"), words("rows")), rows)
    _set_aside(view)
    for line in (*_left(view), *_notices(view), *_quality(view), *_rules(view)):
        tell(line)
    _changes(view)


def counted(value: int | None) -> str:
    """Return a number of rows or persons as words: None where it is too small to show."""
    return words("few") if value is None else number(value)


def show_vocabulary(made: LoadedVocabulary) -> None:
    """Print what a vocabulary brought, what of it was set aside, and what it lacks."""
    view = made.release
    tell(words("release", id=view.id, name=view.name, digest=view.digest))
    tell(words("vocabulary", version=made.version or "–", concepts=number(made.concepts)))
    for each in made.set_aside:
        reason = say(f"intake.reason_{each['reason']}", language())
        tell(words("vocabulary_aside", **{**each, "rows": number(each["rows"]), "reason": reason}))
    for each in made.unfound:
        counts = {"rows": number(each["rows"]), "concepts": number(each["concepts"])}
        tell(words("vocabulary_unfound", **{**each, **counts}))
    for line in _notices(view):
        tell(line)


def _set_aside(view: ReleaseView) -> None:
    """Print the rows set aside by table, column and reason."""
    found = [
        (reading["name"], each["column"], say(f"intake.reason_{each['reason']}", language()), counted(each["rows"]))
        for reading in view.intake["tables"]
        for each in reading["reasons"]
    ]
    if found:
        total = sum(reading["set_aside"] or 0 for reading in view.intake["tables"])
        tell(words("set_aside", count=number(total)))
        table((words("table"), words("column"), words("reason"), words("rows")), found)


def _left(view: ReleaseView) -> Iterator[str]:
    """Yield what of the source was left: tables, files and columns that the model does not know."""
    columns = [f"{each['name']}.{name}" for each in view.intake["tables"] for name in each["unknown_columns"]]
    unknown = [*view.intake["unknown_tables"], *view.intake.get("unknown_files", ()), *columns]
    if unknown:
        yield words("left", names=", ".join(unknown))


def _notices(view: ReleaseView) -> Iterator[str]:
    for notice in view.intake.get("notices", ()):
        facts = {name: value if isinstance(value, str) else counted(value) for name, value in notice.items()}
        yield say(f"intake.notice_{facts.pop('code')}", language(), **facts)


def _quality(view: ReleaseView) -> Iterator[str]:
    checks = view.quality["summary"]
    failed = [f"{c['table']}.{c['column']} {c['check']}" for c in view.quality["checks"] if c["status"] == "failed"]
    yield words("quality", passed=checks["passed"], failed=checks["failed"], not_applicable=checks["not_applicable"])
    if failed:
        yield words("quality_failed", checks=", ".join(failed[:FEW]), more=max(0, len(failed) - FEW))


def _rules(view: ReleaseView) -> Iterator[str]:
    yield words("observation_period", rule=period_rule(view))
    built = [name for name, rule in view.era_rules.items() if rule["code"] == "built"]
    if built:
        yield words("eras_built", tables=", ".join(built), days=view.era_rules[built[0]]["gap_days"])


def period_rule(view: ReleaseView) -> str:
    """Return the rule of a release's observation periods as words."""
    rule: dict[str, Any] = view.observation_period_rule
    return words(f"rule_{rule['code']}", count=counted(rule["periods"]), days=rule.get("days", 0))


def counted_by(wb: Workbench, actor: Actor) -> str:
    """Return, as a sentence, the rule by which persons are observed in the current release: it decides who counts."""
    from workbench.services import releases  # noqa: PLC0415 - one's own data needs no store

    now = next(view for view in releases.list_releases(wb, actor) if view.current)
    return words("observation_period", rule=period_rule(now))


def _changes(view: ReleaseView) -> None:
    """Print what changed against the release before."""
    if view.changes is None:
        return
    tell(words("changes", parent=view.changes["parent"][:12]))
    rows = [
        (each["name"], *(counted(each[part]) for part in ("before", "after", "added", "removed", "changed")))
        for each in view.changes["tables"]
    ]
    heads = ("table", "rows_before", "rows_after", "rows_added", "rows_removed", "rows_changed")
    table([words(head) for head in heads], rows)
    persons = {name: counted(n) for name, n in view.changes["persons"].items()}
    tell(words("changes_persons", **persons))
    tell(words("changes_concepts", **{name: number(n) for name, n in view.changes["concepts"].items()}))

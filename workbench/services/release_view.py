"""A release as people see it: who loads it sees how many rows are where, everybody else governed numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from workbench.governance.disclosure import THRESHOLD, shown
from workbench.repository.cdm import TABLES
from workbench.store.documents import Document

COUNTS: Final = frozenset(
    {"rows", "of", "persons", "unmapped", "failed", "set_aside", "blank_rows", "periods", "before", "after", "added",
     "removed", "changed"}
)  # fmt: skip
"""Members that count rows or persons, wherever they stand in a manifest or in release notes."""

PARTS: Final = ("tables", "observation_period_rule", "quality", "intake", "era_rules")
"""The parts of a manifest that count."""


@dataclass(frozen=True)
class ReleaseView:
    """A release as people see it; `rows` counts each table's rows, `quality`, `intake` and `era_rules` are the
    manifest's. `changes` says what changed against the release loaded before it (None where it was the first).

    Numbers of rows and persons are exact for who may load releases; for others they are governed, and None where they
    are too few to show. Tables without a person (a vocabulary, places) are exact for everybody. A release that is
    `retired` has no folder any more. One that persons were erased from has taken the place of `in_place_of`, loaded at
    `loaded_at`, at the time `erased_at` (both None where nobody was).
    """

    id: str
    digest: str
    name: str
    synthetic: bool
    current: bool
    loaded_at: str
    retired: bool
    rows: dict[str, int | None]
    observation_period_rule: dict[str, Any]
    quality: dict[str, Any]
    sources: list[dict[str, Any]]
    intake: dict[str, Any]
    era_rules: dict[str, Any]
    changes: dict[str, Any] | None
    in_place_of: str | None = None
    erased_at: str | None = None


def view_of(
    document: Document, current: str | None, notes: Mapping[str, Any] | None, *, exact: bool, retired: bool = False
) -> ReleaseView:
    """Return a release's view. `current`: the id of the current one; `notes`: what changed; `exact`: whether its reader
    sees exact numbers of rows (never of persons who came and went); `retired`: whether its folder is gone."""
    body: Mapping[str, Any] = document.body
    shown_of = body if exact else _governed_parts(body)
    return ReleaseView(
        id=document.id,
        digest=document.digest,
        name=body["name"],
        synthetic=body["synthetic"],
        current=document.id == current,
        loaded_at=document.made_at,
        retired=retired,
        rows={table["name"]: table["rows"] for table in shown_of["tables"]},
        observation_period_rule=shown_of["observation_period_rule"],
        quality=shown_of["quality"],
        sources=body["sources"],
        intake=shown_of["intake"],
        era_rules=shown_of.get("era_rules", {}),
        changes=None if notes is None else _changes(notes, _few(body), exact=exact),
    )


def governed_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a release's manifest with governed numbers, for whoever reads it."""
    return {**body, **_governed_parts(body)}


def _governed_parts(body: Mapping[str, Any]) -> dict[str, Any]:
    few = _few(body)
    parts = {name: _governed(body[name], few) for name in PARTS if name in body}
    return {**parts, "quality": {**parts["quality"], "summary": body["quality"]["summary"]}}


def _few(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the tables whose rows, however many, are of too few persons to show."""
    return frozenset(each["table"] for each in body["quality"]["records"] if each["persons"] < THRESHOLD)


def _changes(notes: Mapping[str, Any], few: frozenset[str], *, exact: bool) -> dict[str, Any]:
    tables = notes["tables"] if exact else _governed(notes["tables"], few)
    return {**notes, "tables": tables, "persons": {name: _shown(count) for name, count in notes["persons"].items()}}


def _governed(value: Any, few: frozenset[str]) -> Any:
    """Return a part of a document with every number of rows or persons as it is shown; what is about a table without a
    person stays."""
    if isinstance(value, list):
        return [_governed(each, few) for each in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    members = cast("Mapping[str, Any]", value)
    name = str(members.get("table", members.get("name", "")))
    if name in TABLES and not TABLES[name].has_person:
        return dict(members)
    return {member: _member(member, each, few, hide=name in few) for member, each in members.items()}


def _member(name: str, value: Any, few: frozenset[str], *, hide: bool) -> Any:
    if name not in COUNTS or not isinstance(value, int):
        return _governed(value, few)
    return None if hide and value else _shown(value)


def _shown(count: int) -> int | None:
    """Return how a number is shown; that there is nothing at all is no secret of anybody."""
    return shown(count).value if count else 0

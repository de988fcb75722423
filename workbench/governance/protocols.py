"""Protocols and requests checked before anybody decides, and what is delivered: requested ∩ approved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from workbench.governance.concept_limits import check_concepts, limits
from workbench.governance.date_forms import check_dates
from workbench.governance.deliverable import deliverable, why_never
from workbench.governance.legal_bases import legal_basis, missing_fields
from workbench.governance.sensitive import withheld_classes
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.schemas import validate

FOLLOW_UP: dict[str, int | None] = {"from_day": 0, "to_day": None}
"""The outcome period where none is named: from the index to the end of the (cut) follow-up."""

RARE: Final = ("birth_years", "care_sites", "concepts")
"""Kinds of values that leave coarser where fewer than 11 persons of an extract have them, unless a protocol keeps
them."""


@dataclass(frozen=True)
class Columns:
    """One table's columns: asked for, allowed, and given; `withheld` says per column why it is not given."""

    requested: tuple[str, ...]
    approved: tuple[str, ...]
    delivered: tuple[str, ...]
    withheld: Mapping[str, str]


def check_protocol(document: Mapping[str, Any]) -> None:
    """Check a study protocol: its form, its legal basis, and that no table or column is named that never leaves.

    Raises `InvalidInput`: `kernel.document_invalid`, `governance.unknown_legal_basis`,
    `governance.legal_fields_missing`, `governance.unknown_class`, `governance.never_delivered`,
    `governance.period_reversed`, `governance.not_a_day`, `governance.refresh_after_end`, and what
    `concept_limits.check_concepts` raises.
    """
    validate(document, "protocol")
    check_day(document.get("ends_on"))
    _check_refreshes(document)
    basis = document["legal_basis"]
    missing = missing_fields(basis["code"], basis["fields"])
    if missing:
        raise InvalidInput("governance.legal_fields_missing", basis=basis["code"], fields=", ".join(missing))
    withheld_classes(document["sensitive_classes"])
    _check_columns(document["tables"])
    check_concepts(document)
    _check_order(document["period"])
    _check_order(document.get("outcome_period", FOLLOW_UP))


def check_day(text: str | None) -> None:
    """Raise `InvalidInput` (`governance.not_a_day`) where a text is given that is no day of the calendar."""
    try:
        date.fromisoformat(text or "2000-01-01")
    except ValueError:
        raise InvalidInput("governance.not_a_day", day=text) from None


def _check_refreshes(document: Mapping[str, Any]) -> None:
    """Each is a day, and none comes after the study's last."""
    for day in document.get("refresh_on", ()):
        check_day(day)
        if day > document.get("ends_on", day):
            raise InvalidInput("governance.refresh_after_end", day=day, ends_on=document["ends_on"])


def check_request(request: Mapping[str, Any], protocol: Mapping[str, Any], cohort_names: Collection[str]) -> None:
    """Check a request against its protocol: nothing beyond what the protocol approves.

    `cohort_names` are the names of the target and outcome cohort versions that the request's digests stand for.
    Raises `InvalidInput` (form, columns, concepts) and `Refused`: `governance.aggregates_only`,
    `governance.cohort_not_approved`, `governance.beyond_protocol`, `governance.period_beyond_protocol`,
    `governance.why_not_aggregate`, `governance.dates_beyond_protocol`, `governance.index_year_beyond_protocol`.
    """
    validate(request, "request")
    if request["study"] != protocol["study"]:
        raise InvalidInput("governance.other_study", request=request["study"], protocol=protocol["study"])
    code = protocol["legal_basis"]["code"]
    if not legal_basis(code).rows:
        raise Refused("governance.aggregates_only", basis=code)
    if not request["why_not_aggregate"].strip():
        raise Refused("governance.why_not_aggregate")
    unknown = sorted(set(cohort_names) - set(protocol["cohorts"]))
    if unknown:
        raise Refused("governance.cohort_not_approved", cohorts=", ".join(unknown))
    _check_columns(request["tables"])
    check_concepts(request)
    limits(request, protocol)
    check_dates(request, protocol)
    beyond = [
        f"{table}.{column}"
        for table, columns in delivered_columns(request["tables"], protocol["tables"]).items()
        for column in columns.withheld
    ]
    if beyond:
        raise Refused("governance.beyond_protocol", columns=", ".join(beyond))
    for name in ("period", "outcome_period"):
        asked = request.get(name, protocol.get(name, FOLLOW_UP))
        _check_order(asked)
        if intersect(asked, protocol.get(name, FOLLOW_UP)) != _bounds(asked):
            raise Refused("governance.period_beyond_protocol", name=name)


def kept_rare(protocol: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of values (`birth_years`, `care_sites`, `concepts`) that a protocol keeps however rare; nothing
    is kept unless it says so, with its reason."""
    return tuple(sorted(protocol.get("keep_rare", {}).get("values", ())))


def delivered_columns(
    requested: Mapping[str, Sequence[str]], approved: Mapping[str, Sequence[str]]
) -> dict[str, Columns]:
    """Return table → columns for each requested table: delivered = requested ∩ approved ∩ what may leave at all.

    `withheld` reasons (words: `governance.withheld_CODE`): `not_approved`, or a code of `deliverable.why_never`.
    Order follows `deliverable.toml`; `person_id` is delivered, as a pseudonym, with every table that delivers anything.
    """
    return {table: _columns(table, requested[table], approved.get(table, ())) for table in sorted(requested)}


def _columns(table: str, requested: Sequence[str], approved: Sequence[str]) -> Columns:
    both = set(requested) & set(approved)
    given = tuple(name for name in deliverable().get(table, {}) if name in both or (name == "person_id" and both))
    withheld = {name: _why(table, name) for name in sorted(set(requested) - set(given)) if name != "person_id"}
    return Columns(tuple(sorted(set(requested))), tuple(sorted(set(approved))), given, withheld)


def _why(table: str, column: str) -> str:
    return why_never(table, column) or "not_approved"


def intersect(one: Mapping[str, int | None], other: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return the period inside both, in days from the index; None is an open end."""
    lows = [day for day in (one["from_day"], other["from_day"]) if day is not None]
    highs = [day for day in (one["to_day"], other["to_day"]) if day is not None]
    return {"from_day": max(lows) if lows else None, "to_day": min(highs) if highs else None}


def _bounds(period: Mapping[str, int | None]) -> dict[str, int | None]:
    return {"from_day": period["from_day"], "to_day": period["to_day"]}


def _check_columns(tables: Mapping[str, Sequence[str]]) -> None:
    for table, columns in tables.items():
        for column in columns:
            reason = why_never(table, column)
            if reason:
                raise InvalidInput("governance.never_delivered", column=f"{table}.{column}", reason=reason)


def _check_order(period: Mapping[str, int | None]) -> None:
    low, high = period["from_day"], period["to_day"]
    if low is not None and high is not None and low > high:
        raise InvalidInput("governance.period_reversed", from_day=low, to_day=high)

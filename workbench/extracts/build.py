"""The one entry point: an approved request becomes a package in a folder of the caller's.

select → transform → write sealed → inspect again → manifest. The caller makes the folder aside and renames it when
this returns; where this raises, the folder is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from workbench.engines.duckdb import DuckDBEngine
from workbench.extracts import package, risk
from workbench.extracts.dates import Bands
from workbench.extracts.inspect import Finding, inspect_extract, truth
from workbench.extracts.make import Order, make_tables
from workbench.governance.concept_limits import Limit, limits
from workbench.governance.date_forms import SHIFTED, dates_of, delivered_dates, proof
from workbench.governance.keys import StudySecrets, commitment
from workbench.governance.policy import check_other_person
from workbench.governance.protocols import FOLLOW_UP, Columns, delivered_columns, intersect, kept_rare
from workbench.governance.sensitive import withheld_classes
from workbench.kernel.digest import digest_bytes, digest_document
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate


def build_extract(
    *,
    release_tables: Mapping[str, Path],
    release_digest: str,
    approved_release: str | None = None,
    cut_off: date,
    cohort: pa.Table,
    cohort_digest: str,
    outcomes: Mapping[str, tuple[str, pa.Table]],
    protocol: Mapping[str, Any],
    request: Mapping[str, Any],
    approval: Mapping[str, Any],
    secrets: StudySecrets,
    synthetic: bool,
    refresh: Mapping[str, Any] | None = None,
    into: Path,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Make the extract of an approved request inside `into` and return its manifest.

    `cohort` and each outcome have `subject_id`, `cohort_start_date`, `cohort_end_date`; `outcomes` maps a name to its
    digest and rows; `cut_off` is the last day of the release. `approved_release` is the digest by which the papers know
    the release, where another stands for it since persons were erased. `refresh` is what the manifest of a refresh
    says: its number, and the approved release, cohort and outcomes in whose places the others are. Same inputs and
    secrets give the same manifest but for `files`. Raises `Refused` (`extract.stale_approval`, `extract.not_approved`,
    `extract.inspection`), `Unavailable` (`extract.release_incomplete`), and what the engine raises.
    """
    digests = [digest for digest, _ in outcomes.values()]
    made_of = {"release": approved_release or release_digest, "cohort": cohort_digest, "outcomes": digests}
    check_papers(request, protocol, approval, **{name: refresh[name] if refresh else made_of[name] for name in made_of})
    columns = delivered_columns(request["tables"], protocol["tables"])
    rows = {name: pl.DataFrame(table) for name, (_, table) in outcomes.items()}
    order = _order(columns, cut_off, request, protocol)
    shifted = order.dates.form == SHIFTED
    with DuckDBEngine.over_parquet(release_tables) as engine:
        made = make_tables(engine, order, pl.DataFrame(cohort), rows, secrets, progress=part(progress, 0.0, 0.7))
    progress(0.7, "write")
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest: dict[str, Any] = {
        **_papers(request, protocol, approval, refresh),
        "synthetic": synthetic,
        "release": release_digest,
        "cohort": cohort_digest,
        "outcomes": [outcomes[name][0] for name in sorted(outcomes)],
        "outcome_names": sorted(outcomes),
        "key_commitment": commitment(secrets.pseudonym),
        "columns": {name: _proof(entry) for name, entry in columns.items()},
        **_concepts(order.limits, made.limited),
        "period": order.period,
        "outcome_period": order.outcome_period,
        **_dates(request, protocol, made.bands),
        "transforms": made.transforms,
        "coarsened": made.coarsened,
        "pseudonym_collisions": made.collisions,
        "risk": risk.measure(made.tables, made.left_out, made.classes, shifted=shifted),
        "dictionary": package.dictionary(made.given, sorted(made.tables), order.dates, moved_ages=order.moved_ages),
        "tables": package.write_tables(made.delivered, protocol["study"], secrets.data, into),
    }
    validate(manifest, "extract")
    progress(0.85, "inspect")
    _refuse(inspect_extract(into, manifest, protocol, request, secrets, truth(release_tables, cohort, cut_off)))
    package.write_manifest(manifest, into)
    progress(1.0, "done")
    return manifest


def _order(
    columns: Mapping[str, Columns], cut_off: date, request: Mapping[str, Any], protocol: Mapping[str, Any]
) -> Order:
    """What is to be made, as both papers allow it."""
    period, later = (_period(name, request, protocol) for name in ("period", "outcome_period"))
    classes = protocol["sensitive_classes"]
    found = limits(request, protocol)
    form = delivered_dates(request, protocol)
    withheld, kept, moved = withheld_classes(classes), kept_rare(protocol), dates_of(protocol).calendar
    return Order(columns, period, later, withheld, cut_off, classes, found, form, kept, moved)


def _papers(
    request: Mapping[str, Any], protocol: Mapping[str, Any], approval: Mapping[str, Any],
    refresh: Mapping[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """The study of an extract, the digests of the papers that allow it, and which refresh it is, if one."""
    papers = {"request": request, "protocol": protocol, "approval": approval}
    digests = {name: digest_document(paper) for name, paper in papers.items()}
    renewed = {"refresh": dict(refresh)} if refresh else {}
    return {"format": "workbench/extract/1", "study": protocol["study"], **digests, **renewed}


def check_papers(
    request: Mapping[str, Any],
    protocol: Mapping[str, Any],
    approval: Mapping[str, Any],
    *,
    release: str,
    cohort: str,
    outcomes: Sequence[str],
) -> None:
    """Check that the papers belong together: this request, approved by another person, under this very protocol.

    `release`, `cohort` and `outcomes` are the digests of what is about to be used.

    Raises `Refused`: `extract.not_approved`, `extract.stale_approval` naming what differs, `governance.self_approval`.
    """
    if approval["decision"] != "approved":
        raise Refused("extract.not_approved", decision=approval["decision"])
    check_other_person(request["requester"], approval["reviewer"])
    pairs = {
        "request": (approval["request"], digest_document(request)),
        "protocol": (approval["protocol"], digest_document(protocol)),
        "protocol of the request": (request["protocol"], approval["protocol"]),
        "release": (protocol["release"], release),
        "cohort": (request["cohort"], cohort),
        "outcomes": (sorted(request["outcomes"]), sorted(outcomes)),
    }
    differing = [name for name, (approved, given) in pairs.items() if approved != given]
    if differing:
        raise Refused("extract.stale_approval", parts=", ".join(differing))


def _refuse(found: Sequence[Finding]) -> None:
    if found:
        what = ", ".join(f"{finding.code} ({finding.table}.{finding.column})" for finding in found)
        raise Refused("extract.inspection", findings=what)


def _period(name: str, request: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, int | None]:
    approved = protocol.get(name, FOLLOW_UP)
    return intersect(request.get(name, approved), approved)


def _dates(request: Mapping[str, Any], protocol: Mapping[str, Any], bands: Bands) -> dict[str, Any]:
    """Return the member `dates`, only where a paper names another form than days."""
    said = proof(request, protocol)
    if said and said["index_year"]["delivered"]:
        said["bands"] = [{"from": first, "to": last} for first, last in bands]
    return {"dates": said} if said else {}


def _proof(columns: Columns) -> dict[str, Any]:
    return {
        "requested": list(columns.requested),
        "approved": list(columns.approved),
        "delivered": list(columns.delivered),
        "withheld": dict(columns.withheld),
    }


def _concepts(limited: Mapping[str, Limit], resolved: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Return the member `concepts`, only where a table is limited: whoever has the vocabulary can make its digest anew,
    of the ids, rising, in decimal digits, each followed by a line feed."""
    said = {
        table: {
            "requested": limited[table].requested,
            "approved": limited[table].approved,
            "resolved": ids.len(),
            "digest": digest_bytes("".join(f"{each}\n" for each in ids).encode()),
        }
        for table, ids in resolved.items()
    }
    return {"concepts": said} if said else {}

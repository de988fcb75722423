"""Numbers of a cohort that are shown for one study: without the persons who object to it.

The feasibility space belongs to no study and goes on counting them. What is shown for a study goes through the same
memory (`numbers`): a group that lost 1 to 10 persons keeps the number that it was shown with, so that nobody is found
by the difference. Each is told once for a cohort version and a set of objections, and kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.cohorts.diagnose_events import BAND, OLDEST
from workbench.cohorts.left import Populations
from workbench.governance.disclosure import as_shown, not_shown
from workbench.governance.populations import Classes, Population
from workbench.governance.suppression import withheld
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import UserError
from workbench.repository.releases import Release
from workbench.services import cohorts, numbers, objections
from workbench.services.cohorts import CohortRef
from workbench.services.context import Workbench
from workbench.services.holding import reading
from workbench.services.releases import verified_release
from workbench.store import documents, successors
from workbench.store.documents import Document


def reference(wb: Workbench, study: str, version: Document) -> CohortRef:
    """Return how a study's request shows a cohort version: without who objects to the study.

    The number is withheld where the rows can be had no more.
    """
    found = cohorts.reference(wb, version)
    told = _told(wb, study, version, "persons")
    if told is None:
        return found
    return replace(found, persons=as_shown(told[0]) if told else not_shown())


def groups_shown(wb: Workbench, study: str, cohort: str) -> int | None:
    """Return how many groups by age band and sex of a cohort version, by its digest, have a number that may be shown,
    without who objects to the study; None where nobody does: then the cohort's diagnostics say it."""
    with wb.store.read() as connection:
        version = documents.find(connection, cohort)
    told = None if version is None else _told(wb, study, version, "people")
    if told is None:
        return None
    alone = withheld(told, [-1, *(0 for _ in told[1:])]) if told else ()
    return sum(value is not None and at not in alone for at, value in enumerate(told) if at)


def _told(wb: Workbench, study: str, version: Document, what: Literal["persons", "people"]) -> list[int | None] | None:
    """Return how numbers of a cohort's groups are shown, none where they cannot be had; None where nobody objects."""
    with wb.store.read() as connection:
        applied = objections.active(connection, study)
        standing = successors.standing(connection, version.body["release"])
    if not applied:
        return None
    named: dict[str, Any] = {"cohort": version.digest, "what": what, "objections": sorted(e.digest for e in applied)}
    subject = digest_document(named)
    rows = numbers.kept(wb, version.body["release"], subject)
    if rows is None:
        try:
            with reading():
                all_rows = cohorts.rows_of(wb, version.digest)
                if not objections.concern(wb, applied, all_rows):
                    return None
                release = verified_release(wb, standing.id if standing else "")
                left = objections.without(wb, applied, all_rows)
                found = _populations(wb.keys.disclosure_key(), release, left, by_people=what == "people")
                rows = list(numbers.tell(wb, release, [Populations(persons=each) for each in found]).rows)
                numbers.keep(wb, version.body["release"], subject, rows)
        except (UserError, OSError):  # retired, or a cache that cannot be written: a number that is not told is safe
            return []
    return [persons for persons, _, _ in rows]


def _populations(key: bytes, release: Release, rows: pa.Table, *, by_people: bool) -> list[Population]:
    """Return everybody of some rows, then each group by age at the first entry (ten years wide) and sex."""
    ids = pl.Series(rows["subject_id"].unique()).sort()
    classes = Classes(key, ids.to_numpy())
    groups = _by_age_and_sex(release, rows, ids) if by_people else []
    return [classes.population(), *(classes.population(np.asarray(each, np.intp)) for each in groups)]


def _by_age_and_sex(release: Release, rows: pa.Table, ids: pl.Series) -> list[list[int]]:
    """Return the places among `ids` of each group, as diagnostics make them."""
    first = pl.DataFrame(rows).group_by("subject_id").agg(pl.col("cohort_start_date").min().dt.year().alias("year"))
    columns = ["person_id", "year_of_birth", "gender_concept_id"]
    known = pl.DataFrame(pq.read_table(release.tables["person"], columns=columns)).unique("person_id")
    age = (pl.col("year") - pl.col("year_of_birth")).clip(0) // BAND * BAND
    people = (
        pl.DataFrame({"subject_id": ids})
        .with_row_index("place")
        .join(first, on="subject_id")
        .join(known, left_on="subject_id", right_on="person_id")
        .select("place", pl.min_horizontal(age, OLDEST).alias("low"), pl.col("gender_concept_id").fill_null(0))
        .drop_nulls("low")
    )
    return people.group_by("low", "gender_concept_id").agg("place")["place"].to_list()

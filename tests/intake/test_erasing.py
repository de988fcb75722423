"""Persons taken out of a release: what stays is the release that a load without them gives, and nothing of them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.intake.forms import as_folder
from tests.intake.test_incremental import FAR, QUICK, condition, edited, edits, fill, person, server, states, write
from workbench.intake.erased import erase
from workbench.intake.omop import Options, load_omop
from workbench.intake.work import Ids
from workbench.repository.releases import Release, open_release, release_id, verify

__all__ = ["server"]

GONE = 424242
"""A person who objects; the number stands nowhere else."""


class Objecting:
    """Who objects, as a load asks for it."""

    def __init__(self, *persons: int) -> None:
        self.persons = np.array(persons, np.int64)

    def __call__(self, ids: Ids) -> Ids:
        return np.intersect1d(ids, self.persons)


def load(
    source: Path | str, into: Path, gone: Objecting | None, parent: Release | None = None, **rules: Any
) -> Release:
    aside = into / ".aside"
    choices: dict[str, Any] = {"parent": parent, "objecting": gone, "options": Options(**rules)}
    manifest = load_omop(source, aside, name="x", synthetic=True, **choices)
    return open_release(aside.rename(into / release_id(manifest)))


def erased(release: Release, into: Path, gone: Objecting) -> Release:
    made = erase(release, into / ".aside", gone)
    if made is None:
        return release
    return open_release((into / ".aside").rename(into / release_id(made.manifest)))


def same(first: Release, second: Release) -> None:
    assert dict(first.manifest)["intake"] == dict(second.manifest)["intake"]
    assert release_id(first.manifest) == release_id(second.manifest)
    assert verify(first, content=True) == verify(second, content=True) == ()


HOSPITAL: dict[str, pl.DataFrame] = {
    "person": pl.DataFrame({
        "person_id": [1, GONE, 3], "gender_concept_id": [8507] * 3, "year_of_birth": [1980, 1981, 1982],
        "location_id": [70, 71, 72], "person_source_value": ["a", f"IPP-{GONE}", "c"],
    }),
    "care_site": pl.DataFrame({"care_site_id": [1], "location_id": [72]}),
    "location": pl.DataFrame({"location_id": [70, 71, 72], "address_1": ["rue A", "rue B", "rue C"]}),
    "visit_occurrence": pl.DataFrame({
        "visit_occurrence_id": [10, 11, 12, 12], "person_id": [1, GONE, GONE, 1],
        "visit_start_date": ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"],
    }),
    "condition_occurrence": pl.DataFrame({
        "condition_occurrence_id": [20, 21, 22, 23], "person_id": ["1", str(GONE), f" {GONE}", "nobody"],
        "condition_concept_id": [5, 6, 7, 8],
        "condition_start_date": ["2020-01-01", "2020-02-01", "never", "2020-01-01"],
    }),
    "note": pl.DataFrame({
        "note_id": [30, 31], "person_id": [1, GONE], "note_date": ["2020-01-01"] * 2, "note_text": ["x", "secret"],
    }),
    "note_nlp": pl.DataFrame({
        "note_nlp_id": [40, 41, None], "note_id": [30, 31, 31], "lexical_variant": ["x", "secret", "secret"],
        "nlp_date": ["2020-01-01"] * 3,
    }),
    "fact_relationship": pl.DataFrame({
        # A visit of theirs; a drug that has the number of a visit of theirs; a concept that we do not know.
        "domain_concept_id_1": [8, 13, 999], "fact_id_1": [11, 11, 21], "domain_concept_id_2": [8, 8, 8],
        "fact_id_2": [10, 10, 10], "relationship_concept_id": [1, 2, 3],
    }),
    "cost": pl.DataFrame({
        "cost_id": [50, 51], "cost_event_id": [10, 11], "cost_domain_id": ["Visit", "Visit"], "total_cost": [1.0, 77.0],
    }),
    "cohort": pl.DataFrame({
        "cohort_definition_id": [1, 1], "subject_id": [1, GONE], "cohort_start_date": ["2020-01-01"] * 2,
        "cohort_end_date": ["2020-01-02"] * 2,
    }),
}  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A hospital with one who objects: in tables of every kind, in rows set aside, in a record that is none."""
    folder = as_folder(tmp_path / "source", HOSPITAL, "csv")
    with (folder / "condition_occurrence.csv").open("a") as file:
        file.write(f"24,{GONE},9,2020-01-01,too,many\n25,1,9,2020-01-01,too,many\n")
    return folder


def texts(release: Release) -> str:
    """Everything that a release's files say."""
    found = [str(pq.read_table(path).to_pylist()) for path in sorted(release.folder.rglob("*.parquet"))]
    return "\n".join([*found, str(release.manifest)])


def test_nothing_of_a_person_is_left(source: Path, tmp_path: Path) -> None:
    before = load(source, tmp_path / "before", None)
    assert texts(before).count(str(GONE)) > 10
    after = erased(before, tmp_path / "after", Objecting(GONE))
    assert verify(after, content=True) == ()
    said = texts(after)
    for word in (str(GONE), "secret", "rue B", "77.0", "never"):
        assert word not in said
    rows = {name: pl.read_parquet(path).height for name, path in after.tables.items()}
    assert rows["person"] == rows["location"] == 2
    assert rows["note"] == rows["note_nlp"] == rows["cost"] == rows["cohort"] == rows["visit_occurrence"] == 1
    facts = pl.read_parquet(after.table("fact_relationship"))
    assert facts["relationship_concept_id"].to_list() == [2]
    assert texts(before).count(str(GONE)) > 10, "files that the two shared are as they were"
    assert erase(after, tmp_path / "again", Objecting(GONE)) is None


@pytest.mark.parametrize("rule", ["auto", "records-within-days:30", "first-record-to-extraction"])
def test_an_erased_release_is_what_a_load_without_the_person_gives(source: Path, tmp_path: Path, rule: str) -> None:
    rules = {"observation_period": rule, "extracted_on": "2021-01-01"}
    before = load(source, tmp_path / "before", None, **rules)
    after = erased(before, tmp_path / "after", Objecting(GONE))
    same(after, load(source, tmp_path / "without", Objecting(GONE), **rules))
    same(after, load(source, tmp_path / "part", Objecting(GONE), before, **rules))
    same(after, load(source, tmp_path / "again", Objecting(GONE), after, **rules))


def check(before: Any, steps: Any, gone: Objecting) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / "source", before)
        with_them = load(folder / "source", folder / "before", None)
        parent = erased(with_them, folder / "erased", gone)
        same(parent, load(folder / "source", folder / "without", gone))
        write(folder / "source", edited(before, steps))
        full = load(folder / "source", folder / "full", gone)
        same(load(folder / "source", folder / "part", gone, parent), full)


def test_from_a_server_too(tmp_path: Path, server: str) -> None:
    """Of an erased release nothing is known by buckets: what changed is read whole, then by buckets again."""
    state: dict[str, Any] = {
        "person": [person(1), person(GONE), person(3)],
        "condition_occurrence": [condition(FAR, 1), condition(2 * FAR, GONE), condition(3 * FAR, GONE, 0)],
        "death": [{"person_id": GONE, "death_date": "2020-02-01"}],
    }
    url = fill(server, state, anew=True)
    gone = Objecting(GONE)
    release = erased(load(url, tmp_path / "before", None), tmp_path / "erased", gone)
    assert not (release.folder / "buckets.parquet").exists()
    for step, rows in enumerate(([condition(FAR, 1, 2)], [condition(FAR, 1, 3), condition(2 * FAR, GONE)])):
        state["condition_occurrence"] = [*rows, condition(4 * FAR, GONE), condition(5 * FAR, 3)]
        fill(server, state, anew=False)
        release = load(url, tmp_path / f"part-{step}", gone, release)
        same(release, load(url, tmp_path / f"full-{step}", gone))
        assert str(GONE) not in texts(release)


persons = st.lists(st.integers(1, 6).map(lambda number: number * FAR), min_size=1, max_size=2)


@settings(max_examples=4, **QUICK)
@given(before=states, steps=edits, gone=persons)
def test_a_load_after_an_erasure_is_a_full_load(before: Any, steps: Any, gone: list[int]) -> None:
    check(before, steps, Objecting(*gone))


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=100, **QUICK)
@given(before=states, steps=edits, gone=persons)
def test_many_loads_after_an_erasure_are_full_loads(before: Any, steps: Any, gone: list[int]) -> None:
    check(before, steps, Objecting(*gone))


def test_what_comes_back_in_the_source_does_not_come_back(tmp_path: Path) -> None:
    """Their person row did not change, new rows of theirs come: they would be set aside as nobody's."""
    state = {"person": [person(1), person(GONE)], "condition_occurrence": [condition(5, GONE)], "death": []}
    write(tmp_path / "source", state)
    parent = load(tmp_path / "source", tmp_path / "parent", Objecting(GONE))
    state["condition_occurrence"] = [condition(5, GONE), condition(6, GONE, 2), condition(7, 1)]
    write(tmp_path / "source", state)
    release = load(tmp_path / "source", tmp_path / "next", Objecting(GONE), parent)
    assert str(GONE) not in texts(release)
    same(release, load(tmp_path / "source", tmp_path / "full", Objecting(GONE)))

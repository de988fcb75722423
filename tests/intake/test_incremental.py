"""A load that takes over what did not change ends as a full load does: the same release, digest for digest.

Random edits (rows inserted, changed, deleted, put in another order; persons who come and go; rows that cannot be used)
on a folder of text files and on a real PostgreSQL server.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.engines.servers import postgres_server, statements
from tests.intake.forms import SMALL, as_database, as_folder
from workbench.intake import servers
from workbench.intake.changes import changes
from workbench.intake.omop import Options, load_omop
from workbench.kernel.schemas import validate
from workbench.repository.releases import Release, open_release, release_id, verify

FAR = 3_000_000
"""A distance between ids that puts them into other buckets."""


def person(number: int, year: int = 1980) -> dict[str, Any]:
    return {"person_id": number, "gender_concept_id": 8507, "year_of_birth": year}


def condition(number: int, whose: int, day: int = 1, concept: int | None = 5) -> dict[str, Any]:
    start = f"2020-01-{day:02d}" if day else "never"
    return {
        "condition_occurrence_id": number,
        "person_id": whose,
        "condition_concept_id": concept,
        "condition_start_date": start,
    }


ids = st.integers(1, 6).map(lambda number: number * FAR)
persons = st.dictionaries(ids, st.integers(1950, 1990), min_size=1, max_size=5).map(
    lambda found: [person(number, year) for number, year in found.items()]
)
conditions = st.lists(
    st.tuples(ids, ids, st.integers(0, 3), st.sampled_from([None, 0, 5, 6])).map(lambda made: condition(*made)),
    max_size=7,
)
deaths = st.lists(ids.map(lambda whose: {"person_id": whose, "death_date": "2020-02-01"}), max_size=2)
states = st.fixed_dictionaries({"person": persons, "condition_occurrence": conditions, "death": deaths})
edits = st.lists(
    st.one_of(
        st.tuples(st.just("person"), persons),
        st.tuples(st.just("condition_occurrence"), conditions),
        st.tuples(st.just("death"), deaths),
        st.tuples(st.sampled_from(["person", "condition_occurrence"]), st.just("reversed")),
    ),
    min_size=1,
    max_size=2,
)


def edited(state: dict[str, list[dict[str, Any]]], steps: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """A state after some steps: a table replaced (so rows come, go and change), or its rows in another order."""
    result = dict(state)
    for table, rows in steps:
        result[table] = list(reversed(result[table])) if rows == "reversed" else rows
    return result


COLUMNS = {
    "person": ("person_id", "gender_concept_id", "year_of_birth"),
    "condition_occurrence": (
        "condition_occurrence_id",
        "person_id",
        "condition_concept_id",
        "condition_start_date",
    ),
    "death": ("person_id", "death_date"),
}


def write(folder: Path, state: dict[str, list[dict[str, Any]]]) -> None:
    """Write a state as text files."""
    folder.mkdir(exist_ok=True)
    for name, columns in COLUMNS.items():
        lines = [",".join("" if row[column] is None else str(row[column]) for column in columns) for row in state[name]]
        (folder / f"{name}.csv").write_text("\n".join([",".join(columns), *lines, ""]))


def load(source: Path | str, into: Path, parent: Release | None = None, **choices: Any) -> Release:
    aside = into / ".aside"
    manifest = load_omop(source, aside, name="x", synthetic=True, parent=parent, options=Options(**choices))
    return open_release(aside.rename(into / release_id(manifest)))


def same(incremental: Release, full: Release) -> None:
    """Assert that two releases are one: the identity of all that is said, every table's digest, every file sound."""
    assert release_id(incremental.manifest) == release_id(full.manifest)
    assert verify(incremental, content=True) == ()
    assert {name: path.read_bytes() for name, path in full.tables.items()}.keys() == incremental.tables.keys()


LEAVES: dict[str, Any] = {
    "before": {
        "person": [person(FAR), person(2 * FAR)],
        "condition_occurrence": [condition(FAR, FAR), condition(FAR, 2 * FAR, 0), condition(2 * FAR, 3 * FAR, 0)],
        "death": [],
    },
    "steps": [("person", [person(FAR), person(3 * FAR)])],
}
"""Rows that are set aside for their dates, one of a person who leaves, one of a person who comes."""

QUICK: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


def check_folder(before: Any, steps: Any) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / "source", before)
        parent = load(folder / "source", folder / "before")
        write(folder / "source", edited(before, steps))
        full = load(folder / "source", folder / "full")
        same(load(folder / "source", folder / "incremental", parent), full)


@example(**LEAVES)
@settings(max_examples=6, **QUICK)
@given(before=states, steps=edits)
def test_a_folder_read_in_part_is_the_folder_read_whole(before: Any, steps: Any) -> None:
    check_folder(before, steps)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=150, **QUICK)
@given(before=states, steps=edits)
def test_many_folders_read_in_part_are_the_folders_read_whole(before: Any, steps: Any) -> None:
    check_folder(before, steps)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server of its own."""
    with postgres_server() as url:
        yield url


TYPES = {
    "person": "person_id bigint, gender_concept_id int, year_of_birth int",
    "condition_occurrence": "condition_occurrence_id bigint, person_id bigint, condition_concept_id int,"
    " condition_start_date text",
    "death": "person_id bigint, death_date date",
}


def fill(server: str, state: dict[str, list[dict[str, Any]]], *, anew: bool) -> str:
    """Bring a server's schema to a state: made anew, or row by row from the state that it is in."""
    texts = ["DROP SCHEMA IF EXISTS cdm CASCADE", "CREATE SCHEMA cdm"] if anew else []
    for name, types in TYPES.items():
        texts += [f"CREATE TABLE cdm.{name} ({types})"] if anew else [f"DELETE FROM cdm.{name}"]
        for row in state[name]:
            values = ("NULL" if row[column] is None else f"'{row[column]}'" for column in COLUMNS[name])
            texts.append(f"INSERT INTO cdm.{name} VALUES ({', '.join(values)})")
    statements(server, *texts)
    return f"{server}&schema=cdm"


def check_server(server: str, before: Any, steps: Any) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        url = fill(server, before, anew=True)
        parent = load(url, folder / "before")
        fill(server, edited(before, steps), anew=False)
        full = load(url, folder / "full")
        same(load(url, folder / "incremental", parent), full)


@example(**LEAVES)
@settings(max_examples=4, **QUICK)
@given(before=states, steps=edits)
def test_a_server_read_in_part_is_the_server_read_whole(server: str, before: Any, steps: Any) -> None:
    check_server(server, before, steps)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=80, **QUICK)
@given(before=states, steps=edits)
def test_many_servers_read_in_part_are_the_servers_read_whole(server: str, before: Any, steps: Any) -> None:
    check_server(server, before, steps)


def test_only_changed_buckets_are_asked_for(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One corrected row of a table of 60,000: the rows of its bucket come, and the deleted row goes."""
    statements(
        server,
        "DROP SCHEMA IF EXISTS large CASCADE",
        "CREATE SCHEMA large",
        "CREATE TABLE large.person AS SELECT i AS person_id, 1980 AS year_of_birth FROM generate_series(1, 50) i",
        "CREATE TABLE large.measurement AS SELECT i AS measurement_id, 1 + i % 50 AS person_id,"
        " DATE '2020-01-01' + i % 300 AS measurement_date, i * 0.5 AS value_as_number"
        " FROM generate_series(1, 60000) i",
    )
    url = f"{server}&schema=large"
    parent = load(url, tmp_path / "before")
    statements(
        server,
        "UPDATE large.measurement SET value_as_number = -1 WHERE measurement_id = 20000",
        "DELETE FROM large.measurement WHERE measurement_id = 20001",
    )
    came: list[int] = []
    rows = servers.PostgresReader.rows

    def counting(self: Any, query: str, table: str) -> Any:
        schema, batches = rows(self, query, table)
        return schema, (came.append(batch.num_rows) or batch for batch in batches)

    monkeypatch.setattr(servers.PostgresReader, "rows", counting)
    release = load(url, tmp_path / "after", parent)
    assert 0 < sum(came) <= 2**14
    found = pl.read_parquet(release.table("measurement")).filter(pl.col("measurement_id").is_in([20000, 20001]))
    assert found["value_as_number"].to_list() == [-1.0]
    assert release.table("person").stat().st_ino == parent.table("person").stat().st_ino


def test_tables_that_did_not_change_are_one_file_on_the_disk(tmp_path: Path) -> None:
    source = as_folder(tmp_path / "source", SMALL, "csv")
    parent = load(source, tmp_path / "before")
    frame = SMALL["measurement"].with_columns(pl.lit(1.0).alias("value_as_number"))
    frame.write_csv(source / "measurement.csv")
    release = load(source, tmp_path / "after", parent)
    shared = {name for name in release.tables if release.table(name).samefile(parent.table(name))}
    assert shared == {"person", "visit_occurrence"}
    shutil.rmtree(parent.folder)
    assert verify(release, content=True) == ()


@pytest.mark.parametrize("where", ["folder", "server"])
def test_who_comes_and_goes_decides_again_on_rows_that_did_not_change(tmp_path: Path, server: str, where: str) -> None:
    """Only `person` changes; rows of who went are set aside, rows of who came are not any more."""
    state: dict[str, Any] = {
        "person": [person(1), person(2)],
        "condition_occurrence": [condition(FAR * whose, whose) for whose in (1, 2, 3)],
        "death": [],
    }

    def placed(persons: list[int], *, anew: bool) -> Path | str:
        state["person"] = [person(whose) for whose in persons]
        if where == "server":
            return fill(server, state, anew=anew)
        write(tmp_path / "source", state)
        return tmp_path / "source"

    release = None
    for step, persons in enumerate(([1, 2], [1], [1, 3], [1, 2, 3])):
        place = placed(persons, anew=step == 0)
        release = load(place, tmp_path / f"{step}", release)
        same(release, load(place, tmp_path / f"{step}-full"))
        found = pl.read_parquet(release.table("condition_occurrence"))["person_id"].to_list()
        assert sorted(found) == persons


def test_a_damaged_file_is_not_taken_over(tmp_path: Path) -> None:
    source = as_folder(tmp_path / "source", SMALL, "csv")
    parent = load(source, tmp_path / "before")
    content = parent.table("measurement").read_bytes()
    parent.table("measurement").write_bytes(content[:-20] + bytes(20))
    release = load(source, tmp_path / "after", parent)
    assert verify(release, content=True) == ()
    assert not release.table("measurement").samefile(parent.table("measurement"))


@pytest.mark.parametrize("choices", [{"decimal_comma": True}, {"extracted_on": "2020-06-01"}])
def test_under_other_rules_everything_is_read_again(tmp_path: Path, choices: dict[str, Any]) -> None:
    source = as_folder(tmp_path / "source", SMALL, "csv")
    parent = load(source, tmp_path / "before")
    release = load(source, tmp_path / "after", parent, **choices)
    assert not any(release.table(name).samefile(parent.table(name)) for name in release.tables)
    same(release, load(source, tmp_path / "full", **choices))


@pytest.mark.parametrize("rule", ["first-to-last-record", "records-within-days:30"])
def test_another_rule_of_periods_takes_over_all_but_the_periods(tmp_path: Path, rule: str) -> None:
    source = as_folder(tmp_path / "source", SMALL, "csv")
    parent = load(source, tmp_path / "before", observation_period="recorded")
    release = load(source, tmp_path / "after", parent, observation_period=rule)
    assert release.table("measurement").samefile(parent.table("measurement"))
    same(release, load(source, tmp_path / "full", observation_period=rule))


def test_a_database_that_did_not_change_gives_the_release_that_is_there(tmp_path: Path) -> None:
    source = as_database(tmp_path / "source.duckdb", SMALL)
    parent = load(source, tmp_path / "before")
    release = load(source, tmp_path / "after", parent)
    assert release_id(release.manifest) == release_id(parent.manifest)
    assert all(release.table(name).samefile(parent.table(name)) for name in release.tables)


def test_the_vocabulary_of_another_release_is_kept_where_the_source_has_none(tmp_path: Path) -> None:
    concepts = pl.DataFrame({"concept_id": [3000963], "concept_name": ["Hemoglobin"]})
    first = as_folder(tmp_path / "first", {**SMALL, "concept": concepts}, "csv")
    former = load(first, tmp_path / "former")
    bare = as_folder(tmp_path / "bare", SMALL, "csv")
    made = []
    for label, parent in (("part", former), ("whole", None)):
        aside = tmp_path / label / ".aside"
        manifest = load_omop(bare, aside, name="x", synthetic=True, parent=parent, vocabulary=former)
        made.append(open_release(aside.rename(tmp_path / label / release_id(manifest))))
        assert made[-1].table("concept").samefile(former.table("concept"))
        assert manifest["sources"][-1]["kind"] == "release"
    same(*made)
    assert "concept" not in load(bare, tmp_path / "without", former).tables


def test_release_notes_count_what_changed_in_rows_persons_and_concepts(tmp_path: Path) -> None:
    state = {
        "person": [person(1), person(2), person(3)],
        "condition_occurrence": [condition(n, 1 + n % 3, 1 + n, 5) for n in range(6)],
        "death": [],
    }
    write(tmp_path / "source", state)
    before = load(tmp_path / "source", tmp_path / "before")
    state["person"] = [person(1), person(2, 1981), person(4)]
    state["condition_occurrence"] = [condition(n, 1 + n % 2, 1 + n, 5 if n < 4 else 6) for n in range(2, 8)]
    write(tmp_path / "source", state)
    after = load(tmp_path / "source", tmp_path / "after", before)
    notes = changes(before, after.folder, after.manifest)
    validate(notes, "release_notes")
    tables = {each["name"]: each for each in notes["tables"]}
    assert tables["person"] == {
        "name": "person", "before": 3, "after": 3, "added": 1, "removed": 1, "changed": 1,
    }  # fmt: skip
    # Before: rows 0..5 of persons 1, 2, 3, 1, 2, 3. After: rows 2..7 of 1, 2, 1, 2, 1, 2; 4..7 have another concept.
    assert tables["condition_occurrence"] == {
        "name": "condition_occurrence", "before": 6, "after": 6, "added": 2, "removed": 2, "changed": 4,
    }  # fmt: skip
    assert notes["persons"] == {"before": 3, "after": 3, "added": 1, "removed": 1, "changed": 2}
    assert notes["concepts"] == {"before": 1, "after": 2, "added": 1, "removed": 0}
    assert notes["unchanged"] == ["death"]


def test_rows_that_were_only_numbered_anew_did_not_change(tmp_path: Path) -> None:
    """Observation periods are numbered in the order of persons: one who comes first moves all the others' numbers."""
    state = {"person": [person(2), person(3)], "condition_occurrence": [condition(2, 2), condition(3, 3)], "death": []}
    write(tmp_path / "source", state)
    before = load(tmp_path / "source", tmp_path / "before")
    state["person"].append(person(1))
    state["condition_occurrence"].append(condition(1, 1))
    write(tmp_path / "source", state)
    after = load(tmp_path / "source", tmp_path / "after", before)
    notes = changes(before, after.folder, after.manifest)
    periods = next(each for each in notes["tables"] if each["name"] == "observation_period")
    assert [periods[part] for part in ("before", "after", "added", "removed", "changed")] == [2, 3, 1, 0, 0]
    assert notes["persons"] == {"before": 2, "after": 3, "added": 1, "removed": 0, "changed": 0}

"""An extract's MEDS form: what the standard's own schemas accept, nothing that the extract does not hold, sealed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import meds as standard
import polars as pl
import pyarrow.parquet as pq
import pytest

from workbench.extracts.meds import OWN, meds_tables
from workbench.extracts.meds_files import SHARD_ROWS, read_meds, write_plain
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused, Unavailable
from workbench.services import demo, doctor, evidence, extracts, learning, meds, objections, requests, studies, tracing
from workbench.services.context import Workbench


@pytest.fixture
def extract(wb: Workbench, scientist: Actor) -> extracts.ExtractView:
    return extracts.list_extracts(wb, scientist)[0]


@pytest.fixture
def made(wb: Workbench, scientist: Actor, extract: extracts.ExtractView) -> meds.MedsView:
    return meds.make_meds(wb, scientist, extract.id)


def taken(wb: Workbench, researcher: Actor, officer: Actor, scientist: Actor, place: Path) -> tuple[Any, Path]:
    """A second study whose protocol names a folder of this machine, its extract, and the MEDS form taken there."""
    protocol = {**demo.PROTOCOL, "study": "with-destination", "destinations": [str(place)]}
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, demo.REQUEST)
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    view = meds.make_meds(wb, scientist, extracts.run_extract(wb, researcher, request.id).id)
    return view, meds.take_meds(wb, scientist, view.id, place / "inside" / "meds")


def test_what_is_taken_is_what_the_standards_own_schemas_accept(
    wb: Workbench, researcher: Actor, officer: Actor, scientist: Actor, tmp_path: Path
) -> None:
    place = tmp_path / "allowed"
    view, out = taken(wb, researcher, officer, scientist, place)
    shards = sorted((out / standard.data_subdirectory).glob("*.parquet"))
    rows = pl.concat([pl.read_parquet(shard) for shard in shards])
    for shard in shards:
        standard.DataSchema.validate(pq.read_schema(shard))
        standard.DataSchema.align(pq.read_table(shard))
    codes = pq.read_table(out / standard.code_metadata_filepath)
    splits = pq.read_table(out / standard.subject_splits_filepath)
    standard.CodeMetadataSchema.align(codes)
    standard.SubjectSplitSchema.align(splits)
    dataset = json.loads((out / standard.dataset_metadata_filepath).read_text())
    standard.DatasetMetadataSchema.validate(dataset)
    assert standard.__version__.startswith(dataset["meds_version"])
    assert set(rows["code"]) <= set(codes["code"].to_pylist())
    assert set(rows["subject_id"]) == set(splits["subject_id"].to_pylist())
    said = {"table", "end_time", "unit", "subject_id", "time", "code", "numeric_value", "text_value"}
    extra = {*dataset["code_modifier_columns"], *dataset["site_id_columns"], *dataset["other_extension_columns"]}
    assert set(rows.columns) == said | extra
    assert {oct(path.stat().st_mode)[-3:] for path in out.rglob("*") if path.is_file()} == {"600"}
    with wb.store.read() as connection:
        (entry,) = [each for each in audit.entries(connection) if each.verb == "extract.take"]
    assert (entry.actor, entry.subject) == (scientist.name, view.id)
    assert entry.payload is not None and entry.payload["destination"] == str(place)
    with pytest.raises(Refused, match="exists"):
        meds.take_meds(wb, scientist, view.id, out)


def test_rows_are_those_of_the_extract_and_no_others(
    wb: Workbench, scientist: Actor, extract: extracts.ExtractView, made: meds.MedsView
) -> None:
    _, tables, _ = extracts.open_tables(wb, scientist, extract.id)
    data = meds.open_meds(wb, scientist, made.id)["data"]
    events = {name: rows for name, rows in tables.items() if "start_day" in rows.columns}
    assert dict(data.group_by("table").len().iter_rows()) == {
        "person": sum(tables["person"][name].drop_nulls().len() for name in tables["person"].columns[1:]),
        "cohort": sum(tables["cohort"][name].drop_nulls().len() for name in tables["cohort"].columns),
        **{name: rows.height for name, rows in events.items() if rows.height},
    }
    for name, rows in events.items():
        mine = data.filter(pl.col("table") == name)
        days = mine["time"].dt.epoch("d").cast(pl.Int32)
        found = pl.DataFrame({"person_id": mine["subject_id"], "start_day": days}).sort("person_id", "start_day")
        assert found.equals(rows.select("person_id", "start_day").sort("person_id", "start_day")), name
    measured = tables["measurement"]
    values = data.filter(pl.col("table") == "measurement")["numeric_value"]
    assert values.sum() == pytest.approx(measured["value_as_number"].sum(), rel=1e-5)
    assert data.filter(pl.col("time").is_null())["table"].unique().to_list() == ["person"]
    assert set(data.filter(pl.col("code") == "INDEX")["time"]) == {datetime(1970, 1, 1)}  # noqa: DTZ001
    order = data.with_row_index().sort("subject_id", "time", "index", nulls_last=False)
    assert order["index"].to_list() == list(range(data.height))


def test_the_held_out_subjects_are_those_that_features_hold_out(
    wb: Workbench, scientist: Actor, extract: extracts.ExtractView, made: meds.MedsView
) -> None:
    from workbench.features.population import population

    _, tables, _ = extracts.open_tables(wb, scientist, extract.id)
    rows = population(tables, learning.design_for(wb, scientist, extract.id)).rows
    splits = meds.open_meds(wb, scientist, made.id)["subject_splits"]
    both = rows.join(splits, left_on="person_id", right_on="subject_id", suffix="_meds")
    assert both.height == rows.height
    held_out = both.filter(pl.col("split_meds") == "held_out")
    assert held_out["person_id"].sort().equals(both.filter(pl.col("split") == "test")["person_id"].sort())
    assert made.manifest["splits"] == dict(sorted(splits.group_by("split").len().iter_rows()))


def test_it_is_sealed_in_its_place_and_on_the_thread(
    wb: Workbench, scientist: Actor, officer: Actor, extract: extracts.ExtractView, made: meds.MedsView, tmp_path: Path,
) -> None:  # fmt: skip
    folder = wb.settings.extracts / extract.id / "meds" / made.id
    assert {path.read_bytes()[:4] for path in folder.rglob("*.parquet")} == {b"PARE"}
    assert meds.make_meds(wb, scientist, extract.id) == made
    assert made.manifest["extract"] == extract.digest
    assert {link.id for link in tracing.trace(wb, scientist, made.id).links} >= {extract.id, made.id}
    (tmp_path / "pack.zip").write_bytes(evidence.pack(wb, officer, extract.id).content)
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        archive.extractall(tmp_path / "pack")
    held = json.loads((tmp_path / "pack" / "evidence.json").read_text())["documents"]
    assert made.digest in {document["digest"] for document in held}
    elsewhere = [sys.executable, "-I", "pack/verify.py", "--pack", "pack.zip"]
    done = subprocess.run(elsewhere, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = [each for each in doctor.diagnose(wb.settings) if each.code == "made_sound"]
    assert [each.fine for each in findings if each.facts["id"] == made.id] == [True]
    (folder / "metadata" / "dataset.json").unlink()
    findings = [each for each in doctor.diagnose(wb.settings) if each.code == "made_sound"]
    assert [each.fine for each in findings if each.facts["id"] == made.id] == [False]


def test_rows_leave_to_a_named_destination_only(
    wb: Workbench, researcher: Actor, officer: Actor, scientist: Actor, made: meds.MedsView, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="no_destination"):
        meds.take_meds(wb, scientist, made.id, tmp_path / "anywhere")
    assert not (tmp_path / "anywhere").exists()
    with pytest.raises(Refused, match="not_allowed"):
        meds.take_meds(wb, officer, made.id, tmp_path / "anywhere")
    place = tmp_path / "allowed"
    view, _ = taken(wb, researcher, officer, scientist, place)
    (tmp_path / "outside").mkdir()
    (place / "link").symlink_to(tmp_path / "outside")
    for out in (tmp_path / "outside" / "m", place / ".." / "outside" / "m", place / "link" / "m"):
        with pytest.raises(Refused, match="no_destination"):
            meds.take_meds(wb, scientist, view.id, out)
    assert not list((tmp_path / "outside").iterdir())


def test_who_objects_since_is_left_out_and_a_revoked_one_cannot_be_read(
    wb: Workbench, steward: Actor, officer: Actor, scientist: Actor, extract: extracts.ExtractView, made: meds.MedsView
) -> None:
    from workbench.services import cohorts

    before = meds.open_meds(wb, scientist, made.id)["subject_splits"].height
    person = cohorts.rows_of(wb, extract.manifest["cohort"])["subject_id"][0].as_py()
    objections.add(wb, steward, [person], extract.study)
    after = meds.open_meds(wb, scientist, made.id)
    assert after["subject_splits"].height == before - 1
    assert after["data"]["subject_id"].n_unique() == before - 1
    secret = wb.keys.study_secret(extract.study, "data")
    folder = wb.settings.extracts / extract.id / "meds" / made.id
    assert read_meds(folder, secret)["subject_splits"].height == before
    with pytest.raises(Unavailable, match="sealed_unreadable"):
        read_meds(folder, bytes(32))
    extracts.revoke(wb, officer, extract.id, "r")
    with pytest.raises(Refused, match="extract_closed"):
        meds.open_meds(wb, scientist, made.id)


def test_a_table_without_its_day_is_left_out_and_said() -> None:
    ids = pl.Series([1, 2], dtype=pl.Int64)
    tables = {
        "cohort": pl.DataFrame(
            {"person_id": ids, "end_day": [3, None], "observation_start_day": -1, "observation_end_day": 9}
        ),
        "outcome": pl.DataFrame(schema={"person_id": pl.Int64, "outcome": pl.String, "start_day": pl.Int32}),
        "concept": pl.DataFrame(
            {"concept_id": [5], "concept_name": ["Ulcer"], "domain_id": ["Condition"], "vocabulary_id": ["SNOMED"]}
        ),
        "death": pl.DataFrame({"person_id": ids[:1], "start_day": [2]}),
        "condition_occurrence": pl.DataFrame({"person_id": ids, "condition_concept_id": [5, None]}),
        "observation": pl.DataFrame(
            {
                "person_id": ids,
                "observation_concept_id": [5, None],
                "start_day": [0, 1],
                "value_as_concept_id": [5, None],
            }
        ),
    }
    made = meds_tables(tables)
    assert made.left_out == ("condition_occurrence",)
    assert set(made.data["code"]) == {"OMOP/5", "OMOP/0", standard.death_code, *OWN} - {"AGE_AT_INDEX", "INDEX_YEAR"}
    assert made.data.filter(pl.col("code") == "OMOP/5")["text_value"].to_list() == ["Ulcer"]
    assert made.data.filter(pl.col("code") == "COHORT_END").height == 1
    assert made.codes.filter(pl.col("code") != "OMOP/0")["description"].null_count() == 0


def test_a_subject_is_in_one_file_only(
    wb: Workbench, scientist: Actor, made: meds.MedsView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SHARD_ROWS == 1_000_000
    tables = meds.open_meds(wb, scientist, made.id)
    monkeypatch.setattr("workbench.extracts.meds_files.SHARD_ROWS", tables["data"].height // 5)
    write_plain(tables, made.manifest["dataset"], tmp_path)
    shards = [pl.read_parquet(path) for path in sorted((tmp_path / "data").iterdir())]
    assert len(shards) == 5
    assert sum(shard["subject_id"].n_unique() for shard in shards) == tables["data"]["subject_id"].n_unique()
    assert pl.concat(shards).equals(tables["data"])

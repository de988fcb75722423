"""The second pass finds what is planted in a package, one leak at a time, and nothing in a clean one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from made_release import Case, Papers, gibleed, make, secrets

from workbench.extracts import build, package, reread
from workbench.extracts.inspect import Finding, Truth, inspect_extract
from workbench.extracts.read import read_manifest, read_table
from workbench.governance.sealed import Sealed, write_sealed
from workbench.kernel.errors import Refused
from workbench.kernel.text import LANGS, say

Change = Callable[[pl.DataFrame, Truth], pl.DataFrame]


@pytest.fixture(scope="module")
def bleed(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return gibleed(tmp_path_factory.mktemp("release"))


def plant(folder: Path, table: str, change: Change, known: Truth) -> None:
    """Rewrite one sealed table, changed."""
    manifest = read_manifest(folder)
    entry = next(entry for entry in manifest["tables"] if entry["name"] == table)
    rows = change(read_table(folder, table, secrets()), known).to_arrow(compat_level=pl.CompatLevel.oldest())
    sealed_as = package.label(manifest["study"], table, entry["content_digest"])
    write_sealed(rows, folder / entry["files"][0]["path"], secrets().data, sealed_as)


def inspected(
    folder: Path, known: Truth, manifest: dict[str, Any] | None = None, papers: Papers | None = None
) -> set[str]:
    papers = papers or Papers()
    papers.protocol["outcome_period"] = papers.request["outcome_period"] = {"from_day": 0, "to_day": None}
    found = inspect_extract(
        folder, manifest or read_manifest(folder), papers.protocol, papers.request, secrets(), known
    )
    return {finding.code for finding in found}


def test_a_clean_package_has_no_finding(clean: Path, known: Truth) -> None:
    assert inspected(clean, known) == set()


def test_what_is_approved_and_was_not_asked_for_is_found(clean: Path, known: Truth) -> None:
    fewer, shorter = Papers(), Papers()
    fewer.request["tables"] = {**fewer.request["tables"], "person": ["gender_concept_id"]}
    assert inspected(clean, known, papers=fewer) == {"unapproved_column"}
    shorter.request["period"] = {"from_day": -1, "to_day": 0}
    assert inspected(clean, known, papers=shorter) == {"outside_period"}


def _real_ids(frame: pl.DataFrame, known: Truth) -> pl.DataFrame:
    return frame.with_columns(person_id=pl.Series(known.person_ids[: frame.height]))


def _one_real_id(frame: pl.DataFrame, known: Truth) -> pl.DataFrame:
    links = frame["visit_occurrence_id"].to_list()
    return frame.with_columns(visit_occurrence_id=pl.Series([int(known.person_ids.min()), *links[1:]], dtype=pl.Int64))


PLANTED: list[tuple[str, str, Change]] = [
    ("date", "person", lambda frame, _: frame.with_columns(age_at_index=pl.lit(date(1950, 1, 1)))),
    ("date", "drug_era", lambda frame, _: frame.with_columns(end_day=pl.lit(date(1950, 1, 1)).cast(pl.Datetime))),
    ("text", "measurement", lambda frame, _: frame.with_columns(value_as_number=pl.lit("Mr Durand"))),
    ("text", "outcome", lambda frame, _: frame.with_columns(outcome=pl.lit("Mr Durand"))),
    ("unapproved_column", "person", lambda frame, _: frame.with_columns(race_concept_id=pl.lit(8527))),
    ("unapproved_column", "cohort", lambda frame, _: frame.with_columns(site=pl.lit(1))),
    ("real_id", "person", _real_ids),
    ("real_id", "measurement", _one_real_id),
    ("not_in_cohort", "person", lambda frame, _: frame.with_columns(pl.col("person_id") + 1)),
    ("not_in_cohort", "person", lambda frame, _: frame.with_columns(person_id=pl.lit(None, pl.Int64))),
    ("text", "person", lambda frame, _: frame.with_columns(pl.col("person_id").cast(pl.String))),
    ("duplicate_person", "person", lambda frame, _: pl.concat([frame, frame]).sort("person_id")),
    ("order", "person", lambda frame, _: frame.reverse()),
    ("outside_period", "condition_occurrence", lambda frame, _: frame.with_columns(pl.col("start_day") - 1)),
    ("outside_period", "drug_exposure", lambda frame, _: frame.with_columns(end_day=pl.lit(1, pl.Int32))),
    ("outside_period", "outcome", lambda frame, _: frame.with_columns(start_day=pl.lit(-1, pl.Int32))),
]


@pytest.mark.parametrize(("code", "table", "change"), PLANTED)
def test_a_planted_leak_is_found(folder: Path, known: Truth, code: str, table: str, change: Change) -> None:
    plant(folder, table, change, known)
    assert code in inspected(folder, known)


@pytest.mark.parametrize(("code", "table", "change"), [*PLANTED[6:8], *PLANTED[11:15]])
def test_a_leak_is_found_in_a_file_of_many_row_groups(
    folder: Path, known: Truth, code: str, table: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.governance.sealed._ROWS", 997)
    plant(folder, table, lambda frame, _: frame, known)
    assert inspected(folder, known) == set()
    plant(folder, table, change, known)
    assert code in inspected(folder, known)


def test_days_of_a_person_are_read_across_row_groups(
    folder: Path, known: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(folder)
    entry = next(entry for entry in manifest["tables"] if entry["name"] == "measurement")
    sealed_as = package.label(manifest["study"], "measurement", entry["content_digest"])
    frame = read_table(folder, "measurement", secrets()).head(300)
    frame = frame.with_columns(start_day=pl.when(pl.int_range(pl.len()) % 3 > 0).then("start_day"))
    for rows in (50, 7, 1, frame.height):
        monkeypatch.setattr("workbench.governance.sealed._ROWS", rows)
        plant(folder, "measurement", lambda *_: frame, known)
        sealed = Sealed(folder / entry["files"][0]["path"], secrets().data, sealed_as)
        whose = reread.people(sealed)
        seen = reread.column(sealed, "start_day", whose, np.array([3, 60, 61]), 0, 0)
        day = pl.col("start_day")
        runs = frame.group_by("person_id", maintain_order=True).agg(
            first=day.min().fill_null(2**31 - 1), last=day.max().fill_null(1 - 2**31)
        )
        assert whose.ids.tolist() == runs["person_id"].to_list()
        assert seen.first.tolist() == runs["first"].to_list()
        assert seen.last.tolist() == runs["last"].to_list()
        assert seen.some.to_pylist() == frame["start_day"].gather([3, 60, 61]).to_list()


def test_one_person_observed_until_the_cut_off_is_recovered_and_found(folder: Path, known: Truth) -> None:
    uncut = (known.cut_off - known.index.min().item()).days
    plant(folder, "cohort", lambda frame, _: frame.with_columns(observation_end_day=pl.lit(uncut, pl.Int32)), known)
    assert inspected(folder, known) == {"offset"}


def test_files_that_are_open_or_not_listed_are_found(folder: Path, known: Truth) -> None:
    rows = read_table(folder, "person", secrets()).to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(rows, folder / "tables" / "person.parquet")
    (folder / "tables" / "notes.txt").write_text("x")
    assert {"not_sealed", "unlisted_file"} <= inspected(folder, known)


def test_dates_and_other_keys_in_the_manifest_are_found(folder: Path, known: Truth) -> None:
    manifest = read_manifest(folder)
    manifest["dictionary"][0]["meaning_en"] = f"until {known.cut_off}"
    manifest["key_commitment"] = "0" * 64
    assert inspected(folder, known, manifest) == {"date", "other_key"}


def test_a_finding_blocks_delivery_and_leaves_no_manifest(
    bleed: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one(*_: object) -> tuple[Finding, ...]:
        return (Finding("offset", "cohort", "end_day"),)

    monkeypatch.setattr(build, "inspect_extract", one)
    with pytest.raises(Refused) as error:
        make(bleed, tmp_path / "x")
    assert error.value.code == "extract.inspection"
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_first_pass_without_its_cuts_is_stopped_by_the_second(
    bleed: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.extracts.transform.CUT_DAYS", (0, 0))
    with pytest.raises(Refused) as error:
        make(bleed, tmp_path / "x")
    assert "offset" in str(error.value.facts["findings"])


def test_every_finding_has_words() -> None:
    codes = {code for code, _, _ in PLANTED} | {"offset", "not_sealed", "unlisted_file", "other_key", "metadata"}
    assert all(say(f"extract.finding_{code}", lang) for code in codes for lang in LANGS)

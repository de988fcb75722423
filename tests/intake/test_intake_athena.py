"""Loading a vocabulary: text stays text, records are shared, what does not fit is named, own concepts stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.intake.athena_made import ITSELF, NONE, OWN, WHOLE, concept, write, zipped
from workbench.intake.athena import Wish, load_athena
from workbench.intake.omop import load_omop
from workbench.kernel.errors import InvalidInput
from workbench.kernel.schemas import validate
from workbench.kernel.text import LANGS
from workbench.repository.releases import Release, open_release, release_id, verify

CONDITIONS = (
    "CREATE TABLE condition_occurrence AS SELECT range + 1 AS condition_occurrence_id, range % 3 + 1 AS person_id,"
    " CASE WHEN range < 5 THEN 201826 ELSE 0 END AS condition_concept_id, DATE '2020-01-01' AS condition_start_date"
    " FROM range(6)"
)
Load = Callable[..., Release]


@pytest.fixture
def records(database: Callable[..., Path], tmp_path: Path) -> Release:
    """Three persons with conditions, without any vocabulary."""
    manifest = load_omop(database(CONDITIONS), tmp_path / "first", name="hospital", synthetic=True)
    return settle(tmp_path / "first", manifest)


def settle(folder: Path, manifest: dict[str, Any]) -> Release:
    return open_release(folder.rename(folder.parent / release_id(manifest)))


@pytest.fixture
def load(records: Release, tmp_path: Path) -> Load:
    """Load a vocabulary onto a release (the records alone, unless told otherwise)."""
    count = iter(range(100))

    def run(tables: dict[str, list[list[str]]] | Path, onto: Release = records, **wish: Any) -> Release:
        number = next(count)
        source = tables if isinstance(tables, Path) else write(tmp_path / f"download{number}", tables)
        into = tmp_path / f"made{number}"
        manifest = load_athena(Wish(source, "hospital", **wish), onto, into)
        return onto if release_id(manifest) == onto.id else settle(into, manifest)

    return run


def rows(release: Release, table: str) -> pl.DataFrame:
    return pl.read_parquet(release.table(table))


def refused(load: Load, *arguments: Any, **wish: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refusal:
        load(*arguments, **wish)
    for lang in LANGS:
        assert all(str(part) for part in vars(refusal.value.text(lang)).values())
    return refusal.value


def test_text_stays_text_and_dates_become_dates(load: Load) -> None:
    concepts = rows(load(WHOLE), "concept")
    found = {row["concept_id"]: row for row in concepts.iter_rows(named=True)}
    assert (found[77]["concept_name"], found[77]["concept_code"]) == ("NA", "00123")
    assert found[201826]["concept_name"] == 'Type 2 "diabetes" mellitus'
    assert found[201826]["valid_end_date"].isoformat() == "2099-12-31"
    assert found[35206882]["standard_concept"] is None


def test_records_are_the_same_files_and_the_new_release_verifies(load: Load, records: Release) -> None:
    release = load(WHOLE)
    for table in ("person", "condition_occurrence", "observation_period"):
        assert release.table(table).samefile(records.table(table))
    validate(release.manifest, "release_2")
    assert verify(release, content=True) == ()
    assert release.manifest["parent"] is None
    assert release.manifest["vocabulary"] == {"version": "v5.0 27-FEB-26"}
    assert [(each["kind"], each["name"]) for each in release.manifest["sources"]][1:] == [
        ("athena", f"{name}.csv") for name in sorted(WHOLE)
    ]


def test_a_zip_gives_the_same_tables_as_its_folder(load: Load, tmp_path: Path) -> None:
    plain = load(WHOLE)
    packed = load(zipped(write(tmp_path / "packed", WHOLE)))
    digests = [[entry["content_digest"] for entry in release.manifest["tables"]] for release in (plain, packed)]
    assert digests[0] == digests[1]
    assert packed.manifest["sources"][-1]["name"] == "packed.zip"


def test_the_same_vocabulary_twice_is_one_release(load: Load, tmp_path: Path) -> None:
    source = write(tmp_path / "download", WHOLE)
    first = load(source)
    assert load(source, first).id == first.id


def test_concepts_in_use_that_are_missing_are_named_and_nothing_is_loaded(load: Load) -> None:
    tables = {**WHOLE, "CONCEPT": [row for row in WHOLE["CONCEPT"] if row[0] not in {"201826", "8507"}]}
    tables["CONCEPT_ANCESTOR"] = [row for row in WHOLE["CONCEPT_ANCESTOR"] if not {"201826", "8507"} & set(row)]
    error = refused(load, tables)
    assert error.code == "vocabulary.gaps"
    records = "condition_occurrence.condition_concept_id: 1 (5); person.gender_concept_id: 1 (3)"
    assert error.facts["places"] == f"condition_era.condition_concept_id: 1 (3); {records}"
    taken = load(tables, accept_gaps=True)
    assert taken.manifest["vocabulary"]["gaps"]["used"] == [
        {"table": "condition_era", "column": "condition_concept_id", "concepts": 1, "rows": 3},
        {"table": "condition_occurrence", "column": "condition_concept_id", "concepts": 1, "rows": 5},
        {"table": "person", "column": "gender_concept_id", "concepts": 1, "rows": 3},
    ]


def test_ancestors_that_name_absent_concepts_are_named(load: Load) -> None:
    error = refused(load, {**WHOLE, "CONCEPT_ANCESTOR": [*WHOLE["CONCEPT_ANCESTOR"], ["5", "201826", "1", "1"]]})
    assert (error.code, error.facts["places"]) == ("vocabulary.gaps", "concept_ancestor.ancestor_concept_id: 1 (1)")


def test_relationships_and_synonyms_of_absent_concepts_are_counted(load: Load) -> None:
    release = load({**WHOLE, "CONCEPT_SYNONYM": [["5", "nobody", "4180186"], ["5", "no one", "4180186"]]})
    assert release.manifest["vocabulary"]["gaps"]["inside"] == [
        {"table": "concept_synonym", "column": "concept_id", "concepts": 1, "rows": 2}
    ]


def test_a_concept_id_that_repeats_is_refused(load: Load) -> None:
    error = refused(load, {**WHOLE, "CONCEPT": [*WHOLE["CONCEPT"], concept(77, "again")]})
    assert (error.code, error.facts["count"]) == ("vocabulary.concepts_repeated", 2)
    own = {**OWN, "CONCEPT": [*OWN["CONCEPT"], concept(2_000_000_011, "of another vocabulary", vocabulary="LOCAL")]}
    assert refused(load, own).code == "vocabulary.concepts_repeated"
    other = {**OWN, "CONCEPT": [concept(2_000_000_012, "again", vocabulary="LOCAL")], "CONCEPT_RELATIONSHIP": []}
    error = refused(load, other, load(OWN, load(WHOLE)))
    assert (error.code, error.facts["count"]) == ("vocabulary.concepts_repeated", 1)


def test_own_concepts_are_added_and_stay_when_athena_comes_again(load: Load) -> None:
    first = load(WHOLE)
    added = load(OWN, first)
    ids = {2_000_000_011, 2_000_000_012, *rows(first, "concept")["concept_id"]}
    assert set(rows(added, "concept")["concept_id"]) == ids
    assert added.table("concept_ancestor").samefile(first.table("concept_ancestor"))
    assert rows(added, "concept_relationship").height == 4
    assert added.manifest["vocabulary"]["version"] == "v5.0 27-FEB-26"
    again = load({**WHOLE, "VOCABULARY": [["None", *ITSELF[1:3], "v5.0 30-AUG-26", ITSELF[4]]]}, added)
    assert set(rows(again, "concept")["concept_id"]) == ids
    assert again.manifest["vocabulary"]["version"] == "v5.0 30-AUG-26"
    assert set(rows(again, "vocabulary")["vocabulary_id"]) == {"None", "CIM10FR", "CCAM"}
    assert rows(again, "concept_relationship").height == 4


def test_an_addition_replaces_the_vocabularies_that_it_names_and_no_other(load: Load) -> None:
    added = load(OWN, load(WHOLE))
    newer = {
        "CONCEPT": [concept(2_000_000_099, "Diabète de type 2", vocabulary="CIM10FR", code="E11", standard="")],
        "CONCEPT_RELATIONSHIP": [],
        "VOCABULARY": [["CIM10FR", "CIM-10", "ATIH", "2027", "2000000001"]],
    }
    release = load(newer, added)
    own = rows(release, "concept").filter(pl.col("concept_id") > 2_000_000_000)
    assert set(own["concept_id"]) == {2_000_000_012, 2_000_000_099}
    assert rows(release, "concept_relationship").height == 2
    versions = dict(rows(release, "vocabulary").select("vocabulary_id", "vocabulary_version").iter_rows())
    assert (versions["CIM10FR"], versions["CCAM"]) == ("2027", "80")


def test_an_addition_is_not_asked_for_what_was_absent_before_but_for_what_it_takes_away(
    database: Callable[..., Path], tmp_path: Path, load: Load
) -> None:
    (tmp_path / "source.duckdb").unlink(missing_ok=True)
    source = database(CONDITIONS.replace("201826", "2000000012"))
    onto = settle(tmp_path / "own", load_omop(source, tmp_path / "own", name="own", synthetic=True))
    added = load(OWN, onto)
    assert added.manifest["vocabulary"]["gaps"]["used"][0]["table"] == "observation_period"
    without = {**OWN, "CONCEPT": [concept(2_000_000_013, "autre acte", vocabulary="CCAM", standard="")]}
    error = refused(load, without, added)
    assert "condition_occurrence.condition_concept_id: 1 (5)" in error.facts["places"]


def test_eras_of_drugs_are_built_anew_by_the_new_vocabulary(
    database: Callable[..., Path], tmp_path: Path, load: Load
) -> None:
    (tmp_path / "source.duckdb").unlink(missing_ok=True)
    drugs = (
        "CREATE TABLE drug_exposure AS SELECT range + 1 AS drug_exposure_id, 1 AS person_id, 40 AS drug_concept_id,"
        " DATE '2020-01-01' + CAST(range AS INT) AS drug_exposure_start_date FROM range(3)"
    )
    onto = settle(tmp_path / "drugs", load_omop(database(drugs), tmp_path / "drugs", name="drugs", synthetic=True))
    assert onto.manifest["era_rules"]["drug_era"]["code"] == "none"
    ingredient = concept(41, "Ingredient", vocabulary="RxNorm", domain="Drug")
    ingredient[4] = "Ingredient"
    drug = concept(40, "Ingredient 5 MG", vocabulary="RxNorm", domain="Drug")
    ancestors = [["41", "40", "1", "1"], ["41", "41", "0", "0"], ["40", "40", "0", "0"]]
    tables = {**WHOLE, "CONCEPT": [*WHOLE["CONCEPT"], ingredient, drug]}
    release = load({**tables, "CONCEPT_ANCESTOR": [*WHOLE["CONCEPT_ANCESTOR"], *ancestors]}, onto)
    assert release.manifest["era_rules"]["drug_era"] == {"code": "built", "gap_days": 30, "rows": 1}
    assert rows(release, "drug_era")["drug_concept_id"].to_list() == [41]
    assert verify(release, content=True) == ()
    without = load(tables, release)
    assert without.manifest["era_rules"]["drug_era"]["rows"] == 0
    assert verify(without) == ()


def test_half_a_download_does_not_take_the_other_half_away(load: Load) -> None:
    error = refused(load, {**OWN, "CONCEPT": [*OWN["CONCEPT"], concept(5, "stray")]}, load(WHOLE))
    assert (error.code, error.facts["count"]) == ("vocabulary.mixed", 1)


MAP = "source_code,source_concept_id,source_vocabulary_id,source_code_description,target_concept_id"
MAP += ",target_vocabulary_id,valid_start_date,valid_end_date,invalid_reason\n"


def test_a_hospitals_own_map_is_checked_row_by_row(load: Load, tmp_path: Path) -> None:
    withdrawn = concept(88, "withdrawn", standard="S")
    withdrawn[-1] = "D"
    file = tmp_path / "map.csv"
    targets = {"A": 201826, "B": 35206882, "C": 999, "D": 88, "E": 0}
    lines = [f'{code},0,LOCAL,"label, {code}",{target},SNOMED,19700101,20991231,\n' for code, target in targets.items()]
    file.write_text(MAP + "".join(lines))
    release = load({**WHOLE, "CONCEPT": [*WHOLE["CONCEPT"], withdrawn]}, map=file)
    assert rows(release, "source_to_concept_map")["source_code"].to_list() == ["A", "E"]
    assert rows(release, "source_to_concept_map")["source_code_description"].to_list() == ["label, A", "label, E"]
    found = reading(release, "source_to_concept_map")["reasons"]
    assert {(reason["reason"], reason["rows"]) for reason in found} == {
        ("target_not_standard", 1), ("target_unknown", 1), ("target_not_valid", 1),
    }  # fmt: skip
    assert (release.folder / "set_aside/source_to_concept_map.parquet").is_file()
    assert verify(release) == ()


def spoil(folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    path = folder / f"{name}.csv"
    path.write_bytes(change(path.read_bytes()))
    return folder


def reading(release: Release, table: str) -> dict[str, Any]:
    return next(each for each in release.manifest["intake"]["tables"] if each["name"] == table)


def test_a_line_of_another_length_is_set_aside_with_its_number(load: Load, tmp_path: Path) -> None:
    folder = write(tmp_path / "spoilt", WHOLE)
    spoil(folder, "CONCEPT_SYNONYM", lambda old: old + b"201826\tcut\n77\tmore\t4180186\tthan\n")
    release = load(folder)
    assert reading(release, "concept_synonym")["reasons"] == [{"column": "*", "reason": "ragged", "rows": 2}]
    aside = pl.read_parquet(release.folder / "set_aside/concept_synonym.parquet")
    assert aside.select("file", "line", "row").rows() == [
        ("CONCEPT_SYNONYM.csv", 4, "201826\tcut"), ("CONCEPT_SYNONYM.csv", 5, "77\tmore\t4180186\tthan"),
    ]  # fmt: skip
    assert verify(release) == ()


def test_a_file_in_latin_1_keeps_its_accents_and_says_so(load: Load, tmp_path: Path) -> None:
    folder = spoil(write(tmp_path / "latin", WHOLE), "CONCEPT_SYNONYM", lambda old: old.decode().encode("latin-1"))
    release = load(folder)
    assert "Diabète de type 2" in rows(release, "concept_synonym")["concept_synonym_name"].to_list()
    assert {"code": "encoding", "file": "CONCEPT_SYNONYM.csv", "encoding": "windows-1252"} in (
        release.manifest["intake"]["notices"]
    )


def test_a_column_that_the_model_requires_is_named(load: Load, tmp_path: Path) -> None:
    folder = spoil(write(tmp_path / "spoilt", WHOLE), "CONCEPT", lambda old: old.replace(b"concept_id", b"id", 1))
    error = refused(load, folder)
    assert (error.code, error.facts["column"], error.facts["file"]) == (
        "vocabulary.no_column", "concept_id", "CONCEPT.csv",
    )  # fmt: skip


def test_windows_line_ends_and_a_byte_order_mark_are_read(load: Load, tmp_path: Path) -> None:
    folder = write(tmp_path / "windows", WHOLE)
    for name in WHOLE:
        spoil(folder, name, lambda old: b"\xef\xbb\xbf" + old.replace(b"\n", b"\r\n"))
    assert rows(load(folder), "concept").equals(rows(load(WHOLE), "concept"))


def test_a_value_that_does_not_fit_is_set_aside_with_its_reason(load: Load) -> None:
    broken = concept(78, "no date")
    broken[7] = "19700230"
    release = load({**WHOLE, "CONCEPT": [*WHOLE["CONCEPT"], broken]})
    assert reading(release, "concept")["reasons"] == [
        {"column": "valid_start_date", "reason": "does_not_fit", "rows": 1}
    ]
    assert 78 not in rows(release, "concept")["concept_id"].to_list()


def test_what_is_no_download_is_refused(load: Load, tmp_path: Path) -> None:
    assert refused(load, tmp_path / "nowhere").code == "vocabulary.no_download"
    (tmp_path / "text.zip").write_text("not a zip")
    assert refused(load, tmp_path / "text.zip").code == "vocabulary.not_a_zip"
    whole = zipped(write(tmp_path / "cut", WHOLE)).read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    assert refused(load, tmp_path / "half.zip").code == "vocabulary.not_a_zip"
    for share in (0.02, 0.2, 0.5):  # a stream that cannot be unpacked, or whose sum is wrong
        at = int(len(whole) * share)
        (tmp_path / "bitten.zip").write_bytes(whole[:at] + b"\xff" * 40 + whole[at + 40 :])
        assert refused(load, tmp_path / "bitten.zip").code == "vocabulary.not_a_zip", share
    error = refused(load, {"CONCEPT": [NONE]})
    assert (error.code, error.facts["files"]) == ("vocabulary.incomplete", "CONCEPT_RELATIONSHIP.csv, VOCABULARY.csv")
    twice = write(tmp_path / "twice", WHOLE)
    (twice / "concept.csv").write_bytes((twice / "CONCEPT.csv").read_bytes())
    assert refused(load, twice).code == "release.table_twice"

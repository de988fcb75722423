"""Vocabularies and concepts through the services: who may, what is shown, what a cache that is gone or cut means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.conftest import workbench
from tests.intake.athena_made import OWN, concept, write
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.repository import releases
from workbench.services import auditing, concepts, vocabularies
from workbench.services.context import Workbench
from workbench.services.holding import reading

BLEEDING = 192671


@pytest.fixture
def french(wb: Workbench, steward: Actor, tmp_path: Path) -> Workbench:
    """The demonstration with a small French vocabulary of the hospital's own, mapped to it."""
    tables = {
        **OWN,
        "CONCEPT": [concept(2_000_000_021, "Hémorragie digestive", vocabulary="CIM10FR", code="K92.2", standard="")],
        "CONCEPT_RELATIONSHIP": [["2000000021", str(BLEEDING), "Maps to", "19700101", "20991231", ""],
                                 [str(BLEEDING), "2000000021", "Mapped from", "19700101", "20991231", ""]],
        "CONCEPT_SYNONYM": [[str(BLEEDING), "Hémorragie gastro-intestinale", "4180190"]],
    }  # fmt: skip
    vocabularies.load_athena(wb, steward, write(tmp_path / "french", tables))
    return wb


def test_numbers_of_records_are_governed(wb: Workbench, researcher: Actor) -> None:
    found = concepts.search(wb, researcher, "gastrointestinal hem", lang="en")
    first = found.concepts[0]
    assert (first.id, first.records.text_en, first.standard) == (BLEEDING, "about 480", True)
    view = concepts.show(wb, researcher, BLEEDING)
    assert {(line.table, line.column): line.records.value for line in view.use} == {
        ("condition_era", "condition_concept_id"): 480, ("condition_occurrence", "condition_concept_id"): 480,
    }  # fmt: skip
    assert view.with_descendants.value == 480  # eras are made of other records


def test_a_small_number_is_hidden_even_where_it_has_many_records(wb: Workbench, researcher: Actor) -> None:
    assert concepts.governed(500, 10).value is None
    assert concepts.governed(500, 11).value == 500
    with reading():
        use = concepts.use_of(wb, concepts.current_release(wb))
    rare = [row for row in use.to_pylist() if row["crowd"] is not None and row["crowd"] < 11 and row["records"] > 10]
    for row in rare[:3]:
        view = concepts.show(wb, researcher, row["concept_id"])
        assert all(line.records.value is None for line in view.use if line.column == row["column_name"])


def test_a_crowd_never_exceeds_the_persons(wb: Workbench) -> None:
    with reading():
        release = concepts.current_release(wb)
    crowds = {
        row["concept_id"]: row["crowd"]
        for row in concepts.use_of(wb, release).to_pylist()
        if row["table_name"] == "drug_exposure" and row["column_name"] == "drug_concept_id"
    }
    query = "SELECT drug_concept_id, count(DISTINCT person_id) FROM read_parquet($1) GROUP BY 1"
    with duckdb.connect() as connection:
        persons = dict(connection.execute(query, [str(release.table("drug_exposure"))]).fetchall())
    assert persons.keys() == crowds.keys()
    assert all(crowds[drug] <= persons[drug] for drug in persons)
    assert all(crowds[drug] >= 11 for drug in persons if persons[drug] >= 60)


def test_french_labels_and_own_codes_are_found(french: Workbench, researcher: Actor) -> None:
    found = concepts.search(french, researcher, "hemorragie", lang="fr")
    assert [(line.id, line.label) for line in found.concepts] == [
        (BLEEDING, "Hémorragie gastro-intestinale"), (2_000_000_021, "Hémorragie digestive"),
    ]  # fmt: skip
    assert concepts.search(french, researcher, "K922", lang="fr", vocabulary="CIM10FR").concepts[0].id == 2_000_000_021
    assert (
        concepts.search(french, researcher, "hemorragie", lang="en").concepts[0].label == "Gastrointestinal hemorrhage"
    )
    view = concepts.show(french, researcher, BLEEDING)
    assert 2_000_000_021 in [near.concept_id for near in view.concept.mapped_from.concepts]
    assert view.labels == {"fr": "Hémorragie gastro-intestinale", "en": "Gastrointestinal hemorrhage"}
    own = concepts.show(french, researcher, 2_000_000_021)
    assert [near.concept_id for near in own.concept.maps_to.concepts] == [BLEEDING]


def test_only_a_steward_loads_a_vocabulary_and_the_log_says_so(
    french: Workbench, researcher: Actor, officer: Actor, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refusal:
        vocabularies.load_athena(french, researcher, tmp_path / "french")
    assert refusal.value.code == "governance.not_allowed"
    parent, child = sorted(
        releases.list_releases(french.settings.releases), key=lambda release: len(release.manifest["sources"])
    )
    assert child.table("measurement").samefile(parent.table("measurement"))
    assert vocabularies.show_release(french, researcher, child.id).changes["parent"] == parent.digest
    entries = [entry for entry in auditing.log(french, officer) if entry.subject == child.id]
    assert [(entry.verb, entry.outcome) for entry in entries] == [("release.check", "done"), ("release.load", "done")]


def test_a_cache_that_is_gone_or_cut_is_made_again(wb: Workbench, researcher: Actor) -> None:
    first = concepts.search(wb, researcher, "aspirin", lang="en")
    folder = wb.settings.cache / first.release
    (folder / "concepts" / "rows").write_bytes(b"")
    use = folder / "concept_use.parquet"
    use.write_bytes(use.read_bytes()[:-20])
    concepts.forget_opened()
    assert concepts.search(wb, researcher, "aspirin", lang="en") == first
    shutil.rmtree(folder / "concepts")
    use.unlink()
    concepts.forget_opened()
    assert concepts.search(wb, researcher, "aspirin", lang="en") == first
    assert concepts.show(wb, researcher, first.concepts[0].id).use


def test_the_commands_search_and_show(demo_copy: Path) -> None:
    place = ("--home", str(demo_copy), "--as", "researcher")
    told = workbench("concepts", "search", "hem", "gastro", *place, cwd=demo_copy.parent).stdout
    assert "about 480" in told
    assert "479" not in told
    made = workbench(
        "concepts", "search", "gastrointestinal", "--standard", "--limit", "1", "--json", *place, cwd=demo_copy.parent
    )
    (line,) = json.loads(made.stdout)["concepts"]
    assert line["id"] == BLEEDING
    assert "479" not in made.stdout
    shown = workbench("concepts", "show", str(BLEEDING), "--lang", "fr", *place, cwd=demo_copy.parent).stdout
    assert "Mapped from (1)" in shown
    absent = workbench("concepts", "show", "5", *place, cwd=demo_copy.parent, check=False)
    assert (absent.returncode, "vocabulary.no_concept" in absent.stderr) == (1, True)

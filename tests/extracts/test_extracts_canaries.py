"""Canaries: a leak of each kind, planted in a package, is found; numbers that meet small ids by chance are not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from made_release import Case, Papers, gibleed, secrets
from test_extracts_inspect import inspected, plant

from workbench.extracts.canaries import PERSONS
from workbench.extracts.inspect import Truth
from workbench.extracts.read import read_manifest
from workbench.governance.pseudonyms import pseudonymize
from workbench.kernel.text import LANGS, say

NOTES = 300


@pytest.fixture(scope="module")
def bleed(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """GiBleed with what it lacks: notes, stay numbers, providers, and a local concept."""
    folder = tmp_path_factory.mktemp("release")
    case = gibleed(folder)
    people = pl.read_parquet(case.tables["person"])["person_id"].sort()
    provider = pl.DataFrame({"provider_id": pl.Series(range(7_000_000, 7_000_050)), "provider_name": "Dr Durand"})
    provider = provider.with_columns(pl.concat_str("provider_name", "provider_id"))
    note = pl.DataFrame({"note_id": range(people.len()), "person_id": people})
    note = note.with_columns(note_text=pl.concat_str(pl.lit("Vu ce jour, dossier n° "), "note_id"))
    visit = pl.DataFrame({"visit_detail_id": range(900_000, 900_000 + people.len()), "person_id": people})
    stay = visit.with_columns(visit_detail_source_value=pl.concat_str(pl.lit("4400"), pl.col("visit_detail_id")))
    empty = pl.DataFrame(schema={"care_site_id": pl.Int64, "care_site_name": pl.String})
    made = {"provider": provider, "note": note, "visit_detail": stay}
    for name, frame in made.items():
        frame.write_parquet(folder / f"{name}.parquet")
    pq.ParquetWriter(folder / "care_site.parquet", empty.to_arrow().schema).close()  # not even one row group
    made["care_site"] = empty
    return dataclasses.replace(case, tables={**case.tables, **{name: folder / f"{name}.parquet" for name in made}})


def real(frame: pl.DataFrame, known: Truth) -> pl.DataFrame:
    """The delivered rows with what only the hospital knows: the real id, the index day, the year of birth."""
    made = pseudonymize(secrets().pseudonym, "person", known.persons)
    people = pl.DataFrame({"person_id": made.values, "real": made.ids})
    days = pl.DataFrame({"real": known.persons, "index": known.index})
    birth = pl.read_parquet(known.tables["person"]).select(real="person_id", born="year_of_birth")
    stays = pl.read_parquet(known.tables["visit_detail"]).select(real="person_id", stay="visit_detail_id")
    for more, on in ((people, "person_id"), (days, "real"), (birth, "real"), (stays, "real")):
        frame = frame.join(more, on=on, how="left", maintain_order="left")
    return frame


def put(column: str, value: Callable[[], pl.Expr]) -> Callable[[pl.DataFrame, Truth], pl.DataFrame]:
    """A change of a table: a column holds what an expression over `real` gives, in the column's own type."""

    def change(frame: pl.DataFrame, known: Truth) -> pl.DataFrame:
        told = real(frame, known).with_columns(value().cast(frame.schema[column]).alias(column))
        return told.select(frame.columns)

    return change


def one(column: str, value: int) -> Callable[[pl.DataFrame, Truth], pl.DataFrame]:
    """A change of a table: one row of many has a real id."""
    return put(column, lambda: pl.when(pl.int_range(pl.len()) == 7).then(value).otherwise(pl.col(column)))


def ymd(day: pl.Expr) -> pl.Expr:
    return day.dt.strftime("%Y%m%d").cast(pl.Int64)


EVENT = pl.col("index") + pl.duration(days="start_day")
PLANTED: dict[str, tuple[str, str, Callable[[pl.DataFrame, Truth], pl.DataFrame]]] = {
    "a provider among links": ("canary_id", "measurement", one("visit_occurrence_id", 7_000_021)),
    "a stay among links": ("canary_id", "measurement", one("visit_occurrence_id", 900_003)),
    "an event among links": ("canary_id", "measurement", one("visit_occurrence_id", 60_001)),
    "persons as values": ("canary_id", "drug_exposure", put("days_supply", lambda: pl.col("real"))),
    "persons as concepts": ("canary_id", "person", put("gender_concept_id", lambda: pl.col("real"))),
    "stays as values": ("canary_id", "drug_exposure", put("days_supply", lambda: pl.col("stay"))),
    "stay numbers of digits": (
        "canary_id",
        "drug_exposure",
        put("days_supply", lambda: 4_400_000_000 + 0 * pl.col("real") + pl.col("stay")),
    ),
    "years of birth": ("canary_id", "person", put("age_at_index", lambda: pl.col("born"))),
    "index days": ("canary_date", "drug_exposure", put("days_supply", lambda: ymd(pl.col("index")))),
    "days of events": ("canary_date", "drug_exposure", put("days_supply", lambda: ymd(EVENT))),
    "days since 1970": ("canary_date", "drug_exposure", put("days_supply", lambda: EVENT.dt.epoch("d"))),
    "days of a spreadsheet": (
        "canary_date",
        "drug_exposure",
        put("days_supply", lambda: EVENT.dt.epoch("d") + 25_569),
    ),
}
ONE_EACH = {"persons as concepts", "years of birth"}
"""Leaks in columns of which every value needs persons enough."""


def test_a_clean_package_has_no_finding(clean: Path, known: Truth) -> None:
    assert known.persons.size > PERSONS
    assert inspected(clean, known) == set()


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_value_is_found(folder: Path, known: Truth, kind: str) -> None:
    code, table, change = PLANTED[kind]
    plant(folder, table, change, known)
    assert inspected(folder, known) == ({code, "rare_value"} if kind in ONE_EACH else {code})


def test_what_identifies_is_found_among_names_of_concepts(folder: Path, known: Truth) -> None:
    def leak(text: str) -> Callable[[pl.DataFrame, Truth], pl.DataFrame]:
        name = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(text)).otherwise("concept_name")
        return lambda frame, _: frame.with_columns(concept_name=name)

    from workbench.extracts.canaries import draw
    from workbench.governance.keys import derive

    key = derive(secrets().pseudonym, "person")
    texts = draw(known.tables, (known.persons, known.index), key).texts
    source = pl.read_parquet(known.tables["person"])["person_source_value"]
    kinds = {
        "source": next(text for text in texts if text in set(source)),
        "note": next(text for text in texts if text.startswith("Vu ce jour")),
        "stay": next(text for text in texts if text.startswith("4400")),
        "provider": next(text for text in texts if text.startswith("Dr Durand")),
    }
    for text in kinds.values():
        plant(folder, "concept", leak(f"see {text}, again"), known)
        assert inspected(folder, known) == {"canary_text"}, text
    plant(folder, "concept", leak("Chest pain"), known)
    assert inspected(folder, known) == set()
    manifest = read_manifest(folder)
    manifest["dictionary"][0]["meaning_fr"] = kinds["source"]
    assert "canary_text" in inspected(folder, known, manifest)
    assert json.dumps(manifest).count(kinds["source"]) == 1


@pytest.mark.parametrize("seed", range(4))
def test_numbers_that_meet_small_ids_by_chance_are_let_through(folder: Path, known: Truth, seed: int) -> None:
    """Ids of this release are 1 … 5,000 and more: any small number is somebody's, and a person with many numbers meets
    one of their own soon."""

    def noise(frame: pl.DataFrame, _: Truth) -> pl.DataFrame:
        draws = np.random.default_rng(seed)
        top = int(draws.choice([30, 500, 6_000, 20_000]))
        ids = np.repeat(
            frame["person_id"].unique().sort().to_numpy(), draws.geometric(0.05, frame["person_id"].n_unique())
        )
        rows = pl.DataFrame({"person_id": ids, "days_supply": draws.integers(1, top, ids.size)})
        drug = frame["drug_concept_id"][0]
        days = pl.col("days_supply").cast(frame.schema["days_supply"])
        given = {"drug_concept_id": pl.lit(drug), "start_day": pl.lit(-3, pl.Int32), "end_day": pl.lit(-2, pl.Int32)}
        rows = rows.select("person_id", **given, days_supply=days)
        return rows.select(frame.columns).sort("person_id", "days_supply")

    plant(folder, "drug_exposure", noise, known)
    assert inspected(folder, known, papers=Papers().keeping_rare()) == set()


def test_every_canary_has_words() -> None:
    codes: Any = {code for code, _, _ in PLANTED.values()} | {"canary_text"}
    assert all(say(f"extract.finding_{code}", lang) for code in codes for lang in LANGS)

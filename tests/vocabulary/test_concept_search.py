"""Concept search against a naive reading of the same rules, and the rules one by one."""

from __future__ import annotations

import random
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from workbench.vocabulary.search import ConceptIndex, Filters, Found
from workbench.vocabulary.search_index import build
from workbench.vocabulary.use import SCHEMA
from workbench.vocabulary.words import BETWEEN, folded, folded_sql, words

CONCEPTS = [
    # id, name, code, domain, vocabulary, standard, invalid
    (201826, "Type 2 diabetes mellitus", "44054006", "Condition", "SNOMED", "S", None),
    (201820, "Diabetes mellitus", "73211009", "Condition", "SNOMED", "S", None),
    (35206882, "Type 2 diabetes mellitus", "E11", "Condition", "ICD10", None, None),
    (45542738, "Type 2 diabetes mellitus without complications", "E11.9", "Condition", "ICD10", None, None),
    (4329847, "Myocardial infarction", "22298006", "Condition", "SNOMED", "S", None),
    (312327, "Acute myocardial infarction", "57054005", "Condition", "SNOMED", "S", None),
    (1503297, "metformin", "6809", "Drug", "RxNorm", "S", None),
    (2_000_000_007, "Œdème aigu du poumon", "J81", "Condition", "CIM10FR", None, None),
    (99, "Diabetes mellitus, old", "1", "Condition", "SNOMED", "S", "D"),
]
SYNONYMS = [
    (201826, "Diabète de type 2", 4180190),
    (201826, "Diabète sucré non insulinodépendant", 4180190),
    (201826, "Type II diabetes", 4180186),
    (312327, "Infarctus aigu du myocarde", 4180190),
    (312327, "Heart attack", 4180186),
]
Make = Callable[..., ConceptIndex]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Build the index of some concepts; `records`: concept → records."""

    def run(
        concepts: list[tuple[object, ...]], synonyms: list[tuple[object, ...]], records: dict[int, int] | None = None
    ) -> ConceptIndex:
        place = tmp_path_factory.mktemp("vocabulary")
        names = ["concept_id", "concept_name", "concept_code", "domain_id", "vocabulary_id", "standard_concept"]
        frame = pl.DataFrame(concepts, schema=[*names, "invalid_reason"], orient="row", infer_schema_length=None)
        day = pl.date(2000, 1, 1)
        frame = frame.with_columns(
            day.alias("valid_start_date"), day.alias("valid_end_date"), concept_class_id=pl.lit("x")
        )
        frame.cast({"standard_concept": pl.String, "invalid_reason": pl.String}).write_parquet(
            place / "concept.parquet"
        )
        columns = ["concept_id", "concept_synonym_name", "language_concept_id"]
        schema = dict(zip(columns, (pl.Int64, pl.String, pl.Int64), strict=True))
        pl.DataFrame(synonyms, schema=schema, orient="row").write_parquet(place / "synonym.parquet")
        rows = [("condition_occurrence", "condition_concept_id", *each, 64) for each in (records or {}).items()]
        rows.append(("condition_era", "condition_concept_id", 4329847, 10_000, 64))
        use = pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)
        folder = place / "index"
        folder.mkdir()
        build(place / "concept.parquet", place / "synonym.parquet", use, "0" * 64, folder)
        return ConceptIndex(folder)

    return run


@pytest.fixture(scope="module")
def index(make: Make) -> ConceptIndex:
    return make(CONCEPTS, SYNONYMS, {201826: 500, 35206882: 900, 312327: 20})


def ids(index: ConceptIndex, text: str, **filters: object) -> list[int]:
    return [found.concept_id for found in index.search(text, filters=Filters(**filters)).concepts]


def test_words_in_any_order_cut_short_without_accents_and_case(index: ConceptIndex) -> None:
    assert ids(index, "mellitus diab 2") == [201826, 35206882, 45542738]
    assert ids(index, "DIABETE") == ids(index, "diabète") == [201826, 201820, 99, 35206882, 45542738]
    assert ids(index, "infarc myoc aigu") == ids(index, "heart att") == [312327]
    assert ids(index, "oedeme") == ids(index, "Œdème POUMON") == [2_000_000_007]
    assert ids(index, "diabetes nothing") == ids(index, "") == ids(index, " .,; ") == []


def test_standard_first_then_by_records_then_valid_then_short(index: ConceptIndex) -> None:
    assert ids(index, "diabetes mellitus") == [201826, 201820, 99, 35206882, 45542738]
    assert ids(index, "infarction") == [312327, 4329847]  # eras do not count: they are made of other records


def test_a_code_finds_its_concept_first_with_or_without_its_dot(index: ConceptIndex) -> None:
    assert ids(index, "E11.9") == ids(index, "e119") == [45542738]
    assert ids(index, "E11") == [35206882, 45542738]
    assert ids(index, "1") == [99]  # short numbers are numbers, unless they are the code
    assert ids(index, "2") == [201826, 35206882, 45542738]
    assert ids(index, "440") == [201826]
    assert ids(index, "201826") == [201826]
    assert ids(index, "2018") == []  # an id is known or not: nobody types half of one
    assert ids(index, "44054006 diab") == [201826]


def test_filters_narrow(index: ConceptIndex) -> None:
    assert ids(index, "diabetes", vocabulary="icd10") == [35206882, 45542738]
    assert ids(index, "diabetes", standard=True) == [201826, 201820, 99]
    assert ids(index, "m", domain="Drug") == [1503297]
    assert ids(index, "m", domain="Nowhere") == []
    assert index.vocabularies == ["CIM10FR", "ICD10", "RxNorm", "SNOMED"]


def test_what_is_shown_of_a_concept(index: ConceptIndex) -> None:
    found = index.search("44054006").concepts[0]
    assert found == Found(
        201826, "Type 2 diabetes mellitus", "Diabète de type 2", "Type II diabetes", "44054006", "Condition", "SNOMED",
        "x", "S", None, "2000-01-01", "2000-01-01", 500, 64,
    )  # fmt: skip
    assert index.search("diab", limit=2).total == 5
    assert len(index.search("diab", limit=2).concepts) == 2


Naive = list[tuple[int, set[str], str]]


def naive_vocabulary(concepts: list[tuple[object, ...]], synonyms: list[tuple[object, ...]]) -> Naive:
    """Return the id, the words and the code of each concept."""
    labels: dict[object, str] = {number: str(name) for number, name, *_ in concepts}
    for number, label, _ in synonyms:
        labels[number] = f"{labels.get(number, '')} {label}"
    return [(int(str(row[0])), set(words(labels[row[0]])), "".join(words(str(row[2])))) for row in concepts]


def naive(vocabulary: Naive, text: str) -> set[int]:
    """Read the rules once more, the slow way."""
    typed = [(words(word), "".join(words(word))) for word in text.split() if words(word)]
    return {
        number
        for number, mine, code in vocabulary
        if typed
        and all(
            all(any(own.startswith(piece) for own in mine) for piece in pieces)
            or joined in {code, str(number)}
            or (len(joined) >= 3 and code.startswith(joined))
            for pieces, joined in typed
        )
    }


def test_random_searches_find_what_a_naive_reading_finds(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small limits, so that bits, masks and lists are all used on a small vocabulary.
    monkeypatch.setattr("workbench.vocabulary.search_index._FEWEST", 30)
    monkeypatch.setattr("workbench.vocabulary.search._FEW", 3)
    draw = random.Random(5)
    syllables = ["al", "ba", "cé", "DI", "e1", "fœ", "1.2", "mu", "no-", "µ"]

    def label(most: int) -> str:
        return " ".join("".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(draw.randint(1, most)))

    concepts = [
        (number, label(4), f"{draw.choice('ABC')}{draw.randint(1, 99)}.{draw.randint(0, 9)}", "D", "V", "S", None)
        for number in range(1, 800)
    ]
    synonyms = [(draw.randint(1, 800), label(3), 4180190) for _ in range(400)]
    index, vocabulary = make(concepts, synonyms), naive_vocabulary(concepts, synonyms)
    for _ in range(300):
        text = " ".join(word[: draw.randint(1, 6)] for word in label(3).split())
        answer = index.search(text, limit=1000)
        assert {found.concept_id for found in answer.concepts} == naive(vocabulary, text), text
        assert answer.total == len(answer.concepts)
        assert answer.concepts[:5] == index.search(text, limit=5).concepts


def test_the_database_and_the_query_fold_letters_alike() -> None:
    draw = random.Random(6)
    letters = [chr(code) for code in (*range(0x20, 0x530), *range(0x1E00, 0x2070)) if chr(code).isprintable()]
    texts = [*letters, *("".join(draw.choices(letters, k=draw.randint(0, 12))) for _ in range(3000))]
    split = f"list_filter(regexp_split_to_array({folded_sql('x')}, '{BETWEEN}'), lambda w: w <> '')"
    with duckdb.connect() as connection:
        query = f"SELECT x, {folded_sql('x')}, {split} FROM (SELECT unnest($1) AS x)"
        rows = connection.execute(query, [texts]).fetchall()
    assert [(text, folded(text), words(text)) for text, _, _ in rows] == rows


def test_folding_leaves_no_accent_of_french() -> None:
    assert folded("ÀÂÇÉÈÊËÎÏÔŒÙÛÜŸæ") == "aaceeeeiiooeuuuyae"
    assert all(unicodedata.category(letter) != "Mn" for letter in folded("é à ô"))


def test_an_index_that_was_cut_changed_or_is_another_is_noticed(index: ConceptIndex, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(index._folder, folder)
    assert ConceptIndex(folder).is_sound()
    whole = (folder / "rows").read_bytes()
    (folder / "rows").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="rows"):
        ConceptIndex(folder)
    (folder / "rows").write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert not ConceptIndex(folder).is_sound()
    stamp = (folder / "index.json").read_text()
    (folder / "index.json").write_text(stamp.replace("concept-index/1", "concept-index/0"))
    with pytest.raises(ValueError, match="concept-index/0"):
        ConceptIndex(folder)


def test_a_vocabulary_without_concepts_has_an_index(make: Make) -> None:
    empty = make([(0, "No matching concept", "0", "Metadata", "None", None, None)], [])
    assert ids(empty, "diabetes") == []
    assert ids(empty, "matching") == [0]

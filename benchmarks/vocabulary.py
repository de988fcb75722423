"""A vocabulary of 8 million concepts and 80 million ancestors: loading it, indexing it, searching it.

    python -m benchmarks.vocabulary FOLDER [--concepts N] [--ancestors N]

Writes an invented vocabulary in Athena's form into FOLDER (words made of syllables, as skewed as drug names and
diagnoses are), loads it onto a release without records, builds the search index, and asks. The alternative is SQLite's
FTS5 with an index of beginnings of one to four letters, its rows in the same order of ranks, read by the same queries;
both must give the same first answers. Needs 20 GB of disk and, for N = 8,000,000, half an hour.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from workbench.intake.athena import Wish, load_athena
from workbench.intake.omop import load_omop
from workbench.repository.releases import open_release, release_id
from workbench.vocabulary.search import ConceptIndex
from workbench.vocabulary.search_index import build
from workbench.vocabulary.use import SCHEMA

QUERIES = [
    "d", "di", "dia", "diab", "diabetes", "hydrochlor", "hydro tab", "diabetes mellitus acute", "oral tablet zo",
    "tab d", "mg oral", "mg 5", "e t", "zo zo", "ta fo zi", "disease of left heart failure", "qqqq", "chl", "pro ha mg",
    "oral solution 10 ta", "o m t", "tafoheine", "acute tafoheine", "heart", "inj",
]  # fmt: skip
SYLLABLES = """
    ab ac al am an ar ba be bi bo ca ce chlo ci co cy da de di do el en fe fi flu fo ga gly he hy in ka la le li lo ma
    me mi mo na ne ni no ox pa pe phe pi pro ra re ri ro sa se si so ta te ti to tra ur va ve vi xa zo
"""
ENDS = ["", "n", "s", "l", "ine", "ol", "ide", "itis", "ate", "emia", "pathy", "osis"]
FORMS = ["Oral Tablet", "Oral Capsule", "Injectable Solution", "Topical Cream", "Extended Release Oral Tablet",
         "Oral Solution", "Prefilled Syringe", "Ophthalmic Solution", "Rectal Suppository"]  # fmt: skip
CLINICAL = """
    disease disorder of due to acute chronic structure finding left right lower upper fracture neoplasm malignant
    benign diabetes mellitus heart failure infection pain injury history procedure measurement blood serum plasma
    unspecified without with complication tumor syndrome congenital primary secondary type
"""


def make_words(connection: Any) -> None:
    """Make 60,000 words of syllables."""
    connection.execute(
        """CREATE TABLE words AS SELECT list(word ORDER BY i) AS l FROM (
            SELECT i, array_to_string([$syllables[1 + CAST(hash(i * 100 + k) % len($syllables) AS INT)]
                FOR k IN range(2 + CAST(hash(i * 3) % 3 AS INT))], '')
                || $ends[1 + CAST(hash(i * 7) % len($ends) AS INT)] AS word FROM range(60000) r(i))""",
        {"syllables": SYLLABLES.split(), "ends": ENDS},
    ).fetchall()


def write_vocabulary(folder: Path, concepts: int, ancestors: int) -> Path:
    """Write the files as Athena does."""

    def word(seed: int) -> str:
        return f"l[1 + CAST(floor(60000 * pow((hash(i * 16 + {seed}) % 1000003) / 1000003.0, 2.5)) AS INT)]"

    def term(seed: int, among: list[str]) -> str:
        return f"{among}[1 + CAST(hash(i * 16 + {seed}) % {len(among)} AS INT)]"

    clinical = CLINICAL.split()
    name = f"""CASE WHEN i % 20 < 13 THEN concat((1 + hash(i) % 200) * 5, ' MG ', {word(1)}, ' ',
            CASE WHEN hash(i * 3) % 3 = 0 THEN 'Hydrochloride ' END,
            CASE WHEN hash(i * 5) % 4 = 0 THEN concat('/ ', (1 + hash(i * 7) % 50) * 10, ' MG ', {word(2)}, ' ') END,
            {term(9, FORMS)}, CASE WHEN i % 3 = 0 THEN concat(' [', {word(3)}, ']') END,
            CASE WHEN i % 4 = 0 THEN concat(' Box of ', (1 + hash(i * 11) % 12) * 7, ' by ', {word(4)}) END)
        WHEN i % 20 < 18 THEN concat_ws(' ', {term(5, clinical)}, {term(6, clinical)}, {word(7)}, {term(8, clinical)},
            CASE WHEN i % 3 = 0 THEN concat({word(9)}, ' ', {term(10, clinical)}) END)
        ELSE concat({word(11)}, ' [', {term(12, clinical)}, '/volume] in ', {term(13, clinical)}) END"""
    tables = {
        "CONCEPT": f"""SELECT i + 1 AS concept_id, {name} AS concept_name,
            CASE WHEN i % 20 < 13 THEN 'Drug' WHEN i % 20 < 18 THEN 'Condition' ELSE 'Measurement' END AS domain_id,
            CASE WHEN i % 20 < 13 THEN 'RxNorm' WHEN i % 20 < 18 THEN 'SNOMED' ELSE 'LOINC' END AS vocabulary_id,
            'Class' AS concept_class_id, CASE WHEN hash(i * 13) % 3 = 0 THEN 'S' END AS standard_concept,
            concat('X', i + 1) AS concept_code, '19700101' AS valid_start_date, '20991231' AS valid_end_date,
            CASE WHEN hash(i * 17) % 10 = 0 THEN 'D' END AS invalid_reason FROM range({concepts}) r(i), words""",
        "CONCEPT_SYNONYM": f"""SELECT i + 1 AS concept_id,
            concat_ws(' ', {term(1, clinical)}, {word(2)}, {term(3, clinical)}) AS concept_synonym_name,
            CASE WHEN i % 8 = 0 THEN 4180190 ELSE 4180186 END AS language_concept_id
            FROM range(0, {concepts}, 2) r(i), words""",
        "CONCEPT_ANCESTOR": f"""SELECT
            CASE WHEN k = 0 THEN i + 1 ELSE (i + 1) // (k * 3) + 1 END AS ancestor_concept_id,
            i + 1 AS descendant_concept_id, k AS min_levels_of_separation, k AS max_levels_of_separation
            FROM range({concepts}) r(i), range({ancestors // concepts}) q(k)""",
        "CONCEPT_RELATIONSHIP": f"""SELECT i + 1 AS concept_id_1, 1 + hash(i * 5 + k) % {concepts} AS concept_id_2,
            ['Maps to', 'Mapped from', 'Is a', 'Subsumes', 'RxNorm has ing'][k + 1] AS relationship_id,
            '19700101' AS valid_start_date, '20991231' AS valid_end_date, NULL AS invalid_reason
            FROM range({concepts}) r(i), range(5) q(k)""",
        "VOCABULARY": """SELECT 'None' AS vocabulary_id, 'OMOP' AS vocabulary_name, 'x' AS vocabulary_reference,
            'benchmark' AS vocabulary_version, 1 AS vocabulary_concept_id""",
    }
    folder.mkdir(parents=True)
    with duckdb.connect(config={"temp_directory": str(folder / ".spill"), "memory_limit": "3GB"}) as connection:
        make_words(connection)
        for table, query in tables.items():
            form = "(FORMAT csv, DELIMITER '\t', HEADER, QUOTE '', ESCAPE '')"
            connection.execute(f"COPY ({query}) TO '{folder / f'{table}.csv'}' {form}").fetchall()
    return folder


def timed(label: str, work: Callable[[], Any]) -> Any:
    """Run a piece of work; print its time, its processor time, and the highest memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{label:40} {time.perf_counter() - wall:8.1f} s, {time.process_time() - cpu:8.1f} CPU-s, {peak:.2f} GB at most"
    )
    return result


def records(folder: Path) -> Path:
    """Return a release of one person."""
    with duckdb.connect(str(folder / "one.duckdb")) as connection:
        connection.execute("CREATE TABLE person AS SELECT 1 AS person_id, 0 AS gender_concept_id").fetchall()
    made = folder / "first"
    manifest = load_omop(folder / "one.duckdb", made, name="benchmark", synthetic=True)
    return made.rename(folder / release_id(manifest))


def fts5(index: ConceptIndex, path: Path) -> sqlite3.Connection:
    """Build the alternative: one row a concept, its number the rank."""
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode = OFF")
    form = "content='', detail=none, columnsize=0, prefix='1 2 3 4', tokenize='unicode61 remove_diacritics 2'"
    store.execute(f"CREATE VIRTUAL TABLE labels USING fts5(words, {form})")
    store.execute("BEGIN")
    concepts = (index.concept(rank) for rank in range(index.count))
    rows = ((each.name, each.french or "", each.english or "") for each in concepts)
    insert = "INSERT INTO labels(rowid, words) VALUES (?, ?)"
    store.executemany(insert, ((rank + 1, " ".join(row)) for rank, row in enumerate(rows)))
    store.execute("COMMIT")
    store.execute("INSERT INTO labels(labels) VALUES ('optimize')")
    return store


def ask_fts5(store: sqlite3.Connection, text: str) -> list[int]:
    """Return the first twenty ranks."""
    asked = " AND ".join(f'"{word}"*' for word in text.split())
    query = "SELECT rowid - 1 FROM labels WHERE labels MATCH ? ORDER BY rowid LIMIT 20"
    return [row[0] for row in store.execute(query, (asked,))]


def forget(folder: Path) -> None:
    """Ask the system to drop a folder's files from its memory."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def milliseconds(work: Callable[[], Any]) -> float:
    """Return how long a piece of work takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def compare(folder: Path) -> None:
    """Ask both, after checking that they answer alike; print medians and the slowest."""
    index = ConceptIndex(folder / "index")
    store = timed("FTS5: build", lambda: fts5(index, folder / "fts5.sqlite"))
    for query in QUERIES:
        theirs = [index.concept(rank) for rank in ask_fts5(store, query)]
        if list(index.search(query).concepts) != theirs:
            raise SystemExit(f"different answers to {query!r}")
    cold = []
    for query in QUERIES:
        del index
        forget(folder / "index")
        index = ConceptIndex(folder / "index")
        cold.append(milliseconds(lambda index=index, query=query: index.search(query)))
    times = {
        "index, cold": cold,
        "index, warm": [milliseconds(lambda query=query: index.search(query)) for query in QUERIES],
        "FTS5, warm": [milliseconds(lambda query=query: ask_fts5(store, query)) for query in QUERIES],
    }
    for label, each in times.items():
        slowest = QUERIES[each.index(max(each))]
        print(f"{label:20} median {statistics.median(each):7.1f} ms, slowest {max(each):7.1f} ms ({slowest!r})")
    files = {"index": (folder / "index").iterdir(), "FTS5 (without labels)": [folder / "fts5.sqlite"]}
    sizes = {name: sum(path.stat().st_size for path in paths) / 1e6 for name, paths in files.items()}
    print(", ".join(f"{name} {size:.0f} MB" for name, size in sizes.items()))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concepts", type=int, default=8_000_000)
    parser.add_argument("--ancestors", type=int, default=80_000_000)
    asked = parser.parse_args()
    folder: Path = asked.folder
    download = timed("write the files", lambda: write_vocabulary(folder / "download", asked.concepts, asked.ancestors))
    parent, wish = open_release(records(folder)), Wish(download, "benchmark", accept_gaps=True)
    timed("load athena", lambda: load_athena(wish, parent, folder / "made"))
    tables = folder / "made" / "tables"
    (folder / "index").mkdir()
    use = pa.Table.from_pylist([], SCHEMA)
    names = (tables / "concept.parquet", tables / "concept_synonym.parquet")
    timed("build the index", lambda: build(*names, use, "0" * 64, folder / "index"))
    compare(folder)
    shutil.rmtree(folder / "download")


if __name__ == "__main__":
    main()

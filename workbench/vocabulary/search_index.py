"""The search index of a vocabulary: built once a release, read through memory maps, rebuilt at will.

Concepts are numbered by *rank*: standard ones first, then by records in the release (those of eras are not counted:
they are made of others), then valid before invalid, short names before long ones. So the lowest ranks are the best
answers and nothing has to be sorted when people type.

A term is a word of a label (name or synonym, any language), `=` and a code without punctuation, or `#` and a concept
id. Terms are sorted, and so the ranks of all terms that begin alike are one slice of one file (`postings`). Where such
a slice is longer than a sixteenth of the vocabulary, its concepts are also kept as bits, one for each rank.

Files (little-endian): `terms` (UTF-8, one after the other) with `term_ends` (u4) and `posting_ends` (u8); `postings`
(u4); `rows` (UTF-8) with `row_ends` (u8), the fields of `FIELDS` with a line feed between two; `domains`,
`vocabularies` (u2), `standard` (u1), one a rank; `bits` (u1), eight ranks a byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.engines.duckdb import connect
from workbench.kernel.progress import Progress, silent
from workbench.store.files import sha256_file, sync_tree, write_text
from workbench.vocabulary.use import DERIVED
from workbench.vocabulary.words import BETWEEN, folded_sql

VERSION = "workbench/concept-index/1"
FIELDS = (
    "concept_id", "name", "french", "english", "code", "domain", "vocabulary", "class", "standard", "invalid",
    "valid_start", "valid_end", "records", "crowd",
)  # fmt: skip
FRENCH, ENGLISH = 4180190, 4180186
"""OMOP's concepts of the two languages."""

INDEX = "index.json"
_MEMORY = "2GB"
_BATCH = 262_144
_LONGEST = 8
_SHARE = 16
_FEWEST = 10_000

_RANKED = """
    CREATE TEMP TABLE ranked AS
    SELECT row_number() OVER (ORDER BY standard DESC, records DESC, invalid, length(name), concept_id) - 1 AS rank, *
    FROM (
        SELECT c.concept_id, coalesce(c.concept_name, '') AS name, s.french, s.english, s.labels,
            coalesce(c.concept_code, '') AS code, coalesce(c.domain_id, '') AS domain,
            coalesce(c.vocabulary_id, '') AS vocabulary, coalesce(c.concept_class_id, '') AS class,
            coalesce(c.standard_concept = 'S', false) AS standard, c.standard_concept AS flag,
            c.invalid_reason IS NOT NULL AS invalid, c.invalid_reason AS reason,
            c.valid_start_date, c.valid_end_date,
            coalesce(u.records, 0) AS records, coalesce(u.crowd, 0) AS crowd
        FROM read_parquet($concept) c
        LEFT JOIN synonyms s ON s.concept_id = c.concept_id
        LEFT JOIN used u ON u.concept_id = c.concept_id
        WHERE c.concept_id IS NOT NULL
    )
"""
_SYNONYMS = f"""
    CREATE TEMP TABLE synonyms AS
    SELECT concept_id, string_agg(concept_synonym_name, ' ') AS labels,
        min_by(concept_synonym_name, (length(concept_synonym_name), concept_synonym_name))
            FILTER (language_concept_id = {FRENCH}) AS french,
        min_by(concept_synonym_name, (length(concept_synonym_name), concept_synonym_name))
            FILTER (language_concept_id = {ENGLISH}) AS english
    FROM read_parquet($synonym) WHERE concept_synonym_name IS NOT NULL GROUP BY concept_id
"""  # noqa: S608 — two numbers of ours
_NO_SYNONYMS = "CREATE TEMP TABLE synonyms (concept_id BIGINT, labels VARCHAR, french VARCHAR, english VARCHAR)"
_USED = """
    CREATE TEMP TABLE used AS
    SELECT concept_id, CAST(sum(records) AS BIGINT) AS records, max(crowd) AS crowd FROM incoming_use
    WHERE crowd IS NOT NULL AND NOT list_contains($derived, table_name) GROUP BY concept_id
"""
_ROWS = """
    SELECT concat_ws(chr(10), concept_id, translate(name, chr(10), ' '), translate(coalesce(french, ''), chr(10), ' '),
        translate(coalesce(english, ''), chr(10), ' '), translate(code, chr(10), ' '), domain, vocabulary, class,
        coalesce(flag, ''), coalesce(reason, ''), coalesce(CAST(valid_start_date AS VARCHAR), ''),
        coalesce(CAST(valid_end_date AS VARCHAR), ''), records, crowd) AS row,
        CAST(dense_domain AS USMALLINT) AS domain, CAST(dense_vocabulary AS USMALLINT) AS vocabulary,
        CAST(standard AS UTINYINT) AS standard
    FROM ranked
    JOIN (SELECT domain, row_number() OVER (ORDER BY domain) - 1 AS dense_domain FROM ranked GROUP BY domain)
        USING (domain)
    JOIN (SELECT vocabulary, row_number() OVER (ORDER BY vocabulary) - 1 AS dense_vocabulary
        FROM ranked GROUP BY vocabulary) USING (vocabulary)
    ORDER BY rank
"""
_TERMS = f"""
    CREATE TEMP TABLE postings AS
    SELECT term, rank FROM (
        SELECT unnest(list_distinct(regexp_split_to_array({folded_sql("concat_ws(' ', name, labels)")}, '{BETWEEN}')
            || ['=' || regexp_replace({folded_sql("code")}, '{BETWEEN}', '', 'g'), '#' || concept_id])) AS term,
            CAST(rank AS UINTEGER) AS rank
        FROM ranked
    ) WHERE term NOT IN ('', '=') ORDER BY term, rank
"""  # noqa: S608 — built of our own expressions


def build(
    concept: Path, synonym: Path | None, use: pa.Table, release: str, into: Path, progress: Progress = silent
) -> None:
    """Write the index of a vocabulary into the empty folder `into`; `index.json` comes last and names all files.

    `concept`, `synonym`: Parquet files of the release; `use`: `workbench.vocabulary.use`; `release`: its digest, which
    the index belongs to. Memory stays under 3 GB; the work spills into a folder inside `into`, removed at the end.
    """
    spill = into / ".spill"
    with connect(memory=_MEMORY, spill=spill) as connection:
        _rank(connection, concept, synonym, use)
        progress(0.2, "concepts")
        facets = {name: _facet(connection, name) for name in ("domain", "vocabulary")}
        count = _write_rows(connection, into)
        progress(0.4, "terms")
        connection.execute(_TERMS).fetchall()
        progress(0.8, "terms")
        _write_postings(connection, into)
        connection.execute("DROP TABLE ranked").fetchall()
        bits = _write_bits(connection, into, count)
    shutil.rmtree(spill, ignore_errors=True)
    files = {
        path.name: {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(into.iterdir())
        if path.is_file()
    }
    index = {"format": VERSION, "release": release, "concepts": count, "facets": facets, "bits": bits, "files": files}
    sync_tree(into)
    write_text(into / INDEX, json.dumps(index, ensure_ascii=False) + "\n")
    progress(1.0, "")


def _rank(connection: Any, concept: Path, synonym: Path | None, use: pa.Table) -> None:
    connection.register("incoming_use", use)
    connection.execute(_USED, {"derived": list(DERIVED)}).fetchall()
    connection.unregister("incoming_use")
    if synonym is None:
        connection.execute(_NO_SYNONYMS).fetchall()
    else:
        connection.execute(_SYNONYMS, {"synonym": str(synonym)}).fetchall()
    connection.execute(_RANKED, {"concept": str(concept)}).fetchall()


def _facet(connection: Any, name: str) -> list[str]:
    column = {"domain": "domain", "vocabulary": "vocabulary"}[name]
    rows = connection.execute(f"SELECT DISTINCT {column} FROM ranked ORDER BY {column}").fetchall()  # noqa: S608
    return [str(row[0]) for row in rows]


def _write_rows(connection: Any, into: Path) -> int:
    """Write what is shown of each concept, in the order of ranks; return how many there are."""
    text = _Texts(into / "rows", into / "row_ends", np.uint64)
    facets = {name: (into / file).open("wb") for name, file in _FACETS.items()}
    try:
        for batch in _batches(connection, _ROWS):
            text.add(batch.column(0))
            for name, stream in facets.items():
                stream.write(batch.column(name).to_numpy(zero_copy_only=False).tobytes())
    finally:
        for stream in facets.values():
            stream.close()
    return text.close()


_FACETS: Mapping[str, str] = {"domain": "domains", "vocabulary": "vocabularies", "standard": "standard"}


def _write_postings(connection: Any, into: Path) -> None:
    with (into / "postings").open("wb") as stream:
        for batch in _batches(connection, "SELECT rank FROM postings"):
            stream.write(batch.column(0).to_numpy(zero_copy_only=False).tobytes())
    connection.execute(_COUNTED).fetchall()
    connection.execute("DROP TABLE postings").fetchall()
    terms, end = _Texts(into / "terms", into / "term_ends", np.uint32), 0
    with (into / "posting_ends").open("wb") as stream:
        for batch in _batches(connection, "SELECT term, postings FROM terms ORDER BY term"):
            terms.add(batch.column(0))
            ends = end + np.cumsum(batch.column(1).to_numpy(zero_copy_only=False), dtype=np.uint64)
            stream.write(ends.astype(np.uint64).tobytes())
            end = int(ends[-1])
    terms.close()


def _write_bits(connection: Any, into: Path, count: int) -> dict[str, int]:
    """Write the concepts of the beginnings that a large share of them has; return which line of bits is whose."""
    least = max(_FEWEST, count // _SHARE)
    found: dict[str, int] = {}
    postings = np.memmap(into / "postings", np.uint32, "r") if count else np.empty(0, np.uint32)
    lines: dict[tuple[int, int], int] = {}
    with (into / "bits").open("wb") as stream:
        for length in range(1, _LONGEST + 1):
            for start, first, last in connection.execute(_COMMON, {"length": length, "least": least}).fetchall():
                if (first, last) not in lines:
                    lines[first, last] = len(lines)
                    here = np.zeros(count, bool)
                    here[postings[first:last]] = True
                    stream.write(np.packbits(here).tobytes())
                found[str(start)] = lines[first, last]
    return found


_COUNTED = """
    CREATE TEMP TABLE terms AS
    SELECT term, postings, sum(postings) OVER (ORDER BY term ROWS UNBOUNDED PRECEDING) - postings AS above
    FROM (SELECT term, count(*) AS postings FROM postings GROUP BY term)
"""
_COMMON = """
    SELECT left(term, $length) AS start, CAST(min(above) AS BIGINT), CAST(max(above + postings) AS BIGINT)
    FROM terms WHERE length(term) >= $length GROUP BY start HAVING sum(postings) >= $least ORDER BY start
"""


class _Texts:
    """Texts written one after the other, with where each ends."""

    def __init__(self, texts: Path, ends: Path, kind: type[np.unsignedinteger[Any]]) -> None:
        self._texts, self._ends, self._kind = texts.open("wb"), ends.open("wb"), kind
        self._end, self._count = 0, 0

    def add(self, column: pa.Array) -> None:
        large = column.cast(pa.large_string())
        offsets = np.frombuffer(large.buffers()[1], np.int64)[large.offset : large.offset + len(large) + 1]
        if len(large):
            self._texts.write(memoryview(large.buffers()[2])[offsets[0] : offsets[-1]])
        self._ends.write((offsets[1:] - offsets[0] + self._end).astype(self._kind).tobytes())
        self._end += int(offsets[-1] - offsets[0])
        self._count += len(large)

    def close(self) -> int:
        self._texts.close()
        self._ends.close()
        return self._count


def _batches(connection: Any, query: str) -> Any:
    return connection.sql(query).to_arrow_reader(_BATCH)

"""Counts while editing: equal to the plan's own at every edit, whatever stays in memory or on disk."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.cohorts.test_cohorts_corpus import cases
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.event_files import EventFiles
from workbench.cohorts.generate import attrition
from workbench.cohorts.live import LiveCounts
from workbench.engines.base import Step
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import InvalidInput, UserError

CORPORA = ("phenotypes_00", "phenotypes_03", "fuzz_00")


class Watched(DuckDBEngine):
    """An engine that notes which steps it ran."""

    ran: list[str]

    def materialise(self, step: Step) -> None:
        self.ran.append(step.tree.sql("duckdb"))
        super().materialise(step)


@pytest.fixture
def corpus(request: pytest.FixtureRequest, shared: Path) -> Path:
    """A corpus of definitions with its database: the first, or the one that a test asks for."""
    return shared / "data/circe" / getattr(request, "param", CORPORA[0])


@pytest.fixture
def engine(corpus: Path) -> Iterator[Watched]:
    """A watched engine over the corpus' database."""
    tables = {path.stem: path for path in (corpus / "database").glob("*.parquet")}
    with Watched.over_parquet(tables, threads=2) as opened:
        assert isinstance(opened, Watched)
        opened.ran = []
        yield opened


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from nodes(each)


def edited(document: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The document after one edit, as an author makes them: a window, a concept set, a count, a limit, a rule."""
    after = json.loads(json.dumps(document))
    sets = [each["id"] for each in after.get("ConceptSets") or []]
    where = [node for node in nodes(after) if {"Days", "CodesetId", "Occurrence", "Type"} & set(node)]
    node = draw.choice(where)
    if isinstance(node.get("Days"), int):
        node["Days"] += draw.choice((-30, 1, 7, 365))
    elif "CodesetId" in node and sets:
        node["CodesetId"] = draw.choice(sets)
    elif isinstance(node.get("Occurrence"), dict):
        node["Occurrence"]["Count"] = draw.choice((0, 1, 2))
    elif after.get("InclusionRules"):
        after["InclusionRules"].pop(draw.randrange(len(after["InclusionRules"])))
    else:
        after["PrimaryCriteria"]["ObservationWindow"]["PriorDays"] = draw.choice((0, 30, 365))
    return after


def attrition_or_reason(count: Any, definition: Definition) -> Any:
    """The attrition, or the code of the error: an edit may well make a definition that cannot be run."""
    try:
        return count(definition)
    except UserError as error:
        return error.code


@pytest.mark.parametrize("corpus", CORPORA, indirect=True)
def test_every_edit_counts_as_a_batch_would(corpus: Path, engine: Watched) -> None:
    live, draw = LiveCounts(engine), random.Random(3)
    files = [file for _, file in sorted(cases(corpus).items())][::15]
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        for _ in range(3):
            definition = Definition(document, file.stem)
            found = attrition_or_reason(live.attrition, definition)
            assert found == attrition_or_reason(lambda one: attrition(engine, one), definition), file.stem
            document = edited(document, draw)


def test_what_did_not_change_is_not_run_again(engine: Watched, corpus: Path) -> None:
    live = LiveCounts(engine)
    definition = next(
        each for each in map(read_definition, cases(corpus).values()) if len(each.document["InclusionRules"]) > 1
    )
    live.attrition(definition)
    first = len(engine.ran)
    live.attrition(Definition(json.loads(json.dumps(definition.document)), "again"))
    assert len(engine.ran) == first
    without_last = {**definition.document, "InclusionRules": definition.document["InclusionRules"][:-1]}
    live.attrition(Definition(without_last, "shorter"))
    again = engine.ran[first:]
    assert 0 < len(again) < first / 2
    assert not any("JOIN cdm." in query and "concept" in query for query in again), "no event is read again"


def test_little_memory_only_costs_time(corpus: Path, engine: Watched) -> None:
    small = LiveCounts(engine, rows_kept=0)
    for file in list(cases(corpus).values())[:5]:
        definition = read_definition(file)
        assert small.attrition(definition) == attrition(engine, definition)


def test_persons_left_out_are_left_out_at_once(corpus: Path, engine: Watched) -> None:
    live = LiveCounts(engine)
    definition = read_definition(min(cases(corpus).values()))
    everyone = live.attrition(definition)
    ids = pa.table({"person_id": pa.array(range(0, 100_000, 2), pa.int64())})
    assert live.attrition(definition, exclude=ids) == attrition(engine, definition, exclude=ids)
    assert live.attrition(definition) == everyone


def test_a_definition_that_cannot_run_is_named(engine: Watched) -> None:
    broken = Definition({"PrimaryCriteria": {"CriteriaList": [{"Nothing": {}}]}}, "broken")
    with pytest.raises(InvalidInput, match="Nothing"):
        LiveCounts(engine).attrition(broken)


def test_events_on_disk_serve_the_next_session(corpus: Path, engine: Watched, tmp_path: Path) -> None:
    definition = read_definition(min(cases(corpus).values()))
    expected = LiveCounts(engine, EventFiles(tmp_path / "events")).attrition(definition)
    first = len(engine.ran)
    assert LiveCounts(engine, EventFiles(tmp_path / "events")).attrition(definition) == expected
    read = [query for query in engine.ran[first:] if "JOIN m_" in query and "AS concept ON" in query]
    assert read == [], "the events come from disk"
    assert (tmp_path / "events").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("harm", ["flip", "cut", "swap", "empty"])
def test_damaged_files_are_read_anew(corpus: Path, engine: Watched, tmp_path: Path, harm: str) -> None:
    definition = read_definition(min(cases(corpus).values()))
    expected = LiveCounts(engine, EventFiles(tmp_path)).attrition(definition)
    kept = sorted(tmp_path.glob("*.parquet"))
    assert kept
    for file in kept:
        content = bytearray(file.read_bytes())
        if harm == "flip":
            content[len(content) // 2] ^= 1
        elif harm == "cut":
            content = content[: len(content) // 2]
        elif harm == "swap":
            content = bytearray(kept[0].read_bytes()[:-1])
        else:
            content = bytearray()
        file.write_bytes(content)
    assert LiveCounts(engine, EventFiles(tmp_path)).attrition(definition) == expected


def test_a_disk_that_refuses_only_costs_time(corpus: Path, engine: Watched, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    definition = read_definition(min(cases(corpus).values()))
    assert LiveCounts(engine, EventFiles(blocked)).attrition(definition) == attrition(engine, definition)

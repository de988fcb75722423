"""What a load takes over from the release before instead of reading it again, so that it ends as a full load would.

A table is taken over where its source has the same digest and was read by the same rules, where the persons who came
and went touch none of its rows, and where its file still is what was written. It is a hard link: the same bytes under
another name (docs/decisions/0009-incremental-loads.md). Of a server's table whose content changed in part, the rows of
unchanged buckets are taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from workbench.engines.content import content_digest
from workbench.intake import aside
from workbench.intake.nodes import (
    Node,
    call,
    column,
    either,
    is_null,
    named,
    negate,
    not_null,
    number,
    render,
    scan,
    select,
    text,
    try_cast,
)
from workbench.intake.sources import Buckets, SourceTable
from workbench.intake.tables import PERSONS, Judged, Plan
from workbench.repository import releases
from workbench.repository.cdm import TABLES
from workbench.repository.releases import Release

_CAME, _GONE, _CHANGED = "persons_came", "persons_gone", "changed_buckets"
BUCKETS = "buckets.parquet"
"""The file, in a release's folder, of what a server's tables held: table, key, shift, columns, bucket, rows, digest."""


class Before:
    """The release before, as a load sees it. Without one (None), or where its rules were others, nothing is taken."""

    def __init__(self, release: Release | None, rules: Mapping[str, Any], connection: Any) -> None:
        same = release is not None and release.manifest["intake"].get("rules") == dict(rules)
        self.release = release if same else None
        self.taken: dict[str, Any] = {}
        """Entries of the manifest, by table, of what was taken over."""
        self._connection = connection
        self._persons_moved = False
        manifest: Mapping[str, Any] = (
            self.release.manifest if self.release else {"intake": {"tables": []}, "tables": []}
        )
        self._readings: dict[str, Any] = {each["name"]: each for each in manifest["intake"]["tables"]}
        self._entries: dict[str, Any] = {each["name"]: each for each in manifest["tables"]}

    def compare_persons(self) -> None:
        """Find who came and who went, once the new release's persons are known (table `known_persons`)."""
        if self.release is None:
            return
        before = select(column("person_id"), source=scan("read_parquet", self.release.table("person")))
        now = select(column("person_id"), source=exp.to_table(PERSONS))
        moved = [self._make(_CAME, exp.Except(this=now, expression=before, distinct=True))]
        moved.append(self._make(_GONE, exp.Except(this=before, expression=now, distinct=True)))
        self._persons_moved = any(moved)

    def take(self, table: SourceTable, into: Path) -> dict[str, Any] | None:
        """Take a table over into a release's folder; return its reading, or None where it must be read."""
        reading = self._readings.get(table.name)
        if reading is None or reading["source"] != table.digest or not self._sound_aside(reading):
            return None
        if self._touched(table.name, number(1)) or not self.take_file(table.name, into):
            return None
        if reading["set_aside"]:
            releases.link(self._aside(table.name), aside.place_of(into, table.name))
        return reading

    def take_file(self, name: str, into: Path) -> bool:
        """Take a table's file over, if it still is what was written; note its entry."""
        entry = self._entries.get(name)
        if self.release is None or entry is None or not releases.take_over(self.release, entry, into):
            return False
        self.taken[name] = entry
        return True

    def changed(self, reading: Plan) -> list[int | None] | None:
        """Return which buckets of a server's table must be read, or None: all of it."""
        now, before = reading.source.buckets, self._buckets(reading.source)
        past = self._readings.get(reading.model.name)
        if now is None or now.key is None or before is None or past is None or not self._sound_aside(past):
            return None
        if self.release is None or not releases.is_sound(self.release, self._entries[reading.model.name]):
            return None
        old, new = _by_bucket(before), _by_bucket(now)
        differ = {each for each in old.keys() | new.keys() if old.get(each) != new.get(each)}
        differ |= set(self._touched(reading.model.name, _bucket(column(now.key), now), now))
        return sorted(differ, key=lambda each: (each is None, each or 0))

    def with_kept(self, judged: Judged, changed: Sequence[int | None]) -> Judged:
        """Add to judged rows of changed buckets those of all others, as the release before has them."""
        model, buckets = judged.plan.model, judged.plan.source.buckets
        assert self.release is not None and buckets is not None and buckets.key is not None
        self._connection.register("incoming_buckets", pa.table({"bucket": pa.array(changed, pa.int64())}))
        self._make(_CHANGED, select(column("bucket"), source=exp.to_table("incoming_buckets")))
        self._connection.unregister("incoming_buckets")
        fields = [column(name) for name in model.names]
        unchanged = negate(_in(_bucket(column(buckets.key), buckets), _CHANGED, "bucket"))
        kept = select(*fields, source=scan("read_parquet", self.release.table(model.name)), where=unchanged)
        if not self._readings[model.name]["set_aside"]:
            return replace(judged, kept=kept)
        its = _bucket(_key_in_row(buckets.key), buckets)
        stays = call("coalesce", negate(_in(its, _CHANGED, "bucket")), exp.Boolean(this=None not in changed))
        where = exp.Case(ifs=[exp.If(this=is_null(its), true=exp.Boolean(this=None not in changed))], default=stays)
        columns = [column(name) for name in aside.COLUMNS]
        source = scan("read_parquet", self._aside(model.name))
        return replace(judged, kept=kept, kept_aside=select(*columns, source=source, where=where))

    def derives_alike(self, name: str, inputs: Sequence[str]) -> bool:
        """Answer whether a table that was derived before has the same inputs still, so that it would be the same."""
        return name in self._entries and name not in self._readings and all(each in self.taken for each in inputs)

    def _touched(self, name: str, what: Node, buckets: Buckets | None = None) -> list[Any]:
        """Return `what` of the rows whose person came or went: those that a load would judge in another way now.

        That holds for rows set aside too, for whatever reason: that its person is not known is one more.
        """
        if not self._persons_moved or not TABLES[name].has_person or name == "person":
            return []
        assert self.release is not None
        whose = column("person_id")
        found = self._distinct(what, scan("read_parquet", self.release.table(name)), _in(whose, _GONE, "person_id"))
        if not self._readings[name]["set_aside"]:
            return found
        whose = try_cast(whose, "BIGINT")  # as in `casting`, or of a person more, and then a row is judged in vain
        moved = either(_in(whose, _CAME, "person_id"), _in(whose, _GONE, "person_id"))
        mine = what if buckets is None else _bucket(_key_in_row(str(buckets.key)), buckets)
        return found + self._distinct(mine, scan("read_parquet", self._aside(name)), moved)

    def _distinct(self, what: Node, source: exp.Table, where: Node) -> list[Any]:
        query = select(named(what, "what"), source=source, where=where).distinct(copy=False)
        return [row[0] for row in self._connection.execute(render(query)).fetchall()]

    def _make(self, name: str, query: exp.Query) -> int:
        made = self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {render(query)}").fetchone()
        return int(made[0]) if made else 0

    def _aside(self, name: str) -> Path:
        assert self.release is not None
        return aside.place_of(self.release.folder, name)

    def _sound_aside(self, reading: Mapping[str, Any]) -> bool:
        """Answer whether the rows set aside before are those that were written."""
        if not reading["set_aside"]:
            return True
        place = self._aside(reading["name"])
        return place.is_file() and content_digest(place, self._connection) == reading["set_aside_digest"]

    def _buckets(self, source: SourceTable) -> Buckets | None:
        """Return what the server's table held before, if it was cut in the same way."""
        now = source.buckets
        place = self.release.folder / BUCKETS if self.release else None
        if now is None or place is None or not place.is_file():
            return None
        found = pq.read_table(place, filters=[("table", "=", source.name)])
        if not found.num_rows:
            return None
        first = found.slice(0, 1).to_pylist()[0]
        same = (first["key"], first["shift"], first["columns"]) == (now.key, now.shift, now.columns)
        return Buckets(now.key, now.shift, now.columns, found.select(["bucket", "rows", "digest"])) if same else None


def _by_bucket(buckets: Buckets) -> dict[int | None, tuple[int, str]]:
    columns = buckets.digests.to_pydict()
    return dict(zip(columns["bucket"], zip(columns["rows"], columns["digest"], strict=True), strict=True))


def _bucket(key: Node, buckets: Buckets) -> Node:
    return exp.BitwiseRightShift(this=key, expression=number(buckets.shift))


def _key_in_row(key: str) -> Node:
    """Return the key of a row set aside: none where it does not fit."""
    return try_cast(call("json_extract_string", column("row"), text(f"$.{key}")), "BIGINT")


def _in(value: Node, table: str, name: str) -> Node:
    """Return `value IN table`; the table's NULLs are none of its values."""
    query = select(column(name), source=exp.to_table(table), where=not_null(column(name)))
    return exp.In(this=value, query=exp.Subquery(this=query))

"""The second pass on concepts: what a table is limited to, and the sensitive classes that the protocol does not name,
are resolved anew, from the release's own vocabulary files.

Shares no code with the selection: a row whose main concept is outside, a proof in the manifest that is of another set,
and a concept of such a class, in whatever column, are all found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from workbench.extracts.reread import is_number, numbers
from workbench.governance.sealed import Sealed
from workbench.governance.sensitive import SensitiveClass, sensitive_classes

pc: Any = pyarrow.compute  # its functions are made at import
_Ints = npt.NDArray[np.int64]
_Items = Sequence[Mapping[str, Any]]


def look(
    tables: Mapping[str, Sealed], manifest: Mapping[str, Any], papers: Sequence[Mapping[str, Any]],
    release: Mapping[str, Path],
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """Yield code, table and column of each finding; `papers` are the request and the protocol, both of which hold."""
    for name, rows in tables.items():
        sets = [paper["concepts"][name] for paper in papers if name in paper.get("concepts", {})]
        if not sets:
            continue
        allowed = [_resolved(items, release) for items in sets]
        inside = np.intersect1d(allowed[0], allowed[-1])
        column = re.sub("_(occurrence|exposure|era)$", "", name) + "_concept_id"
        if not _all_inside(rows, column, inside):
            yield "outside_concepts", name, column
        proof = manifest.get("concepts", {}).get(name, {})
        if (proof.get("resolved"), proof.get("digest")) != (inside.size, _digest(inside)):
            yield "other_concepts", name, column


def look_for_sensitive(
    seen: Iterable[tuple[str, str, _Ints]], protocol: Mapping[str, Any], release: Mapping[str, Path]
) -> Iterator[tuple[str, str, str]]:
    """Yield code, table and column of each finding; `seen` are table, column and concepts of everything delivered."""
    named = protocol.get("sensitive_classes", ())
    hidden = _sensitive([each for code, each in sensitive_classes().items() if code not in named], release)
    for table, column, concepts in seen:
        if np.isin(np.unique(concepts), hidden).any():
            yield "sensitive_value", table, column


def _all_inside(rows: Sealed, column: str, inside: _Ints) -> bool:
    """Answer whether every row says what it is, with a concept of the set."""
    if column not in rows.schema.names or not is_number(rows.schema.field(column).type):
        return False
    seen = [numbers(pa.chunked_array([pc.unique(part)]), -1) for part in rows.parts(column)]
    return not seen or bool(np.isin(np.unique(np.concatenate(seen)), inside).all())


def _digest(ids: _Ints) -> str:
    return hashlib.sha256(b"".join(b"%d\n" % each for each in ids.tolist())).hexdigest()


def _resolved(items: _Items, release: Mapping[str, Path]) -> _Ints:
    """Return the concepts of a set, rising and distinct."""
    found: dict[bool, list[_Ints]] = {False: [], True: []}
    for out in found:
        mine = [item for item in items if bool(item.get("excluded")) is out]
        own = [item["concept"] for item in mine if "concept" in item]
        roots = [item["concept"] for item in mine if "concept" in item and item.get("descendants") is not False]
        domains = [item["domain"] for item in mine if "domain" in item]
        found[out] = [
            np.array(own, dtype=np.int64),
            _where(release.get("concept_ancestor"), "ancestor_concept_id", roots, "descendant_concept_id"),
            _where(release.get("concept"), "domain_id", domains, "concept_id"),
        ]
    return np.setdiff1d(np.concatenate(found[False]), np.concatenate(found[True]))


def _sensitive(classes: Collection[SensitiveClass], release: Mapping[str, Path]) -> _Ints:
    """Return the concepts of some classes, with what is below them, without 0, which says nothing."""
    whole = [code for each in classes for code in each.roots]
    beginnings = [code for each in classes for code in each.prefixes]
    if not whole and not beginnings:
        return np.empty(0, dtype=np.int64)
    own = _coded(release["concept"], whole, beginnings)
    below = _where(release.get("concept_ancestor"), "ancestor_concept_id", own.tolist(), "descendant_concept_id")
    return np.setdiff1d(np.concatenate([own, below]), np.zeros(1, dtype=np.int64))


def _coded(path: Path, whole: Collection[tuple[str, str]], beginnings: Collection[tuple[str, str]]) -> _Ints:
    """Return the concepts of a vocabulary's codes, given `whole` or by their `beginnings`, read part by part."""
    found = [np.empty(0, dtype=np.int64)]
    columns = ["concept_id", "vocabulary_id", "concept_code"]
    vocabularies = {vocabulary for vocabulary, _ in (*whole, *beginnings)}
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            part = file.read_row_group(number, columns=columns)
            ids, kinds, codes = (part.column(each) for each in columns)
            for vocabulary in sorted(vocabularies):
                mine = pc.equal(kinds, pa.scalar(vocabulary, kinds.type))
                here = codes.filter(mine).cast(pa.string())
                hits = pc.is_in(here, value_set=pa.array([code for of, code in whole if of == vocabulary], pa.string()))
                for beginning in (code for of, code in beginnings if of == vocabulary):
                    hits = pc.or_kleene(hits, pc.starts_with(here, beginning))
                found.append(numbers(pc.drop_null(ids.filter(mine).filter(hits))).astype(np.int64))
    return np.concatenate(found)


def _where(path: Path | None, column: str, values: Sequence[Any], wanted: str) -> _Ints:
    """Return one column of a file where another holds one of some values, read part by part; nothing without a file."""
    found = [np.empty(0, dtype=np.int64)]
    if values and path is not None:
        with pq.ParquetFile(path) as file:
            chosen = pa.array(values, type=file.schema_arrow.field(column).type)
            for number in _parts(file, column, chosen):
                part = file.read_row_group(number, columns=[column, wanted])
                hits = part.column(wanted).filter(pc.is_in(part.column(column), value_set=chosen))
                found.append(pc.drop_null(hits).to_numpy().astype(np.int64))
    return np.concatenate(found)


def _parts(file: pq.ParquetFile, column: str, chosen: pa.Array) -> Iterator[int]:
    """Yield the parts of a file in which numbers may stand, by the least and the greatest that each says it holds: a
    vocabulary's eighty million lines are sorted by ancestor. Of a column of text, and where a part says nothing, all.
    """
    place = file.schema_arrow.names.index(column)
    sought = np.sort(chosen.to_numpy(zero_copy_only=False)) if is_number(chosen.type) else None
    for number in range(file.num_row_groups):
        said = file.metadata.row_group(number).column(place).statistics
        if sought is not None and said is not None and said.has_min_max:
            first = int(np.searchsorted(sought, said.min))
            if first == sought.size or sought[first] > said.max:
                continue
        yield number

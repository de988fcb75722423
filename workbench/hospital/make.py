"""Making the hospital: some persons at a time, each table written as it comes, nothing visible before all is whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.hospital import omop
from workbench.hospital.chance import Chance
from workbench.hospital.chunk import chunk
from workbench.hospital.plain import append, correspondences, plain
from workbench.hospital.truths import Truths
from workbench.hospital.vocabulary import write_athena
from workbench.kernel.errors import InvalidInput
from workbench.kernel.progress import Progress, silent
from workbench.store.files import write_text

SEED: Final = 20170101
LAST_EXTRACTION: Final = 2
_AT_ONCE: Final = 10_000
"""Persons made at a time: about a million measurements, a few hundred megabytes."""
_WAITING: Final = 1


@dataclass(frozen=True)
class Made:
    """Where the hospital is: `omop` (Parquet, CDM 5.4), `vocabulary` (Athena's form), `tables` (as dumped, if asked
    for) and `truths`, which only tests read; and the rows of each OMOP table."""

    omop: Path
    vocabulary: Path
    tables: Path | None
    truths: Path
    rows: dict[str, int]


def make(
    into: Path,
    *,
    patients: int,
    seed: int = SEED,
    extraction: int = LAST_EXTRACTION,
    tables: bool = False,
    progress: Progress = silent,
) -> Made:
    """Make the hospital of so many patients in a folder that is new or empty; the same number and seed give the same.

    `extraction` 1 is the hospital before late corrections (recoded diagnoses, deaths elsewhere), 2 after. `tables`
    asks for the hospital's own tables too. Raises `InvalidInput` (`hospital.patients`, `hospital.folder_not_empty`).
    """
    if not 0 <= patients <= 50_000_000:
        raise InvalidInput("hospital.patients", patients=patients)
    with _aside(into) as folder:
        dump = folder / "tables" if tables else None
        for place in (folder / "omop", dump):
            if place:
                place.mkdir()
        truths = Truths()
        rows = _write(folder, dump, Chance(seed), patients, extraction, truths, progress)
        write_athena(folder / "vocabulaire")
        document = truths.document(patients, seed, extraction)
        write_text(folder / "truths.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return Made(into / "omop", into / "vocabulaire", into / "tables" if tables else None, into / "truths.json", rows)


@contextmanager
def _aside(into: Path) -> Iterator[Path]:
    """Give a folder beside `into` that takes its place when the block ends well, and is removed when it does not."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InvalidInput("hospital.folder_not_empty", folder=str(into))
    aside = into.parent / f".partial-{into.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        if into.exists():
            into.rmdir()
        aside.rename(into)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(
    folder: Path, dump: Path | None, chance: Chance, patients: int, extraction: int, truths: Truths, progress: Progress
) -> dict[str, int]:
    """Make and write all persons; while some are written the next are made. The order of rows is that of persons."""
    next_ids = dict.fromkeys(omop.KEYS, 1)
    with _Files(folder / "omop") as files, ThreadPoolExecutor(1) as pool:
        files.add(omop.fixed_tables())
        waiting: list[Future[None]] = []
        for first in [*range(1, patients + 1, _AT_ONCE)] or [1]:
            last = min(first + _AT_ONCE, patients + 1)
            some = chunk(chance, first, last, patients)
            truths.add(some)
            made = omop.tables(some, extraction, next_ids)
            dumped = plain(chance, some, extraction, next_ids) if dump else {}
            next_ids = {name: next_ids[name] + made[name].num_rows for name in next_ids}
            while len(waiting) > _WAITING:
                waiting.pop(0).result()
            waiting.append(pool.submit(files.add, made))
            for name, frame in dumped.items():
                append(folder / "tables", name, frame, first=first == 1)
            progress(min((last - 1) / max(patients, 1), 1.0), f"{last - 1}")
        for each in waiting:
            each.result()
    for name, frame in correspondences().items() if dump else ():
        append(folder / "tables", name, frame, first=True)
    return dict(sorted(files.rows.items()))


class _Files:
    """Open Parquet files, one a table."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.rows: dict[str, int] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Add rows to the tables' files, texts as texts."""
        for name, table in tables.items():
            if name not in self._writers:
                path = self._folder / f"{name}.parquet"
                options = {"compression": "zstd", "compression_level": 1, "store_schema": False}
                self._writers[name] = pq.ParquetWriter(path, table.schema, **options)
            self._writers[name].write_table(table, row_group_size=250_000)
            self.rows[name] = self.rows.get(name, 0) + table.num_rows

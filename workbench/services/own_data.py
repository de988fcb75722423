"""Cohorts on one's own OMOP database, for development: no home, no governance, and never on a home's files."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cohorts.attrition import AttritionRow
from workbench.cohorts.circe import Definition
from workbench.cohorts.generate import Counted, attrition, count, generate_to
from workbench.engines.base import Engine
from workbench.engines.columns import Form, write_arrow
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import InvalidInput, Refused, Unavailable, UserError
from workbench.kernel.progress import Progress, silent
from workbench.kernel.settings import load_settings
from workbench.store import files

if TYPE_CHECKING:
    from workbench.cohorts.check_reading import Question
    from workbench.cohorts.inclusion import Inclusion

HOME_MARKS = ("app.sqlite", "load.lock", "master.key", "master.id")
"""Files that tell a home or a key folder, whoever named it how."""


@dataclass(frozen=True)
class OwnRows:
    """The rows that were written, per cohort, and what could not be run."""

    persons: dict[str, int]
    events: dict[str, int]
    failed: dict[str, UserError]


ENGINES = ("duckdb", "postgres", "spark")
_POSTGRES_URLS = ("postgresql", "postgres")


def own_engine(database: str, engine: str = "duckdb", results: Iterable[Path] = ()) -> Engine:
    """Open a DuckDB file, a folder of Parquet files, or a PostgreSQL URL (`postgresql://…/db?schema=NAME`).

    A PostgreSQL URL needs no `engine`. `spark` reads a folder of Parquet files, on the server that `$SPARK_REMOTE`
    (`sc://host:port`) names, else on one inside this process; its work tables go under `$WORKBENCH_SPARK_SCRATCH`, a
    folder that the server reaches too, else where this machine keeps temporary files. `results` are the files that the
    engine may write.

    Raises `Refused` in production and on a home's files, where only governed verbs read; `InvalidInput` where there
    is no such database or the engine cannot open its kind; `Unavailable` where a server is away, refuses the user, or
    the engine's optional packages are not installed.
    """
    if os.environ.get("WORKBENCH_PRODUCTION"):
        raise Refused("own.production")
    if engine not in ENGINES:
        raise InvalidInput("own.engine_unknown", engine=engine, known=", ".join(ENGINES))
    if not database.strip():
        raise InvalidInput("own.path_empty")
    scheme, _, address = database.partition("://")
    if address:
        if scheme not in _POSTGRES_URLS or engine == "spark":
            raise InvalidInput("own.url_unknown", scheme=scheme, engine=engine)
        return _postgres(database)
    if engine == "postgres":
        raise InvalidInput("own.url_needed")
    try:
        return _files(database, engine, results)
    except Unavailable as error:
        if error.code != "engine.source_unreadable":
            raise
        raise Unavailable("own.unreadable", database=_broken(database), reason=error.facts["reason"]) from error


def _broken(database: str) -> str:
    """Return the first file of a folder that is no whole Parquet file, to be named; else the database itself."""
    import pyarrow as pa  # noqa: PLC0415 - a batch that goes well does without Arrow
    import pyarrow.parquet as pq  # noqa: PLC0415

    for file in sorted(Path(database).glob("*.parquet")):
        try:
            pq.read_metadata(file)
        except (OSError, pa.ArrowException):
            return str(file)
    return database


def _postgres(url: str) -> Engine:
    try:
        from workbench.engines.postgres import PostgresEngine  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise Unavailable("own.extra_missing", engine="postgres", extra="postgres") from error
    return PostgresEngine.over_url(url)


def _spark(tables: Mapping[str, Path]) -> Engine:
    try:
        from workbench.engines.spark import SparkEngine  # noqa: PLC0415 - an optional package, two seconds to import
    except ImportError as error:
        raise Unavailable("own.extra_missing", engine="spark", extra="spark") from error
    scratch = os.environ.get("WORKBENCH_SPARK_SCRATCH")
    remote = os.environ.get("SPARK_REMOTE") or None
    return SparkEngine.over_parquet(tables, remote=remote, scratch=Path(scratch) if scratch else None)


def _files(database: str, engine: str, results: Iterable[Path]) -> Engine:
    path = Path(database).absolute()
    if not path.exists():
        raise InvalidInput("own.no_database", database=database)
    given = (path, *path.glob("*.parquet"))
    if any(in_a_home(place) for place in given) or same_as_in_home(given):
        raise Refused("own.home_files", database=database)
    if path.is_file():
        if engine == "spark":
            raise InvalidInput("own.folder_needed", database=database)
        return DuckDBEngine.over_database(path, results=results)
    tables = {file.stem.lower(): file for file in sorted(path.glob("*.parquet"))}
    if "person" not in tables:
        raise InvalidInput("own.no_tables", database=database)
    return _spark(tables) if engine == "spark" else DuckDBEngine.over_parquet(tables, results=results)


def in_a_home(path: Path) -> bool:
    """Answer whether a path, its links followed, lies in a home or its keys: any home's, or the one in use here."""
    place = path.resolve()
    here = load_settings()
    if any(place.is_relative_to(folder.resolve()) for folder in (here.home, here.keys)):
        return True
    return any((folder / mark).exists() for folder in (place, *place.parents) for mark in HOME_MARKS)


def same_as_in_home(places: Iterable[Path]) -> bool:
    """Answer whether a file is one of the home in use here under another name (a hard link), or a copy of a file of its
    releases: of the same size and SHA-256. Of other homes, and of data put into another form, nothing can be told."""
    home = load_settings().home
    if not (home / "releases").is_dir():
        return False
    from workbench.repository.releases import list_releases  # noqa: PLC0415 - where there is no home, none is needed

    given = {place: place.stat() for place in places if place.is_file()}
    kept = (path for name in ("releases", "cache", "extracts") for path in (home / name).rglob("*") if path.is_file())
    inodes = {(found.st_dev, found.st_ino) for found in map(Path.stat, kept)}
    if any((found.st_dev, found.st_ino) in inodes for found in given.values()):
        return True
    known: dict[int, set[str]] = {}
    for release in list_releases(home / "releases"):
        for table in release.manifest["tables"]:
            for file in table["files"]:
                known.setdefault(file["bytes"], set()).add(file["sha256"])
    return any(files.sha256_file(place) in known.get(found.st_size, ()) for place, found in given.items()
               if found.st_size in known)  # fmt: skip


def generate_own(
    database: str, engine: str, definitions: Mapping[str, Definition], out: Path, progress: Progress = silent
) -> OwnRows:
    """Generate definitions in one batch and write their rows to `out` (.parquet or .csv), whole or not at all.

    Raises as `own_engine` and `check_out` do.
    """
    form = check_out(out)
    with _writing(out) as aside:
        opened = own_engine(database, engine, [aside])
        try:
            return _counted(generate_to(opened, definitions, aside, form, progress))
        finally:
            opened.close()


def controls_own(engine: Engine, rule: Mapping[str, Any], concepts: Sequence[int], out: Path) -> OwnRows:
    """Generate negative control outcomes by a rule, one cohort a concept, and write their rows to `out` (.parquet or
    .csv: concept_id, subject_id, cohort_start_date, cohort_end_date), whole or not at all.

    Raises InvalidInput with the path of what is wrong in the rule, and as `check_out` does.
    """
    from workbench.cohorts.negative_controls import OutcomeRule, negative_controls  # noqa: PLC0415 - rarely wanted

    form = check_out(out)
    rows = negative_controls(engine, concepts, OutcomeRule.read(rule))
    with _writing(out) as aside:
        write_arrow(rows, aside, form)
    counted = rows.group_by("concept_id").aggregate([("subject_id", "count_distinct"), ("subject_id", "count")])
    found = {str(row["concept_id"]): row for row in counted.to_pylist()}
    names = [str(concept) for concept in dict.fromkeys(concepts)]
    persons, events = (
        {name: int(found[name][f"subject_id_{kind}"]) if name in found else 0 for name in names}
        for kind in ("count_distinct", "count")
    )
    return OwnRows(persons, events, {})


@contextmanager
def _writing(out: Path) -> Generator[Path]:
    """Yield a file aside, as `files.writing`; InvalidInput where no such file can be: a folder of the system."""
    try:
        with files.writing(out) as aside:
            yield aside
    except OSError as error:
        if out.name not in str(error.filename):
            raise
        raise InvalidInput("own.cannot_write", file=str(out)) from error


_FORMS: Mapping[str, Form] = {".parquet": "parquet", ".csv": "csv"}


def check_out(out: Path) -> Form:
    """Check where rows are to go, before anything runs, and return the kind of file: `Refused` for a home's files,
    `InvalidInput` for a folder that is not there or a kind of file that is not .parquet or .csv."""
    if out.suffix not in _FORMS or not out.absolute().parent.is_dir() or out.is_dir():
        raise InvalidInput("own.cannot_write", file=str(out))
    if in_a_home(out):
        raise Refused("own.home_files", database=str(out))
    return _FORMS[out.suffix]


def count_own(engine: Engine, definitions: Mapping[str, Definition]) -> OwnRows:
    """Return exact persons and events of each definition."""
    return _counted(count(engine, definitions))


def attrition_own(engine: Engine, definition: Definition) -> list[AttritionRow]:
    """Return a definition's exact attrition."""
    return list(attrition(engine, definition))


def inclusion_own(engine: Engine, definition: Definition) -> Inclusion:
    """Return a definition's exact inclusion statistics: who meets which combination of its rules."""
    from workbench.cohorts.inclusion import inclusion  # noqa: PLC0415 - a batch does not need it

    return inclusion(engine, definition)


def check_own(engine: Engine, definition: Definition) -> list[Question]:
    """Return the questions about a definition on one's own data: its vocabulary and its events."""
    from workbench.cohorts.check_data import check_data  # noqa: PLC0415 - a batch does not need it

    return check_data(engine, definition, events=True)


def _counted(made: Counted) -> OwnRows:
    persons = {name: persons for name, (persons, _) in made.counts.items()}
    return OwnRows(persons, {name: rows for name, (_, rows) in made.counts.items()}, dict(made.failed))

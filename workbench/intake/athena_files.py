"""A vocabulary download in Athena's form: a folder or a .zip of tab-separated files without quoting.

Its files are read as any delimited text is (`workbench.intake.delimited`): all text first, then typed by the model, so
'NA', '00123' and 'E10' stay texts and an empty field is no value.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.intake.folders import open_folder
from workbench.intake.sources import Source
from workbench.kernel.errors import InvalidInput
from workbench.repository.cdm import TABLES, VOCABULARY
from workbench.store.files import sha256_file

MAP = "source_to_concept_map"
TABLES_OF_A_DOWNLOAD = tuple(name for name in VOCABULARY if name != MAP)
NEEDED = ("concept", "concept_relationship", "vocabulary")
"""Without these tables a download says nothing."""

_SUFFIXES = (".csv.gz", ".tsv.gz", ".tsv")


def open_download(connection: Any, path: Path, aside: Path) -> Source:
    """Open a folder or a .zip; files of a .zip are unpacked into the folder `aside`.

    Raises `InvalidInput`: `vocabulary.no_download`, `vocabulary.not_a_zip`, `vocabulary.incomplete` (tables that lack),
    `vocabulary.no_column` (one that the model requires), and what `open_folder` raises.
    """
    if not path.exists():
        raise InvalidInput("vocabulary.no_download", source=str(path))
    packed = not path.is_dir()
    opened = open_folder(connection, _unpack(path, aside) if packed else path, TABLES_OF_A_DOWNLOAD)
    missing = [f"{name.upper()}.csv" for name in NEEDED if name not in opened.tables]
    if missing:
        raise InvalidInput("vocabulary.incomplete", source=path.name, files=", ".join(missing))
    for name in opened.tables:
        _check_columns(opened, name)
    if packed:
        return replace(opened, origin=[_origin("athena", path)])
    return replace(opened, origin=[{**each, "kind": "athena"} for each in opened.origin])


def open_map(connection: Any, path: Path, aside: Path) -> Source:
    """Open a hospital's own source-to-concept map, a delimited text file of any name, as that table.

    Raises `InvalidInput`: `vocabulary.no_download`, `vocabulary.no_column`, and what `open_folder` raises.
    """
    if not path.is_file():
        raise InvalidInput("vocabulary.no_download", source=str(path))
    suffix = next(
        (each for each in sorted(_SUFFIXES, key=len, reverse=True) if path.name.lower().endswith(each)), ".csv"
    )
    aside.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, aside / f"{MAP}{suffix}")
    opened = open_folder(connection, aside, (MAP,))
    _check_columns(opened, MAP)
    return replace(opened, origin=[_origin(MAP, path)])


def _check_columns(opened: Source, name: str) -> None:
    for field in TABLES[name].fields:
        if field.required and field.name not in opened.tables[name].columns:
            file = ", ".join(opened.tables[name].files)
            raise InvalidInput("vocabulary.no_column", table=name, column=field.name, file=file)


def _unpack(path: Path, aside: Path) -> Path:
    """Unpack the files that are a vocabulary's, by their bare names: a path inside a .zip is nobody's business."""
    if not zipfile.is_zipfile(path):
        raise InvalidInput("vocabulary.not_a_zip", source=path.name)
    aside.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                inside = PurePosixPath(member.filename)
                if inside.name.lower() not in {f"{name}.csv" for name in TABLES_OF_A_DOWNLOAD}:
                    continue
                target = aside / inside.name.lower()
                if target.exists():
                    raise InvalidInput("vocabulary.file_twice", source=path.name, table=target.stem)
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    # A damaged archive (its directory, a member's stream, its end), an encrypted one, and a method of packing that is
    # not known here: one sentence for all, and the cause stays behind it.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InvalidInput("vocabulary.not_a_zip", source=path.name) from error
    return aside


def _origin(kind: str, path: Path) -> dict[str, str]:
    return {"kind": kind, "name": path.name, "sha256": sha256_file(path)}

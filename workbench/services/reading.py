"""Reading definitions and seeing them without any data: sentence, SQL, warnings. Needs no home and no actor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cohorts import describe as sentences
from workbench.cohorts import sql as texts
from workbench.cohorts.circe import Definition, read_definition, write_definition
from workbench.cohorts.shipped import HOSPITAL, shipped
from workbench.engines.dialects import DIALECTS
from workbench.kernel.errors import InvalidInput, UserError
from workbench.kernel.text import Lang
from workbench.store import files

if TYPE_CHECKING:
    from workbench.cohorts.check_reading import Question


def shipped_definitions() -> dict[str, Path]:
    """Return every definition that comes with the project, by name."""
    return {**shipped(), **shipped(HOSPITAL)}


def read_batch(paths: Iterable[Path]) -> tuple[dict[str, Definition], dict[str, UserError]]:
    """Read definitions from files and folders of Circe JSON, by file stem, and what could not be read, by stem.

    A path may also be the name of a shipped cohort. Raises `services.unknown_cohort_file` for a path that is neither,
    `services.no_definitions` where a folder holds none, `services.same_name` for two files of one name, whose rows
    nothing would tell apart.
    """
    found: dict[str, Definition] = {}
    failed: dict[str, UserError] = {}
    sources: dict[str, Path] = {}
    for path in paths:
        for source in _in_folder(path) if path.is_dir() else [_file(path)]:
            first = sources.setdefault(source.stem, source)
            if first.resolve() != source.resolve():
                raise InvalidInput("services.same_name", name=source.stem, first=str(first), second=str(source))
            try:
                found[source.stem] = read_definition(source)
            except UserError as error:
                failed[source.stem] = error
    if not found and not failed:
        raise InvalidInput("services.no_definitions")
    return found, failed


def read_files(paths: Iterable[Path]) -> dict[str, Definition]:
    """Read definitions as `read_batch` does; the first that cannot be read refuses all."""
    found, failed = read_batch(paths)
    for error in failed.values():
        raise error
    return found


def read_one(path: Path) -> Definition:
    """Read one definition; raises `services.one_definition` for a folder, else as `read_files`."""
    if path.is_dir():
        raise InvalidInput("services.one_definition", folder=str(path))
    return next(iter(read_files([path]).values()))


def _in_folder(folder: Path) -> list[Path]:
    """The definitions of a folder; hidden files are what systems and editors leave beside them."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith(".") and not path.is_dir())


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    known = shipped_definitions()
    if path.name in known:
        return known[path.name]
    raise InvalidInput("services.unknown_cohort_file", file=str(path), known=", ".join(sorted(known)))


def language(name: str) -> Lang:
    """Return a language by name; raises `own.language_unknown`."""
    if name == "fr":
        return "fr"
    if name == "en":
        return "en"
    raise InvalidInput("own.language_unknown", lang=name)


def describe(definition: Definition, lang: Lang) -> str:
    """Return a definition as one sentence."""
    return sentences.describe(definition, lang)


def dialect(name: str) -> str:
    """Return a dialect of SQL by name; raises `own.dialect_unknown`."""
    if name not in DIALECTS:
        raise InvalidInput("own.dialect_unknown", dialect=name, known=", ".join(DIALECTS))
    return name


def sql(definition: Definition, name: str, schema: str = "") -> str:
    """Return a definition as SQL of a dialect, its OMOP tables in `schema` (else where the dialect's databases have
    them); raises as `dialect`."""
    return texts.sql(definition, dialect(name), schema)


def diff(before: Definition, after: Definition, lang: Lang) -> list[str]:
    """Return what changed between two definitions, one sentence a change, or one that says that nothing did."""
    from workbench.cohorts import diff as differences  # noqa: PLC0415 - a batch needs none of these

    return differences.diff(before, after, lang)


def draw(definition: Definition, lang: Lang, *, ident: str = "timeline") -> str:
    """Return a definition's timeline as SVG; `ident` names it within a page."""
    from workbench.cohorts import draw as pictures  # noqa: PLC0415

    return pictures.draw(definition, lang, ident=ident)


def write_picture(picture: str, out: Path) -> None:
    """Write an SVG to a file, whole or not at all; raises `services.picture_file` where it cannot go there."""
    if out.suffix != ".svg" or not out.absolute().parent.is_dir() or out.is_dir():
        raise InvalidInput("services.picture_file", file=str(out))
    try:
        files.write_text(out, picture)
    except OSError as error:
        raise InvalidInput("services.picture_file", file=str(out)) from error


def check(definition: Definition) -> list[Question]:
    """Return what a careful reader would question in a definition."""
    from workbench.cohorts import check as checks  # noqa: PLC0415

    return checks.check(definition)


def rule_names(definition: Definition) -> list[str]:
    """Return the names of a definition's inclusion rules, in order; a rule without a name has an empty one."""
    return [rule.name for rule in definition.plan.rules]


def with_rules(definition: Definition, kept: Iterable[int]) -> Definition:
    """Return the definition with some of its inclusion rules only (by their place, from 0); the rest as it was."""
    rules = definition.document["InclusionRules"]
    return Definition({**definition.document, "InclusionRules": [rules[at] for at in kept]}, definition.name)


def text_of(definition: Definition) -> str:
    """Return a definition as Circe JSON."""
    return write_definition(definition)

"""Concepts: searching the vocabulary of a release, and seeing one concept with governed numbers of records."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workbench.governance.actors import Actor
from workbench.governance.disclosure import Shown, shown
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, silent
from workbench.kernel.text import LANGS, Lang
from workbench.repository.releases import Release
from workbench.services.concept_use import use_of
from workbench.services.context import Workbench, acting
from workbench.services.releases import current_release
from workbench.store import jobs
from workbench.vocabulary.concept import Concept, read_concept
from workbench.vocabulary.search import ConceptIndex, Filters, Found
from workbench.vocabulary.search_index import ENGLISH, FRENCH, build
from workbench.vocabulary.use import DERIVED, OWN

CROWD = 11
"""A number of records is shown where at least so many persons are behind it: the threshold of numbers of persons."""


@dataclass(frozen=True)
class ConceptLine:
    """A concept as a list shows it. `label`: in the reader's language where the vocabulary has one, else its name;
    `records`: of the release, where this concept itself stands, governed."""

    id: int
    label: str
    name: str
    code: str
    domain: str
    vocabulary: str
    concept_class: str
    standard: bool
    valid: bool
    records: Shown


@dataclass(frozen=True)
class ConceptList:
    """What a search found: the best, how many fit in all, and in which release."""

    concepts: tuple[ConceptLine, ...]
    total: int
    release: str


@dataclass(frozen=True)
class UseLine:
    """Where a concept stands in the records: table, column and records, governed."""

    table: str
    column: str
    records: Shown


@dataclass(frozen=True)
class ConceptView:
    """One concept: `concept` as the vocabulary has it, where it is used (`use`), and the records of it and of all its
    descendants together (`with_descendants`, eras left out: they are made of other records)."""

    concept: Concept
    labels: Mapping[Lang, str]
    use: tuple[UseLine, ...]
    with_descendants: Shown
    release: str


def search(
    wb: Workbench,
    actor: Actor,
    text: str,
    *,
    lang: Lang,
    limit: int = 20,
    domain: str | None = None,
    vocabulary: str | None = None,
    standard: bool = False,
    progress: Progress = silent,
) -> ConceptList:
    """Return the concepts of the current release that have every word of `text` (words in any order, each may be cut
    short, in any language), or its code. Standard ones come first, then those that the records name most.

    The first search in a release builds the index, which takes minutes for a whole vocabulary. Raises
    `services.no_release`, `vocabulary.none`.
    """
    with acting(wb, actor, "concept.read"):
        release = current_release(wb)
        index = index_of(wb, release, progress)
        answer = index.search(text, limit, Filters(domain, vocabulary, standard))
    return ConceptList(tuple(_line(found, lang) for found in answer.concepts), answer.total, release.id)


def show(wb: Workbench, actor: Actor, concept_id: int) -> ConceptView:
    """Return a concept of the current release with what surrounds it. Raises `vocabulary.no_concept` where the
    vocabulary lacks it, and what `search` raises."""
    with acting(wb, actor, "concept.read"):
        release = current_release(wb)
        concept = read_concept(_vocabulary(release), concept_id)
        if concept is None:
            raise Refused("vocabulary.no_concept", concept=concept_id)
        return _view(concept, use_of(wb, release), release)


def prepare(wb: Workbench, actor: Actor, progress: Progress = silent) -> int:
    """Build the search index of the current release if it is not there; return the number of its concepts.

    Raises what `search` raises.
    """
    with acting(wb, actor, "concept.read"):
        return index_of(wb, current_release(wb), progress).count


def index_of(wb: Workbench, release: Release, progress: Progress = silent) -> ConceptIndex:
    """Return the search index of a release from the cache, building it where it is absent, of another version or cut.

    Raises `vocabulary.none` where the release has no concepts.
    """
    files = _vocabulary(release)
    folder = wb.settings.cache / release.id / "concepts"
    found = _opened(folder, release)
    if found is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with jobs.locked(folder.parent / ".concepts.lock"):
        found = _opened(folder, release)
        if found is None:
            _build(wb, release, files, folder, progress)
            found = _open(folder)
    return found


def _build(wb: Workbench, release: Release, files: Mapping[str, Path], folder: Path, progress: Progress) -> None:
    """Build aside, then rename; what an earlier process left half made goes first."""
    aside = folder.with_name(".concepts.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    try:
        synonyms = files.get("concept_synonym")
        build(files["concept"], synonyms, use_of(wb, release), release.digest, aside, progress)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    forget_opened()


def _opened(folder: Path, release: Release) -> ConceptIndex | None:
    try:
        index = _open(folder)
    except (OSError, ValueError, KeyError):
        return None
    return index if index.release == release.digest else None


@lru_cache(maxsize=4)
def _open(folder: Path) -> ConceptIndex:
    return ConceptIndex(folder)


def forget_opened() -> None:
    """Forget the indexes that this process has open: the next search opens them again."""
    _open.cache_clear()


def _vocabulary(release: Release) -> Mapping[str, Path]:
    if "concept" not in release.tables:
        raise Refused("vocabulary.none", release=release.id)
    return release.tables


def _line(found: Found, lang: Lang) -> ConceptLine:
    return ConceptLine(
        id=found.concept_id,
        label=_label(lang, found.concept_id, found.name, found.french, found.english),
        name=found.name,
        code=found.code,
        domain=found.domain,
        vocabulary=found.vocabulary,
        concept_class=found.concept_class,
        standard=found.standard == "S",
        valid=found.invalid is None,
        records=governed(found.records, found.crowd),
    )


def _label(lang: Lang, concept_id: int, name: str, french: str | None, english: str | None) -> str:
    """Return a concept's label: names of OMOP's own concepts are English; a hospital's are in any language."""
    if lang == "fr":
        return french or name
    return (english or name) if concept_id > OWN else name


def governed(records: int, crowd: int) -> Shown:
    """Return how a number of records is shown: hidden unless at least `CROWD` persons are behind it, else rounded."""
    return shown(records if crowd >= CROWD else 0)


def _view(concept: Concept, use: pa.Table, release: Release) -> ConceptView:
    counted = use.filter(pc.is_valid(use["crowd"]))
    mine = counted.filter(pc.equal(counted["concept_id"], concept.concept_id))
    of_family = pc.is_in(counted["concept_id"], pa.array(sorted(concept.family), pa.int64()))
    of_records = pc.invert(pc.is_in(counted["table_name"], pa.array(DERIVED)))
    family = counted.filter(pc.and_(of_family, of_records))
    lines = [UseLine(row["table_name"], row["column_name"], governed(row["records"], row["crowd"]))
             for row in mine.to_pylist()]  # fmt: skip
    total, crowd = pc.sum(family["records"]).as_py() or 0, pc.max(family["crowd"]).as_py() or 0
    names = concept.concept_id, concept.name, concept.label(FRENCH), concept.label(ENGLISH)
    labels: dict[Lang, str] = {lang: _label(lang, *names) for lang in LANGS}
    return ConceptView(concept, labels, tuple(lines), governed(total, crowd), release.id)

"""Data releases: immutable folders of Parquet with a manifest; listed, made current, opened, verified.

`<root>/<id>/manifest.json`, `<root>/<id>/tables/<table>.parquet`, `<root>/<id>/set_aside/<table>.parquet` (rows of the
source that cannot be used, kept so that nothing is lost), `<root>/<id>/buckets.parquet` (what a server's tables held,
for the next load) and `<root>/current`, a file that holds the current release's id. Releases may share a table's file.
The id is the digest of the manifest without its `files`: it names the content, on any machine. The files' own SHA-256
tell whether the bytes are those that were written.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.engines import duckdb as driver
from workbench.engines.content import content_digest
from workbench.kernel.digest import canonical_json, digest_manifest, short
from workbench.kernel.errors import Unavailable, UserError
from workbench.kernel.schemas import validate
from workbench.kernel.text import Lang, say
from workbench.repository.cdm import TABLES
from workbench.store.files import sha256_file, write_text

MANIFEST = "manifest.json"
CURRENT = "current"
_HASHERS = 2


@dataclass(frozen=True)
class Release:
    """A data release that was opened: its manifest fits the format; its files are not yet verified."""

    id: str
    manifest: Mapping[str, Any] = field(repr=False)
    folder: Path

    @cached_property
    def digest(self) -> str:
        """The digest of the content, 64 hexadecimal digits; the id holds its first twelve."""
        return digest_manifest(self.manifest)

    @cached_property
    def tables(self) -> Mapping[str, Path]:
        """Table name → its Parquet file."""
        return {entry["name"]: self.folder / entry["files"][0]["path"] for entry in self.manifest["tables"]}

    @property
    def synthetic(self) -> bool:
        """True where no row stems from a real person."""
        return bool(self.manifest["synthetic"])

    def table(self, name: str) -> Path:
        """Return a table's Parquet file; KeyError where the release lacks the table."""
        return self.tables[name]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a release. `code`: `manifest_edited`, `missing`, `added`, `size`, `changed`; `where`: the file
    inside the release's folder."""

    code: str
    where: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: Lang) -> str:
        """Return the problem as a sentence."""
        return say(f"release.problem_{self.code}", lang, where=self.where, **self.facts)


@dataclass(frozen=True)
class Summary:
    """What people look at first. `rows`: table → rows; `checks`: status → number of quality checks."""

    id: str
    digest: str
    name: str
    synthetic: bool
    persons: int
    rows: Mapping[str, int]
    checks: Mapping[str, int]
    observation_period_rule: str
    vocabulary: str | None
    set_aside: int


def release_id(manifest: Mapping[str, Any]) -> str:
    """Return the id that a manifest's content gives: `rel-` and twelve digits of its digest."""
    return f"rel-{short(digest_manifest(manifest))}"


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """Return the only text in which a manifest is stored (sorted, `1.0` as `1`), so that any edit can be seen."""
    return json.dumps(json.loads(canonical_json(manifest)), ensure_ascii=False, indent=1) + "\n"


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a release whose other files are all there, and return it with the SHA-256 of those that are
    no table (rows set aside, buckets). Raises `InvalidInput` (`kernel.document_invalid`)."""
    others = [*sorted(folder.glob("set_aside/*.parquet")), *folder.glob("buckets.parquet")]
    whole = {**manifest, "files": [described(path, folder) for path in others]}
    validate(whole, "release_2")
    write_text(folder / MANIFEST, manifest_text(whole))
    return whole


def table_digest(name: str, path: Path, connection: Any = None) -> str:
    """Return the content digest of a release's table, whose rows stand as its model orders them (`content_digest`)."""
    return content_digest(path, connection, order=TABLES[name].order)


def described(path: Path, folder: Path) -> dict[str, Any]:
    """Return how a manifest names a file of its folder: its path inside, its SHA-256 and its size in bytes."""
    return {"path": path.relative_to(folder).as_posix(), "sha256": sha256_file(path), "bytes": path.stat().st_size}


def open_release(folder: Path) -> Release:
    """Open a release's folder. Raises `Unavailable` (`release.no_release`, `release.manifest_unreadable`)."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        validate(manifest, "release" if manifest.get("format") == "workbench/release/1" else "release_2")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unavailable("release.no_release", place=str(folder)) from error
    except (OSError, ValueError, AttributeError, UserError) as error:
        raise Unavailable("release.manifest_unreadable", release=folder.name) from error
    return Release(folder.name, manifest, folder)


def list_releases(root: Path) -> tuple[Release, ...]:
    """Return the releases under `root` that can be opened, by id; `unreadable` names the others."""
    return tuple(open_release(folder) for folder in _folders(root) if _opens(folder))


def unreadable(root: Path) -> tuple[str, ...]:
    """Return the ids of releases under `root` whose manifest cannot be read any more."""
    return tuple(folder.name for folder in _folders(root) if not _opens(folder))


def pointer(root: Path) -> str | None:
    """Return the id that `current` holds, without opening that release; None where nothing was published."""
    try:
        return (root / CURRENT).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def current(root: Path) -> Release | None:
    """Return the current release, or None where none was published. Raises `Unavailable` where it cannot be opened."""
    name = pointer(root)
    return open_release(root / name) if name else None


def set_current(root: Path, release: str) -> None:
    """Make a release (by id) the current one, at once for all readers. Raises `Unavailable` where it is not there."""
    open_release(root / release)
    write_text(root / CURRENT, f"{release}\n")


def is_sound(release: Release, entry: Mapping[str, Any]) -> bool:
    """Answer whether the files of one table, by its entry of the manifest, are those that were written."""
    return not any(_file(release.folder, file) for file in entry["files"])


def take_over(release: Release, entry: Mapping[str, Any], into: Path) -> bool:
    """Give a table's files, if they are sound, a second name in the folder of a release being made; answer whether."""
    if not is_sound(release, entry):
        return False
    for file in entry["files"]:
        link(release.folder / file["path"], into / file["path"])
    return True


def link(source: Path, target: Path) -> None:
    """Give a release's file a second name: a hard link, or a copy where the disk knows none.

    Whoever changes a release's file (an erasure does) writes a new one and renames it: writing into it would change
    every release that shares it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP}:
            raise
        shutil.copyfile(source, target)


def verify(release: Release, *, content: bool = False) -> tuple[Problem, ...]:
    """Compare a release's folder with its manifest, and the manifest with the id; return every difference.

    Reads each file once (SHA-256, two at a time). With `content` the tables' content digests are computed as well:
    slower by far, but it sees even files that were replaced together with their SHA-256 in the manifest.
    """
    problems = list(_manifest(release))
    expected = {file["path"]: file for entry in release.manifest["tables"] for file in entry["files"]}
    expected |= {file["path"]: file for file in release.manifest.get("files", ())}
    with ThreadPoolExecutor(_HASHERS) as pool:
        for found in pool.map(lambda file: _file(release.folder, file), expected.values()):
            problems += found
    aside = {f"set_aside/{entry['name']}.parquet": entry["set_aside_digest"] for entry in _set_aside(release)}
    if release.manifest["intake"].get("buckets_digest"):
        aside["buckets.parquet"] = release.manifest["intake"]["buckets_digest"]
    for path, digest in aside.items():  # by their bytes already, but in releases of earlier versions
        problems += [] if path in expected and not content else _content(release.folder, path, digest)
    if content:
        damaged = {problem.where for problem in problems}
        for entry in release.manifest["tables"]:
            path = entry["files"][0]["path"]
            order = TABLES[entry["name"]].order
            problems += [] if path in damaged else _content(release.folder, path, entry["content_digest"], order)
    problems += _added(release.folder, {MANIFEST, *expected, *aside})
    found = {(problem.where, problem.code): problem for problem in problems}
    return tuple(found[each] for each in sorted(found))


def verify_folder(folder: Path, *, content: bool = False) -> tuple[Problem, ...]:
    """Verify a release's folder; one whose manifest cannot be read has that as its problem. Raises `Unavailable`
    (`release.no_release`) where there is no release."""
    try:
        release = open_release(folder)
    except Unavailable as error:
        if error.code != "release.manifest_unreadable":
            raise
        return (Problem("manifest_edited", MANIFEST),)
    return verify(release, content=content)


def check_sound(release: Release) -> None:
    """Raise `Unavailable` (`release.damaged`) where `verify` finds a problem."""
    problems = verify(release)
    if problems:
        raise Unavailable("release.damaged", release=release.id, count=len(problems), where=problems[0].where)


def summary(release: Release) -> Summary:
    """Return what a release's manifest says about it."""
    manifest = release.manifest
    return Summary(
        id=release.id,
        digest=release.digest,
        name=manifest["name"],
        synthetic=manifest["synthetic"],
        persons=manifest["quality"]["persons"],
        rows={entry["name"]: entry["rows"] for entry in manifest["tables"]},
        checks=dict(manifest["quality"]["summary"]),
        observation_period_rule=manifest["observation_period_rule"]["code"],
        vocabulary=manifest["vocabulary"]["version"],
        set_aside=sum(entry["set_aside"] for entry in manifest["intake"]["tables"]),
    )


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders of releases: a partial one has a name with a dot first, or no manifest yet."""
    found = sorted(root.iterdir()) if root.is_dir() else []
    return (path for path in found if not path.name.startswith(".") and (path / MANIFEST).is_file())


def _opens(folder: Path) -> bool:
    try:
        open_release(folder)
    except Unavailable:
        return False
    return True


def _manifest(release: Release) -> Iterator[Problem]:
    """Yield a problem where the manifest is not what was written: its text, its identity, or whose file is whose."""
    stored = (release.folder / MANIFEST).read_bytes()
    try:
        as_written = stored == manifest_text(release.manifest).encode() and release_id(release.manifest) == release.id
    except ValueError:  # a number that canonical JSON cannot hold
        as_written = False
    named = all(
        file["path"].removeprefix("tables/").split("/")[0].removesuffix(".parquet") == entry["name"]
        for entry in release.manifest["tables"]
        for file in entry["files"]
    )
    if not (as_written and named) or (release.folder / MANIFEST).is_symlink():
        yield Problem("manifest_edited", MANIFEST)


def _set_aside(release: Release) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in release.manifest["intake"]["tables"] if entry["set_aside_digest"])


def _file(folder: Path, file: Mapping[str, Any]) -> list[Problem]:
    path = folder / file["path"]
    if not path.is_file() or path.is_symlink():
        return [Problem("missing", file["path"])]
    size = path.stat().st_size
    if size != file["bytes"]:
        return [Problem("size", file["path"], {"found": size, "expected": file["bytes"]})]
    return [] if sha256_file(path) == file["sha256"] else [Problem("changed", file["path"])]


def _content(folder: Path, path: str, digest: str, order: Sequence[str] = ()) -> list[Problem]:
    if not (folder / path).is_file():
        return [Problem("missing", path)]
    try:
        same = content_digest(folder / path, order=order) == digest
    except (driver.duckdb.Error, TypeError):
        same = False
    return [] if same else [Problem("changed", path)]


def _added(folder: Path, expected: set[str]) -> list[Problem]:
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return [Problem("added", name) for path in found if (name := path.relative_to(folder).as_posix()) not in expected]

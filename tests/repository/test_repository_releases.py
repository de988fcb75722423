"""Releases: opened, listed, made current; and every harm to their bytes found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.kernel.digest import digest_manifest
from workbench.kernel.errors import Unavailable
from workbench.repository import releases
from workbench.repository.releases import Release, verify, verify_folder

Copy = Callable[[], Release]


def codes(release: Release, *, content: bool = False) -> set[tuple[str, str]]:
    return {(problem.code, problem.where) for problem in verify(release, content=content)}


def test_a_sound_release_has_no_problem(whole: Release) -> None:
    assert verify(whole, content=True) == ()
    assert whole.id == f"rel-{whole.digest[:12]}"
    assert whole.table("person").is_file()
    assert set(whole.tables) == {"person", "measurement", "observation_period"}
    releases.check_sound(whole)


def test_summary_says_what_the_release_holds(whole: Release) -> None:
    summary = releases.summary(whole)
    assert (summary.persons, summary.set_aside, summary.synthetic) == (2, 1, True)
    assert dict(summary.rows) == {"person": 2, "measurement": 2, "observation_period": 2}
    assert summary.observation_period_rule == "first_to_last_record"


def test_the_identity_leaves_out_the_files(whole: Release) -> None:
    manifest = json.loads(json.dumps(whole.manifest))
    manifest["tables"][0]["files"][0]["sha256"] = "0" * 64
    assert digest_manifest(manifest) == whole.digest
    manifest["tables"][0]["rows"] += 1
    assert digest_manifest(manifest) != whole.digest


def harm(release: Release, draw: random.Random) -> tuple[str, Callable[[], None]]:
    """Change one thing in a release's folder; return what, and how to mend it."""
    files = sorted(path for path in release.folder.rglob("*") if path.is_file())
    path, other = draw.sample(files, 2)
    before, beside, place = path.read_bytes(), other.read_bytes(), draw.randrange(path.stat().st_size)
    what = draw.choice(["flipped", "truncated", "longer", "swapped", "missing", "added", "edited", "linked"])
    added = path.with_name(f"added-{place}.parquet")
    if what == "flipped":
        path.write_bytes(before[:place] + bytes([before[place] ^ (1 << draw.randrange(8))]) + before[place + 1 :])
    elif what == "truncated":
        path.write_bytes(before[:place])
    elif what == "longer":
        path.write_bytes(before + draw.randbytes(draw.randrange(1, 9)))
    elif what == "swapped":
        path.write_bytes(beside)
        other.write_bytes(before)
    elif what == "missing":
        path.unlink()
    elif what == "added":
        added.write_bytes(draw.choice([b"", before]))
    elif what == "edited":
        path = release.folder / "manifest.json"
        before, places = path.read_bytes(), [at for at, byte in enumerate(path.read_bytes()) if chr(byte).isalnum()]
        place = draw.choice(places)
        new = draw.choice([byte for byte in b"0123456789abcdef" if byte != before[place]])
        path.write_bytes(before[:place] + bytes([new]) + before[place + 1 :])
    else:
        path.rename(release.folder.with_name("elsewhere"))
        path.symlink_to(release.folder.with_name("elsewhere"))

    def mend() -> None:
        path.unlink(missing_ok=True)
        added.unlink(missing_ok=True)
        path.write_bytes(before)
        if what == "swapped":
            other.write_bytes(beside)

    return f"{what} {path.name}", mend


def check_mutations(release: Release, number: int) -> None:
    draw = random.Random(number)
    for _ in range(number):
        what, mend = harm(release, draw)
        if what == "missing manifest.json":
            with pytest.raises(Unavailable, match="no_release"):
                verify_folder(release.folder)
        else:
            assert verify_folder(release.folder), what
        mend()
    assert verify(release, content=True) == ()


def test_fifty_mutations_of_fifty_are_found(copy: Copy) -> None:
    check_mutations(copy(), 50)


@pytest.mark.long
def test_a_thousand_mutations_of_a_thousand_are_found(copy: Copy) -> None:
    check_mutations(copy(), 1000)


def test_nothing_of_a_harmed_release_is_read(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are counted; no reader of Parquet sees them."""
    release = copy()
    content = release.table("person").read_bytes()
    release.table("person").write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
    monkeypatch.setattr(releases, "content_digest", lambda *_: pytest.fail("a table was read"))
    with pytest.raises(Unavailable) as refusal:
        releases.check_sound(release)
    assert refusal.value.code == "release.damaged"


def test_truncated_missing_added_and_swapped_files_are_named(copy: Copy) -> None:
    truncated = copy()
    truncated.table("person").write_bytes(truncated.table("person").read_bytes()[:-1])
    assert codes(truncated) == {("size", "tables/person.parquet")}
    missing = copy()
    missing.table("person").unlink()
    assert codes(missing) == {("missing", "tables/person.parquet")}
    added = copy()
    (added.folder / "tables/note.parquet").write_bytes(b"PAR1")
    assert codes(added) == {("added", "tables/note.parquet")}
    swapped = copy()
    person, other = swapped.table("person"), swapped.table("measurement")
    first = person.read_bytes()
    person.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert {where for _, where in codes(swapped)} == {"tables/person.parquet", "tables/measurement.parquet"}


def test_rows_set_aside_are_part_of_the_release(copy: Copy) -> None:
    release = copy()
    path = release.folder / "set_aside/measurement.parquet"
    path.write_bytes(release.table("person").read_bytes())
    assert {where for _, where in codes(release)} == {"set_aside/measurement.parquet"}
    path.unlink()
    assert codes(release) == {("missing", "set_aside/measurement.parquet")}


def edited(release: Release, change: Callable[[dict], object]) -> tuple[releases.Problem, ...]:
    manifest = json.loads((release.folder / "manifest.json").read_text())
    change(manifest)
    (release.folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
    return verify_folder(release.folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(name="other"),
        lambda manifest: manifest.update(synthetic=False),
        lambda manifest: manifest["tables"][0].update(rows=10**20),
        lambda manifest: manifest["tables"].pop(),
        lambda manifest: manifest.pop("quality"),
        lambda manifest: manifest["quality"]["checks"].pop(),
        lambda manifest: manifest["observation_period_rule"].update(code="as_recorded"),
        lambda manifest: manifest["tables"][0]["files"].extend(manifest["tables"][1]["files"]),
    ],
)
def test_an_edited_manifest_is_found(copy: Copy, change: Callable[[dict], object]) -> None:
    assert "manifest_edited" in {problem.code for problem in edited(copy(), change)}


def test_an_edit_that_keeps_the_meaning_is_found_too(copy: Copy) -> None:
    release = copy()
    path = release.folder / "manifest.json"
    path.write_text(path.read_text().replace('"persons": 2', '"persons": 2.0', 1))
    assert codes(release) == {("manifest_edited", "manifest.json")}


def test_a_file_replaced_with_its_digest_is_found_by_its_content(copy: Copy) -> None:
    def replace(manifest: dict) -> None:
        tables = {entry["name"]: entry for entry in manifest["tables"]}
        taken = tables["measurement"]["files"][0]
        tables["person"]["files"][0].update(sha256=taken["sha256"], bytes=taken["bytes"])

    release = copy()
    release.table("person").write_bytes(release.table("measurement").read_bytes())
    edited(release, replace)
    assert codes(releases.open_release(release.folder), content=True) == {("changed", "tables/person.parquet")}


def test_problems_are_said_in_both_languages(copy: Copy) -> None:
    release = copy()
    release.table("person").write_bytes(b"")
    (problem,) = verify(release)
    assert "0 bytes" in problem.text("en")
    assert "0 octets" in problem.text("fr")
    with pytest.raises(Unavailable) as refusal:
        releases.check_sound(release)
    assert "tables/person.parquet" in refusal.value.text("fr").what


def test_listing_and_current(copy: Copy, tmp_path: Path) -> None:
    release = copy()
    root = release.folder.parent
    assert releases.current(root) is None
    (root / ".half.partial-1").mkdir()
    (root / "no-manifest-yet").mkdir()
    assert [found.id for found in releases.list_releases(root)] == [release.id]
    releases.set_current(root, release.id)
    found = releases.current(root)
    assert found is not None
    assert found.id == release.id
    with pytest.raises(Unavailable):
        releases.set_current(root, "rel-000000000000")
    assert (root / "current").read_text() == f"{release.id}\n"
    (release.folder / "manifest.json").write_text("{")
    assert releases.list_releases(root) == ()
    assert releases.unreadable(root) == (release.id,)
    assert releases.list_releases(tmp_path / "nowhere") == ()


def test_where_there_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refusal:
        verify_folder(tmp_path)
    assert refusal.value.code == "release.no_release"

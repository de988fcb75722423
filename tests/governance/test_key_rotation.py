"""Keys renewed: the master key at any moment of a crash, a study's secrets, and what is left of the former ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from workbench.governance import key_files, rotation
from workbench.governance.keys import KeyRing, commitment
from workbench.kernel.errors import Unavailable


class Died(BaseException):
    """A process that was killed."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ring = KeyRing.open(tmp_path / "keys", create=True)
    ring.create_study_secrets("one")
    return tmp_path / "keys"


def all_of(ring: KeyRing) -> tuple[object, ...]:
    return ring.study_secrets("one"), ring.opposition_key(), ring.disclosure_key(), ring.public_key()


def bytes_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_new_master_key_changes_no_secret_and_the_former_opens_nothing(folder: Path) -> None:
    ring = KeyRing.open(folder)
    before, mark, master = all_of(ring), ring.master_mark(), (folder / "master.key").read_bytes()
    old_forms = [path.read_bytes() for path in rotation.wrapped(folder)]
    for _ in range(2):
        ring.rotate_master()
        assert all_of(ring) == before == all_of(KeyRing.open(folder)), "a ring that was open before goes on"
    assert ring.master_mark() != mark
    left = bytes_under(folder)
    assert master not in left
    assert not any(form in left for form in old_forms)
    for path in rotation.wrapped(folder):
        with pytest.raises(InvalidUnwrap):
            aes_key_unwrap(rotation.wrapping(master, rotation.purpose_of(path)), path.read_bytes())
        assert path.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir()} == {
        "audit.key", "disclosure.key", "master.key", "oppositions.key", "studies",
    }  # fmt: skip


def test_a_renewal_killed_anywhere_leaves_all_of_the_old_or_becomes_all_of_the_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, outcomes = all_of(KeyRing.open(folder)), set[bool]()
    for moment in range(1, 60):
        steps = 0

        def dying(real: Callable[..., Any], moment: int = moment) -> Callable[..., Any]:
            def call(*given: Any) -> Any:
                nonlocal steps
                steps += 1
                if steps == moment:
                    raise Died
                result = real(*given)
                steps += 1
                if steps == moment:
                    raise Died
                return result

            return call

        ring = KeyRing.open(folder)
        mark = ring.master_mark()
        with monkeypatch.context() as patch:
            for name in ("shred", "sync", "write_private"):
                patch.setattr(rotation, name, dying(getattr(key_files, name)))
            try:
                ring.rotate_master()
                died = False
            except Died:
                died = True
        # The ring of an app that runs on, then a folder opened anew.
        assert all_of(ring) == before, moment
        again = KeyRing.open(folder)
        assert all_of(again) == before, moment
        assert not list(folder.glob("*rotation*"))
        outcomes.add(again.master_mark() != mark)
        if not died:
            break
    assert not died, "every step was killed once"
    assert outcomes == {True, False}, "killed before the decision: as it was; after: the new key"


def test_a_damaged_secret_stops_the_renewal_before_anything_changed(folder: Path) -> None:
    ring = KeyRing.open(folder)
    (folder / "studies" / "one.data.key").write_bytes(b"x" * 40)
    held = {path.name: path.read_bytes() for path in folder.rglob("*.key")}
    with pytest.raises(Unavailable, match=r"one\.data\.key"):
        ring.rotate_master()
    KeyRing.open(folder)
    assert {path.name: path.read_bytes() for path in folder.rglob("*.key")} == held
    assert ring.condition("one", "data") == "damaged"


def test_a_study_renewed_keeps_what_finds_persons_and_nothing_that_opens_files(folder: Path) -> None:
    ring = KeyRing.open(folder)
    first = ring.study_secrets("one")
    wrapped = (folder / "studies" / "one.data.key").read_bytes()
    ring.renew("one", 1)
    ring.renew("one", 1)
    assert ring.renewals("one") == 1
    assert ring.condition("one", "data") == "none"
    assert wrapped not in bytes_under(folder)
    second = ring.create_study_secrets("one")
    assert len({first.data, second.data, first.pseudonym, second.pseudonym}) == 4
    ring.rotate_master()
    for secret in (first.pseudonym, second.pseudonym):
        assert ring.pseudonym_secret_of("one", commitment(secret)) == secret
    with pytest.raises(Unavailable, match="no secrets"):
        ring.pseudonym_secret_of("one", commitment(first.data))
    ring.destroy("one", "pseudonym")
    assert ring.is_gone("one", "pseudonym")
    assert not list((folder / "studies").glob("one.pseudonym*.key"))
    with pytest.raises(Unavailable, match="destroyed"):
        ring.pseudonym_secret_of("one", commitment(first.pseudonym))


def test_a_key_folder_that_went_away_is_a_sentence(folder: Path) -> None:
    ring = KeyRing.open(folder)
    folder.rename(folder.with_name("elsewhere"))
    for ask in (ring.signing_key, ring.opposition_key, ring.rotate_master, lambda: ring.study_secrets("one")):
        with pytest.raises(Unavailable, match="no key folder"):
            ask()

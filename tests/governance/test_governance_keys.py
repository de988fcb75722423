"""Keys and pseudonyms: what they promise, and what is left after a secret was destroyed."""

from __future__ import annotations

import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.governance.keys import (
    KeyRing,
    commitment,
    demonstration_entropy,
    derive,
)
from workbench.governance.pseudonyms import keyed_days, pseudonymize
from workbench.governance.sealed import read_sealed, write_sealed
from workbench.kernel.errors import InvalidInput, Refused, Unavailable, UserError

SECRET, OTHER = b"s" * 32, b"t" * 32
IDS = st.lists(st.one_of(st.integers(1, 80), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=50)
"""Dense ones are pseudonymized together, others one by one."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_missing_folder_is_a_sentence_and_nothing_is_made(folder: Path) -> None:
    with pytest.raises(Unavailable) as error:
        KeyRing.open(folder)
    assert error.value.code == "governance.keys_missing"
    assert not folder.exists()


def test_a_lost_master_key_is_not_covered_up(folder: Path) -> None:
    KeyRing.open(folder, create=True).create_study_secrets("s")
    (folder / "master.key").unlink()
    with pytest.raises(Unavailable) as error:
        KeyRing.open(folder, create=True)
    assert error.value.code == "governance.keys_damaged"


def test_folders_opened_at_once_get_one_master_key(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: KeyRing.open(folder, create=True), range(8)))
        assert len(set(pool.map(lambda ring: ring.create_study_secrets("s").data, rings))) == 1
    assert len({ring.public_key() for ring in rings}) == 1


def test_folder_and_files_are_private(folder: Path) -> None:
    KeyRing.open(folder, create=True).create_study_secrets("s")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["", "master.key"])
def test_what_others_can_read_is_refused(folder: Path, name: str) -> None:
    KeyRing.open(folder, create=True)
    (folder / name).chmod(0o750 if not name else 0o640)
    with pytest.raises(Refused) as error:
        KeyRing.open(folder)
    assert error.value.code == "governance.keys_open_to_others"


def test_secrets_last_differ_and_never_print(folder: Path) -> None:
    made = KeyRing.open(folder, create=True).create_study_secrets("one")
    assert KeyRing.open(folder).study_secrets("one") == made
    other = KeyRing.open(folder).create_study_secrets("two")
    assert len({made.pseudonym, made.data, other.pseudonym, other.data}) == 4
    assert made.pseudonym.hex() not in repr(made)
    assert repr(made) == "StudySecrets(study='one')"


def test_a_wrapped_secret_does_not_open_for_another_study_or_master(folder: Path, tmp_path: Path) -> None:
    ring = KeyRing.open(folder, create=True)
    ring.create_study_secrets("one")
    ring.create_study_secrets("two")
    (folder / "studies" / "two.data.key").write_bytes((folder / "studies" / "one.data.key").read_bytes())
    with pytest.raises(Unavailable):
        ring.study_secrets("two")
    foreign = KeyRing.open(tmp_path / "foreign", create=True)
    foreign.create_study_secrets("one")
    (folder / "master.key").write_bytes((tmp_path / "foreign" / "master.key").read_bytes())
    with pytest.raises(Unavailable):
        KeyRing.open(folder).study_secrets("one")


def test_a_destroyed_secret_leaves_nothing_and_is_not_made_again(folder: Path) -> None:
    ring = KeyRing.open(folder, create=True)
    secrets = ring.create_study_secrets("one")
    wrapped = (folder / "studies" / "one.data.key").read_bytes()
    (folder / "studies" / "one.data.key.bak").write_bytes(wrapped)
    ring.destroy("one", "data")
    ring.destroy("one", "data")
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert wrapped not in left
    assert secrets.data not in left
    for ask in (ring.study_secrets, ring.create_study_secrets):
        with pytest.raises(Unavailable) as error:
            ask("one")
        assert error.value.code == "governance.secret_destroyed"
    assert KeyRing.open(folder).study_secret("one", "pseudonym") == secrets.pseudonym


@pytest.mark.parametrize("study", ["../x", "", "A", "a/b", "a" * 64])
def test_study_names_cannot_leave_the_folder(folder: Path, study: str) -> None:
    with pytest.raises(InvalidInput):
        KeyRing.open(folder, create=True).create_study_secrets(study)


def test_the_audit_key_signs_and_lasts(folder: Path) -> None:
    ring = KeyRing.open(folder, create=True)
    signature = ring.signing_key().sign(b"head")
    ring.signing_key().public_key().verify(signature, b"head")
    assert KeyRing.open(folder).public_key() == ring.public_key()
    (folder / "audit.key").write_bytes(b"x" * 40)
    with pytest.raises(UserError):
        ring.signing_key()


def test_demonstration_keys_are_the_same_anywhere_and_say_so(folder: Path, tmp_path: Path) -> None:
    one = KeyRing.open(folder, create=True, entropy=demonstration_entropy)
    two = KeyRing.open(tmp_path / "again", create=True, entropy=demonstration_entropy)
    assert one.create_study_secrets("s") == two.create_study_secrets("s")
    assert one.public_key() == two.public_key()
    assert KeyRing.open(folder).demonstration
    assert not KeyRing.open(tmp_path / "real", create=True).demonstration


def test_commitments_and_purposes_tell_nothing_of_each_other() -> None:
    assert derive(SECRET, "person") != derive(SECRET, "visit")
    assert commitment(SECRET) != commitment(OTHER)
    assert derive(SECRET, "commitment").hex() not in commitment(SECRET)


# -- pseudonyms


@given(IDS)
def test_pseudonyms_are_hmac_whatever_the_order_and_company(ids: list[int]) -> None:
    made = pseudonymize(SECRET, "person", ids)
    expected = {
        person: int.from_bytes(
            hmac.digest(derive(SECRET, "person"), person.to_bytes(8, "big", signed=True), "sha256")[:8], "big"
        )
        >> 11
        for person in ids
    }
    assert dict(zip(made.ids.tolist(), made.values.tolist(), strict=True)) == expected
    again = pseudonymize(SECRET, "person", list(reversed(ids)) + ids)
    assert (again.values == made.values).all()


@given(IDS)
def test_studies_and_purposes_share_no_pseudonym(ids: list[int]) -> None:
    sets = [
        set(pseudonymize(secret, purpose, ids).values.tolist())
        for secret, purpose in ((SECRET, "person"), (OTHER, "person"), (SECRET, "visit"))
    ]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]


@settings(max_examples=20)
@given(st.sets(st.integers(0, 10**6), min_size=2, max_size=200))
def test_collisions_are_resolved_counted_and_stable(ids: set[int]) -> None:
    made = pseudonymize(SECRET, "person", sorted(ids), bits=8)
    assert len(set(made.values.tolist())) == len(ids)
    assert made.values.max() < 2**8
    again = pseudonymize(SECRET, "person", sorted(ids, reverse=True), bits=8)
    assert (again.values == made.values).all()
    plain = {person: pseudonymize(SECRET, "person", [person], bits=8).values[0] for person in ids}
    assert made.collisions == len(ids) - len(set(plain.values()))


def test_keyed_days_cover_their_range_and_differ_by_use_and_study() -> None:
    ids = np.arange(20_000)
    late, early = (keyed_days(SECRET, ids, 7, 182, label) for label in ("end", "start"))
    assert (late.min(), late.max()) == (7, 182)
    assert (late == early).mean() < 0.02
    assert (late == keyed_days(OTHER, ids, 7, 182, "end")).mean() < 0.02
    assert np.bincount(late)[7:].min() > 60


# -- sealed files


def test_a_sealed_file_opens_only_with_its_secret_and_label_and_whole(tmp_path: Path) -> None:
    table, path = pa.table({"a": [3, 1, None], "b": ["canary", "y", None]}), tmp_path / "t.parquet"
    write_sealed(table, path, SECRET, "one")
    assert read_sealed(path, SECRET, "one").equals(table)
    content = path.read_bytes()
    assert b"canary" not in content
    for secret, label in ((OTHER, "one"), (SECRET, "two")):
        with pytest.raises(Unavailable):
            read_sealed(path, secret, label)
    for place in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert _rows_or_none(path, table) in (None, True)


def _rows_or_none(path: Path, expected: pa.Table) -> bool | None:
    """A flipped bit is found, or lies where it carries nothing (the magic word): never other rows."""
    try:
        return read_sealed(path, SECRET, "one").equals(expected)
    except Unavailable:
        return None

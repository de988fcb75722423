"""The audit log finds an edited, deleted, reordered and cut entry, a rebuild and a forged head; and nothing else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from workbench.governance import audit, verifying
from workbench.kernel import clock
from workbench.kernel.digest import canonical_json, digest_document
from workbench.kernel.errors import InvalidInput
from workbench.store import chain
from workbench.store.chain import Event
from workbench.store.store import Store

COLUMNS = ", ".join((*chain.ENTRY_FIELDS, "hash"))


class Key:
    """A signer with one key."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    def signing_key(self) -> Ed25519PrivateKey:
        return self.key


@pytest.fixture
def key() -> Key:
    return Key()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(f"sqlite:///{tmp_path / 'app.sqlite'}", create=True)
    write(store, 20)
    return store


def write(store: Store, count: int) -> None:
    for number in range(count):
        event = Event("ada", "researcher", "test.write", subject=f"s{number}", payload={"n": number, "who": "élève"})
        with store.write(event):
            pass


def tamper(store: Store, *statements: str) -> None:
    store.close()
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_log_that_nobody_touched_is_sound(store: Store, key: Key) -> None:
    head = audit.sign_head(store, key)
    write(store, 3)
    verdict = verifying.verify(store, [head], key.key.public_key())
    assert (verdict.sound, verdict.entries) == (True, 23)


TAMPERED: dict[str, tuple[list[str], int, str]] = {
    "edited": (["UPDATE audit SET actor = 'eve' WHERE seq = 7"], 7, "edited"),
    "edited, its hash made to fit": (["UPDATE audit SET actor = 'eve', hash = 'x' WHERE seq = 7"], 7, "edited"),
    "a text that is none": (["UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE seq = 7"], 7, "edited"),
    "a number for a text": (["UPDATE audit SET actor = 5, reason = x'00' WHERE seq = 7"], 7, "edited"),
    "before the first": (["UPDATE audit SET seq = 0 WHERE seq = 20"], 1, "out_of_order"),
    "payload erased before its time": (["DELETE FROM payloads WHERE seq = 9"], 9, "payload_missing"),
    "payload no JSON": (["UPDATE payloads SET body = '{' WHERE seq = 9"], 9, "payload_edited"),
    "payload edited": (["""UPDATE payloads SET body = '{"n": 1}' WHERE seq = 9"""], 9, "payload_edited"),
    "deleted": (["DELETE FROM audit WHERE seq = 5"], 5, "out_of_order"),
    "deleted, the rest moved up": (
        ["DELETE FROM audit WHERE seq = 5", *(f"UPDATE audit SET seq = {n - 1} WHERE seq = {n}" for n in range(6, 21))],
        5,
        "broken_link",
    ),
    "first deleted": (["DELETE FROM audit WHERE seq = 1"], 1, "out_of_order"),
    "reordered": (
        ["UPDATE audit SET seq = 99 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 5",
         "UPDATE audit SET seq = 5 WHERE seq = 99"], 4, "broken_link",
    ),
    "cut": (["DELETE FROM audit WHERE seq > 15"], 16, "cut"),
    "emptied": (["DELETE FROM audit"], 1, "cut"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_each_way_of_tampering_is_found_and_placed(store: Store, key: Key, name: str) -> None:
    statements, place, problem = TAMPERED[name]
    head = audit.sign_head(store, key)
    tamper(store, *statements)
    verdict = verifying.verify(store, [head], key.key.public_key())
    assert (verdict.sound, verdict.first_bad, verdict.problem) == (False, place, problem)


def test_of_two_heads_of_one_entry_each_counts(store: Store, key: Key, tmp_path: Path) -> None:
    other = Store.open(f"sqlite:///{tmp_path / 'other.sqlite'}", create=True)
    write(other, 20)
    right, wrong = audit.sign_head(store, key), audit.sign_head(other, key)
    for heads in ([right, wrong], [wrong, right]):
        verdict = verifying.verify(store, heads, key.key.public_key())
        assert (verdict.sound, verdict.problem) == (False, "rebuilt")


def test_a_cut_log_passes_for_whole_only_without_a_head(store: Store, key: Key) -> None:
    tamper(store, "DELETE FROM audit WHERE seq > 15")
    assert verifying.verify(store, [], key.key.public_key()).sound


def test_a_rebuilt_log_is_found_by_the_head(store: Store, key: Key, tmp_path: Path) -> None:
    head = audit.sign_head(store, key)
    other = Store.open(f"sqlite:///{tmp_path / 'other.sqlite'}", create=True)
    write(other, 25)
    verdict = verifying.verify(other, [head], key.key.public_key())
    assert (verdict.sound, verdict.problem, verdict.first_bad) == (False, "rebuilt", 20)


def rehashed(store: Store, *entries: int, **changes: str) -> None:
    """Edit entries and make every hash and link of them fit, as somebody would who knows how the log is written."""
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.row_factory = sqlite3.Row
        for seq in entries:
            rows = connection.execute("SELECT * FROM audit WHERE seq IN (?, ?) ORDER BY seq", (seq - 1, seq)).fetchall()
            entry = {**dict(rows[-1]), **changes, "prev": rows[0]["hash"] if seq > 1 else chain.GENESIS}
            connection.execute(
                "UPDATE audit SET actor = :actor, prev = :prev, hash = :hash WHERE seq = :seq",
                {**entry, "hash": chain.entry_hash(entry)},
            )


@pytest.mark.parametrize("name", ["one entry", "two entries", "all from one on"])
def test_an_edit_whose_hashes_fit_is_placed_at_the_first_entry(
    store: Store, key: Key, tmp_path: Path, name: str
) -> None:
    edited = {"one entry": [7], "two entries": [7, 8], "all from one on": list(range(7, 21))}[name]
    audit.extend_trail(store, tmp_path / "trail")
    head = audit.sign_head(store, key)
    rehashed(store, *edited, actor="eve")
    found = verifying.verify(store, [head], key.key.public_key())
    assert found.first_bad in {8, 9, 20}, "the chain alone breaks after it, the head is at the end"
    verdict = verifying.placed(store, found, audit.read_trail(tmp_path / "trail"))
    assert (verdict.sound, verdict.first_bad) == (False, 7)
    assert verdict.problem == ("rebuilt" if len(edited) > 2 else "edited")


@pytest.mark.parametrize("written", [3, 12])
def test_an_old_copy_that_went_on_is_placed_where_it_went_on(
    store: Store, key: Key, tmp_path: Path, written: int
) -> None:
    copy = tmp_path / "copy.sqlite"
    store.close()
    copy.write_bytes(store.path.read_bytes())
    write(store, 10)
    audit.extend_trail(store, tmp_path / "trail")
    head = audit.sign_head(store, key)
    old = Store.open(f"sqlite:///{copy}", create=False)
    write(old, written)
    verdict = verifying.verify(old, [head], key.key.public_key())
    verdict = verifying.placed(old, verdict, audit.read_trail(tmp_path / "trail"))
    assert (verdict.sound, verdict.problem, verdict.first_bad) == (False, "rebuilt", 21)


def test_a_trail_goes_on_after_a_process_that_died_and_raises_no_alarm(store: Store, key: Key, tmp_path: Path) -> None:
    trail = tmp_path / "trail"
    audit.extend_trail(store, trail)
    trail.write_bytes(trail.read_bytes()[:-5])
    write(store, 2)
    audit.extend_trail(store, trail)
    assert len(trail.read_bytes()) == 22 * verifying.HASH_BYTES
    assert trail.stat().st_mode & 0o077 == 0
    tamper(store, "UPDATE audit SET actor = 'eve' WHERE seq = 21")
    found = verifying.verify(store, [], key.key.public_key())
    assert verifying.placed(store, found, trail.read_bytes()) == found
    assert verifying.placed(store, found, b"\0" * 640).first_bad == 1
    sound = verifying.Verdict(True, 22, found.head)
    assert verifying.placed(store, sound, b"\0" * 640) == sound, "a trail alone is no proof"


@pytest.mark.parametrize(
    "forge",
    [
        lambda head: {**head, "hash": "0" * 64},
        lambda head: {**head, "signature": "00"},
        lambda head: {**head, "seq": 3},
    ],
)
def test_a_forged_head_is_found(
    store: Store, key: Key, forge: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    verdict = verifying.verify(store, [forge(audit.sign_head(store, key))], key.key.public_key())
    assert (verdict.sound, verdict.problem) == (False, "head_forged")


def test_a_head_signed_by_another_key_is_found(store: Store, key: Key) -> None:
    assert verifying.verify(store, [audit.sign_head(store, Key())], key.key.public_key()).problem == "head_forged"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(st.integers(1, 2**53 - 1), *[TEXTS] * 3, st.none() | TEXTS, TEXTS, *[st.none() | TEXTS] * 3, TEXTS,
                 st.none() | TEXTS, TEXTS, TEXTS),
       st.dictionaries(TEXTS, NUMBERS | TEXTS))  # fmt: skip
def test_what_is_written_by_hand_is_canonical_json(fields: tuple[Any, ...], payload: dict[str, Any]) -> None:
    assert chain.hash_fields(*fields) == digest_document(dict(zip(chain.ENTRY_FIELDS, fields, strict=True)))
    text = canonical_json(payload).decode()
    assert chain.payload_digest("é", text) == digest_document({"salt": "é", "body": payload})


def test_a_payload_kept_as_the_first_homes_did_is_known_again(store: Store, key: Key) -> None:
    tamper(store, """UPDATE payloads SET body = '{"who": "\\u00e9l\\u00e8ve", "n": 8}' WHERE seq = 9""")
    assert verifying.verify(store, [], key.key.public_key()).sound


@pytest.mark.parametrize(
    "reason", ["\x00", "a\x00b", "\x01\x1f\x7f\x80", "\u2028\ufeff\uffff", "é\U0010ffff", '\\/"\b\f\t']
)
def test_an_entry_of_any_text_is_what_it_was(store: Store, key: Key, reason: str) -> None:
    with store.write(Event("ada", "researcher", "test.write", subject=reason, reason=reason, payload={"text": reason})):
        pass
    write(store, 1)
    assert verifying.verify(store, [], key.key.public_key()).sound


def test_time_never_runs_backwards_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "timestamp", lambda: "2001-01-01T00:00:00.000000Z")
    write(store, 1)
    with store.read() as connection:
        before, after = audit.entries(connection)[-2:]
    assert after.time == before.time
    assert after.payload is not None
    assert after.payload["clock_set_back"].startswith("2001")


def test_concurrent_writers_lose_nothing(store: Store, key: Key) -> None:
    def run(_: int) -> None:
        mine = Store.open(f"sqlite:///{store.path}", create=False)
        write(mine, 25)
        mine.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    verdict = verifying.verify(store, [], key.key.public_key())
    assert (verdict.sound, verdict.entries) == (True, 220)


def test_a_head_is_written_and_read_back(store: Store, key: Key, tmp_path: Path) -> None:
    head = audit.sign_head(store, key)
    audit.save_head(tmp_path / "head.json", head)
    assert audit.read_head(tmp_path / "head.json") == head


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"format": audit.HEAD_FORMAT})])
def test_what_is_no_head_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "head.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"head\.json"):
        audit.read_head(tmp_path / "head.json")

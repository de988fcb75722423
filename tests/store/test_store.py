"""The store: a change and its entry are one, a newer home is left alone, the revisions make the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, select

from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.store import documents, migrate
from workbench.store.chain import Event
from workbench.store.documents import State
from workbench.store.store import Store
from workbench.store.tables import audit, metadata

EVENT = {"actor": "ada", "role": "researcher", "verb": "test.write"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'app.sqlite'}", create=True)


def entries(store: Store) -> int:
    with store.read() as connection:
        return len(connection.execute(select(audit.c.seq)).all())


def test_a_change_and_its_entry_are_one(store: Store) -> None:
    with store.write(Event(**EVENT)) as write:
        digest = documents.put(write, "protocol", "p", {"a": 1})
    with store.read() as connection:
        found = documents.find(connection, digest)
    assert found is not None
    assert found.body == {"a": 1}
    assert entries(store) == 1


def test_a_failed_change_leaves_neither_document_nor_entry(store: Store) -> None:
    def fail() -> None:
        with store.write(Event(**EVENT)) as write:
            documents.put(write, "protocol", "p", {"a": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.read() as connection:
        assert documents.every(connection, "protocol") == []
    assert entries(store) == 0


def test_where_the_log_cannot_be_written_nothing_happens(store: Store) -> None:
    lock = sqlite3.connect(store.path, isolation_level=None)
    lock.execute("PRAGMA query_only = ON")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="not_writable"), store.write(Event(**EVENT)) as write:
        documents.put(write, "protocol", "p", {"a": 1})
    with store.read() as connection:
        assert documents.every(connection, "protocol") == []


def test_links_are_the_digests_that_a_document_names(store: Store) -> None:
    with store.write(Event(**EVENT)) as write:
        parent = documents.put(write, "protocol", "p", {"title": "first"})
        child = documents.put(
            write, "request", "r", {"protocol": parent, "tables": {"person": ["x"]}, "unknown": "0" * 64}
        )
    with store.read() as connection:
        assert [(path, document.digest) for path, document in documents.parents(connection, child)] == [
            ("protocol", parent)
        ]
        assert [document.id for _, document in documents.children(connection, parent)] == ["r"]


def test_find_takes_ids_digests_and_their_first_digits_but_refuses_what_fits_several(store: Store) -> None:
    with store.write(Event(**EVENT)) as write:
        digest = documents.put(write, "protocol", "p", {"a": 1})
    with store.read() as connection:
        assert {documents.find(connection, ref).digest for ref in ("p", digest, digest[:8])} == {digest}  # type: ignore[union-attr]
        assert documents.find(connection, digest[:7]) is None
        assert documents.find(connection, "%" * 8) is None


def test_a_digest_that_fits_two_documents_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter(["a" * 63 + "0", "a" * 63 + "1"])
    monkeypatch.setattr(documents, "identity", lambda _kind, _body: next(digests))
    with store.write(Event(**EVENT)) as write:
        documents.put(write, "protocol", "p", {"a": 1})
        documents.put(write, "protocol", "q", {"a": 2})
    with store.read() as connection, pytest.raises(InvalidInput, match="ambiguous"):
        documents.find(connection, "a" * 20)


def test_manifests_are_known_by_content_not_by_files() -> None:
    one = {"tables": [{"name": "person", "content_digest": "c", "files": [{"sha256": "1"}]}]}
    two = {"tables": [{"name": "person", "content_digest": "c", "files": [{"sha256": "2"}]}]}
    assert documents.identity("release", one) == documents.identity("release", two)
    assert documents.identity("protocol", one) == digest_document(one) != documents.identity("protocol", two)


def test_a_state_moves_and_keeps_its_document(store: Store) -> None:
    with store.write(Event(**EVENT)) as write:
        documents.set_state(write, State("request", "r", "d" * 64, "s", "checked", "2030-01-01", ""))
        documents.move_state(write, "request", "r", "approved")
    with store.read() as connection:
        state = documents.state(connection, "request", "r")
    assert state is not None
    assert (state.state, state.digest, state.expires_on) == ("approved", "d" * 64, "2030-01-01")


def test_revisions_make_exactly_the_tables(store: Store) -> None:
    with create_engine(f"sqlite:///{store.path}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_known_head_is_the_scripts_head() -> None:
    script = ScriptDirectory.from_config(migrate._config(Path("unused")))
    assert script.get_current_head() == migrate.HEAD


def test_a_home_of_a_newer_version_is_left_as_it_is(store: Store) -> None:
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    before = store.path.read_bytes()
    with pytest.raises(Unavailable, match="newer version") as error:
        Store.open(f"sqlite:///{store.path}", create=True)
    assert "9999" in str(error.value)
    assert store.path.read_bytes() == before


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.sqlite").write_text("not a database, but long enough to be taken for one" * 50)
    with pytest.raises(Unavailable, match="damaged"):
        Store.open(f"sqlite:///{tmp_path / 'app.sqlite'}", create=True)


@pytest.mark.parametrize("url", ["postgresql://host/db", "mysql://x"])
def test_another_database_is_refused_by_name(url: str) -> None:
    with pytest.raises(Unavailable, match=url.partition(":")[0]):
        Store.open(url, create=True)


def test_no_home_is_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no workbench"):
        Store.open(f"sqlite:///{tmp_path / 'absent' / 'app.sqlite'}", create=False)
    assert not (tmp_path / "absent").exists()

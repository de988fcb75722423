"""What stands for a release from which persons were erased: documents go on naming the one that they were made of."""

from __future__ import annotations

from sqlalchemy import Connection

from workbench.kernel.errors import Refused
from workbench.store import documents
from workbench.store.documents import Document, State
from workbench.store.store import Write

KIND = "erased"
"""The states, by the digest of a release that is no more, whose `digest` is the one that stands for it."""


def successor(connection: Connection, digest: str) -> str:
    """Return the digest of the release that stands for one now; its own where nobody was erased from it."""
    found = _known(connection)
    while digest in found:
        digest = found[digest]
    return digest


def successor_of(connection: Connection, digest: str) -> str | None:
    """Return the digest of the release that was put in the place of one; None where it stands for itself."""
    return _known(connection).get(digest)


def formers(connection: Connection, digest: str) -> frozenset[str]:
    """Return the digests of all releases for which one stands, its own among them."""
    found = _known(connection)
    result = {digest}
    while more := {old for old, new in found.items() if new in result} - result:
        result |= more
    return frozenset(result)


def first(connection: Connection, digest: str) -> str:
    """Return the digest of the release that was loaded, of which one is what erasures left; its own where none was."""
    before = {new: old for old, new in _known(connection).items()}
    while digest in before:
        digest = before[digest]
    return digest


def standing(connection: Connection, digest: str) -> Document | None:
    """Return the release that stands for one now; None where the digest names nothing."""
    return documents.find(connection, successor(connection, digest))


def erased(connection: Connection) -> list[State]:
    """Return the releases that are no more, the last first."""
    return documents.states_of(connection, KIND)


def check_stands(write: Write, digest: str) -> None:
    """Check, inside the writing transaction, that nobody was erased meanwhile from the release that something was made
    of. Raises `Refused` (`store.changed_meanwhile`)."""
    if successor(write.connection, digest) != digest:
        raise Refused("store.changed_meanwhile", id=digest[:12])


def replace(write: Write, old: str, new: str) -> None:
    """Record that a release stands for another from now on."""
    documents.set_state(write, State(KIND, old, new, None, "erased", None, ""))


def _known(connection: Connection) -> dict[str, str]:
    return {state.id: state.digest for state in erased(connection)}

"""Changes of an open study's protocol: proposed by a researcher of it, valid once an officer accepts their digest.

What was approved rests on the protocol that was read then. So accepting a change voids every approval and waiting
request of the study and closes its open extracts: what is still wanted is asked for again, under the new protocol.
Until then the former protocol is valid, and so is all that was approved under it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection

from workbench.governance import lifecycle
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.kernel.text import Lang, say
from workbench.services import concept_limits, ending
from workbench.services.context import Workbench, event
from workbench.store import documents
from workbench.store.chain import Event
from workbench.store.documents import State

AMENDMENT: Final = "amendment"
VERB: Final = "study.amend"
CONCEPTS: Final = "concepts"


@dataclass(frozen=True)
class Proposal:
    """A change of an open study's protocol that waits: the new protocol with its digest, who proposed it, and what it
    changes, as member → (before, after), None where a member comes or goes; a member of a member is `tables.person`.
    Of `concepts` it is always told by table: None is a table with every concept."""

    digest: str
    protocol: dict[str, Any]
    proposed_by: str
    proposed_at: str
    changes: dict[str, tuple[Any, Any]]


def proposal(connection: Connection, study: str, valid: Mapping[str, Any]) -> Proposal | None:
    """Return the change that waits for a decision on a study whose valid protocol is given; None where there is none.

    Whoever proposed a text first is its author for good, also where it is proposed again.
    """
    waiting = documents.state(connection, AMENDMENT, study)
    if waiting is None or waiting.state != "proposed":
        return None
    document = documents.find(connection, waiting.digest)
    assert document is not None
    return Proposal(
        document.digest, document.body, document.made_by, waiting.changed_at, _changes(valid, document.body)
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*before, *after}):
        old: Any = before.get(name)
        new: Any = after.get(name)
        if name == CONCEPTS and not above:
            old, new = old or {}, new or {}
        if isinstance(old, dict) and isinstance(new, dict):
            found |= _changes(cast("dict[str, Any]", old), cast("dict[str, Any]", new), f"{above}{name}.")
        elif old != new:
            found[f"{above}{name}"] = (old, new)
    return found


def in_words(
    wb: Workbench, actor: Actor, valid: Mapping[str, Any], change: Proposal, lang: Lang
) -> dict[str, tuple[str, str]]:
    """Return what a proposal changes of the valid protocol as people read it: member → (before, after), concepts by
    their names, a dash where a member comes or goes."""
    said = [
        concept_limits.in_words(wb, actor, each["release"], each.get(CONCEPTS, {}), lang)
        for each in (valid, change.protocol)
    ]
    every = say("governance.limit_every", lang)
    told: dict[str, tuple[str, str]] = {}
    for member, (before, after) in change.changes.items():
        above, _, table = member.partition(".")
        limits = above == CONCEPTS and table
        told[member] = (
            (said[0].get(table, every), said[1].get(table, every)) if limits else (_brief(before), _brief(after))
        )
    return told


def _brief(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def propose(wb: Workbench, actor: Actor, seen: State, document: Mapping[str, Any]) -> None:
    """Keep a change that was checked, in the place of one that waits. Raises `store.changed_meanwhile` where the study
    no longer stands as it was `seen`."""
    facts = {"study": seen.id, "subject": seen.id, "before": seen.digest}
    with wb.store.write(event(actor, VERB, **facts)) as write:
        documents.check_unchanged(write, seen, "study", seen.id)
        digest = write.event.after = documents.put(write, "protocol", seen.id, document, study=seen.id)
        documents.set_state(write, State(AMENDMENT, seen.id, digest, seen.id, "proposed", None, ""))


def accept(wb: Workbench, decided: Event, seen: State, waiting: Proposal, to: str) -> None:
    """Make a proposed protocol the valid one, leave its proposal in the state `to`, and void what was approved under
    the former one, each with its entry.

    `decided` is the decision's entry. Raises `store.changed_meanwhile`, `services.protocol_changed` where study or
    proposal stand otherwise than they were read.
    """
    with wb.store.write(decided) as write:
        documents.check_unchanged(write, seen, "study", seen.id)
        now = documents.state(write.connection, AMENDMENT, seen.id)
        if now is None or (now.digest, now.state) != (waiting.digest, "proposed"):
            raise Refused("services.protocol_changed", study=seen.id)
        write.event.before, write.event.after = seen.digest, waiting.digest
        write.event.payload["voided"] = ending.end_belongings(write, seen.id, VERB, "void")
        documents.move_state(write, AMENDMENT, seen.id, to)
        ends_on = waiting.protocol.get("ends_on")
        documents.set_state(write, State("study", seen.id, waiting.digest, seen.id, seen.state, ends_on, ""))


def withdraw(wb: Workbench, actor: Actor, seen: State, reason: str) -> None:
    """Take a change back that waits, as a researcher of the study. Raises `governance.reason_needed`."""
    to = lifecycle.check_transition(AMENDMENT, "proposed", "withdraw", actor.role, reason)
    facts = {"study": seen.study, "subject": seen.id, "before": seen.digest, "reason": reason}
    with wb.store.write(event(actor, "study.abandon", **facts)) as write:
        documents.check_unchanged(write, seen, AMENDMENT, seen.id)
        documents.move_state(write, AMENDMENT, seen.id, to)

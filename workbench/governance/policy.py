"""The table of verbs and roles. What is not in the table is denied.

Each `check_x` raises where its `can_x` answers no; pages, command line and notebooks call the same two.
Reading an extract has two verbs: `extract.read` is its manifest and risk report, `extract.open` its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import Refused

_RESEARCHER = Role.RESEARCHER
_SCIENTIST = Role.DATA_SCIENTIST
_OFFICER = Role.ETHICS_OFFICER
_STEWARD = Role.DATA_STEWARD
_ALL = frozenset(Role)
_STUDY = frozenset({_RESEARCHER, _SCIENTIST})
_READERS = frozenset({_RESEARCHER, _SCIENTIST, _OFFICER})

ALLOWED: Final[Mapping[str, frozenset[Role]]] = {
    "release.load": frozenset({_STEWARD}),
    "release.read": _ALL,
    "release.verify": _ALL,
    "release.check": frozenset({_STEWARD}),
    "release.catalogue": frozenset({_STEWARD}),
    "release.retire": frozenset({_STEWARD}),
    "concept.read": _ALL,
    "cohort.count": _STUDY,
    "cohort.generate": _STUDY,
    "cohort.read": _READERS,
    "cohort.diagnose": _STUDY,
    "cohort.why": _STUDY,
    "study.create": frozenset({_RESEARCHER}),
    "study.amend": frozenset({_RESEARCHER}),
    "study.open": frozenset({_OFFICER}),
    "study.close": frozenset({_OFFICER}),
    "study.abandon": frozenset({_RESEARCHER}),
    "study.register": frozenset({_OFFICER}),
    "study.read": _READERS,
    "request.create": frozenset({_RESEARCHER}),
    "request.withdraw": frozenset({_RESEARCHER}),
    "request.read": _READERS,
    "request.review": frozenset({_OFFICER}),
    "request.decide": frozenset({_OFFICER}),
    "extract.run": frozenset({_RESEARCHER}),
    "extract.read": _READERS,
    "extract.open": _STUDY,
    "extract.refresh": frozenset({_RESEARCHER}),
    "extract.meds": _STUDY,
    "extract.take": _STUDY,
    "extract.revoke": frozenset({_OFFICER}),
    "features.build": frozenset({_SCIENTIST}),
    "model.train": frozenset({_SCIENTIST}),
    "model.read": _READERS,
    "output.check": _STUDY,
    "output.request": _STUDY,
    "output.withdraw": _STUDY,
    "output.read": _READERS,
    "output.preview": _READERS,
    "output.decide": frozenset({_OFFICER}),
    "output.download": _STUDY,
    "finding.report": _STUDY,
    "finding.read": _ALL,
    "finding.open": frozenset({_OFFICER}),
    "finding.decide": frozenset({_OFFICER}),
    "finding.deliver": frozenset({_STEWARD}),
    "audit.read": frozenset({_OFFICER}),
    "alert.read": frozenset({_OFFICER}),
    "audit.verify": _ALL,
    "audit.restart": frozenset({_OFFICER}),
    "audit.forget": frozenset({_OFFICER}),
    "audit.export": frozenset({_OFFICER, _STEWARD}),
    "audit.evidence": frozenset({_OFFICER}),
    "trace.read": _ALL,
    "key.read": frozenset({_OFFICER}),
    "key.rotate": frozenset({_OFFICER}),
    "key.destroy": frozenset({_OFFICER}),
    "optout.add": frozenset({_OFFICER, _STEWARD}),
    "optout.withdraw": frozenset({_OFFICER, _STEWARD}),
    "optout.read": frozenset({_OFFICER, _STEWARD}),
    "user.close": frozenset({_OFFICER, _STEWARD}),
    "user.manage": frozenset({_STEWARD}),
    "user.review": frozenset({_OFFICER}),
    "doctor.run": _ALL,
}
"""Verb → roles. Who loads data and manages users decides on no request; who decides opens no rows."""


def can(actor: Actor, verb: str) -> bool:
    """Answer whether the actor's role may do this verb at all; an unknown verb is denied."""
    return actor.role in ALLOWED.get(verb, frozenset())


def check(actor: Actor, verb: str) -> None:
    """Raise `Refused` (`governance.not_allowed`) where `can` answers no."""
    if not can(actor, verb):
        raise Refused("governance.not_allowed", name=actor.display, role=actor.role.value, verb=verb)


def is_member(actor: Actor, protocol: Mapping[str, Any]) -> bool:
    """Answer whether the protocol names this person in this role among its members."""
    return any(entry["user"] == actor.name and entry["role"] == actor.role for entry in protocol["members"])


def can_see_study(actor: Actor, protocol: Mapping[str, Any]) -> bool:
    """Answer whether the actor may know of this study: its members and every ethics officer."""
    return actor.role is _OFFICER or (actor.role in _STUDY and is_member(actor, protocol))


def check_member(actor: Actor, protocol: Mapping[str, Any]) -> None:
    """Raise `Refused` (`governance.not_member`) where `can_see_study` answers no.

    It opens the study's documents. Rows need `check(actor, "extract.open")` too, which no officer passes.
    """
    if not can_see_study(actor, protocol):
        raise Refused("governance.not_member", name=actor.display, study=protocol["study"])


def can_review(requester: str, reviewer: str) -> bool:
    """Answer whether the reviewer is another person than the requester; both are user names, case is ignored."""
    return requester.strip().casefold() != reviewer.strip().casefold()


def check_other_person(requester: str, reviewer: str) -> None:
    """Raise `Refused` (`governance.self_approval`) where a request would be decided by the person who filed it."""
    if not can_review(requester, reviewer):
        raise Refused("governance.self_approval", name=reviewer)

"""Who acts: a named person in one role. Every service verb takes an `Actor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The four roles of the workbench; a person acts in one at a time."""

    RESEARCHER = "researcher"
    DATA_SCIENTIST = "data_scientist"
    ETHICS_OFFICER = "ethics_officer"
    DATA_STEWARD = "data_steward"


@dataclass(frozen=True)
class Actor:
    """A signed-in person: `name` is the user's stable name in the store, `display` what pages show."""

    name: str
    role: Role
    display: str

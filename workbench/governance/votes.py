"""Votes of committees, as a decision records them: which committee, what it voted, on which day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workbench.governance.protocols import check_day
from workbench.kernel.errors import InvalidInput

VOTES: Final = ("favourable", "with_conditions", "unfavourable")
"""What a committee can vote. None of them decides by itself: a person does, with a reason."""

OPINIONS: Final = ("committee_vote", "cpp_opinion", "cesrees_opinion", "cnil_decision")
"""The fields of a legal basis that hold what a committee or an authority said of the study itself."""


def read_vote(text: str) -> dict[str, str]:
    """Return a vote written as `COMMITTEE:VOTE:DAY`, such as `CSE:favourable:2026-10-01`, as the approval keeps it.

    Raises `InvalidInput`: `governance.vote_form`, `governance.not_a_day`.
    """
    committee, vote, day = (part.strip() for part in ("::" + text).rsplit(":", 2))
    committee = committee.removeprefix("::")
    if not committee or vote not in VOTES or not day:
        raise InvalidInput("governance.vote_form", votes=", ".join(VOTES))
    check_day(day)
    return {"committee": committee, "vote": vote, "day": day}


def read_votes(texts: Iterable[str]) -> list[dict[str, str]]:
    """Return votes in the order given; raises as `read_vote`."""
    return [read_vote(text) for text in texts]

"""Votes of committees, as a decision records them: which committee, what it voted, on which day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workbench.governance.protocols import check_day
from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import LANGS, say

VOTES: Final = ("favourable", "with_conditions", "unfavourable")
"""What a committee can vote. None of them decides by itself: a person does, with a reason."""

_WORDS: Final = {say(f"governance.vote_{vote}", lang): vote for vote in VOTES for lang in LANGS}

OPINIONS: Final = ("committee_vote", "cpp_opinion", "cesrees_opinion", "cnil_decision")
"""The fields of a legal basis that hold what a committee or an authority said of the study itself."""


def read_vote(text: str) -> dict[str, str]:
    """Return a vote written as `COMMITTEE:VOTE:DAY`, such as `CSE:favourable:2026-10-01`, as the approval keeps it.

    The vote may be written in the words that pages show, of either language. Raises `InvalidInput`:
    `governance.vote_form`, `governance.not_a_day`.
    """
    committee, vote, day = (part.strip() for part in ("::" + text).rsplit(":", 2))
    committee = committee.removeprefix("::")
    vote = _WORDS.get(vote.casefold(), vote)
    if not committee or vote not in VOTES or not day:
        raise InvalidInput("governance.vote_form", votes=", ".join(VOTES))
    check_day(day)
    return {"committee": committee, "vote": vote, "day": day}


def read_votes(texts: Iterable[str]) -> list[dict[str, str]]:
    """Return votes in the order given; raises as `read_vote`."""
    return [read_vote(text) for text in texts]

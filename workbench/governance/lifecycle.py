"""The life cycles of a study, of a change of its protocol, of a request, an output and a finding, as data: states,
transitions, one owner each.

The diagram in the docs is drawn from these tables. A request that was sent back or voided is not edited: a
corrected one is filed, with its own digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workbench.governance.actors import Role
from workbench.kernel.errors import Refused, Word
from workbench.kernel.text import Lang, say

Kind = Literal["study", "amendment", "request", "output", "finding"]
Owner = Role | Literal["workbench", "requester"]


@dataclass(frozen=True)
class Transition:
    """One step: `owner` does it (`workbench` = done automatically, `requester` = who filed it), `reason` says whether
    one must be written."""

    name: str
    source: str
    target: str
    owner: Owner
    reason: bool


@dataclass(frozen=True)
class LifeCycle:
    """One kind's states, the first being where it starts, and its transitions."""

    states: tuple[str, ...]
    transitions: tuple[Transition, ...]

    @property
    def initial(self) -> str:
        """The state in which a new object starts."""
        return self.states[0]


_RESEARCHER, _OFFICER = Role.RESEARCHER, Role.ETHICS_OFFICER

LIFE_CYCLES: Final[Mapping[Kind, LifeCycle]] = {
    "study": LifeCycle(
        states=("draft", "open", "closed", "expired", "purged"),
        transitions=(
            Transition("open", "draft", "open", _OFFICER, reason=True),
            Transition("close", "open", "closed", _OFFICER, reason=True),
            Transition("abandon", "draft", "closed", _RESEARCHER, reason=True),
            Transition("expire", "open", "expired", "workbench", reason=False),
            Transition("purge", "closed", "purged", "workbench", reason=False),
            Transition("purge", "expired", "purged", "workbench", reason=False),
        ),
    ),
    "amendment": LifeCycle(
        states=("proposed", "accepted", "withdrawn"),
        transitions=(
            Transition("accept", "proposed", "accepted", _OFFICER, reason=True),
            Transition("withdraw", "proposed", "withdrawn", _RESEARCHER, reason=True),
        ),
    ),
    "request": LifeCycle(
        states=(
            "filed",
            "checked",
            "approved",
            "refused",
            "sent_back",
            "run",
            "withdrawn",
            "voided",
            "expired",
            "revoked",
        ),
        transitions=(
            Transition("pass_checks", "filed", "checked", "workbench", reason=False),
            Transition("fail_checks", "filed", "sent_back", "workbench", reason=True),
            Transition("approve", "checked", "approved", _OFFICER, reason=True),
            Transition("refuse", "checked", "refused", _OFFICER, reason=True),
            Transition("send_back", "checked", "sent_back", _OFFICER, reason=True),
            Transition("withdraw", "filed", "withdrawn", _RESEARCHER, reason=False),
            Transition("withdraw", "checked", "withdrawn", _RESEARCHER, reason=False),
            Transition("run", "approved", "run", _RESEARCHER, reason=False),
            Transition("void", "checked", "voided", "workbench", reason=True),
            Transition("void", "approved", "voided", "workbench", reason=True),
            Transition("void", "run", "voided", "workbench", reason=True),
            Transition("expire", "checked", "expired", "workbench", reason=False),
            Transition("expire", "approved", "expired", "workbench", reason=False),
            Transition("expire", "run", "expired", "workbench", reason=False),
            Transition("refresh", "run", "run", _RESEARCHER, reason=False),
            Transition("renew", "run", "approved", _OFFICER, reason=True),
            Transition("revoke", "approved", "revoked", _OFFICER, reason=True),
            Transition("revoke", "run", "revoked", _OFFICER, reason=True),
        ),
    ),
    "output": LifeCycle(
        states=("filed", "checked", "to_review", "released", "refused", "sent_back", "withdrawn", "recalled"),
        transitions=(
            Transition("pass_checks", "filed", "checked", "workbench", reason=False),
            Transition("doubt_checks", "filed", "to_review", "workbench", reason=True),
            Transition("fail_checks", "filed", "sent_back", "workbench", reason=True),
            *(
                step
                for state in ("checked", "to_review")
                for step in (
                    Transition("release", state, "released", _OFFICER, reason=True),
                    Transition("refuse", state, "refused", _OFFICER, reason=True),
                    Transition("send_back", state, "sent_back", _OFFICER, reason=True),
                    Transition("withdraw", state, "withdrawn", "requester", reason=False),
                )
            ),
            Transition("recall", "released", "recalled", _OFFICER, reason=True),
        ),
    ),
    "finding": LifeCycle(
        states=("reported", "accepted", "refused", "delivered"),
        transitions=(
            Transition("accept", "reported", "accepted", _OFFICER, reason=True),
            Transition("refuse", "reported", "refused", _OFFICER, reason=True),
            Transition("deliver", "accepted", "delivered", Role.DATA_STEWARD, reason=False),
            Transition("deliver", "delivered", "delivered", Role.DATA_STEWARD, reason=False),
        ),
    ),
}


def find(kind: Kind, state: str, transition: str) -> Transition:
    """Return the transition of this name that leaves this state; `Refused` (`governance.wrong_state`) if none does."""
    for step in LIFE_CYCLES[kind].transitions:
        if step.source == state and step.name == transition:
            return step
    facts = {"kind": _word("thing", kind), "state": _word("state", state), "transition": _word("step", transition)}
    raise Refused("governance.wrong_state", **facts)


def next_state(kind: Kind, state: str, transition: str) -> str:
    """Return the state that this transition leads to; `Refused` (`governance.wrong_state`) if it cannot leave here."""
    return find(kind, state, transition).target


def check_transition(kind: Kind, state: str, transition: str, owner: Owner, reason: str = "") -> str:
    """Check state, owner and reason of a step and return the state it leads to.

    Raises `Refused`: `governance.wrong_state`, `governance.not_owner`, `governance.reason_needed`.
    """
    step = find(kind, state, transition)
    if step.owner != owner:
        facts = {
            "transition": _word("step", transition),
            "owner": _word("role", step.owner),
            "role": _word("role", owner),
        }
        raise Refused("governance.not_owner", **facts)
    if step.reason and not reason.strip():
        raise Refused("governance.reason_needed", transition=transition)
    return step.target


def _word(family: str, code: str) -> Word:
    return Word(f"governance.{family}_{code}")


def mermaid(kind: Kind, lang: Lang) -> str:
    """Return the life cycle as a Mermaid state diagram, its words in one language; the docs hold this text."""
    cycle = LIFE_CYCLES[kind]
    targets = {step.source for step in cycle.transitions}
    names = [f'    state "{say(f"governance.state_{state}", lang)}" as {state}' for state in cycle.states]
    steps = [
        f"    {step.source} --> {step.target} : "
        f"{say(f'governance.step_{step.name}', lang)} ({say(f'governance.role_{step.owner}', lang)})"
        for step in cycle.transitions
    ]
    ends = [f"    {state} --> [*]" for state in cycle.states if state not in targets]
    return "\n".join(["stateDiagram-v2", *names, f"    [*] --> {cycle.initial}", *steps, *ends]) + "\n"

"""A study's keys as its officer sees them: what is there, what hangs on each, renewing and destroying them.

To destroy is to name the digest of what is destroyed, read just before: it covers the secret's commitment, the protocol
and every extract that closes, so that a decision on what was read cannot hit something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection

from workbench.governance import proofs
from workbench.governance.actors import Actor
from workbench.governance.keys import Secret
from workbench.governance.proofs import Proof
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import Refused, Unavailable
from workbench.services import ending, key_deeds, studies
from workbench.services.context import Workbench, acting, event
from workbench.services.key_deeds import DESTROY, MASTER, RENEW
from workbench.store import documents
from workbench.store.documents import State
from workbench.store.store import Write

KeyState = Literal["none", "whole", "missing", "damaged", "destroyed"]


@dataclass(frozen=True)
class KeyView:
    """One secret of a study. `state`: none (not made yet), whole, missing, damaged or destroyed; `renewals` how often
    it was renewed; `closes` the extracts that nobody can open without it; `digest` names all of it."""

    study: str
    secret: Secret
    state: KeyState
    renewals: int
    closes: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class MasterView:
    """The master key after it was renewed: the mark by which the log knows it, and that of the former one."""

    id: str
    digest: str
    state: str
    former: str


def show_keys(wb: Workbench, actor: Actor, study: str) -> tuple[KeyView, ...]:
    """Return both secrets of a study as they are now; raises `store.no_document`."""
    with acting(wb, actor, "key.read", study=study):
        studies.show_study(wb, actor, study)
        with wb.store.read() as connection:
            return tuple(_view(wb, connection, study, which) for which in get_args(Secret))


def show_key(wb: Workbench, actor: Actor, study: str, which: Secret) -> KeyView:
    """Return one secret of a study; raises `store.no_document`."""
    return next(view for view in show_keys(wb, actor, study) if view.secret == which)


def data_key_state(wb: Workbench, actor: Actor, study: str) -> KeyState:
    """Return how the key of a study's files is, for whoever may read about its extracts."""
    with acting(wb, actor, "extract.read", study=study):
        studies.show_study(wb, actor, study)
        with wb.store.read() as connection:
            return _view(wb, connection, study, "data").state


def _view(wb: Workbench, connection: Connection, study: str, which: Secret) -> KeyView:
    protocol = documents.state(connection, "study", study)
    condition = wb.keys.condition(study, which)
    open_ones = _open_ones(connection, study)
    state: KeyState = condition
    if condition == "none" and open_ones:
        state = "missing"
    elif condition == "none" and which == "pseudonym" and wb.keys.renewals(study):
        state = "whole"  # the next extract makes another one; the former ones are there
    facts: dict[str, Any] = {
        "study": study,
        "secret": which,
        "state": state,
        "protocol": protocol.digest if protocol else None,
        "commitments": wb.keys.commitments(study, which) if state == "whole" else [],
        "closes": sorted(each.digest for each in open_ones),
    }
    ids = tuple(sorted(each.id for each in open_ones))
    return KeyView(study, which, state, wb.keys.renewals(study), ids, digest_document(facts))


def destroy_key(
    wb: Workbench, actor: Actor, study: str, which: Secret, *, digest: str, reason: str, proof: Proof | None = None
) -> KeyView:
    """Destroy a study's secret for good; whatever was made under it closes, and the study can make nothing more.

    Without the pseudonym secret an opposition finds nobody any more in what was made, so the data secret goes with it.
    Raises `governance.reason_needed`, `services.key_changed` where `digest` is not the view's, `services.no_key` where
    there is nothing to destroy. `proof` says how the officer authenticated for it (`governance.proofs.authentication`,
    whose errors are raised).
    """
    with acting(wb, actor, "key.destroy", study=study):
        view = _judged(wb, actor, study, which, digest, reason, "destroy")
        both: tuple[Secret, ...] = ("data", "pseudonym") if which == "pseudonym" else ("data",)
        with wb.store.write(_decision(wb, actor, "key.destroy", view, reason, proof)) as write:
            _check_unchanged(wb, write, view)
            ending.move_each(write, _open_ones(write.connection, study), "revoke", "revoked", reason)
            ending.move_each(write, ending.granted(write, study), "revoke", "revoked", reason)
            for each in both:
                key_deeds.decide(write, study, DESTROY, each, digest)
        key_deeds.carry_out(wb, event(actor, "key.destroy"))
    return show_key(wb, actor, study, which)


def rotate_keys(
    wb: Workbench, actor: Actor, study: str, *, digest: str, reason: str, proof: Proof | None = None
) -> KeyView:
    """Renew both secrets of a study: extracts made before close and their data secret is destroyed; their requests are
    approved again, to be made anew under other pseudonyms. The former pseudonym secret stays until retention ends.

    `digest` is that of the data secret's view: it is what is destroyed. Proved and refused as `destroy_key`,
    and raises what `KeyRing.study_secrets` raises where one is missing, damaged or destroyed.
    """
    with acting(wb, actor, "key.rotate", study=study):
        view = _judged(wb, actor, study, "data", digest, reason, "renew")
        wb.keys.study_secrets(study)
        with wb.store.write(_decision(wb, actor, "key.rotate", view, reason, proof)) as write:
            _check_unchanged(wb, write, view)
            made = [s for s in ending.granted(write, study) if s.state == "run" and _is_open(write, s)]
            ending.move_each(write, made, "renew", "approved", reason)
            ending.move_each(write, _open_ones(write.connection, study), "renew", "renewed", reason)
            number = key_deeds.renewals(write.connection, study) + 1
            key_deeds.decide(write, study, RENEW, str(number), digest)
        key_deeds.carry_out(wb, event(actor, "key.rotate"))
    return show_key(wb, actor, study, "data")


def rotate_master(wb: Workbench, actor: Actor, *, reason: str) -> MasterView:
    """Renew the master key: every study's secrets are wrapped anew, and none changes; whatever is open stays so.

    Raises `governance.reason_needed`; `governance.keys_damaged` where a secret cannot be unwrapped, and as
    `KeyRing.next_master` where a vault is to give the new one: nothing changes.
    """
    with acting(wb, actor, "key.rotate", subject=MASTER):
        if not reason.strip():
            raise Refused("governance.reason_needed", transition="renew")
        former = wb.keys.master_mark()
        wb.keys.next_master()
        decided = event(actor, "key.rotate", subject=MASTER, before=former, outcome="intent", reason=reason)
        # Where a provider vouches for people, only its own word says when somebody authenticated.
        decided.payload = {} if wb.settings.openid else {"auth_time": clock.timestamp()}
        with wb.store.write(decided) as write:
            key_deeds.decide(write, None, RENEW, former[:12], former)
        key_deeds.carry_out(wb, event(actor, "key.rotate"))
        return MasterView(MASTER, wb.keys.master_mark(), "renewed", former)


def _judged(
    wb: Workbench, actor: Actor, study: str, which: Secret, digest: str, reason: str, step: str
) -> KeyView:  # fmt: skip
    view = show_key(wb, actor, study, which)
    if not reason.strip():
        raise Refused("governance.reason_needed", transition=step)
    if view.state == "destroyed":
        raise Unavailable("governance.secret_destroyed", study=study)
    if view.state == "none":
        raise Refused("services.no_key", study=study)
    if digest != view.digest:
        raise Refused("services.key_changed", study=study)
    return view


def _decision(wb: Workbench, actor: Actor, verb: str, view: KeyView, reason: str, proof: Proof | None) -> Any:
    decided = {"secret": view.secret, "digest": view.digest, "reason": reason}
    proved = proofs.authentication(wb.settings.openid, actor, verb, decided, proof)
    facts = {"study": view.study, "subject": view.study, "before": view.digest, "reason": reason, "outcome": "intent"}
    payload = {"secret": view.secret, "closes": list(view.closes), **proved}
    return event(actor, verb, **facts, payload=payload)


def _check_unchanged(wb: Workbench, write: Write, view: KeyView) -> None:
    if _view(wb, write.connection, view.study, view.secret).digest != view.digest:
        raise Refused("services.key_changed", study=view.study)


def _open_ones(connection: Connection, study: str) -> list[State]:
    return [s for s in documents.states_of(connection, "extract") if s.study == study and s.state == "open"]


def _is_open(write: Write, request: State) -> bool:
    """Answer whether an extract of a request is open."""
    made = [child for _, child in documents.children(write.connection, request.digest) if child.kind == "extract"]
    states = [documents.state(write.connection, "extract", each.id) for each in made]
    return any(state is not None and state.state == "open" for state in states)

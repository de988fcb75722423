"""Signing in by the hospital's provider, and proving once more who one is at the moment of a decision.

The authorization code flow with PKCE (RFC 7636), a state and a nonce, each used once. Where a decision is proved, the
nonce commits to the decision's digest: the provider's signed answer holds for that decision and no other. Roles come
from the home's accounts, never from a token; tokens are read and dropped here.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from workbench.governance.actors import Actor
from workbench.governance.openid import LEEWAY, Identity, LoggedOut, read_id_token, read_logout_token
from workbench.governance.proofs import MINUTES, Proof, noted
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import Refused
from workbench.services import people
from workbench.services.context import Workbench
from workbench.services.key_deeds import SYSTEM
from workbench.services.provider import Provider
from workbench.store.chain import Event

RETURN: Final = "/connexion/retour"
"""Where the provider sends browsers back to; the address to declare there, after the app's own."""
log = logging.getLogger("workbench.signin")


@dataclass(frozen=True)
class Flow:
    """One way to the provider and back, kept by the app: `began` in seconds since 1970; `about` the digest of the
    decision to be proved and `by` the subject who has to come back, both None where somebody signs in."""

    state: str
    nonce: str
    verifier: str
    began: int
    about: str | None = None
    by: str | None = None

    @property
    def over(self) -> bool:
        """Whether it took too long."""
        return clock.now().timestamp() - self.began > MINUTES * 60


def begin(provider: Provider, lang: str, about: str | None = None, by: str | None = None) -> tuple[Flow, str]:
    """Return a new flow and the provider's address to send the browser to.

    Signing in asks for an authentication no older than the settings say; proving a decision asks for a new one.
    """
    salt, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    nonce = salt if about is None else digest_document({"about": about, "salt": salt})
    flow = Flow(secrets.token_urlsafe(32), nonce, verifier, int(clock.now().timestamp()), about, by)
    settings = provider.settings
    fresh = {"max_age": str(settings.max_age)} if about is None else {"max_age": "0", "prompt": "login"}
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    address = provider.asking(
        redirect_uri=settings.public_url + RETURN, state=flow.state, nonce=nonce, code_challenge=challenge,
        code_challenge_method="S256", acr_values=" ".join(settings.acr), ui_locales=lang, **fresh,
    )  # fmt: skip
    return flow, address


def sign_in(wb: Workbench, provider: Provider, flow: Flow, said: Mapping[str, str]) -> Identity:
    """Return who came back from the provider, with an entry in the log; `said` is what the returning address holds.

    Raises `Refused`, logged where the provider vouched for somebody: `signin.not_a_user` and what `_identity` raises.
    """
    try:
        found = _identity(provider, flow, said, since=flow.began - provider.settings.max_age - LEEWAY)
        _check_account(wb, found)
        people.sign_in(wb, found.name, noted(provider.settings, found.auth_time, found.acr))
    except Refused as error:
        _deny(wb, error)
        raise
    return found


def prove(wb: Workbench, provider: Provider, flow: Flow, said: Mapping[str, str], actor: Actor) -> Proof:
    """Return the proof that the actor just authenticated on the decision that the flow names.

    Raises `Refused`, logged as the actor's: `signin.other_person` where somebody else came back, and what `_identity`
    raises.
    """
    assert flow.about is not None
    try:
        found = _identity(provider, flow, said, since=flow.began)
        _check_same(found, actor, flow)
    except Refused as error:
        _deny(wb, error, actor)
        raise
    return Proof(actor.name, flow.about, flow.began, found.auth_time, found.acr)


def _check_account(wb: Workbench, found: Identity) -> None:
    if found.name not in {person.name for person in people.people(wb) if not person.closed}:
        raise Refused("signin.not_a_user", name=found.name)


def _check_same(found: Identity, actor: Actor, flow: Flow) -> None:
    """Check that who came back is who left: by the account, and by the provider's own lasting name for the person."""
    if found.name != actor.name or found.subject != flow.by:
        raise Refused("signin.other_person", name=actor.name, came=found.name)


def _identity(provider: Provider, flow: Flow, said: Mapping[str, str], *, since: int) -> Identity:
    """Return whom the provider authenticated; raises `Refused`: `signin.late`, `signin.provider_says_no`,
    `signin.code_refused`, and what `read_id_token` raises."""
    settings = provider.settings
    if flow.over:
        raise Refused("signin.late")
    issuer = said.get("iss")
    if issuer != settings.issuer and (issuer is not None or provider.discovery().names_issuer):
        raise Refused("signin.token", check="iss")
    if "error" in said or not said.get("code"):
        raise Refused("signin.provider_says_no")
    token = provider.id_token(said["code"], flow.verifier, settings.public_url + RETURN)
    now = int(clock.now().timestamp())
    try:
        return read_id_token(token, provider.keys(), settings, nonce=flow.nonce, since=since, now=now)
    except Refused as error:
        if error.facts.get("check") != "signature":
            raise
    # The provider may have changed its keys since they were read.
    return read_id_token(token, provider.keys(anew=True), settings, nonce=flow.nonce, since=since, now=now)


class Logouts:
    """The logout tokens that came: each counts once, and is remembered as long as it could be believed."""

    def __init__(self) -> None:
        self._until: dict[str, int] = {}
        self._lock = threading.Lock()

    def check_first(self, told: LoggedOut) -> None:
        """Remember a token; raises `Refused` (`signin.token`) where it came before."""
        now = int(clock.now().timestamp())
        with self._lock:
            self._until = {jti: until for jti, until in self._until.items() if until >= now}
            if told.jti in self._until:
                raise Refused("signin.token", check="jti")
            self._until[told.jti] = told.until


def logged_out(wb: Workbench, provider: Provider, token: str, before: Logouts) -> LoggedOut:
    """Return what the provider's own call says of sessions that ended there.

    Raises `Refused` (`signin.token`) for a token that is not the provider's, not for us, too old or not a logout, and
    for one that came before; logged where the provider signed it. `Unavailable` where its keys cannot be had.
    """
    try:
        told = _believed(provider, token)
        before.check_first(told)
    except Refused as error:
        _deny(wb, error, verb=END)
        raise
    return told


def _believed(provider: Provider, token: str) -> LoggedOut:
    now = int(clock.now().timestamp())
    try:
        return read_logout_token(token, provider.keys(), provider.settings, now=now)
    except Refused as error:
        if error.facts.get("check") != "signature":
            raise
    return read_logout_token(token, provider.keys(anew=True), provider.settings, now=now)


def note_ended(wb: Workbench, names: Iterable[str]) -> None:
    """Write to the log whose sessions the provider ended."""
    for name in names:
        with wb.store.write(Event(SYSTEM, SYSTEM, END, subject=name)):
            pass
    wb.seal()


END: Final = "session.close"
UNSIGNED: Final = frozenset({"signin.late", "signin.provider_says_no", "signin.code_refused"})
"""Refusals behind which no provider stands: anybody on the network can cause them, and must not fill the log."""


def _deny(wb: Workbench, error: Refused, actor: Actor | None = None, verb: str = "session.open") -> None:
    if actor is None and (error.code in UNSIGNED or error.facts.get("check") in {"signature", "keys"}):
        log.warning("sign-in refused: %s", error.code)
        return
    who = (actor.name, actor.role.value, "session.prove") if actor else (SYSTEM, SYSTEM, verb)
    facts = {name: str(value) for name, value in error.facts.items()}
    subject = actor.name if actor else facts.get("name")
    with wb.store.write(Event(*who, subject=subject, outcome="denied", reason=error.code, payload=facts)):
        pass
    wb.seal()

"""The proof that who decides just authenticated again, on exactly what is decided (governance.md, Audit).

To approve is to re-authenticate on a digest; it is not called an electronic signature. Where people sign in by the
hospital's provider, a decision without such a proof is not recorded. Where the operating system's user or the person
of a demonstration acts, the log keeps the moment of the decision alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from workbench.governance.actors import Actor
from workbench.kernel import clock
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import Refused, Unavailable
from workbench.kernel.openid import OpenId
from workbench.kernel.text import Lang, say

MINUTES: Final = 10
"""How long a person has from pressing the button to coming back."""
NEEDED: Final = "signin.proof_needed"


@dataclass(frozen=True)
class Proof:
    """`name` authenticated at `auth_time` (seconds since 1970) at level `acr`, asked to at `asked` for `about`."""

    name: str
    about: str
    asked: int
    auth_time: int
    acr: str


def about(verb: str, document: Mapping[str, Any]) -> str:
    """Return the digest of a decision: the verb and all that it says, digests of what is decided on included."""
    return digest_document({"verb": verb, "document": dict(document)})


def authentication(
    openid: OpenId | None, actor: Actor, verb: str, document: Mapping[str, Any], proof: Proof | None
) -> dict[str, Any]:
    """Return what the log keeps of the authentication behind a decision: `auth_time`, and by a provider `acr` and
    `issuer`.

    Raises `Unavailable` (`signin.proof_needed`, whose fact `about` names what has to be proved) where a provider is
    set and no proof given; `Refused`: `signin.other_person`, `signin.other_decision`, `signin.too_weak`,
    `signin.too_old`.
    """
    if openid is None:
        return {"auth_time": clock.timestamp()}
    wanted = about(verb, document)
    if proof is None:
        raise Unavailable(NEEDED, about=wanted)
    if proof.name != actor.name:
        raise Refused("signin.other_person", name=actor.name, came=proof.name)
    if proof.about != wanted:
        raise Refused("signin.other_decision")
    if proof.acr not in openid.acr:
        raise Refused("signin.too_weak", name=actor.name, levels=", ".join(openid.acr))
    if proof.auth_time < proof.asked or clock.now().timestamp() - proof.asked > MINUTES * 60:
        raise Refused("signin.too_old", name=actor.name)
    return noted(openid, proof.auth_time, proof.acr)


def noted(openid: OpenId, auth_time: int, acr: str) -> dict[str, Any]:
    """Return what the log keeps of an authentication by the provider."""
    return {"auth_time": clock.written(datetime.fromtimestamp(auth_time, UTC)), "acr": acr, "issuer": openid.issuer}


def told(noted: Mapping[str, Any], lang: Lang) -> str | None:
    """Return what the log keeps of an authentication as a sentence, None where no provider vouched for it."""
    if "acr" not in noted:
        return None
    when = str(noted["auth_time"])[:16].replace("T", " ")
    return say("signin.proved", lang, when=when, acr=noted["acr"], issuer=noted["issuer"])

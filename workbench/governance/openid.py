"""What an ID token must say before anybody is let in by it (OpenID Connect Core 1.0, sections 2, 3.1.3.7 and 5.5.1.1).

Nothing here speaks to the provider: a token, the provider's keys and what was asked of it come in, an identity or a
refusal goes out. Only signatures by the provider's own public keys count, never the token's word on how it is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from workbench.kernel.errors import Refused
from workbench.kernel.openid import OpenId

ALGORITHMS: Final = ("RS256", "ES256")
LEEWAY: Final = 30
"""Seconds by which two clocks of one hospital may differ."""
LONGEST_NAME: Final = 200
LONGEST_TOKEN: Final = 20_000


@dataclass(frozen=True)
class Identity:
    """Who the provider says it authenticated: its own `subject`, the account's `name`, when (seconds since 1970, UTC),
    and at which level."""

    subject: str
    name: str
    auth_time: int
    acr: str
    sid: str = ""


@dataclass(frozen=True)
class LoggedOut:
    """What a logout token says: whose session ended at the provider, all of the `subject`'s where `sid` is empty.
    `jti` names the token, so that it counts once, until `until` (seconds since 1970)."""

    subject: str
    sid: str
    jti: str
    until: int

    def is_about(self, subject: str, sid: str) -> bool:
        """Answer whether a session, by its own subject and the provider's name for it, is to end.

        A session for which the provider gave no `sid` ends with any of its person's.
        """
        if self.subject and subject != self.subject:
            return False
        return bool(subject) and (self.sid == sid if self.sid and sid else bool(self.subject))


def read_keys(document: Mapping[str, Any]) -> KeySet:
    """Return the signing keys of a provider's key set (RFC 7517); other kinds of keys in it are left out.

    Raises `Refused` (`signin.token`) where none is left.
    """
    found = document.get("keys")
    every = cast("list[Any]", found) if isinstance(found, list) else []
    each = [cast("dict[str, Any]", key) for key in every if isinstance(key, dict)]
    ours: list[Any] = [key for key in each if key.get("kty") in {"RSA", "EC"} and _signs(key)]
    try:
        keys = KeySet.import_key_set({"keys": ours})
    except (JoseError, ValueError, TypeError) as error:
        raise _wrong("keys") from error
    if not ours:
        raise _wrong("keys")
    return keys


def _signs(key: Mapping[str, Any]) -> bool:
    return key.get("use", "sig") == "sig" and key.get("alg", "RS256") in ALGORITHMS


def read_id_token(token: str, keys: KeySet, settings: OpenId, *, nonce: str, since: int, now: int) -> Identity:
    """Return who a token names, if it answers what was asked: our nonce, an authentication not before `since`.

    `since` and `now` are seconds since 1970. Raises `Refused`: `signin.token` with the check that failed, where the
    token is not the provider's answer to us; `signin.too_weak` and `signin.too_old`, where the person has to
    authenticate better.
    """
    claims = _claims(token, keys)
    _check_addressed(claims, settings)
    if claims.get("nonce") != nonce:
        raise _wrong("nonce")
    expires, issued, auth_time = (_moment(claims, name) for name in ("exp", "iat", "auth_time"))
    if expires + LEEWAY <= now or issued - LEEWAY > now:
        raise _wrong("exp")
    name, subject = _text(claims, settings.claim), _text(claims, "sub")
    if auth_time < since or auth_time - LEEWAY > now:
        raise Refused("signin.too_old", name=name)
    acr = claims.get("acr")
    if acr not in settings.acr:
        raise Refused("signin.too_weak", name=name, levels=", ".join(settings.acr))
    sid = _text(claims, "sid") if "sid" in claims else ""
    return Identity(subject, name, auth_time, str(acr), sid)


LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_SECONDS: Final = 120
"""How old a logout token may be, and how long it may stand; the specification recommends two minutes."""


def read_logout_token(token: str, keys: KeySet, settings: OpenId, *, now: int) -> LoggedOut:
    """Return what a logout token says (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6).

    An ID token is none: it has a nonce and no such event. `now` is in seconds since 1970. Raises `Refused`
    (`signin.token`) with the check that failed; whether its `jti` came before is for who remembers them.
    """
    claims = _claims(token, keys)
    _check_addressed(claims, settings)
    expires, issued = (_moment(claims, name) for name in ("exp", "iat"))
    if expires + LEEWAY <= now or not now - LOGOUT_SECONDS - LEEWAY <= issued <= now + LEEWAY:
        raise _wrong("exp")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(cast("dict[str, Any]", events).get(LOGOUT), dict):
        raise _wrong("events")
    if "nonce" in claims:
        raise _wrong("nonce")
    subject, sid = (_text(claims, name) if name in claims else "" for name in ("sub", "sid"))
    if not subject and not sid:
        raise _wrong("sub")
    return LoggedOut(subject, sid, _text(claims, "jti"), issued + LOGOUT_SECONDS + 2 * LEEWAY)


def _claims(token: str, keys: KeySet) -> dict[str, Any]:
    if len(token) > LONGEST_TOKEN:
        raise _wrong("signature")
    try:
        return jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _wrong("signature") from error


def _check_addressed(claims: Mapping[str, Any], settings: OpenId) -> None:
    """Check that our provider issued the token, for us and for nobody else besides (section 3.1.3.7, steps 2 to 5)."""
    if claims.get("iss") != settings.issuer:
        raise _wrong("iss")
    audience = claims.get("aud")
    named = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    if settings.client_id not in named:
        raise _wrong("aud")
    party = claims.get("azp")
    if party != settings.client_id and (party is not None or len(named) > 1):
        raise _wrong("azp")


def _moment(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 2**53:
        raise _wrong(name)
    return int(value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise _wrong(name if name in {"sub", "sid", "jti"} else "name")
    return value


def _wrong(check: str) -> Refused:
    return Refused("signin.token", check=check)

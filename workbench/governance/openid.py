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
    return Identity(subject, name, auth_time, str(acr))


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
        raise _wrong("sub" if name == "sub" else "name")
    return value


def _wrong(check: str) -> Refused:
    return Refused("signin.token", check=check)

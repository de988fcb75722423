"""The hospital's OpenID Connect provider, as this app speaks to it: where it is, its keys, a code for a token.

It is the only address that the app ever calls. No proxy, no redirect is followed; certificates are checked against the
system's own store, where a hospital keeps its authority. Nothing that a provider answers is logged.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

from joserfc.jwk import KeySet

from workbench.governance.openid import ALGORITHMS, read_keys
from workbench.kernel.errors import Refused, Unavailable
from workbench.kernel.openid import OpenId, is_safe_address

WELL_KNOWN: Final = "/.well-known/openid-configuration"
TIMEOUT: Final = 10.0
LARGEST: Final = 1_000_000
"""Bytes of an answer."""
FRESH_SECONDS: Final = 3600.0
AGAIN_SECONDS: Final = 30.0
"""How often the keys are asked for again at most, when a token names one that is not known."""
BASIC: Final = "client_secret_basic"
SUPPORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "response_types_supported": ("code",),
    "code_challenge_methods_supported": ("S256",),
    "id_token_signing_alg_values_supported": ALGORITHMS,
}
"""What a provider must support, one of each."""
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Discovery:
    """What a provider says of itself (OpenID Connect Discovery 1.0), as far as it is used."""

    authorization: str
    token: str
    jwks: str
    end_session: str | None
    basic: bool
    names_issuer: bool


class Provider:
    """One provider; what it said of itself and its keys are kept for an hour."""

    def __init__(self, settings: OpenId) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def discovery(self) -> Discovery:
        """Return where the provider's endpoints are; raises `Unavailable` (`signin.unreachable`,
        `signin.not_a_provider`)."""
        with self._lock:
            if self._discovery is None or self._discovery[0] < time.monotonic():
                self._discovery = (time.monotonic() + FRESH_SECONDS, self._discover())
            return self._discovery[1]

    def _discover(self) -> Discovery:
        said = _ask(self.settings.issuer.removesuffix("/") + WELL_KNOWN)
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        for name, right in {
            "issuer": said.get("issuer") == self.settings.issuer,
            **{name: _is_endpoint(said.get(name)) for name in names},
            **{name: any(each in _listed(said, name, each) for each in wanted) for name, wanted in SUPPORTED.items()},
        }.items():
            if not right:
                raise Unavailable("signin.not_a_provider", issuer=self.settings.issuer, member=name)
        end = said.get("end_session_endpoint")
        return Discovery(
            *(str(said[name]) for name in names),
            end_session=end if _is_endpoint(end) else None,
            basic=BASIC in _listed(said, "token_endpoint_auth_methods_supported", BASIC),
            names_issuer=said.get("authorization_response_iss_parameter_supported") is True,
        )

    def keys(self, *, anew: bool = False) -> KeySet:
        """Return the provider's signing keys; `anew` asks again, no more often than every half minute."""
        address = self.discovery().jwks
        with self._lock:
            now = time.monotonic()
            kept = self._keys
            if kept is None or kept[0] + FRESH_SECONDS < now or (anew and kept[0] + AGAIN_SECONDS < now):
                self._keys = kept = (now, read_keys(_ask(address)))
            return kept[1]

    def asking(self, **parameters: str) -> str:
        """Return the address by which a browser asks the provider to authenticate somebody."""
        given = {"response_type": "code", "client_id": self.settings.client_id, "scope": "openid profile", **parameters}
        return _with(self.discovery().authorization, given)

    def leaving(self, back: str) -> str | None:
        """Return the address at which the provider's own session ends, or None where it has none."""
        end = self.discovery().end_session
        given = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back}
        return _with(end, given) if end else None

    def id_token(self, code: str, verifier: str, back: str) -> str:
        """Exchange a code for its ID token; what else comes with it is dropped here.

        Raises `Refused` (`signin.code_refused`) where the provider does not take the code, `Unavailable`.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        secret, client = read_secret(self.settings), self.settings.client_id
        headers = {"content-type": FORM}
        if self.discovery().basic:
            both = base64.b64encode(f"{quote(client, safe='')}:{quote(secret, safe='')}".encode()).decode()
            headers["authorization"] = f"Basic {both}"
        else:
            form |= {"client_id": client, "client_secret": secret}
        said = _ask(self.discovery().token, urlencode(form), headers)
        token = said.get("id_token")
        if not isinstance(token, str):
            raise Refused("signin.code_refused")
        return token


def read_secret(settings: OpenId) -> str:
    """Return the client's secret; raises `Unavailable` (`signin.secret_file`) where its file is absent, empty or open
    to others than its owner."""
    try:
        private = not stat.S_IMODE(settings.secret_file.stat().st_mode) & 0o077
        secret = settings.secret_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise Unavailable("signin.secret_file") from error
    if not private or not secret:
        raise Unavailable("signin.secret_file")
    return secret


def _listed(said: Mapping[str, Any], name: str, usual: str) -> list[Any]:
    """Return a list of the discovery document; what the provider leaves out has its usual value."""
    found = said.get(name, [usual])
    return cast("list[Any]", found) if isinstance(found, list) else []


def _is_endpoint(address: object) -> bool:
    return isinstance(address, str) and is_safe_address(address)


def _with(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _ask(address: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object at an address: got, or posted to where there is a body.

    Raises `Unavailable` (`signin.unreachable`); `Refused` (`signin.code_refused`) where what was posted is not taken.
    """
    parts = urlsplit(address)
    place = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    try:
        connection.request(
            "GET" if body is None else "POST", place, body, {"accept": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        content = answer.read(LARGEST + 1)
        if body is not None and 400 <= answer.status < 500:
            raise Refused("signin.code_refused")
        if answer.status != 200 or len(content) > LARGEST:
            raise Unavailable("signin.unreachable", address=f"{parts.scheme}://{parts.netloc}")
        said = json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable("signin.unreachable", address=f"{parts.scheme}://{parts.netloc}") from error
    finally:
        connection.close()
    if not isinstance(said, dict):
        raise Unavailable("signin.unreachable", address=f"{parts.scheme}://{parts.netloc}")
    return cast("dict[str, Any]", said)


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT)

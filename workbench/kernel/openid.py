"""How people of a hospital sign in: the settings of its OpenID Connect provider, read from the environment.

The client's secret is never one of them: they name the file that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from workbench.kernel.errors import InvalidInput

PREFIX: Final = "WORKBENCH_OIDC_"
PUBLIC_URL: Final = "WORKBENCH_PUBLIC_URL"
REQUIRED: Final = (f"{PREFIX}ISSUER", f"{PREFIX}CLIENT_ID", f"{PREFIX}SECRET_FILE", f"{PREFIX}ACR", PUBLIC_URL)
OPTIONAL: Final = (f"{PREFIX}CLAIM", f"{PREFIX}MAX_AGE")
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
WORKING_DAY: Final = 8 * 3600
"""Seconds."""


@dataclass(frozen=True)
class OpenId:
    """A hospital's provider as this installation uses it.

    `issuer` is the provider's own name, an address; `secret_file` holds the client's secret; `acr` are the levels of
    authentication of which one is required (values of the claim `acr`); `claim` names the account; `max_age` is how
    long an authentication serves, in seconds; `public_url` is the app's own address as browsers write it, no slash at
    its end.
    """

    issuer: str
    client_id: str
    secret_file: Path
    acr: tuple[str, ...]
    claim: str
    max_age: int
    public_url: str

    @property
    def secure(self) -> bool:
        """Whether browsers reach the app by https."""
        return self.public_url.startswith("https:")

    @property
    def host(self) -> str:
        """The app's name without its port, as a `Host` header says it."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def hosts(self) -> frozenset[str]:
        """Every `Host` header by which the app is asked for: a browser leaves the usual port out."""
        netloc = urlsplit(self.public_url).netloc
        usual = ":443" if self.secure else ":80"
        return frozenset({netloc, netloc.removesuffix(usual), netloc if ":" in netloc else f"{netloc}{usual}"})


def read_openid(env: Mapping[str, str]) -> OpenId | None:
    """Return the provider that the environment names, None where it names none of it.

    Raises `InvalidInput`: `kernel.openid_incomplete` where a part lacks, `kernel.openid_unknown` for a name that is no
    setting (the secret itself, or a slip), `kernel.openid_address`, `kernel.openid_age`.
    """
    given = {name: value.strip() for name, value in env.items() if name.startswith(PREFIX) or name == PUBLIC_URL}
    given = {name: value for name, value in given.items() if value}
    if not given:
        return None
    unknown = sorted(set(given) - {*REQUIRED, *OPTIONAL})
    if unknown:
        raise InvalidInput("kernel.openid_unknown", names=", ".join(unknown), known=", ".join((*REQUIRED, *OPTIONAL)))
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise InvalidInput("kernel.openid_incomplete", names=", ".join(missing))
    issuer, client_id, secret, acr, public = (given[name] for name in REQUIRED)
    return OpenId(
        issuer=_address(REQUIRED[0], issuer),
        client_id=client_id,
        secret_file=Path(secret).absolute(),
        acr=tuple(acr.split()),
        claim=given.get(OPTIONAL[0], "preferred_username"),
        max_age=_seconds(given.get(OPTIONAL[1], str(WORKING_DAY))),
        public_url=_own_address(public),
    )


def is_safe_address(address: str) -> bool:
    """Answer whether an address is https, or http on this machine alone, and holds no password and no fragment."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or port == 0 or "@" in parts.netloc or parts.fragment or not address.isprintable() or " " in address:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)


def _address(name: str, address: str) -> str:
    if not is_safe_address(address) or urlsplit(address).query:
        raise InvalidInput("kernel.openid_address", name=name)
    return address


def _own_address(address: str) -> str:
    address = _address(PUBLIC_URL, address).removesuffix("/")
    parts = urlsplit(address)
    if parts.path or parts.netloc != parts.netloc.lower():
        raise InvalidInput("kernel.openid_address", name=PUBLIC_URL)
    return address


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 60 <= int(text) <= 86_400:
        raise InvalidInput("kernel.openid_age", name=OPTIONAL[1])
    return int(text)

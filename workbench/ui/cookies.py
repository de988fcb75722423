"""What signing in gives a browser and takes from it: cookies that scripts cannot read, and paths of this app only."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import Response

from workbench.kernel.text import Lang
from workbench.ui import state


def _secure() -> bool:
    openid = state.workbench().settings.openid
    return openid is not None and openid.secure


def set_cookie(
    answer: Response,
    name: str,
    value: str,
    *,
    samesite: Literal["strict", "lax"] = "strict",
    max_age: int | None = None,
) -> None:
    """Give the browser a cookie: for this host only, unreadable for scripts, gone with the browser where no `max_age`
    (seconds) is said; by https where the app is reached so."""
    answer.set_cookie(name, value, httponly=True, samesite=samesite, path="/", secure=_secure(), max_age=max_age)


def drop_cookie(answer: Response, name: str) -> None:
    """Take a cookie back."""
    answer.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=_secure())


def from_own_page(request: Request) -> bool:
    """Answer whether a form was sent from this app's own page (browsers say so; a form elsewhere cannot pretend)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin == f"{'https' if _secure() else 'http'}://{request.headers.get('host')}"


def safe_path(path: str | None) -> str:
    """Return a path of this app: anything that could lead elsewhere becomes the first page."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\", "/connexion")) and path.isprintable():
        return path
    return "/"


def with_language(path: str, lang: Lang) -> str:
    """Return a path with its language parameter set."""
    place, _, query = path.partition("?")
    named = {name: values[-1] for name, values in parse_qs(query).items()}
    return f"{place}?{urlencode({**named, 'lang': lang})}"

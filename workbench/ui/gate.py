"""The gate before every request: our own host only, signed in or sent to sign in, and safe headers on every answer."""

from __future__ import annotations

from html import escape
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.kernel.errors import UserError
from workbench.kernel.text import say
from workbench.ui import peer, session, signin, state
from workbench.ui.answers import error_page, reader_language, refusal
from workbench.ui.cookies import set_cookie
from workbench.ui.page import page_html, plain_page
from workbench.ui.pages import PATHS
from workbench.ui.watching import watched

OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN = frozenset(
    {"/connexion", "/connexion/depart", "/connexion/fin", "/connexion/preuve", "/connexion/retour", "/_stcore/health"}
)
OPEN_FOLDERS = ("/workbench/assets/", "/static/")
"""What everybody may load: the app's own code and its sign-in, nothing of the workbench."""

NOT_PAGES = (
    "/_stcore",
    "/static",
    "/media",
    "/component",
    "/workbench",
    "/download",
    "/connexion",
    "/auth",
    "/oauth2callback",
)


class Gate:
    """ASGI middleware around the whole app, websocket included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = _answer(scope, headers)
        mended = _with_headers(send, headers.get("host", "") if _is_own(headers.get("host", "")) else "")
        if answer is None and scope["type"] == "websocket":
            token = cookies(headers).get(session.cookie_name())
            await self.app(scope, *watched(receive, mended, lambda: session.is_live(token)))
        elif answer is None:
            await self.app(scope, receive, mended)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, mended)


def _answer(scope: Scope, headers: Headers) -> Response | None:
    """Return our own answer to a request, or None where the app behind answers."""
    if not _is_own(headers.get("host", "")):
        return refusal("other_host", reader_language(_query(scope).get("lang"), headers), 421)
    path: str = scope["path"]
    if path in OPEN or path.startswith(OPEN_FOLDERS):
        return None
    if scope["type"] == "websocket" and not _is_own_origin(headers):
        return refusal("not_from_here", state.language_of(None))
    if session.actor_of(cookies(headers).get(session.cookie_name())) is None:
        return _not_signed_in(scope)
    return _page(scope) if _is_page(scope) else None


def _is_own(host: str) -> bool:
    """Answer whether a `Host` header names this app: the loopback address, or the address declared for it."""
    openid = state.workbench().settings.openid
    return host.rsplit(":", 1)[0] in OWN_HOSTS or (openid is not None and host.lower() in openid.hosts)


def _is_own_origin(headers: Headers) -> bool:
    """Answer whether a connection was opened by a page of this app; what is no browser says nothing."""
    origin, host = headers.get("origin"), headers.get("host", "").lower()
    openid = state.workbench().settings.openid
    same = openid.hosts if openid and host in openid.hosts else {host}
    return origin is None or origin.partition("://")[2].lower() in same


def cookies(headers: Headers) -> dict[str, str]:
    """Return a request's cookies."""
    jar = SimpleCookie()
    jar.load(headers.get("cookie", ""))
    return {name: morsel.value for name, morsel in jar.items()}


def _is_page(scope: Scope) -> bool:
    path: str = scope["path"]
    return (
        scope["type"] == "http"
        and scope["method"] in {"GET", "HEAD"}
        and not path.startswith(NOT_PAGES)
        and "." not in path
    )


def _query(scope: Scope) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}


def _page(scope: Scope) -> Response:
    lang = state.language_of(_query(scope).get("lang"))
    if scope["path"] not in PATHS:
        unknown, back = escape(say("ui.page_unknown", lang)), escape(say("ui.back_home", lang))
        body = f'<h1>{unknown}</h1><p><a href="/?lang={lang}">{back}</a></p>'
        return HTMLResponse(plain_page(unknown, body, lang), status_code=404)
    return HTMLResponse(page_html(lang), headers={"Cache-Control": "no-store"})


def _not_signed_in(scope: Scope) -> Response:
    if not _is_page(scope):
        return refusal("sign_in_first", reader_language(_query(scope).get("lang"), Headers(scope=scope)), 401)
    query = _query(scope)
    if state.workbench().demo or state.workbench().settings.openid:
        here = scope["path"] + (f"?{urlencode(query)}" if query else "")
        there = {"lang": state.language_of(query.get("lang")), "next": here}
        return RedirectResponse(f"/connexion?{urlencode(there)}", status_code=303)
    return _as_system_user(scope, query)


def _as_system_user(scope: Scope, query: dict[str, str]) -> Response:
    """Sign in the operating system's user, whose process must be at the other end."""
    lang = state.language_of(query.get("lang"))
    if not peer.is_same_user(scope.get("client")):
        return refusal("other_user", lang)
    try:
        name = signin.system_user()
    except UserError as error:
        return error_page(error, lang)
    answer = _page(scope)
    set_cookie(answer, session.cookie_name(), session.open_session(name))
    return answer


def _with_headers(send: Send, host: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = MutableHeaders(scope=message)
            for name, value in security_headers(host).items():
                given[name] = value
        await send(message)

    return sending


def _socket(host: str) -> str:
    openid = state.workbench().settings.openid
    return f"{'wss' if openid and openid.secure and host.lower() in openid.hosts else 'ws'}://{host}" if host else ""


def security_headers(host: str) -> dict[str, Any]:
    """Return the headers of every answer: nothing from outside, in no frame, no referrer, no guessing of types.

    Streamlit sets styles on elements and loads its workers as blobs; scripts come from files only.
    """
    policy = (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"font-src 'self' data:; connect-src 'self' {_socket(host)}; worker-src 'self' blob:; object-src 'none'; "
        "frame-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    }

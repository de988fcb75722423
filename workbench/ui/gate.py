"""The gate before every request: our own host only, signed in or sent to sign in, and safe headers on every answer."""

from __future__ import annotations

from html import escape
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.kernel.errors import UserError
from workbench.kernel.text import say
from workbench.ui import peer, session, signin, state
from workbench.ui.page import page_html, plain_page
from workbench.ui.pages import PATHS

OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN = frozenset({"/connexion", "/_stcore/health"})
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
        if answer is None:
            await self.app(scope, receive, _with_headers(send, headers.get("host", "")))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(send, headers.get("host", "")))


def _answer(scope: Scope, headers: Headers) -> Response | None:
    """Return our own answer to a request, or None where the app behind answers."""
    if headers.get("host", "").rsplit(":", 1)[0] not in OWN_HOSTS:
        return PlainTextResponse("This app answers on its own address only.", status_code=421)
    path: str = scope["path"]
    if path in OPEN or path.startswith(OPEN_FOLDERS):
        return None
    if session.person_of(cookies(headers).get(session.cookie_name())) is None:
        return _not_signed_in(scope)
    return _page(scope) if _is_page(scope) else None


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
        return PlainTextResponse("Sign in first.", status_code=401)
    query = _query(scope)
    if state.workbench().demo:
        here = scope["path"] + (f"?{urlencode(query)}" if query else "")
        there = {"lang": state.language_of(query.get("lang")), "next": here}
        return RedirectResponse(f"/connexion?{urlencode(there)}", status_code=303)
    return _as_system_user(scope, query)


def _as_system_user(scope: Scope, query: dict[str, str]) -> Response:
    """Sign in the operating system's user, whose process must be at the other end."""
    lang = state.language_of(query.get("lang"))
    if not peer.is_same_user(scope.get("client")):
        return signin.refusal("other_user", lang)
    try:
        name = signin.system_user()
    except UserError as error:
        return signin.error_page(error, lang)
    answer = _page(scope)
    signin.set_cookie(answer, session.open_session(name))
    return answer


def _with_headers(send: Send, host: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = MutableHeaders(scope=message)
            for name, value in security_headers(host).items():
                given[name] = value
        await send(message)

    return sending


def security_headers(host: str) -> dict[str, Any]:
    """Return the headers of every answer: nothing from outside, in no frame, no referrer, no guessing of types.

    Streamlit sets styles on elements and loads its workers as blobs; scripts come from files only.
    """
    policy = (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"font-src 'self' data:; connect-src 'self' ws://{host}; worker-src 'self' blob:; object-src 'none'; "
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

"""Answers of our own outside Streamlit: an error with its parts, and a step that goes on by itself."""

from __future__ import annotations

import re
from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response

from workbench.kernel.errors import Unavailable, UserError
from workbench.kernel.text import Lang, say
from workbench.ui import state
from workbench.ui.page import plain_page

NO_STORE = {"Cache-Control": "no-store"}


def reader_language(parameter: str | None, headers: Headers) -> Lang:
    """Return the language of an answer: what the address asks for, else what the browser prefers of the two, else the
    installation's."""
    if parameter in {"fr", "en"}:
        return state.language_of(parameter)
    wishes = [wish.partition(";") for wish in headers.get("accept-language", "")[:200].lower().split(",")]
    ranked = sorted(wishes, key=lambda wish: -_weight(wish[2]))
    named = [wish[0].strip()[:2] for wish in ranked if _weight(wish[2])]
    return state.language_of(next((lang for lang in named if lang in {"fr", "en"}), None))


def _weight(text: str) -> float:
    found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", text)
    return float(found[1]) if found else 1.0


def error_page(error: UserError, lang: Lang, status: int | None = None, back: str | None = None) -> Response:
    """Answer with an error's four parts as a page; `back` is a path of this app to go on from."""
    text = error.text(lang)
    said = "".join(f"<p>{escape(part)}</p>" for part in (text.not_done, text.do))
    way = f'<p><a href="{escape(back)}">{escape(say("ui.signin_back", lang))}</a></p>' if back else ""
    body = f'<h1 role="alert">{escape(text.what)}</h1>{said}{way}<p><code>{escape(text.reference)}</code></p>'
    usual = 503 if isinstance(error, Unavailable) else 403
    return HTMLResponse(plain_page(text.what, body, lang), status_code=status or usual, headers=NO_STORE)


def refusal(key: str, lang: Lang, status: int = 403) -> Response:
    """Answer that somebody may not have what was asked for; `key` names the error in the `ui` words."""
    return error_page(UserError(f"ui.{key}"), lang, status)


def go_on(title: str, to: str, lang: Lang) -> Response:
    """Answer with a page that leads on by itself: only a step from a page of ours carries a cookie that is strict."""
    way = f'<a href="{escape(to)}">{escape(say("ui.signin_go_on", lang))}</a>'
    body = f"<h1>{escape(title)}</h1><p>{way}</p>"
    step = f'<meta http-equiv="refresh" content="0;url={escape(to)}">'
    return HTMLResponse(plain_page(title, body, lang).replace("<title>", f"{step}<title>", 1), headers=NO_STORE)

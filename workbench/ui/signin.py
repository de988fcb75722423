"""Signing in: in a demonstration home a page with its people, elsewhere the operating system's user."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from workbench.governance.actors import Role
from workbench.kernel.errors import UserError
from workbench.kernel.text import Lang, say
from workbench.services import people
from workbench.services.people import Person
from workbench.ui import session, state
from workbench.ui.page import plain_page


def system_user() -> str:
    """Return the account of the operating system's user; raises `store.unknown_user` where there is none."""
    return people.acting_as(state.workbench(), None).name


def demo_people() -> list[Person]:
    """Return the people one can be in a demonstration: all but the data steward."""
    order = [Role.RESEARCHER, Role.DATA_SCIENTIST, Role.ETHICS_OFFICER]
    found = [person for person in people.people(state.workbench()) if person.role in order]
    return sorted(found, key=lambda person: order.index(person.role))


def page(request: Request) -> Response:
    """Answer with the sign-in page."""
    lang = state.language_of(request.query_params.get("lang"))
    if not state.workbench().demo:
        return RedirectResponse("/", status_code=303)
    after = safe_path(request.query_params.get("next"))
    other: Lang = "en" if lang == "fr" else "fr"
    switch = f"/connexion?{urlencode({'lang': other, 'next': with_language(after, other)})}"
    cards = "".join(_card(person, lang, after) for person in demo_people())
    body = (
        f'<p class="wb-switch"><a href="{escape(switch)}" hreflang="{other}" lang="{other}">'
        f"{_say('language_other', lang)}</a></p>"
        f"<h1>{_say('app_name', lang)}</h1><p>{_say('signin_intro', lang)}</p>"
        f'<p class="wb-note">{_say("signin_demo", lang)}</p>'
        f'<div class="wb-people">{cards}</div>{_way_out(request, lang)}'
    )
    return HTMLResponse(plain_page(say("ui.signin_title", lang), body, lang), headers={"Cache-Control": "no-store"})


def _card(person: Person, lang: Lang, after: str) -> str:
    return (
        f'<form method="post" action="/connexion?{urlencode({"lang": lang})}">'
        f'<input type="hidden" name="person" value="{escape(person.name)}">'
        f'<input type="hidden" name="next" value="{escape(with_language(after, lang))}">'
        f'<button type="submit"><strong>{escape(person.display)}</strong>'
        f"<span>{escape(say(f'governance.role_{person.role.value}', lang))}</span>"
        f"<small>{_say(f'signin_{person.role.value}', lang)}</small></button></form>"
    )


def _way_out(request: Request, lang: Lang) -> str:
    now = session.current_actor(request.cookies)
    if now is None:
        return ""
    said = escape(say("ui.signin_now", lang, name=now.display))
    return (
        f'<form class="wb-leave" method="post" action="/connexion?{urlencode({"lang": lang})}"><p>{said} '
        f'<button type="submit" name="leave" value="1">{_say("signin_leave", lang)}</button></p></form>'
    )


async def enter(request: Request) -> Response:
    """Sign a person of the demonstration in, in place of whoever was, and go on to the page that was asked for."""
    if not state.workbench().demo or not from_own_page(request):
        return PlainTextResponse("Refused.", status_code=403)
    form = {name: values[-1] for name, values in parse_qs((await request.body()).decode("utf-8")).items()}
    if form.get("leave"):
        return _leave(request)
    if form.get("person") not in {person.name for person in demo_people()}:
        return PlainTextResponse("Refused.", status_code=403)
    session.close_session(request.cookies.get(session.cookie_name()))
    answer = RedirectResponse(safe_path(form.get("next")), status_code=303)
    set_cookie(answer, session.open_session(form["person"]))
    return answer


def _leave(request: Request) -> Response:
    session.close_session(request.cookies.get(session.cookie_name()))
    lang = state.language_of(request.query_params.get("lang"))
    answer = RedirectResponse(f"/connexion?{urlencode({'lang': lang})}", status_code=303)
    answer.delete_cookie(session.cookie_name(), path="/", httponly=True, samesite="strict")
    return answer


def from_own_page(request: Request) -> bool:
    """Answer whether a form was sent from this app's own page (browsers say so; a form elsewhere cannot pretend)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin == f"http://{request.headers.get('host')}"


def set_cookie(answer: Response, token: str) -> None:
    """Give the browser its token: for this site only, unreadable for scripts, gone with the browser."""
    answer.set_cookie(session.cookie_name(), token, httponly=True, samesite="strict", path="/")


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


def error_page(error: UserError, lang: Lang) -> Response:
    """Answer with an error's four parts as a page."""
    text = error.text(lang)
    said = "".join(f"<p>{escape(part)}</p>" for part in (text.not_done, text.do))
    body = f"<h1>{escape(text.what)}</h1>{said}<p><code>{escape(text.reference)}</code></p>"
    return HTMLResponse(plain_page(text.what, body, lang), status_code=403)


def refusal(key: str, lang: Lang) -> Response:
    """Answer that somebody may not come in; `key` names the error in the `ui` words."""
    return error_page(UserError(f"ui.{key}"), lang)


def _say(key: str, lang: Lang) -> str:
    return escape(say(f"ui.{key}", lang))

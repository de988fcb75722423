"""Signing in: by the hospital's provider where one is set, in a demonstration home by a page with its people,
elsewhere as the operating system's user."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from workbench.governance.actors import Role
from workbench.kernel.text import Lang, say
from workbench.services import people
from workbench.services.people import Person
from workbench.ui import hospital, session, state
from workbench.ui.answers import reader_language, refusal
from workbench.ui.cookies import drop_cookie, from_own_page, safe_path, set_cookie, with_language
from workbench.ui.page import plain_page


def system_user() -> str:
    """Return the account of the operating system's user; raises `store.unknown_user` where there is none."""
    return people.acting_as(state.workbench(), None).name


def demo_people() -> list[Person]:
    """Return the people one can be in a demonstration: all but the data steward."""
    order = [Role.RESEARCHER, Role.DATA_SCIENTIST, Role.ETHICS_OFFICER]
    found = [person for person in people.people(state.workbench()) if person.role in order and not person.closed]
    return sorted(found, key=lambda person: order.index(person.role))


def page(request: Request) -> Response:
    """Answer with the sign-in page."""
    lang = state.language_of(request.query_params.get("lang"))
    after = safe_path(request.query_params.get("next"))
    if state.workbench().settings.openid is not None:
        return hospital.page(lang, after, session.current_actor(request.cookies))
    if not state.workbench().demo:
        return RedirectResponse("/", status_code=303)
    other: Lang = "en" if lang == "fr" else "fr"
    switch = f"/connexion?{urlencode({'lang': other, 'next': with_language(after, other)})}"
    cards = "".join(_card(person, lang, after) for person in demo_people())
    body = (
        f'<p class="wb-switch"><a href="{escape(switch)}" hreflang="{other}" lang="{other}">'
        f"{_say('language_other', lang)}</a></p>"
        f"<h1>{_say('app_name', lang)}</h1><p>{_say('signin_intro', lang)}</p>"
        f'<p class="wb-note">{_say("signin_demo", lang)}</p>'
        f'<div class="wb-people">{cards}</div>{hospital.way_out(session.current_actor(request.cookies), lang)}'
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


async def enter(request: Request) -> Response:
    """Sign a person of the demonstration in, in place of whoever was, and go on to the page that was asked for; or sign
    whoever is signed in out."""
    wb, lang = state.workbench(), reader_language(request.query_params.get("lang"), request.headers)
    if not (wb.demo or wb.settings.openid) or not from_own_page(request):
        return refusal("not_from_here", lang)
    form = {name: values[-1] for name, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
    if form.get("leave"):
        return await run_in_threadpool(hospital.leave if wb.settings.openid else _leave, request, lang)
    if wb.settings.openid or form.get("person") not in {person.name for person in demo_people()}:
        return refusal("not_from_here", lang)
    session.close_session(request.cookies.get(session.cookie_name()))
    answer = RedirectResponse(safe_path(form.get("next")), status_code=303)
    set_cookie(answer, session.cookie_name(), session.open_session(form["person"]))
    return answer


def _leave(request: Request, lang: Lang) -> Response:
    session.close_session(request.cookies.get(session.cookie_name()))
    answer = RedirectResponse(f"/connexion?{urlencode({'lang': lang})}", status_code=303)
    drop_cookie(answer, session.cookie_name())
    return answer


def _say(key: str, lang: Lang) -> str:
    return escape(say(f"ui.{key}", lang))

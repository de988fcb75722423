"""Signing in by the hospital's provider: the page, the way there, the way back, and the proof of a decision.

Everything here answers by a page of ours. What comes back from another site carries no session cookie, so a session is
opened, or a decision recorded, for the browser that left, and then a page of ours leads on.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from workbench.governance.actors import Actor
from workbench.kernel import clock
from workbench.kernel.errors import Refused, UserError
from workbench.kernel.text import Lang, say
from workbench.services import signing_in
from workbench.services.provider import Provider
from workbench.ui import flows, session, state
from workbench.ui.answers import NO_STORE, error_page, go_on, reader_language
from workbench.ui.cookies import drop_cookie, safe_path, set_cookie, with_language
from workbench.ui.flows import Way
from workbench.ui.page import plain_page

MARK_SECONDS = 1800
LARGEST_FORM = 65_536
"""Bytes of the provider's own call."""
_logouts = signing_in.Logouts()


def page(lang: Lang, after: str, now: Actor | None) -> Response:
    """Answer with the page that leads to the provider, and out."""
    other: Lang = "en" if lang == "fr" else "fr"
    switch = f"/connexion?{urlencode({'lang': other, 'next': with_language(after, other)})}"
    way = f"/connexion/depart?{urlencode({'lang': lang, 'next': with_language(after, lang)})}"
    body = (
        f'<p class="wb-switch"><a href="{escape(switch)}" hreflang="{other}" lang="{other}">'
        f"{_say('language_other', lang)}</a></p>"
        f"<h1>{_say('app_name', lang)}</h1><p>{_say('signin_hospital', lang)}</p>"
        f'<p><a class="wb-enter" href="{escape(way)}">{_say("signin_hospital_go", lang)}</a></p>{way_out(now, lang)}'
    )
    return HTMLResponse(plain_page(say("ui.signin_title", lang), body, lang), headers=NO_STORE)


def way_out(now: Actor | None, lang: Lang) -> str:
    """Return the form by which whoever is signed in leaves; nothing where nobody is."""
    if now is None:
        return ""
    said = escape(say("ui.signin_now", lang, name=now.display))
    return (
        f'<form class="wb-leave" method="post" action="/connexion?{urlencode({"lang": lang})}"><p>{said} '
        f'<button type="submit" name="leave" value="1">{_say("signin_leave", lang)}</button></p></form>'
    )


async def depart(request: Request) -> Response:
    """Send a browser to the provider to sign in."""
    lang = _lang(request)
    if state.workbench().settings.openid is None:
        return RedirectResponse("/", status_code=303)
    return await _depart(request, lang, safe_path(request.query_params.get("next")))


async def prove(request: Request) -> Response:
    """Send a browser to the provider to authenticate again, for the decision that its session holds."""
    lang = _lang(request)
    held = session.session_of(request.cookies.get(session.cookie_name()))
    if held is None or held.act is None or state.workbench().settings.openid is None:
        return error_page(Refused("signin.no_decision_waits"), lang, back=f"/?lang={lang}")
    answer = await _depart(request, lang, held.act.then, held)
    if answer.status_code == 303:
        held.act = None
    return answer


async def _depart(request: Request, lang: Lang, then: str, held: session.Session | None = None) -> Response:
    act = held.act if held else None
    about, subject = (act.about, held.subject) if act and held else (None, None)
    try:
        flow, address = await run_in_threadpool(signing_in.begin, state.provider(), lang, about, subject)
    except UserError as error:
        return error_page(error, lang, back=_again(lang, then))
    mark = request.cookies.get(session.own_cookie("way")) or secrets.token_urlsafe(32)
    flows.leave(Way(flow, mark, then, lang, act, request.cookies.get(session.cookie_name())))
    answer = RedirectResponse(address, status_code=303, headers=NO_STORE)
    # Not strict: it has to come back from the provider's site.
    set_cookie(answer, session.own_cookie("way"), mark, samesite="lax", max_age=MARK_SECONDS)
    return answer


async def come_back(request: Request) -> Response:
    """Take who comes back from the provider in, or record the decision that they proved."""
    said = dict(request.query_params)
    way = flows.come_back(said.get("state", ""), request.cookies.get(session.own_cookie("way"), ""))
    if way is None:
        return error_page(Refused("signin.late"), _lang(request), back="/connexion")
    try:
        return await run_in_threadpool(_take_in if way.act is None else _record, state.provider(), way, said)
    except UserError as error:
        return error_page(error, way.lang, back=_again(way.lang, way.then) if way.act is None else way.then)


def _take_in(provider: Provider, way: Way, said: Mapping[str, str]) -> Response:
    who = signing_in.sign_in(state.workbench(), provider, way.flow, said)
    session.close_session(way.token)
    left = who.auth_time + provider.settings.max_age - clock.now().timestamp()
    answer = go_on(say("ui.signin_done", way.lang), way.then, way.lang)
    set_cookie(answer, session.cookie_name(), session.keep(who.name, who.subject, left, who.sid))
    return answer


def _record(provider: Provider, way: Way, said: Mapping[str, str]) -> Response:
    actor, act = session.actor_of(way.token), way.act
    if act is None or actor is None or actor != act.actor:
        raise UserError("ui.session_ended")
    act.run(signing_in.prove(state.workbench(), provider, way.flow, said, actor))
    return go_on(say("ui.decide_done", way.lang), way.then, way.lang)


def leave(request: Request, lang: Lang) -> Response:
    """End a session here, and go on to where the provider's own ends: the next person at the screen is asked."""
    session.close_session(request.cookies.get(session.cookie_name()))
    settings = state.provider().settings
    try:
        end = state.provider().leaving(f"{settings.public_url}/connexion")
    except UserError:
        end = None
    answer = go_on(say("ui.signin_left", lang), end or f"/connexion?{urlencode({'lang': lang})}", lang)
    drop_cookie(answer, session.cookie_name())
    return answer


async def logged_out(request: Request) -> Response:
    """Take the provider's own call that somebody's session ended there, and end ours in every browser.

    Answered as OpenID Connect Back-Channel Logout 1.0 (section 2.8) says: 200 where it is done, also where nobody of
    ours was meant; 400 where the token is not believed; never a word of what was wrong with it.
    """
    if request.method != "POST":  # here, since what no route of ours takes is Streamlit's
        return Response(status_code=405, headers={**NO_STORE, "Allow": "POST"})
    if state.workbench().settings.openid is None:
        return JSONResponse({"error": "invalid_request"}, status_code=400, headers=NO_STORE)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            return JSONResponse({"error": "invalid_request"}, status_code=400, headers=NO_STORE)
    tokens = parse_qs(body.decode("utf-8", "replace")).get("logout_token", [])
    try:
        await run_in_threadpool(_end_sessions, tokens[0] if len(tokens) == 1 else "")
    except Refused:
        return JSONResponse({"error": "invalid_request"}, status_code=400, headers=NO_STORE)
    except UserError:  # the provider's keys cannot be had: it will tell again
        return JSONResponse({"error": "temporarily_unavailable"}, status_code=503, headers=NO_STORE)
    return Response(status_code=200, headers=NO_STORE)


def _end_sessions(token: str) -> None:
    told = signing_in.logged_out(state.workbench(), state.provider(), token, _logouts)
    signing_in.note_ended(state.workbench(), session.close_sessions(told))


def _lang(request: Request) -> Lang:
    return reader_language(request.query_params.get("lang"), request.headers)


def _again(lang: Lang, then: str) -> str:
    return f"/connexion?{urlencode({'lang': lang, 'next': then})}"


def _say(key: str, lang: Lang) -> str:
    return escape(say(f"ui.{key}", lang))

"""Who is signed in. The browser holds a random token in a cookie that scripts cannot read; the name stays here.

No address ever holds an identity. Tokens live in this process: a restart signs everybody out.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.openid import LoggedOut
from workbench.governance.proofs import Proof
from workbench.kernel.errors import UserError
from workbench.services import people
from workbench.ui.state import serving

IDLE_SECONDS = 8 * 3600
"""A session ends after a working day without a page."""


@dataclass(frozen=True)
class Act:
    """A decision that waits until who decides has authenticated again: `about` is its digest, `then` the page to go on
    to, `run` what records it."""

    actor: Actor
    about: str
    then: str
    run: Callable[[Proof], object]


@dataclass
class Session:
    """One person's open session; `ends` and `idle` are moments of the monotonic clock, `subject` and `sid` are the
    provider's own names for the person and for its session with them (empty where none vouched, or said so)."""

    name: str
    subject: str
    ends: float
    idle: float
    sid: str = ""
    act: Act | None = None


_open: dict[str, Session] = {}
_lock = threading.Lock()


def cookie_name() -> str:
    """Return the cookie's name: cookies do not keep ports of one address apart, so the name does.

    By https it takes the prefix that browsers give to secure cookies of this very host only.
    """
    return own_cookie("session")


def own_cookie(what: str) -> str:
    """Return the name of one of this app's cookies."""
    openid = serving().workbench.settings.openid
    return f"{'__Host-' if openid and openid.secure else ''}workbench_{what}_{serving().port}"


def open_session(name: str) -> str:
    """Sign a person in, with an entry in the audit log, and return the new token."""
    people.sign_in(serving().workbench, name)
    return keep(name)


def keep(name: str, subject: str = "", seconds: float = float("inf"), sid: str = "") -> str:
    """Open a session of a person whose signing in is in the log, for so many seconds at most; return the new token."""
    token = secrets.token_urlsafe(32)
    now = time.monotonic()
    with _lock:
        for old in [each for each, session in _open.items() if _is_over(session, now)]:
            del _open[old]
        _open[token] = Session(name, subject, now + seconds, now + IDLE_SECONDS, sid)
    return token


def _is_over(session: Session, now: float) -> bool:
    return now > min(session.ends, session.idle)


def close_session(token: str | None) -> None:
    """End a session; nothing happens where there is none."""
    with _lock:
        _open.pop(token or "", None)


def close_sessions(told: LoggedOut) -> list[str]:
    """End the sessions that the provider's logout is about, in every browser; return whose they were, by name."""
    with _lock:
        ended = [token for token, session in _open.items() if told.is_about(session.subject, session.sid)]
        return sorted({_open.pop(token).name for token in ended})


def session_of(token: str | None) -> Session | None:
    """Return the session behind a token, or None where it ended; using it keeps it open."""
    now = time.monotonic()
    with _lock:
        session = _open.get(token or "")
        if session is None or _is_over(session, now):
            _open.pop(token or "", None)
            return None
        session.idle = now + IDLE_SECONDS
        return session


def is_live(token: str | None) -> bool:
    """Answer whether a session is still somebody's: neither over nor of an account that was closed; asking is no use
    of it."""
    with _lock:
        session = _open.get(token or "")
        if session is None or _is_over(session, time.monotonic()):
            return False
        name = session.name
    return _actor(name) is not None


def person_of(token: str | None) -> str | None:
    """Return the name behind a token, or None where the session ended; using it keeps it open."""
    session = session_of(token)
    return session.name if session else None


def current_actor(cookies: Mapping[str, str] | None = None) -> Actor | None:
    """Return who acts, or None where nobody is signed in (or the account is gone).

    Routes give their request's cookies; a page gives nothing and its own connection's are read.
    """
    given = st.context.cookies if cookies is None else cookies
    return actor_of(given.get(cookie_name()))


def actor_of(token: str | None) -> Actor | None:
    """Return who acts in the session behind a token, or None."""
    name = person_of(token)
    return _actor(name) if name is not None else None


def _actor(name: str) -> Actor | None:
    try:
        return people.actor_named(serving().workbench, name)
    except UserError:
        return None


def hold(act: Act) -> None:
    """Let a decision of the page being drawn wait in its session until it is proved; it replaces the one before."""
    session = session_of(st.context.cookies.get(cookie_name()))
    if session is not None:
        session.act = act

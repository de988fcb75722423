"""Who is signed in. The browser holds a random token in a cookie that scripts cannot read; the name stays here.

No address ever holds an identity. Tokens live in this process: a restart signs everybody out.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping

import streamlit as st

from workbench.governance.actors import Actor
from workbench.kernel.errors import UserError
from workbench.services import people
from workbench.ui.state import serving

IDLE_SECONDS = 8 * 3600
"""A session ends after a working day without a page."""

_open: dict[str, tuple[str, float]] = {}
_lock = threading.Lock()


def cookie_name() -> str:
    """Return the cookie's name: cookies do not keep ports of one address apart, so the name does."""
    return f"workbench_session_{serving().port}"


def open_session(name: str) -> str:
    """Sign a person in, with an entry in the audit log, and return the new token."""
    people.sign_in(serving().workbench, name)
    token = secrets.token_urlsafe(32)
    with _lock:
        _open[token] = (name, time.monotonic() + IDLE_SECONDS)
    return token


def close_session(token: str | None) -> None:
    """End a session; nothing happens where there is none."""
    with _lock:
        _open.pop(token or "", None)


def person_of(token: str | None) -> str | None:
    """Return the name behind a token, or None where the session ended; using it keeps it open."""
    now = time.monotonic()
    with _lock:
        name, ends = _open.get(token or "", ("", 0.0))
        if not token or ends < now:
            _open.pop(token or "", None)
            return None
        _open[token] = (name, now + IDLE_SECONDS)
        return name


def current_actor(cookies: Mapping[str, str] | None = None) -> Actor | None:
    """Return who acts, or None where nobody is signed in (or the account is gone).

    Routes give their request's cookies; a page gives nothing and its own connection's are read.
    """
    given = st.context.cookies if cookies is None else cookies
    name = person_of(given.get(cookie_name()))
    if name is None:
        return None
    try:
        return people.actor_named(serving().workbench, name)
    except UserError:
        return None

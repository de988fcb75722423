"""Who is on the way to the hospital's provider: kept here until they come back, once, in the browser that left.

The browser holds a random mark in a cookie of its own. That cookie comes along from another site, as the session's
never does, and says nothing but that this browser left from here.
"""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass

from workbench.kernel.text import Lang
from workbench.services.signing_in import Flow
from workbench.ui.session import Act

MOST = 5000
"""Ways kept at once; the oldest is forgotten for a new one."""


@dataclass(frozen=True)
class Way:
    """A way to the provider: `browser` is the mark of who left, `then` the path to go on to, `act` the decision to be
    proved (None: somebody signs in) and `token` the session from which the browser left, if any."""

    flow: Flow
    browser: str
    then: str
    lang: Lang
    act: Act | None = None
    token: str | None = None


_ways: dict[str, Way] = {}
_lock = threading.Lock()


def leave(way: Way) -> None:
    """Remember who leaves."""
    with _lock:
        for state in [state for state, old in _ways.items() if old.flow.over]:
            del _ways[state]
        while len(_ways) >= MOST:
            del _ways[next(iter(_ways))]
        _ways[way.flow.state] = way


def come_back(state: str, browser: str) -> Way | None:
    """Return the way of who comes back, and forget it; None where none is known of this browser."""
    with _lock:
        way = _ways.get(state)
        if way is None or not browser or not hmac.compare_digest(way.browser.encode(), browser.encode()):
            return None
        return _ways.pop(state)

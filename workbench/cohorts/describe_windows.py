"""Windows in words: when an event must start, or end, seen from another."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.cohorts.describe_events import Words
from workbench.cohorts.plan import Match, Window


def windows_text(match: Match, words: Words, index: str) -> str:
    """Return when the events of a match must lie, as one phrase that follows them; `index` is `entry` or `event`."""
    windows = telling(match)
    if is_under_way(windows):
        phrase = words("under_way", moment=words(f"{index}_start"))
    else:
        phrase = words("list_separator").join(window_text(window, words, index) for window in windows)
    if not match.beyond_observation:
        return phrase
    if all(window.low.days is None and window.high.days is None for window in windows):
        return words("anytime_beyond")
    return words("even_beyond", text=phrase)


def telling(match: Match) -> Sequence[Window]:
    """Return the windows that say something; the start window where none does."""
    bounded = [each for each in match.windows if each.low.days is not None or each.high.days is not None]
    return bounded or match.windows[:1]


def is_under_way(windows: Sequence[Window]) -> bool:
    """Return whether two windows mean: started by the index day, and not ended before it."""
    if len(windows) != 2 or {window.index for window in windows} != {"start"}:
        return False
    start, end = windows
    started = (start.event, start.low.days, start.high.days) == ("start", None, 0)
    return started and (end.event, end.low.days, end.high.days) == ("end", 0, None)


def window_text(window: Window, words: Words, index: str) -> str:
    """Return one window in words."""
    moment = words(f"{index}_{window.index}")
    low, high = window.low.days, window.high.days
    if low is None and high is None:
        text = words("anytime")
    elif low is None:
        text = _edge("until", high or 0, moment, words)
    elif high is None:
        text = _edge("since", low, moment, words)
    elif low == high:
        text = _edge("on", low, moment, words)
    else:
        text = _between(low, high, moment, words)
    return words("event_ends", text=text) if window.event == "end" else text


def _edge(key: str, days: int, moment: str, words: Words) -> str:
    """A window with one day that counts: "up to the day before entry", "from 3 days after entry on", "on the day"."""
    near = {("until", -1): "until_eve", ("since", 1): "since_next"}.get((key, days))
    if days == 0 or near:
        return words(near or f"{key}_day", moment=moment)
    return words(f"{key}_{'before' if days < 0 else 'after'}", days=words.days(abs(days)), moment=moment)


def _between(low: int, high: int, moment: str, words: Words) -> str:
    if high < low:
        return words("between_days", low=_signed(low), high=_signed(high), moment=moment)
    if high < 0:
        key = "between_before"
    elif high == 0:
        key = "between_to_day"
    elif low < 0:
        key = "between_around"
    else:
        key = "between_from_day" if low == 0 else "between_after"
    one_side = key in ("between_before", "between_after")
    first = str(abs(low)) if one_side and 1 not in (abs(low), abs(high)) else words.days(abs(low))
    return words(key, low=first, high=words.days(abs(high)), moment=moment)


def _signed(days: int) -> str:
    return f"{days:+d}".replace("-", "−") if days else "0"

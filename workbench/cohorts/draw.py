"""A plan as a timeline: the entry day, the windows of its criteria around it, and the time in the cohort.

A small SVG that needs no script and no style sheet. Days are not to scale (a week and ten years share one picture):
their place grows with the logarithm, an open side reaches the edge of observation. It never tells by colour alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from math import log1p

from workbench.cohorts.circe import Definition
from workbench.cohorts.describe import exit_text, member_text, sentence
from workbench.cohorts.describe_events import Words, events_text
from workbench.cohorts.diff_sets import kind_text
from workbench.cohorts.plan import Demographics, EndOfObservation, Group, Match, Offset, Plan, Window
from workbench.kernel.text import Lang, say

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _LINE = 980, 400, 950, 64, 52, 15
_WRAP, _LINES = 56, 2
_TICK_ROOM = 28
_INK, _QUIET, _ASKED, _BARRED, _COHORT = "#16262b", "#4a5d64", "#0b5a6b", "#8a1c1c", "#14532d"


@dataclass(frozen=True)
class Bar:
    """A stretch of days from the entry's start or end; None is the edge of observation, `kind` how it is drawn."""

    low: int | None
    high: int | None
    kind: str
    from_end: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the picture: a heading (empty where the row belongs to the one above), words, and bars."""

    heading: str
    words: str
    bars: tuple[Bar, ...]


def draw(definition: Definition, lang: Lang, *, ident: str = "timeline") -> str:
    """Return a definition's timeline as an SVG text; `ident` names it within a page.

    Its title and description (the whole sentence) are what a screen reader reads. Raises InvalidInput where the
    definition cannot be run.
    """
    plan = definition.plan
    rows = list(_rows(plan, lang))
    scale = _Scale.over([bar for row in rows for bar in row.bars])
    height = _TOP + _ROW * len(rows) + 52
    title = escape(say("cohort.draw_title", lang, name=definition.title or definition.name))
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" lang="{lang}" viewBox="0 0 {_WIDTH} {height}"',
        'width="100%"',
        f'aria-labelledby="{ident}-title {ident}-desc" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="{ident}-title">{title}</title><desc id="{ident}-desc">{escape(sentence(plan, lang))}</desc>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *_axis(scale, len(rows), lang),
        *(text for at, row in enumerate(rows) for text in _drawn(row, at, scale)),
        *_key(_TOP + _ROW * len(rows) + 34, lang),
        "</svg>",
    ]
    return "\n".join(body) + "\n"


def _rows(plan: Plan, lang: Lang) -> Iterator[Row]:
    words = Words(lang)
    kinds = words.join("or", [events_text(each, words, "first" if each.first else "one") for each in plan.entry.events])
    yield Row(say("cohort.draw_entry", lang), kinds, (Bar(0, 0, "entry"),))
    observed = Bar(-plan.entry.prior_days, plan.entry.post_days, "observed")
    if plan.entry.prior_days or plan.entry.post_days:
        yield Row(say("cohort.draw_observed", lang), _observed(plan, words), (observed,))
    if plan.additional is not None:
        yield from _group(plan.additional, say("cohort.draw_additional", lang), lang)
    for number, rule in enumerate(plan.rules, 1):
        yield from _group(rule.group, rule.name or say("cohort.draw_rule", lang, number=number), lang)
    yield Row(say("cohort.draw_exit", lang), exit_text(plan, lang), (_cohort(plan),))


def _observed(plan: Plan, words: Words) -> str:
    sides = (("before", plan.entry.prior_days), ("after", plan.entry.post_days))
    return words.join("and", [words(f"observed_{side}", days=words.days(days)) for side, days in sides if days])


def _cohort(plan: Plan) -> Bar:
    if isinstance(plan.exit, Offset):
        return Bar(0, plan.exit.days, "cohort", from_end=plan.exit.side == "end")
    return Bar(0, None, "cohort" if isinstance(plan.exit, EndOfObservation) else "cohort_open")


def _group(group: Group, heading: str, lang: Lang) -> Iterator[Row]:
    """A row for each criterion of a group and of the groups in it; the heading says how many must hold."""
    if group.kind != "all" and len(group.members) > 1:
        heading = f"{heading} ({kind_text(group, lang)})" if heading else kind_text(group, lang)
    for member in group.members:
        if isinstance(member, Group):
            yield from _group(member, heading, lang)
        else:
            yield Row(heading, member_text(member, lang), tuple(_bars(member)))
        heading = ""


def _bars(member: Match | Demographics) -> Iterator[Bar]:
    if isinstance(member, Demographics):
        yield Bar(0, 0, "asked")
        return
    barred = member.operator == "<=" or (member.operator == "=" and member.count == 0)
    for window in member.windows:
        if window.low.days is not None or window.high.days is not None or window is member.windows[0]:
            yield _bar(window, "barred" if barred else "asked")


def _bar(window: Window, kind: str) -> Bar:
    return Bar(window.low.days, window.high.days, kind, from_end=window.index == "end")


@dataclass(frozen=True)
class _Scale:
    """Where days lie: the farthest day on each side, and where the end of the entry event is drawn, if needed."""

    before: int
    after: int
    days: tuple[int, ...]
    ends: bool

    @classmethod
    def over(cls, bars: list[Bar]) -> _Scale:
        days = sorted({day for bar in bars for day in (bar.low, bar.high) if day is not None} | {0})
        return cls(max(-days[0], 30), max(days[-1], 30), tuple(days), any(bar.from_end for bar in bars))

    @property
    def zero(self) -> float:
        """The place of the entry day: each side has room for its farthest day and for an open side beyond it."""
        left, right = log1p(self.before) + 1, log1p(self.after) + 1
        return _LEFT + (_RIGHT - _LEFT) * left / (left + right)

    def at(self, day: int | None, low: bool, from_end: bool) -> float:
        """Return the x of a day; an open side is the edge of the picture."""
        if day is None:
            return _LEFT if low else _RIGHT
        room = (_RIGHT - _LEFT) / (log1p(self.before) + log1p(self.after) + 2)
        base = self.zero + (16 if from_end else 0)
        return min(base + room * log1p(abs(day)) * (1 if day >= 0 else -1), _RIGHT)


def _axis(scale: _Scale, rows: int, lang: Lang) -> Iterator[str]:
    bottom = _TOP + _ROW * rows
    yield _text(_LEFT, 16, say("cohort.draw_before", lang), _QUIET, size=12)
    yield _text(_RIGHT, 16, say("cohort.draw_after", lang), _QUIET, anchor="end", size=12)
    yield _text(scale.zero, 16, say("cohort.draw_index", lang), _INK, anchor="middle", weight=600)
    yield _text(_LEFT - 12, 42, say("cohort.draw_axis", lang), _QUIET, anchor="end", size=12)
    taken = [scale.zero]
    for day in sorted(scale.days, key=abs)[1:]:  # the entry day has its own line
        x = scale.at(day, low=True, from_end=False)
        yield f'<line x1="{x:.1f}" y1="48" x2="{x:.1f}" y2="{bottom}" stroke="#cfdadc"/>'
        if all(abs(x - other) >= _TICK_ROOM for other in taken):
            taken.append(x)
            yield _text(x, 42, f"{day:+d}".replace("-", "−"), _QUIET, anchor="middle", size=12)
    yield f'<line x1="{scale.zero:.1f}" y1="22" x2="{scale.zero:.1f}" y2="{bottom}" stroke="{_INK}" stroke-width="2"/>'
    if scale.ends:
        x = scale.at(0, low=True, from_end=True)
        yield (
            f'<line x1="{x:.1f}" y1="48" x2="{x:.1f}" y2="{bottom}" stroke="{_INK}" stroke-dasharray="2 3">'
            f"<title>{escape(say('cohort.draw_end', lang))}</title></line>"
        )


def _drawn(row: Row, at: int, scale: _Scale) -> Iterator[str]:
    """A row: its heading and words on the left, its bars on the right; whole words are its title."""
    y = _TOP + _ROW * at
    whole = f"{row.heading}: {row.words}" if row.heading else row.words
    yield f"<g><title>{escape(whole)}</title>"
    lines = textwrap.wrap(row.words, _WRAP, max_lines=_LINES if row.heading else _LINES + 1, placeholder=" …")
    if row.heading:
        yield _text(8, y + 10, textwrap.shorten(row.heading, _WRAP, placeholder=" …"), _INK, weight=600, size=12)
    for number, text in enumerate(lines, 1 if row.heading else 0):
        yield _text(8, y + 10 + _LINE * number - (2 if number else 0), text, _QUIET, size=12)
    for number, bar in enumerate(row.bars):
        yield from _stretch(bar, y + 4 + 14 * number, scale)
    yield "</g>"


def _stretch(bar: Bar, y: float, scale: _Scale) -> Iterator[str]:
    low, high = (scale.at(day, low=side, from_end=bar.from_end) for day, side in ((bar.low, True), (bar.high, False)))
    if bar.kind == "entry":
        x, middle = scale.zero, y + 6
        yield f'<path d="M{x:.1f} {middle - 9} l9 9 l-9 9 l-9 -9 z" fill="{_INK}"/>'
        return
    if bar.kind == "barred":
        style = f'fill="#fff" stroke="{_BARRED}" stroke-width="1.5" stroke-dasharray="5 3"'
    elif bar.kind == "observed":
        style = f'fill="#f0f4f4" stroke="{_QUIET}"'
    else:
        style = f'fill="{_ASKED if bar.kind == "asked" else _COHORT}"'
    start, width = min(low, high), max(abs(high - low), 6)
    if bar.low == bar.high:
        start -= 3
    yield f'<rect x="{start:.1f}" y="{y}" width="{width:.1f}" height="11" rx="2" {style}/>'
    colour = _BARRED if bar.kind == "barred" else _ASKED if bar.kind == "asked" else _COHORT
    if bar.low is None:
        yield f'<path d="M{_LEFT - 9} {y + 5.5} l9 -7 v14 z" fill="{colour}"/>'
    if bar.high is None:
        yield f'<path d="M{_RIGHT + 9} {y + 5.5} l-9 -7 v14 z" fill="{colour}"/>'


def _key(y: float, lang: Lang) -> Iterator[str]:
    """What the three kinds of bars mean, in words."""
    x = 8
    for kind in ("asked", "barred", "cohort"):
        words = say(f"cohort.draw_key_{kind}", lang)
        fill = {"asked": f'fill="{_ASKED}"', "cohort": f'fill="{_COHORT}"'}.get(
            kind, f'fill="#fff" stroke="{_BARRED}" stroke-width="1.5" stroke-dasharray="5 3"'
        )
        yield f'<rect x="{x}" y="{y - 9}" width="26" height="10" rx="2" {fill}/>'
        yield _text(x + 34, y, words, _QUIET, size=12)
        x += 70 + 7 * len(words)


def _text(x: float, y: float, words: str, colour: str, anchor: str = "start", weight: int = 400, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}">{escape(words)}</text>'
    )

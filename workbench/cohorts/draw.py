"""A plan as a timeline: the entry day, the windows of its criteria around it, and the time in the cohort.

A small SVG that needs no script and no style sheet. Days are not to scale (a week and ten years share one picture):
their place grows with the logarithm, an open side reaches the edge of observation. It never tells by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log1p

from workbench.cohorts.circe import Definition
from workbench.cohorts.describe import sentence
from workbench.cohorts.draw_rows import Bar, Kind, Row, rows
from workbench.cohorts.draw_text import lines_of, width_of
from workbench.kernel.text import Lang, say

WIDTH = 700
_LEFT, _RIGHT, _TOP, _LINE, _PAD, _DEPTH = 298, 678, 58, 15, 7, 12
_TEXT_WIDTH, _LINES, _END_GAP, _BAR, _DAY = 270, 4, 18, 12, 7
_INK, _QUIET, _ASKED, _BARRED, _COHORT = "#16262b", "#4a5d64", "#0b5a6b", "#8a1c1c", "#14532d"
_RULE, _GRID, _BAND = "#e3eaeb", "#d5dfe1", "#eef3f3"
_KEYS: tuple[Kind, ...] = ("asked", "barred", "observed", "cohort", "cohort_era")
_FONT = "'Source Sans', 'Source Sans 3', system-ui, sans-serif"


def draw(definition: Definition, lang: Lang, *, ident: str = "timeline") -> str:
    """Return a definition's timeline as an SVG text; `ident` names it within a page.

    Its title and description (the whole sentence) are what a screen reader reads. Raises InvalidInput where the
    definition cannot be run.
    """
    plan = definition.plan
    placed = _placed(rows(plan, lang))
    scale = _Scale.over([bar for each in placed for bar in each.row.bars], lang)
    bottom = placed[-1].top + placed[-1].height
    title = escape(say("cohort.draw_title", lang, name=definition.title or definition.name))
    kinds = dict.fromkeys(bar.kind for each in placed for bar in each.row.bars)
    height = bottom + 34
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" lang="{lang}" viewBox="0 0 {WIDTH} {height}"',
        f'width="100%" style="min-width:36rem;max-width:{WIDTH * 1.3:.0f}px" font-family="{_FONT}" font-size="13"',
        f'aria-labelledby="{ident}-title" aria-describedby="{ident}-desc">',
        f'<title id="{ident}-title">{title}</title><desc id="{ident}-desc">{escape(sentence(plan, lang))}</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *_behind(placed, scale, bottom, lang),
        *(text for each in placed for text in _drawn(each, scale)),
        *_key([kind for kind in _KEYS if kind in kinds], bottom + 22, lang),
        "</svg>",
    ]
    return "\n".join(body) + "\n"


@dataclass(frozen=True)
class _Placed:
    """A row with its lines of text and its place."""

    row: Row
    heading: Sequence[str]
    words: Sequence[str]
    when: Sequence[str]
    top: int
    height: int


def _placed(found: Sequence[Row]) -> list[_Placed]:
    placed: list[_Placed] = []
    top = _TOP
    for row in found:
        room = _TEXT_WIDTH - _DEPTH * row.depth
        heading = lines_of(row.heading, room, 13, 2, bold=True)
        words, when = lines_of(row.words, room, 12.5, _LINES), lines_of(row.when, room, 12.5, 2)
        lines = len(heading) + len(words) + len(when)
        height = max(_LINE * lines, 20 * len(row.bars)) + 2 * _PAD
        placed.append(_Placed(row, heading, words, when, top, height))
        top += height
    return placed


@dataclass(frozen=True)
class _Scale:
    """Where days lie: the farthest day on each side, and where the end of the entry event is drawn, if needed."""

    days: tuple[int, ...]
    zero: float
    rooms: tuple[float, float]
    ends: bool

    @classmethod
    def over(cls, bars: list[Bar], lang: Lang) -> _Scale:
        """Each side has room for its farthest day, for an open side beyond it, and for its name above."""
        days = sorted({day for bar in bars for day in (bar.low, bar.high) if day is not None} | {0})
        left, right = log1p(max(-days[0], 30)) + 1, log1p(max(days[-1], 30)) + 1
        ends = any(bar.from_end for bar in bars)
        names = [width_of(say(f"cohort.draw_{side}", lang), 12) for side in ("before", "after")]
        half = width_of(say("cohort.draw_index", lang), 13, bold=True) / 2 + 12
        zero = _LEFT + (_RIGHT - _LEFT) * left / (left + right)
        zero = min(max(zero, _LEFT + names[0] + half), _RIGHT - names[1] - half)
        after = _RIGHT - zero - (_END_GAP if ends else 0)
        return cls(tuple(days), zero, ((zero - _LEFT) / left, after / right), ends)

    def at(self, day: int | None, low: bool, from_end: bool) -> float:
        """Return the x of a day; an open side is the edge of the picture."""
        if day is None:
            return _LEFT if low else _RIGHT
        base = self.zero + (_END_GAP if from_end else 0)
        return base + log1p(abs(day)) * (self.rooms[1] if day >= 0 else -self.rooms[0])


def _behind(placed: Sequence[_Placed], scale: _Scale, bottom: int, lang: Lang) -> Iterator[str]:
    """What lies behind the bars: the days that must be observed, a line a day that is named, the rules of rows."""
    for each in placed:
        for bar in each.row.bars:
            if bar.kind == "observed":
                low, high = scale.at(bar.low, True, False), scale.at(bar.high, False, False)
                yield _box(low, _TOP, high - low, bottom - _TOP, f'fill="{_BAND}"')
    yield from _ticks(scale, bottom)
    yield _text(_LEFT, 16, say("cohort.draw_before", lang), _QUIET, size=12)
    yield _text(_RIGHT, 16, say("cohort.draw_after", lang), _QUIET, anchor="end", size=12)
    yield _text(scale.zero, 16, say("cohort.draw_index", lang), _INK, anchor="middle", weight=600)
    yield _text(8, 44, say("cohort.draw_axis", lang), _QUIET, size=12)
    for each in placed:
        if each.row.heading:
            yield f'<path d="M8 {each.top} H{_RIGHT}" stroke="{_RULE}"/>'
    yield f'<path d="M{scale.zero:.1f} 22 V{bottom}" stroke="{_INK}" stroke-width="1.5"/>'
    if scale.ends:
        x = scale.zero + _END_GAP
        yield (
            f'<path d="M{x:.1f} {_TOP - 8} V{bottom}" stroke="{_INK}" stroke-dasharray="2 3">'
            f"<title>{escape(say('cohort.draw_end', lang))}</title></path>"
        )


def _ticks(scale: _Scale, bottom: int) -> Iterator[str]:
    """A line for each day that a window names; its number where there is room, the nearest to entry first."""
    taken = [(scale.zero - 6, scale.zero + 6)]
    for day in sorted(scale.days, key=abs)[1:]:  # the entry day has its own line
        x = scale.at(day, low=True, from_end=False)
        yield f'<path d="M{x:.1f} {_TOP - 8} V{bottom}" stroke="{_GRID}"/>'
        label = f"{day:+d}".replace("-", "−")
        half = width_of(label, 12) / 2 + 3
        if all(x + half <= low or x - half >= high for low, high in taken):
            taken.append((x - half, x + half))
            yield _text(x, 44, label, _QUIET, anchor="middle", size=12)


def _drawn(each: _Placed, scale: _Scale) -> Iterator[str]:
    """A row: its words on the left, its bars on the right; its whole words are its title."""
    row, x, y = each.row, 8 + _DEPTH * each.row.depth, each.top + _PAD + 11
    whole = " · ".join(part for part in (row.heading, row.words, row.when) if part)
    yield f"<g><title>{escape(whole)}</title>"
    for depth in range(row.depth):
        yield f'<path d="M{14 + _DEPTH * depth} {each.top} v{each.height}" stroke="{_GRID}" stroke-width="2"/>'
    for lines, colour, weight, size in (
        (each.heading, _INK, 600, 13.0), (each.words, _QUIET, 400, 12.5), (each.when, _ASKED, 400, 12.5),
    ):  # fmt: skip
        for line in lines:
            yield _text(x, y, line, colour, weight=weight, size=size)
            y += _LINE
    middle = each.top + each.height / 2 - 10 * (len(row.bars) - 1)
    for number, bar in enumerate(row.bars):
        yield from _stretch(bar, middle + 20 * number, scale)
    yield "</g>"


def _stretch(bar: Bar, middle: float, scale: _Scale) -> Iterator[str]:
    if bar.kind in ("entry", "person", "censor"):
        yield from _sign(bar.kind, scale.zero, middle)
        return
    low, high = (scale.at(day, low=side, from_end=bar.from_end) for day, side in ((bar.low, True), (bar.high, False)))
    wide, y = max(high - low, _DAY), middle - _BAR / 2
    left = (low + high - wide) / 2
    yield _box(left, y, wide, _BAR, f'rx="2" {_style(bar.kind)}')
    colour = _BARRED if bar.kind == "barred" else _ASKED if bar.kind == "asked" else _COHORT
    if bar.low is None:
        yield f'<path d="M{_LEFT - 9} {middle:.1f} l9 -8 v16 z" fill="{colour}"/>'
    if bar.high is None:
        yield f'<path d="M{_RIGHT + 9} {middle:.1f} l-9 -8 v16 z" fill="{colour}"/>'
    if bar.mark:
        yield _mark(bar, left, wide, middle, scale.zero)


def _mark(bar: Bar, left: float, wide: float, middle: float, zero: float) -> str:
    """How many, inside the bar where there is room (but not on the entry line), else beside it."""
    need = width_of(bar.mark, 11) + 8
    colour = _BARRED if bar.kind == "barred" else _ASKED
    if wide >= need:
        x = left + wide / 2
        if abs(x - zero) < need / 2 and wide > 3 * need:
            x = zero - need / 2 - 4
        inside = colour if bar.kind == "barred" else "#fff"
        return _text(x, middle + 4, bar.mark, inside, anchor="middle", weight=600, size=11)
    beside = left + wide + 4
    if beside + need > _RIGHT:
        return _text(left - 4, middle + 4, bar.mark, colour, anchor="end", weight=600, size=11)
    return _text(beside, middle + 4, bar.mark, colour, weight=600, size=11)


def _sign(kind: Kind, x: float, middle: float) -> Iterator[str]:
    """A sign on the entry day: a diamond for an entry event, a ring for what is asked of the person, a gate."""
    if kind == "entry":
        yield f'<path d="M{x:.1f} {middle - 8:.1f} l8 8 l-8 8 l-8 -8 z" fill="{_INK}"/>'
    elif kind == "person":
        yield f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="5.5" fill="#fff" stroke="{_ASKED}" stroke-width="2.5"/>'
    else:
        yield f'<path d="M{x:.1f} {middle:.1f} H{_RIGHT}" stroke="{_BARRED}" stroke-dasharray="2 4"/>'
        yield f'<path d="M{_RIGHT - 5} {middle - 5:.1f} l10 10 m0 -10 l-10 10" stroke="{_BARRED}" stroke-width="2"/>'


def _style(kind: Kind) -> str:
    if kind == "barred":
        return f'fill="#fff" stroke="{_BARRED}" stroke-width="1.5" stroke-dasharray="5 3"'
    if kind == "observed":
        return f'fill="#fff" stroke="{_QUIET}"'
    if kind == "cohort_era":
        return f'fill="{_COHORT}" fill-opacity="0.55" stroke="{_COHORT}" stroke-width="1.5" stroke-dasharray="14 3"'
    return f'fill="{_ASKED if kind == "asked" else _COHORT}"'


def _key(kinds: Sequence[Kind], y: float, lang: Lang) -> Iterator[str]:
    """What the bars mean, in words; only those that the picture has."""
    x = 8.0
    for kind in kinds:
        words = say(f"cohort.draw_key_{kind}", lang)
        yield _box(x, y - 9, 24, 10, f'rx="2" {_style(kind)}')
        yield _text(x + 30, y, words, _QUIET, size=12)
        x += 46 + width_of(words, 12)


def _box(x: float, y: float, width: float, height: float, style: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {style}/>'


def _text(
    x: float, y: float, words: str, colour: str, *, anchor: str = "start", weight: int = 400, size: float = 13
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size:g}">{escape(words)}</text>'
    )

"""Small pieces of HTML. Everything that is not `Html` is escaped: words, names and digests can be anything."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What no page may hold (HTML Living Standard, 13.2.3.5), and what would turn the direction of the text after it."""


_BEFORE, _AFTER = re.compile(r" (?=[:»](?:[\s)».,]|$))"), re.compile(r"« ")
_CLOSE = re.compile(r" (?=[;!?%](?:[\s)».,]|$))")
_AS_IT_IS = frozenset({"code", "pre", "style"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: str) -> str:
    """Return text as markup shows it; a control character becomes the sign for what cannot be shown."""
    return html.escape(_CONTROLS.sub("\ufffd", text))


def typeset(text: str) -> str:
    """Return text whose French signs keep their word on one line: no-break spaces where a plain one stood.

    English has no space there, so that no language need be known.
    """
    return _CLOSE.sub("\u202f", _AFTER.sub("«\u00a0", _BEFORE.sub("\u00a0", text)))


def esc(value: object) -> Html:
    """Return a value as markup."""
    return value if isinstance(value, Html) else Html(escape(typeset(str(value))))


def tag(name: str, content: object, css: str = "", **attributes: str) -> Html:
    """Return an element; attribute names may use `_` for `-`."""
    given = {"class": css, **{key.replace("_", "-"): value for key, value in attributes.items()}}
    listed = "".join(f' {key}="{escape(value)}"' for key, value in given.items() if value)
    plain = name in _AS_IT_IS and not isinstance(content, Html)
    return Html(f"<{name}{listed}>{escape(str(content)) if plain else esc(content)}</{name}>")


def join(pieces: Iterable[object], between: str = "") -> Html:
    """Return pieces as one."""
    return Html(between.join(esc(piece) for piece in pieces))


def link(text: object, address: str) -> Html:
    """Return a link within the app."""
    return tag("a", text, href=address)


def badge(text: str, tone: str = "plain") -> Html:
    """Return a short state; tones: plain, good, wait, bad."""
    return tag("span", text, f"wb-badge wb-{tone}")


def digest(value: str) -> Html:
    """Return a digest's first twelve digits, the whole of it on pointing."""
    return tag("code", value[:12], "wb-digest", title=value)


def whole_digest(value: str) -> Html:
    """Return a whole digest, to be copied or compared."""
    return tag("code", value, "wb-digest")


def table(
    headings: Sequence[object],
    rows: Iterable[Sequence[object]],
    caption: str,
    numeric: Collection[int] = (),
    css: str = "",
) -> Html:
    """Return a table; `numeric` are the positions of columns of numbers, set to the right."""
    kinds = ["wb-number" if place in numeric else "" for place in range(len(headings))]
    top = join(tag("th", heading, kind, scope="col") for heading, kind in zip(headings, kinds, strict=True))
    lines = join(tag("tr", join(tag("td", cell, kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows)
    inside = join([tag("caption", caption), tag("thead", tag("tr", top)), tag("tbody", lines)])
    return tag("div", tag("table", inside, f"wb-table {css}".strip()), "wb-scroll")


def facts(pairs: Iterable[tuple[str, object]], css: str = "") -> Html:
    """Return named facts as a list, one a line."""
    lines = join(tag("div", join([tag("dt", name), tag("dd", value)])) for name, value in pairs)
    return tag("dl", lines, f"wb-facts {css}".strip())


def figures(pairs: Iterable[tuple[str, object]]) -> Html:
    """Return the few numbers that matter, large, each with its words."""
    lines = join(tag("div", join([tag("dd", value), tag("dt", name)])) for name, value in pairs)
    return tag("dl", lines, "wb-figures")


def paragraph(text: object, css: str = "") -> Html:
    """Return a paragraph."""
    return tag("p", text, css)


def bullets(lines: Iterable[object]) -> Html:
    """Return a list of sentences."""
    return tag("ul", join(tag("li", line) for line in lines), "wb-list")


def heading(text: str, level: int = 2) -> Html:
    """Return a heading."""
    return tag(f"h{level}", text, f"wb-h{level}")


def page(title: str, body: Iterable[object], lang: str, *, style: str = "") -> str:
    """Return a page complete in itself, to keep or to print: its style inside, no script, nothing from outside."""
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = join([Html(meta), tag("title", title), tag("style", Html(style)) if style else ""])
    return (
        f"<!DOCTYPE html>\n{tag('html', join([tag('head', head), tag('body', tag('main', join(body)))]), lang=lang)}\n"
    )

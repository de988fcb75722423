"""Figures and notebooks: what a program can rule out. The rest is for a person's eyes, so none of them passes alone."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from workbench.governance.airlock.content import Content
from workbench.governance.airlock.identifiers import check_text
from workbench.governance.airlock.verdicts import Check, doubtful, failed, judged, passed
from workbench.kernel.errors import InvalidInput

POINTS: Final = 500
"""Marks of a drawing beyond which it is taken for one mark a person."""

_ACTIVE: Final = frozenset({"script", "foreignObject", "iframe", "object", "embed", "audio", "video", "set", "animate",
                            "animateTransform", "animateMotion", "handler", "listener"})  # fmt: skip
_MARKS: Final = frozenset({"circle", "ellipse", "use", "rect"})
_STEP: Final = re.compile(r"[MLHVCSQTAmlhvcsqta]")
_SVG: Final = "{http://www.w3.org/2000/svg}"


def prepare_svg(content: Content) -> Content:
    """Return a drawing without comments, metadata and what no browser draws; raises `InvalidInput`
    (`airlock.unreadable`) where it is no SVG or declares entities."""
    root = _parsed(content)
    gone = 0
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in {f"{_SVG}metadata", f"{_SVG}desc"} or _foreign(each)]:
            parent.remove(child)
            gone += 1
    ET.register_namespace("", _SVG[1:-1])
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    raw = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return replace(content, raw=raw, stripped=("metadata",) if gone else ())


def _foreign(element: ET.Element) -> bool:
    return not str(element.tag).startswith(_SVG)


def _parsed(content: Content) -> ET.Element:
    lowered = content.raw.lower()
    if b"<!doctype" in lowered or b"<!entity" in lowered or b"\0" in lowered:
        raise InvalidInput("airlock.unreadable", name=content.name)
    try:
        root = ET.fromstring(content.raw)  # noqa: S314 - no entity can be declared
    except (ET.ParseError, ValueError):
        raise InvalidInput("airlock.unreadable", name=content.name) from None
    if root.tag != f"{_SVG}svg":
        raise InvalidInput("airlock.unreadable", name=content.name)
    return root


def check_svg(content: Content, known: Collection[int]) -> list[Check]:
    """Check a prepared drawing: nothing runs, nothing is embedded or fetched, few marks, no identifier in its text."""
    root = _parsed(content)
    active: set[str] = set()
    marks = steps = 0
    for element in root.iter():
        name = str(element.tag).removeprefix(_SVG)
        marks += name in _MARKS
        if name in _ACTIVE or (
            name == "style" and _is_active(name, name, f"{element.text}".replace("@import", "url("))
        ):
            active.add(name)
        if name in {"path", "polyline", "polygon"}:
            points = _STEP.findall(element.get("d", "")) or element.get("points", "").split()
            steps = max(steps, len(points))
        active |= {_bare(key) for key, value in element.attrib.items() if _is_active(name, _bare(key), value)}
    drawn = max(marks, steps)
    return [
        judged("active", sorted(active)),
        failed("points", points=drawn, most=POINTS) if drawn > POINTS else doubtful("points", points=drawn),
        *check_text(content.raw.decode("utf-8"), known),
        doubtful("figure"),
    ]


def _bare(attribute: str) -> str:
    return attribute.rpartition("}")[2]


def _is_active(element: str, attribute: str, value: str) -> bool:
    """An attribute that runs, embeds or fetches: only links to the drawing's own parts stay."""
    plain = "".join(value.split()).lower()
    if attribute.lower().startswith("on") or element == "image":
        return True
    if attribute in {"href", "src"} and not plain.startswith("#"):
        return True
    return "javascript:" in plain or "data:" in plain or ("url(" in plain and "url(#" not in plain)


def check_png(content: Content) -> list[Check]:
    """Check a picture: only a person can see what it shows."""
    return [passed("stripped", parts=", ".join(content.stripped) or "–"), doubtful("figure")]


def check_notebook(content: Content, known: Collection[int]) -> list[Check]:
    """Check a prepared notebook: its outputs are gone, and its sources are read as text."""
    cells = json.loads(content.raw)["cells"]
    text = "\n".join(str(cell["source"]) for cell in cells)
    return [passed("outputs", count=content.stripped[0] if content.stripped else 0), *check_text(text, known),
            doubtful("notebook")]  # fmt: skip

"""JSON text → document, refusing by its path what would be lost or could not be written again.

A document is kept as it was read, known by a digest of its canonical form (RFC 8785), and handed to engines. So what
that form cannot hold is refused here: a member twice in one object, numbers beyond the whole ones of a double, NaN and
infinities, halves of characters; and nesting that no definition needs and no reader survives.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, cast

from workbench.cohorts.document import MOST_EXACT, Part
from workbench.kernel.errors import InvalidInput

MOST_LEVELS = 200
"""Objects and lists within one another: some 95 groups within groups, or 38 criteria within criteria."""
MOST_SIZE = 64 * 2**20
"""Characters of a document; the largest published one has 0.7 million."""
_DIGITS = len(str(MOST_EXACT)) + 1
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]')
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def parse(content: str, name: str) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises InvalidInput with the line and column where it is no JSON, with the path where it cannot be kept.
    """
    if len(content) > MOST_SIZE:
        raise InvalidInput("cohort.too_large", name=name, size=len(content) // 2**20, most=MOST_SIZE // 2**20)
    try:
        document = json.loads(content, object_pairs_hook=_once, parse_int=_whole, parse_constant=float)
    except json.JSONDecodeError as error:
        raise InvalidInput("cohort.malformed", name=name, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise _too_deep(_deepest(content)) from None
    _check(document, texts=_HALF.search(content) is not None)
    if not isinstance(document, dict):
        raise Part(document).not_a("object")
    return cast("dict[str, Any]", document)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a member that is there twice: readers would disagree on which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        raise InvalidInput("cohort.member_twice", name=next(key for key in names if names.count(key) > 1))
    return found


def _whole(digits: str) -> float:
    """A whole number; one that no double can hold becomes an infinity, which the check refuses by its path."""
    return int(digits) if len(digits) <= _DIGITS else math.inf


def _check(document: Any, *, texts: bool) -> None:
    """Walk level by level, without recursion and without paths; these are worked out where something is wrong."""
    level: list[Any] = [document]
    for _ in range(MOST_LEVELS + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                members = cast("dict[str, Any]", value)
                below += members.values()
                below += members if texts else ()
            elif isinstance(value, list):
                below += cast("list[Any]", value)
            elif not (_is_kept(value) if texts or not isinstance(value, str) else True):
                raise _named(document)
        if not below:
            return
        level = below
    raise _named(document)


def _is_kept(value: Any) -> bool:
    """Whether a single value can be kept as it is."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= MOST_EXACT


def _named(document: Any) -> InvalidInput:
    """The error of the first part that cannot be kept."""
    for part, level in _parts(document):
        if level > MOST_LEVELS:
            return _too_deep(part.path)
        if isinstance(part.value, dict | list) or _is_kept(part.value):
            continue
        if isinstance(part.value, str):
            return part.not_a("text")
        if isinstance(part.value, float) and math.isnan(part.value):
            return part.not_a("number")
        return InvalidInput("cohort.not_whole", path=part.path, most=MOST_EXACT)
    raise AssertionError("what a check found was not found again")


def _parts(document: Any) -> Iterator[tuple[Part, int]]:
    """Every part with its level, names of members under the path of their object."""
    waiting: list[tuple[Part, int]] = [(Part(document), 0)]
    while waiting:
        part, level = waiting.pop()
        yield part, level
        if isinstance(part.value, dict):
            for key, value in cast("dict[str, Any]", part.value).items():
                yield Part(key, part.path), level
                waiting.append((Part(value, f"{part.path}.{key}"), level + 1))
        elif isinstance(part.value, list):
            items = cast("list[Any]", part.value)
            waiting += [(Part(value, f"{part.path}[{at}]"), level + 1) for at, value in enumerate(items)]


def _too_deep(path: str) -> InvalidInput:
    shown = path if len(path) <= 200 else f"{path[:150]}…{path[-45:]}"
    return InvalidInput("cohort.too_deep", path=shown, most=MOST_LEVELS)


def _deepest(content: str) -> str:
    """Return the path of the first part below the most levels, found without making objects of the whole."""
    path: list[str | int] = []
    text = ""
    for sign in _TOKEN.findall(content):
        if sign in "[{":
            path.append(0 if sign == "[" else "")
            if len(path) > MOST_LEVELS + 1:
                break
        elif sign in "]}":
            path = path[:-1]
        elif sign == "," and path and isinstance(path[-1], int):
            path[-1] += 1
        elif sign == ":" and path:
            path[-1] = text
        else:
            text = sign[1:-1]
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[:-1])

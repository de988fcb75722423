"""What a column's type holds, by the name that its engine gives the type."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

Kind = Literal["date", "number", "text", "nothing"]
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("date", r"date(32|64)?(\[\w+\])?|timestamp[^\[]*(\[\w+(, tz=.*)?\])?"),
    ("number", r"u?(tiny|small|big|huge)?int(eger)?\d*|double( precision)?|half_?float|float\d*|real"),
    ("number", r"(decimal|numeric)\d*(\(.*\))?"),
    ("text", r"(large_)?string(_view)?|dictionary<values=(large_)?string.*"),
    ("text", r"(var|bp)?char(acter)?( varying)?(\(\d+\))?|text|name|enum.*|user-defined"),
    ("nothing", r'"?null"?'),
)


@cache
def kind_of(name: str) -> Kind | None:
    """Return what a type holds (`nothing`: no value but NULL, of a file's column that has none); None for other types.

    A name that a server's user gave (`USER-DEFINED`) is read as text: enumerations and their like.
    """
    if name.endswith("[]"):
        return None
    return next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name.lower())), None)

"""The words that people read, in French and English, from the catalogues in `kernel/words/`.

A catalogue file `AREA.LANG.toml` has two tables: `[text]` (key = sentence) and `[error.CODE]` (what, not_done, do).
A text is asked for as `AREA.KEY`, an error as `AREA.CODE`. Facts stand in braces, as for `str.format`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

Lang = Literal["fr", "en"]
LANGS: tuple[Lang, Lang] = ("fr", "en")


_FAMILIES = ("text", "error")


@cache
def catalogue(lang: Lang) -> dict[str, dict[str, Any]]:
    """Return `{"text": {AREA.KEY: sentence}, "error": {AREA.CODE: {what, not_done, do}}}` of one language."""
    names = sorted(entry.name for entry in _words().iterdir() if entry.name.endswith(f".{lang}.toml"))
    areas = [area_catalogue(name.partition(".")[0], lang) for name in names]
    return {family: {key: entry for area in areas for key, entry in area[family].items()} for family in _FAMILIES}


@cache
def area_catalogue(area: str, lang: Lang) -> dict[str, dict[str, Any]]:
    """Return what `catalogue` has of one area: a command says few words, and need not read them all.

    KeyError where there is no such area.
    """
    source = _words().joinpath(f"{area}.{lang}.toml")
    if not source.is_file():
        raise KeyError(area)
    content = tomllib.loads(source.read_text(encoding="utf-8"))
    return {family: {f"{area}.{key}": entry for key, entry in content.get(family, {}).items()} for family in _FAMILIES}


def _words() -> Traversable:
    return files("workbench.kernel").joinpath("words")


def say(key: str, lang: Lang, **facts: object) -> str:
    """Return the sentence of a key (`AREA.KEY`) with its facts filled in; KeyError where the catalogue lacks it."""
    return str(area_catalogue(key.partition(".")[0], lang)["text"][key]).format(**facts)

"""The words that people read, in French and English, from the catalogues in `kernel/words/`.

A catalogue file `AREA.LANG.toml` has two tables: `[text]` (key = sentence) and `[error.CODE]` (what, not_done, do).
A text is asked for as `AREA.KEY`, an error as `AREA.CODE`. Facts stand in braces, as for `str.format`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Lang = Literal["fr", "en"]
LANGS: tuple[Lang, Lang] = ("fr", "en")


@cache
def catalogue(lang: Lang) -> dict[str, dict[str, Any]]:
    """Return `{"text": {AREA.KEY: sentence}, "error": {AREA.CODE: {what, not_done, do}}}` of one language."""
    merged: dict[str, dict[str, Any]] = {"text": {}, "error": {}}
    for source in sorted(files("workbench.kernel").joinpath("words").iterdir(), key=lambda entry: entry.name):
        area, _, rest = source.name.partition(".")
        if rest != f"{lang}.toml":
            continue
        content = tomllib.loads(source.read_text(encoding="utf-8"))
        for family, entries in merged.items():
            entries.update({f"{area}.{key}": value for key, value in content.get(family, {}).items()})
    return merged


def say(key: str, lang: Lang, **facts: object) -> str:
    """Return the sentence of a key (`AREA.KEY`) with its facts filled in; KeyError where the catalogue lacks it."""
    return str(catalogue(lang)["text"][key]).format(**facts)

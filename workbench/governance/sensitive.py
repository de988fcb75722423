"""Sensitive classes (`sensitive.toml`): rows of their concepts, and the persons listed for them, are left out unless
the protocol names the class."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import Lang


@dataclass(frozen=True)
class SensitiveClass:
    """One class: `roots` are (vocabulary, code) taken with their descendants, `prefixes` (vocabulary, beginning);
    `persons` whether the hospital may list persons of it."""

    code: str
    name: Mapping[Lang, str]
    roots: tuple[tuple[str, str], ...]
    prefixes: tuple[tuple[str, str], ...]
    persons: bool = False


@cache
def sensitive_classes() -> Mapping[str, SensitiveClass]:
    """Return code → class."""
    data: dict[str, Any] = tomllib.loads(
        files("workbench.governance").joinpath("sensitive.toml").read_text(encoding="utf-8")
    )
    return {
        code: SensitiveClass(
            code=code,
            name=entry["name"],
            roots=tuple((vocabulary, root) for vocabulary, roots in entry["roots"].items() for root in roots),
            prefixes=tuple((vocabulary, prefix) for vocabulary in data["icd10"] for prefix in entry["prefixes"]),
            persons=entry.get("persons", False),
        )
        for code, entry in data["class"].items()
    }


def check_person_class(code: str) -> None:
    """Raise `InvalidInput` (`governance.unknown_class`) where persons cannot be listed for a class."""
    known = [each.code for each in sensitive_classes().values() if each.persons]
    if code not in known:
        raise InvalidInput("governance.unknown_class", classes=code, known=", ".join(known))


def withheld_classes(named: Collection[str]) -> tuple[SensitiveClass, ...]:
    """Return the classes to leave out where a protocol names those in `named`.

    Raises `InvalidInput` (`governance.unknown_class`) where it names one that does not exist.
    """
    unknown = sorted(set(named) - set(sensitive_classes()))
    if unknown:
        raise InvalidInput("governance.unknown_class", classes=", ".join(unknown), known=", ".join(sensitive_classes()))
    return tuple(entry for code, entry in sensitive_classes().items() if code not in named)

"""The difference of two documents' concept sets, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

from workbench.cohorts.document import Part
from workbench.cohorts.plan import Group
from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import Lang, say

Pair = tuple[Part, Part]
_TEXTS = frozenset({"Text", "name", "description", "Title"})
"""Members that hold any text: what looks like a number there is none."""


def line(key: str, lang: Lang, path: str, **facts: object) -> str:
    """Return one line: what differs, and where in the document."""
    return say("cohort.diff_line", lang, text=say(f"cohort.diff_{key}", lang, **facts), path=path)


def names_of(before: Part, after: Part) -> tuple[dict[int, str], dict[int, str]]:
    """Return the names of two documents' concept sets by their ids; one that was renamed has its new name in both."""
    old, new = list(before.get("ConceptSets").each()), list(after.get("ConceptSets").each())
    renamed = {one.path: _name(other) for one, other in _paired(old, new)}
    earlier = {each.get("id").whole(0): renamed.get(each.path, _name(each)) for each in old}
    return earlier, {each.get("id").whole(0): _name(each) for each in new}


def _name(part: Part) -> str:
    return " ".join(str(part.get("name").value or part.get("id").value).split())


def sets(before: Part, after: Part, lang: Lang) -> Iterator[str]:
    """Yield what differs between the concept sets: whole sets, then concept by concept."""
    old, new = list(before.get("ConceptSets").each()), list(after.get("ConceptSets").each())
    pairs = _paired(old, new)
    for part in old:
        if part not in [one for one, _ in pairs]:
            yield line("set_removed", lang, part.path, name=_name(part))
    for part in new:
        if part not in [other for _, other in pairs]:
            concepts = ", ".join(_concept(item, lang) for item in _items(part).values())
            yield line(
                "set_added", lang, part.path, name=_name(part), concepts=concepts or say("cohort.diff_empty", lang)
            )
    for one, other in pairs:
        if _name(one) != _name(other):
            yield line("set_renamed", lang, other.path, name=_name(one), new=_name(other))
        yield from _concepts(one, other, lang)


def _paired(old: list[Part], new: list[Part]) -> list[Pair]:
    """Sets that are one set: those of one name; of the others, those with the same concepts; then those of one id."""
    found: list[Pair] = []
    for same in (_name, _content, _id):
        for one in [part for part in old if part not in [pair[0] for pair in found]]:
            left = [part for part in new if part not in [pair[1] for pair in found]]
            match = next((other for other in left if same(other) == same(one)), None)
            found += [(one, match)] if match is not None else []
    return found


def _items(part: Part) -> dict[tuple[int, int], Part]:
    """The lines of a set by their concept; a concept that stands there twice has two lines."""
    found: dict[tuple[int, int], Part] = {}
    for item in part.get("expression").get("items").each():
        concept = item.get("concept").get("CONCEPT_ID").whole(0)
        found[concept, sum(1 for each, _ in found if each == concept)] = item
    return found


def _flags(item: Part) -> tuple[bool, ...]:
    return tuple(item.get(member).flag() for member in ("isExcluded", "includeDescendants", "includeMapped"))


def _content(part: Part) -> str:
    return str(sorted((key, _flags(item)) for key, item in _items(part).items()))


def _id(part: Part) -> str:
    return str(part.get("id").whole(0))


def _called(item: Part) -> str:
    concept = item.get("concept")
    return str(concept.get("CONCEPT_NAME").value or concept.get("CONCEPT_ID").value)


def _concept(item: Part, lang: Lang, *, numbered: bool = False) -> str:
    """A concept by its name (with its id where another one has the same name), with what its flags add."""
    text = _called(item)
    text += f" ({item.get('concept').get('CONCEPT_ID').value})" if numbered else ""
    excluded, descendants, mapped = _flags(item)
    for on, key in ((descendants, "descendants"), (mapped, "mapped"), (excluded, "excluded")):
        text = say(f"cohort.diff_concept_{key}", lang, concept=text) if on else text
    return text


def _concepts(one: Part, other: Part, lang: Lang) -> Iterator[str]:
    old, new = _items(one), _items(other)
    gone, come = ([item for key, item in here.items() if key not in there] for here, there in ((old, new), (new, old)))
    alike = {_called(item) for item in gone} & {_called(item) for item in come}
    for item in gone:
        concept = _concept(item, lang, numbered=_called(item) in alike)
        yield line("concept_removed", lang, item.path, name=_name(other), concept=concept)
    for key, item in old.items():
        if key in new and _flags(item) != _flags(new[key]):
            facts = {"concept": _concept(item, lang), "new": _concept(new[key], lang)}
            yield line("concept_changed", lang, new[key].path, name=_name(other), **facts)
    for item in come:
        concept = _concept(item, lang, numbered=_called(item) in alike)
        yield line("concept_added", lang, item.path, name=_name(other), concept=concept)


def canonical(value: Any, names: Mapping[int, str]) -> Any:
    """Return a part of a document to be compared: without empty members and flags that are off, concept sets by their
    names, numbers, flags and dates as they are read, however they are written."""
    if isinstance(value, dict):
        document = cast("dict[str, Any]", value)
        members = {key: _member(key, each, names) for key, each in document.items()}
        return {key: each for key, each in members.items() if each is not None and not _is_off(key, each)}
    if isinstance(value, list):
        return [canonical(each, names) for each in cast("list[Any]", value)]
    return value


def _is_off(key: str, value: Any) -> bool:
    """Whether a member says what its absence says; `UseEventEnd` alone is on where an end window lacks it."""
    return value is False and key != "UseEventEnd"


def as_members(value: Any) -> dict[str, Any] | None:
    """Return the members of an object or of a list by what a path adds for each; None for any other value."""
    if isinstance(value, dict):
        return {f".{key}": each for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return {f"[{at}]": each for at, each in enumerate(cast("list[Any]", value))}
    return None


def _member(key: str, value: Any, names: Mapping[int, str]) -> Any:
    found = as_read(value) if key not in _TEXTS else value
    if key in ("CodesetId", "DrugCodesetId") or key.endswith("Concept"):
        return names.get(found, found) if isinstance(found, int) else canonical(found, names)
    if key == "concept" or key.startswith("CONCEPT_"):
        return found if key == "CONCEPT_ID" else None  # names and codes of concepts are decoration
    return canonical(found, names)


def as_read(value: Any) -> Any:
    """Return a single value as Circe reads it: "30" and 30.0 are 30, "true" is true, 2020-1-1 is 2020-01-01."""
    part = Part(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    for read in (lambda: _number(part.number()), part.flag, lambda: part.day().isoformat()):
        try:
            return read() if not isinstance(value, str) or value.strip() else value
        except InvalidInput:
            continue
    return value


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def kind_text(group: Group, lang: Lang) -> str:
    """Return how many members of a group must hold."""
    return say(f"cohort.diff_group_{group.kind.replace(' ', '_')}", lang, count=group.count)

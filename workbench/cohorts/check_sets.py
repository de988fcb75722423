"""Questions about concept sets, as the document has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workbench.cohorts.check_reading import Question, Reading
from workbench.cohorts.document import Part

MOST = 5
"""So many concepts are named in one question."""


def items_of(part: Part) -> list[Part]:
    """Return the items of a concept set."""
    return list(part.get("expression").get("items").each())


def name_of(part: Part) -> str:
    """Return a concept set's name on one line, or its number where it has none."""
    return " ".join(str(part.get("name").value or part.get("id").value).split())


def label_of(item: Part) -> str:
    """Return the name of an item's concept, or its number."""
    concept = item.get("concept")
    return str(concept.get("CONCEPT_NAME").value or concept.get("CONCEPT_ID").value)


def flags_of(item: Part) -> tuple[bool, ...]:
    """Return whether an item is excluded, brings its descendants, brings what maps to it."""
    return tuple(item.get(member).flag() for member in ("isExcluded", "includeDescendants", "includeMapped"))


def _empty(reading: Reading) -> Iterator[Question]:
    """Sets that nothing uses, and used ones that can hold nothing."""
    for key, each in reading.sets.items():
        facts, items = {"name": name_of(each)}, items_of(each)
        if key not in reading.used:
            yield Question("set_unused", each.path, facts)
        elif not items:
            yield Question("set_empty", each.path, facts)
        elif all(flags_of(item)[0] for item in items):
            yield Question("set_only_excluded", each.path, facts)
        if not str(each.get("name").value or "").strip():
            yield Question("set_unnamed", each.path, {"id": key})


def _alike(reading: Reading) -> Iterator[Question]:
    """Sets with one name, and used sets with the same concepts."""
    names: dict[str, Part] = {}
    contents: dict[tuple[object, ...], Part] = {}
    for key, each in reading.sets.items():
        name = name_of(each).casefold()
        if name in names:
            yield Question("set_same_name", each.path, {"name": name_of(each), "other": names[name].path})
        names.setdefault(name, each)
        # An id may be written as a number or as text.
        lines = ((str(item.get("concept").get("CONCEPT_ID").value), flags_of(item)) for item in items_of(each))
        content = tuple(sorted(lines))
        if content and key in reading.used:
            if content in contents:
                facts = {"name": name_of(each), "other": name_of(contents[content])}
                yield Question("set_same_concepts", each.path, facts)
            contents.setdefault(content, each)


def _items(reading: Reading) -> Iterator[Question]:
    """Concepts that are there twice, that are not standard where standard ones are looked for, or no longer valid."""
    for key, each in reading.sets.items():
        items = items_of(each)
        kept = [item for item in items if not flags_of(item)[0]]
        yield from told("concept_in_and_out", each, [item for item in items if _undone(item, kept)])
        yield from told("concept_twice", each, list(_again(kept)))
        if looks_for_standard(reading, key):
            found = [item for item in kept if _finds_nothing(item, item.get("concept").get("STANDARD_CONCEPT").value)]
            yield from told("not_standard", each, found)
        invalid = [item for item in kept if item.get("concept").get("INVALID_REASON").value in ("D", "U")]
        yield from told("concept_invalid", each, invalid)


def told(code: str, part: Part, items: list[Part]) -> Iterator[Question]:
    """Yield one question for all items of a set that have one fault, at the item where it is only one."""
    if not items:
        return
    names = ", ".join(dict.fromkeys(label_of(item) for item in items[:MOST]))
    more = ", …" if len(items) > MOST else ""
    facts = {"set": name_of(part), "count": len(items), "names": names + more}
    yield Question(code, items[0].path if len(items) == 1 else part.path, facts)


def looks_for_standard(reading: Reading, key: int) -> bool:
    """Return whether a set is used where standard concepts stand, not only where source concepts do."""
    return any(not member.name.endswith("SourceConcept") for member in reading.used.get(key, ()))


def _finds_nothing(item: Part, standard: object) -> bool:
    """Not standard, and neither what maps to it nor, of a class, what is below it is asked for."""
    _, descendants, mapped = flags_of(item)
    return not mapped and (standard == "N" or (standard == "C" and not descendants))


def _again(items: list[Part]) -> Iterator[Part]:
    seen: set[object] = set()
    for item in items:
        if _id(item) in seen:
            yield item
        seen.add(_id(item))


def _undone(item: Part, kept: list[Part]) -> bool:
    """Whether an exclusion takes back what the set has; a concept out and its descendants in means those below it."""
    excluded, descendants, _ = flags_of(item)
    own = [other for other in kept if _id(other) == _id(item)]
    return excluded and any(descendants or not flags_of(other)[1] for other in own)


def _id(item: Part) -> object:
    return item.get("concept").get("CONCEPT_ID").value


CHECKS: tuple[Callable[[Reading], Iterator[Question]], ...] = (_empty, _alike, _items)

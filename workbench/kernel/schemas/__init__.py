"""The formats of section 5 of the architecture: one versioned JSON Schema per document kind, and the check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, cast

import jsonschema
from jsonschema import validators

from workbench.kernel.errors import InvalidInput


@cache
def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document kind, such as `release` or `protocol`."""
    return json.loads(files("workbench.kernel.schemas").joinpath(f"{kind}.json").read_text(encoding="utf-8"))


def validate(document: Mapping[str, Any], kind: str) -> None:
    """Check a document against its schema.

    Raises `InvalidInput` (`kernel.document_invalid`) naming the first place that does not fit, never its value:
    values may identify somebody.
    """
    found = _validator(kind).iter_errors(document)
    problems: list[Any] = sorted(found, key=lambda error: list(map(str, error.absolute_path)))
    if problems:
        first = problems[0]
        path = "/".join(map(str, first.absolute_path)) or "/"
        raise InvalidInput("kernel.document_invalid", kind=kind, path=path, rule=f"{first.validator}: {_rule(first)}")


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[jsonschema.ValidationError]:
    """JSON Schema's `$` is the very end of a text; Python's lets a line feed follow."""
    if validator.is_type(instance, "string") and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"does not match {pattern}")


_Validator = cast("Any", validators).extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


@cache
def _validator(kind: str) -> Any:
    whole = schema(kind)
    return _Validator(_inlined(whole, whole.get("$defs", {})))


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with what each reference names in its place (none names itself): looking references up takes most
    of the time of a document with thousands of them."""
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    members = cast("dict[str, Any]", part)
    if "$ref" in members:
        return _inlined(definitions[members["$ref"].removeprefix("#/$defs/")], definitions)
    return {name: _inlined(each, definitions) for name, each in members.items()}


def _rule(error: Any) -> str:
    if error.validator == "required":
        return ", ".join(str(name) for name in error.validator_value if name not in error.instance)
    return json.dumps(error.validator_value, ensure_ascii=False)[:120]

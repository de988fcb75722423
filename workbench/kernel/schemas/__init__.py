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
    validator: Any = _Validator(schema(kind))
    problems: list[Any] = sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    if problems:
        first = problems[0]
        path = "/".join(map(str, first.absolute_path)) or "/"
        raise InvalidInput("kernel.document_invalid", kind=kind, path=path, rule=f"{first.validator}: {_rule(first)}")


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[jsonschema.ValidationError]:
    """JSON Schema's `$` is the very end of a text; Python's lets a line feed follow."""
    if validator.is_type(instance, "string") and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"does not match {pattern}")


_Validator = cast("Any", validators).extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


def _rule(error: Any) -> str:
    if error.validator == "required":
        return ", ".join(str(name) for name in error.validator_value if name not in error.instance)
    return json.dumps(error.validator_value, ensure_ascii=False)[:120]

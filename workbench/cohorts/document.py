"""A place in a Circe document: its value and its path, read with the coercions that ATLAS itself allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any, Literal, cast

from workbench.kernel.errors import InvalidInput

MOST_EXACT = 2**53 - 1
"""The largest whole number that every reader of JSON keeps as it is (RFC 8785): concept ids are below it."""
_EVER = 700_000
"""Days, some 1,900 years: windows and offsets reach no further, so that no engine leaves its calendar."""
_VAST = Decimal(10) ** 30
"""Beyond all that is measured; engines hold numbers of this size and four decimals."""
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE", "", "null"})


@dataclass(frozen=True)
class Part:
    """One value of the document, with its path such as `$.InclusionRules[0].expression`."""

    value: Any
    path: str = "$"

    def __bool__(self) -> bool:
        """Return whether there is anything: members that are absent and those that are null are alike."""
        return self.value is not None

    def get(self, member: str) -> Part:
        """Return a member of an object; absent ones are a part without a value."""
        if self.value is None:
            return Part(None, f"{self.path}.{member}")
        return Part(self._object().get(member), f"{self.path}.{member}")

    def holds(self, member: str) -> bool:
        """Return whether a member is there, be it null: for the few rules that tell null from absent."""
        return self.value is not None and member in self._object()

    def need(self, member: str) -> Part:
        """Return a member that must be there."""
        found = self.get(member)
        if not found:
            raise InvalidInput("cohort.member_missing", path=found.path)
        return found

    def each(self) -> Iterator[Part]:
        """Yield the parts of a list (none where it is absent)."""
        if self.value is None:
            return
        if not self._is(list):
            raise self.not_a("list")
        for place, value in enumerate(cast("list[Any]", self.value)):
            if value is None:
                raise InvalidInput("cohort.member_missing", path=f"{self.path}[{place}]")
            yield Part(value, f"{self.path}[{place}]")

    def members(self) -> Iterator[Part]:
        """Yield the members of an object that have a value."""
        for key, value in self._object().items():
            if value is not None:
                yield Part(value, f"{self.path}.{key}")

    def _object(self) -> dict[str, Any]:
        if not self._is(dict):
            raise self.not_a("object")
        return cast("dict[str, Any]", self.value)

    def _is(self, kind: type) -> bool:
        """Ask for a type without narrowing the value's: what a JSON object holds is anything."""
        return isinstance(self.value, kind)

    @property
    def name(self) -> str:
        """Return the last member name of the path."""
        return self.path.rpartition(".")[2]

    def number(self) -> Decimal:
        """Return a number; texts of digits count, as in ATLAS."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | str):
            raise self.not_a("number")
        try:
            found = Decimal(str(self.value).strip())
        except ArithmeticError:
            raise self.not_a("number") from None
        if not found.is_finite():
            raise self.not_a("number")
        return min(max(found, -_VAST), _VAST)

    def whole(self, default: int | None = None, most: int = 2**31 - 1) -> int:
        """Return a whole number, cut towards zero; the default where absent. Beyond `most` it is refused."""
        if self.value is None and default is not None:
            return default
        found = int(self.number())
        if abs(found) > most:
            raise InvalidInput("cohort.not_whole", path=self.path, most=most)
        return found

    def days(self, default: int | None = None) -> int:
        """Return a number of days. More than any life, or any calendar, holds are as many as it holds."""
        return min(max(self.whole(default), -_EVER), _EVER)

    def decimal(self) -> Decimal:
        """Return a number with four decimals, halves away from zero, as Circe writes them."""
        with localcontext(prec=50):
            return self.number().quantize(Decimal("0.0001"), ROUND_HALF_UP)

    def flag(self) -> bool:
        """Return a yes or no; absent is no."""
        if self.value is None:
            return False
        if isinstance(self.value, bool | int):
            return bool(self.value)
        if isinstance(self.value, str) and self.value in _TRUE:
            return True
        if isinstance(self.value, str) and self.value in _FALSE:
            return False
        raise self.not_a("flag")

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.value, str) or "\0" in self.value:
            raise self.not_a("text")
        return self.value

    def label(self) -> str:
        """Return a name that people gave: a text, or what else has but one way to be written; empty where absent."""
        if self.value is None:
            return ""
        return str(self.value) if isinstance(self.value, bool | int | float) else self.text()

    def day(self) -> date:
        """Return a date written YYYY-MM-DD (months and days may lack their zero)."""
        parts = self.text().strip().split("T")[0].split("-")
        try:
            year, month, day_of_month = (int(part) for part in parts)
            return date(year, month, day_of_month)
        except ValueError:
            raise InvalidInput("cohort.bad_date", path=self.path, value=str(self.value)) from None

    def not_a(self, kind: Literal["object", "list", "number", "flag", "text"]) -> InvalidInput:
        """Return the error that this value is not of the expected kind."""
        return InvalidInput(f"cohort.not_{kind}", path=self.path)

    def wrong(self, *expected: str) -> InvalidInput:
        """Return the error that this is none of the words of Circe that can stand here."""
        return InvalidInput("cohort.wrong_value", path=self.path, expected=", ".join(expected))

    def unsupported(self, feature: str) -> InvalidInput:
        """Return the error that we cannot run this part (and so run nothing of it)."""
        return InvalidInput("cohort.not_supported", path=self.path, feature=feature)

"""Events and tests in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from workbench.cohorts.plan import Abnormal, Compare, Events, InSet, Test, TextTest
from workbench.kernel.text import Lang, say

Form = Literal["one", "first", "bare", "many"]
_FEMININE = frozenset(
    {"DrugExposure", "ProcedureOccurrence", "Measurement", "Observation", "DeviceExposure", "DrugEra", "DoseEra",
     "ConditionEra", "ObservationPeriod", "PayerPlanPeriod"}
)  # fmt: skip
_SEXES = frozenset({8507, 8532})
"""OMOP's concepts of male and female."""
_OPERATORS = {
    "=": "equal", "<>": "unequal", "<": "less", "<=": "at_most", ">": "more", ">=": "at_least",
    "between": "between", "not between": "outside",
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """The words of one language; keys are those of the catalogue's cohort area, without their prefix."""

    lang: Lang

    def __call__(self, key: str, **facts: object) -> str:
        """Return a phrase with its facts."""
        return say(f"cohort.say_{key}", self.lang, **facts)

    def by_gender(self, key: str, domain: str, **facts: object) -> str:
        """Return a phrase that agrees with a domain's noun (French has two genders, English ignores them)."""
        return self(f"{key}_{'f' if domain in _FEMININE else 'm'}", **facts)

    def days(self, count: int) -> str:
        """Return a number of days, in the singular or in the plural."""
        return self("one_day" if abs(count) == 1 else "days", count=count)

    def join(self, word: Literal["and", "or"], parts: Sequence[str]) -> str:
        """Return "a, b and c"."""
        if len(parts) < 2:
            return "".join(parts)
        return self(f"list_{word}", head=", ".join(parts[:-1]), last=parts[-1])


def events_text(events: Events, words: Words, form: Form) -> str:
    """Return a kind of event: "a first exposure to “celecoxib”", with its tests in brackets."""
    noun = words(f"noun_{events.domain}_many" if form == "many" else f"noun_{events.domain}")
    named = words(f"named_{events.domain}", noun=noun, name=events.label) if events.label else noun
    if events.first:
        named = words.by_gender("first", events.domain, noun=named) if form != "many" else named
    elif form == "one":
        named = words(f"a_{events.domain}", noun=named)
    tests = tests_text(events.tests, words)
    if events.adjust is not None:
        tests = words("list_separator").join(part for part in (tests, words("adjusted")) if part)
    if events.period_start or events.period_end:
        days = [day.isoformat() for day in (events.period_start, events.period_end) if day]
        tests = words("list_separator").join([*([tests] if tests else []), words("period", days=" – ".join(days))])
    return words("tested", events=named, tests=tests) if tests else named


def tests_text(tests: Sequence[Test], words: Words) -> str:
    """Return tests as a list: "age at least 40, sex: FEMALE"."""
    return words("list_separator").join(_test(test, words) for test in tests)


def _test(test: Test, words: Words) -> str:
    if isinstance(test, Abnormal):
        return words("abnormal")
    field = words(f"field_{test.field}")
    match test:
        case InSet():
            if test.concepts is None:
                return words("unset" if test.negated else "set", field=field)
            return words("not_in" if test.negated else "in", field=field, names=_names(test, words))
        case Compare():
            key = _OPERATORS[test.operator]
            return words(f"test_{key}", field=field, value=_value(test.value), extent=_value(test.extent))
        case TextTest():
            return words(f"text_{test.place}{'_not' if test.negated else ''}", field=field, words=test.words)


def _names(test: InSet, words: Words) -> str:
    """The sexes in the reader's language; other concepts by the names that the document gives them."""
    ids = [item.concept_id for item in test.concepts.items] if test.concepts and test.concepts.literal else []
    if test.field == "gender" and set(ids) <= _SEXES and ids:
        return words(f"gender_{ids[0]}") if len(ids) == 1 else words.join("or", [words(f"gender_{i}") for i in ids])
    return test.label


def _value(value: Decimal | date | None) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return f"{value.normalize():f}"

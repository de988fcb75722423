"""Events and tests in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from workbench.cohorts.plan import Abnormal, Adjust, Compare, Events, InSet, Side, Test, TextTest
from workbench.kernel.text import Lang, say

Form = Literal["one", "bare", "many"]
_FEMININE = frozenset(
    {"DrugExposure", "Measurement", "Observation", "DeviceExposure", "DrugEra", "DoseEra", "ConditionEra",
     "ObservationPeriod", "PayerPlanPeriod"}
)  # fmt: skip
_SEXES = frozenset({8507, 8532})
"""OMOP's concepts of male and female."""
_OPERATORS = {
    "=": "equal", "<>": "unequal", "<": "less", "<=": "at_most", ">": "more", ">=": "at_least",
    "between": "between", "not between": "outside",
}  # fmt: skip
_UNITS = {"age_at_start": "years", "age_at_end": "years", "length": "days", "days_supply": "days", "gap_days": "days"}


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

    def list(self, parts: Sequence[str]) -> str:
        """Return "a, b, c"."""
        return self("list_separator").join(part for part in parts if part)

    def date(self, day: date) -> str:
        """Return a day as people write it."""
        number = self("first_of_month") if day.day == 1 else str(day.day)
        return self("date", day=number, month=self("months").split()[day.month - 1], year=day.year)

    def number(self, value: Decimal) -> str:
        """Return a number with the language's decimal mark."""
        return f"{value.normalize():f}".replace(".", self("decimal_mark"))


def events_text(events: Events, words: Words, form: Form) -> str:
    """Return a kind of event: "their first-ever exposure to “celecoxib”", with its tests in brackets."""
    noun = words(f"noun_{events.domain}_many" if form == "many" else f"noun_{events.domain}")
    named = words(f"named_{events.domain}", noun=noun, name=events.label) if events.label else noun
    tests = [_source(events, words), tests_text(events.tests, words)]
    if events.first and form == "many":
        tests.append(words("first_only"))
    elif events.first:
        named = words.by_gender("first_ever", events.domain, noun=named)
        named = words("their", events=named) if form == "one" else named
    elif form == "one":
        named = words(f"a_{events.domain}", noun=named)
    tests += [_adjusted(events.adjust, words), _period(events, words)]
    listed = words.list(tests)
    return words("tested", events=named, tests=listed) if listed else named


def _source(events: Events, words: Words) -> str:
    return words("source", name=events.source_label) if events.source is not None else ""


def _adjusted(adjust: Adjust | None, words: Words) -> str:
    if adjust is None:
        return ""
    start = _moved(adjust.start_from, adjust.start_days, words)
    return words("adjusted", start=start, end=_moved(adjust.end_from, adjust.end_days, words))


def _moved(side: Side, days: int, words: Words) -> str:
    moment = words(f"moment_{side}")
    if days == 0:
        return moment
    return words("moved_before" if days < 0 else "moved_after", days=words.days(abs(days)), moment=moment)


def _period(events: Events, words: Words) -> str:
    """Dates that stand for the event's own; each must lie in it."""
    start, end = events.period_start, events.period_end
    if start and end:
        return words("period_both", start=words.date(start), end=words.date(end))
    if start:
        return words("period_from", start=words.date(start))
    return words("period_to", end=words.date(end)) if end else ""


def tests_text(tests: Sequence[Test], words: Words) -> str:
    """Return tests as a list: "age ≥ 40 years, female"."""
    return words.list([_test(test, words) for test in tests])


def _test(test: Test, words: Words) -> str:
    match test:
        case Abnormal():
            return words("abnormal")
        case InSet():
            return _in_set(test, words)
        case Compare():
            return _compare(test, words)
        case TextTest():
            field = words(f"field_{test.field}")
            return words(f"text_{test.place}{'_not' if test.negated else ''}", field=field, words=test.words)


def _in_set(test: InSet, words: Words) -> str:
    field = words(f"field_{test.field}")
    if test.concepts is None:
        return words("unset" if test.negated else "set", field=field)
    ids = [item.concept_id for item in test.concepts.items] if test.concepts.literal else []
    if test.field == "gender" and ids and set(ids) <= _SEXES:
        names = words.join("or", [words(f"sex_{concept}") for concept in ids])
        return words("not_of_sex" if test.negated else "of_sex", names=names)
    return words("not_in" if test.negated else "in", field=field, names=test.label)


def _compare(test: Compare, words: Words) -> str:
    """A field and what it is compared with; days by words, numbers by signs, which read the same for any noun."""
    first = "" if test.extent is not None else test.field  # "15 to 49 years": the unit stands once
    values = [_value(test.value, first, words), _value(test.extent, test.field, words)]
    kind = "date" if isinstance(test.value, date) else "test"
    key = f"{kind}_{_OPERATORS[test.operator]}"
    return words(key, field=words(f"field_{test.field}"), value=values[0], extent=values[1])


def _value(value: Decimal | date | None, field: str, words: Words) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return words.date(value)
    unit = _UNITS.get(field)
    number = words.number(value)
    if unit is None:
        return number
    return words(f"one_{unit.removesuffix('s')}" if abs(value) == 1 else unit, count=number)

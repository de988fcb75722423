"""Observation periods: persons whose periods overlap, and how long and in which years persons are observed.

Persons are grouped once, in the work table `observed`. Most have one period, which says all: only the rows of those
with several are looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlglot import exp

from workbench.intake.nodes import (
    both,
    call,
    cast,
    column,
    equal,
    named,
    negate,
    not_null,
    number,
    over,
    select,
    text,
    when,
)
from workbench.intake.quality.checks import Check
from workbench.intake.quality.data import Data, alias
from workbench.intake.quality.rowwise import Numbers

LONGEST = 20
"""Years of observation from which on persons are counted together."""

MANY = 4
"""Observation periods from which on persons are counted together."""

OBSERVED = "observed"
_TABLE, _PERSON = "observation_period", "person_id"
_START, _END = "observation_period_start_date", "observation_period_end_date"


def known(data: Data) -> bool:
    """Say whether any person has an observation period."""
    return data.has(_TABLE, _PERSON, _START, _END)


def persons(data: Data) -> None:
    """Make the work table `observed`, one row a person: person_id, rows, periods (rows with both days), days in them,
    the first and the last day of all."""
    if not known(data):
        return
    first, last, person = column(_START), column(_END), column(_PERSON)
    days = exp.Add(this=call("date_diff", text("day"), first, last), expression=number(1))
    values = {
        "rows": call("count"),
        "periods": call("count", days),
        "days": call("sum", days),
        "first": call("min", first),
        "last": call("max", last),
    }
    columns = [named(node, name) for name, node in values.items()]
    there = data.there(_TABLE, _PERSON)
    data.make(OBSERVED, select(person, *columns, source=data.scan(_TABLE), where=there, group=person))


def overlaps(data: Data, checks: Sequence[Check]) -> Numbers:
    """Count persons with observation periods that overlap, or that begin the day after another ends."""
    mine = [check for check in checks if check.name == "measureObservationPeriodOverlap"]
    if not mine or not known(data):
        return {}
    person, first, last = column(_PERSON), column(_START), column(_END)
    latest = over(call("max", last), [person], [first, last])
    latest.set("spec", exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="1",
                                      end_side="PRECEDING"))  # fmt: skip
    seen = select(person, named(first, "first"), named(latest, "latest"), source=_several(data))
    touches = negate(exp.GT(this=column("first"), expression=exp.Add(this=column("latest"), expression=number(1))))
    one = when(both(not_null(column("latest")), touches), person)
    failed = data.numbers(select(exp.Count(this=exp.Distinct(expressions=[one])), source=seen))[0]
    return {mine[0]: (failed, data.numbers(select(call("count"), source=exp.to_table(OBSERVED)))[0])}


def profile(data: Data) -> dict[str, dict[str, int]]:
    """Return persons by number of periods, by whole years of observation, and by calendar year observed."""
    if not known(data):
        return {"periods": {}, "years": {}, "observed": {}}
    counted: dict[str, Counter[int]] = {"periods": Counter(), "years": Counter(), "observed": _years_of_several(data)}
    for rows, periods, years, begun, ended, found in data.lines(_groups()):
        counted["periods"][min(periods, MANY)] += found
        counted["years"][years] += found
        if rows == 1:
            counted["observed"].update(dict.fromkeys(range(begun, ended + 1), found))
    return {name: {str(value): each for value, each in sorted(found.items())} for name, found in counted.items()}


def _groups() -> exp.Select:
    """Return the query: persons by rows, periods, whole years, first and last calendar year. Groups are few."""
    whole = cast(call("floor", exp.Div(this=column("days"), expression=exp.Literal.number("365.25"))), "BIGINT")
    years = call("least", call("greatest", whole, number(0)), number(LONGEST))
    by = [column("rows"), column("periods"), years, call("year", column("first")), call("year", column("last"))]
    observed = exp.GT(this=column("periods"), expression=number(0))
    return select(*by, call("count"), source=exp.to_table(OBSERVED), where=observed).group_by(*by, copy=False)


def _years_of_several(data: Data) -> Counter[int]:
    """Return how many of the persons with several rows were observed in each calendar year: each once."""
    until = exp.Add(this=call("year", column(_END)), expression=number(1))
    year = call("unnest", call("range", call("year", column(_START)), until))
    seen = select(named(year, "year"), column(_PERSON), source=_several(data)).distinct(copy=False)
    return Counter(dict(data.lines(select(column("year"), call("count"), source=seen, group=column("year")))))


def _several(data: Data) -> exp.Select:
    """Return the rows of persons who have several."""
    again = exp.GT(this=column("rows", "o"), expression=number(1))
    mine = both(equal(column(_PERSON, "o"), column(_PERSON, "p")), again)
    query = select(*(column(name, "p") for name in (_PERSON, _START, _END)), source=data.scan(_TABLE, "p"))
    return query.join(alias(exp.to_table(OBSERVED), "o"), on=mine, join_type="semi", copy=False)

"""In which form an extract tells time: days from the index, or shifted dates; with a coarse index year or without.

Days are the default and always approved; the two others tell something of the calendar and are given only where the
protocol approves them and the request asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from workbench.kernel.errors import Refused
from workbench.kernel.text import Lang, say

DAYS: Final = "days_from_index"
SHIFTED: Final = "shifted"
SIDES: Final = ("requested", "approved", "delivered")
Form = Literal["days_from_index", "shifted"]


@dataclass(frozen=True)
class Dates:
    """The form of the dates, and whether persons come with a coarse year of their index."""

    form: Form = DAYS
    index_year: bool = False

    @property
    def calendar(self) -> bool:
        """Whether anything is told of the calendar."""
        return self != ONLY_DAYS


ONLY_DAYS: Final = Dates()


def dates_of(paper: Mapping[str, Any]) -> Dates:
    """Return what a protocol approves or a request asks for: days alone, where it names nothing else."""
    return Dates(paper.get("dates", DAYS), paper.get("index_year", False))


def delivered_dates(request: Mapping[str, Any], protocol: Mapping[str, Any]) -> Dates:
    """Return requested and approved: what goes beyond the protocol is not given."""
    asked, approved = dates_of(request), dates_of(protocol)
    return Dates(asked.form if asked.form == approved.form else DAYS, asked.index_year and approved.index_year)


def check_dates(request: Mapping[str, Any], protocol: Mapping[str, Any]) -> None:
    """Raise `Refused` (`governance.dates_beyond_protocol`, `governance.index_year_beyond_protocol`) where a request
    asks for more of the calendar than its protocol approves."""
    asked, given = dates_of(request), delivered_dates(request, protocol)
    if asked.form != given.form:
        raise Refused("governance.dates_beyond_protocol")
    if asked.index_year != given.index_year:
        raise Refused("governance.index_year_beyond_protocol")


def proof(request: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the member `dates` of a manifest, without the bands of years: the form and the index year, each as
    requested, approved and delivered; empty where neither paper names anything but days."""
    sides = {"requested": dates_of(request), "approved": dates_of(protocol),
             "delivered": delivered_dates(request, protocol)}  # fmt: skip
    if not any(side.calendar for side in sides.values()):
        return {}
    return {
        "form": {name: side.form for name, side in sides.items()},
        "index_year": {name: side.index_year for name, side in sides.items()},
    }


def in_words(said: Mapping[str, Any], lang: Lang) -> list[tuple[str, str, str, str]]:
    """Return what `proof` returned as lines: what it is about, requested, approved and delivered."""
    plain = dict.fromkeys(SIDES, DAYS), dict.fromkeys(SIDES, False)
    form, year = said.get("form", plain[0]), said.get("index_year", plain[1])
    forms = [say(f"governance.dates_{form[side]}", lang) for side in SIDES]
    years = [say(f"governance.dates_year_{'yes' if year[side] else 'no'}", lang) for side in SIDES]
    found = [(say("governance.dates_form", lang), *forms), (say("governance.dates_index_year", lang), *years)]
    return [(what, asked, approved, given) for what, asked, approved, given in found]


def delivered_form(manifest: Mapping[str, Any]) -> Dates:
    """Return in which form an extract tells time, by its manifest."""
    said = manifest.get("dates")
    return Dates(said["form"]["delivered"], said["index_year"]["delivered"]) if said else Dates()

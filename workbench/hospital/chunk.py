"""Some of the hospital's persons with all that is recorded of them, before it takes a form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workbench.hospital import coding
from workbench.hospital.biology import measures
from workbench.hospital.chance import Chance, Flags, Ints
from workbench.hospital.course import Course, course
from workbench.hospital.days import END, NEVER
from workbench.hospital.drugs import Drugs, drugs
from workbench.hospital.flaws import Flaws, flaws, second_identity
from workbench.hospital.illness import INDEX, Illness, illness
from workbench.hospital.pathways import Diabetes, diabetes, lines
from workbench.hospital.people import People, people
from workbench.hospital.stays import Segments, Stays, segments, stays
from workbench.hospital.visits import Visits


@dataclass(frozen=True)
class Chunk:
    """Persons and their records. `owner` is the person id of each visit: a second identity's for the visit that was
    registered under one. `twice` are the places of those persons; `second_id` and `second_entry` are their second id
    and its first day, for each person (0: none)."""

    who: People
    ill: Illness
    sugar: Diabetes
    course: Course
    visits: Visits
    how: Stays
    steps: Segments
    diagnoses: coding.Diagnoses
    acts: coding.Acts
    drugs: Drugs
    flaws: Flaws
    owner: Ints
    twice: Ints
    second_id: Ints
    second_entry: Ints

    @property
    def identities(self) -> tuple[Ints, Flags]:
        """The place of each identity's person, second ones right after the first, and whether it is a second."""
        place = np.sort(np.concatenate([np.arange(len(self.who)), self.twice]))
        again = np.zeros(len(place), dtype=np.bool_)
        again[1:] = place[1:] == place[:-1]
        return place, again

    @property
    def last_day(self) -> Ints:
        """The last day on which each person is observed: the death, else the end of the period."""
        return np.minimum(self.course.death, END)


def chunk(chance: Chance, first: int, last: int, total: int) -> Chunk:
    """Return the persons `first` to `last` (left out) of a hospital of `total`, with all their records."""
    who = people(chance, first, last, total)
    ill = illness(chance, who)
    sugar = diabetes(chance, who, ill)
    told = course(chance, who, ill, sugar)
    ill = _known_failure(ill, told)
    visits = told.visits
    how = stays(chance, who, ill, visits)
    steps = segments(chance, who, visits, how)
    ordered = drugs(chance, visits, ill, lines(chance, who, ill, sugar), sugar)
    measured = measures(chance, who, ill, visits, how.minute)
    place = second_identity(chance, who, visits)
    twice = np.flatnonzero(place >= 0)
    owner = who.id[visits.person].copy()
    owner[place[twice]] += total
    second_id, second_entry = np.zeros((2, len(who)), dtype=np.int64)
    second_id[twice], second_entry[twice] = who.id[twice] + total, visits.start[place[twice]]
    return Chunk(
        who,
        ill,
        sugar,
        told,
        visits,
        how,
        steps,
        coding.diagnoses(chance, ill, visits, steps),
        coding.acts(chance, visits, steps),
        ordered,
        flaws(chance, who, visits, told.death, measured, ordered),
        owner,
        twice,
        second_id,
        second_entry,
    )


def _known_failure(ill: Illness, told: Course) -> Illness:
    """Who had a planted stay for heart failure has it from then on."""
    onset = ill.onset.copy()
    onset[INDEX["ic"]] = np.minimum(onset[INDEX["ic"]], told.first.day)
    return replace(ill, onset=np.where(onset > END, NEVER, onset))

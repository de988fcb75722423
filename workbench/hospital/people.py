"""Who comes to the hospital: sex, birth, first contact, mothers with their newborns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from workbench.hospital.chance import SD, Chance, Flags, Ints, Tags
from workbench.hospital.data import rows
from workbench.hospital.days import END, LENGTH, NEVER, START, busy, workday

_NEWBORNS: Final = 0.11
"""Of every second person, how many are newborns; the person before is then the mother."""
_BANDS: Final = ((0.10, 1, 16, 0.47), (0.20, 16, 40, 0.58), (0.23, 40, 60, 0.50), (0.25, 60, 75, 0.46),
                 (0.14, 75, 85, 0.53), (0.08, 85, 100, 0.66))  # fmt: skip
"""Share, age from, age to, share of women: the patients at their first contact."""


@dataclass(frozen=True)
class People:
    """Arrays over persons. `birth`, `entry` (first contact) are days; `delivery` is the day a mother gives birth and
    `born` the day a newborn is born here (else `NEVER`); `mother` is the mother's person id of a newborn (else 0)."""

    id: Ints
    tag: Tags
    female: Flags
    birth: Ints
    entry: Ints
    delivery: Ints
    born: Ints
    mother: Ints
    town: Ints

    def __len__(self) -> int:
        """Return the number of persons."""
        return len(self.id)

    @property
    def apart(self) -> Flags:
        """Mothers and newborns, whose story is the birth."""
        return (self.delivery < NEVER) | (self.born < NEVER)


def people(chance: Chance, first: int, last: int, total: int) -> People:
    """Return the persons with ids `first` to `last` (left out) of a hospital of `total` persons, ids from 1.

    A person is the same whatever the total, but for a mother whose newborn the total leaves out.
    """
    ids = np.arange(first, last, dtype=np.int64)
    tags = ids.astype(np.uint64)
    child = np.where(ids % 2 == 0, ids, ids + 1)  # whoever would be the newborn of this pair
    pair = child.astype(np.uint64)
    birth_here = chance.happens("newborn", pair, _NEWBORNS) & (child <= total)
    born_on = _birthday(chance, pair)
    newborn, mother = birth_here & (ids == child), birth_here & (ids != child)
    band = chance.pick("age band", tags, [share for share, *_ in _BANDS])
    low, high, women = (np.array(column)[band] for column in list(zip(*_BANDS, strict=True))[1:])
    age = low * 365 + chance.below("age", tags, (high - low) * 365)
    age = np.where(mother, np.clip(11_350 + chance.normal("mother's age", tags) * 1_900 // SD, 6_600, 16_400), age)
    entry = np.where(
        mother, np.maximum(born_on - 30 - chance.below("pregnancy", tags, 200), START), _entry(chance, tags)
    )
    entry = np.where(newborn, born_on, workday(entry))
    female = np.where(newborn, chance.happens("girl", tags, 0.488), chance.happens("female", tags, women)) | mother
    weights = [float(row["poids"]) for row in rows("communes")]
    return People(
        id=ids,
        tag=tags,
        female=female,
        birth=np.where(newborn, born_on, entry - age),
        entry=entry,
        delivery=np.where(mother, born_on, NEVER),
        born=np.where(newborn, born_on, NEVER),
        mother=np.where(newborn, ids - 1, 0),
        town=chance.pick("town", pair, weights),
    )


def _birthday(chance: Chance, pair: Tags) -> Ints:
    """A day of birth: any day but the last month's, a little more often in summer."""
    profile = busy("ete", "urgences")
    floor = profile[60]
    span = profile[LENGTH - 40] - floor
    return START + np.searchsorted(profile, floor + 1 + chance.below("birthday", pair, span))


def _entry(chance: Chance, tags: Tags) -> Ints:
    """The first contact: more than half were known before the period, and are seen early in it."""
    early = chance.happens("known", tags, 0.56)
    return START + np.where(
        early, chance.below("early entry", tags, 300), chance.below("late entry", tags, END - START - 30)
    )

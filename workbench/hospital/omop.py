"""The hospital as OMOP tables (CDM 5.4). Columns that nothing is known of are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from workbench.hospital import concepts as ids
from workbench.hospital.biology import METHODS
from workbench.hospital.chance import Flags, Ints
from workbench.hospital.chunk import Chunk
from workbench.hospital.coding import CCAM, CIM10, PRINCIPAL, ROLES
from workbench.hospital.data import rows
from workbench.hospital.days import END, EXTRACTED, NEVER
from workbench.hospital.pathways import products
from workbench.hospital.stays import DEAD, ENTRIES, EXITS, HOME, TRANSFER, UNITS
from workbench.hospital.visits import CONSULTATION, EMERGENCY, STAY
from workbench.hospital.vocabulary import vocabulary

KEYS: Final[Mapping[str, str]] = {
    name: f"{name}_id"
    for name in ("visit_occurrence", "visit_detail", "condition_occurrence", "observation", "procedure_occurrence",
                 "drug_exposure", "measurement", "observation_period")
}  # fmt: skip
"""The numbered tables, with their key."""
KIND_NAMES: Final = ("HC", "HDJ", "SEANCE", "URG", "CONS")
_TYPE, _ENCOUNTER, _PRESCRIBED, _GIVEN, _LAB, _COMPUTED = 32817, 32827, 32838, 32818, 32856, 32882
_ENTRY_CONCEPTS: Final = {(HOME, ""): 8536, (HOME, "5"): 9203, (TRANSFER, "1"): 8717, ("N", ""): 0}
_EXIT_CONCEPTS: Final = {(HOME, ""): 8536, ("6", "2"): 8920, (TRANSFER, "1"): 8717, (HOME, "7"): 8676,
                         (HOME, "6"): 581476, (DEAD, ""): 4216643}  # fmt: skip
_INTENSIVE: Final = np.array([row["type"] in {"reanimation", "soins_intensifs"} for row in rows("unites_medicales")])
_LATE_NEWS: Final = 120
"""Days before the end of which a death elsewhere is not known yet at the first extraction."""


def tables(chunk: Chunk, extraction: int, next_ids: Mapping[str, int]) -> dict[str, pa.Table]:
    """Return the chunk's rows of each table. `next_ids` gives the key of each numbered table's first row."""
    visit = next_ids["visit_occurrence"] + np.arange(len(chunk.visits))
    detail = next_ids["visit_detail"] + np.arange(len(chunk.steps))
    made = {
        **_persons(chunk, extraction, next_ids["observation_period"]),
        "visit_occurrence": _visits(chunk, visit),
        "visit_detail": _details(chunk, visit, detail),
        **_diagnoses(chunk, extraction, visit, detail, next_ids),
        "procedure_occurrence": _acts(chunk, visit, detail, next_ids["procedure_occurrence"]),
        "drug_exposure": _drugs(chunk, visit, next_ids["drug_exposure"]),
        "measurement": _measures(chunk, visit, next_ids["measurement"]),
    }
    return {name: pa.table(columns) for name, columns in made.items()}


def texts(values: Sequence[str | None], places: Ints) -> pa.DictionaryArray:
    """Return one of few texts for each place."""
    absent = np.array([value is None for value in values], dtype=np.bool_)
    words = pa.array([value or "" for value in values], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32), mask=absent[places]), words)


def dates(days: Ints) -> pa.Array:
    """Return days as dates, none where the day is `NEVER`."""
    return pa.array(days.astype(np.int32), pa.int32(), mask=days >= NEVER).cast(pa.date32())


def moments(days: Ints, minutes: Ints) -> pa.Array:
    """Return days and minutes of the day as timestamps."""
    return pa.array((days * 1440 + minutes) * 60_000_000, pa.int64()).cast(pa.timestamp("us"))


def constant(value: int, length: int) -> Ints:
    """Return the same number for all rows."""
    return np.full(length, value, dtype=np.int64)


def optional(values: Any, missing: Flags) -> pa.Array:
    """Return values, none where they are missing."""
    return pa.array(values, mask=missing)


def known_death(chunk: Chunk, extraction: int) -> Ints:
    """Return the days of death that are known at an extraction (`NEVER`: none)."""
    death = chunk.course.death
    here = np.zeros(len(death), dtype=np.bool_)
    here[chunk.visits.person[chunk.visits.fatal]] = True
    late = ~here & (death > END - _LATE_NEWS) & (extraction == 1)
    return np.where((death > END) | late, NEVER, death)


def _persons(chunk: Chunk, extraction: int, period: int) -> dict[str, dict[str, Any]]:
    who = chunk.who
    death = known_death(chunk, extraction)
    place, again = chunk.identities
    identity = np.where(again, chunk.second_id[place], who.id[place])
    birth = who.birth[place].astype("datetime64[D]")
    month = birth.astype("datetime64[M]")
    start = np.where(again, chunk.second_entry[place], who.entry[place])
    zero = constant(0, len(place))
    person = {
        "person_id": identity,
        "gender_concept_id": np.where(who.female[place], 8532, 8507),
        "year_of_birth": birth.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month_of_birth": month.astype(np.int64) % 12 + 1,
        "day_of_birth": (birth - month.astype("datetime64[D]")).astype(np.int64) + 1,
        "birth_datetime": moments(who.birth[place], zero),
        "race_concept_id": zero,
        "ethnicity_concept_id": zero,
        "location_id": who.town[place] + 1,
        "gender_source_value": texts(["H", "F"], who.female[place].astype(np.int64)),
    }
    observed = {
        "observation_period_id": period + np.arange(len(place)),
        "person_id": identity,
        "observation_period_start_date": dates(start),
        "observation_period_end_date": dates(np.minimum(death, END)[place]),
        "period_type_concept_id": constant(_COMPUTED, len(place)),
    }
    return {"person": person, "observation_period": observed, "death": _deaths(chunk, death)}


def _deaths(chunk: Chunk, death: Ints) -> dict[str, Any]:
    dead = np.flatnonzero(death < NEVER)
    cause = np.full(len(chunk.who), -1, dtype=np.int64)
    main = (chunk.diagnoses.role == PRINCIPAL) & chunk.steps.main[chunk.diagnoses.segment]
    visit = chunk.steps.visit[chunk.diagnoses.segment[main]]
    fatal = chunk.visits.fatal[visit]
    cause[chunk.visits.person[visit[fatal]]] = chunk.diagnoses.code[main][fatal]
    code = cause[dead]
    unknown = code < 0
    known = np.maximum(code, 0)
    return {
        "person_id": chunk.who.id[dead],
        "death_date": dates(death[dead]),
        "death_type_concept_id": constant(_TYPE, len(dead)),
        "cause_concept_id": optional(vocabulary().cim10_standard[known], unknown),
        "cause_source_value": texts([*CIM10, None], np.where(unknown, len(CIM10), code)),
        "cause_source_concept_id": optional(vocabulary().cim10[known], unknown),
    }


def visit_concepts(chunk: Chunk) -> Ints:
    """Return the concept of each visit."""
    kind, urgent = chunk.visits.kind, chunk.how.emergency
    stay = np.where(urgent, 262, 9201)
    return np.select([kind == STAY, kind == EMERGENCY, kind == CONSULTATION], [stay, 9203, 9202], 8756)


def main_units(chunk: Chunk) -> Ints:
    """Return the unit of each visit: that of its main step."""
    unit = np.zeros(len(chunk.visits), dtype=np.int64)
    unit[chunk.steps.visit[chunk.steps.main]] = chunk.steps.unit[chunk.steps.main]
    return unit


def _visits(chunk: Chunk, visit: Ints) -> dict[str, Any]:
    visits, how = chunk.visits, chunk.how
    kind = visits.kind
    entries = np.array([_ENTRY_CONCEPTS[each] for each in ENTRIES])
    exits = np.array([_EXIT_CONCEPTS[each] for each in EXITS])
    consultation = kind == CONSULTATION
    return {
        "visit_occurrence_id": visit,
        "person_id": chunk.owner,
        "visit_concept_id": visit_concepts(chunk),
        "visit_start_date": dates(visits.start),
        "visit_start_datetime": moments(visits.start, how.minute),
        "visit_end_date": dates(visits.end),
        "visit_end_datetime": moments(visits.end, how.last_minute),
        "visit_type_concept_id": constant(_ENCOUNTER, len(visit)),
        "care_site_id": main_units(chunk) + 1,
        "visit_source_value": texts(KIND_NAMES, kind),
        "visit_source_concept_id": constant(0, len(visit)),
        "admitted_from_concept_id": optional(entries[how.entry], consultation),
        "admitted_from_source_value": texts(
            [*("".join(each) for each in ENTRIES), None], np.where(consultation, 4, how.entry)
        ),
        "discharged_to_concept_id": optional(exits[how.exit], consultation),
        "discharged_to_source_value": texts(
            [*("".join(each) for each in EXITS), None], np.where(consultation, 6, how.exit)
        ),
    }


def step_minutes(chunk: Chunk) -> tuple[Ints, Ints]:
    """Return the minutes of the day on which each step starts and ends: changes of unit are at 14:00."""
    visits, how, steps = chunk.visits, chunk.how, chunk.steps
    first, last = how.minute[steps.visit], how.last_minute[steps.visit]
    later = np.minimum(first + 90, 1439)
    begins = np.where(steps.number == 0, first, np.where(steps.start == visits.start[steps.visit], later, 840))
    final = np.ones(len(steps), dtype=np.bool_)
    final[:-1] = steps.visit[1:] != steps.visit[:-1]
    ends = np.where(final, last, np.where(steps.end == visits.start[steps.visit], later, 840))
    return begins, np.where(steps.end == steps.start, np.maximum(begins, ends), ends)


def _details(chunk: Chunk, visit: Ints, detail: Ints) -> dict[str, Any]:
    steps, mine = chunk.steps, chunk.steps.visit
    begins, ends = step_minutes(chunk)
    plain = np.where(chunk.visits.kind[mine] == STAY, 9201, visit_concepts(chunk)[mine])
    concept = np.where(steps.rum == 0, 9203, np.where(_INTENSIVE[steps.unit], 32037, plain))
    concept = np.where(chunk.visits.kind[mine] == CONSULTATION, 9202, concept)
    before = np.roll(detail, 1)
    return {
        "visit_detail_id": detail,
        "person_id": chunk.owner[mine],
        "visit_detail_concept_id": concept,
        "visit_detail_start_date": dates(steps.start),
        "visit_detail_start_datetime": moments(steps.start, begins),
        "visit_detail_end_date": dates(steps.end),
        "visit_detail_end_datetime": moments(steps.end, ends),
        "visit_detail_type_concept_id": constant(_ENCOUNTER, len(detail)),
        "care_site_id": steps.unit + 1,
        "visit_detail_source_value": texts(UNITS, steps.unit),
        "visit_detail_source_concept_id": vocabulary().ward[steps.unit],
        "preceding_visit_detail_id": optional(before, steps.number == 0),
        "visit_occurrence_id": visit[mine],
    }


def _diagnoses(
    chunk: Chunk, extraction: int, visit: Ints, detail: Ints, next_ids: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    known = vocabulary()
    given, steps = chunk.diagnoses, chunk.steps
    code = given.first_code if extraction == 1 else given.code
    observed = known.observation[given.code]
    made: dict[str, dict[str, Any]] = {}
    for table, stem, chosen in (
        ("condition_occurrence", "condition", ~observed),
        ("observation", "observation", observed),
    ):
        found = np.flatnonzero(chosen)
        segment, mine, role = given.segment[found], code[found], given.role[found]
        columns: dict[str, Any] = {
            KEYS[table]: next_ids[table] + np.arange(len(found)),
            "person_id": chunk.owner[steps.visit[segment]],
            f"{stem}_concept_id": known.cim10_standard[mine],
            f"{stem}_type_concept_id": constant(_TYPE, len(found)),
            f"{stem}_source_value": texts(CIM10, mine),
            f"{stem}_source_concept_id": known.cim10[mine],
            "visit_occurrence_id": visit[steps.visit[segment]],
            "visit_detail_id": detail[segment],
        }
        if stem == "observation":
            columns |= {"observation_date": dates(steps.start[segment]), "qualifier_source_value": texts(ROLES, role)}
        else:
            columns |= {
                "condition_start_date": dates(steps.start[segment]),
                "condition_end_date": dates(steps.end[segment]),
                "condition_status_concept_id": np.where(role == PRINCIPAL, 32902, 32908),
                "condition_status_source_value": texts(ROLES, role),
            }
        made[table] = columns
    return made


def _acts(chunk: Chunk, visit: Ints, detail: Ints, first: int) -> dict[str, Any]:
    acts, steps = chunk.acts, chunk.steps
    mine = steps.visit[acts.segment]
    return {
        "procedure_occurrence_id": first + np.arange(len(mine)),
        "person_id": chunk.owner[mine],
        "procedure_concept_id": constant(0, len(mine)),
        "procedure_date": dates(acts.day),
        "procedure_type_concept_id": constant(_TYPE, len(mine)),
        "procedure_source_value": texts(CCAM, acts.code),
        "procedure_source_concept_id": vocabulary().ccam[acts.code],
        "quantity": constant(1, len(mine)),
        "visit_occurrence_id": visit[mine],
        "visit_detail_id": detail[acts.segment],
    }


def _drugs(chunk: Chunk, visit: Ints, first: int) -> dict[str, Any]:
    drugs = chunk.drugs
    codes = [ids.ucd(place) for place in range(len(products()))]
    end = np.where(chunk.flaws.reversed, drugs.start - 3, drugs.end)
    return {
        "drug_exposure_id": first + np.arange(len(end)),
        "person_id": chunk.owner[drugs.visit],
        "drug_concept_id": vocabulary().product_standard[drugs.product],
        "drug_exposure_start_date": dates(drugs.start),
        "drug_exposure_end_date": dates(end),
        "drug_type_concept_id": np.where(drugs.given, _GIVEN, _PRESCRIBED),
        "days_supply": optional(drugs.end - drugs.start + 1, ~drugs.home),
        "drug_source_value": texts(codes, drugs.product),
        "drug_source_concept_id": vocabulary().product[drugs.product],
        "visit_occurrence_id": visit[drugs.visit],
    }


def bounds() -> tuple[np.ndarray, np.ndarray]:
    """Return the usual lowest and highest value of each method, in its unit (NaN: none)."""
    first = {row["code"]: row for row in reversed(METHODS)}
    result = np.full((2, len(METHODS)), np.nan)
    for place, row in enumerate(METHODS):
        plain = first[row["code"]]
        ratio = int(row.get("numerateur") or 1) / int(row.get("denominateur") or 1)
        for side, name in enumerate(("bas", "haut")):
            if plain[name]:
                result[side, place] = round(float(plain[name]) * ratio + float(row.get("ajout") or 0), 2)
    return result[0], result[1]


def _measures(chunk: Chunk, visit: Ints, first: int) -> dict[str, Any]:
    known, found = vocabulary(), chunk.flaws
    values = found.measures
    answer = values.positive >= 0
    low, high = (each[values.method] for each in bounds())
    unit = known.unit[values.method]
    names = [row["unite"] or None for row in METHODS]
    concept = np.where(found.unknown, ids.UNKNOWN, known.method_standard[values.method])
    mine = visit[values.visit]
    return {
        "measurement_id": first + np.arange(len(mine)),
        "person_id": chunk.owner[values.visit],
        "measurement_concept_id": concept,
        "measurement_date": dates(values.day),
        "measurement_datetime": moments(values.day, values.minute),
        "measurement_type_concept_id": constant(_LAB, len(mine)),
        "operator_concept_id": optional(np.where(values.beyond > 0, 4172704, 4171756), values.beyond == 0),
        "value_as_number": optional(values.value / 1000, answer),
        "value_as_concept_id": optional(np.where(values.positive > 0, 9191, 9189), ~answer),
        "unit_concept_id": optional(unit, unit == 0),
        "range_low": optional(low, np.isnan(low)),
        "range_high": optional(high, np.isnan(high)),
        "measurement_source_value": texts([ids.local(place) for place in range(len(METHODS))], values.method),
        "measurement_source_concept_id": known.method[values.method],
        "unit_source_value": texts(names, values.method),
        "visit_occurrence_id": np.where(found.orphan, ORPHAN, mine),
    }


ORPHAN: Final = 9_000_000_000
"""A visit that is not there: a planted error."""


def fixed_tables() -> dict[str, pa.Table]:
    """Return the tables that hold no persons: units, towns, the source's description, the vocabulary."""
    wards = rows("unites_medicales")
    towns = rows("communes")
    made = {name: frame.to_arrow() for name, frame in vocabulary().tables.items()}
    made["care_site"] = pa.table(
        {
            "care_site_id": np.arange(1, len(wards) + 1),
            "care_site_name": [row["libelle"] for row in wards],
            "care_site_source_value": [row["code"] for row in wards],
            "place_of_service_source_value": [row["pole"] for row in wards],
        }
    )
    made["location"] = pa.table(
        {
            "location_id": np.arange(1, len(towns) + 1),
            "city": [row["nom"] for row in towns],
            "location_source_value": [row["code"] for row in towns],
            "country_source_value": ["France"] * len(towns),
        }
    )
    made["cdm_source"] = pa.table(
        {
            "cdm_source_name": ["CHU de synthèse"],
            "cdm_source_abbreviation": ["CHU-SYN"],
            "cdm_holder": ["Atelier (données inventées)"],
            "source_description": ["Patients inventés, tirés d’une graine : aucun n’existe."],
            "source_release_date": dates(np.array([EXTRACTED[2]])),
            "cdm_release_date": dates(np.array([EXTRACTED[2]])),
            "cdm_version": ["5.4"],
            "cdm_version_concept_id": [756265],
            "vocabulary_version": [ids.VERSION],
        }
    )
    return made

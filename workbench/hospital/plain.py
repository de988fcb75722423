"""The same hospital as the tables that its systems would dump: French names, local codes, `;`, some in Latin-1."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.hospital import concepts as ids
from workbench.hospital.biology import METHODS, NAME, VITALS
from workbench.hospital.chance import Chance, Flags, Ints
from workbench.hospital.chunk import Chunk
from workbench.hospital.coding import CCAM, CIM10, ROLES
from workbench.hospital.data import rows
from workbench.hospital.days import END, EXTRACTED, NEVER
from workbench.hospital.omop import KIND_NAMES, ORPHAN, bounds, known_death, main_units, texts
from workbench.hospital.pathways import products
from workbench.hospital.stays import ENTRIES, EXITS, UNITS
from workbench.hospital.visits import CONSULTATION

LATIN_1: Final = frozenset(("patients", "sejours", "diagnostics"))
"""The tables of the old systems: written in Latin-1, the others in UTF-8."""
IPP: Final = 8_000_000_000
"""What is added to a person's id for the hospital's own number of the patient."""
_DAYS: Final = "%d/%m/%Y"
_OLD_SIGNS: Final = str.maketrans({"’": "'", "œ": "oe", "Œ": "OE"})
"""Signs that Latin-1 lacks, as old systems write them."""


def plain(chance: Chance, chunk: Chunk, extraction: int, next_ids: Mapping[str, int]) -> dict[str, pl.DataFrame]:
    """Return the chunk's rows of each dumped table; `next_ids` as for the OMOP tables."""
    visit = next_ids["visit_occurrence"] + np.arange(len(chunk.visits))
    step = next_ids["visit_detail"] + np.arange(len(chunk.steps))
    ipp = IPP + chunk.owner
    biology, vitals = _measures(chunk, visit, ipp)
    ordered, given = _drugs(chunk, visit, ipp)
    return {
        "patients": _patients(chance, chunk, extraction),
        "sejours": _visits(chunk, visit, ipp),
        "rum": _steps(chunk, visit, step),
        "diagnostics": _diagnoses(chunk, extraction, visit, step, ipp),
        "actes": _acts(chunk, visit, step, ipp),
        "prescriptions": ordered,
        "administrations": given,
        "biologie": biology,
        "constantes": vitals,
    }


def correspondences() -> dict[str, pl.DataFrame]:
    """Return what the local codes mean."""
    atc = {row["code"]: row["libelle"] for row in rows("atc")}
    drugs = [(ids.ucd(place), f"{atc[code].upper()} {form}", code) for place, (code, form) in enumerate(products())]
    tests = [(ids.local(place), row["libelle"], row["unite"], row["loinc"]) for place, row in enumerate(METHODS)]
    units = [(row["code"], row["libelle"], row["type"], row["pole"]) for row in rows("unites_medicales")]
    return {
        "ref_medicaments": pl.DataFrame(drugs, schema=["UCD", "LIBELLE", "ATC"], orient="row"),
        "ref_analyses": pl.DataFrame(tests, schema=["CODE", "LIBELLE", "UNITE", "LOINC"], orient="row"),
        "ref_unites": pl.DataFrame(units, schema=["UM", "LIBELLE", "TYPE", "POLE"], orient="row"),
    }


def append(folder: Path, name: str, frame: pl.DataFrame, *, first: bool) -> None:
    """Add rows to a table's file; the first time with the names of the columns."""
    buffer = io.BytesIO()
    frame.write_csv(buffer, separator=";", include_header=first, decimal_comma=True, quote_style="necessary")
    data = buffer.getvalue()
    if name in LATIN_1:
        data = data.decode("utf-8").translate(_OLD_SIGNS).encode("latin-1")
    with (folder / f"{name}.csv").open("wb" if first else "ab") as file:
        file.write(data)


def _text(values: Sequence[str | None], places: Ints) -> pl.Series:
    return pl.Series(pa.array(texts(values, places).cast(pa.string())))


def _dates(days: Ints) -> pl.Series:
    series = pl.Series(np.minimum(days, 80_000).astype(np.int32)).cast(pl.Date).dt.strftime(_DAYS)
    return series.set(pl.Series(days >= NEVER), None)


def _times(minutes: Ints) -> pl.Series:
    clock = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440)]
    return _text(clock, minutes)


def _patients(chance: Chance, chunk: Chunk, extraction: int) -> pl.DataFrame:
    """Names are invented, and the numbers are none: a real one has neither month 00 nor the key 00."""
    who = chunk.who
    place, again = chunk.identities
    identity = np.where(again, chunk.second_id[place], who.id[place])
    names = [row["nom"] for row in rows("noms") if row["nom"]]
    first = {sex: [row[f"prenom_{sex}"] for row in rows("noms") if row[f"prenom_{sex}"]] for sex in "fm"}
    family = chance.below("family name", (who.id[place] + who.id[place] % 2).astype(np.uint64), len(names))
    given = chance.below("first name", who.tag[place], len(first["f"]))
    death = known_death(chunk, extraction)[place]
    death = np.where(again, NEVER, death)  # nobody tells the second identity
    year = who.birth[place].astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) % 100 + 70
    sex = np.where(who.female[place], 2, 1)
    mother = who.mother[place]
    towns = rows("communes")
    return pl.DataFrame(
        {
            "IPP": IPP + identity,
            "NIR": sex * 10**14 + year % 100 * 10**12 + who.id[place] * 100,
            "NOM": _names([name.upper() for name in names], family, again),
            "PRENOM": _text([*first["f"], *first["m"]], np.where(who.female[place], given, given + len(first["f"]))),
            "SEXE": _text(["H", "F"], who.female[place].astype(np.int64)),
            "DATE_NAISSANCE": _dates(who.birth[place]),
            "DATE_DECES": _dates(death),
            "CODE_COMMUNE": _text([row["code"] for row in towns], who.town[place]),
            "COMMUNE": _text([row["nom"] for row in towns], who.town[place]),
            "IPP_MERE": pl.Series(np.where(mother > 0, IPP + mother, 0)).replace(0, None),
        }
    )


def _names(names: list[str], places: Ints, again: Flags) -> pl.Series:
    """Return family names; one who is registered again has lost a letter."""
    return _text([*names, *(name[:2] + name[3:] for name in names)], np.where(again, places + len(names), places))


def _visits(chunk: Chunk, visit: Ints, ipp: Ints) -> pl.DataFrame:
    visits, how = chunk.visits, chunk.how
    nothing = visits.kind == CONSULTATION
    entry, leave = np.where(nothing, len(ENTRIES), how.entry), np.where(nothing, len(EXITS), how.exit)
    return pl.DataFrame(
        {
            "NUM_SEJOUR": visit,
            "IPP": ipp,
            "TYPE": _text(KIND_NAMES, visits.kind),
            "URGENCES": how.emergency.astype(np.int64),
            "DATE_ENTREE": _dates(visits.start),
            "HEURE_ENTREE": _times(how.minute),
            "DATE_SORTIE": _dates(visits.end),
            "HEURE_SORTIE": _times(how.last_minute),
            "MODE_ENTREE": _text([*(mode for mode, _ in ENTRIES), None], entry),
            "PROVENANCE": _text([*(place or None for _, place in ENTRIES), None], entry),
            "MODE_SORTIE": _text([*(mode for mode, _ in EXITS), None], leave),
            "DESTINATION": _text([*(place or None for _, place in EXITS), None], leave),
            "UM": _text(UNITS, main_units(chunk)),
        }
    )


def _steps(chunk: Chunk, visit: Ints, step: Ints) -> pl.DataFrame:
    steps = chunk.steps
    names = [row["libelle"] for row in rows("unites_medicales")]
    return pl.DataFrame(
        {
            "NUM_RUM": step,
            "NUM_SEJOUR": visit[steps.visit],
            "ORDRE": steps.rum,
            "UM": _text(UNITS, steps.unit),
            "LIBELLE_UM": _text(names, steps.unit),
            "DATE_ENTREE": _dates(steps.start),
            "DATE_SORTIE": _dates(steps.end),
        }
    )


def _diagnoses(chunk: Chunk, extraction: int, visit: Ints, step: Ints, ipp: Ints) -> pl.DataFrame:
    given, steps = chunk.diagnoses, chunk.steps
    mine = steps.visit[given.segment]
    code = given.first_code if extraction == 1 else given.code
    changed = (given.code != given.first_code) & (extraction == 2)
    coded = np.minimum(steps.end[given.segment] + 12, END + 10)
    return pl.DataFrame(
        {
            "NUM_RUM": step[given.segment],
            "NUM_SEJOUR": visit[mine],
            "IPP": ipp[mine],
            "TYPE": _text(ROLES, given.role),
            "CODE_CIM10": _text([name.replace(".", "") for name in CIM10], code),
            "LIBELLE": _text([row["libelle"] for row in rows("cim10")], code),
            "DATE_CODAGE": _dates(np.where(changed, EXTRACTED[1] + 60, coded)),
        }
    )


def _acts(chunk: Chunk, visit: Ints, step: Ints, ipp: Ints) -> pl.DataFrame:
    acts = chunk.acts
    mine = chunk.steps.visit[acts.segment]
    return pl.DataFrame(
        {
            "NUM_RUM": step[acts.segment],
            "NUM_SEJOUR": visit[mine],
            "IPP": ipp[mine],
            "CODE_CCAM": _text(CCAM, acts.code),
            "LIBELLE": _text([row["libelle"] for row in rows("ccam")], acts.code),
            "DATE_ACTE": _dates(acts.day),
        }
    )


def _drugs(chunk: Chunk, visit: Ints, ipp: Ints) -> tuple[pl.DataFrame, pl.DataFrame]:
    drugs = chunk.drugs
    reference = correspondences()["ref_medicaments"]
    end = np.where(chunk.flaws.reversed, drugs.start - 3, drugs.end)

    def identity(found: Ints) -> dict[str, Any]:
        own = drugs.visit[found]
        names = {name: _text(reference[name].to_list(), drugs.product[found]) for name in reference.columns}
        return {"NUM_SEJOUR": visit[own], "IPP": ipp[own], **names, "DATE_DEBUT": _dates(drugs.start[found])}

    ordered, given = np.flatnonzero(~drugs.given), np.flatnonzero(drugs.given)
    days = pl.Series(np.where(drugs.home, drugs.end - drugs.start + 1, 0)[ordered]).replace(0, None)
    prescriptions = pl.DataFrame({**identity(ordered), "DATE_FIN": _dates(end[ordered]), "DUREE_JOURS": days})
    return prescriptions, pl.DataFrame(identity(given)).rename({"DATE_DEBUT": "DATE_ADMINISTRATION"})


def _measures(chunk: Chunk, visit: Ints, ipp: Ints) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = chunk.flaws
    values = found.measures
    low, high = (pl.Series(each[values.method]).fill_nan(None) for each in bounds())
    answer = values.positive >= 0
    codes = [*(ids.local(place) for place in range(len(METHODS))), "INCONNU"]
    frame = pl.DataFrame(
        {
            "NUM_SEJOUR": np.where(found.orphan, ORPHAN, visit[values.visit]),
            "IPP": ipp[values.visit],
            "CODE": _text(codes, np.where(found.unknown, len(METHODS), values.method)),
            "LIBELLE": _text([row["libelle"] for row in METHODS], values.method),
            "DATE": _dates(values.day),
            "HEURE": _times(values.minute),
            "SIGNE": _text(["<", None, ">"], values.beyond + 1),
            "VALEUR": pl.Series(values.value / 1000).set(pl.Series(answer), None),
            "RESULTAT": _text([None, "Négatif", "Positif"], values.positive + 1),
            "UNITE": _text([row["unite"] or None for row in METHODS], values.method),
            "BORNE_INF": low,
            "BORNE_SUP": high,
        }
    )
    bedside = np.isin(values.method, [NAME[code] for code in VITALS])
    return frame.filter(pl.Series(~bedside)), frame.filter(pl.Series(bedside))

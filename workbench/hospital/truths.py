"""What is true of the hospital by its making: for tests to find again. No page and no command shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.hospital import planted
from workbench.hospital.chance import Flags
from workbench.hospital.chunk import Chunk
from workbench.hospital.coding import CIM10, PRINCIPAL
from workbench.hospital.course import HEART_FAILURE
from workbench.hospital.data import planted as coefficients
from workbench.hospital.days import END, NEVER, START
from workbench.hospital.omop import known_death
from workbench.hospital.planted import YEAR
from workbench.hospital.visits import STAY, first_of

_TYPE_2 = np.array([code.startswith("E11") for code in CIM10])
_COVID = np.array([code.startswith("U07.1") for code in CIM10])


@dataclass
class Truths:
    """Counts and probabilities, gathered chunk by chunk."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    errors: dict[str, int] = field(default_factory=dict[str, int])
    predicted: list[tuple[NDArray[np.float64], Flags]] = field(default_factory=list)
    treated: list[tuple[NDArray[np.float64], NDArray[np.float64], Flags, Flags]] = field(default_factory=list)

    def add(self, chunk: Chunk) -> None:
        """Add a chunk's truths."""
        self._people(chunk)
        self._metformin(chunk)
        self._second(chunk)
        for kind, rows in chunk.flaws.counts.items():
            self.errors[kind] = self.errors.get(kind, 0) + rows

    def _count(self, **counts: int | np.integer[Any]) -> None:
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + int(number)

    def _people(self, chunk: Chunk) -> None:
        visits, given, steps = chunk.visits, chunk.diagnoses, chunk.steps
        owner = chunk.owner[steps.visit[given.segment]]
        failure = visits.of(HEART_FAILURE)
        covid = given.segment[(given.role == PRINCIPAL) & _COVID[given.code]]
        recoded = given.code != given.first_code
        death = chunk.course.death
        self._count(
            persons=len(chunk.who),
            duplicates=len(chunk.twice),
            women=chunk.who.female.sum(),
            births=(chunk.who.born < NEVER).sum(),
            deaths=(death <= END).sum(),
            deaths_in_hospital=len(np.unique(visits.person[visits.fatal])),
            deaths_known_late=((known_death(chunk, 2) < NEVER) & (known_death(chunk, 1) == NEVER)).sum(),
            diagnoses_recoded=recoded.sum(),
            type_2_diabetes=len(np.unique(owner[_TYPE_2[given.code]])),
            heart_failure_stays=failure.sum(),
            heart_failure_persons=len(np.unique(visits.person[failure])),
            covid_stays=len(np.unique(steps.visit[covid])),
            stays=(visits.kind == STAY).sum(),
        )

    def _metformin(self, chunk: Chunk) -> None:
        sugar, told, last = chunk.sugar, chunk.course, chunk.last_day
        started = sugar.new & (sugar.first <= last)
        earlier = first_of(chunk.visits, chunk.visits.start, chunk.visits.of(HEART_FAILURE), len(last)) <= sugar.first
        free = started & ~earlier
        until = np.minimum(np.minimum(told.first.day, last), sugar.first + YEAR)
        self._count(
            metformin_new_users=started.sum(),
            metformin_new_users_without_failure=free.sum(),
            failure_within_a_year=(free & told.first.event).sum(),
            days_at_risk=(until - sugar.first)[free].sum(),
        )
        asked = free & told.first.followed
        self.predicted.append((told.first.risk[asked], told.first.event[asked]))

    def _second(self, chunk: Chunk) -> None:
        sugar, told, last = chunk.sugar, chunk.course, chunk.last_day
        started = sugar.second <= last
        self._count(
            gliflozin_new_users=(started & sugar.gliflozin).sum(),
            sulfonylurea_new_users=(started & ~sugar.gliflozin).sum(),
        )
        asked = told.second.followed
        known = (chunk.who, chunk.ill, sugar.second, told.failing)
        one, other = planted.effect(*known, treated=True)[asked], planted.effect(*known, treated=False)[asked]
        self.treated.append((one, other, sugar.gliflozin[asked], told.second.event[asked]))

    def document(self, patients: int, seed: int, extraction: int) -> dict[str, Any]:
        """Return all truths as one document."""
        return {
            "patients": patients,
            "seed": seed,
            "extraction": extraction,
            "period": [START, END],
            "counts": self.counts,
            "errors": self.errors,
            "incidence": self._incidence(),
            "prediction": self._prediction(),
            "effect": self._effect(),
        }

    def _incidence(self) -> dict[str, Any]:
        events, days = self.counts.get("failure_within_a_year", 0), self.counts.get("days_at_risk", 0)
        return {"events": events, "days": days, "per_1000_years": events / days * 365_250 if days else None}

    def _prediction(self) -> dict[str, Any]:
        risk = np.concatenate([risk for risk, _ in self.predicted]) if self.predicted else np.empty(0)
        event = (
            np.concatenate([event for _, event in self.predicted]) if self.predicted else np.empty(0, dtype=np.bool_)
        )
        return {
            "coefficients": coefficients()["prediction"],
            "persons": len(risk),
            "events": int(event.sum()),
            "expected_events": float(risk.sum()),
            "best_auc": _number(planted.best_auc(risk)),
        }

    def _effect(self) -> dict[str, Any]:
        nothing = (np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.bool_))
        parts = list(zip(nothing, *self.treated, strict=True))
        one, other = np.concatenate(parts[0]), np.concatenate(parts[1])
        treated, event = np.concatenate(parts[2]), np.concatenate(parts[3])
        drawn = np.where(treated, one, other)
        crude = {"treated": _mean(drawn[treated]), "others": _mean(drawn[~treated])}
        return {
            "coefficients": coefficients()["effet"],
            "log_odds_ratio": coefficients()["effet"]["traitement"],
            "risk_difference": _number(_mean(one) - _mean(other)),
            "crude_odds_ratio": _number(planted.odds_ratio(crude)),
            "treated": {"persons": int(treated.sum()), "events": int((treated & event).sum())},
            "others": {"persons": int((~treated).sum()), "events": int((~treated & event).sum())},
        }


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.sum() / len(values)) if len(values) else float("nan")


def _number(value: float) -> float | None:
    """Return a number to twelve digits, none where there is none: the last digits of a sum may differ by machine."""
    return None if np.isnan(value) else float(f"{value:.12g}")

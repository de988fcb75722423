"""The demonstration on the synthetic hospital: who, of those who start metformin, is admitted for heart failure?"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.cohorts.shipped import HOSPITAL
from workbench.hospital.make import LAST_EXTRACTION, SEED, make
from workbench.kernel.progress import Progress
from workbench.services import studies
from workbench.services.context import Workbench
from workbench.services.demo import OUTCOME_PERIOD, PERIOD, TABLES, Story

PATIENTS = 10_000
"""How many patients the demonstration has where nobody says."""
STUDY = "metformine-insuffisance-cardiaque"
TARGET, OUTCOME = "hospital_metformin_new_users", "hospital_heart_failure_stay"
_TREATMENTS = ("hospital_gliflozin_new_users", "hospital_sulfonylurea_new_users")
_SOURCE = ".hospital"

PROTOCOL: Mapping[str, Any] = {
    "format": "workbench/protocol/1",
    "study": STUDY,
    "title": "Insuffisance cardiaque dans l’année qui suit une première metformine (patients inventés)",
    "purpose": "Prédire, chez les diabétiques de type 2 qui commencent la metformine, une hospitalisation pour "
    "insuffisance cardiaque dans l’année, pour décider à qui proposer une échographie cardiaque.",
    "sponsor": "CHU de synthèse",
    "investigator": "Camille Moreau",
    "legal_basis": {
        "code": "internal_study",
        "fields": {
            "purpose": "Étude interne de pharmaco-épidémiologie",
            "sponsor": "CHU de synthèse",
            "care_team": "Service d’endocrinologie et de diabétologie, usage exclusif de l’équipe de soins",
            "register_entry": "REG-SYN-001",
            "dpia_reference": "AIPD-SYN-001",
            "patients_information": "Patients inventés : information sans objet",
        },
    },
    "members": [
        {"user": "researcher", "role": "researcher"},
        {"user": "datascientist", "role": "data_scientist"},
    ],
    "release": studies.CURRENT,
    "cohorts": [*_TREATMENTS, TARGET, OUTCOME],
    "tables": TABLES,
    "period": PERIOD,
    "outcome_period": OUTCOME_PERIOD,
    "dates": "days_from_index",
    "sensitive_classes": [],
    "duration_days": 365,
    "retention_days": 1825,
    "destinations": [],
}

REQUEST: Mapping[str, Any] = {
    "cohort": TARGET,
    "outcomes": [OUTCOME],
    "tables": TABLES,
    "period": PERIOD,
    "outcome_period": OUTCOME_PERIOD,
    "why_not_aggregate": "Un modèle de prédiction s’ajuste sur des trajectoires individuelles ; "
    "des effectifs ne suffisent pas.",
}

DESIGN: Mapping[str, Any] = {
    "format": "workbench/design/1",
    "target": TARGET,
    "outcome": OUTCOME,
    "domains": [name for name in TABLES if name != "person"],
    "minimum_days_at_risk": 365,
}
"""As the default design, but for those who were followed for the whole year."""


def hospital(
    patients: int = PATIENTS, seed: int = SEED, extraction: int = LAST_EXTRACTION, into: Path | None = None
) -> Story:
    """Return the story of a hospital of so many patients, as it was at its first or at its last extraction.

    `into`: where the hospital stays once made, with the tables of its own systems beside the OMOP ones; else it is made
    in the home and removed once loaded.
    """

    @contextmanager
    def source(wb: Workbench, progress: Progress) -> Generator[Path]:
        place = into or wb.settings.home / _SOURCE
        if into is None:
            shutil.rmtree(place, ignore_errors=True)
        try:
            facts = {"patients": patients, "seed": seed, "extraction": extraction}
            yield make(place, **facts, tables=into is not None, progress=progress).omop
        finally:
            if into is None:
                shutil.rmtree(place, ignore_errors=True)

    number = f"{patients:,}".replace(",", "\u202f")
    late = "" if extraction == LAST_EXTRACTION else f", extraction {extraction}"
    name = f"CHU de synthèse ({number} patients, graine {seed}{late})"
    return Story(name, source, (HOSPITAL,), PROTOCOL, REQUEST, DESIGN)

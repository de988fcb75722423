"""The demonstration: the whole thread on simulated patients, each step by the person whose step it is.

It tells one of two stories: OHDSI's GiBleed (here), or the synthetic hospital (`demo_hospital.py`).

Every step finds what an earlier run left and goes on from there, so that a second run completes a killed one. Keys
come from a published seed: the same digests on any machine (docs/decisions/0004-demonstration-keys.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.cohorts.circe import read_definition
from workbench.cohorts.shipped import shipped
from workbench.governance.actors import Actor, Role
from workbench.governance.verifying import Verdict
from workbench.intake.omop import demo_source
from workbench.kernel.progress import Progress, part
from workbench.services import auditing, cohorts, extracts, learning, people, releases, requests, studies, tracing
from workbench.services.cohorts import CohortView
from workbench.services.context import Workbench
from workbench.services.extracts import ExtractView
from workbench.services.learning import FeaturesView, ModelView
from workbench.services.people import Person
from workbench.services.releases import ReleaseView
from workbench.services.requests import RequestView
from workbench.services.studies import StudyView
from workbench.services.tracing import Thread

NAME = "GiBleed"
STUDY = "nsaid-gi-bleed"
TARGET, OUTCOME = "nsaid_new_users", "gi_bleed"

PEOPLE = (
    Person("researcher", "Camille Moreau", Role.RESEARCHER, None),
    Person("datascientist", "Karim Benali", Role.DATA_SCIENTIST, None),
    Person("ethics", "Hélène Roy", Role.ETHICS_OFFICER, None),
)
"""The demo people; all invented."""

TABLES: Mapping[str, list[str]] = {
    "person": ["age_at_index", "gender_concept_id"],
    "condition_occurrence": ["condition_concept_id", "condition_start_date", "condition_end_date"],
    "drug_exposure": ["drug_concept_id", "drug_exposure_start_date", "drug_exposure_end_date"],
    "procedure_occurrence": ["procedure_concept_id", "procedure_date"],
    "measurement": ["measurement_concept_id", "measurement_date", "value_as_number", "unit_concept_id"],
    "visit_occurrence": ["visit_concept_id", "visit_start_date", "visit_end_date"],
}
PERIOD: Mapping[str, int] = {"from_day": -365, "to_day": 0}
OUTCOME_PERIOD: Mapping[str, int] = {"from_day": 0, "to_day": 365}

PROTOCOL: Mapping[str, Any] = {
    "format": "workbench/protocol/1",
    "study": STUDY,
    "title": "Hémorragie digestive après un premier AINS (données simulées)",
    "purpose": "Prédire, chez les nouveaux utilisateurs de célécoxib ou de diclofénac, l’hémorragie digestive dans "
    "l’année, pour décider à qui proposer une protection gastrique.",
    "sponsor": "CHU de démonstration",
    "investigator": "Camille Moreau",
    "legal_basis": {
        "code": "internal_study",
        "fields": {
            "purpose": "Étude interne de pharmaco-épidémiologie",
            "sponsor": "CHU de démonstration",
            "care_team": "Service de gastro-entérologie, usage exclusif de l’équipe de soins",
            "register_entry": "REG-DEMO-001",
            "dpia_reference": "AIPD-DEMO-001",
            "patients_information": "Patients simulés : information sans objet",
        },
    },
    "members": [
        {"user": "researcher", "role": "researcher"},
        {"user": "datascientist", "role": "data_scientist"},
    ],
    "release": studies.CURRENT,
    "cohorts": ["celecoxib_new_users", "diclofenac_new_users", TARGET, OUTCOME],
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


def _gibleed(_wb: Workbench, _progress: Progress) -> AbstractContextManager[Path]:
    return nullcontext(demo_source())


@dataclass(frozen=True)
class Story:
    """What a demonstration is about: the release's name and source (a folder or file that is there as long as the
    block runs), the folders of its shipped cohorts (none: those of GiBleed), protocol, request and study design (None:
    the default one)."""

    name: str
    source: Callable[[Workbench, Progress], AbstractContextManager[Path]]
    folders: tuple[str, ...]
    protocol: Mapping[str, Any]
    request: Mapping[str, Any]
    design: Mapping[str, Any] | None = None


GIBLEED = Story(NAME, _gibleed, (), PROTOCOL, REQUEST)


@dataclass
class Demo:
    """What the steps have made so far."""

    wb: Workbench
    story: Story = GIBLEED
    release: ReleaseView | None = None
    cohorts: list[CohortView] = field(default_factory=list[CohortView])
    study: StudyView | None = None
    request: RequestView | None = None
    extract: ExtractView | None = None
    features: FeaturesView | None = None
    models: list[ModelView] = field(default_factory=list[ModelView])
    verdict: Verdict | None = None
    thread: Thread | None = None

    def who(self, name: str) -> Actor:
        """Return a demo person as an actor."""
        return people.actor_named(self.wb, name)


def welcome(wb: Workbench) -> None:
    """Give the home its data steward (who runs the demonstration) and its three demo people."""
    steward = people.first_steward(wb)
    known = {person.name for person in people.people(wb)}
    for person in PEOPLE:
        if person.name not in known:
            people.add_person(wb, steward, person)


def load(demo: Demo, progress: Progress) -> None:
    """Step 1: the simulated patients become a data release, unless it is here and sound."""
    steward = people.first_steward(demo.wb)
    for view in releases.list_releases(demo.wb, steward):
        if view.name == demo.story.name and view.current and not releases.verify_release(demo.wb, steward, view.id):
            demo.release = view
            return
    with demo.story.source(demo.wb, part(progress, 0, 0.4)) as source:
        loading = part(progress, 0.4, 1)
        name = demo.story.name
        demo.release = releases.load_omop(demo.wb, steward, source, name=name, synthetic=True, progress=loading)


def generate(demo: Demo, progress: Progress) -> None:
    """Step 2: the shipped cohorts, generated on the release by the researcher."""
    definitions = {name: read_definition(path) for name, path in sorted(shipped(*demo.story.folders).items())}
    demo.cohorts = cohorts.generate(demo.wb, demo.who("researcher"), definitions, progress)


def ask(demo: Demo, progress: Progress) -> None:
    """Step 3: the study opened, a request filed, reviewed and approved by another person."""
    researcher, officer = demo.who("researcher"), demo.who("ethics")
    study = studies.create_study(demo.wb, researcher, demo.story.protocol)
    progress(0.3, study.id)
    if study.state == "draft":
        reason = "Finalité d’intérêt public, données minimales, patients simulés."
        study = studies.open_study(demo.wb, officer, study.id, protocol_digest=study.digest, reason=reason)
    request = requests.file_request(demo.wb, researcher, study.id, demo.story.request)
    progress(0.7, request.id)
    if request.state == "checked":
        reason = "Colonnes et période limitées au protocole ; le besoin de lignes est justifié."
        request = requests.decide(demo.wb, officer, request.id, "approved", protocol_digest=study.digest, reason=reason)
    demo.study, demo.request = study, request


def extract(demo: Demo, progress: Progress) -> None:
    """Step 4: the pseudonymized extract, inspected before anybody can see it."""
    assert demo.request is not None
    demo.extract = extracts.run_extract(demo.wb, demo.who("researcher"), demo.request.id, progress)


def learn(demo: Demo, progress: Progress) -> None:
    """Step 5: features from the extract alone, two models judged on held-out patients, recorded in MLflow."""
    assert demo.extract is not None
    wb, scientist, extract_id = demo.wb, demo.who("datascientist"), demo.extract.id
    known = [view for view in learning.list_features(wb, scientist) if view.extract == extract_id]
    features = (
        known[0]
        if known
        else learning.build_features(wb, scientist, extract_id, demo.story.design, part(progress, 0, 0.2))
    )
    kinds: list[str] = features.design["models"]
    mine = [m for m in learning.list_models(wb, scientist) if m.manifest["features"] == features.digest]
    demo.features = features
    if {model.kind for model in mine} == set(kinds):
        learning.record(wb, mine)
        demo.models = sorted(mine, key=lambda model: kinds.index(model.kind))
    else:
        demo.models = learning.train(wb, scientist, features.id, part(progress, 0.2, 1))


def prove(demo: Demo, progress: Progress) -> None:
    """Step 6: the audit log verified, the thread walked from a model back to the release."""
    officer = demo.who("ethics")
    demo.verdict = auditing.verify_log(demo.wb, officer)
    progress(0.5, "")
    demo.thread = tracing.trace(demo.wb, officer, demo.models[0].id)


STEPS: Mapping[str, Callable[[Demo, Progress], None]] = {
    "load": load,
    "generate": generate,
    "ask": ask,
    "extract": extract,
    "learn": learn,
    "prove": prove,
}
"""The steps in order."""

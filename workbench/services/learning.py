"""From an extract to models: features and training in the study's workspace, cards and curves for its readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.extracts.dates import in_days
from workbench.features.build import build_features as build
from workbench.features.build import features_id
from workbench.features.design import default_design, read_design
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.kernel.digest import digest_document, short
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.text import LANGS, Lang
from workbench.services import cohorts, extracts, objections, requests, studies
from workbench.services.context import Workbench, acting, event, working
from workbench.services.extracts import ExtractView
from workbench.store import documents, making
from workbench.store.documents import Document


@dataclass(frozen=True)
class FeaturesView:
    """A feature set as people see it: its manifest (no row) and the design by which it was made."""

    id: str
    digest: str
    study: str
    extract: str
    manifest: dict[str, Any]
    design: dict[str, Any]
    made_by: str
    made_at: str


@dataclass(frozen=True)
class ModelView:
    """A model as people see it: manifest, evaluation on held-out patients (small cells hidden), card in both languages.

    `extract` is the extract's id.
    """

    id: str
    digest: str
    study: str
    extract: str
    kind: str
    manifest: dict[str, Any]
    evaluation: dict[str, Any]
    card: dict[Lang, str]
    made_by: str
    made_at: str


def design_for(wb: Workbench, actor: Actor, extract_ref: str) -> dict[str, Any]:
    """Return the default design for an extract: its target, its first outcome, the event tables that it delivers."""
    view = extracts.show_extract(wb, actor, extract_ref)
    request = requests.show_request(wb, actor, _id_of(wb, view.manifest["request"]))
    if not request.outcomes:
        raise InvalidInput("learning.no_outcome", extract=view.id)
    delivered = {table["name"] for table in view.manifest["tables"]}
    domains = [name for name in default_design("target", "outcome")["domains"] if name in delivered]
    return default_design(request.cohort.name, request.outcomes[0].name, domains)


def _id_of(wb: Workbench, digest: str) -> str:
    with wb.store.read() as connection:
        document = documents.find(connection, digest)
    if document is None:
        raise Refused("store.no_document", ref=short(digest))
    return document.id


def build_features(
    wb: Workbench, actor: Actor, extract_ref: str, design: Mapping[str, Any] | None = None, progress: Progress = silent
) -> FeaturesView:
    """Build the features of an extract by a design (the default one where none is given), in its workspace."""
    with acting(wb, actor, "features.build", subject=extract_ref):
        view = extracts.show_extract(wb, actor, extract_ref)
        complete = read_design(design) if design is not None else design_for(wb, actor, view.id)
        args = {"extract": view.digest, "design": digest_document(complete)}
        with working(wb, actor, "features.build", args, progress) as (job, report):
            with wb.store.read() as connection:  # before the rows: one that comes between is applied, and not said
                opened = [each.id for each in objections.active(connection, view.study)]
            _, tables, secret = extracts.open_tables(wb, actor, view.id)
            root = wb.settings.extracts / view.id / "features"
            built = event(actor, "features.build", study=view.study, subject=view.id, before=view.digest)
            built.payload["objections"] = opened
            with making.making(wb.store, job, root, built) as made:
                _keep_design(wb, actor, view, complete)
                manifest = build(in_days(tables), complete, view.manifest, made.folder, report, key=secret)
                made_id = features_id(manifest)
                with made.publish("features", made_id, manifest) as write:
                    job.result_digest = write.event.after
    return show_features(wb, actor, made_id)


def _keep_design(wb: Workbench, actor: Actor, view: ExtractView, design: Mapping[str, Any]) -> None:
    design_id = f"des-{short(digest_document(design))}"
    facts = {"study": view.study, "subject": design_id, "before": view.digest}
    with wb.store.write(event(actor, "design.keep", **facts)) as write:
        write.event.after = documents.put(write, "design", design_id, design, study=view.study)


def train(wb: Workbench, actor: Actor, features_ref: str, progress: Progress = silent) -> list[ModelView]:
    """Train and judge every model of the design, keep each with its card, record it in MLflow.

    Raises `Refused`: `services.extract_closed`, and `learning.objected_since` where somebody of the cohort objects to
    the study since the features were built, which hold no pseudonym by which to leave anybody out.
    """
    with acting(wb, actor, "model.train", subject=features_ref):
        features = show_features(wb, actor, features_ref)
        view = extracts.show_extract(wb, actor, features.extract)
        if view.state != "open":
            raise Refused("services.extract_closed", extract=view.id, state=view.state)
        _check_objections(wb, features, view)
        with working(wb, actor, "model.train", {"features": features.digest}, progress) as (job, report):
            kinds: list[str] = features.design["models"]
            made: list[str] = []
            for place, kind in enumerate(kinds):
                share = part(report, 0.9 * place / len(kinds), 0.9 * (place + 1) / len(kinds))
                made.append(_train_one(wb, actor, job, features, view, kind, share))
            report(0.9, "MLflow")
            views = [show_model(wb, actor, model) for model in made]
            record(wb, views)
            report(1.0, "")
    return views


def _check_objections(wb: Workbench, features: FeaturesView, view: ExtractView) -> None:
    with wb.store.read() as connection:
        told = audit.payloads_of(connection, ["features.build"], features.digest)
        applied = {name for payload in told[-1:] for name in payload.get("objections", ())}
        since = [each for each in objections.active(connection, view.study) if each.id not in applied]
    if since and objections.concern(wb, since, cohorts.rows_of(wb, view.manifest["cohort"])):
        raise Refused("learning.objected_since", features=features.id, extract=view.id)


def record(wb: Workbench, models: Sequence[ModelView]) -> None:
    """Record models in MLflow: numbers, digests and cards, no row; one that is recorded already keeps its run."""
    from workbench.models.track import track_models  # noqa: PLC0415 - see _train_one

    folders = {model.id: _models(wb, model.extract) / model.id for model in models}
    track_models(wb.settings.mlflow_uri(), wb.settings.mlruns / "artifacts", folders)


def _train_one(
    wb: Workbench, actor: Actor, job: Any, features: FeaturesView, view: ExtractView, kind: str, progress: Progress
) -> str:
    # Late: SciPy and scikit-learn cost seconds that the verbs which only read should not pay.
    from workbench.models.run import model_id, train_models  # noqa: PLC0415

    facts = {"study": view.study, "subject": features.id, "before": features.digest}
    secret = wb.keys.study_secret(view.study, "data")
    source = wb.settings.extracts / view.id / "features" / features.id
    with making.making(wb.store, job, _models(wb, view.id), event(actor, "model.train", **facts)) as made:
        manifests = train_models(
            source, features.design, view.manifest, made.folder, progress, key=secret, kinds=(kind,)
        )
        made_id = model_id(manifests[0])
        with made.publish("model", made_id, manifests[0], inner=made_id):
            pass
    return made_id


def _models(wb: Workbench, extract_id: str) -> Path:
    return wb.settings.extracts / extract_id / "models"


def list_features(wb: Workbench, actor: Actor) -> list[FeaturesView]:
    """Return the feature sets of the actor's studies, the newest first."""
    with acting(wb, actor, "extract.read"):
        return [_features(wb, document) for document in reversed(_visible(wb, actor, "features"))]


def show_features(wb: Workbench, actor: Actor, ref: str) -> FeaturesView:
    """Return one feature set by id or digest."""
    for view in list_features(wb, actor):
        if ref in (view.id, view.digest):
            return view
    raise Refused("store.no_document", ref=ref)


def list_models(wb: Workbench, actor: Actor) -> list[ModelView]:
    """Return the models of the actor's studies, the newest first."""
    with acting(wb, actor, "model.read"):
        return [_model(wb, document) for document in reversed(_visible(wb, actor, "model"))]


def show_model(wb: Workbench, actor: Actor, ref: str) -> ModelView:
    """Return one model by id or digest."""
    with acting(wb, actor, "model.read", subject=ref):
        for view in list_models(wb, actor):
            if ref in (view.id, view.digest):
                return view
        raise Refused("store.no_document", ref=ref)


def _visible(wb: Workbench, actor: Actor, kind: str) -> list[Document]:
    mine = {study.id for study in studies.list_studies(wb, actor)}
    with wb.store.read() as connection:
        return [document for document in documents.every(connection, kind) if document.study in mine]


def _features(wb: Workbench, document: Document) -> FeaturesView:
    with wb.store.read() as connection:
        design = documents.find(connection, document.body["design"])
    return FeaturesView(
        id=document.id,
        digest=document.digest,
        study=document.study or "",
        extract=_id_of(wb, document.body["extract"]),
        manifest=document.body,
        design=design.body if design else {},
        made_by=document.made_by,
        made_at=document.made_at,
    )


def _model(wb: Workbench, document: Document) -> ModelView:
    extract = _id_of(wb, document.body["extract"])
    folder = _models(wb, extract) / document.id
    if not all((folder / name).is_file() for name in ("evaluation.json", *(f"card.{lang}.md" for lang in LANGS))):
        raise Unavailable("learning.model_incomplete", model=document.id)
    return ModelView(
        id=document.id,
        digest=document.digest,
        study=document.study or "",
        extract=extract,
        kind=document.body["kind"],
        manifest=document.body,
        evaluation=json.loads((folder / "evaluation.json").read_text(encoding="utf-8")),
        card={lang: (folder / f"card.{lang}.md").read_text(encoding="utf-8") for lang in LANGS},
        made_by=document.made_by,
        made_at=document.made_at,
    )

"""Tracking in MLflow: one experiment a study, one run a model; numbers, digests and cards, nothing of a person.

Through MLflow's low-level client alone: the fluent interface adds who ran what from where (user, host path, git
commit). Telemetry is switched off before MLflow is imported; no call leaves the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.kernel.digest import digest_manifest, short
from workbench.store import files, jobs

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
NOBODY = "workbench"
ARTIFACTS = ("card.fr.md", "card.en.md", "evaluation.json", "manifest.json")
"""What MLflow gets. The model itself stays in the study's workspace: a boosted tree's bin edges stem from single
persons' values, and models leave a workspace only by the output airlock (governance.md)."""


def track_models(uri: str, artifacts: Path, folders: Mapping[str, Path]) -> dict[str, str]:
    """Record models in MLflow and return the run id of each; a model already recorded keeps its run.

    `uri` is the URL of a database back end (`sqlite:///…/mlflow.db`), `artifacts` the folder of artifact files,
    `folders` maps a model's id to its folder as `train_models` wrote it.
    """
    client = _client(uri, artifacts)
    return {model: _track(client, artifacts, model, folder) for model, folder in folders.items()}


def _client(uri: str, artifacts: Path) -> Any:
    os.environ.update(QUIET)
    from mlflow import MlflowClient  # noqa: PLC0415  (three CPU-seconds)

    artifacts.mkdir(parents=True, exist_ok=True)
    _make_whole(Path(uri.removeprefix("sqlite:///")), lambda made: MlflowClient(made, made).search_experiments())
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _make_whole(database: Path, make: Callable[[str], object]) -> None:
    """Make MLflow's database aside the first time: its tables come one by one, and it mends no half of them."""
    with jobs.locked(database.with_name(".mlflow.lock")):
        if not database.exists():
            with files.writing(database) as aside:
                make(f"sqlite:///{aside}")


def _track(client: Any, artifacts: Path, model: str, folder: Path) -> str:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    experiment = _experiment(client, artifacts, manifest)
    known = client.search_runs([experiment], f"tags.`workbench.model` = '{model}' and attributes.status = 'FINISHED'")
    if known:
        return str(known[0].info.run_id)
    run = client.create_run(experiment, run_name=f"{manifest['kind']} {model}", tags=_tags(model, manifest))
    identity = run.info.run_id
    client.log_batch(identity, metrics=_metrics(manifest), params=_params(manifest))
    for name in ARTIFACTS:
        client.log_artifact(identity, str(folder / name))
    client.set_terminated(identity, status="FINISHED")
    return str(identity)


def _experiment(client: Any, artifacts: Path, manifest: Mapping[str, Any]) -> str:
    name = str(manifest["study"])
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=(artifacts / name).absolute().as_uri()))


def _tags(model: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    digests = {name: manifest[name] for name in ("extract", "features", "design", "estimator_digest")}
    cohorts = {"target": manifest["cohorts"]["target"], "outcomes": ",".join(manifest["cohorts"]["outcomes"])}
    return {
        "mlflow.user": NOBODY,
        "mlflow.source.name": NOBODY,
        "workbench.model": model,
        "workbench.model_digest": digest_manifest(manifest),
        "workbench.synthetic": str(manifest["synthetic"]).lower(),
        **{f"workbench.{name}": value for name, value in {**digests, **cohorts}.items()},
    }


def _metrics(manifest: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Metric  # noqa: PLC0415

    return [Metric(name, value, 0, 0) for name, value in manifest["metrics"].items() if value is not None]


def _params(manifest: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param  # noqa: PLC0415

    values = {"kind": manifest["kind"], "code": manifest["code"]["version"], "extract": short(manifest["extract"]),
              **manifest["parameters"]}  # fmt: skip
    return [Param(name, str(value)) for name, value in values.items()]

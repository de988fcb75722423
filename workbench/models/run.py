"""From features to models: each kind learned, judged on held-out patients, written with its card and manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import workbench
from workbench.governance.disclosure import shown
from workbench.kernel.digest import digest_bytes, digest_document, digest_manifest
from workbench.kernel.errors import Refused
from workbench.kernel.progress import Progress, part, silent
from workbench.kernel.schemas import validate
from workbench.kernel.text import LANGS
from workbench.models.card import render
from workbench.models.evaluate import disclosure, evaluate
from workbench.models.explain import weights
from workbench.models.load import Features, load_features
from workbench.models.persist import estimator_digest, save
from workbench.models.train import Fitted, train

FORMAT = "workbench/model/1"
PACKAGES = ("numpy", "scikit-learn", "scipy", "skops")


def train_models(
    features: Path,
    design: Mapping[str, Any],
    extract: Mapping[str, Any],
    into: Path,
    progress: Progress = silent,
    *,
    key: bytes | None = None,
    kinds: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Train the kinds of model that the design names, or `kinds` of them, and return their manifests in that order.

    `features` is the folder of a feature set, `design` the complete design it was made by, `extract` the manifest of
    its extract, `key` the data secret it was sealed with. Writes `into/<model id>/` with `model.skops`,
    `evaluation.json`, `card.fr.md`, `card.en.md` and `manifest.json` (last). Nothing in them is about one person.
    Raises `Refused` (`model.other_extract`) where features, design and extract do not belong together,
    `Unavailable` (`model.features_damaged`).
    """
    loaded = load_features(features, key)
    _check_thread(loaded, design, extract)
    thread = _Thread(loaded, design, extract)
    manifests: list[dict[str, Any]] = []
    chosen = list(design["models"] if kinds is None else kinds)
    for place, kind in enumerate(chosen):
        share = part(progress, place / len(chosen), (place + 1) / len(chosen))
        manifests.append(_train_one(thread, kind, into, share))
    progress(1.0, "done")
    return manifests


def model_id(manifest: Mapping[str, Any]) -> str:
    """Return the id of a model: `mod-` and the first twelve digits of its manifest's digest."""
    return f"mod-{digest_manifest(manifest)[:12]}"


def _check_thread(features: Features, design: Mapping[str, Any], extract: Mapping[str, Any]) -> None:
    if features.manifest["extract"] != digest_manifest(extract):
        raise Refused("model.other_extract", part="extract")
    if features.manifest["design"] != digest_document(design):
        raise Refused("model.other_extract", part="design")


@dataclass(frozen=True)
class _Thread:
    """What a model is made from."""

    features: Features
    design: Mapping[str, Any]
    extract: Mapping[str, Any]


def _train_one(thread: _Thread, kind: str, into: Path, progress: Progress) -> dict[str, Any]:
    progress(0.0, kind)
    features = thread.features
    fitted = train(features, kind, thread.design["split"]["seed"])
    progress(0.8, "evaluation")
    held = features.side("test")
    risk = fitted.predict(features)[held]
    evaluation = evaluate(features.outcome[held], risk, features.rows[held])
    evaluation["weights"] = weights(fitted, features.manifest["covariates"])
    manifest = _manifest(thread, fitted, evaluation)
    validate(manifest, "model")
    _write(into / model_id(manifest), fitted, evaluation, manifest, thread.design)
    return manifest


def _write(
    folder: Path, fitted: Fitted, evaluation: Mapping[str, Any], manifest: Mapping[str, Any], design: Mapping[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save(fitted, folder / "model.skops")
    (folder / "evaluation.json").write_text(_json(evaluation), encoding="utf-8")
    for lang in LANGS:
        card = render(manifest, evaluation, design, lang)
        (folder / f"card.{lang}.md").write_text(card, encoding="utf-8")
    (folder / "manifest.json").write_text(_json(manifest), encoding="utf-8")


def _manifest(thread: _Thread, fitted: Fitted, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    features, extract = thread.features, thread.extract
    outcome = features.outcome
    sides = {side: outcome[features.side(side)] for side in ("train", "test")}
    return {
        "format": FORMAT,
        "study": extract["study"],
        "extract": digest_manifest(extract),
        "features": features.digest,
        "cohorts": {"target": extract["cohort"], "outcomes": list(extract["outcomes"])},
        "design": digest_document(thread.design),
        "code": {"version": workbench.__version__, "packages": {name: version(name) for name in PACKAGES}},
        "kind": fitted.kind,
        "parameters": dict(fitted.parameters),
        "data": {
            **{side: shown(len(values)).value for side, values in sides.items()},
            **{f"{side}_outcomes": shown(int(values.sum())).value for side, values in sides.items()},
            "covariates": len(fitted.covariates),
        },
        "metrics": evaluation["metrics"],
        "disclosure": disclosure(evaluation),
        "estimator_digest": estimator_digest(fitted),
        "evaluation_digest": digest_bytes(_json(evaluation).encode()),
        "synthetic": extract["synthetic"],
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

"""Fitted models as files, without pickle: skops, opened only when every type in the file is one of ours."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workbench.kernel.digest import digest_document
from workbench.kernel.errors import Refused, Unavailable
from workbench.models.train import Fitted

SIGNIFICANT = 8
"""Digits of the parameters that count: the rest follows the machine's arithmetic."""

_BOOSTING = "sklearn.ensemble._hist_gradient_boosting"
ALLOWED = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "numpy.ndarray",
        "numpy.float64",
        "numpy.int64",
        "numpy.uint64",
        "numpy.random._generator.Generator",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        f"{_BOOSTING}.binning._BinMapper",
        f"{_BOOSTING}.gradient_boosting.HistGradientBoostingClassifier",
        f"{_BOOSTING}.predictor.TreePredictor",
    }
)
"""Every type that a file of ours can hold. Fixed here: neither a file nor a setting can add to it."""

LOADERS = frozenset(
    {"DictNode", "ListNode", "TupleNode", "JsonNode", "TypeNode", "NdArrayNode", "ObjectNode", "LossNode",
     "RandomGeneratorNode"}
)  # fmt: skip
"""The ways in which skops may rebuild them; those that call a function or a method by its name are not among them."""


def save(fitted: Fitted, path: Path) -> None:
    """Write a fitted model to `path`."""
    from skops.io import dump  # noqa: PLC0415  (costs an import of scikit-learn)

    content = {
        "kind": fitted.kind,
        "estimator": fitted.estimator,
        "covariates": fitted.covariates,
        "parameters": dict(fitted.parameters),
    }
    dump(content, path)


def load(path: Path, digest: str | None = None) -> Fitted:
    """Read a fitted model; with `digest`, only if its parameters have this `estimator_digest`.

    Raises `Refused` (`model.untrusted`) naming the first type that is not allowed, before anything is rebuilt;
    `Unavailable` (`model.model_damaged`) where the file cannot be read or is another model.
    """
    from skops.io import get_untrusted_types, load  # noqa: PLC0415

    for name in _types(path):
        if name not in ALLOWED:
            raise Refused("model.untrusted", type=name)
    try:
        # After the check above all of them are in our list; skops wants to hear those that it does not know itself.
        content = load(path, trusted=sorted(ALLOWED.intersection(get_untrusted_types(file=path))))
        fitted = Fitted(content["kind"], content["estimator"], content["covariates"], content["parameters"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as problem:
        raise Unavailable("model.model_damaged") from problem
    if digest is not None and estimator_digest(fitted) != digest:
        raise Unavailable("model.model_damaged")
    return fitted


def _types(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            schema = json.loads(archive.read("schema.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as problem:
        raise Unavailable("model.model_damaged") from problem
    return sorted(set(_named_types(schema)))


def _named_types(root: Any) -> Iterator[str]:
    """Yield every type that the file's tree of nodes names, and every loader that is not one of ours."""
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            pending.extend(node.values())
            if "__loader__" in node:
                yield f"{node.get('__module__')}.{node.get('__class__')}"
                if node["__loader__"] not in LOADERS:
                    yield f"skops.{node['__loader__']}"


def estimator_digest(fitted: Fitted) -> str:
    """Return the digest of a model's fitted parameters, to eight significant digits, in canonical JSON."""
    return digest_document(
        {
            "kind": fitted.kind,
            "covariates": [str(covariate) for covariate in fitted.covariates.tolist()],
            "parameters": _READERS[fitted.kind](fitted.estimator),
        }
    )


def _logistic_parameters(pipeline: Any) -> dict[str, Any]:
    logistic = pipeline.named_steps["logistic"]
    return {
        "coefficients": _digits(logistic.coef_),
        "intercept": _digits(logistic.intercept_),
        "scale": _digits(pipeline.named_steps["scale"].scale_),
    }


def _boosting_parameters(estimator: Any) -> dict[str, Any]:
    trees = [predictor for stage in estimator._predictors for predictor in stage]  # noqa: SLF001  (no public reading)
    columns = ("feature_idx", "num_threshold", "left", "right", "value", "is_leaf", "missing_go_to_left")
    return {
        "baseline": _digits(estimator._baseline_prediction),  # noqa: SLF001
        "trees": [{column: _digits(tree.nodes[column]) for column in columns} for tree in trees],
    }


_READERS = {"l1_logistic": _logistic_parameters, "gradient_boosting": _boosting_parameters}


def _digits(values: Any) -> list[str]:
    """Return numbers as texts of eight significant digits, negative zero as zero."""
    return [f"{value + 0.0:.{SIGNIFICANT}g}" for value in np.asarray(values, dtype=np.float64).ravel().tolist()]

"""One feature set and its models, made once for the tests of this folder, sealed as they would be in an extract."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))

KEY = bytes(range(32))


@dataclass(frozen=True)
class Made:
    """Folders and documents of one run."""

    features: Path
    design: dict[str, Any]
    extract: dict[str, Any]
    models: Path
    manifests: list[dict[str, Any]]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return the models of the invented extract (1,500 persons)."""
    import made_extract as made

    from workbench.features.build import build_features
    from workbench.features.design import default_design
    from workbench.models.run import train_models

    place = tmp_path_factory.mktemp("trained")
    domains = ["condition_occurrence", "drug_exposure", "measurement", "visit_occurrence"]
    design = {**default_design(made.TARGET, made.OUTCOME, domains), "counts": False}
    features = place / "features"
    features.mkdir()
    build_features(made.invented(), design, made.manifest(), features, key=KEY)
    manifests = train_models(features, design, made.manifest(), place / "models", key=KEY)
    return Made(features, design, made.manifest(), place / "models", manifests)

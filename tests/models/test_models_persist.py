"""Model files: what we wrote comes back; anything else is refused before it is opened."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from workbench.kernel.errors import Refused, Unavailable
from workbench.models.load import load_features
from workbench.models.persist import load, save
from workbench.models.run import model_id
from workbench.models.train import Fitted, train

if TYPE_CHECKING:
    from conftest import Made

KEY = bytes(range(32))


def test_what_was_written_predicts_the_same(trained: Made) -> None:
    features = load_features(trained.features, KEY)
    for manifest in trained.manifests:
        fitted = load(trained.models / model_id(manifest) / "model.skops", manifest["estimator_digest"])
        fresh = train(features, manifest["kind"], 20)
        np.testing.assert_array_equal(fitted.predict(features), fresh.predict(features))


def test_another_model_is_not_the_one_described(trained: Made) -> None:
    first, second = trained.manifests
    with pytest.raises(Unavailable, match=r"model\.model_damaged"):
        load(trained.models / model_id(first) / "model.skops", second["estimator_digest"])


def _foreign_values() -> list[Any]:
    from sklearn.tree import DecisionTreeClassifier

    return [DecisionTreeClassifier(), partial(print, "opened"), np.sum, [].append, Path]


@pytest.mark.parametrize("place", range(5))
def test_a_file_with_another_type_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "model.skops"
    save(Fitted("l1_logistic", _foreign_values()[place], np.array([1]), {}), path)
    with pytest.raises(Refused) as refusal:
        load(path)
    assert refusal.value.code == "model.untrusted"


def test_a_renamed_type_inside_a_good_file_is_refused(trained: Made, tmp_path: Path) -> None:
    source = trained.models / model_id(trained.manifests[0]) / "model.skops"
    target = tmp_path / "model.skops"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                text = content.decode().replace('"sklearn.pipeline"', '"os"').replace('"Pipeline"', '"system"')
                content = text.encode()
            new.writestr(name, content)
    with pytest.raises(Refused, match=r"os\.system"):
        load(target)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_a_broken_file_has_a_clear_answer(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"model\.model_damaged"):
        load(path)


def test_the_file_holds_no_pickle(trained: Made) -> None:
    for manifest in trained.manifests:
        with zipfile.ZipFile(trained.models / model_id(manifest) / "model.skops") as archive:
            assert {Path(name).suffix for name in archive.namelist()} <= {".json", ".npy"}
            json.loads(archive.read("schema.json"))

"""What people see of a model: no small cell, no person; cards in two languages; MLflow with no trace of the machine."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from workbench.kernel.digest import digest_bytes
from workbench.kernel.text import LANGS, catalogue
from workbench.models import track
from workbench.models.card import render
from workbench.models.evaluate import calibration_groups, evaluate
from workbench.models.run import model_id
from workbench.models.track import track_models

if TYPE_CHECKING:
    from conftest import Made


def _people(count: int, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    draw = np.random.default_rng(seed)
    risk = draw.beta(1.2, 1.2 * (1 - rate) / rate, count)
    rows = pl.DataFrame(
        {"age_at_index": draw.integers(15, 91, count), "gender_concept_id": draw.choice([8507, 8532, 0], count,
                                                                                       p=[0.5, 0.48, 0.02])}
    )  # fmt: skip
    return (draw.random(count) < risk).astype(np.int8), risk, rows


def _numbers(value: Any) -> list[int]:
    """Return every whole number of a document that counts persons."""
    if isinstance(value, dict):
        return [number for entry in value.values() for number in _numbers(entry)]
    if isinstance(value, list):
        return [number for entry in value for number in _numbers(entry)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


@pytest.mark.parametrize("seed", range(8))
def test_no_small_cell_is_ever_shown(seed: int) -> None:
    outcome, risk, rows = _people(300, 0.15, seed)
    document = evaluate(outcome, risk, rows)
    document.pop("hidden_cells")
    assert all(number >= 10 and number % 5 == 0 for number in _numbers(document))
    for dimension in ("sex", "age"):
        groups = [row for row in document["subgroups"] if row["by"] == dimension]
        hidden = [row["group"] for row in groups if row["hidden"]]
        assert len(hidden) != 1 or _members(dimension, hidden[0], rows, outcome) >= 11


def _members(by: str, group: str, rows: pl.DataFrame, outcome: np.ndarray) -> int:
    """Return the smaller cell (with or without the outcome) of one group."""
    if by == "sex":
        chosen = rows["gender_concept_id"].to_numpy() == int(group)
    else:
        low, _, high = group.rstrip("+").partition("-")
        age = rows["age_at_index"].to_numpy()
        chosen = (age >= int(low)) & (age <= int(high or 200))
    return int(min(outcome[chosen].sum(), (1 - outcome[chosen]).sum()))


def test_calibration_groups_hold_eleven_of_each() -> None:
    outcome, risk, _ = _people(2_000, 0.2, 1)
    groups = calibration_groups(outcome, risk)
    assert len(groups) > 5
    assert [group["predicted"] for group in groups] == sorted(group["predicted"] for group in groups)
    assert all(group["outcomes"] >= 10 and group["persons"] - group["outcomes"] >= 10 for group in groups)
    assert calibration_groups(np.array([1] * 10 + [0] * 90), np.linspace(0, 1, 100)) == []


def test_a_model_that_tells_nobody_apart_can_be_evaluated(trained: Made) -> None:
    outcome, risk, rows = _people(300, 0.2, 3)
    document = evaluate(outcome, np.full_like(risk, 0.2), rows)
    assert document["metrics"]["auroc"] == 0.5
    assert document["metrics"]["calibration_slope"] is None
    card = render(trained.manifests[0], {**document, "weights": []}, trained.design, "fr")
    assert "–" in card
    assert "même risque à tous" in card


def test_cards_say_synthetic_and_hide_small_cells(trained: Made) -> None:
    for manifest in trained.manifests:
        folder = trained.models / model_id(manifest)
        french, english = ((folder / f"card.{lang}.md").read_text(encoding="utf-8") for lang in LANGS)
        assert "Données synthétiques" in french
        assert "Synthetic data" in english
        assert manifest["extract"] in french
        assert "0." not in french.split("## Performance")[1].split("## Sous-groupes")[0]
    real = {**trained.manifests[0], "synthetic": False}
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert "ynth" not in render(real, evaluation, trained.design, "fr")


def test_the_evaluation_is_the_one_that_the_manifest_names(trained: Made) -> None:
    for manifest in trained.manifests:
        content = (trained.models / model_id(manifest) / "evaluation.json").read_bytes()
        assert digest_bytes(content) == manifest["evaluation_digest"]


def test_both_languages_have_the_same_words() -> None:
    keys = [{key for key in catalogue(lang)[family] if key.startswith("model.")} for lang in LANGS
            for family in ("text", "error")]  # fmt: skip
    assert keys[0] == keys[2]
    assert keys[1] == keys[3]


def test_mlflow_gets_numbers_and_digests_and_nothing_of_the_machine(
    trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outside(*arguments: object) -> None:
        raise AssertionError(f"a call to the outside: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", outside)
    monkeypatch.setattr(socket, "getaddrinfo", outside)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folders = {model_id(manifest): trained.models / model_id(manifest) for manifest in trained.manifests}
    runs = track_models(uri, tmp_path / "artifacts", folders)
    assert track_models(uri, tmp_path / "artifacts", folders) == runs

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)  # else MLflow asks for a Spark session
    for manifest in trained.manifests:
        run = client.get_run(runs[model_id(manifest)])
        told = {key: value for key, value in run.data.tags.items() if not key.startswith("workbench.")}
        assert told == {
            "mlflow.user": "workbench",
            "mlflow.source.name": "workbench",
            "mlflow.runName": f"{manifest['kind']} {model_id(manifest)}",
        }
        assert run.data.tags["workbench.extract"] == manifest["extract"]
        assert run.data.metrics["auroc"] == manifest["metrics"]["auroc"]
        names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
        assert names == {"card.fr.md", "card.en.md", "evaluation.json", "manifest.json"}


def test_mlflows_database_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"

    def half(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track._make_whole(database, half)
    assert [path.name for path in tmp_path.iterdir()] == [".mlflow.lock"]
    track._make_whole(database, lambda uri: Path(uri.removeprefix("sqlite:///")).write_bytes(b"all of it"))
    track._make_whole(database, half)
    assert database.read_bytes() == b"all of it"

"""A study limited to some concepts, from its protocol to its extract: checked, told in words, delivered, proved."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import workbench
from workbench.governance.actors import Actor
from workbench.kernel.errors import InvalidInput
from workbench.services import (
    concept_limits,
    demo,
    evidence,
    evidence_page,
    extracts,
    register,
    requests,
    studies,
    why,
)
from workbench.services.context import Workbench
from workbench.services.holding import reading
from workbench.services.releases import current_release

SINUSITIS, VIRAL, BRONCHITIS = 4283893, 40481087, 260139
APPROVED: dict[str, list[dict[str, Any]]] = {
    "condition_occurrence": [{"concept": SINUSITIS}, {"concept": BRONCHITIS, "descendants": False}],
    "drug_exposure": [{"domain": "Drug"}],
}
REQUESTED: dict[str, list[dict[str, Any]]] = {
    "condition_occurrence": [{"concept": SINUSITIS}, {"concept": VIRAL, "excluded": True}]
}


def protocol(concepts: dict[str, Any]) -> dict[str, Any]:
    return {**demo.PROTOCOL, "study": "limited", "concepts": concepts}


@pytest.mark.parametrize(("item", "missing"), [({"concept": 987654321}, "987654321"), ({"domain": "Drogue"}, "Drogue")])
def test_what_the_vocabulary_lacks_is_neither_approved_nor_requested(
    wb: Workbench, researcher: Actor, officer: Actor, item: dict[str, Any], missing: str
) -> None:
    with pytest.raises(InvalidInput, match="unknown_concepts") as refused:
        studies.create_study(wb, researcher, protocol({"drug_exposure": [{"concept": 1125315}, item]}))
    assert refused.value.facts["missing"] == missing
    with pytest.raises(InvalidInput, match="unknown_concepts"):
        requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, "concepts": {"drug_exposure": [item]}})


def test_concepts_are_told_by_their_names(wb: Workbench, officer: Actor) -> None:
    with reading():
        release = current_release(wb).digest
    sets = {**REQUESTED, "drug_exposure": [{"domain": "Drug"}], "drug_era": [{"concept": 7, "descendants": False}]}
    assert concept_limits.in_words(wb, officer, release, sets, "en") == {
        "condition_occurrence": f"Sinusitis ({SINUSITIS}) and what is below it; "
        f"but not Viral sinusitis ({VIRAL}) and what is below it",
        "drug_exposure": "every concept of the domain Drug",
        "drug_era": "7 alone",
    }
    french = concept_limits.in_words(wb, officer, release, REQUESTED, "fr")["condition_occurrence"]
    kept, out = (
        f"Sinusitis ({SINUSITIS}) et ce qui est au-dessous",
        f"Viral sinusitis ({VIRAL}) et ce qui est au-dessous",
    )
    assert french == f"{kept} ; mais pas {out}"
    assert concept_limits.in_words(wb, officer, "0" * 64, REQUESTED, "en") == {
        "condition_occurrence": f"{SINUSITIS} and what is below it; but not {VIRAL} and what is below it"
    }


def test_from_the_protocol_to_the_extract(
    wb: Workbench, researcher: Actor, officer: Actor, scientist: Actor, demo_copy: Path
) -> None:
    study = studies.create_study(wb, researcher, protocol(APPROVED))
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, {**demo.REQUEST, "concepts": REQUESTED})
    home = ("--home", str(demo_copy), "--as", "ethics")
    told = workbench("extract", "review", request.id, *home, cwd=demo_copy.parent).stdout
    assert "condition_occurrence, requested: Sinusitis" in told
    assert "condition_occurrence, approved: Sinusitis" in told
    assert "drug_exposure, requested: every concept" in told
    assert "Acute bronchitis (260139) alone" in workbench("study", "show", study.id, *home, cwd=demo_copy.parent).stdout
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    made = extracts.run_extract(wb, researcher, request.id)
    proofs = made.manifest["concepts"]
    assert proofs["condition_occurrence"]["requested"] == REQUESTED["condition_occurrence"]
    assert proofs["condition_occurrence"]["approved"] == APPROVED["condition_occurrence"]
    assert proofs["drug_exposure"]["requested"] is None

    with reading():
        release = current_release(wb)
        ancestors = pl.read_parquet(release.tables["concept_ancestor"])
        domains = pl.read_parquet(release.tables["concept"]).select("concept_id", "domain_id")
    below = {
        root: set(ancestors.filter(pl.col("ancestor_concept_id") == root)["descendant_concept_id"]) | {root}
        for root in (SINUSITIS, VIRAL)
    }
    _, tables, _ = extracts.open_tables(wb, scientist, made.id)
    conditions = set(tables["condition_occurrence"]["condition_concept_id"])
    assert conditions
    assert conditions <= below[SINUSITIS] - below[VIRAL]
    drugs = domains.filter(pl.col("concept_id").is_in(tables["drug_exposure"]["drug_concept_id"].implode()))
    assert set(drugs["domain_id"]) == {"Drug"}
    assert tables["measurement"].height

    in_view = {table for table, _ in why._columns(made.manifest)}  # pyright: ignore[reportPrivateUsage]
    assert in_view == set(demo.TABLES) - set(proofs)
    shown = json.loads(workbench("extract", "list", "--json", *home, cwd=demo_copy.parent).stdout)
    assert any(each["manifest"].get("concepts") == proofs for each in shown["extracts"])


def test_register_and_evidence_tell_concepts_by_their_names(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    study = studies.create_study(wb, researcher, protocol(APPROVED))
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, {**demo.REQUEST, "concepts": REQUESTED})
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    made = extracts.run_extract(wb, researcher, request.id)
    public = register.public_register(wb, officer)
    limited = {each["study"]: each.get("concepts") for each in public["studies"]}
    assert limited[demo.STUDY] is None
    assert limited[study.id]["drug_exposure"]["fr"] == "tous les concepts du domaine Drug"
    said = f"Conditions: Sinusitis ({SINUSITIS}) and what is below it; Acute bronchitis ({BRONCHITIS}) alone"
    assert register.as_html(public, "en").count(said) == 1
    assert "Diagnostics\u00a0: Sinusitis" in register.as_html(public, "fr")
    found = evidence.collect(wb, officer, made.id)
    asked = f"but not Viral sinusitis ({VIRAL}) and what is below it"
    resolved = made.manifest["concepts"]["condition_occurrence"]["resolved"]
    assert re.search(rf"{re.escape(asked)}</td><td>Sinusitis.*?</td><td>{resolved}<", evidence_page.page(found, "en"))
    assert "tous les concepts du domaine Drug" in evidence_page.page(found, "fr")
    assert evidence.pack(wb, officer, made.id).content == evidence.pack(wb, officer, made.id).content

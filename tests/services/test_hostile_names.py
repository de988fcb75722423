"""Names that are formulas, paths, quotes, markup, control characters or 5,000 letters go through a study, a cohort, a
request and every export as what they are: text."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.conftest import workbench
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.shipped import shipped
from workbench.governance.actors import Actor
from workbench.kernel.errors import UserError
from workbench.kernel.text import LANGS
from workbench.services import auditing, cohorts, demo, evidence, extracts, register, requests, studies
from workbench.services.context import Workbench

HOSTILE = {
    "formula": '=cmd|"/c calc"!A1',
    "other formula": "@SUM(1+1)",
    "tab and formula": "\t=1+1",
    "path": "../../../tmp/../etc/passwd",
    "quotes": "O'Brien\"; DROP TABLE studies; --",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "control characters": "a\x00b\x07\x1b[31mc\r\nd\u202ee",
    "5,000 letters": "é" * 5000,
}
REFUSED = {"control characters": "cohort.not_text", "5,000 letters": "kernel.document_invalid"}
"""What cannot name a cohort or its rules: it is refused in words, and the rest goes on."""


def definition(name: str) -> Definition:
    """The shipped definition under a name, a title and a rule's name that somebody else chose."""
    document = json.loads(shipped()["nsaid_new_users"].read_text("utf-8"))
    rule = {"name": name, "expression": {"Type": "ALL", "CriteriaList": [], "Groups": [],
            "DemographicCriteriaList": [{"Age": {"Value": 1, "Op": "gt"}}]}}  # fmt: skip
    document = {**document, "Title": name, "InclusionRules": [rule]}
    return dataclasses.replace(read_definition(json.dumps(document)), name=name)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_name_is_text_from_the_study_to_every_export(
    wb: Workbench, researcher: Actor, officer: Actor, kind: str, tmp_path: Path
) -> None:
    name = HOSTILE[kind]
    before = {path.name for path in tmp_path.iterdir()}
    cohort = name
    if kind in REFUSED:
        with pytest.raises(UserError) as error:
            cohorts.generate(wb, researcher, {name: definition(name)})
        assert error.value.code == REFUSED[kind]
        cohort = "plain"
    (made,) = cohorts.generate(wb, researcher, {cohort: definition(cohort)})
    assert (made.name, made.title) == (cohort, cohort)
    names = {"title": name, "purpose": name, "sponsor": name, "investigator": name}
    protocol = {**demo.PROTOCOL, **names, "study": "hostile", "cohorts": [cohort, "gi_bleed"], "destinations": [name]}
    study = studies.create_study(wb, researcher, protocol)
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason=name)
    asked = {**demo.REQUEST, "cohort": cohort, "why_not_aggregate": name}
    request = requests.file_request(wb, researcher, study.id, asked)
    facts = {"protocol_digest": study.digest, "reason": name, "conditions": [name]}
    requests.decide(wb, officer, request.id, "approved", **facts)
    view = extracts.run_extract(wb, researcher, request.id)
    assert requests.show_request(wb, researcher, request.id).document["why_not_aggregate"] == name

    exported = auditing.export_log(wb, officer)
    _check_csv(auditing.as_csv(exported), len(exported))
    public = register.public_register(wb, officer)
    pages = [register.as_html(public, lang) for lang in LANGS]
    with zipfile.ZipFile(io.BytesIO(evidence.pack(wb, officer, view.id).content)) as archive:
        pages += [archive.read(f"evidence.{lang}.html").decode() for lang in LANGS]
        assert all("/" not in entry and ".." not in entry for entry in archive.namelist())
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", page), kind
    assert {path.name for path in tmp_path.iterdir()} == before, "no name became a place"

    home = ["--home", str(wb.settings.home), "--as", "researcher"]
    for verb in (["study", "list"], ["cohort", "attrition", made.id], ["extract", "list"]):
        done = workbench(*verb, *home, cwd=tmp_path, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stdout), (kind, verb)


def _check_csv(text: str, entries: int) -> None:
    """One row an entry, and no cell that a spreadsheet would run."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == entries + 1
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [cell for row in rows for cell in row if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}] == []


def test_one_letter_more_is_refused_with_words(wb: Workbench, researcher: Actor) -> None:
    with pytest.raises(UserError) as error:
        studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "long", "title": "é" * 5001})
    assert error.value.code == "kernel.document_invalid"
    assert "é" * 10 not in str(error.value), "what was written is not repeated"


@pytest.mark.parametrize("name", ["../up", "a/b", "=cmd()", "<b>", "a b", "é", "x" * 64, "", "A", "a\n"])
def test_a_studys_own_name_is_plain_or_refused(wb: Workbench, researcher: Actor, name: str) -> None:
    with pytest.raises(UserError) as error:
        studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": name})
    assert error.value.code == "kernel.document_invalid"

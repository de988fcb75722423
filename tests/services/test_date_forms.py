"""A study with shifted dates and an index year, from its protocol to features and MEDS."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import workbench
from workbench.extracts.dates import in_days
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.services import demo, extracts, learning, meds, requests, risk, studies, why
from workbench.services.context import Workbench

FORM = {"dates": "shifted", "index_year": True}


def test_a_request_for_more_than_the_protocol_is_refused(wb: Workbench, researcher: Actor) -> None:
    for name, value, code in (("dates", "shifted", "dates"), ("index_year", True, "index_year")):
        with pytest.raises(Refused, match=f"{code}_beyond_protocol"):
            requests.file_request(wb, researcher, demo.STUDY, {**demo.REQUEST, name: value})


def test_from_the_protocol_to_features_and_meds(
    wb: Workbench, researcher: Actor, officer: Actor, scientist: Actor, demo_copy: Path
) -> None:
    study = studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "shifted", **FORM})
    studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="r")
    request = requests.file_request(wb, researcher, study.id, {**demo.REQUEST, **FORM})
    home = ("--home", str(demo_copy), "--as", "ethics")
    told = workbench("extract", "review", request.id, *home, cwd=demo_copy.parent).stdout
    assert told.count("a secret number of weeks") >= 3
    assert told.count("in bands of years") == 3
    assert any("hides little" in line for line in risk.before_delivery(request, "en"))
    asked = {**demo.REQUEST, "cohort": None}
    assert "index_year" not in risk.meter(wb, researcher, request.protocol, asked).known
    assert "index_year" in risk.meter(wb, researcher, request.protocol, {**asked, **FORM}).known
    requests.decide(wb, officer, request.id, "approved", protocol_digest=study.digest, reason="r")
    made = extracts.run_extract(wb, researcher, request.id)
    assert made.manifest["dates"]["form"]["delivered"] == "shifted"
    shown = workbench("extract", "show", made.id, *home, cwd=demo_copy.parent).stdout
    assert "The dates are shifted, and that hides little" in shown

    _, tables, _ = extracts.open_tables(wb, scientist, made.id)
    assert tables["drug_exposure"].schema["drug_exposure_start_date"] == pl.Date
    assert max(tables["cohort"]["cohort_start_date"]) < date(2019, 12, 31)
    built = learning.build_features(wb, scientist, made.id)
    assert built.manifest["rows"] > 0
    names = {each["name"] for each in built.manifest["covariates"]}
    assert not [name for name in names if "index_year" in name]
    form = meds.make_meds(wb, scientist, made.id)
    assert form.manifest["time_origin"] == "shifted"
    data = meds.open_meds(wb, scientist, form.id)["data"].filter(pl.col("code") == "INDEX")
    index = tables["cohort"].sort("person_id")["cohort_start_date"].cast(pl.Datetime("us"))
    assert data.sort("subject_id")["time"].to_list() == index.to_list()

    someone = int(tables["cohort"]["person_id"][0])
    assert why.why_in_extract(wb, scientist, made.id, someone).lines("en")
    assert why._widened(made.manifest, tables, someone) == {("person", "age_at_index")}, "the true age is not delivered"
    days = in_days(tables)["drug_exposure"]
    assert days["start_day"].max() <= demo.REQUEST["period"]["to_day"]

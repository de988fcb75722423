"""Shifted dates and index years: what they keep, what they hide, and a first pass that is spoiled is stopped by the
second. Releases are written here: persons observed from end to end, as those are whom an attacker recovers first."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_release import Case, Papers, build, secrets, write_release

from workbench.extracts import dates, inspect_dates, make, transform
from workbench.extracts.dates import in_days, year_bands
from workbench.extracts.meds import meds_tables
from workbench.extracts.read import read_tables
from workbench.extracts.risk_words import sentences
from workbench.governance.keys import demonstration_entropy
from workbench.governance.protocols import check_protocol, check_request
from workbench.kernel.errors import InvalidInput, Refused
from workbench.kernel.text import LANGS, say

FIRST, LAST = date(2008, 3, 5), date(2019, 9, 24)
DAY = timedelta(days=1)
PERSONS = 240
TABLES = {
    "person": ["age_at_index", "gender_concept_id"],
    "condition_occurrence": ["condition_concept_id", "condition_start_date", "condition_end_date"],
    "visit_occurrence": ["visit_occurrence_id", "visit_concept_id", "visit_start_date", "visit_end_date"],
    "death": ["death_date"],
}
SHIFTED_COLUMNS = {
    "cohort": ["person_id", "cohort_start_date", "cohort_end_date", "observation_period_start_date",
               "observation_period_end_date"],
    "outcome": ["person_id", "outcome", "cohort_start_date"],
    "person": ["person_id", "age_at_index", "gender_concept_id"],
    "condition_occurrence": ["person_id", "condition_concept_id", "condition_start_date", "condition_end_date"],
    "visit_occurrence": ["person_id", "visit_occurrence_id", "visit_concept_id", "visit_start_date", "visit_end_date"],
    "death": ["person_id", "death_date"],
}  # fmt: skip


def papers(asked: Mapping[str, Any], approved: Mapping[str, Any] | None = None) -> Papers:
    """Return papers over an open period; `asked` and `approved` are the members `dates` and `index_year`."""
    made = Papers()
    for paper, more in ((made.protocol, asked if approved is None else approved), (made.request, asked)):
        paper["tables"] = copy.deepcopy(TABLES)
        paper["period"] = paper["outcome_period"] = {"from_day": None, "to_day": None}
        paper.update(more)
    return made


BOTH = {"dates": "shifted", "index_year": True}
SHIFTED = {"dates": "shifted"}
YEAR = {"index_year": True}


def crowd(folder: Path, *, last: date = LAST, persons: int = PERSONS) -> Case:
    """Write a release of persons who are observed from its first day to its last, but for every fifth, and whose index
    dates lie around New Year, where a year tells most."""
    chance = random.Random(11)
    ids = list(range(501, 501 + persons))
    index = {each: date(2009 + each % 8, 1, 1) + DAY * chance.randrange(-60, 60) for each in ids}
    from_ = {each: FIRST if each % 5 else index[each] - DAY * chance.randrange(30, 300) for each in ids}
    until = {each: last if each % 5 else index[each] + DAY * chance.randrange(30, 300) for each in ids}
    days = {each: [from_[each] + DAY * d for d in range(0, (until[each] - from_[each]).days + 1, 31)] for each in ids}
    seen = [(each, 111 + place % 7, at) for each in ids for place, at in enumerate([*days[each], until[each]])]
    stays = [(each, 9000 + each, 9201, index[each] - DAY, None) for each in ids]
    stays += [(each, 19000 + each, 9201, from_[each], from_[each] + 400 * DAY) for each in ids]
    tables = {
        "person": pl.DataFrame({"person_id": ids, "year_of_birth": [1950 + each % 40 for each in ids],
                                "gender_concept_id": [8507 + 25 * (each % 2) for each in ids]}),
        "observation_period": pl.DataFrame({"person_id": ids,
                                            "observation_period_start_date": [from_[each] for each in ids],
                                            "observation_period_end_date": [until[each] for each in ids]}),
        "condition_occurrence": pl.DataFrame(
            [(each, concept, at, None) for each, concept, at in seen], orient="row",
            schema={"person_id": pl.Int64, "condition_concept_id": pl.Int64, "condition_start_date": pl.Date,
                    "condition_end_date": pl.Date},
        ),
        "visit_occurrence": pl.DataFrame(
            stays, orient="row",
            schema={"person_id": pl.Int64, "visit_occurrence_id": pl.Int64, "visit_concept_id": pl.Int64,
                    "visit_start_date": pl.Date, "visit_end_date": pl.Date},
        ),
        "death": pl.DataFrame({"person_id": ids[::5], "death_date": [until[each] for each in ids[::5]]}),
        "concept": pl.DataFrame(
            [(each, f"C{each}", "Condition", "SNOMED", str(each)) for each in (*range(111, 118), 9201, 8507, 8532)],
            orient="row", schema=["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code"],
        ),
    }  # fmt: skip
    starts = [index[each] for each in ids]
    cohort = pa.table({"subject_id": ids, "cohort_start_date": starts, "cohort_end_date": [until[e] for e in ids]})
    later = [index[each] + 20 * DAY for each in ids]
    outcome = pa.table({"subject_id": ids, "cohort_start_date": later, "cohort_end_date": later})
    return Case(write_release(folder, tables), cohort, outcome, last)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return crowd(tmp_path_factory.mktemp("release"))


Made = tuple[dict[str, Any], dict[str, pl.DataFrame]]


@pytest.fixture(scope="module")
def made(people: Case, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Made]:
    """Make the extract of a form once."""
    known: dict[str, Made] = {}

    def make_once(**form: Any) -> Made:
        name = repr(sorted(form.items()))
        if name not in known:
            into = tmp_path_factory.mktemp("made") / "extract"
            known[name] = build(people, into, papers(form)), read_tables(into, secrets())
        return known[name]

    return make_once


def offsets(case: Case, cohort: pl.DataFrame, study: str = "nsaid") -> dict[int, int]:
    """Return the days by which each real person's index was moved."""
    frame = pl.DataFrame(case.cohort)
    index = dict(zip(frame["subject_id"], frame["cohort_start_date"], strict=True))
    ids = transform.pseudonymize(secrets(study).pseudonym, "person", frame["subject_id"].to_numpy())
    real = dict(zip(ids.values.tolist(), ids.ids.tolist(), strict=True))
    return {real[p]: (day - index[real[p]]).days for p, day in cohort.select("person_id", "cohort_start_date").rows()}


# -- what is kept


def test_shifted_dates_have_the_names_of_the_cdm_and_whole_days(made: Callable[..., Made]) -> None:
    manifest, tables = made(**SHIFTED)
    assert {name: tables[name].columns for name in SHIFTED_COLUMNS} == SHIFTED_COLUMNS
    for frame in tables.values():
        assert all((kind == pl.Date) == name.endswith("_date") for name, kind in frame.schema.items())
    types = {(t["name"], c["name"]): c["type"] for t in manifest["tables"] for c in t["schema"]}
    assert types["condition_occurrence", "condition_end_date"] == types["cohort", "cohort_start_date"] == "date"
    assert {name for (_, name), kind in types.items() if kind == "date"} == {
        name for frame in tables.values() for name in frame.columns if name.endswith("_date")
    }
    described = {(entry["table"], entry["column"]) for entry in manifest["dictionary"]}
    assert described == set(types)


def test_intervals_are_those_of_the_days(made: Callable[..., Made]) -> None:
    """But for the ages, which beside a calendar are those of the moved index, the two forms tell the same."""
    days, shifted = made()[1], in_days(made(**SHIFTED)[1])
    assert days.keys() == shifted.keys()
    for name in days.keys() - {"person"}:
        assert shifted[name].equals(days[name]), name
    older = shifted["person"]["age_at_index"] - days["person"]["age_at_index"]
    assert set(older) == {-1, 0, 1}
    assert in_days(days) == days


def test_every_person_has_an_offset_of_their_own_in_whole_weeks(people: Case, made: Callable[..., Made]) -> None:
    weeks = [days / -7 for days in offsets(people, made(**SHIFTED)[1]["cohort"]).values()]
    assert all(week == int(week) and 1 <= week <= 156 for week in weeks)
    assert len(set(weeks)) > 60
    assert max(weeks.count(week) for week in weeks) < 10


def test_a_refresh_keeps_offsets_and_two_studies_share_none_but_by_chance(
    people: Case, made: Callable[..., Made], tmp_path: Path
) -> None:
    before = offsets(people, made(**SHIFTED)[1]["cohort"])
    longer = crowd(tmp_path, last=LAST + 97 * DAY, persons=PERSONS + 40)
    build(longer, tmp_path / "x", papers(SHIFTED))
    after = offsets(longer, read_tables(tmp_path / "x", secrets())["cohort"])
    both = before.keys() & after.keys()
    assert len(both) > 200
    assert all(before[each] == after[each] for each in both)
    other = papers(SHIFTED)
    other.protocol["study"] = other.request["study"] = "other"
    build(people, tmp_path / "other", other, secrets("other"))
    others = offsets(people, read_tables(tmp_path / "other", secrets("other"))["cohort"], "other")
    same = sum(before[each] == others[each] for each in before.keys() & others.keys())
    assert same <= 10  # 240 persons meet in 2 of 131 weeks or so


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32),
       years=st.integers(2, 12))  # fmt: skip
def test_whatever_the_key_first_and_last_days_leave_25_weeks(seed: bytes, other: bytes, years: int) -> None:
    """The rule itself, recomputed for persons observed from end to end: nobody at the edge of a range is given away."""
    ids = np.arange(1, 301)
    last = FIRST + timedelta(days=365 * years)
    index = pl.DataFrame(
        {"person_id": ids, "index_date": [FIRST + timedelta(days=365)] * 300, "cohort_end": [last] * 300}
    )
    ends = pl.DataFrame({"person_id": ids, "start": [FIRST] * 300, "end": [last] * 300})
    persons = transform.cut_persons(index, ends, FIRST, last, seed).frame
    origins = persons.select("person_id", "first", "last", "index_date", person="pseudonym").join(
        dates.shifted_index(persons, seed), left_on="person", right_on="person_id"
    )
    weeks = (origins["index_date"] - origins["origin"]).dt.total_days().to_numpy() / 7
    assert ((weeks >= 1) & (weeks <= 156) & (weeks == weeks.astype(int))).all()
    shift = pl.col("origin") - pl.col("index_date")
    told = origins.select(first=pl.col("first") + shift, last=pl.col("last") + shift)
    most = (last - 7 * DAY - told["last"]).dt.total_days().to_numpy() // 7
    least = -((told["first"] - (FIRST + 7 * DAY)).dt.total_days().to_numpy() // 7)
    assert (np.minimum(most, 156) - np.maximum(least, 1) + 1 >= 25).all()
    again = transform.cut_persons(index, ends, FIRST, last + 90 * DAY, seed).frame  # a refresh
    later = dates.shifted_index(again, seed)
    kept = dates.shifted_index(persons, seed).join(later, on="person_id", suffix="_later")
    assert (kept["origin"] == kept["origin_later"]).all()
    if seed != other:
        third = dates.shifted_index(transform.cut_persons(index, ends, FIRST, last, other).frame, other)
        assert not set(third["person_id"]) & set(later["person_id"])


# -- the papers


def test_days_are_the_default_and_leave_the_manifest_as_it_was(made: Callable[..., Made]) -> None:
    manifest, tables = made()
    assert "dates" not in manifest
    assert "dates" not in manifest["risk"]
    assert tables["cohort"].columns == ["person_id", "end_day", "observation_start_day", "observation_end_day"]


@pytest.mark.parametrize(("asked", "approved", "given"), [
    ({}, BOTH, {}), (BOTH, {}, {}), (SHIFTED, BOTH, SHIFTED), (YEAR, BOTH, YEAR), (BOTH, BOTH, BOTH),
    (BOTH, SHIFTED, SHIFTED), (BOTH, YEAR, YEAR),
])  # fmt: skip
def test_delivered_is_requested_and_approved(
    people: Case, tmp_path: Path, asked: dict[str, Any], approved: dict[str, Any], given: dict[str, Any]
) -> None:
    manifest = build(people, tmp_path / "x", papers(asked, approved))
    cohort = read_tables(tmp_path / "x", secrets())["cohort"]
    assert ("cohort_start_date" in cohort.columns) == ("dates" in given)
    assert ("index_year" in cohort.columns) == ("index_year" in given)
    said = manifest["dates"]
    for name, paper in (("requested", asked), ("approved", approved), ("delivered", given)):
        assert said["form"][name] == paper.get("dates", "days_from_index")
        assert said["index_year"][name] == paper.get("index_year", False)
    assert ("bands" in said) == ("index_year" in given)


def test_an_extract_in_days_has_the_ages_of_one_with_dates(
    people: Case, made: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of one study are laid side by side: two ages would tell on which side of New Year an index lies."""
    manifest = build(people, tmp_path / "x", papers({}, BOTH))
    ages = read_tables(tmp_path / "x", secrets())["person"]
    assert ages.equals(made(**BOTH)[1]["person"])
    assert not ages.equals(made()[1]["person"])
    rules = {each["rule"] for each in manifest["transforms"] if each["column"] == "age_at_index"}
    assert make.MOVED_AGE in rules
    meaning = next(each["meaning_en"] for each in manifest["dictionary"] if each["column"] == "age_at_index")
    assert meaning == say("extract.means_age_moved", "en")
    _true_ages(monkeypatch)
    with pytest.raises(Refused, match="offset"):
        build(people, tmp_path / "y", papers({}, YEAR))


def test_a_request_beyond_its_protocol_is_refused(people: Case) -> None:
    for asked, code in ((SHIFTED, "dates_beyond_protocol"), (YEAR, "index_year_beyond_protocol")):
        made = papers(asked, {})
        check_protocol(made.protocol)
        with pytest.raises(Refused) as error:
            check_request({**made.sealed()["request"]}, made.protocol, [])
        assert error.value.code == f"governance.{code}"
        allowed = papers(asked)
        check_protocol(allowed.protocol)
        check_request(allowed.sealed()["request"], allowed.protocol, [])
        check_request(papers({}, asked).sealed()["request"], allowed.protocol, [])
    wrong = papers({"dates": "as_they_are"})
    with pytest.raises(InvalidInput):
        check_protocol(wrong.protocol)


# -- index years

BANDS: list[tuple[str, dict[int, int], tuple[tuple[int, int], ...]]] = [
    ("nobody", {}, ()),
    ("ten persons have no band", {2010: 4, 2015: 6}, ()),
    ("eleven have one, of a pair of years", {2010: 5, 2011: 6}, ((2010, 2011),)),
    ("a pair begins with an even year", {2011: 11, 2012: 11}, ((2010, 2011), (2012, 2013))),
    ("years are joined until a band is full", {2010: 5, 2012: 3, 2015: 3, 2017: 20}, ((2010, 2015), (2016, 2017))),
    ("the last takes what is left", {2010: 20, 2012: 12, 2018: 10}, ((2010, 2011), (2012, 2019))),
    ("years without anybody are in no band", {1980: 11, 2018: 11}, ((1980, 1981), (2018, 2019))),
]


@pytest.mark.parametrize(("what", "persons", "bands"), BANDS, ids=[what for what, _, _ in BANDS])
def test_bands_of_years(what: str, persons: dict[int, int], bands: tuple[tuple[int, int], ...]) -> None:
    years = np.array([year for year, count in persons.items() for _ in range(count)], dtype=np.int64)
    assert year_bands(years) == bands, what


@given(st.lists(st.integers(1960, 2030), max_size=200))
def test_every_band_holds_11_persons_and_everybody_is_in_one(years: list[int]) -> None:
    bands = year_bands(np.array(years, dtype=np.int64))
    held = [[year for year in years if first <= year <= last] for first, last in bands]
    assert all(len(each) >= 11 for each in held)
    assert sum(map(len, held)) == (len(years) if len(years) >= 11 else 0)


def test_index_years_are_near_the_true_ones_and_counted_in_the_risk(people: Case, made: Callable[..., Made]) -> None:
    manifest, tables = made(**YEAR)
    bands = {band["from"]: band["to"] for band in manifest["dates"]["bands"]}
    counts = tables["cohort"]["index_year"].value_counts()
    assert all(count >= 11 for count in counts["count"])
    assert set(counts["index_year"]) == set(bands)
    assert len(bands) > 2
    frame = pl.DataFrame(people.cohort)
    ids = transform.pseudonymize(secrets().pseudonym, "person", frame["subject_id"].to_numpy())
    index = dict(zip(frame["subject_id"], frame["cohort_start_date"], strict=True))
    true = {p: index[real] for p, real in zip(ids.values.tolist(), ids.ids.tolist(), strict=True)}
    for person, year in tables["cohort"].select("person_id", "index_year").rows():
        assert date(year, 1, 1) - 91 * DAY <= true[person] <= date(bands[year], 12, 31) + 91 * DAY
    assert "index_year" in [entry["name"] for entry in manifest["risk"]["quasi_identifiers"]]
    assert "index_year" not in [entry["name"] for entry in made()[0]["risk"]["quasi_identifiers"]]


def test_few_persons_have_no_index_year(tmp_path: Path) -> None:
    build(crowd(tmp_path, persons=10), tmp_path / "x", papers(YEAR))
    cohort = read_tables(tmp_path / "x", secrets())["cohort"]
    assert cohort["index_year"].null_count() == cohort.height > 0


# -- words, risk, MEDS


def test_rules_and_risk_are_said_in_both_languages(made: Callable[..., Made]) -> None:
    manifest, _ = made(**BOTH)
    for lang in LANGS:
        for rule in manifest["transforms"]:
            assert say(f"extract.rule_{rule['rule'].partition(':')[0]}", lang)
        for code in ("shift", "dates", "index_year"):
            assert say(f"extract.finding_{code}", lang)
        more = set(sentences(manifest["risk"], lang)) - set(sentences(made(**YEAR)[0]["risk"], lang))
        assert len(more) == 1  # how little a shift hides
    assert manifest["risk"]["intervals"] == made()[0]["risk"]["intervals"]


def test_meds_has_shifted_times(made: Callable[..., Made]) -> None:
    days, shifted = meds_tables(made()[1]), meds_tables(made(**BOTH)[1])
    assert (days.time_origin, shifted.time_origin) == ("1970-01-01", "shifted")
    index = made(**BOTH)[1]["cohort"].select(subject_id="person_id", origin="cohort_start_date")
    found = shifted.data.filter(pl.col("code").cast(pl.String) == "INDEX").join(index, on="subject_id")
    assert (found["time"].dt.date() == found["origin"]).all()
    ours = shifted.data.filter(~pl.col("code").cast(pl.String).is_in(["INDEX_YEAR", "AGE_AT_INDEX"]))
    back = ours.join(index, on="subject_id").with_columns(
        pl.col("time", "end_time") - (pl.col("origin").cast(pl.Datetime("us")) - pl.lit(date(1970, 1, 1)))
    )
    columns = [name for name in days.data.columns if name not in {"code", "table", "text_value", "unit"}]
    theirs = days.data.filter(pl.col("code").cast(pl.String) != "AGE_AT_INDEX")
    assert back.select(columns).sort(columns).equals(theirs.select(columns).sort(columns))
    years = shifted.data.filter(pl.col("code").cast(pl.String) == "INDEX_YEAR")
    assert years["time"].null_count() == years.height == index.height
    assert {"INDEX_YEAR"} == set(shifted.codes["code"]) - set(days.codes["code"])


# -- a first pass that is spoiled


Spoil = Callable[[pytest.MonkeyPatch], None]
_true, _moved = dates.shifted_index, dates.to_dates


def _shift_by(weeks: Callable[[pl.DataFrame], pl.Expr]) -> Spoil:
    def spoiled(persons: pl.DataFrame, _: bytes) -> pl.DataFrame:
        origin = pl.col("index_date") - pl.duration(weeks=weeks(persons))
        return persons.select(person_id="pseudonym", origin=origin).sort("person_id")

    return lambda patch: patch.setattr(dates, "shifted_index", spoiled)


def _one_person_unshifted(patch: pytest.MonkeyPatch) -> None:
    def spoiled(persons: pl.DataFrame, secret: bytes) -> pl.DataFrame:
        one = persons.sort("person_id").row(0, named=True)
        real = pl.when(pl.col("person_id") == one["pseudonym"]).then(pl.lit(one["index_date"])).otherwise("origin")
        return _true(persons, secret).with_columns(origin=real)

    patch.setattr(dates, "shifted_index", spoiled)


def _one_table_otherwise(patch: pytest.MonkeyPatch) -> None:
    def spoiled(tables: Mapping[str, pl.DataFrame], origins: pl.DataFrame) -> dict[str, pl.DataFrame]:
        moved = _moved(tables, origins)
        later = moved["condition_occurrence"].with_columns(pl.col("condition_start_date") + pl.duration(days=1))
        return {**moved, "condition_occurrence": later}

    patch.setattr(dates, "to_dates", spoiled)


def _without_the_cut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transform, "CUT_DAYS", (0, 0))


def _same_cut_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transform, "CUT_DAYS", (30, 30))


def _shift_beside_the_cut(patch: pytest.MonkeyPatch) -> None:
    """A shift drawn apart from the cut: at the edge of its range the two are known."""
    patch.setattr(dates, "SUMS", (2, 150))


def _other_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dates, "shifted_index", lambda persons, _: _true(persons, demonstration_entropy("other", 32)))


def _days_in_place_of_dates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dates, "to_dates", lambda tables, _: dict(tables))


def _true_index_years(patch: pytest.MonkeyPatch) -> None:
    years = dates.with_index_years
    patch.setattr(dates, "with_index_years", lambda c, p: years(c, p.with_columns(moved="index_date")))


def _true_ages(patch: pytest.MonkeyPatch) -> None:
    person = transform.person_table
    patch.setattr(transform, "person_table", lambda rows, plan, limits, **_: person(rows, plan, limits))


def _fine_bands(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dates, "BAND", 1)
    patch.setattr(dates, "WIDTH", 1)


SPOILED: list[tuple[str, dict[str, Any], str, Spoil]] = [
    ("not shifted at all", SHIFTED, "shift", _shift_by(lambda _: pl.lit(0))),
    ("everybody by the same", SHIFTED, "shift", _shift_by(lambda _: pl.lit(52))),
    ("by chance and not by the key", SHIFTED, "shift", _shift_by(lambda p: pl.col("pseudonym") % 150 + 1)),
    ("one person is left out", SHIFTED, "shift", _one_person_unshifted),
    ("one table a day later", SHIFTED, "shift", _one_table_otherwise),
    ("another study's key", SHIFTED, "shift", _other_key),
    ("without the cut", SHIFTED, "offset", _without_the_cut),
    ("the same cut for everybody", SHIFTED, "offset", _same_cut_for_all),
    ("the same cut for everybody, in days", {}, "offset", _same_cut_for_all),
    ("a range with edges", SHIFTED, "shift", _shift_beside_the_cut),
    ("days under shifted papers", SHIFTED, "unapproved_column", _days_in_place_of_dates),
    ("true index years", YEAR, "index_year", _true_index_years),
    ("true index years beside shifted dates", BOTH, "offset", _true_index_years),
    ("bands of a year or of a few", YEAR, "index_year", _fine_bands),
    ("true ages beside shifted dates", SHIFTED, "offset", _true_ages),
    ("true ages beside index years", YEAR, "offset", _true_ages),
]  # fmt: skip


@pytest.mark.parametrize(("what", "form", "code", "spoil"), SPOILED, ids=[what for what, *_ in SPOILED])
def test_a_spoiled_first_pass_is_stopped_by_the_second(
    people: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, form: dict[str, Any], code: str,
    spoil: Spoil,
) -> None:  # fmt: skip
    spoil(monkeypatch)
    with pytest.raises(Refused) as error:
        build(people, tmp_path / "x", papers(form))
    assert error.value.code == "extract.inspection"
    assert f"{code} (" in str(error.value.facts["findings"]), what
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_dates_where_days_are_approved_are_found(people: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pass is told that it may, the second reads the papers."""
    monkeypatch.setattr("workbench.extracts.build.delivered_dates", lambda *_: make.Dates("shifted", True))
    with pytest.raises(Refused) as error:
        build(people, tmp_path / "x", papers({}))
    found = str(error.value.facts["findings"])
    assert "date (condition_occurrence.condition_start_date)" in found
    assert "unapproved_column (cohort.index_year)" in found


def test_a_manifest_that_says_another_form_is_found(
    people: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.extracts.build.proof", lambda *_: {})
    with pytest.raises(Refused) as error:
        build(people, tmp_path / "x", papers(SHIFTED))
    assert "dates (manifest.dates)" in str(error.value.facts["findings"])


@pytest.mark.parametrize("edge", ["first", "last"])
def test_a_range_with_edges_gives_persons_away(edge: str) -> None:
    """The attack by itself, without any key: a person whose shift must be the smallest, or the greatest."""
    weeks, late = (1, 7) if edge == "last" else (156, 182)
    index, length = np.array([16_000]), 1_000
    first, last = np.array([-500 + 189 - late]), np.array([length - 500 - late])
    person = inspect_dates.Person(index, index, index, np.array([late]), np.array([weeks]), first, last)
    shifted = inspect_dates.Form(shifted=True, index_year=False)
    low, high = inspect_dates._room(person, shifted, 16_000 - 500, 16_000 - 500 + length)
    assert inspect_dates._weeks(low, high).tolist() == [1]
    days = inspect_dates.Form(shifted=False, index_year=False)
    low, high = inspect_dates._room(person, days, 16_000 - 500, 16_000 - 500 + length)
    assert inspect_dates._weeks(low, high)[0] >= 25


def test_the_second_pass_shares_no_code_with_the_first() -> None:
    folder = Path(inspect_dates.__file__).parent
    second = {"inspect", "inspect_concepts", "inspect_dates", "inspect_rare", "canaries", "reread"}
    for name in second:
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        used = {f"{node.module}.{each.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                for each in node.names if node.module}  # fmt: skip
        ours = {each.removeprefix("workbench.extracts.").split(".")[0] for each in used if "extracts" in each}
        assert ours <= second, name
        assert not {each for each in used if "pseudonyms" in each or "date_forms" in each}, name

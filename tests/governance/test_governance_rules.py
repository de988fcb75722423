"""Roles, life cycles, disclosure, legal bases, protocols: the rules as tables, each checked as a whole."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.governance import disclosure, legal_bases, lifecycle, policy, protocols
from workbench.governance.actors import Actor, Role
from workbench.governance.deliverable import deliverable, delivered_name, main_concept, why_never
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.errors import InvalidInput, Refused, UserError
from workbench.kernel.text import LANGS, catalogue, say
from workbench.repository.cdm import TABLES

ALICE = Actor("alice", Role.RESEARCHER, "Alice")
BOB = Actor("bob", Role.DATA_SCIENTIST, "Bob")
CLAIRE = Actor("claire", Role.ETHICS_OFFICER, "Claire")
DAN = Actor("dan", Role.DATA_STEWARD, "Dan")
KINDS = get_args(lifecycle.Kind)


def code_of(error: pytest.ExceptionInfo[UserError]) -> str:
    return error.value.code


# -- roles


def test_an_unknown_verb_is_denied_to_everybody() -> None:
    assert not any(policy.can(actor, "extract.everything") for actor in (ALICE, BOB, CLAIRE, DAN))


def test_nobody_both_asks_and_decides_nor_decides_and_opens_rows() -> None:
    for role in Role:
        actor = Actor("x", role, "X")
        assert not (policy.can(actor, "request.create") and policy.can(actor, "request.decide"))
        assert not (policy.can(actor, "request.decide") and policy.can(actor, "extract.open"))
        assert not (policy.can(actor, "user.manage") and policy.can(actor, "extract.open"))


def test_check_raises_where_can_answers_no() -> None:
    for verb in policy.ALLOWED:
        for actor in (ALICE, BOB, CLAIRE, DAN):
            if policy.can(actor, verb):
                policy.check(actor, verb)
            else:
                with pytest.raises(Refused) as error:
                    policy.check(actor, verb)
                assert code_of(error) == "governance.not_allowed"


def test_members_see_their_study_the_officer_all_the_steward_none(protocol: dict[str, Any]) -> None:
    policy.check_member(ALICE, protocol)
    policy.check_member(CLAIRE, protocol)
    for stranger in (Actor("eve", Role.RESEARCHER, "Eve"), Actor("alice", Role.DATA_SCIENTIST, "Alice"), DAN):
        with pytest.raises(Refused) as error:
            policy.check_member(stranger, protocol)
        assert code_of(error) == "governance.not_member"


@pytest.mark.parametrize("reviewer", ["alice", "Alice", " ALICE "])
def test_self_approval_is_refused(reviewer: str) -> None:
    with pytest.raises(Refused):
        policy.check_other_person("alice", reviewer)
    policy.check_other_person("alice", "claire")


# -- life cycles


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_is_reached_and_every_step_has_one_owner(kind: lifecycle.Kind) -> None:
    cycle = lifecycle.LIFE_CYCLES[kind]
    reached, before = {cycle.initial}, set[str]()
    while reached != before:
        before = set(reached)
        reached |= {step.target for step in cycle.transitions if step.source in reached}
    assert reached == set(cycle.states)
    steps = [(step.source, step.name) for step in cycle.transitions]
    assert len(steps) == len(set(steps))
    assert {step.source for step in cycle.transitions} <= set(cycle.states)


def test_steps_need_the_right_state_owner_and_reason() -> None:
    assert lifecycle.check_transition("request", "checked", "approve", Role.ETHICS_OFFICER, "minimal") == "approved"
    for state, step, owner, reason, code in [
        ("filed", "approve", Role.ETHICS_OFFICER, "x", "wrong_state"),
        ("checked", "approve", Role.RESEARCHER, "x", "not_owner"),
        ("checked", "refuse", Role.ETHICS_OFFICER, "  ", "reason_needed"),
        ("refused", "run", Role.RESEARCHER, "", "wrong_state"),
        ("expired", "run", Role.RESEARCHER, "", "wrong_state"),
    ]:
        with pytest.raises(Refused) as error:
            lifecycle.check_transition("request", state, step, owner, reason)
        assert code_of(error) == f"governance.{code}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lang", LANGS)
def test_the_diagram_names_every_state_and_step(kind: lifecycle.Kind, lang: Any) -> None:
    drawn = lifecycle.mermaid(kind, lang)
    for state in lifecycle.LIFE_CYCLES[kind].states:
        assert f"as {state}\n" in drawn
    assert drawn.count(" --> ") >= len(lifecycle.LIFE_CYCLES[kind].transitions)


# -- disclosure


@given(st.integers(0, 10))
def test_small_numbers_look_alike(n: int) -> None:
    assert disclosure.shown(n) == disclosure.shown(0)
    assert disclosure.shown(n).value is None
    assert str(n) not in disclosure.shown(n).text_fr.replace("11", "")


@given(st.integers(11, 10**9))
def test_larger_numbers_are_multiples_of_five_near_the_truth(n: int) -> None:
    value = disclosure.shown(n).value
    assert value is not None
    assert value % 5 == 0
    assert value >= disclosure.LOWEST
    assert abs(value - n) <= (4 if n < 13 else 2)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
def test_losses_are_hidden_below_the_threshold_and_add_nothing(steps: list[int]) -> None:
    values = [disclosure.shown(n).value for n in steps]
    losses = disclosure.shown_losses(steps)
    assert len(losses) == len(steps) - 1
    for loss, (before, after) in zip(losses, pairwise(values), strict=True):
        if loss.value is not None:
            assert before is not None
            assert after is not None
            assert loss.value == before - after
            assert loss.value >= disclosure.THRESHOLD


# -- legal bases


def test_legal_bases_are_dated_named_in_both_languages_and_unconfirmed() -> None:
    for basis in legal_bases.legal_bases().values():
        assert set(basis.name) == set(LANGS)
        assert basis.status == "to be confirmed by the DPO"
        assert all(legal_bases.field_label(name, lang) for name in basis.requires for lang in LANGS)
    assert not legal_bases.legal_basis("feasibility").rows


def test_missing_fields_are_named() -> None:
    assert legal_bases.missing_fields("feasibility", {"purpose": "x", "sponsor": " "}) == ("sponsor",)
    with pytest.raises(InvalidInput):
        legal_bases.missing_fields("because", {})


# -- protocols and requests


@pytest.mark.parametrize(
    ("table", "column", "reason"),
    [
        ("person", "year_of_birth", "birth"),
        ("person", "birth_datetime", "birth"),
        ("person", "person_source_value", "free_text"),
        ("note", "note_text", "note"),
        ("condition_occurrence", "condition_source_value", "free_text"),
        ("condition_occurrence", "condition_occurrence_id", "identifier"),
        ("drug_exposure", "sig", "free_text"),
        ("measurement", "measurement_datetime", "time_of_day"),
        ("observation", "value_as_string", "free_text"),
        ("location", "zip", "unknown"),
    ],
)
def test_what_never_leaves_is_refused_with_its_reason(
    protocol: dict[str, Any], table: str, column: str, reason: str
) -> None:
    assert why_never(table, column) == reason
    protocol["tables"] = {table: [column]}
    with pytest.raises(InvalidInput) as error:
        protocols.check_protocol(protocol)
    assert code_of(error) == "governance.never_delivered"


def test_no_deliverable_column_is_text_or_an_identifier() -> None:
    for table, columns in deliverable().items():
        assert columns["person_id"] == "person"
        for column, kind in columns.items():
            assert not column.endswith(("_source_value", "_datetime", "_as_string"))
            assert not column.endswith("_id") or kind != "number"
            assert not delivered_name(table, column).endswith("_date")


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("duration_days",), 0, "kernel.document_invalid"),
        (("legal_basis",), {"code": "internal_study", "fields": {}}, "governance.legal_fields_missing"),
        (("legal_basis",), {"code": "because", "fields": {}}, "governance.unknown_legal_basis"),
        (("period",), {"from_day": 1, "to_day": 0}, "governance.period_reversed"),
        (("sensitive_classes",), ["secrets"], "governance.unknown_class"),
        (("study",), "../escape", "kernel.document_invalid"),
        (("members",), [], "kernel.document_invalid"),
        (("concepts",), {"death": [{"concept": 1}]}, "governance.concepts_table"),
        (("concepts",), {"person": [{"concept": 8507}]}, "governance.concepts_table"),
        (("concepts",), {"condition_occurrence": []}, "kernel.document_invalid"),
        (("concepts",), {"condition_occurrence": [{"concept": 0}]}, "kernel.document_invalid"),
        (("concepts",), {"condition_occurrence": [{"descendants": True}]}, "kernel.document_invalid"),
        (("concepts",), {"condition_occurrence": [{"concept": 1, "domain": "Drug"}]}, "kernel.document_invalid"),
        (("concepts",), {"condition_occurrence": [{"domain": "Drug", "excluded": True}]}, "kernel.document_invalid"),
        (
            ("concepts",),
            {"condition_occurrence": [{"concept": 1, "excluded": True}]},
            "governance.concepts_only_excluded",
        ),
    ],
)
def test_a_faulty_protocol_is_refused(protocol: dict[str, Any], path: tuple[str], value: Any, code: str) -> None:
    protocols.check_protocol(protocol)
    protocol[path[0]] = value
    with pytest.raises(InvalidInput) as error:
        protocols.check_protocol(protocol)
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"why_not_aggregate": " "}, "governance.why_not_aggregate"),
        ({"tables": {"death": ["death_date"]}}, "governance.beyond_protocol"),
        ({"tables": {"person": ["race_concept_id"]}}, "governance.beyond_protocol"),
        ({"period": {"from_day": -366, "to_day": 0}}, "governance.period_beyond_protocol"),
        ({"period": {"from_day": None, "to_day": 0}}, "governance.period_beyond_protocol"),
        ({"outcome_period": {"from_day": 0, "to_day": 366}}, "governance.period_beyond_protocol"),
        ({"study": "other"}, "governance.other_study"),
    ],
)
def test_a_request_beyond_its_protocol_is_refused(
    protocol: dict[str, Any], request_: dict[str, Any], change: dict[str, Any], code: str
) -> None:
    protocols.check_request(request_, protocol, ["nsaid_new_users", "gi_bleed"])
    with pytest.raises(UserError) as error:
        protocols.check_request({**request_, **change}, protocol, [])
    assert code_of(error) == code


def test_a_table_is_limited_only_with_the_column_that_proves_it(
    protocol: dict[str, Any], request_: dict[str, Any]
) -> None:
    limit = {"condition_occurrence": [{"concept": 201826}]}
    protocol["concepts"] = limit
    protocols.check_request(request_, protocol, [])
    protocols.check_request({**request_, "concepts": limit}, protocol, [])
    bare = {"condition_occurrence": ["condition_start_date"]}
    with pytest.raises(InvalidInput) as error:
        protocols.check_protocol({**protocol, "tables": bare})
    assert code_of(error) == "governance.concepts_column"
    with pytest.raises(InvalidInput) as error:
        protocols.check_request({**request_, "tables": bare}, protocol, [])
    assert code_of(error) == "governance.concepts_column"
    with pytest.raises(InvalidInput) as error:
        protocols.check_request({**request_, "concepts": {"drug_era": [{"domain": "Drug"}]}}, protocol, [])
    assert code_of(error) == "governance.concepts_table"


def test_the_main_concept_is_the_one_of_the_data_model() -> None:
    assert {name: main_concept(name) for name in deliverable()} == {
        name: TABLES[name].standard_concept for name in deliverable()
    }


def test_cohorts_must_be_approved_and_feasibility_gives_no_rows(
    protocol: dict[str, Any], request_: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as error:
        protocols.check_request(request_, protocol, ["everybody"])
    assert code_of(error) == "governance.cohort_not_approved"
    feasibility = copy.deepcopy(protocol)
    feasibility["legal_basis"] = {"code": "feasibility", "fields": {"purpose": "p", "sponsor": "s"}}
    with pytest.raises(Refused) as error:
        protocols.check_request(request_, feasibility, [])
    assert code_of(error) == "governance.aggregates_only"


_COLUMNS = st.dictionaries(
    st.sampled_from(["person", "measurement", "note"]),
    st.lists(st.sampled_from([*deliverable()["measurement"], "age_at_index", "note_text", "measurement_source_value"])),
)


@given(_COLUMNS, _COLUMNS)
def test_delivered_is_requested_and_approved_and_deliverable(
    requested: dict[str, list[str]], approved: dict[str, list[str]]
) -> None:
    for table, columns in protocols.delivered_columns(requested, approved).items():
        both = set(requested[table]) & set(approved.get(table, []))
        assert set(columns.delivered) - {"person_id"} <= both
        assert all(why_never(table, column) is None for column in columns.delivered)
        assert set(requested[table]) - {"person_id"} <= set(columns.delivered) | set(columns.withheld)


# -- words


@pytest.mark.parametrize("area", ["governance", "extract"])
def test_both_languages_say_the_same_things(area: str) -> None:
    french, english = (
        {key: entry for family in catalogue(lang).values() for key, entry in family.items() if key.startswith(area)}
        for lang in LANGS
    )
    assert french.keys() == english.keys()
    assert all(say(f"governance.withheld_{code}", lang) for lang in LANGS for code in
               ("free_text", "identifier", "birth", "time_of_day", "note", "unknown"))  # fmt: skip


def test_sensitive_classes_have_names() -> None:
    assert all(set(entry.name) == set(LANGS) for entry in sensitive_classes().values())

"""The way out of a workspace: filed, checked, decided by another person on the digest, taken away byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workbench.governance import audit
from workbench.governance.actors import Actor, Role
from workbench.governance.airlock.verdicts import overall
from workbench.kernel.digest import digest_bytes
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.services import cohorts, extracts, kept_outputs, learning, objections, outputs, people, tracing
from workbench.services.context import Workbench
from workbench.services.outputs import OutputView
from workbench.services.people import Person

CONTEXT = "Tableau 1 de l’article : effectifs par sexe et hémorragie."
SEX = {"role": "group", "of": "gender_concept_id", "labels": {"8507": "men", "8532": "women"}}
BLEED = {"role": "group", "any": {"table": "outcome"}, "labels": {"true": "yes", "false": "no"}}
DECLARATION: dict[str, Any] = {"table": "person", "columns": {"sex": SEX, "bleed": BLEED, "n": {"role": "count"}}}
TABLE = b"sex,bleed,n\nmen,no,1050\nmen,yes,235\nwomen,no,1100\nwomen,yes,240\n"


@pytest.fixture
def extract(wb: Workbench, scientist: Actor) -> str:
    return extracts.list_extracts(wb, scientist)[0].id


@pytest.fixture
def file(wb: Workbench, scientist: Actor, extract: str) -> Callable[..., OutputView]:
    def made(raw: bytes = TABLE, declaration: Any = DECLARATION, name: str = "table1.csv") -> OutputView:
        return outputs.request_output(wb, scientist, extract, name, raw, context=CONTEXT, declaration=declaration)

    return made


def decide(wb: Workbench, who: Actor, view: OutputView, decision: outputs.Decision = "released") -> OutputView:
    return outputs.decide(wb, who, view.id, decision, file_digest=view.file_digest, reason="Groupes nombreux.")


def failing(view: OutputView) -> set[str]:
    return {check.code for check in view.checks if check.verdict == "failed"}


def log(wb: Workbench, subject: str) -> list[tuple[str, str, str]]:
    with wb.store.read() as connection:
        return [(e.actor, e.verb, e.outcome) for e in audit.entries(connection) if e.subject == subject]


def test_a_table_leaves_byte_by_byte_and_every_step_is_logged(
    wb: Workbench, scientist: Actor, researcher: Actor, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = file()
    assert view.state == "checked", [(c.code, c.text("en")) for c in view.checks if c.verdict != "passed"]
    assert outputs.preview(wb, officer, view.id) == TABLE
    with pytest.raises(Refused, match="not_released"):
        outputs.download(wb, scientist, view.id)
    released = decide(wb, officer, view)
    assert (released.state, released.decision and released.decision.body["reviewer"]) == ("released", officer.name)
    assert outputs.download(wb, researcher, view.id) == ("table1.csv", TABLE)
    assert log(wb, view.id) == [
        ("datascientist", "output.request", "done"),
        ("ethics", "output.preview", "done"),
        ("datascientist", "output.download", "denied"),
        ("ethics", "output.decide", "done"),
        ("researcher", "output.download", "done"),
    ]
    thread = tracing.trace(wb, officer, view.id)
    assert [link.kind for link in thread.links][-3:] == ["extract", "output", "release_decision"]


def test_neither_name_nor_context_holds_a_pseudonym(
    wb: Workbench, scientist: Actor, officer: Actor, extract: str
) -> None:
    person = str(extracts.open_tables(wb, scientist, extract)[1]["person"].get_column("person_id")[0])
    told = {"context": CONTEXT, "declaration": DECLARATION}
    grouped = f"{int(person):,}".replace(",", " ")
    for name, context in ((f"table_{person}.csv", CONTEXT), ("t.csv", f"{CONTEXT} Voir {person}."),
                          ("t.csv", f"Cas de {grouped}, pour l’article.")):  # fmt: skip
        with pytest.raises(InvalidInput, match="said_identifier"):
            outputs.request_output(wb, scientist, extract, name, TABLE, **{**told, "context": context})
    with pytest.raises(InvalidInput, match="said_identifier"):
        outputs.check_output(wb, scientist, extract, f"{person}.csv", TABLE, DECLARATION)
    assert outputs.list_outputs(wb, officer) == []
    with wb.store.read() as connection:
        assert not any(person in str(entry) for entry in audit.entries(connection))
    assert outputs.request_output(wb, scientist, extract, "table_20261122.csv", TABLE, **told).state == "checked"


def test_nobody_releases_what_they_filed_and_no_member_releases(
    wb: Workbench, scientist: Actor, researcher: Actor, file: Callable[..., OutputView]
) -> None:
    view = file()
    with pytest.raises(Refused, match="self_approval"):
        decide(wb, Actor(scientist.name, Role.ETHICS_OFFICER, scientist.display), view)
    for member in (scientist, researcher):
        with pytest.raises(Refused, match="not_allowed"):
            decide(wb, member, view)
    assert outputs.show_output(wb, scientist, view.id).state == "checked"


def test_a_decision_names_the_file_that_was_read_and_a_reason(
    wb: Workbench, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = file()
    with pytest.raises(Refused, match="other_file"):
        outputs.decide(wb, officer, view.id, "released", file_digest="0" * 64, reason="r")
    with pytest.raises(Refused, match="reason_needed"):
        outputs.decide(wb, officer, view.id, "released", file_digest=view.file_digest, reason=" ")


@pytest.mark.parametrize("decision", ["refused", "sent_back"])
def test_what_was_not_released_is_not_taken_away(
    wb: Workbench, scientist: Actor, officer: Actor, file: Callable[..., OutputView], decision: Any
) -> None:
    view = decide(wb, officer, file(), decision)
    assert view.state == decision
    for again in (lambda: decide(wb, officer, view), lambda: outputs.download(wb, scientist, view.id)):
        with pytest.raises(Refused):
            again()


def test_a_file_changed_after_the_review_is_refused(
    wb: Workbench, scientist: Actor, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = file()
    folder = kept_outputs.root(wb, view.extract) / view.id
    sealed = (folder / "file.sealed").read_bytes()
    assert b"women" not in sealed
    (folder / "file.sealed").write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(Unavailable, match="damaged"):
        decide(wb, officer, view)
    assert not (folder / "released").exists()
    (folder / "file.sealed").write_bytes(sealed)
    decide(wb, officer, view)
    (folder / "released").write_bytes(TABLE.replace(b"235", b"230"))
    with pytest.raises(Unavailable, match="damaged"):
        outputs.download(wb, scientist, view.id)


def test_a_failed_check_sends_back_at_once_and_keeps_no_file(
    wb: Workbench, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = file(TABLE.replace(b"1050", b"1052"))
    assert (view.state, failing(view)) == ("sent_back", {"rounding"})
    assert not (kept_outputs.root(wb, view.extract) / view.id).exists()
    with pytest.raises(Refused, match="not_released"):
        outputs.preview(wb, officer, view.id)
    with pytest.raises(Refused, match="wrong_state"):
        decide(wb, officer, view)


def test_differencing_two_outputs_is_caught_at_filing_and_at_release(
    wb: Workbench, scientist: Actor, officer: Actor, extract: str, file: Callable[..., OutputView]
) -> None:
    """All persons, and all but the few who were observed least: each harmless, together they tell of these few."""
    _, tables, _ = extracts.open_tables(wb, scientist, extract)
    began = tables["cohort"]["observation_end_day"].sort()
    early = int(began[5])
    persons, some = began.len(), int((began > early).sum())
    assert 1 <= persons - some <= 10
    rounded = {size: 5 * ((size + 2) // 5) for size in (persons, some)}
    everybody = {"table": "cohort", "columns": {"n": {"role": "count"}}}
    nearly = {**everybody, "where": [{"column": "observation_end_day", "op": ">", "value": early}]}
    first = file(b"n\n%d\n" % rounded[persons], everybody)
    second = file(b"n\n%d\n" % rounded[some], nearly, "table2.csv")
    assert (first.state, second.state) == ("checked", "checked")
    decide(wb, officer, first)
    with pytest.raises(Refused, match="meets_released"):
        decide(wb, officer, second)
    third = file(b"n\n%d\n" % rounded[some], nearly, "table3.csv")
    assert (third.state, failing(third)) == ("sent_back", {"differencing"})
    assert outputs.show_output(wb, officer, second.id).state == "checked"


def test_two_releases_at_once_do_not_pass_each_other_by(
    wb: Workbench, officer: Actor, file: Callable[..., OutputView], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = file(), file(b"what,number\nauroc,0.63\n", None, "plain.csv")
    write = kept_outputs.released
    meanwhile = [lambda: decide(wb, officer, second)]

    def released_meanwhile(*facts: Any) -> Any:
        if meanwhile:
            meanwhile.pop()()
        return write(*facts)

    monkeypatch.setattr(kept_outputs, "released", released_meanwhile)
    with pytest.raises(Refused, match="changed_meanwhile"):
        decide(wb, officer, first)
    folder = kept_outputs.root(wb, first.extract)
    assert [(folder / view.id / "released").exists() for view in (first, second)] == [False, True]


def test_an_objection_since_the_filing_keeps_the_output_in(
    wb: Workbench, steward: Actor, officer: Actor, scientist: Actor, file: Callable[..., OutputView]
) -> None:
    view = file()
    manifest = extracts.show_extract(wb, scientist, view.extract).manifest
    inside = cohorts.rows_of(wb, manifest["cohort"])["subject_id"].to_pylist()
    objections.add(wb, steward, [max(inside) + 1_000_000], view.study)
    somebody = next(person for person in inside if objections.add(wb, steward, [person], view.study).concerned)
    assert somebody in inside
    with pytest.raises(Refused, match="objected_since"):
        decide(wb, officer, view)


def test_a_recalled_output_is_not_taken_away_and_still_compared(
    wb: Workbench, scientist: Actor, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = decide(wb, officer, file())
    recalled = decide(wb, officer, view, "recalled")
    assert recalled.state == "recalled"
    with pytest.raises(Refused, match="not_released"):
        outputs.download(wb, scientist, view.id)
    sex = {"table": "person", "columns": {"sex": SEX, "n": {"role": "count"}}}
    again = file(b"sex,n\nmen,1290\nwomen,1340\n", sex, "again.csv")
    told = next(check for check in again.checks if check.code == "differencing")
    assert told.facts["outputs"] == "1"


def test_what_was_released_and_lost_lets_nothing_else_pass(
    wb: Workbench, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = decide(wb, officer, file())
    (kept_outputs.root(wb, view.extract) / view.id / "numbers.json").write_text("[]")
    with pytest.raises(Unavailable, match="damaged"):
        file(TABLE, DECLARATION, "again.csv")


def test_only_who_filed_withdraws(
    wb: Workbench, scientist: Actor, researcher: Actor, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = file()
    with pytest.raises(Refused, match="not_yours"):
        outputs.withdraw(wb, researcher, view.id)
    assert outputs.withdraw(wb, scientist, view.id).state == "withdrawn"
    with pytest.raises(Refused, match="wrong_state"):
        decide(wb, officer, view)


def test_another_studys_outputs_are_invisible(
    wb: Workbench, steward: Actor, officer: Actor, file: Callable[..., OutputView]
) -> None:
    view = decide(wb, officer, file())
    people.add_person(wb, steward, Person("stranger", "Stranger", Role.DATA_SCIENTIST, None))
    stranger = people.actor_named(wb, "stranger")
    assert outputs.list_outputs(wb, stranger) == []
    for verb in (outputs.show_output, outputs.preview, outputs.download):
        with pytest.raises(Refused, match="no_document"):
            verb(wb, stranger, view.id)
    with pytest.raises(Refused, match="no_document"):
        outputs.check_output(wb, stranger, view.extract, "t.csv", TABLE, DECLARATION)
    for verb in (outputs.list_outputs, lambda w, a: outputs.preview(w, a, view.id)):
        with pytest.raises(Refused, match="not_allowed"):
            verb(wb, steward)


def test_checking_keeps_nothing(wb: Workbench, scientist: Actor, officer: Actor, extract: str) -> None:
    content, checks = outputs.check_output(wb, scientist, extract, "t.csv", TABLE, DECLARATION)
    assert (content.raw, overall(checks)) == (TABLE, "passed")
    assert outputs.list_outputs(wb, scientist) == []
    with pytest.raises(Refused, match="not_allowed"):
        outputs.check_output(wb, officer, extract, "t.csv", TABLE, DECLARATION)


def test_a_pseudonym_a_list_and_an_undeclared_table(
    wb: Workbench, scientist: Actor, extract: str, file: Callable[..., OutputView]
) -> None:
    _, tables, _ = extracts.open_tables(wb, scientist, extract)
    rows = tables["person"].rename({"person_id": "k"}).write_csv().encode()
    assert {"identifiers", "rows"} <= failing(file(rows, None, "rows.csv"))
    plain = file(b"what,number\nauroc,0.63\n", None, "plain.csv")
    assert plain.state == "to_review"
    with pytest.raises(InvalidInput, match="document_invalid"):
        outputs.request_output(wb, scientist, extract, "t.csv", TABLE, context="x", declaration=DECLARATION)


@pytest.mark.parametrize("kind", ["l1_logistic", "gradient_boosting"])
def test_models_are_known_by_their_parameters_and_read_by_a_person(
    wb: Workbench, scientist: Actor, extract: str, kind: str, file: Callable[..., OutputView]
) -> None:
    model = next(each for each in learning.list_models(wb, scientist) if each.kind == kind)
    raw = (wb.settings.extracts / extract / "models" / model.id / "model.skops").read_bytes()
    view = file(raw, None, "model.skops")
    assert (view.state, failing(view)) == ("to_review", set())
    assert view.document["model"] == model.digest
    found = {check.code: check.verdict for check in view.checks}
    assert found["known_model"] == "passed"
    assert found[{"l1_logistic": "parameters", "gradient_boosting": "leaves"}[kind]] == "passed"


def test_a_revoked_study_lets_nothing_out_but_what_was_released(
    wb: Workbench, scientist: Actor, officer: Actor, file: Callable[..., OutputView]
) -> None:
    released = decide(wb, officer, file())
    waiting = file(b"what,number\nauroc,0.63\n", None, "plain.csv")
    extracts.revoke(wb, officer, released.extract, "Finalité changée.")
    with pytest.raises(Refused, match="extract_closed"):
        decide(wb, officer, waiting)
    assert digest_bytes(outputs.download(wb, scientist, released.id)[1]) == released.file_digest
    assert outputs.preview(wb, officer, released.id) == TABLE

"""Persons of a sensitive class: left out of every extract unless the protocol names the class, and never named."""

from __future__ import annotations

import pytest

from tests.services.test_objections import holders, inside
from workbench.governance import audit
from workbench.governance.actors import Actor
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import demo, extracts, objections
from workbench.services.context import Workbench


def test_left_out_unless_the_protocol_names_the_class(
    wb: Workbench, researcher: Actor, steward: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extracts.list_extracts(wb, researcher)[-1]
    person, own = inside(wb, researcher, first)
    made = objections.add(wb, steward, [person], sensitive="staff")
    assert (made.sensitive, made.study, made.persons) == ("staff", None, 1)
    assert first.id in {each.id for each in made.concerned}
    assert holders(extracts.open_tables(wb, researcher, first.id)[1], own) == set()
    with wb.store.read() as connection:
        assert [each.id for each in objections.active(connection, demo.STUDY)] == [made.id]
        stored = objections.active(connection, demo.STUDY)[0].body
        assert made.id in repr([entry for entry in audit.entries(connection) if entry.verb == "extract.open"][-1])
    assert all(len(each) == 64 for each in stored["persons"])
    monkeypatch.setattr(objections, "_named", lambda *_: frozenset({"vip"}))
    assert holders(extracts.open_tables(wb, researcher, first.id)[1], own) == set()
    monkeypatch.setattr(objections, "_named", lambda *_: frozenset({"staff"}))
    assert {"cohort", "person"} <= holders(extracts.open_tables(wb, researcher, first.id)[1], own)
    monkeypatch.undo()
    objections.withdraw(wb, steward, made.id, "no longer employed")
    assert {"cohort", "person"} <= holders(extracts.open_tables(wb, researcher, first.id)[1], own)


def test_who_may_list_whom(wb: Workbench, researcher: Actor, steward: Actor) -> None:
    with pytest.raises(Refused, match="not_allowed"):
        objections.add(wb, researcher, [1], sensitive="staff")
    for wrong in ("hiv", "nobody"):
        with pytest.raises(InvalidInput, match="unknown_class"):
            objections.add(wb, steward, [1], sensitive=wrong)
    assert {each.code for each in sensitive_classes().values() if each.persons} == {"staff", "vip", "birth_under_x"}

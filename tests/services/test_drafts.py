"""What is being written: kept for its author alone, whole, and gone when it is thrown away."""

from __future__ import annotations

import stat

import pytest

from workbench.governance.actors import Actor, Role
from workbench.kernel.errors import Refused
from workbench.services import drafts
from workbench.services.context import Workbench


def test_a_draft_is_its_authors_alone(wb: Workbench, researcher: Actor) -> None:
    other = Actor("../researcher", Role.RESEARCHER, "Somebody else")
    drafts.save_draft(wb, researcher, "new.1", {"title": "Été"})
    drafts.save_draft(wb, researcher, "new.1", {"title": "Été", "purpose": "p"})
    assert drafts.list_drafts(wb, researcher) == [drafts.Draft("new.1", {"title": "Été", "purpose": "p"})]
    assert drafts.list_drafts(wb, other) == []
    drafts.drop_draft(wb, other, "new.1")
    assert len(drafts.list_drafts(wb, researcher)) == 1
    (path,) = (wb.settings.home / "drafts").glob("*/*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert researcher.name not in str(path.relative_to(wb.settings.home))
    drafts.drop_draft(wb, researcher, "new.1")
    assert drafts.list_drafts(wb, researcher) == []


@pytest.mark.parametrize("key", ["", "../x", "a/b", "A", ".hidden", "x" * 90])
def test_a_key_is_no_path(wb: Workbench, researcher: Actor, key: str) -> None:
    with pytest.raises(Refused, match="no_document"):
        drafts.save_draft(wb, researcher, key, {})
    assert not (wb.settings.home / "drafts").exists()


def test_who_makes_no_study_writes_none(
    wb: Workbench, scientist: Actor, officer: Actor, steward: Actor, researcher: Actor
) -> None:
    for actor in (scientist, officer, steward):
        with pytest.raises(Refused, match="not_allowed"):
            drafts.save_draft(wb, actor, "new.1", {})
    with pytest.raises(Refused, match="draft_too_long"):
        drafts.save_draft(wb, researcher, "new.1", {"title": "x" * 600_000})


def test_a_file_that_is_no_draft_hides_no_other(wb: Workbench, researcher: Actor) -> None:
    for key in ("new.1", "new.2", "new.3"):
        drafts.save_draft(wb, researcher, key, {"title": key})
    folder = next((wb.settings.home / "drafts").iterdir())
    (folder / "new.1.json").write_text("{")
    (folder / "new.2.json").write_text("[]")
    assert [each.key for each in drafts.list_drafts(wb, researcher)] == ["new.3"]

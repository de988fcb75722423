"""Retiring a release: never the current one, never one that something stands on unless that is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import workbench
from workbench.governance.actors import Actor
from workbench.kernel.errors import Refused
from workbench.kernel.settings import load_settings
from workbench.repository import releases as folders
from workbench.services import auditing, people, quality, releases, retiring
from workbench.services.context import RETIRED, Workbench, event, open_workbench
from workbench.services.releases import ReleaseView
from workbench.store import documents
from workbench.store.documents import State

PERSONS = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n"


@pytest.fixture
def home(tmp_path: Path) -> Workbench:
    """A home with two small releases; the second is current."""
    wb = open_workbench(load_settings(tmp_path / "home", {"WORKBENCH_MLRUNS": str(tmp_path)}), create=True)
    for count in (20, 30):
        _load(wb, tmp_path, count)
    return wb


def _load(wb: Workbench, folder: Path, count: int) -> ReleaseView:
    source = folder / f"source-{count}"
    source.mkdir(exist_ok=True)
    rows = "".join(f"{person},8507,{1940 + person},0,0\n" for person in range(1, count + 1))
    (source / "person.csv").write_text(PERSONS + rows, encoding="utf-8")
    return releases.load_omop(wb, people.first_steward(wb), source, name=f"of {count}", synthetic=True)


def _both(wb: Workbench) -> tuple[ReleaseView, ReleaseView]:
    first, second = releases.list_releases(wb, people.first_steward(wb))
    return first, second


def test_a_release_that_nothing_stands_on_goes_and_its_document_stays(home: Workbench) -> None:
    steward = people.first_steward(home)
    first, second = _both(home)
    (home.settings.cache / first.id).mkdir(parents=True, exist_ok=True)
    (home.settings.disclosure / first.id).mkdir(parents=True)
    done = retiring.retire_release(home, steward, first.id)
    assert (done.release, done.digest, done.lost) == (first.id, first.digest, ())
    assert done.freed > 0
    assert sorted(path.name for path in home.settings.releases.glob("*rel-*")) == [second.id]
    assert not (home.settings.cache / first.id).exists()
    assert not (home.settings.disclosure / first.id).exists(), "nor what was shown of it"
    assert [view.retired for view in _both(home)] == [True, False]
    assert quality.show_quality(home, steward, first.id).release == first.id
    assert releases.verify_release(home, steward, second.id) == ()
    for verb in (releases.verify_release, quality.check_release, retiring.retire_release):
        with pytest.raises(Refused) as refused:
            verb(home, steward, first.id)
        assert refused.value.code == "release.retired"


def test_the_same_source_brings_it_back(home: Workbench, tmp_path: Path) -> None:
    first, second = _both(home)
    retiring.retire_release(home, people.first_steward(home), first.id)
    again = _load(home, tmp_path, 20)
    assert (again.id, again.digest, again.retired, again.current) == (first.id, first.digest, False, True)
    home.close()
    reopened = open_workbench(home.settings)  # what opening sweeps away must not be what came back
    assert folders.verify_folder(reopened.settings.releases / first.id) == ()
    retiring.retire_release(reopened, people.first_steward(reopened), second.id)


def test_the_current_release_stays(home: Workbench) -> None:
    _, second = _both(home)
    with pytest.raises(Refused) as refused:
        retiring.retire_release(home, people.first_steward(home), second.id)
    assert refused.value.code == "release.is_current"


def test_what_is_left_of_a_killed_one_goes_when_the_home_is_opened(home: Workbench) -> None:
    first, _ = _both(home)
    steward = people.first_steward(home)
    with home.store.write(event(steward, "release.retire", subject=first.id)) as write:  # and no more: killed here
        documents.set_state(write, State(RETIRED, first.id, first.digest, None, "retired", None, ""))
    assert (home.settings.releases / first.id).is_dir()
    home.close()
    assert not (open_workbench(home.settings).settings.releases / first.id).exists()


def test_what_stands_on_a_release_is_named_before_it_goes(
    wb: Workbench, steward: Actor, researcher: Actor, tmp_path: Path
) -> None:
    (old,) = releases.list_releases(wb, steward)
    _load(wb, tmp_path, 20)
    with pytest.raises(Refused) as refused:
        retiring.retire_release(wb, steward, old.id)
    assert refused.value.code == "release.depended_on"
    assert "ext-" in str(refused.value.facts["names"])
    assert (wb.settings.releases / old.id).is_dir()
    with pytest.raises(Refused) as refused:
        retiring.retire_release(wb, researcher, old.id, losing=True)
    assert refused.value.code == "governance.not_allowed"
    done = retiring.retire_release(wb, steward, old.id, losing=True)
    assert {"cohort_version", "request", "extract", "features", "model"} <= {link.kind for link in done.lost}
    assert "quality" not in {link.kind for link in done.lost}
    entry = next(each for each in auditing.log(wb, people.actor_named(wb, "ethics")) if each.verb == "release.retire"
                 and each.outcome == "done")  # fmt: skip
    assert entry.payload == {"lost": [link.digest for link in done.lost]}
    assert not (wb.settings.releases / old.id).exists()


def test_the_command_line_retires(home: Workbench, tmp_path: Path) -> None:
    first, second = _both(home)
    home.close()
    place = ("--home", str(home.settings.home))
    refused = workbench("releases", "retire", second.id, *place, cwd=tmp_path, check=False)
    assert (refused.returncode, "current" in refused.stdout + refused.stderr) == (1, True)
    done = json.loads(workbench("releases", "retire", first.id, *place, "--json", cwd=tmp_path).stdout)
    assert (done["id"], done["state"], done["lost"]) == (first.id, "retired", [])
    assert "retired" in workbench("releases", "list", *place, cwd=tmp_path).stdout

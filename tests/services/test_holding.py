"""Readers keep their release: a retirement and an erasure wait for them, and neither waits for ever."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.intake.forms import SMALL, as_folder
from tests.services.loader import Loader, settings_of
from tests.services.test_load_under_fire import source
from workbench.kernel.errors import Refused, UserError
from workbench.services import doctor, erasures, holding, people, releases, retiring
from workbench.services.context import Workbench, open_workbench
from workbench.services.quality import show_quality


@dataclass
class Reader:
    """A process that checks the quality of a release, stopped by a signal in the middle of it."""

    loader: Loader
    pid: int

    def go_on(self) -> None:
        """Let it read."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as it is."""
        os.kill(self.pid, signal.SIGKILL)
        self.loader.until("ended")

    def result(self) -> str:
        """What it says in the end: `done` and a release, or `refused` and why."""
        return self.loader.until("ended")[-2].split()[0]


@dataclass
class Home:
    """A home with two releases, opened here; person 1 is in both."""

    wb: Workbench
    loader: Loader
    old: str
    new: str

    def reader(self, release: str) -> Reader:
        """A reader of a release, half way through."""
        pid = self.loader.start(f"check {release}")
        self.loader.until("at", least=0.3)
        os.kill(pid, signal.SIGSTOP)
        while self._is_writing():  # stopped in the middle of a write, it would hold the store, not the release
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
            os.kill(pid, signal.SIGSTOP)
        return Reader(self.loader, pid)

    def _is_writing(self) -> bool:
        """Whether another process is writing to the store."""
        with closing(sqlite3.connect(self.wb.store.path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
        return False

    def folder(self, release: str) -> Path:
        """The folder of a release."""
        return self.wb.settings.releases / release


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with a home and its keys, and the ids of its releases."""
    place = tmp_path_factory.mktemp("loaded")
    wb = open_workbench(settings_of(place / "home"), create=True)
    steward = people.first_steward(wb)
    sources = [as_folder(place / "first", SMALL, "csv"), source(place, 1)]
    first, second = (releases.load_omop(wb, steward, each, name="x", synthetic=True).id for each in sources)
    wb.close()
    return place, first, second


@pytest.fixture
def home(loaded: tuple[Path, str, str], tmp_path: Path) -> Iterator[Home]:
    """A copy of it, and a process of its own that reads there."""
    place, first, second = loaded
    for name in ("home", "home-keys"):
        shutil.copytree(place / name, tmp_path / name)
    loader, wb = Loader(tmp_path / "home"), open_workbench(settings_of(tmp_path / "home"))
    yield Home(wb, loader, first, second)
    wb.close()
    loader.close()


def impatient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Wait for readers for so long only."""
    monkeypatch.setattr(holding, "PATIENCE", seconds)


def test_a_retirement_waits_for_a_reader(home: Home) -> None:
    reader, told = home.reader(home.old), list[str]()
    waiting = threading.Event()

    def heard(share: float, message: str) -> None:
        assert 0 <= share <= 1
        assert home.folder(home.old).is_dir()
        told.append(message)
        waiting.set()

    retiring_it = threading.Thread(
        target=lambda: retiring.retire_release(home.wb, people.first_steward(home.wb), home.old, progress=heard)
    )
    retiring_it.start()
    assert waiting.wait(20)
    reader.go_on()
    assert reader.result() == "done", "it read to the end"
    retiring_it.join(20)
    assert not home.folder(home.old).exists()
    assert home.old in told[0]


def test_a_retirement_does_not_wait_for_ever(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, steward = home.reader(home.old), people.first_steward(home.wb)
    impatient(monkeypatch, 0.5)
    with pytest.raises(Refused) as refused:
        retiring.retire_release(home.wb, steward, home.old)
    assert refused.value.code == "release.in_use"
    assert releases.verify_release(home.wb, steward, home.old) == ()
    assert not releases.show_release(home.wb, steward, home.old).retired
    reader.kill()
    retiring.retire_release(home.wb, steward, home.old)
    assert not home.folder(home.old).exists(), "a killed reader holds nothing"


def test_an_erasure_waits_for_a_reader(home: Home) -> None:
    reader = home.reader(home.new)
    steward = people.first_steward(home.wb)
    erasing = threading.Thread(target=lambda: erasures.add(home.wb, steward, [1]))
    erasing.start()
    while (now := releases.show_release(home.wb, steward, home.new).id) == home.new:  # until another stands for it
        assert erasing.is_alive()
    assert home.folder(now).is_dir()
    assert home.folder(home.new).is_dir(), "it is being read"
    reader.go_on()
    assert reader.result() == "done"
    erasing.join(60)
    assert [order.state for order in erasures.list_orders(home.wb, steward)] == ["done"]
    assert {path.name for path in home.wb.settings.releases.glob("*rel-*")}.isdisjoint({home.old, home.new})


def test_an_erasure_that_a_reader_outlasts_is_carried_out_after(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, steward = home.reader(home.new), people.first_steward(home.wb)
    impatient(monkeypatch, 0.5)
    with pytest.raises(UserError) as refused:
        erasures.add(home.wb, steward, [1])
    assert refused.value.code == "erasure.being_read"
    assert home.new in str(refused.value.facts["releases"])
    assert [order.state for order in erasures.list_orders(home.wb, steward)] == ["pending"]
    now = next(view for view in releases.list_releases(home.wb, steward) if view.current)
    assert now.id not in {home.old, home.new}, "nobody new comes to the old one"
    assert not home.folder(home.old).exists(), "which nobody reads"
    assert "erasures" in {each.code for each in doctor.diagnose(home.wb.settings) if not each.fine}
    assert home.folder(home.new).is_dir(), "opening the home did not take it away"
    reader.kill()
    again = open_workbench(home.wb.settings)
    assert [order.state for order in erasures.list_orders(again, steward)] == ["done"]
    assert not home.folder(home.new).exists()
    again.close()


def test_an_erased_release_has_its_quality_and_its_place(home: Home) -> None:
    steward = people.first_steward(home.wb)
    loaded = {view.id: view.loaded_at for view in releases.list_releases(home.wb, steward)}
    before = show_quality(home.wb, steward, home.new)
    order = erasures.add(home.wb, steward, [1])
    for after in dict(order.releases).values():
        found = show_quality(home.wb, steward, after)
        assert found.release == after
        assert sum(found.summary.values()) == sum(before.summary.values())
    views = releases.list_releases(home.wb, steward)
    assert [view.in_place_of for view in views] == [home.old, home.new], "the first loaded first"
    assert [view.loaded_at for view in views] == list(loaded.values())
    assert all(view.erased_at and view.erased_at > view.loaded_at for view in views)
    assert show_quality(home.wb, steward, views[1].id).before == views[0].id


def test_a_release_is_opened_within_a_verb_only(home: Home) -> None:
    with pytest.raises(RuntimeError, match="outside"):
        releases.current_release(home.wb)

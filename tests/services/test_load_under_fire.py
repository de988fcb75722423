"""A load under fire: killed at any moment, on a full or closed disk, two at once, with readers at work.

The former release is served, nothing half made is visible, the next load cleans up and completes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import polars as pl
import pytest
from sqlglot import exp

from tests.conftest import ROOT, absent
from tests.homes import copy_home
from tests.intake.forms import SMALL, as_folder
from tests.services.loader import Loader, settings_of
from workbench.engines.duckdb import DuckDBEngine
from workbench.repository import releases
from workbench.services import auditing, people
from workbench.services import releases as service
from workbench.services.context import open_workbench
from workbench.store import documents, successors
from workbench.store.store import Store
from workbench.store.tables import intents


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Loader]:
    """A home with one release, and a process that loads into it."""
    made = Loader(tmp_path / "home")
    said, _ = made.run(as_folder(tmp_path / "first", SMALL, "csv"))
    assert said.startswith("done")
    yield made
    made.close()


def source(folder: Path, number: int) -> Path:
    """Another version of the small source: two tables differ, one row cannot be used."""
    measured = SMALL["measurement"].with_columns(pl.lit(float(number)).alias("value_as_number"))
    visits = SMALL["visit_occurrence"].with_columns(pl.lit(9200 + number).alias("visit_concept_id"))
    nobody = measured[:1].with_columns(pl.lit(99).cast(pl.Int64).alias("person_id"))
    tables = {**SMALL, "measurement": pl.concat([measured, nobody]), "visit_occurrence": visits}
    return as_folder(folder / f"source-{number}", tables, "csv")


def seen(home: Path) -> tuple[str, set[str]]:
    """What a reader sees who cleans up nothing: the current release and all that are listed, each of them sound."""
    root = settings_of(home).releases
    found = releases.list_releases(root)
    assert releases.unreadable(root) == ()
    for each in found:
        assert releases.verify(each) == ()
    now = releases.current(root)
    assert now is not None
    return now.id, {each.id for each in found}


def check_mended(home: Path) -> str:
    """Open the home, as the next command does: nothing half made is left, the store and the folder agree, the log
    holds. Return the current release."""
    wb = open_workbench(settings_of(home))
    try:
        with wb.store.read() as connection:
            listed = {document.id for document in documents.every(connection, "release")}
            assert connection.execute(intents.select()).all() == []
            gone = [documents.find(connection, state.id) for state in successors.erased(connection)]
        listed -= {document.id for document in gone if document}
        names = {path.name for path in wb.settings.releases.iterdir()}
        assert names == {*listed, "current"}
        actor = people.first_steward(wb)
        assert auditing.verify_log(wb, actor).sound
        return next(view.id for view in service.list_releases(wb, actor) if view.current)
    finally:
        wb.close()


def kill_while(loader: Loader, folder: Path, draw: random.Random, seconds: float, number: int) -> None:
    """Begin a load and kill it: at any moment, or (every other time) in the moments of its publication."""
    process = loader.start(source(folder, number))
    if number % 2:
        time.sleep(draw.uniform(0, seconds))
    else:
        loader.until("at", least=0.9)
        time.sleep(draw.uniform(0, seconds / 6))
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        loader.until("ended")


def check_kills(loader: Loader, folder: Path, kills: int) -> None:
    home, draw = folder / "home", random.Random(kills)
    said, seconds = loader.run(source(folder, 0))
    before, published = said.split()[1], 0
    for number in range(1, kills + 1):
        kill_while(loader, folder, draw, seconds, number)
        served, listed = seen(home)
        assert before in listed
        now = check_mended(home)
        # The store decides: what it lists is current after the mend. A reader in between saw the old or the new one.
        assert served in {before, now}
        if now == before:
            assert loader.run(folder / f"source-{number}")[0].startswith("done"), "the next load completes"
            now = check_mended(home)
        else:
            published += 1
        assert now != before
        before = now
    assert published < kills, "no kill came in time"


@pytest.mark.timeout(900)
def test_killed_at_ten_moments(loader: Loader, tmp_path: Path) -> None:
    check_kills(loader, tmp_path, 10)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_fifty_moments(loader: Loader, tmp_path: Path) -> None:
    check_kills(loader, tmp_path, 50)


class Copy:
    """A copy of a home, with a process of its own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = copy_home(home, folder, mlruns=False)
        self.loader = Loader(self.home)


def finished(copy: Copy, held: set[str], wanted: tuple[str, set[str]]) -> str:
    """Open the home, as the next command does: an order that was kept is carried out, and if none was, nothing is
    changed. Return how the killed process had left it."""
    with closing(Store.open(settings_of(copy.home).store_url, create=False)) as store, store.read() as connection:
        left = next((state.state for state in documents.states_of(connection, "opposition")), "no order")
    check_mended(copy.home)
    if left == "no order":
        assert seen(copy.home)[1] == held
        assert copy.loader.run("erase 1")[0].startswith("done")
    assert seen(copy.home) == wanted
    for each in releases.list_releases(settings_of(copy.home).releases):
        assert 1 not in pl.read_parquet(each.table("person"))["person_id"]
    return left


def check_killed_erasures(loader: Loader, folder: Path, kills: int) -> None:
    """Two releases that share tables; person 1 objects. Each kill meets a copy of that home."""
    home, draw, ends = folder / "home", random.Random(kills), set[str]()
    loader.run(source(folder, 0))
    held = seen(home)[1]
    assert len(held) == 2
    first = Copy(home, folder / "copy")
    _, seconds = first.loader.run("erase 1")
    wanted = seen(first.home)
    assert len(wanted[1]) == 2 and wanted[1].isdisjoint(held)
    first.loader.close()
    for number in range(kills):
        copy = Copy(home, folder / f"copy-{number}")
        process = copy.loader.start("erase 1")
        if number % 2:
            time.sleep(draw.uniform(0, seconds))
        else:
            copy.loader.until("at", least=draw.uniform(0, 0.9))
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        copy.loader.until("ended")
        served, listed = seen(copy.home)
        assert served in listed
        ends.add(finished(copy, held, wanted))
        copy.loader.close()
    assert "pending" in ends, "no kill came in time"


@pytest.mark.timeout(600)
def test_an_erasure_killed_at_three_moments(loader: Loader, tmp_path: Path) -> None:
    check_killed_erasures(loader, tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_an_erasure_killed_at_fifty_moments(loader: Loader, tmp_path: Path) -> None:
    check_killed_erasures(loader, tmp_path, 50)


def test_two_loads_at_once_one_is_refused_and_none_is_lost(loader: Loader, tmp_path: Path) -> None:
    other = Loader(tmp_path / "home")
    try:
        process = loader.start(source(tmp_path, 1))
        loader.until("at")
        os.kill(process, signal.SIGSTOP)  # in the middle
        assert other.run(source(tmp_path, 2))[0] == "refused store.loading"
        os.kill(process, signal.SIGCONT)
        first = loader.until("ended")[-2]
        second = other.run(tmp_path / "source-2")[0]
        assert first.startswith("done") and second.startswith("done")
        assert {first.split()[1], second.split()[1]} < seen(tmp_path / "home")[1]
    finally:
        other.close()


def test_a_reader_keeps_its_release_while_another_is_published(loader: Loader, tmp_path: Path) -> None:
    root = settings_of(tmp_path / "home").releases
    before = releases.current(root)
    assert before is not None
    with DuckDBEngine.over_parquet(before.tables) as engine:
        values = exp.select("value_as_number").from_("cdm.measurement").order_by("measurement_id")
        first = engine.fetch(values).to_pylist()
        assert loader.run(source(tmp_path, 7))[0].startswith("done")
        assert engine.fetch(values).to_pylist() == first
    now = releases.current(root)
    assert now is not None and now.id != before.id
    assert pl.read_parquet(now.table("measurement"))["value_as_number"].to_list() == [7.0] * 3
    assert releases.verify(before, content=True) == ()


def test_a_full_disk_and_a_closed_folder_leave_the_former_release(tmp_path: Path) -> None:
    """On a small disk of its own: loaded, full, enlarged, read-only."""
    mine = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    try:
        possible = subprocess.run([*mine, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        absent("a mount namespace", "run as root, or allow user namespaces; `unshare` is in util-linux")
    command = [*mine, sys.executable, "-m", "tests.services.full_disk", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if not line.startswith("at ")]
    (_, first), (_, second) = said[0].split(), said[4].split()
    assert said == [
        f"done {first}",
        f"{first} sound clean",
        "refused files.disk_full",
        f"{first} sound clean",
        f"done {second}",
        f"{second} sound clean",
        "refused files.read_only",
        f"{second} sound clean",
    ]

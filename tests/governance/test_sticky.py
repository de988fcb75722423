"""Sticky numbers: whoever asks about nearly equal groups learns nothing beyond the first answer."""

from __future__ import annotations

import multiprocessing
import stat
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.governance.disclosure import rounded, show, shown
from workbench.governance.populations import BYTES, Classes, Population
from workbench.governance.sticky import RECORD, Memory
from workbench.kernel.errors import Unavailable

KEY = bytes(range(32))
EVERYBODY = range(1_000)


def group(persons: Iterable[int]) -> Population:
    return Classes(KEY, np.array(sorted(persons), np.int64)).population()


def memory(folder: Path, everybody: Iterable[int] = EVERYBODY) -> Memory:
    return Memory(folder / "disclosure" / "numbers", lambda: group(everybody))


def ask(space: Memory, persons: Iterable[int]) -> int | None:
    return space.values([group(persons)])[0]


class Plain:
    """What was there before: each number rounded for itself."""

    def values(self, populations: Iterable[Population]) -> list[int | None]:
        """Return each number masked and rounded."""
        return [rounded(each.number) for each in populations]


class Model:
    """The rule in plain sets, to hold the memory of parities against."""

    def __init__(self, everybody: set[int]) -> None:
        self.everybody, self.kept = everybody, list[tuple[set[int], int | None]]()

    def ask(self, persons: set[int]) -> int | None:
        rest = self.everybody - persons
        whole = rounded(len(self.everybody))
        for known, value in self.kept:
            if len(known ^ persons) <= 10:
                return value
            if len(known ^ rest) <= 10:
                if value is None or whole is None:
                    return whole
                return whole - value if whole - value >= 15 else None
        value = whole if len(persons) > 10 >= len(rest) else rounded(len(persons))
        self.kept.append((persons, value))
        return value


members = st.sets(st.integers(0, 999), max_size=40)
few = st.sets(st.integers(0, 999), max_size=10)
sizes = st.integers(0, 1_000)


@given(size=sizes, edits=st.lists(few, max_size=25))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_small_edits_of_a_group_tell_nothing_beyond_its_first_number(
    tmp_path_factory: pytest.TempPathFactory, size: int, edits: list[set[int]]
) -> None:
    space, secret = memory(tmp_path_factory.mktemp("m")), set(range(size))
    first = ask(space, secret)
    assert {ask(space, secret ^ edit) for edit in edits} <= {first}


@given(first=sizes, asked=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), members), max_size=30))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_memory_of_parities_answers_as_one_of_sets(
    tmp_path_factory: pytest.TempPathFactory, first: int, asked: list[tuple[int, int, set[int]]]
) -> None:
    everybody = set(EVERYBODY)
    space, model = memory(tmp_path_factory.mktemp("m")), Model(everybody)
    bases = [set(range(first)), set(range(first // 2)), set(range(15)), set(range(990))]
    questions = [(bases[base] - set(range(less))) ^ edit for base, less, edit in asked]
    questions += [everybody - each for each in questions]
    answers = [ask(space, each) for each in questions]
    assert answers == [model.ask(each) for each in questions]
    assert [ask(space, each) for each in reversed(questions)] == answers[::-1], "an answer never changes"


def members_found(space: Memory | Plain, secret: set[int], suspects: Iterable[int]) -> set[int]:
    """The attack: pad a group with persons known to be outside until its rounded number moves, which tells its true
    size; then do it without the suspect."""

    def size_told(persons: set[int]) -> list[int | None]:
        pads = [set(range(900, 900 + pad)) for pad in range(5)]
        return space.values([group(persons | pad) for pad in pads])

    return {who for who in suspects if size_told(secret - {who}) != size_told(secret)}


def test_a_differencing_attack_that_rounding_alone_does_not_stop(tmp_path: Path) -> None:
    secret = set(range(0, 600, 2))
    assert members_found(Plain(), secret, range(20)) == set(range(0, 20, 2)), "rounding gives every member away"
    assert members_found(memory(tmp_path), secret, range(20)) == set()


def test_the_same_count_five_hundred_times(tmp_path: Path) -> None:
    space, persons = memory(tmp_path), list(range(52))
    orders = np.random.default_rng(5)
    told = {show(space, Classes(KEY, orders.permutation(persons)).population()) for _ in range(500)}
    assert told == {shown(52)}
    assert (tmp_path / "disclosure" / "numbers").stat().st_size == 2 * RECORD.itemsize, "kept once"


def test_a_group_of_eleven_without_one_is_not_told_by_being_hidden(tmp_path: Path) -> None:
    space = memory(tmp_path)
    assert ask(space, range(11)) == 15
    assert ask(space, range(10)) == 15
    assert ask(space, range(1)) == 15
    assert ask(space, range(100, 101)) is None


def test_a_hidden_group_is_not_told_by_the_eleventh(tmp_path: Path) -> None:
    space = memory(tmp_path)
    assert ask(space, range(10)) is None
    assert ask(space, range(11)) is None
    assert ask(space, range(20)) is None
    assert ask(space, range(21)) == 20


def test_who_is_left_out_of_everybody_is_not_told(tmp_path: Path) -> None:
    space = memory(tmp_path, range(1_003))
    assert [ask(space, range(1_003 - out)) for out in (0, 1, 6, 10)] == [1_005] * 4
    other = memory(tmp_path / "other", range(1_003))
    assert ask(other, range(5)) is None
    assert ask(other, range(5, 1_003)) == 1_005
    assert ask(other, range(12, 1_003)) == 1_005, "its complement is near to the hidden group"


def test_a_complement_is_the_rest_of_what_was_shown(tmp_path: Path) -> None:
    space = memory(tmp_path, range(1_002))
    assert ask(space, range(303)) == 305
    assert ask(space, range(303, 1_002)) == 1_000 - 305
    assert ask(space, range(300, 1_002)) == 1_000 - 305


def test_a_chain_of_small_steps_does_not_drag_a_number_along(tmp_path: Path) -> None:
    space = memory(tmp_path)
    for size in range(20, 901, 7):
        told = ask(space, range(size))
        assert told is not None
        assert abs(told - size) <= 12


def test_numbers_of_events_stick_by_persons(tmp_path: Path) -> None:
    space = memory(tmp_path)
    ids = np.arange(200)
    counts = ids % 7 + 1
    first = Classes(KEY, ids).counted(counts).events
    assert space.values([first]) == [rounded(int(counts.sum()))]
    many = np.where(ids < 10, counts + 40, counts)
    assert space.values([Classes(KEY, ids).counted(many).events]) == space.values([first]), "ten persons have more"
    assert space.values([Classes(KEY, ids[10:]).counted(counts[10:]).events]) == space.values([first])
    once = Classes(KEY, ids).counted(np.ones(200)).events
    assert space.values([once]) == [200], "the same persons, another number of events"


def test_after_a_restart_and_a_torn_write(tmp_path: Path) -> None:
    assert ask(memory(tmp_path), range(103)) == 105
    file = tmp_path / "disclosure" / "numbers"
    with file.open("ab") as stream:
        stream.write(b"\1" * 300)
    again = memory(tmp_path)
    assert ask(again, range(102)) == 105
    assert ask(again, range(400, 523)) == 125
    assert file.stat().st_size == 3 * RECORD.itemsize


def test_nobody_else_reads_the_memory_and_it_names_nobody(tmp_path: Path) -> None:
    ask(memory(tmp_path), range(5, 9))
    file = tmp_path / "disclosure" / "numbers"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = Classes(bytes(32), np.arange(5, 9)).population()
    assert other.bits != group(range(5, 9)).bits, "without the key nobody is found in it"
    assert len(other.bits) == BYTES


def test_what_is_no_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "disclosure").mkdir()
    (tmp_path / "disclosure" / "numbers").write_bytes(b"\3" * 5_000)
    with pytest.raises(Unavailable) as error:
        memory(tmp_path)
    assert error.value.code == "governance.memory_damaged"


def test_hidden_groups_that_may_hold_an_erased_person_are_forgotten(tmp_path: Path) -> None:
    space = memory(tmp_path)
    assert [ask(space, each) for each in (range(5), range(50, 59), range(100, 200))] == [None, None, 100]
    space.forget(Classes(KEY, np.array([3])).may_be_in)
    assert (tmp_path / "disclosure" / "numbers").stat().st_size == 3 * RECORD.itemsize
    assert ask(space, range(50, 62)) is None, "the other hidden group is still known"
    assert ask(space, range(12)) == 15


def _ask_many(folder: str, seed: int, found: multiprocessing.Queue[list[int | None]]) -> None:
    space, draw = memory(Path(folder)), np.random.default_rng(seed)
    asked = [set(range(300)) ^ set(draw.integers(0, 1_000, 5).tolist()) for _ in range(40)]
    found.put([ask(space, each) for each in asked] + [ask(space, range(500, 520 + 20 * seed))])


def test_eight_processes_at_once_are_told_one_number(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[list[int | None]] = context.Queue()
    workers = [context.Process(target=_ask_many, args=(str(tmp_path), seed, found)) for seed in range(8)]
    for each in workers:
        each.start()
    told = [found.get(timeout=120) for _ in workers]
    for each in workers:
        each.join()
    assert len({value for values in told for value in values[:-1]}) == 1
    assert (tmp_path / "disclosure" / "numbers").stat().st_size == (1 + 1 + 8) * RECORD.itemsize, "nothing is lost"

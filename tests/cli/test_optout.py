"""`workbench optout`: ids come from a file, never from the command line, and never come back in an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import workbench


@pytest.fixture
def home(demo_copy: Path) -> Path:
    """A demonstration home that may be changed; its folder is where commands run."""
    return demo_copy


def optout(home: Path, *arguments: str, check: bool = True) -> tuple[int, str, str]:
    done = workbench("optout", *arguments, "--home", str(home), "--as", "ethics", cwd=home.parent, check=check)
    return done.returncode, done.stdout, done.stderr


def test_a_person_is_erased_and_the_order_listed(home: Path) -> None:
    before = (home / "releases" / "current").read_text().strip()
    (home.parent / "persons.txt").write_text("\ufeff1234\n\n 1235 \n", encoding="utf-8")
    _, said, _ = optout(home, "add", "persons.txt", "--scope", "warehouse", "--json")
    order = json.loads(said)
    after = (home / "releases" / "current").read_text().strip()
    assert (order["state"], order["persons"], order["releases"]) == ("done", 2, [[before, after]])
    assert {"id", "digest", "state"} <= order.keys()
    assert "1234" not in said.replace(order["digest"], "")
    _, listed, _ = optout(home, "list")
    assert order["id"] in listed and f"{before} is erased; {after} stands for it." in listed
    verified = workbench("releases", "verify", before, "--home", str(home), "--as", "ethics", cwd=home.parent)
    assert f"nothing of it is kept, and {after} stands for it" in verified.stdout
    asked = ("releases", "verify", before, "--home", str(home), "--as", "ethics", "--json")
    found = json.loads(workbench(*asked, cwd=home.parent).stdout)
    assert (found["state"], found["erased"], found["stands_for_it"]) == ("sound", True, after)


@pytest.mark.parametrize("scope", ["study", "warehouse"])
def test_a_number_of_nobody_is_said_and_kept(home: Path, scope: str) -> None:
    (home.parent / "persons.txt").write_text("1235\n777000777\n777000778\n", encoding="utf-8")
    _, said, _ = optout(home, "add", "persons.txt", "--scope", scope)
    assert "2 of these numbers" in said
    assert "77700077" not in said
    listed = json.loads(optout(home, "list", "--json")[1])
    assert [each["persons"] for each in listed] == [3]
    (home.parent / "known.txt").write_text("6\n", encoding="utf-8")
    assert json.loads(optout(home, "add", "known.txt", "--scope", scope, "--json")[1])["unknown"] == 0


HUGE = str(2**80)


@pytest.mark.parametrize(
    ("content", "code"),
    [("12\n77x7\n", "erasure.not_a_person"), ("\n", "erasure.nobody"), (HUGE, "erasure.nobody")],
)
def test_what_is_no_person_is_refused_without_being_repeated(home: Path, content: str, code: str) -> None:
    (home.parent / "persons.txt").write_text(content, encoding="utf-8")
    status, said, complaint = optout(home, "add", "persons.txt", "--scope", "warehouse", check=False)
    assert status == 2
    assert code in complaint
    assert not any(word in said + complaint for word in ("77x7", HUGE))
    assert optout(home, "list")[1] == ""


def test_without_a_scope_or_a_file_nothing_is_done(home: Path) -> None:
    assert optout(home, "add", "persons.txt", check=False)[0] == 2
    assert optout(home, "add", "persons.txt", "--scope", "warehouse", check=False)[0] == 2

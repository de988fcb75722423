"""The public register: what everybody may read of every study that was opened, and nothing of any person."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.conftest import workbench
from workbench.governance.actors import Actor
from workbench.services import demo, extracts, people, register, studies
from workbench.services.context import Workbench


def opened(wb: Workbench, researcher: Actor, officer: Actor, name: str, **changes: object) -> None:
    draft = studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": name, **changes})
    studies.open_study(wb, officer, name, protocol_digest=draft.digest, reason="r")


def test_it_holds_what_was_opened_and_nobody(wb: Workbench, researcher: Actor, officer: Actor) -> None:
    opened(wb, researcher, officer, "ended", sensitive_classes=["hiv"], destinations=["CASD"])
    studies.close_study(wb, officer, "ended", "over")
    studies.create_study(wb, researcher, {**demo.PROTOCOL, "study": "only-a-draft"})
    made = register.public_register(wb, officer)
    assert [(each["study"], each["state"]) for each in made["studies"]] == [("ended", "closed"), (demo.STUDY, "open")]
    ended, first = made["studies"]
    assert ended["opened_on"] == ended["ended_on"]
    assert ended["kept_until"] > ended["ended_on"]
    assert (first["purpose"], first["sponsor"]) == (demo.PROTOCOL["purpose"], demo.PROTOCOL["sponsor"])
    assert set(first["tables"]) == set(demo.TABLES)
    extract = extracts.list_extracts(wb, officer)[0]
    names = {name for each in people.people(wb) for name in (each.name, each.display)} - {"root"}
    for text in (register.as_json(made), register.as_html(made, "fr"), register.as_html(made, "en")):
        assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
        assert not re.search(rf"\b{extract.manifest['risk']['persons']}\b", text)
        assert not re.search(r"\b(ext|req|rel|coh)-[0-9a-f]|[0-9a-f]{32}", text)


def test_the_same_log_gives_the_same_bytes(wb: Workbench, officer: Actor) -> None:
    one, two = (register.public_register(wb, officer) for _ in range(2))
    assert register.as_json(one) == register.as_json(two)
    assert register.as_html(one, "fr") == register.as_html(two, "fr")


def test_names_with_markup_are_text_and_nothing_is_asked_of_the_outside(
    wb: Workbench, researcher: Actor, officer: Actor
) -> None:
    evil = '<script src="https://x.example/y.js"></script>"\'&'
    opened(wb, researcher, officer, "evil", title=evil, purpose=evil, sponsor=evil, destinations=[evil])
    page = register.as_html(register.public_register(wb, officer), "en")
    seen: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

    Reader().feed(page)
    assert {"script", "img", "link", "iframe", "a"} & {tag for tag, _ in seen} == set()
    assert not [attrs for _, attrs in seen if {"src", "href", "onload"} & attrs.keys()]
    assert page.count("&lt;script") == 4


def test_the_command_line(demo_copy: Path, tmp_path: Path) -> None:
    home = ("--home", str(demo_copy), "--as", "ethics")

    def written(name: str, *more: str) -> str:
        workbench("study", "register", "--out", str(tmp_path / name), *more, *home, cwd=demo_copy.parent)
        return (tmp_path / name).read_text(encoding="utf-8")

    assert json.loads(written("r.json"))["format"] == "workbench/register/1"
    assert "Registre des études" in written("r.html", "--lang", "fr")
    assert written("a.html") == written("b.html")
    for bad, code in (("r.pdf", 2), (str(demo_copy / "releases" / "r.html"), 2)):
        done = workbench("study", "register", "--out", bad, *home, cwd=tmp_path, check=False)
        assert done.returncode == code
    done = workbench(
        "study",
        "register",
        "--out",
        "r.html",
        "--home",
        str(demo_copy),
        "--as",
        "researcher",
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1

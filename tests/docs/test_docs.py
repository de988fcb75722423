"""The docs hold what they promise: generated parts, links, twins in both languages, examples that are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.generate import DOCS, PART, PARTS, renewed, verbs
from tests.docs.pages import FENCE, PAGES, PEOPLE, anchors, headings, links
from workbench.kernel.schemas import schema, validate

KINDS = sorted(path.stem for path in (ROOT / "workbench" / "kernel" / "schemas").glob("*.json"))
MACHINE = re.compile(r"(?<![\w.])/(?:work|tmp|root|home/\w+|Users|private)/|[A-Za-z]:\\Users")
EVERYTHING = [*PAGES, ROOT / "benchmarks" / "README.md", *sorted((ROOT / "notebooks").glob("*.py"))]


def test_every_verb_has_help_and_stands_in_the_docs() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for name, command in verbs():
        assert (command.help or "").strip(), f"workbench {name} has no help"
        assert f"\n### {name}\n" in page, f"workbench {name} is not in docs/cli.md"
        for parameter in command.params:
            assert (parameter.help or "").strip() or parameter.param_type_name == "argument", f"{name} {parameter.name}"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_generated_parts_equal_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == renewed(text), "run `python -m tests.docs.generate`"


def test_every_generated_part_is_used() -> None:
    used = {found["name"] for page in DOCS.glob("*.md") for found in PART.finditer(page.read_text(encoding="utf-8"))}
    assert used == set(PARTS)


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("name", [*PEOPLE, "hospital", "hospital-data", "loading"])
def test_a_page_for_people_exists_in_both_languages(name: str) -> None:
    english, french = headings(DOCS / f"{name}.md"), headings(DOCS / f"{name}.fr.md")
    assert [depth for depth, _ in english] == [depth for depth, _ in french]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.fr.md")), ids=lambda page: page.name)
def test_french_typography(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`|<[^>]*>|\]\([^)]*\)", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    wrong = [line for line in text.splitlines() if re.search(r"\w'\w|\"|\w[;:!?](?:\s|$)|«\w|\w»", line)]
    assert wrong == []


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_path_of_a_machine(page: Path) -> None:
    assert MACHINE.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_explained_by_a_valid_example(kind: str) -> None:
    page = (DOCS / "formats.md").read_text(encoding="utf-8")
    examples = [json.loads(block["body"]) for block in FENCE.finditer(page) if block["info"] == "json"]
    name, _, version = kind.rpartition("_") if kind[-1].isdigit() else (kind, "", "1")
    mine = [example for example in examples if example.get("format") == f"workbench/{name}/{version}"]
    assert mine, f"docs/formats.md shows no {kind}"
    for example in mine:
        validate(example, kind)
    for member in schema(kind)["required"]:
        assert f"`{member}`" in page, f"docs/formats.md does not explain `{member}` of {kind}"


def test_readme_begins_with_the_two_commands() -> None:
    lines = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line]
    assert lines[1:4] == ["```console", "$ make demo", "$ make test"]


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_says_why(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.match(r"# \d{4} .+\n\n\d{4}-\d{2}-\d{2}\n", text)
    assert [words for depth, words in headings(page) if depth == 2] == ["Context", "Decision", "Why", "Consequences"]

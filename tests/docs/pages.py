"""Reading the docs: their headings, links, files to save, and the commands that they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
EXIT = re.compile(r"\s+# exit (\d)$")
HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PEOPLE = ("researcher", "data-scientist", "ethics-officer")


@dataclass(frozen=True)
class Save:
    """A file that the page asks its reader to save."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command that the page shows, and the exit code that it promises."""

    line: str
    code: int


def steps(page: Path) -> Iterator[Save | Command]:
    """Yield what a reader of the page does, in order: files saved (```json NAME), commands run (```console, `$ `)."""
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        kind, _, name = block["info"].partition(" ")
        if kind == "json" and name:
            yield Save(name, block["body"])
        if kind == "console":
            yield from (_command(line) for line in block["body"].splitlines() if line.startswith("$ "))


def _command(line: str) -> Command:
    found = EXIT.search(line)
    return Command(line.removeprefix("$ "), int(found[1]) if found else 0)


def prose(page: Path) -> str:
    """Return a page's text without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def headings(page: Path) -> list[tuple[int, str]]:
    """Return a page's headings: depth and words."""
    return [(len(depth), words) for depth, words in HEADING.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for _, words in headings(page)}


def links(page: Path) -> list[str]:
    """Return the relative links of a page."""
    return [link for link in LINK.findall(prose(page)) if "://" not in link and not link.startswith("mailto:")]

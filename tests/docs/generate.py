"""The parts of the docs that are drawn from the code: `python -m tests.docs.generate` writes them anew.

A part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`; a test holds it equal to the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from tests.conftest import ROOT
from workbench.cli.main import app
from workbench.cohorts.check_reading import HINTS
from workbench.governance.actors import Role
from workbench.governance.deliverable import deliverable
from workbench.governance.legal_bases import field_label, legal_bases
from workbench.governance.lifecycle import LIFE_CYCLES, Kind, mermaid
from workbench.governance.policy import ALLOWED
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.text import Lang, catalogue, say

DOCS = ROOT / "docs"
PART = re.compile(r"(<!-- generated: (?P<name>[a-z_]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)


def verbs() -> Iterator[tuple[str, Any]]:
    """Yield every verb of the command line, with its command: `cohort generate`, `trace`, …"""
    tree: Any = typer.main.get_command(app())
    for name, command in sorted(tree.commands.items()):
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
            continue
        if command.invoke_without_command:
            yield name, command
        for verb, leaf in sorted(inner.items()):
            yield f"{name} {verb}", leaf


def command_line() -> str:
    """Return every verb with its help, its arguments and its options."""
    return "\n".join(_verb(name, command) for name, command in verbs())


def _verb(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(
        ["workbench", name, *(_argument(p) for p in arguments), *(p.opts[0] + " …" for p in options if p.required)]
    )
    rows = [(f"`{_argument(p)}`", p.help) for p in arguments]
    rows += [(f"`{p.opts[0]}`", _option_help(p)) for p in options if p.help]
    table = ["| | |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)] if rows else []
    return "\n".join([f"### {name}", "", f"`{usage}`", "", _one_line(command.help), "", *table, ""])


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    return f"{name}…" if parameter.nargs == -1 else name


def _option_help(parameter: Any) -> str:
    needed = " Required." if parameter.required else ""
    default = parameter.default
    shown = f" Default: `{default}`." if isinstance(default, str | int) and default and default is not True else ""
    return f"{_one_line(parameter.help)}{needed}{shown}"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def questions(lang: Lang) -> Callable[[], str]:
    """Return what draws the table of what `cohort check` asks, by code, in a language."""

    def drawn() -> str:
        prefix, words = "cohort.check_", catalogue(lang)["text"]
        heads = {"fr": ["code", "niveau", "mots"], "en": ["code", "level", "words"]}[lang]
        levels = {"fr": ("question", "à savoir"), "en": ("question", "worth knowing")}[lang]
        codes = sorted(key.removeprefix(prefix) for key in words if key.startswith(prefix))
        return _table(heads, [[f"`{code}`", levels[code in HINTS], words[f"{prefix}{code}"]] for code in codes])

    return drawn


def roles() -> str:
    """Return the table of verbs and roles."""
    heads = [say(f"governance.role_{role.value}", "en") for role in Role]
    rows = [[f"`{verb}`", *("yes" if role in allowed else "" for role in Role)] for verb, allowed in ALLOWED.items()]
    return _table(["verb", *heads], rows)


def diagram(kind: Kind) -> Callable[[], str]:
    """Return the maker of a life cycle's diagram and of its table of steps."""

    def made() -> str:
        steps = [
            [step.name, step.source, step.target, str(step.owner), "yes" if step.reason else ""]
            for step in LIFE_CYCLES[kind].transitions
        ]
        table = _table(["step", "from", "to", "who", "reason needed"], steps)
        return f"```mermaid\n{mermaid(kind, 'en')}```\n\n{table}"

    return made


def bases() -> str:
    """Return the table of legal bases."""
    rows = [
        [
            f"`{basis.code}`",
            basis.name["en"],
            "yes" if basis.rows else "no",
            "; ".join(f"{field_label(name, 'en')} (`{name}`)" for name in basis.requires),
            f"{basis.source}, {basis.valid_from.isoformat()}; {basis.status}",
        ]
        for basis in legal_bases().values()
    ]
    return _table(["code", "name", "extract of rows", "fields that must be filled", "source"], rows)


def columns() -> str:
    """Return the table of what an extract can deliver at all."""
    rows = [
        [f"`{table}`", ", ".join(f"`{name}`" for name in kinds if name != "person_id")]
        for table, kinds in deliverable().items()
    ]
    return _table(["table", "columns that can be asked for"], rows)


def sensitive() -> str:
    """Return the table of sensitive classes."""
    rows = []
    for entry in sensitive_classes().values():
        roots = ", ".join(f"{vocabulary} {code}" for vocabulary, code in entry.roots)
        prefixes = ", ".join(dict.fromkeys(prefix for _, prefix in entry.prefixes))
        persons = "as the hospital lists them" if entry.persons else "no"
        rows.append([f"`{entry.code}`", entry.name["en"], roots or "none", prefixes or "none", persons])
    heads = ["class", "name", "concepts, with all below them", "ICD-10 codes that begin with", "persons"]
    return _table(heads, rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


PARTS: Mapping[str, Callable[[], str]] = {
    "command_line": command_line,
    "questions": questions("en"),
    "questions_fr": questions("fr"),
    "roles": roles,
    "study_life_cycle": diagram("study"),
    "amendment_life_cycle": diagram("amendment"),
    "request_life_cycle": diagram("request"),
    "output_life_cycle": diagram("output"),
    "finding_life_cycle": diagram("finding"),
    "legal_bases": bases,
    "deliverable": columns,
    "sensitive": sensitive,
}


def renewed(text: str) -> str:
    """Return a page with its generated parts made anew."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found['name']]().strip()}\n\n{found[3]}", text)


def main() -> None:
    """Write the generated parts of every page."""
    for page in sorted(DOCS.glob("*.md")):
        old = page.read_text(encoding="utf-8")
        new = renewed(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()

"""What every verb shares: its options, the open workbench, progress, printing for people and as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workbench.governance.actors import Actor
from workbench.kernel import clock, settings
from workbench.kernel.errors import InvalidInput, UserError
from workbench.kernel.progress import Progress
from workbench.kernel.settings import Settings, load_settings
from workbench.kernel.text import Lang, say

if TYPE_CHECKING:
    from workbench.services.context import Workbench

Home = Annotated[Path | None, typer.Option("--home", help="The home (else $WORKBENCH_HOME, else .workbench).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")]
As = Annotated[str | None, typer.Option("--as", help="Act as this person; in a demonstration home only.")]
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
MOST = 2**63 - 1
"""The largest id that a database holds."""
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]


@contextmanager
def opened(home: Path | None, as_name: str | None) -> Generator[tuple[Workbench, Actor]]:
    """Open the home that a verb names and give it with the actor; close it after."""
    from workbench.services import people  # noqa: PLC0415 - verbs without a home need no store
    from workbench.services.context import open_workbench  # noqa: PLC0415

    wb = open_workbench(load_settings(home))
    try:
        yield wb, people.acting_as(wb, as_name)
    finally:
        wb.close()


def language() -> Lang:
    """Return the language of the terminal's words (`$WORKBENCH_LANG`, French by default)."""
    return settings.language()


def words(key: str, **facts: object) -> str:
    """Return a sentence of the `cli` catalogue in the terminal's language."""
    return say(f"cli.{key}", language(), **facts)


def number(value: int) -> str:
    """Return a number as the terminal's language groups it: 2,694 or 2 694 (narrow no-break space)."""
    grouped = f"{value:,}"
    return grouped.replace(",", "\u202f") if language() == "fr" else grouped


def day(written: str) -> str:
    """Return the day of a moment of the store or the log, in French legal time."""
    return clock.day_of(written).isoformat()


def state(name: str) -> str:
    """Return a life-cycle state in the terminal's language."""
    return say(f"governance.state_{name}", language())


def tell(text: str = "") -> None:
    """Print a line for people."""
    sys.stdout.write(f"{text}\n")


def say_aside(text: str, style: Literal["bold", "dim", ""] = "") -> None:
    """Print a line on the error stream; bold or dim on a terminal."""
    codes = {"bold": "1", "dim": "2", "": ""}
    shown = f"\033[{codes[style]}m{text}\033[0m" if style and sys.stderr.isatty() else text
    sys.stderr.write(f"{shown}\n")


def give(as_json: bool, document: Mapping[str, Any] | Sequence[Any], *lines: str) -> None:
    """Print a result: as JSON where asked, else as sentences."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n")
        return
    for line in lines:
        tell(line)


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in "<≈–-"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a plain table, a line a row whatever its names hold; columns that hold numbers only are aligned right."""
    lines = [[_CONTROL.sub(" ", cell) for cell in row] for row in (headings, *rows)]
    columns = list(zip(*lines, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numeric = [bool(rows) and all(_is_number(cell) for cell in column[1:]) for column in columns]
    for row in lines:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        tell("  ".join(cells).rstrip())


@contextmanager
def progress_bar(label: str) -> Generator[Progress]:
    """Show progress on a terminal's error stream; silent where it is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda _share, _message: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and for terminals only
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    share, now = TextColumn("{task.percentage:3.0f}%"), TextColumn("{task.fields[now]}")
    columns = (TextColumn("{task.description}"), BarColumn(), share, now, TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0, now="")
        yield lambda done, message: bar.update(task, completed=done, now=message[:40])


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file; raises `cli.no_file`, `cli.not_json`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput("cli.no_file", file=str(path)) from error
    except ValueError as error:
        where = f"{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else "?"
        raise InvalidInput("cli.not_json", file=str(path), where=where) from error
    if not isinstance(value, dict):
        raise InvalidInput("cli.not_json", file=str(path), where="1:1")
    return value


def complain(error: UserError, as_json: bool, name: str = "") -> int:
    """Print an error (of the definition `name`, where there are many) for people or as JSON on the error stream;
    return the exit code."""
    text = error.text(language())
    if as_json:
        found = {"error": error.code, "what": text.what, "not_done": text.not_done, "do": text.do}
        found |= {"definition": name} if name else {}
        sys.stderr.write(json.dumps(found, ensure_ascii=False) + "\n")
        return error.exit_code
    lines: tuple[tuple[str, Literal["bold", "dim", ""]], ...] = (
        (text.what, "bold"),
        (text.not_done, ""),
        (text.do, ""),
        (f"[{text.reference}]", "dim"),
    )
    if name:
        say_aside(f"{name}:")
    for line, style in lines:
        say_aside(line, style)
    return error.exit_code


def settings_of(home: Path | None) -> Settings:
    """Return the settings of a home."""
    return load_settings(home)

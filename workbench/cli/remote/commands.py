"""Which verbs may come over the socket, and what each of their paths is for.

The service never opens a path of somebody else: it could read for them what they may not. Files that a verb reads are
sent with the question; files that it writes come back with the answer, and their owner writes them.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from workbench.cli.main import app
from workbench.kernel.errors import InvalidInput

VERBS: Final = frozenset({
    "audit", "cohort", "concepts", "extract", "features", "finding", "jobs", "key", "model", "optout", "output",
    "releases", "study", "trace", "user",
})  # fmt: skip
"""What may be asked; loads, serving and the doctor are the service account's own."""
ELSEWHERE: Final = frozenset({"home", "database"})
"""What makes a command the asker's own: another home, and one's own data."""
NEVER: Final = frozenset({"as_name", "master"})
"""What the service takes from nobody: another's name, and a deed on the key above all others."""
WRITES: Final = frozenset({
    ("audit", "evidence", "out"), ("audit", "export", "csv_file"), ("audit", "export", "head"),
    ("cohort", "controls", "out"), ("cohort", "draw", "out"), ("cohort", "generate", "out"),
    ("finding", "deliver", "out"), ("output", "download", "into"), ("study", "register", "out"),
})  # fmt: skip
"""The paths that a verb writes; it reads every other."""
DESTINATIONS: Final = frozenset({("extract", "meds", "out")})
"""Folders that a study's protocol names: the service's own, and checked against the protocol."""


@dataclass(frozen=True)
class Command:
    """A command as it was understood: its words, its parameters as given, and which of them are paths."""

    words: tuple[str, ...]
    given: Mapping[str, Any]
    reads: Mapping[str, Sequence[Path]]
    writes: Mapping[str, Sequence[Path]]
    target: TyperCommand

    def arguments(self) -> list[str]:
        """Return the command's arguments, each path as the name that it has on the other side."""
        options: list[str] = []
        places: list[str] = []
        for parameter in self.target.params:
            name = str(parameter.name)
            if name not in self.given:
                continue
            value = self.given[name]
            texts = [self._text(name, each) for each in (value if isinstance(value, (list, tuple)) else [value])]
            if not parameter.opts[0].startswith("-"):
                places += texts
            elif isinstance(value, bool):
                options.append((parameter.opts if value else parameter.secondary_opts)[0])
            else:
                options += [f"{parameter.opts[0]}={text}" for text in texts]
        return [*self.words, *options, "--", *places]

    def _text(self, name: str, value: Any) -> str:
        if name in self.reads or name in self.writes:
            return inside(value)
        return str(getattr(value, "value", value))


def understand(arguments: Sequence[str]) -> Command | None:
    """Return the command that arguments give, None where it is none that goes over the socket.

    Raises what the command line raises for one that is not understood; `InvalidInput` (`cli.not_over_socket`).
    """
    if not arguments or arguments[0] not in VERBS:
        return None
    words, target = _target(arguments)
    if target is None:
        return None
    context = target.make_context(" ".join(("workbench", *words)), list(arguments[len(words) :]))
    given = {name: value for name, value in context.params.items() if _is_given(context, name)}
    if ELSEWHERE & given.keys():
        return None
    if NEVER & given.keys():
        raise InvalidInput("cli.not_over_socket", verb=" ".join(words))
    paths = {name: _paths(context.params[name]) for name in path_names(target) if context.params[name] is not None}
    free = {name: value for name, value in paths.items() if (*words, name) not in DESTINATIONS}
    reads = {name: value for name, value in free.items() if (*words, name) not in WRITES}
    writes = {name: value for name, value in free.items() if (*words, name) in WRITES}
    return Command(words, given, reads, writes, target)


def _is_given(context: Any, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _target(arguments: Sequence[str]) -> tuple[tuple[str, ...], TyperCommand | None]:
    found: Any = typer.main.get_command(app(arguments[0]))
    words: list[str] = []
    for word in arguments:
        if not isinstance(found, TyperGroup) or word not in found.commands:
            break
        found = found.commands[word]
        words.append(word)
    return tuple(words), found if isinstance(found, TyperCommand) else None


def path_names(target: TyperCommand) -> list[str]:
    """Return the parameters of a verb that are paths, by what its function says of them."""
    hints = typing.get_type_hints(target.callback)
    return [name for name, hint in hints.items() if name not in ELSEWHERE and _names_path(hint)]


def _names_path(hint: Any) -> bool:
    return hint is Path or any(_names_path(part) for part in typing.get_args(hint))


def _paths(value: Any) -> list[Path]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def inside(path: Path) -> str:
    """Return the name that a path has on the other side: its own, without any way out of the folder it is put into.

    A way up keeps a part of its own (`up`): `x` and `../x` are two files.
    """
    return str(PurePosixPath(*["up" if part == ".." else part for part in path.parts if part not in ("/", ".")]))


def belongs(name: str, bases: Iterable[Path]) -> Path | None:
    """Return where a file that came back goes: at or beneath one of the paths that the command writes, else None."""
    for base in bases:
        if PurePosixPath(name).is_relative_to(inside(base)):
            rest = PurePosixPath(name).relative_to(inside(base))
            return base / rest if rest.parts else base
    return None

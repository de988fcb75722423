"""`workbench`: the verbs, grouped, and the frame that turns every failure into sentences."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from itertools import pairwise

import typer
from typer.exceptions import TyperException

from workbench import __version__
from workbench.cli.common import complain, say_aside, words
from workbench.kernel.errors import InvalidInput, Stopped, UserError
from workbench.kernel.settings import socket_path

HELP = "Cohorts over OMOP data, governed extracts, traceable models; every step in an audit log."
VERBS: Mapping[str, str] = {
    "audit": "audit", "cohort": "cohort", "concepts": "concepts", "daemon": "daemon", "demo": "demo", "serve": "demo",
    "doctor": "doctor", "extract": "extract", "finding": "finding",
    "features": "model", "jobs": "jobs", "key": "key", "load": "load", "model": "model",
    "optout": "optout", "output": "output", "releases": "releases", "study": "study",
    "trace": "trace", "user": "users",
}  # fmt: skip
"""Each verb, or group of verbs, and the module that adds it: only what a command names is imported."""

INTERRUPTED = 130
"""What Typer makes of Ctrl-C: 128 and the number of the signal."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"workbench {__version__}")
        raise typer.Exit


def app(verb: str | None = None) -> typer.Typer:
    """Return the command line with one verb (or group of verbs), or with all of them for help."""
    made = typer.Typer(
        name="workbench", help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
    )
    made.callback()(options)
    for module in [VERBS[verb]] if verb is not None and verb in VERBS else dict.fromkeys(VERBS.values()):
        import_module(f"workbench.cli.{module}").register(made)
    return made


def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Cohorts over OMOP data, governed extracts, traceable models; every step in an audit log."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 the answer is no, 2 a usage error; never a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str], *, here: bool = False) -> int:
    """Run one command and return its exit code; the service runs it where there is one, unless `here`."""
    as_json = "--json" in arguments
    try:
        _refuse_empty(arguments)
        result = None if here or socket_path() is None else _asked(arguments)
        if result is None:
            made = app(arguments[0] if arguments else None)
            signal.siginterrupt(signal.SIGINT, True)  # Polars lets calls go on after Ctrl-C: waiting for input too
            result = made(args=arguments, prog_name="workbench", standalone_mode=False)
    except typer.Exit as leave:
        result = leave.exit_code
    except TyperException as error:
        return misunderstood(error)
    except UserError as error:
        return complain(error, as_json)
    except (typer.Abort, KeyboardInterrupt, BrokenPipeError):
        return complain(Stopped("store.stopped"), as_json)
    except OSError as error:
        return _misplaced(error, as_json)
    except Exception as error:
        return complain(Stopped("store.stopped"), as_json) if _is_interrupted(error) else _fault(error)
    return complain(Stopped("store.stopped"), as_json) if result == INTERRUPTED else int(result or 0)


def misunderstood(error: TyperException) -> int:
    """Say why a command was not understood; return the exit code."""
    detail = getattr(error, "format_message", error.__str__)()
    say_aside(words("usage_error", detail=detail), "bold")
    say_aside(words("usage"))
    return 2


def _asked(arguments: list[str]) -> int | None:
    from workbench.cli.remote.client import asked  # noqa: PLC0415 - only where there is a service to ask

    return asked(arguments)


def _refuse_empty(arguments: list[str]) -> None:
    """Raise InvalidInput for an argument without a value: as a path it would name the current folder."""
    for before, argument in pairwise(["", *arguments]):
        option, equals, value = argument.partition("=")
        if not argument.strip():
            raise InvalidInput("cli.empty", name=before if before.startswith("-") else words("empty_argument"))
        if option.startswith("--") and equals and not value.strip():
            raise InvalidInput("cli.empty", name=option)


def _is_interrupted(error: Exception) -> bool:
    """Ctrl-C in the middle of a query comes from DuckDB's driver as a RuntimeError, whoever had asked."""
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


def _misplaced(error: OSError, as_json: bool) -> int:
    """Answer for a path that no file can have, or that this account may not look at; any other is a fault of ours."""
    code = {errno.ENAMETOOLONG: "path_too_long", errno.EACCES: "path_closed", errno.EPERM: "path_closed"}.get(
        error.errno or 0
    )
    if code is None:
        return _fault(error)
    path = str(error.filename)
    return complain(InvalidInput(f"cli.{code}", path=path if len(path) < 100 else f"{path[:60]}…{path[-30:]}"), as_json)


def _fault(error: Exception) -> int:
    # The error's own text may quote data; its kind and the places in our code may not.
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f"{frame.filename.rpartition('/workbench/')[2]}:{frame.lineno}"
        for frame in frames
        if "workbench" in frame.filename
    ]
    say_aside(words("fault", kind=type(error).__name__, place=" < ".join(reversed(ours[-4:]))))
    return 1

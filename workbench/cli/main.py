"""`workbench`: the verbs, grouped, and the frame that turns every failure into sentences."""

from __future__ import annotations

import sys
import traceback

import typer
from typer.exceptions import TyperException

from workbench import __version__
from workbench.cli import audit, cohort, demo, doctor, extract, jobs, load, model, releases, study, trace, users
from workbench.cli.common import complain, err, words
from workbench.kernel.errors import Stopped, UserError

app = typer.Typer(
    name="workbench",
    help="Cohorts over OMOP data, governed extracts, traceable models; every step in an audit log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (audit, cohort, extract, jobs, load, model, releases, study, users):
    app.add_typer(group.app, name=group.NAME)
app.add_typer(model.features_app, name="features")
for module in (demo, doctor, trace):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"workbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Cohorts over OMOP data, governed extracts, traceable models; every step in an audit log."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 the answer is no, 2 a usage error; never a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    as_json = "--json" in arguments
    try:
        result = app(args=arguments, prog_name="workbench", standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        detail = getattr(error, "format_message", error.__str__)()
        err.print(words("usage_error", detail=detail), style="bold", markup=False)
        err.print(words("usage"), markup=False)
        return 2
    except UserError as error:
        return complain(error, as_json)
    except (typer.Abort, KeyboardInterrupt, BrokenPipeError):
        return complain(Stopped("store.stopped"), as_json)
    except Exception as error:
        return _fault(error)
    return int(result or 0)


def _fault(error: Exception) -> int:
    # The error's own text may quote data; its kind and the places in our code may not.
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f"{frame.filename.rpartition('/workbench/')[2]}:{frame.lineno}"
        for frame in frames
        if "workbench" in frame.filename
    ]
    err.print(words("fault", kind=type(error).__name__, place=" < ".join(reversed(ours[-4:]))), markup=False)
    return 1

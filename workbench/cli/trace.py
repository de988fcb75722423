"""`workbench trace`: the thread, both ways."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from workbench.cli.common import As, Home, Json, give, opened, tell, words
from workbench.services import tracing
from workbench.services.tracing import Link, Thread


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("trace")(trace)


def trace(
    ref: Annotated[str, typer.Argument(help="An id, a digest, or a digest's first eight digits or more.")],
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Walk from anything back to its data release, and forward to all that was made of it."""
    with opened(home, as_name) as (wb, actor):
        thread = tracing.trace(wb, actor, ref)
    start = thread.start
    give(as_json, {"id": start.id, "digest": start.digest, "state": start.kind, **asdict(thread)})
    if not as_json:
        show(thread)


def show(thread: Thread) -> None:
    """Print a thread: each document, and the documents that it names."""
    known = {link.digest: link for link in thread.links}
    for link in thread.links:
        mark = "▶" if link.digest == thread.start.digest else " "
        tell(f"{mark} {words(f'kind_{link.kind}'):<20} {link.id:<34} {link.digest}  {link.title}")
        names = _names(link, known)
        if names:
            tell(f"    {words('names')} {names}")


def _names(link: Link, known: dict[str, Link]) -> str:
    named = {digest: known[digest].id for digest in link.names.values() if digest in known}
    return ", ".join(dict.fromkeys(named.values()))

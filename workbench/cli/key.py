"""`workbench key`: a study's two secrets and the master key: shown, renewed, destroyed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, cast

import typer

from workbench.cli.common import As, Home, Json, Reason, give, number, opened, state, table, tell, words
from workbench.governance.keys import Secret
from workbench.kernel.errors import InvalidInput
from workbench.services import study_keys
from workbench.services.study_keys import KeyView

app = typer.Typer(no_args_is_help=True, help="Keys: a study's two secrets shown, renewed, destroyed; the master key.")


class Which(StrEnum):
    """One of a study's two secrets."""

    DATA = "data"
    PSEUDONYM = "pseudonym"


Digest = Annotated[str, typer.Option("--digest", help="The digest of what is destroyed, as `key show` gives it.")]


@app.command("show")
def show(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Show how a study's secrets are, which extracts hang on them, and the digest by which each is destroyed."""
    with opened(home, as_name) as (wb, actor):
        _told(study_keys.show_keys(wb, actor, study), as_json)


@app.command("rotate")
def rotate(
    reason: Reason,
    study: Annotated[str | None, typer.Argument(help="The study's name; none with --master.")] = None,
    master: Annotated[bool, typer.Option("--master", help="Renew the master key; no secret changes.")] = False,
    digest: Annotated[
        str, typer.Option("--digest", help="Of a study: the digest of its data secret, as `key show` gives it.")
    ] = "",
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Renew a study's secrets, or the master key.

    A study: its open extracts close and the data secret is destroyed; their requests can be run again, under other
    pseudonyms. The former pseudonym secret stays until retention ends, so that oppositions still find their persons.
    The master key: every secret is wrapped anew and nothing closes; destroy the backups of the former key folder.
    """
    if master == (study is not None):
        raise InvalidInput("cli.study_or_master")
    with opened(home, as_name) as (wb, actor):
        if study is None:
            made = study_keys.rotate_master(wb, actor, reason=reason)
            give(as_json, asdict(made), words("master_renewed", former=made.former[:12], now=made.digest[:12]))
            return
        view = study_keys.rotate_keys(wb, actor, study, digest=digest, reason=reason)
    give(as_json, _json(view), words("keys_renewed", study=study, count=number(view.renewals)))


@app.command("destroy")
def destroy(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    digest: Digest,
    reason: Reason,
    secret: Annotated[
        Which, typer.Option("--secret", help="data: no file opens any more. pseudonym: nor is a person found again.")
    ] = Which.DATA,
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Destroy a secret of a study for good: what was made under it closes, and the study can make nothing more.

    Destroying the pseudonym secret destroys the data secret too. Backups of the key folder are yours to destroy.
    """
    with opened(home, as_name) as (wb, actor):
        view = study_keys.destroy_key(wb, actor, study, cast("Secret", secret.value), digest=digest, reason=reason)
    give(as_json, _json(view), words("key_destroyed", study=study, secret=words(f"secret_{secret}")))


def _json(view: KeyView) -> dict[str, object]:
    return {"id": f"{view.study}.{view.secret}", **asdict(view)}


def _told(views: Sequence[KeyView], as_json: bool) -> None:
    give(as_json, [_json(view) for view in views])
    if as_json:
        return
    rows = [
        (words(f"secret_{v.secret}"), state(v.state), number(v.renewals), ", ".join(v.closes) or "–", v.digest)
        for v in views
    ]
    table([words(name) for name in ("secret", "state", "renewals", "closes", "digest")], rows)
    for view in views:
        tell(words(f"key_{view.secret}_{view.state}"))


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="key")

"""Creating the store and bringing an older one up to date, by Alembic revisions."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from workbench.kernel.errors import Unavailable

HEAD = "0002"
"""The newest revision that this version knows; a test holds it equal to the scripts' own head."""


def sqlite_path(url: str) -> Path:
    """Return the file of a SQLite URL; raises `store.url_unsupported` for any other database."""
    prefix = "sqlite:///"
    if not url.startswith(prefix):
        raise Unavailable("store.url_unsupported", scheme=url.partition(":")[0])
    return Path(url.removeprefix(prefix))


def create(path: Path) -> None:
    """Make an empty store aside and link it into place: a killed creation leaves none, a second one replaces none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.touch(mode=0o600)
    _upgrade(aside)
    with suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()


def bring_up_to_date(path: Path) -> None:
    """Migrate a store to `HEAD`; refuses one of a newer version (`store.home_newer`) or no store (`store.damaged`)."""
    revision = _revision(path)
    if revision == HEAD:
        return
    if revision not in _known():
        raise Unavailable("store.home_newer", home=path.parent, revision=revision, known=HEAD)
    _upgrade(path)


def _revision(path: Path) -> str:
    try:
        connection = sqlite3.connect(path)
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise Unavailable("store.damaged", file=path.name) from error
    return str(row[0]) if row else ""


def _config(path: Path):
    from alembic.config import Config  # noqa: PLC0415 - a third of a second, needed only when something migrates

    config = Config()
    config.set_main_option("script_location", "workbench.store:migrations")
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}".replace("%", "%%"))
    return config


def _known() -> set[str]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    return {script.revision for script in ScriptDirectory.from_config(_config(Path("unused"))).walk_revisions()}


def _upgrade(path: Path) -> None:
    from alembic import command  # noqa: PLC0415 - as above

    command.upgrade(_config(path), "head")

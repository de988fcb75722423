"""Where things are: the home, the keys beside it, the store, the MLflow folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.kernel.errors import InvalidInput
from workbench.kernel.openid import OpenId, read_openid
from workbench.kernel.text import Lang


@dataclass(frozen=True)
class Settings:
    """Resolved places of one installation; every path is absolute.

    `keys` is a folder apart from `home` (0700); `store_url` is a SQLAlchemy URL; `mlruns` holds MLflow's database.
    `openid` is the hospital's provider, where people sign in by one; `key_command` the program that reads the master
    key from the hospital's vault, with its arguments, empty where that key is a file. `review_days` is how often rights
    and catalogue records are owed a review.
    """

    home: Path
    keys: Path
    store_url: str
    mlruns: Path
    lang: Lang
    openid: OpenId | None = None
    key_command: tuple[str, ...] = ()
    review_days: int = 365

    @property
    def releases(self) -> Path:
        """The folder of data releases."""
        return self.home / "releases"

    @property
    def extracts(self) -> Path:
        """The folder of extracts, each with the features and models made from it."""
        return self.home / "extracts"

    @property
    def cache(self) -> Path:
        """The folder of caches, one per release; can be deleted at will."""
        return self.home / "cache"

    @property
    def disclosure(self) -> Path:
        """The folder of what was shown of whom, one per release (`workbench.governance.sticky`)."""
        return self.home / "disclosure"

    @property
    def jobs(self) -> Path:
        """The folder of job logs."""
        return self.home / "jobs"

    def mlflow_uri(self) -> str:
        """The URL of MLflow's database back end."""
        return f"sqlite:///{self.mlruns / 'mlflow.db'}"


def load_settings(home: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Resolve the settings: `home` given, else `$WORKBENCH_HOME`, else `.workbench` in the current folder.

    Keys: `$WORKBENCH_KEYS`, else `<home>-keys`. Store: `$WORKBENCH_STORE`, else `app.sqlite` in the home.
    MLflow: `$WORKBENCH_MLRUNS`, else `./mlruns` if present, else `<home>/mlruns`.
    Language: `$WORKBENCH_LANG` (`fr` or `en`), French by default. Sign-in: `$WORKBENCH_OIDC_*` and
    `$WORKBENCH_PUBLIC_URL` (`workbench.kernel.openid`); raises `InvalidInput` where they are not whole. Vault:
    `$WORKBENCH_KEY_COMMAND`, words as a shell quotes them; raises `InvalidInput` (`kernel.key_command`) unless the
    first is an absolute path. Reviews: `$WORKBENCH_REVIEW_DAYS`, 30 to 366, a year by default; raises `InvalidInput`
    (`kernel.review_days`).
    """
    env = os.environ if environ is None else environ
    named = home or (Path(env["WORKBENCH_HOME"]) if env.get("WORKBENCH_HOME") else None)
    place = (named or Path(".workbench")).absolute()
    keys = Path(env["WORKBENCH_KEYS"]) if env.get("WORKBENCH_KEYS") else place.with_name(f"{place.name}-keys")
    return Settings(
        home=place,
        keys=keys.absolute(),
        store_url=env.get("WORKBENCH_STORE") or f"sqlite:///{place / 'app.sqlite'}",
        mlruns=_mlruns(place, env),
        lang=language(env),
        openid=read_openid(env),
        key_command=_key_command(env),
        review_days=_review_days(env.get("WORKBENCH_REVIEW_DAYS") or "365"),
    )


def socket_path(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the socket by which other users of the machine ask the service (`$WORKBENCH_SOCKET`), None without it."""
    named = (os.environ if environ is None else environ).get("WORKBENCH_SOCKET")
    return Path(named).absolute() if named else None


def _key_command(env: Mapping[str, str]) -> tuple[str, ...]:
    try:
        command = tuple(shlex.split(env.get("WORKBENCH_KEY_COMMAND", "")))
    except ValueError:
        raise InvalidInput("kernel.key_command") from None
    if command and not Path(command[0]).is_absolute():
        raise InvalidInput("kernel.key_command")
    return command


def _review_days(text: str) -> int:
    if not text.isdecimal() or not 30 <= int(text) <= 366:
        raise InvalidInput("kernel.review_days")
    return int(text)


def language(environ: Mapping[str, str] | None = None) -> Lang:
    """Return the installation's language; it can be told even where other settings cannot be read."""
    env = os.environ if environ is None else environ
    return "en" if env.get("WORKBENCH_LANG", "fr").lower().startswith("en") else "fr"


def _mlruns(home: Path, env: Mapping[str, str]) -> Path:
    if env.get("WORKBENCH_MLRUNS"):
        return Path(env["WORKBENCH_MLRUNS"]).absolute()
    local = Path("mlruns")
    return local.absolute() if local.is_dir() else home / "mlruns"

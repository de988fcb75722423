"""What somebody is writing and has not handed in yet: kept at each edit, for its author alone.

A draft is no document: nothing names it, no right follows from it, and it may be incomplete. It goes when it is handed
in or thrown away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from workbench.governance.actors import Actor
from workbench.kernel.digest import digest_bytes
from workbench.kernel.errors import Refused
from workbench.services.context import Workbench, acting
from workbench.store import files

VERB: Final = "study.create"
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")
_LONGEST: Final = 500_000


@dataclass(frozen=True)
class Draft:
    """A protocol that is being written: `key` names it among its author's, `content` is what stands in it so far."""

    key: str
    content: dict[str, Any]


def list_drafts(wb: Workbench, actor: Actor) -> list[Draft]:
    """Return the actor's own drafts by key; a file that cannot be read as one is left out."""
    with acting(wb, actor, VERB):
        found = [(path.stem, _read(path)) for path in sorted(_folder(wb, actor).glob("*.json"))]
    return [Draft(key, content) for key, content in found if content is not None]


def save_draft(wb: Workbench, actor: Actor, key: str, content: Mapping[str, Any]) -> None:
    """Keep a draft as it stands now, in the place of what it was before.

    Raises `store.no_document` for a key that is none, `services.draft_too_long`, and what `files.writing` raises.
    """
    with acting(wb, actor, VERB):
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        if len(text) > _LONGEST:
            raise Refused("services.draft_too_long")
        path = _path(wb, actor, key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write_text(path, text)


def drop_draft(wb: Workbench, actor: Actor, key: str) -> None:
    """Throw a draft away; nothing happens where there is none. Raises `store.no_document` for a key that is none."""
    with acting(wb, actor, VERB):
        _path(wb, actor, key).unlink(missing_ok=True)


def _path(wb: Workbench, actor: Actor, key: str) -> Path:
    if not _KEY.fullmatch(key):
        raise Refused("store.no_document", ref=key[:80])
    return _folder(wb, actor) / f"{key}.json"


def _folder(wb: Workbench, actor: Actor) -> Path:
    """Return the folder of one person's drafts: an account's name may hold what no path should."""
    return wb.settings.home / "drafts" / digest_bytes(actor.name.encode())[:16]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None

"""The files of outputs: sealed with the study's data secret while they wait, in clear once they are released.

They lie in their extract's folder, `outputs/<id>/`: `file.sealed`, `numbers.json` (the keyed parities of the persons
behind each number, for comparing), and `released` once it may be taken. Each is held to the digest in its document.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.governance.airlock.differencing import Told
from workbench.governance.sealed import seal_bytes, unseal_bytes
from workbench.kernel.digest import digest_bytes, digest_document
from workbench.kernel.errors import Refused, Unavailable
from workbench.services.context import Workbench
from workbench.store import files

if TYPE_CHECKING:
    from workbench.services.outputs import OutputView

SEALED: Final = "file.sealed"
NUMBERS: Final = "numbers.json"
RELEASED: Final = "released"


def root(wb: Workbench, extract_id: str) -> Path:
    """Return the folder of an extract's outputs."""
    return wb.settings.extracts / extract_id / "outputs"


def numbers_digest(numbers: Sequence[Told]) -> str:
    """Return the digest of the numbers that an output shows, which its document names."""
    return digest_document([told.as_json() for told in numbers])


def write(folder: Path, content: bytes, numbers: Sequence[Told], secret: bytes) -> None:
    """Write a waiting file and its numbers into a folder."""
    with files.user_errors(folder):
        (folder / SEALED).write_bytes(seal_bytes(content, secret, _label(digest_bytes(content))))
        (folder / NUMBERS).write_text(json.dumps([told.as_json() for told in numbers]), encoding="utf-8")


def read(wb: Workbench, view: OutputView) -> bytes:
    """Return the bytes that an output is about.

    Raises `Refused` (`airlock.not_released`) where a failed check kept none, `Unavailable` (`airlock.damaged`) where
    they are others, and as `KeyRing.study_secret` where the study's data secret was destroyed.
    """
    path = root(wb, view.extract) / view.id / SEALED
    if view.state == "sent_back" and not path.exists():
        raise Refused("airlock.not_released", output=view.id, state=view.state)
    secret = wb.keys.study_secret(view.study, "data")
    try:
        content = unseal_bytes(path.read_bytes(), secret, _label(view.file_digest))
    except (OSError, Unavailable):
        raise Unavailable("airlock.damaged", output=view.id) from None
    return _same(content, view)


def read_released(wb: Workbench, view: OutputView) -> bytes:
    """Return the bytes that were released; raises `Unavailable` (`airlock.damaged`) where they are others."""
    try:
        return _same((root(wb, view.extract) / view.id / RELEASED).read_bytes(), view)
    except OSError:
        raise Unavailable("airlock.damaged", output=view.id) from None


@contextmanager
def released(wb: Workbench, view: OutputView, content: bytes) -> Generator[None]:
    """Write the file in clear and run the block that decides; where the block raises, it is gone again."""
    path = root(wb, view.extract) / view.id / RELEASED
    with files.writing(path) as aside:
        aside.write_bytes(content)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_numbers(wb: Workbench, extract_id: str, output_id: str, document: Mapping[str, Any]) -> tuple[Told, ...]:
    """Return the numbers that an output shows; raises `Unavailable` (`airlock.damaged`) where they are others."""
    try:
        values = json.loads((root(wb, extract_id) / output_id / NUMBERS).read_text(encoding="utf-8"))
        numbers = tuple(Told.from_json(value) for value in values)
    except (OSError, ValueError, KeyError, TypeError):
        raise Unavailable("airlock.damaged", output=output_id) from None
    if numbers_digest(numbers) != document["numbers"]:
        raise Unavailable("airlock.damaged", output=output_id)
    return numbers


def _same(content: bytes, view: OutputView) -> bytes:
    if digest_bytes(content) != view.file_digest:
        raise Unavailable("airlock.damaged", output=view.id)
    return content


def _label(digest: str) -> str:
    return f"output/{digest}"

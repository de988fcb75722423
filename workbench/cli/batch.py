"""Many definitions in one command: what is wrong with one is said with its name, and the others are answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from workbench.cli.common import complain
from workbench.cohorts.circe import Definition
from workbench.kernel.errors import InvalidInput, UserError
from workbench.services import reading

Made = TypeVar("Made")


class Batch:
    """The definitions that a command names, and what failed, by name."""

    def __init__(self, files: Iterable[Path]) -> None:
        """Read files and folders; raises as `reading.read_batch`, and the error itself where only one was named."""
        self.definitions, self.failed = reading.read_batch(files)
        self._alone = len(self.definitions) + len(self.failed) == 1
        self._refuse_alone()

    def each(self, answer: Callable[[Definition], Made]) -> dict[str, Made]:
        """Return the answer for each definition, by name; one that is invalid is kept as failed, and the rest go on."""
        made: dict[str, Made] = {}
        for name, definition in self.definitions.items():
            try:
                made[name] = answer(definition)
            except InvalidInput as error:
                self.failed[name] = error
        self._refuse_alone()
        return made

    def add(self, failed: dict[str, UserError]) -> None:
        """Keep what failed elsewhere."""
        self.failed.update(failed)
        self._refuse_alone()

    def close(self, as_json: bool) -> int:
        """Say what failed, each by name, on the error stream; return the exit code."""
        for name, error in self.failed.items():
            complain(error, as_json, name)
        return 1 if self.failed else 0

    def _refuse_alone(self) -> None:
        if self._alone:
            for error in self.failed.values():
                raise error

"""Errors for people: what happened, what was not done, what to do now, in both languages.

Two families. A `UserError` is an answer: its code names an entry of the word catalogues, and no traceback is shown.
Anything else is a bug of ours and is shown as such.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.kernel.text import Lang, area_catalogue, say


@dataclass(frozen=True)
class ErrorText:
    """The four parts of an error in one language; `reference` is its code, the same in all languages."""

    what: str
    not_done: str
    do: str
    reference: str

    def __str__(self) -> str:
        return f"{self.what} {self.not_done} {self.do} [{self.reference}]"


@dataclass(frozen=True)
class Word:
    """A fact that is a word of the catalogues (`AREA.KEY`): said in the reader's language, logged as its key."""

    key: str

    def __str__(self) -> str:
        return self.key.partition(".")[2]


class UserError(Exception):
    """An answer to a person. `code` is `AREA.CODE` of the catalogues; `facts` never hold patient identifiers."""

    exit_code = 1

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts

    def text(self, lang: Lang) -> ErrorText:
        """Return the error's sentences in one language."""
        entry: dict[str, str] = area_catalogue(self.code.partition(".")[0], lang)["error"][self.code]
        facts = {name: say(fact.key, lang) if isinstance(fact, Word) else fact for name, fact in self.facts.items()}
        what, not_done, do = (entry[part].format(**facts) for part in ("what", "not_done", "do"))
        return ErrorText(what, not_done, do, self.code)

    def __str__(self) -> str:
        return str(self.text("en"))


class Refused(UserError):
    """The answer is no: a policy denied it, a state forbids it, a check failed (exit code 1)."""


class Unavailable(UserError):
    """Something that the work needs is absent, locked, damaged or too new (exit code 1)."""


class InvalidInput(UserError):
    """What was given cannot be used as it is: a usage error (exit code 2)."""

    exit_code = 2


class Stopped(UserError):
    """A person stopped the work; nothing of it remains (exit code 1)."""

"""What a check found: passed, failed or to review, with the facts of its sentence; never a row, never a true number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.kernel.text import Lang, say

Verdict = Literal["passed", "to_review", "failed"]
_NAMED = 12


@dataclass(frozen=True)
class Check:
    """One check: `code` names its sentences (`airlock.check_CODE_VERDICT`), which `facts` fill."""

    code: str
    verdict: Verdict
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def name(self, lang: Lang) -> str:
        """Return what was checked, in a few words."""
        return say(f"airlock.name_{self.code}", lang)

    def text(self, lang: Lang) -> str:
        """Return what was found and, where something was, how to mend it."""
        return say(f"airlock.check_{self.code}_{self.verdict}", lang, **self.facts)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON value, for the request's document."""
        return {"code": self.code, "verdict": self.verdict, "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Check:
        """Return what `as_json` gave."""
        return cls(value["code"], value["verdict"], value["facts"])


def passed(code: str, **facts: object) -> Check:
    """Return a check that found nothing."""
    return Check(code, "passed", _texts(facts))


def failed(code: str, **facts: object) -> Check:
    """Return a check that keeps the file from leaving."""
    return Check(code, "failed", _texts(facts))


def doubtful(code: str, **facts: object) -> Check:
    """Return a check that a person has to judge."""
    return Check(code, "to_review", _texts(facts))


def judged(code: str, wrong: Sequence[object], **facts: object) -> Check:
    """Return a failed check naming the places that are wrong (lines, columns, outputs), or a passed one."""
    return failed(code, where=listed(wrong), **facts) if wrong else passed(code, **facts)


def overall(checks: Iterable[Check]) -> Verdict:
    """Return the worst verdict of all."""
    found = {check.verdict for check in checks}
    if "failed" in found:
        return "failed"
    return "to_review" if "to_review" in found else "passed"


def listed(places: Sequence[object]) -> str:
    """Return the first places of a list as text, and that there are more."""
    named = ", ".join(shortened(str(place)) for place in dict.fromkeys(places[:_NAMED]))
    return f"{named}, …" if len(places) > _NAMED else named


def shortened(text: str) -> str:
    """Return a text from a file as a message may quote it: one line, at most 60 letters."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= 60 else f"{plain[:57]}…"


def _texts(facts: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items()}

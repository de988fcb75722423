"""The pages of the app as data: where each is, and the verb that a person must be allowed for it to be theirs."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.governance import policy
from workbench.governance.actors import Actor


@dataclass(frozen=True)
class PageInfo:
    """One page: `key` names its view and its words, `path` its address, `verb` what its readers may do (None: all)."""

    key: str
    path: str
    verb: str | None

    def is_for(self, actor: Actor) -> bool:
        """Answer whether this page is the actor's."""
        return self.verb is None or policy.can(actor, self.verb)


PAGES = (
    PageInfo("home", "", None),
    PageInfo("studies", "etudes", "study.create"),
    PageInfo("data", "donnees", "release.read"),
    PageInfo("cohorts", "cohortes", "cohort.generate"),
    PageInfo("requests", "demandes", "extract.open"),
    PageInfo("review", "examen", "request.decide"),
    PageInfo("oppositions", "oppositions", "optout.read"),
    PageInfo("models", "modeles", "model.read"),
    PageInfo("outputs", "sorties", "output.read"),
    PageInfo("findings", "decouvertes", "finding.read"),
    PageInfo("log", "journal", "audit.read"),
    PageInfo("accounts", "comptes", "user.close"),
)
PATHS = frozenset(f"/{page.path}" for page in PAGES)


def page_for(key: str) -> PageInfo:
    """Return a page by its key."""
    return next(page for page in PAGES if page.key == key)

"""Carrying a decision out: at once, or after the person has authenticated again at the hospital's provider."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from workbench.governance.actors import Actor
from workbench.governance.proofs import NEEDED, Proof
from workbench.kernel.errors import UserError
from workbench.ui import session
from workbench.ui.parts.errors import panel
from workbench.ui.parts.markup import join, paragraph, show, tag
from workbench.ui.state import lang, t


def carry_out(actor: Actor, act: Callable[[Proof | None], object], then: str) -> bool:
    """Do what a person pressed; answer whether it is done. An error is shown, and nothing is done.

    Where a proof is needed, everything else was checked: the decision waits in the session and the browser goes to the
    provider, by itself (`assets/chrome.js`) or by the link. `then` is the page that it comes back to.
    """
    try:
        act(None)
    except UserError as error:
        if error.code == NEEDED:
            session.hold(session.Act(actor, str(error.facts["about"]), then, act))
            _lead()
        else:
            panel(error)
        return False
    return True


def _lead() -> None:
    way = tag("a", t("proof_go"), "wb-go", href=f"/connexion/preuve?{urlencode({'lang': lang()})}")
    show(tag("section", join([paragraph(t("proof_text")), paragraph(way)]), "wb-note", role="status"))

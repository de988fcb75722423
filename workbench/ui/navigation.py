"""From the signed-in person to the pages that are theirs; a page that is not gets a clear answer."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from workbench.governance.actors import Actor
from workbench.kernel.errors import UserError
from workbench.services.context import acting
from workbench.ui.pages import PAGES, PageInfo
from workbench.ui.parts import shell
from workbench.ui.parts.errors import panel
from workbench.ui.parts.listing import PAGES as PAGES_KEPT
from workbench.ui.parts.markup import link, paragraph, show
from workbench.ui.parts.words import role_name
from workbench.ui.session import current_actor
from workbench.ui.state import href, t, workbench
from workbench.ui.views import (
    accounts,
    cohorts,
    data,
    findings,
    home,
    log,
    models,
    oppositions,
    outputs,
    requests,
    review,
    studies,
)

VIEWS: dict[str, Callable[[Actor], None]] = {
    "home": home.draw,
    "studies": studies.draw,
    "data": data.draw,
    "cohorts": cohorts.draw,
    "requests": requests.draw,
    "review": review.draw,
    "oppositions": oppositions.draw,
    "models": models.draw,
    "outputs": outputs.draw,
    "findings": findings.draw,
    "log": log.draw,
    "accounts": accounts.draw,
}


def run() -> None:
    """Draw the page that the address names, as the person who is signed in."""
    actor = current_actor()
    if actor is None:
        st.set_page_config(page_title=t("app_name"), layout="wide")
        panel(UserError("ui.session_ended"))
        show(paragraph(link(t("signin_again"), "/connexion")))
        return
    pages = [(info, _page(info, actor)) for info in PAGES]
    st.session_state[PAGES_KEPT] = {info.key: page for info, page in pages}
    chosen = st.navigation([page for _, page in pages], position="hidden")
    _keep_address()
    info = next(info for info, page in pages if page is chosen or page.url_path == chosen.url_path)
    st.set_page_config(page_title=f"{t(f'{info.key}_nav')} · {t('app_name')}", layout="wide")
    shell.sidebar(actor, [(info, page) for info, page in pages if info.is_for(actor)])
    shell.top_line(actor, info)
    st.title(t(f"{info.key}_title"), anchor=False)
    chosen.run()


def _keep_address() -> None:
    """Write the parameters to the browser's address: a link to the page that one is on changes them here only."""
    now = st.query_params.to_dict()
    if now:
        st.query_params.from_dict(now)


def _page(info: PageInfo, actor: Actor) -> st.Page:
    def draw() -> None:
        if info.is_for(actor):
            VIEWS[info.key](actor)
        else:
            _not_theirs(info, actor)

    return st.Page(draw, title=t(f"{info.key}_nav"), url_path=info.path, default=not info.path)


def _not_theirs(info: PageInfo, actor: Actor) -> None:
    """Answer as the service would: refused, with the reason, and written to the audit log."""
    try:
        with acting(workbench(), actor, info.verb or ""):
            pass
    except UserError:
        role, page = role_name(actor.role.value), t(f"{info.key}_nav")
        panel(UserError("ui.not_your_page", page=page, role=role))
    show(paragraph(link(t("back_home"), href(""))))

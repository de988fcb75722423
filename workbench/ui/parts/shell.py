"""What stands around every page: the navigation on the left, and one line on top."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.services import releases, studies
from workbench.services.studies import StudyView
from workbench.ui.pages import PageInfo
from workbench.ui.parts.markup import Html, badge, join, link, paragraph, show, tag
from workbench.ui.parts.words import day, role_name
from workbench.ui.state import href, lang, parameters, study_filter, t, workbench


def my_studies(actor: Actor) -> list[StudyView]:
    """Return the studies that the actor may know of, narrowed to the one that the address names."""
    if not _reads_studies(actor):
        return []
    wanted = study_filter()
    return [study for study in studies.list_studies(workbench(), actor) if wanted in {None, study.id}]


def study_title(actor: Actor, study: str) -> str:
    """Return a study's title, or its id where it is not the actor's to know of."""
    known = studies.list_studies(workbench(), actor) if _reads_studies(actor) else []
    return next((each.title for each in known if each.id == study), study)


def _reads_studies(actor: Actor) -> bool:
    return can(actor, "study.read")


def sidebar(actor: Actor, pages: Sequence[tuple[PageInfo, st.Page]]) -> None:
    """Draw the navigation: the pages that are this person's, and who they are."""
    with st.sidebar:
        show(tag("p", t("app_name"), "wb-name"))
        for info, page in pages:
            st.page_link(page, label=t(f"{info.key}_nav"), query_params=parameters(), width="stretch")
        _choose_study(actor)
        who = [tag("strong", actor.display), tag("span", role_name(actor.role.value))]
        if workbench().settings.openid:
            who.append(link(t("signin_leave"), f"/connexion?{urlencode({'lang': lang()})}"))
        elif workbench().demo:
            who.append(link(t("change_person"), f"/connexion?{urlencode({'lang': lang()})}"))
        show(tag("div", join(who), "wb-who"))


def _choose_study(actor: Actor) -> None:
    known = studies.list_studies(workbench(), actor) if _reads_studies(actor) else []
    if len(known) < 2:
        return
    titles = {"": t("all_studies"), **{study.id: study.title for study in known}}
    now = study_filter() if study_filter() in titles else ""
    chosen = st.selectbox(t("study"), list(titles), index=list(titles).index(now or ""), format_func=titles.__getitem__)
    if chosen != now:
        st.query_params.from_dict(parameters(study=chosen or None))
        st.rerun()


def top_line(actor: Actor, info: PageInfo) -> None:
    """Draw the line on top: study, data release and how fresh it is, what the data are, language, help."""
    line, help_place = st.columns([8, 1], vertical_alignment="center")
    with line:
        show(
            tag(
                "div",
                join([*_study(actor), *_release(actor), _language(info)]),
                "wb-top",
                role="region",
                aria_label=t("top_label"),
            )
        )
    with help_place, st.popover(t("help"), width="stretch", type="tertiary"):
        show(paragraph(t(f"{info.key}_help")), paragraph(t("help_numbers"), "wb-quiet"))


def _study(actor: Actor) -> list[Html]:
    mine = my_studies(actor)
    if not mine:
        return []
    if len(mine) > 1:
        return [tag("span", t("studies_count", count=len(mine)))]
    return [tag("span", join([tag("b", t("study")), " ", mine[0].title]))]


def _release(actor: Actor) -> list[Html]:
    now = next((release for release in releases.list_releases(workbench(), actor) if release.current), None)
    if now is None:
        return [tag("span", t("no_release"))]
    fresh = t("release_line", name=now.name, day=day(now.loaded_at))
    kind = badge(t("synthetic"), "wait") if now.synthetic else badge(t("pseudonymised"), "good")
    return [tag("span", join([tag("b", t("data")), " ", fresh, " ", tag("code", now.id)])), kind]


def _language(info: PageInfo) -> Html:
    other = "en" if lang() == "fr" else "fr"
    kept = {**{name: st.query_params[name] for name in st.query_params}, "lang": other}
    address = f"/{info.path}?{urlencode(kept)}"
    return tag("a", t("language_other"), "wb-lang", href=address, hreflang=other, lang=other)


def empty(what: str, then: str, *, page: str | None = None, label: str = "") -> None:
    """Draw an empty state: what is not there yet, what to do next, and the way there."""
    way = link(label, href(page)) if page is not None else ""
    show(tag("section", join([paragraph(what, "wb-what"), paragraph(then), way]), "wb-empty"))

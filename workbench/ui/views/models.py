"""Modèles: how well each model does on patients it never saw, its card, and the thread back to the data."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.governance.policy import can
from workbench.kernel.errors import Refused
from workbench.kernel.text import say
from workbench.services import learning, tracing
from workbench.services.learning import ModelView
from workbench.ui.parts.charts import calibration_chart, interval_chart
from workbench.ui.parts.listing import Entry, chooser
from workbench.ui.parts.markup import (
    Html,
    badge,
    facts,
    figures,
    heading,
    join,
    paragraph,
    show,
    table,
    tag,
    whole_digest,
)
from workbench.ui.parts.shell import empty, my_studies
from workbench.ui.parts.thread import thread
from workbench.ui.parts.words import decimal, moment, named, number, person
from workbench.ui.state import lang, pick, t, workbench


def draw(actor: Actor) -> None:
    """Draw the page."""
    known = {study.id for study in my_studies(actor)}
    views = [view for view in learning.list_models(workbench(), actor) if view.study in known]
    if not views:
        empty(t("models_none"), t("models_none_then" if can(actor, "model.train") else "models_none_wait"))
        return
    lines = [(kind_name(view), view.evaluation["metrics"]) for view in views]
    show(
        heading(t("models_compare")),
        interval_chart([(name, *_interval(m, "auroc")) for name, m in lines]),
        _comparison(lines),
    )
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = chooser("models", [_entry(view) for view in views])
    with right:
        view = next((view for view in views if chosen in {view.id, view.digest}), None)
        if view is None:
            raise Refused("store.no_document", ref=chosen)
        _detail(actor, view)


def kind_name(view: ModelView) -> str:
    """Return a model's kind in words."""
    return say(f"model.kind_{view.kind}", lang())


def _entry(view: ModelView) -> Entry:
    return Entry(
        view.id, kind_name(view), t("model_entry", id=view.id, auroc=decimal(view.evaluation["metrics"]["auroc"]))
    )


def _interval(metrics: dict[str, Any], name: str) -> tuple[float | None, float | None, float | None]:
    return metrics[name], metrics[f"{name}_low"], metrics[f"{name}_high"]


def _written(metrics: dict[str, Any], name: str) -> str:
    value, low, high = _interval(metrics, name)
    return t("interval", value=decimal(value), low=decimal(low), high=decimal(high))


def _comparison(lines: list[tuple[str, dict[str, Any]]]) -> Html:
    rows = [
        (
            name,
            _written(m, "auroc"),
            decimal(m["auprc"]),
            decimal(m["brier"], 3),
            _written(m, "calibration_slope"),
            decimal(m["observed_expected"]),
        )
        for name, m in lines
    ]
    headings = [t("model"), t("auroc"), t("auprc"), t("brier"), t("slope"), t("observed_expected")]
    return table(headings, rows, t("models_caption"), {1, 2, 3, 4, 5})


def _detail(actor: Actor, view: ModelView) -> None:
    metrics, data = view.evaluation["metrics"], view.manifest["data"]
    title = join([kind_name(view), " ", badge(t("synthetic"), "wait") if view.manifest["synthetic"] else ""])
    show(tag("h3", title, "wb-h3"))
    numbers = [
        (t("auroc"), decimal(metrics["auroc"])),
        (t("slope"), decimal(metrics["calibration_slope"])),
        (t("model_test"), _about(data["test"])),
        (t("model_outcomes"), _about(data["test_outcomes"])),
    ]
    show(figures(numbers))
    judged, card, way = st.tabs([t("model_judged"), t("model_card"), t("model_thread")])
    with judged:
        _judged(view)
    with card:
        st.markdown(pick(view.card), anchors=False)
    with way:
        found = tracing.trace(workbench(), actor, view.id)
        show(paragraph(t("model_thread_text"), "wb-quiet"), thread(found.links, view.digest))


def _count(value: int | None) -> str:
    return t("hidden") if value is None else number(value)


def _about(value: int | None) -> str:
    return t("hidden") if value is None else say("governance.about", lang(), value=number(value))


def _judged(view: ModelView) -> None:
    groups = view.evaluation["calibration_groups"]
    show(heading(t("calibration"), 3))
    if groups:
        show(calibration_chart([(group["predicted"], group["observed"]) for group in groups]))
    rows = [
        (decimal(g["predicted"]), decimal(g["observed"]), _count(g["persons"]), _count(g["outcomes"])) for g in groups
    ]
    show(
        table(
            [t("predicted"), t("observed"), t("persons"), t("outcomes")], rows, t("calibration_caption"), {0, 1, 2, 3}
        )
    )
    show(heading(t("subgroups"), 3), _subgroups(view))
    lines = [
        (t("model_id"), join([tag("code", view.id), " ", whole_digest(view.digest)])),
        (t("extract"), tag("code", view.extract)),
        (t("model_made"), t("made_by_at", who=person(view.made_by), when=moment(view.made_at))),
        (t("model_code"), view.manifest["code"]["version"]),
    ]
    show(facts(lines))


def _subgroups(view: ModelView) -> Html:
    rows = []
    for group in view.evaluation["subgroups"]:
        name = _group_name(group)
        if group["hidden"]:
            rows.append((name, t("hidden"), "–", "–", "–"))
        else:
            auroc = t(
                "interval",
                value=decimal(group["auroc"]),
                low=decimal(group["auroc_low"]),
                high=decimal(group["auroc_high"]),
            )
            rows.append(
                (name, _count(group["persons"]), auroc, decimal(group["predicted"]), decimal(group["observed"]))
            )
    headings = [t("group"), t("persons"), t("auroc"), t("predicted"), t("observed")]
    return table(headings, rows, t("subgroups_caption"), {1, 2, 3, 4})


def _group_name(group: dict[str, Any]) -> str:
    if group["by"] == "sex":
        return named("sex", group["group"])
    return t("age_group", band=group["group"].replace("-", "–"))

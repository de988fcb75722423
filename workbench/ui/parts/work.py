"""Work that takes longer than a moment: started in a process of its own, watched, stopped, and its end told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench.governance.actors import Actor
from workbench.kernel.errors import UserError
from workbench.kernel.text import catalogue
from workbench.services import jobs
from workbench.ui.parts.errors import panel
from workbench.ui.state import lang, t, workbench

UNDER_WAY = frozenset({"queued", "running"})


def start(slot: str, actor: Actor, verb: str, args: Mapping[str, Any]) -> None:
    """Submit a verb and remember its job under `slot`; the page is drawn again with its progress."""
    st.session_state[slot] = jobs.submit(workbench(), actor, verb, args)
    st.rerun()


def is_under_way(slot: str, actor: Actor) -> bool:
    """Answer whether the slot's job still works."""
    job_id = st.session_state.get(slot)
    return job_id is not None and jobs.job(workbench(), actor, job_id).state in UNDER_WAY


def watch(slot: str, actor: Actor, done: str) -> bool:
    """Show the slot's job: its progress with a way to stop it, or once how it ended (`done` names the sentence).

    Returns True once, when the job is done.
    """
    job_id = st.session_state.get(slot)
    if job_id is None:
        return False
    row = jobs.job(workbench(), actor, job_id)
    if row.state in UNDER_WAY:
        _progress(slot, actor)
        return False
    del st.session_state[slot]
    if row.state == "done":
        st.success(t(done))
    elif row.state == "stopped":
        st.info(t("job_stopped"))
    else:
        panel(_error(row.error, job_id))
    return row.state == "done"


def _error(code: str | None, job_id: int) -> UserError:
    """Return the error that a job ended with; its facts stay in the worker, so sentences with facts are not used."""
    entry = catalogue(lang())["error"].get(code or "")
    if code and entry and not any("{" in part for part in entry.values()):
        return UserError(code)
    return UserError("ui.job_failed", job=job_id, kind=code or "–")


@st.fragment(run_every=0.5)
def _progress(slot: str, actor: Actor) -> None:
    job_id = st.session_state.get(slot)
    row = jobs.job(workbench(), actor, job_id) if job_id is not None else None
    if row is None or row.state not in UNDER_WAY:
        st.rerun()
        return
    st.progress(row.share / 1000, text=t("job_running", step=row.progress or "…"))
    if st.button(t("job_stop"), key=f"{slot}_stop"):
        jobs.stop(workbench(), actor, row.id)

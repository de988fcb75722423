"""One browser and one served copy of the demonstration home for all tests of the app in a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.homes import copy_home
from tests.ui.served import App, Visit, serving, visiting
from workbench.kernel.settings import load_settings
from workbench.services import people, requests, studies
from workbench.services.context import open_workbench
from workbench.services.demo import REQUEST, STUDY

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Streamlit's `AppTest` leaves its script as the main module; processes that are spawned later would run it."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """A real Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app, served on a copy of the demonstration home with one request that waits and one that is approved."""
    home = copy_home(finished_demo, tmp_path_factory.mktemp("served"))
    waiting, approved = _prepare(home)
    with serving(home) as url:
        yield App(url, home, waiting, approved)


def _prepare(home: Path) -> tuple[str, str]:
    wb = open_workbench(load_settings(home, {}))
    try:
        researcher, officer = people.actor_named(wb, "researcher"), people.actor_named(wb, "ethics")
        persons = {"tables": {"person": ["age_at_index", "gender_concept_id"]}}
        small = {**REQUEST, "tables": {"person": ["age_at_index"]}, "outcomes": []}
        waiting = requests.file_request(wb, researcher, STUDY, {**REQUEST, **persons})
        approved = requests.file_request(wb, researcher, STUDY, small)
        digest = studies.show_study(wb, officer, STUDY).digest
        requests.decide(wb, officer, approved.id, "approved", protocol_digest=digest, reason="Minimal.")
    finally:
        wb.close()
    return waiting.id, approved.id


@pytest.fixture
def visit(app: App, browser: Browser) -> Iterator[Visit]:
    """One person's browser."""
    with visiting(app, browser) as visit:
        yield visit

"""The app served on a copy of the demonstration home, and a visitor in a real browser who writes down what happens."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

SCREENSHOTS = Path(__file__).parent.parent / "screenshots"
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
RESEARCHER, SCIENTIST, OFFICER = "Camille Moreau", "Karim Benali", "Hélène Roy"
PATIENCE_MS = 20_000
"""Two tests share two cores, and each of them serves an app."""
ACCOUNTS = ("researcher", "datascientist", "ethics")


@dataclass(frozen=True)
class App:
    """A served app: its address, its home, and the requests that the tests prepared in it."""

    url: str
    home: Path
    waiting: str = ""
    approved: str = ""


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(home: Path, port: int | None = None, **settings: str) -> Iterator[str]:
    """Serve a home's app as the command line does, with more settings, and give its address once it answers."""
    port = port or free_port()
    command = [sys.executable, "-m", "workbench", "serve", "--port", str(port), "--home", str(home)]
    environment = {**os.environ, "WORKBENCH_LANG": "fr", "WORKBENCH_MLRUNS": str(home.parent / "mlruns"), **settings}
    with (home.parent / "serve.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(900):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not answer")


@dataclass
class Visit:
    """One person's browser: a page, and all that it asked for or complained of."""

    app: App
    context: BrowserContext
    page: Page
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page of the app and wait until it is drawn."""
        self.page.goto(self.app.url + path)
        self.ready()

    def ready(self) -> None:
        """Wait until the app has drawn all it has to."""
        self.page.wait_for_selector(READY)

    def sign_in(self, name: str, lang: str = "fr", after: str = "/") -> None:
        """Sign in as a person of the demonstration, going on to a page of the app."""
        self.page.goto(f"{self.app.url}{after}?lang={lang}")
        self.page.get_by_role("button", name=name).click()
        self.ready()
        expect(self.page.locator(".wb-who")).to_contain_text(name)

    def go(self, label: str) -> None:
        """Follow a link of the navigation."""
        self.page.get_by_test_id("stSidebar").get_by_role("link", name=label, exact=True).click()
        expect(self.page.get_by_role("heading", level=1, name=label)).to_be_visible()
        self.ready()

    def choose(self, name: str) -> None:
        """Follow a line of a page's list, and wait for the thing it leads to: what stands there before is another's."""
        self.page.get_by_role("link", name=name).click()
        expect(self.page.get_by_role("heading", level=3, name=name)).to_be_visible()
        self.ready()

    def shot(self, name: str) -> None:
        """Keep a picture of the page, to be looked at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def outside(self) -> list[str]:
        """Return the addresses that are not the server's own."""
        own = (self.app.url + "/", self.app.url.replace("http", "ws", 1) + "/", "data:", f"blob:{self.app.url}/")
        return [address for address in self.addresses if not address.startswith(own)]

    def telling(self) -> list[str]:
        """Return the addresses that hold somebody's account or a session's token."""
        tokens = [str(cookie.get("value")) for cookie in self.context.cookies() if "session" in str(cookie.get("name"))]
        secret = re.compile("|".join(re.escape(word) for word in (*ACCOUNTS, *tokens)))
        return [address for address in self.addresses if secret.search(address)]


@contextmanager
def visiting(app: App, browser: Browser) -> Iterator[Visit]:
    """Give a browser of one's own; at the end it must have asked nobody else and complained of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 2600}, locale="fr-FR")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    visit = Visit(app, context, page)
    page.on("request", lambda request: visit.addresses.append(request.url))
    page.on("websocket", lambda socket: visit.addresses.append(socket.url))
    page.on("console", lambda message: _note(visit, message))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    try:
        yield visit
        assert visit.outside() == []
        assert visit.complaints == []
        assert visit.telling() == []
    finally:
        context.close()


def _note(visit: Visit, message: Any) -> None:
    if message.type in {"error", "warning"}:
        visit.complaints.append(f"{message.text} ({message.location.get('url')})")

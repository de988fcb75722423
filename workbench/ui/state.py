"""What a page knows of its surroundings: the open workbench, the language and the parameters of its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import streamlit as st

from workbench.kernel.html import typeset
from workbench.kernel.text import Lang, say
from workbench.services.context import Workbench
from workbench.services.counting import LiveCounter
from workbench.services.provider import Provider

T = TypeVar("T")


@dataclass(frozen=True)
class Serving:
    """What this process serves: one workbench, on one port of the loopback address."""

    workbench: Workbench
    port: int


class _Held:
    now: Serving | None = None
    counter: LiveCounter | None = None
    provider: Provider | None = None


def start(serving: Serving) -> None:
    """Say what this process serves; one process serves one workbench."""
    openid = serving.workbench.settings.openid
    _Held.now, _Held.provider = serving, Provider(openid) if openid else None


def serving() -> Serving:
    """Return what this process serves."""
    if _Held.now is None:
        raise RuntimeError("The app was asked for a page before it was started.")
    return _Held.now


def workbench() -> Workbench:
    """Return the open workbench."""
    return serving().workbench


def provider() -> Provider:
    """Return the hospital's provider, where people sign in by one."""
    if _Held.provider is None:
        raise RuntimeError("The app was asked for a provider that its settings do not name.")
    return _Held.provider


def counter() -> LiveCounter:
    """Return what counts definitions while they are edited: one process for all pages, started by its first count."""
    if _Held.counter is None:
        _Held.counter = LiveCounter(workbench())
    return _Held.counter


def language_of(parameter: str | None) -> Lang:
    """Return the language that an address asks for, else the installation's own."""
    if parameter == "en":
        return "en"
    return "fr" if parameter == "fr" else workbench().settings.lang


def lang() -> Lang:
    """Return the language of the page being drawn (`?lang=`)."""
    return language_of(st.query_params.get("lang"))


def t(key: str, **facts: object) -> str:
    """Return a sentence of the `ui` catalogue in the page's language."""
    return typeset(say(f"ui.{key}", lang(), **facts))


def pick(words: Mapping[Lang, T]) -> T:
    """Return the page's language of something given in both."""
    return words[lang()]


def parameter(name: str) -> str | None:
    """Return a parameter of the page's address, or None where it is absent or empty."""
    return st.query_params.get(name) or None


def study_filter() -> str | None:
    """Return the study that the address narrows the pages to, or None for all of the person's studies."""
    return parameter("study")


def parameters(**named: str | None) -> dict[str, str]:
    """Return the parameters of a link within the app: the language and the study are kept, empty ones left out."""
    kept: dict[str, str | None] = {"lang": lang(), "study": study_filter(), **named}
    return {name: value for name, value in kept.items() if value}


def href(path: str, **named: str | None) -> str:
    """Return the address of a page of this app, in the page's language."""
    return f"/{path}?{urlencode(parameters(**named))}"

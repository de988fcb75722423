"""The app's one style of error: what happened, what was not done, what to do, and a reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workbench.kernel.errors import UserError
from workbench.ui.parts.markup import facts, show, tag
from workbench.ui.state import lang, t


def panel(error: UserError) -> None:
    """Show an answer that is no."""
    text = error.text(lang())
    lines = [
        (t("error_what"), text.what),
        (t("error_not_done"), text.not_done),
        (t("error_do"), text.do),
        (t("error_reference"), tag("code", text.reference)),
    ]
    show(tag("section", facts(lines), "wb-error", role="alert"))


def unexpected(reference: str) -> None:
    """Show that the app itself failed; the details are in the server's own log under the same reference."""
    panel(UserError("ui.unexpected", reference=reference))


@contextmanager
def answering() -> Iterator[None]:
    """Show a user error of the block as a panel, and go on with the page."""
    try:
        yield
    except UserError as error:
        panel(error)

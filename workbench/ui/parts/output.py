"""An output drawn: its checks, and its file without anything in it being run."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from workbench.governance.airlock.content import Sheet, prepare
from workbench.governance.airlock.verdicts import Check, Verdict
from workbench.kernel.text import say
from workbench.services.outputs import OutputView
from workbench.ui.parts.markup import Html, badge, paragraph, show, table, tag
from workbench.ui.parts.words import number
from workbench.ui.state import lang, t

LINES = 200
"""Lines of a table that a page shows; the rest is in the file."""

_TONES: dict[Verdict, str] = {"passed": "good", "to_review": "wait", "failed": "bad"}
_ORDER: tuple[Verdict, ...] = ("failed", "to_review", "passed")
_PICTURES = {".svg": "image/svg+xml", ".png": "image/png"}


def checks_table(checks: Sequence[Check]) -> Html:
    """Return what the checks found, the worst first."""
    rows = [
        (badge(say(f"airlock.verdict_{check.verdict}", lang()), _TONES[check.verdict]), check.name(lang()),
         check.text(lang()))
        for check in sorted(checks, key=lambda check: _ORDER.index(check.verdict))
    ]  # fmt: skip
    return table([t("output_verdict"), t("output_check"), t("output_found")], rows, t("output_checks_caption"))


def draw_file(view: OutputView, raw: bytes) -> None:
    """Draw a file: a table as escaped text, a picture as an image (in which no script runs), a notebook's sources."""
    kind = view.document["kind"]
    if kind == "table":
        sheet = prepare(view.name, raw).sheet
        assert sheet is not None
        show(sheet_table(sheet))
    elif kind == "figure":
        suffix = view.name[view.name.rindex(".") :].lower()
        source = f"data:{_PICTURES[suffix]};base64,{base64.b64encode(raw).decode()}"
        show(tag("img", "", "wb-picture", src=source, alt=t("output_picture", name=view.name)))
    elif kind == "notebook":
        cells = json.loads(raw)["cells"]
        show(*(tag("pre", cell["source"], "wb-cell") for cell in cells))
    else:
        show(paragraph(t("output_model", size=number(len(raw) / 1000)), "wb-quiet"))


def sheet_table(sheet: Sheet) -> Html:
    """Return a table's first lines, each with its number in the file."""
    shown = sheet.lines[:LINES]
    rows = [(str(place), *line) for place, line in enumerate(shown, 2)]
    caption = t("output_table_caption", shown=number(len(shown)), all=number(len(sheet.lines)))
    return table([t("output_line"), *sheet.names], rows, caption, {0})

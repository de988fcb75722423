"""A file's automatic checks, with what they need from the workspace: the extract's rows, the study's models and key."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from workbench.governance.actors import Actor
from workbench.governance.airlock import content as contents
from workbench.governance.airlock import figures, identifiers
from workbench.governance.airlock import judge as rules
from workbench.governance.airlock.compose import compose
from workbench.governance.airlock.content import Content
from workbench.governance.airlock.declaration import read_declaration
from workbench.governance.airlock.differencing import Told, check_differencing
from workbench.governance.airlock.judge import Judged as Checked
from workbench.governance.airlock.verdicts import Check, doubtful, passed
from workbench.governance.keys import derive
from workbench.kernel.errors import InvalidInput
from workbench.services import learning
from workbench.services.context import Workbench
from workbench.services.extracts import ExtractView

_KEY = "airlock"
"""What the study's key for remembering sets of persons is derived for."""


_LONG_NUMBER: Final = re.compile(r"\d(?:\D?\d){5,}")


@dataclass(frozen=True)
class Judged:
    """What the checks found, the persons behind each number, and the model's digest where the file is one of ours."""

    checks: tuple[Check, ...]
    numbers: tuple[Told, ...]
    model: str | None = None


def prepared(name: str, raw: bytes) -> Content:
    """Return a file as it would leave; raises as `governance.airlock.content.prepare`."""
    content = contents.prepare(name, raw)
    return figures.prepare_svg(content) if content.suffix == ".svg" else content


def composed(
    declaration: Mapping[str, Any], tables: Mapping[str, pl.DataFrame], secret: bytes,
    released: Mapping[str, Sequence[Told]], *, totals: bool,
) -> bytes:  # fmt: skip
    """Return the table that a declaration names, made so that it can leave; raises as `airlock.compose.compose`."""
    declared = read_declaration(declaration)
    return compose(declared, tables, derive(secret, _KEY), released, totals=totals)


def check_said(tables: Mapping[str, pl.DataFrame], *texts: str) -> None:
    """Check what goes with a file (its name, its context): neither may hold an identifier of the extract.

    Raises `InvalidInput` (`airlock.said_identifier`) before anything is kept, so that the log does not hold it either.
    """
    if any(_LONG_NUMBER.search(text) for text in texts):
        known = identifiers.identifiers(tables)
        if any(identifiers.holds_identifier(text, known) for text in texts):
            raise InvalidInput("airlock.said_identifier")


def judge(
    wb: Workbench, actor: Actor, view: ExtractView, content: Content, declaration: Mapping[str, Any] | None,
    tables: Mapping[str, pl.DataFrame], secret: bytes,
) -> Judged:  # fmt: skip
    """Check a prepared file against the rows of its extract, all but what was released before.

    Sets of persons are kept under a key of the study's own: extracts of one study share their pseudonyms.
    """
    if declaration is not None and content.kind not in {"table", "figure"}:
        raise InvalidInput("airlock.declaration_unfit")
    declared = read_declaration(declaration) if declaration is not None else None
    key = derive(secret, _KEY)
    if content.kind == "table":
        return _plain(rules.judge_table(content, declared, tables, key))
    if content.kind == "figure":
        return _plain(rules.judge_figure(content, declared, tables, key))
    if content.kind == "notebook":
        return _plain(rules.judge_notebook(content, tables))
    return _model(wb, actor, view, content)


def compared(judged: Judged, released: Mapping[str, Sequence[Told]]) -> tuple[Check, ...]:
    """Return all checks, the comparison with what was released among them where there is anything to compare."""
    return (*judged.checks, check_differencing(judged.numbers, released)) if judged.numbers else judged.checks


def model_named(wb: Workbench, actor: Actor, view: ExtractView, ref: str | None) -> str | None:
    """Return the digest of a model of this extract; raises `InvalidInput` (`airlock.other_model`) where it is none."""
    if ref is None:
        return None
    model = learning.show_model(wb, actor, ref)
    if model.extract != view.id:
        raise InvalidInput("airlock.other_model", model=model.id)
    return model.digest


def _plain(judged: Checked) -> Judged:
    return Judged(judged.checks, judged.numbers)


def _model(wb: Workbench, actor: Actor, view: ExtractView, content: Content) -> Judged:
    """A model is known by its parameters; how many persons it was learned from, its manifest tells."""
    # Late: scikit-learn costs seconds that other outputs should not pay.
    from workbench.models.leaving import check_model  # noqa: PLC0415
    from workbench.models.persist import estimator_digest, load  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skops"
        path.write_bytes(content.raw)
        try:
            fitted = load(path)
        except MemoryError:  # an array's own header may name any size
            raise InvalidInput("airlock.unreadable", name=content.name) from None
    digest = estimator_digest(fitted)
    ours = [model for model in learning.list_models(wb, actor) if model.extract == view.id]
    known = next((model for model in ours if model.manifest["estimator_digest"] == digest), None)
    if known is None:
        found = [check for check in check_model(fitted, 0) if check.code != "parameters"]
        return Judged((doubtful("known_model"), doubtful("differencing_unknown"), *found), ())
    found = (passed("known_model", model=known.id), doubtful("differencing_unknown"))
    return Judged((*found, *check_model(fitted, known.manifest["data"]["train"] or 0)), (), known.digest)

"""`workbench features` and `workbench model`: on extracts only."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.common import (
    As,
    Home,
    Json,
    day,
    give,
    language,
    opened,
    progress_bar,
    read_json,
    table,
    tell,
    words,
)
from workbench.services import learning
from workbench.services.learning import ModelView

app = typer.Typer(no_args_is_help=True, help="Models on extracts: train, evaluate, list, card.")
features_app = typer.Typer(no_args_is_help=True, help="Features of an extract: build, list.")
Ref = Annotated[str, typer.Argument(help="A model's id or digest.")]


@features_app.command("build")
def build(
    extract: Annotated[str, typer.Argument(help="An extract's id or digest.")],
    design: Annotated[Path | None, typer.Option("--design", help="A study design as JSON (else the default).")] = None,
    home: Home = None,
    as_name: As = None,
    as_json: Json = False,
) -> None:
    """Build the features of an extract; nothing after the index day can enter."""
    with opened(home, as_name) as (wb, actor), progress_bar(words("building")) as progress:
        chosen = read_json(design) if design else None
        view = learning.build_features(wb, actor, extract, chosen, progress)
    give(as_json, {"state": "built", **asdict(view)}, words("features", id=view.id, digest=view.digest))


@features_app.command("list")
def list_features(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the feature sets of your studies."""
    with opened(home, as_name) as (wb, actor):
        views = learning.list_features(wb, actor)
    give(as_json, [asdict(view) for view in views])
    if not as_json:
        rows = [(v.id, v.study, v.extract, day(v.made_at)) for v in views]
        table([words(name) for name in ("id", "study_name", "extract_id", "made")], rows)


@app.command("train")
def train(
    features: Annotated[str, typer.Argument(help="A feature set's id or digest.")],
    home: Home = None, as_name: As = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Train and judge the models of the design, write their cards, record them in MLflow."""
    with opened(home, as_name) as (wb, actor), progress_bar(words("training")) as progress:
        views = learning.train(wb, actor, features, progress)
    _show(views, as_json)


@app.command("list")
def list_(home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """List the models of your studies."""
    with opened(home, as_name) as (wb, actor):
        views = learning.list_models(wb, actor)
    _show(views, as_json)


@app.command("evaluate")
def evaluate(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Print a model's evaluation on held-out patients; small cells are hidden."""
    with opened(home, as_name) as (wb, actor):
        view = learning.show_model(wb, actor, ref)
    give(as_json, {"id": view.id, "digest": view.digest, "state": "evaluated", "evaluation": view.evaluation})
    if not as_json:
        tell(json.dumps(view.manifest["metrics"], indent=1))


@app.command("card")
def card(ref: Ref, home: Home = None, as_name: As = None, as_json: Json = False) -> None:
    """Print a model's card."""
    with opened(home, as_name) as (wb, actor):
        view = learning.show_model(wb, actor, ref)
    give(as_json, {"id": view.id, "digest": view.digest, "state": "trained", "card": view.card}, view.card[language()])


def _show(views: list[ModelView], as_json: bool) -> None:
    give(as_json, [{"state": "trained", **asdict(view)} for view in views])
    if not as_json:
        lines(views)


def lines(views: list[ModelView]) -> None:
    """Print models as a table: discrimination with its interval, calibration, id."""
    table([words(name) for name in ("model", "auroc", "brier", "slope", "id")], [_line(view) for view in views])


def _line(model: ModelView) -> tuple[str, ...]:
    metrics: dict[str, Any] = model.manifest["metrics"]
    interval = (
        f"{_number(metrics['auroc'], 3)} ({_number(metrics['auroc_low'], 3)}–{_number(metrics['auroc_high'], 3)})"
    )
    return model.kind, interval, _number(metrics["brier"], 3), _number(metrics["calibration_slope"], 2), model.id


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def register(root: typer.Typer) -> None:
    """Add this group of verbs to the command line."""
    root.add_typer(app, name="model")
    root.add_typer(features_app, name="features")

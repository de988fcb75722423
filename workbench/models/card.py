"""The model card, in French and English: for whom the model is, what it was learned from, how well it does, its limits.

Everything in it comes from the manifest and the evaluation document, which hold no small cell and no person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.kernel.text import Lang, catalogue, say

INTERVALS = ("auroc", "calibration_in_the_large", "calibration_intercept", "calibration_slope")
PLAIN = ("auprc", "brier", "observed_expected", "e_average", "e_90", "outcome_rate")


def render(manifest: Mapping[str, Any], evaluation: Mapping[str, Any], design: Mapping[str, Any], lang: Lang) -> str:
    """Return the card of a model as Markdown in one language."""
    say_ = _Speaker(lang)
    parts = [
        f"# {say_('card_title', kind=say_('kind_' + manifest['kind']))}",
        say_("card_synthetic") if manifest["synthetic"] else "",
        *_use(design, say_),
        *_data(manifest, design, say_),
        *_performance(evaluation, say_),
        *_calibration(evaluation, say_),
        *_subgroups(evaluation, say_),
        *_weights(evaluation, manifest["kind"], say_),
        *_limits(manifest, say_),
        *_thread(manifest, say_),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


class _Speaker:
    """Says the words of one language and writes its numbers."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang

    def __call__(self, key: str, **facts: object) -> str:
        return say(f"model.{key}", self.lang, **facts)

    def known(self, key: str) -> bool:
        """Tell whether the catalogue has this key."""
        return f"model.{key}" in catalogue(self.lang)["text"]

    def number(self, value: float | None, digits: int = 3) -> str:
        """Return a decimal number as this language writes it; a dash for what could not be computed."""
        if value is None:
            return "–"
        text = f"{value:.{digits}f}"
        return text.replace(".", ",").replace("-", "−") if self.lang == "fr" else text.replace("-", "−")

    def count(self, value: int | None) -> str:
        """Return a number of persons as governance shows it."""
        if value is None:
            return self("card_hidden")
        return f"{value:,}".replace(",", "\u202f") if self.lang == "fr" else f"{value:,}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _use(design: Mapping[str, Any], say_: _Speaker) -> list[str]:
    days = design["time_at_risk"]
    return [
        f"## {say_('card_use')}",
        say_("card_use_text", target=design["target"], outcome=design["outcome"], first=days["start_day"],
             last=days["end_day"]),
        say_("card_not_for"),
    ]  # fmt: skip


def _data(manifest: Mapping[str, Any], design: Mapping[str, Any], say_: _Speaker) -> list[str]:
    data = manifest["data"]
    rows = [
        [say_("card_train"), say_.count(data["train"]), say_.count(data["train_outcomes"])],
        [say_("card_test"), say_.count(data["test"]), say_.count(data["test_outcomes"])],
    ]
    windows = ", ".join(
        f"{window['name']} ({'…' if window['from_day'] is None else window['from_day']} … {window['to_day']})"
        for window in design["windows"]
    )
    return [
        f"## {say_('card_data')}",
        say_("card_data_text", study=manifest["study"], covariates=say_.count(data["covariates"]), windows=windows),
        _table([say_("card_part"), say_("card_persons"), say_("card_outcomes")], rows),
    ]


def _performance(evaluation: Mapping[str, Any], say_: _Speaker) -> list[str]:
    metrics = evaluation["metrics"]
    ranged = [[say_(f"metric_{name}"), say_.number(metrics[name]), _range(metrics, name, say_)] for name in INTERVALS]
    plain = [[say_(f"metric_{name}"), say_.number(metrics[name]), ""] for name in PLAIN]
    return [
        f"## {say_('card_performance')}",
        say_("card_performance_text"),
        _table([say_("card_metric"), say_("card_value"), say_("card_interval")], [*ranged, *plain]),
    ]


def _range(values: Mapping[str, Any], name: str, say_: _Speaker) -> str:
    low, high = values[f"{name}_low"], values[f"{name}_high"]
    return "–" if low is None else say_("card_range", low=say_.number(low), high=say_.number(high))


def _calibration(evaluation: Mapping[str, Any], say_: _Speaker) -> list[str]:
    rows = [
        [say_.count(group["persons"]), say_.count(group["outcomes"]), say_.number(group["predicted"], 2),
         say_.number(group["observed"], 2)]
        for group in evaluation["calibration_groups"]
    ]  # fmt: skip
    head = [say_("card_persons"), say_("card_outcomes"), say_("card_predicted"), say_("card_observed")]
    return [f"## {say_('card_calibration')}", say_("card_calibration_text"), _table(head, rows)]


def _subgroups(evaluation: Mapping[str, Any], say_: _Speaker) -> list[str]:
    hidden = say_("card_hidden")
    rows = [
        [_group_name(row, say_), *([hidden] * 4)]
        if row["hidden"]
        else [
            _group_name(row, say_),
            say_.count(row["persons"]),
            say_.number(row["auroc"]) + " (" + _range(row, "auroc", say_) + ")",
            say_.number(row["predicted"], 2),
            say_.number(row["observed"], 2),
        ]
        for row in evaluation["subgroups"]
    ]
    head = [
        say_("card_group"),
        say_("card_persons"),
        say_("metric_auroc"),
        say_("card_predicted"),
        say_("card_observed"),
    ]
    return [f"## {say_('card_subgroups')}", say_("card_subgroups_text"), _table(head, rows)]


def _group_name(row: Mapping[str, Any], say_: _Speaker) -> str:
    if row["by"] == "sex":
        key = f"sex_{row['group']}"
        return say_(key) if say_.known(key) else say_("sex_other")
    if row["group"].endswith("+"):
        return say_("age_from", first=row["group"][:-1])
    first, last = row["group"].split("-")
    return say_("age_between", first=first, last=last)


def _weights(evaluation: Mapping[str, Any], kind: str, say_: _Speaker) -> list[str]:
    if not evaluation["weights"]:
        return [f"## {say_('card_weights')}", say_("card_no_weights")]
    rows = [
        [_covariate_name(row, say_), say_(f"table_{row['table']}"), row["window"], say_.number(row["weight"])]
        for row in evaluation["weights"]
    ]
    head = [say_("card_covariate"), say_("card_table"), say_("card_window"), say_("card_weight")]
    return [f"## {say_('card_weights')}", say_(f"card_weights_{kind}"), _table(head, rows)]


def _covariate_name(row: Mapping[str, Any], say_: _Speaker) -> str:
    concept = row["id"] // 1000
    if row["analysis"] == "gender":
        return _group_name({"by": "sex", "group": str(concept)}, say_)
    if row["analysis"] == "age_group":
        group = "90+" if concept * 5 >= 90 else f"{concept * 5}-{concept * 5 + 4}"
        return _group_name({"by": "age", "group": group}, say_)
    if row["analysis"] in {"age", "count"}:
        return say_(f"covariate_{row['analysis']}")
    return say_("covariate_last_value", name=row["name"]) if row["analysis"] == "last_value" else row["name"]


def _limits(manifest: Mapping[str, Any], say_: _Speaker) -> list[str]:
    keys = ["limit_sample", "limit_external", "limit_absent", "limit_causes", "limit_prior", "limit_disclosure"]
    if manifest["synthetic"]:
        keys.insert(0, "limit_synthetic")
    facts = {"threshold": manifest["disclosure"]["threshold"], "rounding": manifest["disclosure"]["rounding"]}
    return [f"## {say_('card_limits')}", "\n".join(f"- {say_(key, **facts)}" for key in keys)]


def _thread(manifest: Mapping[str, Any], say_: _Speaker) -> list[str]:
    links = {
        "target": manifest["cohorts"]["target"],
        **{f"outcome {place}": digest for place, digest in enumerate(manifest["cohorts"]["outcomes"], start=1)},
        **{name: manifest[name] for name in ("extract", "design", "features", "evaluation_digest", "estimator_digest")},
    }
    names = {"target": say_("thread_target")} | {
        name: say_(f"thread_{name}")
        for name in ("extract", "design", "features", "evaluation_digest", "estimator_digest")
    }
    rows = [[names.get(name, say_("thread_outcome")), f"`{digest}`"] for name, digest in links.items()]
    packages = ", ".join(f"{name} {version}" for name, version in manifest["code"]["packages"].items())
    return [
        f"## {say_('card_thread')}",
        _table([say_("card_link"), say_("card_digest")], rows),
        say_("card_code", version=manifest["code"]["version"], packages=packages),
    ]

"""What is planted: the probabilities from which outcomes and treatments are drawn, and what can be known of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.hospital.chance import Flags, Ints, logistic
from workbench.hospital.data import diseases, planted
from workbench.hospital.days import NEVER
from workbench.hospital.illness import Illness
from workbench.hospital.people import People

Scores = NDArray[np.float64]
YEAR = 365
"""Days in which the planted outcome is looked for, after the index."""


def years(days: Ints) -> Ints:
    """Return the calendar year of days."""
    return (np.minimum(days, NEVER).clip(-200_000, 200_000)).astype("datetime64[D]").astype("datetime64[Y]").astype(
        np.int64
    ) + 1970


def age_at(who: People, index: Ints) -> Ints:
    """Return ages as studies count them: the year of the index less the year of birth, 90 at most."""
    return np.clip(years(index) - years(who.birth), 0, 90)


def score(part: str, who: People, ill: Illness, index: Ints, failing: Flags | None = None) -> Scores:
    """Return the log odds that a part of `verites.toml` gives, from what is recorded at the index. `failing` adds
    those known with heart failure otherwise than by their disease. The treatment's term is left to the caller."""
    facts = planted()[part]
    total = facts["constante"] + facts["age"] * (age_at(who, index) - 65) / 10
    for name in facts:
        if name in diseases():
            present = ill.has(name, index)
            present = present | failing if name == "ic" and failing is not None else present
            total = total + facts[name] * present
    return total


def indication(who: People, ill: Illness, index: Ints) -> Scores:
    """Return the probability that the second drug is a gliflozin."""
    return logistic(score("indication", who, ill, index))


def prediction(who: People, ill: Illness, index: Ints) -> Scores:
    """Return the probability of a stay for heart failure in the year after a first metformin."""
    return logistic(score("prediction", who, ill, index))


def effect(who: People, ill: Illness, index: Ints, failing: Flags, treated: Flags | bool) -> Scores:
    """Return the probability of a stay for heart failure in the year after the second drug."""
    return logistic(score("effet", who, ill, index, failing) + planted()["effet"]["traitement"] * np.asarray(treated))


def best_auc(probability: Scores) -> float:
    """Return the area under the curve of the best possible ranking, that by the probabilities themselves.

    For a pair drawn at random, one with and one without the outcome: P(first ranks higher) + half of P(tie).
    """
    if not len(probability):
        return float("nan")
    p, counts = np.unique(probability, return_counts=True)
    events, others = p * counts, (1 - p) * counts
    below = np.concatenate([[0.0], np.cumsum(others)[:-1]])
    return float((events * (below + others / 2)).sum() / (events.sum() * others.sum()))


def odds_ratio(first: Mapping[str, float]) -> float:
    """Return the odds ratio of `treated` against `others`, two mean probabilities."""
    one, two = first["treated"], first["others"]
    return one / (1 - one) / (two / (1 - two))

"""Charts as plain HTML: direct labels, no legend, and the same in words under each for who cannot see it.

Streamlit's `st.html` drops SVG, and its chart libraries bring half a megabyte for a dozen points.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.ui.parts.markup import Html, join, paragraph, tag
from workbench.ui.parts.words import decimal
from workbench.ui.state import t

LOW, HIGH = 0.4, 1.0
"""Ends of the axis of discrimination; 0.5 is chance."""

Interval = tuple[str, float | None, float | None, float | None]
Point = tuple[float, float]


def interval_chart(lines: Sequence[Interval]) -> Html:
    """Return discrimination as points with their 95 % intervals, one line a model (name, value, low, high)."""
    rows = [_interval_line(*line) for line in lines]
    ticks = [
        tag("span", decimal(tick, 1), style=f"left:{_across(tick):.1f}%")
        for tick in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    ]
    axis = tag(
        "div", join([tag("span", ""), tag("span", join(ticks), "wb-track wb-ticks"), tag("span", "")]), "wb-interval"
    )
    chart = tag("div", join([*rows, axis]), "wb-intervals", role="img", aria_label=t("auroc_chart"))
    said = [
        t("auroc_said", name=name, value=decimal(value), low=decimal(low), high=decimal(high))
        for name, value, low, high in lines
    ]
    return tag("figure", join([chart, tag("figcaption", " ".join([*said, t("auroc_read")]))]), "wb-figure")


def _across(value: float) -> float:
    return 100 * (min(max(value, LOW), HIGH) - LOW) / (HIGH - LOW)


def _interval_line(name: str, value: float | None, low: float | None, high: float | None) -> Html:
    marks = [tag("i", "", "wb-chance", style=f"left:{_across(0.5):.1f}%")]
    if low is not None and high is not None:
        marks.append(
            tag("i", "", "wb-range", style=f"left:{_across(low):.1f}%;width:{_across(high) - _across(low):.1f}%")
        )
    if value is not None:
        marks.append(tag("i", "", "wb-dot", style=f"left:{_across(value):.1f}%"))
    label = t("interval", value=decimal(value), low=decimal(low), high=decimal(high))
    return tag(
        "div", join([tag("span", name), tag("span", join(marks), "wb-track"), tag("span", label)]), "wb-interval"
    )


def calibration_chart(points: Sequence[Point]) -> Html:
    """Return observed against predicted risk, one point a group of predicted risk; on the diagonal they agree."""
    top = min(1.0, _rounded_up(max(max(point) for point in points) * 1.1))
    marks = [
        tag("i", "", "wb-dot", style=f"left:{100 * predicted / top:.1f}%;bottom:{100 * observed / top:.1f}%")
        for predicted, observed in points
    ]
    across = [tag("span", decimal(top * part / 4), "wb-x", style=f"left:{25 * part}%") for part in range(5)]
    up = [tag("span", decimal(top * part / 4), "wb-y", style=f"bottom:{25 * part}%") for part in range(5)]
    names = [
        tag("b", t("predicted"), "wb-x-name"),
        tag("b", t("observed"), "wb-y-name"),
        tag("em", t("calibration_even")),
    ]
    plot = tag("div", join([*marks, *across, *up, *names]), "wb-plot", role="img", aria_label=t("calibration_chart"))
    said = " ".join(t("calibration_said", predicted=decimal(p), observed=decimal(o)) for p, o in points)
    return tag("figure", join([plot, paragraph(t("calibration_read")), tag("figcaption", said)]), "wb-figure")


def _rounded_up(value: float) -> float:
    """Return the next multiple of 0.2: its quarters read well on an axis."""
    return -(-value // 0.2) * 0.2

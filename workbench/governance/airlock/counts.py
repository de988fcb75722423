"""Counts: hidden below 11 persons, multiples of 5 else, percentages from what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.governance.airlock.cells import Cells, Key
from workbench.governance.airlock.declaration import Declaration, Measure
from workbench.governance.airlock.sheets import Line, is_hidden, number_of
from workbench.governance.airlock.verdicts import Check, judged
from workbench.governance.disclosure import BASE, THRESHOLD, rounded


def shown_count(line: Line, measure: Measure) -> int | None:
    """Return how a line's true number may be shown: rounded; None below 11 persons, events likewise."""
    return value_of(line.cell.persons, line.cell.rows.height, measure)


def value_of(persons: int, rows: int, measure: Measure) -> int | None:
    """Return how a number of persons, or of their rows, may be shown."""
    if persons < THRESHOLD:
        return None
    return rounded(rows if measure.rows else persons)


def check_small(lines: Sequence[Line], declaration: Declaration) -> Check:
    """Check that no number of any kind is shown of fewer than 11 persons (governance.md: 1–10 hidden)."""
    wrong = [
        line.number
        for line in lines
        for measure in declaration.measures
        if line.cell.persons < THRESHOLD and not is_hidden(line.texts[measure.name])
    ]
    return judged("small_cells", wrong, threshold=THRESHOLD)


def check_rounding(lines: Sequence[Line], declaration: Declaration) -> list[Check]:
    """Check that each shown count is the true one rounded to 5: the file's and the extract's agree, exactly."""
    counts = [measure for measure in declaration.measures if measure.role == "count"]
    if not counts:
        return []
    unrounded: list[int] = []
    other: list[int] = []
    for line in lines:
        for measure in counts:
            if line.cell.persons < THRESHOLD or is_hidden(line.texts[measure.name]):
                continue
            number = number_of(line.texts[measure.name])
            if number is None or number % BASE:
                unrounded.append(line.number)
            elif number != shown_count(line, measure):
                other.append(line.number)
    return [judged("rounding", unrounded, base=BASE), judged("counts_agree", other)]


def check_percent(lines: Sequence[Line], declaration: Declaration, cells: Cells) -> list[Check]:
    """Check that each percentage follows from two counts as they are shown, and so tells nothing more."""
    wrong: list[int] = []
    percents = [measure for measure in declaration.measures if measure.role == "percent"]
    if not percents:
        return []
    counts = {measure.name: measure for measure in declaration.measures if measure.role == "count"}
    for measure in percents:
        count = counts[measure.of or ""]
        hidden = {line.key for line in lines if is_hidden(line.texts[count.name])}
        for line in lines:
            text = line.texts[measure.name]
            if line.cell.persons < THRESHOLD or is_hidden(text):
                continue
            whole_key = whole_of(line.key, measure, declaration)
            whole = cells.at(whole_key)
            part, total = shown_count(line, count), value_of(whole.persons, whole.rows.height, count)
            told = {line.key, whole_key} & hidden
            if told or part is None or total is None or not _fits(text, 100 * part / total):
                wrong.append(line.number)
    return [judged("percent", wrong)]


def whole_of(key: Key, percent: Measure, declaration: Declaration) -> Key:
    """Return the cell that a line's percentage is of."""
    return tuple(
        label if group.name in percent.within else None for label, group in zip(key, declaration.groups, strict=True)
    )


def _fits(text: str, value: float) -> bool:
    number = number_of(text.replace("%", ""))
    return number is not None and abs(number - value) <= 0.5 * 10.0 ** -decimals(text) + 1e-9


def decimals(text: str) -> int:
    """Return how many decimals a written number has."""
    plain = text.strip().rstrip("% \u00a0\u202f").replace(",", ".").lower()
    mantissa, _, exponent = plain.partition("e")
    shift = int(exponent) if exponent.lstrip("+-").isdigit() else 0
    return len(mantissa.partition(".")[2]) - shift

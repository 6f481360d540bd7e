"""Reputation (A5): a bad name of the client's, as marked by people from 1 (bad) to 5 (good)."""

from typing import Any

from features.contract import Business, Column, Signal
from features.measures import Latest, Measure, last_day, thousandths, window
from features.ratios import share


def _is_mark(rows: Any) -> Any:
    return rows.kind == "reputation"


def _milli(rows: Any) -> Any:
    return thousandths(rows.score)


def measures(_: Business) -> list[Measure]:
    """Marks and their sum in thousandths; the worst ever; the last day."""
    return [
        *window("marks", "surveys", _is_mark, 730),
        *window("marks_milli", "surveys", lambda rows: _is_mark(rows).ifelse(_milli(rows), 0), 730),
        Latest("worst_milli", "surveys", _is_mark, _milli, is_largest=False),
        last_day("last_mark", "surveys", _is_mark),
    ]


COLUMNS = (
    Column("reputation_marks_730", "marks_730", "count", "marks of the client's reputation in the last 730 days", 0),
    Column(
        "reputation_mean_730",
        lambda view: share(view["marks_milli_730"], view["marks_730"] * 1_000),
        "points",
        "mean of those marks, 1 (bad) to 5 (good)",
        None,
        misfit=-1,
        raises="The client's reputation was marked only {reputation_mean_730:.1f} of 5 on average in the last two years "
        "(number of marks: {reputation_marks_730:.0f}).",
        lowers="The client's reputation was marked {reputation_mean_730:.1f} of 5 on average in the last two years "
        "(number of marks: {reputation_marks_730:.0f}).",
    ),
    Column(
        "reputation_worst",
        lambda view: view["worst_milli"] / 1_000,
        "points",
        "the worst mark ever",
        None,
        misfit=-1,
        raises="The worst mark of the client's reputation was {reputation_worst:g} of 5.",
        lowers="The worst mark of the client's reputation was {reputation_worst:g} of 5.",
    ),
    Column("days_since_reputation", lambda view: view.days_since("last_mark"), "days", "days since the last such mark", None),
)

SIGNAL = Signal(
    name="reputation",
    title="Reputation",
    statements=("A5",),
    tables=("surveys",),
    measures=measures,
    columns=COLUMNS,
)

"""Focus fit (A1, A7): how much of what a client buys lies in today's strategic services, and whether it moves towards them.

What it buys: the monthly value of the agreements that run, from their start to their planned end, or on past it if they renew. The weight
of a service is today's, for old agreements too: so a client falls out of focus without doing anything when the business moves on.
Agreements on services of unknown weight are left out; where none of a client's has a value, all count alike.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Edge, Floats, Interval, Measure, Peer, RowValue, every_row, state
from features.ratios import share

OFF_FOCUS_MILLI = 250  # a service of at most this weight is one that we are leaving
PARTS = ("value", "value_weight", "n", "weight")


def measures(business: Business) -> list[Measure]:
    """Value and number of running agreements, each plain and weighted; those signed in the last 365 days; everyone's."""

    def value(rows: Any) -> Any:
        return business.money(rows, "monthly_value")

    def off_focus(rows: Any) -> Any:
        return rows.weight_milli <= OFF_FOCUS_MILLI

    of: dict[str, RowValue] = {
        "value": value,
        "value_weight": lambda rows: value(rows) * rows.weight_milli,
        "n": every_row,
        "weight": lambda rows: rows.weight_milli,
        "off_value": lambda rows: off_focus(rows).ifelse(value(rows), 0),
        "off_n": off_focus,
    }
    table, starts, ends = "strategic_agreements", "starts_on", "ends_on"
    return [
        *(state(name, table, expression, since=starts, until=[ends]) for name, expression in of.items()),
        *(Interval(f"new_{name}", table, of[name], Edge(starts), (Edge(ends), Edge("day", 365))) for name in PARTS),
        *(Peer(f"all_{name}", of=name) for name in PARTS),
    ]


def _weighted(view: View, prefix: str = "") -> Floats:
    """Mean strategic weight by value, or by agreement where none has a value; 0..1."""
    value, value_weight, n, weight = (view[f"{prefix}{name}"] for name in PARTS)
    return _mean_weight(value, value_weight, n, weight)


def _mean_weight(value: Floats, value_weight: Floats, n: Floats, weight: Floats) -> Floats:
    return np.where(value > 0, share(value_weight, value * 1_000), share(weight, n * 1_000))


def _drift(view: View) -> Floats:
    earlier = _mean_weight(*(view[name] - view[f"new_{name}"] for name in PARTS))
    return earlier - _weighted(view, "new_")


COLUMNS = (
    Column("focus_agreements", "n", "count", "agreements that run, on services of a known strategic weight", 0),
    Column(
        "focus_share",
        _weighted,
        "share",
        "running monthly value, weighted by its services' strategic weight of today, as a share of itself",
        None,
        misfit=-1,
        raises="Only {focus_share:.0%} of what the client buys counts as strategic today, each service by its weight.",
        lowers="{focus_share:.0%} of what the client buys counts as strategic today, each service by its weight.",
    ),
    Column(
        "off_focus_share",
        lambda view: np.where(view["value"] > 0, share(view["off_value"], view["value"]), share(view["off_n"], view["n"])),
        "share",
        "share of the running monthly value in services of a strategic weight of 0.25 or less",
        None,
        misfit=1,
        raises="{off_focus_share:.0%} of what the client buys lies in services that we are moving away from.",
        lowers="Only {off_focus_share:.0%} of what the client buys lies in services that we are moving away from.",
    ),
    Column(
        "focus_gap",
        lambda view: _weighted(view, "all_") - _weighted(view),
        "share",
        "the whole portfolio's focus share less the client's",
        None,
        misfit=1,
        yardstick=0,
        raises="What the client buys lies farther from today's strategic services than the portfolio's usual, by {focus_gap:.0%}.",
        lowers="What the client buys lies no farther from today's strategic services than the portfolio's usual.",
    ),
    Column(
        "focus_drift_365",
        _drift,
        "share",
        "focus share of what was signed earlier and still runs less that of what was signed in the last 365 days",
        None,
        misfit=1,
        yardstick=0,
        raises="What the client signed in the last year lies farther from today's strategic services than what it had before, "
        "by {focus_drift_365:.0%}.",
        lowers="What the client signed in the last year lies no farther from today's strategic services than what it had before.",
    ),
)

SIGNAL = Signal(
    name="focus_fit",
    title="Focus fit",
    statements=("A1", "A7"),
    tables=("agreements", "services"),
    also=("strategic_agreements",),
    measures=measures,
    columns=COLUMNS,
)

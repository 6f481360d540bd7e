"""Referrals and ties (D5, A6): clients tied to this one – by referral, ownership or partnership – that left us, or that we let go.

A client whose neighbour leaves is likelier to follow, most in the weeks after it (Nitzan & Libai 2011: hazard +80 %, decaying): hence days
since, and shares over three windows. A neighbour counts as left from the day it decided to, once that is known, if the tie lived then. Ties
are counted, not clients: two to one neighbour count twice. One that ended counts for as long as the window reaches back, since ties are
often struck out because the other side left.
"""

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Edge, Floats, Interval, Measure, RowValue, every_row, last_day, state
from features.ratios import share

WINDOWS = (30, 90, 365)  # days
LET_GO_WORDS = "{neighbours_let_go_share_365:.0%} of the ties held in the last year were to clients that we let go."


def measures(_: Business) -> list[Measure]:
    """Ties now; per window ties held in it, and endings at their other end by the client or by us."""
    return [
        state("ties", "neighbours", every_row, until=["until_on"]),
        *(Interval(f"ties_{w}", "neighbours", every_row, Edge(), (Edge("until_on", w),)) for w in WINDOWS),
        *(_ended("left", "client", w) for w in WINDOWS),
        _ended("let_go", "us", 365),
        last_day("last_left", "neighbour_endings", _by("client")),
    ]


def _by(hand: str) -> RowValue:
    return lambda rows: rows.ended_by == hand


def _ended(name: str, hand: str, days: int) -> Interval:
    return Interval(f"{name}_{days}", "neighbour_endings", _by(hand), Edge(), (Edge("day", days),))


def _share(view: View, name: str, days: int) -> Floats:
    """An ending that stands twice, under two contracts, is one."""
    return np.minimum(share(view[f"{name}_{days}"], view[f"ties_{days}"]), 1)


COLUMNS = (
    Column("ties_now", "ties", "count", "ties to other clients that hold", 0),
    *(
        Column(
            f"neighbours_left_share_{days}",
            lambda view, days=days: _share(view, "left", days),  # type: ignore[misc]
            "share",
            f"share of the ties held in the last {days} days whose other end decided in them to leave us",
            None,
            churn=1,
            raises=f"{{neighbours_left_share_{days}:.0%}} of the ties of the last {days} days were to clients that decided to leave.",
            lowers=f"Only {{neighbours_left_share_{days}:.0%}} of the ties of the last {days} days were to clients that decided to leave.",
        )
        for days in WINDOWS
    ),
    Column(
        "neighbour_left_days",
        lambda view: view.days_since("last_left"),
        "days",
        "days since a tied client last decided to leave us",
        None,
        churn=-1,
        raises="A client tied to this one decided to leave only {neighbour_left_days:.0f} days ago.",
        lowers="It is {neighbour_left_days:.0f} days since a client tied to this one decided to leave.",
    ),
    Column(
        "neighbours_let_go_share_365",
        lambda view: _share(view, "let_go", 365),
        "share",
        "share of the ties held in the last 365 days to clients that we decided in them to let go",
        None,
        churn=1,
        raises=LET_GO_WORDS,
        lowers=f"Only {LET_GO_WORDS}",
    ),
)

SIGNAL = Signal(
    name="referral_ties",
    title="Referrals and ties",
    statements=("D5", "A6"),
    tables=("ties", "endings"),
    also=("neighbours", "neighbour_endings"),
    measures=measures,
    columns=COLUMNS,
)

"""Industry in crisis (B2): an outside index of the client's industry against its own past, and other clients of the industry that left us.

An index is published weeks after its month. The recent months are those that begin in the last 120 days: at least one of them is known
wherever a month comes out within 59 days of its end. Their mean is set against that of the 365 days before, which evens seasons out on one
side only: an index adjusted for seasons is better, one that is not shows them as small moves. The highest month ever known is the
yardstick for a crisis that has lasted longer than a year.

Clients that left: those that ended it themselves or closed down, decided in the last 180 days, over those that had not ended before. The
client itself is left out on both sides. One that had ended and came back is missing among those that could leave; an ending that stands
twice counts twice. A number of leavers is no column: it would say how large the portfolio is.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Edge, Floats, Interval, Latest, Measure, Peer, every_row, state, window
from features.ratios import share, spike

RECENT_DAYS, BEFORE_DAYS = 120, 365
LEFT_DAYS = 180
PRIOR_CLIENTS = 10  # that leave as everyone's do
GROUP = ("clients", "left_180", "ended_before")
LEFT_WORDS = "Of the other clients of its industry {industry_left_share_180:.0%} left or closed down in the last half year."


def measures(_: Business) -> list[Measure]:
    """Months and their values, recent and before; the industry and its clients, those that left and those that had ended before."""

    def milli(rows: Any) -> Any:
        return rows.value_milli

    return [
        *window("months", "industry_moves", every_row, RECENT_DAYS, RECENT_DAYS + BEFORE_DAYS),
        *window("milli", "industry_moves", milli, RECENT_DAYS, RECENT_DAYS + BEFORE_DAYS),
        Latest("peak_milli", "industry_moves", every_row, milli),
        state("industry", "clients", lambda rows: rows.industry),
        state("clients", "clients", every_row),
        *window("left", "endings", lambda rows: rows.ended_by.isin(("client", "closed_down")), LEFT_DAYS),
        Interval("ended_before", "endings", lambda rows: rows.ended_by != "paused", Edge("day", LEFT_DAYS)),
        *(Peer(f"industry_{name}", of=name, by="industry") for name in GROUP),
        *(Peer(f"all_{name}", of=name) for name in GROUP),
    ]


def _recent(view: View) -> Floats:
    return share(view[f"milli_{RECENT_DAYS}"], view[f"months_{RECENT_DAYS}"])


def _change(view: View) -> Floats:
    milli, months = (view[f"{name}_{RECENT_DAYS + BEFORE_DAYS}"] - view[f"{name}_{RECENT_DAYS}"] for name in ("milli", "months"))
    return share(_recent(view), share(milli, months)) - 1


def _others(view: View, group: str) -> tuple[Floats, Floats]:
    """(those that left, those that could have) of a group, or of `all`, without the client itself."""
    own_left, own_before = view["left_180"], view["ended_before"]  # asked for first: they, not their peers, say which table is lacking
    left = view[f"{group}_left_180"] - own_left
    could = (view[f"{group}_clients"] - view["clients"]) - (view[f"{group}_ended_before"] - own_before)
    return left, np.maximum(could, 0)


def _of_known(view: View, value: Floats) -> Floats:
    """Nothing is known of an unknown industry."""
    return np.where(view["industry"] > 0, value, np.nan)


def _left_ratio(view: View) -> Floats:
    left, could = _others(view, "industry")
    nothing = np.zeros(1)
    return _of_known(view, spike(left, could, nothing, nothing, share(*_others(view, "all")), PRIOR_CLIENTS))


COLUMNS = (
    Column(
        "industry_index_change",
        _change,
        "share",
        "mean index of the client's industry over the months begun in the last 120 days and known, against the 365 days before",
        None,
        churn=-1,
        yardstick=0,
        raises="The index of the client's industry stands {industry_index_change:+.1%} against the year before.",
        lowers="The index of the client's industry stands {industry_index_change:+.1%} against the year before.",
    ),
    Column(
        "industry_index_below_peak",
        lambda view: 1 - share(_recent(view), view["peak_milli"]),
        "share",
        "how far the same recent mean lies below the highest month known",
        None,
        churn=1,
        raises="The index of the client's industry lies {industry_index_below_peak:.0%} below its highest.",
        lowers="The index of the client's industry lies only {industry_index_below_peak:.0%} below its highest.",
    ),
    Column(
        "industry_left_share_180",
        lambda view: _of_known(view, share(*_others(view, "industry"))),
        "share",
        "share of the industry's other clients, of those that had not ended before, that left or closed down, decided in the last 180 days",
        None,
        churn=1,
        raises=LEFT_WORDS,
        lowers=LEFT_WORDS,
    ),
    Column(
        "industry_left_ratio_180",
        _left_ratio,
        "ratio",
        "that share, shrunk to everyone's, against everyone's (1 = as everywhere)",
        None,
        churn=1,
        yardstick=1,
        raises=LEFT_WORDS,
        lowers=LEFT_WORDS,
    ),
)

SIGNAL = Signal(
    name="industry_crisis",
    title="Industry in crisis",
    statements=("B2",),
    tables=("clients", "industry_index"),
    also=("industry_moves", "endings"),
    measures=measures,
    columns=COLUMNS,
)

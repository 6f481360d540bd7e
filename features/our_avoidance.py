"""Avoidance by us (E1): "I don't want to talk to him now" – our own initiative towards a client falls, and our replies come late to it.

Initiative is what we begin: outbound contact that is not in reply to something. Where a source keeps no thread, all that goes out counts as
begun by us. Our replies are measured against those to all clients of the segment, not against our own past with this client, which
features/our_promises.py does: one may have avoided it from the first.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Measure, Peer, every_row, last_day, state, window
from features.ratios import share, shrunk, spike

STRENGTH = 5.0  # replies: so many at the segment's pace are taken as seen before any
INITIATIVE_WORDS = "Contacts that we began: {our_initiatives_90:.0f} in the last 90 days, {our_initiatives_365:.0f} in the last year."
LAG_WORDS = "In the last 90 days our replies to this client took {our_reply_lag_hours_90:.0f} hours longer on average than to its segment."
NO_LAG_WORDS = (
    "In the last 90 days our replies to this client took no longer than to its segment: {our_reply_lag_hours_90:+.0f} hours on average."
)


def measures(_: Business) -> list[Measure]:
    """What we began and all contact, our replies and the minutes they took; the same over the segment."""

    def begun(rows: Any) -> Any:
        return (rows.direction == "outbound") & rows.reply_to.isnull()

    return [
        *window("begun", "interactions", begun, 90, 365),
        *window("touches", "interactions", every_row, 90, 365),
        last_day("last_begun", "interactions", begun),
        *window("replies", "replies", lambda rows: rows.direction == "outbound", 90),
        *window("minutes", "replies", lambda rows: (rows.direction == "outbound").ifelse(rows.latency_minutes, 0), 90),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_begun", of="begun_365", by="segment"),
        Peer("peer_touches", of="touches_365", by="segment"),
        Peer("peer_replies", of="replies_90", by="segment"),
        Peer("peer_minutes", of="minutes_90", by="segment"),
    ]


def _initiative_change(view: View) -> Floats:
    before, of_before = (view[f"{name}_365"] - view[f"{name}_90"] for name in ("begun", "touches"))
    typical = share(view["peer_begun"], view["peer_touches"])
    return spike(view["begun_90"], view["touches_90"], before, of_before, typical)


def _usual_minutes(view: View) -> Floats:
    """What our replies to the segment's clients took."""
    return share(view["peer_minutes"], view["peer_replies"])


def _lag_hours(view: View) -> Floats:
    return (share(view["minutes_90"], view["replies_90"]) - _usual_minutes(view)) / 60


def _lag_ratio(view: View) -> Floats:
    minutes, replies = view["minutes_90"], view["replies_90"]
    usual = _usual_minutes(view)
    return np.where(usual > 0, share(shrunk(minutes, replies, usual, STRENGTH), usual), 1)


COLUMNS = (
    *(
        Column(f"our_initiatives_{w}", f"begun_{w}", "count", f"contacts that we began, not in reply, in the last {w} days", 0)
        for w in (90, 365)
    ),
    Column(
        "our_initiative_change_90",
        _initiative_change,
        "ratio",
        "share of the last 90 days' contact that we began, against that of the 275 days before, shrunk to the segment's (1 = as usual)",
        1,
        churn=-1,
        misfit=-1,
        raises=INITIATIVE_WORDS,
        lowers=INITIATIVE_WORDS,
    ),
    Column(
        "days_since_our_initiative",
        lambda view: view.days_since("last_begun"),
        "days",
        "days since we last got in touch of our own accord",
        None,
        churn=1,
        misfit=1,
        raises="We last got in touch of our own accord {days_since_our_initiative:.0f} days ago.",
        lowers="We last got in touch of our own accord only {days_since_our_initiative:.0f} days ago.",
    ),
    Column(
        "our_reply_lag_hours_90",
        _lag_hours,
        "hours",
        "mean hours that our replies to the client took in the last 90 days, less the mean to all clients of its segment",
        None,
        churn=1,
        misfit=1,
        yardstick=0,
        raises=LAG_WORDS,
        lowers=NO_LAG_WORDS,
    ),
    Column(
        "our_reply_lag_ratio_90",
        _lag_ratio,
        "ratio",
        "the same mean against the segment's, shrunk to it (1 = as to the segment)",
        1,
        churn=1,
        misfit=1,
        raises=LAG_WORDS,
        lowers=NO_LAG_WORDS,
    ),
)

SIGNAL = Signal(
    name="our_avoidance",
    title="Avoidance by us",
    statements=("E1",),
    tables=("interactions",),
    also=("clients", "replies"),
    measures=measures,
    columns=COLUMNS,
)

"""Changing the mind (C6): change requests and re-opened decisions, per order and per contact, and as a jump over the client's own usual.

A change counts whoever wrote it down. What is ordered is counted by the contacts of kind `order`: they are in the one table that every
source has, and one order stands for one deliverable; a promise (commitments) may be one part of a delivery or several, and contacts name
their deliverable only in some sources. Where orders are not contacts, `changes_per_order_365` is unknown and the others remain.
"""

from features.contract import Business, Column, Signal
from features.measures import Measure, Peer, state, window
from features.ratios import own_spike, share

CHANGES = ("change_request", "reversal")
ORDER_WORDS = (
    "{changes_365:.0f} change requests and reversals in the last year: {changes_per_order_365:.1f} for every order placed in that time."
)
SHARE_WORDS = "In the last year there were {change_share_365:.0%} as many change requests and reversals as contacts from the client."
SPIKE_WORDS = "Change requests and reversals: {changes_90:.0f} in the last 90 days, {changes_365:.0f} in the last year."


def measures(_: Business) -> list[Measure]:
    """Changes, orders and contacts from the client; the peers of its segment."""
    return [
        *window("changes", "interactions", lambda rows: rows.kind.isin(CHANGES), 90, 365),
        *window("reversals", "interactions", lambda rows: rows.kind == "reversal", 365),
        *window("orders", "interactions", lambda rows: rows.kind == "order", 365),
        *window("inbound", "interactions", lambda rows: rows.direction == "inbound", 90, 365),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_changes", of="changes_365", by="segment"),
        Peer("peer_inbound", of="inbound_365", by="segment"),
    ]


COLUMNS = (
    *(Column(f"changes_{w}", f"changes_{w}", "count", f"change requests and reversals in the last {w} days", 0) for w in (90, 365)),
    Column(
        "changes_per_order_365",
        lambda view: share(view["changes_365"], view["orders_365"]),
        "per order",
        "change requests and reversals of the last 365 days per order placed in them",
        None,
        misfit=1,
        raises=ORDER_WORDS,
        lowers=ORDER_WORDS.replace(": {changes_per", ": only {changes_per"),
    ),
    Column(
        "change_share_365",
        lambda view: share(view["changes_365"], view["inbound_365"]),
        "share",
        "change requests and reversals of the last 365 days per contact from the client",
        None,
        misfit=1,
        raises=SHARE_WORDS,
        lowers=SHARE_WORDS.replace("there were", "there were only"),
    ),
    Column(
        "change_spike_90",
        lambda view: own_spike(view, "changes", "inbound", 90),
        "ratio",
        "that share in the last 90 days against the client's own before, within the year, shrunk to its segment's (1 = as usual)",
        1,
        misfit=1,
        raises=SPIKE_WORDS,
        lowers=SPIKE_WORDS,
    ),
    Column(
        "reversal_share_365",
        lambda view: share(view["reversals_365"], view["changes_365"]),
        "share",
        "share of the changes of the last 365 days that re-opened what had been decided",
        None,
        misfit=1,
        raises="{reversal_share_365:.0%} of the last year's {changes_365:.0f} changes re-opened what had been decided.",
        lowers="Only {reversal_share_365:.0%} of the last year's {changes_365:.0f} changes re-opened what had been decided.",
    ),
)

SIGNAL = Signal(
    name="changing_mind",
    title="Changing the mind",
    statements=("C6",),
    tables=("interactions",),
    also=("clients",),
    measures=measures,
    columns=COLUMNS,
)

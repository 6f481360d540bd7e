"""Scope creep (D2, E1, E4): requests beyond the order, work outside it, and how much of that is given away.

A request counts whoever wrote it down. Time entries that do not say whether they lie within the order count neither way; nor, for what is
given free, do those that do not say whether they are billable.
"""

from typing import Any

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Measure, Peer, state, window
from features.ratios import own_spike, share

REQUEST_WORDS = "In the last year there were {scope_request_share_365:.0%} as many requests beyond the order as contacts from the client."
SPIKE_WORDS = (
    "Requests beyond the order: {scope_requests_90:.0f} in the last 90 days;"
    " over the last year, {scope_request_share_365:.0%} as many as contacts from the client."
)
FREE_WORDS = (
    "{out_of_scope_free_hours_365:.0f} hours of work beyond the order were given free in the last year:"
    " {out_of_scope_free_share_365:.0%} of all hours."
)


def measures(_: Business) -> list[Measure]:
    """Requests and contacts from the client, the peers of its segment; minutes worked by scope and pay."""

    def minutes(rows: Any, flag: Any) -> Any:
        return flag.fill_null(False).ifelse(rows.duration_minutes, 0)

    return [
        *window("requests", "interactions", lambda rows: rows.kind == "scope_request", 90, 365),
        *window("inbound", "interactions", lambda rows: rows.direction == "inbound", 90, 365),
        *window("scoped", "work", lambda rows: minutes(rows, rows.is_in_scope.notnull()), 90, 365),
        *window("beyond", "work", lambda rows: minutes(rows, ~rows.is_in_scope), 90, 365),
        *window("told", "work", lambda rows: minutes(rows, rows.is_in_scope.notnull() & rows.is_billable.notnull()), 365),
        *window("free", "work", lambda rows: minutes(rows, ~rows.is_in_scope & ~rows.is_billable), 365),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_requests", of="requests_365", by="segment"),
        Peer("peer_inbound", of="inbound_365", by="segment"),
    ]


def _rise(view: View) -> Floats:
    before = share(view["beyond_365"] - view["beyond_90"], view["scoped_365"] - view["scoped_90"])
    return share(view["beyond_90"], view["scoped_90"]) - before


COLUMNS = (
    Column("scope_requests_90", "requests_90", "count", "requests beyond the order in the last 90 days", 0),
    Column(
        "scope_request_share_365",
        lambda view: share(view["requests_365"], view["inbound_365"]),
        "share",
        "requests beyond the order in the last 365 days per contact from the client",
        None,
        misfit=1,
        raises=REQUEST_WORDS,
        lowers=REQUEST_WORDS.replace("there were", "there were only"),
    ),
    Column(
        "scope_request_spike_90",
        lambda view: own_spike(view, "requests", "inbound", 90),
        "ratio",
        "that share in the last 90 days against the client's own before, within the year, shrunk to its segment's (1 = as usual)",
        1,
        misfit=1,
        raises=SPIKE_WORDS,
        lowers=SPIKE_WORDS,
    ),
    Column(
        "out_of_scope_share_365",
        lambda view: share(view["beyond_365"], view["scoped_365"]),
        "share",
        "share of the time worked for the client in the last 365 days that lay beyond the order, paid or not",
        None,
        misfit=1,
        raises="{out_of_scope_share_365:.0%} of the time worked for the client in the last year lay beyond the order.",
        lowers="Only {out_of_scope_share_365:.0%} of the time worked for the client in the last year lay beyond the order.",
    ),
    Column(
        "out_of_scope_rise_90",
        _rise,
        "share",
        "that share in the last 90 days less that in the 275 days before",
        None,
        misfit=1,
        yardstick=0,
        raises="The share of work beyond the order has risen by {out_of_scope_rise_90:.0%} of all work.",
        lowers="The share of work beyond the order has not risen: {out_of_scope_rise_90:+.0%} of all work.",
    ),
    Column(
        "out_of_scope_free_share_365",
        lambda view: share(view["free_365"], view["told_365"]),
        "share",
        "share of the time worked in the last 365 days that lay beyond the order and was not billable",
        None,
        misfit=1,
        raises=FREE_WORDS,
        lowers=FREE_WORDS,
    ),
    Column(
        "out_of_scope_free_hours_365",
        lambda view: view["free_365"] / 60,
        "hours",
        "hours beyond the order in the last 365 days that were not billable",
        0,
    ),
)

SIGNAL = Signal(
    name="scope_creep",
    title="Scope creep",
    statements=("D2", "E1", "E4"),
    tables=("interactions",),
    also=("clients", "work"),
    measures=measures,
    columns=COLUMNS,
)

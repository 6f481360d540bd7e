"""Criticism (B4, E2): complaints, escalations and complaints about our availability; bursts, and the slow trickle no single month shows.

The trickle is a one-sided CUSUM for Poisson counts (Page 1954; Lucas 1985) over blocks of 28 days counted back from as_of, at most two
years: the older half of the blocks gives the client's own mean m (drawn towards one criticism a year, so that a clean record is not a mean
of zero); over the newer half S = max(0, S + criticisms − m / ln 2), the allowance that is best against a doubled rate. S counts criticisms
beyond it. How often it lies: at a steady rate of one criticism in two months, known from one year, S ends at 4 or
more for one client in seven; at a rate that doubled a year ago, for three in four (tests/features/test_criticism.py holds both figures).
The older half being short is what costs: the own mean is itself uncertain. So S is a feature to be weighed, not an alarm to be rung.
"""

import math

import numpy as np

from features.contract import Business, Column, Signal
from features.measures import Floats, Measure, Peer, Seen, last_day, sequence, state, window
from features.ratios import own_spike, share
from features.time import age_days, in_window

CRITICISM = ("complaint", "availability_complaint", "escalation")
RETURNED = ("return", "cancellation")
WINDOWS = (30, 90, 365)  # days
BLOCK_DAYS, BLOCKS = 28, 26
ALLOWANCE = 1 / math.log(2)  # of the own mean: between it and twice it, by Wald's ratio (2 − 1) / ln 2
PRIOR_CRITICISMS, PRIOR_BLOCKS = 0.5, 6.5  # one a year, known as if from half a year


def measures(_: Business) -> list[Measure]:
    """Criticism of each kind, all contacts, what was handed back; the peers of the segment."""
    return [
        *window("criticism", "interactions", lambda rows: rows.kind.isin(CRITICISM), *WINDOWS),
        *window("escalations", "interactions", lambda rows: rows.kind == "escalation", 365),
        *window("availability", "interactions", lambda rows: rows.kind == "availability_complaint", 365),
        *window("returned", "interactions", lambda rows: rows.kind.isin(RETURNED), 365),
        *window("touches", "interactions", lambda rows: rows.day.notnull(), *WINDOWS),
        last_day("last_criticism", "interactions", lambda rows: rows.kind.isin(CRITICISM)),
        sequence(("trickle",), "interactions", trickle, values={"is_criticism": lambda rows: rows.kind.isin(CRITICISM)}),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_criticism", of="criticism_365", by="segment"),
        Peer("peer_touches", of="touches_365", by="segment"),
    ]


def trickle(seen: Seen) -> tuple[Floats]:
    """CUSUM at as_of, in criticisms beyond twice-the-mean's allowance; 0 for a client without two whole blocks of past."""
    block = (age_days(seen.day, seen.as_of) - 1) // BLOCK_DAYS
    n_blocks = np.zeros(seen.n_clients, np.int64)
    np.maximum.at(n_blocks, seen.client, np.minimum(block + 1, BLOCKS))
    is_counted = in_window(seen.day, seen.as_of, BLOCK_DAYS * BLOCKS) & (seen.values["is_criticism"] > 0)
    cell = seen.client[is_counted] * BLOCKS + block[is_counted]
    counts = np.bincount(cell, minlength=seen.n_clients * BLOCKS).reshape(seen.n_clients, BLOCKS)
    newer = n_blocks // 2
    is_older = np.arange(BLOCKS) >= newer[:, None]
    mean = ((counts * is_older).sum(axis=1) + PRIOR_CRITICISMS) / (n_blocks - newer + PRIOR_BLOCKS)
    total = np.zeros(seen.n_clients)
    for number in range(BLOCKS // 2 - 1, -1, -1):
        climbed = np.maximum(total + counts[:, number] - ALLOWANCE * mean, 0)
        total = np.where(number < newer, climbed, total)
    return (total,)


COLUMNS = (
    *(Column(f"criticism_{w}", f"criticism_{w}", "count", f"complaints and escalations in the last {w} days", 0) for w in WINDOWS),
    *(
        Column(
            f"criticism_share_{days}",
            lambda view, days=days: share(view[f"criticism_{days}"], view[f"touches_{days}"]),  # type: ignore[misc]
            "share",
            f"share of interactions in the last {days} days that are complaints or escalations",
            None,
            churn=1,
            misfit=1,
            raises=f"{{criticism_share_{days}:.0%}} of the interactions of the last {days} days were complaints or escalations.",
            lowers=f"Only {{criticism_share_{days}:.0%}} of the interactions of the last {days} days were complaints or escalations.",
        )
        for days in (90, 365)
    ),
    Column(
        "criticism_spike_90",
        lambda view: own_spike(view, "criticism", "touches", 90),
        "ratio",
        "that share in the last 90 days against the client's own before, within the year, shrunk to its segment's (1 = as usual)",
        1,
        churn=1,
        misfit=1,
        raises="Complaints and escalations: {criticism_90:.0f} in the last 90 days, {criticism_365:.0f} in the last year.",
        lowers="Complaints and escalations: {criticism_90:.0f} in the last 90 days, {criticism_365:.0f} in the last year.",
    ),
    Column(
        "criticism_trickle",
        "trickle",
        "count",
        "CUSUM of criticism per 28 days over the client's own earlier mean: the slow trickle that no single month shows",
        0,
        churn=1,
        misfit=1,
        yardstick=0,
        raises="Complaints and escalations: {criticism_365:.0f} in the last year, {criticism_90:.0f} of them in the last 90 days.",
        lowers="Complaints and escalations: {criticism_365:.0f} in the last year, {criticism_90:.0f} of them in the last 90 days.",
    ),
    Column(
        "escalation_share_365",
        lambda view: share(view["escalations_365"], view["criticism_365"]),
        "share",
        "share of the last 365 days' criticism that went over our heads",
        None,
        churn=1,
        misfit=1,
        raises="{escalation_share_365:.0%} of the last year's complaints were escalations.",
        lowers="Only {escalation_share_365:.0%} of the last year's complaints were escalations.",
    ),
    Column("availability_complaints_365", "availability_365", "count", "complaints about our availability in the last 365 days", 0),
    Column(
        "returned_share_365",
        lambda view: share(view["returned_365"], view["touches_365"]),
        "share",
        "share of interactions in the last 365 days that returned or cancelled something: criticism without words",
        None,
    ),
    Column(
        "days_since_criticism", lambda view: view.days_since("last_criticism"), "days", "days since the last complaint or escalation", None
    ),
)

SIGNAL = Signal(
    name="criticism",
    title="Criticism",
    statements=("B4", "E2"),
    tables=("interactions",),
    also=("clients",),
    measures=measures,
    columns=COLUMNS,
)

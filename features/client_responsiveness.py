"""Responsiveness of the client (B1, D3): how long it takes to answer us, what it leaves unanswered, what it owes us and does not deliver.

What counts as outreach that waits for an answer is said in features/correspondence.py; the same of our answers to the client is in
features/our_promises.py.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.correspondence import (
    correspondence,
    latency,
    latency_hours,
    latency_hours_before,
    latency_rise,
    unanswered_days,
    unanswered_share,
)
from features.measures import Floats, Measure, state
from features.ratios import share

RISE_WORDS = (
    "The client's replies took {client_reply_hours_90:.0f} hours on average in the last 90 days,"
    " against {client_reply_hours_before:.0f} in the 275 days before."
)


def measures(_: Business) -> list[Measure]:
    """Replies of the client and how long they took, in its segment too; outreach and what of it was answered; what it owes."""

    def owes(rows: Any) -> Any:
        return (rows.owed_by == "client") & (rows.kind != "appointment").fill_null(True)

    return [
        *latency("inbound"),
        *correspondence("outbound"),
        state("overdue", "commitments", owes, since="due_on", until=("done_on", "cancelled_on")),
        state("overdue_due", "commitments", lambda rows: owes(rows).ifelse(rows.due_on, 0), "due_on", ("done_on", "cancelled_on")),
        state("open", "commitments", owes, until=("done_on", "cancelled_on")),
    ]


def _overdue_days(view: View) -> Floats:
    age = share(view.as_of * view["overdue"] - view["overdue_due"], view["overdue"])
    return np.where(view["overdue"] > 0, age, 0)


COLUMNS = (
    Column(
        "client_reply_hours_90",
        latency_hours,
        "hours",
        "mean hours, nights and rest days included, that the client's replies of the last 90 days took",
        None,
        churn=1,
        misfit=1,
        raises="The client's replies of the last 90 days took {client_reply_hours_90:.0f} hours on average.",
        lowers="The client's replies of the last 90 days took only {client_reply_hours_90:.0f} hours on average.",
    ),
    Column(
        "client_reply_hours_before",
        latency_hours_before,
        "hours",
        "mean hours that the client's replies of the 275 days before those took: its usual",
        None,
    ),
    Column(
        "client_reply_rise_90",
        latency_rise,
        "ratio",
        "the first against the second, the second shrunk to the segment's mean and the first to that (1 = as usual)",
        1,
        churn=1,
        misfit=1,
        raises=RISE_WORDS,
        lowers=RISE_WORDS,
    ),
    Column(
        "outreach_unanswered_share_90",
        unanswered_share,
        "share",
        "share of what we wrote in the last 90 days, at least three days ago, that asks for an answer and has none",
        None,
        churn=1,
        misfit=1,
        raises="{outreach_unanswered_share_90:.0%} of what we wrote to the client in the last 90 days stands unanswered.",
        lowers="Only {outreach_unanswered_share_90:.0%} of what we wrote to the client in the last 90 days stands unanswered.",
    ),
    Column(
        "outreach_unanswered_days",
        unanswered_days,
        "days",
        "mean age of that unanswered outreach; 0 where all was answered",
        None,
        churn=1,
        misfit=1,
        raises="What we wrote and the client has not answered has waited for {outreach_unanswered_days:.0f} days on average.",
        lowers="What we wrote and the client has not answered has waited for only {outreach_unanswered_days:.0f} days on average.",
    ),
    Column(
        "client_overdue_share",
        lambda view: share(view["overdue"], view["open"]),
        "share",
        "share of what the client owes us now (tasks, materials; not appointments) that is past its due date",
        None,
        churn=1,
        misfit=1,
        raises="{client_overdue_share:.0%} of the tasks and materials that the client owes us are overdue.",
        lowers="Only {client_overdue_share:.0%} of the tasks and materials that the client owes us are overdue.",
    ),
    Column(
        "client_overdue_days",
        _overdue_days,
        "days",
        "mean days that these have been overdue; 0 where none is",
        0,
        churn=1,
        misfit=1,
        raises="Tasks and materials that the client owes us have been overdue for {client_overdue_days:.0f} days on average.",
        lowers="Tasks and materials that the client owes us have been overdue for only {client_overdue_days:.0f} days on average.",
    ),
)

SIGNAL = Signal(
    name="client_responsiveness",
    title="Responsiveness of the client",
    statements=("B1", "D3"),
    tables=("interactions",),
    also=("clients", "replies", "answered", "commitments"),
    measures=measures,
    columns=COLUMNS,
)

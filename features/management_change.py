"""Management change at the client (B3): decision makers who went, others who went, who came, and whether anyone who decides is left.

A departure counts from the day it is dated, once it is known: one that is only announced, or not yet entered, is no departure. Everyone at
a brand-new client has just come, which is no change: who came within the first 90 days after the first known contact was there from the
start, and shares of newcomers are unknown until a relationship is old enough to have any. Someone who was replaced has left all the same:
the new one did not choose us.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Edge, Floats, Interval, Measure, every_row, first_day, last_day, state, window
from features.ratios import share

INTRODUCTION_DAYS = 90  # after the first contact: who comes in them was there from the start
NEW_DAYS = 180


def measures(_: Business) -> list[Measure]:
    """Contacts now and decision makers now and ever; who left, who came; first and last days of either."""

    def decides(rows: Any) -> Any:
        return rows.is_decision_maker

    return [
        state("contacts", "contacts", every_row, until=["until_on"]),
        state("deciders", "contacts", decides, until=["until_on"]),
        state("deciders_ever", "contacts", decides),
        *window("left", "contacts", every_row, 365, since="until_on"),
        *window("deciders_left", "contacts", decides, 180, since="until_on"),
        Interval("newcomers", "contacts", every_row, Edge(), (Edge("day", NEW_DAYS), Edge("until_on"))),
        first_day("first_contact", "contacts"),
        last_day("last_arrival", "contacts", decides),
        last_day("last_departure", "contacts", decides, since="until_on"),
    ]


def _change_days(view: View) -> Floats:
    """Days since a decision maker last came or went; NaN where none did since the introduction."""
    arrival = view.days_since("last_arrival")
    is_new = view.days_since("first_contact") - arrival > INTRODUCTION_DAYS
    found: Floats = np.fmin(view.days_since("last_departure"), np.where(is_new, arrival, np.nan))
    return found


def _new_share(view: View) -> Floats:
    is_known = view.days_since("first_contact") > INTRODUCTION_DAYS + NEW_DAYS
    return np.where(is_known, share(view["newcomers"], view["contacts"]), np.nan)


COLUMNS = (
    Column("decision_makers_lost_180", "deciders_left_180", "count", "decision makers who left in the last 180 days", 0),
    Column(
        "decision_makers_lost_share_180",
        lambda view: share(view["deciders_left_180"], view["deciders_left_180"] + view["deciders"]),
        "share",
        "decision makers who left in the last 180 days, as a share of them and of those known now",
        None,
        churn=1,
        raises="Decision makers of the client who left in the last half year: {decision_makers_lost_180:.0f}"
        " ({decision_makers_lost_share_180:.0%} of those known).",
        lowers="Decision makers of the client who left in the last half year: {decision_makers_lost_180:.0f}.",
    ),
    Column(
        "contacts_lost_share_365",
        lambda view: share(view["left_365"], view["left_365"] + view["contacts"]),
        "share",
        "contacts who left in the last 365 days, as a share of them and of those known now",
        None,
        churn=1,
        raises="Of the people we knew at the client {contacts_lost_share_365:.0%} left in the last year.",
        lowers="Of the people we knew at the client only {contacts_lost_share_365:.0%} left in the last year.",
    ),
    Column(
        "decision_maker_change_days",
        _change_days,
        "days",
        "days since a decision maker last left, or came more than 90 days after the first contact",
        None,
        churn=-1,
        raises="A decision maker of the client came or went only {decision_maker_change_days:.0f} days ago.",
        lowers="No decision maker of the client has come or gone for {decision_maker_change_days:.0f} days.",
    ),
    Column(
        "contacts_new_share_180",
        _new_share,
        "share",
        "share of today's contacts who came in the last 180 days; unknown in the first 270 days after the first contact",
        None,
        churn=1,
        raises="{contacts_new_share_180:.0%} of our contacts at the client came in the last half year.",
        lowers="Only {contacts_new_share_180:.0%} of our contacts at the client came in the last half year.",
    ),
    Column(
        "without_decision_maker",
        lambda view: np.where(view["deciders_ever"] > 0, np.where(view["deciders"] > 0, 0.0, 1.0), np.nan),
        "flag",
        "1 where every decision maker that we knew has left and no other is known; unknown where none ever was",
        None,
        churn=1,
        raises="Every decision maker that we knew at the client has left, and we know no other.",
        lowers="We know who decides at the client.",
    ),
)

SIGNAL = Signal(
    name="management_change",
    title="Management change at the client",
    statements=("B3",),
    tables=("contacts",),
    measures=measures,
    columns=COLUMNS,
)

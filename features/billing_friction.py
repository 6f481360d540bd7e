"""Billing friction (A5, C5, D1, D10): lateness of payment and its trend, what is open and overdue, disputes, discount asks, price talk.

Money is in units of the business's currency (minor units ÷ 100). An invoice's lateness is known once it is paid; until then it shows as an
overdue balance with an age, else a client that stopped paying would look prompt.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Measure, state, window
from features.ratios import share, shrunk
from features.time import days_past

PRICE_TALK = ("price_question", "discount_request", "terms_refused")
PRICE_WORDS = (  # not "of the client's contacts": such talk counts whoever began it
    "In the last 90 days there were {price_talk_share_90:.0%} as many contacts about price, discounts or terms as contacts from the client."
)


def measures(business: Business) -> list[Measure]:
    """Amounts, lateness weighted by amount, disputes and price talk."""

    def listed(rows: Any) -> Any:
        return rows.list_amount.notnull().ifelse(business.money(rows), 0)

    def late_days(rows: Any) -> Any:
        return days_past(rows.due_on, rows.day)

    return [
        state("invoiced", "invoices", business.money),
        state("settled", "settlements", business.money),
        state("due", "invoices", business.money, since="due_on"),
        state("due_settled", "settlements", business.money, since="due_on"),
        state("due_days", "invoices", lambda rows: business.money(rows) * rows.due_on, since="due_on"),
        state("due_settled_days", "settlements", lambda rows: business.money(rows) * rows.due_on, since="due_on"),
        *window("invoiced_in", "invoices", business.money, 365),
        *window("paid", "settlements", business.money, 90, 365),
        *window("paid_late", "settlements", lambda rows: (late_days(rows) > 0).ifelse(business.money(rows), 0), 90, 365),
        *window("paid_late_days", "settlements", lambda rows: late_days(rows) * business.money(rows), 90, 365),
        *window("n_invoices", "invoices", lambda rows: rows.day.notnull(), 365),
        *window("disputed", "invoices", lambda rows: rows.day.notnull(), 365, since="disputed_on"),
        *window("at_list", "invoices", lambda rows: business.money(rows, "list_amount"), 90, 365),
        *window("listed", "invoices", listed, 90, 365),
        *window("discount_asks", "interactions", lambda rows: rows.kind == "discount_request", 180),
        *window("price_talk", "interactions", lambda rows: rows.kind.isin(PRICE_TALK), 90, 365),
        *window("inbound", "interactions", lambda rows: rows.direction == "inbound", 90, 365),
    ]


def _overdue(view: View) -> Floats:
    return np.maximum(view["due"] - view["due_settled"], 0)


def _overdue_age(view: View) -> Floats:
    """Mean days from due date to as_of, weighted by what is unpaid: sums of integers until the one division; 0 where nothing is overdue."""
    balance = _overdue(view)
    age_sum = view.as_of * balance - (view["due_days"] - view["due_settled_days"])
    return np.nan_to_num(np.maximum(share(age_sum, balance), 0))


def _late_trend(view: View) -> Floats:
    before = share(view["paid_late_days_365"] - view["paid_late_days_90"], view["paid_365"] - view["paid_90"])
    return share(view["paid_late_days_90"], view["paid_90"]) - before


def _discount(view: View, days: int) -> Floats:
    return 1 - share(view[f"listed_{days}"], view[f"at_list_{days}"])


COLUMNS = (
    Column("open_balance", lambda view: (view["invoiced"] - view["settled"]) / 100, "currency", "invoiced and not yet paid", 0),
    Column("overdue_balance", lambda view: _overdue(view) / 100, "currency", "past its due date and not paid", 0),
    Column(
        "overdue_share",
        lambda view: share(_overdue(view), view["invoiced_in_365"]),
        "share",
        "overdue balance as a share of what was invoiced in the last 365 days",
        None,
        churn=1,
        misfit=1,
        raises="What is overdue comes to {overdue_share:.0%} of what was invoiced in the last year.",
        lowers="What is overdue comes to only {overdue_share:.0%} of what was invoiced in the last year.",
    ),
    Column(
        "overdue_age_days",
        _overdue_age,
        "days",
        "mean age past due of the overdue balance, weighted by amount; 0 where nothing is overdue",
        0,
        churn=1,
        misfit=1,
        raises="What is overdue has been so for {overdue_age_days:.0f} days on average.",
        lowers="What is overdue has been so for only {overdue_age_days:.0f} days on average.",
    ),
    *(
        Column(
            f"days_late_{days}",
            lambda view, days=days: share(view[f"paid_late_days_{days}"], view[f"paid_{days}"]),  # type: ignore[misc]
            "days",
            f"mean days past due of what was paid in the last {days} days, weighted by amount",
            None,
            churn=1,
            misfit=1,
            raises=f"Payments of the last {days} days came {{days_late_{days}:.0f}} days late on average.",
            lowers=f"Payments of the last {days} days came only {{days_late_{days}:.0f}} days late on average.",
        )
        for days in (90, 365)
    ),
    Column(
        "paid_late_share_365",
        lambda view: share(view["paid_late_365"], view["paid_365"]),
        "share",
        "share of what was paid in the last 365 days that was paid after its due date",
        None,
        churn=1,
        misfit=1,
        raises="{paid_late_share_365:.0%} of what was paid in the last year was late.",
        lowers="Only {paid_late_share_365:.0%} of what was paid in the last year was late.",
    ),
    Column(
        "late_trend_days",
        _late_trend,
        "days",
        "mean lateness of the last 90 days less that of the 275 days before",
        None,
        churn=1,
        misfit=1,
        yardstick=0,
        raises="Payments have become {late_trend_days:.0f} days later than before.",
        lowers="Payments have not become later: {late_trend_days:+.0f} days.",
    ),
    Column(
        "disputed_share_365",
        lambda view: share(view["disputed_365"], view["n_invoices_365"]),
        "share",
        "invoices disputed in the last 365 days, per invoice issued in them",
        None,
        churn=1,
        misfit=1,
        raises="In the last year {disputed_share_365:.0%} as many invoices were disputed as were issued.",
        lowers="In the last year only {disputed_share_365:.0%} as many invoices were disputed as were issued.",
    ),
    Column("discount_asks_180", "discount_asks_180", "count", "discounts asked for in the last 180 days", 0),
    Column(
        "price_talk_share_90",
        lambda view: share(view["price_talk_90"], view["inbound_90"]),
        "share",
        "share of the client's contacts in the last 90 days about price, discounts or terms",
        None,
        churn=1,
        misfit=1,
        raises=PRICE_WORDS,
        lowers=PRICE_WORDS.replace("there were", "there were only"),
    ),
    Column(
        "price_talk_rise_90",
        lambda view: (
            shrunk(view["price_talk_90"], view["inbound_90"], np.zeros(1), 5.0)
            - shrunk(view["price_talk_365"] - view["price_talk_90"], view["inbound_365"] - view["inbound_90"], np.zeros(1), 5.0)
        ),
        "share",
        "that share less the client's own in the 275 days before, both shrunk to none",
        0,
        churn=1,
        misfit=1,
        yardstick=0,
        raises=PRICE_WORDS,
        lowers=PRICE_WORDS,
    ),
    Column(
        "discount_365",
        lambda view: _discount(view, 365),
        "share",
        "how far below list price the invoices of the last 365 days were",
        None,
        misfit=1,
        raises="The last year's prices were {discount_365:.0%} below list.",
        lowers="The last year's prices were only {discount_365:.0%} below list.",
    ),
    Column(
        "discount_rise_90",
        lambda view: _discount(view, 90) - _discount(view, 365),
        "share",
        "the discount of the last 90 days less that of the last 365",
        None,
        misfit=1,
        yardstick=0,
        raises="The discount has risen by {discount_rise_90:.0%} of the list price.",
        lowers="The discount has not risen.",
    ),
)

SIGNAL = Signal(
    name="billing_friction",
    title="Billing friction",
    statements=("A5", "C5", "D1", "D10"),
    tables=("invoices",),
    also=("payments", "settlements", "interactions"),
    measures=measures,
    columns=COLUMNS,
)

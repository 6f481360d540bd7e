"""Effort against value (A3, A5, D2, D4, E1): hours and cost to serve against revenue, what other clients lose, what an hour forgoes.

The contribution margin is revenue less cost to serve, over the larger of the two: the ordinary margin as long as revenue covers the cost,
below that the share of the cost that nothing covers. So it stays within −100 % and 100 %, and effort for no revenue at all, the worst
case, is −100 % rather than unknown; the cost's share of revenue is 100 % less it. A net credit counts as no revenue.

Cost to serve is here the cost of work alone, that of the time entries: where one has none it is valued by its minutes, at the portfolio's
last 365 days; where no entry has a cost, it is unknown, and economics.hourly_cost is not looked at. The accounts (pipeline/economics.py)
look at it, and count disputes and financing too.

Who was invoiced in a currency of which no rate is known has not brought nothing: what it brings in that window is unknown, and others are
compared without it.
"""

import numpy as np

from features.contract import Business, Column, Signal, View
from features.economics import margin, minute_cost, uncosted_minutes, work_cost
from features.measures import Floats, Measure, Peer, state, window
from features.ratios import share, shrunk

MARGIN_COLUMN, HOURS_COLUMN = "contribution_margin_365", "staff_hours_365"
PRIOR_DAYS = 90  # of the client's usual, counted with the last 180 days: one large invoice is no trend
PRIOR_MINUTES = 8 * 60  # a working day at the portfolio's contribution: five minutes make no hourly rate
PRIOR_OWNER_MINUTES = 5 * 8 * 60  # a working week, shared out as before


def measures(business: Business) -> list[Measure]:
    """Minutes, cost, minutes without a cost, revenue, invoices without a rate; everyone's, and those of the same account owner's.

    known_…: of the clients without any such invoice, for those without one.
    """
    return [
        *window("minutes", "work", lambda rows: rows.duration_minutes, 90, 365),
        *window("cost", "work", lambda rows: business.money(rows, "cost"), 180, 365, 545),
        *window("uncosted", "work", lambda rows: uncosted_minutes(rows, business), 180, 365, 545),
        *window("revenue", "invoices", business.money, 180, 365, 545),
        *window("foreign", "invoices", business.is_unrated, 365, 545),
        state("owner", "clients", lambda rows: rows.account_owner),
        *(Peer(f"all_{name}", of=f"{name}_365") for name in ("minutes", "cost", "uncosted")),
        *(Peer(f"known_{name}", of=f"{name}_365", by="foreign_365") for name in ("minutes", "cost", "uncosted", "revenue")),
        *(Peer(f"owner_minutes_{days}", of=f"minutes_{days}", by="owner") for days in (90, 365)),
    ]


def _valued(view: View, cost: Floats, uncosted: Floats) -> Floats:
    """Cost to serve, at what a minute cost the whole portfolio in the last 365 days; NaN where no entry of those days has a cost."""
    a_minute = minute_cost(view["all_cost"], view["all_minutes"], view["all_uncosted"])
    return np.where(view["all_cost"] > 0, work_cost(cost, uncosted, a_minute), np.nan)


def _cost(view: View, days: int) -> Floats:
    return _valued(view, view[f"cost_{days}"], view[f"uncosted_{days}"])


def _if_priced(view: View, days: int, values: Floats) -> Floats:
    """NaN where the client was invoiced in these days in a currency without a rate."""
    return np.where(view[f"foreign_{days}"] == 0, values, np.nan)


def _margin(view: View) -> Floats:
    return _if_priced(view, 365, margin(view["revenue_365"], _cost(view, 365)))


def _margin_fall(view: View) -> Floats:
    revenue, cost = view["revenue_180"], _cost(view, 180)
    revenue_before, cost_before = view["revenue_545"] - revenue, _cost(view, 545) - cost
    prior = PRIOR_DAYS / 365
    fall = margin(revenue_before, cost_before) - margin(revenue + prior * revenue_before, cost + prior * cost_before)
    return _if_priced(view, 545, fall)


def _attention_gap(view: View) -> Floats:
    gap = share(view["minutes_365"], view["known_minutes"]) - share(view["revenue_365"], view["known_revenue"])
    return _if_priced(view, 365, np.where((view["minutes_365"] > 0) | (view["revenue_365"] != 0), gap, np.nan))


def _crowding_out(view: View) -> Floats:
    usual = share(view["minutes_365"] - view["minutes_90"], view["owner_minutes_365"] - view["owner_minutes_90"])
    recent = shrunk(view["minutes_90"], view["owner_minutes_90"], usual, PRIOR_OWNER_MINUTES)
    return np.where(view["owner"] > 0, np.where(view["minutes_365"] > 0, recent - usual, 0), np.nan)


def _opportunity_cost(view: View) -> Floats:
    """A difference, not a ratio: twice a negative contribution would look like twice the value."""
    minutes, contribution = view["minutes_365"], view["revenue_365"] - _cost(view, 365)
    typical = share(view["known_revenue"] - _valued(view, view["known_cost"], view["known_uncosted"]), view["known_minutes"])
    own = shrunk(contribution, minutes, typical, PRIOR_MINUTES)
    return _if_priced(view, 365, np.where(minutes > 0, (typical - own) * 60 / 100, np.nan))


COLUMNS = (
    Column("staff_hours_90", lambda view: view["minutes_90"] / 60, "hours", "worked for the client in the last 90 days", 0),
    Column(HOURS_COLUMN, lambda view: view["minutes_365"] / 60, "hours", "worked for the client in the last 365 days", 0),
    Column(
        MARGIN_COLUMN,
        _margin,
        "share",
        "revenue of the last 365 days less the cost of our work, over the larger of the two",
        None,
        misfit=-1,
        raises="The last year's revenue less the cost of our work was only {contribution_margin_365:.0%} of the larger of the two.",
        lowers="The last year's revenue less the cost of our work was {contribution_margin_365:.0%} of the larger of the two.",
    ),
    Column(
        "contribution_margin_fall_180",
        _margin_fall,
        "share",
        f"that margin in the 365 days before less that of the last 180, with {PRIOR_DAYS} days of the former counted in",
        None,
        misfit=1,
        yardstick=0,
        raises="The margin after the cost of our work has fallen of late; over the last year it was {contribution_margin_365:.0%}.",
        lowers="The margin after the cost of our work has not fallen of late; over the last year it was {contribution_margin_365:.0%}.",
    ),
    Column(
        "attention_gap_365",
        _attention_gap,
        "share",
        "share of all hours worked in the last 365 days less share of all revenue; of clients invoiced in our currency alone",
        None,
        misfit=1,
        yardstick=0,
        raises="The client's share of our working hours exceeds its share of our revenue by {attention_gap_365:.1%} of the whole.",
        lowers="The client's share of our working hours does not exceed its share of our revenue.",
    ),
    Column(
        "crowding_out_90",
        _crowding_out,
        "share",
        "share of the hours for its account owner's clients in the last 90 days less that in the 275 days before, drawn to the latter",
        None,
        misfit=1,
        yardstick=0,
        raises="A growing share of its team's time goes to this client: {staff_hours_90:.0f} hours in the last 90 days, "
        "{staff_hours_365:.0f} in the last year.",
        lowers="No growing share of its team's time goes to this client: {staff_hours_90:.0f} hours in the last 90 days, "
        "{staff_hours_365:.0f} in the last year.",
    ),
    Column(
        "opportunity_cost_per_hour_365",
        _opportunity_cost,
        "currency/hour",
        "revenue less cost of work of the portfolio's average hour in the last 365 days less that of this client's, drawn to the former",
        None,
        misfit=1,
        yardstick=0,
        raises="The last year's {staff_hours_365:.0f} hours for this client brought less, hour by hour, than those for others.",
        lowers="The last year's {staff_hours_365:.0f} hours for this client brought no less, hour by hour, than those for others.",
    ),
)

SIGNAL = Signal(
    name="effort_value",
    title="Effort against value",
    statements=("A3", "A5", "D2", "D4", "E1"),
    tables=("work",),
    also=("invoices", "clients"),
    measures=measures,
    columns=COLUMNS,
)

"""Running totals of a client's money and hours, and rates -> what a client brings and costs in any stretch of days (A4, B0, D1, D2, D4).

Shared by the label misfit and the decision, so that "contribution" means one thing in both. The signal effort_value shares the arithmetic
but counts the cost of work alone, and only where time entries have a cost (not economics.hourly_cost): its margin is the higher one.
Everything is in minor units of the business's currency; sums are of integers, and exact until a rate is applied.

contribution   revenue less cost to serve
cost to serve  hours × what they cost, bookkeeping of disputes, and the financing of what is owed past its due date
discount       given away against list prices; shown, not subtracted: revenue is net of it

Cost of work is that of the time entries. An entry without one, or with one in a currency of which no rate is known, is valued by its
minutes at what a minute cost the whole portfolio, lest a client look cheap because nobody wrote its cost down.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import ibis
import numpy as np

from features.contract import Business
from features.measures import Floats, Interval, every_row, state
from features.ratios import share
from features.time import Ints, days_past

MINOR_UNITS = 100  # of a unit of currency
OVERDUE = ("due", "due_days", "due_settled", "due_settled_days")


class Priced(Protocol):
    """What the rates are made of: the section `economics` of params.yaml."""

    @property
    def hourly_cost(self) -> float | None: ...
    @property
    def financing_rate_a_year(self) -> float: ...
    @property
    def dispute_hours(self) -> float: ...


# ---- totals -----------------------------------------------------------------------------------------------------------------------


def totals(business: Business) -> list[Interval]:
    """Running totals, ever: revenue, discount, disputes, and four for what is overdue; minutes, cost, uncosted (`between` reads them).

    At an as_of they are what was known then. Two looks at tables as they were known on one day (`features.time.in_retrospect`), or in
    hindsight, differ by just what happened between them; with the tables' own clocks, late records would count when they came in.
    Keep those whose `table` the source has; money in minor units, currencies without a rate count nothing.
    """

    def owed_from(rows: Any) -> Any:
        return rows.due_on + days_past(rows.due_on, rows.day)  # nothing is owed before it is invoiced

    def settled_from(rows: Any) -> Any:
        return rows.due_on + days_past(rows.due_on, ibis.greatest(rows.day, rows.issued))

    return [
        state("revenue", "invoices", business.money),
        state("discount", "invoices", lambda rows: discount_of(rows, business)),
        state("disputes", "invoices", every_row, since="disputed_on"),
        state("due", "invoices", business.money, since="due_on"),
        state("due_days", "invoices", lambda rows: business.money(rows) * owed_from(rows), since="due_on"),
        state("due_settled", "settlements", business.money, since="due_on"),
        state("due_settled_days", "settlements", lambda rows: business.money(rows) * settled_from(rows), since="due_on"),
        state("minutes", "work", lambda rows: rows.duration_minutes),
        state("cost", "work", lambda rows: business.money(rows, "cost")),
        state("uncosted", "work", lambda rows: uncosted_minutes(rows, business)),
    ]


def uncosted_minutes(rows: Any, business: Business) -> Any:
    """Row expression on work: the minutes of an entry without a usable cost, else 0."""
    return (rows.cost.notnull() & ~business.is_unrated(rows)).ifelse(0, rows.duration_minutes)


def discount_of(rows: Any, business: Business) -> Any:
    """Row expression on invoices: list amount less amount, 0 where no list amount is given; below 0 = above list."""
    return rows.list_amount.notnull().ifelse(business.money(rows, "list_amount") - business.money(rows), 0)


def between(before: Mapping[str, Ints], after: Mapping[str, Ints], since: Any, until: Any) -> dict[str, Floats]:
    """Totals at two looks -> what was added in [since, until): revenue, discount, disputes, minutes, cost, uncosted, overdue_days.

    before, after: the totals at the local days `since` and `until` (numbers, or one per element). What was not measured is left out.
    overdue_days: amount × days, the overdue balance at the end of each of these days, summed. An invoice due on day d and paid on day p
    has by day t been overdue for min(t, p) − d days, so that the sum up to t is t × balance less amount × d of what is due, plus
    amount × max(p, d) of what is settled: totals, and nothing need be looked at day by day.

    >>> look = {"due": 500, "due_days": 500 * 10, "due_settled": 0, "due_settled_days": 0}
    >>> between(look, look, since=15, until=22)["overdue_days"].item()  # 500 for 7 days
    3500.0
    """
    added = {name: np.asarray(after[name] - before[name], np.float64) for name in after if name not in OVERDUE}
    if all(name in after for name in OVERDUE):
        overdue = _overdue_until(after, until) - _overdue_until(before, since)
        added["overdue_days"] = np.asarray(overdue, np.float64)
    return added


def _overdue_until(look: Mapping[str, Ints], day: Any) -> Any:
    return day * (look["due"] - look["due_settled"]) - (look["due_days"] - look["due_settled_days"])


# ---- accounts ---------------------------------------------------------------------------------------------------------------------


def minute_cost(cost: Floats, minutes: Floats, uncosted: Floats) -> Floats:
    """What a minute cost, in minor units, of sums over the portfolio; NaN where no entry has a cost.

    >>> minute_cost(np.array([300.0, 0.0]), np.array([90.0, 90.0]), np.array([30.0, 90.0])).tolist()
    [5.0, nan]
    """
    return np.where(cost > 0, share(cost, minutes - uncosted), np.nan)


def work_cost(cost: Floats, uncosted: Floats, a_minute: Any) -> Floats:
    """Cost of work: as recorded, and by the minutes what was not; NaN where a minute's cost is needed and unknown.

    >>> work_cost(np.array([300.0, 300.0]), np.array([30.0, 0.0]), np.nan).tolist()
    [nan, 300.0]
    """
    return cost + np.where(uncosted > 0, uncosted * a_minute, 0)


def margin(revenue: Floats, cost: Floats) -> Floats:
    """Contribution over the larger of revenue and cost, −1..1; NaN where there is neither.

    >>> margin(np.array([100.0, 50.0, 0.0, 0.0]), np.array([40.0, 100.0, 30.0, 0.0])).tolist()
    [0.6, -0.5, -1.0, nan]
    """
    revenue, cost = np.maximum(revenue, 0), np.maximum(cost, 0)
    return share(revenue - cost, np.maximum(revenue, cost))


@dataclass(frozen=True)
class Rates:
    """minute_cost: minor units a minute of work, NaN = unknown; financing_a_day: of what is overdue; dispute_minutes: per dispute."""

    minute_cost: float
    financing_a_day: float
    dispute_minutes: float

    @classmethod
    def of(cls, settings: Priced, recorded_minute_cost: float) -> "Rates":
        """The rates: a minute costs what the time entries say (NaN = nothing), else economics.hourly_cost, else it is unknown."""
        stated = np.nan if settings.hourly_cost is None else settings.hourly_cost * MINOR_UNITS / 60
        return cls(
            minute_cost=float(stated if np.isnan(recorded_minute_cost) else recorded_minute_cost),
            financing_a_day=settings.financing_rate_a_year / 365,
            dispute_minutes=settings.dispute_hours * 60,
        )


def account(window: Mapping[str, Floats], rates: Rates) -> dict[str, Floats]:
    """What `between` gives, all arrays of one shape -> each client's account, of that shape.

    revenue, work_cost, dispute_cost, financing_cost, discount, cost_to_serve, contribution: minor units; hours; margin −1..1. NaN =
    unknown: without invoices there is no revenue, without time entries no cost, and without either no contribution. Financing unknown
    for want of payments is no part of the cost; its column says so. A client that has paid ahead costs no financing, and earns none.
    Where nothing at all was measured, all are scalars.

    >>> rates = Rates(minute_cost=5.0, financing_a_day=0.001, dispute_minutes=60.0)
    >>> window = {"revenue": 9000.0, "minutes": 120.0, "cost": 300.0, "uncosted": 60.0, "disputes": 1.0, "overdue_days": 70_000.0}
    >>> found = account({name: np.array([value]) for name, value in window.items()}, rates)
    >>> [found[name].item() for name in ("work_cost", "dispute_cost", "financing_cost", "cost_to_serve", "contribution")]
    [600.0, 300.0, 70.0, 970.0, 8030.0]
    """
    unknown = np.full(np.broadcast_shapes(*(np.shape(values) for values in window.values())), np.nan)
    parts: dict[str, Floats] = {}
    if "minutes" in window:
        parts["work_cost"] = work_cost(window["cost"], window["uncosted"], rates.minute_cost)
    if "disputes" in window:
        parts["dispute_cost"] = work_cost(np.zeros_like(unknown), window["disputes"] * rates.dispute_minutes, rates.minute_cost)
    if "overdue_days" in window:
        parts["financing_cost"] = np.maximum(window["overdue_days"], 0) * rates.financing_a_day
    parts = {name: np.rint(part) for name, part in parts.items()}  # whole minor units, so that the parts shown add up to the sum shown
    cost_to_serve = sum(parts.values(), np.zeros_like(unknown)) if "work_cost" in parts else unknown
    revenue = window.get("revenue", unknown)
    return {
        "revenue": revenue,
        "hours": window["minutes"] / 60 if "minutes" in window else unknown,
        **{name: parts.get(name, unknown) for name in ("work_cost", "dispute_cost", "financing_cost")},
        "discount": window.get("discount", unknown),
        "cost_to_serve": cost_to_serve,
        "contribution": revenue - cost_to_serve,
        "margin": margin(revenue, cost_to_serve),
    }

"""Contacts -> what is billed, paid and worked: monthly invoices, payments of them, time entries.

Amounts are the firm's own fees, so that what is invoiced less what the work cost is what the client contributes.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.time import month_starts
from pipeline.world.almanac import DAY, Almanac
from pipeline.world.events import Weeks, kept
from pipeline.world.states import Floats, Ints

AGOROT = 100
RATE_AGOROT = 330  # cost of a minute of staff with desk and leave: about 200 ILS an hour
MINUTES_PER_SHIPMENT = 120
OVERHEAD_TOPICS = {  # minutes beyond the shipment's own, per contact
    "Complaint": 35,
    "Escalation": 60,
    "Could not reach you": 10,
    "Report request": 45,
    "Instruction": 15,
    "Price question": 12,
    "Discount request": 15,
    "Terms refused": 30,
    "Change request": 30,
    "Reversal": 40,
    "Question": 10,
    "General": 6,
    "Return": 45,
    "Cancellation": 25,
    "Review meeting": 70,
    "No show": 30,
}
OTHER_MINUTES = 4  # of every other contact
EXTRA_MINUTES = 90  # of free work that a request beyond the order brings, on average
FEE_SPREAD, WORK_SPREAD = (-0.05, 0.32), (-0.06, 0.35)  # of the logarithm, between shipments
LEAST_NOTED, LEAST_EXTRA = 30, 10  # minutes of a client's week, overhead and extras, below which nobody makes an entry


@dataclass(frozen=True)
class Money:
    """bills: one row per invoice; receipts: per payment; entries: per time entry, `invoice` = row of the bill, −1 where never billed."""

    bills: pd.DataFrame
    receipts: pd.DataFrame
    entries: pd.DataFrame


def money(weeks: Weeks, contacts: pd.DataFrame, almanac: Almanac) -> Money:
    bills = _bills(weeks, contacts)
    return Money(bills, _receipts(weeks, bills), _entries(weeks, contacts, bills, almanac))


def discount_given(usual: Floats, friction: Floats, haggles: Floats) -> Floats:
    """Share of the fee, before chance."""
    share: Floats = usual + 0.06 * friction + 0.12 * haggles
    return share


def _bills(weeks: Weeks, contacts: pd.DataFrame) -> pd.DataFrame:
    """One invoice per client and month with shipments, in the first days of the month after."""
    lives, random = weeks.lives, weeks.lives.random("bills")
    orders = contacts[(contacts.topic == "Shipment order").to_numpy()]
    client, day = orders.client.to_numpy(), (orders.moment // DAY).to_numpy()
    months = np.array(month_starts(lives.start_day, lives.end_day + 31))
    month = np.searchsorted(months, day, side="right")
    value = weeks.at("fee", client, day) * random.lognormal(*FEE_SPREAD, len(orders))
    monthly = pd.DataFrame({"client": client, "month": month, "value": value.astype(float)})
    bills = (
        monthly[month < len(months)].groupby(["client", "month"], as_index=False).agg({"value": "sum"})
    )  # -> one row per client and month
    client, n = bills.client.to_numpy(), len(bills)
    issued = months[bills.month.to_numpy()] + random.integers(0, 6, n)
    friction, haggles = weeks.at("friction", client, issued), weeks.at("haggles", client, issued)
    discount = np.clip(discount_given(weeks.at("discount", client, issued), friction, haggles) + random.normal(0, 0.01, n), 0, 0.5)
    terms = weeks.at("terms_days", client, issued).astype(np.int64)
    disputed = random.random(n) < 0.01 + 0.16 * friction + 0.04 * haggles + 0.03 * weeks.at("criticism", client, issued)
    found = pd.DataFrame(
        {"client": client, "month": bills.month.to_numpy(), "issued": issued, "due": issued + terms}
        | {
            "agorot": (AGOROT * bills.value * (1 - discount)).round().astype(np.int64),
            "list_agorot": (AGOROT * bills.value).round().astype(np.int64),
        }
        | {"disputed": np.where(disputed, issued + random.integers(3, 25, n), -1)}
    )
    return found[found.issued < lives.end_day].sort_values(["issued", "client"], kind="stable", ignore_index=True)


def _receipts(weeks: Weeks, bills: pd.DataFrame) -> pd.DataFrame:
    """Payments: late by habit, later in friction, with a heavy tail; some in two parts, a few never."""
    random, n = weeks.lives.random("receipts"), len(bills)
    client, issued = bills.client.to_numpy(), bills.issued.to_numpy()
    friction, crisis = weeks.at("friction", client, issued), weeks.at("crisis", client, issued)
    breaks = weeks.at("breaks_agreements", client, issued)
    delay = weeks.at("pays_late_days", client, issued) + random.standard_t(2.5, n) * 4
    delay = delay + (38 * friction + 22 * breaks + 14 * crisis) * random.gamma(2, 0.5, n)
    paid = np.maximum(issued + 1, bills.due.to_numpy() + np.clip(delay, -60, 400).round().astype(np.int64)) + np.where(
        bills.disputed >= 0, 21, 0
    )
    is_paid = random.random(n) > 0.005 + 0.04 * friction + 0.02 * breaks
    in_two = is_paid & (random.random(n) < 0.05 + 0.15 * friction)
    amount = bills.agorot.to_numpy()
    first = np.where(in_two, amount // 2, amount)
    rest_paid = paid + random.integers(10, 45, n)
    parts = [
        pd.DataFrame({"invoice": np.arange(n), "paid": paid, "agorot": first})[is_paid],
        pd.DataFrame({"invoice": np.arange(n), "paid": rest_paid, "agorot": amount - first})[in_two],
    ]
    found = pd.concat(parts, ignore_index=True)
    return found[found.paid < weeks.lives.end_day].sort_values(["paid", "invoice"], kind="stable", ignore_index=True)


def _entries(weeks: Weeks, contacts: pd.DataFrame, bills: pd.DataFrame, almanac: Almanac) -> pd.DataFrame:
    """Time entries: a client-week's contract work, its overhead, and extras beyond the order (mostly unbilled)."""
    random, n_weeks = weeks.lives.random("work"), weeks.n_weeks
    week = (contacts.moment.to_numpy() // DAY - weeks.first_day) // 7
    cell = contacts.client.to_numpy() * n_weeks + np.clip(week, 0, n_weeks - 1)
    names = contacts.topic.cat.categories
    per_contact = np.array([OVERHEAD_TOPICS.get(name, OTHER_MINUTES) for name in names], float)
    topic = contacts.topic.cat.codes.to_numpy()
    size = weeks.lives.n * n_weeks
    n_orders = np.bincount(cell[topic == list(names).index("Shipment order")], minlength=size)
    overhead = np.bincount(cell, per_contact[topic] * random.gamma(2, 0.5, len(cell)), minlength=size)
    extras = np.bincount(cell[topic == list(names).index("Extra request")], minlength=size)
    effort = np.repeat(weeks["effort"][:, 0], n_weeks)
    parts = [
        _lines(
            weeks,
            random,
            n_orders * MINUTES_PER_SHIPMENT * effort * random.lognormal(*WORK_SPREAD, size),
            is_billable=True,
            is_in_scope=True,
            least=1,
        ),
        _lines(weeks, random, overhead * effort, is_billable=False, is_in_scope=True, least=LEAST_NOTED),
        _lines(
            weeks,
            random,
            extras * EXTRA_MINUTES * random.gamma(1.5, 1 / 1.5, size),
            is_billable=False,
            is_in_scope=False,
            least=LEAST_EXTRA,
        ),
    ]
    found = pd.concat(parts, ignore_index=True)
    found["day"] = almanac.next_worked(found.day.to_numpy())
    found = found[kept(weeks.lives, found.client.to_numpy(), found.day.to_numpy())].sort_values(
        ["day", "client"], kind="stable", ignore_index=True
    )
    found["invoice"] = np.where(found.is_billable, _bill_of(weeks, found, bills), -1)
    return found


def _lines(
    weeks: Weeks, random: np.random.Generator, minutes: Floats, *, is_billable: bool, is_in_scope: bool, least: float
) -> pd.DataFrame:
    cell = np.flatnonzero(minutes >= least)
    client, week = np.divmod(cell, weeks.n_weeks)
    day = weeks.first_day + 7 * week + random.integers(0, 7, len(cell))
    whole = np.maximum(1, minutes[cell].round().astype(np.int64))
    rate = RATE_AGOROT * random.choice([0.8, 1.0, 1.3], len(cell), p=[0.3, 0.5, 0.2])
    return pd.DataFrame(
        {"client": client, "day": day, "minutes": whole, "is_billable": is_billable, "is_in_scope": is_in_scope}
        | {"cost_agorot": (whole * rate).round().astype(np.int64)}
    )


def _bill_of(weeks: Weeks, entries: pd.DataFrame, bills: pd.DataFrame) -> Ints:
    """The bill of the month in which the work was done; −1 where there is none."""
    months = np.array(month_starts(weeks.lives.start_day, weeks.lives.end_day + 31))
    month = np.searchsorted(months, entries.day.to_numpy(), side="right")
    of_month = pd.Series(np.arange(len(bills)), pd.MultiIndex.from_arrays([bills.client, bills.month]))
    found: Ints = of_month.reindex(pd.MultiIndex.from_arrays([entries.client, month])).fillna(-1).to_numpy().astype(np.int64)
    return found

"""Contact frequency (B1): how often, how lately and how regularly a client is with us, against its own past; and what it buys.

"Contacts" here are the interactions that qualify as the relationship being alive (the source says which); `touches` are all of them. The
sentences say so each time: a client that wrote every day, but nothing that qualifies, has no qualifying contact. They are worded so that
they hold for one as for many.
The baselines read `recency_days` and the windowed counts and sums (RFM_COLUMNS).
"""

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import (
    Floats,
    Measure,
    Seen,
    active_days,
    count_per_client,
    first_day,
    gaps,
    last_day,
    median_per_client,
    sequence,
    state,
    window,
)
from features.ratios import against_usual, share
from features.time import Ints, age_days, in_window

RECENCY_COLUMN = "recency_days"
VALUE_COLUMN = "revenue_365"  # what a client is worth to us in a year, in currency units
WINDOWS = (14, 30, 60, 90, 180, 365)  # days
RFM_COLUMNS = (
    RECENCY_COLUMN,
    "tenure_days",
    *(f"contacts_{w}" for w in WINDOWS),
    "contacts_ever",
    *(f"revenue_{w}" for w in (90, 180, 365)),
    "revenue_ever",
)
TALKS, WRITING, MISSED = ("call", "meeting", "visit"), ("email", "chat", "ticket", "portal"), ("meeting_declined", "no_show")
BLOCK_DAYS, BLOCKS = 28, 13  # a year in equal months, so that none is short


def measures(business: Business) -> list[Measure]:
    """Counts per window and channel, the rhythm of contact days, and amounts invoiced."""
    return [
        *window("contacts", "interactions", business.qualifies, *WINDOWS, 275),
        state("contacts_ever", "interactions", business.qualifies),
        *window("touches", "interactions", lambda rows: rows.day.notnull(), 365),
        *window("talks", "interactions", lambda rows: rows.channel.isin(TALKS), 90),
        *window("writing", "interactions", lambda rows: rows.channel.isin(WRITING), 90),
        *window("by_client", "interactions", lambda rows: rows.direction == "inbound", 180),
        *window("by_us", "interactions", lambda rows: rows.direction == "outbound", 180),
        *window("missed", "interactions", lambda rows: rows.kind.isin(MISSED), 180),
        *window("held", "interactions", lambda rows: rows.channel.isin(("meeting", "visit")) & ~rows.kind.isin(MISSED), 180),
        last_day("last_contact", "interactions", business.qualifies),
        first_day("first_contact", "interactions", business.qualifies),
        sequence(RHYTHM, "interactions", rhythm, where=business.qualifies),
        *window("revenue", "invoices", business.money, 90, 180, 365),
        state("revenue_ever", "invoices", business.money),
        *window("invoices", "invoices", lambda rows: rows.day.notnull(), 365),
    ]


RHYTHM = ("days_90", "days_180", "days_365", "days_ever", "months_365", "gap_typical", "gap_spread", "gap_last", "gaps_shorter")


def rhythm(seen: Seen) -> tuple[Floats, ...]:
    """Distinct contact days per window, months with any, and the gaps between contact days; see RHYTHM."""
    days = active_days(seen)
    client, gap = gaps(days)
    n, mean = _mean(client, gap, seen.n_clients)
    _, mean_square = _mean(client, gap * gap, seen.n_clients)
    ages = age_days(days.day, seen.as_of)
    silence = np.full(seen.n_clients, np.nan)
    silence[days.client] = ages  # ascending by day: the last contact day remains
    last = np.full(seen.n_clients, np.nan)
    last[client] = gap
    shorter = np.bincount(client[gap < silence[client]], minlength=seen.n_clients) / np.where(n > 0, n + 1, np.nan)
    return (
        *(count_per_client(days, in_window(days.day, seen.as_of, w)) for w in (90, 180, 365)),
        count_per_client(days),
        _months(days),
        median_per_client(client, gap, seen.n_clients),
        np.sqrt(np.maximum(mean_square - mean * mean, 0)),
        last,
        shorter,
    )


def _mean(client: Ints, value: Ints, n_clients: int) -> tuple[Floats, Floats]:
    n = np.bincount(client, minlength=n_clients).astype(np.float64)
    return n, share(np.bincount(client, value, n_clients).astype(np.float64), n)


def _months(days: Seen) -> Floats:
    """In how many of the last 13 blocks of 28 days there was a contact."""
    recent = in_window(days.day, days.as_of, BLOCK_DAYS * BLOCKS)
    block = (age_days(days.day[recent], days.as_of) - 1) // BLOCK_DAYS
    has = np.bincount(days.client[recent] * BLOCKS + block, minlength=days.n_clients * BLOCKS) > 0
    months: Floats = has.reshape(days.n_clients, BLOCKS).sum(axis=1).astype(np.float64)
    return months


def _change(view: View, name: str, days: int, whole: int) -> Floats:
    earlier_days = np.clip(view.days_since("first_contact") - days, 0, whole - days)
    return against_usual(view[f"{name}_{days}"], days, view[f"{name}_{whole}"] - view[f"{name}_{days}"], earlier_days)


COLUMNS = (
    Column(
        RECENCY_COLUMN,
        lambda view: view.days_since("last_contact"),
        "days",
        "days since the last qualifying contact",
        None,
        churn=1,
        raises="Days since the last qualifying contact: {recency_days:.0f}.",
        lowers="Days since the last qualifying contact: only {recency_days:.0f}.",
    ),
    Column("tenure_days", lambda view: view.days_since("first_contact"), "days", "days since the first qualifying contact", None),
    *(
        Column(
            f"contacts_{w}",
            f"contacts_{w}",
            "count",
            f"qualifying contacts in the last {w} days",
            0,
            churn=-1,
            raises=f"Qualifying contacts in the last {w} days: {{contacts_{w}:.0f}}.",
            lowers=f"Qualifying contacts in the last {w} days: {{contacts_{w}:.0f}}.",
        )
        for w in WINDOWS
    ),
    Column("contacts_ever", "contacts_ever", "count", "qualifying contacts ever", 0),
    Column(
        "contacts_same_season",
        lambda view: view["contacts_365"] - view["contacts_275"],
        "count",
        "qualifying contacts in the 90 days that the coming quarter covered a year ago",
        0,
        churn=-1,
        raises="Qualifying contacts in the coming season of last year: {contacts_same_season:.0f}.",
        lowers="Qualifying contacts in the coming season of last year: {contacts_same_season:.0f}.",
    ),
    *(
        Column(
            f"contact_change_{days}",
            lambda view, days=days, whole=whole: _change(view, "contacts", days, whole),  # type: ignore[misc]
            "ratio",
            f"qualifying contacts of the last {days} days against the client's own rate in the {whole} days before as_of (1 = as usual)",
            None,
            churn=-1,
            raises=f"Qualifying contacts: {{contacts_{days}:.0f}} in the last {days} days, {{contacts_{whole}:.0f}} in the last {whole}.",
            lowers=f"Qualifying contacts: {{contacts_{days}:.0f}} in the last {days} days, {{contacts_{whole}:.0f}} in the last {whole}.",
        )
        for days, whole in ((30, 180), (90, 365))
    ),
    *(
        Column(
            f"active_days_{w}",
            f"days_{w}",
            "count",
            f"days with a qualifying contact in the last {w} days",
            0,
            churn=-1,
            raises=f"There was a qualifying contact on {{active_days_{w}:.0f}} of the last {w} days.",
            lowers=f"There was a qualifying contact on {{active_days_{w}:.0f}} of the last {w} days.",
        )
        for w in (90, 180, 365)
    ),
    Column(
        "active_months_12",
        "months_365",
        "count",
        "how many of the last 13 blocks of 28 days had a qualifying contact",
        0,
        churn=-1,
        raises="There was a qualifying contact in {active_months_12:.0f} of the last 13 four-week months.",
        lowers="There was a qualifying contact in {active_months_12:.0f} of the last 13 four-week months.",
    ),
    Column(
        "contacts_per_active_day",
        lambda view: share(view["contacts_ever"], view["days_ever"]),
        "ratio",
        "qualifying contacts per day with one",
        None,
    ),
    Column("typical_gap_days", "gap_typical", "days", "median days between days with a qualifying contact", None),
    Column("gap_spread_days", "gap_spread", "days", "standard deviation of the days between days with a qualifying contact", None),
    Column("last_gap_days", "gap_last", "days", "days between the last two days with a qualifying contact", None),
    Column(
        "silence_to_gap",
        lambda view: share(view.days_since("last_contact"), view["gap_typical"]),
        "ratio",
        "the time since the last qualifying contact in typical gaps of the client",
        None,
        churn=1,
        raises="The time since the last qualifying contact is {silence_to_gap:.1f} times this client's typical gap "
        "of {typical_gap_days:g} days.",
        lowers="The time since the last qualifying contact is only {silence_to_gap:.1f} times this client's typical gap "
        "of {typical_gap_days:g} days.",
    ),
    Column(
        "silence_rank",
        "gaps_shorter",
        "share",
        "past gaps between qualifying contacts shorter than the time since the last one, as a share of all of them and the present one",
        None,
        churn=1,
        yardstick=0.5,  # above it more than half of the past gaps are shorter, below it no more than half
        raises="Days since the last qualifying contact: {recency_days:.0f}, longer than most of this client's earlier gaps "
        "(typically {typical_gap_days:g} days).",
        lowers="Days since the last qualifying contact: {recency_days:.0f}, not longer than most of this client's earlier gaps "
        "(typically {typical_gap_days:g} days).",
    ),
    Column(
        "silence_of_tenure",
        lambda view: share(view.days_since("last_contact"), view.days_since("first_contact")),
        "share",
        "the time since the last qualifying contact as a share of that since the first",
        None,
        churn=1,
        raises="The time since the last qualifying contact fills {silence_of_tenure:.0%} of the whole relationship.",
        lowers="The time since the last qualifying contact fills only {silence_of_tenure:.0%} of the whole relationship.",
    ),
    Column("touches_365", "touches_365", "count", "interactions of any kind in the last 365 days", 0),
    Column("talks_90", "talks_90", "count", "calls, meetings and visits in the last 90 days", 0),
    Column("writing_90", "writing_90", "count", "e-mails, chats, tickets and portal messages in the last 90 days", 0),
    Column(
        "client_initiative_180",
        lambda view: share(view["by_client_180"], view["by_client_180"] + view["by_us_180"]),
        "share",
        "share of interactions in the last 180 days that came from the client",
        None,  # not constrained: a client that complains comes to us, too
        raises="{client_initiative_180:.0%} of the last half year's interactions came from the client.",
        lowers="{client_initiative_180:.0%} of the last half year's interactions came from the client.",
    ),
    Column(
        "meetings_missed_share_180",
        lambda view: share(view["missed_180"], view["missed_180"] + view["held_180"]),
        "share",
        "share of meetings in the last 180 days that the client declined or missed",
        None,
        churn=1,
        misfit=1,
        raises="The client declined or missed {meetings_missed_share_180:.0%} of the last half year's meetings.",
        lowers="The client declined or missed only {meetings_missed_share_180:.0%} of the last half year's meetings.",
    ),
    *(
        Column(f"revenue_{w}", lambda view, w=w: view[f"revenue_{w}"] / 100, "currency", f"invoiced in the last {w} days", 0)  # type: ignore[misc]
        for w in (90, 180, 365)
    ),
    Column("revenue_ever", lambda view: view["revenue_ever"] / 100, "currency", "invoiced ever", 0),
    Column(
        "revenue_per_invoice_365",
        lambda view: share(view["revenue_365"] / 100, view["invoices_365"]),
        "currency",
        "mean amount of an invoice in the last 365 days",
        None,
    ),
)

SIGNAL = Signal(
    name="contact_frequency",
    title="Contact frequency",
    statements=("B1",),
    tables=("interactions",),
    also=("invoices",),
    measures=measures,
    columns=COLUMNS,
)

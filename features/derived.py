"""Canonical tables -> tables joined from them, for what no single one tells: one row per set of versions that were true together.

settlements          a payment with its client, its due date and the rate of its invoice
replies              an interaction that answers another: its direction and latency
answered             a message that has been answered, for as long as an answer of it is known
fulfilments          a promise that was kept: dated by the day it was done
neighbours           a tie, seen from either end
neighbour_endings    an ending, seen by each client tied to the one it befell
industry_moves       a month of the index of a client's industry
running_agreements   an agreement with the dates between which it runs
strategic_agreements the same with the strategic weight of its service

All have client_id, day and the two clocks, so that measures see them as they see any table; a row counts once all its parts are known
and until the first of them is superseded.
"""

from collections.abc import Callable, Mapping
from typing import Any

import ibis

from features.measures import thousandths
from features.rates import exchanged
from features.time import joint_clocks, local_day, minutes_between, spells_covered, split_by_company, within_life

DERIVED: Mapping[str, tuple[str, ...]] = {
    "settlements": ("payments", "invoices"),
    "replies": ("interactions",),
    "answered": ("interactions",),
    "fulfilments": ("commitments",),
    "neighbours": ("ties",),
    "neighbour_endings": ("ties", "endings"),
    "industry_moves": ("clients", "industry_index"),
    "running_agreements": ("agreements",),
    "strategic_agreements": ("agreements", "services"),
}


def settlements(payments: Any, invoices: Any) -> Any:
    """payments ⋈ invoices. `day` is the payment's; due_on and issued (a local day) the invoice's.

    It cannot have been known to settle an invoice before that was issued, hence the invoice's `day` among the clocks: a prepayment counts
    from the issue on. `rate` is the invoice's, where invoices have one (features/rates.py); see `_in_our_currency`.
    """
    of_invoice = ("invoice_id", "client_id", "due_on", "currency", *_rate_of(invoices))
    joined = payments.join(
        invoices.select(*of_invoice, issued_day="day", invoice_known="known", invoice_superseded="superseded"), "invoice_id"
    )
    known, superseded = joint_clocks(
        [joined.known, joined.invoice_known, joined.issued_day], [joined.superseded, joined.invoice_superseded]
    )
    found = joined.select("payment_id", "amount", *of_invoice, "day", issued="issued_day", known=known, superseded=superseded)
    if "rate" in found.columns:
        is_foreign = (found.rate != 1).fill_null(False)  # at a rate of 1 nothing is rounded, and without one nothing is converted
        found = found.filter(~is_foreign).union(_in_our_currency(found.filter(is_foreign)))
    return found.order_by("client_id", "payment_id")


def _rate_of(table: Any) -> tuple[str, ...]:
    return tuple(name for name in table.columns if name == "rate")


def _in_our_currency(foreign: Any) -> Any:
    """Payments of invoices in other currencies: `amount` is what each settles in ours, hence `rate` 1.

    Together, the payments seen of an invoice settle what their sum comes to at its rate, so that one paid in full has not a penny left to
    be overdue; each by itself would be rounded by itself. So each has what the sum grows by in order of payment, and is split wherever
    another payment of the invoice comes to be seen, or goes.
    """
    split = split_by_company(foreign, by="invoice_id")
    in_order = ibis.cumulative_window(group_by=["invoice_id", "known"], order_by=["day", "payment_id"])
    so_far = split.mutate(paid=split.amount.sum().over(in_order).cast("int64"))
    settles = exchanged(so_far.paid, so_far.rate) - exchanged(so_far.paid - so_far.amount, so_far.rate)
    return so_far.mutate(amount=settles, rate=ibis.literal(1.0)).select(*foreign.columns)


def _answers(interactions: Any) -> Any:
    """interactions ⋈ the same: a version of a reply with a version of the message of the same client, from the other side, that it answers.

    A reminder that follows one's own message answers nothing.
    """
    messages = interactions.select(
        "client_id",
        reply_to="interaction_id",
        message_direction="direction",
        message_day="day",
        message_us="local_us",
        message_known="known",
        message_superseded="superseded",
    )
    joined = interactions.filter(interactions.reply_to.notnull()).join(messages, ["client_id", "reply_to"])
    return joined.filter(joined.direction != joined.message_direction)


def replies(interactions: Any) -> Any:
    """`day`, direction, channel and staff_id are the reply's; latency_minutes runs on the wall clock, nights and rest days included.

    A latency is 0 where the message is dated after its reply. Every reply counts, a second one to the same message too.
    """
    joined = _answers(interactions)
    known, superseded = joint_clocks(
        [joined.known, joined.message_known, joined.message_day], [joined.superseded, joined.message_superseded]
    )
    latency = minutes_between(joined.message_day, joined.message_us, joined.day, joined.local_us)
    return joined.select(
        "interaction_id",
        "client_id",
        "direction",
        "channel",
        "staff_id",
        "day",
        latency_minutes=latency,
        known=known,
        superseded=superseded,
    ).order_by("client_id", "interaction_id")


def answered(interactions: Any) -> Any:
    """`day`, direction and kind are the message's, is_reply whether it answered another one itself. Messages less those answered are the
    unanswered ones, as they stood.

    A message with several replies, or replies amended, is answered while any of them is seen: their spells are merged, so that it is
    never counted twice.
    """
    spell = ("client_id", "reply_to", "message_direction")  # a message may be amended in its direction, too
    spells = spells_covered(_answers(interactions).select(*spell, "day", "known", "superseded"), by=spell)
    messages = interactions.select(
        *("client_id", "direction", "kind", "channel", "day"),
        message_direction="direction",
        reply_to="interaction_id",
        is_reply=interactions.reply_to.notnull(),
        own_known="known",
        own_superseded="superseded",
    )
    both = messages.join(spells, spell)
    known, superseded = joint_clocks([both.own_known, both.begins], [both.own_superseded, both.ends])
    return both.select(
        *("client_id", "direction", "kind", "channel", "day", "is_reply"), interaction_id="reply_to", known=known, superseded=superseded
    ).order_by("client_id", "interaction_id")


def fulfilments(commitments: Any) -> Any:
    """`day` is the day on which it was done, `promised` the local day of the promise; due_on as it was agreed."""
    done = commitments.filter(commitments.done_on.notnull())
    known, superseded = joint_clocks([done.known, done.day], [done.superseded])
    return done.select(
        "commitment_id",
        "client_id",
        "owed_by",
        "kind",
        "due_on",
        promised="day",
        day=local_day(done.done_on),
        known=known,
        superseded=superseded,
    ).order_by("client_id", "commitment_id")


def neighbours(ties: Any) -> Any:
    """Each tie twice: client_id is tied to other_client_id, whichever of the two the table names first."""
    columns = ("tie_id", "kind", "until_on", "day", "known", "superseded")
    there = ties.select("client_id", "other_client_id", *columns)
    back = ties.select(*columns, client_id="other_client_id", other_client_id="client_id").select(*there.columns)
    return there.union(back).order_by("client_id", "tie_id")


def neighbour_endings(ties: Any, endings: Any) -> Any:
    """`day` is the day on which the neighbour's ending was decided; ended_by the neighbour's. Only endings in the tie's life."""
    both = neighbours(ties)
    ended = endings.select("ended_by", other_client_id="client_id", decided_day="day", ending_known="known", ending_superseded="superseded")
    met = both.join(ended, "other_client_id")
    joined = met.filter(within_life(met.decided_day, met.day, met.until_on))
    known, superseded = joint_clocks([joined.known, joined.day, joined.ending_known], [joined.superseded, joined.ending_superseded])
    return joined.select(
        "tie_id", "client_id", "other_client_id", "kind", "ended_by", day="decided_day", known=known, superseded=superseded
    ).order_by("client_id", "tie_id")


def industry_moves(clients: Any, industry_index: Any) -> Any:
    """`day` is the month's first; value_milli the index in thousandths, since sums are of integers."""
    index = industry_index.select("index_id", "industry", "value", index_day="day", index_known="known", index_superseded="superseded")
    joined = clients.select("client_id", "industry", "day", "known", "superseded").join(index, "industry")
    known, superseded = joint_clocks([joined.known, joined.day, joined.index_known], [joined.superseded, joined.index_superseded])
    return joined.select(
        "client_id", "industry", "index_id", day="index_day", value_milli=thousandths(joined.value), known=known, superseded=superseded
    ).order_by("client_id", "index_id")


def running_agreements(agreements: Any) -> Any:
    """The agreements' own columns, but that they run from starts_on (their signing, where it says none) until ends_on (null = open).

    One that renews runs on past its planned end, until a newer version says that it does not: that alone tells a renewed one from one
    that ran out. So `state(…, since="starts_on", until=["ends_on"])` is what runs at as_of.
    """
    signed = (ibis.timestamp("1970-01-01") + agreements.day.as_interval("D")).cast("date")  # a date plus days is a timestamp in DuckDB
    starts = agreements.starts_on.coalesce(signed)
    ends = agreements.renews.fill_null(False).ifelse(ibis.null("date"), agreements.ends_on)
    return agreements.mutate(starts_on=starts, ends_on=ends).order_by("client_id", "agreement_id")


def strategic_agreements(agreements: Any, services: Any) -> Any:
    """Running agreements; weight_milli is the strategic weight of the service in thousandths, as it is today."""
    weights = services.select(
        "strategic_weight", service="service_id", service_day="day", service_known="known", service_superseded="superseded"
    )
    joined = running_agreements(agreements).join(weights, "service")
    known, superseded = joint_clocks(
        [joined.known, joined.service_known, joined.service_day], [joined.superseded, joined.service_superseded]
    )
    return joined.select(
        "agreement_id",
        "client_id",
        "service",
        "starts_on",
        "ends_on",
        "monthly_value",
        "currency",
        *_rate_of(agreements),
        "day",
        weight_milli=thousandths(joined.strategic_weight),
        known=known,
        superseded=superseded,
    ).order_by("client_id", "agreement_id")


MAKERS: Mapping[str, Callable[..., Any]] = {
    maker.__name__: maker
    for maker in (
        *(settlements, replies, answered, fulfilments, neighbours, neighbour_endings, industry_moves),
        *(running_agreements, strategic_agreements),
    )
}

"""Promises not kept by us (E1, E5): what we owe and deliver late, quotes above all, how slowly we answer, and whose delay it was.

A promise is overdue from the day after it was due until it is done or called off, however long that is; one put off is due on its new day
once that is recorded; one without a due date is never late. A mean over kept promises alone would make who delivers nothing look prompt:
shares and days late are over those kept in the last 180 days and those overdue now.

Blame split: the days of the last 180 on which something was late, one for each promise, ours against the client's. A promise four months
late counts four times as much as one a month late, and none for the days before the 180, so that nothing long forgotten outweighs
the rest. Where the delay is ours, a client's trouble speaks against us and not against the client: hence its opposite directions.

A client's message waits for an answer under the same rules as our outreach (features/correspondence.py).
"""

from typing import Any

from features.contract import Business, Column, Signal, View
from features.correspondence import correspondence, latency, latency_hours, latency_rise, unanswered_days, unanswered_share
from features.measures import Edge, Floats, Interval, Measure, RowValue, state, window
from features.ratios import share
from features.time import days_past

WINDOW_DAYS = 180
ENDS = ("done_on", "cancelled_on")
OURS, THEIRS = "us", "client"
SHARE_WORDS = (
    "Of our promises, kept in the last half year or overdue, {our_late_share_180:.0%} were late; {our_overdue:.0f} are overdue now."
)
LATE_WORDS = (
    "What we kept in the last half year or still owe past its date was {our_late_days_180:.1f} days late on average;"
    " {our_overdue:.0f} of our promises are overdue now."
)
REPLY_WORDS = "Our replies to the client took {our_reply_hours_90:.0f} hours on average in the last 90 days."
BLAME_WORDS = "Of all delay in the last half year, ours and the client's, {delay_share_ours_180:.0%} was ours."


def measures(_: Business) -> list[Measure]:
    """Promises of either side, overdue and kept, and their days late; our quotes; our replies and the client's messages."""

    def is_quote(rows: Any) -> Any:
        return (rows.owed_by == OURS) & (rows.kind == "quote")

    return [
        *_delays(OURS),
        *_delays(THEIRS),
        *window("kept", "fulfilments", lambda rows: rows.owed_by == OURS, WINDOW_DAYS),
        *window("kept_late", "fulfilments", _late(OURS), WINDOW_DAYS),
        state("quotes_overdue", "commitments", is_quote, since="due_on", until=ENDS),
        *window("quotes_sent", "fulfilments", is_quote, WINDOW_DAYS),
        *window("quotes_sent_late", "fulfilments", lambda rows: is_quote(rows) & (days_past(rows.due_on, rows.day) > 0), WINDOW_DAYS),
        *latency("outbound"),
        *correspondence("inbound"),
    ]


def _late(owed_by: str) -> RowValue:
    return lambda rows: (rows.owed_by == owed_by) & (days_past(rows.due_on, rows.day) > 0)


def _delays(owed_by: str) -> list[Measure]:
    """Overdue promises and the sum of their due days, and those due before the window again; the same for what was kept late in it."""

    def owed(rows: Any) -> Any:
        return rows.owed_by == owed_by

    def due_days(rows: Any) -> Any:
        return owed(rows).ifelse(rows.due_on, 0)

    def late_due_days(rows: Any) -> Any:
        return _late(owed_by)(rows).ifelse(rows.due_on, 0)

    before, ends = Edge("due_on", WINDOW_DAYS), tuple(Edge(column) for column in ENDS)
    return [
        state(f"overdue_{owed_by}", "commitments", owed, since="due_on", until=ENDS),
        state(f"overdue_due_{owed_by}", "commitments", due_days, since="due_on", until=ENDS),
        Interval(f"overdue_before_{owed_by}", "commitments", owed, before, ends),
        Interval(f"overdue_before_due_{owed_by}", "commitments", due_days, before, ends),
        *window(
            f"late_days_{owed_by}",
            "fulfilments",
            lambda rows: owed(rows).ifelse(days_past(rows.due_on, rows.day), 0),
            WINDOW_DAYS,
        ),
        Interval(f"late_before_{owed_by}", "fulfilments", _late(owed_by), before, (Edge("day", WINDOW_DAYS),)),
        Interval(f"late_before_due_{owed_by}", "fulfilments", late_due_days, before, (Edge("day", WINDOW_DAYS),)),
    ]


def _overdue_days(view: View, owed_by: str) -> Floats:
    """Days that the overdue promises have been so, summed."""
    found: Floats = view.as_of * view[f"overdue_{owed_by}"] - view[f"overdue_due_{owed_by}"]
    return found


def _delay_days(view: View, owed_by: str) -> Floats:
    """Days late that fell in the window, summed over promises: all days late, less those before the window began."""
    begins = view.as_of - WINDOW_DAYS
    all_days = _overdue_days(view, owed_by) + view[f"late_days_{owed_by}_{WINDOW_DAYS}"]
    before = sum(begins * view[f"{name}_before_{owed_by}"] - view[f"{name}_before_due_{owed_by}"] for name in ("overdue", "late"))
    found: Floats = all_days - before
    return found


def _delay_share(view: View) -> Floats:
    ours = _delay_days(view, OURS)
    return share(ours, ours + _delay_days(view, THEIRS))


def _promises(view: View) -> Floats:
    return view["kept_180"] + view["overdue_us"]


def _quotes_late(view: View) -> Floats:
    return share(view["quotes_sent_late_180"] + view["quotes_overdue"], view["quotes_sent_180"] + view["quotes_overdue"])


COLUMNS = (
    Column("our_overdue", "overdue_us", "count", "our promises overdue now", 0),
    Column(
        "our_late_share_180",
        lambda view: share(view["kept_late_180"] + view["overdue_us"], _promises(view)),
        "share",
        "of our promises kept in the last 180 days or overdue now: the share kept late or overdue",
        None,
        churn=1,
        raises=SHARE_WORDS,
        lowers=SHARE_WORDS.replace("{our_late", "only {our_late"),
    ),
    Column(
        "our_late_days_180",
        lambda view: share(view["late_days_us_180"] + _overdue_days(view, OURS), _promises(view)),
        "days",
        "mean days late of the same promises, in time = 0",
        None,
        churn=1,
        raises=LATE_WORDS,
        lowers=LATE_WORDS.replace("was {", "was only {"),
    ),
    Column(
        "our_quotes_late_share_180",
        _quotes_late,
        "share",
        "of our quotes sent in the last 180 days or overdue now: the share sent late or overdue",
        None,
        churn=1,
        raises="{our_quotes_late_share_180:.0%} of the last half year's quotes were sent late or are overdue.",
        lowers="Only {our_quotes_late_share_180:.0%} of the last half year's quotes were sent late or are overdue.",
    ),
    Column(
        "our_reply_hours_90",
        latency_hours,
        "hours",
        "mean hours, nights and rest days included, that our replies of the last 90 days took",
        None,
        churn=1,
        raises=REPLY_WORDS,
        lowers=REPLY_WORDS.replace("took", "took only"),
    ),
    Column(
        "our_reply_rise_90",
        latency_rise,
        "ratio",
        "that against our own mean to this client in the 275 days before, shrunk to the segment's (1 = as usual)",
        1,
        churn=1,
        raises=REPLY_WORDS,
        lowers=REPLY_WORDS,
    ),
    Column(
        "inbound_unanswered_share_90",
        unanswered_share,
        "share",
        "share of what the client wrote in the last 90 days, at least three days ago, that asks for an answer and has none from us",
        None,
        churn=1,
        raises="{inbound_unanswered_share_90:.0%} of what the client wrote to us in the last 90 days stands unanswered.",
        lowers="Only {inbound_unanswered_share_90:.0%} of what the client wrote to us in the last 90 days stands unanswered.",
    ),
    Column(
        "inbound_unanswered_days",
        unanswered_days,
        "days",
        "mean age of those unanswered messages; 0 where all were answered",
        None,
        churn=1,
        raises="What the client wrote and we have not answered has waited for {inbound_unanswered_days:.0f} days on average.",
        lowers="What the client wrote and we have not answered has waited for only {inbound_unanswered_days:.0f} days on average.",
    ),
    Column(
        "delay_share_ours_180",
        _delay_share,
        "share",
        "blame split: our share of the days of the last 180 on which a promise of ours or of the client's was late; unknown without delay",
        None,
        churn=1,
        misfit=-1,
        raises=BLAME_WORDS,
        lowers=BLAME_WORDS.replace("{delay", "only {delay"),
    ),
)

SIGNAL = Signal(
    name="our_promises",
    title="Promises not kept by us",
    statements=("E1", "E5"),
    tables=("commitments",),
    also=("clients", "interactions", "replies", "answered", "fulfilments"),
    measures=measures,
    columns=COLUMNS,
)

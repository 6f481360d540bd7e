"""Replies of one side to the other -> measures and columns that the signals of either side share: how fast, and what was left waiting.

A reply's latency runs on the wall clock and is known once it has come; until then the message waits, and that shows as unanswered with an
age, else whoever falls silent would look prompt. A message that waits is written (WRITING), of a kind that asks for an answer (ASKS), not
itself in reply to something, from the last 90 days and at least three days old: a younger one may still be answered in good time. It counts
only in channels in which an answer to anyone was recorded within the last year: where a source keeps no thread, nothing is known.
"""

from typing import Any

import numpy as np

from features.contract import View
from features.measures import Edge, Floats, Interval, Measure, Peer, state, window
from features.ratios import share, spike

WRITING = ("email", "chat", "ticket", "portal")
ASKS = (  # not orders, reversals, returns, cancellations, praise, missed meetings and the rest: these tell, and may rightly end there
    *("message", "report_request", "instruction", "complaint", "availability_complaint", "escalation"),
    *("price_question", "discount_request", "terms_refused", "scope_request", "change_request"),
)
GRACE_DAYS, WINDOW_DAYS = 3, 90


def latency(direction: str) -> list[Measure]:
    """Number of replies in a direction and the minutes they took; both over the segment."""
    return [
        *window("replies", "replies", lambda rows: rows.direction == direction, 90, 365),
        *window("minutes", "replies", lambda rows: (rows.direction == direction).ifelse(rows.latency_minutes, 0), 90, 365),
        state("segment", "clients", lambda rows: rows.segment),
        *(Peer(f"peer_{name}_{w}", of=f"{name}_{w}", by="segment") for name in ("replies", "minutes") for w in (90, 365)),
    ]


def latency_hours(view: View) -> Floats:
    """Mean hours that the replies of the last 90 days took."""
    return share(view["minutes_90"], view["replies_90"]) / 60


def latency_hours_before(view: View) -> Floats:
    """Mean hours that those of the 275 days before took."""
    return share(view["minutes_365"] - view["minutes_90"], view["replies_365"] - view["replies_90"]) / 60


def latency_rise(view: View) -> Floats:
    """The first against the second, the second shrunk to the mean of the segment and the first to that."""
    before, of_before = (view[f"{name}_365"] - view[f"{name}_90"] for name in ("minutes", "replies"))
    return spike(view["minutes_90"], view["replies_90"], before, of_before, share(view["peer_minutes_365"], view["peer_replies_365"]))


def correspondence(direction: str) -> list[Measure]:
    """Per channel: messages in a direction that ask for an answer, those answered, the sums of their days; whether answers are recorded."""
    found: list[Measure] = []
    for channel in WRITING:

        def asks(rows: Any, channel: str = channel) -> Any:
            return (rows.direction == direction) & (rows.channel == channel) & rows.kind.isin(ASKS)

        def opens(rows: Any, asks: Any = asks) -> Any:
            return asks(rows) & rows.reply_to.isnull()

        def opened(rows: Any, asks: Any = asks) -> Any:
            return asks(rows) & ~rows.is_reply

        for name, table, flag in (("messages", "interactions", opens), ("answered", "answered", opened)):

            def days(rows: Any, flag: Any = flag) -> Any:
                return flag(rows).ifelse(rows.day, 0)

            since, until = Edge("day", GRACE_DAYS - 1), (Edge("day", WINDOW_DAYS),)
            found += [
                Interval(f"{name}_{channel}", table, flag, since, until),
                Interval(f"{name}_days_{channel}", table, days, since, until),
            ]
        found += [
            *window(f"recorded_{channel}", "answered", asks, 365),
            Peer(f"peer_recorded_{channel}", of=f"recorded_{channel}_365"),
        ]
    return found


def _over_channels(view: View, name: str) -> Floats:
    """Sum over the channels in which answers are recorded."""
    numbers = {channel: view[f"{name}_{channel}"] for channel in WRITING}
    parts = [np.where(view[f"peer_recorded_{channel}"] > 0, number, 0) for channel, number in numbers.items()]
    total: Floats = np.sum(parts, axis=0)
    return total


def _unanswered(view: View) -> Floats:
    return _over_channels(view, "messages") - _over_channels(view, "answered")


def unanswered_share(view: View) -> Floats:
    """Share of the messages that stand unanswered; NaN where there are none, or answers are not recorded."""
    return share(_unanswered(view), _over_channels(view, "messages"))


def unanswered_days(view: View) -> Floats:
    """Mean age of those unanswered; 0 where all are answered, NaN where there are none, or answers are not recorded."""
    number = _unanswered(view)
    age_sum = view.as_of * number - (_over_channels(view, "messages_days") - _over_channels(view, "answered_days"))
    return np.where(number > 0, share(age_sum, number), share(number, _over_channels(view, "messages")))

"""Agreements not kept by the client (A5, C2, D3): its promises late, undone or called off, appointments missed, our terms refused.

A promise of the client's is broken once it is past its due date and undone, or called off, or was kept late; each is dated by the day of
that: due, called off, done. One that is undone leaves with its window, and no promise counts twice. Who called it off is not recorded: some
of that may have been us. An appointment is a promise too, but is missed rather than late, so that days late are those of tasks and
materials. A promise without a due date is never late. What the client owes at this moment, and for how long, is in
features/client_responsiveness.py.
"""

from typing import Any

from features.contract import Business, Column, Signal, View
from features.measures import Edge, Floats, Interval, Measure, Peer, RowValue, state, window
from features.ratios import share, spike
from features.time import days_past

WINDOWS = (90, 365)  # days
HELD, MISSED = ("meeting", "visit"), ("meeting_declined", "no_show")
SHARE_WORDS = (
    "Of the client's promises kept, past due or called off in the last year {client_broken_share_365:.0%} were kept late, left undone or"
    " called off."
)
SPIKE_WORDS = (
    "Promises of the client kept late, left undone or called off: {client_broken_90:.0f} in the last 90 days;"
    " over the last year, {client_broken_share_365:.0%} of all."
)
LATE_WORDS = "Tasks and materials from the client were {client_late_days_365:.1f} days late on average in the last year."
CANCELLED_WORDS = "Of the last year's appointments with the client {appointments_cancelled_share_365:.0%} were called off."
NO_SHOW_WORDS = "The client failed to turn up at {no_show_share_365:.0%} of the last year's meetings."
REFUSED_WORDS = "In the last year there were {terms_refused_share_365:.0%} as many refusals of terms as contacts from the client."


def measures(_: Business) -> list[Measure]:
    """Promises kept, late, undone and called off, per window; appointments; contacts that refuse terms or miss meetings."""

    def owed(rows: Any) -> Any:
        return rows.owed_by == "client"

    def is_appointment(rows: Any) -> Any:
        return owed(rows) & (rows.kind == "appointment")

    def is_input(rows: Any) -> Any:
        return owed(rows) & (rows.kind != "appointment").fill_null(True)

    def late(rows: Any) -> Any:
        return owed(rows) & (days_past(rows.due_on, rows.day) > 0)

    def late_days(rows: Any) -> Any:
        return is_input(rows).ifelse(days_past(rows.due_on, rows.day), 0)

    counted: list[Measure] = []
    for days in WINDOWS:
        counted += [
            *window("kept", "fulfilments", owed, days),
            *window("kept_late", "fulfilments", late, days),
            _undone("undone", owed, days),
            _called_off("called_off", owed, days),
        ]
    return [
        *counted,
        *window("inputs", "fulfilments", is_input, 365),
        *window("late_days", "fulfilments", late_days, 365),
        _undone("inputs_undone", is_input, 365),
        _undone("inputs_undone_due", lambda rows: is_input(rows).ifelse(rows.due_on, 0), 365),
        *window("appointments_kept", "fulfilments", is_appointment, 365),
        _undone("appointments_undone", is_appointment, 365),
        _called_off("appointments_called_off", is_appointment, 365),
        *window("no_shows", "interactions", lambda rows: rows.kind == "no_show", 365),
        *window("held", "interactions", lambda rows: rows.channel.isin(HELD) & ~rows.kind.isin(MISSED), 365),
        *window("refused", "interactions", lambda rows: rows.kind == "terms_refused", 365),
        *window("inbound", "interactions", lambda rows: rows.direction == "inbound", 365),
        state("segment", "clients", lambda rows: rows.segment),
        *(Peer(f"peer_{name}", of=f"{name}_365", by="segment") for name in ("kept", "kept_late", "undone", "called_off")),
    ]


def _undone(name: str, value: RowValue, days: int) -> Interval:
    """Fell due in the last so many days, and is neither done nor called off."""
    return Interval(f"{name}_{days}", "commitments", value, Edge("due_on"), (Edge("due_on", days), Edge("done_on"), Edge("cancelled_on")))


def _called_off(name: str, value: RowValue, days: int) -> Interval:
    """Called off in the last so many days, and not done all the same."""
    return Interval(f"{name}_{days}", "commitments", value, Edge("cancelled_on"), (Edge("cancelled_on", days), Edge("done_on")))


def _broken(view: View, days: int) -> Floats:
    return view[f"kept_late_{days}"] + view[f"undone_{days}"] + view[f"called_off_{days}"]


def _settled(view: View, days: int) -> Floats:
    return view[f"kept_{days}"] + view[f"undone_{days}"] + view[f"called_off_{days}"]


def _spike(view: View) -> Floats:
    now, of_now = _broken(view, 90), _settled(view, 90)
    undone = view["peer_undone"] + view["peer_called_off"]
    typical = share(view["peer_kept_late"] + undone, view["peer_kept"] + undone)
    return spike(now, of_now, _broken(view, 365) - now, _settled(view, 365) - of_now, typical)


def _late_days(view: View) -> Floats:
    waiting = view.as_of * view["inputs_undone_365"] - view["inputs_undone_due_365"]
    return share(view["late_days_365"] + waiting, view["inputs_365"] + view["inputs_undone_365"])


def _cancelled(view: View) -> Floats:
    called_off = view["appointments_called_off_365"]
    return share(called_off, view["appointments_kept_365"] + view["appointments_undone_365"] + called_off)


COLUMNS = (
    Column(
        "client_broken_90",
        lambda view: _broken(view, 90),
        "count",
        "promises of the client kept late, left undone or called off in the last 90 days",
        0,
    ),
    Column(
        "client_broken_share_365",
        lambda view: share(_broken(view, 365), _settled(view, 365)),
        "share",
        "share of the client's promises kept, past due or called off in the last 365 days that it kept late, left undone or called off",
        None,
        misfit=1,
        raises=SHARE_WORDS,
        lowers=SHARE_WORDS.replace("year {", "year only {"),
    ),
    Column(
        "client_broken_spike_90",
        _spike,
        "ratio",
        "that share in the last 90 days against the client's own in the 275 days before, shrunk to the segment's (1 = as usual)",
        1,
        misfit=1,
        raises=SPIKE_WORDS,
        lowers=SPIKE_WORDS,
    ),
    Column(
        "client_late_days_365",
        _late_days,
        "days",
        "mean days late of tasks and materials that the client delivered in the last 365 days, or that fell due in them and are undone",
        None,
        misfit=1,
        raises=LATE_WORDS,
        lowers=LATE_WORDS.replace("were {", "were only {"),
    ),
    Column(
        "appointments_cancelled_share_365",
        _cancelled,
        "share",
        "share of the appointments kept, past or called off in the last 365 days that were called off",
        None,
        misfit=1,
        raises=CANCELLED_WORDS,
        lowers=CANCELLED_WORDS.replace("client {", "client only {"),
    ),
    Column(
        "no_show_share_365",
        lambda view: share(view["no_shows_365"], view["no_shows_365"] + view["held_365"]),
        "share",
        "meetings at which the client did not turn up in the last 365 days, as a share of these and the meetings and visits held",
        None,
        misfit=1,
        raises=NO_SHOW_WORDS,
        lowers=NO_SHOW_WORDS.replace("at {", "at only {"),
    ),
    Column(
        "terms_refused_share_365",
        lambda view: share(view["refused_365"], view["inbound_365"]),
        "share",
        "refusals of our terms in the last 365 days per contact from the client",
        None,
        misfit=1,
        raises=REFUSED_WORDS,
        lowers=REFUSED_WORDS.replace("were {", "were only {"),
    ),
)

SIGNAL = Signal(
    name="client_agreements",
    title="Agreements not kept by the client",
    statements=("A5", "C2", "D3"),
    tables=("commitments",),
    also=("clients", "interactions", "fulfilments"),
    measures=measures,
    columns=COLUMNS,
)

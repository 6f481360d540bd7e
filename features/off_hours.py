"""Off-hours contact (A2, C4, E2): contacts from the client outside service hours, at night, on rest days and holidays.

Local time of day, working week and holidays are the business's own. A contact at exactly midnight is a date without a time of day: its day
is judged, its hour is not.
"""

from typing import Any

from features.contract import Business, Column, Signal
from features.measures import Measure, Peer, state, window
from features.ratios import own_spike, share
from features.time import DAY_US, weekday_of

WINDOWS = (30, 90, 180)  # days
MINUTE_US = DAY_US // 1_440
NIGHT_ENDS, NIGHT_BEGINS = 6 * 60, 22 * 60  # minutes from midnight


def measures(business: Business) -> list[Measure]:
    """Contacts from the client by when they came; the peers of its segment."""

    def inbound(rows: Any) -> Any:
        return rows.direction == "inbound"

    def on_rest_day(rows: Any) -> Any:
        return inbound(rows) & (~weekday_of(rows.day).isin(business.working_days) | rows.day.isin(business.holidays))

    def at_night(rows: Any) -> Any:
        return inbound(rows) & _outside(rows.local_us, NIGHT_ENDS, NIGHT_BEGINS)

    def off_hours(rows: Any) -> Any:
        return on_rest_day(rows) | (inbound(rows) & _outside(rows.local_us, business.opens_minute, business.closes_minute))

    return [
        *window("inbound", "interactions", inbound, *WINDOWS, 365),
        *window("off_hours", "interactions", off_hours, *WINDOWS, 365),
        *window("rest_day", "interactions", on_rest_day, 180),
        *window("night", "interactions", at_night, 180),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_inbound", of="inbound_365", by="segment"),
        Peer("peer_off_hours", of="off_hours_365", by="segment"),
    ]


def _outside(local_us: Any, from_minute: int, to_minute: int) -> Any:
    has_time = local_us != 0
    return has_time & ((local_us < from_minute * MINUTE_US) | (local_us >= to_minute * MINUTE_US))


def _share(name: str, days: int, where: str) -> Column:
    column = f"{name}_share_{days}"
    return Column(
        column,
        lambda view: share(view[f"{name}_{days}"], view[f"inbound_{days}"]),
        "share",
        f"share of the client's contacts in the last {days} days that came {where}",
        None,
        churn=1,
        misfit=1,
        raises=f"{{{column}:.0%}} of the client's contacts of the last {days} days came {where}.",
        lowers=f"Only {{{column}:.0%}} of the client's contacts of the last {days} days came {where}.",
    )


COLUMNS = (
    *(Column(f"off_hours_{w}", f"off_hours_{w}", "count", f"contacts from the client off hours in the last {w} days", 0) for w in (30, 90)),
    *(_share("off_hours", days, "outside service hours") for days in (90, 180)),
    _share("rest_day", 180, "on rest days or holidays"),
    _share("night", 180, "at night"),
    Column(
        "off_hours_spike_90",
        lambda view: own_spike(view, "off_hours", "inbound", 90),
        "ratio",
        "the off-hours share of the last 90 days against the client's own before, within the year, shrunk to its segment's (1 = as usual)",
        1,
        churn=1,
        misfit=1,
        raises="{off_hours_90:.0f} contacts outside service hours in the last 90 days ({off_hours_share_90:.0%} of the client's contacts).",
        lowers="{off_hours_90:.0f} contacts outside service hours in the last 90 days ({off_hours_share_90:.0%} of the client's contacts).",
    ),
)

SIGNAL = Signal(
    name="off_hours",
    title="Off-hours contact",
    statements=("A2", "C4", "E2"),
    tables=("interactions",),
    also=("clients",),
    measures=measures,
    columns=COLUMNS,
)

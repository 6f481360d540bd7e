"""Reporting-demand spike (B4): reports asked for and instructions given, as a jump over the client's own usual share of contacts.

The documents call it strongest where a long, quiet relationship suddenly asks for reports: `demands_after_quiet` multiplies the excess by
the quiet years before it.
"""

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Measure, Peer, first_day, last_day, state, window
from features.ratios import own_spike, share

DEMANDS = ("report_request", "instruction")
WINDOWS = (30, 90, 365)  # days
LONGEST_QUIET_YEARS = 5  # longer tenures say no more
SHARE_WORDS = (  # not "of the client's contacts": a demand counts whoever wrote it down
    "In the last 90 days there were {demand_share_90:.0%} as many report requests and instructions as contacts from the client."
)


def _counts(days: int) -> str:
    return f"Report requests and instructions: {{demands_{days}:.0f}} in the last {days} days, {{demands_365:.0f}} in the last year."


def measures(_: Business) -> list[Measure]:
    """Demands and all contacts from the client; the peers of its segment."""
    return [
        *window("demands", "interactions", lambda rows: rows.kind.isin(DEMANDS), *WINDOWS),
        *window("inbound", "interactions", lambda rows: rows.direction == "inbound", *WINDOWS),
        first_day("first_contact", "interactions"),
        last_day("last_demand", "interactions", lambda rows: rows.kind.isin(DEMANDS)),
        state("segment", "clients", lambda rows: rows.segment),
        Peer("peer_demands", of="demands_365", by="segment"),
        Peer("peer_inbound", of="inbound_365", by="segment"),
    ]


def _after_quiet(view: View) -> Floats:
    before = view["demands_365"] - view["demands_90"]
    excess = np.maximum(view["demands_90"] - before * (90 / 275), 0)
    years = np.clip((np.nan_to_num(view.days_since("first_contact")) - 90) / 365, 0, LONGEST_QUIET_YEARS)
    return excess * years / (1 + before)


COLUMNS = (
    *(Column(f"demands_{w}", f"demands_{w}", "count", f"report requests and instructions in the last {w} days", 0) for w in WINDOWS),
    Column(
        "demand_share_90",
        lambda view: share(view["demands_90"], view["inbound_90"]),
        "share",
        "share of the client's contacts in the last 90 days that ask for reports or give instructions",
        None,
        churn=1,
        misfit=1,
        raises=SHARE_WORDS,
        lowers=SHARE_WORDS.replace("there were", "there were only"),
    ),
    *(
        Column(
            f"demand_spike_{days}",
            lambda view, days=days: own_spike(view, "demands", "inbound", days),  # type: ignore[misc]
            "ratio",
            f"that share in the last {days} days against the client's own before, within the year, shrunk to its segment's (1 = as usual)",
            1,
            churn=1,
            misfit=1,
            raises=_counts(days),
            lowers=_counts(days),
        )
        for days in (30, 90)
    ),
    Column(
        "demands_after_quiet",
        _after_quiet,
        "count × years",
        "demands of the last 90 days beyond the usual number, times the quiet years before them",
        0,
        churn=1,
        misfit=1,
        yardstick=0,
        raises="{demands_90:.0f} of the last year's {demands_365:.0f} report requests and instructions came in the last 90 days.",
        lowers=_counts(90),
    ),
    Column(
        "days_since_demand", lambda view: view.days_since("last_demand"), "days", "days since the last report request or instruction", None
    ),
)

SIGNAL = Signal(
    name="reporting_demand",
    title="Reporting-demand spike",
    statements=("B4",),
    tables=("interactions",),
    also=("clients",),
    measures=measures,
    columns=COLUMNS,
)

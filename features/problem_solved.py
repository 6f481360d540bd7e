"""Main problem solved, value spent (B5, A5): the goal reached, what is still open or in use, and how long the contract still runs.

Whoever came for one thing and has it may go: the more so the fresher the success, the less is left to deliver, and the fewer services are
in use. A goal reached long ago by a client that is still here says little. An agreement that renews, or has no planned end, runs on; what
is left of a contract is then unknown, not long.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Latest, Measure, every_row, first_day, last_day, state, window
from features.ratios import against_usual

ENDS = ("done_on", "cancelled_on")
FEW_SERVICES = 1
SCOPE_WORDS = (
    "Deliverables promised to the client in the last 90 days: {deliverables_90:.0f}; open promises of ours: {our_open_promises:.0f}."
)
NARROW_WORDS = "Agreements of the client that run: {agreements_running:.0f}."


def measures(_: Business) -> list[Measure]:
    """Goals reached and open, our promises open and new, agreements that run and until when."""

    def ours(rows: Any) -> Any:
        return rows.owed_by == "us"

    def is_goal(rows: Any) -> Any:
        return ours(rows) & (rows.kind == "primary_goal")

    def is_deliverable(rows: Any) -> Any:
        return ours(rows) & (rows.kind == "deliverable")

    runs: dict[str, Any] = {"since": "starts_on", "until": ["ends_on"]}
    return [
        last_day("goal_reached", "fulfilments", is_goal),
        state("goals_open", "commitments", is_goal, until=ENDS),
        state("open", "commitments", ours, until=ENDS),
        *window("deliverables", "commitments", is_deliverable, 90, 365),
        first_day("first_deliverable", "commitments", is_deliverable),
        state("running", "running_agreements", every_row, **runs),
        state("running_open_ended", "running_agreements", lambda rows: rows.ends_on.isnull(), **runs),
        Latest("last_end", "running_agreements", every_row, lambda rows: rows.ends_on),
    ]


def _deliverables_change(view: View) -> Floats:
    """The last 90 days against the 275 before, of those days that are of the time since the first deliverable."""
    before_days = np.minimum(view.days_since("first_deliverable") - 90, 275)
    return against_usual(view["deliverables_90"], 90, view["deliverables_365"] - view["deliverables_90"], before_days)


def _contract_left(view: View) -> Floats:
    """Days to the last planned end; 0 where all are past, NaN where something runs without an end, or no end was ever planned."""
    left = np.maximum(-view.days_since("last_end"), 0)
    return np.where(view["running_open_ended"] > 0, np.nan, left)


def _solved(view: View) -> Floats:
    is_reached = np.isfinite(view["goal_reached"]) & (view["goals_open"] <= 0)
    return np.where(is_reached & (view["running"] <= FEW_SERVICES), 1.0, 0.0)


COLUMNS = (
    Column(
        "goal_reached_days",
        lambda view: view.days_since("goal_reached"),
        "days",
        "days since a main goal of the client was last reached",
        None,
        churn=-1,
        raises="The client's main goal was reached only {goal_reached_days:.0f} days ago.",
        lowers="The client's main goal was reached {goal_reached_days:.0f} days ago, and the client is still here.",
    ),
    Column("our_open_promises", "open", "count", "promises of ours that are neither done nor called off", 0),
    Column("deliverables_90", "deliverables_90", "count", "deliverables promised in the last 90 days", 0),
    Column(
        "deliverables_change_90",
        _deliverables_change,
        "ratio",
        "deliverables promised in the last 90 days, plus one, over those the 275 days before would lead one to expect, plus one",
        None,
        churn=-1,
        yardstick=1,
        raises=SCOPE_WORDS,
        lowers=SCOPE_WORDS,
    ),
    Column("agreements_running", "running", "count", "agreements that run: services in use", 0),
    Column(
        "contract_left_days",
        _contract_left,
        "days",
        "days until the last planned end of the client's agreements, 0 where it is past; unknown where one runs without an end",
        None,
        churn=-1,
        raises="The client's contracts have only {contract_left_days:.0f} days left.",
        lowers="The client's contracts have another {contract_left_days:.0f} days to run.",
    ),
    Column(
        "goal_reached_narrow",
        _solved,
        "flag",
        "1 where a main goal was reached, no other is open and at most one agreement runs; else 0",
        0,
        churn=1,
        raises="The client's main goal was reached {goal_reached_days:.0f} days ago. " + NARROW_WORDS,
        lowers=NARROW_WORDS,
    ),
)

SIGNAL = Signal(
    name="problem_solved",
    title="Main problem solved, value spent",
    statements=("B5", "A5"),
    tables=("commitments",),
    also=("fulfilments", "agreements", "running_agreements"),
    measures=measures,
    columns=COLUMNS,
)

"""Expectations set in writing (A2, C9, E3): whether the terms of running agreements were sent, how late, and what they put in writing.

What runs is said in features/derived.py. A client without a running agreement is unknown, not unwritten. Of the four terms one that is not
recorded counts as not in writing, but an agreement of which none is recorded says nothing.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal
from features.measures import Interval, Measure, RowValue, every_row, first_day, state
from features.ratios import share

TERMS = ("has_scope", "has_service_hours", "has_delivery_time", "has_payment_terms")


def measures(_: Business) -> list[Measure]:
    """Running agreements, those whose terms were sent, and what is in writing; the first signing and sending."""

    def in_writing(rows: Any) -> Any:
        return sum(rows[term].fill_null(False).cast("int64") for term in TERMS)

    def is_recorded(rows: Any) -> Any:
        known = rows[TERMS[0]].notnull()
        for term in TERMS[1:]:
            known = known | rows[term].notnull()
        return known

    def running(name: str, value: RowValue, *also_until: str) -> Interval:
        return state(name, "running_agreements", value, since="starts_on", until=["ends_on", *also_until])

    return [
        running("running", every_row),
        running("unsent", every_row, "terms_sent_on"),
        running("written", in_writing),
        running("recorded", is_recorded),
        first_day("first_signed", "agreements"),
        first_day("first_sent", "agreements", since="terms_sent_on"),
    ]


COLUMNS = (
    Column(
        "agreements_without_terms",
        "unsent",
        "count",
        "running agreements whose terms were not sent",
        0,
    ),
    Column(
        "terms_sent_share",
        lambda view: share(view["running"] - view["unsent"], view["running"]),
        "share",
        "share of the running agreements whose terms were sent",
        None,
        misfit=-1,
        raises="The terms of {agreements_without_terms:.0f} running agreements were not sent: only those of {terms_sent_share:.0%} were.",
        lowers="The terms of {terms_sent_share:.0%} of the client's running agreements were sent to it.",
    ),
    Column(
        "terms_delay_days",
        lambda view: np.maximum(view["first_sent"] - view["first_signed"], 0),
        "days",
        "days from the client's first signing until terms first went out; 0 = by then; unknown while none have",
        None,
        misfit=1,
        raises="The first written terms went out {terms_delay_days:.0f} days after the first signing.",
        lowers="The first written terms went out only {terms_delay_days:.0f} days after the first signing.",
    ),
    Column(
        "terms_in_writing",
        lambda view: share(view["written"], view["recorded"]),
        "terms",
        "how many of scope, service hours, delivery time and payment terms are in writing, mean over the running agreements, 0 to 4",
        None,
        misfit=-1,
        raises="Only {terms_in_writing:.1f} of scope, service hours, delivery time and payment terms are in writing on average.",
        lowers="{terms_in_writing:.1f} of scope, service hours, delivery time and payment terms are in writing on average.",
    ),
)

SIGNAL = Signal(
    name="written_expectations",
    title="Expectations set in writing",
    statements=("A2", "C9", "E3"),
    tables=("agreements",),
    also=("running_agreements",),
    measures=measures,
    columns=COLUMNS,
)

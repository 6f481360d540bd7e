"""Ideal-client profile (C7, C8): the client's own satisfaction and its trend, and how satisfied and profitable others like it are.

Like it are the other clients of its industry, of its segment and of its country. What they answered and brought in the last 730 days is
compared with what one would expect of as many answers, and as much revenue, of everyone else; the difference is drawn to none for small
groups and averaged over the three, of which an unknown one counts none. The client's own figures are left out on both sides.

Nothing here is fitted and no outcome is used: the profile is a sum over peers as known at that as_of. One fitted on who left or was let go
would belong inside train, fold by fold.
"""

from typing import Any

import numpy as np

from features.contract import Business, Column, Signal, View
from features.measures import Floats, Measure, Peer, every_row, state, thousandths, window
from features.ratios import share, shrunk

KINDS = {"nps": (9, 6), "csat": (4, 2)}  # satisfied from the first mark up, dissatisfied from the second down: 0–10 and 1–5
TRAITS = ("industry", "segment", "country")
PRIOR_ANSWERS = 1  # at the client's own mean of before: one answer is hardly a trend
ALIKE_ANSWERS = 10  # as expected of everyone
ALIKE_CLIENTS = 5  # of mean revenue, at everyone's margin
SUMMED = ("nps_net", "nps_n", "csat_net", "csat_n", "revenue", "cost")


def measures(business: Business) -> list[Measure]:
    """Answers of each kind: number, sum in thousandths, satisfied less dissatisfied; revenue, recorded cost; peers' and everyone's."""
    found: list[Measure] = []
    for kind, (satisfied, dissatisfied) in KINDS.items():

        def is_kind(rows: Any, kind: str = kind) -> Any:
            return rows.kind == kind

        def milli(rows: Any, kind: str = kind) -> Any:
            return (rows.kind == kind).ifelse(thousandths(rows.score), 0)

        def net(rows: Any, kind: str = kind, high: int = satisfied, low: int = dissatisfied) -> Any:
            return (rows.kind == kind).ifelse((rows.score >= high).ifelse(1, (rows.score <= low).ifelse(-1, 0)), 0)

        found += [
            *window(f"{kind}_n", "surveys", is_kind, 365, 730),
            *window(f"{kind}_milli", "surveys", milli, 365),
            *window(f"{kind}_net", "surveys", net, 730),
            state(f"{kind}_n_ever", "surveys", is_kind),
            state(f"{kind}_milli_ever", "surveys", milli),
        ]
    return [
        *found,
        *window("revenue", "invoices", business.money, 730),
        *window("cost", "work", lambda rows: business.money(rows, "cost"), 730),
        state("clients", "clients", every_row),
        *(state(trait, "clients", lambda rows, trait=trait: rows[trait]) for trait in TRAITS),  # type: ignore[misc]
        Peer("all_clients", of="clients"),
        *(Peer(f"all_{name}", of=f"{name}_730") for name in SUMMED),
        *(Peer(f"{trait}_{name}", of=f"{name}_730", by=trait) for trait in TRAITS for name in SUMMED),
    ]


def _mean(view: View, kind: str) -> Floats:
    return share(view[f"{kind}_milli_365"], view[f"{kind}_n_365"] * 1_000)


def _fall(view: View, kind: str) -> Floats:
    milli, n = view[f"{kind}_milli_365"], view[f"{kind}_n_365"]
    before = share(view[f"{kind}_milli_ever"] - milli, view[f"{kind}_n_ever"] - n)
    return np.where(n > 0, (before - shrunk(milli, n, before, PRIOR_ANSWERS)) / 1_000, np.nan)


def _others(view: View, group: str, name: str) -> Floats:
    """The total of a group, or of `all`, without the client itself."""
    own = view[f"{name}_730"]  # asked for first: it, not its peers, says which table is lacking
    return view[f"{group}_{name}"] - own


def _alike(view: View, gap: Any) -> Floats:
    """Mean gap over the traits; none where a trait is not known."""
    gaps = [np.where(view[trait] > 0, gap(view, trait), 0) for trait in TRAITS]
    return (gaps[0] + gaps[1] + gaps[2]) / len(TRAITS)


def _dissatisfaction(view: View, trait: str) -> Floats:
    """Satisfied less dissatisfied answers that are missing from what everyone else's would lead one to expect, per answer."""
    missing, answers = np.zeros(1), np.zeros(1)
    for kind in KINDS:
        n = _others(view, trait, f"{kind}_n")
        expected = np.nan_to_num(share(n * _others(view, "all", f"{kind}_net"), _others(view, "all", f"{kind}_n")))
        missing, answers = missing + expected - _others(view, trait, f"{kind}_net"), answers + n
    return missing / (answers + ALIKE_ANSWERS)


def _margin_gap(view: View, trait: str) -> Floats:
    """Contribution missing from what everyone else's margin would lead one to expect, per revenue; NaN where no cost is recorded."""
    typical = 1 - share(_others(view, "all", "cost"), _others(view, "all", "revenue"))
    revenue = np.maximum(_others(view, trait, "revenue"), 0)
    missing = revenue * typical - (revenue - _others(view, trait, "cost"))
    prior = ALIKE_CLIENTS * share(view["all_revenue"], view["all_clients"])
    return np.where(view["all_cost"] > 0, share(missing, revenue + prior), np.nan)


COLUMNS = (
    Column(
        "satisfaction_answers_365",
        lambda view: view["nps_n_365"] + view["csat_n_365"],
        "count",
        "NPS and CSAT answers in the last 365 days",
        0,
    ),
    Column(
        "nps_mean_365",
        lambda view: _mean(view, "nps"),
        "points",
        "mean answer in the last 365 days to whether the client would recommend us, 0 to 10",
        None,
        churn=-1,
        misfit=-1,
        raises="Asked in the last year whether it would recommend us, the client answered only {nps_mean_365:.1f} of 10 on average.",
        lowers="Asked in the last year whether it would recommend us, the client answered {nps_mean_365:.1f} of 10 on average.",
    ),
    Column(
        "csat_mean_365",
        lambda view: _mean(view, "csat"),
        "points",
        "mean mark of satisfaction in the last 365 days, 1 to 5",
        None,
        churn=-1,
        misfit=-1,
        raises="In the last year the client marked its satisfaction only {csat_mean_365:.1f} of 5 on average.",
        lowers="In the last year the client marked its satisfaction {csat_mean_365:.1f} of 5 on average.",
    ),
    Column(
        "nps_fall_365",
        lambda view: _fall(view, "nps"),
        "points",
        "the client's mean NPS answer of all time before the last 365 days less that of these, drawn to the former",
        None,
        churn=1,
        misfit=1,
        yardstick=0,
        raises="The client would recommend us less than before: {nps_mean_365:.1f} of 10 on average in the last year.",
        lowers="The client would recommend us no less than before: {nps_mean_365:.1f} of 10 on average in the last year.",
    ),
    Column(
        "csat_fall_365",
        lambda view: _fall(view, "csat"),
        "points",
        "the client's mean mark of satisfaction of all time before the last 365 days less that of these, drawn to the former",
        None,
        churn=1,
        misfit=1,
        yardstick=0,
        raises="The client is less satisfied than before: {csat_mean_365:.1f} of 5 on average in the last year.",
        lowers="The client is no less satisfied than before: {csat_mean_365:.1f} of 5 on average in the last year.",
    ),
    Column(
        "alike_dissatisfaction_730",
        lambda view: _alike(view, _dissatisfaction),
        "share",
        "how much smaller the surplus of satisfied answers is among clients like it than among all others, drawn to none",
        0,
        churn=1,
        misfit=1,
        yardstick=0,
        raises="Clients like this one (of its industry, segment or country) are less satisfied with us than others are.",
        lowers="Clients like this one (of its industry, segment or country) are no less satisfied with us than others are.",
    ),
    Column(
        "alike_margin_gap_730",
        lambda view: _alike(view, _margin_gap),
        "share",
        "by how much of revenue the contribution of clients like it lies below that of all others, drawn to none",
        0,
        misfit=1,  # not of churn: whoever pays well may well leave
        yardstick=0,
        raises="Clients like this one (of its industry, segment or country) leave us a smaller margin than others do.",
        lowers="Clients like this one (of its industry, segment or country) leave us no smaller a margin than others do.",
    ),
)

SIGNAL = Signal(
    name="ideal_client",
    title="Ideal-client profile",
    statements=("C7", "C8"),
    tables=("surveys",),
    also=("clients", "invoices", "work"),
    measures=measures,
    columns=COLUMNS,
)

"""Degenerate portfolios -> their stated outcome: refused with a cure, or a model whose limits are said. LightGBM would train on most of
these without a word.

Scoring a frame that lacks a column, has them in another order, given twice, as text (an unseen category: all columns are numbers),
infinite or enormous: test_scorer.py. Too few for a verdict on leaks: test_leakage.py. Through the stages: tests/pipeline/test_train.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from features.errors import NotEnoughHistory, UserError
from features.time import Calendar
from models.bag import Bag, Recipe
from models.fitting import Columns, Snapshots, fit, margins
from models.leakage import gain_shares
from models.splits import plan_splits

MONTH = 30
CALENDAR = Calendar(gap_days=0, horizon_days=60, lateness_days=0)
COLUMNS = Columns({"recency_days": "contact_frequency", "complaints": "criticism", "weather": "weather"}, {"recency_days": 1})
RECIPE = Recipe(members=3, seed=1)


def portfolio(n_clients: int = 60, n_leavers: int = 30, n_as_ofs: int = 8) -> Snapshots:
    """The first `n_leavers` clients leave at every third as_of and are back; leavers have been silent for longer and complain more."""
    random = np.random.default_rng(n_clients)
    client = np.repeat(np.arange(n_clients), n_as_ofs)
    month = np.tile(np.arange(n_as_ofs), n_clients)
    label = ((client < n_leavers) & ((client + month) % 3 == 0)).astype(float)
    recency_days = np.round(10 + 20 * label + random.exponential(10, len(label)))
    features = pd.DataFrame(
        {"recency_days": recency_days, "complaints": random.poisson(1 + label), "weather": random.normal(size=len(label))}
    )
    ids = np.array([f"client {number:03d}" for number in client], object)
    return Snapshots(features.astype(float), label, ids, (month * MONTH).astype(np.int64))


def trained(rows: Snapshots, calendar: Calendar = CALENDAR) -> Bag:
    """The model of the test period, as the backtest makes it."""
    split = plan_splits(rows.as_of, rows.label, rows.client, calendar=calendar, test_periods=2, origins=2).test
    return fit(rows.at(split.learns), COLUMNS, RECIPE)


def having(**columns: object) -> Snapshots:
    rows = portfolio()
    return replace(rows, features=rows.features.assign(**columns))


def with_labels(change: Callable[[np.ndarray], np.ndarray]) -> Snapshots:
    rows = portfolio()
    return replace(rows, label=change(rows.label.copy()))


# ---- refused ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """The error, and what it says was found."""

    fault: type[UserError]
    found: str


LONG = Calendar(gap_days=14, horizon_days=365, lateness_days=7)
ONE_UNKNOWN = np.array([0.0, 0.0, np.nan])
REFUSED = {
    "no client": (portfolio(0, 0), CALENDAR, Refused(NotEnoughHistory, "no eligible snapshot with a known outcome")),
    "one client": (portfolio(1, 1), CALENDAR, Refused(NotEnoughHistory, "one single client")),
    "nobody left": (portfolio(60, 0), CALENDAR, Refused(NotEnoughHistory, "60 clients, none of them positive in 480 snapshots")),
    "everybody left": (with_labels(np.ones_like), CALENDAR, Refused(NotEnoughHistory, "60 clients, all of them positive in 480 snapshots")),
    "nobody left before the test": (
        with_labels(lambda label: label * (portfolio().as_of >= 180)),
        CALENDAR,
        Refused(NotEnoughHistory, "5 as_ofs judged by the test of 1970-06-30 (60 days on), with 0 positive snapshots and 300 others"),
    ),
    "an outcome that is not known": (
        with_labels(lambda label: np.concatenate([ONE_UNKNOWN, label[3:]])),
        CALENDAR,
        Refused(UserError, "1 of 300 labels that are neither 0 nor 1"),
    ),
    "an infinite feature": (having(complaints=np.inf), CALENDAR, Refused(UserError, "found an infinite value in complaints")),
    "a category instead of numbers": (having(weather="rainy"), CALENDAR, Refused(UserError, "found no numbers in weather")),
    "a column that is not made": (
        replace(portfolio(), features=portfolio().features.drop(columns="weather")),
        CALENDAR,
        Refused(UserError, "found a frame without weather"),
    ),
    "a horizon longer than the data": (
        portfolio(),
        LONG,
        Refused(NotEnoughHistory, "0 as_ofs judged by the test of 1970-06-30 (386 days on)"),
    ),
    "a history no longer than the test": (
        portfolio(n_as_ofs=2),
        CALENDAR,
        Refused(NotEnoughHistory, "2 as_ofs with known outcomes (1970-01-01 to 1970-01-31)"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_and_told(case: str):
    rows, calendar, outcome = REFUSED[case]
    with pytest.raises(outcome.fault) as told:
        trained(rows, calendar)
    assert type(told.value) is outcome.fault
    assert outcome.found in told.value.found
    assert told.value.wanted
    assert told.value.cure


# ---- trained, and its limits said ---------------------------------------------------------------------------------------------------


EVERY = {"recency_days", "complaints", "weather"}
TRAINED = {
    #                                    rows                     reliable  columns that weigh nothing
    "two clients, one of whom left":    (portfolio(2, 1),         False,    EVERY),  # no leaf may hold so few
    "seven clients that left":          (portfolio(60, 7),        False,    set()),
    "nineteen clients that left":       (portfolio(60, 19),       False,    set()),
    "twenty clients that left":         (portfolio(60, 20),       True,     set()),
    "a constant column":                (having(weather=3.0),     True,     {"weather"}),
    "a column that is never known":     (having(weather=np.nan),  True,     {"weather"}),
    "nothing but constant columns":     (having(recency_days=1.0, complaints=0.0, weather=3.0), True, EVERY),
    "nothing known of anybody":         (having(recency_days=np.nan, complaints=np.nan, weather=np.nan), True, EVERY),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAINED)
def test_it_is_trained_and_says_how_far_to_trust_it(case: str):
    rows, is_reliable, weightless = TRAINED[case]
    bag = trained(rows)
    assert bag.spec["training"]["is_reliable"] is is_reliable
    assert ("not to be relied upon" in bag.spec["training"]["size_reason"]) is not is_reliable
    assert {name for name, share in gain_shares(bag.texts, COLUMNS.names).items() if share == 0} >= weightless
    assert np.isfinite(margins(bag, rows.features)).all()


@pytest.mark.parametrize("case", ["nothing but constant columns", "nothing known of anybody"])
def test_with_nothing_to_tell_clients_by_there_is_one_risk_for_all(case: str):
    rows = TRAINED[case][0]
    assert np.ptp(margins(trained(rows), rows.features), axis=0).max() == 0


@pytest.mark.parametrize("unusable", [3.0, np.nan])
def test_a_column_without_news_weighs_nothing_in_any_part(unusable: float):
    bag = trained(having(weather=unusable))
    place = COLUMNS.names.index("weather")
    assert max(abs(member["coefficients"][place]) for member in bag.spec["members"]) < 1e-12


# ---- scored -----------------------------------------------------------------------------------------------------------------------


def test_a_client_of_whom_nothing_is_known_gets_a_middling_risk_and_no_error():
    """Not the highest, not the lowest: every unknown stands at the training median in one part, and on the likelier side in the other."""
    rows = portfolio()
    bag = trained(rows)
    unknown = pd.DataFrame(np.nan, index=range(2), columns=rows.features.columns)
    found = margins(bag, unknown)
    assert np.isfinite(found).all()
    assert (found[0] == found[1]).all()
    low, high = np.percentile(margins(bag, rows.features).mean(axis=1), [1, 99])
    assert low < found[0].mean() < high


def test_a_client_with_one_unknown_column_is_scored_by_the_others():
    rows = portfolio()
    bag = trained(rows)
    asked = pd.DataFrame({"recency_days": [5.0, 80.0], "complaints": np.nan, "weather": 0.0})
    calm, silent = margins(bag, asked).mean(axis=1)
    assert calm < silent

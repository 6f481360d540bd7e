"""Probabilities at several horizons: never contradicting one another, the main one untouched, right where the hazards are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.horizons import Step, fit_steps, to_spec
from models.scorer import at_horizons, probability_of

DAYS = (30, 90, 180, 365)
STEP = st.tuples(st.floats(0, 5), st.floats(-10, 10))


def chained(log_odds, numbers, *, grows: bool):
    """The probabilities that steps with these (slope, intercept) give, horizons in columns."""
    ways = ((180, 90, grows), (365, 180, grows), (30, 90, not grows))
    steps = [Step(days, there, likelier, *pair, n_rows=0) for (days, there, likelier), pair in zip(ways, numbers, strict=True)]
    found = at_horizons(to_spec(90, steps), probability_of(log_odds))
    assert list(found) == list(DAYS)
    return np.stack(list(found.values()), axis=1)


@given(arrays(np.float64, 20, elements=st.floats(-20, 20)), st.lists(STEP, min_size=3, max_size=3))
def test_leaving_is_never_less_likely_within_a_longer_horizon(log_odds, numbers):
    assert (np.diff(chained(log_odds, numbers, grows=True), axis=1) >= 0).all()


@given(arrays(np.float64, 20, elements=st.floats(-20, 20)), st.lists(STEP, min_size=3, max_size=3))
def test_silence_is_never_more_likely_through_a_longer_horizon(log_odds, numbers):
    assert (np.diff(chained(log_odds, numbers, grows=False), axis=1) <= 0).all()


@pytest.mark.parametrize("grows", [True, False])
@given(arrays(np.float64, 20, elements=st.floats(-20, 20)), st.lists(STEP, min_size=3, max_size=3))
def test_more_risk_at_the_main_horizon_is_never_less_at_another(grows, log_odds, numbers):
    assert (np.diff(chained(np.sort(log_odds), numbers, grows=grows), axis=0) >= -1e-12).all()


def test_the_main_horizon_keeps_its_number():
    probability = np.array([0.01, 0.2, 0.9])
    assert at_horizons(to_spec(90, [Step(30, 90, False, 1.0, 0.0, 0)]), probability)[90] is probability


def world(n=60_000, seed=1):
    """Clients with a constant hazard of their own: main log-odds of leaving within 90 days, and the day on which each leaves."""
    random = np.random.default_rng(seed)
    hazard = np.exp(random.normal(-6.5, 0.8, n))  # a day
    within_90 = 1 - np.exp(-90 * hazard)
    return np.log(within_90 / (1 - within_90)), hazard, random.exponential(1 / hazard)


def test_where_hazards_are_constant_every_horizon_is_right():
    log_odds, hazard, leaves_on = world()
    labels = {days: (leaves_on < days).astype(float) for days in DAYS}
    steps = fit_steps(log_odds, labels, np.arange(len(log_odds)).astype(object), main_days=90, grows=True)
    found = at_horizons(to_spec(90, steps), probability_of(log_odds))
    for days in DAYS:
        truth = 1 - np.exp(-days * hazard)
        assert found[days].mean() == pytest.approx(truth.mean(), rel=0.03)
        assert np.abs(found[days] - truth).mean() < 0.01


def test_silence_is_learned_the_other_way_round():
    """A client comes with a rate of its own: silent for all of 90 days with exp(−90 · rate)."""
    random = np.random.default_rng(2)
    rate = np.exp(random.normal(-4.5, 0.7, 60_000))
    comes_on = random.exponential(1 / rate)
    silent = np.exp(-90 * rate)
    log_odds = np.log(silent / (1 - silent))
    labels = {days: (comes_on >= days).astype(float) for days in DAYS}
    steps = fit_steps(log_odds, labels, np.arange(len(rate)).astype(object), main_days=90, grows=False)
    assert [(step.horizon_days, step.neighbour_days, step.is_likelier) for step in steps] == [
        (180, 90, False),
        (365, 180, False),
        (30, 90, True),
    ]
    found = at_horizons(to_spec(90, steps), probability_of(log_odds))
    for days in DAYS:
        assert found[days].mean() == pytest.approx(np.exp(-days * rate).mean(), rel=0.05)


def test_what_is_not_known_yet_teaches_nothing():
    log_odds, _, leaves_on = world(5_000)
    labels = {days: (leaves_on < days).astype(float) for days in (90, 180)}
    labels[180][2_500:] = np.nan
    clients = np.arange(5_000).astype(object)
    half = fit_steps(log_odds[:2_500], {days: label[:2_500] for days, label in labels.items()}, clients[:2_500], main_days=90, grows=True)
    assert fit_steps(log_odds, labels, clients, main_days=90, grows=True) == half


def test_a_horizon_longer_than_the_data_gets_no_probability_nor_any_beyond_it():
    unknown, known = np.full(4, np.nan), np.array([0.0, 1.0, 0.0, 1.0])
    labels = {30: np.array([0.0, 1.0, 0.0, 0.0]), 90: known, 180: unknown, 365: unknown}
    steps = fit_steps(np.zeros(4), labels, np.array(list("abcd"), object), main_days=90, grows=True)
    assert [step.horizon_days for step in steps] == [30]


def test_with_next_to_nothing_known_the_hazard_is_taken_to_go_on():
    labels = {30: np.array([0.0, 1.0]), 90: np.array([0.0, 1.0]), 180: np.array([0.0, 1.0])}
    later, sooner = fit_steps(np.zeros(2), labels, np.array(["a", "b"], object), main_days=90, grows=True)
    assert (later.slope, later.n_rows) == (1.0, 1)
    assert -1 < later.intercept < 0  # as many more in the second 90 days, were it not for the one who stayed
    assert (sooner.slope, sooner.n_rows) == (0.0, 1)
    assert np.log(30 / 60) < sooner.intercept < 1  # a third of them in the first 30, were it not for the one who left then


def test_a_model_with_one_horizon_has_no_steps():
    assert fit_steps(np.zeros(2), {90: np.array([0.0, 1.0])}, np.array(["a", "b"], object), main_days=90, grows=True) == ()

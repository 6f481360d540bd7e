"""Platt's two numbers: right where there is data, near the neutral (1, 0) where there is little, and never turning the ranking round."""

import numpy as np
import pytest

from models.calibration import SLOPE_AT_LEAST, fit_platt
from models.scorer import probability_of


def fitted(margin, label, clients=None):
    clients = np.arange(len(margin)) if clients is None else np.asarray(clients)
    return fit_platt(np.asarray(margin, float), np.asarray(label, float), clients.astype(object), fitted_on="a test", folds=("one",))


def test_it_finds_the_slope_and_intercept_that_made_the_labels():
    random = np.random.default_rng(1)
    margin = random.normal(0, 1.5, 20_000)
    label = random.random(20_000) < probability_of(0.6 * margin - 0.8)
    found = fitted(margin, label)
    assert found.slope == pytest.approx(0.6, abs=0.05)
    assert found.intercept == pytest.approx(-0.8, abs=0.05)


def test_a_sample_that_says_the_opposite_does_not_turn_the_ranking_round():
    margin = np.linspace(-2, 2, 2_000)
    assert fitted(margin, margin < 0).slope == SLOPE_AT_LEAST


def test_few_rows_leave_it_near_the_neutral():
    found = fitted([-1.0, 0.5, 1.0], [1, 0, 0])
    assert 0.5 < found.slope < 1
    assert -1 < found.intercept < 1


def test_no_rows_give_the_neutral():
    found = fitted([], [])
    assert (found.slope, found.intercept, found.n_rows) == (1.0, 0.0, 0)


def test_nobody_leaving_does_not_mean_that_nobody_ever_leaves():
    found = fitted(np.zeros(30), np.zeros(30))
    assert -4 < found.intercept < -1


def test_every_snapshot_thrice_is_no_more_evidence():
    margin, label = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([0, 1, 0, 1])
    once = fitted(margin, label, list("abcd"))
    thrice = fitted(np.tile(margin, 3), np.tile(label, 3), list("abcd" * 3))
    assert thrice.slope == pytest.approx(once.slope, abs=1e-6)
    assert thrice.intercept == pytest.approx(once.intercept, abs=1e-6)
    assert (thrice.n_rows, thrice.n_clients) == (12, 4)


def test_leavers_with_fewer_snapshots_do_not_raise_the_share_predicted():
    # 100 clients stay for 12 snapshots, 50 leave after 2, positive in the second: 50 of 1,300 snapshots
    label = np.concatenate([np.zeros(1_200), np.tile([0.0, 1.0], 50)])
    clients = np.concatenate([np.repeat(np.arange(100), 12), np.repeat(np.arange(100, 150), 2)])
    margin = np.full(len(label), -3.0)
    found = fitted(margin, label, clients)
    assert probability_of(found.log_odds(margin)).mean() == pytest.approx(50 / 1_300, rel=0.05)


def test_it_is_stored_as_plain_numbers():
    assert fitted([], []).to_spec() == {
        "slope": 1.0,
        "intercept": 0.0,
        "fitted_on": "a test",
        "n_rows": 0,
        "n_clients": 0,
        "folds": ["one"],
    }

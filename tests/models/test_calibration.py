"""Platt's two numbers: right where there is data, near the neutral (1, 0) where there is little, and never turning the ranking round."""

import numpy as np
import pytest

from features.time import Calendar
from models.calibration import SLOPE_AT_LEAST, calibrate, separate_windows
from models.scorer import probability_of


def fitted(margin, label, clients=None, n_windows=1e9):
    """By default from so many outcome windows that the level is believed outright."""
    clients = np.arange(len(margin)) if clients is None else np.asarray(clients)
    given = np.asarray(margin, float), np.asarray(label, float), clients.astype(object)
    return calibrate(*given, n_windows=n_windows, fitted_on="a test", folds=("one",))


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
    found = fitted([-1.0, 0.5, 1.0], [1, 0, 0], n_windows=1)
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
        "shift": 0.0,
        "n_windows": 0.0,
    }


# ---- the level --------------------------------------------------------------------------------------------------------------------


def quarter(share: float, n: int = 4_000):
    """Clients whose margins say 30 % on average, and of whom `share` left."""
    margin = np.log(0.3 / 0.7) + np.random.default_rng(5).normal(0, 0.5, n)
    tilted = margin + np.log(share / (1 - share)) - np.log(0.3 / 0.7)
    return margin, np.random.default_rng(6).random(n) < probability_of(tilted)


@pytest.mark.parametrize(("n_windows", "believed"), [(1, 1 / 2), (3, 3 / 4), (9, 9 / 10)])
def test_a_level_is_believed_as_far_as_separate_windows_bear_it(n_windows, believed):
    margin, label = quarter(0.5)
    whole, part = fitted(margin, label), fitted(margin, label, n_windows=n_windows)
    assert whole.shift == pytest.approx(np.log(0.5 / 0.5) - np.log(0.3 / 0.7), abs=0.1)
    moved = [(found.log_odds(margin) - margin).mean() for found in (whole, part)]
    assert moved[1] / moved[0] == pytest.approx(believed, abs=1e-6)
    assert part.slope == whole.slope


def test_a_level_that_was_right_stays_whatever_the_number_of_windows():
    margin, label = quarter(0.3)
    assert fitted(margin, label, n_windows=1).log_odds(margin).mean() == pytest.approx(margin.mean(), abs=0.1)


def test_windows_that_share_days_count_as_what_they_cover():
    calendar = Calendar(gap_days=14, horizon_days=90, lateness_days=7)
    assert separate_windows([0], calendar) == 1
    assert separate_windows([0, 30], calendar) == pytest.approx(120 / 90)
    assert separate_windows([0, 90, 180], calendar) == 3
    assert separate_windows([0, 400], calendar) == 2

"""Shares, shrunk rates and spikes, with literal values."""

import numpy as np
import pytest

from features.ratios import against_usual, share, shrunk, spike


def of(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_a_share_of_nothing_is_unknown():
    np.testing.assert_array_equal(share(of(1, 0, 0), of(4, 4, 0)), of(0.25, 0, np.nan))


def test_few_contacts_are_drawn_towards_the_typical_share():
    assert shrunk(of(1, 100), of(1, 100), of(0.1), 5).tolist() == [1.5 / 6, 100.5 / 105]


@pytest.mark.parametrize(
    ("now", "of_now", "before", "of_before", "typical", "times"),
    [
        (0, 0, 0, 0, 0.0, 1),  # nobody has any
        (0, 0, 0, 0, np.nan, 1),  # there are no peers
        (0, 0, 0, 0, 0.3, 1),  # no history
        (5, 5, 0, 95, 0.2, (5 + 5 * 0.01) / 10 / 0.01),  # usual: 1 of 100
        (1, 10, 9, 90, 0.1, 1),
        (0, 10, 9, 90, 0.1, 1 / 3),
    ],
)
def test_a_spike_is_times_the_usual_share(now, of_now, before, of_before, typical, times):
    assert spike(of(now), of(of_now), of(before), of(of_before), of(typical)).tolist() == [pytest.approx(times)]


def test_a_count_is_against_what_went_before_if_enough_did():
    np.testing.assert_allclose(against_usual(of(3, 0, 3), 30, of(5, 5, 5), of(150, 150, 29)), of(4 / 2, 1 / 2, np.nan))

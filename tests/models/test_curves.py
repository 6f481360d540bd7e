"""The curves behind the pictures: gain, lift, reliability."""

import numpy as np
import pytest

from models.curves import gain_curve, lift_curve, reliability_curve
from models.metrics import Judged


def judged(label):
    return Judged.of(label, np.arange(len(label)), resamples=100, seed=1)


def test_the_gain_curve_runs_from_nobody_to_everybody():
    curve = gain_curve(np.array([1.0, 0, 0, 0]), {"model": np.array([0.9, 0.1, 0.2, 0.3])}, n_points=4)
    assert curve.to_dict("list") == {"name": ["model"] * 5, "contacted": [0.0, 0.25, 0.5, 0.75, 1.0], "found": [0.0, 1.0, 1.0, 1.0, 1.0]}


def test_the_lift_curve_is_the_gain_over_that_of_a_random_list():
    gain = gain_curve(np.array([1.0, 0, 0, 0]), {"model": np.array([0.9, 0.1, 0.2, 0.3])}, n_points=4)
    assert lift_curve(gain).to_dict("list") == {"name": ["model"] * 4, "contacted": [0.25, 0.5, 0.75, 1.0], "lift": [4.0, 2.0, 4 / 3, 1.0]}


def test_nobody_to_find_gives_no_curve_but_nulls():
    assert gain_curve(np.zeros(3), {"model": np.array([0.1, 0.2, 0.3])}, n_points=2)["found"].isna().all()


def test_reliability_has_bins_of_equal_size_and_bands():
    probability = np.repeat([0.1, 0.5], 50)
    label = np.array([1.0] * 5 + [0.0] * 45 + [1.0] * 30 + [0.0] * 20)
    curve = reliability_curve(judged(label), {"model": probability, "rfm": probability[::-1]}, n_bins=2)
    own = curve[curve["name"] == "model"]
    assert own["n_rows"].tolist() == [50, 50]
    assert own["predicted"].tolist() == pytest.approx([0.1, 0.5])
    assert own["observed"].tolist() == pytest.approx([0.1, 0.6])
    assert ((own["low"] < own["observed"]) & (own["observed"] < own["high"])).all()
    assert curve.loc[curve["name"] == "rfm", "observed"].tolist() == pytest.approx([0.6, 0.1])


def test_fewer_rows_than_bins_give_as_many_bins_as_rows():
    assert reliability_curve(judged(np.array([1.0, 0.0])), {"model": np.array([0.7, 0.2])})["n_rows"].tolist() == [1, 1]

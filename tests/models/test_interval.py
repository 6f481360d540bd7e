"""low … high: around the probability, wider the fewer clients left, as the spec's numbers say, and never outside 0 … 1."""

import numpy as np
import pytest

from models import interval
from models.scorer import Model, probability_of


def test_the_fewer_left_the_wider():
    extra = [interval.to_spec(number)["extra_sd"] for number in (0, 10, 20, 30, 100, 250, 10_000)]
    assert extra == sorted(extra, reverse=True)
    assert (extra[0], extra[-1]) == (1.1, 0.2)


def test_z_is_the_normal_distributions_for_the_stated_coverage():
    from scipy.stats import norm

    assert norm.ppf(0.5 + interval.COVERAGE / 2) == pytest.approx(interval.Z, abs=1e-4)


def test_low_and_high_are_the_widened_spread_of_the_members_and_what_they_share(model, world):
    spec = model.spec | {"interval": {"coverage": 0.8, "z": 1.0, "widening": 2.0, "extra_sd": 0.3}}
    ready = Model(spec, model.texts)
    asked = world.rows.features.head(50)
    of_members = ready.member_margins(asked)
    found = ready.predict(asked)
    slope, intercept = ready.calibration
    center = slope * of_members.mean(axis=1) + intercept
    reach = np.sqrt((2 * slope * of_members.std(axis=1, ddof=1)) ** 2 + 0.3**2)
    np.testing.assert_allclose(found["low"], probability_of(center - reach))
    np.testing.assert_allclose(found["high"], probability_of(center + reach))
    assert found["probability"].between(found["low"], found["high"]).all()


def test_nothing_to_score_gives_nothing(model, world):
    assert model.scorer.predict(world.rows.features.iloc[:0]).shape == (0, 3)

"""The linear part: every column on its own scale, missing values flagged, ridge logistic regression within the signs."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.linear import Inputs, linear_map
from models.rows import rows_of


def packed(features, label, clients):
    return rows_of(features, list(features.columns), label, np.asarray(clients, object))


def test_every_column_enters_on_its_own_scale():
    """asinh(x / 2): 2 is the median size of what is not zero."""
    found = linear_map(np.array([[0.0], [0.0], [2.0], [-2.0], [np.nan]]))
    assert (found.typical[0], found.low[0], found.high[0], found.median[0]) == (2.0, -2.0, 2.0, 0.0)
    z, missing = found(np.array([[0.0], [2.0], [200.0], [np.nan]]))
    bent = np.arcsinh(1.0)
    assert z[:, 0] == pytest.approx([0.0, bent / found.scale[0], bent / found.scale[0], 0.0])  # 200 lies outside what was seen
    assert missing[:, 0].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_columns_without_spread_enter_as_zero():
    found = linear_map(np.array([[7.0, np.nan], [7.0, np.nan]]))
    z, missing = found(np.array([[7.0, np.nan], [9.0, 3.0]]))
    assert z.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert missing.shape == (2, 0)  # a column that is never known has no flag to learn from


def test_a_change_of_units_changes_no_score(world):
    """Cents for euros, hours for days: the linear part is the same to the last digits that matter."""
    scaled = world.rows.features.assign(days_overdue=world.rows.features["days_overdue"] * 1024)
    one, other = (packed(features, world.rows.label, world.rows.client) for features in (world.rows.features, scaled))
    np.testing.assert_allclose(linear_map(one.values)(one.values)[0], linear_map(other.values)(other.values)[0], atol=1e-9)


def test_without_bounds_it_is_ridge_logistic_regression(world):
    """scikit-learn's, on the same inputs: C = 1 / (ridge · rows / clients)."""
    rows = packed(world.rows.features[["recency_days", "contacts_90", "noise"]], world.rows.label, world.rows.client)
    inputs = Inputs.of(linear_map(rows.values), rows, np.zeros(3, np.int64))
    found = inputs.fit(np.ones(len(rows.label)), 5.0, None)
    oracle = LogisticRegression(C=1 / (5.0 * len(rows.label) / len(rows.clients)), tol=1e-10, max_iter=1000).fit(inputs.matrix, rows.label)
    assert found == pytest.approx([oracle.intercept_[0], *oracle.coef_[0]], abs=2e-3)


def test_coefficients_keep_to_the_signs_even_against_the_data(world):
    rows = packed(world.rows.features[["recency_days", "contacts_90"]], world.rows.label, world.rows.client)
    inputs = Inputs.of(linear_map(rows.values), rows, np.array([-1, 1]))
    assert (inputs.fit(np.ones(len(rows.label)), 1.0, None)[1:] == 0).all()

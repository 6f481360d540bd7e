"""In the world where leaving hangs on nothing, no column tells leavers apart: neither does a signal look ahead, nor the world itself.

Compared within as_ofs a quarter apart, so that windows hardly overlap and the calendar says nothing. The world's own slips show here: once
a promise's due date hung on when it would be kept, and who would leave had more that was overdue (z = 9.8 on 6,000 clients).
"""

import numpy as np
import pytest
from benchmarks.worlds import portfolio
from scipy.stats import rankdata

from models.fitting import Snapshots


def z_of(values: np.ndarray, rows: Snapshots) -> float:
    """Rank-sum statistic of the leavers within as_ofs, in standard errors; unknown ranks lowest."""
    above, variance = 0.0, 0.0
    for day in np.unique(rows.as_of)[::3]:
        here = rows.as_of == day
        left, value = rows.label[here] == 1, np.nan_to_num(values[here], nan=-np.inf)
        n, n_left = len(left), int(left.sum())
        _, ties = np.unique(value, return_counts=True)
        above += rankdata(value)[left].sum() - n_left * (n + 1) / 2
        variance += n_left * (n - n_left) / 12 * ((n + 1) - (ties**3 - ties).sum() / (n * (n - 1)))
    return float(above / np.sqrt(variance)) if variance else 0.0


@pytest.mark.nightly
def test_no_column_tells_leavers_apart_where_leaving_is_chance():
    with portfolio(1, 3_000, "chance") as made:
        found = {name: z_of(made.rows.features[name].to_numpy(np.float64), made.rows) for name in made.columns.names}
    assert len(found) > 150
    assert made.rows.label.sum() > 1_000
    told = {name: round(z, 1) for name, z in found.items() if abs(z) > 4.2}  # one column in 200 by chance once in 200 worlds
    assert told == {}


def test_a_column_that_looks_ahead_would_be_found():
    random = np.random.default_rng(1)
    label = (random.random(6_000) < 0.025).astype(float)
    rows = Snapshots(None, label, np.arange(6_000).astype(object), np.repeat([0, 30, 60, 90], 1_500))  # type: ignore[arg-type]
    assert abs(z_of(random.normal(size=6_000), rows)) < 4.2
    assert z_of(random.normal(size=6_000) + label, rows) > 4.2

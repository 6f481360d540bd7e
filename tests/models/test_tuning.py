"""The optional search for sizes: inside the training period only, the same numbers every time, and nothing taken that is within noise."""

import numpy as np
import pytest

from features.time import Calendar
from models import tuning
from models.bag import Recipe
from models.fitting import Snapshots
from models.size import size_for
from models.splits import plan_splits
from models.tuning import Trials, tuned

CALENDAR = Calendar(gap_days=0, horizon_days=60, lateness_days=0)


def trials(rows, columns, number=3) -> Trials:
    plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=CALENDAR, test_periods=2, origins=2)
    return Trials(number, rows.at(plan.test.learns), plan.origins, columns, Recipe(members=3, seed=1))


def seen(monkeypatch, asked: Trials) -> list[dict[str, float]]:
    """The sizes tried, in order."""
    tried = []
    honest = tuning._losses
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "_losses", lambda trials, params: tried.append(dict(params)) or honest(trials, params))
        tuned(asked)
    return tried


def test_it_begins_with_the_tables_numbers_and_tries_the_same_ones_every_time(world, columns, monkeypatch):
    asked = trials(world.rows, columns)
    first = seen(monkeypatch, asked)
    newest = asked.rows.at(asked.origins[-1].learns)
    table = size_for(len(set(newest.client[newest.label == 1])))
    assert first[0] == {"trees": table.trees, "tree_weight": table.tree_weight, "leaf_clients": 10, "column_share": 0.5}
    assert seen(monkeypatch, asked) == first
    assert len(first) == 3


def test_the_test_period_changes_nothing(world, columns):
    rows = world.rows
    other = Snapshots(rows.features, np.where(rows.as_of >= 300, 1 - rows.label, rows.label), rows.client, rows.as_of)
    assert tuned(trials(rows, columns)) == tuned(trials(other, columns))


@pytest.mark.parametrize(("gain", "is_taken"), [(0.0, False), (0.001, False), (0.02, True)])
def test_only_a_gain_beyond_noise_is_taken(world, columns, monkeypatch, gain, is_taken):
    """50 clients whose losses differ by 0.05 or so: the standard error of a gain is 0.007."""
    noise = np.random.default_rng(1).normal(0, 0.05, 50)
    losses = iter([np.full(50, 0.5), 0.5 + (noise - noise.mean()) - gain, np.full(50, 0.9)])
    monkeypatch.setattr(tuning, "_losses", lambda *_: next(losses))
    found, told = tuned(trials(world.rows, columns))
    assert (found is not None) == is_taken
    assert ("within noise" in told) == (not is_taken)
    if found:
        assert "best of 3 trials on 2 origins" in found.because


def test_without_an_origin_there_is_no_search(world, columns):
    assert tuned(Trials(5, world.rows, (), columns, Recipe(3, 1))) == (
        None,
        "not tuned: there is no origin inside the training period to judge a trial by",
    )

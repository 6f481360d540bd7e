"""Who learns from what: literal folds, and a clear word where there is nothing to learn from. Days are as_ofs; gap 0, horizon 90."""

import numpy as np
import pytest

from features.errors import NotEnoughHistory
from features.time import Calendar
from models.splits import client_folds, plan_splits

QUARTER = Calendar(gap_days=0, horizon_days=90, lateness_days=0)
MONTHS = range(0, 360, 30)


def planned(months=MONTHS, *, calendar=QUARTER, test_periods=2, origins=3, left=None, clients="abcdefgh"):
    """Every client at every as_of; `left`: as_of -> clients that left after it (default: a different two each time)."""
    rows = [(day, client) for day in months for client in clients]
    default = {day: {clients[place % len(clients)], clients[(place + 1) % len(clients)]} for place, day in enumerate(months)}
    label = np.array([client in (default if left is None else left).get(day, ()) for day, client in rows], float)
    as_of, ids = np.array([day for day, _ in rows], np.int64), np.array([client for _, client in rows], object)
    return plan_splits(as_of, label, ids, calendar=calendar, test_periods=test_periods, origins=origins)


def test_the_newest_as_ofs_are_held_out_and_learn_only_from_what_was_judged_before_them():
    test = planned().test
    assert test.predicts == (300, 330)
    assert test.learns == (0, 30, 60, 90, 120, 150, 180, 210)
    assert test.origin == 300


def test_gap_and_lateness_lie_between_training_and_test_too():
    test = planned(calendar=Calendar(gap_days=14, horizon_days=90, lateness_days=7)).test
    assert test.learns == (0, 30, 60, 90, 120, 150, 180)


def test_rolling_origins_are_made_before_the_test_from_their_own_past():
    origins = planned().origins
    assert [split.origin for split in origins] == [120, 180, 210]
    assert [split.learns for split in origins] == [(0, 30), (0, 30, 60, 90), (0, 30, 60, 90, 120)]
    assert [split.predicts for split in origins] == [(120,), (180,), (210,)]


def test_a_month_more_of_overlap_would_be_a_leak():
    """Every training outcome has ended when the model is made."""
    plan = planned()
    for split in (*plan.origins, plan.test):
        assert max(split.learns) + 90 <= split.origin
        assert min(split.predicts) >= split.origin


def test_there_are_never_more_origins_than_asked_for():
    assert len(planned(origins=1).origins) == 1
    assert planned(origins=1).origins[0].origin == 210
    assert len(planned(origins=50).origins) == 4


def test_origins_learn_from_at_least_a_third_of_the_final_churned_clients():
    left = {0: {"a"}, 30: {"b"}, 60: {"c"}, 90: {"d", "e"}, 120: {"f"}, 150: {"g"}, 180: {"h"}, 210: {"a"}}
    assert [split.origin for split in planned(left=left, origins=50).origins] == [150, 180, 210]


def test_a_short_history_has_no_origins_and_says_so_by_an_empty_list():
    plan = planned(range(0, 180, 30), test_periods=1)
    assert plan.test.learns == (0, 30, 60)
    assert plan.origins == ()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"months": range(0)}, "no eligible snapshot with a known outcome"),
        ({"clients": "a", "left": {0: {"a"}}}, "one single client"),
        ({"left": {}}, "8 clients, none of them positive in 96 snapshots"),
        ({"left": {day: set("abcdefgh") for day in MONTHS}}, "8 clients, all of them positive in 96 snapshots"),
        ({"months": [0, 30]}, r"2 as_ofs with known outcomes \(1970-01-01 to 1970-01-31\)"),
        ({"months": [0, 30, 60]}, r"0 as_ofs judged by the test of 1970-01-31 \(90 days on\)"),
        ({"left": {330: {"a"}}}, "with 0 positive snapshots and 64 others"),
    ],
)
def test_too_little_history_is_told_with_what_is_needed(case, message):
    with pytest.raises(NotEnoughHistory, match=message) as told:
        planned(**case)
    assert "cure" in str(told.value)
    assert told.value.wanted
    assert told.value.cure


def test_folds_keep_a_client_together_and_share_out_the_churned():
    has_churned = np.array([True] * 10 + [False] * 40)
    fold = client_folds(has_churned, 5, seed=1)
    assert np.bincount(fold[has_churned]).tolist() == [2, 2, 2, 2, 2]
    assert np.bincount(fold[~has_churned]).tolist() == [8, 8, 8, 8, 8]
    assert client_folds(has_churned, 5, seed=1).tolist() == fold.tolist()
    assert client_folds(has_churned, 5, seed=2).tolist() != fold.tolist()

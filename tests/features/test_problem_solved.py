"""Main problem solved, value spent (B5, A5), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.problem_solved import SIGNAL

COMMITMENTS = """
    ago  owed_by  kind          done_ago  cancelled_ago
    900  us       primary_goal  25        -
    700  us       deliverable   650       -
    300  us       deliverable   -         200
    200  us       deliverable   150       -
    80   us       deliverable   -         -
    20   us       quote         -         -
    10   client   deliverable   -         -
"""


def test_goal_reached_scope_left_and_services_in_use():
    found = columns_of(
        SIGNAL,
        commitments=COMMITMENTS,
        agreements="""
        ago  starts_ago  ends_ago  renews
        900  800         -100      no
        900  800         30        no
        50   -20         -400      no
        """,
    )
    assert found == {
        "goal_reached_days": 25,
        "our_open_promises": 2,
        "deliverables_90": 1,
        "deliverables_change_90": pytest.approx((1 + 1) / (2 * 90 / 275 + 1)),
        "agreements_running": 1,
        "contract_left_days": 400,
        "goal_reached_narrow": 1,
    }


@pytest.mark.parametrize(
    ("more", "agreements", "narrow"),
    [
        ("", "ago ends_ago\n 900 5", 1),  # its one service ran out
        ("", "ago ends_ago\n 900 -5\n 900 -5", 0),  # two in use
        ("5 us primary_goal - -", "ago ends_ago\n 900 -5", 0),  # a new goal
        ("5 us primary_goal - 2", "ago ends_ago\n 900 -5", 1),  # which was called off
    ],
)
def test_a_goal_reached_with_little_else_in_use(more, agreements, narrow):
    assert columns_of(SIGNAL, commitments=COMMITMENTS + more, agreements=agreements)["goal_reached_narrow"] == narrow


@pytest.mark.parametrize(
    ("agreements", "running", "left"),
    [
        ("ago ends_ago renews\n 900 -30 no", 1, 30),
        ("ago ends_ago renews\n 900 0 no", 1, 0),  # on its last day it runs
        ("ago ends_ago renews\n 900 1 no", 0, 0),
        ("ago ends_ago renews\n 900 1 yes", 1, np.nan),  # runs on
        ("ago ends_ago renews\n 900 -30 no\n 900 - no", 2, np.nan),
        ("id ago known superseded ends_ago renews\n 1 900 900 30 200 yes\n 1 900 30 - 200 no", 0, 0),  # not renewed after all
        ("id ago known superseded ends_ago renews\n 1 900 900 30 1 no\n 1 900 30 - -365 no", 1, 365),  # extended
        ("ago known ends_ago renews\n 10 0 -90 no", 0, np.nan),  # not yet entered
    ],
)
def test_what_is_left_of_the_contracts(agreements, running, left):
    found = columns_of(SIGNAL, commitments=COMMITMENTS, agreements=agreements)
    assert found["agreements_running"] == running
    assert np.array_equal(found["contract_left_days"], left, equal_nan=True)


@pytest.mark.parametrize(("first", "change"), [(179, np.nan), (180, 1 / (1 + 1)), (270, 1 / (1 * 90 / 180 + 1)), (500, 1.0)])
def test_less_scope_than_usual_shows_only_against_a_usual(first, change):
    found = columns_of(SIGNAL, commitments=f"ago owed_by kind\n {first} us deliverable\n 300 us quote")
    assert np.array_equal(found["deliverables_change_90"], change, equal_nan=True)


def test_a_goal_counts_as_reached_from_its_day_once_known_and_as_amended():
    late = """
        id  ago  known  superseded  owed_by  kind          done_ago
        1   900  900    0           us       primary_goal  -
        1   900  0      -           us       primary_goal  40
        2   900  900    10          us       primary_goal  20
        2   900  10     -           us       primary_goal  60
        3   900  900    -           us       primary_goal  0
    """
    found = columns_of(SIGNAL, commitments=late, agreements="ago\n 900")
    assert (found["goal_reached_days"], found["our_open_promises"], found["goal_reached_narrow"]) == (60, 2, 0)


def test_the_clients_own_goals_are_not_ours_to_reach():
    found = columns_of(SIGNAL, commitments="ago owed_by kind done_ago\n 90 client primary_goal 10", agreements="ago\n 900")
    assert np.isnan(found["goal_reached_days"])
    assert (found["our_open_promises"], found["goal_reached_narrow"]) == (0, 0)


def test_nothing_is_known_of_a_client_without_promises_and_agreements():
    nothing = {"our_open_promises": 0, "deliverables_90": 0, "agreements_running": 0, "goal_reached_narrow": 0}
    found = columns_of(SIGNAL, client="b", commitments=COMMITMENTS + "0 us quote - -", agreements="client ago\n b 0")
    assert {name: value for name, value in found.items() if not np.isnan(value)} == nothing
    assert len(found) == 7

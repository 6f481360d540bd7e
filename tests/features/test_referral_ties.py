"""Referrals and ties (D5, A6), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.referral_ties import SIGNAL

TIES = """
    client  ago  other_client_id  kind       until_ago
    a       900  b                referral   -
    c       900  a                partner    -
    a       900  d                ownership  -
    e       900  a                referral   200
    b       900  c                referral   -
"""


def test_neighbours_that_left_or_were_let_go_seen_from_either_end():
    endings = """
        client  ago  ended_by
        b       20   client
        c       60   client
        d       100  us
        b       500  client
        a       5    client
    """
    assert columns_of(SIGNAL, ties=TIES, endings=endings) == {
        "ties_now": 3,
        "neighbours_left_share_30": 1 / 3,
        "neighbours_left_share_90": 2 / 3,
        "neighbours_left_share_365": 2 / 4,
        "neighbour_left_days": 20,
        "neighbours_let_go_share_365": 1 / 4,
    }
    assert columns_of(SIGNAL, client="d", ties=TIES, endings=endings)["neighbours_left_share_30"] == 1


@pytest.mark.parametrize("hand", ["us", "mutual", "closed_down", "paused"])
def test_only_those_who_left_of_themselves_are_an_example(hand):
    found = columns_of(SIGNAL, ties=TIES, endings=f"client ago ended_by\n b 20 {hand}")
    assert found["neighbours_left_share_365"] == 0
    assert np.isnan(found["neighbour_left_days"])
    assert found["neighbours_let_go_share_365"] == (0.25 if hand == "us" else 0)


@pytest.mark.parametrize(
    ("until", "ties", "left"),
    [
        ("-", 1, 1),
        (20, 0, 1),  # struck out with the leaving
        (90, 0, 0),  # had ended before the neighbour left
        (21, 0, 0),
        (91, 0, np.nan),  # had no longer been tied
        (0, 1, 1),
        (-50, 1, 1),
    ],
)
def test_a_tie_that_ended_is_remembered_for_the_window(until, ties, left):
    ties_drawn = f"client ago other_client_id until_ago\n a 900 b {until}"
    found = columns_of(SIGNAL, ties=ties_drawn, endings="client ago ended_by\n b 20 client")
    assert found["ties_now"] == ties
    assert np.array_equal(found["neighbours_left_share_90"], left, equal_nan=True)


@pytest.mark.parametrize(
    ("ago", "known", "shares", "days"),
    [
        (10, 1, (1, 1, 1), 10),
        (10, 0, (0, 0, 0), np.nan),  # not yet known
        (0, 10, (0, 0, 0), np.nan),  # not yet decided
        (60, 5, (0, 1, 1), 60),  # entered late
        (30, 30, (1, 1, 1), 30),
        (31, 31, (0, 1, 1), 31),
    ],
)
def test_a_leaving_counts_from_its_day_once_known(ago, known, shares, days):
    endings = f"client ago known ended_by\n b {ago} {known} client"
    found = columns_of(SIGNAL, ties="client ago other_client_id\n a 900 b", endings=endings)
    assert tuple(found[f"neighbours_left_share_{w}"] for w in (30, 90, 365)) == shares
    assert np.array_equal(found["neighbour_left_days"], days, equal_nan=True)


def test_an_ending_amended_to_a_pause_and_a_tie_moved_to_another_client_are_no_example():
    endings = """
        id  client  ago  known  superseded  ended_by
        1   b       60   60     20          client
        1   b       60   20     -           paused
        2   c       60   60     -           client
    """
    ties = """
        id  client  ago  known  superseded  other_client_id
        1   a       900  900    -           b
        2   a       900  900    30          c
        2   a       900  30     -           d
    """
    found = columns_of(SIGNAL, ties=ties, endings=endings)
    assert (found["ties_now"], found["neighbours_left_share_90"]) == (2, 0)
    assert np.isnan(found["neighbour_left_days"])


def test_without_ties_nothing_is_known():
    found = columns_of(SIGNAL, client="z", ties=TIES, endings="client ago ended_by\n z 5 client")
    assert found.pop("ties_now") == 0
    assert len(found) == 5
    assert np.isnan(list(found.values())).all()

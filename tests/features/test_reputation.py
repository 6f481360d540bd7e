"""Reputation (A5), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.reputation import SIGNAL


def test_marks_are_averaged_and_the_worst_is_remembered():
    found = columns_of(
        SIGNAL,
        surveys="""
        ago   kind        score
        10    reputation  2
        300   reputation  3.5
        731   reputation  1
        5     nps         0
        """,
    )
    assert found == {"reputation_marks_730": 2, "reputation_mean_730": 2.75, "reputation_worst": 1, "days_since_reputation": 10}


@pytest.mark.parametrize(("ago", "marks"), [(0, 0), (1, 1), (730, 1), (731, 0)])
def test_the_window_is_two_years(ago, marks):
    assert columns_of(SIGNAL, surveys=f"ago kind score\n {ago} reputation 4")["reputation_marks_730"] == marks


def test_a_mark_counts_once_recorded_and_as_amended():
    found = columns_of(
        SIGNAL,
        surveys="""
        id  ago  known  superseded  kind        score
        1   100  100    50          reputation  1
        1   100  50     -           reputation  4
        2   30   0      -           reputation  1
        """,
    )
    assert found == {"reputation_marks_730": 1, "reputation_mean_730": 4, "reputation_worst": 4, "days_since_reputation": 100}


def test_no_mark_is_unknown_not_bad():
    found = columns_of(SIGNAL, surveys="ago kind score\n 10 csat 1")
    assert found.pop("reputation_marks_730") == 0
    assert np.isnan(list(found.values())).all()

"""The declaration of churn: which outcome counts as what, in full."""

import pytest

from models.churn import BY_RELATIONSHIP, CONTRACTUAL, LABELS, NON_CONTRACTUAL

ENDED_BY = {"client", "us", "mutual", "closed_down", "paused"}


def test_only_staying_and_churning_are_learnt_from():
    assert dict(LABELS) == {"stayed": 0, "churned": 1, "immature": None, "ended_otherwise": None, "left_in_gap": None}


def test_contractual_churn_is_the_clients_decision_in_the_window():
    assert dict(CONTRACTUAL.by_ending) == {
        "client": "churned",
        "us": "ended_otherwise",
        "mutual": "ended_otherwise",
        "closed_down": "ended_otherwise",
        "paused": "ended_otherwise",
    }
    assert CONTRACTUAL.silence is None


def test_non_contractual_churn_is_silence_and_nothing_else():
    assert NON_CONTRACTUAL.silence == "churned"
    assert "client" not in NON_CONTRACTUAL.by_ending
    assert set(NON_CONTRACTUAL.by_ending.values()) == {"ended_otherwise"}


@pytest.mark.parametrize("target", BY_RELATIONSHIP.values(), ids=BY_RELATIONSHIP)
def test_every_ending_in_the_gap_takes_the_snapshot_out(target):
    assert set(target.in_gap) == ENDED_BY
    assert all(LABELS[outcome] is None for outcome in target.in_gap.values())
    assert BY_RELATIONSHIP[target.relationship] is target

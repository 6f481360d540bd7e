"""Management change at the client (B3), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.management_change import SIGNAL


def test_who_left_and_who_came():
    found = columns_of(
        SIGNAL,
        contacts="""
        ago   until_ago  is_decision_maker
        2000  100        yes
        2000  -          yes
        2000  300        -
        1500  400        no
        60    -          no
        60    -          no
        """,
    )
    assert found == {
        "decision_makers_lost_180": 1,
        "decision_makers_lost_share_180": 1 / 2,
        "contacts_lost_share_365": 2 / 5,
        "decision_maker_change_days": 100,
        "contacts_new_share_180": 2 / 3,
        "without_decision_maker": 0,
    }


def test_a_new_decision_maker_is_a_change_and_a_replaced_one_left_all_the_same():
    found = columns_of(SIGNAL, contacts="ago until_ago is_decision_maker\n 900 50 yes\n 20 - yes")
    assert (found["decision_maker_change_days"], found["decision_makers_lost_share_180"]) == (20, 1 / 2)
    assert (found["contacts_new_share_180"], found["without_decision_maker"]) == (1, 0)


def test_when_all_who_decide_are_gone_nobody_is_known():
    gone = columns_of(SIGNAL, contacts="ago until_ago is_decision_maker\n 900 500 yes\n 900 - no")
    assert (gone["without_decision_maker"], gone["decision_makers_lost_180"], gone["decision_maker_change_days"]) == (1, 0, 500)
    assert np.isnan(gone["decision_makers_lost_share_180"])
    assert np.isnan(columns_of(SIGNAL, contacts="ago is_decision_maker\n 900 no")["without_decision_maker"])


@pytest.mark.parametrize(("came", "change"), [(500, 500), (610, np.nan), (609, 609)])
def test_whoever_came_in_the_first_90_days_was_there_from_the_start(came, change):
    found = columns_of(SIGNAL, contacts=f"ago is_decision_maker\n 700 no\n {came} yes")
    assert np.array_equal(found["decision_maker_change_days"], change, equal_nan=True)


@pytest.mark.parametrize(("first", "share"), [(270, np.nan), (271, 1 / 2)])
def test_a_young_relationship_has_no_newcomers(first, share):
    found = columns_of(SIGNAL, contacts=f"ago is_decision_maker\n {first} yes\n 5 no")
    assert np.array_equal(found["contacts_new_share_180"], share, equal_nan=True)


@pytest.mark.parametrize(
    ("left", "known", "lost", "share"),
    [
        (0, 30, 0, 0),  # only announced
        (-20, 30, 0, 0),
        (1, 1, 1, 1 / 2),
        (20, 0, 0, 0),  # not yet entered
        (180, 5, 1, 1 / 2),  # entered late, and still of the last half year
        (181, 5, 0, 0),
    ],
)
def test_a_departure_counts_from_its_day_on_once_it_is_known(left, known, lost, share):
    contacts = f"""
        id  ago  known  superseded  until_ago  is_decision_maker
        1   900  900    {known}     -          yes
        1   900  {known}  -         {left}     yes
        2   900  900    -           -          yes
    """
    found = columns_of(SIGNAL, contacts=contacts)
    assert (found["decision_makers_lost_180"], found["decision_makers_lost_share_180"]) == (lost, share)


def test_a_departure_that_was_taken_back_is_none():
    contacts = """
        id  ago  known  superseded  until_ago  is_decision_maker
        1   900  60     20          90         yes
        1   900  20     -           -          yes
    """
    found = columns_of(SIGNAL, contacts=contacts)
    assert (found["decision_makers_lost_180"], found["contacts_lost_share_365"], found["without_decision_maker"]) == (0, 0, 0)
    assert np.isnan(found["decision_maker_change_days"])


def test_nobody_known_is_unknown_not_gone():
    found = columns_of(SIGNAL, contacts="client ago is_decision_maker\n b 900 yes\n a 0 yes")
    assert found.pop("decision_makers_lost_180") == 0
    assert np.isnan(list(found.values())).all()

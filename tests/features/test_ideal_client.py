"""Ideal-client profile (C7, C8), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.ideal_client import SIGNAL

ONE_ANSWER = "ago kind score\n 5 nps 9"


def test_answers_of_the_year_are_averaged_and_set_against_those_before():
    found = columns_of(
        SIGNAL,
        surveys="""
        ago  kind          score
        10   nps           6
        200  nps           8
        366  nps           9
        900  nps           10
        30   csat          2.5
        400  csat          4
        7    staff_morale  1
        """,
    )
    assert found == {
        "satisfaction_answers_365": 3,
        "nps_mean_365": 7,
        "csat_mean_365": 2.5,
        "nps_fall_365": pytest.approx(9.5 - (6 + 8 + 9.5) / 3),
        "csat_fall_365": pytest.approx(4 - (2.5 + 4) / 2),
    }


def test_a_first_answer_has_no_trend_and_a_silent_year_none_either():
    assert np.isnan(columns_of(SIGNAL, surveys="ago kind score\n 5 nps 3")["nps_fall_365"])
    silent = columns_of(SIGNAL, surveys="ago kind score\n 500 nps 3")
    assert silent["satisfaction_answers_365"] == 0
    assert np.isnan([silent["nps_mean_365"], silent["nps_fall_365"]]).all()


def test_an_answer_counts_once_recorded_and_as_amended():
    found = columns_of(
        SIGNAL,
        surveys="""
        id  ago  known  superseded  kind  score
        1   100  100    50          nps   1
        1   100  50     -           nps   7
        2   30   0      -           nps   0
        """,
    )
    assert (found["satisfaction_answers_365"], found["nps_mean_365"]) == (1, 7)


CLIENTS = """
    client  industry  segment  country
    a       metal     x        -
    b       metal     y        IL
    c       food      x        IL
    d       -         -        -
"""
SURVEYS = """
    client  ago  kind  score
    a       5    nps   0
    b       5    nps   10
    b       95   nps   9
    c       5    nps   6
    c       500  nps   7
    c       731  nps   0
    d       5    nps   9
    d       5    csat  2
"""


def test_clients_like_it_are_compared_with_all_others_but_itself():
    found = columns_of(SIGNAL, surveys=SURVEYS, clients=CLIENTS)
    # All others of a: NPS 2 − 1 + 1 of 5 answers. Of its industry b: 2 of 2; of its segment c: −1 of 2; its country is not known.
    industry, segment = (2 * 2 / 5 - 2) / (2 + 10), (2 * 2 / 5 + 1) / (2 + 10)
    assert found["alike_dissatisfaction_730"] == pytest.approx((industry + segment + 0) / 3)


def test_csat_is_compared_with_csat():
    surveys = "client ago kind score\n" + "\n".join(["b 5 csat 4", "b 6 csat 2", "b 7 csat 3", "c 5 csat 5", "c 5 nps 0"])
    found = columns_of(SIGNAL, surveys=surveys, clients=CLIENTS + "e metal y IL", client="e")
    # Industry and segment, b: 0 of 3 answers where 1 in 4 is the surplus; country, b and c: that of all others.
    assert found["alike_dissatisfaction_730"] == pytest.approx(2 * (3 / 4 - 0) / (3 + 10) / 3)


def test_one_of_whom_nothing_is_known_is_like_everyone():
    found = columns_of(SIGNAL, client="d", surveys=SURVEYS, clients=CLIENTS)
    assert found["alike_dissatisfaction_730"] == 0


def test_a_clients_own_answers_do_not_make_it_like_the_satisfied():
    for score in (0, 10):
        surveys = f"client ago kind score\n a 5 nps {score}\n b 5 nps 7\n c 5 nps 10"
        found = columns_of(SIGNAL, surveys=surveys, clients=CLIENTS)
        assert found["alike_dissatisfaction_730"] == pytest.approx(((1 / 2 - 0) + (1 / 2 - 1)) / 11 / 3)


INVOICES = "client ago amount\n a 5 100\n b 5 400\n c 5 100\n d 5 200"


def test_margins_of_clients_like_it_are_compared_with_those_of_all_others():
    work = "client ago cost\n a 5 100\n b 5 300\n c 5 0\n d 5 50"
    found = columns_of(SIGNAL, surveys=ONE_ANSWER, clients=CLIENTS, invoices=INVOICES, work=work)
    # All others of a keep 350 of 700: one half. b keeps 100 of 400, c all of 100; with five clients' mean revenue, 5 × 800 / 4, beside.
    industry, segment = (400 / 2 - 100) / (400 + 1000), (100 / 2 - 100) / (100 + 1000)
    assert found["alike_margin_gap_730"] == pytest.approx((industry + segment + 0) / 3)


def test_where_no_cost_is_recorded_margins_are_unknown():
    found = columns_of(SIGNAL, surveys=ONE_ANSWER, clients=CLIENTS, invoices=INVOICES, work="client ago cost\n a 5 -")
    assert np.isnan(found["alike_margin_gap_730"])


@pytest.mark.parametrize(
    ("tables", "left"),
    [
        ({"clients": CLIENTS}, {"alike_dissatisfaction_730"}),
        ({"clients": CLIENTS, "invoices": INVOICES}, {"alike_dissatisfaction_730"}),
        ({"clients": CLIENTS, "invoices": INVOICES, "work": "ago cost\n 5 1"}, {"alike_dissatisfaction_730", "alike_margin_gap_730"}),
        ({"invoices": INVOICES, "work": "ago cost\n 5 1"}, set()),
    ],
)
def test_those_like_it_are_known_only_with_the_tables_that_tell(tables, left):
    found = columns_of(SIGNAL, surveys=ONE_ANSWER, **tables)
    assert {name for name in found if name.startswith("alike")} == left


def test_nothing_is_unknown_and_like_everyone():
    found = columns_of(SIGNAL, client="z", surveys=SURVEYS, clients=CLIENTS + "z - - -", invoices=INVOICES, work="ago cost\n 5 1")
    assert {name for name, value in found.items() if value == 0} == {
        "satisfaction_answers_365",
        "alike_dissatisfaction_730",
        "alike_margin_gap_730",
    }
    assert all(value == 0 or np.isnan(value) for value in found.values())

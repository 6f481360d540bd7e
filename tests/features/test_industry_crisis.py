"""Industry in crisis (B2), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of

from features.industry_crisis import SIGNAL
from features.ratios import shrunk

CLIENTS = """
    client  industry
    a       metal
    b       metal
    c       metal
    d       metal
    e       food
    f       food
    g       -
"""
INDEX = """
    ago  known  industry  value
    500  450    metal     130
    400  350    metal     110
    200  150    metal     90
    121  70     metal     100
    120  60     metal     70
    90   20     metal     80
    60   0      metal     10
    90   20     food      100
"""


def test_the_recent_months_are_set_against_the_year_before_and_the_highest():
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index=INDEX)
    assert found == {
        "industry_index_change": 75 / 100 - 1,
        "industry_index_below_peak": 1 - 75 / 130,
    }


def test_a_month_counts_once_published_and_as_revised():
    index = """
        id  ago  known  superseded  industry  value
        1   300  250    -           metal     100
        2   100  40     10          metal     60
        2   100  10     -           metal     80
    """
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index=index)
    assert found["industry_index_change"] == pytest.approx(-0.2)
    assert found["industry_index_below_peak"] == pytest.approx(0.2)


def test_before_the_first_recent_month_is_published_nothing_is_known():
    late = "ago known industry value\n 300 250 metal 100\n 90 0 metal 50"
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index=late)
    assert np.isnan(list(found.values())).all()


def test_an_index_of_nothing_is_no_change():
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index="ago industry value\n 300 metal 0\n 90 metal 0")
    assert np.isnan(list(found.values())).all()


ENDINGS = """
    client  ago  known  ended_by
    a       10   10     client
    b       20   20     closed_down
    c       30   30     us
    d       600  600    client
    e       180  20     client
    f       181  181    client
    g       20   0      client
"""


def test_other_clients_of_the_industry_that_left():
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index=INDEX, endings=ENDINGS)
    # Without a: of metal b left, c could have, d had gone long before. Of all others b and e left; b, c, e, g could have.
    assert found["industry_left_share_180"] == 1 / 2
    assert found["industry_left_ratio_180"] == pytest.approx(shrunk(1, 2, 2 / 4, 10) / (2 / 4))
    of_food = columns_of(SIGNAL, client="f", clients=CLIENTS, industry_index=INDEX, endings=ENDINGS)
    assert of_food["industry_left_share_180"] == 1
    assert of_food["industry_left_ratio_180"] == pytest.approx(shrunk(1, 1, 3 / 5, 10) / (3 / 5))


def test_where_nobody_leaves_every_industry_is_as_everywhere():
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index=INDEX, endings="client ago ended_by\n a 10 client\n b 10 paused")
    assert (found["industry_left_share_180"], found["industry_left_ratio_180"]) == (0, 1)


def test_an_ending_amended_to_a_pause_is_no_leaving():
    endings = """
        id  client  ago  known  superseded  ended_by
        1   b       60   60     20          client
        1   b       60   20     -           paused
    """
    found = columns_of(SIGNAL, clients=CLIENTS, industry_index=INDEX, endings=endings)
    assert found["industry_left_ratio_180"] == 1


def test_the_only_client_of_an_industry_has_no_others():
    found = columns_of(
        SIGNAL, clients="client industry\n a metal\n e food", industry_index=INDEX, endings="client ago ended_by\n e 5 client"
    )
    assert found["industry_left_ratio_180"] == 1
    assert np.isnan(found["industry_left_share_180"])


@pytest.mark.parametrize("client", ["g", "nobody"])
def test_of_an_unknown_industry_nothing_is_known(client):
    endings = ENDINGS + "    nobody 5 5 client\n"
    found = columns_of(SIGNAL, client=client, clients=CLIENTS, industry_index=INDEX, endings=endings)
    assert len(found) == 4
    assert np.isnan(list(found.values())).all()

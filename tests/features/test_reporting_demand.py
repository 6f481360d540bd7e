"""Reporting-demand spike (B4), from drawn histories."""

import pytest
from histories import columns_of

from features.reporting_demand import SIGNAL

QUIET_FOR_YEARS = "\n".join(f"{ago} message" for ago in range(100, 1_100, 20))


def test_a_sudden_wish_for_reports_after_quiet_years_is_a_spike():
    found = columns_of(
        SIGNAL, interactions=f"ago kind\n 5 report_request\n 9 instruction\n 15 report_request\n 20 message\n{QUIET_FOR_YEARS}"
    )
    assert (found["demands_30"], found["demands_90"], found["demands_365"]) == (3, 3, 3)
    assert found["demand_share_90"] == 0.75
    assert found["days_since_demand"] == 5
    # Peers (itself alone): 3 of 18 contacts of the year. Usual: (0 + 5/6) / (14 + 5); recent: (3 + 5 × usual) / (4 + 5).
    usual = (5 * 3 / 18) / 19
    assert found["demand_spike_90"] == pytest.approx((3 + 5 * usual) / 9 / usual)
    assert found["demands_after_quiet"] == pytest.approx(3 * (1_080 - 90) / 365)


def test_the_same_reports_are_nothing_new_for_one_who_always_asks():
    always = "\n".join(f"{ago} report_request" for ago in range(5, 365, 30))
    found = columns_of(SIGNAL, interactions=f"ago kind\n{always}")
    assert found["demand_spike_90"] == pytest.approx(1, abs=0.01)
    assert found["demands_after_quiet"] == pytest.approx(0, abs=0.1)


def test_a_young_client_is_judged_by_its_segment():
    clients = "client segment\n a x\n b x\n c y"
    rows = "client ago kind\n" + "\n".join(
        [f"b {ago} report_request" for ago in range(1, 21)]
        + [f"c {ago} message" for ago in range(1, 21)]
        + ["a 3 report_request", "a 4 message"]
    )
    alone = columns_of(SIGNAL, interactions=rows, clients="client segment\n a z\n b x\n c y")["demand_spike_90"]
    among_askers = columns_of(SIGNAL, interactions=rows, clients=clients)["demand_spike_90"]
    among_all = columns_of(SIGNAL, interactions=rows)["demand_spike_90"]
    assert among_askers < 1  # where nearly every contact is a request, one in two is little
    assert alone == pytest.approx(1)
    assert among_askers < among_all


def test_nothing_seen_is_as_usual():
    assert columns_of(SIGNAL, interactions="ago kind\n 400 message")["demand_spike_30"] == 1

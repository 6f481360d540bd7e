"""Effort against value (A3, A5, D2, D4, E1), from drawn histories."""

import numpy as np
import pytest
from histories import columns_of, found

from features.effort_value import SIGNAL

CLIENTS = "client account_owner\n a s\n b s\n c t"
WORK = """
    client  ago  duration_minutes  cost
    a       10   600               300
    a       200  1200              600
    a       400  600               300
    b       20   1800              600
    c       30   2400              -
"""
INVOICES = """
    client  ago  amount
    a       15   1000
    a       220  1000
    a       420  1000
    b       25   1500
    c       35   500
"""
AN_HOUR = 60 * (4000 - 2500) / 6000  # what one brought after cost: c's 2400 minutes count 1000, since others' 3600 cost 1500


@pytest.mark.parametrize(
    ("client", "column", "value"),
    [
        ("a", "staff_hours_90", 10),
        ("a", "staff_hours_365", 30),
        ("a", "contribution_margin_365", 1100 / 2000),
        ("b", "contribution_margin_365", 900 / 1500),
        ("c", "contribution_margin_365", -500 / 1000),  # half of its estimated cost is covered
        # 365 days before: 900 of 2000; the last 180: 300 of 1000, with 90 days of the former
        ("a", "contribution_margin_fall_180", 0.55 - (700 + 1100 * 90 / 365) / (1000 + 2000 * 90 / 365)),
        ("b", "contribution_margin_fall_180", np.nan),  # nothing before
        ("a", "attention_gap_365", 1800 / 6000 - 2000 / 4000),
        ("c", "attention_gap_365", 2400 / 6000 - 500 / 4000),
        ("a", "crowding_out_90", (600 + 2400 * 1) / (2400 + 2400) - 1),  # all of s's hours were for a, now 600 of 2400
        ("b", "crowding_out_90", (1800 + 2400 * 0) / (2400 + 2400) - 0),
        ("c", "crowding_out_90", np.nan),  # its owner had no hours before
        ("a", "opportunity_cost_per_hour_365", AN_HOUR - 60 * (1100 + 480 * AN_HOUR / 60) / (1800 + 480)),
        ("c", "opportunity_cost_per_hour_365", AN_HOUR - 60 * (-500 + 480 * AN_HOUR / 60) / (2400 + 480)),
    ],
)
def test_effort_is_set_against_what_it_brings_and_takes_from_others(client, column, value):
    values = columns_of(SIGNAL, client=client, work=WORK, invoices=INVOICES, clients=CLIENTS)
    assert values[column] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("amount", "margin"),
    [(1000, 0.9), (100, 0), (50, -0.5), (0, -1), (-70, -1)],  # the last: a net credit
)
def test_effort_for_nothing_is_the_worst_case_not_an_unknown_one(amount, margin):
    values = columns_of(SIGNAL, work="ago cost\n 5 100", invoices=f"ago amount\n 5 {amount}")
    assert values["contribution_margin_365"] == pytest.approx(margin)


def test_revenue_without_effort_is_all_margin_and_says_nothing_of_hours():
    values = columns_of(SIGNAL, work="client ago cost\n b 5 100", invoices="client ago amount\n a 5 300\n b 5 100")
    assert values["contribution_margin_365"] == 1
    assert values["attention_gap_365"] == 0 - 0.75
    assert np.isnan(values["opportunity_cost_per_hour_365"])


def test_a_rise_in_cost_is_a_fall_of_the_margin():
    work = "ago cost\n" + "\n".join(f"{ago} {40 if ago > 180 else 80}" for ago in range(5, 545, 30))
    invoices = "ago amount\n" + "\n".join(f"{ago} 100" for ago in range(5, 545, 30))
    # Before: 12 months at 40 of 100; the last 6 at 80 of 100, and 90/365 of the 12.
    prior = 12 * 90 / 365
    falls = columns_of(SIGNAL, work=work, invoices=invoices)["contribution_margin_fall_180"]
    assert falls == pytest.approx(0.6 - (6 * 20 + prior * 60) / (6 * 100 + prior * 100))


def test_costs_in_another_currency_are_valued_by_their_minutes():
    work = "client ago duration_minutes cost currency\n b 5 60 30 EUR\n a 5 60 999 USD\n a 6 60 20 EUR"
    values = columns_of(SIGNAL, work=work, invoices="client ago amount\n a 5 100")
    assert values["contribution_margin_365"] == pytest.approx(1 - (20 + 60 * 50 / 120) / 100)


def test_revenue_in_another_currency_is_unknown_not_nought_and_others_are_compared_without_it():
    work = "client ago duration_minutes cost\n a 5 600 300\n b 5 60 30\n c 5 60 50"
    invoices = "client ago amount currency\n a 400 900 USD\n a 500 900 EUR\n b 5 90 USD\n b 6 90 EUR\n a 5 400 EUR\n c 5 100 EUR"
    a, b, c = (columns_of(SIGNAL, client=client, work=work, invoices=invoices) for client in "abc")
    assert {name for name, value in b.items() if np.isnan(value)} >= {
        *("contribution_margin_365", "contribution_margin_fall_180", "attention_gap_365", "opportunity_cost_per_hour_365")
    }
    assert (b["staff_hours_365"], a["contribution_margin_365"]) == (1, 0.25)
    assert np.isnan(a["contribution_margin_fall_180"])  # the window before holds dollars
    assert c["attention_gap_365"] == pytest.approx(60 / 660 - 100 / 500)
    an_hour = 60 * (500 - 350) / 660
    assert c["opportunity_cost_per_hour_365"] == pytest.approx(an_hour - 60 * (50 + 480 * an_hour / 60) / (60 + 480))


def test_where_no_entry_has_a_cost_there_is_no_margin_but_hours_remain():
    values = columns_of(SIGNAL, work="ago duration_minutes\n 5 90\n 200 90", invoices="ago amount\n 5 100")
    assert np.isnan(values["contribution_margin_365"])
    assert np.isnan(values["opportunity_cost_per_hour_365"])
    assert (values["staff_hours_90"], values["staff_hours_365"], values["attention_gap_365"]) == (1.5, 3, 0)


def test_only_entries_logged_by_then_count_as_last_amended():
    work = """
        id  ago  known  superseded  duration_minutes  cost
        1   30   30     10          60                10
        1   30   10     -           120               20
        2   20   0      -           600               900
        3   90   90     -           60                10
        4   91   1      -           60                10
    """
    values = columns_of(SIGNAL, work=work, invoices="ago amount\n 30 100")
    assert (values["staff_hours_90"], values["staff_hours_365"]) == (3, 4)
    assert values["contribution_margin_365"] == pytest.approx(0.6)


def test_without_invoices_or_owners_hours_remain():
    work = "client ago duration_minutes\n a 5 600\n a 200 600\n b 300 600"
    assert sorted(columns_of(SIGNAL, work=work)) == ["staff_hours_365", "staff_hours_90"]
    assert np.isnan(columns_of(SIGNAL, work=work, clients="client account_owner\n a -\n b s")["crowding_out_90"])


def test_nothing_worked_or_invoiced_is_unknown_but_crowds_nobody_out():
    values = columns_of(SIGNAL, client="d", work=WORK, invoices=INVOICES, clients="client account_owner\n d s")
    assert {name for name, value in values.items() if value == 0} == {"staff_hours_90", "staff_hours_365", "crowding_out_90"}
    assert all(value == 0 or np.isnan(value) for value in values.values())


def test_no_value_is_infinite_where_there_are_only_credits():
    frame = found(SIGNAL, work="ago duration_minutes cost\n 5 0 100\n 200 - 10", invoices="ago amount\n 5 -100\n 200 -5").frame
    assert np.isnan(frame["opportunity_cost_per_hour_365"]).all()

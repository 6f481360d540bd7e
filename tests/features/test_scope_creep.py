"""Scope creep (D2, E1, E4), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.contract import spoken
from features.scope_creep import SIGNAL

CREEPING = """
    ago  kind           direction
    5    scope_request  inbound
    9    scope_request  outbound
    20   message        inbound
    50   order          inbound
    60   message        outbound
    100  message        inbound
    200  scope_request  inbound
    300  message        inbound
    400  scope_request  inbound
"""
WORKED = """
    ago  duration_minutes  is_in_scope  is_billable
    5    60                no           no
    6    30                no           yes
    7    90                yes          no
    8    600               -            no
    9    120               no           -
    10   -                 no           no
    100  240               yes          yes
    200  60                no           no
    400  900               no           no
"""


def test_requests_beyond_the_order_are_counted_and_shared():
    found = columns_of(SIGNAL, interactions=CREEPING)
    assert found["scope_requests_90"] == 2
    assert found["scope_request_share_365"] == pytest.approx(3 / 6)  # per contact from the client, whoever wrote the request down
    # Peers (itself alone): 3 to 6. Usual: (1 + 5/2) / (3 + 5); recent: (2 + 5 × usual) / (3 + 5).
    usual = (1 + 5 * 0.5) / 8
    assert found["scope_request_spike_90"] == pytest.approx((2 + 5 * usual) / 8 / usual)


def test_who_always_asks_for_more_is_as_usual():
    rows = "\n".join(f"{ago} scope_request" for ago in range(5, 365, 10))
    assert columns_of(SIGNAL, interactions=f"ago kind\n{rows}")["scope_request_spike_90"] == pytest.approx(1)


def test_work_beyond_the_order_is_shared_by_time_and_so_is_what_was_free():
    found = columns_of(SIGNAL, interactions="ago\n 5", work=WORKED)
    assert found["out_of_scope_share_365"] == pytest.approx((60 + 30 + 120 + 60) / (60 + 30 + 90 + 120 + 240 + 60))
    assert found["out_of_scope_rise_90"] == pytest.approx(210 / 300 - 60 / 300)
    assert found["out_of_scope_free_share_365"] == pytest.approx(120 / (60 + 30 + 90 + 240 + 60))
    assert found["out_of_scope_free_hours_365"] == 2


def test_time_that_does_not_say_its_scope_is_unknown():
    found = columns_of(SIGNAL, interactions="ago\n 5", work="ago is_in_scope is_billable\n 5 - no\n 200 - yes")
    assert math.isnan(found["out_of_scope_share_365"])
    assert math.isnan(found["out_of_scope_free_share_365"])
    assert found["out_of_scope_free_hours_365"] == 0


def test_a_rise_needs_work_on_both_sides():
    found = columns_of(SIGNAL, interactions="ago\n 5", work="ago is_in_scope is_billable\n 5 no no")
    assert math.isnan(found["out_of_scope_rise_90"])
    assert found["out_of_scope_share_365"] == 1


def test_late_and_amended_rows_count_as_they_were_known():
    late = columns_of(SIGNAL, interactions="ago known kind\n 5 0 scope_request\n 7 7 message")
    assert (late["scope_requests_90"], late["scope_request_share_365"]) == (0, 0)
    work = "id ago known superseded is_in_scope is_billable\n w 5 5 {known} no no\n w 5 {known} - yes yes"
    amended = columns_of(SIGNAL, interactions="ago\n 5", work=work.format(known=2))
    assert (amended["out_of_scope_share_365"], amended["out_of_scope_free_hours_365"]) == (0, 0)
    amended_later = columns_of(SIGNAL, interactions="ago\n 5", work=work.format(known=0))
    assert (amended_later["out_of_scope_share_365"], amended_later["out_of_scope_free_hours_365"]) == (1, 1)


def test_without_time_entries_the_requests_remain():
    found = columns_of(SIGNAL, interactions=CREEPING)
    assert set(found) == {"scope_requests_90", "scope_request_share_365", "scope_request_spike_90"}


def test_nothing_asked_and_nothing_worked():
    found = columns_of(SIGNAL, interactions="ago\n 400", work="client ago is_in_scope\n b 5 no")
    assert (found["scope_requests_90"], found["scope_request_spike_90"], found["out_of_scope_free_hours_365"]) == (0, 1, 0)
    shares = ("scope_request_share_365", "out_of_scope_share_365", "out_of_scope_rise_90", "out_of_scope_free_share_365")
    assert all(math.isnan(found[name]) for name in shares)


def test_words_are_plain_facts():
    found = columns_of(SIGNAL, interactions=CREEPING, work=WORKED)
    words = {column.name: spoken(column.raises, found) for column in SIGNAL.columns}
    assert words["scope_request_spike_90"] == (
        "Requests beyond the order: 2 in the last 90 days; over the last year, 50% as many as contacts from the client."
    )
    assert words["out_of_scope_rise_90"] == "The share of work beyond the order has risen by 50% of all work."
    assert words["out_of_scope_free_share_365"] == ("2 hours of work beyond the order were given free in the last year: 25% of all hours.")

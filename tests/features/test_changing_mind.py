"""Changing the mind (C6), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.changing_mind import SIGNAL
from features.contract import spoken

FICKLE = """
    ago  kind            direction
    3    change_request  inbound
    8    reversal        inbound
    20   order           inbound
    40   change_request  outbound
    60   message         inbound
    120  order           inbound
    200  change_request  inbound
    250  message         inbound
    300  message         inbound
    400  reversal        inbound
"""


def test_changes_are_counted_per_order_and_per_contact():
    found = columns_of(SIGNAL, interactions=FICKLE)
    assert (found["changes_90"], found["changes_365"]) == (3, 4)
    assert found["changes_per_order_365"] == 2
    assert found["change_share_365"] == pytest.approx(4 / 8)  # per contact from the client, whoever wrote the change down
    assert found["reversal_share_365"] == 0.25
    # Peers (itself alone): 4 to 8. Usual: (1 + 5/2) / (4 + 5); recent: (3 + 5 × usual) / (4 + 5).
    usual = (1 + 5 * 0.5) / 9
    assert found["change_spike_90"] == pytest.approx((3 + 5 * usual) / 9 / usual)


def test_a_young_client_is_judged_by_its_segment():
    others = "\n".join([f"b {ago} change_request" for ago in range(1, 21)] + [f"c {ago} message" for ago in range(1, 21)])
    rows = f"client ago kind\n{others}\n a 3 change_request\n a 4 message"
    among_fickle = columns_of(SIGNAL, interactions=rows, clients="client segment\n a x\n b x\n c y")["change_spike_90"]
    among_steady = columns_of(SIGNAL, interactions=rows, clients="client segment\n a y\n b x\n c y")["change_spike_90"]
    assert among_fickle < 1 < among_steady


def test_without_orders_the_changes_per_order_are_unknown_and_the_rest_remains():
    found = columns_of(SIGNAL, interactions="ago kind\n 5 change_request\n 9 message")
    assert math.isnan(found["changes_per_order_365"])
    assert (found["change_share_365"], found["reversal_share_365"]) == (0.5, 0)


def test_late_and_amended_rows_count_as_they_were_known():
    late = columns_of(SIGNAL, interactions="ago known kind\n 5 0 reversal\n 7 7 order")
    assert (late["changes_90"], late["changes_per_order_365"]) == (0, 0)
    rows = "id ago known superseded kind\n i 5 5 {known} change_request\n i 5 {known} - reversal"
    assert columns_of(SIGNAL, interactions=rows.format(known=2))["reversal_share_365"] == 1
    assert columns_of(SIGNAL, interactions=rows.format(known=0))["reversal_share_365"] == 0


def test_nothing_seen_is_as_usual():
    found = columns_of(SIGNAL, interactions="ago kind\n 400 reversal")
    assert (found["changes_90"], found["changes_365"], found["change_spike_90"]) == (0, 0, 1)
    assert all(math.isnan(found[name]) for name in ("changes_per_order_365", "change_share_365", "reversal_share_365"))


def test_words_are_plain_facts():
    found = columns_of(SIGNAL, interactions=FICKLE)
    raises = {column.name: spoken(column.raises, found) for column in SIGNAL.columns}
    lowers = {column.name: spoken(column.lowers, found) for column in SIGNAL.columns}
    assert raises["changes_per_order_365"] == ("4 change requests and reversals in the last year: 2.0 for every order placed in that time.")
    assert lowers["changes_per_order_365"] == (
        "4 change requests and reversals in the last year: only 2.0 for every order placed in that time."
    )
    assert raises["change_spike_90"] == "Change requests and reversals: 3 in the last 90 days, 4 in the last year."
    assert raises["reversal_share_365"] == "25% of the last year's 4 changes re-opened what had been decided."

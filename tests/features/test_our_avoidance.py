"""Avoidance by us (E1), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.contract import spoken
from features.our_avoidance import SIGNAL

FALLING = """
    id  ago  direction  reply_to
    1   200  outbound   -
    2   150  outbound   -
    3   120  outbound   -
    4   100  inbound    -
    5   60   outbound   -
    6   30   inbound    -
    7   29   outbound   6
    8   10   inbound    -
    9   9    outbound   8
"""
TWO_CLIENTS = """
    client  id  ago  at     direction  reply_to
    a       m1  20   09:00  inbound    -
    a       r1  18   09:00  outbound   m1
    b       m2  20   09:00  inbound    -
    b       r2  20   13:00  outbound   m2
    b       m3  10   09:00  inbound    -
    b       r3  10   11:00  outbound   m3
    b       m4  5    09:00  outbound   -
    b       r4  1    09:00  inbound    m4
"""


def avoided(interactions: str, **more: str) -> dict[str, float]:
    return columns_of(SIGNAL, interactions=interactions, **more)


def test_initiative_is_what_we_begin_and_it_falls():
    found = avoided(FALLING)
    assert (found["our_initiatives_90"], found["our_initiatives_365"]) == (1, 4)
    assert found["days_since_our_initiative"] == 60
    # The segment (the client alone) begins 4 of 9. Usual: (3 + 5 × 4/9) / (4 + 5); recent: (1 + 5 × usual) / (5 + 5).
    usual = (3 + 5 * 4 / 9) / 9
    assert found["our_initiative_change_90"] == pytest.approx((1 + 5 * usual) / 10 / usual)
    said = next(column.raises for column in SIGNAL.columns if column.name == "our_initiative_change_90")
    assert spoken(said, found) == "Contacts that we began: 1 in the last 90 days, 4 in the last year."


def test_replies_lag_behind_those_to_the_segment():
    segments = "client segment ago\n a x 900\n b {} 900"
    found = avoided(TWO_CLIENTS, clients=segments.format("x"))
    usual = (48 + 4 + 2) / 3
    assert found["our_reply_lag_hours_90"] == 48 - usual
    assert found["our_reply_lag_ratio_90"] == pytest.approx((48 + 5 * usual) / 6 / usual)
    alone = avoided(TWO_CLIENTS, clients=segments.format("y"))
    assert alone["our_reply_lag_hours_90"] == 0
    assert alone["our_reply_lag_ratio_90"] == pytest.approx(1)
    assert avoided(TWO_CLIENTS)["our_reply_lag_hours_90"] == 48 - usual  # without segments, over everyone


def test_the_window_of_replies_and_initiative_ends_after_ninety_days():
    drawing = "id ago direction reply_to\n 1 {0} outbound -\n 2 100 inbound -\n 3 {0} outbound 2"
    within, beyond = avoided(drawing.format(90)), avoided(drawing.format(91))
    assert (within["our_initiatives_90"], beyond["our_initiatives_90"]) == (1, 0)
    assert within["our_reply_lag_hours_90"] == 0
    assert math.isnan(beyond["our_reply_lag_hours_90"])
    assert beyond["our_reply_lag_ratio_90"] == 1


def test_late_and_amended_records_count_as_they_were_known():
    late = avoided("ago known direction\n 5 0 outbound\n 40 40 outbound")
    assert (late["days_since_our_initiative"], late["our_initiatives_90"]) == (40, 1)
    amended = "id ago known superseded direction reply_to\n m 9 9 - inbound -\n r 5 5 {when} outbound -\n r 5 {when} - outbound m"
    assert math.isnan(avoided(amended.format(when=1))["days_since_our_initiative"])
    assert avoided(amended.format(when=0))["days_since_our_initiative"] == 5


def test_a_client_we_never_wrote_to_is_unknown_and_as_usual():
    found = avoided("ago direction\n 5 inbound\n 6 -")
    assert (found["our_initiatives_365"], found["our_initiative_change_90"], found["our_reply_lag_ratio_90"]) == (0, 1, 1)
    assert math.isnan(found["days_since_our_initiative"])
    assert math.isnan(found["our_reply_lag_hours_90"])

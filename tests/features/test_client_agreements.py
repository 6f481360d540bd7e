"""Agreements not kept by the client (A5, C2, D3), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.client_agreements import SIGNAL
from features.contract import spoken

PROMISES = """
    ago  owed_by  kind         due_ago  done_ago  cancelled_ago
    300  client   material     250      250       -
    300  client   material     250      240       -
    300  client   -            -        200       -
    300  client   task         200      -         -
    100  client   task         40       44        -
    100  client   material     40       20        -
    100  client   task         10       -         -
    100  client   task         -5       -         -
    100  client   task         30       -         35
    100  client   appointment  60       60        -
    100  client   appointment  50       -         52
    100  client   appointment  30       -         -
    100  us       material     30       -         -
    500  client   task         400      -         -
    500  client   task         400      370       -
"""
MEETINGS = """
    ago  channel  kind              direction
    5    meeting  message           inbound
    10   visit    message           outbound
    20   meeting  message           outbound
    30   meeting  no_show           inbound
    40   meeting  meeting_declined  inbound
    50   email    terms_refused     inbound
    60   email    message           inbound
    400  meeting  no_show           inbound
"""


def agreed(commitments: str, interactions: str = "ago channel direction\n 5 call outbound") -> dict[str, float]:
    return columns_of(SIGNAL, commitments=commitments, interactions=interactions)


def test_promises_broken_are_late_undone_or_called_off():
    found = agreed(PROMISES)
    # Of the year: kept 6, late 2 of them; undone 3 (the fourth fell due over a year ago); called off 2.
    assert found["client_broken_share_365"] == (2 + 3 + 2) / (6 + 3 + 2)
    # Of the last 90 days: kept 3, one late; undone 2; called off 2.
    assert found["client_broken_90"] == 1 + 2 + 2
    typical = 7 / 11  # the segment is the client alone
    usual = (2 + 5 * typical) / (4 + 5)
    assert found["client_broken_spike_90"] == pytest.approx((5 + 5 * usual) / (7 + 5) / usual)
    assert found["client_late_days_365"] == (10 + 20 + 200 + 10) / (5 + 2)  # no appointments
    assert found["appointments_cancelled_share_365"] == 1 / 3
    said = next(column.raises for column in SIGNAL.columns if column.name == "client_broken_spike_90")
    assert spoken(said, found) == (
        "Promises of the client kept late, left undone or called off: 5 in the last 90 days; over the last year, 64% of all."
    )


def test_meetings_missed_and_terms_refused_are_shares():
    found = agreed("ago owed_by\n 5 us", MEETINGS)
    assert found["no_show_share_365"] == 1 / (1 + 3)
    assert found["terms_refused_share_365"] == 1 / 5
    assert math.isnan(found["client_broken_share_365"])
    assert (found["client_broken_90"], found["client_broken_spike_90"]) == (0, 1)


@pytest.mark.parametrize(
    ("due", "done", "cancelled", "broken"),
    [
        ("0", "-", "-", 0),  # due today
        ("1", "-", "-", 1),
        ("90", "-", "-", 1),
        ("91", "-", "-", 0),  # of another quarter
        ("5", "5", "-", 0),
        ("5", "4", "-", 1),
        ("5", "0", "-", 1),  # done today: not known yet
        ("120", "90", "-", 1),
        ("120", "91", "-", 0),
        ("-5", "-", "1", 1),
        ("-5", "-", "0", 0),
        ("5", "6", "3", 0),  # called off when it had been kept
        ("5", "-", "3", 1),
    ],
)
def test_each_is_dated_by_its_own_day(due, done, cancelled, broken):
    found = agreed(f"ago owed_by due_ago done_ago cancelled_ago\n 200 client {due} {done} {cancelled}")
    assert found["client_broken_90"] == broken


def test_late_and_amended_records_count_as_they_were_known():
    late = agreed("ago known owed_by due_ago\n 30 0 client 20\n 30 30 client 20")
    assert late["client_broken_90"] == 1
    done = "id ago known superseded owed_by due_ago done_ago\n c 30 30 {when} client 20 -\n c 30 {when} - client 20 20"
    assert agreed(done.format(when=1))["client_broken_share_365"] == 0
    assert agreed(done.format(when=0))["client_broken_share_365"] == 1
    assert agreed(done.format(when=0))["client_late_days_365"] == 20


def test_nothing_agreed_nothing_known():
    found = agreed("client ago owed_by due_ago\n b 30 client 20")
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert unknown == {column.name for column in SIGNAL.columns} - {"client_broken_90", "client_broken_spike_90"}

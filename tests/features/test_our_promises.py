"""Promises not kept by us (E1, E5), and whose delay it was, from drawn histories."""

import math

import pytest
from histories import columns_of

from features.contract import spoken
from features.our_promises import SIGNAL

PROMISES = """
    ago  owed_by  kind         due_ago  done_ago  cancelled_ago
    90   us       deliverable  60       50        -
    90   us       deliverable  60       60        -
    90   us       quote        80       76        -
    90   us       quote        40       41        -
    90   us       -            -        30        -
    90   us       task         20       -         -
    90   us       quote        6        -         -
    90   us       task         20       -         10
    90   us       task         -5       -         -
    400  us       task         300      290       -
    90   client   material     30       10        -
    90   client   task         12       -         -
"""
CALLS = "ago channel\n 5 call"


def kept(commitments: str, **tables: str) -> dict[str, float]:
    return columns_of(SIGNAL, interactions=CALLS, commitments=commitments, **tables)


def test_what_we_kept_late_and_still_owe():
    found = kept(PROMISES)
    assert found["our_overdue"] == 2
    assert found["our_late_share_180"] == (2 + 2) / (5 + 2)
    assert found["our_late_days_180"] == (10 + 4 + 20 + 6) / 7
    assert found["our_quotes_late_share_180"] == 2 / 3
    assert found["delay_share_ours_180"] == (10 + 4 + 20 + 6) / (10 + 4 + 20 + 6 + 20 + 12)
    words = {column.name: spoken(column.raises, found) for column in SIGNAL.columns}
    assert words["our_late_share_180"] == ("Of our promises, kept in the last half year or overdue, 57% were late; 2 are overdue now.")
    assert words["delay_share_ours_180"] == "Of all delay in the last half year, ours and the client's, 56% was ours."


@pytest.mark.parametrize(
    ("ours", "days"),
    [
        ("due_ago done_ago\n 300 us 200 -", 180),  # 20 of the 200 lie before the half year
        ("due_ago done_ago\n 300 us 180 -", 180),
        ("due_ago done_ago\n 300 us 179 -", 179),
        ("due_ago done_ago\n 300 us 200 100", 80),  # of 100 days late, 20 before
        ("due_ago done_ago\n 300 us 100 60", 40),
        ("due_ago done_ago\n 300 us 250 180", 0),  # done as the half year began
        ("due_ago done_ago\n 300 us 250 181", 0),  # and before it
        ("due_ago done_ago\n 300 us 50 50", 0),
        ("due_ago done_ago\n 300 us 50 0", 50),  # done today: not known yet
        ("due_ago cancelled_ago\n 300 us 50 20", 0),
    ],
)
def test_only_delay_within_the_half_year_is_split(ours, days):
    head, row = ours.split("\n")
    other = head.split()[1]
    found = kept(f"ago owed_by {head}\n{row}") | {"both": kept(f"ago owed_by due_ago {other}\n{row}\n 90 client 20 -")}
    assert found["both"]["delay_share_ours_180"] == days / (days + 20)
    assert math.isnan(found["delay_share_ours_180"]) if days == 0 else found["delay_share_ours_180"] == 1


def test_a_client_that_keeps_us_waiting_is_not_our_fault():
    found = kept("ago owed_by due_ago\n 90 client 20")
    assert found["delay_share_ours_180"] == 0
    assert math.isnan(found["our_late_share_180"])
    assert (found["our_overdue"], found["our_reply_rise_90"]) == (0, 1)


def test_late_and_amended_records_count_as_they_were_known():
    done = "id ago known superseded owed_by due_ago done_ago\n c 30 30 {when} us 20 -\n c 30 {when} - us 20 15"
    known, unknown = kept(done.format(when=1)), kept(done.format(when=0))
    assert (known["our_overdue"], known["our_late_days_180"]) == (0, 5)
    assert (unknown["our_overdue"], unknown["our_late_days_180"]) == (1, 20)
    put_off = kept("id ago known superseded owed_by due_ago\n c 30 30 8 us 20\n c 30 8 - us -4")
    assert put_off["our_overdue"] == 0
    assert math.isnan(put_off["our_late_share_180"])


def test_our_replies_and_what_waits_for_them():
    found = columns_of(
        SIGNAL,
        commitments="ago owed_by\n 30 us",
        interactions="""
        id  ago  at     direction  kind       reply_to
        m1  200  09:00  inbound    message    -
        r1  200  19:00  outbound   message    m1
        m2  50   09:00  inbound    complaint  -
        r2  48   09:00  outbound   message    m2
        m3  20   09:00  inbound    message    -
        m4  10   09:00  inbound    escalation -
        m5  2    09:00  inbound    message    -
        m6  30   09:00  inbound    order      -
        m7  30   09:00  outbound   message    -
        r7  29   09:00  inbound    message    m7
        """,
    )
    assert found["our_reply_hours_90"] == 48
    usual = (10 + 5 * 58 / 2) / 6  # the segment is the client alone
    assert found["our_reply_rise_90"] == pytest.approx((48 + 5 * usual) / 6 / usual)
    # m7's reply is an answer, not a question, yet m7 was answered; all three of m2, m3, m4 asked, and m2 was answered.
    assert found["inbound_unanswered_share_90"] == 2 / 3
    assert found["inbound_unanswered_days"] == (20 + 10) / 2


def test_nothing_promised_nothing_known():
    found = columns_of(SIGNAL, interactions=CALLS, commitments="client ago owed_by\n b 3 us")
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert unknown == {column.name for column in SIGNAL.columns} - {"our_overdue", "our_reply_rise_90"}

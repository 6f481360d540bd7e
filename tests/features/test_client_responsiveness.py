"""Responsiveness of the client (B1, D3), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.client_responsiveness import SIGNAL
from features.contract import spoken

TALK = """
    id  ago  at     direction  channel  kind     reply_to
    m1  200  09:00  outbound   email    message  -
    r1  200  19:00  inbound    email    message  m1
    m2  50   09:00  outbound   email    message  -
    r2  48   09:00  inbound    email    message  m2
    m3  40   09:00  outbound   email    message  -
    r3  40   21:00  inbound    email    message  m3
    m4  20   09:00  outbound   email    message  -
    m5  6    09:00  outbound   email    message  -
    m6  3    09:00  outbound   email    message  -
    m7  2    09:00  outbound   email    message  -
    m8  30   09:00  outbound   email    praise   -
    m9  30   09:00  outbound   call     message  -
    p1  30   09:00  outbound   portal   message  -
    q1  30   09:00  inbound    email    message  -
    a1  29   09:00  outbound   email    message  q1
"""
OWED = """
    ago  owed_by  kind         due_ago  done_ago  cancelled_ago
    60   client   material     40       -         -
    60   client   task         10       -         -
    60   client   -            -3       -         -
    60   client   material     -        -         -
    60   client   material     40       20        -
    60   client   task         40       -         5
    60   client   appointment  40       -         -
    60   us       task         40       -         -
"""


def replied(**tables: str) -> dict[str, float]:
    return columns_of(SIGNAL, **tables)


def test_replies_are_timed_against_the_clients_own_before():
    found = replied(interactions=TALK)
    assert found["client_reply_hours_90"] == (48 + 12) / 2
    assert found["client_reply_hours_before"] == 10
    # The segment (the client alone): 70 hours in 3 replies. Usual: (10 + 5 × 70/3) / 6; recent: (60 + 5 × usual) / 7.
    usual = (10 + 5 * 70 / 3) / 6
    assert found["client_reply_rise_90"] == pytest.approx((60 + 5 * usual) / 7 / usual)
    said = next(column.raises for column in SIGNAL.columns if column.name == "client_reply_rise_90")
    assert spoken(said, found) == "The client's replies took 30 hours on average in the last 90 days, against 10 in the 275 days before."


def test_outreach_waits_from_its_third_day_on():
    found = replied(interactions=TALK)
    # m2, m3 answered; m4, m5, m6 not; m7 too young; praise asks nothing; a call is not written; nothing is known of the portal; a1 replies.
    assert found["outreach_unanswered_share_90"] == 3 / 5
    assert found["outreach_unanswered_days"] == (20 + 6 + 3) / 3


def test_who_answers_everything_leaves_nothing_waiting():
    found = replied(interactions="id ago direction reply_to\n m 20 outbound -\n r 19 inbound m")
    assert (found["outreach_unanswered_share_90"], found["outreach_unanswered_days"]) == (0, 0)


def test_an_answer_known_late_leaves_the_message_waiting_until_then():
    drawing = "id ago known direction reply_to\n m 20 20 outbound -\n r 19 {} inbound m\n n 30 30 outbound -\n s 29 29 inbound n"
    assert replied(interactions=drawing.format(0))["outreach_unanswered_share_90"] == 0.5
    assert replied(interactions=drawing.format(0))["outreach_unanswered_days"] == 20
    assert replied(interactions=drawing.format(1))["outreach_unanswered_share_90"] == 0


def test_a_reply_amended_to_answer_something_else_answers_it_no_more():
    drawing = """
    id  ago  known  superseded  direction  reply_to
    m   20   20     -           outbound   -
    n   10   10     -           outbound   -
    r   9    9      {when}      inbound    m
    r   9    {when} -           inbound    n
    """
    assert replied(interactions=drawing.format(when=4))["outreach_unanswered_days"] == 20
    assert replied(interactions=drawing.format(when=4))["client_reply_hours_90"] == 24
    assert replied(interactions=drawing.format(when=0))["outreach_unanswered_days"] == 10
    assert replied(interactions=drawing.format(when=0))["client_reply_hours_90"] == 11 * 24


def test_without_any_reply_on_record_nothing_is_known():
    silent = "client id ago channel direction reply_to\n a m 20 email outbound -"
    for more in ("", "\n b n 20 ticket outbound -\n b r 19 ticket inbound n", "\n b n 20 email inbound -\n b r 19 email outbound n"):
        found = replied(interactions=silent + more)
        assert math.isnan(found["outreach_unanswered_share_90"])
        assert math.isnan(found["outreach_unanswered_days"])
        assert math.isnan(found["client_reply_hours_90"])
        assert found["client_reply_rise_90"] == 1
    # An answer of anyone else by e-mail: now silence there is silence.
    found = replied(interactions=f"{silent}\n b n 20 email outbound -\n b r 19 email inbound n")
    assert (found["outreach_unanswered_share_90"], found["outreach_unanswered_days"]) == (1, 20)


def test_long_threads_never_count_below_none():
    thread = "id ago direction reply_to\n m 20 outbound -\n r 19 inbound m\n n 18 outbound r\n s 17 inbound n"
    found = replied(interactions=thread)
    assert (found["outreach_unanswered_share_90"], found["outreach_unanswered_days"]) == (0, 0)


def test_what_the_client_owes_is_overdue_until_done_or_called_off():
    found = replied(interactions="ago\n 5", commitments=OWED)
    assert found["client_overdue_share"] == 2 / 4
    assert found["client_overdue_days"] == (40 + 10) / 2


def test_a_promise_is_overdue_from_the_day_after_it_was_due_and_as_it_was_agreed_then():
    due = "ago owed_by due_ago done_ago\n 9 client {} {}"
    overdue = [replied(interactions="ago\n 5", commitments=due.format(*dates))["client_overdue_days"] for dates in ("0-", "1-", "10", "11")]
    assert overdue == [0, 1, 1, 0]  # one done on as_of's own day is not known to be
    put_off = "id ago known superseded owed_by due_ago\n c 30 30 {when} client 20\n c 30 {when} - client -5"
    found = [replied(interactions="ago\n 5", commitments=put_off.format(when=when))["client_overdue_share"] for when in (3, 0)]
    assert found == [0, 1]


def test_nothing_owed_is_no_share():
    found = replied(interactions="ago\n 5", commitments="ago owed_by due_ago done_ago\n 9 client 3 4")
    assert math.isnan(found["client_overdue_share"])
    assert found["client_overdue_days"] == 0


def test_without_promises_what_contacts_tell_remains():
    assert not {"client_overdue_share", "client_overdue_days"} & set(replied(interactions=TALK))

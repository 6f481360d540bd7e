"""Expectations set in writing (A2, C9, E3), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.contract import spoken
from features.written_expectations import SIGNAL


def test_running_agreements_are_asked_for_their_terms():
    found = columns_of(
        SIGNAL,
        agreements="""
        ago  starts_ago  ends_ago  terms_sent_ago  has_scope  has_service_hours  has_delivery_time  has_payment_terms
        500  490         100       495             yes        yes                yes                yes
        200  190         -100      180             yes        no                 yes                yes
        90   80          -         -               yes        -                  no                 no
        50   40          -9        -               -          -                  -                  -
        10   -5          -90       9               yes        yes                yes                yes
        """,
    )
    # The first has ended, the last not begun; of the three that run one's terms were sent.
    assert found["agreements_without_terms"] == 2
    assert found["terms_sent_share"] == pytest.approx(1 / 3)
    assert found["terms_in_writing"] == 2  # (3 + 1) / 2: the fourth agreement says nothing
    assert found["terms_delay_days"] == 5


@pytest.mark.parametrize(
    ("starts_ago", "ends_ago", "renews", "runs"),
    [
        ("30", "-30", "no", True),
        ("1", "0", "no", True),  # began yesterday, ends today
        ("0", "-30", "no", False),  # begins today: not yet seen
        ("30", "1", "no", False),
        ("30", "1", "-", False),
        ("30", "1", "yes", True),  # renewed
        ("0", "1", "yes", False),
        ("30", "-", "no", True),
        ("-", "-30", "no", True),  # without a start it runs from the signing
        ("-", "-", "yes", True),
        ("-", "1", "no", False),
        ("-10", "5", "no", False),  # ends before it starts: a slip, never runs
    ],
)
def test_when_an_agreement_runs(starts_ago, ends_ago, renews, runs):
    drawing = f"ago starts_ago ends_ago renews terms_sent_ago has_scope\n 40 {starts_ago} {ends_ago} {renews} {{sent}} yes"
    with_terms = columns_of(SIGNAL, agreements=drawing.format(sent=20))
    assert with_terms["agreements_without_terms"] == 0
    assert (with_terms["terms_sent_share"] == 1) is runs
    assert (with_terms["terms_in_writing"] == 1) is runs
    without = columns_of(SIGNAL, agreements=drawing.format(sent="-"))
    assert without["agreements_without_terms"] == runs
    assert (without["terms_sent_share"] == 0) is runs
    assert math.isnan(without["terms_sent_share"]) is not runs


@pytest.mark.parametrize(
    ("signed_ago", "sent_ago", "days"),
    [("40", "40", 0), ("40", "60", 0), ("40", "10", 30), ("40", "1", 39), ("40", "0", None), ("40", "-5", None), ("40", "-", None)],
)
def test_how_late_the_first_terms_went_out(signed_ago, sent_ago, days):
    found = columns_of(SIGNAL, agreements=f"ago terms_sent_ago\n {signed_ago} {sent_ago}\n 5 -")
    assert found["terms_delay_days"] == days if days is not None else math.isnan(found["terms_delay_days"])


def test_terms_sent_before_the_start_count_once_it_runs():
    waiting = columns_of(SIGNAL, agreements="ago starts_ago terms_sent_ago\n 40 -5 30")
    assert math.isnan(waiting["terms_sent_share"])
    assert columns_of(SIGNAL, agreements="ago starts_ago terms_sent_ago\n 40 5 30")["terms_sent_share"] == 1
    assert columns_of(SIGNAL, agreements="ago starts_ago terms_sent_ago\n 40 30 5")["terms_sent_share"] == 1


def test_late_and_amended_agreements_count_as_they_were_known():
    late = columns_of(SIGNAL, agreements="ago known terms_sent_ago\n 40 0 30\n 50 50 -")
    assert (late["agreements_without_terms"], late["terms_sent_share"]) == (1, 0)
    stopped = "id ago known superseded renews ends_ago\n c 400 400 {known} yes 35\n c 400 {known} - no 35"
    assert columns_of(SIGNAL, agreements=stopped.format(known=20))["agreements_without_terms"] == 0
    assert columns_of(SIGNAL, agreements=stopped.format(known=0))["agreements_without_terms"] == 1
    written = "id ago known superseded has_scope has_payment_terms\n c 40 40 {known} yes no\n c 40 {known} - yes yes"
    assert columns_of(SIGNAL, agreements=written.format(known=20))["terms_in_writing"] == 2
    assert columns_of(SIGNAL, agreements=written.format(known=0))["terms_in_writing"] == 1


def test_no_running_agreement_is_unknown():
    ended = columns_of(SIGNAL, agreements="ago ends_ago has_scope\n 400 40 yes")
    assert ended["agreements_without_terms"] == 0
    assert all(math.isnan(ended[name]) for name in ("terms_sent_share", "terms_in_writing", "terms_delay_days"))


def test_words_are_plain_facts():
    found = columns_of(SIGNAL, agreements="ago terms_sent_ago has_scope\n 40 10 yes\n 30 - no\n 20 - no\n 20 - -")
    raises = {column.name: spoken(column.raises, found) for column in SIGNAL.columns}
    lowers = {column.name: spoken(column.lowers, found) for column in SIGNAL.columns}
    assert raises["terms_sent_share"] == "The terms of 3 running agreements were not sent: only those of 25% were."
    assert lowers["terms_sent_share"] == "The terms of 25% of the client's running agreements were sent to it."
    assert raises["terms_delay_days"] == "The first written terms went out 30 days after the first signing."
    assert raises["terms_in_writing"] == ("Only 0.3 of scope, service hours, delivery time and payment terms are in writing on average.")

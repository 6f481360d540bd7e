"""First-meeting screen (C10, C5), from drawn histories; what its score says of a client of three days."""

import math

import numpy as np
import pytest
from histories import AS_OF, columns_of

from features.contract import spoken
from features.first_meeting import FIRST_DAYS, SIGNAL, first_days
from features.measures import Seen

OTHERS = "\n".join(["b 200 message inbound"] * 90 + ["b 200 price_question inbound"] * 10)


def among_others(*rows: str, **tables: str) -> dict[str, float]:
    """Client a's columns beside a client whose contacts are talk of price once in ten, unless a's own change that."""
    return columns_of(SIGNAL, interactions="\n".join(["client ago kind direction", *rows, OTHERS]), **tables)


def test_the_first_sixty_days_are_counted_by_kind():
    found = among_others(
        "a 400 message outbound",  # ours alone: none of its contacts
        "a 300 message inbound",
        "a 299 price_question inbound",
        "a 280 discount_request inbound",
        "a 260 terms_refused outbound",  # in a meeting that we called
        "a 250 message outbound",
        "a 241 discount_request inbound",  # the last of the 60 days
        "a 240 discount_request inbound",
        "a 10 terms_refused inbound",
    )
    assert found["first_contacts"] == 5
    assert found["first_price_talk_share"] == 0.8
    assert (found["first_discount_asks"], found["first_terms_refused"]) == (2, 1)
    usual = (10 + 6) / (100 + 7)
    assert found["intake_score"] == pytest.approx((4 + 1) / (5 * usual + 1))


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        (["price_question"], 2 / (11 / 101 + 1)),
        (["message"], 1 / (10 / 101 + 1)),
        (["price_question", "discount_request", "message"], 3 / (3 * 12 / 103 + 1)),
        (["discount_request"] * 5, 6 / (5 * 15 / 105 + 1)),
    ],
)
def test_a_client_of_three_days_has_a_score(rows, score):
    found = among_others(*(f"a {1 + number % 3} {kind} inbound" for number, kind in enumerate(rows)))
    assert found["intake_score"] == pytest.approx(score)


def test_what_comes_after_the_first_days_changes_what_is_usual_at_most():
    first = ["a 300 price_question inbound", "a 290 message inbound"]
    found, later = among_others(*first), among_others(*first, *["a 20 discount_request inbound"] * 3)
    for name in ("first_contacts", "first_price_talk_share", "first_discount_asks", "first_terms_refused"):
        assert later[name] == found[name]
    assert found["intake_score"] == pytest.approx(2 / (2 * 11 / 102 + 1))
    assert later["intake_score"] == pytest.approx(2 / (2 * 14 / 105 + 1))


def test_a_client_is_judged_by_its_segment():
    rows = ["a 3 price_question inbound", *["c 100 message inbound"] * 9]
    among_plain = among_others(*rows, clients="client segment\n a y\n b x\n c y")["intake_score"]
    among_hagglers = among_others(*rows, clients="client segment\n a x\n b x\n c y")["intake_score"]
    assert among_plain == pytest.approx(2 / (1 / 10 + 1))
    assert among_hagglers == pytest.approx(2 / (11 / 101 + 1))


@pytest.mark.parametrize(
    ("started_ago", "is_known"),
    [("-", True), ("300", True), ("280", True), ("360", True), ("361", False), ("3000", False), ("-5", True)],
)
def test_a_first_meeting_before_the_records_began_is_unknown(started_ago, is_known):
    clients = f"client started_ago\n a {started_ago}\n b -"
    found = among_others("a 300 discount_request inbound", clients=clients)
    assert [not math.isnan(value) for value in found.values()] == [is_known] * len(found)


def test_late_and_amended_contacts_count_as_they_were_known():
    late = columns_of(SIGNAL, interactions="ago known kind\n 300 0 discount_request\n 200 200 message\n 190 190 terms_refused")
    assert (late["first_contacts"], late["first_discount_asks"], late["first_terms_refused"]) == (2, 0, 1)
    logged = columns_of(SIGNAL, interactions="ago known kind\n 300 1 discount_request\n 200 200 message\n 190 190 terms_refused")
    assert (logged["first_contacts"], logged["first_discount_asks"], logged["first_terms_refused"]) == (1, 1, 0)
    rows = "id ago known superseded kind\n i 30 30 {known} message\n i 30 {known} - discount_request"
    assert columns_of(SIGNAL, interactions=rows.format(known=2))["first_discount_asks"] == 1
    assert columns_of(SIGNAL, interactions=rows.format(known=0))["first_discount_asks"] == 0


def test_no_contact_yet_is_as_usual():
    found = columns_of(SIGNAL, interactions="ago direction\n 5 outbound")
    assert math.isnan(found.pop("first_price_talk_share"))
    assert found == {"first_contacts": 0, "first_discount_asks": 0, "first_terms_refused": 0, "intake_score": 1}


def test_where_no_one_talks_of_price_it_is_as_usual():
    assert columns_of(SIGNAL, interactions="ago\n 5\n 6")["intake_score"] == 1


def test_the_replay_is_each_clients_own():
    random = np.random.default_rng(5)
    client, day, talk = random.integers(0, 40, 600), random.integers(AS_OF - 200, AS_OF, 600), random.integers(0, 4, 600)
    order = np.lexsort((talk, day, client))
    client, day, talk = client[order], day[order], talk[order]
    found = np.array(first_days(Seen(AS_OF, 42, client, day, {"talk": talk})))
    for number in range(42):
        days, kinds = day[client == number], talk[client == number]
        early = [kind for since, kind in zip(days, kinds, strict=True) if since - days.min() < FIRST_DAYS]
        wanted = [days.min() if len(days) else math.nan, len(early), *(sum(k in some for k in early) for some in ((1, 2, 3), (2,), (3,)))]
        np.testing.assert_array_equal(found[:, number], wanted)


def test_words_are_plain_facts():
    found = among_others("a 300 message inbound", "a 299 price_question inbound", "a 280 discount_request inbound", "a 270 order inbound")
    words = {column.name: (spoken(column.raises, found), spoken(column.lowers, found)) for column in SIGNAL.columns}
    said = "50% of the client's 4 contacts in its first 60 days were about price, discounts or terms."
    assert words["first_price_talk_share"] == (said, f"Only {said}")
    assert words["intake_score"][0] == f"{said} Discounts asked for: 1; terms refused: 0."

"""Billing friction (A5, C5, D1, D10), from drawn histories."""

import pytest
from histories import AS_OF, columns_of

from features.billing_friction import SIGNAL

CONTACT = "ago\n 400"

INVOICES = """
    invoice_id  ago  due_ago  amount  list_amount
    1           200  170      1000    1000
    2           100  70       1000    1250
    3           50   20       600     1000
    4           10   -20      400     -
"""
PAYMENTS = """
    invoice_id  ago  amount
    1           170  1000
    2           40   500
    3           30   100
"""


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    return columns_of(SIGNAL, interactions=CONTACT, invoices=INVOICES, payments=PAYMENTS)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("open_balance", 1400),  # 500 of the second, 500 of the third, all of the fourth
        ("overdue_balance", 1000),
        ("overdue_share", 1000 / 3000),
        ("overdue_age_days", (500 * 70 + 500 * 20) / 1000),
        ("days_late_90", 30 * 500 / 600),  # the second's half, 30 days late; the third's part came early
        ("days_late_365", 30 * 500 / 1600),
        ("paid_late_share_365", 500 / 1600),
        ("late_trend_days", 30 * 500 / 600 - 0),
        ("discount_365", 1 - 2600 / 3250),  # the fourth has no list price
        ("discount_rise_90", (1 - 600 / 1000) - (1 - 2600 / 3250)),
        ("disputed_share_365", 0),
    ],
)
def test_lateness_balances_and_prices(found, column, value):
    assert found[column] == pytest.approx(value)


def test_one_who_stops_paying_does_not_look_prompt():
    found = columns_of(
        SIGNAL, interactions=CONTACT, invoices="invoice_id ago due_ago amount\n 1 120 90 700", payments="invoice_id ago amount"
    )
    assert found["overdue_balance"] == 700
    assert found["overdue_age_days"] == 90
    assert found["days_late_365"] != found["days_late_365"]  # unknown, not zero


def test_a_payment_recorded_late_is_open_until_then():
    paid = "invoice_id ago known amount\n 1 30 5 700"
    invoice = "invoice_id ago due_ago amount\n 1 60 40 700"
    early = columns_of(SIGNAL, interactions=CONTACT, invoices=invoice, payments=paid)
    assert early["open_balance"] == 0
    unknown = columns_of(SIGNAL, interactions=CONTACT, invoices=invoice, payments="invoice_id ago known amount\n 1 30 0 700")
    assert unknown["open_balance"] == 700


def test_a_dispute_counts_from_the_day_it_was_raised():
    bills = "invoice_id ago amount disputed_ago\n 1 60 10 {}\n 2 50 10 -"
    shares = [
        columns_of(SIGNAL, interactions=CONTACT, invoices=bills.format(raised), payments="invoice_id ago amount")["disputed_share_365"]
        for raised in (1, 0, -9)
    ]
    assert shares == [0.5, 0, 0]


def test_price_talk_is_a_share_of_what_the_client_says():
    found = columns_of(
        SIGNAL,
        invoices="ago amount\n 5 10",
        interactions="ago kind\n 3 discount_request\n 9 price_question\n 20 message\n 30 message\n 120 discount_request\n 200 message",
    )
    assert found["price_talk_share_90"] == 0.5
    assert found["discount_asks_180"] == 2
    assert found["price_talk_rise_90"] == pytest.approx(2 / 9 - 1 / 7)


def test_without_payments_what_invoices_and_contacts_tell_remains():
    found = columns_of(SIGNAL, AS_OF, interactions=CONTACT, invoices=INVOICES)
    assert sorted(found) == [
        "discount_365",
        "discount_asks_180",
        "discount_rise_90",
        "disputed_share_365",
        "price_talk_rise_90",
        "price_talk_share_90",
    ]

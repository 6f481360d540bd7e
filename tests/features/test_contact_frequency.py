"""Contact frequency (B1), from drawn histories."""

import pytest
from histories import OFFICE, columns_of

from features.contact_frequency import RFM_COLUMNS, SIGNAL
from features.contract import Business

TWICE_A_MONTH = """
    ago  channel  direction
    5    meeting  inbound
    20   email    outbound
    35   email    inbound
    35   call     inbound
    50   email    inbound
    200  order    inbound
    300  email    inbound
"""


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    return columns_of(SIGNAL, interactions=TWICE_A_MONTH, invoices="ago amount\n 10 120\n 100 60\n 400 1000")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("recency_days", 5),
        ("tenure_days", 300),
        ("contacts_14", 1),
        ("contacts_30", 2),
        ("contacts_60", 5),
        ("contacts_180", 5),
        ("contacts_365", 7),
        ("contacts_ever", 7),
        ("contacts_same_season", 1),  # 300 days ago: as long ago as the coming quarter was, a year before
        ("contact_change_90", (5 + 1) / (2 * 90 / 210 + 1)),  # two in the 210 days before
        ("active_days_90", 4),
        ("active_days_365", 6),
        ("active_months_12", 4),  # blocks 0, 1, 7 and 10 of 28 days
        ("contacts_per_active_day", 7 / 6),
        ("typical_gap_days", 15),  # of 15, 15, 15, 100, 150
        ("last_gap_days", 15),
        ("silence_to_gap", 1 / 3),
        ("silence_rank", 0),
        ("silence_of_tenure", 5 / 300),
        ("talks_90", 2),
        ("writing_90", 3),
        ("client_initiative_180", 4 / 5),
        ("revenue_90", 120),
        ("revenue_180", 180),
        ("revenue_365", 180),
        ("revenue_ever", 1180),
        ("revenue_per_invoice_365", 90),
    ],
)
def test_counts_rhythm_and_amounts(found, column, value):
    assert found[column] == pytest.approx(value)


def test_a_silence_longer_than_most_earlier_gaps_ranks_high():
    found = columns_of(SIGNAL, interactions="ago\n 100\n 110\n 121\n 321")
    assert found["silence_rank"] == pytest.approx(2 / 4)  # two of three gaps were shorter, and one more for not knowing
    assert found["silence_to_gap"] == pytest.approx(100 / 11)


def test_the_spread_of_gaps_is_their_standard_deviation():
    assert columns_of(SIGNAL, interactions="ago\n 10\n 20\n 50")["gap_spread_days"] == pytest.approx(10)


def test_declined_and_missed_meetings_are_a_share_of_all_that_were_to_be():
    found = columns_of(
        SIGNAL,
        interactions="""
        ago  channel  kind
        3    email    meeting_declined
        9    meeting  no_show
        30   meeting  message
        60   visit    message
        """,
    )
    assert found["meetings_missed_share_180"] == 0.5


def test_only_qualifying_interactions_are_contacts():
    orders = Business((0, 1, 2, 3, 4), 540, 1020, (), "EUR", qualifying={"kind": ["order"]})
    found = columns_of(SIGNAL, business=orders, interactions="ago kind\n 3 return\n 40 order\n 90 message")
    assert found["recency_days"] == 40
    assert found["contacts_90"] == 1
    assert found["touches_365"] == 3


def test_money_of_another_currency_is_not_added():
    assert columns_of(SIGNAL, interactions="ago\n 1", invoices="ago amount currency\n 3 50 EUR\n 3 70 USD\n 3 20 -")["revenue_90"] == 70


def test_the_baselines_columns_are_all_there():
    assert set(RFM_COLUMNS) <= {column.name for column in SIGNAL.columns}
    assert OFFICE.qualifying == {}

"""Off-hours contact (A2, C4, E2), from drawn histories. As_of is Monday 1 July 2024, so `ago` 1 is a Sunday, 2 a Saturday, 4 a Thursday."""

import pytest
from histories import AS_OF, OFFICE, columns_of

from features.contract import Business
from features.off_hours import SIGNAL

SUNDAY_TO_THURSDAY = Business((6, 0, 1, 2, 3), 9 * 60, 17 * 60, (), "ILS")


@pytest.mark.parametrize(
    ("ago", "at", "is_off"),
    [
        (4, "08:59", True),
        (4, "09:00", False),
        (4, "16:59", False),
        (4, "17:00", True),
        (4, "00:00", False),  # a date without a time of day
        (1, "12:00", True),
        (1, "00:00", True),
        (2, "12:00", True),
    ],
)
def test_service_hours_are_half_open_and_rest_days_are_off_all_day(ago, at, is_off):
    assert columns_of(SIGNAL, interactions=f"ago at\n {ago} {at}")["off_hours_30"] == is_off


def test_the_working_week_is_the_businesss_own():
    friday, sunday = "ago at\n 3 12:00", "ago at\n 1 12:00"
    assert [columns_of(SIGNAL, business=SUNDAY_TO_THURSDAY, interactions=day)["off_hours_30"] for day in (friday, sunday)] == [1, 0]
    assert [columns_of(SIGNAL, interactions=day)["off_hours_30"] for day in (friday, sunday)] == [0, 1]


def test_a_holiday_is_a_rest_day():
    on_holiday = Business(OFFICE.working_days, OFFICE.opens_minute, OFFICE.closes_minute, (AS_OF - 4,), "EUR")
    assert columns_of(SIGNAL, business=on_holiday, interactions="ago at\n 4 12:00")["rest_day_share_180"] == 1


def test_shares_are_of_what_the_client_sends():
    found = columns_of(
        SIGNAL,
        interactions="""
        ago  at     direction
        4    12:00  inbound
        5    23:30  inbound
        6    03:00  outbound
        8    12:00  inbound
        102  18:00  inbound
        """,
    )
    assert found["off_hours_90"] == 2  # a night and a Sunday
    assert found["off_hours_share_90"] == pytest.approx(2 / 3)
    assert found["off_hours_share_180"] == pytest.approx(3 / 4)
    assert found["night_share_180"] == 0.25
    assert found["rest_day_share_180"] == 0.25


def test_more_than_usual_is_a_spike():
    year = "\n".join(f"{ago} 12:00" for ago in range(95, 365, 7))  # Thursdays and other days before the quarter, in office hours
    calm = columns_of(SIGNAL, interactions=f"ago at\n 4 12:00\n 11 12:00\n{year}")["off_hours_spike_90"]
    wild = columns_of(SIGNAL, interactions=f"ago at\n 4 22:00\n 11 23:00\n{year}")["off_hours_spike_90"]
    assert calm == 1
    assert wild > 3

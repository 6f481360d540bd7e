"""Dates, zones and the calendar: literal days and instants."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from features.time import NEVER, Calendar, entering_index, month_starts, split_local, to_date, to_day, weekday_of, zone


def wall(text: str) -> int:
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds()) * 1_000_000  # noqa: DTZ001  # wall clock


def utc(instant_us: int) -> str:
    return datetime.fromtimestamp(instant_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def test_a_day_is_counted_from_1970_and_2026_11_22_is_a_sunday():
    assert to_day(date(2026, 11, 22)) == 20_779
    assert to_date(20_779) == date(2026, 11, 22)
    assert weekday_of(20_779) == 6


@pytest.mark.parametrize(
    ("zone_name", "local", "instant", "in_gap", "is_twofold"),
    [
        ("Asia/Jerusalem", "2024-07-01 12:00", "2024-07-01 09:00", False, False),
        ("Asia/Jerusalem", "2024-03-29 01:59", "2024-03-28 23:59", False, False),
        ("Asia/Jerusalem", "2024-03-29 02:30", "2024-03-28 23:30", True, False),  # clocks went from 2:00 to 3:00
        ("Asia/Jerusalem", "2024-03-29 03:00", "2024-03-29 00:00", False, False),
        ("Asia/Jerusalem", "2024-10-27 00:59", "2024-10-26 21:59", False, False),
        ("Asia/Jerusalem", "2024-10-27 01:30", "2024-10-26 22:30", False, True),  # occurs twice: the first is taken
        ("Asia/Jerusalem", "2024-10-27 02:00", "2024-10-27 00:00", False, False),
        ("Europe/London", "2011-10-30 01:30", "2011-10-30 00:30", False, True),
        ("UTC", "1969-12-31 23:59", "1969-12-31 23:59", False, False),
    ],
)
def test_wall_clock_becomes_the_right_instant_and_back(zone_name, local, instant, in_gap, is_twofold):
    instants, gap, twofold = zone(zone_name).to_instants(np.array([wall(local)]))
    assert utc(instants[0]) == instant
    assert (bool(gap[0]), bool(twofold[0])) == (in_gap, is_twofold)
    if not in_gap:
        assert zone(zone_name).to_local(instants)[0] == wall(local)


def test_a_zone_agrees_with_the_tz_database_at_every_third_hour_of_forty_years():
    from zoneinfo import ZoneInfo

    hours = np.arange(wall("1995-01-01"), wall("2035-01-01"), 3 * 3_600_000_000)
    for name in ("Asia/Jerusalem", "America/Sao_Paulo", "Africa/Casablanca"):
        info = ZoneInfo(name)
        offsets = [datetime.fromtimestamp(int(us) // 1_000_000, info).utcoffset().total_seconds() for us in hours[::17]]
        assert ((zone(name).to_local(hours) - hours)[::17] / 1e6).tolist() == offsets


def test_local_time_splits_exactly_before_1970_too():
    days, into = split_local(np.array([-1, 0, 86_400_000_000]))
    assert days.tolist() == [-1, 0, 1]
    assert into.tolist() == [86_399_999_999, 0, 0]


def test_the_outcome_window_is_half_open_and_matures_after_lateness():
    calendar = Calendar(gap_days=14, horizon_days=90, lateness_days=7)
    assert (calendar.outcome_begins(1000), calendar.outcome_ends(1000)) == (1014, 1104)
    assert calendar.is_mature(1000, exported_day=1111)
    assert not calendar.is_mature(1000, exported_day=1110)
    assert calendar.latest_mature([940, 970, 1000], exported_day=1110) == 970
    assert calendar.latest_mature([1000], exported_day=1110) is None


def test_a_model_learns_only_from_outcomes_judged_before_its_origin():
    assert Calendar(14, 90, 7).purged([0, 30, 60, 90, 120], origin=171) == [0, 30, 60]
    assert Calendar(14, 90, 7).purged([0, 30, 60, 90, 120], origin=170) == [0, 30]


def test_month_starts_keep_within_their_bounds():
    assert [to_date(day).isoformat() for day in month_starts(to_day(date(2023, 11, 1)), to_day(date(2024, 2, 1)))] == [
        "2023-11-01",
        "2023-12-01",
        "2024-01-01",
        "2024-02-01",
    ]
    assert month_starts(to_day(date(2024, 1, 2)), to_day(date(2024, 1, 31))) == []


def test_what_happens_on_the_day_of_an_as_of_is_seen_only_at_the_next():
    assert [entering_index([10, 20], day) for day in (9, 10, 19, 20, NEVER)] == [0, 1, 1, 2, 2]

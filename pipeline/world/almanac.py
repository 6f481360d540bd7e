"""Days and minutes of the firm: which days are worked, when a week's contact happens, how a moment is written (31/12/2024 23:59)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.time import Zone, to_date, weekday_of
from pipeline.source import Source
from pipeline.world.states import Flags, Ints

OPENS, CLOSES = 8 * 60, 18 * 60  # service hours, minutes from midnight
DAY = 1_440
MARGIN_DAYS = 800  # around the exports: dates beyond them are written too (a contract's end)


@dataclass(frozen=True)
class Almanac:
    """Tables over days `first` … : is the day worked, which is the next worked one, and its date as text."""

    first: int
    works: Flags
    following: Ints  # the day itself where it is worked
    dates: Any  # Arrow text
    clock_times: Any  # Arrow text, by minute of day
    zone: Zone

    @classmethod
    def of(cls, source: Source, zone: Zone, start_day: int, end_day: int) -> "Almanac":
        first, last = start_day - MARGIN_DAYS, end_day + MARGIN_DAYS
        days = np.arange(first, last)
        works = np.isin(weekday_of(days), np.array(source.business.working_days)) & ~np.isin(days, np.array(source.business.holidays))
        following = np.minimum.accumulate(np.where(works, days, last)[::-1])[::-1]
        dates = pa.array(pd.Series(pd.to_datetime(days, unit="D")).dt.strftime("%d/%m/%Y").to_list(), pa.string())
        return cls(first, works, following, dates, pa.array([f"{m // 60:02d}:{m % 60:02d}" for m in range(DAY)]), zone)

    def is_worked(self, day: Ints) -> Flags:
        worked: Flags = self.works[day - self.first]
        return worked

    def next_worked(self, day: Ints) -> Ints:
        following: Ints = self.following[day - self.first]
        return following

    def day_text(self, day: Ints) -> pa.Array:
        """dd/mm/yyyy; empty where the day is negative. Days outside the tables are written one by one."""
        day = np.asarray(day, np.int64)
        place = day - self.first
        text = self.dates.take(pa.array(np.clip(place, 0, len(self.dates) - 1)))
        outside = (place >= len(self.dates)) | ((place < 0) & (day >= 0))
        if outside.any():
            written = pd.Series(pd.to_datetime(day[outside], unit="D")).dt.strftime("%d/%m/%Y")
            text = pc.replace_with_mask(text, pa.array(outside), pa.array(written.to_list(), pa.string()))
        return pc.if_else(pa.array(day < 0), "", text)

    def text(self, day: Ints, minute: Ints) -> pa.Array:
        """dd/mm/yyyy HH:MM on the firm's own wall clock; the hour that a spring night skips is written as the next."""
        moment = np.asarray(day, np.int64) * DAY + np.asarray(minute, np.int64)
        small = (moment % DAY) < 5 * 60  # clocks change at night
        if small.any():
            skipped = self.zone.to_instants(moment[small] * 60_000_000)[1]
            moment[small] += np.where(skipped, 60, 0)
        clock_times = self.clock_times.take(pa.array(moment % DAY))
        return pc.binary_join_element_wise(self.day_text(moment // DAY), clock_times, " ")

    def moments(self, random: np.random.Generator, week_begins: Ints, is_off: Flags) -> tuple[Ints, Ints]:
        """Day and minute of each contact of a week: in hours on a working day, or in the evening, at night or on a rest day."""
        n = len(week_begins)
        day = week_begins + random.integers(0, 7, n)
        rests = is_off & (random.random(n) < 0.3)  # of off-hours contacts, on whatever day they fall; the others on working days
        day = np.where(rests, day, self.next_worked(day))
        in_hours = 8 * 60 + 30 + (540 * random.beta(1.6, 1.8, n)).astype(np.int64)
        evening = 18 * 60 + (330 * random.beta(1.2, 2.2, n)).astype(np.int64)
        off = np.where(random.random(n) < 0.8, evening, random.integers(0, 8 * 60, n))
        off = np.where(self.is_worked(day), off, random.integers(8 * 60, 22 * 60, n))
        return day, np.where(is_off, off, in_hours)

    def in_hours(self, random: np.random.Generator, moment: Ints) -> Ints:
        """Moments (minutes since 1970, wall clock) put off to when someone is at work."""
        day, minute = moment // DAY, moment % DAY
        later = self.next_worked(day + (minute >= CLOSES))
        waits = (later > day) | (minute < OPENS)
        morning = later * DAY + 8 * 60 + 30 + random.integers(0, 150, len(moment))
        put_off: Ints = np.where(waits, morning, moment)
        return put_off

    def office_minute(self, random: np.random.Generator, n: int) -> Ints:
        return random.integers(9 * 60, 17 * 60, n)


def years_of(days: Ints) -> npt.NDArray[np.int64]:
    """Calendar year of each day."""
    each, place = np.unique(days, return_inverse=True)
    return np.array([to_date(int(day)).year for day in each], np.int64)[place]

"""Instants, local days and the two clocks: the one module in which time is compared.

Three kinds of time, never mixed:
instant  int microseconds since 1970 UTC
day      int local days since 1970-01-01, as the business's wall clock has them
as_of    a day: the business's local midnight at its start

A row version is seen at as_of when its event and its recording both lie before that midnight and no newer version was recorded before
it: day < as_of and known < as_of <= superseded. Since as_of is a midnight, comparing whole local days is the same as comparing instants.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

DAY_US = 86_400_000_000
NEVER = 200_000  # a local day after every as_of (in the year 2517): "never superseded", "no end"
EPOCH = date(1970, 1, 1)
FIRST_DAY, LAST_DAY = (date(1990, 1, 1) - EPOCH).days, (date(2100, 1, 1) - EPOCH).days  # outside these a date is a slip

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def to_day(on: date) -> int:
    """The local day of a date.

    >>> to_day(date(1970, 1, 2))
    1
    """
    return (on - EPOCH).days


def to_date(day: int) -> date:
    """The date of a local day."""
    return EPOCH + timedelta(days=int(day))


def weekday_of(day: Any) -> Any:  # an int, an array or an Ibis column alike
    """Monday = 0 … Sunday = 6; 1 January 1970 was a Thursday."""
    return (day + 3) % 7


@dataclass(frozen=True)
class Calendar:
    """When we look, wait and judge. The past is [as_of − window, as_of); the outcome is [as_of + gap, as_of + gap + horizon).

    All in whole local days: a timedelta would slip at clock changes. A label is mature once `lateness_days` more have
    passed, since records of the window may still be coming in until then.
    """

    gap_days: int
    horizon_days: int
    lateness_days: int

    def outcome_begins(self, as_of: int) -> int:
        """First day of the outcome window."""
        return as_of + self.gap_days

    def outcome_ends(self, as_of: int) -> int:
        """Day after the last of the outcome window."""
        return as_of + self.gap_days + self.horizon_days

    def is_mature(self, as_of: int, exported_day: int) -> bool:
        """Whether the outcome of `as_of` can be known from an export made on `exported_day` (whose own day is not complete)."""
        return self.outcome_ends(as_of) + self.lateness_days <= exported_day

    def latest_mature(self, as_ofs: Sequence[int], exported_day: int) -> int | None:
        """The newest as_of with a known outcome."""
        return max((day for day in as_ofs if self.is_mature(day, exported_day)), default=None)

    def judged_until(self, as_ofs: Sequence[int], exported_day: int) -> int:
        """The day from which on every outcome of these as_ofs is known, at most the export's: who lists as_ofs trusts the data till then.

        >>> Calendar(gap_days=0, horizon_days=90, lateness_days=7).judged_until([0, 30], exported_day=365)
        127
        """
        return min(self.outcome_ends(max(as_ofs)) + self.lateness_days, exported_day)

    def with_horizon(self, horizon_days: int) -> "Calendar":
        """The same gap and lateness with another outcome window."""
        return Calendar(self.gap_days, horizon_days, self.lateness_days)

    def purged(self, as_ofs: Sequence[int], origin: int) -> list[int]:
        """The as_ofs whose outcome had been judged before `origin`: what a model made at `origin` may learn from.

        >>> Calendar(gap_days=0, horizon_days=90, lateness_days=0).purged([0, 30, 60, 90], origin=120)
        [0, 30]
        """
        return [day for day in as_ofs if self.is_mature(day, origin)]


def month_starts(first_day: int, last_day: int) -> list[int]:
    """The first of every month in [first_day, last_day]."""
    first, last = to_date(first_day), to_date(last_day)
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    starts = (to_day(date(month // 12, month % 12 + 1, 1)) for month in months)
    return [day for day in starts if first_day <= day <= last_day]


def week_starts(first_day: int, last_day: int) -> list[int]:
    """Every Monday in [first_day, last_day]."""
    return [day for day in range(first_day, last_day + 1) if weekday_of(day) == 0]


def steps_back(day: int, cadence: str, n: int) -> list[int]:
    """The n as_ofs before a day, a step apart, ascending: months (the same day, or their last), weeks, or 30 days where as_ofs are listed.

    >>> [str(to_date(day)) for day in steps_back(to_day(date(2024, 3, 31)), "monthly", 2)]
    ['2024-01-31', '2024-02-29']
    >>> steps_back(100, "weekly", 2), steps_back(100, "listed", 1)
    ([86, 93], [70])
    """
    if cadence != "monthly":
        return [day - (7 if cadence == "weekly" else 30) * back for back in range(n, 0, -1)]
    on = to_date(day)
    months = [divmod(on.year * 12 + on.month - 1 - back, 12) for back in range(n, 0, -1)]
    return [to_day(date(year, month + 1, min(on.day, monthrange(year, month + 1)[1]))) for year, month in months]


def entering_index(as_ofs: Sequence[int], day: int) -> int:
    """Index of the first as_of at which something that became true on local `day` is seen (day < as_of); len(as_ofs) if none."""
    return bisect_right(as_ofs, day)


@dataclass(frozen=True)
class Zone:
    """A time zone as its UTC-offset changes, so that every engine converts alike: `starts_us[i]` begins `offsets_us[i]`."""

    name: str
    starts_us: Ints
    offsets_us: Ints

    def to_local(self, instants_us: Ints) -> Ints:
        """Wall clock, in microseconds since 1970-01-01 00:00 local, of instants (UTC microseconds)."""
        return instants_us + self.offsets_us[np.searchsorted(self.starts_us, instants_us, side="right") - 1]

    def to_instants(self, local_us: Ints) -> tuple[Ints, Flags, Flags]:
        """Wall clock -> (instants, does not exist, is ambiguous).

        A time in a spring gap does not exist. A time that occurs twice in autumn is read as the first of the two.
        """
        changes_us, before, after = self.starts_us[1:], self.offsets_us[:-1], self.offsets_us[1:]
        passed = np.searchsorted(changes_us + before, local_us, side="right")  # changes whose old wall clock has been reached
        in_gap = np.zeros(local_us.shape, bool)
        some = passed > 0
        last = passed[some] - 1
        in_gap[some] = local_us[some] < (changes_us + after)[last]
        is_twofold = np.zeros(local_us.shape, bool)
        ahead = passed < len(changes_us)
        coming = passed[ahead]
        is_twofold[ahead] = local_us[ahead] >= (changes_us + after)[coming]
        return local_us - self.offsets_us[passed], in_gap, is_twofold


@lru_cache
def zone(name: str) -> Zone:
    """The zone's offsets from 1969 to 2100. Raises ZoneInfoNotFoundError for an unknown name."""
    info = ZoneInfo(name)

    def offset(second: int) -> int:
        delta = datetime.fromtimestamp(second, UTC).astimezone(info).utcoffset()
        assert delta is not None  # an aware datetime has an offset
        return round(delta.total_seconds())

    hours = range(-365 * 86_400, LAST_DAY * 86_400, 86_400)
    starts, offsets = [np.iinfo(np.int64).min // 2], [offset(hours[0])]
    for low, high in pairwise(hours):
        if offset(high) == offsets[-1]:
            continue
        while high - low > 1:  # the second in which the offset changes
            middle = (low + high) // 2
            low, high = (low, middle) if offset(middle) != offsets[-1] else (middle, high)
        starts.append(high * 1_000_000)
        offsets.append(offset(high))
    return Zone(name, np.array(starts, np.int64), np.array(offsets, np.int64) * 1_000_000)


def split_local(local_us: Ints) -> tuple[Ints, Ints]:
    """Wall clock in microseconds -> (local day, microseconds into that day); exact before 1970 too."""
    return np.divmod(local_us, DAY_US)


@dataclass(frozen=True)
class AsOfs:
    """Sorted as_ofs, and the one place that decides from which of them on, and until which, a row version counts.

    A version counts at the as_ofs with indices in [after(begins), after(ends)). Indices run from 0 (the first as_of) to len(self)
    (after them all). `days` must ascend without repeats.
    """

    days: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.days or any(later <= earlier for earlier, later in zip(self.days, self.days[1:], strict=False)):
            raise ValueError(f"as_ofs must be at least one, ascending, each once; got {self.days!r}")

    def __len__(self) -> int:
        return len(self.days)

    @cached_property
    def _entering(self) -> Ints:
        """entering_index of every day from the eve of the first as_of to the last: a look-up is far cheaper than a search per row."""
        return np.searchsorted(self.days, np.arange(self.days[0] - 1, self.days[-1] + 1), side="right").astype(np.int64)

    def after(self, day: Ints) -> Ints:
        """Index of the first as_of at which something that became true on `day` is seen: the first as_of with day < as_of."""
        since_eve = day.astype(np.int64) - (self.days[0] - 1)
        index: Ints = self._entering.take(since_eve, mode="clip")  # clipped: a day outside the range is before, or after, them all
        return index

    def begins(self, since: Ints, day: Ints, known: Ints) -> Ints:
        """The day after which a version counts: it has begun (since), happened (day) and is known. NEVER stands for no such day."""
        begins: Ints = np.maximum(np.maximum(since, day), known)
        return begins

    def ends(self, begins: Ints, until: Any, superseded: Ints) -> Ints:
        """The day after which it counts no more: it has ended, or a newer version is known.

        Without the last clamp a version that was known late would leave before it enters, and be counted negatively.
        """
        ends: Ints = np.maximum(np.minimum(until, superseded), begins)
        return ends


def age_days(day: Any, as_of: Any) -> Any:
    """How many days before as_of (numbers or arrays): 1 = the day before it, the youngest a row can be."""
    return as_of - day


def strictly_between(as_ofs: Sequence[int], after: int, before: int) -> list[int]:
    """The as_ofs later than one day and earlier than another.

    >>> strictly_between([0, 30, 60, 90], after=30, before=90)
    [60]
    """
    return [day for day in as_ofs if after < day < before]


def days_to_next(client: Ints, day: Ints, asked_client: Ints, asked_day: Ints) -> Ints:
    """Days from each asked client's asked day to the first of that client's `day`s on or after it (0 = that very day); NEVER if none.

    client, asked_client: whole numbers from 0; (client, day) in any order.

    >>> days_to_next(np.array([0, 0, 1]), np.array([10, 40, 20]), np.array([0, 0, 1]), np.array([10, 11, 21])).tolist()
    [0, 29, 200000]
    """
    moment = np.sort(client.astype(np.int64) * (2 * NEVER) + day)
    asked = asked_client.astype(np.int64) * (2 * NEVER) + asked_day
    following = np.append(moment, np.iinfo(np.int64).max)[np.searchsorted(moment, asked, side="left")]
    return np.where(following // (2 * NEVER) == asked_client, following - asked, NEVER)


def is_hindsight(as_of: int, outcomes_until: int) -> bool:
    """Whether a model that learned from outcomes before `outcomes_until` knows some that at `as_of` still lay ahead.

    >>> is_hindsight(100, outcomes_until=100), is_hindsight(99, outcomes_until=100)
    (False, True)
    """
    return as_of < outcomes_until


def in_window(day: Ints, as_of: int, window_days: int) -> Flags:
    """Whether a day lies in [as_of − window_days, as_of)."""
    ages = age_days(day, as_of)
    flags: Flags = (ages >= 1) & (ages <= window_days)
    return flags


def in_retrospect(rows: Any, as_of: int) -> Any:
    """A canonical Arrow table as it was known at as_of, every row as if known from its own day on: what had happened when.

    Looks at it up to as_of differ by what happened between them, not by what came to be known; later looks tell nothing.

    >>> import pyarrow as pa
    >>> rows = pa.table({"amount": [1, 2, 3], "day": [5, 5, 9], "known": [5, 8, 11], "superseded": [8, None, None]})
    >>> [in_retrospect(rows, as_of).select(["amount", "known"]).to_pylist() for as_of in (8, 10)]
    [[{'amount': 1, 'known': 5}], [{'amount': 2, 'known': 5}]]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    is_current = pc.fill_null(pc.greater_equal(rows["superseded"], as_of), True)
    is_seen = pc.and_(is_current, pc.and_(pc.less(rows["day"], as_of), pc.less(rows["known"], as_of)))
    seen = rows.filter(is_seen)
    seen = seen.set_column(seen.column_names.index("known"), "known", seen["day"])
    return seen.set_column(seen.column_names.index("superseded"), "superseded", pa.nulls(seen.num_rows, pa.int32()))


def days_past(due: Any, day: Any) -> Any:
    """How many days after `due` it happened (Ibis columns of local days); 0 = in time or nothing due."""
    import ibis  # here and below: half a second, and most of those who ask for the time do not need it

    return ibis.greatest(day - due, 0).fill_null(0)


def joint_clocks(known: Sequence[Any], superseded: Sequence[Any]) -> tuple[Any, Any]:
    """Clocks of a row made of several (Ibis columns): known once all are, superseded once any is (null = never)."""
    import ibis

    return ibis.greatest(*known), ibis.least(*(day.fill_null(NEVER) for day in superseded))


def local_day(column: Any) -> Any:
    """A date or a day (Ibis column) as a local day."""
    import ibis

    return column.delta(ibis.date("1970-01-01"), unit="day").cast("int32") if column.type().is_date() else column.cast("int32")


def within_life(day: Any, from_day: Any, until_on: Any) -> Any:
    """Whether a local day lies within the life of something from a local day to a date (Ibis columns; a null date = it lives on)."""
    ended = local_day(until_on).fill_null(NEVER)
    return (day >= from_day) & (day <= ended)


def minutes_between(day: Any, local_us: Any, later_day: Any, later_us: Any) -> Any:
    """Whole minutes from one moment to a later one on the wall clock (Ibis columns); 0 where the later one comes first.

    Exact: the microseconds of a day are far below 2^53, where a division through doubles begins to err.
    """
    import ibis

    minutes = (later_day.cast("int64") - day.cast("int64")) * 1_440 + ((later_us - local_us) / 60_000_000).floor().cast("int64")
    return ibis.greatest(minutes, 0)


def spells_covered(versions: Any, by: Sequence[str]) -> Any:
    """Row versions -> the spells in which at least one of a group is seen: columns `by`, begins, ends (local days; NEVER = open).

    versions: Ibis table with `by`, day, known, superseded. A version is seen at begins < as_of <= ends; spells of a group neither overlap
    nor touch, hence at any as_of at most one holds.
    """
    import ibis

    seen = versions.select(*by, begins=ibis.greatest(versions.day, versions.known), ends=versions.superseded.fill_null(NEVER))
    seen = seen.filter(seen.begins < seen.ends)
    order = {"group_by": list(by), "order_by": ["begins", "ends"]}
    in_order, cumulative = ibis.window(**order), ibis.cumulative_window(**order)
    so_far = seen.mutate(reach=seen.ends.max().over(cumulative))
    before = so_far.mutate(reached=so_far.reach.lag().over(in_order))
    is_new = (before.begins > before.reached).fill_null(True).cast("int64")
    numbered = before.mutate(is_new=is_new)
    numbered = numbered.mutate(spell=numbered.is_new.sum().over(cumulative))
    merged = numbered.group_by([*by, "spell"]).aggregate(begins=numbered.begins.min(), ends=numbered.ends.max())
    return merged.drop("spell")


def newest_quote(rows: Any, quotes: Any, by: str, value: str, within_days: int) -> Any:
    """What was quoted for a row when it came to be seen -> an Ibis table `by`, day, known, `value`: one row for each that rows have.

    rows: Ibis table with `by`, day, known; quotes: with `by`, `value`, day and its clocks, and a key as its first column. That is the
    newest quote of the row's day or of the within_days before it, in the version that was seen at the first as_of after the row's day and
    recording; of several of one day the last by key. Rows without one are left out.

    Every quote is laid on each day that it serves, so that the join is one of equals and its cost linear in rows and quotes.
    """
    import ibis

    asked = rows.select(by, "day", "known").distinct()
    clocks = {"quoted": "day", "quote_known": "known", "gone": quotes.superseded.fill_null(NEVER)}
    serving = quotes.select(by, value, key=quotes[quotes.columns[0]], age=ibis.range(within_days + 1), **clocks).unnest("age")
    serving = serving.mutate(day=(serving.quoted + serving.age).cast("int32"))
    both = asked.join(serving, [by, "day"])
    entered = ibis.greatest(both.day, both.known)
    seen = both.filter((both.quote_known <= entered) & (both.gone > entered))
    newest = seen[value].first(order_by=[seen.quoted.desc(), seen.key.desc()])
    return seen.group_by([by, "day", "known"]).aggregate(**{value: newest})


def split_by_company(versions: Any, by: str) -> Any:
    """Row versions -> the same, each split where another of its group comes to be seen or goes: within each piece the group stands still.

    versions: Ibis table with `by`, day, known, superseded. A piece is known from, and superseded at, its own ends (NEVER = open). What no
    as_of sees is left out. The number of pieces grows with the square of a group's versions.
    """
    import ibis

    seen = versions.mutate(begins=ibis.greatest(versions.day, versions.known), ends=versions.superseded.fill_null(NEVER))
    cuts = seen.select(by, known="begins").union(seen.select(by, known="ends"), distinct=True)
    pieces = cuts.mutate(superseded=cuts.known.lead().over(ibis.window(group_by=by, order_by="known")))
    met = seen.drop("known", "superseded").join(pieces, by)
    return met.filter((met.begins <= met.known) & (met.known < met.ends)).drop("begins", "ends")

"""The four kinds of measure, as declarations: what a row of a canonical table counts for, from when, until when. No other kind exists.

interval  a quantity that counts for a while: a window (counts for so many days) or a state (counts until it ends); summed
latest    the last, first, largest or smallest known
sequence  what depends on the order of rows: replayed per client over the rows known at each as_of; must stay the exception
peer      the same interval measure, summed over the clients of a group at that as_of

A row expression is a function of the table's Rows to an Ibis column. It may use the row's values, its event `day`, its local time of day
`local_us` and its plan dates (as local days), never a fact date: what came true later may only begin or end a quantity (an Edge).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from features.time import Ints

RowValue = Callable[[Any], Any]  # Rows -> an Ibis column: flag, integer, or text (whose code among all texts of the table is measured)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """A day of the row at which a quantity begins or ends: a date column (`day` = the event's) and whole days added to it."""

    column: str = "day"
    plus_days: int = 0


@dataclass(frozen=True)
class Interval:
    """Sum of `value` over the versions for which since < as_of <= every `until` (and that are seen at as_of)."""

    name: str
    table: str
    value: RowValue
    since: Edge = Edge()
    until: tuple[Edge, ...] = ()


@dataclass(frozen=True)
class Latest:
    """The largest (or smallest) `value` among the seen versions with `where`, from their `since` on; NaN if there is none.

    Without `value` it is the day of `since` itself: the last (or first) time something happened.
    """

    name: str
    table: str
    where: RowValue
    value: RowValue | None = None
    is_largest: bool = True
    since: Edge = Edge()


@dataclass(frozen=True)
class Seen:
    """The rows of a batch of clients that are seen at one as_of, in order of client, day and values: what a sequence is replayed on."""

    as_of: int
    n_clients: int
    client: Ints  # 0 … n_clients − 1, ascending
    day: Ints
    values: dict[str, Ints]


@dataclass(frozen=True)
class Replay:
    """`replay` turns the seen rows with `where` into one array of length n_clients per name in `names`; NaN = unknown."""

    names: tuple[str, ...]
    table: str
    where: RowValue
    replay: Callable[[Seen], tuple[Floats, ...]]
    values: dict[str, RowValue] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Peer:
    """The interval measure `of`, summed over all clients with the same value of the interval measure `by` (None: over all clients)."""

    name: str
    of: str
    by: str | None = None


Measure = Interval | Latest | Replay | Peer


def window(name: str, table: str, value: RowValue, *days: int, since: str = "day") -> list[Interval]:
    """`value` of the last so many days before as_of, one measure per window: name_30, name_90, …"""
    return [Interval(f"{name}_{w}", table, value, Edge(since), (Edge(since, w),)) for w in days]


def state(name: str, table: str, value: RowValue, since: str = "day", until: Sequence[str] = ()) -> Interval:
    """`value` of everything that began (since) and has not ended (the first of until); without until: ever."""
    return Interval(name, table, value, Edge(since), tuple(Edge(column) for column in until))


def thousandths(value: Any) -> Any:
    """A fractional value as an integer, since sums must be exact."""
    return (value * 1_000).round().cast("int64")


def every_row(rows: Any) -> Any:
    """Counts each row as one."""
    return rows["day"].notnull()


def last_day(name: str, table: str, where: RowValue = every_row, since: str = "day") -> Latest:
    """The last day on which it happened."""
    return Latest(name, table, where, since=Edge(since))


def first_day(name: str, table: str, where: RowValue = every_row, since: str = "day") -> Latest:
    """The first day on which it happened."""
    return Latest(name, table, where, is_largest=False, since=Edge(since))


def sequence(
    names: Sequence[str],
    table: str,
    replay: Callable[[Seen], tuple[Floats, ...]],
    *,
    where: RowValue = every_row,
    values: dict[str, RowValue] | None = None,
) -> Replay:
    """What depends on order; see Replay."""
    return Replay(tuple(names), table, where, replay, values or {})


# ---- what replays are made of ---------------------------------------------------------------------------------------------------


def count_per_client(seen: Seen, rows: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Number of rows per client (of those marked)."""
    client = seen.client if rows is None else seen.client[rows]
    return np.bincount(client, minlength=seen.n_clients).astype(np.float64)


def active_days(seen: Seen) -> Seen:
    """One row per client and day with any row, in order."""
    is_new = np.ones(len(seen.day), bool)
    is_new[1:] = (seen.client[1:] != seen.client[:-1]) | (seen.day[1:] != seen.day[:-1])
    return Seen(seen.as_of, seen.n_clients, seen.client[is_new], seen.day[is_new], {})


def gaps(seen: Seen) -> tuple[Ints, Ints]:
    """(client, days since the client's row before): one per row that has one before it."""
    follows = seen.client[1:] == seen.client[:-1]
    return seen.client[1:][follows], (seen.day[1:] - seen.day[:-1])[follows]


def median_per_client(client: Ints, value: Ints, n_clients: int) -> Floats:
    """Median of `value` per client; NaN where a client has none. `client` ascends."""
    in_order = value[np.lexsort((value, client))]
    ends = np.cumsum(np.bincount(client, minlength=n_clients))
    counts = np.diff(ends, prepend=0)
    medians = np.full(n_clients, np.nan)
    some = counts > 0
    low, high = (ends - counts)[some] + (counts[some] - 1) // 2, (ends - counts)[some] + counts[some] // 2
    medians[some] = (in_order[low] + in_order[high]) / 2
    return medians


def rhythm(seen: Seen) -> tuple[Floats, Floats]:
    """(number of distinct active days, median days between them) of each client: ready to be a sequence's replay."""
    days = active_days(seen)
    return count_per_client(days), median_per_client(*gaps(days), seen.n_clients)

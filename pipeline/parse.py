"""Rows as a mapping gives them -> the same rows with typed values, or with the first problem in them. One in, one out, order kept.

DuckDB reads the texts (pipeline/readsql.py), NumPy converts wall clocks (features/time.py). Candidate files hold instants as integer
microseconds and dates as integer local days; validate gives them their final types.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.errors import UserError
from features.time import DAY_US, Zone, split_local, zone
from pipeline.readsql import TIMES, reading_sql, wanted_columns
from pipeline.source import Source
from pipeline.tables import ARROW, Column, Kind, Table

BATCH_ROWS = 1 << 17
STORED = ARROW | {Kind.INSTANT: pa.int64(), Kind.DATE: pa.int32()}  # in candidate files

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass
class Readings:
    """What was decided while reading, for the account."""

    n_ambiguous_times: int = 0  # local times that occur twice in autumn, read as the first
    n_dates_for_times: int = 0  # dates where a time was wanted, read as midnight
    n_rounded_amounts: int = 0

    def notes(self) -> list[str]:
        said = {
            "local times that occur twice in autumn, read as the first of the two": self.n_ambiguous_times,
            "dates without a time, read as midnight": self.n_dates_for_times,
            "amounts with more than two decimals, rounded to hundredths": self.n_rounded_amounts,
        }
        return [f"{count:,} {what}" for what, count in said.items() if count]


def candidate_schema(table: Table) -> pa.Schema:
    """A candidate file's schema."""
    clocks = [pa.field("day", pa.int32()), pa.field("known", pa.int32())]
    if _is_timed(table):
        clocks.append(pa.field("local_us", pa.int64()))
    return pa.schema(
        [
            *(pa.field(column.name, STORED[column.kind]) for column in wanted_columns(table)),
            *clocks,
            pa.field("_row", pa.int64()),
            pa.field("_rows", pa.list_(pa.int64())),  # only where it is made of several
            *(pa.field(name, pa.string()) for name in ("_set_aside", "_problem", "_column", "_found")),
        ]
    )


def _is_timed(table: Table) -> bool:
    return table.event is not None and table.event.kind is Kind.INSTANT


@dataclass
class _Problems:
    """The first problem of each row of a batch."""

    n_rows: int
    skip: Flags  # rows set aside are not judged
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = np.zeros(self.n_rows, np.int16)
        self.column = np.zeros(self.n_rows, dtype=object)
        self.found = np.zeros(self.n_rows, dtype=object)

    def add(self, rows: Flags, reason: str, column: str, found: "pa.Array | Ints") -> None:
        fresh = rows & (self.code == 0) & ~self.skip
        if not fresh.any():
            return
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.code[fresh] = self.reasons.index(reason) + 1
        self.column[fresh] = column
        at = np.flatnonzero(fresh)
        self.found[at] = found.take(pa.array(at)).to_pylist() if isinstance(found, pa.Array) else [_wall_text(int(us)) for us in found[at]]

    def columns(self) -> list[pa.Array]:
        if not self.reasons:
            return [pa.nulls(self.n_rows, pa.string())] * 3
        none = self.code == 0
        reason = np.array([None, *self.reasons], dtype=object)[self.code]
        return [pa.array(values, pa.string(), mask=none) for values in (reason, self.column, self.found)]


def _wall_text(wall_us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall_us)).replace(tzinfo=None).isoformat(sep=" ")


@dataclass(frozen=True)
class Reading:
    """All it takes to read one table's rows; `place` tells a raw row's file and line, `readings` collects what was decided on the way."""

    table: Table
    types: dict[str, str]  # of the columns that the mapping gives
    source: Source
    place: Callable[[int], str]
    readings: Readings

    @property
    def clock(self) -> Zone:
        return zone(self.source.spec.time_zone)


def read_rows(connection: duckdb.DuckDBPyConnection, relation: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """`relation`'s rows, in order, as candidate batches. Raises UserError where it cannot be told how dates are written."""
    sql = reading_sql(relation, reading.table, reading.types, reading.source)
    for batch in connection.sql(sql).to_arrow_reader(BATCH_ROWS):
        yield _candidates(batch, reading)


def _candidates(batch: pa.RecordBatch, reading: Reading) -> pa.RecordBatch:
    table, n_rows = reading.table, batch.num_rows
    given = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
    problems = _Problems(n_rows, _mask(given["_set_aside"].is_valid()))
    values: dict[str, pa.Array] = {}
    locals_us: dict[str, tuple[Ints, Flags]] = {}
    for column in wanted_columns(table):
        if column.name not in reading.types:
            values[column.name] = pa.nulls(n_rows, STORED[column.kind])
        elif column.kind in TIMES:
            values[column.name], locals_us[column.name] = _read_times(column, given, problems, reading)
        else:
            values[column.name] = given[column.name]
            _note_value(column, given, problems, reading.readings)
    values |= _clocks(table, _begins(table, reading.source), values, locals_us, reading.clock, n_rows)
    values |= {"_row": given["_row"], "_rows": given["_rows"], "_set_aside": given["_set_aside"]}
    values |= dict(zip(("_problem", "_column", "_found"), problems.columns(), strict=True))
    schema = candidate_schema(table)
    return pa.RecordBatch.from_arrays([values[name].cast(schema.field(name).type) for name in schema.names], schema=schema)


def _note_value(column: Column, given: dict[str, pa.Array], problems: _Problems, readings: Readings) -> None:
    if column.kind is Kind.TEXT:
        return
    text = given[f"{column.name}__text"]
    if text.null_count < len(text):
        problems.add(_mask(text.is_valid()), f"bad_{column.name}", column.name, text)
    if column.kind is Kind.MONEY:
        rounded = _mask(given[f"{column.name}__rounded"]) & _mask(given[column.name].is_valid()) & ~problems.skip
        readings.n_rounded_amounts += int(rounded.sum())


def _mask(values: pa.Array) -> Flags:
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), bool)


def _ints(values: pa.Array) -> Ints:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _read_times(column: Column, given: dict[str, pa.Array], problems: _Problems, reading: Reading) -> tuple[pa.Array, tuple[Ints, Flags]]:
    """A column of wall clocks or instants -> its stored values, and (local microseconds, is known) for the clocks."""
    name, text, clock = column.name, given[f"{column.name}__text"], reading.clock
    unsure = _mask(given[f"{name}__unsure"]) & ~problems.skip
    if unsure.any():
        raise _unsure(column, int(np.flatnonzero(unsure)[0]), given, reading)
    if text.null_count < len(text):
        problems.add(_mask(text.is_valid()), f"bad_date_{name}", name, text)
    wall, known = _ints(given[name]), _mask(given[name].is_valid())
    offset, has_offset = _ints(given[f"{name}__offset"]), _mask(given[f"{name}__offset"].is_valid())
    if column.kind is Kind.DATE and not has_offset.any():
        return pa.array(wall // DAY_US, pa.int32(), mask=~known), (wall // DAY_US * DAY_US, known)
    instant, in_gap, is_twofold = clock.to_instants(wall)
    instant = np.where(has_offset, wall - offset, instant)
    local = np.where(has_offset, clock.to_local(instant), wall)
    if column.kind is Kind.DATE:
        return pa.array(local // DAY_US, pa.int32(), mask=~known), (local // DAY_US * DAY_US, known)
    judged = known & ~has_offset & ~problems.skip
    problems.add(in_gap & judged, "nonexistent_local_time", name, wall)
    reading.readings.n_ambiguous_times += int((is_twofold & judged).sum())
    reading.readings.n_dates_for_times += int((_mask(given[f"{name}__date_only"]) & known & ~problems.skip).sum())
    return pa.array(instant, pa.int64(), mask=~known), (local, known)


def _unsure(column: Column, at: int, given: dict[str, pa.Array], reading: Reading) -> UserError:
    formats = reading.source.spec.date_formats
    shown = given[f"{column.name}__text"][at].as_py() or _wall_text(given[column.name][at].as_py())
    return UserError(
        reading.place(given["_row"][at].as_py()),
        found=f"{reading.table.name}.{column.name}: a date such as {shown}",
        wanted="dates such as 2024-04-03, or a declared format that says which of day and month comes first",
        cure=f"leave one of the contradicting formats {formats} out of source.yaml"
        if formats
        else 'declare `date_formats: ["%d/%m/%Y"]` or ["%m/%d/%Y"] in source.yaml',
    )


def _begins(table: Table, source: Source) -> Column | None:
    """The column that dates a row without recorded_at: its event; for clients without history their start."""
    facts = source.spec.tables.get(table.name)
    if table.name == "clients":
        return None if facts and facts.history == "full" else table["started_on"]
    return table.event


def _clocks(
    table: Table, begins: Column | None, values: dict[str, pa.Array], locals_us: dict[str, tuple[Ints, Flags]], clock: Zone, n_rows: int
) -> dict[str, pa.Array]:
    """`day`, `known`, `recorded_at` and the time of day. A row without `recorded_at` counts as recorded when it happened."""
    nothing = np.zeros(n_rows, np.int64), np.zeros(n_rows, bool)
    happened, has_happened = locals_us.get(begins.name, nothing) if begins else nothing
    recorded, has_recorded = locals_us.get("recorded_at", nothing)
    event_us = _ints(values[begins.name]) if begins and begins.kind is Kind.INSTANT else midnights(clock, happened // DAY_US)
    day, in_day_us = split_local(happened)
    clocks = {
        "recorded_at": pa.array(
            np.where(has_recorded, _ints(values["recorded_at"]), event_us), pa.int64(), mask=~(has_recorded | has_happened)
        ),
        "day": pa.array(day, pa.int32(), mask=~has_happened),
        "known": pa.array(np.where(has_recorded, recorded // DAY_US, day), pa.int32(), mask=~(has_recorded | has_happened)),
    }
    return clocks | ({"local_us": pa.array(in_day_us, pa.int64(), mask=~has_happened)} if _is_timed(table) else {})


def midnights(clock: Zone, days: Ints) -> Ints:
    """The first instant of local days: midnight, or the end of the gap where the clock jumps over midnight."""
    walls = np.asarray(days, np.int64) * DAY_US
    instants, in_gap, _ = clock.to_instants(walls)
    if in_gap.any():
        for minutes in (30, 60):  # gaps are of half an hour or an hour
            instants[in_gap], still, _ = clock.to_instants(walls[in_gap] + minutes * 60_000_000)
            at = np.flatnonzero(in_gap)
            in_gap = np.zeros_like(in_gap)
            in_gap[at[still]] = True
    return instants

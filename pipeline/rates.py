"""Canonical tables + the table rates -> each row of a table with a currency with its rate, in a column `rate` of the same file.

rate: units of the business's currency for one of the row's: 1 for its own, null where no rate is known (features/rates.py has the rule).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.contract import Business
from features.errors import UserError
from features.rates import STALE_DAYS
from features.time import newest_quote, to_date
from pipeline.canonical import ROW_GROUP, write_grouped
from pipeline.database import database, literal, offer, rows_of
from pipeline.source import Source
from pipeline.tables import TABLES

RATE = pa.field("rate", pa.float64())
RATED = tuple(name for name, table in TABLES.items() if "currency" in table.names and name != "rates")


def enter_rates(source: Source, folder: Path) -> None:
    """Rewrites the tables RATED in `folder` with their rates, rows and their order as they are.

    Raises UserError for two rates of a currency on one day, and for one of the business's own that is not 1: then all have another base.
    """
    with database(folder) as connection:
        offer(connection, "rates", folder / "rates.parquet")
        _check(connection, source)
        for name in RATED:
            path = folder / f"{name}.parquet"
            if path.exists():
                _enter(connection, path, source.business.currency)


def with_rate(path: Path, *columns: str) -> list[str]:
    """The columns, and `rate` if the file has it: what to read where money may be in other currencies."""
    is_there = path.exists() and RATE.name in pq.read_schema(path).names
    return [*columns, *([RATE.name] if is_there else [])]


def is_rated(rows: pa.Table, business: Business) -> pa.ChunkedArray:
    """Whether the amounts of each row can be told in the business's currency: `not Business.is_unrated`, on Arrow."""
    if RATE.name in rows.column_names:
        return pc.is_valid(rows[RATE.name])
    return pc.equal(pc.fill_null(rows["currency"], business.currency), business.currency)


@dataclass(frozen=True)
class Unrated:
    """Rows of one currency of which no rate is known: how many, the sum of a column of theirs (minor units), what would cure it."""

    n_rows: int
    total: int
    cure: str


def unrated_by_currency(rows: pa.Table, business: Business, column: str = "") -> dict[str, Unrated]:
    """Currency -> the rows of a canonical table (currency, day, rate if any) without a rate, by currency."""
    unrated = rows.filter(pc.invert(is_rated(rows, business)))
    amounts = unrated[column] if column else pa.nulls(unrated.num_rows, pa.int64())
    found = pa.table({"currency": unrated["currency"], "day": unrated["day"], "amount": amounts}).group_by("currency")
    each = found.aggregate([("day", "min"), ("day", "max"), ("day", "count"), ("amount", "sum")]).sort_by("currency")
    return {
        row["currency"]: Unrated(
            row["day_count"],
            row["amount_sum"] or 0,
            f"bring rates of {row['currency']} for {to_date(row['day_min'])} to {to_date(row['day_max'])} (table rates; one serves"
            f" {STALE_DAYS} days, and what was entered once it was known)",
        )
        for row in each.to_pylist()
    }


def _enter(connection: duckdb.DuckDBPyConnection, path: Path, currency: str) -> None:
    offer(connection, path.stem, path, is_numbered=True)
    known = {"currency": "string", "day": "int32", "known": "int32", "superseded": "int32"}
    rows, quotes = ibis.table(known, name=path.stem), ibis.table({"rate_id": "string", "rate": "float64", **known}, name="rates")
    foreign = rows.filter(rows.currency != currency)
    entered = ibis.to_sql(newest_quote(foreign, quotes, by="currency", value="rate", within_days=STALE_DAYS), dialect="duckdb")
    rates = connection.sql(
        f"""
        select if(coalesce(currency, {literal(currency)}) = {literal(currency)}, 1, rate) as rate
        from {path.stem} left join ({entered}) using (currency, day, known) order by file_row_number
        """  # noqa: S608  # our own names, and a currency of three letters
    ).to_arrow_table()["rate"]
    beside = path.with_suffix(".rated")
    write_grouped(beside, pq.read_schema(path).append(RATE), _with_rates(path, rates.cast(RATE.type)))
    beside.replace(path)


def _with_rates(path: Path, rates: pa.ChunkedArray) -> Iterator[pa.RecordBatch]:
    first = 0
    for batch in pq.ParquetFile(path).iter_batches(ROW_GROUP):
        yield batch.append_column(RATE, rates.slice(first, batch.num_rows).combine_chunks())
        first += batch.num_rows


def _check(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Of the rates as they stand today; what has been corrected since is no fault."""
    where = str(source.folder / ("rates.sql" if "rates" in source.sql else "source.yaml"))
    own = source.business.currency
    of_own = "select rate, day from rates where currency = ? and rate <> 1 and superseded is null order by day, rate_id limit 1"
    for rate, day in connection.execute(of_own, [own]).fetchall():
        raise UserError(
            where,
            found=f"a rate of {rate:g} for {own}, the business's own currency, on {to_date(day)}",
            wanted=f"rates in {own}: how many {own} one unit of the other currency is worth",
            cure=f"divide all rates of a day by {own}'s, or correct `currency` in source.yaml",
        )
    double = rows_of(
        connection,
        """
        select currency, day, array_to_string(list(rate_id order by rate_id)[:2], ' and '), count(distinct rate) as n from rates
        where superseded is null group by currency, day having n > 1 order by currency, day
        """,
    )
    if double:
        currency, day, ids, _ = double[0]
        raise UserError(
            where,
            found=f"different rates of {currency} on {to_date(day)} (rate_id {ids}), and of {len(double):,} currencies and days in all",
            wanted="one rate per currency and day",
            cure="select one of them; where the later corrects the earlier, give both the same rate_id, such as currency and day",
        )

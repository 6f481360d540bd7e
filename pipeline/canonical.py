"""Good candidate rows -> a canonical table: every version of every row, with the days on which it came to be known and was superseded.

Versions. Rows with the same key are ordered by recorded_at, then by their place in the files. One that says what the one before it said
is an exact duplicate and dropped; any other is a new version, and the one before is superseded on the day it was recorded. Versions
recorded in the same instant: the later in the files stands, the others are kept but never seen.

A table without history (the default) shows what its rows are today. What can change in them (mutable columns) is unknown before the
export: each row is split in two versions there. A client whose recording is not known counts as known from its start, or its first
interaction if that was earlier, but what it is today is never dated back. Clients that only the interactions name are added with their id.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.database import database, offer, quoted, rows_of
from pipeline.source import Source
from pipeline.tables import TABLES, Table, arrow_schema

ROW_GROUP = 131_072


def write_canonical(connection: duckdb.DuckDBPyConnection, source: Source, table: Table, given: list[str], folder: Path) -> dict[str, int]:
    """Writes `good` as a canonical file; returns what became of its rows."""
    if table.name == "clients":
        _offer_met(connection, folder)
        _date_clients(connection, source, has_recordings="recorded_at" in given)
    else:
        connection.execute("create temp view dated as select * from good")
    _find_fates(connection, table)
    hidden = _hidden(source, table, given)
    shown = _split_sql(table, hidden, source) if hidden else "select * from version"
    connection.execute(f"create temp view shown as {shown}")
    n_rows = _write_sorted(connection, table, folder)
    again, amended, overwritten = rows_of(
        connection,
        "select count(*) filter (is_again), count(*) filter (superseded is not null), count(*) filter (is_overwritten) from fates",
    )[0]
    counts = {"exact_duplicates": again, "superseded_versions": amended, "of_these_in_the_same_instant": overwritten}
    if table.name == "clients":
        counts["added_from_interactions"] = rows_of(connection, "select count(*) from dated where ordinal = -1")[0][0]
    return {**counts, "canonical_rows": n_rows}


def _date_clients(connection: duckdb.DuckDBPyConnection, source: Source, *, has_recordings: bool) -> None:
    """`dated`: clients, all with recorded_at, known and day, and a row (ordinal −1) for those whom only the interactions name."""
    connection.execute(
        """
        create temp table dated as
        with begun as (select good.*, if($given, null, met.recorded_at) as met_at, if($given, null, met.known) as met_on
                       from good left join met using (client_id)),
        recorded as (select * exclude (met_at, met_on) replace (
                         coalesce(least(recorded_at, met_at), $us) as recorded_at,  -- least passes over nulls
                         coalesce(least(known, met_on), $day) as known) from begun)
        select * replace (known as day) from recorded
        union all by name
        select *, known as day, 0::bigint as _row, -1::bigint as ordinal from met anti join recorded using (client_id)
        """,
        {"given": has_recordings, "us": source.exported_us, "day": source.exported_day},
    )


def _offer_met(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """`met`: clients by their first known interaction."""
    offer(connection, "interactions", folder / "interactions.parquet")
    connection.execute(
        """create temp table met as
        select client_id, epoch_us(min(recorded_at)) as recorded_at, min(known) as known from interactions group by client_id"""
    )


def _find_fates(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """`fates`: of the rows whose key occurs again, which are exact duplicates, and when each version was superseded. `version`: the rest.

    Keys are first compared by their hashes, which take far less memory than ten million texts.
    """
    content = ", ".join(quoted(name) for name in table.names)
    connection.execute(
        f"""
        create temp table repeated as select hash({table.key}) as h from dated group by h having count(*) > 1;
        create temp table fates as
        with several as (
            select {table.key} as key, ordinal, _row, recorded_at, known, row({content}) as content
            from dated semi join repeated on hash({table.key}) = repeated.h),
        compared as (
            select * exclude content, row_number() over ordered > 1 and content is not distinct from lag(content) over ordered as is_again
            from several window ordered as (partition by key order by recorded_at, _row, ordinal)),
        kept as (
            select ordinal, lead(known) over ordered as superseded, lead(recorded_at) over ordered = recorded_at as is_overwritten
            from compared where not is_again window ordered as (partition by key order by recorded_at, _row, ordinal))
        select ordinal, is_again, superseded, is_overwritten from compared left join kept using (ordinal);
        create temp view version as
        select dated.*, fates.superseded from dated left join fates using (ordinal) where not coalesce(is_again, false);
        """  # noqa: S608  # our own column names
    )


def _hidden(source: Source, table: Table, given: list[str]) -> list[str]:
    """The columns whose values before the export are not known."""
    facts = source.spec.tables.get(table.name)
    if facts and facts.history == "full":
        return []
    immutable = facts.immutable if facts else []
    return [column.name for column in table.columns if column.is_mutable and column.name in given and column.name not in immutable]


def _split_sql(table: Table, hidden: list[str], source: Source) -> str:
    """`version`, each row known before the export split in two: until then without the `hidden` columns, from then on with them."""
    exported_us, exported = source.exported_us, source.exported_day
    says_something = " or ".join(f"{quoted(name)} is not null" for name in hidden)
    nothing = ", ".join(f"null as {quoted(name)}" for name in hidden)
    day = f", {exported} as day" if table.name == "clients" else ""
    return f"""
        with told as (select *, known < {exported} and ({says_something}) as is_split from version)
        select * exclude is_split replace ({nothing}, coalesce(superseded, {exported}) as superseded) from told where is_split
        union all by name
        select * exclude is_split replace ({exported_us} as recorded_at, {exported} as known{day}) from told
        where is_split and superseded is null
        union all by name
        select * exclude is_split from told where not is_split"""  # noqa: S608  # our own column names and numbers


def _write_sorted(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path) -> int:
    """Writes `shown`, clustered by client, then event day, then key."""
    schema = arrow_schema(table)
    columns = ", ".join(quoted(name) for name in schema.names)
    owner = "client_id" if "client_id" in table.names else table.columns[1].name
    ordered = f"select {columns} from shown order by {owner}, day, {table.key}, recorded_at, ordinal"  # noqa: S608  # our own column names
    return write_grouped(folder / f"{table.name}.parquet", schema, connection.sql(ordered).to_arrow_reader(ROW_GROUP))


def write_grouped(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Writes batches into row groups of one size, so that equal rows give equal bytes however they were batched. Returns their number."""
    n_rows, waiting, n_waiting = 0, [schema.empty_table()], 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            waiting.append(pa.Table.from_arrays([_typed(batch.column(i), schema.field(i).type) for i in range(len(schema))], schema=schema))
            n_waiting += batch.num_rows
            n_rows += batch.num_rows
            if n_waiting >= ROW_GROUP:
                ready = pa.concat_tables(waiting)
                whole = n_waiting // ROW_GROUP * ROW_GROUP
                writer.write_table(ready.slice(0, whole), row_group_size=ROW_GROUP)
                waiting, n_waiting = [ready.slice(whole)], n_waiting - whole
        writer.write_table(pa.concat_tables(waiting), row_group_size=ROW_GROUP)
    return n_rows


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == pa.date32():
        values = values.cast(pa.int32())
    return values.cast(kind)


def write_derived_clients(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Clients by their id alone, known from their first interaction on."""
    _offer_met(connection, folder)
    missing = [name for name in arrow_schema(TABLES["clients"]).names if name not in ("client_id", "recorded_at", "known", "day")]
    nothing = ", ".join(f"null as {name}" for name in missing)
    connection.execute(f"create temp view shown as select *, known as day, 0 as ordinal, {nothing} from met")  # noqa: S608  # our own names
    return _write_sorted(connection, TABLES["clients"], folder)


def facts_of(path: Path, folder: Path) -> dict[str, Any]:
    """Rows, first and last day of a canonical file."""
    with database(folder) as connection:
        offer(connection, "canonical", path)
        n_rows, first, last, known = rows_of(connection, "select count(*), min(day), max(day), max(known) from canonical")[0]
    return {"rows": n_rows, "first_day": first, "last_day": last, "last_known": known}

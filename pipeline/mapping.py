"""A source's SQL over its raw tables -> one file of candidate rows per canonical table; the mapping's contract, checked.

A mapping is one SELECT. It sees the raw tables as text and nothing else of the machine; it says of every raw row where it goes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import UserError
from pipeline.account import RawRows
from pipeline.database import database, literal, offer
from pipeline.parse import BATCH_ROWS, Reading, Readings, candidate_schema, read_rows
from pipeline.readsql import wanted_columns
from pipeline.source import Source
from pipeline.tables import Table

ROW, SET_ASIDE = "_row", "_set_aside"
WHOLE_NUMBERS = ("BIGINT", "INTEGER", "HUGEINT", "UBIGINT")


def map_table(source: Source, table: Table, folder: Path, place_of: Callable[[int], str]) -> dict[str, Any]:
    """Writes one canonical table's candidate file into the ingest folder; returns what was noticed."""
    taken = folder / "raw" / f"{table.name}.parquet"  # already in canonical form, if there is no SQL
    mapped = folder / "mapped.parquet" if table.name in source.sql else taken
    if table.name in source.sql:
        _run_select(source, table, folder, mapped)
    types = _types_of(mapped, folder)
    _check_columns(source, table, types)
    reading, n_rows = Reading(table, types, source, place_of, Readings()), 0
    schema = candidate_schema(table)
    with database(folder) as connection, pq.ParquetWriter(folder / f"{table.name}.parquet", schema, compression="lz4") as writer:
        offer(connection, "mapped", mapped)
        for batch in read_rows(connection, "mapped", reading):
            _check_rows(source, table, batch)
            writer.write_batch(batch)
            n_rows += batch.num_rows
    if mapped != taken:
        mapped.unlink()
    return {"rows": n_rows, "columns": [name for name in types if name not in (ROW, SET_ASIDE)], "notes": reading.readings.notes()}


def _types_of(path: Path, folder: Path) -> dict[str, str]:
    with database(folder) as connection:
        relation = connection.from_parquet(str(path))
        return dict(zip(relation.columns, map(str, relation.types), strict=True))


def _run_select(source: Source, table: Table, folder: Path, mapped: Path) -> None:
    """Runs a mapping's SELECT into the file `mapped`. It sees the raw tables and nothing else of the machine.

    On one thread: then a mapping's sums, lists and row order are the same in every run.
    """
    where = str(source.folder / f"{table.name}.sql")
    raw_paths = {name: folder / "raw" / f"{name}.parquet" for name in source.spec.files}
    with database(folder, threads=1) as connection:
        for name, path in raw_paths.items():
            offer(connection, name, path)
        connection.execute(f"set allowed_paths = [{', '.join(literal(str(path)) for path in raw_paths.values())}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            statements = connection.extract_statements(source.sql[table.name])
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise _sql_error(where, f"{len(statements)} statements" if len(statements) != 1 else "no SELECT", source)
            result = connection.sql(source.sql[table.name])
            twice = sorted({name for name in result.columns if result.columns.count(name) > 1})
            if twice:
                raise _sql_error(where, f"column {', '.join(twice)} more than once", source)
            reader = result.to_arrow_reader(BATCH_ROWS)
            with pq.ParquetWriter(mapped, reader.schema, compression="lz4") as writer:
                for batch in reader:
                    writer.write_batch(batch)
        except (duckdb.Error, pa.ArrowException) as problem:
            raise _sql_error(where, " ".join(str(problem).split()), source) from problem


def _sql_error(where: str, found: str, source: Source) -> UserError:
    tables = "; ".join(f"{name} (_row, {', '.join(raw.columns.values())})" for name, raw in source.spec.files.items())
    return UserError(
        where,
        found=found,
        wanted=f"one SELECT over {tables}",
        cure="correct the SQL; columns of raw tables are text: cast them where you compute",
    )


def _check_columns(source: Source, table: Table, types: dict[str, str]) -> None:
    """The mapping's contract: which columns it gives."""
    is_sql = table.name in source.sql
    where = str(source.folder / (f"{table.name}.sql" if is_sql else "source.yaml"))
    known = [column.name for column in wanted_columns(table)]
    wanted = f"{', '.join(known)}, _row and, where rows are set aside, _set_aside"
    cure = "add it to the SELECT" if is_sql else f"name it in files.{table.name}.columns, or write a {table.name}.sql"
    missing = [column.name for column in table.columns if column.is_required and column.name not in types]
    if missing:
        raise UserError(where, found=f"{table.name} without {', '.join(missing)}", wanted=wanted, cure=cure)
    if ROW not in types:
        raise UserError(
            where, found="no column _row", wanted=wanted, cure="select _row of the raw table, or list(_row) where rows are grouped"
        )
    unknown = [name for name in types if name not in {*known, ROW, SET_ASIDE}]
    if unknown:
        raise UserError(where, found=f"unknown column {', '.join(unknown)}", wanted=wanted, cure="rename it, or leave it out")
    whole = types[ROW].removesuffix("[]")
    if whole not in WHOLE_NUMBERS:
        raise UserError(where, found=f"_row of type {types[ROW]}", wanted="BIGINT or BIGINT[]", cure="select _row as it is, or list(_row)")
    facts = source.spec.tables.get(table.name)
    if table.name == "clients" and facts and facts.history == "full" and "recorded_at" not in types:
        raise UserError(
            where,
            found="clients with full history but without recorded_at",
            wanted="when each version of a client was recorded",
            cure="add recorded_at, or declare `history: none` in source.yaml: what a client is today must not be dated back",
        )


def _check_rows(source: Source, table: Table, batch: pa.RecordBatch) -> None:
    if batch.column(batch.schema.get_field_index(ROW)).null_count:
        raise UserError(
            str(source.folder / f"{table.name}.sql"),
            found="a row whose _row is null",
            wanted="the raw rows every output row is made of",
            cure="in an outer join take _row from the table that always has one",
        )


def check_mentions(source: Source, folder: Path, tables: list[str], place_of: Callable[[int], str]) -> None:
    """Every raw row must be in some mapping's output, used or set aside; every `_row` must be a raw row."""
    raw_rows = RawRows.read(folder, sorted(source.spec.files))
    for name in tables:
        for batch in pq.ParquetFile(folder / f"{name}.parquet").iter_batches(BATCH_ROWS, columns=[ROW, "_rows"]):
            stranger = raw_rows.mark(batch, np.ones(batch.num_rows, np.int16))
            if stranger is not None:
                where = str(source.folder / f"{name}.sql")
                raise UserError(where, found=f"_row = {stranger}, which is no raw row", wanted="_row as it is", cure="do not compute it")
    for name in raw_rows.names:
        missed = raw_rows.unmarked(name)
        if len(missed):
            raise UserError(
                str(source.folder),
                found=f"{len(missed):,} of {raw_rows.count(name):,} rows of {name} are in no table; first: {place_of(int(missed[0]))}",
                wanted="every raw row used, or set aside with a reason",
                cure="select them with `_set_aside` = 'why' where they are not used (a WHERE or an inner join loses rows)",
            )

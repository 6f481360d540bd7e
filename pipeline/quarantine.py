"""Bad rows -> one CSV file per table that people can read: the reason, the column and what stands there, file and line, the raw row."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.account import LINES_PER_FILE
from pipeline.database import database, literal, offer, quoted, rows_of
from pipeline.readsql import wanted_columns
from pipeline.tables import TABLES, Column, Kind

HEAD = ("reason", "column", "found", "file", "line")
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*")
_FORMULA = tuple("=+-@\t\r＝＋－＠")  # what spreadsheets take for a formula, full-width signs too


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; plain numbers stay as they are.

    >>> harmless("=1+1"), harmless(" @x"), harmless("-5.20"), harmless("שלום")
    ("'=1+1", "' @x", '-5.20', 'שלום')
    """
    is_formula = text.lstrip(" \u00a0").startswith(_FORMULA) or text.startswith(_FORMULA)
    return f"'{text}" if is_formula and not _NUMBER.fullmatch(text) else text


def write_quarantine(ingested: Path, folder: Path, facts: dict[str, Any], bad: dict[str, pa.Table]) -> None:
    """Writes `folder`/<table>.csv for each table with bad rows (`bad`: ordinal, reason, fault), and for each raw table with ragged ones."""
    with database(folder.parent) as connection:
        offer(connection, "ragged", ingested / "ragged.parquet")
        for raw in sorted({file["raw"] for file in facts["files"]}):
            offer(connection, _view(raw), ingested / "raw" / f"{raw}.parquet")
        ragged = {row[0] for row in rows_of(connection, "select distinct raw from ragged")}
        for name in sorted(ragged | {name for name, rows in bad.items() if rows.num_rows}):
            folder.mkdir(exist_ok=True)
            connection.execute(
                """create or replace temp table bad_raw as
                select _row, 'ragged_row' as reason, '' as fault, record as found from ragged where raw = ?""",
                [name],
            )
            if name in bad and bad[name].num_rows:
                _add_bad(connection, ingested, name, bad[name], facts["notes"][name]["columns"])
            _write(connection, folder / f"{name}.csv", facts)


def _view(raw: str) -> str:
    return f"raw {raw}"  # apart from our own names


def _add_bad(connection: duckdb.DuckDBPyConnection, ingested: Path, name: str, bad: pa.Table, given: list[str]) -> None:
    """Adds a canonical table's bad rows to `bad_raw`: the raw rows they are made of, with the text that was found."""
    offer(connection, f"rows of {name}", ingested / f"{name}.parquet", is_numbered=True)
    connection.register("bad_rows", bad.rename_columns({"reason": "_reason", "fault": "_fault"}))  # reviews and endings have a reason too
    values = " ".join(
        f"when {literal(column.name)} then {_as_text(column)}" for column in wanted_columns(TABLES[name]) if column.name in given
    )
    connection.execute(
        f"""
        insert into bad_raw
        select unnest(coalesce(_rows, [_row])), _reason, coalesce(_column, _fault), coalesce(_found, case _fault {values} end, '')
        from (select *, file_row_number as ordinal from {quoted(f"rows of {name}")}) join bad_rows using (ordinal)
        """  # noqa: S608  # our own column names
    )
    connection.unregister("bad_rows")


def _as_text(column: Column) -> str:
    name = quoted(column.name)
    if column.kind is Kind.INSTANT:
        return f"strftime(make_timestamp({name}), '%Y-%m-%dT%H:%M:%SZ')"
    return f"(date '1970-01-01' + {name})::date::varchar" if column.kind is Kind.DATE else f"{name}::varchar"


def _write(connection: duckdb.DuckDBPyConnection, path: Path, facts: dict[str, Any]) -> None:
    """`bad_raw` with its raw rows, in the order of the files."""
    paths = {file["number"]: file["path"] for file in facts["files"]}
    touched = {row[0] for row in rows_of(connection, f"select distinct _row // {LINES_PER_FILE} from bad_raw")}  # noqa: S608  # a number
    raw_names = sorted({file["raw"] for file in facts["files"] if file["number"] in touched})
    columns = {raw: connection.table(quoted(_view(raw))).columns[1:] for raw in raw_names}
    shared = list(dict.fromkeys(column for own in columns.values() for column in own))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*HEAD, *shared])
        for raw in raw_names:
            numbers = [file["number"] for file in facts["files"] if file["raw"] == raw]
            for row, reason, fault, found, *values in _bad_rows(connection, raw, columns[raw], min(numbers), max(numbers)):
                number, line = divmod(row, LINES_PER_FILE)
                texts = dict(zip(columns[raw], values, strict=True))
                cells = [found or "", paths[number], str(line), *((texts.get(column) or "") for column in shared)]
                writer.writerow([reason, fault, *map(harmless, cells)])


def _bad_rows(connection: duckdb.DuckDBPyConnection, raw: str, columns: list[str], first: int, last: int) -> Iterator[tuple[Any, ...]]:
    """(_row, reason, fault, found, *texts) of the bad rows in files `first` to `last`."""
    texts = "".join(f", raw_rows.{quoted(column)}::varchar" for column in columns)  # which may be called reason, or found
    cursor = connection.execute(
        f"""
        select _row, bad_raw.reason, bad_raw.fault, bad_raw.found{texts}
        from bad_raw left join {quoted(_view(raw))} as raw_rows using (_row)
        where _row // {LINES_PER_FILE} between {first} and {last}
        order by _row, bad_raw.reason, bad_raw.fault, bad_raw.found
        """  # noqa: S608  # our own names, and columns as source.yaml was allowed to name them
    )
    while rows := cursor.fetchmany(10_000):
        yield from rows

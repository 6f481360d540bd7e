"""Candidate rows -> canonical tables with row versions, a quarantine to read, and the account of every raw row.

data/<source>/validate/
  <table>.parquet         canonical (pipeline/tables.py), clustered by client, day and key; with rates of exchange if the source has any
  quarantine/<table>.csv  reason, column, found, file, line, then the raw row as it stood (UTF-8 with a mark, so that Excel reads Hebrew)
  account.json            per raw table where its rows went; per canonical table what became of its rows
  tables.json             per canonical table: rows, first and last day
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.table import Table as Grid

from features.contract import Business
from features.errors import UserError
from pipeline.account import Account, place
from pipeline.canonical import facts_of, write_canonical, write_derived_clients
from pipeline.database import database, offer, rows_of
from pipeline.quarantine import write_quarantine
from pipeline.rates import enter_rates, unrated_by_currency, with_rate
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import TABLES, Table, folder_written_whole, read_json, write_json

MANY = 0.1  # of a raw table's rows in quarantine: to be said
TELLING_ROWS = 10  # so many rows, all of them bad, are a broken mapping and not bad data (interactions: any number)
BAD = pa.schema([("ordinal", pa.int64()), ("reason", pa.string()), ("fault", pa.string())])


@dataclass(frozen=True)
class Judged:
    """One table's candidates after the checks: how many were judged, and the bad ones by ordinal with reason and column."""

    n_rows: int
    bad: pa.Table

    @property
    def reasons(self) -> dict[str, int]:
        return dict(sorted(Counter(self.bad["reason"].to_pylist()).items()))


def validate(source: Source, ingested: Path, out: Path) -> dict[str, Any]:
    """Judges the candidates in the folder `ingested` and writes the folder `out`, whole or not at all. Returns the account."""
    facts = read_json(ingested / "files.json")
    paths = {file["number"]: file["path"] for file in facts["files"]}
    names = sorted(facts["notes"], key=lambda name: (name == "clients", name))  # clients last: they may need the interactions
    account = Account(ingested, facts)
    with folder_written_whole(out) as folder:
        for name in names:
            given = facts["notes"][name]["columns"]
            judged = judge(source, TABLES[name], given, ingested / f"{name}.parquet")
            with database(folder) as connection:
                _offer(connection, ingested / f"{name}.parquet", judged.bad)
                _stop_if_hopeless(connection, source, TABLES[name], judged, paths)
                counts = write_canonical(connection, source, TABLES[name], given, folder)
                again = connection.sql("select ordinal from fates where is_again order by ordinal").fetchnumpy()["ordinal"]
            account.add(name, judged, np.asarray(again, np.int64), counts)
        if "clients" not in names:
            with database(folder) as connection:
                account.tables["clients"] = {"canonical_rows": write_derived_clients(connection, folder)}
        if "rates" in names:
            enter_rates(source, folder)
        write_quarantine(ingested, folder / "quarantine", facts, account.bad)
        content = account.content()
        content["notes"] = [*unusable(account.bad, content["raw"]), *uncounted(folder, source.business)]
        write_json(folder / "account.json", content)
        write_json(folder / "tables.json", {name: facts_of(folder / f"{name}.parquet", folder) for name in sorted({*names, "clients"})})
    _print(content, out)
    for note in content["notes"]:
        console.print(f"note: {note}")
    return content


def unusable(bad: dict[str, pa.Table], raw: dict[str, Any]) -> list[str]:
    """What to do about quarantined rows: the values a column may have, where another stands; and the raw tables that lost many rows.

    bad: canonical table -> its bad rows, as BAD. raw: the account's, by raw table.
    """
    notes = []
    for name, rows in bad.items():
        n_by_reason = Counter(rows["reason"].to_pylist())
        for column in TABLES[name].columns:
            if column.allowed and (n := n_by_reason[f"unknown_{column.name}"]):
                notes.append(f"{n:,} rows of {name} have an unknown {column.name}: it is one of {', '.join(column.allowed)}")
    for name, told in raw.items():
        n_quarantined = sum(told["quarantined"].values())
        if n_quarantined > MANY * told["rows_in"]:
            notes.append(f"{n_quarantined:,} of {told['rows_in']:,} rows of {name} are quarantined: more than bad luck; see the reasons")
    return notes


def uncounted(folder: Path, business: Business) -> list[str]:
    """Rows that are right in themselves but that no amount will count: said, since money would else be missing without a word."""
    notes: list[str] = []
    invoices, payments = folder / "invoices.parquet", folder / "payments.parquet"
    known = pq.read_table(invoices, columns=with_rate(invoices, "invoice_id", "currency", "day")) if invoices.exists() else None
    if known is not None:
        unrated = unrated_by_currency(known, business)
        notes += [f"{told.n_rows:,} invoices in {name} count nothing: {told.cure}" for name, told in unrated.items()]
    if payments.exists():
        paid = pq.read_table(payments, columns=["invoice_id"])["invoice_id"]
        lost = (
            len(paid) - (pc.sum(pc.is_in(paid, value_set=pc.unique(known["invoice_id"]))).as_py() or 0) if known is not None else len(paid)
        )
        notes += [f"{lost:,} payments of invoices that are not there (or were quarantined) count nothing"] if lost else []
    return notes


# ---- checks ---------------------------------------------------------------------------------------------------------------------------


def judge(source: Source, table: Table, given: list[str], path: Path) -> Judged:
    """Runs the checks over a candidate file in chunks; a row's reason is that of the first check it fails."""
    from pipeline.expectations import CHUNK_ROWS, Checks  # here: Great Expectations takes seconds to import

    checks = Checks(table, given, source.exported_us, source.exported_day)
    found: list[pa.Table] = []
    n_judged = first = 0
    for batch in pq.ParquetFile(path).iter_batches(CHUNK_ROWS, columns=[*checks.columns, "_set_aside"]):
        chunk = pa.Table.from_batches([batch])
        ordinals = np.flatnonzero(chunk["_set_aside"].is_null().to_numpy()) + first
        first += len(chunk)
        if not len(ordinals):
            continue
        chunk = chunk.filter(chunk["_set_aside"].is_null()).select(checks.columns)
        seen = np.zeros(0, np.int64)
        for failure in checks.failures(chunk, ordinals):
            fresh = np.setdiff1d(failure.rows, seen)
            seen = np.union1d(seen, fresh)
            columns = [
                pa.array(fresh),
                pa.array([failure.reason] * len(fresh), pa.string()),
                pa.array([failure.column] * len(fresh), pa.string()),
            ]
            found.append(pa.table(columns, schema=BAD))
        n_judged += len(ordinals)
    bad = pa.concat_tables(found).sort_by("ordinal") if found else BAD.empty_table()
    return Judged(n_judged, bad)


def _offer(connection: duckdb.DuckDBPyConnection, path: Path, bad: pa.Table) -> None:
    """Gives a connection `candidate` (not set aside, numbered), `bad`, and `good`."""
    offer(connection, "numbered", path, is_numbered=True)
    connection.register("bad_rows", bad)
    connection.execute(
        """
        create temp table bad as select * from bad_rows;
        create temp view candidate as
            select * exclude file_row_number, file_row_number as ordinal from numbered where _set_aside is null;
        create temp view good as select * from candidate anti join bad using (ordinal);
        """
    )
    connection.unregister("bad_rows")


def _stop_if_hopeless(connection: duckdb.DuckDBPyConnection, source: Source, table: Table, judged: Judged, paths: dict[int, str]) -> None:
    is_telling = judged.n_rows >= TELLING_ROWS or table.name == "interactions"
    if not judged.n_rows or judged.bad.num_rows < judged.n_rows or not is_telling:
        return
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in judged.reasons.items())
    row, found = rows_of(connection, "select _row, coalesce(_found, '') from candidate order by ordinal limit 1")[0]
    where = source.folder / (f"{table.name}.sql" if table.name in source.sql else "source.yaml")
    raise UserError(
        str(where),
        found=f"all {judged.n_rows:,} rows of {table.name} are bad: {reasons}; the first is {place(paths, row)}{found and ': ' + found}",
        wanted="rows as README describes them",
        cure="correct the mapping or the formats in source.yaml (date_formats, numbers); the reason codes name the column",
    )


# ---- print ----------------------------------------------------------------------------------------------------------------------------


def _print(account: dict[str, Any], out: Path) -> None:
    grid = Grid(title="every raw row", title_justify="left")
    grid.add_column("raw table", overflow="fold")
    for name in ("rows in", "used", "set aside", "quarantined", "exact duplicates"):
        grid.add_column(name, justify="right")
    for name, raw in account["raw"].items():
        numbers = raw["rows_in"], raw["used"], sum(raw["set_aside"].values()), sum(raw["quarantined"].values()), raw["exact_duplicates"]
        grid.add_row(name, *(f"{number:,}" for number in numbers))
    console.print(grid)
    for name, raw in account["raw"].items():
        for what in ("set_aside", "quarantined"):
            for reason, count in raw[what].items():
                console.print(f"  {name}: {what.replace('_', ' ')} {count:,}: {reason}", markup=False)
    for name, table in account["tables"].items():
        total = {what: sum(count.values()) if isinstance(count, dict) else count for what, count in table.items()}
        said = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in total.items() if count)
        console.print(f"{name}: {said or 'no rows'}", markup=False)
    if any(raw["quarantined"] for raw in account["raw"].values()):
        console.print(f"quarantined rows, with file and line: {out / 'quarantine'}", markup=False)


def main() -> None:
    """The selected source."""
    source = selected_source()
    validate(source, source.output / "ingest", source.output / "validate")


if __name__ == "__main__":
    stage("validate", main)

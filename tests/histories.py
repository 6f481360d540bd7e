"""Histories drawn in days before as_of -> canonical tables in memory, and the features they give: for tests of signals.

Columns of a drawing, all optional: client (default a); id = the row's key (default: its number from 0); ago = how many days before as_of it
happened; known, superseded = the same for when it was recorded and when a newer version was; <date>_ago for date columns (due_ago,
disputed_ago; negative = still ahead); at = hh:mm local; money in whole units; flags yes or no; rate = the row's rate of exchange, as
validate writes it where a source has rates. Everything else is the canonical column itself; `-` = null.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
from drawn import drawn

from features.contract import Business, Features, Signal, features
from features.time import to_date, to_day
from pipeline.rates import RATE
from pipeline.tables import TABLES, Kind, arrow_schema

AS_OF = to_day(pd.Timestamp("2024-07-01").date())  # a Monday
OFFICE = Business((0, 1, 2, 3, 4), opens_minute=9 * 60, closes_minute=17 * 60, holidays=(), currency="EUR")
DEFAULTS: dict[str, dict[str, Any]] = {
    "interactions": {"kind": "message", "channel": "email", "direction": "inbound", "local_us": 12 * 3_600_000_000},
    "invoices": {"currency": "EUR", "amount": 0},
    "payments": {"amount": 0},
    "clients": {"day": 0, "known": 0},
    "services": {"day": 0, "known": 0},
    "agreements": {"currency": "EUR", "monthly_value": 0},
    "work": {"currency": "EUR", "duration_minutes": 60},
}


READ: dict[Kind, Callable[[str], Any]] = {
    Kind.MONEY: lambda cell: round(float(cell) * 100),
    Kind.NUMBER: float,
    Kind.INTEGER: int,
    Kind.FLAG: lambda cell: cell == "yes",
}


def history(table: str, drawing: str, as_of: int = AS_OF) -> pa.Table:
    """A canonical table."""
    declared = TABLES[table]
    rows = [
        DEFAULTS.get(table, {}) | {declared.key: f"{number}", "client_id": "a"} | _cells(table, cells, as_of)
        for number, cells in enumerate(drawn(drawing))
    ]
    return table_of(table, rows)


def table_of(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows with any of the canonical columns -> a canonical table; with rates of exchange if a row has one."""
    schema = arrow_schema(TABLES[table])
    if table != "rates" and any("rate" in row for row in rows):
        schema = schema.append(RATE)
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def _cells(table: str, cells: dict[str, str | None], as_of: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, cell in cells.items():
        if name == "client":
            row["client_id"] = cell
        elif name == "id":
            row[TABLES[table].key] = cell
        elif name in ("ago", "known", "superseded"):
            row["day" if name == "ago" else name] = None if cell is None else as_of - int(cell)
        elif name.endswith("_ago"):
            row[name.replace("_ago", "_on")] = None if cell is None else to_date(as_of - int(cell))
        elif name == "at" and cell:
            hours, minutes = cell.split(":")
            row["local_us"] = (int(hours) * 60 + int(minutes)) * 60_000_000
        elif cell is None:
            row[name] = None
        else:
            row[name] = float(cell) if name == "rate" else READ.get(TABLES[table][name].kind, str)(cell)
    if "day" in row:
        row.setdefault("known", row["day"])
    return row


def found(signal: Signal, as_of: int = AS_OF, business: Business = OFFICE, **tables: str | pa.Table) -> Features:
    """The signal's features of every client that occurs, at one as_of, from drawings."""
    given = {name: history(name, drawing, as_of) if isinstance(drawing, str) else drawing for name, drawing in tables.items()}
    clients = sorted({client for table in given.values() if "client_id" in table.column_names for client in table["client_id"].to_pylist()})
    snapshots = pd.DataFrame({"client_id": clients or ["a"], "as_of": as_of})
    return features(given, snapshots, business, [signal])


def columns_of(
    signal: Signal, as_of: int = AS_OF, business: Business = OFFICE, client: str = "a", **tables: str | pa.Table
) -> dict[str, float]:
    """One client's columns."""
    frame = found(signal, as_of, business, **tables).frame.set_index("client_id")
    return {str(name): float(value) for name, value in frame.loc[client].items() if name != "as_of"}

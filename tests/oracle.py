"""The meaning of measures, in plain Python and as slowly as need be: for each client and as_of, keep the row versions that were seen, hide
what had not come true, and evaluate each measure by its definition.

It shares with the engine the declarations and the functions that are declared in them (row expressions, which it evaluates over all rows at
once, and replays, which it calls for one client at a time); time, versions, sums, peers and the join of payments it works out by itself.
What a row expression or a replay means is fixed by the drawn examples of each signal instead.
"""

from datetime import date
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa

from features.contract import Business, Signal, View
from features.engine import Measured, Rows
from features.measures import Edge, Interval, Latest, Measure, Peer, Replay, Seen
from features.time import AsOfs

PLANS = {"due_on", "starts_on", "ends_on"}
EPOCH = date(1970, 1, 1)
Table = dict[str, pa.Table]


def is_seen(row: dict[str, Any], as_of: int) -> bool:
    """The rule of DESIGN §3, word for word."""
    if "parts" in row:
        return all(is_seen(part, as_of) for part in row["parts"])
    return row["day"] < as_of and row["known"] < as_of and (row["superseded"] is None or as_of <= row["superseded"])


def day_at(row: dict[str, Any], edge: Edge, as_of: int) -> int | None:
    """The edge's day, as one knew it at as_of: a fact date that has not come true is null."""
    value = row[edge.column]
    if value is None:
        return None
    day = int((value - EPOCH).days) if isinstance(value, date) else int(value)
    if edge.column not in PLANS and day >= as_of:
        return None
    return day + edge.plus_days


def expected(tables: Table, as_ofs: list[int], measures: list[Measure]) -> Measured:
    """What the engine must find, for every client that occurs."""
    rows = {name: table.to_pylist() for name, table in tables.items()}
    if {"payments", "invoices"} <= set(rows):
        rows["settlements"] = settlements(rows["payments"], rows["invoices"])
    clients = sorted({row["client_id"] for name, some in rows.items() if name != "payments" for row in some})
    plain = [m for m in measures if not isinstance(m, Peer)]
    evaluated = {table: row_values(table, rows[table], [m for m in plain if m.table == table]) for table in {m.table for m in plain}}
    seen = {name: {as_of: [n for n, row in enumerate(some) if is_seen(row, as_of)] for as_of in as_ofs} for name, some in rows.items()}
    values: dict[str, Any] = {}
    for declared in plain:
        name = declared.table
        values |= _measured(declared, rows[name], seen[name], evaluated[name][id(declared)], clients, as_ofs)
    for declared in measures:
        if isinstance(declared, Peer):
            values[declared.name] = _peers(values[declared.of], values[declared.by] if declared.by else None)
    return Measured(pa.array(clients, pa.string()), AsOfs(tuple(as_ofs)), values)


def settlements(payments: list[dict[str, Any]], invoices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each payment version with each version of its invoice; seen where both are."""
    return [
        {key: invoice[key] for key in ("invoice_id", "client_id", "due_on", "currency")}
        | {key: payment[key] for key in ("payment_id", "amount", "day")}
        | {"parts": (payment, invoice)}
        for payment in payments
        for invoice in invoices
        if payment["invoice_id"] == invoice["invoice_id"]
    ]


def expressions_of(declared: Any) -> dict[str, Any]:
    """The row expressions of a measure."""
    if isinstance(declared, Interval):
        return {"value": declared.value}
    if isinstance(declared, Latest):
        return {"where": declared.where} | ({"value": declared.value} if declared.value else {})
    return {"where": declared.where} | declared.values


def _measured(
    declared: Any,
    rows: list[dict[str, Any]],
    seen: dict[int, list[int]],
    columns: dict[str, list[Any]],
    clients: list[str],
    as_ofs: list[int],
) -> dict[str, Any]:
    texts = sorted({v for v in columns.get("value", []) if isinstance(v, str)})
    names = declared.names if isinstance(declared, Replay) else (declared.name,)
    kind = np.int64 if isinstance(declared, Interval) else np.float64
    found = {name: np.zeros((len(clients), len(as_ofs)), kind) for name in names}
    for at, client in enumerate(clients):
        for index, as_of in enumerate(as_ofs):
            numbers = [number for number in seen[as_of] if rows[number]["client_id"] == client]
            results = _one(declared, [(rows[n], {k: column[n] for k, column in columns.items()}) for n in numbers], as_of, texts)
            for name, result in zip(names, results, strict=True):
                found[name][at, index] = result
    return found


def _one(declared: Any, seen: list[tuple[dict[str, Any], dict[str, Any]]], as_of: int, texts: list[str]) -> tuple[Any, ...]:
    if isinstance(declared, Interval):
        total = 0
        for row, value in seen:
            since = day_at(row, declared.since, as_of)
            ends = [day_at(row, edge, as_of) for edge in declared.until]
            if since is not None and since < as_of and all(end is None or as_of <= end for end in ends):
                number = value["value"]
                total += texts.index(number) + 1 if isinstance(number, str) else int(number or 0)
        return (total,)
    if isinstance(declared, Latest):
        numbers = []
        for row, value in seen:
            since = day_at(row, declared.since, as_of)
            number = value["value"] if declared.value else since
            if value["where"] and since is not None and since < as_of and number is not None:
                numbers.append(number)
        return ((max if declared.is_largest else min)(numbers) if numbers else np.nan,)
    kept = [(row, value) for row, value in seen if value["where"]]
    kept.sort(key=lambda pair: (pair[0]["day"], *(int(pair[1][name] or 0) for name in declared.values)))
    days = np.array([row["day"] for row, _ in kept], np.int64)
    numbers = {name: np.array([int(value[name] or 0) for _, value in kept], np.int64) for name in declared.values}
    return tuple(float(result[0]) for result in declared.replay(Seen(as_of, 1, np.zeros(len(kept), np.int64), days, numbers)))


def _peers(values: Any, by: Any) -> Any:
    """Each client's group total, pair by pair."""
    n_clients, n_as_ofs = values.shape
    found = np.zeros_like(values)
    for i in range(n_clients):
        for j in range(n_as_ofs):
            found[i, j] = sum(values[k, j] for k in range(n_clients) if by is None or by[k, j] == by[i, j])
    return found


def row_values(table: str, rows: list[dict[str, Any]], measures: list[Any]) -> dict[int, dict[str, list[Any]]]:
    """The row expressions of measures over all rows, in the rows' order: id of the measure -> name -> values."""
    wanted = [(id(m), name, expression) for m in measures for name, expression in expressions_of(m).items()]
    found: dict[int, dict[str, list[Any]]] = {id(m): {name: [] for name in expressions_of(m)} for m in measures}
    if not rows:
        return found
    names = [name for name in rows[0] if name not in ("parts", "recorded_at", "occurred_at")]
    dates, integers = {n for n in names if n.endswith("_on")}, {"day", "known", "superseded", "local_us", "amount", "list_amount"}
    kinds = {n: "date" if n in dates else "int64" if n in integers else "string" for n in names}
    arrow = {"int64": pa.int64(), "date": pa.date32(), "string": pa.string()}
    content = pa.table({n: pa.array([row[n] for row in rows], arrow[kinds[n]]) for n in names} | {"place": range(len(rows))})
    relation = ibis.table(kinds | {"place": "int64"}, name="content")
    shown = Rows(table, relation)
    select = relation.select("place", **{f"e{number}": expression(shown) for number, (_, _, expression) in enumerate(wanted)})
    with duckdb.connect() as con:
        con.register("content", content)
        got = con.sql(f"SELECT * FROM ({ibis.to_sql(select, dialect='duckdb')}) ORDER BY place").to_arrow_table()  # noqa: S608
    for number, (declared, name, _) in enumerate(wanted):
        found[declared][name] = got[f"e{number}"].to_pylist()
    return found


def expected_columns(signal: Signal, tables: Table, as_ofs: list[int], business: Business) -> dict[str, Any]:
    """The signal's columns from the oracle's measures: column -> array of shape (clients, as_ofs)."""
    measured = expected(tables, as_ofs, list(signal.measures(business)))
    named = Measured(measured.clients, measured.as_ofs, {f"{signal.name}.{name}": value for name, value in measured.values.items()})
    return {column.name: column.of(View(signal.name, named)) for column in signal.columns}

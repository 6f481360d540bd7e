"""The meaning of measures, in plain Python and as slowly as need be: for each client and as_of, keep the row versions that were seen, hide
what had not come true, and evaluate each measure by its definition.

It shares with the engine the declarations and the functions that are declared in them (row expressions, which it evaluates over all rows at
once, and replays, which it calls for one client at a time); time, versions, sums, peers and the join of payments it works out by itself.
What a row expression or a replay means is fixed by the drawn examples of each signal instead.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa

from features.contract import Business, Signal, View
from features.derived import DERIVED
from features.engine import Measured, Rows, _ibis_type
from features.measures import Edge, Interval, Latest, Measure, Peer, Replay, Seen
from features.time import AsOfs, to_date
from pipeline.tables import TABLES, arrow_schema

ARROW_OF = {field.name: field.type for table in TABLES.values() for field in arrow_schema(table)} | {"is_reply": pa.bool_()}
PLANS = {"due_on", "starts_on", "ends_on"}
EPOCH = date(1970, 1, 1)
Table = dict[str, pa.Table]


def is_seen(row: dict[str, Any], as_of: int) -> bool:
    """The rule of DESIGN §3, word for word."""
    if "parts" in row:
        return all(is_seen(part, as_of) for part in row["parts"]) and any(is_seen(part, as_of) for part in row.get("any_of", row["parts"]))
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
    clients = sorted({row["client_id"] for some in rows.values() for row in some if "client_id" in row})
    plain = [m for m in measures if not isinstance(m, Peer)]
    for name in {m.table for m in plain} & set(DERIVED):
        rows[name] = MAKERS[name](*(rows[part] for part in DERIVED[name]))
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


Row = dict[str, Any]


def settlements(payments: list[Row], invoices: list[Row]) -> list[Row]:
    """Each payment version with each version of its invoice; seen where both are."""
    return [
        {key: invoice[key] for key in ("invoice_id", "client_id", "due_on", "currency")}
        | {key: payment[key] for key in ("payment_id", "amount", "day")}
        | {"parts": (payment, invoice)}
        for payment in payments
        for invoice in invoices
        if payment["invoice_id"] == invoice["invoice_id"]
    ]


def _answers(interactions: list[Row]) -> Iterator[tuple[Row, Row]]:
    """(message, reply from the other side): every pair of their versions."""
    of_id: dict[tuple[str, str], list[Row]] = {}
    for row in interactions:
        of_id.setdefault((row["client_id"], row["interaction_id"]), []).append(row)
    for reply in interactions:
        for message in of_id.get((reply["client_id"], reply["reply_to"]), []):
            if {message["direction"], reply["direction"]} == {"inbound", "outbound"}:
                yield message, reply


def replies(interactions: list[Row]) -> list[Row]:
    """Each reply version with each version of what it answers."""
    return [
        {key: reply[key] for key in ("interaction_id", "client_id", "direction", "channel", "staff_id", "day")}
        | {"latency_minutes": max((reply["day"] - message["day"]) * 1_440 + (reply["local_us"] - message["local_us"]) // 60_000_000, 0)}
        | {"parts": (reply, message)}
        for message, reply in _answers(interactions)
    ]


def answered(interactions: list[Row]) -> list[Row]:
    """Each message version, seen where it and any reply is."""
    answers: dict[int, tuple[Row, list[Row]]] = {}
    for message, reply in _answers(interactions):
        answers.setdefault(id(message), (message, []))[1].append(reply)
    return [
        {key: message[key] for key in ("interaction_id", "client_id", "direction", "kind", "channel", "day")}
        | {"is_reply": message["reply_to"] is not None, "parts": (message,), "any_of": tuple(some)}
        for message, some in answers.values()
    ]


def fulfilments(commitments: list[Row]) -> list[Row]:
    """What was done, on the day it was done."""
    found = []
    for row in commitments:
        if row["done_on"] is not None:
            day = (row["done_on"] - EPOCH).days
            parts = (row, {"day": day, "known": day, "superseded": None})
            kept = {key: row[key] for key in ("commitment_id", "client_id", "owed_by", "kind", "due_on")}
            found.append(kept | {"promised": row["day"], "day": day, "parts": parts})
    return found


def neighbours(ties: list[Row]) -> list[Row]:
    """Each tie from either end."""
    return [
        row | {"client_id": one, "other_client_id": other}
        for row in ties
        for one, other in ((row["client_id"], row["other_client_id"]), (row["other_client_id"], row["client_id"]))
    ]


def neighbour_endings(ties: list[Row], endings: list[Row]) -> list[Row]:
    """Each end of each tie with each ending at its other end."""
    return [
        {key: tie[key] for key in ("tie_id", "client_id", "other_client_id", "kind")}
        | {"ended_by": ending["ended_by"], "day": ending["day"], "parts": (tie, ending)}
        for tie in neighbours(ties)
        for ending in endings
        if ending["client_id"] == tie["other_client_id"]
        and tie["day"] <= ending["day"]
        and (tie["until_on"] is None or to_date(ending["day"]) <= tie["until_on"])
    ]


def industry_moves(clients: list[Row], industry_index: list[Row]) -> list[Row]:
    """Each client version with each month of its industry's index."""
    return [
        {"client_id": client["client_id"], "industry": client["industry"], "index_id": month["index_id"], "day": month["day"]}
        | {"value_milli": round(month["value"] * 1_000), "parts": (client, month)}
        for client in clients
        for month in industry_index
        if client["industry"] == month["industry"]
    ]


def running_agreements(agreements: list[Row]) -> list[Row]:
    """Each agreement with the dates between which it runs."""
    return [
        row | {"starts_on": row["starts_on"] or to_date(row["day"]), "ends_on": None if row["renews"] else row["ends_on"]}
        for row in agreements
    ]


def strategic_agreements(agreements: list[Row], services: list[Row]) -> list[Row]:
    """Each running agreement version with each version of its service."""
    kept = ("agreement_id", "client_id", "service", "starts_on", "ends_on", "monthly_value", "currency", "day")
    return [
        {key: agreement[key] for key in kept} | {"weight_milli": round(service["strategic_weight"] * 1_000), "parts": (agreement, service)}
        for agreement in running_agreements(agreements)
        for service in services
        if agreement["service"] == service["service_id"]
    ]


MAKERS: dict[str, Callable[..., list[Row]]] = {
    maker.__name__: maker
    for maker in (
        *(settlements, replies, answered, fulfilments, neighbours, neighbour_endings, industry_moves),
        *(running_agreements, strategic_agreements),
    )
}


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
    names = [name for name in rows[0] if name not in ("parts", "any_of", "recorded_at", "occurred_at")]
    content = pa.table({n: pa.array([row[n] for row in rows], ARROW_OF.get(n, pa.int64())) for n in names} | {"place": range(len(rows))})
    kinds = {n: _ibis_type(content.schema.field(n).type) for n in names}
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

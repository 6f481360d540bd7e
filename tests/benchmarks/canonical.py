"""n_events, n_clients -> a canonical Parquet file for every table that signals read, clustered by client, some rows late, some amended.

Of the events 60 % are interactions (a third of them replies, one in ten with a tone), 12 % time entries, 10 % invoices, 9 % payments, 9 %
promises. Beside them each client has a few agreements, contacts, answers and ties; two in five end. Whoever is large is large everywhere.
Values mean nothing: only that each column of each signal moves.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.events import CLIENTS_AT_ONCE, FIRST_DAY, LAST_DAY, Versions, client_shares, drawn_days, first_days, names_of, recorded

from features.time import DAY_US, month_starts
from pipeline.tables import CHANNELS, INTERACTION_KINDS, TABLES, arrow_schema

SHARES = {"interactions": 0.6, "work": 0.12, "invoices": 0.1, "payments": 0.09, "commitments": 0.09}
PER_CLIENT = {"agreements": 3.0, "contacts": 4.0, "surveys": 6.0, "ties": 1.0, "endings": 0.4}
INDUSTRIES, SERVICES = tuple(f"industry-{number:02d}" for number in range(20)), tuple(f"service-{number:02d}" for number in range(20))
SECOND = 1_000_000
ROWS_OF_A_CLIENT = 10**6  # more than any client has: keys stay apart
Random = np.random.Generator


def write_portfolio(folder: Path, n_events: int, n_clients: int, seed: int = 7) -> dict[str, int]:
    """Writes the files; row versions per table."""
    chance = np.random.default_rng(seed)
    shares = client_shares(chance, n_clients)
    written: dict[str, int] = {}
    with ExitStack() as files:
        writers: dict[str, pq.ParquetWriter] = {}

        def put(name: str, rows: pa.Table) -> None:
            if name not in writers:
                path = folder / f"{name}.parquet"
                writers[name] = files.enter_context(pq.ParquetWriter(path, arrow_schema(TABLES[name]), compression="zstd"))
            writers[name].write_table(rows, row_group_size=131_072)
            written[name] = written.get(name, 0) + len(rows)

        put("services", _services())
        put("industry_index", _index(chance))
        for first in range(0, n_clients, CLIENTS_AT_ONCE):
            block = Block(chance, first, shares[first : first + CLIENTS_AT_ONCE] * n_events, n_clients)
            for name, rows in block.tables():
                put(name, rows)
    return written


def _table(name: str, n: int, columns: dict[str, Any]) -> pa.Table:
    """A canonical table with these columns; the others are null."""
    schema = arrow_schema(TABLES[name])
    assert set(columns) <= set(schema.names), set(columns) - set(schema.names)
    return pa.table(
        [_cast(columns[field.name], field.type) if field.name in columns else pa.nulls(n, field.type) for field in schema], schema
    )


def _cast(values: Any, kind: pa.DataType) -> pa.Array:
    found = values if isinstance(values, pa.Array) else pa.array(values)
    return found.cast(pa.int32()).cast(kind) if pa.types.is_date(kind) else found.cast(kind)


def _clocks(versions: Versions) -> dict[str, Any]:
    return {
        "day": versions.day,
        "known": versions.known,
        "superseded": pa.array(versions.superseded, mask=versions.superseded < 0),
    }


def _services() -> pa.Table:
    n, weights = len(SERVICES), np.arange(len(SERVICES)) / (len(SERVICES) - 1)
    clocks = {"day": np.full(n, FIRST_DAY - 400), "known": np.full(n, FIRST_DAY - 400)}
    return _table("services", n, {"service_id": list(SERVICES), "name": list(SERVICES), "strategic_weight": weights} | clocks)


def _index(chance: Random) -> pa.Table:
    """A month of each industry, known seven weeks after it began."""
    months = np.array(month_starts(FIRST_DAY - 400, LAST_DAY))
    n = len(months) * len(INDUSTRIES)
    day, industry = np.tile(months, len(INDUSTRIES)), np.repeat(np.arange(len(INDUSTRIES)), len(months))
    columns = {"index_id": [f"{number}" for number in range(n)], "industry": pa.array(INDUSTRIES).take(pa.array(industry))}
    return _table("industry_index", n, columns | {"day": day, "known": day + 49, "value": 100 + chance.normal(0, 10, n)})


class Block:
    """Some clients' rows of every table."""

    def __init__(self, chance: Random, first: int, n_events: np.ndarray, n_clients: int) -> None:
        self._chance, self._first, self._n_events, self._n_clients = chance, first, n_events, n_clients
        self._n = len(n_events)
        self._names = pa.array(names_of(first, self._n))
        self._begins = first_days(chance, self._n)

    def tables(self) -> list[tuple[str, pa.Table]]:
        """(name, rows) of each; payments last, since they are of the block's invoices."""
        makers: dict[str, Callable[[Versions], dict[str, Any]]] = {
            "interactions": self._interactions,
            "work": self._work,
            "commitments": self._commitments,
            "agreements": self._agreements,
            "contacts": self._contacts,
            "surveys": self._surveys,
            "ties": self._ties,
            "endings": self._endings,
        }
        found = [("clients", self._clients())]
        for name, maker in makers.items():
            versions = self._drawn(name)
            found.append((name, _table(name, len(versions), self._common(name, versions) | maker(versions))))
        bills = self._drawn("invoices")
        found.append(("invoices", _table("invoices", len(bills), self._common("invoices", bills) | self._invoices(bills))))
        return [*found, ("payments", self._payments(bills))]

    def _drawn(self, name: str) -> Versions:
        mean = np.full(self._n, PER_CLIENT[name]) if name in PER_CLIENT else self._n_events * SHARES[name]
        return recorded(self._chance, *drawn_days(self._chance, self._begins, self._chance.poisson(mean)))

    def _common(self, name: str, versions: Versions) -> dict[str, Any]:
        key = {TABLES[name].key: self._keys(name, versions.row), "client_id": self._names.take(pa.array(versions.owner))}
        return key | _clocks(versions)

    def _keys(self, name: str, row: np.ndarray) -> pa.Array:
        number = pa.array(row + self._first * ROWS_OF_A_CLIENT).cast(pa.string())
        return pc.binary_join_element_wise(name[0], number, "-")

    def _of(self, n: int, *values: Any, shares: list[float] | None = None) -> pa.Array:
        return pa.array(values).take(pa.array(self._chance.choice(len(values), n, p=shares)))

    def _flags(self, n: int, share: float) -> np.ndarray:
        return self._chance.random(n) < share

    def _some(self, values: Any, share: float) -> pa.Array:
        """Null but for a share."""
        return pa.array(values, mask=~self._flags(len(values), share))

    def _after(self, day: np.ndarray, low: int, high: int) -> np.ndarray:
        return day + self._chance.integers(low, high, len(day))

    def _interactions(self, versions: Versions) -> dict[str, Any]:
        chance, n, row = self._chance, len(versions), versions.row
        owner = versions.owner[versions.is_first]
        n_rows = len(owner)
        answers = np.maximum(np.arange(n_rows) - chance.integers(1, 4, n_rows), 0)
        is_reply = self._flags(n_rows, 0.35) & (owner[answers] == owner) & (answers < np.arange(n_rows))
        is_inbound = self._flags(n_rows, 0.6)
        is_inbound[is_reply] = ~is_inbound[answers[is_reply]]  # now and then of a message that is turned round itself: then no answer
        at = np.where(self._flags(n, 0.85), chance.integers(8 * 3_600, 18 * 3_600, n), chance.integers(0, 86_400, n)) * SECOND
        assert at.max(initial=0) < DAY_US
        rare = (1 - 0.65) / (len(INTERACTION_KINDS) - 2)
        return {
            "channel": self._of(n, *CHANNELS),
            "direction": pa.array(["outbound", "inbound"]).take(pa.array(is_inbound[row].astype(np.int64))),
            "kind": self._of(n, *INTERACTION_KINDS, shares=[0.5, 0.15, *[rare] * (len(INTERACTION_KINDS) - 2)]),
            "duration_minutes": self._some(chance.integers(1, 90, n), 0.3),
            "reply_to": pc.if_else(pa.array(is_reply[row]), self._keys("interactions", answers[row]), None),
            "staff_id": self._of(n, *(f"staff-{number}" for number in range(20))),
            "deliverable_id": pc.if_else(pa.array(self._flags(n, 0.2)), self._keys("deliverables", row // 5), None),
            "tone": self._some(np.round(chance.uniform(-1, 1, n), 2), 0.1),
            "local_us": at,
        }

    def _work(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        return {
            "staff_id": self._of(n, *(f"staff-{number}" for number in range(20))),
            "duration_minutes": self._chance.integers(5, 240, n),
            "is_billable": self._flags(n, 0.8),
            "is_in_scope": self._flags(n, 0.9),
            "cost": self._chance.integers(500, 20_000, n),
            "currency": self._of(n, "EUR"),
            "invoice_id": self._of(n, "i0", None, shares=[0.8, 0.2]),
        }

    def _commitments(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        return {
            "owed_by": self._of(n, "us", "client", shares=[0.6, 0.4]),
            "kind": self._of(
                n, *("deliverable", "quote", "material", "task", "primary_goal", "appointment"), shares=[0.3, 0.2, 0.2, 0.18, 0.02, 0.1]
            ),
            "due_on": self._some(self._after(versions.day, 3, 40), 0.9),
            "done_on": self._some(self._after(versions.day, 1, 60), 0.85),
            "cancelled_on": self._some(self._after(versions.day, 1, 60), 0.05),
        }

    def _agreements(self, versions: Versions) -> dict[str, Any]:
        n, starts = len(versions), self._after(versions.day, 0, 30)
        return {
            "service": self._of(n, *SERVICES),
            "terms_sent_on": self._some(self._after(versions.day, 0, 30), 0.7),
            "starts_on": self._some(starts, 0.9),
            "ends_on": self._some(starts + 365, 0.7),
            "renews": self._flags(n, 0.5),
            "notice_days": np.full(n, 30),
            "monthly_value": self._chance.integers(1_000, 900_000, n),
            "currency": self._of(n, "EUR"),
            **{name: self._flags(n, 0.6) for name in ("has_scope", "has_service_hours", "has_delivery_time", "has_payment_terms")},
        }

    def _contacts(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        left = self._some(self._after(versions.day, 60, 900), 0.3)
        return {"role": self._of(n, "director", "buyer"), "is_decision_maker": self._flags(n, 0.4), "until_on": left}

    def _surveys(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        return {"kind": self._of(n, "nps", "csat", "staff_morale", "reputation"), "score": self._chance.integers(1, 6, n).astype(float)}

    def _ties(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        other = pa.array(names_of(0, self._n_clients)[self._chance.integers(0, self._n_clients, n)])
        until = self._some(self._after(versions.day, 60, 900), 0.1)
        return {"other_client_id": other, "kind": self._of(n, "referral", "ownership", "partner"), "until_on": until}

    def _endings(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        by = self._of(n, "client", "us", "mutual", "closed_down", "paused", shares=[0.6, 0.15, 0.1, 0.1, 0.05])
        return {"ended_by": by, "ended_on": self._after(versions.day, 0, 60), "reason": self._of(n, "fit", "price", "service", "other")}

    def _clients(self) -> pa.Table:
        n, chance = self._n, self._chance
        columns = {
            "client_id": self._names,
            "segment": self._of(n, "small", "medium", "large"),
            "industry": self._of(n, *INDUSTRIES),
            "country": self._of(n, "IL", "DE", "GR"),
            "started_on": self._begins,
            "account_owner": self._of(n, *(f"staff-{number}" for number in range(20))),
        }
        versions = recorded(chance, np.arange(n), self._begins.astype(np.int32))
        twice = pa.array(versions.row)
        return _table("clients", len(versions), {name: _take(values, twice) for name, values in columns.items()} | _clocks(versions))

    def _invoices(self, versions: Versions) -> dict[str, Any]:
        n = len(versions)
        amount = self._chance.integers(1_000, 900_000, n)
        return {
            "due_on": versions.day + 30,
            "amount": amount,
            "list_amount": self._some((amount * self._chance.uniform(1, 1.3, n)).astype(np.int64), 0.8),
            "currency": self._of(n, "EUR"),
            "disputed_on": self._some(self._after(versions.day, 5, 60), 0.03),
        }

    def _payments(self, bills: Versions) -> pa.Table:
        day, number = (
            bills.day[bills.is_first],
            np.flatnonzero(self._flags(int(bills.is_first.sum()), SHARES["payments"] / SHARES["invoices"])),
        )
        paid = recorded(self._chance, number, self._after(day[number], 5, 90).astype(np.int32))
        n = len(paid)
        keys = {"payment_id": self._keys("payments", paid.row), "invoice_id": self._keys("invoices", paid.owner)}
        return _table("payments", n, keys | {"amount": self._chance.integers(1_000, 900_000, n)} | _clocks(paid))


def _take(values: Any, places: pa.Array) -> pa.Array:
    return (values if isinstance(values, pa.Array) else pa.array(values)).take(places)

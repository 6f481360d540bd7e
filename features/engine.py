"""Canonical tables + measures -> the value of every measure for every client at every as_of, in batches of clients.

DuckDB reads a batch's rows and evaluates the row expressions (Ibis, compiled once); NumPy sums. A version's quantity is added at the
as_of where it enters and taken back where it leaves (features/time.py says which), then one running sum over as_ofs gives all windows
and states at once; late and amended rows need no special path, and the cost is O(rows + clients × as_ofs). Sums are integers, hence
exact: no value depends on the order of rows, the size of batches or the number of threads.

We chose NumPy sums over DuckDB's GROUP BY because that needs a row per edge (17 CPU s where this takes 10, on 10 M events and 60 columns;
tests/benchmarks/feature_engine.py). Row expressions stay Ibis and `Versions` is arrays in, arrays out per batch of clients, so another
engine can evaluate the former and map the latter.
"""

# ruff: noqa: S608  # the SQL is put together from names and quoted literals of our own

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.derived import DERIVED, MAKERS
from features.errors import UserError
from features.measures import Edge, Floats, Interval, Latest, Measure, Peer, Replay, RowValue, Seen
from features.time import NEVER, AsOfs, Ints, local_day

Tables = Mapping[str, Path | pa.Table]
BATCH_CLIENTS = 5_000  # bounds the memory; larger batches were not faster
THREADS = 2

CLOCKS = ("known", "superseded")
PLANS = frozenset({"due_on", "starts_on", "ends_on"})  # dates agreed in advance; every other date is a fact: an edge, never a value
EXACT_UP_TO = 2**53  # integers are exact in float64


@dataclass(frozen=True)
class Measured:
    """Measures of some clients at all as_ofs. `values[name]` has shape (clients, as_ofs): int64, or float64 with NaN = unknown."""

    clients: pa.Array
    as_ofs: AsOfs
    values: dict[str, Any] = field(repr=False)


def measure(
    tables: Tables,
    as_ofs: Iterable[int],
    measures: Sequence[Measure],
    *,
    clients: pa.Array | None = None,
    batch_clients: int = BATCH_CLIENTS,
    threads: int = THREADS,
) -> pd.DataFrame:
    """One row per client and as_of, sorted by both: client_id, as_of (local day), one column per measure.

    tables: canonical table -> its Parquet file (clustered by client_id, else it is slower) or an Arrow table of that schema.
    clients: whom to answer for (default: all that occur). Intervals are int64; the others float64, NaN = unknown.

    >>> from features.measures import last_day, window
    >>> calls = pa.table({"client_id": ["a", "a"], "day": [10, 40], "known": [10, 60], "superseded": pa.nulls(2, pa.int32())})
    >>> found = measure({"interactions": calls}, [50, 70], [*window("calls", "interactions", lambda r: r.day >= 0, 30),
    ...                                                     last_day("last_call", "interactions")])
    >>> found.to_dict("list")
    {'client_id': ['a', 'a'], 'as_of': [50, 70], 'calls_30': [0, 1], 'last_call': [10.0, 40.0]}
    """
    names = [name for m in measures for name in names_of(m)]
    nobody = {"client_id": pd.Series(dtype="str"), "as_of": np.empty(0, np.int64)} | dict.fromkeys(names, np.empty(0))
    parts = [
        pd.DataFrame(
            {
                "client_id": part.clients.take(np.repeat(np.arange(len(part.clients)), len(part.as_ofs))).to_pandas(),
                "as_of": np.tile(np.array(part.as_ofs.days, np.int64), len(part.clients)),
                **{name: value.ravel() for name, value in part.values.items()},
            }
        )
        for part in batches(tables, as_ofs, measures, clients=clients, batch_clients=batch_clients, threads=threads)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(nobody)


def batches(
    tables: Tables,
    as_ofs: Iterable[int],
    measures: Sequence[Measure],
    *,
    clients: pa.Array | None = None,
    batch_clients: int = BATCH_CLIENTS,
    threads: int = THREADS,
) -> Iterator[Measured]:
    """`measure` in batches of clients, in order of client_id: the memory needed is that of one batch."""
    _check(measures)
    looks = AsOfs(tuple(sorted({int(day) for day in as_ofs})))
    peers = [m for m in measures if isinstance(m, Peer)]
    with duckdb.connect() as con:
        store = Store(con, tables, threads)
        asked = store.clients() if clients is None else pc.unique(clients.cast(pa.string())).sort()
        totals = _peer_totals(store, looks, measures, peers, batch_clients) if peers else {}
        for part in _measured(store, looks, [m for m in measures if not isinstance(m, Peer)], asked, batch_clients):
            for peer in peers:
                part.values[peer.name] = totals[peer.name].of(_groups(part.values, peer, (len(part.clients), len(looks))))
            yield Measured(part.clients, looks, {name: part.values[name] for m in measures for name in names_of(m)})
            del part


def _measured(store: "Store", looks: AsOfs, measures: Sequence[Measure], clients: pa.Array, batch_clients: int) -> Iterator[Measured]:
    """All measures but peers."""
    queries = [TableQuery(store, name, measures) for name in _tables_of(measures)]
    for low in range(0, len(clients), batch_clients):
        some = clients.slice(low, batch_clients)
        values: dict[str, Any] = {}
        for query in queries:
            values |= query.measured(some, looks)
        yield Measured(some, looks, values)
        del values


def names_of(declared: Measure) -> tuple[str, ...]:
    """The columns a measure gives."""
    return declared.names if isinstance(declared, Replay) else (declared.name,)


# ---- the tables -----------------------------------------------------------------------------------------------------------------


class Store:
    """The tables of one run as DuckDB views, and their Ibis counterparts to write expressions on."""

    def __init__(self, con: duckdb.DuckDBPyConnection, tables: Tables, threads: int) -> None:
        con.execute(f"SET threads = {int(threads)}")
        con.execute("SET autoinstall_known_extensions = false")  # nothing is fetched at run time
        con.execute("SET preserve_insertion_order = false")
        self.con = con
        self._schemas: dict[str, pa.Schema] = {}
        for name, content in tables.items():
            self._offer(name, content)
        self._given = tuple(self._schemas)

    def _offer(self, name: str, content: Path | pa.Table) -> None:
        if isinstance(content, pa.Table):
            self.con.register(name, content)
            schema = content.schema
        else:
            self.con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet({_quoted(str(content))})")
            schema = pq.read_schema(content)
        missing = {"day", *CLOCKS} - set(schema.names)
        if missing:
            raise UserError(
                f"table {name}",
                found=f"no column {', '.join(sorted(missing))}",
                wanted="a canonical table with its clocks",
                cure="make it with `python -m pipeline.validate`",
            )
        self._schemas[name] = schema

    def relation(self, name: str) -> Any:
        """A table to write Ibis expressions on; a derived one is made once, when first asked for. Raises UserError if it is not there."""
        if name in DERIVED and name not in self._schemas and set(DERIVED[name]) <= set(self._schemas):
            made = MAKERS[name](*(self.relation(part) for part in DERIVED[name]))
            self.con.execute(f"CREATE TEMP TABLE {name} AS {_sql(made)}")
            self._schemas[name] = self.con.sql(f"SELECT * FROM {name} LIMIT 0").to_arrow_table().schema
        if name not in self._schemas:
            raise UserError(
                f"table {name}",
                found="a measure needs it",
                wanted=f"one of {', '.join(self._schemas)}",
                cure="leave the measure out, or add the table to the source",
            )
        return ibis.table({column.name: _ibis_type(column.type) for column in self._schemas[name]}, name=name)

    def clients(self) -> pa.Array:
        """Every client_id that occurs, sorted by its UTF-8 bytes."""
        of_clients = [name for name in self._given if "client_id" in self._schemas[name].names]
        if not of_clients:
            return pa.array([], pa.string())
        each = " UNION ".join(f"SELECT DISTINCT client_id::VARCHAR AS client_id FROM {name}" for name in of_clients)
        found = self.con.sql(f"SELECT client_id FROM ({each}) WHERE client_id IS NOT NULL ORDER BY 1").to_arrow_table()
        return found["client_id"].combine_chunks().cast(pa.string())


class Rows:
    """What a row expression may use of a table: its values, `day`, `local_us`, and plan dates as local days."""

    def __init__(self, name: str, relation: Any) -> None:
        self._name, self._relation = name, relation

    def __getitem__(self, column: str) -> Any:
        if column not in self._relation.columns or column in CLOCKS or self._is_fact(column):
            usable = [c for c in self._relation.columns if c not in CLOCKS and not self._is_fact(c)]
            why = "a clock" if column in CLOCKS else "a date that comes true" if column in self._relation.columns else "no such column"
            raise UserError(
                f"row expression on {self._name}",
                found=f"{column} ({why})",
                wanted=f"one of {', '.join(usable)}",
                cure="a date that comes true can only be a measure's since or until",
            )
        return local_day(self._relation[column]) if column in PLANS else self._relation[column]

    def __contains__(self, column: str) -> bool:
        return column in self._relation.columns

    def __getattr__(self, column: str) -> Any:
        if column.startswith("_"):
            raise AttributeError(column)
        return self[column]

    def _is_fact(self, column: str) -> bool:
        return bool(self._relation[column].type().is_temporal()) and column not in PLANS


# ---- one table's query ----------------------------------------------------------------------------------------------------------


class TableQuery:
    """All measures of one table: one SELECT per batch gives each version's client number, days and values; then NumPy.

    Equal row expressions of several measures are evaluated once.
    """

    def __init__(self, store: Store, table: str, measures: Sequence[Measure]) -> None:
        self._store, self.table = store, table
        self._measures = [m for m in measures if not isinstance(m, Peer) and m.table == table]
        self._relation = store.relation(table)
        self._rows = Rows(table, self._relation)
        self._values: dict[Any, tuple[str, Any]] = {}  # the expression's operation -> (column, expression)
        self._names = {id(m): self._columns_of(m) for m in self._measures}
        self._days = self._edge_columns()
        self._texts = {column: self._all_texts(value) for column, value in self._values.values() if value.type().is_string()}
        self._flags = {column for column, value in self._values.values() if value.type().is_boolean()}

    def _columns_of(self, declared: Measure) -> dict[str, str]:
        """The measure's row expressions -> names of the query's columns."""
        if isinstance(declared, Interval):
            return {"value": self._column(declared, declared.value)}
        if isinstance(declared, Latest):
            where = declared.where(self._rows)
            if declared.value is None:
                return {"where": self._column(declared, lambda _: where)}
            value = declared.value(self._rows)
            return {
                "where": self._column(declared, lambda _: where & value.notnull()),
                "value": self._column(declared, lambda _: value),
            }
        assert isinstance(declared, Replay)  # names_of and _check leave no other
        return {"where": self._column(declared, declared.where)} | {
            name: self._column(declared, value) for name, value in declared.values.items()
        }

    def _column(self, declared: Measure, expression: RowValue) -> str:
        value = expression(self._rows)
        kind = value.type()
        if not (kind.is_boolean() or kind.is_integer() or kind.is_string()):
            raise UserError(
                f"measure {', '.join(names_of(declared))} on {self.table}",
                found=f"a row value of type {kind}",
                wanted="a flag, an integer or a text: sums must be exact",
                cure="round it to an integer of a smaller unit",
            )
        return self._values.setdefault(value.op(), (f"value_{len(self._values)}", value))[0]

    def _edges(self) -> set[Edge]:
        edges: set[Edge] = set()
        for declared in self._measures:
            if isinstance(declared, Interval):
                edges |= {declared.since, *declared.until}
            elif isinstance(declared, Latest):
                edges.add(declared.since)
        return edges

    def _edge_columns(self) -> list[str]:
        columns = {edge.column for edge in self._edges()} | {"day"}
        unknown = {column for column in columns if column != "day" and not self._is_date(column)}
        if unknown:
            raise UserError(
                f"measures on {self.table}",
                found=f"an edge at {', '.join(sorted(unknown))}",
                wanted="a date column of the table",
                cure="correct since or until",
            )
        early = sorted(edge.column for edge in self._edges() if edge.plus_days < 0 and edge.column not in PLANS)
        if early:
            raise UserError(
                f"measures on {self.table}",
                found=f"an edge before {early[0]}",
                wanted="days after it, or a plan date",
                cure="what comes true later cannot be counted before it has",
            )
        return sorted(columns)

    def _is_date(self, column: str) -> bool:
        return column in self._relation.columns and bool(self._relation[column].type().is_date())

    def _all_texts(self, value: Any) -> pa.Array:
        """Every text of a text expression, sorted: its code is its place here, from 1 (0 = null)."""
        found = self._store.con.sql(_sql(self._relation.select(text=value).distinct().order_by("text"))).to_arrow_table()
        return found["text"].combine_chunks().drop_null()

    @cached_property
    def _select(self) -> str:
        relation = self._relation
        return _sql(
            relation.select(
                "client_id",
                known=relation.known.cast("int32"),
                superseded=relation.superseded.cast("int32").fill_null(NEVER),
                **{f"on_{column}": local_day(relation[column]).fill_null(NEVER) for column in self._days},
                **{name: _filled(value) for name, value in self._values.values()},
            )
        )

    def measured(self, clients: pa.Array, looks: AsOfs) -> dict[str, Any]:
        """measure name -> array of shape (clients, as_ofs)."""
        versions = Versions(self._fetch(clients), len(clients), looks)
        found: dict[str, Any] = {}
        for declared in self._measures:
            columns = self._names[id(declared)]
            if isinstance(declared, Interval):
                found[declared.name] = versions.interval(columns["value"], declared.since, declared.until)
            elif isinstance(declared, Latest):
                found[declared.name] = versions.latest(columns, declared.since, is_largest=declared.is_largest)
            elif isinstance(declared, Replay):
                found |= versions.replayed(columns, declared)
        return found

    def _fetch(self, clients: pa.Array) -> dict[str, Any]:
        """The batch's row versions as columns; `client` is the client's number within the batch."""
        con = self._store.con
        con.register("batch", pa.table({"client_id": clients, "client": pa.array(np.arange(len(clients), dtype=np.int32))}))
        low, high = _quoted(clients[0].as_py()), _quoted(clients[-1].as_py())  # literals: Parquet row groups of other clients are skipped
        rows = con.sql(
            f"SELECT batch.client, versions.* EXCLUDE (client_id) FROM ({self._select}) AS versions JOIN batch USING (client_id)"
            f" WHERE versions.client_id BETWEEN {low} AND {high}"
        ).to_arrow_table()
        con.unregister("batch")
        return {name: self._as_numbers(name, rows[name]) for name in rows.column_names}

    def _as_numbers(self, name: str, column: pa.ChunkedArray) -> Any:
        if name not in self._texts:  # DuckDB may give an integer in a byte, where Ibis knows it as int64; only flags may be bytes
            numbers = column.to_numpy()
            return numbers.astype(np.int64) if numbers.dtype == np.int8 and name not in self._flags else numbers
        codes = pc.index_in(column, value_set=self._texts[name].cast(column.type))
        return pc.add(codes, 1).fill_null(0).to_numpy().astype(np.int64)


def _filled(value: Any) -> Any:
    """Null counts nothing; flags as one byte."""
    kind = value.type()
    return value if kind.is_string() else value.fill_null(False).cast("int8") if kind.is_boolean() else value.fill_null(0).cast("int64")


# ---- sums -----------------------------------------------------------------------------------------------------------------------


class Versions:
    """One batch of row versions of one table, and what they add up to at each as_of. What several measures share is computed once.

    `columns`: client (number within the batch), known, superseded, on_<date column> (local days; NEVER = none), value_<n>.
    A cell is client × as_of index, with one more index for "after them all".
    """

    def __init__(self, columns: dict[str, Any], n_clients: int, looks: AsOfs) -> None:
        self._columns, self._n_clients, self._looks = columns, n_clients, looks
        self._width = len(looks) + 1
        self._first_cell = columns["client"].astype(np.int64) * self._width
        self._shared: dict[Any, Any] = {}

    def interval(self, value: str, since: Edge, until: tuple[Edge, ...]) -> Ints:
        """Integer sums, shape (clients, as_ofs)."""
        change = self._sum(value, since, None) - self._sum(value, since, until)
        return change.reshape(self._n_clients, self._width)[:, :-1].cumsum(axis=1)

    def latest(self, columns: dict[str, str], since: Edge, *, is_largest: bool) -> Floats:
        """Running maximum of what is never superseded; a superseded version is laid over just the as_ofs that see it.

        A running maximum over all versions would keep a value that an amendment has since lowered.
        """
        marked = self._where(columns["where"])
        value = self._columns[columns["value"]][marked] if "value" in columns else self._day(since)[marked].astype(np.int64)
        score = value if is_largest else -value
        enter, leave = self._index(since, None)[marked], self._index(since, ())[marked]
        first_cell = self._first_cell[marked]
        nothing = np.iinfo(np.int64).min
        best = np.full(self._n_clients * self._width, nothing)
        stays = leave == len(self._looks)
        np.maximum.at(best, (first_cell + enter)[stays], score[stays])
        best = np.maximum.accumulate(best.reshape(self._n_clients, self._width), axis=1).ravel()
        length = (leave - enter)[~stays]
        cells = np.repeat((first_cell + enter)[~stays] - (length.cumsum() - length), length) + np.arange(length.sum())
        np.maximum.at(best, cells, np.repeat(score[~stays], length))
        best = best.reshape(self._n_clients, self._width)[:, :-1]
        return np.where(best == nothing, np.nan, best if is_largest else -best)

    def replayed(self, columns: dict[str, str], declared: Replay) -> dict[str, Floats]:
        """The declared replay at each as_of, over the versions seen there; name -> shape (clients, as_ofs)."""
        marked = self._where(columns["where"])
        day, client = self._columns["on_day"][marked].astype(np.int64), self._columns["client"][marked].astype(np.int64)
        values = {name: self._columns[columns[name]][marked] for name in declared.values}
        enter, leave = self._index(Edge(), None)[marked], self._index(Edge(), ())[marked]
        order = np.lexsort((*reversed(values.values()), day, client))  # by the values last: rows of a day have no other order
        day, client, enter, leave = day[order], client[order], enter[order], leave[order]
        values = {name: value[order] for name, value in values.items()}
        found = {name: np.full((self._n_clients, len(self._looks)), np.nan) for name in declared.names}
        for index, as_of in enumerate(self._looks.days):
            is_seen = (enter <= index) & (leave > index)
            seen = Seen(as_of, self._n_clients, client[is_seen], day[is_seen], {name: value[is_seen] for name, value in values.items()})
            for name, result in zip(declared.names, declared.replay(seen), strict=True):
                found[name][:, index] = result
        return found

    def _day(self, edge: Edge) -> Ints:
        days: Ints = self._columns[f"on_{edge.column}"]
        return days + np.int32(edge.plus_days) if edge.plus_days else days

    def _where(self, value: str) -> Ints:
        """Places of the rows whose value is not zero: most flags are rare, so sums go over these only."""
        if ("where", value) not in self._shared:
            self._shared["where", value] = np.flatnonzero(self._columns[value])
        places: Ints = self._shared["where", value]
        return places

    def _begins(self, since: Edge) -> Ints:
        if ("begins", since) not in self._shared:
            columns = self._columns
            self._shared["begins", since] = self._looks.begins(self._day(since), columns["on_day"], columns["known"])
        begins: Ints = self._shared["begins", since]
        return begins

    def _index(self, since: Edge, until: tuple[Edge, ...] | None) -> Ints:
        """Index of the as_of at which each version enters (until None) or leaves."""
        if (since, until) not in self._shared:
            begins = self._begins(since)
            end: Any = np.int32(NEVER)
            for edge in until or ():
                end = np.minimum(end, self._day(edge))
            day = begins if until is None else self._looks.ends(begins, end, self._columns["superseded"])
            self._shared[since, until] = self._looks.after(day)
        index: Ints = self._shared[since, until]
        return index

    def _sum(self, value: str, since: Edge, until: tuple[Edge, ...] | None) -> Ints:
        """Exact sums of a value per cell of the entering (until None) or leaving as_of."""
        if ("sum", value, since, until) not in self._shared:
            places = self._where(value)
            cells = (self._first_cell + self._index(since, until))[places]
            self._shared["sum", value, since, until] = exact_sums(cells, self._columns[value][places], self._n_clients * self._width)
        sums: Ints = self._shared["sum", value, since, until]
        return sums


def exact_sums(cells: Ints, values: Any, n_cells: int) -> Ints:
    """Integer sum of values per cell. bincount adds in float64, which is exact as long as no partial sum can pass 2^53."""
    if values.dtype == np.int8:  # a flag: every value here is one
        return np.bincount(cells, minlength=n_cells)
    if np.abs(values.astype(np.float64)).sum() < EXACT_UP_TO:
        return np.bincount(cells, values, n_cells).astype(np.int64)
    sums = np.zeros(n_cells, np.int64)
    np.add.at(sums, cells, values)
    return sums


# ---- peers ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupTotals:
    """One measure's totals per group: groups in ascending order of their code, totals of shape (groups, as_ofs)."""

    groups: Ints
    totals: Ints

    def of(self, groups: Ints) -> Ints:
        """Each cell's group total, for group codes of shape (clients, as_ofs); 0 for a group that no one is in."""
        n_groups, n_as_ofs = len(self.groups), groups.shape[1]
        rows = np.searchsorted(self.groups, groups)
        rows[~np.isin(groups, self.groups)] = n_groups
        totals = np.vstack([self.totals.reshape(n_groups, n_as_ofs), np.zeros((1, n_as_ofs), np.int64)])
        found: Ints = totals[rows, np.arange(n_as_ofs)]
        return found


def _groups(values: dict[str, Any], peer: Peer, shape: tuple[int, int]) -> Ints:
    codes: Ints = values[peer.by] if peer.by else np.zeros(shape, np.int64)
    return codes


def _peer_totals(
    store: Store, looks: AsOfs, measures: Sequence[Measure], peers: Sequence[Peer], batch_clients: int
) -> dict[str, GroupTotals]:
    """First pass over everyone: sums of integers, so neither batches nor the clients asked for change them."""
    compared = {name for peer in peers for name in (peer.of, peer.by)}
    sums: dict[str, dict[int, Ints]] = {peer.name: {} for peer in peers}
    for part in _measured(store, looks, [m for m in measures if names_of(m)[0] in compared], store.clients(), batch_clients):
        for peer in peers:
            value = part.values[peer.of]
            codes = _groups(part.values, peer, value.shape)
            for code in np.unique(codes):
                total = np.where(codes == code, value, 0).sum(axis=0)
                sums[peer.name][int(code)] = sums[peer.name].get(int(code), 0) + total
    return {
        name: GroupTotals(np.array(sorted(found), np.int64), np.array([found[code] for code in sorted(found)], np.int64))
        for name, found in sums.items()
    }


# ---- small parts ----------------------------------------------------------------------------------------------------------------


def _tables_of(measures: Sequence[Measure]) -> list[str]:
    return sorted({m.table for m in measures if not isinstance(m, Peer)})


def _check(measures: Sequence[Measure]) -> None:
    """Raises UserError for a repeated name, something that is no measure, or a peer of something that is no interval measure."""
    names = [name for m in measures for name in names_of(m)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError("measures", found=f"{', '.join(repeated)} twice", wanted="each name once", cure="rename one of them")
    intervals = {m.name for m in measures if isinstance(m, Interval)}
    for peer in measures:
        if isinstance(peer, Peer) and not {peer.of, peer.by or peer.of} <= intervals:
            raise UserError(
                f"peer measure {peer.name}",
                found=f"of {peer.of} by {peer.by}",
                wanted="names of interval measures, since only integer sums are the same in any order",
                cure="declare them beside it",
            )


def _ibis_type(arrow: pa.DataType) -> str:
    """Arrow's name of a type -> Ibis's; what a canonical file cannot hold raises KeyError."""
    if pa.types.is_timestamp(arrow):
        return "timestamp('UTC')"
    names = {"string": "string", "large_string": "string", "date32[day]": "date", "bool": "boolean", "double": "float64", "null": "null"}
    return str(arrow) if pa.types.is_integer(arrow) else names[str(arrow)]


def _sql(expression: Any) -> str:
    return str(ibis.to_sql(expression, dialect="duckdb"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""What a signal is: one file of this package with a module-level SIGNAL, found by scanning; and canonical tables + signals -> features.

A signal declares its statements (DOCUMENTS.md), tables, measures and columns; each column its unit, what it means, what an empty history
gives, the direction of risk per target, and the words for it. Features come out as one row per snapshot of float64 columns, NaN = unknown.
A signal whose tables are not there is unavailable; a column that needs a further table that is not there is left out. Nothing else changes.

Column values are made of + − × ÷ and square roots only: these are exactly rounded, so a value does not depend on its place in a batch,
and features at scoring equal those at training bit for bit.
"""

import importlib
import pkgutil
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import features as package
from features.derived import DERIVED
from features.engine import BATCH_CLIENTS, THREADS, Measured, Tables, batches, names_of
from features.errors import UserError
from features.measures import Floats, Measure, Peer
from features.rates import exchanged
from features.time import AsOfs, age_days

Direction = Literal[-1, 0, 1]
TABLES = frozenset(
    (
        *("clients", "contacts", "interactions", "agreements", "commitments", "invoices", "payments", "work", "surveys"),
        *("reviews", "actions", "endings", "ties", "services", "industry_index", "rates", *DERIVED),
    )
)


@dataclass(frozen=True)
class Business:
    """What the source says of the business: when it works, in which currency, and which interactions show a relationship to be alive.

    working_days: Monday = 0; holidays: local days; service hours in minutes from local midnight, [opens, closes).
    qualifying: column -> the values that qualify, all columns at once; empty = every interaction does.
    """

    working_days: tuple[int, ...]
    opens_minute: int
    closes_minute: int
    holidays: tuple[int, ...]
    currency: str
    qualifying: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)

    def qualifies(self, rows: Any) -> Any:
        """Row expression: whether an interaction shows the relationship to be alive."""
        flag = rows["day"].notnull()
        for column, values in self.qualifying.items():
            flag = flag & rows[column].isin(list(values))
        return flag.fill_null(False)

    def money(self, rows: Any, column: str = "amount") -> Any:
        """Row expression: an amount in minor units of the business's currency; one that is unrated counts nothing."""
        if "rate" in rows:
            return exchanged(rows[column], rows["rate"]).fill_null(0)
        return self.is_unrated(rows).ifelse(0, rows[column])

    def is_unrated(self, rows: Any) -> Any:
        """Row expression: whether the row's amounts are in another currency of which no rate is known (features/rates.py)."""
        return rows["rate"].isnull() if "rate" in rows else rows["currency"].fill_null(self.currency) != self.currency


class View:
    """What a column's function sees: measures by name as float64 arrays of shape (clients, as_ofs)."""

    def __init__(self, signal: str, measured: Measured) -> None:
        self._signal, self._measured = signal, measured
        self._floats: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._floats:
            value = self._measured.values.get(_scoped(self._signal, name))
            if value is None:
                raise NotMeasuredError(name)
            self._floats[name] = value.astype(np.float64)
        return self._floats[name]

    @property
    def as_of(self) -> Floats:
        """The as_ofs as local days, shape (as_ofs,)."""
        return np.array(self._measured.as_ofs.days, np.float64)

    def days_since(self, name: str) -> Floats:
        """Days from a `latest` day to as_of: 1 = the day before."""
        found: Floats = age_days(self[name], self.as_of)
        return found


class NotMeasuredError(KeyError):
    """A column asks for a measure whose table the source does not have."""


@dataclass(frozen=True)
class Column:
    """One feature.

    value: a measure's name, or a function of the View. empty: what no history at all gives; None = unknown (NaN).
    churn, misfit: +1 = a larger value never lowers that risk, −1 = never raises it, 0 = not constrained.
    raises, lowers: the sentence where it raises or lowers the risk; format strings on column names, e.g. "{recency_days:.0f} days". Every
    number in it is a plain fact of the client's history: a smoothed value is not spoken, its column's words give the counts behind it.
    yardstick: what the sentences measure the value by, where it is not the portfolio's usual value: 0 for a change, 1 for a ratio to the
    client's usual; a sentence is left out where the value lies on its other side, or (unless 0) at it.
    """

    name: str
    value: str | Callable[[View], Floats]
    unit: str
    description: str
    empty: float | None
    churn: Direction = 0
    misfit: Direction = 0
    raises: str = ""
    lowers: str = ""
    yardstick: float | None = None

    def of(self, view: View) -> Floats:
        """The column's values, shape (clients, as_ofs)."""
        found: Floats = view[self.value] if isinstance(self.value, str) else self.value(view)
        return found


@dataclass(frozen=True)
class Signal:
    """One sign that the documents name. `tables` it cannot do without; `also`: tables that some of its columns need."""

    name: str
    title: str
    statements: tuple[str, ...]
    tables: tuple[str, ...]
    measures: Callable[[Business], Sequence[Measure]]
    columns: tuple[Column, ...]
    also: tuple[str, ...] = ()

    def missing(self, given: Sequence[str]) -> list[str]:
        """The tables it cannot do without that are not there."""
        return [name for table in self.tables for name in DERIVED.get(table, (table,)) if name not in given]


def discovered() -> tuple[Signal, ...]:
    """Every signal of the package, in order of name. Raises UserError for a bad declaration."""
    modules = [importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    signals = tuple(module.SIGNAL for module in modules if hasattr(module, "SIGNAL"))
    for module in modules:
        if hasattr(module, "SIGNAL") and module.SIGNAL.name != module.__name__.rpartition(".")[2]:
            raise _fault(module.SIGNAL, f"name {module.SIGNAL.name} in {module.__name__}", "the file's name", "rename one of them")
    check(signals)
    return signals


def check(signals: Sequence[Signal]) -> None:
    """Raises UserError for an unknown table, a column declared twice, or a sentence on a column that the signal does not have."""
    owner: dict[str, str] = {}
    for signal in signals:
        unknown = sorted({*signal.tables, *signal.also} - TABLES)
        if unknown:
            raise _fault(signal, f"table {', '.join(unknown)}", f"one of {', '.join(sorted(TABLES))}", "correct the signal's tables")
        if not signal.statements or not signal.tables or not signal.columns:
            raise _fault(signal, "no statements, no tables or no columns", "at least one of each", "declare them")
        own = {column.name for column in signal.columns}
        for column in signal.columns:
            if column.name in owner:
                raise _fault(signal, f"column {column.name}, declared by {owner[column.name]} too", "each name once", "rename one of them")
            owner[column.name] = signal.name
            if {column.churn, column.misfit} - {-1, 0, 1}:
                raise _fault(signal, f"a direction of {column.name} that is no sign", "-1, 0 or 1", "correct churn or misfit")
            for sentence in (column.raises, column.lowers):
                strange = sorted(set(columns_in(sentence)) - own)
                if strange:
                    raise _fault(signal, f"a sentence of {column.name} on {strange[0]}", f"one of {', '.join(sorted(own))}", "correct it")


def columns_in(sentence: str) -> list[str]:
    """The columns that a sentence speaks of."""
    return [name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None]


def spoken(sentence: str, values: Mapping[str, float]) -> str | None:
    """The sentence with a snapshot's values; None where there is no sentence or a value it needs is unknown.

    >>> spoken("Silent for {recency_days:.0f} days.", {"recency_days": 12.0})
    'Silent for 12 days.'
    """
    if not sentence or any(not np.isfinite(values[name]) for name in columns_in(sentence)):
        return None
    return sentence.format_map(values)


@dataclass(frozen=True)
class Features:
    """What came out. frame: client_id, as_of (local day), float64 columns; sorted; one row per snapshot.

    columns: (signal's name, column) in the frame's order. unavailable: signal's name -> the tables it lacks. left_out: column ->
    (signal's name, the tables it lacks), of signals that are otherwise available.
    """

    frame: pd.DataFrame
    columns: tuple[tuple[str, Column], ...]
    signals: tuple[Signal, ...]
    unavailable: dict[str, list[str]]
    left_out: dict[str, tuple[str, list[str]]]


def features(
    tables: Tables,
    snapshots: pd.DataFrame,
    business: Business,
    signals: Sequence[Signal] | None = None,
    *,
    batch_clients: int = BATCH_CLIENTS,
    threads: int = THREADS,
) -> Features:
    """The features of each snapshot (client_id, as_of as a local day), sorted by both.

    A row depends on the tables, its client and its as_of alone: not on which other snapshots are asked for, batches or threads.
    """
    signals = discovered() if signals is None else tuple(signals)
    check(signals)
    unavailable = {signal.name: missing for signal in signals if (missing := signal.missing(tuple(tables)))}
    available = tuple(signal for signal in signals if signal.name not in unavailable)
    measures = [m for signal in available for m in _measures(signal, business, tables)]
    columns, left_out = _columns(available, measures, business, tables)
    clients = pc.unique(pa.array(snapshots["client_id"], pa.string())).sort()
    number = pc.index_in(pa.array(snapshots["client_id"], pa.string()), value_set=clients).to_numpy()
    in_order = np.lexsort((snapshots["as_of"].to_numpy(), number))
    asked, number = snapshots[["client_id", "as_of"]].iloc[in_order].reset_index(drop=True), number[in_order]
    looks = sorted(set(asked["as_of"]))
    place = pd.Index(looks).get_indexer(asked["as_of"])
    values = np.empty((len(asked), len(columns)), order="F")
    done = 0
    for part in batches(tables, looks, measures, clients=clients, batch_clients=batch_clients, threads=threads) if looks else ():
        rows = slice(*np.searchsorted(number, [done, done + len(part.clients)]))
        views = {signal.name: View(signal.name, part) for signal in available}
        for column_number, (signal_name, column) in enumerate(columns):
            values[rows, column_number] = column.of(views[signal_name])[number[rows] - done, place[rows]]
        done += len(part.clients)
        del part, views
    infinite = [column.name for at, (_, column) in enumerate(columns) if np.isinf(values[:, at]).any()]
    if infinite:
        raise UserError("features", found=f"infinite values of {infinite[0]}", wanted="numbers, or NaN", cure="guard its division by zero")
    frame = pd.concat([asked, pd.DataFrame(values, columns=[column.name for _, column in columns], copy=False)], axis=1)
    return Features(frame, columns, available, unavailable, left_out)


def _measures(signal: Signal, business: Business, tables: Tables) -> list[Measure]:
    """The signal's measures whose tables are there, under names of its own; a peer whose grouping is not there is over everyone."""
    given = {table for table in TABLES if all(name in tables for name in DERIVED.get(table, (table,)))}
    kept: list[Measure] = []
    for declared in signal.measures(business):
        if not isinstance(declared, Peer) and declared.table not in {*signal.tables, *signal.also}:
            raise _fault(
                signal, f"a measure on {declared.table}", f"one of {', '.join((*signal.tables, *signal.also))}", "add it to tables or also"
            )
        if not isinstance(declared, Peer) and declared.table in given:
            kept.append(_renamed(signal, declared))
    there = {name for m in kept for name in names_of(m)}
    for declared in signal.measures(business):
        if isinstance(declared, Peer) and _scoped(signal.name, declared.of) in there:
            by = _scoped(signal.name, declared.by or "")
            kept.append(Peer(_scoped(signal.name, declared.name), _scoped(signal.name, declared.of), by if by in there else None))
    return kept


def _renamed(signal: Signal, declared: Any) -> Measure:
    if hasattr(declared, "names"):
        return replace(declared, names=tuple(_scoped(signal.name, name) for name in declared.names))  # type: ignore[no-any-return]
    return replace(declared, name=_scoped(signal.name, declared.name))  # type: ignore[no-any-return]


def _scoped(signal: str, name: str) -> str:
    return f"{signal}.{name}"


def _columns(
    available: Sequence[Signal], measures: Sequence[Measure], business: Business, tables: Tables
) -> tuple[tuple[tuple[str, Column], ...], dict[str, tuple[str, list[str]]]]:
    """The columns that can be computed, found by trying each on no clients; and the others with the tables they lack."""
    nobody = Measured(pa.array([], pa.string()), AsOfs((0,)), {name: np.zeros((0, 1)) for m in measures for name in names_of(m)})
    kept: list[tuple[str, Column]] = []
    left_out: dict[str, tuple[str, list[str]]] = {}
    for signal in available:
        declared = signal.measures(business)
        table_of = {name: m.table for m in declared if not isinstance(m, Peer) for name in names_of(m)}
        table_of |= {m.name: table_of[m.of] for m in declared if isinstance(m, Peer) and m.of in table_of}
        for column in signal.columns:
            try:
                column.of(View(signal.name, nobody))
            except NotMeasuredError as lack:
                measured = str(lack.args[0])
                if measured not in table_of:
                    raise _fault(signal, f"column {column.name} of measure {measured}", "a measure it declares", "correct one") from lack
                table = table_of[measured]
                left_out[column.name] = (signal.name, [name for name in DERIVED.get(table, (table,)) if name not in tables])
            else:
                kept.append((signal.name, column))
    return tuple(kept), left_out


def _fault(signal: Signal, found: str, wanted: str, cure: str) -> UserError:
    return UserError(f"signal {signal.name}", found=found, wanted=wanted, cure=cure)

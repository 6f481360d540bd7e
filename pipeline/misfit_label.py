"""Canonical tables + eligible snapshots -> who proved a misfit in the outcome window: one row per client and as_of; and the rules to beat.

    misfit.parquet        client_id, as_of, label, outcome: as churn.parquet; no row where there is no label
    misfit_rules.parquet  client_id, as_of, same_rule, thin_margin, costly (1 met, 0 not, null unknown), as was known at as_of: what a model
                          must beat; same_rule is the label's own rule on the last window of the same length
    misfit.json           basis: marked, economics or policy (models/misfit.py), why it is in force, and what was frozen for it

Outcomes are judged in hindsight, in sums of the newest version of every row; rules by the tables' two clocks. Both go through one function,
`looks_back`: what a day's window held is what was known on that day, less the same totals so many days earlier.

The threshold of effort is a quantile over the snapshots that the model of the final test learns from, so that no outcome of the test is in
it; a rolling origin is judged by the same threshold, which is later than it: of the effort of a portfolio, not of any client's outcome.
What a minute costs is what it cost the whole portfolio in the very window that is judged, so that no amount outside it moves a label.

By the books a stretch is judged only if invoices and work were both kept all through it, and only of a client invoiced often enough that
its revenue can be expected there: else it is unpriced, or whoever pays for a year in advance would be a misfit for three quarters of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.contract import Business
from features.derived import DERIVED
from features.economics import MINOR_UNITS, Rates, account, between, minute_cost, totals
from features.engine import Measured, Tables, batches
from features.errors import UserError
from features.measures import Edge, Floats, Interval, Measure, Peer, rhythm, sequence, state
from features.ratios import share
from features.time import NEVER, days_to_next, in_retrospect, to_date
from models.misfit import (
    AGAINST,
    BASES,
    COSTLY,
    DISPUTED,
    ECONOMICS,
    ENDED_BY,
    FOR,
    IMMATURE,
    LABELS,
    LEFT_EARLY,
    LEFT_IN_GAP,
    MARKED,
    MISFIT,
    MONTH_DAYS,
    NO_MISFIT,
    POLICY,
    PRACTICE_SHARE,
    QUARTER_DAYS,
    REASON,
    SAME_RULE,
    THIN_MARGIN,
    UNPRICED,
)
from models.splits import held_out
from pipeline.rates import is_rated, with_rate
from pipeline.source import Source
from pipeline.tables import read_parquet

if TYPE_CHECKING:
    from pipeline.label import Outcomes

SCHEMA = pa.schema([("client_id", pa.string()), ("as_of", pa.date32()), ("label", pa.int8()), ("outcome", pa.string())])
RULES = (SAME_RULE, THIN_MARGIN, COSTLY)
RULES_SCHEMA = pa.schema([("client_id", pa.string()), ("as_of", pa.date32()), *((name, pa.int8()) for name in RULES)])
TABLES = tuple(table for basis in BASES.values() for table in basis.tables)
WIDTH = 90  # columns of a terminal that nobody has made wider
KEPT_SLACK_DAYS = {"invoices": 45, "work": 14}  # after the last row: invoices come after the month; holidays, and sheets filled in late
PAID_BY = ("cost", "minutes", "uncosted")  # totals over everybody, from which a minute's cost is told

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Totals = Mapping[int, Mapping[str, Ints]]  # days back -> total's name -> per row, what it was so many days before the row's day


@dataclass(frozen=True)
class Facts:
    """misfit.json. The floor is in minor units of the source's currency; what the basis does not use is null."""

    basis: str
    why: str
    n_marked_clients: int
    contribution_floor_per_day_minor: float | None
    hours_per_day_threshold: float | None
    threshold_from: dict[str, str] | None  # first and last as_of it was frozen on
    missing_tables: list[str]
    assumption: str


@dataclass(frozen=True)
class Labelled:
    """The files' contents: label (SCHEMA), rules (RULES_SCHEMA), facts."""

    label: pa.Table
    rules: pa.Table
    facts: Facts

    def facts_json(self) -> dict[str, Any]:
        return asdict(self.facts)


@dataclass(frozen=True)
class Asked:
    """The eligible snapshots in their order, and what the label stage found of them. observed_days: of the outcome window."""

    rows: pa.Table
    as_of: Ints
    is_immature: Flags
    left_in_gap: Flags
    observed_days: Ints

    @property
    def is_judged(self) -> Flags:
        return ~self.is_immature & ~self.left_in_gap


@dataclass(frozen=True)
class Account:
    """Per row, of one window: what features/economics.py's `account` gives, whether its books were kept all through it (else nothing of it
    can be told), and whether its money can be told too.
    """

    values: Mapping[str, Floats]
    is_kept: Flags
    is_priced: Flags

    def per_day(self, name: str, days: Ints) -> Floats:
        """A value per day; NaN over no day."""
        return share(self.values[name], days.astype(np.float64))


@dataclass(frozen=True)
class Threshold:
    """Hours per observed active day above which a client takes more than most, and the as_ofs it was frozen on."""

    hours_per_day: float
    first: int
    last: int


def labelled(eligible: "Outcomes", tables: Mapping[str, Path], source: Source) -> Labelled:
    """The misfit labels, rules and facts. eligible: what became of the eligible snapshots at the main horizon (pipeline/label.py).

    Raises UserError where `misfit.basis` insists on a basis that cannot be had.
    """
    asked = _asked(eligible, tables, source)
    books = Books(tables, source)
    marks = _outcomes_by_marks(asked, _hindsight(tables, MARKS), source) if any(name in tables for name in MARKS) else None
    n_marked = 0 if marks is None else len(pc.unique(asked.rows.filter(pa.array(marks == MISFIT))["client_id"]))
    lack = books.lack()
    wanted = source.settings.misfit.basis
    by_books = None
    if not lack and (wanted == ECONOMICS or (wanted == "auto" and n_marked < source.settings.misfit.marked_clients_at_least)):
        by_books = _by_books(asked, books, source)
        lack = "" if by_books else "no as_of was judged before the final test begins, on which to freeze the threshold of effort"
    basis, why = _basis(n_marked, lack, source)
    outcome = {MARKED: marks, ECONOMICS: by_books[0] if by_books else None, POLICY: None}[basis]
    threshold = by_books[1] if by_books and basis == ECONOMICS else None
    facts = Facts(
        basis=basis,
        why=why,
        n_marked_clients=n_marked,
        contribution_floor_per_day_minor=_floor(source) if threshold else None,
        hours_per_day_threshold=threshold.hours_per_day if threshold else None,
        threshold_from={"first": str(to_date(threshold.first)), "last": str(to_date(threshold.last))} if threshold else None,
        missing_tables=[name for name in TABLES if name not in tables],
        assumption=BASES[basis].assumption,
    )
    if outcome is None:
        return Labelled(SCHEMA.empty_table(), RULES_SCHEMA.empty_table(), facts)
    return Labelled(_label_table(asked, outcome), _rules_table(asked, _rules(asked, tables, books, threshold, source)), facts)


def _basis(n_marked: int, lack: str, source: Source) -> tuple[str, str]:
    """The basis in force and why. lack: why there are no economics; empty where there are."""
    knobs = source.settings.misfit
    least, clients = knobs.marked_clients_at_least, f"{n_marked} clients are marked by people" if n_marked != 1 else "1 client is marked"
    if knobs.basis != "auto":
        _check_insisted(knobs.basis, n_marked, lack)
        return knobs.basis, f"misfit.basis insists on it; {clients}"
    if n_marked >= least:
        return MARKED, f"{clients}, at least {least} wanted"
    if not lack:
        return ECONOMICS, f"{clients}, fewer than {least}, and invoices and work tell what each brings and costs"
    if n_marked:
        return MARKED, f"{clients}, fewer than {least}, but there is nothing else: {lack}"
    return POLICY, f"no client is marked by people, and there are no economics: {lack}"


def _check_insisted(basis: str, n_marked: int, lack: str) -> None:
    if basis == MARKED and not n_marked:
        raise UserError(
            "params.yaml (misfit.basis)",
            found="marked, but no client was marked in any outcome window that has passed",
            wanted=f"endings with ended_by {ENDED_BY} and reason {REASON}, or reviews with verdict {AGAINST}",
            cure="record them (`make review-list` asks for reviews), or set misfit.basis: auto",
        )
    if basis == ECONOMICS and lack:
        raise UserError(
            "params.yaml (misfit.basis)",
            found=f"economics, but {lack}",
            wanted="invoices and work, with a cost of work, and a history to freeze the threshold of effort on",
            cure="bring what is missing, or set misfit.basis: auto",
        )


def told(found: Labelled) -> Iterator[str]:
    """The basis in force, how many proved misfits, and what is taken for granted; in words, within WIDTH columns."""
    for paragraph in _paragraphs(found):
        yield from wrap(paragraph, WIDTH, subsequent_indent="  ")


def _paragraphs(found: Labelled) -> Iterator[str]:
    facts, counts = found.facts, {row["values"]: row["counts"] for row in pc.value_counts(found.label["outcome"]).to_pylist()}
    parts = ", ".join(f"{counts[name]:,} {name}" for name in LABELS if name in counts)
    misfits = len(pc.unique(found.label.filter(pc.equal(found.label["outcome"], MISFIT))["client_id"]))
    counted = f"{parts}; {misfits:,} distinct clients proved misfits" if parts else "no label, hence no model"
    yield f"misfit, basis {facts.basis}: {counted}; in force since {facts.why}"
    if facts.threshold_from is not None and facts.contribution_floor_per_day_minor is not None:
        floor, frozen = facts.contribution_floor_per_day_minor / MINOR_UNITS, facts.threshold_from
        yield (
            f"  a misfit brings less than {floor:,.2f} a day after its cost and takes more than {facts.hours_per_day_threshold:.3f} hours a"
            f" day (frozen on as_ofs {frozen['first']} to {frozen['last']})"
        )
    yield f"  {facts.assumption}"


# ---- the snapshots asked of -------------------------------------------------------------------------------------------------------


def _asked(eligible: "Outcomes", tables: Mapping[str, Path], source: Source) -> Asked:
    as_of = eligible.rows["as_of"].cast(pa.int32()).to_numpy().astype(np.int64)
    return Asked(
        eligible.rows,
        as_of,
        eligible.is_immature[:, 0],
        eligible.left_in_gap[:, 0],
        _observed_days(eligible.rows["client_id"], as_of + source.settings.time.gap_days, tables, source.settings.time.horizon_days),
    )


def _observed_days(client: pa.ChunkedArray, begins: Ints, tables: Mapping[str, Path], horizon_days: int) -> Ints:
    """Days of the outcome window until the client's next ending took effect; an ending without an end date took effect when decided."""
    if "endings" not in tables:
        return np.full(len(begins), horizon_days, np.int64)
    endings = in_retrospect(read_parquet(tables["endings"]), NEVER)
    ended = pc.coalesce(endings["ended_on"].cast(pa.int32()), endings["day"].cast(pa.int32()))
    clients = pc.unique(pa.chunked_array([*client.chunks, *endings["client_id"].chunks], pa.string()))
    of_ending, of_row = (pc.index_in(ids, clients).to_numpy().astype(np.int64) for ids in (endings["client_id"], client))
    return np.minimum(days_to_next(of_ending, ended.to_numpy().astype(np.int64), of_row, begins), horizon_days)


def _hindsight(tables: Mapping[str, Path], wanted: Sequence[str]) -> dict[str, pa.Table]:
    """The newest version of every row, as if known from its day on: what really happened. All of them, since equal sums are two sums."""
    return {name: in_retrospect(read_parquet(tables[name]), NEVER) for name in wanted if name in tables}


# ---- windows ------------------------------------------------------------------------------------------------------------------------


def looks_back(tables: Tables, totals_ever: Sequence[Interval], asked: Asked, until: Ints, days_back: Sequence[int]) -> Totals:
    """Running totals as they stood so many days before each row's `until`, from what is known at `until`: exact by both clocks.

    What has happened n days before `until` has happened once n more days have passed: each total is measured anew with its beginning put
    off by n days. totals_ever: intervals without an end. Of those in PAID_BY the total over everybody is given too, as `all <name>`.
    """
    lagged: list[Measure] = [part for back in days_back for one in totals_ever for part in _put_off(one, back)]
    names = [one.name for one in totals_ever]
    shared = [name for name in names if name in PAID_BY]
    lagged += [Peer(_back(f"all {name}", back), _back(name, back)) for back in days_back for name in shared]
    found = {back: {name: np.zeros(len(until), np.int64) for name in (*names, *(f"all {name}" for name in shared))} for back in days_back}
    for part, mine, cells in _parts(tables, lagged, asked, until):
        for back in days_back:
            for name, values in found[back].items():
                values[mine] = part.values[_back(name, back)][cells]
                if _not_yet(name, back) in part.values:
                    values[mine] -= part.values[_not_yet(name, back)][cells]
    return found


def _parts(
    tables: Tables, measures: Sequence[Measure], asked: Asked, until: Ints
) -> Iterator[tuple[Measured, npt.NDArray[np.intp], tuple[Ints, Ints]]]:
    """The measures at each row's `until`, in batches of clients: (batch, numbers of its rows, their cells in the batch's arrays)."""
    clients = pc.unique(asked.rows["client_id"]).sort()
    client, looks = pc.index_in(asked.rows["client_id"], clients).to_numpy(), np.unique(until)
    place, first = np.searchsorted(looks, until), 0
    for part in batches(tables, looks.tolist(), measures, clients=clients) if len(until) else ():
        mine = np.flatnonzero((client >= first) & (client < first + len(part.clients)))
        yield part, mine, (client[mine] - first, place[mine])
        first += len(part.clients)


def _put_off(total: Interval, days: int) -> Iterator[Interval]:
    """The total so many days late; and, where it is not the row's own day that it begins with, what of it had not happened by then."""
    begins = Edge(total.since.column, total.since.plus_days + days)
    yield replace(total, name=_back(total.name, days), since=begins)
    if total.since != Edge():
        yield replace(total, name=_not_yet(total.name, days), since=begins, until=(Edge(plus_days=days),))


def _back(name: str, days: int) -> str:
    return f"{name}, {days} days back"


def _not_yet(name: str, days: int) -> str:
    return f"{name}, not yet {days} days back"


# ---- marked -------------------------------------------------------------------------------------------------------------------------

MARKS = BASES[MARKED].tables


def _marks(tables: Tables) -> list[Interval]:
    """Running counts of what marks a misfit."""
    declared = [
        state("ended_for_fit", "endings", lambda rows: (rows["ended_by"] == ENDED_BY) & (rows["reason"] == REASON)),
        state("against", "reviews", lambda rows: rows["verdict"] == AGAINST),
        state("in_favour", "reviews", lambda rows: rows["verdict"] == FOR),
    ]
    return [one for one in declared if one.table in tables]


def _marked(tables: Tables, asked: Asked, until: Ints, days: int) -> tuple[Flags, Flags]:
    """(marked, disputed) in the so many days before each row's `until`."""
    given = {name: tables[name] for name in MARKS if name in tables}
    looked, nothing = looks_back(given, _marks(given), asked, until, (0, days)), np.zeros(len(until), np.int64)
    ended, against, in_favour = (
        looked[0].get(name, nothing) - looked[days].get(name, nothing) for name in ("ended_for_fit", "against", "in_favour")
    )
    return (ended > 0) | (against > in_favour), (against > 0) & (against == in_favour)


def _outcomes_by_marks(asked: Asked, hindsight: Tables, source: Source) -> npt.NDArray[np.object_]:
    """The outcome of each row, by what people said of it in its window."""
    time = source.settings.time
    is_marked, is_disputed = _marked(hindsight, asked, asked.as_of + time.gap_days + time.horizon_days, time.horizon_days)
    return _first(
        {
            IMMATURE: asked.is_immature,
            LEFT_IN_GAP: asked.left_in_gap,
            MISFIT: is_marked,
            DISPUTED: is_disputed,
            LEFT_EARLY: _left_early(asked, source),
        }
    )


def _left_early(asked: Asked, source: Source) -> Flags:
    return asked.observed_days / source.settings.time.horizon_days < source.settings.misfit.observed_share_at_least


def _first(conditions: Mapping[str, Flags]) -> npt.NDArray[np.object_]:
    """Per row the first outcome that holds, else no misfit."""
    return np.select(list(conditions.values()), list(conditions), NO_MISFIT).astype(object)


# ---- economics ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Books:
    """Invoices, payments and work of a source, and what its clients' accounts are made of."""

    tables: Mapping[str, Path]
    source: Source

    @property
    def names(self) -> list[str]:
        return [name for name in ("invoices", "payments", "work") if name in self.tables]

    @property
    def known(self) -> dict[str, Path]:
        """The tables as they are, with both clocks."""
        return {name: self.tables[name] for name in self.names}

    @property
    def hindsight(self) -> dict[str, pa.Table]:
        return _hindsight(self.tables, self.names)

    @cached_property
    def kept(self) -> dict[str, tuple[int, int]]:
        """Table -> the first and the last day (with the slack) of which it tells, in hindsight; (0, −1) where it has no row."""
        found = {}
        for name, slack_days in KEPT_SLACK_DAYS.items():
            days = in_retrospect(read_parquet(self.tables[name], ["day", "known", "superseded"]), NEVER)["day"]
            found[name] = (pc.min(days).as_py(), pc.max(days).as_py() + slack_days) if len(days) else (0, -1)
        return found

    def _is_kept(self, until: Ints, begin: int, end: int) -> Flags:
        """Whether the days from `begin` to `end` days before each row's `until` lie within those that invoices and work tell of."""
        first, last = max(first for first, _ in self.kept.values()), min(last for _, last in self.kept.values())
        flags: Flags = (until - begin >= first) & (until - end <= last + 1)
        return flags

    def _is_regular(self, tables: Tables, asked: Asked, until: Ints) -> Flags:
        """Whether the client's usual gap between days of invoices, of all before each row's `until`, is within the horizon."""
        flags = np.zeros(len(until), bool)
        for part, mine, cells in _parts(tables, [sequence(("invoice_days", "usual_gap"), "invoices", rhythm)], asked, until):
            flags[mine] = part.values["usual_gap"][cells] <= self.source.settings.time.horizon_days  # NaN, of fewer than two, is not
        return flags

    def lack(self) -> str:
        """Why contribution after cost to serve cannot be told, with what would cure it; empty where it can."""
        missing = [name for name in BASES[ECONOMICS].tables if name not in self.tables]
        if missing:
            return f"the source has no {' and no '.join(missing)}"
        empty = [name for name, (first, last) in self.kept.items() if first > last]
        if empty:
            return f"there is not one row of {' or of '.join(empty)}"
        business = self.source.business
        invoices, work = self.tables["invoices"], self.tables["work"]
        if not pc.any(is_rated(read_parquet(invoices, with_rate(invoices, "currency")), business)).as_py():
            return f"no invoice is in {business.currency}, the source's currency, and of no other is a rate known"
        costs = read_parquet(work, with_rate(work, "cost", "currency"))
        has_cost = pc.any(pc.and_(is_rated(costs, business), pc.fill_null(pc.greater(costs["cost"], 0), False))).as_py()
        if not has_cost and self.source.settings.economics.hourly_cost is None:
            return "no time entry has a cost, and economics.hourly_cost is not set"
        return ""

    def accounts(self, tables: Tables, asked: Asked, until: Ints, windows: Mapping[str, tuple[int, int]]) -> dict[str, Account]:
        """windows: name -> (begin, end) in days before each row's `until`. A minute costs what it cost everybody in the longest of them."""
        given = {*tables, *(name for name, parts in DERIVED.items() if set(parts) <= set(tables))}
        days_back = sorted({day for window in windows.values() for day in window})
        looked = looks_back(tables, _money(self.source.business, given), asked, until, days_back)
        longest = max(windows.values(), key=lambda window: window[0] - window[1])
        a_minute = minute_cost(
            *((looked[longest[1]][f"all {name}"] - looked[longest[0]][f"all {name}"]).astype(np.float64) for name in PAID_BY)
        )
        is_regular = self._is_regular(tables, asked, until)
        return {
            name: self._account(
                between(looked[begin], looked[end], until - begin, until - end),
                until,
                a_minute,
                self._is_kept(until, begin, end),
                is_regular,
            )
            for name, (begin, end) in windows.items()
        }

    def _account(self, added: Mapping[str, Floats], until: Ints, a_minute: Floats, is_kept: Flags, is_regular: Flags) -> Account:
        """Rates are of a day, hence a day at a time."""
        values: dict[str, Floats] = {}
        for day in np.unique(until):
            there = until == day
            rates = Rates.of(self.source.settings.economics, float(a_minute[there][0]))
            for name, of_day in account({name: column[there] for name, column in added.items()}, rates).items():
                values.setdefault(name, np.full(len(until), np.nan))[there] = of_day
        return Account(values, is_kept, is_kept & is_regular & np.isfinite(values["contribution"]) & (added["foreign"] == 0))


def _money(business: Business, given: set[str]) -> list[Interval]:
    """The running totals that the tables allow, and the number of invoices of which no rate is known."""
    foreign = state("foreign", "invoices", business.is_unrated)
    return [one for one in (*totals(business), foreign) if one.table in given]


def _floor(source: Source) -> float:
    return source.settings.misfit.contribution_floor_per_day * MINOR_UNITS


def _by_books(asked: Asked, books: Books, source: Source) -> tuple[npt.NDArray[np.object_], Threshold] | None:
    """The outcome of each row by what it brought and took in its window, and the threshold; None where there is nothing to freeze it on."""
    time = source.settings.time
    window = {"outcome": (time.horizon_days, 0)}
    found = books.accounts(books.hindsight, asked, asked.as_of + time.gap_days + time.horizon_days, window)["outcome"]
    is_short = _left_early(asked, source)
    threshold = _frozen(asked, found, asked.is_judged & ~is_short & found.is_kept, source)
    if threshold is None:
        return None
    outcome = _first(
        {
            IMMATURE: asked.is_immature,
            LEFT_IN_GAP: asked.left_in_gap,
            LEFT_EARLY: is_short,
            UNPRICED: ~found.is_priced,
            MISFIT: _is_burden(found, asked.observed_days, threshold, source),
        }
    )
    return outcome, threshold


def _frozen(asked: Asked, found: Account, usable: Flags, source: Source) -> Threshold | None:
    """Of the hours of all clients, priced or not; None where none is priced."""
    learns, _ = held_out(
        np.unique(asked.as_of[usable]).tolist(), calendar=source.settings.time.calendar, test_periods=source.settings.train.test_periods
    )
    chosen = usable & np.isin(asked.as_of, list(learns))
    if not (chosen & found.is_priced).any():
        return None
    hours = found.per_day("hours", asked.observed_days)[chosen]
    return Threshold(float(np.quantile(hours, source.settings.misfit.effort_quantile)), min(learns), max(learns))


def _is_burden(found: Account, days: Ints, threshold: Threshold, source: Source) -> Flags:
    """Below the floor and above the threshold, per day; what is not known is neither."""
    is_burden: Flags = (found.per_day("contribution", days) < _floor(source)) & (found.per_day("hours", days) > threshold.hours_per_day)
    return is_burden


# ---- rules to beat --------------------------------------------------------------------------------------------------------------------


def _rules(
    asked: Asked, tables: Mapping[str, Path], books: Books, threshold: Threshold | None, source: Source
) -> dict[str, npt.NDArray[np.int8]]:
    """Rule -> 1 met, 0 not met, −1 unknown, per row, from what was known at its as_of."""
    horizon_days = source.settings.time.horizon_days
    found = dict.fromkeys(RULES, np.full(len(asked.as_of), -1, np.int8))
    if threshold is None:
        found[SAME_RULE] = _marked(tables, asked, asked.as_of, horizon_days)[0].astype(np.int8)
    if books.lack():
        return found
    windows = {
        "last": (horizon_days, 0),
        "quarter": (QUARTER_DAYS, 0),
        "month": (MONTH_DAYS, 0),
        "month_before": (2 * MONTH_DAYS, MONTH_DAYS),
    }
    accounts = books.accounts(books.known, asked, asked.as_of, windows)
    months, quarter = (accounts["month"], accounts["month_before"]), accounts["quarter"]
    is_thin = [month.values["margin"] < PRACTICE_SHARE for month in months]
    found[THIN_MARGIN] = _rule(is_thin[0] & is_thin[1], months[0].is_priced & months[1].is_priced)
    is_costly = quarter.values["cost_to_serve"] > PRACTICE_SHARE * np.maximum(quarter.values["revenue"], 0)
    found[COSTLY] = _rule(is_costly, quarter.is_priced)
    if threshold is not None:
        tenure = asked.rows["tenure_days"].to_numpy(zero_copy_only=False).astype(np.int64)
        last = accounts["last"]
        found[SAME_RULE] = _rule(_is_burden(last, np.minimum(tenure, horizon_days), threshold, source), last.is_priced)
    return found


def _rule(is_met: Flags, is_known: Flags) -> npt.NDArray[np.int8]:
    return np.where(is_known, is_met, -1).astype(np.int8)


# ---- tables -----------------------------------------------------------------------------------------------------------------------------


def _label_table(asked: Asked, outcome: npt.NDArray[np.object_]) -> pa.Table:
    label = np.array([-1 if (value := LABELS[name]) is None else value for name in outcome], np.int8)
    columns = [asked.rows["client_id"], asked.rows["as_of"], pa.array(label, mask=label < 0), pa.array(outcome, pa.string())]
    return pa.table(columns, schema=SCHEMA).combine_chunks()


def _rules_table(asked: Asked, rules: Mapping[str, npt.NDArray[np.int8]]) -> pa.Table:
    met = [pa.array(rules[name], mask=rules[name] < 0) for name in RULES]
    return pa.table([asked.rows["client_id"], asked.rows["as_of"], *met], schema=RULES_SCHEMA).combine_chunks()

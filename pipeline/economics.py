"""Canonical tables + clients + a day -> each client's account and the portfolio's, as known at that day (A4, B0, D4, D5, D10).

What a client brings and costs per window, what stands open at the day, whom it brought; the whale curve (clients from the most to the least
profitable, cumulated), concentration, and the what-if without a client. Nothing is written here.

The portfolio is that of the clients asked for: those with us. Only what an hour costs is reckoned over everyone's time entries, since it is
the staff's, not the client's. What cannot be said is null, and `missing` names the table or knob that would cure it.

Amounts in other currencies are converted at the rate of their day, a payment at that of its invoice (features/rates.py). Without a rate
they count nothing, and `missing` says how many and how much. What a client with such an invoice brings in a window is unknown, not nought;
the portfolio's figures are those of the other clients, and `missing` says how many are left out.

Invoices or work of which no row is known by the day are as good as not there: nobody has kept those books.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.contract import Business
from features.derived import DERIVED
from features.economics import MINOR_UNITS, OVERDUE, Rates, account, between, margin, minute_cost, totals, uncosted_minutes, work_cost
from features.engine import measure
from features.errors import UserError
from features.measures import Interval, every_row, state
from features.ratios import share
from features.time import age_days, in_retrospect, in_window, to_date
from pipeline.rates import is_rated, unrated_by_currency
from pipeline.snapshot import canonical_tables
from pipeline.source import Source
from pipeline.tables import read_parquet

YEAR = 365  # days
DOUBTED_SHARE = 0.5  # of the clients at a loss, above which the books are likelier to be wrong than so many clients
WINDOWS = {"90": (90, 0), "365": (YEAR, 0), "365_before": (2 * YEAR, YEAR)}  # name -> days before the day at which it begins and ends
TOPS = (1, 5, 10, 20)  # percent of the clients, the largest, whose weight is told
TABLES = ("clients", "invoices", "payments", "work", "ties")
MONEY = {"invoices": "amount", "work": "cost"}  # what is left out for want of a rate is told of these
UNBILLED = ("unbilled_minutes", "unbilled_cost")
BY_WORK = ("work_cost", "cost_to_serve", "contribution", "margin")  # what cannot be known without the cost of work
BY_INVOICES = ("revenue", "discount", "financing_cost", "contribution", "margin")  # what an invoice without a rate makes unknown
# table and column -> what cannot be known where no row has it, though a sum would be 0
TELLING = {
    ("invoices", "due_on"): ("financing_cost", "overdue_balance"),
    ("invoices", "disputed_on"): ("dispute_cost",),
    ("invoices", "list_amount"): ("discount",),
    ("work", "is_billable"): UNBILLED,
    ("work", "invoice_id"): UNBILLED,
}
TOTALS_OF = {
    "financing_cost": OVERDUE,
    "dispute_cost": ("disputes",),
    "discount": ("discount",),
    "unbilled_cost": (*UNBILLED, "unbilled_uncosted"),
}
NEEDS = {  # tables -> what cannot be known without any of them
    ("invoices",): ("revenue", "discount", "dispute_cost", "contribution", "margin"),
    ("invoices", "payments"): ("financing_cost", "open_balance", "overdue_balance"),
    ("work",): ("hours", "work_cost", "cost_to_serve", "contribution", "margin", *UNBILLED),
}

_ACCOUNT_MONEY = ("revenue", "work_cost", "dispute_cost", "financing_cost", "discount", "cost_to_serve", "contribution")
_STANDING_MONEY = ("open_balance", "overdue_balance", "unbilled_cost", "referral_contribution")
SCHEMA = pa.schema(
    [
        ("client_id", pa.string()),
        ("window", pa.string()),  # 90, 365: the days before `until`; 365_before: the year before that year
        ("since", pa.date32()),
        ("until", pa.date32()),  # the first day that is not counted
        *((name, pa.int64()) for name in _ACCOUNT_MONEY),  # minor units of the source's currency, of the window
        ("hours", pa.float64()),
        ("margin", pa.float64()),  # contribution over the larger of revenue and cost to serve, −1..1
        ("revenue_share", pa.float64()),  # of the portfolio's; null where that is not above 0
        ("contribution_share", pa.float64()),
        ("hours_share", pa.float64()),
        *((name, pa.int64()) for name in _STANDING_MONEY),  # as of the day: the same on each of a client's rows
        ("unbilled_minutes", pa.int64()),
        ("referred", pa.list_(pa.string())),  # clients with us that came through it
        ("neighbours", pa.list_(pa.string())),  # clients with us that are tied to it in any way, either way round
    ]
)


@dataclass(frozen=True)
class Economics:
    """What came out. Money: whole minor units of the source's currency as float64, NaN = unknown.

    day: what was known before it counts. clients: one row per client_id and window ("90", "365": the last so many days; "365_before": the
    year before the last), sorted: revenue, hours, work_cost, dispute_cost, financing_cost, discount (given away; no part of the cost),
    cost_to_serve, contribution, margin, and its shares of the portfolio's revenue and contribution (of the clients of which they are known)
    and hours (of all). Financing that is unknown is no part of the cost.
    standing: one row per client_id: open_balance (below 0 = it has paid ahead), overdue_balance, unbilled_minutes and unbilled_cost (of
    billable time entries with no invoice; no table says what they would be billed at), referred (ids of clients with us that came through
    it) and referral_contribution (theirs of the last 365 days), neighbours (ids of those tied to it in any way).
    whale: rank, client_id, contribution and cumulative of the last 365 days, the most profitable first; of the clients whose it is known.
    portfolio: as portfolio_json() gives it. missing: what cannot be said -> why, and which table, column or knob would cure it.
    """

    day: int
    clients: pd.DataFrame
    standing: pd.DataFrame
    whale: pd.DataFrame
    portfolio: dict[str, Any]
    missing: dict[str, str]

    @property
    def is_doubted(self) -> bool:
        """Whether most clients cost more than they bring: then the books or all prices are to be asked before any one client."""
        return len(self.whale) > 1 and float((self.whale["contribution"] < 0).mean()) > DOUBTED_SHARE

    def as_table(self) -> pa.Table:
        """SCHEMA: one row per client and window; money in integer minor units, null where unknown."""
        rows = self.clients.merge(self.standing, on="client_id", validate="many_to_one")
        days = {name: (self.day - begins, self.day - ends) for name, (begins, ends) in WINDOWS.items()}
        rows["since"] = [to_date(days[name][0]) for name in rows["window"]]
        rows["until"] = [to_date(days[name][1]) for name in rows["window"]]
        return pa.table([_column(rows[field.name], field.type) for field in SCHEMA], schema=SCHEMA)

    def portfolio_json(self) -> dict[str, Any]:
        """The portfolio, ready for JSON: null where unknown; money in integer minor units, shares 0..1."""
        return {**self.portfolio, "missing": self.missing}


def economics(validated: Path, source: Source, clients: Sequence[str], day: int) -> Economics:
    """The accounts of the clients with us at `day`, as known then.

    validated: the folder of canonical tables. A client that occurs in none of them has an account of zeros.
    """
    paths = canonical_tables(validated)
    tables = {name: in_retrospect(read_parquet(paths[name]), day) for name in TABLES if name in paths}
    mine = pd.Index(pc.unique(pa.array(clients, pa.string())).sort().to_pylist(), dtype="str", name="client_id")
    empty = {name for name in MONEY if name in tables and not tables[name].num_rows}
    tables = {name: rows for name, rows in tables.items() if name not in empty}
    measures, missing = _measurable(tables, empty, source.business)
    looks = _looks(tables, day, measures)
    rates, hour = _rates(looks, source)
    unlogged = _unlogged(looks, day)
    unrated = _unknown_rate(rates, tables)
    accounts = {name: _account(looks, mine, day, window, rates, [*unrated, *unlogged.get(name, ())]) for name, window in WINDOWS.items()}
    abroad = {name: int(_is_foreign(looks, mine, day, window).sum()) for name, window in WINDOWS.items()}
    unbilled = {name: int(_is_unbilled(looks, mine, day, window).sum()) for name, window in WINDOWS.items()}
    year, ties = accounts["365"], _ties(tables, day)
    whale = _whale(year["contribution"])
    reuse = _reuse(year, source)
    portfolio = {
        "day": str(to_date(day)),
        "currency": source.business.currency,
        "n_clients": len(mine),
        "totals": {name: _totals(found, ~_is_unpriced(looks, mine, day, WINDOWS[name])) for name, found in accounts.items()},
        "hour": hour | reuse,
        "whale": _peak(whale, year["contribution"]),
        "concentration": {name: _concentration(year[name]) for name in ("revenue", "contribution")},
    }
    missing |= _said_of(unlogged) | unrated | _left_out(tables, source.business, day) | _short(tables, day) | _no_shares(portfolio)
    missing |= _no_reuse(hour | reuse)
    missing |= _said_unpriced("clients invoiced in other currencies", abroad, len(mine))
    missing |= _said_unpriced("clients worked for of whom no invoice is on record (check the ids on invoices)", unbilled, len(mine))
    if ties is None:
        missing |= dict.fromkeys(("referred", "referral_contribution", "neighbours"), "needs the table ties, or clients with referred_by")
    rows = pd.concat([found.assign(window=name).reset_index() for name, found in accounts.items()])
    rows = rows.sort_values(["client_id", "window"], ignore_index=True)
    standing = _standing(looks[day], mine, year["contribution"], ties, rates)
    return Economics(day, rows, standing, whale, portfolio, missing)


def without(economics: Economics, client_id: str) -> dict[str, Any]:
    """What would be lost and freed without a client (A4, B0), judged by its last 365 days; ready for JSON, null = unknown.

    revenue, contribution, revenue_share, contribution_share: lost a year. hours: freed a year; reuse: what they earn elsewhere a year, the
    contribution of the portfolio's average hour × economics.reuse_share. idle_cost: of the hours that find no other work, were the staff
    kept all the same; in no other figure, since contribution takes it that cost ends with the client. pays_back: at once (it brings nothing
    now), later, never or unknown; pays_back_days: days from the end until what the hours earn, from economics.reuse_after_days on, makes up
    for all that was lost (null = never, or unknown). referred: clients with us that came through it, each with its contribution; in no
    figure above.

    Raises UserError for a client that is not in the portfolio.
    """
    year = economics.clients.loc[economics.clients["window"] == str(YEAR)].set_index("client_id")
    if client_id not in year.index:
        raise UserError(
            f"what-if without {client_id}",
            found="no such client in the portfolio",
            wanted=f"one of its {economics.portfolio['n_clients']:,} clients",
            cure="ask for a client that is with us at that day",
        )
    hour: dict[str, Any] = economics.portfolio["hour"]
    own: dict[Any, Any] = year.loc[client_id].to_dict()
    brings: dict[Any, float] = year["contribution"].to_dict()
    a_reused_hour = np.nan if hour["reuse_value"] is None else hour["reuse_value"]
    lost, reuse = float(own["contribution"]), float(np.rint(own["hours"] * a_reused_hour))
    how, days = _payback(lost, reuse, hour["reuse_after_days"])
    referred: list[str] | None = economics.standing.set_index("client_id")["referred"].to_dict()[client_id]
    return {
        **{name: _whole(own[name]) for name in ("revenue", "contribution")},
        **{name: _number(own[name]) for name in ("revenue_share", "contribution_share", "hours")},
        "reuse": _whole(reuse),
        "idle_cost": _whole(own["work_cost"] * (1 - hour["reuse_share"])),
        "pays_back": how,
        "pays_back_days": days,
        "referred": None if referred is None else [{"client_id": other, "contribution": _whole(brings[other])} for other in referred],
    }


def _payback(lost: float, reuse: float, reuse_after_days: int) -> tuple[str, int | None]:
    """(how, days) for yearly amounts: t days after the end lost × t has gone and reuse × (t − reuse_after_days) come in.

    >>> _payback(100.0, 333.0, 60), _payback(100.0, 100.0, 60), _payback(-1.0, 0.0, 60)
    (('later', 86), ('never', None), ('at once', 0))
    """
    if np.isnan(lost) or (lost > 0 and np.isnan(reuse)):
        return "unknown", None
    if lost <= 0:
        return "at once", 0
    return ("later", ceil(reuse * reuse_after_days / (reuse - lost))) if reuse > lost else ("never", None)


# ---- measures ---------------------------------------------------------------------------------------------------------------------


def _measures(business: Business) -> list[Interval]:
    """The totals, what was settled, invoices without a rate (amounts summed as they are: 0 = settled) and what is not billed yet."""

    def unbilled(rows: Any) -> Any:
        return (rows.is_billable & rows.invoice_id.isnull()).fill_null(False)

    return [
        *totals(business),
        state("settled", "settlements", business.money),
        state("invoices", "invoices", every_row),
        state("foreign", "invoices", business.is_unrated),
        state("foreign_amount", "invoices", lambda rows: business.is_unrated(rows).ifelse(rows.amount, 0)),
        state("foreign_settled", "settlements", lambda rows: business.is_unrated(rows).ifelse(rows.amount, 0)),
        state("unbilled_minutes", "work", lambda rows: unbilled(rows).ifelse(rows.duration_minutes, 0)),
        state("unbilled_cost", "work", lambda rows: unbilled(rows).ifelse(business.money(rows, "cost"), 0)),
        state("unbilled_uncosted", "work", lambda rows: unbilled(rows).ifelse(uncosted_minutes(rows, business), 0)),
    ]


def _measurable(tables: Mapping[str, pa.Table], empty: Collection[str], business: Business) -> tuple[list[Interval], dict[str, str]]:
    """The measures that these tables can give, and columns that they cannot -> why, and what would cure it. empty: tables without a row."""
    missing = {
        name: f"needs the table{'s' if len(needed) > 1 else ''} {' and '.join(needed)}{_without_rows(needed, empty)}{_uncounted(name)}"
        for needed, names in NEEDS.items()
        for name in names
        if not set(needed) <= set(tables)
    }
    silent: set[str] = set()
    for (table, column), names in TELLING.items():
        if table in tables and tables[table][column].null_count == tables[table].num_rows:
            missing |= {
                name: f"no row of {table} has a value of {column}: map that column{_uncounted(name)}"
                for name in names
                if name not in missing
            }
            silent |= {total for name in names for total in TOTALS_OF.get(name, ())}
    given = [m for m in _measures(business) if set(DERIVED.get(m.table, (m.table,))) <= set(tables) and m.name not in silent]
    return given, missing


def _without_rows(needed: Sequence[str], empty: Collection[str]) -> str:
    found = [name for name in needed if name in empty]
    return f" (no row of {' and '.join(found)} is known by the day)" if found else ""


def _uncounted(name: str) -> str:
    return "; until then the cost to serve counts nothing for it" if name in ("dispute_cost", "financing_cost") else ""


def _looks(tables: Mapping[str, pa.Table], day: int, measures: Sequence[Interval]) -> dict[int, pd.DataFrame]:
    """Local day -> everyone's totals at that look, by client_id."""
    days = sorted({day - days for window in WINDOWS.values() for days in window})
    found = measure(tables, days, measures).set_index("client_id")
    return {look: found[found["as_of"] == look] for look in days}


def _rates(looks: Mapping[int, pd.DataFrame], source: Source) -> tuple[Rates, dict[str, Any]]:
    """The rates, and where that of an hour comes from: everyone's time entries of the last 365 days, else the knob."""
    day = max(looks)
    recorded, uncosted_share = np.nan, np.nan
    if "minutes" in looks[day]:
        cost, minutes, uncosted = ((looks[day][name] - looks[day - YEAR][name]).sum() for name in ("cost", "minutes", "uncosted"))
        recorded = minute_cost(*(np.array(total, np.float64) for total in (cost, minutes, uncosted))).item()
        uncosted_share = _share(uncosted, minutes)
    rates = Rates.of(source.settings.economics, recorded)
    came_from = "time entries" if not np.isnan(recorded) else None if np.isnan(rates.minute_cost) else "economics.hourly_cost"
    return rates, {"cost": _number(rates.minute_cost * 60), "cost_from": came_from, "uncosted_share": _number(uncosted_share)}


def _is_foreign(looks: Mapping[int, pd.DataFrame], mine: pd.Index, day: int, window: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Per client of mine, whether it was invoiced in a currency without a rate in a window."""
    before, after = (looks[day - days].reindex(mine, fill_value=0) for days in window)
    if "foreign" not in after:
        return np.zeros(len(mine), bool)
    found: npt.NDArray[np.bool_] = after["foreign"].to_numpy() > before["foreign"].to_numpy()
    return found


def _is_unbilled(looks: Mapping[int, pd.DataFrame], mine: pd.Index, day: int, window: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Per client of mine, whether work was done for it in a window and no invoice of it is on record at all: billed under another's id, or
    not mapped, it would look like a total loss."""
    before, after = (looks[day - days].reindex(mine, fill_value=0) for days in window)
    if not {"invoices", "minutes"} <= set(after):
        return np.zeros(len(mine), bool)
    ever = looks[day].reindex(mine, fill_value=0)["invoices"].to_numpy()
    has_work = (after[["minutes", "cost"]].to_numpy() > before[["minutes", "cost"]].to_numpy()).any(axis=1)
    found: npt.NDArray[np.bool_] = (ever == 0) & has_work
    return found


def _is_unpriced(looks: Mapping[int, pd.DataFrame], mine: pd.Index, day: int, window: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Per client of mine, whether nobody can tell what it brings in a window."""
    found: npt.NDArray[np.bool_] = _is_foreign(looks, mine, day, window) | _is_unbilled(looks, mine, day, window)
    return found


def _unlogged(looks: Mapping[int, pd.DataFrame], day: int) -> dict[str, tuple[str, ...]]:
    """Windows in which nobody has logged any work, though there is such a table -> what cannot be known of them."""
    return {
        name: ("hours", *BY_WORK)
        for name, (begins, ends) in WINDOWS.items()
        if "minutes" in looks[day]
        and not any((looks[day - ends][total].sum() - looks[day - begins][total].sum()) for total in ("minutes", "cost"))
    }


def _account(
    looks: Mapping[int, pd.DataFrame], mine: pd.Index, day: int, window: tuple[int, int], rates: Rates, unknown: Sequence[str]
) -> pd.DataFrame:
    """One row per client of mine: its account of a window, and its shares of the portfolio's. unknown: what of it nobody can tell."""
    since, until = day - window[0], day - window[1]
    before, after = (
        {str(name): total.to_numpy() for name, total in looks[look].reindex(mine, fill_value=0).items() if name != "as_of"}
        for look in (since, until)
    )
    is_foreign = _is_foreign(looks, mine, day, window)
    added = between(before, after, since, until)
    if "overdue_days" in added:
        added["overdue_days"] = np.where(is_foreign, 0, added["overdue_days"])
    found = {name: np.broadcast_to(value, len(mine)) for name, value in account(added, rates).items()}
    is_unpriced = _is_unpriced(looks, mine, day, window)
    found |= {name: np.where(is_unpriced, np.nan, found[name]) for name in BY_INVOICES}
    found |= {name: np.full(len(mine), np.nan) for name in unknown}
    shares = {f"{name}_share": share(found[name], np.nansum(found[name], keepdims=True)) for name in ("revenue", "contribution", "hours")}
    return pd.DataFrame(found | shares, index=mine)


def _reuse(year: pd.DataFrame, source: Source) -> dict[str, Any]:
    """What a freed hour earns elsewhere: the contribution of the portfolio's average hour × the share that finds work; never below 0.

    Unknown where only one client has hours: there is no elsewhere then.
    """
    knobs = source.settings.economics
    priced = year[year["contribution"].notna()]
    typical = _share(priced["contribution"].sum(), priced["hours"].sum())
    is_told = (priced["hours"] > 0).sum() > 1
    return {
        "contribution": _number(typical),
        "reuse_value": _number(max(typical, 0.0) * knobs.reuse_share if is_told else np.nan),
        "reuse_share": knobs.reuse_share,
        "reuse_after_days": knobs.reuse_after_days,
    }


# ---- the portfolio ----------------------------------------------------------------------------------------------------------------


def _totals(found: pd.DataFrame, is_priced: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The account of a window of all clients that are priced, so that its parts add up; null where it is unknown of any, or none is."""
    priced = found[is_priced]
    is_told = len(priced) or not len(found)
    sums = {name: float(priced[name].sum(skipna=False)) if is_told else np.nan for name in (*_ACCOUNT_MONEY, "hours")}
    whole = margin(np.array(sums["revenue"]), np.array(sums["cost_to_serve"])).item()
    return {name: _whole(sums[name]) for name in _ACCOUNT_MONEY} | {"hours": _number(sums["hours"]), "margin": _number(whole)}


def _whale(contribution: pd.Series) -> pd.DataFrame:
    """Clients from the most to the least profitable (equals by client_id), cumulated: those whose contribution is known."""
    ranked = contribution.dropna().sort_index().sort_values(ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(ranked) + 1),
            "client_id": ranked.index,
            "contribution": ranked.to_numpy(),
            "cumulative": ranked.to_numpy().cumsum(),
        }
    )


def _peak(whale: pd.DataFrame, contribution: pd.Series) -> dict[str, Any] | None:
    """The curve's peak (0 where nobody is profitable), what falls off it, and the curve at every whole percent of the clients."""
    if whale.empty and not contribution.empty:
        return None
    cumulative = np.concatenate([[0.0], whale["cumulative"].to_numpy()])
    top, n = int(cumulative.argmax()), len(whale)
    places = sorted({ceil(percent * n / 100) for percent in range(101)})
    n_unprofitable = int((whale["contribution"] < 0).sum())
    return {
        "peak": _whole(cumulative[top]),
        "peak_clients": top,
        "peak_of_total": _number(_share(cumulative[top], cumulative[-1])),
        "unprofitable_clients": n_unprofitable,
        "unprofitable_share": n_unprofitable / n if n else None,
        "losses": _whole(whale["contribution"].clip(upper=0).sum()),
        "curve": [{"clients": place, "cumulative": _whole(cumulative[place])} for place in places],
    }


def _concentration(amount: pd.Series) -> dict[str, Any] | None:
    """How much of the year's total the largest clients bring, of those of which it is known; null shares where it is not above 0.

    top: shares may pass 1 where others lose money. herfindahl: the sum of squared shares of what those above 0 bring, 1/n … 1.
    """
    known = amount.dropna()
    if known.empty:
        return None
    ranked = known.sort_index().sort_values(ascending=False, kind="stable")
    total, above = ranked.sum(), ranked.clip(lower=0).to_numpy()
    tops = [(percent, ceil(percent * len(ranked) / 100)) for percent in TOPS]
    return {
        "top": [{"percent": percent, "n_clients": n, "share": _number(_share(ranked.iloc[:n].sum(), total))} for percent, n in tops],
        "largest": {"client_id": str(ranked.index[0]), "share": _number(_share(ranked.iloc[0], total))},
        "herfindahl": _number((share(above, np.sum(above, keepdims=True)) ** 2).sum()),
    }


# ---- the day ----------------------------------------------------------------------------------------------------------------------


def _ties(tables: Mapping[str, pa.Table], day: int) -> pd.DataFrame | None:
    """client_id, other_client_id, is_referral (client_id came through the other): ties that hold, and referrers by clients' own rows."""
    found: list[pd.DataFrame] = []
    if "ties" in tables:
        ties = tables["ties"]
        each = ties.set_column(ties.column_names.index("client_id"), "client_id", ties["tie_id"])  # the engine answers per tie
        held = measure({"ties": each}, [day], [state("held", "ties", every_row, until=["until_on"])])
        rows = ties.select(["tie_id", "client_id", "other_client_id", "kind"]).to_pandas()
        rows = rows[rows["tie_id"].isin(held.loc[held["held"] > 0, "client_id"])]
        found.append(rows.assign(is_referral=rows["kind"] == "referral").drop(columns=["tie_id", "kind"]))
    if "clients" in tables and tables["clients"]["referred_by"].null_count < tables["clients"].num_rows:
        rows = tables["clients"].select(["client_id", "referred_by"]).to_pandas().dropna()
        found.append(rows.rename(columns={"referred_by": "other_client_id"}).assign(is_referral=True))
    return pd.concat(found).drop_duplicates() if found else None


def _standing(look: pd.DataFrame, mine: pd.Index, contribution: pd.Series, ties: pd.DataFrame | None, rates: Rates) -> pd.DataFrame:
    """One row per client of mine: what stands open, unbilled, and whom it is tied to."""
    at = look.reindex(mine, fill_value=0)
    found = pd.DataFrame(index=mine)
    found["open_balance"] = at["revenue"] - at["settled"] if "settled" in at else np.nan
    found["overdue_balance"] = (at["due"] - at["due_settled"]).clip(lower=0) if {"due", "due_settled"} <= set(at) else np.nan
    found["unbilled_minutes"] = at.get("unbilled_minutes", np.nan)
    found["unbilled_cost"] = np.nan
    if "unbilled_cost" in at:
        found["unbilled_cost"] = np.rint(work_cost(at["unbilled_cost"].to_numpy(), at["unbilled_uncosted"].to_numpy(), rates.minute_cost))
    found = found.astype(np.float64)
    if {"foreign_amount", "foreign_settled"} <= set(at):
        found.loc[at["foreign_amount"] != at["foreign_settled"], ["open_balance", "overdue_balance"]] = np.nan
    if ties is None:
        found[["referred", "referral_contribution", "neighbours"]] = None
        return found.astype({"referral_contribution": np.float64}).reset_index()
    among = ties[ties["client_id"].isin(mine) & ties["other_client_id"].isin(mine) & (ties["client_id"] != ties["other_client_id"])]
    back = among.rename(columns={"client_id": "other_client_id", "other_client_id": "client_id"})
    referred = _ids(back[back["is_referral"]], mine)
    found["referred"] = referred
    found["referral_contribution"] = [float(contribution[list(others)].sum(skipna=False)) for others in referred]
    found["neighbours"] = _ids(pd.concat([among, back]), mine)
    return found.reset_index()


def _ids(pairs: pd.DataFrame, mine: pd.Index) -> pd.Series:
    """Of each client of mine the other ids, sorted, each once."""
    lists = pairs.groupby("client_id")["other_client_id"].agg(lambda others: sorted(set(others)))
    return pd.Series([lists.get(client, []) for client in mine], index=mine, dtype=object)


# ---- what cannot be said ------------------------------------------------------------------------------------------------------------


def _unknown_rate(rates: Rates, tables: Mapping[str, pa.Table]) -> dict[str, str]:
    if "work" not in tables or not np.isnan(rates.minute_cost):
        return {}
    why = f"no time entry of the last {YEAR} days has a cost: map work.cost, or set economics.hourly_cost"
    return dict.fromkeys(BY_WORK, why)


def _said_of(unlogged: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What nobody can tell of the last year, and which other windows are empty."""
    told = {f"work of the window {name}": "no time entry of anybody lies in it: hours and what they cost are unknown" for name in unlogged}
    why = f"no time entry of anybody lies in the last {YEAR} days: log work, or leave that table out"
    return told | dict.fromkeys(unlogged.get(str(YEAR), ()), why)


def _said_unpriced(whose: str, counted: Mapping[str, int], n_clients: int) -> dict[str, str]:
    """How many clients the portfolio's figures of each window are without."""
    counts = ", ".join(f"{n:,} in the window {name}" for name, n in counted.items() if n)
    why = f"{counts}, of {n_clients:,}: what they bring is unknown; totals, whale curve, concentration and an hour's worth are without them"
    return {whose: why} if counts else {}


def _left_out(tables: Mapping[str, pa.Table], business: Business, day: int) -> dict[str, str]:
    """Rows of the last 365 days that count nothing: amounts without a rate, and time entries with neither minutes nor a cost."""
    found: dict[str, str] = {}
    for name, column in MONEY.items():
        if name not in tables:
            continue
        rows = tables[name].filter(pa.array(in_window(tables[name]["day"].to_numpy(), day, YEAR)))
        unrated = unrated_by_currency(rows, business, column)
        if unrated:
            each = ", ".join(f"{told.n_rows:,} rows of {told.total / MINOR_UNITS:,.2f} {currency}" for currency, told in unrated.items())
            cures = "; ".join(told.cure for told in unrated.values())
            meanwhile = "; until then their minutes are valued" if name == "work" else ""
            found[f"{name}.{column} in other currencies"] = f"{each} in the last {YEAR} days count nothing: {cures}{meanwhile}"
        if name == "work":
            is_costed = pc.and_(pc.is_valid(rows["cost"]), is_rated(rows, business))
            n_blank = pc.sum(pc.and_(pc.is_null(rows["duration_minutes"]), pc.invert(is_costed))).as_py()
            if n_blank:
                found["work.duration_minutes"] = f"{n_blank:,} time entries of the last {YEAR} days have neither minutes nor a cost"
    return found


def _short(tables: Mapping[str, pa.Table], day: int) -> dict[str, str]:
    """Tables that begin within the two years looked at: what lies before is not nothing, it is not known."""
    first = {name: pc.min(tables[name]["day"]).as_py() for name in MONEY if name in tables and tables[name].num_rows}
    ages_days = {name: age_days(on, day) for name, on in first.items()}
    return {
        f"{name} before {to_date(first[name])}": f"the table begins {age} days before the day: longer windows are not full"
        for name, age in ages_days.items()
        if age < 2 * YEAR
    }


def _no_shares(portfolio: Mapping[str, Any]) -> dict[str, str]:
    totals_of_year = portfolio["totals"][str(YEAR)]
    return {
        f"{name}_share": f"the portfolio's {name} of the last {YEAR} days is {total / MINOR_UNITS:,.2f}: a share of it would mean nothing"
        for name in ("revenue", "contribution")
        if (total := totals_of_year[name]) is not None and total <= 0
    }


def _no_reuse(hour: Mapping[str, Any]) -> dict[str, str]:
    """Where an average hour brings something, but only to one client; and where it brings nothing to sell elsewhere."""
    brings = hour["contribution"]
    if brings is None or (brings > 0 and hour["reuse_value"] is not None):
        return {}
    alone = f"one client alone has hours in the last {YEAR} days: nothing tells what they would earn elsewhere"
    loss = f"an average hour of the last {YEAR} days brings {brings / MINOR_UNITS:,.2f}: elsewhere it is taken to earn nothing"
    return {"hour.reuse_value": alone if hour["reuse_value"] is None else loss}


# ---- small parts ------------------------------------------------------------------------------------------------------------------


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else round(value)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else np.nan


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _column(values: pd.Series, kind: pa.DataType) -> pa.Array:
    """A column as Arrow, NaN as null."""
    plain = [None if value is None or (isinstance(value, float) and np.isnan(value)) else value for value in values]
    return pa.array([round(value) if value is not None else None for value in plain] if kind == pa.int64() else plain, kind)

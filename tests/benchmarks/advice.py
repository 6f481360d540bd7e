"""Worlds with known truth -> what the advice is worth: money in the year after it, partings that the truth confirms, how steady it is.

    python tests/benchmarks/advice.py --json .figures/advice.json                        # 20 worlds; part of `make evaluate`
    python tests/benchmarks/advice.py --worlds 1 --first-seed 18                         # a part of it

For each seed a portfolio of 400 clients over four years. A year before its export one model per target is fitted to what was known by then
(calibrated out of bag), the decision code advises one action per client, and again after each quarter, and the world goes on under the
policies below (pipeline/world/advice.py, where the effects of actions are stated, with reasons: they are assumptions, and so are the sums
of money).

advice         what is advised
nothing        everybody is looked on at
save_riskiest  as many as a team can contact, the riskiest first, are won back, whatever they bring
fire_20        who had a contribution margin under 20 % in both of the last two months is parted with
fire_losers    who is known to have cost more than it brought in the last year, and is with us for half a year, is parted with
truth          who the firm is truly better off without is parted with on the first day, and nothing else is done: no one can know

Advice is followed to the letter, and each step of it is on record when the next quarter's is given (a new price as agreed, since who does
not agree goes). But its evidence is what the world shows in which nobody did anything: exports hang on no action. So a later step does not
know what an earlier one has changed, beyond its record, and is none for whoever has left that world. Hold-outs are left alone.
Money is the portfolio's total contribution over 52 weeks, less what steps cost, with what freed hours earn elsewhere. `minus_nothing` is a
paired difference, summed over worlds, as a share of their totals when nothing is done. Intervals are 95 %, over resamples of worlds.
`halved`: the same with the good of every effect half as strong, its harm as it is, and half as many freed hours sold. `staff_kept`: as
stated, but the freed hours that find no other work are paid all the same. `alone`: if of the advice only one kind of action is followed.

confirmed      of those advised a step on any of the four days: whom the firm was truly better off without on the first, that is, whose
               year brings less than their hours would elsewhere; `any`: of all clients, for comparison
heavy          the same of the tenth with the largest true burden: conduct, cost and all else for which a firm lets a client go
flips          of clients advised on both of two days a month apart by the same models: the share whose action differs; `quiet`: of those of
               whom nothing new was known that an account manager would call an event: complaint, escalation, request to pay less, terms
               refused, disputed invoice, verdict, step, or something newly or no longer overdue, on either side
"""

import argparse
import contextlib
import io
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from features.time import in_window, to_date, to_day
from models.backtest import fitted
from models.evidence import LADDER
from models.metrics import Figure
from pipeline.decide import decided, looked_at
from pipeline.judge import Champion, judge, look
from pipeline.mlstore import Version
from pipeline.score import scores
from pipeline.tables import data_version, read_parquet, write_json
from pipeline.train import setup_of
from pipeline.world.advice import EFFECTS, Act, Year, confirmed, weakened
from pipeline.world.settings import WORLDS
from pipeline.world.states import Floats

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.worlds import World, portfolio

N_WORLDS, FIRST_SEED, CLIENTS = 20, 341, 400  # seeds 1, 2, 18 and 300 to 332 were read while the rules were made
POLICIES = ("advice", "save_riskiest", "fire_20", "fire_losers", "truth")  # beside doing nothing
EFFECTS_TRIED = ("stated", "halved", "staff_kept")
EVENTS = ("complaint", "availability_complaint", "escalation", "discount_request", "terms_refused")
MONTHS = (0, 3, 6, 9)  # after the as_of at which advice is given and followed
STEPS = ("win_back", *LADDER)  # that are put on record
FOLLOWED = (*STEPS, "keep_and_grow")
OVERDUE = ("our_overdue", "their_overdue", "overdue_balance")
HEAVY = 0.1
RESAMPLES, COVERAGE = 2_000, 0.95
NEVER_REGISTERED = datetime(2000, 1, 1, tzinfo=UTC)


# ---- one world --------------------------------------------------------------------------------------------------------------------


def champions_at(made: World, day: int) -> dict[str, Champion]:
    """One model per target, fitted to the snapshots whose outcome was known by `day`."""
    found = {}
    for target in ("churn", "misfit"):
        rows, columns = made.rows_of(target)
        setup = setup_of(made.source, target, columns)
        learnt = rows.at([int(on) for on in np.unique(rows.as_of) if setup.calendar.is_mature(int(on), day)])
        model, _ = fitted(learnt, setup, earlier=[], known_by=day)
        tags = {"model_hash": model.content_hash}
        found[target] = Champion(Version(made.source.registered(target), 0, "", "", tags, NEVER_REGISTERED), model.scorer)
    return found


def decisions_at(made: World, champions: dict[str, Champion], day: int) -> pd.DataFrame:
    """One row per eligible client: client_id, action, quadrant, churn_probability, rise (of the price asked for, a share of the old one;
    null where none is named), and of the evidence what stability asks for."""
    source = made.source
    looked = look(source, looked_at(source, day))
    table = scores(judge(source, champions, looked), data_version(source.output / "validate"), source.settings.score.little_data_contacts)
    rows = decided(source, champions, looked, table).rows
    return pd.DataFrame(
        {"client_id": row["client_id"], "action": row["action"], "quadrant": row["quadrant"]}
        | {"churn_probability": row["evidence"]["churn"]["seen"][-1], "rise": rise(row["because"]["values"])}
        | {name: row["evidence"][name] for name in ("contribution", "tenure_days")}
        | {name: row["evidence"][name] for name in OVERDUE}
        for row in rows
    )


def rise(said: dict[str, Any]) -> float | None:
    """Of a price that is named, over what was billed in the last year."""
    price, revenue = said.get("price"), said.get("revenue")
    return price / revenue - 1 if price is not None and revenue else None


@dataclass(frozen=True)
class Told:
    """Figures of one world, before they are put together. totals: EFFECTS_TRIED -> policy -> agorot; alone: action -> the total if of the
    advice only that is followed."""

    seed: int
    totals: dict[str, dict[str, float]]
    alone: dict[str, float]
    actions: dict[str, int]
    confirmed: dict[str, tuple[int, int]]
    heavy: dict[str, tuple[int, int]]
    better_off_without: dict[str, int]
    flips: dict[str, tuple[int, int]]
    n_fired: int
    seconds: float


@contextlib.contextmanager
def on_record(made: World, before: int) -> Iterator[Callable[[pd.DataFrame, int], None]]:
    """Inside the block, of the steps of this world only those before a day are on record, and those that are brought: a day's decisions."""
    path = made.source.output / "validate" / "actions.parquet"
    told = pq.read_table(path)
    there = told.filter(pc.less(told["day"], before))

    def bring(decisions: pd.DataFrame, day: int) -> None:
        nonlocal there
        steps = decisions[decisions["action"].isin(STEPS)]
        rows = [
            {"action_id": f"{day}.{client}", "client_id": client, "kind": kind, "done_on": to_date(day), "day": day, "known": day}
            | {"outcome": "agreed" if kind == "reprice" else None}
            for client, kind in zip(steps["client_id"], steps["action"], strict=True)
        ]
        there = pa.concat_tables([there, pa.Table.from_pylist(rows, schema=told.schema)])
        pq.write_table(there, path)

    pq.write_table(there, path)
    try:
        yield bring
    finally:
        pq.write_table(told, path)


def one_world(seed: int, asked: argparse.Namespace) -> Told:
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), portfolio(seed, asked.clients, asked.world) as made:
        as_of = made.settings.ends_on.replace(year=made.settings.ends_on.year - 1)
        day, later = to_day(as_of), to_day(months_on(as_of, 1))
        champions = champions_at(made, day)
        now, then = (decisions_at(made, champions, on) for on in (day, later))
        days = [to_day(months_on(as_of, months)) for months in MONTHS]
        with on_record(made, day) as bring:
            quarters = []
            for on in days:
                quarters.append(decisions_at(made, champions, on))
                bring(quarters[-1], on)
        knobs = made.source.settings.economics
        year = Year.after(made.settings, as_of, reuse_share=knobs.reuse_share, reuse_after_days=knobs.reuse_after_days)
        truth = confirmed(year)
        policies = policies_of(made, quarters, truth, days)
        heavy = heaviest(made, as_of)
        flips = {"all": flipped(now, then), "quiet": flipped(now, then, without=eventful(made, now, then, day, later))}
    years = {
        "stated": (year, EFFECTS),
        "halved": (replace(year, reuse_share=year.reuse_share / 2), weakened(EFFECTS, 0.5)),
        "staff_kept": (replace(year, is_staff_kept=True), EFFECTS),
    }
    totals = {
        name: {policy: float(own.followed(acts, effects)["total"].sum()) for policy, acts in {"nothing": [], **policies}.items()}
        for name, (own, effects) in years.items()
    }
    alone = {kind: float(year.followed(only(policies["advice"], kind))["total"].sum()) for kind in FOLLOWED}
    groups = {kind: clients_of(policies["advice"], kind) for kind in (*LADDER, "keep_and_grow")}
    groups |= {name: clients_of(policies[name], "part_respectfully") for name in ("fire_20", "fire_losers")}
    groups |= {"any": truth["client_id"].tolist()}
    told = Told(
        seed,
        totals,
        alone,
        dict(Counter(now["action"])),
        {kind: counted(clients, truth.set_index("client_id")["is_better_off"]) for kind, clients in groups.items()},
        {kind: counted(clients, heavy) for kind, clients in groups.items()},
        dict(Counter(now.loc[now["client_id"].isin(truth.loc[truth["is_better_off"], "client_id"]), "action"])),
        flips,
        len(groups["fire_20"]),
        time.perf_counter() - began,
    )
    gain = told.totals["stated"]
    print(f"seed {seed}: {told.actions}, advice − nothing {gain['advice'] / gain['nothing'] - 1:+.2%}, {told.seconds:.0f} s", flush=True)
    return told


def heaviest(made: World, as_of: date) -> "pd.Series[bool]":
    """client_id -> whether it is among the tenth with the largest true burden."""
    months = read_parquet(made.source.output / "truth" / "months.parquet").to_pandas()
    burden = months[pd.to_datetime(months["month_on"]) == pd.Timestamp(as_of)].set_index("client_id")["burden"]
    return burden > burden.quantile(1 - HEAVY)


def counted(clients: list[str], is_so: "pd.Series[bool]") -> tuple[int, int]:
    """(of how many of the clients it is so, of how many it is known)."""
    known = is_so.reindex(clients).dropna()
    return int(known.sum()), len(known)


def months_on(as_of: date, months: int) -> date:
    return (pd.Timestamp(as_of) + pd.DateOffset(months=months)).date()


def policies_of(made: World, quarters: list[pd.DataFrame], truth: pd.DataFrame, days: list[int]) -> dict[str, list[Act]]:
    """Policy -> what is done on each of the days; quarters: what is advised on them."""
    rules = read_parquet(made.source.output / "label" / "misfit_rules.parquet").to_pandas()
    better_off = truth.loc[truth["is_better_off"], "client_id"]
    found: dict[str, list[Act]] = {"advice": [], "save_riskiest": [], "fire_20": [], "fire_losers": []}
    for now, day in zip(quarters, days, strict=True):
        on_day = day - days[0]
        named = now.dropna(subset=["rise"])
        rises = dict(zip(named["client_id"], named["rise"], strict=True))
        found["advice"].append(Act(dict(zip(now["client_id"], now["action"], strict=True)), rises, on_day))
        riskiest = now.sort_values(["churn_probability", "client_id"], ascending=[False, True])["client_id"]
        riskiest = riskiest.head(made.source.settings.evaluate.capacity)
        found["save_riskiest"].append(Act(dict.fromkeys(riskiest, "win_back"), on_day=on_day))
        thin = rules[(rules["as_of"] == to_date(day)) & (rules["thin_margin"] == 1)]["client_id"]
        found["fire_20"].append(Act(dict.fromkeys(thin, "part_respectfully"), on_day=on_day))
        losers = now.loc[(now["contribution"] < 0) & (now["tenure_days"] >= made.source.settings.decide.settled_days), "client_id"]
        found["fire_losers"].append(Act(dict.fromkeys(losers, "part_respectfully"), on_day=on_day))
    return found | {"truth": [Act(dict.fromkeys(better_off, "part_respectfully"))]}


def only(acts: list[Act], kind: str) -> list[Act]:
    """The acts without all other actions."""
    return [replace(act, actions={client: action for client, action in act.actions.items() if action == kind}) for act in acts]


def clients_of(acts: list[Act], kind: str) -> list[str]:
    """Those for whom an action is done on any of the days."""
    return sorted({client for act in acts for client, action in act.actions.items() if action == kind})


def flipped(now: pd.DataFrame, then: pd.DataFrame, without: set[str] | frozenset[str] = frozenset()) -> tuple[int, int]:
    """(how many of the clients advised on both days are advised something else on the second, how many there are)."""
    both = now.merge(then, on="client_id", suffixes=("", "_then"))
    both = both[~both["client_id"].isin(without)]
    return int((both["action"] != both["action_then"]).sum()), len(both)


def eventful(made: World, now: pd.DataFrame, then: pd.DataFrame, day: int, later: int) -> set[str]:
    """The clients of whom something that counts as an event came to be known between the two days."""
    found: set[str] = set()
    chosen = {
        "interactions": ds.field("kind").isin(EVENTS),
        "reviews": ds.field("client_id").is_valid(),
        "actions": ds.field("client_id").is_valid(),
    }
    for table, which in chosen.items():
        rows = ds.dataset(made.source.output / "validate" / f"{table}.parquet").to_table(["client_id", "known"], filter=which).to_pandas()
        found |= set(rows.loc[in_window(rows["known"].to_numpy(np.int64), later, later - day), "client_id"])
    bills = ds.dataset(made.source.output / "validate" / "invoices.parquet").to_table(["client_id", "disputed_on"]).to_pandas()
    disputed = bills[bills["disputed_on"].notna()]
    on = np.array([to_day(on) for on in disputed["disputed_on"]], np.int64)
    found |= set(disputed.loc[in_window(on, later, later - day), "client_id"])
    both = now.merge(then, on="client_id", suffixes=("", "_then"))
    for name in OVERDUE:
        had, has = (pd.to_numeric(both[column]).fillna(0) > 0 for column in (name, f"{name}_then"))
        found |= set(both.loc[had != has, "client_id"])
    return found


# ---- all worlds -------------------------------------------------------------------------------------------------------------------


def together(found: list[Told], asked: argparse.Namespace) -> dict[str, Any]:
    """The figures over all worlds. Under `minus_nothing` and `advice_minus`: policy -> effects ("stated", "halved") -> figure."""

    def totals(effects: str, policy: str) -> Floats:
        return np.array([one.totals[effects][policy] for one in found])

    def gains(minuend: str, subtrahend: str) -> dict[str, Figure]:
        return {
            effects: pooled(totals(effects, minuend) - totals(effects, subtrahend), totals(effects, "nothing")) for effects in EFFECTS_TRIED
        }

    def is_best(effects: str) -> int:
        rivals = [totals(effects, policy) for policy in others if policy != "truth"]
        return int((totals(effects, "advice") > np.max(rivals, axis=0)).sum())

    others = [policy for policy in ("nothing", *POLICIES) if policy != "advice"]
    return {
        "world": asked.world,
        "n_worlds": len(found),
        "seeds": [one.seed for one in found],
        "n_clients": asked.clients,
        "advised_per_world": {name: float(np.mean([one.actions.get(name, 0) for one in found])) for name in EFFECTS if name != "hold_out"},
        "fired_per_world": float(np.mean([one.n_fired for one in found])),
        "totals": [{"seed": one.seed} | one.totals for one in found],
        "minus_nothing": {policy: gains(policy, "nothing") for policy in POLICIES},
        "advice_minus": {policy: gains("advice", policy) for policy in others},
        "alone_minus_nothing": {
            kind: pooled(np.array([one.alone[kind] for one in found]) - totals("stated", "nothing"), totals("stated", "nothing"))
            for kind in FOLLOWED
        },
        "advice_is_best_in": {effects: is_best(effects) for effects in EFFECTS_TRIED},
        "confirmed": {kind: share_of([one.confirmed[kind] for one in found]) for kind in found[0].confirmed},
        "heavy": {kind: share_of([one.heavy[kind] for one in found]) for kind in found[0].heavy},
        "advised_of_better_off_without": dict(sum((Counter(one.better_off_without) for one in found), Counter[str]())),
        "flips": {kind: share_of([one.flips[kind] for one in found]) for kind in found[0].flips},
    }


def share_of(counts: list[tuple[int, int]]) -> dict[str, Any]:
    """The share over all worlds; n: of how many in all."""
    part, whole = np.array(counts, np.float64).T
    return pooled(part, whole) | {"n": int(whole.sum())}


def pooled(part: Floats, whole: Floats) -> Figure:
    """The ratio of the sums over worlds, with an interval over resamples of worlds. Of sums, since a mean of the worlds' own ratios is that
    of the few whose whole is small; null where there is none."""
    if not whole.sum():
        return {"value": None, "low": None, "high": None}
    drawn = np.random.default_rng(1).integers(0, len(whole), (RESAMPLES, len(whole)))
    wholes = whole[drawn].sum(1)
    ends = np.quantile(part[drawn].sum(1)[wholes > 0] / wholes[wholes > 0], [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return {"value": float(part.sum() / whole.sum()), "low": float(ends[0]), "high": float(ends[1])}


def told(found: dict[str, Any], console: Console) -> None:
    """The tables, on the terminal."""
    money = Table(title=f"Contribution over the following year, {found['n_worlds']} worlds ({found['world']})", title_justify="left")
    for head in ("policy", *(f"{what}, {name}" for what in ("minus doing nothing", "advice minus it") for name in EFFECTS_TRIED)):
        money.add_column(head)
    for policy in ("nothing", *POLICIES):
        cells = [percent(found[part].get(policy, {}).get(name)) for part in ("minus_nothing", "advice_minus") for name in EFFECTS_TRIED]
        money.add_row(policy, *cells)
    console.print(money)
    alone = ", ".join(f"{kind} {percent(own)}" for kind, own in found["alone_minus_nothing"].items())
    console.print(f"of the advice, if nothing else of it is followed: {alone}")
    shares = Table(title="Confirmed by the truth, and steady from month to month", title_justify="left")
    for head in ("of", "clients", "share"):
        shares.add_column(head)
    parts = (("confirmed", "truly better off without: "), ("heavy", "of the heaviest tenth: "))
    for part, what in (*parts, ("flips", "advised otherwise a month later: ")):
        for kind, own in found[part].items():
            shares.add_row(what + kind, f"{own['n']:,}", percent(own, sign=""))
    console.print(shares)
    advised = ", ".join(f"{name} {n:.1f}" for name, n in found["advised_per_world"].items())
    missed = ", ".join(f"{name} {n}" for name, n in sorted(found["advised_of_better_off_without"].items()))
    console.print(f"advised to those that the firm is better off without: {missed}")
    console.print(f"advised per world: {advised}; by the 20 % rule {found['fired_per_world']:.1f} would go")


def percent(figure: dict[str, Any] | None, sign: str = "+") -> str:
    """+1.23 % [+0.50 %, +1.90 %]; a dash where there is none."""
    if figure is None or figure["value"] is None:
        return "–"
    ends = "" if figure["low"] is None else f" [{figure['low']:{sign}.2%}, {figure['high']:{sign}.2%}]"
    return f"{figure['value']:{sign}.2%}{ends}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=N_WORLDS, help="how many")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--clients", type=int, default=CLIENTS, help="that are ever on the books of each")
    parser.add_argument("--world", default="ordinary", choices=list(WORLDS))
    parser.add_argument("--json", type=Path, help="write the figures here, after each world")
    asked = parser.parse_args()
    found: list[Told] = []
    for seed in range(asked.first_seed, asked.first_seed + asked.worlds):
        found.append(one_world(seed, asked))
        if asked.json:
            write_json(asked.json, together(found, asked))
    told(together(found, asked), Console(width=180))


if __name__ == "__main__":
    main()

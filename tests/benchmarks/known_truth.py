"""Worlds with known truth -> how near models come to it, whether reasons name the true cause, and what each signal adds.

    python tests/benchmarks/known_truth.py --json .figures/known_truth.json             # `make evaluate`; about an hour and a half
    python tests/benchmarks/known_truth.py --worlds chance --endless 0 --sizes 500        # a part of it

For each world of the simulated firm: a portfolio of a seed that nothing was chosen by; 3,600 of its clients judge, in the last nine mature
months; the others are what models of 100 … 5,000 clients learn from, before them. Each model is the production recipe, calibrated out of
bag.

truth      the probability of leaving in the window given the hidden states (Monte Carlo): no one can do better
endless    the same recipe, having learned from as many clients of another portfolio of that world as --endless says
share      how much of the way from chance to a ceiling a model has come, in AUC: (model − 0.5) ÷ (ceiling − 0.5)
causes     of the riskiest tenth that have a true cause: how often it is among the first reasons. `observer`: whoever has been told the
           leading cause of other clients, and reads it off the same columns; `always`: names the commonest causes
signals    without: AUC lost when a signal is taken away (2,000 clients; a small bag). alone: AUC of the signal by itself. The same for
           burden – to be among the tenth with which the firm is likeliest to part – whose model is issue-5 work: here plain LightGBM

Columns that compare a client with others (segment, industry, look-alikes) are measured on the whole portfolio of the world, also where a
model learns from few of its clients; and shares of the whole firm's hours are smaller in the endless portfolio, which may cost it a little.

Intervals: 95 %, over resamples of the judging clients. With one portfolio per world they do not hold the luck of its training clients, nor
that of nine months: in the world `chance` the truth itself, which differs by the days of a month alone, lies beside 0.5.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from features.time import to_date, to_day
from models.backtest import Setup, fitted
from models.bag import Recipe
from models.fitting import Columns, FittedModel, Snapshots, fit, margins
from models.metrics import Figure, Judged, figure_of, measured
from models.scorer import Floats, Model, mean_over_members
from models.splits import plan_splits
from pipeline.reasons import top_reasons
from pipeline.tables import write_json
from pipeline.train import setup_of
from pipeline.world.ceiling import CAUSE_SIGNALS, leaving_probability
from pipeline.world.settings import WORLDS

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.worlds import FRESH_SEEDS, World, portfolio

CLIENTS, JUDGING = 9_000, 0.4  # of a world's portfolio, and the share of them that judge
DRAWS = {100: 4, 200: 3, 500: 2, 1_000: 1, 2_000: 1, 5_000: 1}  # portfolios of each size
TEST_PERIODS = 9  # months judged, none of them learned from: three, as production has, hold too few leavers to tell models apart
MEASURES = ("auc", "average_precision", "brier")
RESAMPLES = 200
ALERTED = 0.10  # the riskiest tenth of an as_of
ABLATION_CLIENTS, ABLATION_MEMBERS = 2_000, 3
NO_CAUSE = "none"
TREES = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100, "feature_fraction": 0.5}
TREES |= {"num_threads": 2, "seed": 1, "deterministic": True, "verbosity": -1}


# ---- the parts of one world -------------------------------------------------------------------------------------------------------


class Parts:
    """One world's judges, the pool that models learn from, and its truth at the judging rows."""

    def __init__(self, made: World, seed: int) -> None:
        self.made, self.source, self.setup = made, made.source, setup_of(made.source, "churn", made.columns)
        rows = made.rows
        plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=self.setup.calendar, test_periods=TEST_PERIODS, origins=1)
        self.random = np.random.default_rng(seed)
        everyone = self.random.permutation(np.unique(rows.client.astype(str)))
        n_clients = made.settings.clients
        self.share = len(everyone) / n_clients  # a few on the books were never eligible
        judges, self.pool = np.split(everyone, [round(JUDGING * n_clients)])
        self.judge = of_clients(rows.at(plan.test.predicts), judges)
        self.learn = of_clients(rows.at(plan.test.learns), self.pool)
        self.truth = self._true_probability()
        self.judged = Judged.of(self.judge.label, self.judge.client, resamples=RESAMPLES, seed=seed, as_ofs=self.judge.as_of)

    def _true_probability(self) -> Floats:
        """Per judging row."""
        calendar = self.setup.calendar
        found = leaving_probability(
            self.made.settings,
            [to_date(day) for day in sorted(set(self.judge.as_of.tolist()))],
            gap_days=calendar.gap_days,
            horizon_days=calendar.horizon_days,
            clients=sorted(set(self.judge.client.astype(str))),
        )
        found["as_of"] = [to_day(on) for on in found["as_of"]]
        asked = pd.DataFrame({"client_id": self.judge.client.astype(str), "as_of": self.judge.as_of})
        return asked.merge(found, on=["client_id", "as_of"], how="left", validate="1:1")["probability"].to_numpy(np.float64)

    def months(self, rows: Snapshots) -> pd.DataFrame:
        """The hidden truth beside rows (NaN where there is none): what truth/months.parquet says of the month that begins at as_of."""
        truth = pq.read_table(self.source.output / "truth" / "months.parquet").to_pandas()
        truth["as_of"] = [to_day(on) for on in truth["month_on"]]
        asked = pd.DataFrame({"client_id": rows.client.astype(str), "as_of": rows.as_of})
        return asked.merge(truth, on=["client_id", "as_of"], how="left", validate="1:1")

    def some(self, n_clients: int) -> Snapshots:
        """The learning rows of a random portfolio of so many clients on the books."""
        return of_clients(self.learn, self.random.choice(self.pool, min(round(n_clients * self.share), len(self.pool)), replace=False))


def of_clients(rows: Snapshots, clients: np.ndarray) -> Snapshots:
    return rows.where(np.isin(rows.client.astype(str), clients))


def made_by(learnt: Snapshots, setup: Setup, seed: int) -> FittedModel:
    model, _ = fitted(learnt, replace(setup, recipe=Recipe(setup.recipe.members, seed)), earlier=[], known_by=None)
    return model


# ---- how near ---------------------------------------------------------------------------------------------------------------------


def on_judges(parts: Parts, probability: Floats) -> dict[str, Floats]:
    """Each measure on the data and on every resample."""
    return measured(parts.judged, probability, MEASURES)


def near(model: dict[str, Floats], ceiling: dict[str, Floats]) -> Figure:
    """The share of the way from chance to the ceiling, in AUC; undefined where the ceiling itself is chance."""
    way = ceiling["auc"] - 0.5
    return figure_of(np.where(way > 0.02, (model["auc"] - 0.5) / np.where(way > 0.02, way, 1.0), np.nan))


def curve(parts: Parts, sizes: list[int], ceilings: dict[str, dict[str, Floats]], seed: int) -> tuple[list[dict[str, Any]], FittedModel]:
    """One row per size, the mean over its draws resample by resample; and the largest model."""
    rows = []
    for size in sizes:
        draws, n_churned = [], []
        for draw in range(DRAWS.get(size, 1)):
            model = made_by(parts.some(size), parts.setup, seed + draw)
            draws.append(on_judges(parts, model.scorer.predict(parts.judge.features)["probability"].to_numpy(np.float64)))
            n_churned.append(model.spec["training"]["n_churned_clients"])
        mean = {name: np.mean([one[name] for one in draws], axis=0) for name in MEASURES}
        shares = {f"share_of_{name}": near(mean, ceiling) for name, ceiling in ceilings.items()}
        rows.append(
            {"n_clients": size, "draws": len(draws), "n_churned": float(np.mean(n_churned))}
            | {name: figure_of(mean[name]) for name in MEASURES}
            | {f"{name}_below_truth": figure_of(mean[name] - ceilings["truth"][name]) for name in MEASURES}
            | shares
        )
        print(f"  {size} clients: AUC {rows[-1]['auc']['value']:.3f}", flush=True)
    return rows, model


def endless_model(seed: int, world: str, n_clients: int, until: int) -> FittedModel:
    """The recipe on a portfolio of so many clients, one as_of a quarter: months beside it say nearly the same of the same clients."""
    time_settings = {"cadence": "listed", "as_ofs": [to_date(day) for day in quarter_starts(until)]}
    with portfolio(seed, n_clients, world, time=time_settings) as made:
        return made_by(made.rows, setup_of(made.source, "churn", made.columns), seed)


def quarter_starts(until: int) -> list[int]:
    """Quarter by quarter back from the last as_of that may be learned from, three years."""
    last = to_date(until)
    months = [last.year * 12 + last.month - 1 - 3 * back for back in range(12)]
    return sorted(to_day(last.replace(year=month // 12, month=month % 12 + 1)) for month in months)


# ---- causes -----------------------------------------------------------------------------------------------------------------------


def causes_found(parts: Parts, model: Model, learnt: Snapshots) -> dict[str, Any]:
    """Of the alerted clients with a true cause: how often the first reason, or one of the first three, is a signal that shows it."""
    truth = parts.months(parts.judge)
    probability = model.predict(parts.judge.features)["probability"].to_numpy(np.float64)
    cut = pd.Series(probability).groupby(parts.judge.as_of).transform(lambda of: of.quantile(1 - ALERTED)).to_numpy()
    has_cause = (truth["leading_cause"].fillna(NO_CAUSE) != NO_CAUSE).to_numpy()
    chosen = np.flatnonzero((probability >= cut) & has_cause)
    alerted, leading = parts.judge.features.iloc[chosen], truth["leading_cause"].to_numpy(object)[chosen]
    usual = np.nanmedian(parts.judge.features[list(model.columns)].to_numpy(np.float64), axis=0)
    reasons = top_reasons(
        model, model.explain(alerted), alerted, target="churn", usual=usual, columns={}, settings=parts.source.settings.explain
    )
    named = [[reason.signal for reason in own] for own in reasons]
    ranked = read_off_causes(parts, learnt, alerted)
    of_learnt = parts.months(learnt)["leading_cause"]
    common = of_learnt[of_learnt.notna() & (of_learnt != NO_CAUSE)].value_counts().index.tolist()
    answers = {
        "reasons": named,
        "observer": [signals_of(own) for own in ranked],
        "always": [signals_of(common)] * len(leading),
    }
    found: dict[str, Any] = {"n_alerted": int((probability >= cut).sum()), "n_with_cause": len(chosen)}
    for name, told in answers.items():
        for first in (1, 3):
            hits = [bool(set(own[:first]) & set(CAUSE_SIGNALS[cause])) for own, cause in zip(told, leading, strict=True)]
            found[f"{name}_top_{first}"] = share_of(np.array(hits, np.float64), parts.judge.client[chosen])
    by_cause = pd.DataFrame(
        {"cause": leading, "hit": [bool(set(own) & set(CAUSE_SIGNALS[c])) for own, c in zip(named, leading, strict=True)]}
    )
    found["by_cause"] = {str(c): {"n": len(of), "reasons_top_3": float(of.mean())} for c, of in by_cause.groupby("cause")["hit"]}
    return found


def signals_of(causes: list[str]) -> list[str]:
    """The main signal of each cause, each once: as many different answers as the reasons give."""
    return list(dict.fromkeys(CAUSE_SIGNALS[cause][0] for cause in causes))


def read_off_causes(parts: Parts, learnt: Snapshots, asked: pd.DataFrame) -> list[list[str]]:
    """The causes of each asked row, the likeliest to lead first, by a classifier of the true leading cause of other clients."""
    leading = parts.months(learnt)["leading_cause"].to_numpy(object)
    has_cause = np.array([cause in CAUSE_SIGNALS for cause in leading])
    names = sorted(set(leading[has_cause]))
    label = np.array([names.index(cause) for cause in leading[has_cause]])
    given = TREES | {"objective": "multiclass", "num_class": len(names), "min_data_in_leaf": 20}
    data = lgb.Dataset(learnt.features.to_numpy(np.float64)[has_cause], label)
    chance = np.asarray(lgb.train(given, data, 100).predict(asked.to_numpy(np.float64)))
    return [[names[place] for place in order] for order in np.argsort(-chance, axis=1)]


def share_of(hits: Floats, clients: np.ndarray) -> Figure:
    """Mean with its interval over resamples of clients."""
    judged = Judged.of(hits, clients, resamples=RESAMPLES, seed=1)
    return figure_of(judged.over_resamples(lambda weight: ((weight @ hits) / np.maximum(weight.sum(axis=1), 1))[:, None])[:, 0])


# ---- signals ----------------------------------------------------------------------------------------------------------------------


def ablation(parts: Parts, seed: int) -> list[dict[str, Any]]:
    """One row per signal: what is lost without it, and what it can do alone, for leaving and for being a burden."""
    learnt = parts.some(ABLATION_CLIENTS)
    columns = parts.setup.columns
    recipe = Recipe(ABLATION_MEMBERS, seed)
    burden = burden_of(parts.months(learnt)), burden_of(parts.months(parts.judge))

    def churn(chosen: list[str]) -> Floats:
        some = Columns({name: columns.signals[name] for name in chosen}, {name: columns.signs[name] for name in chosen})
        return auc_of(parts.judged, mean_over_members(margins(fit(learnt, some, recipe), parts.judge.features)))

    def misfit(chosen: list[str]) -> Floats:
        known = np.isfinite(burden[0])
        data = lgb.Dataset(learnt.features[chosen].to_numpy(np.float64)[known], burden[0][known])
        score = np.asarray(lgb.train(TREES, data, 150).predict(parts.judge.features[chosen].to_numpy(np.float64), raw_score=True))
        return auc_of(replace(parts.judged, label=np.nan_to_num(burden[1])), score)

    targets = {"churn": churn, "misfit": misfit} if np.nansum(burden[0]) else {"churn": churn}
    every = {name: of(columns.names) for name, of in targets.items()}
    rows = [{"signal": "all", "n_columns": len(columns.names)} | {f"{name}_alone": figure_of(own) for name, own in every.items()}]
    for signal in dict.fromkeys(columns.signals.values()):
        own = [name for name in columns.names if columns.signals[name] == signal]
        others = [name for name in columns.names if columns.signals[name] != signal]
        row: dict[str, Any] = {"signal": signal, "n_columns": len(own)}
        for name, of in targets.items():
            row[f"{name}_alone"] = figure_of(of(own))
            row[f"{name}_lost_without"] = figure_of(every[name] - of(others))
        rows.append(row)
    return rows


def burden_of(months: pd.DataFrame) -> Floats:
    """1 for the tenth with the largest true hazard of being let go, NaN where it is not known; all 0 where it is the same for all."""
    hazard = months["let_go_hazard"].to_numpy(np.float64)
    cut = np.nanquantile(hazard, 0.9)
    return np.where(np.isfinite(hazard), (hazard > cut).astype(np.float64), np.nan)


def auc_of(judged: Judged, score: Floats) -> Floats:
    inside = 1 / (1 + np.exp(-score))
    return measured(judged, inside, ("auc",))["auc"]


# ---- all ----------------------------------------------------------------------------------------------------------------------------


def world_figures(world: str, asked: argparse.Namespace, sizes: list[int]) -> dict[str, Any]:
    """Everything of one world."""
    began, seed, n_endless = time.perf_counter(), asked.seed, asked.endless
    with portfolio(seed, asked.clients, world) as made:
        parts = Parts(made, seed)
        print(f"{world}: made and measured in {time.perf_counter() - began:.0f} s; {len(parts.judge)} rows judge", flush=True)
        ceilings = {"truth": on_judges(parts, parts.truth)}
        endless = None
        if n_endless:
            endless = endless_model(seed + 1_000, world, n_endless, int(parts.learn.as_of.max()))
            ceilings["endless"] = on_judges(parts, endless.scorer.predict(parts.judge.features)["probability"].to_numpy(np.float64))
        rows, largest = curve(parts, sizes, ceilings, seed)
        found: dict[str, Any] = {
            "world": world,
            "seed": seed,
            "n_judging_rows": len(parts.judge),
            "share_left": float(parts.judge.label.mean()),
            "true_share": float(np.nanmean(parts.truth)),
            "endless_clients": n_endless,
            "ceilings": {name: {m: figure_of(own[m]) for m in MEASURES} for name, own in ceilings.items()},
            "endless_share_of_truth": near(ceilings["endless"], ceilings["truth"]) if endless else None,
            "curve": rows,
        }
        learnt = parts.some(sizes[-1])
        if len(set(parts.months(learnt)["leading_cause"]) & set(CAUSE_SIGNALS)) > 1:  # in `chance` and `faint` hardly any cause leads
            found["causes"] = causes_found(parts, largest.scorer, learnt)
        found["signals"] = ablation(parts, seed)
    print(f"{world}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def shown(figure: Figure | None, digits: int = 3) -> str:
    """0.812 [0.790, 0.834]; a dash where it is not defined."""
    if figure is None or figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:.{digits}f}"
    return f"{figure['value']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def told(found: list[dict[str, Any]], console: Console) -> None:
    """The tables, on the terminal."""
    near_table = Table(title="How near to the truth", title_justify="left")
    for head in ("world", "clients", "churned", "AUC", "AP", "Brier", "share of endless", "share of truth"):
        near_table.add_column(head)
    for world in found:
        for name, own in world["ceilings"].items():
            label = f"endless ({world['endless_clients']:,})" if name == "endless" else name
            of_truth = shown(world["endless_share_of_truth"]) if name == "endless" else ""
            near_table.add_row(world["world"], label, "", *(shown(own[m]) for m in MEASURES), "", of_truth)
        for row in world["curve"]:
            cells = [world["world"], f"{row['n_clients']:,}", f"{row['n_churned']:.0f}", *(shown(row[m]) for m in MEASURES)]
            near_table.add_row(*cells, shown(row.get("share_of_endless")), shown(row["share_of_truth"]))
        near_table.add_section()
    console.print(near_table)
    causes = Table(title="The true cause among the reasons of the riskiest tenth", title_justify="left")
    for head in ("world", "clients", "first reason", "first three", "observer: first", "first three", "always: first", "first three"):
        causes.add_column(head)
    for world in found:
        if own := world.get("causes"):
            cells = [shown(own[f"{who}_top_{first}"], 2) for who in ("reasons", "observer", "always") for first in (1, 3)]
            causes.add_row(world["world"], f"{own['n_with_cause']:,}", *cells)
    console.print(causes)
    for world in found:
        signals = Table(title=f"What each signal adds: {world['world']}", title_justify="left")
        for head in ("signal", "columns", "churn: alone", "lost without", "misfit: alone", "lost without"):
            signals.add_column(head)
        for row in world["signals"]:
            cells = [shown(row.get(f"{target}_{what}")) for target in ("churn", "misfit") for what in ("alone", "lost_without")]
            signals.add_row(row["signal"], str(row["n_columns"]), *cells)
        console.print(signals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--sizes", default=",".join(map(str, DRAWS)))
    parser.add_argument("--clients", type=int, default=CLIENTS, help="of each world's portfolio; two fifths of them judge")
    parser.add_argument("--seed", type=int, default=FRESH_SEEDS[0])
    parser.add_argument("--endless", type=int, default=100_000, help="clients of the endless portfolio; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="write the figures here; other worlds that stand there are kept")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    for world in filter(None, asked.worlds.split(",")):
        found = world_figures(world, asked, sizes)
        told([found], Console(width=180))
        if asked.json:
            write_json(asked.json, with_world(asked.json, found))


def with_world(path: Path, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The worlds that stand in the file, this one anew, in the order of WORLDS."""
    there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    by_name = {one["world"]: one for one in there} | {found["world"]: found}
    return [by_name[name] for name in WORLDS if name in by_name]


if __name__ == "__main__":
    main()

"""Simulated portfolios of 50 to 5,000 clients -> what each size allows: the bag beside its parts, calibrators, intervals, validation.

    python tests/benchmarks/size_curve.py [--sizes 50,100,…] [--seeds 103,104,…] [--json FILE]        about 25 minutes

Each world has 14,000 clients. Portfolios of each size are drawn from 5,000 of them and taken through the project's own backtest; what comes
out is judged on the later test period of 6,000 others, so that little noise is left in the yardstick itself, and beside the same recipe
on the remaining 3,000, which stands for a portfolio without end. Models, at each size, on the same rows:

bag       what the project ships                      ridge     its linear part alone
trees     its monotone LightGBM part alone            lightgbm  one plain LightGBM, 200 trees of 31 leaves
capped    the bag on the 24 columns that rank best alone inside training, at most six a signal
recency   days since the last qualifying contact

Nothing in the project was chosen by these seeds.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from models.backtest import TEST, Setup, backtest
from models.bag import Recipe
from models.fitting import FittedModel, Snapshots, fit, margins
from models.scorer import Floats, mean_over_members, probability_of
from models.splits import plan_splits
from pipeline.tables import write_json
from pipeline.train import setup_of

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.worlds import FRESH_SEEDS, portfolio

WORLD_CLIENTS, JUDGE_CLIENTS, ENDLESS_CLIENTS = 14_000, 6_000, 3_000
DRAWS = {50: 8, 100: 8, 200: 6, 500: 4, 1_000: 2, 5_000: 1}  # portfolios of each size per world
CAPPED, CAPPED_PER_SIGNAL = 24, 6
CROSS_VALIDATED = (500, 1_000)  # sizes at which random cross-validation is set beside the rolling origins


def log_loss(label: Floats, log_odds: Floats) -> float:
    return float((np.logaddexp(0.0, log_odds) - label * log_odds).mean())


def log_odds_of(probability: Floats) -> Floats:
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(inside) - np.log1p(-inside)


def slope_of(label: Floats, log_odds: Floats) -> float:
    """1 = as sure of itself as it may be; below 1 = too sure."""
    return float(LogisticRegression(C=1e6).fit(log_odds[:, None], label).coef_[0, 0])


def judged(label: Floats, log_odds: Floats) -> dict[str, float]:
    probability = probability_of(log_odds)
    return {
        "auc": float(roc_auc_score(label, log_odds)),
        "average_precision": float(average_precision_score(label, log_odds)),
        "brier": float(((probability - label) ** 2).mean()),
        "log_loss": log_loss(label, log_odds),
    }


# ---- models beside the bag --------------------------------------------------------------------------------------------------------


def capped_columns(learnt: Snapshots, setup: Setup) -> Setup:
    """The setup with the columns that rank best alone on the rows learned from, in the direction that they state."""
    scores = {name: _alone(learnt, name, setup.columns.signs.get(name, 0)) for name in setup.columns.names}
    taken: dict[str, int] = {}
    chosen: set[str] = set()
    for name in sorted(scores, key=lambda name: -scores[name]):
        signal = setup.columns.signals[name]
        if len(chosen) < CAPPED and taken.get(signal, 0) < CAPPED_PER_SIGNAL and scores[name] > 0:
            chosen.add(name)
            taken[signal] = taken.get(signal, 0) + 1
    signals = {name: signal for name, signal in setup.columns.signals.items() if name in chosen}
    return replace(setup, columns=replace(setup.columns, signals=signals))


def _alone(learnt: Snapshots, name: str, sign: int) -> float:
    values = learnt.features[name].to_numpy(np.float64)
    known = np.isfinite(values)
    if known.sum() < 10 or len(np.unique(learnt.label[known])) < 2:
        return 0.0
    above = (roc_auc_score(learnt.label[known], values[known]) - 0.5) * known.mean()
    return float(abs(above) if sign == 0 else sign * above)


def plain_lightgbm(learnt: Snapshots, asked: pd.DataFrame) -> Floats:
    given = {"objective": "binary", "learning_rate": 0.05, "num_threads": 2, "seed": 1, "deterministic": True, "verbosity": -1}
    model = lgb.train(given, lgb.Dataset(learnt.features.to_numpy(np.float64), learnt.label), num_boost_round=200)
    return np.asarray(model.predict(asked.to_numpy(np.float64), raw_score=True), np.float64)


def beside(model: FittedModel, learnt: Snapshots, judge: Snapshots, setup: Setup) -> Iterator[tuple[str, Floats]]:
    """Each model's log-odds of the judge's rows, uncalibrated."""
    trees, linear = model.scorer.part_margins(judge.features)
    w = model.scorer.tree_weight
    yield "bag", mean_over_members(w * trees + (1 - w) * linear)
    yield "ridge", mean_over_members(linear)
    yield "trees", mean_over_members(trees)
    yield "lightgbm", plain_lightgbm(learnt, judge.features)
    few = capped_columns(learnt, setup)
    yield "capped", mean_over_members(margins(fit(learnt, few.columns, few.recipe), judge.features))
    silence = judge.features[setup.yardsticks.recency].to_numpy(np.float64)
    yield "recency", np.log1p(np.nan_to_num(silence, nan=np.nanmax(silence)))


# ---- calibrators ------------------------------------------------------------------------------------------------------------------


def beta_calibrator(margin: Floats, label: Floats) -> Any:
    """a · ln p − b · ln(1 − p) + c with a, b >= 0 (Kull, Silva Filho and Flach 2017)."""
    inputs = np.stack([np.log(probability_of(margin)), -np.log(probability_of(-margin))])

    def loss(point: Floats) -> float:
        return log_loss(label, point[:2] @ inputs + point[2]) * len(label)

    found = minimize(loss, [1.0, 1.0, 0.0], bounds=[(0, None), (0, None), (None, None)], method="L-BFGS-B").x
    return lambda asked: found[0] * np.log(probability_of(asked)) - found[1] * np.log(probability_of(-asked)) + found[2]


def calibrated(known: pd.DataFrame, asked: Floats, ours: FittedModel) -> dict[str, Floats]:
    """Log-odds of the asked margins by each calibrator fitted on the rolling origins' margins."""
    margin, label = known["margin"].to_numpy(np.float64), known["label"].to_numpy(np.float64)
    slope, intercept = ours.scorer.calibration
    isotonic = IsotonicRegression(out_of_bounds="clip", y_min=1e-3, y_max=1 - 1e-3).fit(margin, label)
    return {
        "none": asked,
        "platt": slope * asked + intercept,
        "beta": beta_calibrator(margin, label)(asked),
        "isotonic": log_odds_of(isotonic.predict(asked)),
    }


# ---- one portfolio ----------------------------------------------------------------------------------------------------------------


def measured(mine: Snapshots, judge: Snapshots, endless: Floats, setup: Setup, *, test_periods: int, origins: int) -> dict[str, Any]:
    """Everything that is asked of one portfolio. endless: the endless portfolio's log-odds of the judge's rows."""
    began = time.perf_counter()
    done = backtest(mine, setup, test_periods=test_periods, origins=origins, tell=lambda _: None)
    took = time.perf_counter() - began
    model, rolling = done.evaluated, done.predictions[done.predictions["fold"] != TEST]
    learnt = mine.at(
        plan_splits(mine.as_of, mine.label, mine.client, calendar=setup.calendar, test_periods=test_periods, origins=1).test.learns
    )
    found: dict[str, Any] = {"n_churned": model.spec["training"]["n_churned_clients"], "seconds": took}
    found["models"] = {name: judged(judge.label, log_odds) for name, log_odds in beside(model, learnt, judge, setup)}
    answers = model.scorer.predict(judge.features)
    reach = log_odds_of(answers["high"].to_numpy()) - log_odds_of(answers["probability"].to_numpy())
    off = endless - log_odds_of(answers["probability"].to_numpy())
    of_members = model.scorer.calibration[0] * model.scorer.member_margins(judge.features)
    low, high = np.percentile(of_members, [10, 90], axis=1) - mean_over_members(of_members)
    found["interval"] = {
        "coverage": float((np.abs(off) <= reach).mean()),
        "coverage_of_members": float(((low <= off) & (off <= high)).mean()),
        "half_width": float(reach.mean()),
        "off": float(np.sqrt((off**2).mean())),
        "members_spread": float(of_members.std(axis=1, ddof=1).mean()),
    }
    if len(rolling) and rolling["label"].nunique() == 2:
        margin = mean_over_members(model.scorer.member_margins(judge.features))
        found["calibrators"] = {name: judged(judge.label, by) for name, by in calibrated(rolling, margin, model).items()}
        found["rolling"] = {
            "auc": float(roc_auc_score(rolling["label"], rolling["probability"])),
            "grouped_auc": float(done.folds["oob_auc"].iloc[-1]),
            "later_auc": found["models"]["bag"]["auc"],
            "expected_to_observed": float(rolling["probability"].mean() / rolling["label"].mean()),
            "slope": slope_of(rolling["label"].to_numpy(np.float64), log_odds_of(rolling["probability"].to_numpy(np.float64))),
            "judge_expected_to_observed": float(answers["probability"].mean() / judge.label.mean()),
        }
    return found


def cross_validated(mine: Snapshots, setup: Setup) -> dict[str, float]:
    """AUC by five random folds of the rows learned from: what a random split promises."""
    fold = np.random.default_rng(setup.recipe.seed).integers(0, 5, len(mine))
    promised = {"bag": np.zeros(len(mine)), "lightgbm": np.zeros(len(mine))}
    for place in range(5):
        learnt, held = mine.where(fold != place), mine.where(fold == place)
        promised["bag"][fold == place] = mean_over_members(margins(fit(learnt, setup.columns, setup.recipe), held.features))
        promised["lightgbm"][fold == place] = plain_lightgbm(learnt, held.features)
    return {name: float(roc_auc_score(mine.label, log_odds)) for name, log_odds in promised.items()}


def world(seed: int, sizes: list[int]) -> Iterator[dict[str, Any]]:
    """The portfolios of one world."""
    with portfolio(seed, WORLD_CLIENTS) as made:
        rows, settings = made.rows, made.source.settings
        setup = setup_of(made.source, "churn", made.columns)
        plan = plan_splits(
            rows.as_of, rows.label, rows.client, calendar=setup.calendar, test_periods=settings.train.test_periods, origins=1
        )
        random = np.random.default_rng(seed)
        everyone = random.permutation(np.unique(rows.client.astype(str)))
        share = len(everyone) / WORLD_CLIENTS  # a few on the books were never eligible
        judges, endless, pool = np.split(everyone, [JUDGE_CLIENTS, JUDGE_CLIENTS + ENDLESS_CLIENTS])
        judge = of_clients(rows.at(plan.test.predicts), judges)
        limit = fit(of_clients(rows.at(plan.test.learns), endless), setup.columns, setup.recipe)
        endless_log_odds = mean_over_members(margins(limit, judge.features))
        for size in sizes:
            for draw in range(DRAWS[size]):
                mine = of_clients(rows, random.choice(pool, min(round(size * share), len(pool)), replace=False))
                own = replace(setup, recipe=Recipe(settings.train.members, seed + draw))
                found = measured(
                    mine, judge, endless_log_odds, own, test_periods=settings.train.test_periods, origins=settings.train.origins
                )
                if size in CROSS_VALIDATED:
                    found["random_folds"] = cross_validated(mine.at(plan.test.learns), own)
                yield {"seed": seed, "n_clients": size, "draw": draw, **found}
                print(f"seed {seed}, {size} clients, draw {draw}: {found['n_churned']} churned, {found['seconds']:.0f} s", flush=True)


def of_clients(rows: Snapshots, clients: np.ndarray) -> Snapshots:
    return rows.where(np.isin(rows.client.astype(str), clients))


# ---- summary ----------------------------------------------------------------------------------------------------------------------


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the portfolios of each size, and paired differences of the bag with their standard errors."""
    return {str(size): _of_size([one for one in found if one["n_clients"] == size]) for size in sorted({one["n_clients"] for one in found})}


def _of_size(found: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"portfolios": len(found), "n_churned": _mean([one["n_churned"] for one in found])}
    told["seconds"] = _mean([one["seconds"] for one in found])
    for part in ("models", "calibrators"):
        there = [one[part] for one in found if part in one]
        told[part] = {name: _beside(there, name, "bag" if part == "models" else "platt") for name in (there[0] if there else {})}
    for part in ("interval", "rolling", "random_folds"):
        there = [one[part] for one in found if part in one]
        told[part] = {name: _mean([one[name] for one in there]) for name in (there[0] if there else {})}
    rolling = [one["rolling"] for one in found if "rolling" in one]
    for gap, figure in (("gap", "auc"), ("grouped_gap", "grouped_auc")):
        told["rolling"][gap] = _spread([one[figure] - one["later_auc"] for one in rolling])
    there = [one for one in found if "random_folds" in one]
    for name in told["random_folds"]:
        told["random_folds"][name] = _spread([one["random_folds"][name] - one["models"][name]["auc"] for one in there])
    return told


def _beside(there: list[dict[str, Any]], name: str, first: str) -> dict[str, Any]:
    """Each measure's mean, and the difference first − other with its standard error."""
    return {
        measure: {
            "mean": _mean([one[name][measure] for one in there]),
            f"{first}_minus": _spread([one[first][measure] - one[name][measure] for one in there]),
        }
        for measure in there[0][name]
    }


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _spread(values: list[float]) -> dict[str, float | None]:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": _mean(values), "standard_error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, DRAWS)))
    parser.add_argument("--seeds", default=",".join(map(str, FRESH_SEEDS)))
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    found = [one for seed in asked.seeds.split(",") for one in world(int(seed), sizes)]
    told = summary(found)
    for size, row in told.items():
        print(f"\n{size} clients, {row['portfolios']} portfolios, {row['n_churned']:.0f} churned, backtest {row['seconds']:.0f} s")
        for part in ("models", "calibrators"):
            for name, measures in row[part].items():
                print(f"  {name:10}", *(f"{measure} {figure['mean']:.4f}" for measure, figure in measures.items()))
        for part in ("interval", "rolling", "random_folds"):
            print(f"  {part}: {row[part]}")
    if asked.json:
        write_json(asked.json, told)


if __name__ == "__main__":
    main()

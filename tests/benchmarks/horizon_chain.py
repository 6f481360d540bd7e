"""Simulated portfolios -> what the chain of horizons costs: its 30 and 180 days beside bags of their own, on thousands of other clients.

    python tests/benchmarks/horizon_chain.py [--json FILE]        about 8 minutes

A bag of its own for another horizon may rank differently and may contradict the main one; the chain can do neither. Both are calibrated
alike, on their own out-of-bag margins. Log loss and AUC on the clients that no model saw, in the later test period.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from models.backtest import Setup, fitted
from models.bag import Recipe
from models.fitting import Snapshots
from models.scorer import Floats
from models.splits import plan_splits
from pipeline.tables import write_json
from pipeline.train import setup_of

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.size_curve import JUDGE_CLIENTS, log_loss, log_odds_of, of_clients
from benchmarks.worlds import FRESH_SEEDS, portfolio

WORLD_CLIENTS = 9_000
DRAWS = {200: 6, 1_000: 3, 2_500: 1}


def compared(learnt: Snapshots, judge: Snapshots, setup: Setup, known_by: int) -> Iterator[dict[str, Any]]:
    """One row per horizon: the chain's figures and those of a bag that learned from that horizon's own labels."""
    model, _ = fitted(learnt, setup, earlier=(), known_by=known_by)
    chain = model.scorer.at_horizons(model.scorer.predict(judge.features)["probability"].to_numpy(np.float64))
    for days, at_horizon in chain.items():
        calendar = setup.calendar.with_horizon(days)
        judged_by_then = np.isin(learnt.as_of, calendar.purged(np.unique(learnt.as_of).tolist(), known_by))
        own = learnt.where(judged_by_then & np.isfinite(learnt.horizon_labels[days]))
        own = replace(own, label=own.horizon_labels[days], horizon_labels={})
        alone, _ = fitted(own, replace(setup, calendar=calendar), earlier=(), known_by=known_by)
        label = judge.horizon_labels[days]
        known = np.isfinite(label)
        answers = {"chain": at_horizon, "own": alone.scorer.predict(judge.features)["probability"].to_numpy(np.float64)}
        yield {"horizon_days": days, "n_rows": int(known.sum())} | {
            name: figures(label[known], probability[known]) for name, probability in answers.items()
        }


def figures(label: Floats, probability: Floats) -> dict[str, float]:
    return {
        "auc": float(roc_auc_score(label, probability)),
        "log_loss": log_loss(label, log_odds_of(probability)),
        "expected_to_observed": float(probability.mean() / label.mean()),
    }


def world(seed: int) -> Iterator[dict[str, Any]]:
    with portfolio(seed, WORLD_CLIENTS) as made:
        setup = setup_of(made.source, "churn", made.columns)
        rows = made.rows.where(np.isfinite(made.rows.label))
        plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=setup.calendar, test_periods=6, origins=1)
        random = np.random.default_rng(seed)
        everyone = random.permutation(np.unique(rows.client.astype(str)))
        judge, pool = of_clients(rows.at(plan.test.predicts[:3]), everyone[:JUDGE_CLIENTS]), everyone[JUDGE_CLIENTS:]
        for size, draws in DRAWS.items():
            for draw in range(draws):
                share = len(everyone) / WORLD_CLIENTS
                mine = of_clients(rows.at(plan.test.learns), random.choice(pool, round(size * share), replace=False))
                own = replace(setup, recipe=Recipe(made.source.settings.train.members, seed + draw))
                for row in compared(mine, judge, own, plan.test.origin):
                    yield {"n_clients": size} | row
                print(f"seed {seed}, {size} clients, draw {draw}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    found = [row for seed in FRESH_SEEDS for row in world(seed)]
    told = []
    for size in DRAWS:
        for days in sorted({row["horizon_days"] for row in found}):
            there = [row for row in found if (row["n_clients"], row["horizon_days"]) == (size, days)]
            means = {
                f"{name}_{measure}": float(np.mean([row[name][measure] for row in there]))
                for name in ("chain", "own")
                for measure in there[0]["chain"]
            }
            gaps = [row["own"]["auc"] - row["chain"]["auc"] for row in there]
            error = float(np.std(gaps, ddof=1) / np.sqrt(len(gaps)))
            told.append({"n_clients": size, "horizon_days": days, "portfolios": len(there), **means, "auc_gap_error": error})
            print({key: round(value, 4) for key, value in told[-1].items()})
    if asked.json:
        write_json(asked.json, {"rows": told})


if __name__ == "__main__":
    main()

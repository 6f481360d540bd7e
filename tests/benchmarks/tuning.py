"""Simulated portfolios and the training periods of the real sources -> whether searching for sizes (train.tuning_trials) pays out of time.

    python tests/benchmarks/tuning.py [--json FILE]        about 15 minutes

Simulated: portfolios of 700 clients, judged on thousands of others in the later test period. Real: what lies before the final test alone,
its newest as_of standing for the test; the final periods are not read.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.backtest import TEST, Setup, backtest
from models.bag import Recipe
from models.fitting import Snapshots
from models.metrics import Judged, figures
from models.scorer import Floats
from models.splits import plan_splits
from pipeline.ingest import ingest
from pipeline.snapshot import first_event_day
from pipeline.source import load_source
from pipeline.tables import write_json
from pipeline.train import setup_of
from pipeline.validate import validate

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.real_data import CASES, asked_of, load_files, prepared
from benchmarks.size_curve import log_loss, log_odds_of, of_clients
from benchmarks.worlds import FRESH_SEEDS, portfolio

TRIALS = 30
WORLD_CLIENTS, SIZE, DRAWS = 5_000, 700, 2
RESAMPLES = 1_000


def simulated() -> Iterator[dict[str, Any]]:
    """One row per portfolio: AUC and log loss on other clients, tuned minus not."""
    for seed in FRESH_SEEDS:
        with portfolio(seed, WORLD_CLIENTS) as made:
            knobs, random = made.source.settings.train, np.random.default_rng(seed)
            setup = setup_of(made.source, "churn", made.columns)
            everyone = random.permutation(np.unique(made.rows.client.astype(str)))
            size = round(SIZE * len(everyone) / WORLD_CLIENTS)
            for draw, mine in enumerate(np.split(everyone[: DRAWS * size], DRAWS)):
                own = replace(setup, recipe=Recipe(knobs.members, seed + draw))
                yield _both(of_clients(made.rows, mine), of_clients(made.rows, everyone[DRAWS * size :]), own, knobs.test_periods)


def _both(mine: Snapshots, others: Snapshots, setup: Setup, test_periods: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, trials in (("table", 0), ("tuned", TRIALS)):
        done = backtest(
            mine, replace(setup, trials=trials), test_periods=test_periods, origins=3, tell=lambda line: print(line, flush=True)
        )
        judge = others.at(sorted(set(done.predictions.loc[done.predictions["fold"] == TEST, "as_of"])))
        probability = done.evaluated.scorer.predict(judge.features)["probability"].to_numpy(np.float64)
        found[name] = {"auc": auc_of(judge.label, probability), "log_loss": log_loss(judge.label, log_odds_of(probability))}
        found[name]["size"] = done.evaluated.spec["training"]["size_reason"]
    return found


def auc_of(label: Floats, probability: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(label, probability))


def real(name: str) -> dict[str, Any] | None:
    """Figures of the table's sizes minus those of the tuned ones, paired, on the newest as_of before the final test; None without data."""
    if not load_files(name):
        return None
    case, source = CASES[name], load_source(name)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        ingest(source, output / "ingest")
        validate(source, output / "ingest", output / "validate")
        asked = asked_of(source, case, first_event_day(output / "validate"))
        rows, columns = prepared(asked, output)
    setup = setup_of(asked, "churn", columns)
    plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=setup.calendar, test_periods=1, origins=1)
    before = rows.at(plan.test.learns)
    predicted = {}
    for label, trials in (("table", 0), ("tuned", TRIALS)):
        done = backtest(before, replace(setup, trials=trials), test_periods=1, origins=3, tell=lambda line: print(line, flush=True))
        test = done.predictions[done.predictions["fold"] == TEST]
        predicted[label] = test["probability"].to_numpy(np.float64)
    judged = Judged.of(test["label"], test["client_id"], resamples=RESAMPLES, seed=source.settings.seed)
    by_name, differences = figures(judged, predicted, ("auc", "brier"))
    return {
        "source": name,
        "as_of": str(test["as_of"].iloc[0]),
        "n_rows": len(test),
        "figures": by_name,
        "table_minus": differences["tuned"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    portfolios = list(simulated())
    gains = {measure: np.array([one["tuned"][measure] - one["table"][measure] for one in portfolios]) for measure in ("auc", "log_loss")}
    told: dict[str, Any] = {
        "trials": TRIALS,
        "simulated": {
            "portfolios": len(portfolios),
            "n_clients": SIZE,
            "n_taken": sum("tuned" in one["tuned"]["size"] for one in portfolios),
            **{
                f"{measure}_tuned_minus_table": {"mean": float(gain.mean()), "standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain)))}
                for measure, gain in gains.items()
            },
        },
        "real": [found for name in CASES if (found := real(name))],
    }
    print(told)
    if asked.json:
        write_json(asked.json, told)


if __name__ == "__main__":
    main()

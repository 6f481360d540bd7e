"""Worlds with known truth -> how well misfits are foreseen, beside what the truth allows and the rules of practice.

    python tests/benchmarks/misfit_truth.py --json .figures/misfit_truth.json            # part of `make evaluate`
    python tests/benchmarks/misfit_truth.py --worlds chance --sizes 600 --seed 18          # a part of it

Each world and size is a portfolio of a seed that nothing was chosen by, with the production backtest but for the final period, which is the
last nine mature months: three hold too few that were marked. Judged is that period alone.

truth        the probability of being marked given the hidden states (pipeline/world/marking.py): no one can do better
same_rule    marked in the last window of the same length, by the label's own rule
thin_margin  contribution margin under 20 % for two months; costly: cost to serve over 20 % of a quarter's revenue: rules of practice. A
             rule is yes or no; its probability is the share marked among the like in training
beyond       the rows that do not meet the label's own rule already, where the model must earn its keep

Intervals: 95 %, over resamples of clients; differences are paired. With one portfolio per world they do not hold the luck of its training.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from features.time import to_date, to_day
from models.backtest import TEST, backtest
from models.judgement import probabilities
from models.metrics import Judged, figure_of, figures, measured
from models.misfit import SAME_RULE
from pipeline.tables import read_json, write_json
from pipeline.train import setup_of
from pipeline.world.settings import WORLDS

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.known_truth import shown
from benchmarks.worlds import FRESH_SEEDS, World, portfolio

SIZES = (600, 3_000)
TEST_PERIODS = 9
MEASURES = ("auc", "average_precision", "brier", "calibration_slope", "predicted_over_observed")
TRUTH = "truth"


def world_figures(world: str, n_clients: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Everything of one portfolio."""
    began = time.perf_counter()
    with portfolio(asked.seed, n_clients, world) as made:
        rows, columns = made.rows_of("misfit")
        knobs = made.source.settings.train
        found = backtest(
            rows, setup_of(made.source, "misfit", columns), test_periods=TEST_PERIODS, origins=knobs.origins, tell=lambda _: None
        )
        tested = found.predictions[found.predictions["fold"] == TEST].reset_index(drop=True)
        tested = tested.assign(truth=true_probability(made, tested))
        known = tested[tested["truth"].notna()].reset_index(drop=True)
        basis = read_json(made.source.output / "label" / "misfit.json")["basis"]
        figured = {
            "world": world,
            "n_clients": n_clients,
            "seed": asked.seed,
            "basis": basis,
            "from": str(to_date(int(tested["as_of"].min()))),
            "until": str(to_date(int(tested["as_of"].max()))),
            "n_rows_without_truth": len(tested) - len(known),
            "n_marked_learnt_from": int(found.evaluated.spec["training"]["n_churned_clients"]),
            "all": judged_figures(known, knobs.bootstrap_resamples),
            "beyond": judged_figures(known[known[SAME_RULE] != 1].reset_index(drop=True), knobs.bootstrap_resamples),
        }
    print(f"{world}, {n_clients:,} clients: {time.perf_counter() - began:.0f} s", flush=True)
    return figured


def true_probability(made: World, tested: pd.DataFrame) -> "pd.Series[float]":
    """Per row; NaN for a client whom the world no longer has, while nobody had noticed."""
    truth = made.marked_ceiling([to_date(day) for day in sorted(set(tested["as_of"].tolist()))])
    truth["as_of"] = [to_day(on) for on in truth["as_of"]]
    asked = tested[["client_id", "as_of"]].astype({"client_id": str})
    return asked.merge(truth.astype({"client_id": str}), on=["client_id", "as_of"], how="left", validate="1:1")["probability"]


def judged_figures(rows: pd.DataFrame, resamples: int) -> dict[str, Any]:
    """Model, truth and baselines on the same rows; `model_minus`: paired differences; `way`: the model's share of the way from chance to
    the truth, in AUC."""
    judged = Judged.of(rows["label"], rows["client_id"], resamples=resamples, seed=1, as_ofs=rows["as_of"])
    named = probabilities(rows) | {TRUTH: rows["truth"].to_numpy(np.float64)}
    by_name, differences = figures(judged, named, MEASURES)
    model, truth = (measured(judged, named[name], ("auc",))["auc"] - 0.5 for name in ("model", TRUTH))
    return {
        "n_rows": len(rows),
        "n_clients": int(rows["client_id"].nunique()),
        "n_marked_clients": int(rows.loc[rows["label"] == 1, "client_id"].nunique()),
        "share_marked": float(rows["label"].mean()),
        "figures": by_name,
        "model_minus": differences,
        "way": figure_of(np.where(truth > 0.05, model / np.where(truth > 0.05, truth, 1.0), np.nan)),
    }


def told(found: list[dict[str, Any]], console: Console) -> None:
    """The tables, on the terminal."""
    for part, title in (("all", "Misfits foreseen"), ("beyond", "… of clients that do not meet the label's own rule already")):
        table = Table(title=title, title_justify="left")
        for head in ("world", "clients", "marked", "by", "AUC", "AP", "Brier", "slope", "predicted/observed", "model − it, AUC"):
            table.add_column(head)
        for world in found:
            own = world[part]
            for name, figure in own["figures"].items():
                minus = own["model_minus"].get(name)
                cells = [world["world"], f"{world['n_clients']:,}", f"{own['n_marked_clients']}", name]
                cells += [shown(figure[measure]) for measure in MEASURES]
                table.add_row(*cells, shown(minus["auc"]) if minus else f"{shown(own['way'], 2)} of the way")
            table.add_section()
        console.print(table)


def with_figures(path: Path, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures that stand in the file, this world and size anew, in the order of WORLDS and sizes."""
    there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    by_key = {(one["world"], one["n_clients"]): one for one in there} | {(found["world"], found["n_clients"]): found}
    order = list(WORLDS)
    return [by_key[key] for key in sorted(by_key, key=lambda key: (order.index(key[0]), key[1]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--seed", type=int, default=FRESH_SEEDS[0])
    parser.add_argument("--json", type=Path, help="write the figures here; other worlds and sizes that stand there are kept")
    asked = parser.parse_args()
    for world in asked.worlds.split(","):
        for size in asked.sizes.split(","):
            found = world_figures(world, int(size), asked)
            told([found], Console(width=200))
            if asked.json:
                write_json(asked.json, with_figures(asked.json, found))


if __name__ == "__main__":
    main()

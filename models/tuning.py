"""Rows of the training period + its rolling origins -> sizes that score better out of time than the table's, or none. Optional.

Optuna's tree-structured Parzen estimator, seeded, begins with the table's own numbers (models/size.py). A trial's loss is its log loss on
the rolling origins inside the training period, each fitted on its purged past; slope and level are set right first, since calibration does
that afterwards for whatever wins. The test period is never looked at.

With a search, the figures of those rolling origins are no longer free of it; those of the test period are.

The best trial is taken only if it beats the table's numbers by more than the standard error of their paired difference over clients:
otherwise thirty trials would be thirty chances to fit the noise of a few leavers. Off by default (train.tuning_trials: 0), since that it
pays out of time has not been shown; tests/benchmarks/tuning.py measures it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.bag import Recipe
from models.calibration import fit_platt
from models.fitting import Columns, Snapshots, bag_margin, fit, margins
from models.scorer import Floats
from models.size import Tuned, size_for
from models.splits import Split

MEMBERS = 3  # of a trial's bags: enough to rank trials, a third of the time
SPACE: Mapping[str, tuple[float, float]] = {
    "trees": (20, 200),
    "tree_weight": (0.0, 1.0),
    "leaf_clients": (5, 40),
    "column_share": (0.2, 1.0),
}


@dataclass(frozen=True)
class Trials:
    """How many trials, on which rows and origins."""

    number: int
    rows: Snapshots
    origins: Sequence[Split]
    columns: Columns
    recipe: Recipe


def tuned(trials: Trials) -> tuple[Tuned | None, str]:
    """The sizes to use in place of the table's, or None; and what was found, as a sentence. No origins: None."""
    import optuna  # half a second, for a search that is off by default

    if not trials.origins:
        return None, "not tuned: there is no origin inside the training period to judge a trial by"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = size_for(_n_churned(trials.rows, trials.origins[-1]))
    losses: dict[int, Floats] = {}

    def loss(trial: "optuna.Trial") -> float:
        losses[trial.number] = _losses(trials, _asked(trial))
        return float(losses[trial.number].mean())

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=trials.recipe.seed))
    study.enqueue_trial({name: getattr(table, name) for name in SPACE})
    study.optimize(loss, n_trials=trials.number)
    best = study.best_trial
    gain, error = _gain(losses[0], losses[best.number])
    told = f"best of {trials.number} trials on {len(trials.origins)} origins: log loss {gain:+.5f} (standard error {error:.5f}) less"
    if not gain > error:
        return None, f"not tuned: {told}, which is within noise"
    return Tuned(**_sizes(best.params), because=f"tuned ({told})"), f"tuned: {told}"


def _asked(trial: Any) -> dict[str, float]:
    whole = {name: trial.suggest_int(name, *map(int, SPACE[name])) for name in ("trees", "leaf_clients")}
    return whole | {name: trial.suggest_float(name, *SPACE[name]) for name in ("tree_weight", "column_share")}


def _sizes(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trees": int(params["trees"]),
        "tree_weight": round(float(params["tree_weight"]), 4),
        "leaf_clients": int(params["leaf_clients"]),
        "column_share": round(float(params["column_share"]), 4),
    }


def _losses(trials: Trials, params: Mapping[str, Any]) -> Floats:
    """Mean log loss per client over the origins' snapshots, one per client in the order of its id."""
    recipe = replace(trials.recipe, members=MEMBERS, tuned=Tuned(**_sizes(params), because="a trial"))
    total: dict[str, list[float]] = {}
    for split in trials.origins:
        asked = trials.rows.at(split.predicts)
        margin = bag_margin(margins(fit(trials.rows.at(split.learns), trials.columns, recipe), asked.features))
        slope, intercept = fit_platt(margin, asked.label, asked.client)
        log_odds = slope * margin + intercept
        for client, loss in zip(asked.client, np.logaddexp(0.0, log_odds) - asked.label * log_odds, strict=True):
            total.setdefault(str(client), []).append(float(loss))
    return np.array([sum(total[client]) / len(total[client]) for client in sorted(total)])


def _gain(before: Floats, after: Floats) -> tuple[float, float]:
    """Mean gain over clients, and its standard error."""
    gains = before - after
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("inf")


def _n_churned(rows: Snapshots, split: Split) -> int:
    learnt = rows.at(split.learns)
    return len(set(learnt.client[learnt.label == 1].tolist()))

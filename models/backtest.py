"""Labelled snapshots -> every out-of-time prediction, the evaluated model and the shipped one.

Each fold is a model made at its origin from what was known then, predicting that origin's snapshots; the test period is the last fold and
is held out once. A fold is calibrated on the margins of earlier folds whose outcomes had been judged by its origin; where fewer than two
exist, on its own out-of-bag margins, and said so. The shipped model is the same recipe refitted to all rows, calibrated on all folds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.errors import UserError
from features.time import Calendar, to_date
from models.bag import Recipe
from models.baselines import recency_rule, windowed_rfm
from models.calibration import FOLDS_AT_LEAST, OUT_OF_TIME, Calibration, fit_platt
from models.fitting import Columns, FittedModel, Snapshots, bag_margin, calibrated, fit, margins, out_of_bag_calibration, unseen_margin
from models.metrics import Ranking, auc
from models.scorer import Model, probability_of
from models.splits import Split, plan_splits

TEST = "test"  # name of the last fold


@dataclass(frozen=True)
class Yardsticks:
    """Feature columns the baselines read: days since the last contact; counts and sums over windows."""

    recency: str
    rfm: Sequence[str]


@dataclass(frozen=True)
class Backtest:
    """predictions: one row per out-of-time snapshot – fold, client_id, as_of, label, margin, probability, low, high, and the same rows'
    unseen_probability (by members that never saw the client), recency_probability, rfm_probability.

    folds: one row per fold – fold, origin, n_rows, n_churned_clients and n_as_ofs of its training, slope, intercept, calibrated_on.
    evaluated: the model of the test fold. shipped: the refit on all rows.
    """

    predictions: pd.DataFrame
    folds: pd.DataFrame
    evaluated: FittedModel
    shipped: FittedModel


def backtest(
    rows: Snapshots,
    columns: Columns,
    yardsticks: Yardsticks,
    *,
    question: Mapping[str, Any],
    calendar: Calendar,
    test_periods: int,
    origins: int,
    recipe: Recipe,
    tell: Callable[[str], None],
) -> Backtest:
    """Runs the backtest and the final refit; `tell` is called with a line per fold. Raises NotEnoughHistory or UserError.

    question: what the labels answer, `target` and whatever else the caller must know again; it goes into the specs, with the calendar's gap
    and horizon and the days from which each model learned.
    """
    for name in (yardsticks.recency, *yardsticks.rfm):
        if name not in rows.features.columns:
            raise UserError("features", found=f"no column {name}", wanted="the columns the baselines read", cure="run featurize again")
    plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=calendar, test_periods=test_periods, origins=origins)
    done: list[_Fold] = []
    for split in (*plan.origins, plan.test):
        name = TEST if split is plan.test else str(to_date(split.origin))
        earlier = [fold for fold in done if calendar.is_mature(fold.split.origin, split.origin)]
        done.append(_run(name, split, rows, columns, yardsticks, question=question, calendar=calendar, recipe=recipe, earlier=earlier))
        tell(f"fold {name}: {len(done[-1].learnt)} rows to learn from, {len(done[-1].asked)} to predict")
    bag = fit(rows, columns, recipe)
    tell(f"shipped model: {len(rows)} rows")
    platt = _pooled(done) if len(done) >= FOLDS_AT_LEAST else out_of_bag_calibration(bag, rows)
    shipped = calibrated(bag, platt, question=_dated(question, calendar, rows))
    return Backtest(
        pd.concat([fold.predictions for fold in done], ignore_index=True),
        pd.DataFrame([fold.facts for fold in done]),
        done[-1].model,
        shipped,
    )


def _dated(question: Mapping[str, Any], calendar: Calendar, learnt: Snapshots) -> dict[str, Any]:
    """The question with its days. trained_until: the last as_of learned from. outcomes_until: the day after the last outcome window."""
    last = int(learnt.as_of.max())
    return {
        **question,
        "gap_days": calendar.gap_days,
        "horizon_days": calendar.horizon_days,
        "trained_until": str(to_date(last)),
        "outcomes_until": str(to_date(calendar.outcome_ends(last))),
    }


@dataclass(frozen=True)
class _Fold:
    split: Split
    learnt: Snapshots
    asked: Snapshots
    model: FittedModel
    predictions: pd.DataFrame
    facts: dict[str, Any]


def _run(
    name: str,
    split: Split,
    rows: Snapshots,
    columns: Columns,
    yardsticks: Yardsticks,
    *,
    question: Mapping[str, Any],
    calendar: Calendar,
    recipe: Recipe,
    earlier: Sequence[_Fold],
) -> _Fold:
    learnt, asked = rows.at(split.learns), rows.at(split.predicts)
    bag = fit(learnt, columns, recipe)
    platt = _pooled(earlier) if len(earlier) >= FOLDS_AT_LEAST else out_of_bag_calibration(bag, learnt)
    model = calibrated(bag, platt, question=_dated(question, calendar, learnt))
    of_members = margins(bag, asked.features)
    scores = Model(model.spec, model.texts).calibrated(of_members)
    predictions = pd.DataFrame(
        {
            "fold": name,
            "client_id": asked.client,
            "as_of": asked.as_of,
            "label": asked.label.astype(np.int8),
            "margin": bag_margin(of_members),
            "probability": scores["probability"],
            "low": scores["low"],
            "high": scores["high"],
            "unseen_probability": probability_of(platt.log_odds(unseen_margin(bag, of_members, asked.client))),
            "recency_probability": recency_rule(learnt.features, learnt.label, learnt.client, asked.features, yardsticks.recency),
            "rfm_probability": windowed_rfm(learnt.features, learnt.label, asked.features, yardsticks.rfm),
        }
    )
    facts = {
        "fold": name,
        "origin": split.origin,
        "n_as_ofs": len(split.learns),
        "n_rows": len(learnt),
        "n_churned_clients": bag.spec["training"]["n_churned_clients"],
        "ridge": bag.spec["training"]["ridge"],
        "slope": platt.slope,
        "intercept": platt.intercept,
        "calibrated_on": platt.fitted_on,
    }
    return _Fold(split, learnt, asked, model, predictions, facts)


def _pooled(folds: Sequence[_Fold]) -> Calibration:
    together = pd.concat([fold.predictions for fold in folds], ignore_index=True)
    return fit_platt(
        together["margin"].to_numpy(np.float64),
        together["label"].to_numpy(np.float64),
        together["client_id"].to_numpy(object),
        fitted_on=OUT_OF_TIME,
        folds=tuple(str(fold.facts["fold"]) for fold in folds),
    )


def permuted_aucs(
    rows: Snapshots, columns: Columns, *, calendar: Calendar, test_periods: int, recipe: Recipe, permutations: int
) -> list[float]:
    """AUC on the test period after the labels were shuffled among the clients of each as_of: chance, unless something leaks.

    Shuffled within the as_of, so that what is left is the share of leavers per as_of, which ranks nobody. Each as_of on its own: one
    shuffle of clients for all would let the model know a client again from its steady features, which is not a leak.
    """
    plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=calendar, test_periods=test_periods, origins=1)
    found = []
    for place in range(permutations):
        random = np.random.default_rng([recipe.seed, 5, place])
        label = rows.label.copy()
        for day in np.unique(rows.as_of):
            here = np.flatnonzero(rows.as_of == day)
            label[here] = label[here][random.permutation(len(here))]
        shuffled = Snapshots(rows.features, label, rows.client, rows.as_of)
        bag = fit(shuffled.at(plan.test.learns), columns, recipe)
        asked = shuffled.at(plan.test.predicts)
        margin = bag_margin(margins(bag, asked.features))
        found.append(float(auc(Ranking.of(margin).above(np.ones((1, len(asked))), asked.label))[0]))
    return found

"""Labelled snapshots -> every out-of-time prediction, the evaluated model and the shipped one.

Each fold is a model made at its origin from what was known then, predicting that origin's snapshots, and the later ones before the test
period (which tells how a model ages); the test period is the last fold and is held out once. A fold is calibrated on the margins of earlier
folds whose outcomes had been judged by its origin; where fewer than two exist, on its own out-of-bag margins at the newest as_of it learned
from, and said so. The shipped model is the same recipe refitted to all rows, calibrated on all folds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.errors import UserError
from features.time import Calendar, age_days, strictly_between, to_date
from models import horizons
from models.bag import Recipe
from models.baselines import recency_rule, windowed_rfm, yes_or_no
from models.calibration import FOLDS_AT_LEAST, OUT_OF_BAG, OUT_OF_TIME, Calibration, calibrate, separate_windows
from models.fitting import (
    Columns,
    FittedModel,
    Ints,
    Snapshots,
    bag_margin,
    calibrated,
    fit,
    importance,
    margins,
    out_of_bag_margin,
    unseen_margin,
)
from models.horizons import Step
from models.leakage import check_judged, check_population, check_split
from models.metrics import Ranking, auc
from models.scorer import Floats, Model, probability_of
from models.splits import Plan, Split, plan_splits
from models.tuning import Trials, tuned

TEST = "test"  # name of the last fold
IMPORTANCE_ROWS = 2_000  # evenly spaced: enough for a mean size, and contributions take about a millisecond each


@dataclass(frozen=True)
class Yardsticks:
    """Feature columns that are read by name. For the baselines: days since the last contact; counts and sums over windows. For figures
    weighted by value: what a client is worth (revenue over a year, in minor units); none where the source has no amounts."""

    recency: str
    rfm: Sequence[str]
    value: str | None = None


@dataclass(frozen=True)
class Backtest:
    """predictions: one row per out-of-time snapshot – fold, client_id, as_of, label, margin, probability, low, high, and the same rows'
    unseen_probability (by members that never saw the client), recency_probability, rfm_probability, value (NaN = not known); and of each
    rule of the rows <rule> (whether it is met: 0, 1, NaN = unknown) and <rule>_probability.

    later: what each origin's model says of later as_ofs before the test – fold, client_id, as_of, days_on, label, probability.
    horizons: predictions at every horizon – fold, client_id, as_of, horizon_days, label (NaN = not known), probability.
    folds: one row per fold – fold, origin, n_rows, n_churned_clients and n_as_ofs of its training, ridge, slope, intercept, shift,
    n_windows, calibrated_on, oob_auc (inside its training, by members that did not see the client).
    importance: of the shipped model's signals at the newest as_of learned from – signal, mean_contribution_size (log-odds), share.
    evaluated: the model of the test fold. shipped: the refit on all rows.
    """

    predictions: pd.DataFrame
    later: pd.DataFrame
    horizons: pd.DataFrame
    folds: pd.DataFrame
    importance: pd.DataFrame
    evaluated: FittedModel
    shipped: FittedModel


@dataclass(frozen=True)
class Setup:
    """What all folds share. question: what the labels answer, `target` and whatever else the caller must know again; it goes into the
    specs, with the calendar's gap and horizon and the days learned from. grows: whether a longer horizon makes a positive likelier.
    trials: of the search for sizes inside the training period (models/tuning.py); 0 = none."""

    columns: Columns
    yardsticks: Yardsticks
    question: Mapping[str, Any]
    grows: bool
    calendar: Calendar
    recipe: Recipe
    trials: int = 0


def backtest(rows: Snapshots, setup: Setup, *, test_periods: int, origins: int, tell: Callable[[str], None]) -> Backtest:
    """Runs the backtest and the final refit; `tell` is called with a line per fold. Raises NotEnoughHistory or UserError."""
    # one BLAS thread: the order of its sums, hence the last bits of what is fitted, would depend on the number of threads
    with threadpool_limits(limits=1, user_api="blas"):
        return _backtest(rows, setup, test_periods, origins, tell)


def _backtest(rows: Snapshots, setup: Setup, test_periods: int, origins: int, tell: Callable[[str], None]) -> Backtest:
    for name in (setup.yardsticks.recency, *setup.yardsticks.rfm):
        if name not in rows.features.columns:
            raise UserError("features", found=f"no column {name}", wanted="the columns the baselines read", cure="run featurize again")
    calendar = setup.calendar
    plan = plan_splits(rows.as_of, rows.label, rows.client, calendar=calendar, test_periods=test_periods, origins=origins)
    setup = _tuned(rows, plan, setup, tell) if setup.trials else setup
    done: list[_Fold] = []
    for split in (*plan.origins, plan.test):
        name = TEST if split is plan.test else str(to_date(split.origin))
        earlier = [fold for fold in done if calendar.is_mature(fold.split.origin, split.origin)]
        done.append(_run(name, split, rows, setup, earlier=earlier, before=plan.test.origin))
        tell(f"fold {name}: {len(done[-1].learnt)} rows to learn from, {len(done[-1].predictions)} to predict")
    shipped, _ = fitted(rows, setup, earlier=done, known_by=None)
    tell(f"shipped model: {len(rows)} rows")
    predictions, later, at_horizons = (
        pd.concat([getattr(fold, part) for fold in done], ignore_index=True) for part in ("predictions", "later", "horizons")
    )
    return Backtest(
        predictions,
        later,
        at_horizons,
        folds=pd.DataFrame([fold.facts for fold in done]),
        importance=_importance(shipped, rows),
        evaluated=done[-1].model,
        shipped=shipped,
    )


def _importance(model: FittedModel, rows: Snapshots) -> pd.DataFrame:
    newest = rows.at([int(rows.as_of.max())])
    some = np.unique(np.linspace(0, len(newest) - 1, min(len(newest), IMPORTANCE_ROWS)).astype(int))
    return importance(model.spec["signals"], model.scorer.explain(newest.features.iloc[some]).by_signal)


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


def _tuned(rows: Snapshots, plan: Plan, setup: Setup, tell: Callable[[str], None]) -> Setup:
    """The setup with the sizes that a search inside the training period chose, if it chose any."""
    found, told = tuned(Trials(setup.trials, rows.at(plan.test.learns), plan.origins, setup.columns, setup.recipe))
    tell(told)
    return replace(setup, recipe=replace(setup.recipe, tuned=found))


# ---- one model --------------------------------------------------------------------------------------------------------------------


def fitted(learnt: Snapshots, setup: Setup, *, earlier: Sequence["_Fold"], known_by: int | None) -> tuple[FittedModel, float]:
    """The recipe on these rows, calibrated, with its steps to other horizons; and its AUC on clients out of bag.

    known_by: the day by which labels must have been judged; None = all that are known.
    """
    if known_by is not None:
        for fold in earlier:
            as_of = fold.predictions["as_of"].to_numpy(np.int64)
            check_judged(as_of, origin=known_by, calendar=setup.calendar, what=f"the calibration labels of {fold.facts['fold']}")
    bag = fit(learnt, setup.columns, setup.recipe)
    out_of_bag = out_of_bag_margin(bag, learnt)
    platt = _pooled(earlier, setup.calendar) if len(earlier) >= FOLDS_AT_LEAST else _out_of_bag(out_of_bag, learnt, setup.calendar)
    steps = _steps(platt.log_odds(out_of_bag), learnt, setup, known_by)
    usable = np.isfinite(out_of_bag)
    inside = auc(Ranking.of(out_of_bag[usable]).above(np.ones((1, int(usable.sum()))), learnt.label[usable]))[0]
    return calibrated(bag, platt, steps, question=_dated(setup.question, setup.calendar, learnt)), float(inside)


def _pooled(folds: Sequence["_Fold"], calendar: Calendar) -> Calibration:
    together = pd.concat([fold.predictions for fold in folds], ignore_index=True)
    return calibrate(
        together["margin"].to_numpy(np.float64),
        together["label"].to_numpy(np.float64),
        together["client_id"].to_numpy(object),
        n_windows=separate_windows(together["as_of"].unique(), calendar),
        fitted_on=OUT_OF_TIME,
        folds=tuple(str(fold.facts["fold"]) for fold in folds),
    )


def _out_of_bag(margin: Floats, learnt: Snapshots, calendar: Calendar) -> Calibration:
    """Calibration at the newest as_of that was learned from, on clients out of bag: the fallback of a short history."""
    newest = int(learnt.as_of.max())
    usable = np.isfinite(margin) & (learnt.as_of == newest)
    return calibrate(
        margin[usable],
        learnt.label[usable],
        learnt.client[usable],
        n_windows=separate_windows([newest], calendar),
        fitted_on=OUT_OF_BAG,
        folds=(),
    )


def _steps(log_odds: Floats, learnt: Snapshots, setup: Setup, known_by: int | None) -> tuple[Step, ...]:
    """The steps to other horizons, from the labels that had been judged by the day `known_by`."""
    usable = np.isfinite(log_odds)
    labels = {
        days: np.where(_judged(learnt.as_of, setup.calendar.with_horizon(days), known_by), label, np.nan)[usable]
        for days, label in learnt.horizon_labels.items()
    }
    if known_by is not None:
        for days, label in labels.items():
            as_of, calendar = learnt.as_of[usable][np.isfinite(label)], setup.calendar.with_horizon(days)
            check_judged(as_of, origin=known_by, calendar=calendar, what=f"the labels at {days} days")
    return horizons.fit_steps(
        log_odds[usable],
        labels,
        learnt.client[usable],
        main_days=setup.calendar.horizon_days,
        grows=setup.grows,
    )


def _judged(as_of: Ints, calendar: Calendar, known_by: int | None) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    if known_by is None:
        return np.ones(len(as_of), bool)
    return np.isin(as_of, [day for day in np.unique(as_of) if calendar.is_mature(int(day), known_by)])


# ---- one fold ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fold:
    split: Split
    learnt: Snapshots
    model: FittedModel
    predictions: pd.DataFrame
    later: pd.DataFrame
    horizons: pd.DataFrame
    facts: dict[str, Any]


def _run(name: str, split: Split, rows: Snapshots, setup: Setup, *, earlier: Sequence[_Fold], before: int) -> _Fold:
    """One fold. before: the first day of the test period, which no other fold may see."""
    learnt, asked = rows.at(split.learns), rows.at(split.predicts)
    check_split(learnt, asked, origin=split.origin, calendar=setup.calendar)
    check_population(asked, rows)
    model, inside_auc = fitted(learnt, setup, earlier=earlier, known_by=split.origin)
    ready = model.scorer
    of_members = ready.member_margins(asked.features)
    scores = ready.calibrated(of_members)
    keys = pd.DataFrame({"fold": name, "client_id": asked.client, "as_of": asked.as_of})
    predictions = keys.assign(
        label=asked.label.astype(np.int8),
        margin=bag_margin(of_members),
        probability=scores["probability"],
        low=scores["low"],
        high=scores["high"],
        unseen_probability=_unseen(model, of_members, asked),
        **_baselines(learnt, asked, setup.yardsticks),
        **asked.rules,
        value=asked.features[setup.yardsticks.value].to_numpy(np.float64) if setup.yardsticks.value else np.nan,
    )
    facts = _facts(name, split, learnt, model, inside_auc)
    at_horizons = _at_horizons(keys, asked, ready, predictions["probability"].to_numpy(np.float64))
    return _Fold(split, learnt, model, predictions, _later(name, split, rows, ready, before), at_horizons, facts)


def _unseen(model: FittedModel, of_members: Floats, asked: Snapshots) -> Floats:
    slope, intercept = model.scorer.calibration
    return probability_of(slope * unseen_margin(model.bag, of_members, asked.client) + intercept)


def _baselines(learnt: Snapshots, asked: Snapshots, yardsticks: Yardsticks) -> dict[str, Floats]:
    return {
        "recency_probability": recency_rule(learnt.features, learnt.label, learnt.client, asked.features, yardsticks.recency),
        "rfm_probability": windowed_rfm(learnt.features, learnt.label, asked.features, yardsticks.rfm),
        **{f"{name}_probability": yes_or_no(learnt.rules[name], learnt.label, is_met) for name, is_met in asked.rules.items()},
    }


def _at_horizons(keys: pd.DataFrame, asked: Snapshots, ready: Model, probability: Floats) -> pd.DataFrame:
    """One row per snapshot and horizon."""
    return pd.concat(
        [
            keys.assign(horizon_days=days, label=asked.horizon_labels.get(days, asked.label), probability=there)
            for days, there in ready.at_horizons(probability).items()
        ],
        ignore_index=True,
    )


def _later(name: str, split: Split, rows: Snapshots, ready: Model, before: int) -> pd.DataFrame:
    """What the fold's model says of the as_ofs after those it predicts, up to the test period."""
    days = [int(day) for day in np.unique(rows.as_of)]
    asked = rows.at(strictly_between(days, after=max(split.predicts), before=before))
    return pd.DataFrame(
        {
            "fold": name,
            "client_id": asked.client,
            "as_of": asked.as_of,
            "days_on": age_days(split.origin, asked.as_of),
            "label": asked.label.astype(np.int8),
            "probability": ready.predict(asked.features)["probability"].to_numpy(np.float64),
        }
    )


def _facts(name: str, split: Split, learnt: Snapshots, model: FittedModel, inside_auc: float) -> dict[str, Any]:
    training, platt = model.spec["training"], model.spec["calibration"]
    return {
        "fold": name,
        "origin": split.origin,
        "n_as_ofs": len(split.learns),
        "n_rows": len(learnt),
        "n_churned_clients": training["n_churned_clients"],
        "trees": training["trees"],
        "tree_weight": model.spec["tree_weight"],
        "ridge": training["ridge"],
        "slope": platt["slope"],
        "intercept": platt["intercept"],
        "shift": platt["shift"],
        "n_windows": platt["n_windows"],
        "calibrated_on": platt["fitted_on"],
        "oob_auc": inside_auc,
    }


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

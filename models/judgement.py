"""Out-of-time predictions -> figures: of a period, of each origin, of validation against what came, of ageing models, of each horizon.

Predictions are frames with one row per snapshot: fold, client_id, as_of, label (0/1) and probabilities. What is compared is judged on the
same rows and the same resamples of clients. Months of age are rounded: a model is judged 1, 2, 3 … months after the day it was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.metrics import Flags, Judged, chance_among, figure_of, figures, measured, prevalence
from models.misfit import COSTLY, SAME_RULE, THIN_MARGIN
from models.scorer import Floats

BASELINES = {name: f"{name}_probability" for name in ("recency", "rfm", SAME_RULE, THIN_MARGIN, COSTLY)}  # of which a target has some
SHORT = ("auc", "average_precision", "brier", "calibration_slope", "predicted_over_observed")  # of an origin, and of a horizon
AGEING = ("auc", "brier", "predicted_over_observed")
DAYS_PER_MONTH = 365.25 / 12
MOST_ROWS = 50_000  # judged by slice, age and horizon: beyond, of clients drawn at random; a second per 10,000 rows and dozens of figures


@dataclass(frozen=True)
class Rules:
    """How figures are made: client resamples behind each interval, the seed of their draws, clients a team can contact per as_of."""

    resamples: int
    seed: int
    capacity: int

    def judged(self, rows: pd.DataFrame) -> Judged:
        """Labels, clients and their draws; as_ofs and, where the rows carry it, the clients' value."""
        return Judged.of(
            rows["label"],
            rows["client_id"],
            resamples=self.resamples,
            seed=self.seed,
            as_ofs=rows["as_of"],
            capacity=self.capacity,
            value=rows["value"].to_numpy(np.float64, na_value=np.nan) if "value" in rows else None,
        )

    def some(self, rows: pd.DataFrame) -> Flags:
        """Which rows are judged where each of many parts is: all, or those of clients drawn at random, MOST_ROWS at most in the mean."""
        if len(rows) <= MOST_ROWS:
            return np.ones(len(rows), bool)
        clients = np.unique(rows["client_id"].to_numpy(object).astype(str))
        n_kept = max(int(len(clients) * MOST_ROWS / len(rows)), 1)
        kept = np.random.default_rng([self.seed, 6]).permutation(clients)[:n_kept]
        return np.asarray(rows["client_id"].isin(kept), bool)


def probabilities(rows: pd.DataFrame) -> dict[str, Floats]:
    """What is judged, by name; the model first, then the baselines that these rows have."""
    judged = {"model": "probability"} | BASELINES
    return {name: rows[column].to_numpy(np.float64) for name, column in judged.items() if column in rows}


def population(rows: pd.DataFrame, judged: Judged) -> dict[str, Any]:
    """Who is judged, and how many of them churned."""
    return {
        "from": str(rows["as_of"].min()),
        "until": str(rows["as_of"].max()),
        "n_as_ofs": int(rows["as_of"].nunique()),
        "n_rows": len(rows),
        "n_clients": int(rows["client_id"].nunique()),
        "n_churned_clients": int(rows.loc[rows["label"] == 1, "client_id"].nunique()),
        "prevalence": prevalence(judged),
    }


def of_period(rows: pd.DataFrame, rules: Rules) -> dict[str, Any]:
    """Model, baselines and paired differences on the same rows; and the model's members on clients that they never saw."""
    judged = rules.judged(rows)
    by_name, differences = figures(judged, probabilities(rows))
    is_unseen = rows["unseen_probability"].notna().to_numpy()
    unseen, _ = figures(judged.at(is_unseen), {"unseen_clients": rows.loc[is_unseen, "unseen_probability"].to_numpy(np.float64)})
    return {
        **population(rows, judged),
        "at_capacity": at_capacity(judged),
        **by_name,
        **{f"model_minus_{name}": difference for name, difference in differences.items()},
        **unseen,
    }


def beyond_rule(rows: pd.DataFrame, is_test: "pd.Series[bool]", rules: Rules) -> dict[str, Any] | None:
    """Figures of the rows that do not meet the label's own rule already, where a model must earn its keep: `test` and `origins`, null where
    there are none; and the number of rows left out. None where the target has no such rule.
    """
    if SAME_RULE not in rows:
        return None
    is_beyond = rows[SAME_RULE] != 1
    parts = {"test": rows[is_test & is_beyond], "origins": rows[~is_test & is_beyond]}
    figures_of = {name: of_period(part, rules) if len(part) else None for name, part in parts.items()}
    return {"rule": SAME_RULE, "n_rows_that_meet_it": int((~is_beyond).sum()), **figures_of}


def at_capacity(judged: Judged) -> dict[str, Any]:
    """Per as_of: how many a team can contact, how many it does (all, where they are fewer), how many of them leave by chance."""
    assert judged.look is not None
    assert judged.capacity is not None
    capacity, looks = judged.capacity, [np.flatnonzero(judged.look == look) for look in np.unique(judged.look)]

    def by_chance(weight: Floats) -> Floats:
        return np.asarray(sum(chance_among(weight[:, rows], judged.label[rows], capacity) for rows in looks) / len(looks), np.float64)

    return {
        "capacity": capacity,
        "contacted": float(np.mean([min(capacity, len(rows)) for rows in looks])),
        "found_by_chance": figure_of(judged.over_resamples(by_chance)),
    }


def by_origin(rows: pd.DataFrame, folds: Sequence[Mapping[str, Any]], test: str, rules: Rules) -> list[dict[str, Any]]:
    """One entry per fold, in `folds`' order: its own figures, what its probabilities were calibrated on, and its AUC inside training.

    test: the fold that is the final test period.

    oob_auc: by members on the clients that they did not see, at the newest as_of learned from – what one believed before the outcome was
    known; null where train does not say.
    """
    found = []
    for fold in folds:
        own = rows[rows["fold"] == fold["fold"]]
        if own.empty:
            continue
        judged = rules.judged(own)
        by_name, differences = figures(judged, {name: probabilities(own)[name] for name in ("model", "recency")}, SHORT)
        found.append(
            {
                "fold": fold["fold"],
                "is_test": fold["fold"] == test,
                **population(own, judged),
                **by_name["model"],
                "recency_auc": by_name["recency"]["auc"],
                "auc_minus_recency": differences["recency"]["auc"],
                "calibrated_on": fold.get("calibrated_on"),
                "oob_auc": fold.get("oob_auc"),
            }
        )
    return found


def validation_gap(rows: pd.DataFrame, is_test: "pd.Series[bool]", origins: Sequence[Mapping[str, Any]], rules: Rules) -> dict[str, Any]:
    """How far what was believed beforehand lay from what came.

    rolling_minus_test: AUC pooled over the rolling origins minus the later test period's, on the same draws of clients; `size` without its
    sign. oob_minus_realised: per fold, the AUC inside training minus the one realised. Nulls where there is nothing to compare.
    """
    gap: dict[str, Any] = {"rolling_auc": None, "test_auc": None, "rolling_minus_test": None, "size": None}
    if is_test.any() and not is_test.all():
        judged, probability, tested = rules.judged(rows), rows["probability"].to_numpy(np.float64), is_test.to_numpy()
        rolling, test = (measured(judged.at(part), probability[part], ("auc",))["auc"] for part in (~tested, tested))
        difference = figure_of(rolling - test)
        gap = {"rolling_auc": figure_of(rolling)["value"], "test_auc": figure_of(test)["value"], "rolling_minus_test": difference}
        gap["size"] = None if difference["value"] is None else abs(difference["value"])
    inside = [_oob_gap(origin) for origin in origins]
    known = [entry["difference"]["value"] for entry in inside if entry["difference"] and entry["difference"]["value"] is not None]
    mean_size = float(np.mean(np.abs(known))) if known else None
    return gap | {"oob_minus_realised": inside, "oob_mean_difference": float(np.mean(known)) if known else None, "oob_mean_size": mean_size}


def _oob_gap(origin: Mapping[str, Any]) -> dict[str, Any]:
    inside, realised = origin["oob_auc"], origin["auc"]
    if inside is None or realised["value"] is None:
        return {"fold": origin["fold"], "difference": None}
    ends = {end: None if realised[end] is None else inside - realised[end] for end in ("low", "high")}
    return {"fold": origin["fold"], "difference": {"value": inside - realised["value"], "low": ends["high"], "high": ends["low"]}}


def decay(later: pd.DataFrame | None, rows: pd.DataFrame, rules: Rules) -> list[dict[str, Any]]:
    """One entry per month of age: figures of models so old, pooled over origins; and paired with the fresh models on the same snapshots.

    later: fold, client_id, as_of, days_on, label, probability – what each origin's model says of later as_ofs. rows: the backtest, whose
    folds are the fresh models where they have the as_of; `paired` is null where none has.
    """
    if later is None or later.empty:
        return []
    later = later[rules.some(later)]
    fresh = rows[["client_id", "as_of", "probability"]].rename(columns={"probability": "fresh_probability"})
    aged = later.merge(fresh, on=["client_id", "as_of"], how="left", validate="m:1")
    aged = aged.assign(months=np.maximum(np.round(aged["days_on"] / DAYS_PER_MONTH), 1).astype(int))
    return [_aged(months, aged[aged["months"] == months], rules) for months in sorted(aged["months"].unique().tolist())]


def _aged(months: int, own: pd.DataFrame, rules: Rules) -> dict[str, Any]:
    judged = rules.judged(own)
    by_name, _ = figures(judged, {"aged": own["probability"].to_numpy(np.float64)}, AGEING)
    is_paired = own["fresh_probability"].notna().to_numpy()
    paired = None
    if is_paired.any():
        both = {"aged": own.loc[is_paired, "probability"], "fresh": own.loc[is_paired, "fresh_probability"]}
        of_both, differences = figures(judged.at(is_paired), {name: column.to_numpy(np.float64) for name, column in both.items()}, AGEING)
        paired = {"n_rows": int(is_paired.sum()), **of_both, "aged_minus_fresh": differences["fresh"]}
    return {"months": months, "n_rows": len(own), "n_models": int(own["fold"].nunique()), **by_name["aged"], "paired": paired}


def by_horizon(rows: pd.DataFrame | None, test: str, rules: Rules) -> list[dict[str, Any]]:
    """One entry per horizon, shortest first: n, base rate and figures, of the test fold and of the rolling origins.

    rows: fold, client_id, as_of, horizon_days, label, probability; a row whose label is not known yet is left out.
    """
    if rows is None:
        return []
    known = rows[rows["label"].notna()]
    known = known[rules.some(known)]
    parts = {"test": known[known["fold"] == test], "origins": known[known["fold"] != test]}
    return [
        {"horizon_days": int(days)} | {name: _of_horizon(part[part["horizon_days"] == days], rules) for name, part in parts.items()}
        for days in sorted(known["horizon_days"].unique())
    ]


def _of_horizon(own: pd.DataFrame, rules: Rules) -> dict[str, Any] | None:
    if own.empty:
        return None
    judged = rules.judged(own)
    by_name, _ = figures(judged, {"model": own["probability"].to_numpy(np.float64)}, SHORT)
    return {"n_rows": len(own), "n_clients": int(own["client_id"].nunique()), "prevalence": prevalence(judged), **by_name["model"]}


def is_known(figure: Mapping[str, float | None] | None) -> bool:
    """Whether a figure has a value and an interval."""
    return figure is not None and None not in (figure.get("value"), figure.get("low"), figure.get("high"))

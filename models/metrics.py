"""Probabilities beside labels and clients -> figures with client-bootstrap intervals, paired differences, gain and calibration curves.

Clients are resampled, not rows: snapshots of one client are near copies, and an interval that counts rows is far too narrow. A resample is
a set of row weights, the same for every prediction judged, so that differences are paired. Each figure of all resamples comes from one sort
(ranking) or one pass (Brier, slope); resample 0 is the data itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.scorer import Floats, probability_of

Ints = npt.NDArray[np.int64]

TOP_SHARE = 0.10  # lift is judged on the riskiest tenth
BLOCK_CELLS = 250_000  # weights held at once: resamples · rows, 2 MB, so that they stay in the cache
INTERVAL = (2.5, 97.5)  # percent: 95 % intervals
CLOSE = 1e-9  # log-odds that lie within this carry no slope

MEASURES = ("auc", "average_precision", "brier", "lift_at_10_percent", "calibration_slope", "calibration_intercept")

Figure = dict[str, float | None]


@dataclass(frozen=True)
class Judged:
    """What is judged: label (0/1), client of each row, and how many times each client is drawn, shape (1 + resamples, clients)."""

    label: Floats
    client: Ints
    draws: Floats

    @classmethod
    def of(cls, label: npt.ArrayLike, clients: npt.ArrayLike, *, resamples: int, seed: int) -> "Judged":
        names, client = np.unique(np.asarray(clients, dtype=object).astype(str), return_inverse=True)
        random = np.random.default_rng([seed, 4])
        n_clients = len(names)
        drawn = (
            random.multinomial(n_clients, np.full(n_clients, 1.0 / max(n_clients, 1)), size=resamples)
            if n_clients
            else np.zeros((resamples, 0))
        )
        return cls(np.asarray(label, np.float64), client.astype(np.int64), np.vstack([np.ones((1, n_clients)), drawn]).astype(np.float64))

    def over_resamples(self, measure: Callable[[Floats], Floats]) -> Floats:
        """`measure`: weights (some resamples, rows) -> (some resamples, …); called in blocks. -> (1 + resamples, …)."""
        step = max(BLOCK_CELLS // max(len(self.label), 1), 1)
        starts = range(0, len(self.draws), step)
        return np.concatenate([measure(self.draws[start : start + step][:, self.client]) for start in starts])


def figures(judged: Judged, probabilities: Mapping[str, Floats]) -> tuple[dict[str, dict[str, Figure]], dict[str, dict[str, Figure]]]:
    """Probabilities by name (the first is the model) -> (figures by name, differences first − other by other's name).

    A figure is {value, low, high}, or nulls where it is not defined (one class only, a constant prediction).
    """
    drawn = {name: _all_measures(judged, np.asarray(p, np.float64)) for name, p in probabilities.items()}
    first, *others = drawn
    by_name = {name: {measure: figure_of(values) for measure, values in measures.items()} for name, measures in drawn.items()}
    differences = {
        other: {measure: figure_of(drawn[first][measure] - drawn[other][measure]) for measure in drawn[first]} for other in others
    }
    return by_name, differences


def figure_of(values: Floats) -> Figure:
    """(1 + resamples,) -> the value on the data itself, and the 95 % interval over the resamples where it is defined."""
    if not np.isfinite(values[0]):
        return {"value": None, "low": None, "high": None}
    defined = values[1:][np.isfinite(values[1:])]
    if not len(defined):
        return {"value": float(values[0]), "low": None, "high": None}
    low, high = np.percentile(defined, INTERVAL)
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def prevalence(judged: Judged) -> Figure:
    """Share of positives, with its interval."""
    return figure_of(judged.over_resamples(lambda weight: (weight @ judged.label) / weight.sum(axis=1)))


def _all_measures(judged: Judged, probability: Floats) -> dict[str, Floats]:
    if not len(probability):
        return {name: np.full(len(judged.draws), np.nan) for name in MEASURES}
    ranking = Ranking.of(probability)
    log_odds = log_odds_of(probability)
    squares = (probability - judged.label) ** 2
    sloped, held = (recalibration_start(judged.label, log_odds, with_slope=with_slope) for with_slope in (True, False))

    def measure(weight: Floats) -> Floats:
        ranked = ranking.above(weight, judged.label)
        measures = (
            auc(ranked),
            average_precision(ranked),
            (weight @ squares) / weight.sum(axis=1),
            found_in_top(ranked, TOP_SHARE) / TOP_SHARE,
            recalibration(weight, judged.label, log_odds, with_slope=True, start=sloped)[1],
            recalibration(weight, judged.label, log_odds, with_slope=False, start=held)[0],
        )
        return np.stack(measures, axis=1)

    return dict(zip(MEASURES, judged.over_resamples(measure).T, strict=True))


def log_odds_of(probability: Floats) -> Floats:
    """Log-odds, with probabilities held off 0 and 1 by 1e-9."""
    inside = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


# ---- ranking ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranking:
    """Rows from the highest score to the lowest; `ends` are the last places of each run of equal scores."""

    order: Ints
    ends: Ints

    @classmethod
    def of(cls, score: Floats) -> "Ranking":
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(score) else np.zeros(0, np.int64)
        return cls(order.astype(np.int64), ends.astype(np.int64))

    def above(self, weight: Floats, label: Floats) -> "Ranked":
        """weight: (resamples, rows) -> weights at the end of each run of equal scores, from the top."""
        ranked = weight[:, self.order]
        everyone = np.cumsum(ranked, axis=1)[:, self.ends]
        positive = np.cumsum(ranked * label[self.order], axis=1)[:, self.ends]
        return Ranked(positive, everyone)


@dataclass(frozen=True)
class Ranked:
    """Weight of the positives, and of all rows, in each run of equal scores and above it; each (resamples, runs)."""

    positive: Floats
    everyone: Floats


def auc(ranked: Ranked) -> Floats:
    """Area under the ROC curve, ties counting half. -> (resamples,), NaN where a class is missing."""
    positive, negative = ranked.positive, ranked.everyone - ranked.positive
    pairs = (_steps(negative) * (positive - _steps(positive) / 2.0)).sum(axis=1)
    return _ratio(pairs, positive[:, -1] * negative[:, -1])


def average_precision(ranked: Ranked) -> Floats:
    """Mean precision over the positives, runs of equal scores taken whole (as scikit-learn has it). -> (resamples,)."""
    precision = np.divide(ranked.positive, ranked.everyone, out=np.zeros_like(ranked.positive), where=ranked.everyone > 0)
    return _ratio((_steps(ranked.positive) * precision).sum(axis=1), ranked.positive[:, -1])


def found_in_top(ranked: Ranked, share: float) -> Floats:
    """Share of the positives among the riskiest `share` of the rows; a run of equal scores across the border counts in proportion."""
    found = np.empty(len(ranked.positive), np.float64)
    for place, (positive, everyone) in enumerate(zip(ranked.positive, ranked.everyone, strict=True)):
        found[place] = np.interp(share * everyone[-1], np.append(0.0, everyone), np.append(0.0, positive))
    return _ratio(found, ranked.positive[:, -1])


def _steps(cumulated: Floats) -> Floats:
    return np.diff(cumulated, axis=1, prepend=0.0)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


# ---- calibration ------------------------------------------------------------------------------------------------------------------


def recalibration(
    weight: Floats, label: Floats, log_odds: Floats, *, with_slope: bool, start: tuple[float, float] = (0.0, 1.0)
) -> tuple[Floats, Floats]:
    """Logistic regression of the label on the predicted log-odds, for all resamples at once: (intercept, slope), each (resamples,).

    A calibrated model has slope 1 and, with the slope held at 1, intercept 0 (calibration in the large). NaN where a class is missing or
    the prediction is constant; a slope is held within ±20, which only perfect separation reaches. start: where Newton's steps begin.
    """
    intercept, slope = np.full(len(weight), start[0]), np.full(len(weight), start[1])
    weighted_label = weight * label
    for _ in range(25):
        chance = probability_of(intercept[:, None] + slope[:, None] * log_odds)
        expected = weight * chance
        curve = expected * (1.0 - chance)
        excess = expected - weighted_label
        g0, h00 = excess.sum(axis=1), curve.sum(axis=1) + 1e-9
        if with_slope:
            g1, h01, h11 = excess @ log_odds, curve @ log_odds, curve @ log_odds**2 + 1e-9
            size = np.maximum(h00 * h11 - h01**2, 1e-12)
            step0, step1 = (h11 * g0 - h01 * g1) / size, (h00 * g1 - h01 * g0) / size
        else:
            step0, step1 = g0 / h00, np.zeros(len(weight))
        intercept, slope = np.clip(intercept - np.clip(step0, -3, 3), -20, 20), np.clip(slope - np.clip(step1, -3, 3), -20, 20)
        if max(np.abs(step0).max(initial=0.0), np.abs(step1).max(initial=0.0)) < 1e-4:  # the next step would be of the order of 1e-8
            break
    share = _ratio(weight @ label, weight.sum(axis=1))
    spread = float(np.ptp(log_odds)) if len(log_odds) else 0.0
    undefined = ~((share > 0) & (share < 1)) | (with_slope and spread < CLOSE)
    return np.where(undefined, np.nan, intercept), np.where(undefined, np.nan, slope)


def recalibration_start(label: Floats, log_odds: Floats, *, with_slope: bool) -> tuple[float, float]:
    """The solution on the data itself, near which those of the resamples lie; the neutral (0, 1) where there is none."""
    intercept, slope = recalibration(np.ones((1, len(label))), label, log_odds, with_slope=with_slope)
    return (float(intercept[0]), float(slope[0])) if np.isfinite(intercept[0]) else (0.0, 1.0)


# ---- curves -----------------------------------------------------------------------------------------------------------------------


def gain_curve(label: Floats, probabilities: Mapping[str, Floats], n_points: int = 100) -> pd.DataFrame:
    """One row per name and share of clients contacted (riskiest first): the share of churned found. Columns: name, contacted, found."""
    shares = np.arange(n_points + 1) / n_points
    everyone = np.ones((1, len(label)))
    curves = []
    for name, probability in probabilities.items():
        ranked = Ranking.of(np.asarray(probability, np.float64)).above(everyone, label)
        found = [float(found_in_top(ranked, float(share))[0]) for share in shares]
        curves.append(pd.DataFrame({"name": name, "contacted": shares, "found": found}))
    return pd.concat(curves, ignore_index=True)


def calibration_curve(judged: Judged, probability: Floats, n_bins: int = 10) -> pd.DataFrame:
    """One row per bin of equally many rows, least risky first: bin, n_rows, predicted (mean), observed (share), its interval low, high."""
    order = np.argsort(probability, kind="stable")
    rows = []
    for place, members in enumerate(np.array_split(order, min(n_bins, max(len(order), 1)))):
        if not len(members):
            continue
        inside = np.zeros(len(probability))
        inside[members] = 1.0

        def observed(weight: Floats, inside: Floats = inside) -> Floats:
            return _ratio(weight @ (inside * judged.label), weight @ inside)

        figure = figure_of(judged.over_resamples(observed))
        mean = float(probability[members].mean())
        rows.append(
            {
                "bin": place + 1,
                "n_rows": len(members),
                "predicted": mean,
                "observed": figure["value"],
                "low": figure["low"],
                "high": figure["high"],
            }
        )
    return pd.DataFrame(rows, columns=["bin", "n_rows", "predicted", "observed", "low", "high"])

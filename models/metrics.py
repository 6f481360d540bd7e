"""Probabilities beside labels and clients -> figures with client-bootstrap intervals, and paired differences.

Clients are resampled, not rows: snapshots of one client are near copies, and an interval that counts rows is far too narrow. A resample is
a set of row weights, the same for every prediction judged, so that differences are paired. Each figure of all resamples comes from one sort
(ranking) or one pass (Brier, slope); resample 0 is the data itself.

What a list of names is worth to a team is judged within each as_of, since that is when it is worked off: of the `capacity` riskiest of one
as_of, how many leave. The other rankings pool the as_ofs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.scorer import Floats, probability_of

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Measure = Callable[[Floats], Floats]  # weights (some resamples, rows) -> (some resamples, measures of the family)

TOP_SHARE = 0.10  # lift is judged on the riskiest tenth
BLOCK_CELLS = 250_000  # weights held at once: resamples · rows, 2 MB, so that they stay in the cache
INTERVAL = (2.5, 97.5)  # percent: 95 % intervals
CLOSE = 1e-9  # log-odds that lie within this carry no slope
BINS = 1_000  # runs of rows with nearly equal log-odds, on which the resamples' slopes are fitted: those of 100,000 rows in a second

Figure = dict[str, float | None]
UNDEFINED: Figure = {"value": None, "low": None, "high": None}


@dataclass(frozen=True)
class Judged:
    """What is judged: label (0/1), client of each row, and how many times each client is drawn, shape (1 + resamples, clients).

    look: which as_of a row belongs to, 0 …; capacity: how many clients a team can contact per as_of. value: what a client is worth, in any
    unit, never below 0. Where one of them is not known, the measures that need it are undefined.
    """

    label: Floats
    client: Ints
    draws: Floats
    look: Ints | None = None
    capacity: int | None = None
    value: Floats | None = None

    @classmethod
    def of(
        cls,
        label: npt.ArrayLike,
        clients: npt.ArrayLike,
        *,
        resamples: int,
        seed: int,
        as_ofs: npt.ArrayLike | None = None,
        capacity: int | None = None,
        value: npt.ArrayLike | None = None,
    ) -> "Judged":
        """One entry per row. as_ofs: anything that tells them apart. value: NaN for all = not known; NaN for some, or below 0 = 0."""
        names, client = np.unique(np.asarray(clients, dtype=object).astype(str), return_inverse=True)
        random = np.random.default_rng([seed, 4])
        n_clients = len(names)
        drawn = (
            random.multinomial(n_clients, np.full(n_clients, 1.0 / max(n_clients, 1)), size=resamples)
            if n_clients
            else np.zeros((resamples, 0))
        )
        looks = None if as_ofs is None else np.unique(np.asarray(as_ofs, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)
        return cls(
            np.asarray(label, np.float64),
            client.astype(np.int64),
            np.vstack([np.ones((1, n_clients)), drawn]).astype(np.float64),
            looks,
            capacity,
            _worth(value),
        )

    def at(self, chosen: Flags) -> "Judged":
        """Some of the rows, on the same draws of clients: figures of parts are paired with those of the whole and of one another."""
        return replace(
            self,
            label=self.label[chosen],
            client=self.client[chosen],
            look=None if self.look is None else self.look[chosen],
            value=None if self.value is None else self.value[chosen],
        )

    def over_resamples(self, measure: Measure) -> Floats:
        """`measure`: weights (some resamples, rows) -> (some resamples, …); called in blocks. -> (1 + resamples, …)."""
        step = max(BLOCK_CELLS // max(len(self.label), 1), 1)
        starts = range(0, len(self.draws), step)
        return np.concatenate([measure(self.draws[start : start + step][:, self.client]) for start in starts])


def _worth(value: npt.ArrayLike | None) -> Floats | None:
    given = None if value is None else np.asarray(value, np.float64)
    return None if given is None or not np.isfinite(given).any() else np.nan_to_num(given, nan=0.0).clip(min=0.0)


def figures(
    judged: Judged, probabilities: Mapping[str, Floats], measures: Sequence[str] | None = None
) -> tuple[dict[str, dict[str, Figure]], dict[str, dict[str, Figure]]]:
    """Probabilities by name (the first is the model) -> (figures by name, differences first − other by other's name).

    A figure is {value, low, high}, or nulls where it is not defined (one class only, a constant prediction). measures: some of MEASURES;
    None = all.
    """
    drawn = {name: measured(judged, np.asarray(p, np.float64), measures) for name, p in probabilities.items()}
    first, *others = drawn
    by_name = {name: {measure: figure_of(values) for measure, values in found.items()} for name, found in drawn.items()}
    differences = {
        other: {measure: figure_of(drawn[first][measure] - drawn[other][measure]) for measure in drawn[first]} for other in others
    }
    return by_name, differences


def measured(judged: Judged, probability: Floats, measures: Sequence[str] | None = None) -> dict[str, Floats]:
    """Each measure on the data itself and on every resample, (1 + resamples,); NaN where it is not defined."""
    wanted = MEASURES if measures is None else tuple(measures)
    if not len(probability):
        return {name: np.full(len(judged.draws), np.nan) for name in wanted}
    families = [family for family, names in FAMILIES.items() if set(names) & set(wanted)]
    of_family = [family(judged, probability) for family in families]
    drawn = judged.over_resamples(lambda weight: np.concatenate([measure(weight) for measure in of_family], axis=1)).T
    by_name = dict(zip([name for family in families for name in FAMILIES[family]], drawn, strict=True))
    return {name: by_name[name] for name in wanted}


def figure_of(values: Floats) -> Figure:
    """(1 + resamples,) -> the value on the data itself, and the 95 % interval over the resamples where it is defined."""
    if not len(values) or not np.isfinite(values[0]):
        return dict(UNDEFINED)
    defined = values[1:][np.isfinite(values[1:])]
    if not len(defined):
        return {"value": float(values[0]), "low": None, "high": None}
    low, high = np.percentile(defined, INTERVAL)
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def prevalence(judged: Judged) -> Figure:
    """Share of positives, with its interval."""
    return figure_of(judged.over_resamples(lambda weight: ratio(weight @ judged.label, weight.sum(axis=1))))


# ---- families of measures: each gives (judged, probability) -> a measure of several figures in one pass -----------------------------


def _ranking(judged: Judged, probability: Floats) -> Measure:
    ranking = Ranking.of(probability)

    def measure(weight: Floats) -> Floats:
        ranked = ranking.above(weight, judged.label)
        precision = average_precision(ranked)
        share = ratio(ranked.positive[:, -1], ranked.everyone[:, -1])
        return np.stack([auc(ranked), precision, ratio(precision, share), found_in_top(ranked, TOP_SHARE) / TOP_SHARE], axis=1)

    return measure


def _value_ranking(judged: Judged, probability: Floats) -> Measure:
    if judged.value is None:
        return _undefined(1)
    ranking, worth = Ranking.of(probability), judged.value * judged.label

    def measure(weight: Floats) -> Floats:
        return (found_in_top(ranking.above(weight, worth), TOP_SHARE) / TOP_SHARE)[:, None]

    return measure


def _at_capacity(judged: Judged, probability: Floats) -> Measure:
    if judged.look is None or judged.capacity is None:
        return _undefined(2)
    capacity = judged.capacity
    looks = [np.flatnonzero(judged.look == look) for look in np.unique(judged.look)]
    rankings = [Ranking.of(probability[rows]) for rows in looks]

    def measure(weight: Floats) -> Floats:
        found, by_chance = np.zeros(len(weight)), np.zeros(len(weight))
        for rows, ranking in zip(looks, rankings, strict=True):
            ranked = ranking.above(weight[:, rows], judged.label[rows])
            found += found_among(ranked, np.minimum(capacity, ranked.everyone[:, -1]))
            by_chance += chance_among(weight[:, rows], judged.label[rows], capacity)
        return np.stack([ratio(found, by_chance), found / len(looks)], axis=1)

    return measure


def _undefined(n_measures: int) -> Measure:
    return lambda weight: np.full((len(weight), n_measures), np.nan)


def _errors(judged: Judged, probability: Floats) -> Measure:
    inside = np.clip(probability, 1e-9, 1 - 1e-9)
    loss = -(judged.label * np.log(inside) + (1 - judged.label) * np.log1p(-inside))
    parts = np.stack([(probability - judged.label) ** 2, loss, probability, judged.label, np.ones(len(probability))], axis=1)

    def measure(weight: Floats) -> Floats:
        squares, losses, predicted, positive, everyone = (weight @ parts).T
        brier, share = ratio(squares, everyone), ratio(positive, everyone)
        skill = 1.0 - ratio(brier, share * (1.0 - share))
        return np.stack([brier, skill, ratio(losses, everyone), ratio(predicted, positive)], axis=1)

    return measure


def _recalibration(judged: Judged, probability: Floats) -> Measure:
    log_odds = log_odds_of(probability)
    sloped, held = (recalibration_start(judged.label, log_odds, with_slope=with_slope) for with_slope in (True, False))
    bins = Bins.of(log_odds)
    once = bins.sums(np.ones((1, len(log_odds)))), bins.sums(judged.label[None, :])
    # the bins' own solution on the data itself lies a hair beside that of the rows, which is known: all resamples are moved by that hair
    slope_by, intercept_by = (
        exact - float(fitted[0])
        for exact, fitted in (
            (sloped[1], recalibration(*once, bins.centers, with_slope=True, start=sloped)[1]),
            (held[0], recalibration(*once, bins.centers, with_slope=False, start=held)[0]),
        )
    )

    def measure(weight: Floats) -> Floats:
        everyone, positive = bins.sums(weight), bins.sums(weight * judged.label)
        slope = recalibration(everyone, positive, bins.centers, with_slope=True, start=sloped)[1]
        intercept = recalibration(everyone, positive, bins.centers, with_slope=False, start=held)[0]
        return np.stack([slope + slope_by, intercept + intercept_by], axis=1)

    return measure


FAMILIES: Mapping[Callable[[Judged, Floats], Measure], tuple[str, ...]] = {
    _ranking: ("auc", "average_precision", "average_precision_over_base_rate", "lift_at_10_percent"),
    _at_capacity: ("lift_at_capacity", "found_at_capacity"),
    _value_ranking: ("value_lift_at_10_percent",),
    _errors: ("brier", "brier_skill", "log_loss", "predicted_over_observed"),
    _recalibration: ("calibration_slope", "calibration_intercept"),
}
MEASURES: tuple[str, ...] = tuple(name for names in FAMILIES.values() for name in names)


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
    return ratio(pairs, positive[:, -1] * negative[:, -1])


def average_precision(ranked: Ranked) -> Floats:
    """Mean precision over the positives, runs of equal scores taken whole (as scikit-learn has it). -> (resamples,)."""
    precision = np.divide(ranked.positive, ranked.everyone, out=np.zeros_like(ranked.positive), where=ranked.everyone > 0)
    return ratio((_steps(ranked.positive) * precision).sum(axis=1), ranked.positive[:, -1])


def found_in_top(ranked: Ranked, share: float) -> Floats:
    """Share of the positives among the riskiest `share` of the rows; a run of equal scores across the border counts in proportion."""
    if not ranked.everyone.shape[1]:
        return np.full(len(ranked.everyone), np.nan)
    return ratio(found_among(ranked, share * ranked.everyone[:, -1]), ranked.positive[:, -1])


def found_among(ranked: Ranked, amount: Floats) -> Floats:
    """Weight of the positives among the `amount` riskiest, (resamples,); a run of equal scores across the border counts in proportion."""
    resample = np.arange(len(amount))
    at = np.minimum((ranked.everyone < amount[:, None]).sum(axis=1), ranked.everyone.shape[1] - 1)
    before = at - 1
    everyone, positive = (np.where(at > 0, cumulated[resample, before], 0.0) for cumulated in (ranked.everyone, ranked.positive))
    in_run = ranked.everyone[resample, at] - everyone
    part = np.divide(amount - everyone, in_run, out=np.zeros_like(amount), where=in_run > 0)
    return np.asarray(positive + part * (ranked.positive[resample, at] - positive), np.float64)


def chance_among(weight: Floats, label: Floats, amount: int) -> Floats:
    """Weight of the positives to be expected among `amount` rows taken at random, or among all if they are fewer. -> (resamples,)."""
    everyone = weight.sum(axis=1)
    return np.asarray(np.nan_to_num(ratio(weight @ label, everyone)) * np.minimum(amount, everyone), np.float64)


def _steps(cumulated: Floats) -> Floats:
    return np.diff(cumulated, axis=1, prepend=0.0)


def ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


# ---- calibration ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bins:
    """Runs of rows with nearly equal log-odds: rows in their order, the place where each run begins, its mean log-odds.

    At most BINS runs of equally many rows; where there are no more rows than that each is a run of its own, and nothing is lost.
    """

    order: Ints
    starts: Ints
    centers: Floats

    @classmethod
    def of(cls, log_odds: Floats) -> "Bins":
        order = np.argsort(log_odds, kind="stable")
        starts = np.unique(np.linspace(0, len(order), min(BINS, len(order)), endpoint=False).astype(np.int64))
        sizes = np.diff(np.append(starts, len(order)))
        return cls(order.astype(np.int64), starts, np.asarray(np.add.reduceat(log_odds[order], starts) / sizes, np.float64))

    def sums(self, values: Floats) -> Floats:
        """(resamples, rows) -> (resamples, runs)."""
        return np.asarray(np.add.reduceat(values[:, self.order], self.starts, axis=1), np.float64)


def recalibration(
    weight: Floats, positive: Floats, log_odds: Floats, *, with_slope: bool, start: tuple[float, float] = (0.0, 1.0)
) -> tuple[Floats, Floats]:
    """Logistic regression of the label on the predicted log-odds, for all resamples at once: (intercept, slope), each (resamples,).

    weight, positive: weight of all rows, and of the positives, at each value of log_odds; (resamples, values). start: where Newton's steps
    begin. A calibrated model has slope 1 and, with the slope held at 1, intercept 0 (calibration in the large). NaN where a class
    is missing or the prediction is constant; a slope is held within ±20, which only perfect separation reaches.
    """
    # from the middle of the log-odds, where level and slope hardly pull at one another; far from it Newton's steps leave the valley
    middle = float(np.average(log_odds, weights=weight.sum(axis=0))) if weight.sum() else 0.0
    off = log_odds - middle
    level, slope = np.full(len(weight), start[0] + start[1] * middle), np.full(len(weight), start[1])
    loss, step = np.full(len(weight), np.inf), np.zeros((2, len(weight)))
    for _ in range(100):
        margin = level[:, None] + slope[:, None] * off
        now = (weight * np.logaddexp(0.0, margin) - positive * margin).sum(axis=1)
        too_far = now > loss + 1e-9 * np.abs(loss)
        chance = probability_of(margin)
        expected = weight * chance
        curve = expected * (1.0 - chance)
        excess = expected - positive
        g0, h00 = excess.sum(axis=1), curve.sum(axis=1) + 1e-9
        if with_slope:
            g1, h01, h11 = excess @ off, curve @ off, curve @ off**2 + 1e-9
            size = np.maximum(h00 * h11 - h01**2, 1e-12)
            newton = np.stack([(h11 * g0 - h01 * g1) / size, (h00 * g1 - h01 * g0) / size])
        else:
            newton = np.stack([g0 / h00, np.zeros(len(weight))])
        newton *= np.minimum(1.0, 3.0 / np.maximum(np.abs(newton).max(axis=0), 1e-12))  # both by one factor: the direction stays
        level, slope = level + np.where(too_far, step[0], 0.0), slope + np.where(too_far, step[1], 0.0)  # back to where it came from …
        loss, step = np.where(too_far, loss, now), np.where(too_far, step / 2.0, newton)  # … and half as far
        before = level, slope
        level, slope = np.clip(level - step[0], -20, 20), np.clip(slope - step[1], -20, 20)
        step = np.stack([before[0] - level, before[1] - slope])
        if np.abs(step).max(initial=0.0) < 1e-4:  # the next step would be of the order of 1e-8
            break
    intercept = level - slope * middle
    share = ratio(positive.sum(axis=1), weight.sum(axis=1))
    spread = float(np.ptp(log_odds)) if len(log_odds) else 0.0
    undefined = ~((share > 0) & (share < 1)) | (with_slope and spread < CLOSE)
    return np.where(undefined, np.nan, intercept), np.where(undefined, np.nan, slope)


def recalibration_start(label: Floats, log_odds: Floats, *, with_slope: bool) -> tuple[float, float]:
    """The solution on the data itself, near which those of the resamples lie; the neutral (0, 1) where there is none."""
    intercept, slope = recalibration(np.ones((1, len(label))), label[None, :], log_odds, with_slope=with_slope)
    return (float(intercept[0]), float(slope[0])) if np.isfinite(intercept[0]) else (0.0, 1.0)

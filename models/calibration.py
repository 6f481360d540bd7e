"""Out-of-time margins, their labels and clients -> Platt's two numbers: log-odds = slope · margin + intercept, with a slope above zero.

The slope is clamped and drawn towards 1, since on small samples a free Platt fit can turn the ranking round (facts, B3); beta calibration
and isotonic regression were compared by size (tests/benchmarks/size_curve.py): both lose below 1,000 clients, and gain 0.0003 of log loss
or less at 5,000. Rows weigh alike and together as much as their clients are many. Not 1 / rows of the client: a client that leaves has
fewer snapshots, so that would take the share of clients that ever left for the share of snapshots, twice the truth.

The level is not the slope's kind of knowledge. How many leave moves from quarter to quarter, for all clients at once (a season, a strike, a
rival); so a thousand clients of one quarter are one reading of it, not a thousand. The shift of the level is therefore believed in
proportion to how many separate outcome windows it was read from, n / (n + 1): as if one window more had shown no shift at all – the
posterior mean where the shift that lasts and the shift that comes and goes are expected to be equally large. Origins a month apart with a
horizon of three months share most of their windows, and count as what they cover.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from features.time import Calendar
from models.scorer import Floats, probability_of

SLOPE_AT_LEAST = 0.05  # keeps the ranking, whatever the sample says
SLOPE_SPREAD = 0.25  # a normal prior, 1 ± 0.25: a ridge and small trees are nearly calibrated; at ± 0.5 the next year scored worse
INTERCEPT_SPREAD = 1.0  # and the intercept to 0 ± 1: a sample without a single leaver does not mean that nobody ever leaves
PRIOR_WINDOWS = 1.0  # outcome windows that the belief in an unchanged level is worth
FOLDS_AT_LEAST = 2  # rolling folds below which the out-of-bag margins stand in

OUT_OF_TIME, OUT_OF_BAG = "rolling out-of-time margins", "client-grouped out-of-bag margins"


@dataclass(frozen=True)
class Calibration:
    """Platt's numbers and what they were fitted on. folds: the origins whose margins were pooled.

    shift: what the sample says the level is off by, in log-odds at its mean margin. n_windows: separate outcome windows it was read from;
    n_windows / (n_windows + 1) of the shift is in the intercept.
    """

    slope: float
    intercept: float
    fitted_on: str
    n_rows: int
    n_clients: int
    folds: tuple[str, ...]
    shift: float = 0.0
    n_windows: float = 0.0

    def to_spec(self) -> dict[str, Any]:
        return asdict(self) | {"folds": list(self.folds)}

    def log_odds(self, margin: Floats) -> Floats:
        return self.slope * margin + self.intercept


def calibrate(
    margin: Floats, label: Floats, clients: npt.NDArray[np.object_], *, n_windows: float, fitted_on: str, folds: tuple[str, ...]
) -> Calibration:
    """Platt on these rows, its level believed as far as `n_windows` separate outcome windows allow. No rows: slope 1, intercept 0."""
    if not len(margin):
        return Calibration(1.0, 0.0, fitted_on, 0, 0, folds)
    slope, intercept = fit_platt(margin, label, clients)
    center = float(margin.mean())
    shift = slope * center + intercept - center
    believed = shift * n_windows / (n_windows + PRIOR_WINDOWS)
    return Calibration(
        slope=slope,
        intercept=center + believed - slope * center,
        fitted_on=fitted_on,
        n_rows=len(margin),
        n_clients=len(set(clients.tolist())),
        folds=folds,
        shift=shift,
        n_windows=n_windows,
    )


def separate_windows(as_ofs: Iterable[int], calendar: Calendar) -> float:
    """How many outcome windows' worth of days the as_ofs' windows cover together.

    >>> separate_windows([0, 30, 60], Calendar(gap_days=14, horizon_days=60, lateness_days=7))
    2.0
    """
    covered: set[int] = set()
    for day in as_ofs:
        covered.update(range(calendar.outcome_begins(day), calendar.outcome_ends(day)))
    return len(covered) / calendar.horizon_days


def fit_platt(
    margin: Floats,
    label: Floats,
    clients: npt.NDArray[np.object_],
    *,
    slope_prior: float = 1.0,
    intercept_prior: float = 0.0,
    least_slope: float = SLOPE_AT_LEAST,
) -> tuple[float, float]:
    """Slope and intercept by maximum a posteriori; the priors' spreads are SLOPE_SPREAD and INTERCEPT_SPREAD.

    margin, label (0/1), clients: one per row, together worth as many observations as there are clients. No rows: the priors.
    """
    if not len(margin):
        return slope_prior, intercept_prior
    n_clients = len(np.unique(clients.astype(str)))
    weight = np.full(len(margin), n_clients / len(margin))

    def loss(point: Floats) -> tuple[float, Floats]:
        slope, intercept = point
        log_odds = slope * margin + intercept
        excess = weight * (probability_of(log_odds) - label)
        off = np.array([slope - slope_prior, intercept - intercept_prior])
        spread = np.array([SLOPE_SPREAD, INTERCEPT_SPREAD]) ** 2
        total = float(weight @ (np.logaddexp(0.0, log_odds) - label * log_odds)) + 0.5 * float((off**2 / spread).sum())
        return total, np.array([float(excess @ margin), float(excess.sum())]) + off / spread

    start = np.array([max(slope_prior, least_slope), intercept_prior])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(least_slope, None), (None, None)], tol=1e-12)
    return float(found.x[0]), float(found.x[1])

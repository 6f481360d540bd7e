"""Out-of-time margins, their labels and clients -> Platt's two numbers: log-odds = slope · margin + intercept, with a slope above zero.

The slope is clamped and drawn towards 1, since on small samples a free Platt fit can turn the ranking round (facts, B3); isotonic needs
a thousand rows and more. Rows weigh alike and together as much as their clients are many. Not 1 / rows of the client: a client that
leaves has fewer snapshots, so that would take the share of clients that ever left for the share of snapshots, twice the truth.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from models.scorer import Floats, probability_of

SLOPE_AT_LEAST = 0.05  # keeps the ranking, whatever the sample says
SLOPE_SPREAD = 0.25  # a normal prior, 1 ± 0.25: a ridge and small trees are nearly calibrated; at ± 0.5 the next year scored worse
INTERCEPT_SPREAD = 1.0  # and the intercept to 0 ± 1: a sample without a single leaver does not mean that nobody ever leaves
FOLDS_AT_LEAST = 2  # rolling folds below which the out-of-bag margins stand in

OUT_OF_TIME, OUT_OF_BAG = "rolling out-of-time margins", "client-grouped out-of-bag margins"


@dataclass(frozen=True)
class Calibration:
    """Platt's numbers and what they were fitted on. folds: the origins whose margins were pooled."""

    slope: float
    intercept: float
    fitted_on: str
    n_rows: int
    n_clients: int
    folds: tuple[str, ...]

    def to_spec(self) -> dict[str, Any]:
        return asdict(self) | {"folds": list(self.folds)}

    def log_odds(self, margin: Floats) -> Floats:
        return self.slope * margin + self.intercept


def fit_platt(margin: Floats, label: Floats, clients: npt.NDArray[np.object_], *, fitted_on: str, folds: tuple[str, ...]) -> Calibration:
    """Platt's slope and intercept by maximum a posteriori. margin, label (0/1), clients: one per row. No rows: slope 1, intercept 0."""
    if not len(margin):
        return Calibration(1.0, 0.0, fitted_on, 0, 0, folds)
    _, client = np.unique(clients.astype(str), return_inverse=True)
    n_clients = int(client.max()) + 1
    weight = np.full(len(margin), n_clients / len(margin))

    def loss(point: Floats) -> tuple[float, Floats]:
        slope, intercept = point
        log_odds = slope * margin + intercept
        excess = weight * (probability_of(log_odds) - label)
        pull = np.array([(slope - 1.0) / SLOPE_SPREAD**2, intercept / INTERCEPT_SPREAD**2])
        prior = 0.5 * ((slope - 1.0) ** 2 / SLOPE_SPREAD**2 + intercept**2 / INTERCEPT_SPREAD**2)
        total = float(weight @ (np.logaddexp(0.0, log_odds) - label * log_odds)) + prior
        return total, np.array([float(excess @ margin), float(excess.sum())]) + pull

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(SLOPE_AT_LEAST, None), (None, None)], tol=1e-12)
    return Calibration(float(found.x[0]), float(found.x[1]), fitted_on, len(margin), n_clients, folds)

"""Training rows + a member's client weights -> its ridge logistic regression with coefficients that keep to the columns' signs.

We chose asinh(x / typical) for every column over picking a transform by column: it is linear below a column's usual size and logarithmic
above, odd (so signs keep their meaning), indifferent to units, and cannot be swayed by one enormous invoice. A missing value stands at the
training median, with a flag of its own that has no sign. The ridge counts clients, not rows, as the unit of evidence.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from models.rows import Ints, Rows
from models.scorer import Floats, LinearMap, probability_of
from models.size import RELIABLE_FROM
from models.splits import client_folds

# candidate prior precisions of a standardised coefficient, with clients as the unit of evidence
RIDGES = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
FOLDS = 5  # client-grouped folds in which the ridge is chosen
CHOICE_CLIENTS = 1_500  # the ridge is chosen on at most so many clients: it is a precision, so it does not depend on how many there are


def linear_map(values: Floats) -> LinearMap:
    """How each column enters the linear part, learnt from training rows (rows, columns); a column without spread enters as zero."""
    n_columns = values.shape[1]
    typical, low, high, median, center, scale = (np.zeros(n_columns, np.float64) for _ in range(6))
    missing = np.isnan(values)
    for place in range(n_columns):
        known = values[~missing[:, place], place]
        if not len(known):
            typical[place] = scale[place] = 1.0
            continue
        low[place], high[place], median[place] = known.min(), known.max(), np.median(known)
        sizes = np.abs(known[known != 0.0])
        largest = max(-low[place], high[place])
        typical[place] = max(float(np.median(sizes)), largest * 1e-6) if len(sizes) else 1.0
        bent = np.arcsinh(np.where(missing[:, place], median[place], values[:, place]) / typical[place])
        center[place], scale[place] = bent.mean(), bent.std()
        if scale[place] < 1e-9:
            scale[place] = 1.0
    partly = missing.any(axis=0) & ~missing.all(axis=0)
    return LinearMap(typical, low, high, median, center, scale, tuple(int(place) for place in np.flatnonzero(partly)))


@dataclass(frozen=True)
class Inputs:
    """Inputs of the ridge: z, then flags, shape (rows, inputs); bounds of their coefficients."""

    matrix: Floats
    n_columns: int
    bounds: list[tuple[float | None, float | None]]
    label: Floats
    client: Ints

    @classmethod
    def of(cls, linear: LinearMap, rows: Rows, sign: Ints) -> "Inputs":
        z, missing = linear(rows.values)
        by_sign: dict[int, tuple[float | None, float | None]] = {-1: (None, 0.0), 0: (None, None), 1: (0.0, None)}
        bounds = [by_sign[int(value)] for value in sign] + [(None, None)] * missing.shape[1]
        return cls(np.ascontiguousarray(np.hstack([z, missing])), z.shape[1], bounds, rows.label, rows.client)

    def fit(self, weight: Floats, ridge: float, start: Floats | None) -> Floats:
        """Intercept and coefficients that minimise log loss per client + ridge / 2 · |coefficients|², within the bounds."""
        chosen = weight > 0
        matrix, label, weight = self.matrix[chosen], self.label[chosen], weight[chosen]
        weight = weight * (_effective_clients(self.client[chosen], weight) / weight.sum())

        def loss(point: Floats) -> tuple[float, Floats]:
            margin = matrix @ point[1:] + point[0]
            excess = weight * (probability_of(margin) - label)
            total = float(weight @ (np.logaddexp(0.0, margin) - label * margin)) + ridge / 2 * float(point[1:] @ point[1:])
            return total, np.concatenate([[excess.sum()], matrix.T @ excess + ridge * point[1:]])

        if start is None:
            share = float(np.clip(weight @ label / weight.sum(), 1e-6, 1 - 1e-6))
            start = np.concatenate([[math.log(share / (1 - share))], np.zeros(matrix.shape[1])])
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None), *self.bounds],
            options={"maxiter": 300, "ftol": 1e-7, "gtol": 1e-4},
        )
        return np.asarray(found.x, np.float64)

    def member(self, weight: Floats, ridge: float, start: Floats) -> dict[str, Any]:
        """One member's part of the spec: coefficients, and the means of the inputs over its own rows (the background of its reasons)."""
        point = self.fit(weight, ridge, start)
        means = np.average(self.matrix, axis=0, weights=weight)
        edge = self.n_columns
        return {
            "intercept": float(point[0]),
            "coefficients": (point[1 : 1 + edge] + 0.0).tolist(),
            "flag_coefficients": (point[1 + edge :] + 0.0).tolist(),
            "means": means[:edge].tolist(),
            "flag_means": means[edge:].tolist(),
        }


def _effective_clients(client: Ints, weight: Floats) -> float:
    """Clients that the weighted rows stand for, a client drawn twice counting twice."""
    most = np.zeros(int(client.max()) + 1, np.float64)
    np.maximum.at(most, client, weight)
    return float(most.sum())


def choose_ridge(inputs: Inputs, rows: Rows, seed: int) -> tuple[float, str]:
    """The ridge with the least client-grouped out-of-fold log loss; with few churned clients, the strongest (folds would be noise)."""
    n_churned = int(rows.has_churned.sum())
    if n_churned < RELIABLE_FROM or (~rows.has_churned).sum() < FOLDS:
        return RIDGES[1], f"fewer than {RELIABLE_FROM} churned clients: too few to choose by, so the second strongest"
    fold = client_folds(rows.has_churned, FOLDS, seed)
    random = np.random.default_rng([seed, 2])
    few = np.zeros(len(rows.clients), bool)
    few[random.permutation(len(rows.clients))[:CHOICE_CLIENTS]] = True
    of_row, is_used = fold[rows.client], few[rows.client]
    points: list[Floats | None] = [None] * FOLDS  # each solution starts the next, weaker one
    losses: list[float] = []
    for ridge in RIDGES:
        loss = 0.0
        for place in range(FOLDS):
            learnt, held = is_used & (of_row != place), is_used & (of_row == place)
            point = points[place] = inputs.fit(learnt.astype(np.float64), ridge, points[place])
            margin = inputs.matrix[held] @ point[1:] + point[0]
            loss += float((np.logaddexp(0.0, margin) - inputs.label[held] * margin).sum())
        losses.append(loss)
        if loss > min(losses):  # the loss has one valley: weaker still would be worse still
            break
    best = int(np.argmin(losses))
    return RIDGES[best], f"least log loss of {FOLDS} client-grouped folds inside training, out of {list(RIDGES)}"

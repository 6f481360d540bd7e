"""Labelled feature rows (one per client and as_of), their clients, the columns' signs -> the bag: a scorer spec and LightGBM texts.

Ten members, each fitted on its own resample of the clients: log-odds = w · monotone LightGBM + (1 − w) · ridge logistic regression whose
coefficients keep to the stated signs. At 200 to 5,000 clients the blend beat both its parts at every size (facts, B2); w and the size of
the trees follow the number of distinct clients that churned in training, since that, not the number of rows, is what there is to learn
from. Rows of one client are near copies, so every part counts clients, not rows: resamples, leaves, the ridge and its folds.

We chose asinh(x / typical) for every column of the linear part over picking a transform by column: it is linear below a column's usual
size and logarithmic above, odd (so signs keep their meaning), indifferent to units, and cannot be swayed by one enormous invoice.
We chose to draw churned and other clients apart, each with their own number, over one urn: with ten churned clients one urn in 20,000
holds none, and far more hold too few; rows keep weight 1 and classes are not reweighted.
Missing values: the linear part takes the median and a flag without a bound; LightGBM sends them to the side that fits better, which its
monotone constraint does not cover. An unknown value may therefore raise or lower risk, whatever the column's sign.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.errors import NotEnoughHistory, UserError
from models.scorer import FORMAT, BadFrame, Floats, LinearMap, feature_matrix, probability_of, text_hash
from models.splits import client_folds

Ints = npt.NDArray[np.int64]

# churned clients in training -> (trees per member, weight of the trees); between them, linear in the logarithm
SIZES = ((20, 40, 0.10), (50, 60, 0.25), (200, 150, 0.50), (500, 200, 0.50))
RELIABLE_FROM = 20  # churned clients; below, the stated rule is shown beside the model
LEARNING_RATE = 0.05
DEPTH = 3  # interactions of up to three signals; deeper trees lost at every size measured
LEAF_CLIENTS = 10  # a leaf holds the rows of at least about so many clients
RIDGES = (
    300.0,
    100.0,
    30.0,
    10.0,
    3.0,
    1.0,
)  # candidate prior precisions of a standardised coefficient, with clients as the unit of evidence
FOLDS = 5  # client-grouped folds in which the ridge is chosen
CHOICE_CLIENTS = 1_500  # the ridge is chosen on at most so many clients: it is a precision, so it does not depend on how many there are
THREADS = 1  # within a fit; fixed, since LightGBM writes it into the text
WORKERS = 2  # members fitted side by side: small fits share a busy machine far better so than by threads that wait for one another


@dataclass(frozen=True)
class Recipe:
    """What a run may set. members: number of resamples; seed: of every draw."""

    members: int
    seed: int


@dataclass(frozen=True)
class Size:
    """What the number of distinct churned clients in training allows."""

    n_churned_clients: int
    trees: int
    tree_weight: float
    is_reliable: bool

    @property
    def tier(self) -> str:
        """One word for the report."""
        if not self.is_reliable:
            return "unreliable"
        return "small" if self.n_churned_clients < 50 else "medium" if self.n_churned_clients <= 200 else "full"

    @property
    def reason(self) -> str:
        """Why this size, as a sentence."""
        told = f"{self.n_churned_clients} churned clients in training: {self.trees} trees per member with weight {self.tree_weight:.2f}"
        return told if self.is_reliable else f"{told}; with fewer than {RELIABLE_FROM} the figures are not to be relied upon"


def size_for(n_churned_clients: int) -> Size:
    """Number of trees and their weight; LightGBM always carries some.

    >>> size_for(5).tree_weight, size_for(50).tree_weight, size_for(1000).tree_weight
    (0.1, 0.25, 0.5)
    """
    steps = np.log([step[0] for step in SIZES])
    at = math.log(max(n_churned_clients, 1))
    trees = round(float(np.interp(at, steps, [step[1] for step in SIZES])))
    weight = round(float(np.interp(at, steps, [step[2] for step in SIZES])), 4)
    return Size(n_churned_clients, trees, weight, n_churned_clients >= RELIABLE_FROM)


@dataclass(frozen=True)
class Rows:
    """Training rows. values: (rows, columns), NaN = unknown. label: 0 or 1. client: place in `clients`, one per row."""

    values: Floats
    label: Floats
    client: Ints
    clients: npt.NDArray[np.object_]

    @property
    def has_churned(self) -> npt.NDArray[np.bool_]:
        """(clients,): whether any row of the client is positive."""
        return np.bincount(self.client, weights=self.label, minlength=len(self.clients)) > 0


@dataclass(frozen=True)
class Bag:
    """A fitted bag without its calibration. spec: everything a scorer needs but `calibration`. texts: LightGBM models.

    in_bag: (members, clients), how often each client was drawn; clients: their ids. Neither leaves the training process.
    """

    spec: dict[str, Any]
    texts: tuple[str, ...]
    in_bag: Ints
    clients: npt.NDArray[np.object_]


def rows_of(frame: pd.DataFrame, columns: Sequence[str], labels: npt.ArrayLike, clients: npt.ArrayLike) -> Rows:
    """Checks and packs training rows. Raises UserError for labels other than 0 and 1, infinite or non-numeric columns, unequal
    lengths; NotEnoughHistory for fewer than two classes."""
    label = np.asarray(pd.Series(labels).to_numpy(dtype=np.float64, na_value=np.nan))
    ids = np.asarray(clients, dtype=object)
    if not len(frame) == len(label) == len(ids):
        raise UserError(
            "training rows",
            found=f"{len(frame)} rows, {len(label)} labels, {len(ids)} clients",
            wanted="as many of each",
            cure="align them",
        )
    unknown = int((~np.isin(label, (0.0, 1.0))).sum())
    if unknown:
        raise UserError(
            "training labels",
            found=f"{unknown} of {len(label)} labels that are neither 0 nor 1",
            wanted="known outcomes only",
            cure="drop the rows whose outcome is unknown before fitting; unknown is not negative",
        )
    try:
        values = feature_matrix(frame, columns)
    except BadFrame as problem:
        raise UserError("training features", found=str(problem), wanted="finite numbers or NaN", cure="mend the feature") from problem
    if len(np.unique(label)) < 2:
        raise NotEnoughHistory(
            "training rows",
            found=f"{len(label)} rows, {int(label.sum())} of them positive",
            wanted="some that left and some that stayed",
            cure="ingest a longer history, or check how leaving is recorded",
        )
    unique, client = np.unique(ids.astype(str), return_inverse=True)
    return Rows(values, label, client.astype(np.int64), unique.astype(object))


def fit_bag(rows: Rows, columns: Sequence[str], *, signs: Mapping[str, int], signals: Mapping[str, str], recipe: Recipe) -> Bag:
    """Fits the bag. signs: column -> −1, 0 or 1; signals: column -> signal. Needs both classes (models/splits.py checks and says so)."""
    sign = np.array([signs.get(name, 0) for name in columns], np.int64)
    size = size_for(int(rows.has_churned.sum()))
    # one BLAS thread: the order of its sums, hence the last bits of the coefficients, would depend on the number of threads
    with threadpool_limits(limits=1, user_api="blas"):
        linear = linear_map(rows.values)
        inputs = _Inputs.of(linear, rows, sign)
        ridge, ridge_reason = choose_ridge(inputs, rows, recipe)
        start = inputs.fit(np.ones(len(rows.label)), ridge, None)
        drawn = draw_clients(rows, recipe)
        booked = _booked(rows)

        def fit_member(place: int) -> tuple[str, dict[str, Any]]:
            weight = drawn[place][rows.client].astype(np.float64)
            text = _fit_trees(booked, rows, weight, sign=sign, size=size, seed=recipe.seed + place)
            return text, {"file": f"member_{place:02d}.txt", "sha256": text_hash(text)} | inputs.member(weight, ridge, start)

        with ThreadPoolExecutor(WORKERS) as workers:
            fitted = list(workers.map(fit_member, range(recipe.members)))
    spec = {
        "format": FORMAT,
        "columns": [
            {"name": name, "signal": signals.get(name, name), "sign": int(value)} for name, value in zip(columns, sign, strict=True)
        ],
        "signals": list(dict.fromkeys(signals.get(name, name) for name in columns)),
        "tree_weight": size.tree_weight,
        "linear": linear.to_spec(),
        "members": [member for _, member in fitted],
        "training": {
            "n_rows": len(rows.label),
            "n_clients": len(rows.clients),
            "n_churned_clients": size.n_churned_clients,
            "prevalence": float(rows.label.mean()),
            "tier": size.tier,
            "is_reliable": size.is_reliable,
            "size_reason": size.reason,
            "trees": size.trees,
            "ridge": ridge,
            "ridge_reason": ridge_reason,
            "seed": recipe.seed,
        },
        "versions": {name: version(name) for name in ("lightgbm", "numpy", "scipy")},
    }
    return Bag(spec, tuple(text for text, _ in fitted), drawn, rows.clients)


def draw_clients(rows: Rows, recipe: Recipe) -> Ints:
    """(members, clients): how often each client is drawn, with replacement, churned and other clients apart."""
    drawn = np.zeros((recipe.members, len(rows.clients)), np.int64)
    random = np.random.default_rng([recipe.seed, 1])
    for group in (np.flatnonzero(rows.has_churned), np.flatnonzero(~rows.has_churned)):
        for place in range(recipe.members if len(group) else 0):
            np.add.at(drawn[place], random.choice(group, size=len(group)), 1)
    return drawn


# ---- trees ------------------------------------------------------------------------------------------------------------------------


def _booked(rows: Rows) -> lgb.Dataset:
    """All training rows, binned once for all members."""
    parameters = {"max_bin": 127, "min_data_in_bin": 3, "feature_pre_filter": False, "verbosity": -1, "num_threads": THREADS}
    dataset = lgb.Dataset(rows.values, label=rows.label, params=parameters, free_raw_data=False)
    return dataset.construct()


def _fit_trees(booked: lgb.Dataset, rows: Rows, weight: Floats, *, sign: Ints, size: Size, seed: int) -> str:
    """One member's trees on the rows of the drawn clients, as LightGBM's text."""
    chosen = np.flatnonzero(weight > 0)
    drawn = booked.subset(chosen.tolist())
    drawn.set_weight(weight[chosen])
    rows_per_client = len(chosen) / max(len(np.unique(rows.client[chosen])), 1)
    parameters = {
        "objective": "binary",
        "monotone_constraints": sign.tolist(),  # here, not with the data: there LightGBM takes them without a word and ignores them
        "learning_rate": LEARNING_RATE,
        "num_leaves": 2**DEPTH,
        "max_depth": DEPTH,
        "min_data_in_leaf": max(round(LEAF_CLIENTS * rows_per_client), 5),
        "lambda_l2": 5.0 * rows_per_client,
        "feature_fraction": 0.5,  # correlated windows take turns, which steadies reasons and small samples alike
        "max_bin": 127,
        "min_data_in_bin": 3,
        "feature_pre_filter": False,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    booster = lgb.train(parameters, drawn, num_boost_round=size.trees)
    return str(booster.model_to_string())


# ---- the linear part --------------------------------------------------------------------------------------------------------------


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
class _Inputs:
    """Inputs of the ridge: z, then flags, shape (rows, inputs); bounds of their coefficients."""

    matrix: Floats
    n_columns: int
    bounds: list[tuple[float | None, float | None]]
    label: Floats
    client: Ints

    @classmethod
    def of(cls, linear: LinearMap, rows: Rows, sign: Ints) -> "_Inputs":
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


def choose_ridge(inputs: _Inputs, rows: Rows, recipe: Recipe) -> tuple[float, str]:
    """The ridge with the least client-grouped out-of-fold log loss; with few churned clients, the strongest (folds would be noise)."""
    n_churned = int(rows.has_churned.sum())
    if n_churned < RELIABLE_FROM or (~rows.has_churned).sum() < FOLDS:
        return RIDGES[1], f"fewer than {RELIABLE_FROM} churned clients: too few to choose by, so the second strongest"
    fold = client_folds(rows.has_churned, FOLDS, recipe.seed)
    random = np.random.default_rng([recipe.seed, 2])
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

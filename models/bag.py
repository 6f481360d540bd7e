"""Training rows, the columns' signs -> the bag: a scorer spec and LightGBM texts.

Ten members, each fitted on its own resample of the clients: log-odds = w · monotone LightGBM (models/trees.py) + (1 − w) · ridge logistic
regression whose coefficients keep to the stated signs (models/linear.py). The ridge alone ranks best with a dozen leavers, and the trees
draw level with it at a thousand; the blend lies within 0.003 AUC of the better one at every size (README). w and the number of trees
follow the number of distinct clients that churned in training (models/size.py, with the curve). Rows of one client are near copies, so
every part counts clients, not rows: resamples, leaves, the ridge and its folds.

We chose to draw churned and other clients apart, each with their own number, over one urn: with ten churned clients one urn in 20,000
holds none, and far more hold too few; rows keep weight 1 and classes are not reweighted.
Missing values: the linear part takes the median and a flag without a bound; LightGBM sends them to the side that fits better, which its
monotone constraint does not cover. An unknown value may therefore raise or lower risk, whatever the column's sign.
"""

import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.linear import Inputs, choose_ridge, linear_map
from models.rows import Ints, Rows
from models.scorer import FORMAT, text_hash
from models.size import Tuned, size_for
from models.trees import booked, fit_trees

LIBRARIES = ("lightgbm", "numpy", "pandas", "scipy", "scikit-learn")  # whose versions may change a model's bytes
WORKERS = 2  # members fitted side by side: small fits share a busy machine far better so than by threads that wait for one another


@dataclass(frozen=True)
class Recipe:
    """What a run may set. members: number of resamples; seed: of every draw; tuned: sizes that a search chose, if there was one."""

    members: int
    seed: int
    tuned: Tuned | None = None


@dataclass(frozen=True)
class Bag:
    """A fitted bag without its calibration. spec: everything a scorer needs but `calibration`. texts: LightGBM models.

    in_bag: (members, clients), how often each client was drawn; clients: their ids. Neither leaves the training process.
    """

    spec: dict[str, Any]
    texts: tuple[str, ...]
    in_bag: Ints
    clients: npt.NDArray[np.object_]


def fit_bag(rows: Rows, columns: Sequence[str], *, signs: Mapping[str, int], signals: Mapping[str, str], recipe: Recipe) -> Bag:
    """Fits the bag. signs: column -> −1, 0 or 1; signals: column -> signal. Needs both classes (models/splits.py checks and says so)."""
    sign = np.array([signs.get(name, 0) for name in columns], np.int64)
    size = size_for(int(rows.has_churned.sum()), recipe.tuned)
    # one BLAS thread: the order of its sums, hence the last bits of the coefficients, would depend on the number of threads
    with threadpool_limits(limits=1, user_api="blas"):
        linear = linear_map(rows.values)
        inputs = Inputs.of(linear, rows, sign)
        ridge, ridge_reason = choose_ridge(inputs, rows, recipe.seed)
        start = inputs.fit(np.ones(len(rows.label)), ridge, None)
        drawn = draw_clients(rows, recipe)
        binned = booked(rows)

        def fit_member(place: int) -> tuple[str, dict[str, Any]]:
            weight = drawn[place][rows.client].astype(np.float64)
            text = fit_trees(binned, rows, weight, sign=sign, size=size, seed=recipe.seed + place)
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
            "leaf_clients": size.leaf_clients,
            "column_share": size.column_share,
            "ridge": ridge,
            "ridge_reason": ridge_reason,
            "seed": recipe.seed,
        },
        "versions": {"python": ".".join(platform.python_version_tuple()[:2])} | {name: version(name) for name in LIBRARIES},
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

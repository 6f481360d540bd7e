"""Number of distinct churned clients in training -> how large and how bold a model may be: trees, their weight, and the words for it.

What there is to learn from is the number of different clients that left, not the number of rows: twenty leavers in thirty months are twenty
lessons. The steps were read off simulated portfolios of 50 to 5,000 clients (two worlds, judged on thousands of other clients in a later
period) and off the rolling origins inside the training periods of the wholesaler and the help desk, never off a final period:
`python tests/benchmarks/size_curve.py` draws the curve anew on worlds that were not used for it.

    churned clients     about 13   25     50     120    240    470    1,200
    best tree weight    0–0.05     0.35   0.3    0.55   0.6    0.75   0.9       (flat: ±0.15 changes AUC by less than 0.002)

We chose to keep all columns at every size over a cap by the number of churned clients: the best 6, 10, 15, 24 or 40 columns by their own
AUC inside training (at most 2 to 6 a signal) ranked no better at any size from 50 to 1,000 clients, and worse by up to 0.03 AUC. What
holds 73 columns at bay with 15 leavers is the ridge, which is chosen strong there, and the signs, not a choice among near copies.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

# churned clients in training -> (trees per member, weight of the trees); between them, linear in the logarithm
SIZES = ((10, 100, 0.05), (20, 100, 0.15), (50, 100, 0.30), (200, 100, 0.50), (1_000, 150, 0.80))
RELIABLE_FROM = 20  # churned clients; below, the stated rule is shown beside the model
MEDIUM_FROM, FULL_FROM = 50, 200  # churned clients


@dataclass(frozen=True)
class Size:
    """What the number of distinct churned clients in training allows, or what tuning chose.

    trees: per member. tree_weight: the trees' share of the log-odds, 0 … 1. leaf_clients: a leaf holds the rows of about so many clients at
    least. column_share: columns offered to each tree. tuned: why the numbers are not the table's; empty where they are.
    """

    n_churned_clients: int
    trees: int
    tree_weight: float
    leaf_clients: int = 10
    column_share: float = 0.5  # correlated windows take turns, which steadies reasons and small samples alike
    tuned: str = ""

    @property
    def is_reliable(self) -> bool:
        return self.n_churned_clients >= RELIABLE_FROM

    @property
    def tier(self) -> str:
        """One word for the report."""
        if not self.is_reliable:
            return "unreliable"
        return "small" if self.n_churned_clients < MEDIUM_FROM else "medium" if self.n_churned_clients < FULL_FROM else "full"

    @property
    def reason(self) -> str:
        """Why this size, as a sentence."""
        told = f"{self.n_churned_clients} positive clients in training: {self.trees} trees per member with weight {self.tree_weight:.2f}"
        told += f", {self.tuned}" if self.tuned else ""
        return told if self.is_reliable else f"{told}; with fewer than {RELIABLE_FROM} the figures are not to be relied upon"


@dataclass(frozen=True)
class Tuned:
    """Numbers that a search inside the training period chose (models/tuning.py), in place of the table's; see Size."""

    trees: int
    tree_weight: float
    leaf_clients: int
    column_share: float
    because: str


def size_for(n_churned_clients: int, tuned: Tuned | None = None) -> Size:
    """Number of trees and their weight; LightGBM always carries some.

    >>> size_for(5).tree_weight, size_for(50).tree_weight, size_for(10_000).tree_weight
    (0.05, 0.3, 0.8)
    """
    steps = np.log([step[0] for step in SIZES])
    at = math.log(max(n_churned_clients, 1))
    trees = round(float(np.interp(at, steps, [step[1] for step in SIZES])))
    weight = round(float(np.interp(at, steps, [step[2] for step in SIZES])), 4)
    size = Size(n_churned_clients, trees, weight)
    if tuned is None:
        return size
    return replace(
        size,
        trees=tuned.trees,
        tree_weight=tuned.tree_weight,
        leaf_clients=tuned.leaf_clients,
        column_share=tuned.column_share,
        tuned=tuned.because,
    )

"""Training rows + a member's client weights -> that member's monotone LightGBM as text.

Monotone where a column states a direction of risk; small (depth 3); rows of one client are near copies, so leaves and penalties count
clients, not rows. Deterministic: the same rows and seed give the same text, whatever the machine's number of cores.
"""

import lightgbm as lgb
import numpy as np

from models.rows import Ints, Rows
from models.scorer import Floats
from models.size import Size

LEARNING_RATE = 0.05
DEPTH = 3  # interactions of up to three signals; deeper trees lost at every size measured
THREADS = 1  # within a fit; fixed, since LightGBM writes it into the text


def booked(rows: Rows) -> lgb.Dataset:
    """All training rows, binned once for all members."""
    parameters = {"max_bin": 127, "min_data_in_bin": 3, "feature_pre_filter": False, "verbosity": -1, "num_threads": THREADS}
    dataset = lgb.Dataset(rows.values, label=rows.label, params=parameters, free_raw_data=False)
    return dataset.construct()


def fit_trees(binned: lgb.Dataset, rows: Rows, weight: Floats, *, sign: Ints, size: Size, seed: int) -> str:
    """One member's trees on the rows of the drawn clients, as LightGBM's text."""
    chosen = np.flatnonzero(weight > 0)
    drawn = binned.subset(chosen.tolist())
    drawn.set_weight(weight[chosen])
    rows_per_client = len(chosen) / max(len(np.unique(rows.client[chosen])), 1)
    parameters = {
        "objective": "binary",
        "monotone_constraints": sign.tolist(),  # here, not with the data: there LightGBM takes them without a word and ignores them
        "learning_rate": LEARNING_RATE,
        "num_leaves": 2**DEPTH,
        "max_depth": DEPTH,
        "min_data_in_leaf": max(round(size.leaf_clients * rows_per_client), 5),
        "lambda_l2": 5.0 * rows_per_client,
        "feature_fraction": size.column_share,
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

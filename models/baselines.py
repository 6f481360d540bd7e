"""Training rows and rows to predict -> probabilities of the rules a model has to beat: recency alone, windowed RFM, yes-or-no rules.

recency: the longer the silence, the riskier; one positive logistic slope on the logarithm of the days, so that it has a Brier score.
rfm: ridge logistic regression on recency, counts and sums over windows – what an analyst builds in an afternoon.
yes or no: the share of positives in training among those that met it, did not, or of whom it is unknown.
All see exactly the rows the model was trained on. They are yardsticks: nothing is tuned for them or against them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.calibration import fit_platt
from models.scorer import Floats, probability_of


def recency_rule(known: pd.DataFrame, label: Floats, clients: npt.NDArray[np.object_], asked: pd.DataFrame, column: str) -> Floats:
    """Probabilities of `asked` from days since the last contact (`column`); never in contact counts as the longest silence known."""
    longest = float(np.nan_to_num(known[column].max(), nan=0.0))
    silence = np.log1p(known[column].fillna(longest).clip(lower=0).to_numpy(np.float64))
    center, scale = float(silence.mean()), float(silence.std()) or 1.0
    slope, intercept = fit_platt((silence - center) / scale, label, clients)
    asked_silence = np.log1p(asked[column].fillna(longest).clip(lower=0).to_numpy(np.float64))
    return probability_of(slope * (asked_silence - center) / scale + intercept)


def windowed_rfm(known: pd.DataFrame, label: Floats, asked: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """Probabilities of `asked` from logistic regression on the signed logarithms of `columns`; unknown = training median."""
    chosen = list(columns)
    median = known[chosen].median().fillna(0.0)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2_000))
    fitted.fit(_compressed(known[chosen], median), label)
    return np.asarray(fitted.predict_proba(_compressed(asked[chosen], median))[:, 1], np.float64)


def yes_or_no(known: Floats, label: Floats, asked: Floats) -> Floats:
    """Probabilities of `asked` (1 = meets the rule, 0 = does not, NaN = unknown): the share of positives among the like in training.

    One more row of the whole's share is counted in with each, lest a like that never was in training have none, or one row be certainty.

    >>> yes_or_no(np.array([1.0, 1, 1, 0, 0]), np.array([1.0, 1, 0, 0, 1]), np.array([1.0, 0, np.nan])).tolist()
    [0.65, 0.5333333333333333, 0.6]
    """
    whole, found = float(label.mean()), np.empty(len(asked))
    for is_like in (lambda met: met == 1, lambda met: met == 0, np.isnan):
        of_like = label[is_like(known)]
        found[is_like(asked)] = (of_like.sum() + whole) / (len(of_like) + 1)
    return found


def _compressed(frame: pd.DataFrame, median: "pd.Series[float]") -> Floats:
    values = frame.fillna(median).to_numpy(np.float64)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), np.float64)

"""Probabilities beside labels -> curves to draw: gain, lift and reliability, one row per point.

gain         of all who leave, the share found among the riskiest so many
lift         how many times more than a random list finds among the riskiest so many
reliability  what happened where so much was predicted, in bins of equally many rows, with the band of a bootstrap over clients
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from models.metrics import Judged, Ranking, figure_of, found_in_top, ratio
from models.scorer import Floats

RELIABILITY = ["name", "bin", "n_rows", "predicted", "observed", "low", "high"]


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


def lift_curve(gain: pd.DataFrame) -> pd.DataFrame:
    """The gain curve as name, contacted, lift (found over contacted), without its first point, where nobody is contacted."""
    some = gain[gain["contacted"] > 0]
    return pd.DataFrame({"name": some["name"], "contacted": some["contacted"], "lift": some["found"] / some["contacted"]}).reset_index(
        drop=True
    )


def reliability_curve(judged: Judged, probabilities: Mapping[str, Floats], n_bins: int = 10) -> pd.DataFrame:
    """One row per name and bin of equally many rows, least risky first: n_rows, predicted (mean), observed (share), its band low, high."""
    curves = [
        _reliability(judged, np.asarray(probability, np.float64), n_bins).assign(name=name) for name, probability in probabilities.items()
    ]
    return pd.concat(curves, ignore_index=True)[RELIABILITY]


def _reliability(judged: Judged, probability: Floats, n_bins: int) -> pd.DataFrame:
    order = np.argsort(probability, kind="stable")
    bins = [members for members in np.array_split(order, min(n_bins, max(len(order), 1))) if len(members)]
    inside = np.zeros((len(probability), len(bins)))
    for place, members in enumerate(bins):
        inside[members, place] = 1.0
    observed = judged.over_resamples(lambda weight: ratio(weight @ (inside * judged.label[:, None]), weight @ inside))
    rows = []
    for place, members in enumerate(bins):
        figure = figure_of(observed[:, place])
        mean = float(probability[members].mean())
        rows.append((place + 1, len(members), mean, figure["value"], figure["low"], figure["high"]))
    return pd.DataFrame(rows, columns=RELIABILITY[1:])

"""Snapshots with traits -> who is who (thirds, bands, scripts), and the model's figures by slice, with a word where one fares worse.

A trait divides the snapshots, each into one slice: size, tenure, segment, language, history. Every slice is judged on the same draws of
clients as all the others, so that slice and rest are paired.

Two comparisons per slice. Its AUC with that of the rest: the other slices of its trait, each ranked within itself and weighted by its
pairs of churned and kept, since pairs across slices are easy wherever the trait itself tells who leaves. And its predicted over observed
churn with 1. Five traits make dozens of comparisons, of which one in twenty would stand out by luck. So a slice is flagged only by Holm's
step-down procedure over all comparisons of all traits together, at 5 %: each is taken as normal with the bootstrap's standard error
(percentiles of some hundred resamples do not reach that far out). A slice with too few churned clients is neither ranked nor compared,
and says so.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.metrics import UNDEFINED, Flags, Judged, figure_of, measured, prevalence, ratio
from models.scorer import Floats

UNKNOWN = "unknown"
THIRDS = ("smallest third", "middle third", "largest third")
SCRIPTS = ("Hebrew", "Latin", "Arabic", "Cyrillic")
LEVEL = 0.05  # chance that any slice at all is flagged where none fares worse
FIGURES = ("auc", "brier", "calibration_slope", "predicted_over_observed")
UNRANKED = ("auc", "calibration_slope", "predicted_over_observed")  # figures that too few churned clients do not carry


# ---- traits -----------------------------------------------------------------------------------------------------------------------


def thirds(value: npt.ArrayLike, group: npt.ArrayLike) -> list[str]:
    """Thirds of `value` within each group (an as_of), equal values together; a value that is not known is `unknown`.

    >>> thirds([10, 20, 30, 5, 5, None], [1, 1, 1, 2, 2, 2])
    ['smallest third', 'middle third', 'largest third', 'middle third', 'middle third', 'unknown']
    """
    values = pd.Series(np.asarray(value, np.float64))
    groups = pd.Series(np.asarray(group, dtype=object))
    above = values.groupby(groups).rank(method="average") - 0.5
    share = above / values.groupby(groups).transform("count")  # of the group below it, half of its equals counted
    return [UNKNOWN if math.isnan(part) else THIRDS[min(int(part * 3), 2)] for part in share]


def bands(number: npt.ArrayLike, edges: Sequence[int], unit: str) -> list[str]:
    """Bands of whole numbers, in words; not known = `unknown`.

    >>> bands([3, 180, None], [180, 365], "days")
    ['under 180 days', '180 to 364 days', 'unknown']
    """
    names = band_names(edges, unit)
    return [UNKNOWN if math.isnan(x) else names[int(np.searchsorted(edges, x, side="right"))] for x in np.asarray(number, np.float64)]


def band_names(edges: Sequence[int], unit: str) -> list[str]:
    """The bands in words, lowest first."""
    between = [f"{low} to {high - 1} {unit}" for low, high in pairwise(edges)]
    return [f"under {edges[0]} {unit}", *between, f"{edges[-1]} {unit} or more"]


def script_of(name: str | None) -> str:
    """The script most of a name's letters belong to: a stand-in for the language, which no table records.

    >>> script_of("Gal-Or Freight"), script_of("אלון מתכת 1"), script_of("東京"), script_of("123"), script_of(None)
    ('Latin', 'Hebrew', 'other', 'unknown', 'unknown')
    """
    letters = Counter(unicodedata.name(letter, "").split(" ")[0].capitalize() for letter in name or "" if letter.isalpha())
    if not letters:
        return UNKNOWN
    script = max(sorted(letters), key=lambda found: letters[found])
    return script if script in SCRIPTS else "other"


# ---- figures ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Comparison:
    """Slice `place` against the rest (ranking) or against 1 (level): how many standard errors it is off, and the chance of that by luck."""

    place: int
    kind: str
    z: float

    @property
    def p_value(self) -> float:
        return math.erfc(abs(self.z) / math.sqrt(2.0))


def by_slice(
    judged: Judged, probability: Floats, traits: Mapping[str, Sequence[str]], *, order: Mapping[str, Sequence[str]], least_churned: int
) -> dict[str, Any]:
    """`all` rows together, and `slices`: one entry per trait and slice.

    traits: name -> the slice of each row. order: name -> slices in the order to show (others follow by name). least_churned: churned
    clients below which a slice is not ranked. Entries: trait, slice, n_rows, n_clients, n_churned_clients, prevalence, auc, brier,
    calibration_slope, predicted_over_observed, auc_minus_rest, told (a word where it is too small, or fares worse; else empty).
    """
    entries: list[dict[str, Any]] = []
    compared: list[_Comparison] = []
    for trait, of_row in traits.items():
        slices = np.asarray(of_row, dtype=object)
        drawn = {
            name: _drawn(judged, probability, np.asarray(slices == name, bool))
            for name in _ordered(set(slices.tolist()), order.get(trait, ()))
        }
        for name, own in drawn.items():
            others = [other for other_name, other in drawn.items() if other_name != name]
            entry, found = _entry(own, others, place=len(entries), least_churned=least_churned)
            entries.append({"trait": trait, "slice": name} | entry)
            compared += found
    for comparison in _beyond_luck(compared):
        entry = entries[comparison.place]
        entry["told"] = "; ".join(filter(None, [entry["told"], _worded(comparison, entry)]))
    whole, _ = _entry(_drawn(judged, probability, np.ones(len(judged.label), bool)), [], place=-1, least_churned=0)
    return {"all": whole, "least_churned_clients": least_churned, "n_comparisons": len(compared), "slices": entries}


def _ordered(found: set[str], order: Sequence[str]) -> list[str]:
    known = [name for name in order if name in found]
    return [*known, *sorted(found - set(known) - {UNKNOWN}), *sorted(found & ({UNKNOWN} - set(known)))]


@dataclass(frozen=True)
class _Drawn:
    """A slice's rows; its figures and its pairs of churned and kept, on the data and on every resample."""

    rows: Judged
    figures: Mapping[str, Floats]
    pairs: Floats


def _drawn(judged: Judged, probability: Floats, chosen: Flags) -> _Drawn:
    own = judged.at(chosen)
    sums = own.over_resamples(lambda weight: np.stack([weight @ own.label, weight @ (1.0 - own.label)], axis=1))
    return _Drawn(own, measured(own, probability[chosen], FIGURES), sums[:, 0] * sums[:, 1])


def _entry(own: _Drawn, others: Sequence[_Drawn], *, place: int, least_churned: int) -> tuple[dict[str, Any], list[_Comparison]]:
    rows = own.rows
    n_churned = len(np.unique(rows.client[rows.label == 1]))
    entry: dict[str, Any] = {"n_rows": len(rows.label), "n_clients": len(np.unique(rows.client)), "n_churned_clients": n_churned}
    entry |= {"prevalence": prevalence(rows)} | {name: figure_of(values) for name, values in own.figures.items()}
    entry |= {"auc_minus_rest": dict(UNDEFINED), "told": ""}
    if n_churned < least_churned:
        return entry | {name: dict(UNDEFINED) for name in UNRANKED} | {"told": "too few positives to rank"}, []
    if not others:
        return entry, []
    difference = own.figures["auc"] - _auc_within(others)
    compared = _comparison(place, "ranking", difference), _comparison(place, "level", np.log(own.figures["predicted_over_observed"]))
    return entry | {"auc_minus_rest": figure_of(difference)}, [found for found in compared if found]


def _auc_within(slices: Sequence[_Drawn]) -> Floats:
    """The AUC over the pairs that lie within one slice, (1 + resamples,); NaN where there is none."""
    pairs = sum(own.pairs for own in slices)
    return ratio(np.asarray(sum(np.nan_to_num(own.figures["auc"]) * own.pairs for own in slices)), np.asarray(pairs))


def _comparison(place: int, kind: str, values: Floats) -> _Comparison | None:
    """None where the bootstrap gives no standard error: the value or half of the resamples are not defined, or all are equal."""
    resampled = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or len(resampled) * 2 < len(values) - 1 or len(resampled) < 2:
        return None
    error = float(resampled.std(ddof=1))
    return _Comparison(place, kind, float(values[0]) / error) if error > 0 else None


def _beyond_luck(compared: Sequence[_Comparison]) -> list[_Comparison]:
    """Holm: the smallest p is held against LEVEL / n, the next against LEVEL / (n − 1) …, until one fails. Better ones are no news."""
    passed = []
    for place, comparison in enumerate(sorted(compared, key=lambda found: found.p_value)):
        if comparison.p_value * (len(compared) - place) > LEVEL:
            break
        passed.append(comparison)
    return [found for found in passed if found.kind == "level" or found.z < 0]


def _worded(comparison: _Comparison, entry: Mapping[str, Any]) -> str:
    if comparison.kind == "ranking":
        return f"ranks worse than the rest (AUC {entry['auc_minus_rest']['value']:+.2f})"
    found = entry["predicted_over_observed"]["value"]
    return f"predicts too {'much' if found > 1 else 'little'} ({found:.2f} of what happened)"

"""Figures, measures and targets -> how they are written, in the terminal, in the card and in pictures alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.churn import BY_RELATIONSHIP
from models.grade import Words
from models.misfit import BASES
from pipeline.source import Source

MEASURE_WORDS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "average_precision_over_base_rate": "… over base rate",
    "lift_at_10_percent": "lift at 10 %",
    "lift_at_capacity": "lift at capacity",
    "found_at_capacity": "found at capacity",
    "value_lift_at_10_percent": "value lift at 10 %",
    "brier": "Brier (0 is best)",
    "brier_skill": "Brier skill",
    "log_loss": "log loss",
    "predicted_over_observed": "predicted/observed",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "… in the large",
}
MODEL_WORDS = {"model": "model", "recency": "recency rule", "rfm": "windowed RFM"}
RULE_WORDS = {  # baselines that only some targets have (models/misfit.py)
    "same_rule": "same rule, last window",
    "thin_margin": "margin under 20 %, two months",
    "costly": "cost over 20 % of revenue",
}
LOST = {"positive": "lost", "foremost": "riskiest"}
MISFIT = {"happens": "prove misfits", "happened": "proved misfits", "positive": "misfits", "foremost": "likeliest misfits"}
SPOKEN = {  # (target, relationship) -> Words but for `each`
    ("churn", "contractual"): {"happens": "leave", "happened": "left", **LOST},
    ("churn", "non_contractual"): {"happens": "fall silent", "happened": "fell silent", **LOST},
    ("misfit", "contractual"): MISFIT,
    ("misfit", "non_contractual"): MISFIT,
}
EACH = {"monthly": "month", "weekly": "week", "listed": "as_of"}


@dataclass(frozen=True)
class Asked:
    """A target in words: the question, what counts as a positive, and what it takes for granted (empty: nothing that needs saying)."""

    question: str
    outcome: str
    assumption: str


def words_of(source: Source, target: str) -> Words:
    """How a positive of this target is spoken of in this source, and how often the clients are looked at."""
    return Words(each=EACH[source.settings.time.cadence], **SPOKEN[target, source.spec.relationship])


def asked_in_words(source: Source, target: str, basis: str | None) -> Asked:
    """The target's question; basis: that of the misfit label (models/misfit.py), as training.json and metrics.json have it."""
    if target == "churn":
        declared = BY_RELATIONSHIP[source.spec.relationship]
        return Asked(declared.question, declared.outcome, "")
    of_basis = BASES[basis or "policy"]
    return Asked(of_basis.question, of_basis.outcome, of_basis.assumption)


def shown(figure: Mapping[str, float | None] | None, *, is_difference: bool = False, digits: int = 3) -> str:
    """A figure with its interval; a dash where it is not defined.

    >>> shown({"value": 0.7215, "low": 0.7, "high": 0.74})
    '0.722 [0.700, 0.740]'
    >>> shown({"value": 0.02, "low": -0.01, "high": 0.05}, is_difference=True, digits=2)
    '+0.02 [-0.01, +0.05]'
    """
    value, low, high = (None, None, None) if figure is None else (figure["value"], figure["low"], figure["high"])
    if value is None or low is None or high is None:
        return "–"
    sign = "+" if is_difference else ""
    return f"{value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def number(value: Any, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"

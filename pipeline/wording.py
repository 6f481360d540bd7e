"""Figures and measures -> how they are written, in the terminal, in the card and in pictures alike."""

from collections.abc import Mapping
from typing import Any

from models.grade import Words
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
HAPPENS = {("churn", "contractual"): "leave", ("churn", "non_contractual"): "fall silent"}
EACH = {"monthly": "month", "weekly": "week", "listed": "as_of"}


def words_of(source: Source, target: str) -> Words:
    """How a positive of this target is spoken of in this source, and how often the clients are looked at."""
    return Words(HAPPENS.get((target, source.spec.relationship), "turn out positive"), EACH[source.settings.time.cadence])


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

"""Contributions of a model's signals + the signals' own words -> each client's top reasons: signal, contribution, sentence.

A reason answers: what sets this client's risk apart from the portfolio's? So only signals that push the way the client stands (above or
below the base value) are reasons, the largest first; what pushes the other way stands in the table of contributions. And only signals on
whose direction the members of the bag agree: on small portfolios single models change their minds from resample to resample.

The words are those of the column that moves its signal most, for the direction it moves it, with the client's own values. They are left
out, and the reason stands without them, where they would contradict the yardstick they measure by, however the model came to it: that
contact above, or just at, the client's usual raises the risk is not said, nor, where a column states no yardstick, that a large value
raises it when the value does not exceed the portfolio's median. Nor is a figure that reads as the yardstick once it is rounded.
"""

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.contract import Column, columns_in, discovered, spoken
from models import scorer
from models.scorer import Floats
from pipeline.settings import ExplainSettings

RATIO = "ratio"  # the unit of columns that compare a client with its own usual
SHARE = "share"


@dataclass(frozen=True)
class Reason:
    """One reason. contribution: in calibrated log-odds, above 0 = raises the risk. sentence: none where no true words fit."""

    signal: str
    contribution: float
    sentence: str | None


def declared_columns() -> dict[str, Column]:
    """Every column that a signal declares, by name."""
    return {column.name: column for signal in discovered() for column in signal.columns}


def titles() -> dict[str, str]:
    """Signal -> its title."""
    return {signal.name: signal.title for signal in discovered()}


def top_reasons(
    model: scorer.Model,
    explained: scorer.Explained,
    frame: pd.DataFrame,
    *,
    usual: Floats,
    columns: Mapping[str, Column],
    settings: ExplainSettings,
) -> list[list[Reason]]:
    """At most `settings.reasons` reasons per row of `frame` (feature columns only, one row per row explained), the weightiest first.

    usual: the portfolio's median of each of the model's columns. columns: their declarations by name; one without is not spoken of.
    """
    unknown = dict.fromkeys(columns, float("nan"))
    names, values = list(frame.columns), frame.to_numpy(np.float64)
    found = []
    for row in range(len(values)):
        own = unknown | dict(zip(names, values[row].tolist(), strict=True))
        chosen = _chosen(explained, row, settings)
        found.append(
            [
                Reason(
                    model.signals[signal],
                    float(explained.by_signal[row, signal]),
                    _sentence(model, signal, explained.by_column[row], own=own, usual=usual, columns=columns),
                )
                for signal in chosen
            ]
        )
    return found


def _chosen(explained: scorer.Explained, row: int, settings: ExplainSettings) -> list[int]:
    """Places of the signals that are this row's reasons."""
    shares = explained.by_signal[row]
    towards = np.sign(explained.log_odds[row] - explained.base)
    moves = np.abs(shares) >= settings.least_contribution
    is_reason = (np.sign(shares) == towards) & moves & (explained.agreement[row] >= settings.agreement)
    places = np.flatnonzero(is_reason)
    return [int(place) for place in places[np.argsort(-np.abs(shares[places]), kind="stable")]][: settings.reasons]


def _sentence(
    model: scorer.Model, signal: int, shares: Floats, *, own: Mapping[str, float], usual: Floats, columns: Mapping[str, Column]
) -> str | None:
    """The words of the first column, by weight, that pushes as its signal does and has true ones."""
    places = [place for place, of in enumerate(model.column_signals) if of == signal]
    raises = sum(shares[place] for place in places) > 0
    for place in sorted(places, key=lambda place: -abs(shares[place])):
        declared = columns.get(model.columns[place])
        if declared is None or shares[place] == 0 or (shares[place] > 0) != raises:
            continue
        value, typical = own[declared.name], float(usual[place])
        if not math.isfinite(value) or opposes(declared, raises=raises, value=value, usual=typical):
            continue
        if reads_as_usual(declared, raises=raises, value=value, usual=typical):
            continue
        said = spoken(declared.raises if raises else declared.lowers, own)
        if said is not None:
            return said
    return None


def opposes(column: Column, *, raises: bool, value: float, usual: float) -> bool:
    """Whether the words for this direction would contradict the value.

    By the column's stated direction they call the value large or small: large must lie above the yardstick, small must not. A value at a
    yardstick of the column's own other than 0, as usual for this client, is neither. A column whose direction is stated for the other
    target alone has its words written for that one.
    """
    direction = column.churn or column.misfit
    if direction == 0 or not math.isfinite(value):
        return False
    own = _own_yardstick(column)
    if own and math.isclose(value, own, rel_tol=1e-9):  # smoothed ratios of nothing seen come out a rounding error beside 1
        return True
    yardstick = usual if own is None else own
    calls_it_large = (direction > 0) == raises
    return value <= yardstick if calls_it_large else value > yardstick


def reads_as_usual(column: Column, *, raises: bool, value: float, usual: float) -> bool:
    """Whether the words speak a ratio or share that, rounded as they round it, is the yardstick: "1.0 times the usual" sets nobody apart.

    By the portfolio's usual value this holds for words that raise the risk alone: that only 0 % of payments are late lowers it where 0 %
    is usual, too.
    """
    own = _own_yardstick(column)
    words = column.raises if raises else column.lowers
    if column.unit not in (RATIO, SHARE) or column.name not in columns_in(words) or (own is None and not raises):
        return False
    if not (column.churn or column.misfit):
        return False
    formats = [spec for _, name, spec, _ in string.Formatter().parse(words) if name == column.name and spec is not None]
    return any(format(value, spec) == format(usual if own is None else own, spec) for spec in formats)


def _own_yardstick(column: Column) -> float | None:
    """What the column's words measure by: its own, 1 (as usual for this client) for a ratio; none = the portfolio's usual value."""
    return column.yardstick if column.yardstick is not None else 1.0 if column.unit == RATIO else None


def as_columns(found: Sequence[Sequence[Reason]], prefix: str, places: int = 3) -> pd.DataFrame:
    """Reasons per row -> <prefix>_reason_1_signal, _contribution, _sentence … ; one row per row, null where there is no such reason."""
    table: dict[str, list[object]] = {}
    for place in range(places):
        here = [reasons[place] if place < len(reasons) else None for reasons in found]
        table[f"{prefix}_reason_{place + 1}_signal"] = [reason.signal if reason else None for reason in here]
        table[f"{prefix}_reason_{place + 1}_contribution"] = [reason.contribution if reason else None for reason in here]
        table[f"{prefix}_reason_{place + 1}_sentence"] = [reason.sentence if reason else None for reason in here]
    return pd.DataFrame(table, dtype=object)

"""Contributions of a model's signals + the signals' own words -> each client's top reasons: signal, contribution, sentence.

A reason answers: what sets this client's risk apart from the portfolio's? So only signals that push the way the client stands (above or
below the base value) are reasons, the largest first; what pushes the other way stands in the table of contributions. And only signals on
whose direction the members of the bag agree: on small portfolios single models change their minds from resample to resample.

The words are those of the column that moves its signal most, for the direction it moves it, with the client's own values. They are left
out, and the reason stands without them, where they would contradict the yardstick they measure by, however the model came to it: that
contact above, or just at, the client's usual raises the risk is not said, nor, where a column states no yardstick, that a large value
raises it when the value does not exceed the portfolio's median. Nor is a figure that reads as the yardstick once it is rounded.

A column has one pair of sentences for both targets, written for one direction: churn's, or misfit's where churn has none. Asked of the
other target they change places where its direction is the opposite: that only 10 % of the delay was ours lowers churn and raises misfit.
Where the target asked has no direction, so that the model may find either, they are held to the one they were written for: that contacts
about price were only 0 % is no reason to leave, though a model may find one in it. Unless both are the same sentence: a plain figure may
speak either way, as many contacts do that lower churn and raise misfit.
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
    target: str,
    usual: Floats,
    columns: Mapping[str, Column],
    settings: ExplainSettings,
) -> list[list[Reason]]:
    """At most `settings.reasons` reasons per row of `frame` (feature columns only, one row per row explained), the weightiest first.

    target: what the model's risk is of. usual: the portfolio's median of each of the model's columns. columns: their declarations by name;
    one without is not spoken of.
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
                    _sentence(model, signal, explained.by_column[row], target=target, own=own, usual=usual, columns=columns),
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
    model: scorer.Model,
    signal: int,
    shares: Floats,
    *,
    target: str,
    own: Mapping[str, float],
    usual: Floats,
    columns: Mapping[str, Column],
) -> str | None:
    """The words of the first column, by weight, that pushes as its signal does and has true ones."""
    places = [place for place, of in enumerate(model.column_signals) if of == signal]
    raises = sum(shares[place] for place in places) > 0
    for place in sorted(places, key=lambda place: -abs(shares[place])):
        declared = columns.get(model.columns[place])
        if declared is None or shares[place] == 0 or (shares[place] > 0) != raises:
            continue
        push = Push(declared, target, raises, own[declared.name], float(usual[place]))
        said = None if push.opposes or push.reads_as_usual else spoken(push.words, own)
        if said is not None:
            return said
    return None


@dataclass(frozen=True)
class Push:
    """One column's share in one client's risk: whether it raises the risk of `target`; the value, and the portfolio's usual one."""

    column: Column
    target: str
    raises: bool
    value: float
    usual: float

    @property
    def _direction(self) -> int:
        """The column's stated direction of risk for the target asked."""
        direction: int = getattr(self.column, self.target)
        return direction

    @property
    def _written_for(self) -> int:
        """The direction that `raises` and `lowers` were written for; 0: for none, so they say nothing of large or small."""
        return self.column.churn or self.column.misfit

    @property
    def _own_yardstick(self) -> float | None:
        """What the words measure by: the column's own, 1 (as usual for this client) for a ratio; none = the portfolio's usual value."""
        column = self.column
        return column.yardstick if column.yardstick is not None else 1.0 if column.unit == RATIO else None

    @property
    def _yardstick(self) -> float:
        return self.usual if self._own_yardstick is None else self._own_yardstick

    @property
    def words(self) -> str:
        """The sentence for it, a format string; empty where the column has none."""
        are_swapped = self._direction * self._written_for < 0
        return self.column.raises if self.raises != are_swapped else self.column.lowers

    @property
    def opposes(self) -> bool:
        """Whether the words would contradict the value, which they call large or small: large must lie above the yardstick, small must not.

        A value at a yardstick of the column's own other than 0, as usual for this client, is neither; so is, where the target asked has
        no direction, one that is just the portfolio's usual.
        """
        if not math.isfinite(self.value):
            return True
        direction, own = self._direction or self._written_for, self._own_yardstick
        if not direction:
            return False
        if own and math.isclose(self.value, own, rel_tol=1e-9):  # smoothed ratios of nothing seen come out a rounding error beside 1
            return True
        if not self._direction and own is None and self.value == self.usual:
            return True
        if not self._direction and self.column.raises == self.column.lowers:
            return False
        calls_it_large = (direction > 0) == self.raises
        return calls_it_large != (self.value > self._yardstick)

    @property
    def reads_as_usual(self) -> bool:
        """Whether the words speak a ratio or share that, rounded as they round it, is the yardstick: "1.0 times the usual" sets nobody
        apart.

        By the portfolio's usual value this does not hold for words that by the stated direction lower the risk: that only 0 % of payments
        are late lowers it where 0 % is usual, too.
        """
        column, words = self.column, self.words
        if column.unit not in (RATIO, SHARE) or column.name not in columns_in(words) or not self._written_for:
            return False
        if self._own_yardstick is None and self._direction and not self.raises:
            return False
        formats = [spec for _, name, spec, _ in string.Formatter().parse(words) if name == column.name and spec is not None]
        return any(format(self.value, spec) == format(self._yardstick, spec) for spec in formats)


def as_columns(found: Sequence[Sequence[Reason]], prefix: str, places: int = 3) -> pd.DataFrame:
    """Reasons per row -> <prefix>_reason_1_signal, _contribution, _sentence … ; one row per row, null where there is no such reason."""
    table: dict[str, list[object]] = {}
    for place in range(places):
        here = [reasons[place] if place < len(reasons) else None for reasons in found]
        table[f"{prefix}_reason_{place + 1}_signal"] = [reason.signal if reason else None for reason in here]
        table[f"{prefix}_reason_{place + 1}_contribution"] = [reason.contribution if reason else None for reason in here]
        table[f"{prefix}_reason_{place + 1}_sentence"] = [reason.sentence if reason else None for reason in here]
    return pd.DataFrame(table, dtype=object)

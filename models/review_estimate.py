"""Verdicts on clients drawn at random + what the model said + labels -> honest shares with intervals: one estimate per source.

Who marks a client a misfit chose where to look, so a label made of marks counts those nobody looked at as none (DESIGN §5). The random half
of the review list (pipeline/review_list.py) does not choose. It gives what the marks cannot:

misfits   the share of misfits among clients drawn at random: the honest base rate
above     the same among those the model put at or above its cut: the honest precision; below: what it misses
labelled  the share of label 1 among the clients that no list ever asked about, at the same as_ofs: marked as usual, since a list solicits
          marks. misfits ÷ labelled says how many misfits there are to each one that is marked, where unmarked was counted as 0. A label
          asks for a mark within one outcome window, a verdict for what the client is, so part of it is marks that come later. Where the
          label is read off the books (basis economics) nobody is unmarked: there it compares what people and books call a misfit

A client counts once, by its latest verdict: verdicts of one client are not independent, and a share of clients is what is asked for.
"unsure" counts neither way, and is told. Intervals are Jeffreys' (95 %), which hold for the few that a list a month gives. `labelled` rests
on many more clients and is taken as known. A verdict is a person's view and not the truth; nor is a client drawn that was reviewed of late.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from features.time import Calendar, entering_index

COVERAGE = 0.95
DECIDED = ("keep", "misfit")


@dataclass(frozen=True)
class Share:
    """A share of clients with its interval, all 0..1.

    >>> share = Share(n_positive=2, n=10)
    >>> share.value, round(share.low, 3), round(share.high, 3)
    (0.2, 0.044, 0.503)
    """

    n_positive: int
    n: int

    @property
    def value(self) -> float:
        return self.n_positive / self.n

    @property
    def low(self) -> float:
        return self._quantile((1 - COVERAGE) / 2) if self.n_positive else 0.0

    @property
    def high(self) -> float:
        return self._quantile((1 + COVERAGE) / 2) if self.n_positive < self.n else 1.0

    def to_json(self) -> dict[str, float]:
        """All of it as plain numbers."""
        return {"value": self.value, "low": self.low, "high": self.high, "n_positive": self.n_positive, "n": self.n}

    def _quantile(self, at: float) -> float:
        return float(beta.ppf(at, self.n_positive + 0.5, self.n - self.n_positive + 0.5))


@dataclass(frozen=True)
class Honest:
    """What the random half tells; None where nobody is counted. See the module for each."""

    n_unsure: int
    misfits: Share
    above: Share | None
    below: Share | None
    labelled: Share | None  # counted in snapshots

    @property
    def misfits_per_labelled(self) -> tuple[float, float, float] | None:
        """(value, low, high): misfits to each labelled one, 1 = as many by verdict as by label; None without a label."""
        if self.labelled is None or self.labelled.n_positive == 0:
            return None
        return tuple(share / self.labelled.value for share in (self.misfits.value, self.misfits.low, self.misfits.high))  # type: ignore[return-value]

    def to_json(self) -> dict[str, Any]:
        """The same as plain numbers; `labelled` is taken as known and has no interval."""
        per_labelled = self.misfits_per_labelled
        return {
            "n_unsure": self.n_unsure,
            "misfits": self.misfits.to_json(),
            "above": self.above and self.above.to_json(),
            "below": self.below and self.below.to_json(),
            "labelled": self.labelled and {"value": self.labelled.value, "n_positive": self.labelled.n_positive, "n": self.labelled.n},
            "misfits_per_labelled": per_labelled and dict(zip(("value", "low", "high"), per_labelled, strict=True)),
        }


def honest_precision(reviews: pd.DataFrame, said: pd.DataFrame, labels: pd.DataFrame, calendar: Calendar) -> Honest | None:
    """None where no client drawn at random has a verdict either way.

    reviews: client_id, day (local day of the verdict), sampled, verdict.
    said: client_id, as_of (local day), is_above – whether the model put the client at or above its cut, made before the verdict.
    labels: client_id, as_of, label (0, 1, NaN = unknown), of everyone's snapshots.
    A verdict belongs to the last as_of on or before its day, if its outcome window has not passed by then: so the model is held to what it
    had said before anybody decided.
    """
    drawn = reviews[reviews["sampled"] == "random"].sort_values(["client_id", "day"], kind="stable")
    decided = drawn[drawn["verdict"].isin(DECIDED)].drop_duplicates("client_id", keep="last")
    if decided.empty:
        return None
    is_misfit = (decided["verdict"] == "misfit").to_numpy()
    is_above = _said_before(decided, said, calendar)
    undecided = set(drawn["client_id"]) - set(decided["client_id"])
    return Honest(
        n_unsure=len(undecided),
        misfits=Share(int(is_misfit.sum()), len(is_misfit)),
        above=_share(is_misfit[is_above == 1]),
        below=_share(is_misfit[is_above == 0]),
        labelled=_labelled(decided, set(reviews.loc[reviews["sampled"].notna(), "client_id"]), labels, calendar),
    )


def _said_before(decided: pd.DataFrame, said: pd.DataFrame, calendar: Calendar) -> Any:
    """Per verdict: 1 above the cut, 0 below, NaN where the model had said nothing."""
    own = {client: dict(zip(rows["as_of"], rows["is_above"], strict=True)) for client, rows in said.groupby("client_id")}
    found = np.full(len(decided), np.nan)
    for at, (client, day) in enumerate(zip(decided["client_id"], decided["day"], strict=True)):
        answers = own.get(client, {})
        as_of = as_of_of(sorted(answers), day, calendar)
        if as_of is not None:
            found[at] = answers[as_of]
    return found


def as_of_of(as_ofs: list[int], day: int, calendar: Calendar) -> int | None:
    """The last of the as_ofs (ascending) on or before `day`, unless its outcome window has passed.

    >>> calendar = Calendar(gap_days=14, horizon_days=90, lateness_days=7)
    >>> as_of_of([0, 30], 30, calendar), as_of_of([0, 30], 134, calendar), as_of_of([0, 30], -1, calendar)
    (30, None, None)
    """
    place = entering_index(as_ofs, day) - 1
    if place < 0:
        return None
    age_days, reach_days = day - as_ofs[place], calendar.gap_days + calendar.horizon_days
    return as_ofs[place] if age_days < reach_days else None


def _share(is_misfit: Any) -> Share | None:
    return Share(int(is_misfit.sum()), len(is_misfit)) if len(is_misfit) else None


def _labelled(decided: pd.DataFrame, solicited: set[str], labels: pd.DataFrame, calendar: Calendar) -> Share | None:
    """Known labels of the clients whose marks no list solicited, at the verdicts' as_ofs."""
    as_ofs = sorted(set(labels["as_of"]))
    asked = {as_of_of(as_ofs, day, calendar) for day in decided["day"]}
    others = labels[labels["as_of"].isin(asked) & ~labels["client_id"].isin(solicited)]["label"].dropna()
    return Share(int(others.sum()), len(others)) if len(others) else None

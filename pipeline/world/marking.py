"""Settings + as_ofs -> the true probability of being marked a misfit, one row per client and as_of: what no model of that label can beat.

Marked: in the outcome window we part with the client and put it down to fit, or more of a partner's verdicts say "Let go" than "Keep". As
the label has it (models/misfit.py), who goes in the gap has no label, nor who goes early in the window unmarked, nor who is disputed:
p = E[marked] / (E[marked] + E[known to be unmarked]).

Monte Carlo from the hidden state on the as_of as in ceiling.py. Of each path only the states are drawn; who goes, who is looked at and what
is said are reckoned with along it. How likely a client is to be looked at hangs on how many others there are, and how heavy: they stay as
they are on the as_of. A month's looks that were taken before the as_of and are not yet put down are taken anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import ndtr

from features.time import month_starts, to_day
from pipeline.world import states
from pipeline.world.ceiling import Window, chances, found_at, in_order, looked_at
from pipeline.world.lives import NOTICE_DAYS, Lives, chance_of_fit
from pipeline.world.papers import LET_GO_FROM, REVIEW_DAYS, SEEN_IN_NULL, SEEN_SPREAD, UNSURE_FROM, kept_at, looks, oddity
from pipeline.world.settings import Simulate
from pipeline.world.states import Common, Floats, State, Traits


def marked_probability(
    settings: Simulate,
    as_ofs: Sequence[date],
    *,
    gap_days: int,
    horizon_days: int,
    observed_share: float,
    n_paths: int = 200,
    clients: Sequence[str] | None = None,
) -> pd.DataFrame:
    """client_id, as_of, probability; sorted. Clients with us on the as_of, notice not given; all of them or those named.

    observed_share: of the window; a client that goes unmarked, and whose notice has run before that, is unknown.
    """
    walk = partial(_walked, observed_share=observed_share)
    parts = [
        found_at(as_of, lives, *chances(lives, Window.of(lives, to_day(as_of), gap_days, horizon_days), wanted, n_paths, walk))
        for lives, as_of, wanted in looked_at(settings, as_ofs, clients)
    ]
    return in_order(parts)


@dataclass(frozen=True)
class Piece:
    """Some days of a week in which nothing of what is reckoned with changes.

    week: counted from that of the as_of. counts: whether they lie in the outcome window. suffices: of those who go in them, the share with
    us long enough, notice included. looks: of a month's looks, which are taken at the piece's beginning, the share put down in the window.
    """

    week: int
    days: int
    counts: bool
    suffices: float
    looks: float


def pieces(window: Window, observed_share: float) -> list[Piece]:
    """The days from the as_of to the end of the outcome window."""
    enough = window.begins + int(np.ceil(observed_share * (window.ends - window.begins)))
    looks_on = {
        max(month, window.as_of): max(0, min(month + REVIEW_DAYS, window.ends) - max(month, window.begins)) / REVIEW_DAYS
        for month in month_starts(window.as_of - REVIEW_DAYS + 1, window.ends)
    }
    cuts = {window.as_of, window.begins, window.ends, *looks_on, *range(window.week_on, window.ends, 7)}
    days = sorted(cut for cut in cuts if window.as_of <= cut <= window.ends)
    return [
        Piece((on - window.week_on) // 7, until - on, window.begins <= on, _suffices(range(on, until), enough), looks_on.get(on, 0.0))
        for on, until in pairwise(days)
    ]


def _suffices(decided: range, enough: int) -> float:
    """Of those who decide on one of these days, the share whose notice does not end before the day that is enough."""
    return sum(share for notice, share in NOTICE_DAYS.items() for day in decided if day + notice >= enough) / len(decided)


@dataclass(frozen=True)
class Verdicts:
    """What partners have said in the window. none: chance of nothing that counts. lead: chance that "Let go" leads by so many, with
    something said; shape (2 n + 1, paths), n in the middle row being a tie."""

    none: Floats
    lead: Floats

    @classmethod
    def yet(cls, n_looks: int, n_paths: int) -> "Verdicts":
        return cls(np.ones(n_paths), np.zeros((2 * n_looks + 1, n_paths)))

    def heard(self, against: Floats, for_it: Floats) -> "Verdicts":
        """After one more look, given the chance of each verdict."""
        silent = 1 - against - for_it
        lead = self.lead * silent
        lead[1:] += self.lead[:-1] * against
        lead[:-1] += self.lead[1:] * for_it
        middle = len(lead) // 2
        lead[middle + 1] += self.none * against
        lead[middle - 1] += self.none * for_it
        return Verdicts(self.none * silent, lead)

    @property
    def marked(self) -> Floats:
        found: Floats = self.lead[len(self.lead) // 2 + 1 :].sum(0)
        return found

    @property
    def unmarked(self) -> Floats:
        found: Floats = self.none + self.lead[: len(self.lead) // 2].sum(0)
        return found


def _walked(
    state: State, common: Common, random: np.random.Generator, lives: Lives, traits: Traits, window: Window, *, observed_share: float
) -> tuple[Floats, Floats]:
    """(chance to be marked, chance to be known as unmarked) of each path."""
    laws, days = lives.settings.laws, pieces(window, observed_share)
    n_paths = len(state.mood)
    alive, marked, unmarked = np.ones(n_paths), np.zeros(n_paths), np.zeros(n_paths)
    said, glance, week = Verdicts.yet(sum(piece.looks > 0 for piece in days), n_paths), _Glance.at(lives, window.as_of), 0
    for piece in days:
        if piece.week > week:
            week, common = piece.week, common.advanced(random, laws)
            state = states.advanced(state, random, laws, traits, common.stress.strength[0], common.strain.strength[0])
        if piece.looks:
            said = said.heard(*(piece.looks * chance for chance in glance.verdicts(states.burden(state, traits), lives)))
        let_go = states.let_go_rate(state, laws, traits)
        total = states.leave_rate(state, laws, traits) + let_go + states.other_rates(state, laws).sum(0)
        goes = alive * -np.expm1(-total * piece.days / 7)
        if piece.counts:
            fit = let_go / total * chance_of_fit(state, traits)
            marked += goes * (fit + (1 - fit) * said.marked)
            unmarked += goes * (1 - fit) * said.unmarked * piece.suffices
        alive = alive - goes
    return marked + alive * said.marked, unmarked + alive * said.unmarked


@dataclass(frozen=True)
class _Glance:
    """Whom partners look at on a day: how many look at those that stand out and how many at random, among how many, with which odds."""

    n_looks: int
    n_present: int
    odds: float

    @classmethod
    def at(cls, lives: Lives, day: int) -> "_Glance":
        present = kept_at(lives, day)
        heavy = lives.burden[(day - lives.first_day) // 7, present]
        return cls(looks(len(heavy)), len(heavy), float(oddity(heavy, lives.settings.laws).sum()))

    def verdicts(self, burden: Floats, lives: Lives) -> tuple[Floats, Floats]:
        """Chances of being looked at and told to be let go, or kept."""
        stands_out = np.minimum(oddity(burden, lives.settings.laws) / self.odds, 1)
        is_seen = 1 - ((1 - stands_out) * (1 - 1 / self.n_present)) ** self.n_looks
        mean, spread = SEEN_IN_NULL if lives.settings.laws.is_null else (burden, SEEN_SPREAD)
        return is_seen * ndtr((mean - LET_GO_FROM) / spread), is_seen * ndtr((UNSURE_FROM - mean) / spread)

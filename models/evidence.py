"""What is known of one client at one as_of, for the decision: plain figures and None where something is not known. No tables, no dates.

Money is in minor units of the source's currency; lengths of time are days before the as_of (1 = the day before), and days ahead of it.
A field that is None leads the decision to nothing harsher than any value it could have had (models/decision.py).
"""

from dataclasses import dataclass
from typing import Literal

LADDER = ("set_boundaries", "reprice", "refer_out", "part_respectfully")  # the steps towards a client that is a burden, the mildest first
ACTIONS = ("win_back", "keep_and_grow", "wait_and_watch", *LADDER)
MAY_FOLLOW = 0.5  # of what tied clients bring (D5: up to half of the rest may go with one that was let go)
Choice = Literal["chosen", "held_out", "beyond_capacity", "no_value"]  # of a win-back, weighed against the others (models/capacity.py)


@dataclass(frozen=True)
class Risk:
    """One model's answer. seen: the probability at consecutive as_ofs, the oldest first and the present one last; None = not judged then.

    base_rate: the average in training. low, high: 80 % interval of the present one. confidence: clear, unclear or too_little_data.
    """

    seen: tuple[float | None, ...] = (None,)
    base_rate: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: str | None = None

    @property
    def probability(self) -> float | None:
        return self.seen[-1]


@dataclass(frozen=True)
class Rule:
    """A rule of the written policy (D9) on this client. is_hit: None = not measurable; held_snapshots: as_ofs in a row on which it held."""

    name: str
    title: str
    kind: Literal["deal_breaker", "warning"]
    statements: tuple[str, ...]
    is_hit: bool | None
    held_snapshots: int = 0
    evidence: str | None = None


@dataclass(frozen=True)
class Step:
    """A step on record in the table `actions`. outcome: agreed, refused, no_change, ruled_out or other; None = not recorded."""

    kind: str
    days_ago: int
    outcome: str | None = None


@dataclass(frozen=True)
class Opinion:
    """The newest verdict of one reviewer: keep, misfit or unsure."""

    reviewer: str | None
    verdict: str
    days_ago: int


@dataclass(frozen=True)
class Tie:
    """A tie to another client that holds. is_referrer: whether this client referred the other. contribution: the other's last 365 days."""

    client_id: str
    kind: str | None
    is_referrer: bool
    contribution: float | None


@dataclass(frozen=True)
class WhatIf:
    """A year without the client (A4, B0): what is lost, hours freed, and what these earn elsewhere (reuse). Days from the end on.

    idle_cost: of the hours that find no other work, where their staff is kept all the same.
    """

    revenue: float | None = None
    contribution: float | None = None
    hours: float | None = None
    reuse: float | None = None
    pays_back: Literal["at once", "later", "never", "unknown"] = "unknown"
    pays_back_days: int | None = None
    idle_cost: float | None = None

    @property
    def gain(self) -> float | None:
        """A year's, where the staff that finds no other work is kept."""
        if self.reuse is None or self.contribution is None or self.idle_cost is None:
            return None
        return self.reuse - self.contribution - self.idle_cost

    @property
    def is_gain(self) -> bool:
        """Whether it is known that parting pays back, and that a year of it does so even where nobody is let go."""
        return self.pays_back in ("at once", "later") and self.gain is not None and self.gain > 0


@dataclass(frozen=True)
class Agreement:
    """A running agreement. Dates as YYYY-MM-DD, days ahead of the as_of; None = not on record.

    notice_by: the last day to give notice before ends_on; below 0 days ahead = already past. can_end_in_days: the earliest end, None where
    that is not known: it renews for a term that is not on record.
    """

    service: str | None
    notice_days: int | None
    renews: bool
    ends_on: str | None = None
    notice_by: str | None = None
    notice_by_in_days: int | None = None
    can_end_in_days: int | None = None


@dataclass(frozen=True)
class Evidence:
    """One client at one as_of. None = unknown; an empty tuple is a known nothing.

    delay_share_ours: our share of all delay of the last 180 days, ours and the client's (0 where promises are on record and none was late),
    without what is forgotten: due so long ago that it explains nothing (decide.overdue_within_days), counted apart from what is overdue.
    terms_sent_share: of the running agreements; terms_in_writing: how many of four terms. focus_gap: the portfolio's focus share less the
    client's. choice: how its win-back fared against the others'; None = not weighed. is_held_out: left alone at random, now or by a record
    that still stands. contribution_a_day: at the pace of the last 365 days, or of those since it came; revenue_a_day likewise.
    unbilled_minutes: billable work on no invoice. typical_revenue: of the median client. margins: revenue of the year before each as_of
    that Risk.seen has less the cost of work, over the larger of the two, the present one last; growth: at the same as_ofs, what growing the
    client is taken to bring over what that costs us or, where no margin is known, its revenue over the median client's; empty = unknown.
    is_books_doubted: most clients cost more than they bring, so that the books rather than the clients are to be asked. our_late_days: of
    our promises, all together, in the last 180 days. value_rank: by contribution, else by revenue; 1 = the most valuable. all_ended_on: the
    earliest day (YYYY-MM-DD) on which all agreements can have ended. tied_contribution: of all ties together.
    """

    client_id: str
    currency: str
    churn: Risk = Risk()
    misfit: Risk = Risk()
    misfit_basis: str | None = None
    policy_score: float | None = None
    rules: tuple[Rule, ...] | None = None
    tenure_days: float | None = None
    account_owner: str | None = None
    # value
    revenue: float | None = None
    contribution: float | None = None
    contribution_a_day: float | None = None
    revenue_a_day: float | None = None
    margin: float | None = None
    margins: tuple[float | None, ...] = ()
    growth: tuple[float | None, ...] = ()
    is_books_doubted: bool = False
    hours: float | None = None
    revenue_share: float | None = None
    contribution_share: float | None = None
    hours_share: float | None = None
    value_rank: int | None = None
    typical_revenue: float | None = None
    horizon_days: int | None = None
    what_if: WhatIf | None = None
    # is it us or them?
    delay_share_ours: float | None = None
    our_late_days: float | None = None
    our_overdue: int | None = None
    their_overdue: int | None = None
    our_forgotten: int | None = None
    their_forgotten: int | None = None
    our_open: int | None = None
    their_open: int | None = None
    our_reply_lag_ratio: float | None = None
    our_initiative_change: float | None = None
    terms_sent_share: float | None = None
    terms_in_writing: float | None = None
    # behaviour, counts of the last 90 days but where stated
    off_hours_90: float | None = None
    scope_requests_90: float | None = None
    free_out_of_scope_hours_365: float | None = None
    hostile_180: float | None = None
    demands_90: float | None = None
    changes_90: float | None = None
    broken_by_client_90: float | None = None
    # what it buys
    focus_gap: float | None = None
    other_services: tuple[str, ...] | None = None
    # before parting
    open_balance: float | None = None
    overdue_balance: float | None = None
    unbilled_minutes: float | None = None
    unbilled_cost: float | None = None
    notice_days: int | None = None
    agreements: tuple[Agreement, ...] | None = None
    all_ended_on: str | None = None
    ties: tuple[Tie, ...] | None = None
    referral_contribution: float | None = None
    tied_contribution: float | None = None
    opinions: tuple[Opinion, ...] | None = None
    steps: tuple[Step, ...] | None = None
    # of a win-back
    choice: Choice | None = None
    is_held_out: bool = False
    expected_value: float | None = None

    @property
    def pays_back(self) -> bool:
        """Whether it is known that the hours freed earn back what the client contributes, even where nobody is let go."""
        return self.what_if is not None and self.what_if.is_gain

    @property
    def gain_outweighs_ties(self) -> bool:
        """Whether it is known that a year without it gains more than would be lost if half of what its ties bring followed it (D5)."""
        gain = None if self.what_if is None else self.what_if.gain
        return gain is not None and self.tied_contribution is not None and gain > MAY_FOLLOW * self.tied_contribution

    def n_opinions(self, verdict: str) -> int:
        """How many reviewers came to it."""
        return [opinion.verdict for opinion in self.opinions or ()].count(verdict)

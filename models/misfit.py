"""What counts as a misfit, as declarations: the three bases of the label, from the best to none, and what each takes for granted.

A source has one basis at a time, the best that it can have (pipeline/misfit_label.py chooses; `misfit.basis` may insist on one):

marked     people marked the client in the outcome window: we ended it for fit, or more reviews said misfit than keep
economics  it brought less than it cost, per observed active day of the outcome window, and took more of our time than most
policy     no label, no model: votes of the written deal-breaker policy, a score that is no probability

As for churn, a client that leaves inside the gap, or had left unbeknown to us, is dropped: nobody could have acted on the score. A client
that leaves early in the window is unknown unless it is marked: what it would have cost, or what would have been said of it, nobody knows.
Unlike churn, a misfit may come to light at any time in the window, so who ended it matters only where the reason is fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MISFIT, NO_MISFIT, IMMATURE, LEFT_IN_GAP = "misfit", "no_misfit", "immature", "left_in_gap"
DISPUTED, LEFT_EARLY, UNPRICED = "disputed", "left_early", "unpriced"

LABELS: Mapping[str, int | None] = MappingProxyType(
    {NO_MISFIT: 0, MISFIT: 1, IMMATURE: None, LEFT_IN_GAP: None, DISPUTED: None, LEFT_EARLY: None, UNPRICED: None}
)

MARKED, ECONOMICS, POLICY = "marked", "economics", "policy"

ENDED_BY, REASON = "us", "fit"  # the ending that marks a misfit
AGAINST, FOR = "misfit", "keep"  # verdicts that mark one, and that speak for the client; unsure says nothing

# Rules that a model has to beat, as 0 or 1 at as_of: the label's own on the last window, and two from practice where there are economics.
SAME_RULE, THIN_MARGIN, COSTLY = "same_rule", "thin_margin", "costly"
PRACTICE_SHARE = 0.2  # contribution margin below it for two months in a row; cost to serve over it, of a quarter's revenue
MONTH_DAYS, QUARTER_DAYS = 31, 90  # the longest month, lest a client that is invoiced monthly seem to pay nothing in one


@dataclass(frozen=True)
class Basis:
    """One basis. tables: those it needs, all of them or (marked) any. question, outcome: how the report asks it and words a positive.
    assumption: what must be said wherever its number is shown.
    """

    name: str
    tables: tuple[str, ...]
    question: str
    outcome: str
    assumption: str


BASES: Mapping[str, Basis] = MappingProxyType(
    {
        basis.name: basis
        for basis in (
            Basis(
                MARKED,
                ("endings", "reviews"),
                question="Will people who know this client mark it a misfit within the horizon?",
                outcome="we end the relationship for fit, or more reviews say misfit than keep",
                assumption=(
                    "Only some misfits are ever marked by people; a client that nobody marked counts as none. So the probability is that of"
                    " being marked, and too low wherever people do not look; the random half of the review list shows by how much."
                ),
            ),
            Basis(
                ECONOMICS,
                ("invoices", "work"),
                question="Will this client cost more than it brings, and take more time than most, over the horizon?",
                outcome="a day observed, contribution after cost to serve below the stated floor and hours above the frozen threshold",
                assumption=(
                    "A misfit here is one by the books alone: what people say of a client, and what it is worth beside its invoices or"
                    " costs beside our hours, is not in it. A client usually invoiced more rarely than once a horizon, or not twice yet, is"
                    " not judged, nor is any stretch of which invoices or work tell nothing."
                ),
            ),
            Basis(
                POLICY,
                (),
                question="Which of the written deal-breakers does this client meet?",
                outcome="none: there is no label to learn from",
                assumption="There is no label to learn from: what is shown is a score of the written policy, not a probability.",
            ),
        )
    }
)

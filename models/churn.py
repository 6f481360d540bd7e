"""What counts as churn, as a declaration: how a client's endings and silence in the outcome window become a snapshot's outcome.

The label stage reads this table; nothing else decides. `decided_on` counts, not `ended_on`: a client that gave notice has left in its mind.
An ending by anybody but the client is censored, not churn – it says nothing about wanting to leave – and so is a pause. A client that
leaves inside the gap, or had left unbeknown to us, is dropped: nobody could have acted on the score. Only `churned` and `stayed` are learnt
from; all five are counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

STAYED, CHURNED, IMMATURE, ENDED_OTHERWISE, LEFT_IN_GAP = "stayed", "churned", "immature", "ended_otherwise", "left_in_gap"

LABELS: Mapping[str, int | None] = MappingProxyType({STAYED: 0, CHURNED: 1, IMMATURE: None, ENDED_OTHERWISE: None, LEFT_IN_GAP: None})


@dataclass(frozen=True)
class Target:
    """One prediction problem.

    by_ending: `ended_by` of an ending decided in the outcome window -> outcome; an `ended_by` that is not listed decides nothing.
    in_gap: the same for an ending decided in the gap, or before it and not known at as_of.
    silence: the outcome of no qualifying interaction in the whole outcome window, or None where silence says nothing.
    question, outcome: how the report asks it and words a positive.
    """

    name: str
    relationship: str
    by_ending: Mapping[str, str]
    in_gap: Mapping[str, str]
    silence: str | None
    question: str
    outcome: str

    @property
    def grows_with_horizon(self) -> bool:
        """Whether a longer horizon makes a positive likelier: leaving does; silence for all of it becomes rarer."""
        return self.silence is None


_OTHERS = {"us": ENDED_OTHERWISE, "mutual": ENDED_OTHERWISE, "closed_down": ENDED_OTHERWISE, "paused": ENDED_OTHERWISE}

CONTRACTUAL = Target(
    name="churn",
    relationship="contractual",
    by_ending=MappingProxyType({"client": CHURNED, **_OTHERS}),
    in_gap=MappingProxyType({"client": LEFT_IN_GAP, **_OTHERS}),
    silence=None,
    question="Will this client decide to leave us within the horizon?",
    outcome="the client decides to end the relationship, whatever its reason",
)

NON_CONTRACTUAL = Target(
    name="churn",
    relationship="non_contractual",
    by_ending=MappingProxyType(_OTHERS),  # "client" is not listed: here only silence tells, since few announce that they leave
    in_gap=MappingProxyType({"client": LEFT_IN_GAP, **_OTHERS}),
    silence=CHURNED,
    question="Will this client be silent for the whole horizon?",
    outcome="no qualifying interaction in the whole outcome window",
)

BY_RELATIONSHIP: Mapping[str, Target] = MappingProxyType({target.relationship: target for target in (CONTRACTUAL, NON_CONTRACTUAL)})

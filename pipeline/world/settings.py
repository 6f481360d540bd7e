"""`simulate:` of a source.yaml -> Simulate; a world's name -> its Laws: how often troubles start, how much they weigh, who else leaves.

What is taken from the literature: a neighbour's leaving raises the hazard by 80 % on average, most in the first month and decaying
exponentially (Nitzan & Libai 2011, Journal of Marketing 75(6), 1 M mobile customers). Everything else was chosen to be plausible for a
business that serves businesses: about a tenth of the clients leave a year, contact rates are lognormal, payment delays have a heavy tail,
and the most and the least profitable clients are far apart (the shape that Kaplan called the whale curve).
"""

from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

WorldName = Literal["ordinary", "stable", "crisis", "own_lateness", "faint", "chance"]

BLOCK_CLIENTS = 2_000  # made at a time, with random numbers of their own: memory does not grow with the portfolio
EARLIER_WEEKS = 60  # lived before the exports begin, so that the first exported week is one among others
INDUSTRIES = ("trade", "textiles", "electronics", "furniture", "food", "medical", "metal", "plastics")


class Simulate(BaseModel):
    """The `simulate:` block: the same values give the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(ge=0)
    clients: int = Field(ge=10, le=100_000)  # all that are ever on the books, 70 % of them at the start
    starts_on: date
    years: int = Field(ge=1, le=10)
    world: WorldName = "ordinary"

    @property
    def ends_on(self) -> date:
        """The day of the export: the first one not in it."""
        return self.starts_on.replace(year=self.starts_on.year + self.years)

    @property
    def laws(self) -> "Laws":
        return WORLDS[self.world]

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """(first client, number of clients) of each block."""
        return [(first, min(BLOCK_CLIENTS, self.clients - first)) for first in range(0, self.clients, BLOCK_CLIENTS)]


@dataclass(frozen=True)
class Trouble:
    """A state that comes in episodes: it builds up, holds for a while and fades; what it does to the client is felt weeks later.

    starts_a_year: episodes per client. rise_weeks, fade_weeks: from nothing to full strength, and back. hold_weeks: mean. lag_weeks: mean
    delay from strength to being felt. weight: what it adds to the log-hazard of leaving at full strength.
    """

    starts_a_year: float
    rise_weeks: float
    hold_weeks: float
    fade_weeks: float
    lag_weeks: float = 0
    weight: float = 0


# Causes of leaving. The three last have no episodes of their own: industries, tied clients and a slow mood make them (states.py).
CAUSES: MappingProxyType[str, Trouble] = MappingProxyType(
    {
        "withdrawal": Trouble(0.11, 8, 22, 12, 9, 5.5),  # B1: less time for us, "the commonest sign, and the gravest"
        "control": Trouble(0.056, 4, 16, 8, 8, 4.7),  # B4: reports and instructions; weighs more after long quiet years
        "criticism": Trouble(0.040, 4, 16, 8, 7, 5.1),  # B4: a burst of complaints
        "trickle": Trouble(0.033, 26, 26, 16, 9, 5.3),  # B4: the same, drop by drop
        "friction": Trouble(0.040, 6, 24, 12, 9, 5.1),  # A5, C5, D1: paying late, disputing, haggling
        "pressure": Trouble(0.044, 5, 20, 10, 8, 5.1),  # A2, C4, E2: evenings, nights, rest days
        "hostility": Trouble(0.040, 5, 18, 10, 7, 5.2),  # A3, D2: the tone
        "our_lapse": Trouble(0.037, 5, 18, 8, 9, 5.1),  # E1, E5: our own lateness and avoidance
        "management": Trouble(0.10, 0, 1, 26, 6, 5.3),  # B3: a decision maker leaves; a pulse
        "solved": Trouble(0.12, 4, 30, 20, 9, 5.3),  # B5: the main goal delivered, few other services in use
        "crisis": Trouble(0.10, 14, 30, 26, 9, 3.4),  # B2: per industry, not per client
        "neighbour": Trouble(
            0, 0, 1, 10, 0, 6.0
        ),  # D5: between sister companies; a common tie gives the +80 % of the literature (lives.py)
        "dissatisfaction": Trouble(0, 0, 0, 0, 6, 2.2),  # C7: what surveys show
    }
)

# What makes a client a burden. Levels differ between clients for good (they tell nothing of leaving), drift slowly, and have episodes.
BURDENS: MappingProxyType[str, Trouble] = MappingProxyType(
    {
        "scope_creep": Trouble(0.12, 12, 40, 20, 10, 1.2),  # D2, E1, E4
        "fickle": Trouble(0.10, 10, 36, 16, 10, 0.8),  # C6
        "breaks_agreements": Trouble(0.10, 8, 36, 16, 10, 1.1),  # A5, C2, D3
        "haggles": Trouble(0.10, 8, 36, 16, 10, 0.8),  # C4, C5
        "rude": Trouble(0.08, 6, 30, 12, 10, 1.2),  # A3, D2
        "overtime": Trouble(0.08, 8, 36, 16, 10, 0.7),  # A2, C4, E2
    }
)


@dataclass(frozen=True)
class Laws:
    """The parameters of a world; rates are per year, in log-hazard where they say weight."""

    base_hazard: float = 0.012  # of leaving without any trouble: a rival's offer, a merger, a move – nothing the exports could show
    frailty: float = 0.3  # spread of the log-hazard between clients of equal states
    weight_scale: float = 1.0  # of all causes of leaving
    starts_scale: float = 1.2  # of the episodes that make clients leave
    heavier: tuple[tuple[str, float], ...] = ()  # factor on single causes' weights
    oftener: tuple[tuple[str, float], ...] = ()  # factor on single causes' starts
    cap: float = 6.0  # log-hazard that all causes together approach and never pass
    tenure_weight: float = 0.12  # per log-year of tenure, downwards
    first_quarter: float = -1.0  # few leave in the first 13 weeks: the first contract runs
    size_weight: float = -0.12  # per log of the client's volume
    strain_starts: float = 1.1  # busy spells of the firm, a year
    let_go_base: float = 0.0007  # of our parting with a client that is no burden
    let_go_weight: float = 1.9  # per unit of felt burden
    mutual: float = 0.004
    closed_down: float = 0.006  # e-fold in a full crisis of the industry, twice over
    paused: float = 0.004
    crisis_weight_closing: float = 2.0
    scheduled_crisis: int | None = None  # industry that falls into crisis in the third year, unforeseen
    returns: float = 0.07  # share of those gone that come back
    is_null: bool = False  # leaving, letting go and verdicts hang on nothing


ORDINARY = Laws()
WORLDS: MappingProxyType[str, Laws] = MappingProxyType(
    {
        "ordinary": ORDINARY,
        "stable": replace(ORDINARY, base_hazard=0.008, starts_scale=0.45),
        "crisis": replace(ORDINARY, scheduled_crisis=1),
        "own_lateness": replace(
            ORDINARY,
            starts_scale=0.6,
            oftener=(("our_lapse", 5.0),),
            heavier=(("our_lapse", 1.15),),
            strain_starts=2.2,
        ),
        "faint": replace(ORDINARY, base_hazard=0.085, weight_scale=0.12),
        "chance": replace(
            ORDINARY,
            base_hazard=0.1,
            frailty=0,
            weight_scale=0,
            tenure_weight=0,
            first_quarter=0,
            size_weight=0,
            let_go_base=0.012,
            let_go_weight=0,
            crisis_weight_closing=0,
            is_null=True,
        ),
    }
)

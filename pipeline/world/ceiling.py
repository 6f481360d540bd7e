"""Settings + as_ofs -> the true probability of leaving, one row per client and as_of: what no model can beat on the exports of this world.

Monte Carlo from the hidden state on the as_of with the very step that made the world. Paths draw how states go on; leaving is not drawn
but accumulated as survival along each path. As the label has it (pipeline/label.py), a client that goes in the gap, or is lost by another
hand before it could leave, has no label: p = E[leaves in the window] / (E[leaves in the window] + E[is with us at its end]).

Not foreseen, as by nobody: scheduled crises that have not begun, and neighbours that have not left. What is known of
those that have decays.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.time import to_day
from pipeline.world import states
from pipeline.world.lives import Lives, client_ids, lived, weeks_of
from pipeline.world.papers import in_notice, kept_at
from pipeline.world.settings import Simulate
from pipeline.world.states import Common, Episodes, Flags, Floats, Ints, State, Traits, stream

PARTICLES = 40_000  # stepped at a time: their arrays stay in the processor's cache, or nearly

# Which signals (features/<name>.py) show a cause.
CAUSE_SIGNALS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "withdrawal": ("contact_frequency", "client_responsiveness"),
        "control": ("reporting_demand",),
        "criticism": ("criticism",),
        "trickle": ("criticism",),
        "friction": ("billing_friction",),
        "pressure": ("off_hours",),
        "hostility": ("tone",),
        "our_lapse": ("our_promises", "our_avoidance"),
        "management": ("management_change",),
        "solved": ("problem_solved", "contact_frequency"),
        "crisis": ("industry_crisis",),
        "neighbour": ("referral_ties",),
        "dissatisfaction": ("ideal_client", "tone"),
    }
)


def leaving_probability(
    settings: Simulate,
    as_ofs: Sequence[date],
    *,
    gap_days: int,
    horizon_days: int,
    n_paths: int = 200,
    clients: Sequence[str] | None = None,
) -> pd.DataFrame:
    """client_id, as_of, probability; sorted. Clients with us on the as_of; all of them or those named.

    Who has given notice cannot do so again: 0, also while nobody has entered it yet and the client looks like any other.
    """
    paths = 1 if settings.laws.is_null else n_paths  # then all paths are one
    parts = []
    for lives, as_of, wanted in looked_at(settings, as_ofs, clients):
        window = Window.of(lives, to_day(as_of), gap_days, horizon_days)
        parts.append(found_at(as_of, lives, *chances(lives, window, wanted, paths, _walked)))
        noticed = np.flatnonzero(in_notice(lives, window.as_of) & wanted)
        parts.append(found_at(as_of, lives, noticed, np.zeros(len(noticed))))
    return in_order(parts)


def looked_at(settings: Simulate, as_ofs: Sequence[date], clients: Sequence[str] | None) -> Iterator[tuple[Lives, date, Flags]]:
    """Each block's lives, whole states kept, with each as_of, and which of the block's clients are asked for.

    Raises ValueError if an as_of is not in the world's weeks.
    """
    first_day, n_weeks, _ = weeks_of(settings)
    weeks = {as_of: (to_day(as_of) - first_day) // 7 for as_of in as_ofs}
    outside = [as_of for as_of, week in weeks.items() if not 0 <= week < n_weeks]
    if outside:
        raise ValueError(f"{outside[0]} is not in the world's weeks")
    for first, n in settings.blocks:
        wanted = np.ones(n, bool) if clients is None else np.isin(client_ids(first + np.arange(n)), list(clients))
        if wanted.any():
            lives = lived(settings, first, n, keep=set(weeks.values()))
            for as_of in as_ofs:
                yield lives, as_of, wanted


def found_at(as_of: date, lives: Lives, clients: Ints, probability: npt.NDArray[np.float64]) -> pd.DataFrame:
    ids = client_ids(lives.first + np.arange(lives.n))
    return pd.DataFrame({"client_id": ids[clients], "as_of": as_of, "probability": probability})


def in_order(parts: list[pd.DataFrame]) -> pd.DataFrame:
    columns = ["client_id", "as_of", "probability"]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return found.sort_values(["client_id", "as_of"], kind="stable", ignore_index=True)[columns]


@dataclass(frozen=True)
class Window:
    """Local days: the as_of, the outcome window [begins, ends), and the beginning of the week in which the as_of lies."""

    as_of: int
    begins: int
    ends: int
    week_on: int

    @classmethod
    def of(cls, lives: Lives, as_of: int, gap_days: int, horizon_days: int) -> "Window":
        week_on = lives.first_day + 7 * ((as_of - lives.first_day) // 7)
        return cls(as_of, as_of + gap_days, as_of + gap_days + horizon_days, week_on)

    def shares(self) -> list[tuple[float, float]]:
        """Of each week from the as_of on: the part that lies in the gap, and the part in the window."""
        found = []
        for week_on in range(self.week_on, self.ends, 7):
            gap = max(0, min(week_on + 7, self.begins) - max(week_on, self.as_of)) / 7
            found.append((gap, max(0, min(week_on + 7, self.ends) - max(week_on, self.begins)) / 7))
        return found


Walk = Callable[[State, Common, np.random.Generator, Lives, Traits, Window], tuple[Floats, Floats]]


def chances(lives: Lives, window: Window, wanted: Flags, n_paths: int, walk: Walk) -> tuple[Ints, npt.NDArray[np.float64]]:
    """The clients with us on the as_of, of those wanted; and each one's share of the first of what `walk` finds in the two together."""
    state, common = lives.kept[(window.as_of - lives.first_day) // 7]
    here = np.flatnonzero(kept_at(lives, window.as_of) & wanted)
    random = stream(lives.settings.seed, "block", lives.first, "ceiling", window.as_of, window.ends, n_paths)
    at_a_time = max(1, PARTICLES // n_paths)
    found = np.zeros(len(here))
    for begins in range(0, len(here), at_a_time):
        who = here[begins : begins + at_a_time]
        column = np.repeat(who, n_paths)
        traits = {name: values[column] for name, values in lives.traits.items()}
        of_each = walk(state.of(column), _of_clients(common, lives.industry[column]), random, lives, traits, window)
        happens, does_not = (values.reshape(len(who), n_paths).mean(1) for values in of_each)
        found[begins : begins + at_a_time] = happens / (happens + does_not)
    return here, found


def _of_clients(common: Common, industry: Ints) -> Common:
    """Each path has its industry and a firm of its own: only its own expectation is asked for."""

    def spread(episodes: Episodes, column: Ints) -> Episodes:
        return Episodes(episodes.on[:, column], episodes.amplitude[:, column], episodes.strength[:, column])

    return Common(spread(common.stress, industry), spread(common.strain, np.zeros_like(industry)))


def _walked(
    state: State, common: Common, random: np.random.Generator, lives: Lives, traits: Traits, window: Window
) -> tuple[Floats, Floats]:
    """(chance to leave in the window, chance to be with us at its end) of each path."""
    laws = lives.settings.laws
    alive = np.ones(len(state.mood))
    leaves = np.zeros(len(state.mood))
    for number, (in_gap, in_window) in enumerate(window.shares()):
        if number:
            common = common.advanced(random, laws)
            state = states.advanced(state, random, laws, traits, common.stress.strength[0], common.strain.strength[0])
        leave = states.leave_rate(state, laws, traits)
        total = leave + states.let_go_rate(state, laws, traits) + states.other_rates(state, laws).sum(0)
        alive = alive * np.exp(-total * in_gap)
        leaves += alive * leave / total * -np.expm1(-total * in_window)
        alive = alive * np.exp(-total * in_window)
    return leaves, alive

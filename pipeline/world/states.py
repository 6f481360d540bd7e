"""Hidden states of clients, a week at a time: (state, random numbers) -> next state; state -> hazards of leaving and of being let go.

The state is Markov: what happens next hangs on it alone. The same `advanced` makes the world (lives.py), where each column is a client, and
the Monte Carlo of its future (ceiling.py), where each is one of many futures of a client. All arrays end in (columns,).

A trouble comes and goes (`on`), has a strength of 0..1 that events show, and a felt part that follows weeks later and alone moves the
hazards: signs come before the leaving, and a trouble that passes quickly does little harm.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from pipeline.world.settings import BURDENS, CAUSES, INDUSTRIES, Laws, Trouble

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Traits = Mapping[str, Floats]

CAUSE_NAMES, BURDEN_NAMES = tuple(CAUSES), tuple(BURDENS)
N_CAUSES = len(CAUSE_NAMES)
PLACE = {name: place for place, name in enumerate((*CAUSE_NAMES, *BURDEN_NAMES))}
MOOD_MEMORY, DRIFT_MEMORY, DRIFT_SPREAD = 0.975, 0.985, 0.05  # per week
LONG_QUIET = 0.6  # share added to the weight of control after three years without many questions (B4: "for months or even years")
STRAIN = Trouble(0, 3, 8, 4)  # a busy spell of the whole firm; how often is a matter of the world's laws
NEVER_FROM_ITSELF = ("crisis", "neighbour", "dissatisfaction")
LEAST_PULL = 0.7  # log-hazard below which no cause is said to lead: it does not even double the hazard


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Random numbers of their own for each purpose: drawing more for one of them changes no other."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


@dataclass(frozen=True)
class Episodes:
    """Troubles that come and go. Shapes (troubles, columns)."""

    on: Flags
    amplitude: Floats
    strength: Floats

    @classmethod
    def none(cls, n_troubles: int, n: int) -> "Episodes":
        return cls(np.zeros((n_troubles, n), bool), np.zeros((n_troubles, n), np.float32), np.zeros((n_troubles, n), np.float32))

    def advanced(self, random: np.random.Generator, pace: "Pace") -> "Episodes":
        """One week later."""
        draw = random.random(self.on.shape, np.float32)
        begins = ~self.on & (draw < pace.begins)
        on = (self.on & (draw >= pace.ends)) | begins
        amplitude = self.amplitude.copy()
        amplitude[begins] = random.beta(4, 2, int(begins.sum()))
        wanted = np.where(on, amplitude, np.float32(0))
        strength = self.strength + np.clip(wanted - self.strength, -pace.fades, pace.rises)
        return Episodes(on, amplitude, strength)


@dataclass(frozen=True)
class Pace:
    """Chances and steps per week, shapes (troubles, 1)."""

    begins: Floats
    ends: Floats
    rises: Floats
    fades: Floats

    @classmethod
    def of(cls, troubles: list[Trouble], starts: list[float]) -> "Pace":
        def column(values: list[float]) -> Floats:
            return np.array(values, np.float32)[:, None]

        ends = [1 / max(trouble.rise_weeks + trouble.hold_weeks, 1) for trouble in troubles]
        rises, fades = (
            [1 / max(weeks, 1) for weeks in column_] for column_ in zip(*((t.rise_weeks, t.fade_weeks) for t in troubles), strict=True)
        )
        return cls(column([1 - np.exp(-rate / 52) for rate in starts]), column(ends), column(rises), column(fades))


@dataclass(frozen=True)
class Common:
    """What is common to all clients: the stress of each industry and the strain of the firm, shapes (1, n)."""

    stress: Episodes
    strain: Episodes

    def advanced(self, random: np.random.Generator, laws: Laws) -> "Common":
        stress_pace, strain_pace = _common_pace(laws)
        return Common(self.stress.advanced(random, stress_pace), self.strain.advanced(random, strain_pace))


@cache
def _common_pace(laws: Laws) -> tuple[Pace, Pace]:
    crisis = CAUSES["crisis"]
    return Pace.of([crisis], [crisis.starts_a_year]), Pace.of([STRAIN], [laws.strain_starts])


def common_path(seed: int, laws: Laws, n_weeks: int, third_year_week: int) -> list[Common]:
    """Weeks -> the states common to all blocks. A scheduled crisis begins in the third year, unforeseen by anyone."""
    random = stream(seed, "common")
    common = Common(Episodes.none(1, len(INDUSTRIES)), Episodes.none(1, 1))
    path = []
    for week in range(n_weeks):
        common = common.advanced(random, laws)
        if laws.scheduled_crisis is not None and third_year_week <= week < third_year_week + 52:
            common.stress.on[0, laws.scheduled_crisis], common.stress.amplitude[0, laws.scheduled_crisis] = True, 1.0
        path.append(common)
    return path


@dataclass(frozen=True)
class State:
    """Shapes (N_CAUSES + burdens, columns), but mood and tenure_weeks (columns,) and drift (burdens, columns).

    `strength` of a burden is its level: for good, drifting, and by episodes; `episodes.strength` holds the last of these alone.
    """

    episodes: Episodes
    strength: Floats
    halfway: Floats  # felt is reached in two steps, so that it follows with a delay rather than at once
    felt: Floats
    mood: Floats
    drift: Floats
    tenure_weeks: Floats

    def of(self, columns: Ints) -> "State":
        """Some columns, or one many times."""
        parts = {field.name: getattr(self, field.name)[..., columns] for field in fields(self) if field.name != "episodes"}
        episodes = Episodes(*(getattr(self.episodes, field.name)[:, columns] for field in fields(Episodes)))
        return State(episodes=episodes, **parts)

    def __getitem__(self, name: str) -> Floats:
        strength: Floats = self.strength[PLACE[name]]
        return strength


@cache
def _pace(laws: Laws) -> Pace:
    troubles = [*CAUSES.values(), *BURDENS.values()]
    starts = []
    for name, trouble in (*CAUSES.items(), *BURDENS.items()):
        scale = laws.starts_scale * dict(laws.oftener).get(name, 1.0) if name in CAUSES else 1.0
        starts.append(0.0 if name in NEVER_FROM_ITSELF else trouble.starts_a_year * scale)
    return Pace.of(troubles, starts)


@cache
def _felt_pace() -> Floats:
    """Share of the way that each of the two steps takes in a week."""
    lags = [trouble.lag_weeks for trouble in (*CAUSES.values(), *BURDENS.values())]
    return np.array([min(1.0, 2 / max(lag, 1e-9)) for lag in lags], np.float32)[:, None]


@cache
def weights(laws: Laws) -> Floats:
    """Of the causes of leaving, shape (N_CAUSES, 1)."""
    scaled = [trouble.weight * laws.weight_scale * dict(laws.heavier).get(name, 1.0) for name, trouble in CAUSES.items()]
    return np.array(scaled, np.float32)[:, None]


def at_first(random: np.random.Generator, traits: Traits, tenure_weeks: Floats) -> State:
    """Nothing going on yet; the weeks lived before the exports bring it."""
    n, n_all = len(tenure_weeks), len(PLACE)
    nothing = np.zeros((n_all, n), np.float32)
    nothing[N_CAUSES:] = _levels(traits)
    drift = random.standard_normal((len(BURDEN_NAMES), n), np.float32)
    mood = random.standard_normal(n, np.float32)
    return State(Episodes.none(n_all, n), nothing, nothing.copy(), nothing.copy(), mood, drift, tenure_weeks.astype(np.float32))


def _levels(traits: Traits) -> Floats:
    return np.stack([traits[name] for name in BURDEN_NAMES]).astype(np.float32)


def begun_anew(state: State, who: Flags, traits: Traits) -> State:
    """A relationship that begins has no trouble behind it."""
    if not who.any():
        return state
    calm = at_first(np.random.default_rng(0), traits, np.zeros(len(who)))
    keep = ~who
    episodes = Episodes(state.episodes.on & keep, state.episodes.amplitude, state.episodes.strength * keep)
    strength, halfway, felt = (
        np.where(keep, old, new) for old, new in ((state.strength, calm.strength), (state.halfway, calm.halfway), (state.felt, calm.felt))
    )
    return replace(state, episodes=episodes, strength=strength, halfway=halfway, felt=felt, tenure_weeks=state.tenure_weeks * keep)


def advanced(
    state: State, random: np.random.Generator, laws: Laws, traits: Traits, stress: Floats, strain: Floats, conduct: Floats | None = None
) -> State:
    """One week later. stress: of each column's industry; strain: of the firm. conduct: factor on the burdens, where boundaries are set."""
    n = len(state.mood)
    episodes = state.episodes.advanced(random, _pace(laws))
    strength = episodes.strength.copy()
    strength[PLACE["solved"]] *= traits["narrow"]
    strength[PLACE["our_lapse"]] = np.minimum(1, strength[PLACE["our_lapse"]] + 0.5 * strain * traits["neglected"])
    strength[PLACE["crisis"]] = stress * traits["exposed"]
    strength[PLACE["neighbour"]] = state.strength[PLACE["neighbour"]] * np.float32(np.exp(-1 / CAUSES["neighbour"].fade_weeks))
    mood = np.float32(MOOD_MEMORY) * state.mood + np.float32(np.sqrt(1 - MOOD_MEMORY**2)) * random.standard_normal(n, np.float32)
    strength[PLACE["dissatisfaction"]] = np.clip((-mood - 0.7 + traits["ill_suited"]) / 2, 0, 1)
    drift = np.float32(DRIFT_MEMORY) * state.drift
    drift += np.float32(np.sqrt(1 - DRIFT_MEMORY**2)) * random.standard_normal(drift.shape, np.float32)
    strength[N_CAUSES:] = np.clip(_levels(traits) + np.float32(DRIFT_SPREAD) * drift + 0.6 * episodes.strength[N_CAUSES:], 0, 1)
    if conduct is not None:
        strength[N_CAUSES:] *= conduct
    halfway = state.halfway + _felt_pace() * (strength - state.halfway)
    felt = state.felt + _felt_pace() * (halfway - state.felt)
    return State(episodes, strength, halfway, felt, mood, drift, state.tenure_weeks + np.float32(1))


def neighbour_left(state: State, closeness: Floats) -> State:
    """A tied client has left: closeness (columns,) is 0 where none has."""
    strength = state.strength.copy()
    strength[PLACE["neighbour"]] = np.maximum(strength[PLACE["neighbour"]], closeness)
    return replace(state, strength=strength)


def pulls(state: State, laws: Laws, traits: Traits) -> Floats:
    """What each cause adds to the log-hazard of leaving, shape (N_CAUSES, columns)."""
    pull: Floats = weights(laws) * state.felt[:N_CAUSES]
    long_quiet = np.clip(state.tenure_weeks / 156, 0, 1) * traits["quiet"]
    pull[PLACE["control"]] *= (1 - LONG_QUIET / 3) + LONG_QUIET * long_quiet
    return pull


def leave_rate(state: State, laws: Laws, traits: Traits) -> Floats:
    """Hazard per week that the client decides to leave."""
    asked = pulls(state, laws, traits).sum(0)
    log_ratio = laws.cap * np.tanh(asked / laws.cap) + laws.frailty * traits["frailty"] + laws.size_weight * traits["log_size"]
    log_ratio = log_ratio - laws.tenure_weight * np.log1p(state.tenure_weeks / 52) + laws.first_quarter * (state.tenure_weeks < 13)
    rate: Floats = laws.base_hazard / 52 * np.exp(log_ratio)
    return rate


def burden(state: State, traits: Traits) -> Floats:
    """How heavy the client weighs on us: what it does, what it costs against what it pays, and what it is."""
    of_conduct = sum(trouble.weight * state.felt[PLACE[name]] for name, trouble in BURDENS.items())
    found: Floats = (
        of_conduct + 0.55 * traits["unprofitable"] + 0.35 * traits["off_focus"] + 0.3 * traits["ill_reputed"] + 0.25 * traits["unwritten"]
    )
    return found


def let_go_rate(state: State, laws: Laws, traits: Traits) -> Floats:
    """Hazard per week that we part with the client. Nobody is let go in the first half year (a new client may yet settle)."""
    weight = laws.let_go_weight * np.minimum(burden(state, traits), 3.0)
    settled = (state.tenure_weeks >= 26) if not laws.is_null else 1.0
    rate: Floats = laws.let_go_base / 52 * np.exp(weight) * settled
    return rate


def other_rates(state: State, laws: Laws) -> Floats:
    """Hazards per week of the other endings, shape (3, columns): mutual, closed down, paused."""
    closing = laws.closed_down * np.exp(laws.crisis_weight_closing * state.felt[PLACE["crisis"]])
    flat = np.ones_like(closing)
    return np.stack([laws.mutual * flat, closing, laws.paused * flat]) / 52


def disaffection(state: State, laws: Laws, traits: Traits) -> Floats:
    """0..1: what all causes together do to goodwill; it brings mild symptoms of every kind."""
    found: Floats = 1 - np.exp(-pulls(state, replace(laws, weight_scale=1.0), traits).sum(0) / 3)
    return found

"""Settings + an as_of + one action per client -> what the year after it brings under them, one row per client.

The hidden states of the as_of go on week by week with the very step that made the world, and what each week brings and costs is reckoned
with, not drawn (expected.py). Of a path only the states are drawn; leaving and being let go are survival along it. Random numbers hang on
no action: two policies differ by what they do alone. What no action touches – stress of industries, the firm's strain, season, projects,
absences – is what it was in that world. Clients that come later, or come back, and those that follow a leaver of their own accord are the
same under every policy, and left out.

What actions do is stated in EFFECTS; nothing in the world's exports hangs on it. Whoever ends a relationship, its hours are free a while
after its end, and a share of them earns what an hour of this portfolio earns in the mean when nothing is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from features.time import to_day
from pipeline.world import expected, states
from pipeline.world.ceiling import PARTICLES
from pipeline.world.events import Shown, Weeks
from pipeline.world.lives import NOTICE_DAYS, Lives, client_ids, lived, unprofitable, weeks_of
from pipeline.world.money import RATE_AGOROT
from pipeline.world.papers import kept_at
from pipeline.world.settings import EARLIER_WEEKS, Simulate
from pipeline.world.states import PLACE, Flags, Floats, Ints, State, Traits, stream

N_WEEKS = 52
PARTING_NOTICE_DAYS = 60  # that we give
OF_WEEK = ("activity", "project", "audit", "absence", "onboarding", "first_talks", "season", "august", "strain")
# While notice runs contact is half of what it was, and of its work half is never entered (events.kept passes over both).
NOTICED_REVENUE, NOTICED_MINUTES = 0.5, 0.25


@dataclass(frozen=True)
class Effect:
    """What an action does from the as_of on, and why so much. Factors of 1 do nothing.

    leaving: on the hazard of leaving, for so many weeks. conduct: on what the client's conduct burdens us with (scope, tone, changes …).
    fee, volume: on what a shipment pays, and on how many there are. hours: of ours, once; hours_a_month: as long as the client is with us.
    parts: the client is gone once notice has run. told: how much of what a tied client's leaving does to others this does (D5).
    """

    why: str
    leaving: float = 1.0
    leaving_weeks: int = 0
    conduct: float = 1.0
    fee: float = 1.0
    volume: float = 1.0
    hours: float = 0.0
    hours_a_month: float = 0.0
    parts: bool = False
    told: float = 0.0


NOTHING = Effect("we look on")
EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "win_back": Effect(
            "a day of senior people's time, with what was done in figures (B2, B4); trials of retention keep from a tenth to a third",
            leaving=0.75,
            leaving_weeks=26,
            hours=6,
        ),
        "keep_and_grow": Effect("a talk a month about what else could be done (B5) brings some of it", volume=1.05, hours_a_month=1),
        "set_boundaries": Effect(
            "terms put in writing and said plainly (A2, E3): most of it works, not all, and some take it ill",
            conduct=0.6,
            leaving=1.1,
            leaving_weeks=13,
            hours=3,
        ),
        "reprice": Effect(
            "a price above the market (D2): who stays pays it, and half as many again go for a quarter",
            fee=1.2,
            leaving=1.5,
            leaving_weeks=13,
        ),
        "refer_out": Effect(
            "handed to a colleague (D2): it is gone, and those it is tied to hear of it",
            parts=True,
            told=1.0,
            hours=4,
        ),
        "part_respectfully": Effect(
            "told in person, with reasons and alternatives (D7, D8): half as much is said of it",
            parts=True,
            told=0.5,
            hours=4,
        ),
        "wait_and_watch": NOTHING,
        "hold_out": NOTHING,
    }
)


def weakened(effects: Mapping[str, Effect], by: float) -> dict[str, Effect]:
    """The same with a share `by` of what they do taken away; what they cost stays, and who is parted with is gone."""

    def less(factor: float) -> float:
        return 1 + (1 - by) * (factor - 1)

    return {
        name: replace(e, leaving=less(e.leaving), conduct=less(e.conduct), fee=less(e.fee), volume=less(e.volume))
        for name, e in effects.items()
    }


@dataclass(frozen=True)
class _Block:
    lives: Lives
    weeks: Weeks
    here: Ints  # with us on the as_of, notice not given


@dataclass(frozen=True)
class Year:
    """The 52 weeks after an as_of, ready to be lived under one policy after the other.

    reuse_share of the hours of clients gone earns what the mean hour does, from reuse_after_days after the end of a relationship on.
    mean_hour: agorot that an hour contributes when nothing is done, over all clients with us.
    """

    settings: Simulate
    as_of: int
    reuse_share: float
    reuse_after_days: int
    n_paths: int
    blocks: tuple[_Block, ...]
    mean_hour: float

    @classmethod
    def after(cls, settings: Simulate, as_of: date, *, reuse_share: float, reuse_after_days: int, n_paths: int = 60) -> "Year":
        """Raises ValueError unless the whole year lies within the exports: what no action touches must have happened."""
        day, (first_day, _, _) = to_day(as_of), weeks_of(settings)
        if not to_day(settings.starts_on) <= day <= to_day(settings.ends_on) - 7 * N_WEEKS:
            raise ValueError(
                f"{as_of}: the exports from {settings.starts_on} to {settings.ends_on} do not hold the {N_WEEKS} weeks after it"
            )
        blocks = []
        for first, n in settings.blocks:
            lives = lived(settings, first, n, keep={(day - first_day) // 7})
            blocks.append(_Block(lives, Weeks.of(lives), np.flatnonzero(kept_at(lives, day))))
        year = cls(settings, day, reuse_share, reuse_after_days, n_paths, tuple(blocks), 0.0)
        alone = year.under({})
        return replace(year, mean_hour=float(alone["contribution"].sum() / alone["hours"].sum()))

    def under(self, actions: Mapping[str, str], effects: Mapping[str, Effect] = EFFECTS) -> pd.DataFrame:
        """client_id, action, contribution, step_cost, freed_value, total (agorot expected), hours, stays (chance to be with us at the
        end); sorted by client_id. Clients with us on the as_of; those not named are waited for and watched.

        Raises ValueError for an action that is not among the effects.
        """
        unknown = sorted(set(actions.values()) - set(effects))
        if unknown:
            raise ValueError(f"action {unknown[0]}: its effect is not stated; those stated: {', '.join(effects)}")
        found = pd.concat([self._of_block(block, actions, effects) for block in self.blocks], ignore_index=True)
        found["total"] = found["contribution"] - found["step_cost"] + found["freed_value"]
        columns = ["client_id", "action", "contribution", "step_cost", "freed_value", "total", "hours", "stays"]
        return found.sort_values("client_id", ignore_index=True)[columns]

    def _of_block(self, block: _Block, actions: Mapping[str, str], effects: Mapping[str, Effect]) -> pd.DataFrame:
        lives, ids = block.lives, client_ids(block.lives.first + np.arange(block.lives.n))
        action = np.array([actions.get(client, "wait_and_watch") for client in ids], object)
        done = [effects[name] for name in action]
        news = _news(lives, np.array([effect.told for effect in done]), self.as_of)
        random = stream(self.settings.seed, "block", lives.first, "advice", self.as_of, self.n_paths)
        at_a_time = max(1, PARTICLES // self.n_paths)
        parts = []
        for begins in range(0, len(block.here), at_a_time):
            who = block.here[begins : begins + at_a_time]
            walk = _Walk.of(self, block, np.repeat(who, self.n_paths), done, news)
            sums = {name: values.reshape(len(who), self.n_paths).mean(1) for name, values in walk.through(random).items()}
            parts.append(pd.DataFrame({"client_id": ids[who], "action": action[who], **sums}))
        return pd.concat(parts, ignore_index=True)


def better_off_without(
    settings: Simulate, as_of: date, *, reuse_share: float, reuse_after_days: int, n_paths: int = 60
) -> pd.DataFrame:  # fmt: skip
    """client_id, stays_contribution, freed_value (agorot of 52 weeks), is_better_off: what each client with us brings if nothing is done,
    and what its hours, were they free, would bring elsewhere. A year with it beside a year without: what parting itself costs, in time
    until the hours are sold and in neighbours lost, is not in it (see Year.under)."""
    year = Year.after(settings, as_of, reuse_share=reuse_share, reuse_after_days=reuse_after_days, n_paths=n_paths)
    return confirmed(year)


def confirmed(year: Year) -> pd.DataFrame:
    """The same of a year that is there already."""
    alone = year.under({})
    freed = year.reuse_share * year.mean_hour * alone["hours"]
    found = pd.DataFrame({"client_id": alone["client_id"], "stays_contribution": alone["contribution"], "freed_value": freed})
    return found.assign(is_better_off=found["stays_contribution"] < found["freed_value"])


def _news(lives: Lives, told: Floats, day: int) -> Floats:
    """Per client of the block: closeness of the closest tied client that we part with, as far as it is felt."""
    ties = lives.ties[(lives.ties["from_day"] <= day).to_numpy(bool)]
    client, other = ties["client"].to_numpy(np.int64), ties["other"].to_numpy(np.int64)
    closeness, news = ties["closeness"].to_numpy(np.float32), np.zeros(lives.n, np.float32)
    np.maximum.at(news, other, (closeness * told[client]).astype(np.float32))
    np.maximum.at(news, client, (closeness * told[other]).astype(np.float32))
    return news


# ---- one year of some clients, many times over --------------------------------------------------------------------------------------


def _notice_left() -> Floats:
    """Of those who decided in a week: the share of the k-th week after it in which their notice still runs."""

    def runs(days: int) -> float:
        return sum(share for notice, share in NOTICE_DAYS.items() if notice > days >= 0)

    weeks = range(max(NOTICE_DAYS) // 7 + 2)
    return np.array([np.mean([runs(7 * week + on - decided) for decided in range(7) for on in range(7)]) for week in weeks])


NOTICE_LEFT = _notice_left()


@dataclass(frozen=True)
class _Walk:
    """Paths of some clients, and what is done with each."""

    year: Year
    block: _Block
    client: Ints  # of each path
    traits: Traits
    news: Floats
    leaving: Floats
    leaving_weeks: Ints
    conduct: Floats
    parts: Flags
    hours: Floats
    hours_a_week: Floats

    @classmethod
    def of(cls, year: Year, block: _Block, client: Ints, done: list[Effect], news: Floats) -> "_Walk":
        def each(name: str, kind: type = np.float32) -> Any:
            return np.array([getattr(effect, name) for effect in done], kind)[client]

        traits = {name: values[client] for name, values in block.lives.traits.items()}
        fee = each("fee")
        traits |= {"fee": traits["fee"] * fee, "volume": traits["volume"] * each("volume")}
        traits["unprofitable"] = np.where(fee == 1, traits["unprofitable"], unprofitable(traits["effort"], traits["fee"]))
        return cls(
            year, block, client, traits, news[client], each("leaving"), each("leaving_weeks", np.int64), each("conduct"),
            each("parts", bool), each("hours"), each("hours_a_month") * np.float32(12 / 52),
        )  # fmt: skip

    def through(self, random: np.random.Generator) -> dict[str, Floats]:
        """contribution, step_cost, freed_value, hours, stays of each path."""
        year, lives, laws = self.year, self.block.lives, self.block.lives.settings.laws
        first = (year.as_of - lives.first_day) // 7
        state = states.neighbour_left(lives.kept[first][0].of(self.client), self.news)
        with_us, count = _WithUs.at_first(self.parts), np.zeros(len(self.client))
        contribution, minutes, freed, step_minutes = count.copy(), count.copy(), count.copy(), 60 * self.hours.astype(np.float64)
        for number, (begins, ends) in enumerate(_spans(year.as_of, lives.first_day + 7 * first)):
            week = first + number
            if number:
                stress, strain = lives.stress[week, lives.industry[self.client]], lives.strain[week]
                state = states.advanced(state, random, laws, self.traits, stress, strain, self.conduct)
            there = expected.week(self._shown(state, week - EARLIER_WEEKS))
            leave = states.leave_rate(state, laws, self.traits) * np.where(number < self.leaving_weeks, self.leaving, 1)
            total = leave + states.let_go_rate(state, laws, self.traits) + states.other_rates(state, laws).sum(0)
            with_us.live(total, begins, ends)
            noticed = with_us.noticed
            contribution += with_us.present * there.contribution
            contribution += noticed * (NOTICED_REVENUE * there.revenue - NOTICED_MINUTES * RATE_AGOROT * there.minutes)
            minutes += (with_us.present + NOTICED_MINUTES * noticed) * there.minutes
            freed += with_us.gone_for(year.reuse_after_days / 7) * there.minutes
            step_minutes += 60 * self.hours_a_week * with_us.present
        return {
            "contribution": contribution,
            "step_cost": RATE_AGOROT * step_minutes,
            "freed_value": year.reuse_share * year.mean_hour * freed / 60,
            "hours": minutes / 60,
            "stays": with_us.alive,
        }

    def _shown(self, state: State, week: int) -> Shown:
        """All that rates hang on, in an exported week."""
        laws = self.block.lives.settings.laws
        of_week = {}
        for name in OF_WEEK:
            values = self.block.weeks[name][:, week]
            of_week[name] = values[self.client] if len(values) > 1 else values
        strengths = {name: state.strength[place] for name, place in PLACE.items()}
        of_state = {"mood": state.mood, "disaffection": states.disaffection(state, laws, self.traits)}
        return {**self.traits, **strengths, **of_state, **of_week}


def _spans(as_of: int, week_on: int) -> list[tuple[float, float]]:
    """Beginning and end of each week's part of the year, in days from the as_of."""
    last = 7 * N_WEEKS
    weeks = range(week_on - as_of, last, 7)
    return [(max(day, 0), min(day + 7, last)) for day in weeks]


@dataclass
class _WithUs:
    """How much of each path is with us, in notice, and gone. Weeks lived in the present one: `present`, `noticed`."""

    parts: Flags
    alive: Floats
    present: Floats
    noticed: Floats
    decided: list[Floats]
    gone: list[Floats]

    @classmethod
    def at_first(cls, parts: Flags) -> "_WithUs":
        nothing = np.zeros(len(parts))
        return cls(parts, np.where(parts, 0.0, 1.0), nothing, nothing, [], [])

    def live(self, rate: Floats, begins: float, ends: float) -> None:
        """Some days, given the weekly hazard of going."""
        share = (ends - begins) / 7
        left = self.alive * np.exp(-rate * share)
        self.present, goes, self.alive = share * (self.alive + left) / 2, self.alive - left, left
        self.decided.append(goes)
        running = sum(goes * runs for goes, runs in zip(reversed(self.decided), NOTICE_LEFT, strict=False))
        our_notice = max(0.0, min(ends, PARTING_NOTICE_DAYS) - begins) / 7
        self.noticed = np.where(self.parts, our_notice, share * running)
        self.gone.append(np.maximum(share - self.present - self.noticed, 0))

    def gone_for(self, weeks: float) -> Floats:
        """How much of the present week was gone so many weeks ago."""
        whole, part = int(weeks), weeks % 1

        def ago(n: int) -> Floats | float:
            return self.gone[-1 - n] if n < len(self.gone) else 0.0

        found: Floats = (1 - part) * ago(whole) + part * ago(whole + 1) + np.zeros(len(self.alive))
        return found

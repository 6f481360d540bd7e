"""Settings + an as_of + actions per client, on one day or several -> what the year after it brings under them, one row per client.

The hidden states of the as_of go on week by week with the very step that made the world, and what each week brings and costs is reckoned
with, not drawn (expected.py). Of a path only the states are drawn; leaving and being let go are survival along it. Random numbers hang on
no action: two policies differ by what they do alone. What no action touches – stress of industries, the firm's strain, season, projects,
absences – is what it was in that world. Clients that come later, or come back, and those that follow a leaver of their own accord are the
same under every policy, and left out.

What actions do is stated in EFFECTS; nothing in the world's exports hangs on it. What was begun goes on until something else is begun: a
new price and terms for good, the rest while nothing else is advised; to look on begins nothing. Whoever ends a relationship, its hours are
free a while after its end, and a share of them earns what an hour of this portfolio earns in the mean when nothing is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from types import MappingProxyType

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
PARTING_NOTICE_DAYS = 60  # that we give, and that are served by who goes rather than pay a new price
STATED_RISE = 0.2  # of a price, for which its effect is stated; of another rise it follows from that
OF_WEEK = ("activity", "project", "audit", "absence", "onboarding", "first_talks", "season", "august", "strain")
# While notice runs contact is half of what it was, and of its work half is never entered (events.kept passes over both).
NOTICED_REVENUE, NOTICED_MINUTES = 0.5, 0.25


@dataclass(frozen=True)
class Effect:
    """What an action does from the as_of on, and why so much. Factors of 1 do nothing.

    leaving: on the hazard of leaving, for so many weeks. conduct: on what the client's conduct burdens us with (scope, tone, changes …).
    fee, volume: on what a shipment pays, and on how many there are. hours: of ours, once; hours_a_month: as long as the client is with us.
    goes: the share of such clients that is gone once notice has run. told: how much of what a tied client's leaving does to others their
    going does (D5).
    """

    why: str
    leaving: float = 1.0
    leaving_weeks: int = 0
    conduct: float = 1.0
    fee: float = 1.0
    volume: float = 1.0
    hours: float = 0.0
    hours_a_month: float = 0.0
    goes: float = 0.0
    told: float = 0.0

    def times(self, many: float) -> "Effect":
        """Of a rise so many times the stated one: the fee rises so many times as much, and who stays does so at each of them.

        >>> twice = Effect("", fee=1.2, goes=0.2).times(2)
        >>> round(twice.fee, 2), round(twice.goes, 2)
        (1.4, 0.36)
        """
        return replace(self, fee=1 + many * (self.fee - 1), goes=1 - (1 - self.goes) ** many)


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
            "a price above the market (D2): of each fifth that it rises by, one client in five goes rather than pay it, so that no price is"
            " too low for what it brings, only for what it costs; who stays pays it once notice has run, and half as many again leave for a"
            " quarter",
            fee=1 + STATED_RISE,
            goes=0.2,
            told=1.0,
            leaving=1.5,
            leaving_weeks=13,
            hours=4,
        ),
        "refer_out": Effect(
            "handed to a colleague (D2): it is gone, and those it is tied to hear of it",
            goes=1.0,
            told=1.0,
            hours=4,
        ),
        "part_respectfully": Effect(
            "told in person, with reasons and alternatives (D7, D8): half as much is said of it",
            goes=1.0,
            told=0.5,
            hours=4,
        ),
        "wait_and_watch": NOTHING,
        "hold_out": NOTHING,
    }
)


def weakened(effects: Mapping[str, Effect], by: float) -> dict[str, Effect]:
    """The same with a share `by` of the good that they do taken away. What they cost stays, and so does the harm: who takes it ill, and who
    goes, parted with or rather than pay a price of which no more than the rest is then paid."""

    def less(factor: float) -> float:
        return 1 + (1 - by) * (factor - 1)

    return {
        name: replace(
            e, leaving=less(e.leaving) if e.leaving < 1 else e.leaving, conduct=less(e.conduct), fee=less(e.fee), volume=less(e.volume)
        )
        for name, e in effects.items()
    }


@dataclass(frozen=True)
class Act:
    """What is done on one day. actions: client_id -> action. rises: client_id -> the share by which a new price lies above the old one;
    STATED_RISE where none is named."""

    actions: Mapping[str, str]
    rises: Mapping[str, float] = field(default_factory=dict)
    on_day: int = 0  # days after the as_of; counts from the week that begins on it or after it


@dataclass(frozen=True)
class _Block:
    lives: Lives
    weeks: Weeks
    here: Ints  # with us on the as_of, notice not given


@dataclass(frozen=True)
class Year:
    """The 52 weeks after an as_of, ready to be lived under one policy after the other.

    is_staff_kept: whether the freed hours that find no other work are paid all the same; else their cost ends with the client. reuse_share
    of the hours of clients gone earns what the mean hour does, from reuse_after_days after the end of a relationship on. mean_hour: agorot
    that an hour contributes when nothing is done, over all clients with us.
    """

    settings: Simulate
    as_of: int
    reuse_share: float
    reuse_after_days: int
    n_paths: int
    blocks: tuple[_Block, ...]
    mean_hour: float
    is_staff_kept: bool = False

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
        """As `followed`, of actions on the as_of alone."""
        return self.followed([Act(actions)], effects)

    def followed(self, acts: Sequence[Act], effects: Mapping[str, Effect] = EFFECTS) -> pd.DataFrame:
        """client_id, contribution, step_cost, freed_value, total (agorot expected), hours, stays (chance to be with us at the end); sorted
        by client_id. Clients with us on the as_of; those not named are waited for and watched. acts: in the order of their days.

        Raises ValueError for an action that is not among the effects.
        """
        unknown = sorted({action for act in acts for action in act.actions.values()} - set(effects))
        if unknown:
            raise ValueError(f"action {unknown[0]}: its effect is not stated; those stated: {', '.join(effects)}")
        found = pd.concat([self._of_block(block, acts, effects) for block in self.blocks], ignore_index=True)
        found["total"] = found["contribution"] - found["step_cost"] + found["freed_value"]
        columns = ["client_id", "contribution", "step_cost", "freed_value", "total", "hours", "stays"]
        return found.sort_values("client_id", ignore_index=True)[columns]

    def _of_block(self, block: _Block, acts: Sequence[Act], effects: Mapping[str, Effect]) -> pd.DataFrame:
        lives, ids = block.lives, client_ids(block.lives.first + np.arange(block.lives.n))
        still_here: Floats = np.ones(len(ids))  # who was let go by an act is not mourned again
        begun = []
        for act in acts:
            begun.append(_Begun.of(act, lives, ids, effects, self.as_of, still_here))
            still_here = still_here * (1 - begun[-1].each["goes"])
        random = stream(self.settings.seed, "block", lives.first, "advice", self.as_of, self.n_paths)
        at_a_time = max(1, PARTICLES // self.n_paths)
        parts = []
        for begins in range(0, len(block.here), at_a_time):
            who = block.here[begins : begins + at_a_time]
            walk = _Walk(self, block, np.repeat(who, self.n_paths), begun)
            sums = {name: values.reshape(len(who), self.n_paths).mean(1) for name, values in walk.through(random).items()}
            parts.append(pd.DataFrame({"client_id": ids[who], **sums}))
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
class _Begun:
    """What an act begins, one value per client of a block. is_begun: anything at all; each: field of Effect -> its values."""

    on_day: int
    is_begun: Flags
    each: Mapping[str, Floats]
    news: Floats

    @classmethod
    def of(cls, act: Act, lives: Lives, ids: Sequence[str], effects: Mapping[str, Effect], as_of: int, still_here: Floats) -> "_Begun":
        done = [_done(act, client, effects) for client in ids]
        each = {
            part.name: np.array([getattr(effect, part.name) for effect in done], np.float32)
            for part in fields(Effect)
            if part.name != "why"
        }
        is_begun = np.array([effect != NOTHING for effect in done])
        return cls(act.on_day, is_begun, each, _news(lives, each["told"] * each["goes"] * still_here, as_of))


def _done(act: Act, client: str, effects: Mapping[str, Effect]) -> Effect:
    action = act.actions.get(client, "wait_and_watch")
    if action != "reprice":
        return effects[action]
    return effects[action].times(act.rises.get(client, STATED_RISE) / STATED_RISE)


@dataclass
class _Course:
    """What is under way on each path in the present week. conduct, fee: factors, for good; the others: of what was begun last.

    fees_due: new fees that are asked for, and the day from which they are paid."""

    client: Ints
    traits: Traits  # as they were
    conduct: Floats
    fee: Floats
    volume: Floats
    leaving: Floats
    leaving_weeks: Floats  # that are left of it
    hours_a_week: Floats
    fees_due: list[tuple[float, Floats]]

    @classmethod
    def at_first(cls, traits: Traits, client: Ints) -> "_Course":
        own, ones = {name: values[client] for name, values in traits.items()}, np.ones(len(client), np.float32)
        return cls(client, own, ones, ones, ones, ones, 0 * ones, 0 * ones, [])

    def begin(self, begun: _Begun, day: float) -> None:
        is_new, new = begun.is_begun[self.client], {name: values[self.client] for name, values in begun.each.items()}
        self.conduct = np.minimum(self.conduct, new["conduct"])
        self.fees_due.append((day + PARTING_NOTICE_DAYS, new["fee"]))
        self.volume, self.leaving = np.where(is_new, new["volume"], self.volume), np.where(is_new, new["leaving"], self.leaving)
        self.leaving_weeks = np.where(is_new, new["leaving_weeks"], self.leaving_weeks)
        self.hours_a_week = np.where(is_new, new["hours_a_month"] * np.float32(12 / 52), self.hours_a_week)

    def now(self, day: float) -> Traits:
        """The traits under what is under way, with the fees that have fallen due by the day."""
        while self.fees_due and self.fees_due[0][0] <= day:
            self.fee = np.maximum(self.fee, self.fees_due.pop(0)[1])
        found: dict[str, Floats] = {**self.traits, "fee": self.traits["fee"] * self.fee, "volume": self.traits["volume"] * self.volume}
        is_as_it_was = self.fee == 1
        found["unprofitable"] = np.where(is_as_it_was, found["unprofitable"], unprofitable(found["effort"], found["fee"]))
        return found

    def hazard(self) -> Floats:
        """The factor on the hazard of leaving this week."""
        found: Floats = np.where(self.leaving_weeks > 0, self.leaving, 1)
        self.leaving_weeks = self.leaving_weeks - 1
        return found


@dataclass(frozen=True)
class _Walk:
    """Paths of some clients, and what is begun with each."""

    year: Year
    block: _Block
    client: Ints  # of each path
    begun: Sequence[_Begun]

    def through(self, random: np.random.Generator) -> dict[str, Floats]:
        """contribution, step_cost, freed_value, hours, stays of each path."""
        year, lives, laws = self.year, self.block.lives, self.block.lives.settings.laws
        first = (year.as_of - lives.first_day) // 7
        state, course = lives.kept[first][0].of(self.client), _Course.at_first(lives.traits, self.client)
        with_us, waiting = _WithUs.at_first(len(self.client)), list(self.begun)
        contribution, minutes, gone, freed, step_minutes = (np.zeros(len(self.client)) for _ in range(5))
        for number, (begins, ends) in enumerate(_spans(year.as_of, lives.first_day + 7 * first)):
            week = first + number
            traits = course.now(begins)
            if number:
                stress, strain = lives.stress[week, lives.industry[self.client]], lives.strain[week]
                state = states.advanced(state, random, laws, traits, stress, strain, course.conduct)
            while waiting and waiting[0].on_day <= begins:
                begun = waiting.pop(0)
                step_minutes += 60 * with_us.alive * begun.each["hours"][self.client]
                state = states.neighbour_left(state, begun.news[self.client])
                with_us.lets_go(begun.each["goes"][self.client], begins, course.fee)
                course.begin(begun, begins)
                traits = course.now(begins)
            there = expected.week(self._shown(state, traits, week - EARLIER_WEEKS))
            leave = states.leave_rate(state, laws, traits) * course.hazard()
            total = leave + states.let_go_rate(state, laws, traits) + states.other_rates(state, laws).sum(0)
            with_us.live(total, begins, ends)
            noticed = with_us.noticed + with_us.let_go
            contribution += with_us.present * there.contribution
            billed = (with_us.noticed + with_us.let_go_fee / course.fee) * there.revenue
            contribution += NOTICED_REVENUE * billed - noticed * NOTICED_MINUTES * RATE_AGOROT * there.minutes
            minutes += (with_us.present + NOTICED_MINUTES * noticed) * there.minutes
            gone += with_us.gone_for(0) * there.minutes
            freed += with_us.gone_for(year.reuse_after_days / 7) * there.minutes
            step_minutes += 60 * course.hours_a_week * with_us.present
        return {
            "contribution": contribution,
            "step_cost": RATE_AGOROT * step_minutes,
            "freed_value": year.reuse_share * year.mean_hour * freed / 60
            - year.is_staff_kept * RATE_AGOROT * (gone - year.reuse_share * freed),
            "hours": minutes / 60,
            "stays": with_us.alive,
        }

    def _shown(self, state: State, traits: Traits, week: int) -> Shown:
        """All that rates hang on, in an exported week."""
        laws = self.block.lives.settings.laws
        of_week = {}
        for name in OF_WEEK:
            values = self.block.weeks[name][:, week]
            of_week[name] = values[self.client] if len(values) > 1 else values
        strengths = {name: state.strength[place] for name, place in PLACE.items()}
        of_state = {"mood": state.mood, "disaffection": states.disaffection(state, laws, traits)}
        return {**traits, **strengths, **of_state, **of_week}


def _spans(as_of: int, week_on: int) -> list[tuple[float, float]]:
    """Beginning and end of each week's part of the year, in days from the as_of."""
    last = 7 * N_WEEKS
    weeks = range(week_on - as_of, last, 7)
    return [(max(day, 0), min(day + 7, last)) for day in weeks]


@dataclass
class _WithUs:
    """How much of each path is with us, in notice, and gone. Weeks lived in the present one: `present`, `noticed` and, of those that an
    action lets go, `let_go`; let_go_fee: that times the fee they pay, over the fee at first."""

    alive: Floats
    present: Floats
    noticed: Floats
    let_go: Floats
    let_go_fee: Floats
    decided: list[Floats]
    going: list[tuple[float, Floats, Floats]]  # from which day, how much, at which fee
    gone: list[Floats]

    @classmethod
    def at_first(cls, n: int) -> "_WithUs":
        nothing = np.zeros(n)
        return cls(np.ones(n), nothing, nothing, nothing, nothing, [], [], [])

    def lets_go(self, share: Floats, day: float, fee: Floats) -> None:
        """A share of those with us goes, with notice from a day on, at the fee paid so far."""
        self.going.append((day, self.alive * share, fee))
        self.alive = self.alive * (1.0 - share)

    def live(self, rate: Floats, begins: float, ends: float) -> None:
        """Some days, given the weekly hazard of going."""
        share = (ends - begins) / 7
        left = self.alive * np.exp(-rate * share)
        self.present, goes, self.alive = share * (self.alive + left) / 2, self.alive - left, left
        self.decided.append(goes)
        self.noticed = share * sum(goes * runs for goes, runs in zip(reversed(self.decided), NOTICE_LEFT, strict=False))
        served = [(how_many * max(0.0, min(ends, day + PARTING_NOTICE_DAYS) - begins) / 7, fee) for day, how_many, fee in self.going]
        self.let_go = sum((part for part, _ in served), np.zeros_like(left))
        self.let_go_fee = sum((part * fee for part, fee in served), np.zeros_like(left))
        self.gone.append(np.maximum(share - self.present - self.noticed - self.let_go, 0))

    def gone_for(self, weeks: float) -> Floats:
        """How much of the present week was gone so many weeks ago."""
        whole, part = int(weeks), weeks % 1

        def ago(n: int) -> Floats | float:
            return self.gone[-1 - n] if n < len(self.gone) else 0.0

        found: Floats = (1 - part) * ago(whole) + part * ago(whole + 1) + np.zeros(len(self.alive))
        return found

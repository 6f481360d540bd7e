"""Settings -> the hidden lives of one block of clients: traits, ties, states per week, hazards, and who ended the relationship when."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.time import to_day
from pipeline.world import states
from pipeline.world.settings import BURDENS, EARLIER_WEEKS, INDUSTRIES, Laws, Simulate
from pipeline.world.states import CAUSE_NAMES, LEAST_PULL, PLACE, Common, Flags, Floats, Ints, State, Traits, stream

HANDS = ("Client", "Us", "Agreed", "Ceased trading", "Suspended")
QUALITY = np.array([0.1, -0.6, 0.5, -0.3, 0.2, 0.7, -0.1, -0.5])  # how well each industry's clients suit us (C7, C8)
SERVICES = ("air", "sea", "customs", "warehousing", "insurance", "consulting", "trucking")
SERVICE_SHARE = np.array([0.45, 0.6, 0.5, 0.22, 0.25, 0.1, 0.25])  # of clients that use it
COUNTRIES = ("GR", "CY", "IT", "DE")
NOTICE_DAYS = {0: 0.2, 14: 0.2, 30: 0.45, 60: 0.15}  # and how many give so much
CLOSENESS = (0.5, 1.6)  # beta: most ties are loose, few close
CLOSEST = {"Referral": 0.35, "Partner": 0.35}  # at the weight of `neighbour`: +80 % on average; sister companies go together far oftener


@dataclass(frozen=True)
class Lives:
    """Clients `first`, `first` + 1 … of a portfolio. Weeks begin EARLIER_WEEKS before the exports; states are (weeks, …, clients)."""

    settings: Simulate
    first: int
    first_day: int
    start_day: int
    end_day: int
    joined_day: Ints
    traits: Traits
    industry: Ints
    country: Any  # text
    uses: Flags  # (services, clients)
    ties: pd.DataFrame  # client, other, kind, from_day, closeness
    stress: Floats  # (weeks, industries)
    strain: Floats  # (weeks,)
    strength: Floats  # (weeks, troubles, clients)
    pulls: Floats  # (weeks, causes, clients)
    rates: Floats  # (weeks, hands, clients): hazard per week
    burden: Floats  # (weeks, clients)
    mood: Floats
    disaffection: Floats
    on: dict[str, Flags]  # "management", "solved" -> (weeks, clients): whether an episode is on
    spells: pd.DataFrame  # client, began_day, decided_day, ended_day, ended_by, reason: one row per spell; −1 = still with us
    kept: dict[int, tuple[State, Common]]  # week -> the whole state in it

    @property
    def n(self) -> int:
        return len(self.joined_day)

    @property
    def n_weeks(self) -> int:
        return len(self.strain)

    def __getitem__(self, name: str) -> Floats:
        """A trouble's strength, (clients, weeks)."""
        found: Floats = self.strength[:, PLACE[name]].T
        return found

    def began(self, name: str) -> Flags:
        """Whether an episode began in that week, (weeks, clients)."""
        on = self.on[name]
        began: Flags = on & ~np.concatenate([np.zeros((1, self.n), bool), on[:-1]])
        return began

    def random(self, *purpose: str) -> np.random.Generator:
        return stream(self.settings.seed, "block", self.first, *purpose)


def client_ids(clients: Ints) -> Any:
    """Account numbers as the bookkeeping has them, with leading zeros."""
    return np.array([f"{10_007 + 37 * client:07d}" for client in clients])


def weeks_of(settings: Simulate) -> tuple[int, int, int]:
    """(first day of week 0, number of weeks, week in which a scheduled crisis begins)."""
    start, end = to_day(settings.starts_on), to_day(settings.ends_on)
    n_weeks = EARLIER_WEEKS + -(-(end - start) // 7)
    third_year = EARLIER_WEEKS + (104 if settings.years > 2 else 26)
    return start - 7 * EARLIER_WEEKS, n_weeks, third_year


def lived(settings: Simulate, first: int, n: int, keep: Collection[int] = ()) -> Lives:
    """The hidden lives of clients `first` … `first + n`. `keep`: weeks whose whole state is wanted."""
    first_day, n_weeks, third_year = weeks_of(settings)
    laws = settings.laws
    start_day, end_day = to_day(settings.starts_on), to_day(settings.ends_on)
    joined_day = _joining_days(settings, first, n, start_day, end_day)
    traits, industry, country, uses = _traits(settings, first, n)
    ties = _ties(settings, first, joined_day, industry)
    path = states.common_path(settings.seed, laws, n_weeks, third_year)
    random = stream(settings.seed, "block", first, "life")
    state = states.at_first(random, traits, (first_day - joined_day) / 7)
    book = _Book(settings, first, joined_day, start_day, end_day, ties, traits)
    history: dict[str, list[Any]] = {
        name: [] for name in ("strength", "pulls", "rates", "burden", "mood", "disaffection", "management", "solved")
    }
    kept = {}
    for week in range(n_weeks):
        common, day = path[week], first_day + 7 * week
        state = states.advanced(state, random, laws, traits, common.stress.strength[0, industry], common.strain.strength[0])
        state = states.neighbour_left(state, book.news)
        state = states.begun_anew(state, book.began > day, traits)
        rates = np.concatenate(
            [[states.leave_rate(state, laws, traits), states.let_go_rate(state, laws, traits)], states.other_rates(state, laws)]
        )
        if week in keep:
            kept[week] = (state, common)
        for name, value in _seen(state, laws, traits, rates):
            history[name].append(value)
        died = book.endings(random, rates, state, day, is_exported=week >= EARLIER_WEEKS)
        state = _survived(state, died, traits)
    stacked = {name: np.stack(values).astype(np.float32 if values[0].dtype != bool else bool) for name, values in history.items()}
    on = {name: stacked[name] for name in ("management", "solved")}
    stress = np.stack([common.stress.strength[0] for common in path])
    strain = np.array([common.strain.strength[0, 0] for common in path])
    return Lives(
        settings, first, first_day, start_day, end_day, joined_day, traits, industry, country, uses, ties, stress, strain,
        stacked["strength"], stacked["pulls"], stacked["rates"], stacked["burden"], stacked["mood"], stacked["disaffection"], on,
        book.spells(), kept,
    )  # fmt: skip


def _seen(state: State, laws: Laws, traits: Traits, rates: Floats) -> list[tuple[str, Any]]:
    return [
        ("strength", state.strength),
        ("pulls", states.pulls(state, laws, traits)),
        ("rates", rates),
        ("burden", states.burden(state, traits)),
        ("mood", state.mood),
        ("disaffection", states.disaffection(state, laws, traits)),
        ("management", state.episodes.on[PLACE["management"]]),
        ("solved", state.episodes.on[PLACE["solved"]]),
    ]


def _survived(state: State, died: Flags, traits: Traits) -> State:
    """Who would have ended before the exports is one of those who had no trouble instead: the books show survivors."""
    tenure = state.tenure_weeks
    anew = states.begun_anew(state, died, traits)
    return State(**{**{name: getattr(anew, name) for name in anew.__dataclass_fields__}, "tenure_weeks": tenure})


# ---- who they are -----------------------------------------------------------------------------------------------------------------


def _joining_days(settings: Simulate, first: int, n: int, start_day: int, end_day: int) -> Ints:
    random = stream(settings.seed, "block", first, "joined")
    n_old = round(0.7 * n)
    old = start_day - random.exponential(1_100, n_old).astype(np.int64) - 1
    new = np.sort(random.integers(start_day, end_day - 60, n - n_old))
    return np.concatenate([np.sort(old), new])


def _traits(settings: Simulate, first: int, n: int) -> tuple[Traits, Ints, Any, Flags]:
    random = stream(settings.seed, "block", first, "traits")
    industry = random.integers(0, len(INDUSTRIES), n)
    is_abroad = random.random(n) < 0.12
    country = np.where(is_abroad, random.choice(COUNTRIES, n), "IL")
    quality = QUALITY[industry] - 0.3 * is_abroad
    difficult = random.normal(0, 1, n) - 0.5 * quality  # some clients are hard in every way
    is_squeezed = random.random(n) < 0.035 + 0.06 * (difficult > 1)  # large, pays little for each shipment, and asks for much
    volume = random.lognormal(np.log(0.38), 0.9, n) * np.where(is_squeezed, 3.0, 1)
    uses = random.random((len(SERVICES), n)) < SERVICE_SHARE[:, None]
    uses[random.integers(0, 2, n), np.arange(n)] = True
    n_services = uses.sum(0)
    fee = (
        random.lognormal(np.log(2_600), 0.4, n)
        * np.where(is_squeezed, 0.45, 1)
        * (volume / 0.38) ** -0.3
        * np.exp(-0.12 * np.clip(difficult, -2, 2) + 0.1 * quality)
    )
    effort = (
        random.lognormal(0, 0.4, n) * np.where(is_squeezed, 3.0, 1) * np.exp(0.2 * np.clip(difficult, -2, 2))
    )  # some cost far more than they look
    traits = {
        "volume": volume,  # shipments a week
        "fee": fee,  # ILS per shipment
        "effort": effort,  # factor on the work that a shipment takes
        "talk": random.lognormal(0, 0.45, n),
        "initiative": random.beta(8, 5, n),
        "asks_reports": random.gamma(1.5, 0.035, n),  # a week
        "complains": random.gamma(1.2, 0.025, n),
        "evenings": np.clip(random.beta(1.3, 14, n) + 0.2 * is_abroad, 0, 0.8),  # share of inbound contact; other time zones abroad
        "declines": random.beta(1.5, 18, n),
        "reply_hours": random.lognormal(np.log(7), 0.4, n),  # the client's own median latency
        "pays_late_days": random.gamma(1.2, 6, n) - 3,
        "terms_days": random.choice([30, 45, 60], n, p=[0.45, 0.2, 0.35]).astype(float),
        "discount": random.beta(1.5, 14, n),
        "is_abroad": is_abroad.astype(float),
        "warmth": random.normal(0, 0.25, n),
        "difficult": difficult,
        "unwritten": (random.random(n) < 0.16 + 0.1 * (difficult > 1)).astype(float),
        "ill_reputed": (random.random(n) < np.where(difficult > 1, 0.2, 0.05)).astype(float),
        "ill_suited": random.normal(0, 0.3, n) - 0.4 * quality,
        "frailty": random.normal(0, 1, n),
        "log_size": np.log(volume / 0.38),
        "narrow": np.array([1, 1, 0.6, 0.3, 0.12, 0, 0, 0])[n_services],
        "neglected": random.beta(1.5, 2, n),  # how much of the firm's strain reaches this client
        "exposed": random.beta(4, 2, n),  # to its industry's crisis
    }
    for name in BURDENS:
        level = random.beta(1.1, 8, n) * np.exp(0.45 * np.clip(difficult, -2, 2))
        traits[name] = np.clip(level + (0.1 * traits["unwritten"] if name in ("scope_creep", "overtime") else 0), 0, 0.9)
    traits["quiet"] = (traits["asks_reports"] < 0.06).astype(float)
    traits["unprofitable"] = unprofitable(effort, fee)
    traits["off_focus"] = (uses[6] | uses[3]) / np.maximum(n_services / 2, 1)
    return {name: values.astype(np.float32) for name, values in traits.items()}, industry, country, uses


def unprofitable(effort: Floats, fee: Floats) -> Floats:
    """How little a client pays for the work that its shipments take, in logarithms; 0 where both are usual."""
    found: Floats = np.clip(np.log(effort) - np.log(fee / 2_600), -0.7, 1.5)
    return found


def _ties(settings: Simulate, first: int, joined_day: Ints, industry: Ints) -> pd.DataFrame:
    """Referrals by clients that came earlier, owners and partners, mostly within an industry; only within the block."""
    random, n = stream(settings.seed, "block", first, "ties"), len(joined_day)
    order = np.argsort(joined_day, kind="stable")
    of_industry = [order[industry[order] == one] for one in range(len(INDUSTRIES))]
    rows = []
    for kind, share in (("Referral", 0.55), ("Partner", 0.4), ("Owner", 0.26)):
        for client in np.flatnonzero(random.random(n) < share):
            known = of_industry[industry[client]] if random.random() < 0.7 else order
            earlier = known[: np.searchsorted(joined_day[known], joined_day[client])]
            if len(earlier):
                other = int(earlier[random.integers(len(earlier))])
                drawn = float(random.beta(*CLOSENESS))
                rows.append(
                    (int(client), other, kind, int(joined_day[client]), CLOSEST[kind] * drawn if kind in CLOSEST else 0.7 + 0.3 * drawn)
                )
    ties = pd.DataFrame(rows, columns=["client", "other", "kind", "from_day", "closeness"])
    return ties.drop_duplicates(["client", "other"], ignore_index=True)


# ---- who leaves -------------------------------------------------------------------------------------------------------------------


class _Book:
    """Keeps who is with us, since when, and who ended it. `news`: closeness of the tied client that left last week, per client."""

    def __init__(
        self, settings: Simulate, first: int, joined_day: Ints, start_day: int, end_day: int, ties: pd.DataFrame, traits: Traits
    ) -> None:
        self.began = joined_day.copy()  # of the present spell, or of the one to come
        self.news = np.zeros(len(joined_day), np.float32)
        self._end_day, self._start_day, self._laws, self._traits = end_day, start_day, settings.laws, traits
        both = [ties, ties.rename(columns={"client": "other", "other": "client"})]
        self._ties = pd.concat(both, ignore_index=True).astype({"client": int, "other": int})
        self._random = stream(settings.seed, "block", first, "endings")
        self._rows: list[tuple[int, int, int, int, str, str]] = []

    def endings(self, random: np.random.Generator, rates: Floats, state: State, day: int, *, is_exported: bool) -> Flags:
        """Draws who ends in the week from `day` on. Before the exports it only says who would have."""
        n = len(self.began)
        draw, hand_draw, days = random.random(n), random.random(n), day + random.integers(0, 7, n)
        total = rates.sum(0)
        ends: Flags = (draw < -np.expm1(-total)) & (self.began <= day)
        self.news = np.zeros(n, np.float32)
        if not is_exported:
            return ends
        for client in np.flatnonzero(ends & (days < self._end_day)):
            hand = HANDS[int(np.searchsorted(rates[:, client].cumsum() / total[client], hand_draw[client]).clip(0, 4))]
            self._end(int(client), int(days[client]), hand, state)
        return np.zeros(n, bool)

    def _end(self, client: int, decided: int, hand: str, state: State) -> None:
        random = self._random
        notice = int(random.choice(list(NOTICE_DAYS), p=list(NOTICE_DAYS.values())))
        self._rows.append(
            (
                client,
                int(self.began[client]),
                decided,
                decided + notice,
                hand,
                _reason(random, hand, state, client, self._traits, self._laws),
            )
        )
        if hand == "Client":
            tied = self._ties[(self._ties.client == client) & (self._ties.from_day <= decided)]
            np.maximum.at(self.news, tied.other.to_numpy(), tied.closeness.to_numpy(np.float32))
        comes_back = random.random() < self._laws.returns and hand not in ("Ceased trading", "Us")
        self.began[client] = decided + notice + 150 + int(random.exponential(200)) if comes_back else self._end_day

    def spells(self) -> pd.DataFrame:
        still = np.flatnonzero(self.began < self._end_day)
        rows = self._rows + [(int(client), int(self.began[client]), -1, -1, "", "") for client in still]
        columns = ["client", "began_day", "decided_day", "ended_day", "ended_by", "reason"]
        return pd.DataFrame(rows, columns=columns).sort_values(["client", "began_day"], ignore_index=True)


GRIEVANCES = ("Fit", "Price", "Non payment", "Capacity")
SAID_AS_IT_IS = 0.85  # of partings by us; the others are put down to fit, which offends nobody
SERVICE = ("criticism", "trickle", "pressure", "hostility", "our_lapse", "dissatisfaction")
REASON = dict.fromkeys(SERVICE, "Service") | {"friction": "Price", "solved": "Goal reached"}


def grievances(state: State, traits: Traits) -> Floats:
    """How much each of GRIEVANCES weighs on us, shape (grievances, clients): the first of the largest is why we part."""
    of_conduct = np.stack([state[name] for name in ("scope_creep", "rude", "fickle", "overtime")]).max(0)
    of_price = np.maximum(state["haggles"], 0.5 * traits["unprofitable"])
    of_payment = np.maximum(state["breaks_agreements"], state["friction"])
    return np.stack([of_conduct, of_price, of_payment, np.full_like(of_conduct, 0.25)])


def chance_of_fit(state: State, traits: Traits) -> Floats:
    """That `Fit` is what the file says where we part with a client, shape (clients,)."""
    is_fit = grievances(state, traits).argmax(0) == GRIEVANCES.index("Fit")
    return np.where(is_fit, 1.0, 1 - SAID_AS_IT_IS)


def _reason(random: np.random.Generator, hand: str, state: State, client: int, traits: Traits, laws: Laws) -> str:
    """What the file says: the strongest trouble's word, often something else – people are polite."""
    if hand == "Us":
        worst = grievances(state.of(np.array([client])), {"unprofitable": traits["unprofitable"][[client]]})
        return GRIEVANCES[int(worst.argmax(0)[0])] if random.random() < SAID_AS_IT_IS else "Fit"
    if hand != "Client":
        return "Fit" if hand == "Agreed" else "Other"
    pull = states.weights(laws)[:, 0] * state.felt[: len(CAUSE_NAMES), client]
    said = REASON.get(CAUSE_NAMES[int(np.argmax(pull))], "Other")
    return said if pull.max() > LEAST_PULL and random.random() < 0.7 else "Other"

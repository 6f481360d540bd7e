"""`simulate:` of a source.yaml -> raw exports of an invented freight forwarder in data/<source>/raw, the truth in data/<source>/truth.

Four steps, each a function of the one before: hidden states per client and week -> events drawn from them -> the firm's exports
-> the blemishes that real exports have. Nothing downstream knows that a firm is invented: it is mapped by an ordinary source folder.

Who leaves is drawn from a hazard of the hidden states; the exports show the states only through noisy counts and dates. Levels differ
between clients, seasons come and go, and much that looks alarming (new clients' questions, an audit's reports, a holiday's silence) is
harmless. The figures were chosen to be plausible (15 % leave a year; lognormal contact rates; heavy-tailed payment delays), not fitted.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from features.errors import UserError
from features.time import DAY_US, Zone, month_starts, to_date, to_day, weekday_of, zone
from pipeline.settings import checked
from pipeline.source import Source
from pipeline.tables import folder_written_whole, read_json, sha256_of, write_json, write_parquet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EARLIER_WEEKS = 30  # weeks lived before the exports begin, so that the first exported week is one among others


class Simulate(BaseModel):
    """The `simulate:` block: the same numbers give the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(ge=0)
    clients: int = Field(ge=10, le=100_000)  # all that are ever on the books, 70 % of them at the start
    starts_on: date
    years: int = Field(ge=1, le=10)

    @property
    def ends_on(self) -> date:
        """The day of the export: the first one not in it."""
        return self.starts_on.replace(year=self.starts_on.year + self.years)


@dataclass(frozen=True)
class Cause:
    """A trouble that comes in episodes and slowly turns a client away from us: cause -> disaffection -> leaving, weeks apart each."""

    name: str
    starts_a_year: float  # episodes per client
    ramp_weeks: tuple[int, int]  # how long it takes to build up, and to fade
    hold_weeks: tuple[int, int]
    weight: float  # how much of it, at full strength, turns into disaffection
    reason: str  # what the client's letter says most often


CAUSES = (
    Cause("withdrawal", 0.12, (6, 14), (10, 26), weight=1.5, reason="Other"),  # B1: less time for us
    Cause("control", 0.10, (3, 8), (10, 22), weight=0.7, reason="Other"),  # B4: reports, instructions; more if long quiet
    Cause("friction", 0.09, (4, 10), (20, 36), weight=1.3, reason="Price"),  # A5, C5, D1: late, disputing, haggling
    Cause("pressure", 0.09, (4, 10), (12, 26), weight=1.3, reason="Service"),  # A2, C4: evenings, nights, rest days
    Cause("criticism", 0.08, (3, 8), (10, 24), weight=1.5, reason="Service"),  # B4: a burst of complaints
    Cause("trickle", 0.06, (24, 40), (12, 24), weight=1.5, reason="Service"),  # B4: the same, drop by drop
)
LONG_QUIET = 1.2  # added to control's weight after three years without many questions (B4: "for months or even years")
DISAFFECTION_PACE = 0.15  # share of the way towards what the causes ask for, per week
LEAVING_LAG_WEEKS = 4  # from feeling so to giving notice
LOG_HAZARD = 5.6  # at full disaffection the hazard is exp(5.6) times the base
BASE_HAZARD_A_YEAR = 0.01  # of clients without any trouble: a rival's offer, a merger, a move – nothing the exports could show
OTHER_ENDINGS_A_YEAR = {"Us": 0.008, "Agreed": 0.005, "Ceased trading": 0.009, "Suspended": 0.006}


@dataclass(frozen=True)
class World:
    """Traits per client, shape (clients, 1), and states per client and week, shape (clients, weeks). Weeks begin EARLIER_WEEKS early."""

    first_day: int  # local day on which week 0 begins
    start_day: int  # first day in the exports
    end_day: int  # first day after them
    joined_day: Ints  # (clients,)
    traits: Mapping[str, Floats]
    states: Mapping[str, Floats]
    hazard: Floats  # of a leaving decision, per week
    spells: pd.DataFrame  # client, began_day, decided_day, ended_day, ended_by, reason: one row per spell; -1 = still with us

    @property
    def shape(self) -> tuple[int, int]:
        n_clients, n_weeks = self.hazard.shape
        return n_clients, n_weeks

    def __getitem__(self, name: str) -> Floats:
        return self.states[name] if name in self.states else self.traits[name]


def stream(seed: int, *names: str) -> np.random.Generator:
    """Random numbers of their own for each purpose: drawing more for one of them changes no other."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


# ---- states ---------------------------------------------------------------------------------------------------------------------


def lived(settings: Simulate) -> World:
    """The hidden world: traits, states, and who leaves when."""
    start_day, end_day = to_day(settings.starts_on), to_day(settings.ends_on)
    n_weeks = EARLIER_WEEKS + -(-(end_day - start_day) // 7)
    first_day = start_day - 7 * EARLIER_WEEKS
    joined_day = _joining_days(settings, start_day, end_day)
    traits = _traits(settings)
    tenure_weeks = (first_day + 7 * np.arange(n_weeks)[None, :] - joined_day[:, None]) / 7
    states = {cause.name: _episodes(settings, cause, n_weeks) for cause in CAUSES}
    states |= {"project": _harmless(settings, "project", 0.35, n_weeks), "absence": _harmless(settings, "absence", 0.35, n_weeks)}
    states["mood"] = _drifting(settings, "mood", n_weeks, memory=0.97)  # satisfaction that no single cause explains
    states["activity"] = np.exp(0.2 * _drifting(settings, "activity", n_weeks, memory=0.985))
    states["season"] = _season(first_day, n_weeks)[None, :].repeat(settings.clients, 0)
    states["onboarding"] = np.clip(1 - tenure_weeks / 16, 0, 1) * (tenure_weeks >= 0)
    pulls = _pulls(traits, states, tenure_weeks)
    states["disaffection"] = _disaffection(np.sum(list(pulls.values()), axis=0), states["mood"])
    states |= {f"pull_{name}": pull for name, pull in pulls.items()}
    hazard = _hazard(traits, states, tenure_weeks)
    spells = _spells(settings, hazard, joined_day, first_day, end_day, states)
    return World(first_day, start_day, end_day, joined_day, traits, states, hazard, spells)


def _joining_days(settings: Simulate, start_day: int, end_day: int) -> Ints:
    random = stream(settings.seed, "joined")
    n_old = round(0.7 * settings.clients)
    old = start_day - random.exponential(1_100, n_old).astype(np.int64) - 1
    new = np.sort(random.integers(start_day, end_day - 60, settings.clients - n_old))
    return np.concatenate([np.sort(old), new])


def _traits(settings: Simulate) -> dict[str, Floats]:
    random, n = stream(settings.seed, "traits"), (settings.clients, 1)
    is_abroad = random.random(n) < 0.12
    return {
        "volume": random.lognormal(np.log(0.45), 0.75, n),  # shipments a week
        "order_value": random.lognormal(np.log(5_200), 0.6, n),  # ILS
        "talk": random.lognormal(0, 0.45, n),
        "initiative": random.beta(8, 5, n),
        "asks_reports": random.gamma(1.5, 0.05, n),  # a week
        "complains": random.gamma(1.2, 0.032, n),
        "haggles": random.gamma(1.2, 0.025, n),
        "evenings": np.clip(random.beta(1.3, 12, n) + 0.22 * is_abroad, 0, 0.8),  # share of inbound contact; other time zones abroad
        "declines": random.beta(1.5, 18, n),
        "pays_late_days": random.gamma(1.2, 7, n) - 3,
        "terms_days": random.choice([30, 45, 60], n, p=[0.45, 0.2, 0.35]).astype(float),
        "discount": random.beta(1.5, 14, n),
        "is_abroad": is_abroad.astype(float),
        "luck": random.normal(0, 0.35, n),  # what makes one client leave sooner than another of the same states
    }


def _episodes(settings: Simulate, cause: Cause, n_weeks: int) -> Floats:
    """Strength 0..1 per client and week: up a ramp, held, down again."""
    random = stream(settings.seed, "episodes", cause.name)
    strength = np.zeros((settings.clients, n_weeks))
    for client, begins in np.argwhere(random.random(strength.shape) < cause.starts_a_year / 52):
        ramp, hold = random.integers(*cause.ramp_weeks, endpoint=True), random.integers(*cause.hold_weeks, endpoint=True)
        bends = np.array([0, ramp, ramp + hold, 2 * ramp + hold])
        course = random.beta(5, 2) * np.interp(np.arange(bends[-1]), bends, [0.0, 1.0, 1.0, 0.0])
        weeks = slice(begins, min(n_weeks, begins + len(course)))
        strength[client, weeks] = np.maximum(strength[client, weeks], course[: weeks.stop - begins])
    return strength


def _harmless(settings: Simulate, name: str, starts_a_year: float, n_weeks: int) -> Floats:
    """What looks like trouble and is none: a project brings instructions and contact, an absence brings silence."""
    return _episodes(settings, Cause(name, starts_a_year, (1, 2), (2, 7), weight=0, reason=""), n_weeks)


def _drifting(settings: Simulate, name: str, n_weeks: int, memory: float) -> Floats:
    """A standard normal walk with a memory (Ornstein–Uhlenbeck in weekly steps)."""
    steps = stream(settings.seed, "drift", name).normal(size=(settings.clients, n_weeks))
    walk = np.empty_like(steps)
    walk[:, 0] = steps[:, 0]
    for week in range(1, n_weeks):
        walk[:, week] = memory * walk[:, week - 1] + np.sqrt(1 - memory**2) * steps[:, week]
    return walk


def _season(first_day: int, n_weeks: int) -> Floats:
    """Trade before the autumn holidays and at the turn of the year; August and Passover are slow."""
    by_month = {1: 1.1, 3: 1.05, 4: 0.8, 7: 0.95, 8: 0.75, 9: 0.85, 10: 0.9, 11: 1.15, 12: 1.15}
    return np.array([by_month.get(to_date(first_day + 7 * week + 3).month, 1.0) for week in range(n_weeks)])


def _lagged(strength: Floats, weeks: int) -> Floats:
    return np.concatenate([np.zeros((len(strength), weeks)), strength[:, : strength.shape[1] - weeks]], axis=1)


def _pulls(traits: Mapping[str, Floats], states: Mapping[str, Floats], tenure_weeks: Floats) -> dict[str, Floats]:
    """What each cause does to a client's goodwill; a sudden wish to control says more after long quiet years (B4)."""
    long_quiet = LONG_QUIET * np.clip(tenure_weeks / 156, 0, 1) * (traits["asks_reports"] < 0.12)
    return {cause.name: (cause.weight + (long_quiet if cause.name == "control" else 0)) * states[cause.name] for cause in CAUSES}


def _disaffection(pull: Floats, mood: Floats) -> Floats:
    """0..1, following the causes with a delay of some weeks."""
    asked = 1 - np.exp(-1.5 * pull - 0.15 * np.maximum(0, -mood))
    felt = np.zeros_like(asked)
    for week in range(1, asked.shape[1]):
        felt[:, week] = felt[:, week - 1] + DISAFFECTION_PACE * (asked[:, week] - felt[:, week - 1])
    return felt


def _hazard(traits: Mapping[str, Floats], states: Mapping[str, Floats], tenure_weeks: Floats) -> Floats:
    """Chance per week that a client decides to leave."""
    log_ratio = traits["luck"] - 0.2 * states["mood"] - 0.12 * np.log(traits["volume"] / 0.45)
    log_ratio = log_ratio + LOG_HAZARD * _lagged(states["disaffection"], LEAVING_LAG_WEEKS)
    log_ratio = log_ratio - 1.0 * (tenure_weeks < 13)  # few leave in the first weeks: the first contract runs
    hazard: Floats = 1 - np.exp(-BASE_HAZARD_A_YEAR / 52 * np.exp(log_ratio))
    return hazard


def _spells(
    settings: Simulate, hazard: Floats, joined_day: Ints, first_day: int, end_day: int, states: Mapping[str, Floats]
) -> pd.DataFrame:
    """Who leaves when, by whom and why; a few of those who left come back."""
    random = stream(settings.seed, "leaving")
    n, n_weeks = len(hazard), int(hazard.shape[1])
    others, other = list(OTHER_ENDINGS_A_YEAR), np.array([*OTHER_ENDINGS_A_YEAR.values()]) / 52
    began, free_from = joined_day.copy(), joined_day.copy()  # an ended client is free again only if and when it returns
    rows = []
    for week in range(EARLIER_WEEKS, n_weeks):
        days = first_day + 7 * week + random.integers(0, 7, n)
        draws = random.random(n)
        by_others = random.random(n)
        at_risk = (free_from <= days - 30) & (days < end_day)
        for client in np.flatnonzero(at_risk & ((draws < hazard[:, week]) | (by_others < other.sum()))):
            by_client = draws[client] < hazard[client, week]
            by = "Client" if by_client else others[int(np.searchsorted(other.cumsum(), by_others[client]))]
            notice = int(random.choice([0, 14, 30, 60], p=[0.2, 0.2, 0.45, 0.15]))
            decided = int(days[client])
            reason = _reason(random, by, states, int(client), week)
            rows.append((client, began[client], decided, decided + notice, by, reason))
            returns = decided + notice + 150 + int(random.exponential(200)) if random.random() < 0.07 else end_day
            began[client] = free_from[client] = returns
    still = np.flatnonzero(began < end_day)
    rows += [(client, began[client], -1, -1, "", "") for client in still]
    spells = pd.DataFrame(rows, columns=["client", "began_day", "decided_day", "ended_day", "ended_by", "reason"])
    return spells.sort_values(["client", "began_day"], ignore_index=True)


def _reason(random: np.random.Generator, by: str, states: Mapping[str, Floats], client: int, week: int) -> str:
    """What the file says: the strongest trouble's word, often something else – people are polite."""
    if by != "Client":
        return {"Us": "Non payment", "Agreed": "Fit"}.get(by, "Other")
    strengths = [states[cause.name][client, week - LEAVING_LAG_WEEKS] for cause in CAUSES]
    strongest = CAUSES[int(np.argmax(strengths))]
    return strongest.reason if max(strengths) > 0.2 and random.random() < 0.7 else "Other"


# ---- events ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Topic:
    """One kind of contact: how often a week it happens given the world, who begins it, and how it is held."""

    name: str
    per_week: Callable[[World], Floats]
    direction: str
    types: tuple[str, ...] = ("Email", "Email", "Phone")
    minutes: float = 0  # mean of calls and meetings


def _complaining(world: World) -> Floats:
    stirred = 0.55 * world["criticism"] + 0.32 * world["trickle"] + 0.05 * world["pressure"] + 0.08 * world["disaffection"]
    return (world["complains"] + stirred) * np.exp(-0.2 * world["mood"])


def _controlling(world: World) -> Floats:
    return world["control"] + 0.15 * world["disaffection"]


def _haggling(world: World) -> Floats:
    return world["friction"] + 0.15 * world["disaffection"]


def _answering(world: World) -> Floats:
    """Our replies to what is not ordinary business: trouble makes both sides write."""
    return 0.9 * _complaining(world) + 0.8 * _controlling(world) + 0.35 * _haggling(world)


def _present(world: World, at_most: float) -> Floats:
    """Share of its usual contact that a client still seeks; `at_most` tells how much of this topic is the client's own choice."""
    return (1 - at_most * world["withdrawal"]) ** 2 * (1 - at_most * world["disaffection"])


TOPICS = (
    Topic("Shipment order", lambda w: w["volume"] * _present(w, 0.45), "In", ("Portal", "Portal", "Email")),
    Topic("General", lambda w: 0.75 * w["talk"] * w["initiative"] * (0.5 + w["volume"]) * _present(w, 0.75), "In", minutes=7),
    Topic("General", lambda w: 0.75 * w["talk"] * (1 - w["initiative"] / 2) * (0.5 + w["volume"]) * _present(w, 0.1), "Out", minutes=6),
    Topic("General", _answering, "Out", ("Email", "Phone"), minutes=8),
    Topic("Review meeting", lambda w: 0.09 * w["talk"] * _present(w, 0.8), "Out", ("Meeting",), minutes=50),
    Topic("Meeting declined", lambda w: 0.12 * (w["declines"] + 0.8 * w["withdrawal"] + 0.4 * w["disaffection"]), "In", ("Email",)),
    Topic("No show", lambda w: 0.04 * (w["declines"] + 0.4 * w["withdrawal"]), "Out", ("Meeting",)),
    Topic("Report request", lambda w: w["asks_reports"] * (1 + w["project"]) + 0.55 * _controlling(w) + 0.15 * w["onboarding"], "In"),
    Topic("Instruction", lambda w: w["asks_reports"] * (0.5 + 3 * w["project"]) + 0.45 * _controlling(w) + 0.3 * w["onboarding"], "In"),
    Topic("Complaint", lambda w: 0.85 * _complaining(w), "In", minutes=12),
    Topic("Escalation", lambda w: _complaining(w) * (0.05 + 0.1 * w["criticism"] + 0.1 * w["disaffection"]), "In", minutes=18),
    Topic("Could not reach you", lambda w: 0.12 * _complaining(w) * (1 + 6 * w["pressure"]), "In"),
    Topic("Price question", lambda w: w["haggles"] + 0.25 * _haggling(w) + 0.05 * w["onboarding"], "In"),
    Topic("Discount request", lambda w: 0.5 * w["haggles"] + 0.2 * _haggling(w), "In"),
    Topic("Change request", lambda w: 0.04 * w["volume"], "In"),
    Topic("Praise", lambda w: 0.015 * np.exp(0.5 * w["mood"]), "In", ("Email",)),
    Topic("Internal note", lambda w: 0.03 * w["volume"], "Out", ("Note",)),  # no contact with the client: the mapping sets it aside
)


def happened(settings: Simulate, world: World, business_days: Callable[[Ints], Flags]) -> pd.DataFrame:
    """Contacts as they happened: one row per contact with client, local day and minute."""
    wave = stream(settings.seed, "wave").gamma(12, 1 / 12, world.shape)  # good and bad weeks of the phone
    bustle = world["activity"] * world["season"] * (1 - 0.8 * world["absence"]) * (1 + 0.5 * world["project"]) * wave
    drawn = [_contacts(settings, world, topic, bustle, business_days) for topic in TOPICS]
    contacts = pd.concat(drawn, ignore_index=True)
    return contacts.sort_values(["day", "minute", "client", "topic"], kind="stable", ignore_index=True)


def _contacts(settings: Simulate, world: World, topic: Topic, bustle: Floats, business_days: Callable[[Ints], Flags]) -> pd.DataFrame:
    random = stream(settings.seed, "contacts", topic.name, topic.direction, *topic.types)
    counts = random.poisson(topic.per_week(world) * bustle)
    client, week = np.repeat(np.argwhere(counts > 0), counts[counts > 0], axis=0).T
    type_ = np.array(topic.types)[random.integers(0, len(topic.types), len(client))]
    pressed = 0.6 * world["pressure"][client, week] + 0.08 * world["disaffection"][client, week]
    share = np.clip(world["evenings"][client, 0] + pressed, 0, 0.9)
    is_off = (random.random(len(client)) < share) & (topic.direction == "In") & (type_ != "Portal")
    day, minute = _clock(random, world.first_day + 7 * week, is_off, business_days)
    minutes = random.gamma(2, max(topic.minutes, 1) / 2, len(client)).round().astype(np.int64) + 1
    spoken = np.isin(type_, ["Phone", "Meeting"]) & (topic.minutes > 0)
    kept = _is_ours(world, client, day)
    contacts = pd.DataFrame(
        {"client": client, "day": day, "minute": minute, "type": type_, "topic": topic.name, "direction": topic.direction}
        | {"minutes": np.where(spoken, minutes, 0), "is_off": is_off}
    )
    return contacts[kept]


def _clock(random: np.random.Generator, week_begins: Ints, is_off: Flags, business_days: Callable[[Ints], Flags]) -> tuple[Ints, Ints]:
    """Local day and minute of each contact: in hours on a working day, or in the evening, at night or on a rest day."""
    n = len(week_begins)
    day = week_begins + random.integers(0, 7, n)
    rests = random.random(n) < 0.3  # of off-hours contacts, on whatever day they fall; the others on working days
    for _ in range(14):  # onto the next working day: no run of rest days and holidays is longer
        moved = ~business_days(day) & ~(is_off & rests)
        day = day + moved
    in_hours = (8 * 60 + 30 + 540 * random.beta(1.6, 1.8, n)).astype(np.int64)
    evening = (18 * 60 + 330 * random.beta(1.2, 2.2, n)).astype(np.int64)
    early = random.integers(0, 8 * 60, n)
    anytime = random.integers(8 * 60, 22 * 60, n)
    off = np.where(~business_days(day), anytime, np.where(random.random(n) < 0.8, evening, early))
    return day, np.where(is_off, off, in_hours)


def _is_ours(world: World, client: Ints, day: Ints) -> Flags:
    """Whether the client was with us that day; contact thins out once notice is given."""
    ours = np.zeros(len(client), bool)
    order = np.argsort(client, kind="stable")
    bounds = np.searchsorted(client[order], np.arange(world.shape[0] + 1))
    columns = (world.spells[name].to_numpy() for name in ("client", "began_day", "decided_day", "ended_day"))
    for who, began, decided, ended in zip(*columns, strict=True):
        rows = order[bounds[who] : bounds[who + 1]]
        ends = world.end_day if ended < 0 else ended
        noticed = ends if decided < 0 else decided
        there = (day[rows] >= began) & (day[rows] < ends)
        ours[rows] |= there & ((day[rows] < noticed) | (rows % 2 == 0))
    return ours & (day >= world.start_day) & (day < world.end_day)


def billed(settings: Simulate, world: World, contacts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shipments -> monthly invoices; invoices -> payments, late by habit, later in friction, some in two parts, a few never."""
    random = stream(settings.seed, "bills")
    orders = contacts[contacts.topic == "Shipment order"]
    months = np.array(month_starts(world.start_day, world.end_day))
    value = world["order_value"][orders.client.to_numpy(), 0] * random.lognormal(-0.08, 0.4, len(orders))
    month = np.searchsorted(months, orders.day.to_numpy(), side="right")
    monthly = pd.DataFrame({"client": orders.client.to_numpy(), "month": month, "value": value})
    invoices = (
        monthly[month < len(months)].groupby(["client", "month"], as_index=False).agg({"value": "sum"})
    )  # -> one row per client and month
    client, n = invoices.client.to_numpy(), len(invoices)
    issued = months[invoices.month.to_numpy()] + random.integers(0, 6, n)
    friction = world["friction"][client, np.clip((issued - world.first_day) // 7, 0, world.shape[1] - 1)]
    discount = np.clip(world["discount"][client, 0] + 0.06 * friction + random.normal(0, 0.01, n), 0, 0.5)
    amount = (100 * invoices.value * (1 - discount)).round().astype(np.int64)
    invoices = pd.DataFrame(
        {"invoice": np.arange(n), "client": client, "issued": issued, "due": issued + world["terms_days"][client, 0].astype(np.int64)}
        | {"agorot": amount, "list_agorot": (100 * invoices.value).round().astype(np.int64)}
        | {"disputed": np.where(random.random(n) < 0.012 + 0.2 * friction, issued + random.integers(3, 25, n), -1)}
    )
    delay = world["pays_late_days"][client, 0] + random.standard_t(2.5, n) * 4 + 40 * friction * random.gamma(2, 0.5, n)
    paid = np.maximum(issued + 1, invoices.due + delay.round().astype(np.int64)) + np.where(invoices.disputed >= 0, 21, 0)
    is_paid = random.random(n) > 0.006 + 0.05 * friction
    in_two = is_paid & (random.random(n) < 0.06 + 0.15 * friction)
    first = np.where(in_two, amount // 2, amount)
    payments = pd.concat(
        [
            pd.DataFrame({"invoice": np.arange(n), "paid": paid, "agorot": first})[is_paid],
            pd.DataFrame({"invoice": np.arange(n), "paid": paid + random.integers(10, 45, n), "agorot": amount - first})[in_two],
        ]
    )
    bills = invoices[invoices.issued < world.end_day].reset_index(drop=True)
    received = payments[(payments.paid < world.end_day) & payments.invoice.isin(bills.invoice)]
    return bills, received.sort_values(["paid", "invoice"], kind="stable", ignore_index=True)


# ---- exports --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """Writes days and minutes as the firm's systems do: 31/12/2024 23:59, on its own wall clock."""

    zone: Zone

    def text(self, day: Ints, minute: Ints) -> npt.NDArray[np.str_]:
        """Day and minute as text; the hour that a spring night skips is written as the next."""
        local_us = day.astype(np.int64) * DAY_US + minute.astype(np.int64) * 60_000_000
        local_us = local_us + np.where(self.zone.to_instants(local_us)[1], 3_600_000_000, 0)
        return pd.Series(pd.to_datetime(local_us, unit="us")).dt.strftime("%d/%m/%Y %H:%M").to_numpy(str)

    def day_text(self, day: Ints) -> npt.NDArray[np.str_]:
        """Day as text; empty where it is negative."""
        written = pd.Series(pd.to_datetime(np.maximum(day, 0), unit="D")).dt.strftime("%d/%m/%Y").to_numpy(str)
        return np.where(day < 0, "", written)


def client_ids(n: int) -> npt.NDArray[np.str_]:
    """Account numbers as the bookkeeping has them, with leading zeros."""
    return np.array([f"{10_007 + 37 * client:06d}" for client in range(n)])


def _money(agorot: pd.Series) -> list[str]:
    return [f"{value // 100}.{value % 100:02d}" for value in agorot]


def exported(settings: Simulate, world: World, contacts: pd.DataFrame, clock: Clock) -> dict[str, pd.DataFrame]:
    """The firm's exports, still without blemish: one frame of text per system, with `_known` = day on which the row was entered."""
    bills, receipts = billed(settings, world, contacts)
    return {
        "crm": _crm(settings, world, contacts, clock),
        "accounts": _accounts(settings, world, clock),
        "invoices": _invoices(settings, world, bills, clock),
        "receipts": _receipts(settings, receipts, clock),
        "endings": _endings(settings, world, clock),
    }


def _crm(settings: Simulate, world: World, contacts: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    random, n = stream(settings.seed, "crm"), len(contacts)
    promptly = random.integers(0, 240, n)
    late_minutes = (1_440 * random.lognormal(1.6, 0.9, n)).astype(np.int64)  # a call typed up at the end of the week, or of the month
    logged = contacts.day * 1_440 + contacts.minute + np.where(random.random(n) < 0.88, promptly, late_minutes)
    rows = pd.DataFrame(
        {"Account": client_ids(world.shape[0])[contacts.client], "When": clock.text(contacts.day.to_numpy(), contacts.minute.to_numpy())}
        | {"Logged": clock.text((logged // 1_440).to_numpy(), (logged % 1_440).to_numpy()), "Type": contacts.type}
        | {"Direction": contacts.direction, "Topic": contacts.topic}
        | {"Minutes": contacts.minutes.where(contacts.minutes > 0).astype("Int64").astype("string").fillna("")}
        | {"Owner": np.array(["dana", "yossi", "michal", "omer", "rina", "avi"])[(contacts.client * 7 + contacts.day // 400) % 6]}
        | {"_known": logged // 1_440, "_minute": logged}
    )
    rows = rows[rows["_known"] < world.end_day].sort_values("_minute", kind="stable", ignore_index=True)
    rows.insert(0, "Activity ID", [f"A{number:07d}" for number in range(1, len(rows) + 1)])
    return rows.drop(columns="_minute")


HEBREW_NAMES = (
    "גליל",
    "כרמל",
    "נגב",
    "שרון",
    "ארז",
    "תבור",
    "ירדן",
    "גלבוע",
    "אלון",
    "ברק",
    "דקל",
    "חרמון",
    "יובל",
    "כנרת",
    "מוריה",
    "עומר",
)
HEBREW_TRADES = ("יבוא ושיווק", "טקסטיל", "אלקטרוניקה", "ריהוט", "מזון", "ציוד רפואי", "מתכת", "פלסטיק")
ENGLISH_NAMES = ("Atlas", "Beacon", "Cedar", "Delta", "Everest", "Falcon", "Granite", "Harbor", "Indigo", "Juniper", "Keystone", "Lumen")
ENGLISH_TRADES = ("Textiles", "Electronics", "Furniture", "Foods", "Medical Supply", "Metals", "Plastics", "Trading")
INDUSTRIES = ("trade", "textiles", "electronics", "furniture", "food", "medical", "metal", "plastics")


def _accounts(settings: Simulate, world: World, clock: Clock) -> pd.DataFrame:
    random, n = stream(settings.seed, "accounts"), world.shape[0]
    is_abroad = world["is_abroad"][:, 0] > 0
    in_hebrew = ~is_abroad & (random.random(n) < 0.65)
    trade, first = random.integers(0, 8, n), random.integers(0, 1_000, n)
    names = [
        f'{HEBREW_NAMES[first[i] % 16]} {HEBREW_TRADES[trade[i]]} {i + 1} בע"מ'
        if in_hebrew[i]
        else f"{ENGLISH_NAMES[first[i] % 12]} {ENGLISH_TRADES[trade[i]]} {i + 1}, Ltd"
        for i in range(n)
    ]
    volume = world["volume"][:, 0]
    return pd.DataFrame(
        {"Account": client_ids(n), "Name": names, "Size": np.where(volume > 1, "large", np.where(volume > 0.35, "medium", "small"))}
        | {"Industry": np.array(INDUSTRIES)[trade], "Country": np.where(is_abroad, random.choice(["GR", "CY", "IT", "DE"], n), "IL")}
        | {"Client since": clock.day_text(world.joined_day), "Created": clock.text(world.joined_day, random.integers(540, 1_000, n))}
        | {"_known": world.joined_day}
    )


def _invoices(settings: Simulate, world: World, bills: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    random, n = stream(settings.seed, "invoices"), len(bills)
    return pd.DataFrame(
        {"Invoice": [f"{number:06d}" for number in bills.invoice + 1], "Account": client_ids(world.shape[0])[bills.client]}
        | {"Issued": clock.day_text(bills.issued.to_numpy()), "Due": clock.day_text(bills.due.to_numpy()), "Amount": _money(bills.agorot)}
        | {"Before discount": _money(bills.list_agorot)}
        | {"Disputed": clock.day_text(np.where(bills.disputed < world.end_day, bills.disputed, -1))}
        | {"Updated": clock.text(bills.issued.to_numpy(), random.integers(600, 1_000, n)), "_known": bills.issued}
    )


def _receipts(settings: Simulate, receipts: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    random, n = stream(settings.seed, "receipts"), len(receipts)
    booked = receipts.paid.to_numpy() + random.choice([0, 1, 3], n, p=[0.5, 0.35, 0.15])  # the bank's list is read every few days
    rows = pd.DataFrame(
        {"Invoice": [f"{number:06d}" for number in receipts.invoice + 1], "Paid": clock.day_text(receipts.paid.to_numpy())}
        | {"Amount": _money(receipts.agorot), "Booked": clock.text(booked, random.integers(540, 1_020, n)), "_known": booked}
    )
    rows.insert(0, "Receipt", [f"R{number:06d}" for number in range(1, n + 1)])
    return rows


def _endings(settings: Simulate, world: World, clock: Clock) -> pd.DataFrame:
    random = stream(settings.seed, "endings")
    ended = world.spells[world.spells.decided_day >= 0].sort_values(["decided_day", "client"], ignore_index=True)
    entered = (ended.decided_day + random.choice([0, 1, 4], len(ended), p=[0.6, 0.25, 0.15])).to_numpy()
    rows = pd.DataFrame(
        {"Account": client_ids(world.shape[0])[ended.client], "Notice given": clock.day_text(ended.decided_day.to_numpy())}
        | {"Ends": clock.day_text(ended.ended_day.to_numpy()), "Given by": ended.ended_by, "Reason": ended.reason}
        | {"Entered": clock.text(entered, random.integers(600, 1_000, len(ended))), "_known": entered}
    )
    rows.insert(0, "Contract", [f"C-{number:04d}" for number in range(1, len(rows) + 1)])
    return rows


# ---- blemishes ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Amendment:
    """How a system's rows are changed later: `column` anew by `change` in a `share` of the rows it concerns, stamped in `stamp`."""

    column: str
    stamp: str
    share: float
    change: Callable[[np.random.Generator, pd.Series], pd.Series]
    concerns: Callable[[pd.DataFrame], Flags]


def blemished(settings: Simulate, world: World, exports: dict[str, pd.DataFrame], clock: Clock) -> dict[str, pd.DataFrame]:
    """What real exports have: lines twice, lines amended later under the same number, ids left blank, dates that are none."""
    retold = Amendment("Topic", "Logged", 0.02, _retold, lambda rows: (rows["Direction"] == "In").to_numpy())
    recharged = Amendment("Amount", "Updated", 0.015, _recharged, lambda rows: np.ones(len(rows), bool))
    next_year = settings.ends_on.year + 2
    no_dates = ["31/02/2025 10:00", "00/00/0000 00:00", "01/01/0001 09:00", f"03/05/{next_year} 11:30"]
    whole = {name: rows[rows["_known"] < world.end_day].reset_index(drop=True) for name, rows in exports.items()}
    crm = _amended(settings, world, whole["crm"], clock, retold)
    crm = _spoilt(settings, _spoilt(settings, crm, "Account", ["", "  "], 6), "When", no_dates, 9)
    invoices = _amended(settings, world, whole["invoices"], clock, recharged)
    receipts = _spoilt(settings, whole["receipts"], "Paid", ["30/02/2025", "2025"], 4)
    return whole | {
        "crm": _repeated(settings, crm, "crm", share=0.004),
        "invoices": _spoilt(settings, invoices, "Amount", ["n/a", "1.250,00"], 3),
        "receipts": _repeated(settings, receipts, "receipts", share=0.003),
    }


def _retold(random: np.random.Generator, topics: pd.Series) -> pd.Series:
    """What was first put down as general turns out to have been something else, and the other way round."""
    other = np.array(["Complaint", "Price question", "Instruction", "Change request"])[random.integers(0, 4, len(topics))]
    return topics.where(topics != "General", other).where(topics == "General", "General")


def _recharged(random: np.random.Generator, amounts: pd.Series) -> pd.Series:
    """The invoice corrected."""
    return pd.Series(
        _money((100 * amounts.astype(float) * random.uniform(0.8, 1.02, len(amounts))).round().astype(np.int64)), amounts.index
    )


def _amended(settings: Simulate, world: World, rows: pd.DataFrame, clock: Clock, amendment: Amendment) -> pd.DataFrame:
    """Rows with some of them once more, changed and stamped 1 to 30 days later, at the place of that day."""
    random = stream(settings.seed, "amended", amendment.column)
    chosen = rows[(random.random(len(rows)) < amendment.share) & amendment.concerns(rows)].copy()
    chosen[amendment.column] = amendment.change(random, chosen[amendment.column])
    chosen["_known"] += random.integers(1, 31, len(chosen))
    chosen[amendment.stamp] = clock.text(chosen["_known"].to_numpy(), random.integers(540, 1_020, len(chosen)))
    both = pd.concat([rows, chosen.loc[chosen["_known"] < world.end_day]])
    return both.sort_values("_known", kind="stable", ignore_index=True)


def _repeated(settings: Simulate, rows: pd.DataFrame, name: str, *, share: float) -> pd.DataFrame:
    """Rows with some of them twice, line for line, as when an export is run again."""
    again = rows[stream(settings.seed, "repeated", name).random(len(rows)) < share]
    return pd.concat([rows, again]).sort_values("_known", kind="stable", ignore_index=True)


def _spoilt(settings: Simulate, rows: pd.DataFrame, column: str, values: list[str], n: int) -> pd.DataFrame:
    """Rows with a few values of one column overwritten by what no reader can use."""
    spoilt = rows.copy()
    at = stream(settings.seed, "spoilt", column).choice(len(rows), min(n, len(rows) // 10), replace=False)
    spoilt.loc[at, column] = [values[i % len(values)] for i in range(len(at))]
    return spoilt


# ---- files ----------------------------------------------------------------------------------------------------------------------


def write_exports(folder: Path, exports: Mapping[str, pd.DataFrame]) -> None:
    """The firm's files: the CRM by year, the accounts list from an old Windows program, receipts with semicolons."""
    year = (exports["crm"]["_known"]).map(lambda day: to_date(day).year)
    for number, rows in exports["crm"].groupby(year):
        _write(folder / f"crm_{number}.csv", rows)
    _write(folder / "accounts.csv", exports["accounts"], encoding="windows-1255", newline="\r\n")
    _write(folder / "invoices.csv", exports["invoices"], encoding="utf-8-sig")
    _write(folder / "receipts.csv", exports["receipts"], delimiter=";")
    _write(folder / "endings.csv", exports["endings"])


def _write(path: Path, rows: pd.DataFrame, *, encoding: str = "utf-8", delimiter: str = ",", newline: str = "\n") -> None:
    text = rows.drop(columns="_known").to_csv(index=False, sep=delimiter, lineterminator=newline)
    path.write_bytes(text.encode(encoding))


def truth_of(world: World) -> pa.Table:
    """Per client and exported week: the hazard and the states it was made of, and the cause that weighed most."""
    n, n_weeks = world.shape
    weeks = np.arange(EARLIER_WEEKS, n_weeks)
    pull = np.stack([_lagged(world[f"pull_{cause.name}"], LEAVING_LAG_WEEKS)[:, weeks] for cause in CAUSES])
    leading = np.where(pull.max(0) > 0.15, np.array([cause.name for cause in CAUSES])[pull.argmax(0)], "none")
    days = np.broadcast_to(world.first_day + 7 * weeks, (n, len(weeks)))
    columns = {"client_id": np.repeat(client_ids(n), len(weeks)), "week_on": days.ravel().astype("datetime64[D]")}
    columns |= {"hazard": world.hazard[:, weeks].ravel(), "leading_cause": leading.ravel(), "mood": world["mood"][:, weeks].ravel()}
    columns |= {"disaffection": world["disaffection"][:, weeks].ravel()}
    return pa.table(columns | {cause.name: world[cause.name][:, weeks].ravel() for cause in CAUSES})


def simulated(source: Source, settings: Simulate) -> tuple[World, dict[str, pd.DataFrame]]:
    """The world and its exports, in memory."""
    rests = np.array(source.business.holidays, np.int64)
    working = np.array(source.business.working_days)

    def business_days(days: Ints) -> Flags:
        works: Flags = np.isin(weekday_of(days), working) & ~np.isin(days, rests)
        return works

    clock = Clock(zone(source.spec.time_zone))
    world = lived(settings)
    contacts = happened(settings, world, business_days)
    return world, blemished(settings, world, exported(settings, world, contacts, clock), clock)


def ensure_exports(source: Source) -> None:
    """Writes data/<source>/raw and data/<source>/truth unless they are there, whole, from these settings and this code.

    Raises UserError if the block is wrong, or if source.yaml does not look for the files where they are written.
    """
    where = str(source.folder / "source.yaml")
    settings: Simulate = checked(Simulate, source.spec.simulate, f"{where} (simulate)")
    raw, truth = source.output / "raw", source.output / "truth"
    _check_places(source, settings, raw, where)
    recipe = {"settings": settings.model_dump(mode="json"), "spec": _spec_of(source), "code": sha256_of(Path(__file__))}
    if _is_whole(raw, recipe):
        return
    world, exports = simulated(source, settings)
    write_parquet(truth / "weeks.parquet", truth_of(world))
    with folder_written_whole(raw) as folder:
        write_exports(folder, exports)
        files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        write_json(folder / "manifest.json", recipe | {"files": files})


def _spec_of(source: Source) -> str:
    """What else the exports hang on: time zone, working week and holidays."""
    said = f"{source.spec.time_zone} {source.business.working_days} {source.business.holidays} numpy {np.__version__}"
    return hashlib.sha256(said.encode()).hexdigest()


def _is_whole(raw: Path, recipe: Mapping[str, object]) -> bool:
    if not (raw / "manifest.json").exists():
        return False
    manifest = read_json(raw / "manifest.json")
    files = manifest.pop("files")
    return manifest == recipe and all((raw / name).is_file() and sha256_of(raw / name) == content for name, content in files.items())


def _check_places(source: Source, settings: Simulate, raw: Path, where: str) -> None:
    for name, file in source.spec.files.items():
        folder = Path(os.path.normpath(source.folder.resolve() / file.path)).parent
        if folder != raw.resolve():
            wanted = Path(os.path.relpath(raw.resolve(), source.folder.resolve())) / Path(file.path).name
            raise UserError(
                where, found=f"files.{name}.path: {file.path}", wanted=f"{wanted}: where its exports are written", cure="correct it"
            )
    if source.spec.exported_at.date() != settings.ends_on:
        raise UserError(
            where,
            found=f"exported_at: {source.spec.exported_at}, but simulate begins on {settings.starts_on} and lasts {settings.years} years",
            wanted=f"exported_at on {settings.ends_on}",
            cure="change exported_at, starts_on or years",
        )

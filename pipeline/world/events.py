"""A block's lives -> contacts as they happened (one row per contact), and the harmless goings-on that look like trouble.

Every rate hangs on the states of its week alone, never on who will leave; after notice contact thins out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from features.time import to_date
from pipeline.world.almanac import DAY, Almanac
from pipeline.world.lives import Lives
from pipeline.world.people import People, writers
from pipeline.world.settings import BURDENS, CAUSES, EARLIER_WEEKS, Trouble
from pipeline.world.states import Episodes, Flags, Floats, Ints, Pace

HARMLESS = {
    "project": Trouble(0.35, 2, 6, 2),  # instructions and contact
    "audit": Trouble(0.25, 1, 4, 1),  # report requests
    "absence": Trouble(0.35, 1, 4, 1),  # silence
}
BY_MONTH = {1: 1.1, 3: 1.05, 4: 0.8, 7: 0.95, 8: 0.75, 9: 0.85, 10: 0.9, 11: 1.15, 12: 1.15}  # trade before the autumn holidays
FIRST_TALKS_DAYS = 60


class Shown(Protocol):
    """States and traits by name, of whatever shape: all that rates hang on."""

    def __getitem__(self, name: str, /) -> Floats: ...


@dataclass(frozen=True)
class Weeks:
    """The exported weeks of a block. Arrays (clients, weeks); traits (clients, 1)."""

    lives: Lives
    states: dict[str, Floats]

    @classmethod
    def of(cls, lives: Lives) -> "Weeks":
        exported = slice(EARLIER_WEEKS, None)
        found: dict[str, Floats] = {name: lives[name][:, exported] for name in (*CAUSES, *BURDENS)}
        found |= {"disaffection": lives.disaffection[exported].T, "mood": lives.mood[exported].T}
        n_weeks = lives.n_weeks - EARLIER_WEEKS
        found |= _harmless(lives, n_weeks)
        begins = lives.first_day + 7 * (EARLIER_WEEKS + np.arange(n_weeks))
        tenure = begins[None, :] - lives.joined_day[:, None]
        found["onboarding"] = np.clip(1 - tenure / 112, 0, 1) * (tenure >= -7)
        found["first_talks"] = ((tenure >= -7) & (tenure < FIRST_TALKS_DAYS)).astype(np.float32)
        found["season"] = np.array([BY_MONTH.get(to_date(int(day) + 3).month, 1.0) for day in begins], np.float32)[None, :]
        found["august"] = np.array([to_date(int(day) + 3).month == 8 for day in begins], np.float32)[None, :]
        found["strain"] = lives.strain[exported][None, :].astype(np.float32)
        return cls(lives, found | {name: values[:, None] for name, values in lives.traits.items() if name not in found})

    @property
    def n_weeks(self) -> int:
        return self.lives.n_weeks - EARLIER_WEEKS

    @property
    def first_day(self) -> int:
        return self.lives.first_day + 7 * EARLIER_WEEKS

    def __getitem__(self, name: str) -> Floats:
        return self.states[name]

    def at(self, name: str, client: Ints, day: Ints) -> Floats:
        """A state or trait for each (client, day)."""
        values = self.states[name]
        week = np.clip((day - self.first_day) // 7, 0, self.n_weeks - 1)
        rows, columns = values.shape
        found: Floats = values[client if rows > 1 else np.zeros_like(client), week if columns > 1 else np.zeros_like(week)]
        return found


def _harmless(lives: Lives, n_weeks: int) -> dict[str, Floats]:
    random = lives.random("harmless")
    troubles = list(HARMLESS.values())
    pace = Pace.of(troubles, [trouble.starts_a_year for trouble in troubles])
    episodes = Episodes.none(len(troubles), lives.n)
    weeks, activity, walk = [], [], random.normal(size=lives.n)
    for _ in range(n_weeks + 12):
        episodes = episodes.advanced(random, pace)
        walk = 0.985 * walk + np.sqrt(1 - 0.985**2) * random.normal(size=lives.n)
        weeks.append(episodes.strength)
        activity.append(np.exp(0.2 * walk))
    stacked = np.stack(weeks[12:])
    found = {name: stacked[:, place].T for place, name in enumerate(HARMLESS)}
    return found | {"activity": np.stack(activity[12:]).T.astype(np.float32)}


# ---- how often --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Topic:
    """One kind of contact: how often a week it happens, who begins it, how it is held, and how many are answered."""

    name: str
    per_week: Callable[[Shown], Floats]
    direction: str
    types: tuple[str, ...] = ("Email", "Email", "Phone", "Chat")
    minutes: float = 0  # mean of calls and meetings
    asks: float = 0.0  # share of written ones that await an answer
    with_shipment: float = 0.0  # share that names a shipment


def _complaining(w: Shown) -> Any:
    stirred = 0.75 * w["criticism"] + 0.36 * w["trickle"] + 0.06 * w["pressure"] + 0.08 * w["hostility"] + 0.1 * w["our_lapse"]
    return (w["complains"] * (0.4 + 1.2 * w["volume"]) + stirred + 0.2 * w["disaffection"] + 0.06 * w["rude"]) * np.exp(-0.2 * w["mood"])


def _controlling(w: Shown) -> Any:
    return w["control"] + 0.3 * w["disaffection"]


def _price(w: Shown) -> Any:
    early = 0.5 * w["first_talks"] * (0.3 + np.clip(w["difficult"], -0.5, 2))
    return 0.35 * w["friction"] + 0.28 * w["haggles"] + 0.16 * w["disaffection"] + np.maximum(early, 0) * 0.5 + 0.012


def _present(w: Shown, at_most: float) -> Any:
    """Share of its usual contact that a client still seeks; `at_most` tells how much of this topic is the client's own choice."""
    done = 1 - 0.6 * at_most * w["solved"]
    return (1 - at_most * w["withdrawal"]) ** 1.5 * (1 - at_most * w["disaffection"]) * (1 - 0.3 * at_most * w["crisis"]) * done


def _ours(w: Shown) -> Any:
    """What is left of our own initiative: someone whom we would rather not speak to hears less of us (E1)."""
    return (1 - 0.7 * w["our_lapse"]) * (1 - 0.3 * w["august"])


def _talking(w: Shown) -> Any:
    return w["talk"] * (0.25 + 1.35 * w["volume"])


def _declining(w: Shown) -> Any:
    return w["declines"] + 1.2 * w["withdrawal"] + 0.5 * w["disaffection"] + 0.3 * w["breaks_agreements"]


def _missing(w: Shown) -> Any:
    return w["declines"] + 0.4 * w["withdrawal"] + 1.6 * w["breaks_agreements"]


def _cancelling(w: Shown) -> Any:
    return w["volume"] * (0.02 + 0.05 * w["fickle"] + 0.04 * w["breaks_agreements"] + 0.03 * w["crisis"])


def _reports(w: Shown) -> Any:
    return w["asks_reports"] * (1 + w["project"]) + 0.55 * _controlling(w) + 0.5 * w["audit"] + 0.08 * w["onboarding"]


def _instructions(w: Shown) -> Any:
    return w["asks_reports"] * (0.5 + 4 * w["project"]) + 0.5 * _controlling(w) + 0.2 * w["onboarding"]


def _escalating(w: Shown) -> Any:
    return _complaining(w) * (0.04 + 0.1 * w["criticism"] + 0.12 * w["hostility"])


def _unreached(w: Shown) -> Any:
    return _complaining(w) * (0.1 + 0.4 * w["pressure"] + 0.5 * w["our_lapse"]) + 0.05 * w["overtime"]


def _refusing(w: Shown) -> Any:
    return 0.12 * w["first_talks"] * np.clip(w["difficult"] - 0.5, 0, 2) + 0.02 * w["haggles"]


def _questions(w: Shown) -> Any:
    return (0.05 + 0.06 * w["volume"]) * w["talk"] + 0.15 * w["onboarding"]


def _changing(w: Shown) -> Any:
    return (0.05 + 0.4 * w["fickle"]) * (0.15 + w["volume"])


def _reversing(w: Shown) -> Any:
    return (0.006 + 0.2 * w["fickle"]) * (0.15 + w["volume"])


WRITTEN = ("Email", "Chat", "Ticket", "Portal")
TALK = ("Email", "Phone")
TOPICS = (
    Topic("Shipment order", lambda w: w["volume"] * _present(w, 0.5), "In", ("Portal", "Portal", "Email")),
    Topic("General", lambda w: 0.54 * _talking(w) * w["initiative"] * _present(w, 0.8), "In", minutes=7, asks=0.75),
    Topic("General", lambda w: 0.42 * _talking(w) * (1 - w["initiative"] / 2) * _ours(w), "Out", minutes=6, asks=0.6),
    Topic("Question", _questions, "In", ("Ticket",), asks=0.97, with_shipment=0.6),
    Topic("Review meeting", lambda w: 0.06 * w["talk"] * _present(w, 0.8) * _ours(w), "Out", ("Meeting", "Meeting", "Visit"), minutes=50),
    Topic("Meeting declined", lambda w: 0.06 * _declining(w), "In", ("Email",)),
    Topic("No show", lambda w: 0.025 * _missing(w), "Out", ("Meeting",)),
    Topic("Cancellation", _cancelling, "In", with_shipment=1),
    Topic("Report request", _reports, "In", asks=0.95),
    Topic("Instruction", _instructions, "In", asks=0.5, with_shipment=0.7),
    Topic("Complaint", lambda w: 0.7 * _complaining(w), "In", ("Email", "Phone", "Ticket"), minutes=12, asks=0.9, with_shipment=0.75),
    Topic("Escalation", _escalating, "In", minutes=18, asks=0.9, with_shipment=0.5),
    Topic("Could not reach you", _unreached, "In", asks=0.8),
    Topic("Price question", lambda w: 0.6 * _price(w) + 0.05 * w["onboarding"], "In", asks=0.9),
    Topic("Discount request", lambda w: 0.4 * _price(w), "In", asks=0.9),
    Topic("Terms refused", _refusing, "In", TALK, asks=0.5),
    Topic("Extra request", lambda w: 0.01 + 0.32 * w["scope_creep"] + 0.03 * w["project"], "In", asks=0.8, with_shipment=0.6),
    Topic("Change request", _changing, "In", asks=0.6, with_shipment=1),
    Topic("Reversal", _reversing, "In", asks=0.4, with_shipment=1),
    Topic("Return", lambda w: 0.008 * w["volume"] * (1 + 3 * w["criticism"]), "In", ("Email",), with_shipment=1),
    Topic("Praise", lambda w: 0.015 * np.exp(0.5 * w["mood"]), "In", ("Email",)),
    Topic("Other", lambda w: 0.02 * w["talk"], "In"),
    Topic("Internal note", lambda w: 0.03 * w["volume"] + 0.05 * w["rude"], "Out", ("Note",)),  # no contact: the mapping sets it aside
)
NAMES = tuple(dict.fromkeys([topic.name for topic in TOPICS] + ["Reply"]))
UNPLEASANT = ("Complaint", "Escalation", "Could not reach you", "Terms refused")


def happened(weeks: Weeks, almanac: Almanac, people: People) -> pd.DataFrame:
    """Contacts of a block, sorted: client, moment (minutes since 1970, wall clock), type, topic, is_in, minutes, person, tone …

    `answers` is the row of the message that is answered, −1 where none; `order` the row of the shipment's order.
    """
    lives = weeks.lives
    wave = lives.random("wave").gamma(12, 1 / 12, (lives.n, weeks.n_weeks))  # good and bad weeks of the phone
    stir = bustle(weeks) * wave
    first = pd.concat([_contacts(weeks, topic, stir, almanac) for topic in TOPICS], ignore_index=True)
    first["answers"] = -1
    replies = _replies(weeks, first, almanac)
    both = pd.concat([first, replies], ignore_index=True)
    is_kept = kept(lives, both.client.to_numpy(), (both.moment // DAY).to_numpy())
    answers = both.answers.to_numpy()
    is_kept &= (answers < 0) | is_kept[answers]  # no answer to what nobody wrote after notice
    moment, client, topic = both.moment.to_numpy(), both.client.to_numpy(), both.topic.cat.codes.to_numpy()
    order = np.lexsort((topic, client, moment))
    order = order[is_kept[order]]
    place = np.full(len(both), -1)
    place[order] = np.arange(len(order))
    both = both.iloc[order].reset_index(drop=True)
    both["answers"] = np.where(both.answers >= 0, place[both.answers], -1)
    return _with_shipments(weeks, _with_people(weeks, both, people))


def bustle(weeks: Shown) -> Floats:
    """How much more or less goes on in a week than usual, for whatever harmless reason."""
    found: Floats = weeks["activity"] * weeks["season"] * (1 - 0.8 * weeks["absence"]) * (1 + 0.4 * weeks["project"])
    return found


def _contacts(weeks: Weeks, topic: Topic, stir: Floats, almanac: Almanac) -> pd.DataFrame:
    random = weeks.lives.random("contacts", topic.name, topic.direction)
    counts = random.poisson(np.maximum(topic.per_week(weeks) * stir, 0))
    client, week = np.nonzero(counts)
    many = counts[client, week]
    client, week = np.repeat(client, many), np.repeat(week, many)
    n, day = len(client), weeks.first_day + 7 * week
    type_ = random.integers(0, len(topic.types), n)
    is_off = np.zeros(n, bool)
    if topic.direction == "In":
        pressed = (
            0.5 * weeks.at("pressure", client, day)
            + 0.45 * weeks.at("overtime", client, day)
            + 0.08 * weeks.at("disaffection", client, day)
        )
        share = np.clip(weeks.at("evenings", client, day) + pressed, 0, 0.9)
        is_off = (random.random(n) < share) & (np.array(topic.types) != "Portal")[type_]
    day, minute = almanac.moments(random, day, is_off)
    minutes = 1 + random.gamma(2, max(topic.minutes, 1) / 2, n).round().astype(np.int64)
    spoken = np.isin(np.array(topic.types), ["Phone", "Meeting", "Visit"])[type_] & (topic.minutes > 0)
    asks = (random.random(n) < topic.asks) & np.isin(np.array(topic.types), WRITTEN)[type_]
    return pd.DataFrame(
        {
            "client": client,
            "moment": day * DAY + minute,
            "type": _coded(np.array([TYPES.index(name) for name in topic.types])[type_], TYPES),
        }
        | {"topic": _coded(np.full(n, NAMES.index(topic.name)), NAMES), "is_in": topic.direction == "In"}
        | {"minutes": np.where(spoken, minutes, 0), "asks": asks, "with_shipment": random.random(n) < topic.with_shipment}
    )


TYPES = ("Email", "Phone", "Meeting", "Visit", "Chat", "Portal", "Note", "Ticket")


def _coded(codes: Any, names: tuple[str, ...]) -> Any:
    return pd.Categorical.from_codes(codes, pd.Index(names))


def we_never_answer(lapse: Floats) -> Floats:
    share: Floats = 0.03 + 0.3 * lapse
    return share


def they_never_answer(away: Floats, breaks: Floats, sour: Floats, absent: Floats) -> Floats:
    share: Floats = 0.1 + 0.45 * away + 0.25 * breaks + 0.2 * sour + 0.3 * absent
    return share


def _replies(weeks: Weeks, first: pd.DataFrame, almanac: Almanac) -> pd.DataFrame:
    """Answers to written messages: ours slower and rarer when we lapse, theirs when they withdraw or keep no agreements."""
    random = weeks.lives.random("replies")
    asked = np.flatnonzero(first.asks.to_numpy())
    client, moment, is_in = (first[name].to_numpy()[asked] for name in ("client", "moment", "is_in"))
    day, n = moment // DAY, len(asked)
    lapse, august = weeks.at("our_lapse", client, day), weeks.at("august", client, day)
    away, breaks = weeks.at("withdrawal", client, day), weeks.at("breaks_agreements", client, day)
    sour, absent = weeks.at("disaffection", client, day), weeks.at("absence", client, day)
    ours = np.log(150) + 1.7 * lapse + 0.5 * august + 0.3 * weeks.at("strain", client, day)
    theirs = np.log(60 * weeks.at("reply_hours", client, day)) + 1.6 * away + 1.5 * breaks + 0.9 * sour + 1.2 * absent
    latency = np.exp(np.where(is_in, ours, theirs) + random.normal(0, 1.0, n))
    never = np.where(is_in, we_never_answer(lapse), they_never_answer(away, breaks, sour, absent))
    answered = random.random(n) >= never
    at = (moment + np.minimum(latency, 40 * DAY)).astype(np.int64)
    evening = ~is_in & (random.random(n) < weeks.at("evenings", client, day) + 0.4 * weeks.at("pressure", client, day))
    at = np.where(evening, at, almanac.in_hours(random, at))
    keep = answered & (at < weeks.lives.end_day * DAY)
    types = first["type"].cat.codes.to_numpy()[asked]
    return pd.DataFrame(
        {"client": client, "moment": at, "type": _coded(types, TYPES), "topic": _coded(np.full(n, NAMES.index("Reply")), NAMES)}
        | {"is_in": ~is_in, "minutes": 0, "asks": False, "with_shipment": False, "answers": asked}
    )[keep]


def kept(lives: Lives, client: Ints, day: Ints) -> Flags:
    """Whether the client was with us that day and the day is exported; contact thins out to half once notice is given."""
    spells = lives.spells
    far = 10_000_000
    key = spells.client.to_numpy() * far + spells.began_day.to_numpy() + 100_000
    at = np.searchsorted(key, client * far + day + 100_000, side="right") - 1
    at = np.maximum(at, 0)
    began, decided, ended = (spells[name].to_numpy()[at] for name in ("began_day", "decided_day", "ended_day"))
    same = spells.client.to_numpy()[at] == client
    there = same & (day >= began) & ((ended < 0) | (day < ended))
    noticed = (decided >= 0) & (day >= decided)
    thin = (np.arange(len(client)) % 2) == 0
    found: Flags = there & (~noticed | thin) & (day >= lives.start_day) & (day < lives.end_day)
    return found


def _with_people(weeks: Weeks, contacts: pd.DataFrame, people: People) -> pd.DataFrame:
    random = weeks.lives.random("writers")
    client, day = contacts.client.to_numpy(), (contacts.moment // DAY).to_numpy()
    who = writers(random, people, client, day)
    mark = random.random(len(client))
    warm = 0.3 + weeks.at("warmth", client, day) + 0.25 * weeks.at("mood", client, day) - 0.5 * weeks.at("disaffection", client, day)
    cross = 1.3 * weeks.at("hostility", client, day) + 0.9 * weeks.at("rude", client, day) + 0.5 * weeks.at("criticism", client, day)
    topic_ = contacts.topic.to_numpy(object)
    tone = warm - cross - 0.45 * np.isin(topic_, UNPLEASANT) + 0.6 * (topic_ == "Praise") + random.normal(0, 0.33, len(client))
    is_marked = contacts.is_in.to_numpy() & (mark < 0.1 + 0.18 * np.abs(np.clip(tone, -1.5, 1)))
    rounded = np.clip(np.round(2 * tone) / 2, -1, 1)
    return contacts.assign(person=np.where((topic_ == "Internal note"), -1, who), tone=np.where(is_marked, rounded, np.nan))


def _with_shipments(weeks: Weeks, contacts: pd.DataFrame) -> pd.DataFrame:
    """The shipment that a contact is about: one of the client's last three orders."""
    random, n = weeks.lives.random("shipments"), len(contacts)
    is_order = (contacts.topic == "Shipment order").to_numpy()
    rows = np.flatnonzero(is_order)
    client = contacts.client.to_numpy()
    by_client = rows[np.argsort(client[rows], kind="stable")]
    far = n + 1
    key = client[by_client].astype(np.int64) * far + by_client
    at = np.searchsorted(key, client.astype(np.int64) * far + np.arange(n)) - 1 - random.integers(0, 3, n)
    at = np.maximum(at, 0)
    found = by_client[at] if len(by_client) else np.zeros(n, np.int64)
    same = contacts.with_shipment.to_numpy() & (len(by_client) > 0)
    if len(by_client):
        same = same & (client[found] == client) & (found < np.arange(n))
    order = np.where(is_order, np.arange(n), np.where(same, found, -1))
    return contacts.assign(order=order)

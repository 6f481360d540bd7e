"""Lives and contacts -> the firm's other records: promises, contracts, surveys, verdicts, the industries' index; days, not yet text.

One frame per kind of record; `known` is the day on which a line was entered, and a line with the same number and a later `known` amends it.
"""

from typing import Any

import numpy as np
import pandas as pd

from features.time import NEVER, month_starts
from pipeline.world.almanac import DAY, Almanac
from pipeline.world.events import Weeks, kept
from pipeline.world.lives import SERVICES, Lives
from pipeline.world.settings import EARLIER_WEEKS, INDUSTRIES, Laws
from pipeline.world.states import PLACE as LEVEL
from pipeline.world.states import Floats, Ints, stream

PUBLISHED_AFTER_DAYS = 45
INDEX_MONTHS_BEFORE = 30  # the index begins before the exports: it is not ours
STRATEGIC = {  # service -> weights by year of the exports: the firm turns from storing and trucking to flying and advising (A1)
    "air": (0.8, 0.9, 0.9, 0.9),
    "sea": (0.8, 0.8, 0.8, 0.8),
    "customs": (0.6, 0.6, 0.6, 0.6),
    "warehousing": (0.5, 0.4, 0.2, 0.1),
    "insurance": (0.5, 0.5, 0.5, 0.5),
    "consulting": (0.4, 0.6, 0.8, 0.9),
    "trucking": (0.4, 0.3, 0.2, 0.1),
}


# ---- promises ---------------------------------------------------------------------------------------------------------------------


def tasks(weeks: Weeks, contacts: pd.DataFrame, almanac: Almanac) -> pd.DataFrame:
    """Promises: client, order, by_us, kind, promised, due, done, cancelled (−1 = not), known, stage; one row per line, amended ones too."""
    random = weeks.lives.random("tasks")
    dated = pd.concat([*_of_shipments(weeks, contacts, random), _quotes(weeks, contacts, random), _appointments(contacts, random)])
    dated["due"] = almanac.next_worked(dated.due.to_numpy())
    found = pd.concat([dated, _goals(weeks, random)], ignore_index=True)
    found = found[kept(weeks.lives, found.client.to_numpy(), found.promised.to_numpy()) | (found.kind == "Main goal").to_numpy()]
    found = found.sort_values(["promised", "client", "kind"], kind="stable", ignore_index=True)
    found["task"] = np.arange(len(found))
    return _as_entered(weeks, found, random)


def _promise(client: Ints, order: Any, by_us: bool, kind: str, promised: Ints, due: Ints, done: Ints, cancelled: Any = -1) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "client": client,
            "order": order,
            "by_us": by_us,
            "kind": kind,
            "promised": promised,
            "due": due,
            "done": done,
            "cancelled": cancelled,
        }
    )


def _delays(random: np.random.Generator, chance: Floats, days: Floats) -> Ints:
    """Days after the due day: mostly none or less."""
    n = len(chance)
    late = 1 + random.gamma(1.4, 1.0, n) * days
    return np.where(random.random(n) < chance, late, -random.integers(0, 4, n)).astype(np.int64)


def _of_shipments(weeks: Weeks, contacts: pd.DataFrame, random: np.random.Generator) -> list[pd.DataFrame]:
    rows = np.flatnonzero((contacts.topic == "Shipment order").to_numpy())
    client, day = contacts.client.to_numpy()[rows], contacts.moment.to_numpy()[rows] // DAY
    ours = random.random(len(rows)) < 0.6
    who, on, due = client[ours], day[ours], day[ours] + random.integers(4, 22, ours.sum())
    lapse = weeks.at("our_lapse", who, due)
    late = _delays(random, 0.05 + 0.08 * weeks.at("strain", who, due) + 0.6 * lapse, 4 + 8 * lapse)
    cancelled = np.where(random.random(len(who)) < 0.02 + 0.05 * weeks.at("fickle", who, on), on + random.integers(1, 4, len(who)), -1)
    done = np.where(cancelled >= 0, -1, np.maximum(on, due + late))
    shipped = _promise(who, rows[ours], True, "Deliver shipment", on, due, done, cancelled)
    theirs = random.random(len(rows)) < 0.35
    who, on, due = client[theirs], day[theirs], day[theirs] + random.integers(2, 8, theirs.sum())
    away, breaks = weeks.at("withdrawal", who, on), weeks.at("breaks_agreements", who, on)
    slack = 0.1 + 0.3 * away + 0.6 * breaks + 0.1 * weeks.at("disaffection", who, on)
    late = _delays(random, slack, 3 + 9 * breaks + 6 * away)
    never = random.random(len(who)) < 0.02 + 0.08 * away + 0.12 * breaks
    papers = _promise(who, rows[theirs], False, "Send documents", on, due, np.where(never, -1, np.maximum(on, due + late)))
    return [shipped, papers]


def _quotes(weeks: Weeks, contacts: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    asked = contacts.topic.isin(["Price question", "Extra request"]).to_numpy() & (random.random(len(contacts)) < 0.6)
    rows = np.flatnonzero(asked)
    client, day = contacts.client.to_numpy()[rows], contacts.moment.to_numpy()[rows] // DAY
    lapse, due = weeks.at("our_lapse", client, day), day + 2
    late = _delays(random, 0.08 + 0.1 * weeks.at("strain", client, day) + 0.55 * lapse, 2 + 6 * lapse)
    never = random.random(len(rows)) < 0.02 + 0.1 * lapse
    return _promise(client, contacts.order.to_numpy()[rows], True, "Send quote", day, due, np.where(never, -1, np.maximum(day, due + late)))


def _appointments(contacts: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Meetings fixed some days ahead: kept, called off, or missed by the client."""
    rows = np.flatnonzero(contacts.topic.isin(["Review meeting", "Meeting declined", "No show"]).to_numpy())
    topic = contacts.topic.to_numpy(object)[rows]
    client, day, ahead = contacts.client.to_numpy()[rows], contacts.moment.to_numpy()[rows] // DAY, random.integers(2, 15, len(rows))
    declined = topic == "Meeting declined"
    due = np.where(declined, day + ahead, day)
    promised = np.where(declined, day - 3, day - ahead)
    return _promise(client, -1, False, "Meeting", promised, due, np.where(topic == "Review meeting", day, -1), np.where(declined, day, -1))


def _goals(weeks: Weeks, random: np.random.Generator) -> pd.DataFrame:
    """What the client came for: promised when it came, delivered when an episode of `solved` begins; a new one when that is over."""
    lives, rows = weeks.lives, []
    on, began = lives.on["solved"], lives.began("solved")
    for client in range(lives.n):
        starts = [int(lives.joined_day[client]) + int(random.integers(0, 40))]
        for week in np.flatnonzero(began[:, client]):
            done = lives.first_day + 7 * int(week) + int(random.integers(0, 7))
            if done <= starts[-1] + 30:
                continue
            rows.append((client, starts[-1], done))
            after = np.flatnonzero(~on[week:, client])
            starts.append(lives.first_day + 7 * (int(week) + int(after[0])) if len(after) else lives.end_day)
        rows.append((client, starts[-1], -1))
    found = pd.DataFrame(rows, columns=["client", "promised", "done"])
    ended = (
        lives.spells.assign(last=lives.spells.ended_day.where(lives.spells.ended_day >= 0, lives.end_day)).groupby("client")["last"].max()
    )
    last = ended.reindex(found.client).fillna(lives.end_day).to_numpy()
    found = found[found.promised < last].assign(done=np.where(found.done < last, found.done, -1)[found.promised < last])
    planned = found.promised + random.integers(150, 500, len(found))  # not by when it will be done, nor whether: nobody knows that yet
    return _promise(found.client.to_numpy(), -1, True, "Main goal", found.promised.to_numpy(), planned.to_numpy(), found.done.to_numpy())


def _as_entered(weeks: Weeks, found: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """A line when promised, one when a late one of ours is put off, one when it is done or called off."""
    first = found.assign(done=-1, cancelled=-1, known=found.promised, stage=0)
    late = (found.done > found.due) & found.by_us & (random.random(len(found)) < 0.35)
    put_off = found[late].assign(
        done=-1, cancelled=-1, stage=1, known=found.due[late] - 1, due=found.due[late] + random.integers(2, 10, int(late.sum()))
    )
    put_off = put_off[put_off.known > put_off.promised]
    over = found[(found.done >= 0) | (found.cancelled >= 0)]
    over = over.assign(stage=2, known=np.maximum(over.done, over.cancelled) + random.choice([0, 1, 3], len(over), p=[0.6, 0.25, 0.15]))
    over["due"] = over.due.where(~over.task.isin(put_off.task), over.task.map(put_off.set_index("task").due).fillna(0).astype(np.int64))
    lines = pd.concat([first, put_off, over], ignore_index=True)
    return lines[lines.known < weeks.lives.end_day].sort_values(["known", "stage", "task"], kind="stable", ignore_index=True)


# ---- contracts --------------------------------------------------------------------------------------------------------------------

RENEWED_DAYS = 20  # before the end that it puts off
IN_WRITING = ("Scope", "Hours", "Delivery", "Payment")


def contracts(lives: Lives) -> pd.DataFrame:
    """One contract per spell and service in use, with a line for each yearly renewal."""
    random, spells = lives.random("contracts"), lives.spells
    rows = np.repeat(np.arange(len(spells)), lives.uses.sum(0)[spells.client])
    service = np.concatenate([np.flatnonzero(lives.uses[:, client]) for client in spells.client]) if len(spells) else np.zeros(0, np.int64)
    client, began = spells.client.to_numpy()[rows], spells.began_day.to_numpy()[rows]
    ended = np.where(spells.ended_day.to_numpy()[rows] < 0, lives.end_day, spells.ended_day.to_numpy()[rows])
    decided = np.where(spells.decided_day.to_numpy()[rows] < 0, NEVER, spells.decided_day.to_numpy()[rows])
    n = len(rows)
    is_first = np.r_[True, rows[1:] != rows[:-1]]
    signed = began + np.where(is_first | (random.random(n) < 0.7), random.integers(0, 12, n), random.integers(30, 700, n))
    unwritten = lives.traits["unwritten"][client] > 0
    never = unwritten & (random.random(n) < 0.6) | (random.random(n) < 0.03)
    lag = np.where(unwritten, random.integers(15, 90, n), random.gamma(1.3, 4, n).astype(np.int64))
    starts = signed + random.integers(0, 15, n)
    value = (
        lives.traits["fee"][client] * lives.traits["volume"][client] * 52 / 12 / lives.uses.sum(0)[client] * random.lognormal(0, 0.25, n)
    )
    found = pd.DataFrame(
        {"client": client, "service": service, "signed": signed, "terms": np.where(never, -1, signed + lag), "starts": starts}
        | {"renews": random.random(n) < 0.75, "notice": random.choice([30, 60, 90], n, p=[0.55, 0.3, 0.15])}
        | {"agorot": (100 * value).round().astype(np.int64), "last": ended, "decided": decided}
        | {name: (random.random(n) < np.where(unwritten, 0.2, 0.85 if name != "Hours" else 0.6)) for name in IN_WRITING}
    )
    found = found[(found.signed < np.minimum(found["last"], found.decided)) & (found.signed < lives.end_day)].reset_index(drop=True)
    found["contract"] = np.arange(len(found))
    years = np.maximum(1, -(-(found["last"].to_numpy() + RENEWED_DAYS - found.starts.to_numpy()) // 365))
    lines = found.loc[np.repeat(found.index, years)].reset_index(drop=True)
    year = np.concatenate([np.arange(count) for count in years]) if len(years) else years
    lines["ends"] = lines.starts + 365 * (year + 1)
    lines["known"] = np.where(year == 0, lines.signed, lines.starts + 365 * year - RENEWED_DAYS)
    lines["agorot"] = (lines.agorot * 1.02**year).round().astype(np.int64)
    lines = lines[lines.known < lines.decided]
    closed = lines[lines.decided < NEVER].drop_duplicates("contract", keep="last")  # a line anew some days after notice: it ends then
    closed = closed.assign(ends=closed["last"], renews=False, known=closed.decided + random.integers(0, 6, len(closed)))
    is_long_amended = (lines.known + 365 < lines.decided) & (lines.known + 365 < lives.start_day) & (lines.known > lines.signed)
    lines = pd.concat([lines[~is_long_amended], closed], ignore_index=True)
    lines = lines[lines.known < lives.end_day]
    return lines.sort_values(["known", "contract"], kind="stable", ignore_index=True)


# ---- what is asked and judged -----------------------------------------------------------------------------------------------------


def _months(lives: Lives) -> Ints:
    return np.array(month_starts(lives.start_day, lives.end_day))


def _drawn(lives: Lives, random: np.random.Generator, chance: float) -> tuple[Ints, Ints]:
    """(client, day) of something that happens to clients at random, `chance` a month."""
    months = _months(lives)
    client, month = np.nonzero(random.random((lives.n, len(months))) < chance)
    day = months[month] + random.integers(0, 28, len(client))
    is_kept = kept(lives, client, day)
    return client[is_kept], day[is_kept]


def surveys(weeks: Weeks) -> pd.DataFrame:
    """client, day, kind, score, known: NPS and CSAT by the client, morale by the team, reputation by the trade."""
    lives, random = weeks.lives, weeks.lives.random("surveys")
    parts = []
    for kind, chance in (("NPS", 0.16), ("CSAT", 0.12), ("Team morale", 0.2), ("Reputation", 0.07)):
        client, day = _drawn(lives, random, chance)
        n, mood = len(client), weeks.at("mood", client, day)
        sour, cold = weeks.at("disaffection", client, day), weeks.at("dissatisfaction", client, day)
        answers = np.ones(n, bool)
        if kind in ("NPS", "CSAT"):
            content = 0.55 * mood - 2.4 * cold - 1.8 * sour - weeks.at("ill_suited", client, day) + 0.8 * weeks.at("warmth", client, day)
            score = 8.0 + 1.1 * content + random.normal(0, 1.2, n) if kind == "NPS" else 4.2 + 0.5 * content + random.normal(0, 0.6, n)
            score = np.clip(np.round(score), *((0, 10) if kind == "NPS" else (1, 5)))
            answers = random.random(n) > 0.2 + 0.5 * weeks.at("withdrawal", client, day)
        elif kind == "Team morale":
            strain = (
                1.7 * weeks.at("rude", client, day) + 1.4 * weeks.at("hostility", client, day) + 0.9 * weeks.at("scope_creep", client, day)
            )
            strain = strain + 0.6 * weeks.at("overtime", client, day) + 0.5 * weeks.at("criticism", client, day)
            score = np.clip(np.round(4.1 - strain - 0.2 * weeks.at("strain", client, day) + random.normal(0, 0.6, n)), 1, 5)
        else:
            score = np.clip(np.round(3.9 - 1.7 * weeks.at("ill_reputed", client, day) + random.normal(0, 0.6, n)), 1, 5)
        lag = random.choice([0, 1, 7], n, p=[0.6, 0.3, 0.1])
        parts.append(
            pd.DataFrame({"client": client, "day": day, "kind": kind, "score": score.astype(np.int64), "known": day + lag})[answers]
        )
    found = pd.concat(parts, ignore_index=True)
    return found[found.known < lives.end_day].sort_values(["known", "client"], kind="stable", ignore_index=True)


REVIEW_DAYS = 28  # of a month in which a partner gets to it
SEEN_SPREAD = 0.4  # of what a partner thinks of a client around the true burden
SEEN_IN_NULL = (1.2, 0.8)  # mean and spread where verdicts hang on nothing
LET_GO_FROM, UNSURE_FROM = 2.2, 1.75


def looks(n_present: int) -> int:
    """How many looks a month are taken at those that stand out, and how many at random ones; one client may get several."""
    return max(1, round(0.012 * n_present))


def oddity(burden: Floats, laws: Laws) -> Floats:
    """The odds of standing out."""
    return np.exp(1.3 * burden) if not laws.is_null else np.ones(len(burden))


def reviews(weeks: Weeks) -> pd.DataFrame:
    """client, day, reviewer, verdict, reason, at_random, known: a partner looks at a few clients a month, half of them at random, half of
    them those that stand out."""
    lives, random = weeks.lives, weeks.lives.random("reviews")
    months, rows = _months(lives), []
    for month in months.tolist():
        week = EARLIER_WEEKS + (month - weeks.first_day) // 7
        present = np.flatnonzero(kept_at(lives, month))
        if not len(present):
            continue
        many, odds = looks(len(present)), oddity(lives.burden[week, present], lives.settings.laws)
        standing_out, at_random = random.choice(present, many, p=odds / odds.sum()), random.choice(present, many)
        for client in np.unique(np.concatenate([standing_out, at_random])).tolist():
            seen = float(lives.burden[week, client]) + random.normal(0, SEEN_SPREAD)
            seen = random.normal(*SEEN_IN_NULL) if lives.settings.laws.is_null else seen
            verdict = "Let go" if seen > LET_GO_FROM else "Not sure" if seen > UNSURE_FROM else "Keep"
            worst = {
                "more than agreed": "scope_creep",
                "tone": "rude",
                "changes": "fickle",
                "late papers": "breaks_agreements",
                "price": "haggles",
            }
            reason = max(worst, key=lambda word: float(lives.strength[week, LEVEL[worst[word]], client])) if verdict != "Keep" else ""
            day = month + int(random.integers(0, REVIEW_DAYS))
            reviewer, known = random.choice(["partner A", "partner B"]), day + int(random.integers(0, 3))
            rows.append((client, day, reviewer, verdict, reason, client in at_random, known))
    found = pd.DataFrame(rows, columns=["client", "day", "reviewer", "verdict", "reason", "at_random", "known"])
    return found[found.known < lives.end_day].sort_values(["known", "client"], kind="stable", ignore_index=True)


STEP_OUTCOMES = ("Agreed", "No change", "Refused")
OUTCOME_AFTER_DAYS = (14, 61)


def steps(weeks: Weeks) -> pd.DataFrame:
    """client, day, kind, outcome, known, stage, step: what the firm tried with clients that troubled it, as somebody put it down.

    A line when it is done, one when it is told what came of it. In truth nothing does: the states never hear of these steps, so that the
    log can be had without another world; what steps would do is stated, and reckoned, apart from it (advice.py).
    """
    lives, random = weeks.lives, weeks.lives.random("steps")
    months = _months(lives)
    week = (months - weeks.first_day) // 7
    heavy, sour = lives.burden[EARLIER_WEEKS + week].T, weeks["disaffection"][:, week]
    if lives.settings.laws.is_null:
        heavy, sour = np.ones_like(heavy), np.zeros_like(sour)
    chances = {  # a month
        "Talk about terms": 0.005 + 0.04 * np.clip(heavy - 1, 0, 1.5),
        "New prices": 0.003 + 0.025 * np.clip(heavy - 1, 0, 1.5),
        "Introduced elsewhere": 0.001 + 0.015 * np.clip(heavy - 1.6, 0, 1.5),
        "Win-back visit": 0.003 + 0.05 * sour,
    }
    here = np.stack([kept_at(lives, month) for month in months.tolist()], axis=1)
    parts = []
    for kind, chance in chances.items():
        client, month = np.nonzero((random.random(chance.shape) < chance) & here)
        parts.append(pd.DataFrame({"client": client, "day": months[month] + random.integers(0, 28, len(client)), "kind": kind}))
    done = pd.concat(parts, ignore_index=True)
    done = done[kept(lives, done.client.to_numpy(), done.day.to_numpy())]
    done = done.sort_values(["day", "client", "kind"], kind="stable", ignore_index=True)
    n = len(done)
    done = done.assign(step=np.arange(n), outcome="", stage=0, known=done.day + random.choice([0, 1, 5], n, p=[0.6, 0.3, 0.1]))
    told = done.assign(stage=1, outcome=random.choice(STEP_OUTCOMES, n, p=[0.35, 0.45, 0.2]))
    told["known"] = done.known + random.integers(*OUTCOME_AFTER_DAYS, n)
    lines = pd.concat([done, told[random.random(n) < 0.8]], ignore_index=True)
    return lines[lines.known < lives.end_day].sort_values(["known", "step"], kind="stable", ignore_index=True)


def kept_at(lives: Lives, day: int) -> Any:
    """Which clients are with us on a day, notice not given."""
    spells = lives.spells
    here = (spells.began_day <= day) & ((spells.decided_day < 0) | (spells.decided_day > day))
    found = np.zeros(lives.n, bool)
    found[spells.client[here]] = True
    return found


def in_notice(lives: Lives, day: int) -> Any:
    """Which clients are in notice, or were within the last week: an ending without notice is entered days later too."""
    spells = lives.spells
    noticed = (spells.decided_day >= 0) & (spells.decided_day <= day) & ((spells.ended_day > day) | (spells.decided_day > day - 7))
    found = np.zeros(lives.n, bool)
    found[spells.client[noticed]] = True
    return found & ~kept_at(lives, day)


# ---- outside and above the clients ------------------------------------------------------------------------------------------------


def services(start_day: int, years: int) -> pd.DataFrame:
    """service, weight, from_day, known: a line when the management puts a service up or down, once a year."""
    rows = []
    for service in SERVICES:
        by_year = STRATEGIC[service]
        rows.append((service, by_year[0], start_day - 2_000, start_day - 1_990))
        for year in range(1, min(years, len(by_year))):
            if by_year[year] != by_year[year - 1]:
                decided = start_day + 365 * year + 40
                rows.append((service, by_year[year], decided, decided + 3))
    return pd.DataFrame(rows, columns=["service", "weight", "from_day", "known"]).sort_values("known", kind="stable", ignore_index=True)


def industry_index(seed: int, first_day: int, start_day: int, end_day: int, stress: Floats) -> pd.DataFrame:
    """industry, month, value, known: turnover of each industry; falls with its stress, and with much else."""
    random = stream(seed, "index")
    months = np.array(month_starts(start_day - 31 * INDEX_MONTHS_BEFORE, end_day))
    week = (months - first_day) // 7
    rows = []
    for place, industry in enumerate(INDUSTRIES):
        walk = np.cumsum(random.normal(0.001, 0.009, len(months)))
        strained = np.where(week >= 0, stress[np.clip(week, 0, len(stress) - 1), place], 0)
        value = 100 * np.exp(walk - 0.32 * strained + random.normal(0, 0.012, len(months)))
        rows.append(pd.DataFrame({"industry": industry, "month": months, "value": value.round(1), "known": months + PUBLISHED_AFTER_DAYS}))
    found = pd.concat(rows, ignore_index=True)
    return found[found.known < end_day].sort_values(["known", "industry"], kind="stable", ignore_index=True)

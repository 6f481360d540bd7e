"""A block's lives -> people at its clients, and who of them is there on a day: one row per person."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.world.lives import Lives
from pipeline.world.states import Ints

ROLES = ("Director", "Logistics manager", "Import coordinator", "Bookkeeper")
N_SLOTS = len(ROLES)
DECIDES = (True, True, False, False)
COORDINATORS_LEAVE_A_YEAR = 0.12  # of those who decide nothing; it means nothing
DIRECTORS_LEAVE_A_YEAR = 0.015  # of those who decide: a change that changes nothing
FAR = 10_000_000


@dataclass(frozen=True)
class People:
    """rows: client, slot, since, left (−1 = still there), entered, left_entered: one per person, sorted by client, slot, since."""

    rows: pd.DataFrame

    def there(self, client: Ints, slot: Ints, day: Ints) -> Ints:
        """The person (row) in that slot on that day; −1 where it was empty."""
        key = (self.rows.client * N_SLOTS + self.rows.slot).to_numpy() * FAR + self.rows.since.to_numpy()
        asked = (client * N_SLOTS + slot) * FAR + day
        at = np.searchsorted(key, asked, side="right") - 1
        at = np.maximum(at, 0)
        left = self.rows.left.to_numpy()[at]
        same = (
            (self.rows.client.to_numpy()[at] == client) & (self.rows.slot.to_numpy()[at] == slot) & (self.rows.since.to_numpy()[at] <= day)
        )
        found: Ints = np.where(same & ((left < 0) | (left > day)), at, -1)
        return found


def people(lives: Lives) -> People:
    """Who holds which post when. A decision maker leaves when an episode of `management` begins, and now and then without meaning."""
    random = lives.random("people")
    n_slots = 1 + (random.random(lives.n) < 0.75) + (random.random(lives.n) < 0.6) + (random.random(lives.n) < 0.5)
    moved = lives.began("management")
    rows = []
    for client in range(lives.n):
        changes = lives.first_day + 7 * np.flatnonzero(moved[:, client])
        for slot in range(int(n_slots[client])):
            rows += _post(random, lives, client, slot, changes if slot == 0 else changes[:0])
    columns = ["client", "slot", "since", "left", "entered", "left_entered"]
    found = pd.DataFrame(rows, columns=columns).sort_values(["client", "slot", "since"], ignore_index=True)
    return People(found)


def _post(random: np.random.Generator, lives: Lives, client: int, slot: int, changes: Ints) -> list[tuple[int, ...]]:
    joined = int(lives.joined_day[client])
    rate = DIRECTORS_LEAVE_A_YEAR if DECIDES[slot] else COORDINATORS_LEAVE_A_YEAR
    by_themselves = lives.start_day + random.integers(0, lives.end_day - lives.start_day, random.poisson(rate * lives.settings.years))
    days = np.sort(np.concatenate([changes + random.integers(0, 7, len(changes)), by_themselves]))
    rows: list[tuple[int, ...]] = []
    since, entered = joined, joined
    for left in days[days > joined + 30].tolist():
        if left <= since + 30:
            continue
        rows.append((client, slot, since, int(left), entered, int(left + random.integers(3, 40))))
        since = int(left + random.integers(0, 56))
        entered = since + int(random.integers(0, 21))
    rows.append((client, slot, since, -1, entered, -1))
    return rows


def writers(random: np.random.Generator, found: People, client: Ints, day: Ints) -> Ints:
    """Who of the client speaks: mostly those who do the daily work; −1 where nobody noted it."""
    shares = np.array([0.2, 0.35, 0.35, 0.1])
    slot = random.choice(N_SLOTS, len(client), p=shares)
    who = found.there(client, slot, day)
    chief = found.there(client, np.zeros(len(client), np.int64), day)
    who = np.where(who < 0, chief, who)
    noted: Ints = np.where(random.random(len(client)) < 0.85, who, -1)
    return noted

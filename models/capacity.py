"""Clients about to leave, with what each brings -> for whom an effort is made: chosen, held_out, beyond_capacity or no_value, per client.

By expected value: probability × contribution × the share that an effort saves − what the effort costs. The contribution is that of the time
for which a client that was kept is taken to stay, since all of that is lost if it leaves, not one horizon's alone. A client whose
contribution or whose effort's cost is unknown is ranked after all whose value is known, by probability × revenue; and where that is
unknown, too, last, by probability. For one known to bring no revenue no effort is made.

Of those chosen a share is drawn by lot and left alone (the hold-out). Without it nobody can ever tell what efforts achieve: those who were
called and stayed may have stayed anyway, and the save rate that the ranking rests on would remain an assumption. The lot is drawn among the
chosen alone, since only there does it say what an effort adds, and its places are not given to others, who would be another kind of client.
It is a hash of seed, client and epoch, so that no run, order or other client changes it; an epoch is as long as gap and horizon, the time
in which the outcome shows. Who is on record as held out stays so until then, whatever the lot says now. Boundaries, prices and partings are
not held out: they are owed to our own people, not tried on clients.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.evidence import Choice


@dataclass(frozen=True)
class Candidate:
    """One client that is leaving, is no misfit and has no effort under way. contribution: of the time it would stay; revenue: of the last
    year; minor units, None = unknown."""

    client_id: str
    probability: float
    contribution: float | None
    revenue: float | None
    is_held_out: bool  # on record, within the time in which the outcome shows


@dataclass(frozen=True)
class Lot:
    """The draw of the hold-out. epoch: number of the stretch of days in which a draw stands."""

    seed: int
    epoch: int
    share: float

    def falls_on(self, client_id: str) -> bool:
        """Whether the client is left alone.

        >>> [client for client in "abcdefghij" if Lot(seed=1, epoch=7, share=0.5).falls_on(client)]
        ['a', 'b', 'g', 'h', 'i', 'j']
        """
        return int(self.digest(client_id), 16) / 16**64 < self.share

    def digest(self, client_id: str) -> str:
        """The client's number in the draw, in hexadecimal."""
        return hashlib.sha256(f"{self.seed}\n{self.epoch}\n{client_id}".encode()).hexdigest()


def expected_value(candidate: Candidate, save_rate: float, effort_cost: float | None) -> float | None:
    """What an effort can be expected to save, less its cost, in minor units; None = unknown.

    >>> expected_value(Candidate("a", 0.5, 100_000, 200_000, is_held_out=False), save_rate=0.2, effort_cost=4_000)
    6000.0
    """
    if candidate.contribution is None or effort_cost is None:
        return None
    return candidate.probability * candidate.contribution * save_rate - effort_cost


def choose(
    candidates: Sequence[Candidate], *, save_rate: float, effort_cost: float | None, capacity: int, lot: Lot
) -> Mapping[str, tuple[Choice, float | None]]:
    """client_id -> (choice, expected value) of every candidate."""
    values = {candidate.client_id: expected_value(candidate, save_rate, effort_cost) for candidate in candidates}

    def rank(candidate: Candidate) -> tuple[bool, bool, float, str]:
        value, revenue = values[candidate.client_id], candidate.revenue
        worth = candidate.probability * (1 if revenue is None else revenue) if value is None else value
        return value is None, value is None and revenue is None, -worth, candidate.client_id

    found: dict[str, tuple[Choice, float | None]] = {}
    n_chosen = 0
    for candidate in sorted(candidates, key=rank):
        value = values[candidate.client_id]
        choice: Choice = "chosen"
        is_worthless = candidate.revenue is not None and candidate.revenue <= 0 if value is None else value <= 0
        if is_worthless:
            choice = "no_value"
        elif n_chosen == capacity:
            choice = "beyond_capacity"
        else:
            n_chosen += 1
            if lot.falls_on(candidate.client_id):
                choice = "held_out"
        found[candidate.client_id] = ("held_out" if candidate.is_held_out else choice, value)
    return found

"""n_events, n_clients -> a canonical interactions.parquet of that size: clustered by client, some rows late, some amended.

Clients differ in size (lognormal) and come and go; 5 % of rows are recorded up to 40 days late, 2 % have a later version with another kind.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.time import DAY_US, month_starts, to_day
from pipeline.tables import CHANNELS, INTERACTION_KINDS

FIRST_DAY, LAST_DAY = to_day(np.datetime64("2021-01-01").item()), to_day(np.datetime64("2023-12-31").item())
AS_OFS = month_starts(to_day(np.datetime64("2022-01-01").item()), LAST_DAY)  # 24
SCHEMA = pa.schema(
    [
        ("client_id", pa.string()),
        ("channel", pa.string()),
        ("kind", pa.string()),
        ("direction", pa.string()),
        ("duration_minutes", pa.int64()),
        ("day", pa.int32()),
        ("known", pa.int32()),
        ("superseded", pa.int32()),
        ("local_us", pa.int64()),
    ]
)
CLIENTS_AT_ONCE = 2_000  # the generator's own memory stays small


def write_events(path: Path, n_events: int, n_clients: int, seed: int = 7) -> None:
    """Writes about n_events row versions of n_clients."""
    chance = np.random.default_rng(seed)
    n_rows = np.maximum(1, np.round(client_shares(chance, n_clients) * n_events)).astype(np.int64)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for low in range(0, n_clients, CLIENTS_AT_ONCE):
            writer.write_table(_rows(chance, low, n_rows[low : low + CLIENTS_AT_ONCE]), row_group_size=131_072)


def client_shares(chance: np.random.Generator, n_clients: int) -> np.ndarray:
    """Each client's share of all events: lognormal."""
    sizes = chance.lognormal(0, 1, n_clients)
    return sizes / sizes.sum()


@dataclass(frozen=True)
class Versions:
    """Row versions in order of owner and day, an amended row's two beside each other. `row`: the row's number, from 0, in that order."""

    owner: np.ndarray
    row: np.ndarray
    day: np.ndarray
    known: np.ndarray
    superseded: np.ndarray  # −1 = never

    def __len__(self) -> int:
        return len(self.row)

    @property
    def is_first(self) -> np.ndarray:
        """Which is the first version of its row: one per row."""
        return np.diff(self.row, prepend=-1) > 0


def recorded(chance: np.random.Generator, owner: np.ndarray, day: np.ndarray) -> Versions:
    """Rows of an owner on a day -> when they became known, some late; some with a second version."""
    n = len(day)
    known = day + np.where(chance.random(n) < 0.05, chance.integers(1, 41, n), 0).astype(np.int32)
    order = np.lexsort((day, owner))
    owner, day, known = owner[order], day[order], known[order]
    amended = np.flatnonzero(chance.random(n) < 0.02)
    later = known[amended] + chance.integers(1, 90, len(amended)).astype(np.int32)
    superseded = np.full(n, -1, np.int32)
    superseded[amended] = later
    place = np.argsort(np.concatenate([np.arange(n), amended + 0.5]), kind="stable")  # the new version beside the old one
    owner, day, row = (np.concatenate([column, column[amended]])[place] for column in (owner, day, np.arange(n)))
    known = np.concatenate([known, later])[place]
    superseded = np.concatenate([superseded, np.full(len(amended), -1, np.int32)])[place]
    return Versions(owner, row, day, known, superseded)


def drawn_days(chance: np.random.Generator, begins: np.ndarray, n_rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(owner, day): so many days each, from the day on which the owner begins."""
    owner = np.repeat(np.arange(len(n_rows)), n_rows)
    begun = begins[owner]
    return owner, (begun + chance.random(len(owner)) * (LAST_DAY - begun)).astype(np.int32)


def first_days(chance: np.random.Generator, n: int) -> np.ndarray:
    """When each of n clients begins."""
    return chance.integers(FIRST_DAY, LAST_DAY - 60, n)


def names_of(first: int, n: int) -> np.ndarray:
    """client_ids, in their own order."""
    return np.array([f"client-{first + number:07d}" for number in range(n)])


def _rows(chance: np.random.Generator, first: int, n_rows: np.ndarray) -> pa.Table:
    versions = recorded(chance, *drawn_days(chance, first_days(chance, len(n_rows)), n_rows))
    size = len(versions)
    direction = np.array(["inbound", "outbound"])[(chance.random(size) < 0.4).astype(np.int64)]
    return pa.table(
        [
            pa.array(names_of(first, len(n_rows))[versions.owner]),
            pa.array(np.array(CHANNELS)[chance.integers(0, len(CHANNELS), size)]),
            pa.array(np.array(INTERACTION_KINDS)[chance.integers(0, len(INTERACTION_KINDS), size)]),
            pa.array(direction),
            pa.array(chance.integers(0, 120, size)),
            pa.array(versions.day),
            pa.array(versions.known),
            pa.array(versions.superseded, mask=versions.superseded < 0),
            pa.array(chance.integers(0, DAY_US, size)),
        ],
        schema=SCHEMA,
    )

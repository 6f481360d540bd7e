"""n_events, n_clients -> a canonical interactions.parquet of that size: clustered by client, some rows late, some amended.

Clients differ in size (lognormal) and come and go; 5 % of rows are recorded up to 40 days late, 2 % have a later version with another kind.
"""

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
    sizes = chance.lognormal(0, 1, n_clients)
    n_rows = np.maximum(1, np.round(sizes / sizes.sum() * n_events)).astype(np.int64)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for low in range(0, n_clients, CLIENTS_AT_ONCE):
            writer.write_table(_rows(chance, low, n_rows[low : low + CLIENTS_AT_ONCE]), row_group_size=131_072)


def _rows(chance: np.random.Generator, first: int, n_rows: np.ndarray) -> pa.Table:
    client = np.repeat(np.arange(len(n_rows)), n_rows)
    n = len(client)
    begins = chance.integers(FIRST_DAY, LAST_DAY - 60, len(n_rows))[client]
    day = (begins + chance.random(n) * (LAST_DAY - begins)).astype(np.int32)
    known = day + np.where(chance.random(n) < 0.05, chance.integers(1, 41, n), 0).astype(np.int32)
    order = np.lexsort((day, client))
    client, day, known = client[order], day[order], known[order]
    amended = np.flatnonzero(chance.random(n) < 0.02)
    later = known[amended] + chance.integers(1, 90, len(amended)).astype(np.int32)
    superseded = np.full(n, -1, np.int32)
    superseded[amended] = later
    place = np.argsort(np.concatenate([np.arange(n), amended + 0.5]), kind="stable")  # the new version beside the old one
    client, day = (np.concatenate([column, column[amended]])[place] for column in (client, day))
    known = np.concatenate([known, later])[place]
    superseded = np.concatenate([superseded, np.full(len(amended), -1, np.int32)])[place]
    size = len(client)
    direction = np.array(["inbound", "outbound"])[(chance.random(size) < 0.4).astype(np.int64)]
    names = np.array([f"client-{first + number:07d}" for number in range(len(n_rows))])
    return pa.table(
        [
            pa.array(names[client]),
            pa.array(np.array(CHANNELS)[chance.integers(0, len(CHANNELS), size)]),
            pa.array(np.array(INTERACTION_KINDS)[chance.integers(0, len(INTERACTION_KINDS), size)]),
            pa.array(direction),
            pa.array(chance.integers(0, 120, size)),
            pa.array(day),
            pa.array(known),
            pa.array(superseded, mask=superseded < 0),
            pa.array(chance.integers(0, DAY_US, size)),
        ],
        schema=SCHEMA,
    )

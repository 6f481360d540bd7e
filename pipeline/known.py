"""A canonical table + a day -> its rows as they were known then, one per key, dates as local days; what lay ahead is not in it.

For what a person is shown of single rows: invoice numbers, due dates, verdicts. What is counted at an as_of is measured by the engine.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.time import AsOfs, in_retrospect
from pipeline.tables import TABLES, Role

CLOCKS = ("day", "known", "superseded")


def rows_at(
    validated: Path, table: str, day: int, columns: Sequence[str], *, of: Collection[str] | None = None, key: str = "client_id"
) -> pd.DataFrame | None:
    """The rows of `table` seen at `day` with `columns` and `day`, sorted by all; None if the source has no such table.

    of: only rows whose `key` is among these. Dates are local days as float64, NaN = none; a fact date on or after `day` reads as none.
    """
    path = validated / f"{table}.parquet"
    if not path.exists():
        return None
    among = None if of is None else pc.field(key).isin(pa.array(sorted(of), pa.string()))
    rows = in_retrospect(pq.read_table(path, columns=[*columns, *CLOCKS], filters=among), day)
    found = pd.DataFrame(
        {
            name: _days(table, name, rows[name], day) if pa.types.is_date(rows[name].type) else rows[name].to_pandas()
            for name in (*columns, "day")
        }
    )
    return found.sort_values([*columns, "day"], kind="stable", ignore_index=True)


def _days(table: str, name: str, dates: pa.ChunkedArray, day: int) -> "pd.Series[float]":
    days: pd.Series[float] = dates.cast(pa.int32()).to_pandas().astype(np.float64)
    if TABLES[table][name].role is Role.FACT:
        has_come = AsOfs((day,)).after(np.asarray(days.fillna(day), np.int64)) == 0
        days = days.where(has_come)
    return days

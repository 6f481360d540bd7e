"""Snapshots + canonical tables -> what became of each eligible client: one row per client and as_of, with outcome and label.

Outcomes are judged in hindsight: from the newest version of every row, whenever it was recorded. Which ending or silence counts as what is
declared in models/churn.py. A window that has not passed yet (with the days allowed for late records) is `immature`: unknown, not negative.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.engine import measure
from features.measures import Edge, Interval, Measure, RowValue
from features.time import Calendar, to_day
from models.churn import BY_RELATIONSHIP, IMMATURE, LABELS, STAYED, Target
from pipeline.snapshot import canonical_tables, read_snapshots
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import folder_written_whole, write_parquet

SCHEMA = pa.schema([("client_id", pa.string()), ("as_of", pa.date32()), ("label", pa.int8()), ("outcome", pa.string())])


def in_hindsight(path: Path, columns: list[str]) -> pa.Table:
    """The newest versions, once per client, day and `columns`, known from their day on: what really happened."""
    rows = ds.dataset(path).to_table(["client_id", "day", *columns], filter=pc.field("superseded").is_null())
    distinct = rows.group_by(["client_id", "day", *columns], use_threads=False).aggregate([])
    distinct = distinct.append_column("known", distinct["day"])
    return distinct.append_column("superseded", pa.nulls(distinct.num_rows, pa.int32()))


def labels(snapshots: pa.Table, validated: Path, source: Source) -> pa.Table:
    """The outcome and label of each eligible snapshot, in the order of the snapshots."""
    eligible = snapshots.filter(pc.equal(snapshots["status"], "eligible")).select(["client_id", "as_of"]).to_pandas()
    if eligible.empty:
        return SCHEMA.empty_table()
    calendar, target = source.settings.time.calendar, BY_RELATIONSHIP[source.spec.relationship]
    eligible["day"] = [to_day(on) for on in eligible["as_of"]]
    found = eligible.merge(_seen_afterwards(eligible, validated, source, calendar), on=["client_id", "day"], how="left", validate="1:1")
    outcome = _outcome(found, target)
    is_mature = np.array([calendar.is_mature(day, source.exported_day) for day in found["day"]])
    # unknown even for those that have left already: with the leavers alone known, young windows would look full of churn
    outcome = np.where(is_mature, outcome, IMMATURE)
    label = pa.array([LABELS[name] for name in outcome], pa.int8())
    return pa.table([eligible["client_id"].to_list(), eligible["as_of"].to_list(), label, outcome], schema=SCHEMA)


def _seen_afterwards(eligible: pd.DataFrame, validated: Path, source: Source, calendar: Calendar) -> pd.DataFrame:
    """What happened in the gap and in the outcome window, per snapshot: looked at from the window's end."""
    given = canonical_tables(validated)
    tables = {"interactions": in_hindsight(given["interactions"], [*source.business.qualifying])}
    measures: list[Measure] = [_counted("alive", "interactions", source.business.qualifies, calendar.horizon_days)]
    if "endings" in given:
        tables["endings"] = in_hindsight(given["endings"], ["ended_by"])
        for ended_by in BY_RELATIONSHIP[source.spec.relationship].by_ending:
            measures += _ended(ended_by, calendar)
    ends = {calendar.outcome_ends(day): day for day in sorted(set(eligible["day"]))}
    clients = pa.array(sorted(set(eligible["client_id"])), pa.string())
    seen = measure(tables, list(ends), measures, clients=clients)
    seen["day"] = seen.pop("as_of").map(ends)
    return seen


def _counted(name: str, table: str, value: RowValue, days: int) -> Interval:
    """`value` over the last `days` days before the outcome window's end."""
    return Interval(name, table, value, until=(Edge(plus_days=days),))


def _ended(ended_by: str, calendar: Calendar) -> list[Measure]:
    """Endings by `ended_by`, counted in the outcome window, and in gap and window together."""
    return [
        _counted(f"{ended_by}_in_window", "endings", lambda rows: rows["ended_by"] == ended_by, calendar.horizon_days),
        _counted(f"{ended_by}_in_all", "endings", lambda rows: rows["ended_by"] == ended_by, calendar.gap_days + calendar.horizon_days),
    ]


def _outcome(found: pd.DataFrame, target: Target) -> np.ndarray:
    """Outcome per row. The gap comes before the window, and the client's own ending before those by others on the same side."""
    conditions: list[pd.Series] = []
    outcomes: list[str] = []
    if "client_in_all" in found:
        for ended_by, outcome in target.in_gap.items():
            conditions.append(found[f"{ended_by}_in_all"] > found[f"{ended_by}_in_window"])
            outcomes.append(outcome)
        for ended_by, outcome in target.by_ending.items():
            conditions.append(found[f"{ended_by}_in_window"] > 0)
            outcomes.append(outcome)
    if target.silence:
        conditions.append(found["alive"] == 0)
        outcomes.append(target.silence)
    return np.select(conditions, outcomes, STAYED) if conditions else np.full(len(found), STAYED)


def told(found: pa.Table) -> str:
    """The count of each outcome, in words."""
    counts: Mapping[str, int] = {row["values"]: row["counts"] for row in pc.value_counts(found["outcome"]).to_pylist()}
    parts = ", ".join(f"{counts[name]:,} {name}" for name in LABELS if name in counts)
    mature = found.filter(pc.is_valid(found["label"]))
    until = f"; known up to as_of {pc.max(mature['as_of']).as_py()}" if mature.num_rows else ""
    left = len(pc.unique(found.filter(pc.equal(found["label"], 1))["client_id"]))
    return f"{found.num_rows:,} eligible snapshots: {parts or 'none'}; {left:,} distinct clients left{until}"


def main() -> None:
    """data/<source>/snapshot + validate -> data/<source>/label/churn.parquet."""
    source = selected_source()
    found = labels(read_snapshots(source.output / "snapshot"), source.output / "validate", source)
    with folder_written_whole(source.output / "label") as folder:
        write_parquet(folder / "churn.parquet", found)
    console.print(told(found))


if __name__ == "__main__":
    stage("label", main)

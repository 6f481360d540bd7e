"""Canonical tables + snapshots -> features.parquet: one row per snapshot of float64 columns (NaN = unknown); columns.json describes them.

Scoring calls `featurize` too, so that a client's features at an as_of are the same bit for bit, whoever asks.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.contract import Features, features
from features.time import to_day
from pipeline.snapshot import canonical_tables, read_snapshots
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import folder_written_whole, write_json, write_parquet

NO_CLIENTS = pa.schema([("client_id", pa.string()), ("as_of", pa.date32())]).empty_table()  # asks which columns the tables give, no more


def featurize(validated: Path, snapshots: pa.Table, source: Source) -> Features:
    """The features of the snapshots (client_id, as_of as a date; other columns are not read), sorted by both.

    A row depends on the canonical tables, its client and its as_of alone.
    """
    asked = pd.DataFrame(
        {"client_id": snapshots["client_id"].to_pandas(), "as_of": [to_day(on) for on in snapshots["as_of"].to_pylist()]}
    ).astype({"as_of": np.int64})
    return features(canonical_tables(validated), asked, source.business)


def as_table(found: Features) -> pa.Table:
    """client_id, as_of (date), float64 columns."""
    as_of = pa.array(found.frame["as_of"].to_numpy().astype("int32"), pa.int32()).cast(pa.date32())
    columns = {column.name: pa.array(found.frame[column.name].to_numpy()) for _, column in found.columns}
    return pa.table({"client_id": pa.array(found.frame["client_id"], pa.string()), "as_of": as_of, **columns})


def described(found: Features) -> dict[str, Any]:
    """columns.json: the frame's columns in order, the signals they belong to, and what this source cannot give.

    `empty` null = unknown (NaN). `churn`, `misfit`: the direction of risk, 0 = not constrained. `sentence`: what to say where a column
    raises or lowers the risk, as format strings on column names; empty = nothing.
    """
    return {
        "columns": [
            {
                "name": column.name,
                "signal": signal,
                "unit": column.unit,
                "description": column.description,
                "empty": column.empty,
                "churn": column.churn,
                "misfit": column.misfit,
                "sentence": {"raises": column.raises, "lowers": column.lowers},
            }
            for signal, column in found.columns
        ],
        "signals": [
            {"name": signal.name, "title": signal.title, "statements": list(signal.statements), "tables": list(signal.tables)}
            for signal in found.signals
        ],
        "unavailable": [{"signal": name, "missing_tables": tables} for name, tables in found.unavailable.items()],
        "left_out": [{"column": name, "signal": signal, "missing_tables": tables} for name, (signal, tables) in found.left_out.items()],
    }


def told(found: Features) -> str:
    """What came out, and what this source cannot give, in words."""
    lines = [f"{len(found.frame):,} rows × {len(found.columns)} columns of {len(found.signals)} signals"]
    lines += [f"unavailable: {name} (needs {', '.join(tables)})" for name, tables in found.unavailable.items()]
    if found.left_out:
        lacking = sorted({table for _, tables in found.left_out.values() for table in tables})
        lines.append(f"{len(found.left_out)} columns left out for want of {', '.join(lacking)}: {', '.join(found.left_out)}")
    return "\n".join(lines)


def main() -> None:
    """data/<source>/validate + snapshot -> data/<source>/featurize."""
    source = selected_source()
    found = featurize(source.output / "validate", read_snapshots(source.output / "snapshot"), source)
    with folder_written_whole(source.output / "featurize") as folder:
        write_parquet(folder / "features.parquet", as_table(found))
        write_json(folder / "columns.json", described(found))
    console.print(told(found))


if __name__ == "__main__":
    stage("featurize", main)

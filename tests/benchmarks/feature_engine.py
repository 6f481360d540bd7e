"""Sizes -> CPU seconds and peak memory of the feature engine on 60 interval columns, beside hand-written pandas that must agree.

    python tests/benchmarks/feature_engine.py                     # 1 M and 10 M events: the linear check; 24 monthly as_ofs
    python tests/benchmarks/feature_engine.py --events 200000     # one size

Each part runs in a process of its own (processes.py); CPU seconds are the figure. "Reading" is a scan of the very columns that the measures
use. Targets at 10 M: at most 20 CPU s beyond reading, under 4 GiB.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from features.engine import batches, measure
from features.measures import Interval, window
from features.off_hours import MINUTE_US

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.events import AS_OFS, write_events
from benchmarks.processes import in_own_process, own_cost

WINDOWS = (14, 30, 60, 90, 180, 365)
USED = ("client_id", "channel", "kind", "direction", "duration_minutes", "day", "known", "superseded", "local_us")
CPU_TARGET_S, MEMORY_TARGET_GIB, LINEAR = 20.0, 4.0, 1.3


def _quantities(rows: Any) -> dict[str, Any]:
    """Ten quantities; the expressions read the same for Ibis and for pandas."""
    inbound = rows["direction"] == "inbound"
    weekend = ((rows["day"] + 3) % 7) >= 5
    night = (rows["local_us"] < 360 * MINUTE_US) | (rows["local_us"] >= 1_320 * MINUTE_US)
    outside = (rows["local_us"] < 540 * MINUTE_US) | (rows["local_us"] >= 1_080 * MINUTE_US)
    return {
        "contacts": rows["day"] > 0,
        "inbound": inbound,
        "orders": rows["kind"] == "order",
        "complaints": rows["kind"].isin(["complaint", "escalation"]),
        "reports": rows["kind"].isin(["report_request", "instruction"]),
        "meetings": rows["channel"].isin(["meeting", "visit"]),
        "night": inbound & night,
        "weekend": inbound & weekend,
        "off_hours": inbound & (outside | weekend),
        "minutes": rows["duration_minutes"],
    }


def _measures() -> list[Interval]:
    names = ("contacts", "inbound", "orders", "complaints", "reports", "meetings", "night", "weekend", "off_hours", "minutes")
    return [m for name in names for m in window(name, "interactions", lambda rows, name=name: _quantities(rows)[name], *WINDOWS)]


def read(path: Path) -> str:
    """The floor: a scan of the used columns."""
    texts = USED[:4]
    scanned = ", ".join(f"sum(strlen({name}))" if name in texts else f"sum({name})" for name in USED)  # a max is read off the statistics
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        con.execute(f"SELECT {scanned} FROM read_parquet('{path}')").fetchall()  # noqa: S608
    return ""


def engine(path: Path) -> str:
    """The engine, as featurize runs it: batch by batch."""
    return _summed((m.values[name].sum(axis=0) for m in batches({"interactions": path}, AS_OFS, _measures()) for name in m.values), 60)


def by_hand(path: Path) -> str:
    """What one would write in pandas: for each as_of the rows seen, for each window a groupby."""
    rows = pd.read_parquet(path, columns=list(USED))
    client, ids = pd.factorize(rows["client_id"])
    values = pd.DataFrame({name: value.to_numpy().astype(np.int64) for name, value in _quantities(rows).items()})
    day, known, superseded = rows["day"].to_numpy(), rows["known"].to_numpy(), rows["superseded"].fillna(10**6).to_numpy()
    del rows
    totals = {f"{name}_{w}": [] for name in values for w in WINDOWS}
    for as_of in AS_OFS:
        is_seen = (day < as_of) & (known < as_of) & (superseded >= as_of)
        for w in WINDOWS:
            inside = is_seen & (day >= as_of - w)
            table = values[inside].groupby(client[inside], sort=True).sum().reindex(np.arange(len(ids)), fill_value=0)
            for name in values:
                totals[f"{name}_{w}"].append(int(table[name].sum()))
    return json.dumps(totals)


def _summed(parts: Any, n_columns: int) -> str:
    names = [m.name for m in _measures()]
    totals = np.zeros((n_columns, len(AS_OFS)), np.int64)
    for number, part in enumerate(parts):
        totals[number % n_columns] += part
    return json.dumps({name: total.tolist() for name, total in zip(names, totals, strict=True)})


PARTS: dict[str, Callable[[Path], str]] = {"read": read, "engine": engine, "pandas": by_hand}


def equal_values(path: Path) -> None:
    """Every cell against pandas, on a table small enough to hold both."""
    found = measure({"interactions": path}, AS_OFS, _measures()).set_index(["client_id", "as_of"])
    rows = pd.read_parquet(path, columns=list(USED))
    values = pd.DataFrame({name: value.to_numpy().astype(np.int64) for name, value in _quantities(rows).items()})
    superseded = rows["superseded"].fillna(10**6)
    for as_of in AS_OFS:
        is_seen = (rows["day"] < as_of) & (rows["known"] < as_of) & (superseded >= as_of)
        for w in WINDOWS:
            inside = is_seen & (rows["day"] >= as_of - w)
            table = values[inside].groupby(rows["client_id"][inside]).sum()
            mine = found.xs(as_of, level="as_of")[[f"{name}_{w}" for name in values]]
            wanted = table.reindex(mine.index, fill_value=0)
            if not (mine.to_numpy() == wanted.to_numpy()).all():
                raise SystemExit(f"engine and pandas differ at as_of {as_of}, window {w}")


def measured(n_events: int, folder: Path, *, with_pandas: bool) -> dict[str, Any]:
    """All parts at one size; stops if engine and pandas differ in any column's total at any as_of."""
    path = folder / f"events-{n_events}.parquet"
    write_events(path, n_events, max(n_events // 200, 10))
    found = {part: in_own_process(__file__, part, str(path)) for part in PARTS if with_pandas or part != "pandas"}
    if with_pandas and json.loads(found["engine"]["values"]) != json.loads(found["pandas"]["values"]):
        raise SystemExit(f"engine and pandas differ at {n_events:,} events")
    path.unlink()
    return {"n_events": n_events} | {part: {key: figure for key, figure in row.items() if key != "values"} for part, row in found.items()}


def report(rows: list[dict[str, Any]]) -> str:
    """The table, and whether the targets are met."""
    lines = [f"{'events':>12}  {'part':8}{'CPU s':>8}{'wall s':>8}{'peak GiB':>10}"]
    for row in rows:
        for part in PARTS:
            if part in row:
                figures = row[part]
                lines.append(
                    f"{row['n_events']:>12,}  {part:8}{figures['cpu_s']:>8.2f}{figures['wall_s']:>8.1f}{figures['peak_gib']:>10.2f}"
                )
        beyond = row["engine"]["cpu_s"] - row["read"]["cpu_s"]
        lines.append(f"{'':>12}  engine beyond reading {beyond:.2f} CPU s, {beyond / row['n_events'] * 1e6:.2f} µs per event")
    if len(rows) > 1:
        few, many = rows[0], rows[-1]
        growth = (many["engine"]["cpu_s"] / few["engine"]["cpu_s"]) / (many["n_events"] / few["n_events"])
        lines.append(f"growth from {few['n_events']:,} to {many['n_events']:,} events: {growth:.2f} × linear")
    return "\n".join(lines)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The targets that are not met; they are stated for 10 M events and scaled to the largest size run."""
    largest = rows[-1]
    beyond = largest["engine"]["cpu_s"] - largest["read"]["cpu_s"]
    allowed = CPU_TARGET_S * max(largest["n_events"] / 10_000_000, 0.1)
    return [
        *([f"{beyond:.1f} CPU s beyond reading, target {allowed:.1f}"] if beyond > allowed else []),
        *([f"{largest['engine']['peak_gib']} GiB"] if largest["engine"]["peak_gib"] >= MEMORY_TARGET_GIB else []),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--without-pandas", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--part", nargs=2, metavar=("PART", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        part, file = asked.part
        return own_cost(lambda: PARTS[part](Path(file)))
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.parquet"
        write_events(small, 20_000, 100)
        equal_values(small)
        print("engine and pandas agree in every cell of 20,000 events, and below in every total")
        rows = [measured(n, Path(folder), with_pandas=not asked.without_pandas) for n in sorted(asked.events)]
    print(report(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if missed(rows):
        raise SystemExit("missed: " + "; ".join(missed(rows)))
    return None


if __name__ == "__main__":
    main()

"""Sizes -> CPU seconds and peak memory of all signals together on all tables, as featurize runs them, and of each signal alone.

    python tests/benchmarks/all_signals.py                     # 1 M and 10 M events: the linear check; 24 monthly as_ofs
    python tests/benchmarks/all_signals.py --events 200000     # one size

Each part runs in a process of its own (processes.py); CPU seconds are the figure. Snapshots are every client at every as_of. "Reading" is a
scan of all columns of a signal's tables; each signal alone is measured at the largest size, and costs more than it adds to the others,
with which it shares the reading of tables. Targets at 10 M: under 4 GiB, at most 1.3 times linear.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.contract import Business, Features, Signal, discovered, features
from features.derived import DERIVED
from pipeline.tables import TABLES, Kind

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.canonical import write_portfolio
from benchmarks.events import AS_OFS
from benchmarks.processes import in_own_process, own_cost

MEMORY_TARGET_GIB, LINEAR = 4.0, 1.3
EVENTS_OF_A_CLIENT = 200
OFFICE = Business((0, 1, 2, 3, 4), opens_minute=9 * 60, closes_minute=17 * 60, holidays=(), currency="EUR")
NOT_READ = ("recorded_at", "occurred_at", "text", "name")  # by any signal


def tables_in(folder: Path) -> dict[str, Path]:
    """name -> its file."""
    return {path.stem: path for path in sorted(folder.glob("*.parquet"))}


def base_tables(signal: Signal) -> list[str]:
    """The canonical tables that it is made of."""
    return sorted({base for name in (*signal.tables, *signal.also) for base in DERIVED.get(name, (name,))})


def asked(folder: Path, signals: tuple[Signal, ...]) -> Features:
    """Features of every client at every as_of."""
    clients = pq.read_table(folder / "clients.parquet", columns=["client_id"])["client_id"].unique().sort()
    n = len(clients)
    snapshots = pd.DataFrame({"client_id": clients.to_pandas().repeat(len(AS_OFS)).reset_index(drop=True), "as_of": np.tile(AS_OFS, n)})
    return features(tables_in(folder), snapshots, OFFICE, signals)


def told(found: Features) -> dict[str, Any]:
    """Its shape, and the columns that do not move: they would be measured on nothing."""
    columns = {column.name: found.frame[column.name].to_numpy() for _, column in found.columns}
    still = [name for name, values in columns.items() if not np.nanmin(values) < np.nanmax(values)]
    return {"n_snapshots": len(found.frame), "n_columns": len(columns), "n_signals": len(found.signals), "still": still}


def scan(path: Path) -> None:
    """The floor: every column of a table once."""
    sums = {"text": "sum(strlen({0}))", "flag": "sum({0}::INT)", "date": "sum(date_diff('day', DATE '1970-01-01', {0}))"}
    columns = {column.name: column.kind for column in TABLES[path.stem].columns}
    read = {name: columns.get(name, Kind.INTEGER) for name in pq.read_schema(path).names if name not in NOT_READ}
    scanned = ", ".join(sums.get(kind.value, "sum({0})").format(name) for name, kind in read.items())  # a max is read off the statistics
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        con.execute(f"SELECT {scanned} FROM read_parquet('{path}')").fetchall()  # noqa: S608


def run_part(kind: str, name: str, folder: Path) -> None:
    """One part, within its own process: prints its figures."""
    signals = {signal.name: signal for signal in discovered()}
    if kind == "write":
        own_cost(lambda: write_portfolio(folder, int(name), max(int(name) // EVENTS_OF_A_CLIENT, 10)))
    elif kind == "read":
        own_cost(lambda: scan(folder / f"{name}.parquet"))
    else:
        own_cost(lambda: asked(folder, tuple(signals.values()) if name == "all" else (signals[name],) if name else ()), told)


def measured(n_events: int, folder: Path, *, each: bool) -> dict[str, Any]:
    """All figures at one size."""
    n_rows = _part("write", f"{n_events}", folder)["values"]
    together = _part("signals", "all", folder)
    shape = together.pop("values")
    if shape["still"]:
        raise SystemExit(f"columns that never vary on these tables: {', '.join(shape['still'])}")
    reading = {name: _part("read", name, folder)["cpu_s"] for name in n_rows}
    row = {"n_events": n_events, "n_rows": n_rows, **shape, "reading_cpu_s": reading, "all": together}
    print(_line(row), flush=True)
    if each:
        row["asking"] = _figures(_part("signals", "", folder))
        row["signals"] = {signal.name: _alone(signal, folder, reading) for signal in discovered()}
    return row


def _part(kind: str, name: str, folder: Path) -> dict[str, Any]:
    return in_own_process(__file__, kind, name, str(folder))


def _figures(part: dict[str, Any]) -> dict[str, Any]:
    return {name: part[name] for name in ("cpu_s", "wall_s", "peak_gib")}


def _alone(signal: Signal, folder: Path, reading: dict[str, float]) -> dict[str, Any]:
    part = _part("signals", signal.name, folder)
    floor = sum(reading[name] for name in base_tables(signal))
    return _figures(part) | {"n_columns": part["values"]["n_columns"], "beyond_cpu_s": round(part["cpu_s"] - floor, 2)}


def _line(row: dict[str, Any]) -> str:
    figures = row["all"]
    beyond = figures["cpu_s"] - sum(row["reading_cpu_s"].values())
    return (
        f"{row['n_events']:,} events ({sum(row['n_rows'].values()):,} row versions), {row['n_snapshots']:,} snapshots × {row['n_columns']} "
        f"columns of {row['n_signals']} signals: {figures['cpu_s']:.1f} CPU s ({beyond:.1f} beyond reading), {figures['wall_s']:.0f} s, "
        f"peak {figures['peak_gib']:.2f} GiB"
    )


def growth(rows: list[dict[str, Any]]) -> float | None:
    """CPU seconds of the largest size over those of the smallest, against the events."""
    few, many = rows[0], rows[-1]
    if few is many:
        return None
    return round((many["all"]["cpu_s"] / few["all"]["cpu_s"]) / (many["n_events"] / few["n_events"]), 2)


def report(rows: list[dict[str, Any]]) -> str:
    """Each signal alone, the costliest first; growth."""
    largest = rows[-1]
    lines = [f"{'signal alone, ' + format(largest['n_events'], ',') + ' events':40}{'columns':>8}{'CPU s':>8}{'beyond':>8}{'GiB':>6}"]
    for name, own in sorted(largest["signals"].items(), key=lambda pair: -pair[1]["beyond_cpu_s"]):
        lines.append(f"{name:40}{own['n_columns']:>8}{own['cpu_s']:>8.1f}{own['beyond_cpu_s']:>8.1f}{own['peak_gib']:>6.2f}")
    lines.append(f"{'(no signal: asking alone)':40}{0:>8}{largest['asking']['cpu_s']:>8.1f}{'':8}{largest['asking']['peak_gib']:>6.2f}")
    if growth(rows) is not None:
        lines.append(f"growth from {rows[0]['n_events']:,} to {largest['n_events']:,} events: {growth(rows)} × linear")
    return "\n".join(lines)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The targets that are not met."""
    grown, peak = growth(rows), rows[-1]["all"]["peak_gib"]
    return [
        *([f"{peak} GiB, target {MEMORY_TARGET_GIB:.0f}"] if peak >= MEMORY_TARGET_GIB else []),
        *([f"{grown} × linear, target {LINEAR}"] if grown is not None and grown > LINEAR else []),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--part", nargs=3, metavar=("KIND", "NAME", "FOLDER"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.part:
        kind, name, folder = wanted.part
        return run_part(kind, name, Path(folder))
    rows = []
    for n_events in sorted(wanted.events):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(n_events, Path(folder), each=n_events == max(wanted.events)))
    print(report(rows))
    if wanted.json:
        wanted.json.write_text(json.dumps({"sizes": rows, "growth": growth(rows)}, indent=1) + "\n", encoding="utf-8")
    if missed(rows):
        raise SystemExit("missed: " + "; ".join(missed(rows)))
    return None


if __name__ == "__main__":
    main()

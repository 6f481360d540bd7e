"""Ten million generated interactions -> seconds and peak memory of ingest and of validate, each in a process of its own.

`python tests/benchmarks/ingest_load.py [--rows N] [--keep FOLDER]`; the limit is 4 GiB. Among the rows are late ones, amended ones (a
twentieth), exact duplicates and bad ones (one in a thousand each), quoted values and Hebrew: what an export holds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
LIMIT_GIB = 4
N_CLIENTS = 50_000
BLOCK = 200_000
SPEC = """
description: generated
time_zone: Asia/Jerusalem
working_week: [sun, mon, tue, wed, thu]
service_hours: {opens: "09:00", closes: "18:00"}
holidays: IL
currency: ILS
exported_at: 2024-02-01T06:00:00
relationship: non_contractual
qualifying: {kind: [order]}
files:
  crm:
    path: crm.csv
    columns:
      {id: id, client: client, at: happened_at, channel: channel, direction: direction, kind: kind, minutes: minutes, logged: logged,
       owner: owner}
tables:
  interactions: {history: full}
"""
SQL = """
SELECT _row, CASE WHEN kind = 'note' THEN 'internal note' END AS _set_aside, id AS interaction_id, client AS client_id,
  happened_at AS occurred_at, channel, direction, kind, minutes AS duration_minutes, owner AS staff_id, logged AS recorded_at
FROM crm
"""
CLIENTS_SQL = "SELECT list(_row) AS _row, client AS client_id FROM crm GROUP BY client"
STAGE = """
import sys
from pathlib import Path
from pipeline.source import load_source
from pipeline.{0} import {0}
{0}(load_source(sys.argv[1]), *map(Path, sys.argv[2:]))
"""


def generate(path: Path, n_rows: int) -> None:
    """Writes the file, the same bytes each time."""
    random = np.random.default_rng(20261122)
    kinds = np.array(["message", "message", "order", "order", "complaint", "report_request", "note"])
    owners = np.array(["dana", "avi", "מיכל", '"Levi, Dana"'])
    first = np.datetime64("2021-01-01T00:00:00")
    with path.open("w", encoding="utf-8") as file:
        file.write("id,client,at,channel,direction,kind,minutes,logged,owner,remark\n")
        for begin in range(0, n_rows, BLOCK):
            n = min(BLOCK, n_rows - begin)
            at = first + random.integers(0, 3 * 365 * 86_400, n).astype("timedelta64[s]")
            late = random.random(n) < 0.3
            logged = at + (random.integers(60, 3_600, n) + late * random.integers(0, 20 * 86_400, n)).astype("timedelta64[s]")
            number = np.arange(begin, begin + n) - (random.random(n) < 0.05)  # the id of the row before: an amended row
            client = random.integers(0, N_CLIENTS, n)
            happened, recorded = np.datetime_as_string(at), np.datetime_as_string(logged)
            kind, owner, odd = kinds[random.integers(0, len(kinds), n)], owners[random.integers(0, len(owners), n)], random.random(n)
            happened = np.where(odd < 0.001, "2023-02-31", happened)
            lines = [
                f"i{number[i]:09d},c{client[i]:05d},{happened[i]},email,inbound,{kind[i]},{i % 90},{recorded[i]},{owner[i]},x"
                for i in range(n)
            ]
            lines += [lines[i] for i in np.flatnonzero(odd > 0.999)]
            file.write("\n".join(lines) + "\n")


def run(stage: str, *arguments: str) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak GiB of one stage."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", STAGE.format(stage), *arguments], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{stage} failed")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def main() -> None:
    """Prints one line per stage; exits with 1 above the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--keep", type=Path, help="a folder to work in and leave behind")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "source.yaml").write_text(SPEC, encoding="utf-8")
        (folder / "interactions.sql").write_text(SQL, encoding="utf-8")
        (folder / "clients.sql").write_text(CLIENTS_SQL, encoding="utf-8")
        if not (folder / "crm.csv").exists():
            generate(folder / "crm.csv", asked.rows)
        size_gb = (folder / "crm.csv").stat().st_size / 1e9
        peaks, stages = [], {}
        for stage, arguments in (("ingest", ["ingest"]), ("validate", ["ingest", "validate"])):
            seconds, cpu_seconds, peak = run(stage, str(folder), *(str(folder / name) for name in arguments))
            peaks.append(peak)
            stages[stage] = {"wall_s": round(seconds, 1), "cpu_s": round(cpu_seconds, 1), "peak_gib": round(peak, 2)}
            print(
                f"{stage:<9} {asked.rows:,} rows ({size_gb:.2f} GB)  {seconds:.0f} s  {cpu_seconds:.0f} CPU s  peak {peak:.2f} GiB",
                flush=True,
            )
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps({"n_rows": asked.rows, "stages": stages}, indent=1) + "\n", encoding="utf-8")
    if max(peaks) > LIMIT_GIB:
        raise SystemExit(f"above {LIMIT_GIB} GiB")


if __name__ == "__main__":
    main()

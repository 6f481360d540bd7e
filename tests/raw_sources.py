"""Raw files and a source.yaml in a folder of their own -> the commands ingest and validate run on them, and what they wrote and said."""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from pipeline import ingest, validate
from pipeline.source import select
from pipeline.stage import command, stage

PROJECT = Path(__file__).parents[1]
HEAD = "interaction_id,client_id,occurred_at,kind"
NAMES = HEAD.split(",")
SPEC: dict[str, Any] = {
    "description": "raw files of a test",
    "time_zone": "Asia/Jerusalem",
    "working_week": ["sun", "mon", "tue", "wed", "thu"],
    "service_hours": {"opens": "09:00", "closes": "18:00"},
    "holidays": "",
    "currency": "ILS",
    "exported_at": "2024-06-01T12:00:00",
    "relationship": "non_contractual",
    "qualifying": {"kind": ["order"]},
}


def as_they_are(*names: str, path: str = "interactions.csv", **more: Any) -> dict[str, Any]:
    """A raw file's entry in source.yaml whose columns keep their names."""
    return {"path": path, "columns": {name: name for name in names or NAMES}, **more}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit code, what was printed, and the folder under data/."""

    code: int
    out: str
    err: str
    folder: Path

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """A canonical table's rows."""
        read = pq.read_table(self.folder / "validate" / f"{table}.parquet", columns=list(columns))
        return list(zip(*(read[name].to_pylist() for name in columns), strict=True))

    def ids(self) -> list[str]:
        return sorted(row[0] for row in self.rows("interactions", "interaction_id"))

    @property
    def account(self) -> dict[str, Any]:
        return json.loads((self.folder / "validate" / "account.json").read_text(encoding="utf-8"))

    def quarantine(self, table: str = "interactions") -> list[dict[str, str]]:
        with (self.folder / "validate" / "quarantine" / f"{table}.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


def write_source(root: Path, raw: dict[str, str | bytes], sql: dict[str, str] | None = None, **changes: Any) -> Path:
    """Writes a source's folder; without `files` among the changes, `interactions.csv` in canonical form is expected."""
    folder = root / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "params.yaml", root / "params.yaml")
    spec = {"name": folder.name, "files": {"interactions": as_they_are()}} | SPEC | changes
    (folder / "source.yaml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), encoding="utf-8")
    for name, content in raw.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for table, text in (sql or {}).items():
        (folder / f"{table}.sql").write_text(text, encoding="utf-8")
    return folder


def run(root: Path, folder: Path) -> Outcome:
    """The commands of `make` for these two stages, in this process (a process for each costs seconds)."""
    out, err, before, code = io.StringIO(), io.StringIO(), Path.cwd(), 0
    os.chdir(root)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command(lambda: select(str(folder)))
            stage("ingest", ingest.main)
            stage("validate", validate.main)
    except SystemExit as ended:
        code = int(str(ended.code))
    finally:
        os.chdir(before)
    return Outcome(code, out.getvalue(), err.getvalue(), root / "data" / folder.name)


def run_in_processes(root: Path, folder: Path) -> Outcome:
    """The same, truly through the command line."""
    out = err = ""
    for arguments in (["pipeline.source", str(folder)], ["pipeline.ingest"], ["pipeline.validate"]):
        environment = os.environ | {"PYTHONPATH": str(PROJECT), "COLUMNS": "120"}
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False)
        out, err = out + done.stdout, err + done.stderr
        if done.returncode:
            break
    return Outcome(done.returncode, out, err, root / "data" / folder.name)


def raw_run(root: Path, raw: dict[str, str | bytes], sql: dict[str, str] | None = None, **changes: Any) -> Outcome:
    """Writes a source and runs it."""
    return run(root, write_source(root, raw, sql, **changes))

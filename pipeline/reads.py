"""A model whose figures on the final test period were computed -> a line in the log of reads, and how many models have been read on it.

Whoever looks at the final period and then changes something has chosen on it, and the next figures are a little too good (facts, A1: of all
leaks the largest at a few thousand rows). It cannot be forbidden, so it is counted. The log stands beside the registry, in
`.mlflow/reads/<source>-<target>.jsonl`, also where MLFLOW_TRACKING_URI points elsewhere, and survives `make clean`; one JSON line per read,
without any client's id. The same model on the same data and period is one read, however often it is run.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.errors import UserError
from pipeline.mlstore import STORE, alone
from pipeline.tables import write_text

FOLDER = "reads"


@dataclass(frozen=True)
class Read:
    """One look: the model `model_hash`, judged on the as_ofs `from_on` … `until_on` of a source's data."""

    source: str
    target: str
    from_on: str
    until_on: str
    data_version: str
    model_hash: str

    @classmethod
    def of(cls, source: str, found: Mapping[str, Any], facts: Mapping[str, Any]) -> "Read":
        """found: metrics.json. facts: training.json, with the evaluated model's hash."""
        test = found["test"]
        model_hash = facts["evaluated_hash"]
        return cls(source, found["target"], test["from"], test["until"], found["data_version"], model_hash)


def note(read: Read) -> int:
    """Writes the read down unless it stands there already; returns how many models have now been read on its period.

    The file is replaced whole, under a lock: of two processes at once none loses its line, and none leaves half a line.
    Raises UserError where the log is damaged.
    """
    path = log_of(read.source, read.target)
    with alone(f"reads-{_file_name(read.source)}-{_file_name(read.target)}"):
        known = _lines(path)
        if read not in [_read_of(line, path) for line in known]:
            line = {"read_at": datetime.now(UTC).isoformat(timespec="seconds")} | asdict(read)
            known = [*known, json.dumps(line, ensure_ascii=False)]
            write_text(path, "".join(f"{text}\n" for text in known))
    return n_models(read)


def n_models(read: Read) -> int:
    """How many models' figures on this read's period, or on one that shares days with it, stand in the log, of whatever data version."""
    path = log_of(read.source, read.target)
    found = [_read_of(line, path) for line in _lines(path)]
    return len({other.model_hash for other in found if other.from_on <= read.until_on and other.until_on >= read.from_on})


def told(n_read: int) -> str:
    """How often the final period was read, as a sentence."""
    if n_read <= 1:
        return "this final period has been read by this model alone"
    return f"this final period has now been read by {n_read} models; each further look makes its figures less honest"


def log_of(source: str, target: str) -> Path:
    """The log's file."""
    return STORE / FOLDER / f"{_file_name(source)}-{_file_name(target)}.jsonl"


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)


def _lines(path: Path) -> Sequence[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _read_of(line: str, path: Path) -> Read:
    try:
        found = json.loads(line)
        return Read(**{name: str(found[name]) for name in Read.__dataclass_fields__})
    except (ValueError, KeyError, TypeError) as problem:
        raise UserError(
            str(path),
            found=f"a line that is no read: {line[:80]!r}",
            wanted="one JSON object per line, as evaluate writes them",
            cure="remove that line by hand; what it counted is lost, so keep the file otherwise as it is",
        ) from problem

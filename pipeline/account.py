"""Raw rows -> exactly one class each: quarantined, exact duplicate, used, or set aside by the mapping. Nothing is lost, and it is counted.

A raw row may be in several canonical rows. Its class is the first that holds of:
quarantined      a canonical row made of it was quarantined, or it was not as wide as its header
exact duplicate  a row made of it said again what the version before it said (in clients, which mappings often make of a longer file,
                 saying a client again is no duplicate but use)
used             a canonical row made of it stands
set aside        the mapping gave a reason not to use it
"""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pipeline.validate import Judged

LINES_PER_FILE = 10_000_000_000
REASONS = 100_000_000  # more reasons than rows that could have one each

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


class Rank(IntEnum):
    """Classes, the later over the earlier."""

    UNMENTIONED = 0
    SET_ASIDE = 1
    USED = 2
    DUPLICATE = 3
    QUARANTINED = 4


def lines_of_file(number: int) -> int:
    """What to add to a line of a file to get its `_row`."""
    return number * LINES_PER_FILE


def place(paths: dict[int, str], row: int) -> str:
    """A raw row's file and line."""
    number, line = divmod(row, LINES_PER_FILE)
    return f"{paths[number]}, line {line}"


@dataclass
class RawRows:
    """All raw rows with a code each; a row keeps the largest code it was marked with."""

    names: list[str]
    rows: dict[str, Rows]
    codes: dict[str, Codes]

    @classmethod
    def read(cls, ingested: Path, names: list[str]) -> "RawRows":
        """The rows of an ingest folder's raw tables, unmarked."""
        rows = {
            name: np.asarray(pq.read_table(ingested / "raw" / f"{name}.parquet", columns=["_row"])["_row"].to_numpy(), np.int64)
            for name in names
        }
        return cls(names, rows, {name: np.zeros(len(values), np.int32) for name, values in rows.items()})

    def count(self, name: str) -> int:
        return len(self.rows[name])

    def unmarked(self, name: str) -> Rows:
        missed: Rows = self.rows[name][self.codes[name] == 0]
        return missed

    def mark(self, batch: pa.RecordBatch, codes: Codes) -> int | None:
        """Marks the raw rows of candidate rows (`_row`, `_rows`) with their code; returns a `_row` that is no raw row, if there is one."""
        rows, codes = flat(batch, codes)
        found = np.zeros(len(rows), bool)
        for name in self.names:
            own = self.rows[name]
            if not len(own):
                continue
            here = (rows >= own[0]) & (rows <= own[-1])
            at = np.searchsorted(own, rows[here])
            is_row = own[at] == rows[here]
            found[np.flatnonzero(here)[is_row]] = True
            at, given = at[is_row], codes[here][is_row]
            for code in np.unique(given):  # the same code for all: a row that occurs twice cannot lose one
                mine = at[given == code]
                self.codes[name][mine] = np.maximum(self.codes[name][mine], code)
        return None if found.all() else int(rows[~found][0])


def flat(batch: pa.RecordBatch, codes: Codes) -> tuple[Rows, Codes]:
    """(raw row, code) for every raw row of every candidate row."""
    single = np.asarray(batch.column(batch.schema.get_field_index("_row")).to_numpy(zero_copy_only=False), np.int64)
    lists = batch.column(batch.schema.get_field_index("_rows"))
    if lists.null_count == len(lists):
        return single, codes
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return (
        np.concatenate([single[lengths == 0], np.asarray(lists.flatten().to_numpy(zero_copy_only=False), np.int64)]),
        np.concatenate([codes[lengths == 0], np.repeat(codes, lengths)]),
    )


class Account:
    """Where the raw rows went (`content()["raw"]`) and what became of each table's rows (`content()["tables"]`)."""

    def __init__(self, ingested: Path, facts: dict[str, Any]) -> None:
        self._ingested, self._facts = ingested, facts
        self._names = sorted({file["raw"] for file in facts["files"]})
        self._raw_rows = RawRows.read(ingested, self._names)
        self._reasons: dict[tuple[Rank, str], int] = {}
        self.bad: dict[str, pa.Table] = {}
        self.tables: dict[str, dict[str, Any]] = {}

    def add(self, name: str, judged: "Judged", again: Rows, counts: dict[str, int]) -> None:
        """Enters one canonical table: its bad rows, the ordinals of its exact duplicates, its counts."""
        self.bad[name] = judged.bad
        set_aside: Counter[str] = Counter()
        bad_rows, reasons = judged.bad["ordinal"].to_numpy(), judged.bad["reason"].to_pylist()
        bad_codes = np.array([self._code(Rank.QUARANTINED, reason) for reason in reasons], np.int32)
        first = 0
        for batch in pq.ParquetFile(self._ingested / f"{name}.parquet").iter_batches(1 << 17, columns=["_row", "_rows", "_set_aside"]):
            codes = np.full(batch.num_rows, self._code(Rank.USED, ""), np.int32)
            _place_in(
                codes, first, again, np.full(len(again), self._code(Rank.USED if name == "clients" else Rank.DUPLICATE, ""), np.int32)
            )
            _place_in(codes, first, bad_rows, bad_codes)
            said = batch.column(batch.schema.get_field_index("_set_aside"))
            if said.null_count < len(said):
                words = said.dictionary_encode()
                of_word = np.array([self._code(Rank.SET_ASIDE, word) for word in words.dictionary.to_pylist()], np.int32)
                is_set_aside = np.asarray(said.is_valid().to_numpy(zero_copy_only=False), bool)
                set_aside.update({word["values"]: word["counts"] for word in said.drop_null().value_counts().to_pylist()})
                codes[is_set_aside] = of_word[np.asarray(words.indices.drop_null().to_numpy(zero_copy_only=False), np.int64)]
            self._raw_rows.mark(batch, codes)
            first += batch.num_rows
        entry = {"rows": first, "set_aside": dict(sorted(set_aside.items())), "quarantined": judged.reasons}
        self.tables[name] = {**entry, **counts}

    def _code(self, rank: Rank, reason: str) -> int:
        """A number that orders by rank; within a rank the reason named first wins."""
        return (int(rank) + 1) * REASONS - 1 - self._reasons.setdefault((rank, reason), len(self._reasons))

    def content(self) -> dict[str, Any]:
        """The account, checked: per raw table the classes add up to the rows in."""
        meaning = {self._code(*entry): entry for entry in self._reasons}
        return {
            "raw": {name: self._raw_content(name, meaning) for name in self._names},
            "tables": {name: self.tables[name] for name in sorted(self.tables)},
        }

    def _raw_content(self, name: str, meaning: dict[int, tuple[Rank, str]]) -> dict[str, Any]:
        values, counts = np.unique(self._raw_rows.codes[name], return_counts=True)
        by_entry = {meaning[int(value)]: int(count) for value, count in zip(values, counts, strict=True)}
        files = [file for file in self._facts["files"] if file["raw"] == name]
        n_ragged = sum(file["n_ragged"] for file in files)
        quarantined = {reason: count for (rank, reason), count in by_entry.items() if rank is Rank.QUARANTINED}
        content = {
            "rows_in": sum(file["n_rows"] for file in files) + n_ragged,
            "used": sum(count for (rank, _), count in by_entry.items() if rank is Rank.USED),
            "set_aside": dict(sorted((reason, count) for (rank, reason), count in by_entry.items() if rank is Rank.SET_ASIDE)),
            "quarantined": dict(sorted((quarantined | ({"ragged_row": n_ragged} if n_ragged else {})).items())),
            "exact_duplicates": sum(count for (rank, _), count in by_entry.items() if rank is Rank.DUPLICATE),
        }
        n_told = content["used"] + content["exact_duplicates"] + sum(content["set_aside"].values()) + sum(content["quarantined"].values())
        if n_told != content["rows_in"]:
            raise RuntimeError(f"{name}: {content['rows_in']} raw rows came in, but the account tells of {n_told}")
        return content


def _place_in(codes: Codes, first: int, ordinals: Rows, values: Codes) -> None:
    """Sets the codes of those `ordinals` (sorted) that lie in this batch, which begins at `first`."""
    low, high = np.searchsorted(ordinals, [first, first + len(codes)])
    codes[ordinals[low:high] - first] = values[low:high]

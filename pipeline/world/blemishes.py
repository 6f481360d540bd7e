"""Exports -> exports with what real ones have: lines twice, lines amended later under the same number, blank ids, dates that are none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.world.exports import Desk
from pipeline.world.states import Flags

REPEATED = {"crm": 0.004, "receipts": 0.003, "tasks": 0.002, "timesheet": 0.002, "steps": 0.01}  # share of lines that stand twice
RETOLD = ("Complaint", "Price question", "Instruction", "Change request")


@dataclass(frozen=True)
class Amendment:
    """How a system's lines are changed later: `column` anew by `change` in a `share` of those it concerns, stamped in `stamp`."""

    column: str
    stamp: str
    share: float
    change: Callable[[np.random.Generator, pa.Array], pa.Array]
    concerns: Callable[[pa.Table], Flags]


def blemished(desk: Desk, exports: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """One block's lines as the systems give them out."""
    lives = desk.lives
    whole = {name: lines.filter(pc.less(lines["_known"], lives.end_day)) for name, lines in exports.items()}
    retold = Amendment("Topic", "Logged", 0.02, _retold, lambda lines: _is(lines["Direction"], "In") & ~_is(lines["Topic"], "Reply"))
    recharged = Amendment("Amount", "Updated", 0.015, _recharged, lambda lines: np.ones(len(lines), bool))
    no_dates = ["31/02/2025 10:00", "00/00/0000 00:00", "01/01/0001 09:00", f"03/05/{lives.settings.ends_on.year + 2} 11:30"]
    crm = _amended(desk, whole["crm"], retold)
    crm = _spoilt(desk, _spoilt(desk, crm, "Account", ["", "  "], 6), "When", no_dates, 9)
    found = whole | {
        "crm": crm,
        "invoices": _spoilt(desk, _amended(desk, whole["invoices"], recharged), "Amount", ["n/a", "1.250,00"], 3),
        "receipts": _spoilt(desk, whole["receipts"], "Paid", ["30/02/2025", "2025"], 4),
        "timesheet": _spoilt(desk, whole["timesheet"], "Minutes", ["-", "90 min"], 4),
        "surveys": _spoilt(desk, whole["surveys"], "Score", ["?", ""], 3),
        "people": _spoilt(desk, whole["people"], "Since", ["", "00/00/0000"], 3),
        "steps": _spoilt(desk, whole["steps"], "Done", ["", "last week"], 2),
    }
    return {name: _repeated(desk, lines, name) if name in REPEATED else lines for name, lines in found.items()}


def _is(column: Any, word: str) -> Flags:
    found: Flags = pc.equal(column, word).to_numpy(zero_copy_only=False)
    return found


def _retold(random: np.random.Generator, topics: pa.Array) -> pa.Array:
    """What was first put down as general turns out to have been something else, and the other way round."""
    other = pa.array(RETOLD).take(pa.array(random.integers(0, len(RETOLD), len(topics))))
    return pc.if_else(pc.equal(topics, "General"), other, "General")


def _recharged(random: np.random.Generator, amounts: pa.Array) -> pa.Array:
    """The invoice corrected."""
    corrected = amounts.cast(pa.float64()).to_numpy() * random.uniform(0.8, 1.02, len(amounts))
    return pa.array([f"{amount:.2f}" for amount in corrected], pa.string())


def _set(lines: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return lines.set_column(lines.column_names.index(column), column, values)


def _by_known(lines: pa.Table) -> pa.Table:
    return lines.take(pa.array(np.argsort(lines["_known"].to_numpy(), kind="stable")))


def _amended(desk: Desk, lines: pa.Table, amendment: Amendment) -> pa.Table:
    """Lines with some of them once more, changed and stamped 1 to 30 days later, at the place of that day."""
    random = desk.lives.random("amended", amendment.column)
    chosen = lines.take(pa.array(np.flatnonzero((random.random(len(lines)) < amendment.share) & amendment.concerns(lines))))
    known = chosen["_known"].to_numpy() + random.integers(1, 31, len(chosen))
    chosen = _set(chosen, amendment.column, amendment.change(random, chosen[amendment.column].combine_chunks()))
    chosen = _set(_set(chosen, "_known", pa.array(known)), amendment.stamp, desk.stamps(random, known))
    return _by_known(pa.concat_tables([lines, chosen.filter(pc.less(chosen["_known"], desk.lives.end_day))]))


def _repeated(desk: Desk, lines: pa.Table, name: str) -> pa.Table:
    """Lines with some of them twice, as when an export is run again."""
    again = np.flatnonzero(desk.lives.random("repeated", name).random(len(lines)) < REPEATED[name])
    return _by_known(pa.concat_tables([lines, lines.take(pa.array(again))]))


def _spoilt(desk: Desk, lines: pa.Table, column: str, values: list[str], n: int) -> pa.Table:
    """Lines with a few values of one column overwritten by what no reader can use."""
    many = min(n, len(lines) // 10)
    at = np.sort(desk.lives.random("spoilt", column).choice(len(lines), many, replace=False))
    is_spoilt = np.zeros(len(lines), bool)
    is_spoilt[at] = True
    wrong = pa.array([values[i % len(values)] for i in range(many)], pa.string())
    return _set(lines, column, pc.replace_with_mask(lines[column].combine_chunks(), pa.array(is_spoilt), wrong))

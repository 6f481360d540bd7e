"""A block's lives -> what is true of each client at each month's start while it is with us: one row per client_id and month_on.

hazard, let_go_hazard: chance per month at the rates of that week. Each trouble's strength under its own name; pull_<cause>: what it adds
to the log-hazard of leaving. leading_cause: the largest pull, `none` where it is small. Lies beside the data, where no mapping looks.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from features.time import month_starts
from pipeline.world.lives import Lives, client_ids
from pipeline.world.papers import kept_at
from pipeline.world.states import CAUSE_NAMES, LEAST_PULL, PLACE

WEEKS_A_MONTH = 365.25 / 12 / 7


def truth_of(lives: Lives) -> pa.Table:
    """Sorted by month and client."""
    parts: list[dict[str, Any]] = []
    ids = client_ids(lives.first + np.arange(lives.n))
    for month in month_starts(lives.start_day, lives.end_day):
        week, here = (month - lives.first_day) // 7, np.flatnonzero(kept_at(lives, month))
        pull = lives.pulls[week][:, here]
        leading = (
            np.where(pull.max(0, initial=0) > LEAST_PULL, np.array(CAUSE_NAMES)[pull.argmax(0)], "none") if len(here) else np.zeros(0, str)
        )
        rates = lives.rates[week][:, here]
        part = {"client_id": ids[here], "month_on": np.full(len(here), month).astype("datetime64[D]")}
        part |= {"hazard": _monthly(rates[0]), "let_go_hazard": _monthly(rates[1]), "leading_cause": leading.astype(object)}
        part |= {"burden": lives.burden[week][here], "mood": lives.mood[week][here], "disaffection": lives.disaffection[week][here]}
        part |= {name: lives.strength[week][place][here] for name, place in PLACE.items()}
        parts.append(part | {f"pull_{name}": pull[place] for place, name in enumerate(CAUSE_NAMES)})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return pa.table(
        {name: pa.array(values.tolist(), pa.string()) if values.dtype.kind in "UO" else values for name, values in columns.items()}
    )


def _monthly(rate: Any) -> Any:
    return -np.expm1(-rate * WEEKS_A_MONTH)

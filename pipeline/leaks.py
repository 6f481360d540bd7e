"""Training rows, and the backtest made of them -> training.json's `leakage`: what the search for leaks found; or an error that stops all.

The rules are those of models/leakage.py: a column too good to be true stops training, unless it stands under train.trusted_columns. Splits
are checked where they are made (models/backtest.py).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from rich.markup import escape

from models import leakage
from models.backtest import TEST, Backtest
from models.fitting import Columns, Snapshots
from pipeline.reasons import declared_columns
from pipeline.source import Source
from pipeline.tables import read_parquet

KEYS = ["client_id", "as_of"]


def before(rows: Snapshots, columns: Columns, source: Source) -> leakage.Screen:
    """Every column by itself. Raises UserError for one that is too good to be true and not trusted, or a row that stands twice."""
    leakage.check_rows(rows)
    screened = leakage.screen(rows, columns, source.settings.time.calendar)
    _check(screened.suspects(), columns, source)
    return screened


def after(
    found: Backtest, screened: leakage.Screen, rows: Snapshots, columns: Columns, source: Source, tell: Callable[[str], None]
) -> dict[str, Any]:
    """What stands in training.json. Raises UserError for a column that carries the trees, ranks well alone and is not trusted."""
    shares = leakage.gain_shares(found.shipped.texts, columns.names)
    suspects = screened.suspects() | leakage.gain_suspects(shares, screened)
    _check(suspects, columns, source)
    predicts = _tested(found)
    learns = source.settings.time.calendar.purged(np.unique(rows.as_of).tolist(), predicts[0])
    twins = leakage.duplicates(rows, learns, predicts)
    if twins:
        first = escape(" and ".join(map(repr, twins[0])))
        tell(f"note: {len(twins)} pairs of ids, learnt from and tested, have one and the same history: is {first} one client?")
    return _facts(screened, shares, suspects, n_twins=len(twins), predictions=found.predictions)


def _check(suspects: Mapping[str, str], columns: Columns, source: Source) -> None:
    """A trusted column may be one that this source leaves empty, and so no model uses."""
    leakage.check_suspects(suspects, source.settings.train.trusted_columns, [*columns.names, *declared_columns()])


def _tested(found: Backtest) -> list[int]:
    """The test period's as_ofs."""
    return sorted(set(found.predictions.loc[found.predictions["fold"] == TEST, "as_of"].tolist()))


def _facts(
    screened: leakage.Screen, shares: dict[str, float], suspects: dict[str, str], *, n_twins: int, predictions: pd.DataFrame
) -> dict[str, Any]:
    """training.json's `leakage`: what was judged, the column that stands out most by each rule, and what is suspicious but trusted."""
    test = predictions[predictions["fold"] == TEST]
    known = leakage.memory(*(test[name].to_numpy() for name in ("label", "probability", "unseen_probability", "client_id")))
    heaviest = max(shares, key=lambda name: shares[name])
    return {
        "judged": {"columns_alone": screened.is_judged, "columns_one_step_older": screened.is_lag_judged, "n_columns": len(shares)},
        "highest_auc": _foremost(screened.table, "auc"),
        "largest_fall": _foremost(screened.table, "fall"),
        "largest_gain_share": {"column": heaviest, "gain_share": shares[heaviest]},
        "suspicious_but_trusted": suspects,
        "ids_with_one_history": n_twins,
        "knowing_clients_again": {"difference": None if np.isnan(known.difference) else known.difference, "words": known.words},
    }


def _foremost(table: pd.DataFrame, figure: str) -> dict[str, Any] | None:
    """The column with the largest figure; None where none was judged."""
    values = table[figure].to_numpy(np.float64)
    if np.isnan(values).all():
        return None
    place = int(np.nanargmax(values))
    return {"column": str(table["column"].iloc[place]), figure: float(values[place])}


def population(found: Backtest, rows: Snapshots, columns: Columns, source: Source) -> dict[str, Any]:
    """How the test's snapshots differ from the newest ones: the figures are of the former, the scores of the latter."""
    judged = rows.at(_tested(found))
    newest = newest_eligible(source.output, columns)
    seen = leakage.shift(judged.features, judged.client, *newest, seed=source.settings.seed)
    return {
        "n_judged": len(judged),
        "n_newest": len(newest[1]),
        "told_apart_auc": None if np.isnan(seen.auc) else seen.auc,
        "most_shifted": seen.columns.head(leakage.SHOWN).to_dict("records"),
    }


def newest_eligible(output: Path, columns: Columns) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and client ids of the eligible snapshots of the newest as_of: the population that will be scored."""
    snapshots = read_parquet(output / "snapshot" / "snapshots.parquet", [*KEYS, "status"])
    is_newest = pc.equal(snapshots["as_of"], pc.max(snapshots["as_of"]))
    asked = snapshots.filter(pc.and_(is_newest, pc.equal(snapshots["status"], "eligible"))).select(KEYS).to_pandas()
    rows = asked.merge(read_parquet(output / "featurize" / "features.parquet").to_pandas(), on=KEYS, validate="1:1")
    return rows[columns.names], rows["client_id"].to_numpy(object)

"""Features + labels of the eligible snapshots -> data/<source>/train/<target>/: the shipped model and every out-of-time prediction.

spec.json, members/   the model: what the registry ships and the scorer reads (models/scorer.py)
backtest.parquet      one row per out-of-time snapshot: fold, client_id, as_of, label, margin, probability, low, high, and the baselines'
training.json         what it was trained on, its folds, its calibration, its content hash
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.contact_frequency import RECENCY_COLUMN, RFM_COLUMNS
from features.errors import NotEnoughHistory, UserError
from features.time import to_date, to_day
from models.backtest import Backtest, Yardsticks, backtest
from models.bag import Recipe
from models.fitting import Columns, Snapshots
from pipeline.question import question_of
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import folder_written_whole, read_json, read_parquet, write_json, write_parquet, write_text

KEYS = ["client_id", "as_of"]


def training_rows(output: Path, target: str) -> tuple[Snapshots, Columns]:
    """The eligible snapshots with a known label and their features, sorted by as_of and client; and the columns a model may use.

    Raises NotEnoughHistory if no label is known, UserError if features and snapshots do not belong together.
    """
    labels = read_parquet(output / "label" / f"{target}.parquet", [*KEYS, "label"])
    known = labels.filter(pc.is_valid(labels["label"])).to_pandas()
    if known.empty:
        raise NotEnoughHistory(
            str(output / "label" / f"{target}.parquet"),
            found=f"{labels.num_rows} eligible snapshots, none with a known outcome",
            wanted="snapshots whose outcome window, with the days for late records, lies before the export",
            cure="bring a longer history, or shorten time.horizon_days, time.gap_days or time.lateness_days",
        )
    snapshots = read_parquet(output / "snapshot" / "snapshots.parquet", [*KEYS, "status"])
    eligible = snapshots.filter(pc.equal(snapshots["status"], "eligible")).select(KEYS).to_pandas()
    features = read_parquet(output / "featurize" / "features.parquet").to_pandas()
    rows = known.merge(eligible, on=KEYS, validate="1:1").merge(features, on=KEYS, validate="1:1")
    if len(rows) < len(known):
        raise UserError(
            str(output / "featurize" / "features.parquet"),
            found=f"{len(rows)} of the {len(known)} labelled snapshots",
            wanted="features of every eligible snapshot",
            cure="run `make train`: the stages are of different runs",
        )
    rows = rows.sort_values(["as_of", "client_id"], kind="stable", ignore_index=True)
    columns = declared_columns(output, target)
    as_of = np.array([to_day(on) for on in rows["as_of"]], np.int64)
    return Snapshots(rows[columns.names], rows["label"].to_numpy(np.float64), rows["client_id"].to_numpy(object), as_of), columns


def declared_columns(output: Path, target: str) -> Columns:
    """Name -> signal and name -> direction of risk for this target, as featurize wrote them down."""
    declared = read_json(output / "featurize" / "columns.json")["columns"]
    return Columns({column["name"]: column["signal"] for column in declared}, {column["name"]: column[target] for column in declared})


def yardsticks(columns: Columns) -> Yardsticks:
    """The baselines' columns, of those that this source has (amounts need invoices)."""
    return Yardsticks(RECENCY_COLUMN, tuple(name for name in RFM_COLUMNS if name in columns.signals))


def train(rows: Snapshots, columns: Columns, *, target: str, source: Source, tell: Callable[[str], None]) -> Backtest:
    """The backtest and the shipped refit, with the source's question, calendar and recipe."""
    settings = source.settings
    return backtest(
        rows,
        columns,
        yardsticks(columns),
        question=question_of(source, target),
        calendar=settings.time.calendar,
        test_periods=settings.train.test_periods,
        origins=settings.train.origins,
        recipe=Recipe(settings.train.members, settings.seed),
        tell=tell,
    )


def training_facts(found: Backtest) -> dict[str, Any]:
    """What a reader may want to know of the training, without any client's id."""
    folds = found.folds.assign(origin=[str(to_date(day)) for day in found.folds["origin"]])
    spec = found.shipped.spec
    return {
        "target": spec["target"],
        "question": spec["question"],
        "model_hash": found.shipped.content_hash,
        "n_columns": len(spec["columns"]),
        "signals": spec["signals"],
        "tree_weight": spec["tree_weight"],
        "shipped": spec["training"],
        "evaluated": found.evaluated.spec["training"],
        "calibration": spec["calibration"],
        "folds": folds.to_dict(orient="records"),
        "versions": spec["versions"],
    }


def write_training(folder: Path, found: Backtest) -> None:
    """Writes the stage's outputs, all or none."""
    with folder_written_whole(folder) as temporary:
        write_json(temporary / "spec.json", found.shipped.spec)
        for member, text in zip(found.shipped.spec["members"], found.shipped.texts, strict=True):
            write_text(temporary / "members" / member["file"], text)
        write_parquet(temporary / "backtest.parquet", as_table(found.predictions))
        write_json(temporary / "training.json", training_facts(found))


def as_table(predictions: pd.DataFrame) -> pa.Table:
    """Predictions with as_of as a date."""
    dated = predictions.assign(as_of=[to_date(day) for day in predictions["as_of"]])
    return pa.Table.from_pandas(dated, preserve_index=False).replace_schema_metadata(None)


def chosen_target(source: Source) -> str:
    """The target named on the command line. Raises UserError if it is none of the settings' targets."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    if named not in source.settings.targets:
        raise UserError(
            "command line",
            found=named or "no target",
            wanted=f"one of {', '.join(source.settings.targets)}",
            cure="python -m pipeline.<stage> churn",
        )
    return named


def main() -> None:
    """data/<source>/featurize, snapshot, label -> data/<source>/train/<target>."""
    source = selected_source()
    target = chosen_target(source)
    rows, columns = training_rows(source.output, target)
    found = train(rows, columns, target=target, source=source, tell=console.print)
    write_training(source.output / "train" / target, found)
    told = found.shipped.spec["training"]
    console.print(f"{told['n_rows']:,} snapshots of {told['n_clients']:,} clients; {told['size_reason']}")
    console.print(f"calibrated on {found.shipped.spec['calibration']['fitted_on']}")


if __name__ == "__main__":
    stage("train", main)

"""Features + labels of the eligible snapshots -> data/<source>/train/<target>/: the shipped model and every out-of-time prediction.

spec.json, members/   the model: what the registry ships and the scorer reads (models/scorer.py)
backtest.parquet      one row per out-of-time snapshot: fold, client_id, as_of, label, margin, probability, low, high, the baselines', value
later.parquet         what each origin's model says of later as_ofs: fold, client_id, as_of, days_on, label, probability
horizons.parquet      out-of-time predictions at every horizon: fold, client_id, as_of, horizon_days, label, probability
training.json         what it was trained on, its folds, its calibration, its content hash, and what was found in search of leaks

Where there is no misfit label to learn from, or too few, training.json alone is written, with `no_model`: why. Churn's lack is an error.
A column too good to be true stops the stage (models/leakage.py), unless it stands under train.trusted_columns; misfit has then no model
either, lest a suspicion of its label take churn from those who need it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rich.markup import escape

from features.contact_frequency import RECENCY_COLUMN, RFM_COLUMNS, VALUE_COLUMN
from features.errors import NotEnoughHistory, UserError
from features.time import to_date, to_day
from models.backtest import TEST, Backtest, Setup, Yardsticks, backtest
from models.bag import Recipe
from models.churn import BY_RELATIONSHIP
from models.fitting import Columns, Snapshots
from models.leakage import TooGood
from models.misfit import POLICY
from models.scorer import Floats
from pipeline import leaks, reads
from pipeline.question import question_of
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_json, read_parquet, write_json, write_parquet, write_text

KEYS = ["client_id", "as_of"]
TARGETS = ("churn", "misfit")


@dataclass(frozen=True)
class Trained:
    """The backtest with the shipped model, and what was found in search of leaks (training.json's `leakage`; no client's id is in it)."""

    backtest: Backtest
    leakage: dict[str, Any]


def training_rows(output: Path, target: str) -> tuple[Snapshots, Columns]:
    """The eligible snapshots with a known label and their features, sorted by as_of and client; and the columns a model uses: those that
    tell clients apart.

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
    columns = varying(declared_columns(output, target), rows)
    as_of = np.array([to_day(on) for on in rows["as_of"]], np.int64)
    at_horizons, rules = labels_at_horizons(output, rows[KEYS], target), rules_met(output, rows[KEYS], target)
    label, client = rows["label"].to_numpy(np.float64), rows["client_id"].to_numpy(object)
    return Snapshots(rows[columns.names], label, client, as_of, at_horizons, rules), columns


def rules_met(output: Path, asked: pd.DataFrame, target: str) -> dict[str, Floats]:
    """Rule -> whether each of the asked snapshots meets it (1, 0, NaN = unknown), in their order; no rule that is known of nobody."""
    if target == "churn":
        return {}
    met = asked.merge(read_parquet(output / "label" / f"{target}_rules.parquet").to_pandas(), on=KEYS, how="left", validate="1:1")
    return {name: met[name].to_numpy(np.float64, na_value=np.nan) for name in met.columns.drop(KEYS) if met[name].notna().any()}


def labels_at_horizons(output: Path, asked: pd.DataFrame, target: str) -> dict[int, Floats]:
    """Horizon in days -> label (0, 1, NaN = unknown) of each of the asked snapshots (client_id, as_of), in their order; churn's only."""
    if target != "churn":
        return {}
    known = read_parquet(output / "label" / "horizons.parquet", [*KEYS, "horizon_days", "label"]).to_pandas()
    return {
        int(days): asked.merge(there, on=KEYS, how="left", validate="1:1")["label"].to_numpy(np.float64, na_value=np.nan)
        for days, there in known.groupby("horizon_days", sort=True)
    }


def declared_columns(output: Path, target: str) -> Columns:
    """Name -> signal and name -> direction of risk for this target, as featurize wrote them down."""
    declared = read_json(output / "featurize" / "columns.json")["columns"]
    return Columns({column["name"]: column["signal"] for column in declared}, {column["name"]: column[target] for column in declared})


def varying(columns: Columns, rows: pd.DataFrame) -> Columns:
    """The columns with at least two known values among the rows; those read by name stay in any case.

    Sources record some signs and not others: a column that is 0 or unknown for everybody tells nobody apart, and where it is unknown only
    repeats, signal by signal, who had no contact at all.
    """
    read_by_name = {RECENCY_COLUMN, *RFM_COLUMNS}
    chosen = [name for name in columns.names if name in read_by_name or rows[name].nunique(dropna=True) > 1]
    return Columns({name: columns.signals[name] for name in chosen}, {name: columns.signs[name] for name in chosen})


def yardsticks(columns: Columns) -> Yardsticks:
    """The columns read by name, of those that this source has (amounts need invoices)."""
    value = VALUE_COLUMN if VALUE_COLUMN in columns.signals else None
    return Yardsticks(RECENCY_COLUMN, tuple(name for name in RFM_COLUMNS if name in columns.signals), value)


def setup_of(source: Source, target: str, columns: Columns) -> Setup:
    """What all folds share: the source's question, calendar and recipe."""
    settings = source.settings
    return Setup(
        columns=columns,
        yardsticks=yardsticks(columns),
        question=question_of(source, target),
        grows=BY_RELATIONSHIP[source.spec.relationship].grows_with_horizon,
        calendar=settings.time.calendar,
        recipe=Recipe(settings.train.members, settings.seed),
        trials=settings.train.tuning_trials,
    )


def train(rows: Snapshots, columns: Columns, *, target: str, source: Source, tell: Callable[[str], None]) -> Trained:
    """The backtest and the shipped refit, with the source's question, calendar and recipe.

    Raises UserError for a column that is too good to be true and not trusted, by itself or by its share of the trees.
    """
    knobs = source.settings.train
    screened = leaks.before(rows, columns, source)
    found = backtest(rows, setup_of(source, target, columns), test_periods=knobs.test_periods, origins=knobs.origins, tell=tell)
    return Trained(found, leaks.after(found, screened, rows, columns, source, tell))


def training_facts(trained: Trained) -> dict[str, Any]:
    """What a reader may want to know of the training, without any client's id."""
    found = trained.backtest
    folds = found.folds.assign(
        origin=[str(to_date(day)) for day in found.folds["origin"]],
        oob_auc=found.folds["oob_auc"].astype(object).where(found.folds["oob_auc"].notna(), None),  # a lone leaver is in every bag
    )
    spec = found.shipped.spec
    return {
        "target": spec["target"],
        **basis_in(spec["question"]),
        "question": spec["question"],
        "model_hash": found.shipped.content_hash,
        "evaluated_hash": found.evaluated.content_hash,
        "n_columns": len(spec["columns"]),
        "signals": spec["signals"],
        "tree_weight": spec["tree_weight"],
        "shipped": spec["training"],
        "evaluated": found.evaluated.spec["training"],
        "calibration": spec["calibration"],
        "folds": folds.to_dict(orient="records"),
        "importance": found.importance.to_dict(orient="records"),
        "versions": spec["versions"],
        "leakage": trained.leakage,
    }


def basis_in(question: Mapping[str, Any]) -> dict[str, Any]:
    """The basis of the label, where a question has one."""
    return {"basis": question["basis"]} if "basis" in question else {}


def write_no_model(folder: Path, target: str, basis: str, why: str) -> None:
    """What stands in for a model where there is none: training.json alone, with the reason."""
    with folder_written_whole(folder) as temporary:
        write_json(temporary / "training.json", {"target": target, "basis": basis, "no_model": why})


def write_training(folder: Path, trained: Trained) -> None:
    """Writes the stage's outputs, all or none."""
    found = trained.backtest
    with folder_written_whole(folder) as temporary:
        write_json(temporary / "spec.json", found.shipped.spec)
        for member, text in zip(found.shipped.spec["members"], found.shipped.texts, strict=True):
            write_text(temporary / "members" / member["file"], text)
        for name, rows in (("backtest", found.predictions), ("later", found.later), ("horizons", found.horizons)):
            write_parquet(temporary / f"{name}.parquet", as_table(rows))
        write_json(temporary / "training.json", training_facts(trained))


def as_table(predictions: pd.DataFrame) -> pa.Table:
    """Predictions with as_of as a date."""
    dated = predictions.assign(as_of=[to_date(day) for day in predictions["as_of"]])
    return pa.Table.from_pandas(dated, preserve_index=False).replace_schema_metadata(None)


def chosen_target(source: Source) -> str:
    """The target named on the command line. Raises UserError if there is no such target."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    if named not in TARGETS:
        raise UserError(
            f"command line, source {source.name}",
            found=named or "no target",
            wanted=f"one of {', '.join(TARGETS)}",
            cure="python -m pipeline.<stage> churn",
        )
    return named


def main() -> None:
    """data/<source>/featurize, snapshot, label -> data/<source>/train/<target>."""
    source = selected_source()
    target = chosen_target(source)
    if target == "churn":
        _train(source, target)
        return
    basis = read_json(source.output / "label" / f"{target}.json")
    why = basis["why"] if basis["basis"] == POLICY else "" if target in source.settings.targets else "the settings' targets leave it out"
    try:
        if not why:
            _train(source, target)
            return
    except (NotEnoughHistory, TooGood) as lack:
        why = lack.in_one_line
    write_no_model(source.output / "train" / target, target, basis["basis"], why)
    console.print(f"[bold red]no {target} model[/bold red], basis {basis['basis']}: {escape(why)}")


def _train(source: Source, target: str) -> None:
    rows, columns = training_rows(source.output, target)
    trained = train(rows, columns, target=target, source=source, tell=console.print)
    trained = replace(trained, leakage=trained.leakage | {"population": leaks.population(trained.backtest, rows, columns, source)})
    predictions = trained.backtest.predictions
    test = predictions.loc[predictions["fold"] == TEST, "as_of"]
    period = str(to_date(test.min())), str(to_date(test.max()))
    # before anybody can see a figure of the final period: training.json holds some
    reads.note(reads.Read(source.name, target, *period, data_version(source.output / "validate"), trained.backtest.evaluated.content_hash))
    write_training(source.output / "train" / target, trained)
    shipped = trained.backtest.shipped.spec
    told = shipped["training"]
    console.print(f"{told['n_rows']:,} snapshots of {told['n_clients']:,} clients; {told['size_reason']}")
    console.print(f"calibrated on {shipped['calibration']['fitted_on']}")


if __name__ == "__main__":
    stage("train", main)

"""A real source -> our model and the yardsticks on the same test snapshots, with client-bootstrap intervals and paired differences.

    python tests/benchmarks/real_data.py wholesaler|helpdesk [--json FILE]

The population is the usual flat one (a qualifying contact in so many days before as_of), which overrides the statuses; gap 0; as_ofs every
30 days back from as_of − horizon to the first day of the data. Everything else is the project's default. The test snapshot is only judged.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from features.time import to_date, to_day
from models.backtest import TEST, Backtest
from models.fitting import Columns, Snapshots
from models.metrics import Judged, figures
from pipeline import reads
from pipeline.evaluate import shown
from pipeline.featurize import as_table, described, featurize
from pipeline.ingest import ingest
from pipeline.label import at_horizon, horizon_labels
from pipeline.settings import load_settings
from pipeline.snapshot import first_event_day, make_snapshots
from pipeline.source import Source, load_source
from pipeline.tables import data_version, write_json, write_parquet
from pipeline.train import train, training_rows
from pipeline.validate import validate

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks import strong_baseline
from benchmarks.strong_baseline import Question

MEASURES = {"auc": "AUC", "average_precision": "average precision", "brier": "Brier (less is better)"}
RESAMPLES = 2_000
FIRST_FIVE = ("billing_friction", "contact_frequency", "criticism", "off_hours", "reporting_demand")


@dataclasses.dataclass(frozen=True)
class Case:
    """A question asked of a source, and the counts that its population must have: a slip in the mapping shows here first."""

    as_of: date
    history_days: int
    horizon_days: int
    n_clients: int
    n_silent: int
    yardsticks: tuple[str, ...]

    @property
    def question(self) -> Question:
        return Question(to_day(self.as_of), self.history_days, self.horizon_days)


CASES = {
    "wholesaler": Case(date(2011, 9, 10), 160, 90, n_clients=2_603, n_silent=954, yardsticks=("strong", "rich", "plain")),
    "helpdesk": Case(date(2012, 12, 1), 365, 180, n_clients=244, n_silent=131, yardsticks=("strong", "rich", "plain")),
}


def asked_of(source: Source, case: Case, first_day: int) -> Source:
    """The source with this case's calendar and population, everything else at its default."""
    newest = to_day(case.as_of) - case.horizon_days
    past = [to_date(day) for day in range(newest, first_day, -strong_baseline.SLICE_DAYS)]
    calendar: dict[str, Any] = {"cadence": "listed", "as_ofs": [*past, case.as_of], "gap_days": 0, "lateness_days": 0}
    overrides = {
        "time": calendar | {"horizon_days": case.horizon_days},
        "snapshot": {"active_within_days": case.history_days},
        "train": {"test_periods": 1},
    }
    return dataclasses.replace(source, settings=load_settings(overrides, "this benchmark"))


def contacts_of(validated: Path, source: Source) -> pd.DataFrame:
    """client_id, day, amount of every qualifying contact; amount = its invoice's (same number), 0 where there is none."""
    rows = pq.read_table(validated / "interactions.parquet").to_pandas()
    for column, values in source.spec.qualifying.items():
        rows = rows[rows[column].isin(values)]
    if (validated / "invoices.parquet").exists():
        amounts = pq.read_table(validated / "invoices.parquet", columns=["invoice_id", "amount"]).to_pandas().set_index("invoice_id").amount
        rows = rows.assign(amount=rows.interaction_id.map(amounts).fillna(0) / 100)
    else:
        rows = rows.assign(amount=0.0)
    return rows[["client_id", "day", "amount"]].reset_index(drop=True)


def prepared(source: Source, output: Path) -> tuple[Snapshots, Columns]:
    """The pipeline from snapshots to training rows; `output` holds the validated tables."""
    found = make_snapshots(source, output / "validate")
    write_parquet(output / "snapshot" / "snapshots.parquet", found)
    at_horizons = horizon_labels(found, output / "validate", source)
    write_parquet(output / "label" / "horizons.parquet", at_horizons)
    write_parquet(output / "label" / "churn.parquet", at_horizon(at_horizons, source.settings.time.horizon_days))
    features = featurize(output / "validate", found, source)
    write_parquet(output / "featurize" / "features.parquet", as_table(features))
    write_json(output / "featurize" / "columns.json", described(features))
    return training_rows(output, "churn")


def trained(source: Source, rows: Snapshots, columns: Columns) -> "tuple[Backtest, pd.DataFrame]":
    """The backtest, and its test fold by client."""
    done = train(rows, columns, target="churn", source=source, tell=lambda _: None).backtest
    test = done.predictions[done.predictions["fold"] == TEST]
    return done, test.set_index("client_id").sort_index()


def first_five(rows: Snapshots, columns: Columns) -> tuple[Snapshots, Columns]:
    """The rows with the columns of the signals that these sources were made for: whether the others, with little to tell here, do harm."""
    names = [name for name in columns.names if columns.signals[name] in FIRST_FIVE]
    some = Columns({name: columns.signals[name] for name in names}, {name: columns.signs[name] for name in names})
    return dataclasses.replace(rows, features=rows.features[names]), some


def compared(name: str, output: Path) -> dict[str, Any]:
    """Runs everything on one source; the figures of all models and of the differences to ours."""
    case, source = CASES[name], load_source(name)
    ingest(source, output / "ingest")
    validate(source, output / "ingest", output / "validate")
    asked = asked_of(source, case, first_event_day(output / "validate"))
    rows, columns = prepared(asked, output)
    done, test = trained(asked, rows, columns)
    contacts = contacts_of(output / "validate", source)
    predictions = {"clientfit": test["probability"]}
    predictions |= {yardstick: getattr(strong_baseline, yardstick)(contacts, case.question) for yardstick in case.yardsticks}
    predictions |= {"five": trained(asked, *first_five(rows, columns))[1]["probability"], "recency": test["recency_probability"]}
    clients = strong_baseline.population(contacts, case.question.as_of, case.history_days)
    label = strong_baseline.silent(contacts, clients, case.question.as_of, case.horizon_days)
    _check_population(case, test, clients, label)
    judged = Judged.of(label, clients, resamples=RESAMPLES, seed=source.settings.seed)
    by_name, differences = figures(judged, {key: values.reindex(clients).to_numpy(np.float64) for key, values in predictions.items()})
    version = data_version(output / "validate")
    n_read = reads.note(reads.Read(name, "churn", str(case.as_of), str(case.as_of), version, done.evaluated.content_hash))
    return {
        "source": name,
        "as_of": str(case.as_of),
        "data_version": version,
        "reads": n_read,
        "n_clients": len(clients),
        "share_silent": float(label.mean()),
        "training": done.evaluated.spec["training"],
        "origins": of_origins(done, source),
        "figures": by_name,
        "clientfit_minus": differences,
    }


def of_origins(done: Backtest, source: Source) -> dict[str, Any]:
    """Calibration of the rolling origins (the first two calibrated out of bag): pooled and one by one; slope and predicted/observed."""
    rolling = done.predictions[done.predictions["fold"] != TEST]
    parts = {"pooled": rolling} | {str(fold): rows for fold, rows in rolling.groupby("fold", sort=True)}
    found = {}
    for name, rows in parts.items():
        judged = Judged.of(rows["label"], rows["client_id"], resamples=RESAMPLES, seed=source.settings.seed)
        by_name, _ = figures(judged, {"model": rows["probability"].to_numpy(np.float64)}, ("calibration_slope", "predicted_over_observed"))
        found[name] = {"n_rows": len(rows), **by_name["model"]}
    return found


def _check_population(case: Case, test: pd.DataFrame, clients: pd.Index, label: np.ndarray) -> None:
    """Ours and the yardsticks' must be the same clients with the same outcomes, as many as published."""
    assert list(test.index) == list(clients), "the pipeline's eligible clients are not the benchmark's population"
    assert (test["label"].to_numpy() == label).all(), "the pipeline's labels are not the benchmark's"
    assert (len(clients), int(label.sum())) == (case.n_clients, case.n_silent), (len(clients), int(label.sum()))


def told(found: dict[str, Any]) -> Table:
    """The figures as a table: a row per model, and per difference of ours to it."""
    title = f"{found['source']}, as_of {found['as_of']}: {found['n_clients']:,} clients, {found['share_silent']:.1%} fell silent"
    table = Table(title=title, title_justify="left")
    for column in ("", *MEASURES.values()):
        table.add_column(column)
    for name, figure in found["figures"].items():
        table.add_row(name, *(shown(figure[measure]) for measure in MEASURES))
    for name, figure in found["clientfit_minus"].items():
        table.add_row(f"clientfit − {name}", *(shown(figure[measure], is_difference=True) for measure in MEASURES))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Our model beside the yardsticks on real data, out of time.")
    parser.add_argument("source", choices=sorted(CASES))
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    chosen = parser.parse_args()
    began = time.perf_counter()
    if not load_files(chosen.source):
        print(f"{chosen.source}: raw data absent (see data/sources/{chosen.source}/source.yaml); nothing measured")
        return
    with tempfile.TemporaryDirectory() as folder:
        found = compared(chosen.source, Path(folder))
    Console(width=140, highlight=False).print(told(found))
    print(f"{time.perf_counter() - began:.0f} s; intervals: 95 %, {RESAMPLES:,} resamples of clients; differences paired")
    if chosen.json:
        write_json(chosen.json, found)


def load_files(name: str) -> bool:
    """Whether the source's raw files are on this machine."""
    source = load_source(name)
    return all((source.folder / raw.path).exists() for raw in source.spec.files.values())


if __name__ == "__main__":
    sys.exit(main())

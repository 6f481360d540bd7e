"""Out-of-time predictions -> data/<source>/evaluate/<target>/: figures with intervals beside the baselines, curves, predictions.

    predictions.parquet  target, client_id, as_of, fold, label, probability: every out-of-time prediction
    metrics.json         data_version; training; and for `test` and `origins` (the rolling ones): the population, then `model`, `recency`,
                         `rfm`, `model_minus_recency`, `model_minus_rfm` and `unseen_clients`, each measure as {value, low, high} with
                         the 95 % interval of a bootstrap over clients
    plots/               gain.csv, calibration.csv (for `dvc plots`), gain.png, calibration.png; all of the test period

`unseen_clients` judges the same snapshots by those members only that never saw the client: how the model does on clients it does not know.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from models.backtest import TEST
from models.metrics import INTERVAL, MEASURES, Judged, calibration_curve, figures, gain_curve, prevalence
from pipeline.settings import Settings
from pipeline.source import selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_json, read_parquet, write_json, write_parquet, write_text
from pipeline.train import chosen_target

PREDICTIONS = pa.schema(
    [
        ("target", pa.string()),
        ("client_id", pa.string()),
        ("as_of", pa.date32()),
        ("fold", pa.string()),
        ("label", pa.int8()),
        ("probability", pa.float64()),
    ]
)
BASELINES = {"recency": "recency_probability", "rfm": "rfm_probability"}
WORDS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier (0 is best)",
    "lift_at_10_percent": "lift at 10 %",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "… in the large",
}


def evaluation(backtest: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """Figures of the test period and of the rolling origins; `origins` is null where there was no room for any."""
    is_test = backtest["fold"] == TEST
    return {
        "test": judgement(backtest[is_test], settings),
        "origins": judgement(backtest[~is_test], settings) if (~is_test).any() else None,
    }


def judgement(rows: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """Model, baselines and paired differences on the same rows and the same resamples of clients."""
    judged = judged_rows(rows, settings)
    by_name, differences = figures(judged, probabilities(rows))
    unseen = rows[rows["unseen_probability"].notna()]
    unseen_figures, _ = figures(judged_rows(unseen, settings), {"unseen_clients": unseen["unseen_probability"].to_numpy(np.float64)})
    return {
        "from": str(rows["as_of"].min()),
        "until": str(rows["as_of"].max()),
        "n_as_ofs": int(rows["as_of"].nunique()),
        "n_rows": len(rows),
        "n_clients": int(rows["client_id"].nunique()),
        "n_churned_clients": int(rows.loc[rows["label"] == 1, "client_id"].nunique()),
        "prevalence": prevalence(judged),
        **by_name,
        **{f"model_minus_{name}": difference for name, difference in differences.items()},
        **unseen_figures,
    }


def judged_rows(rows: pd.DataFrame, settings: Settings) -> Judged:
    """Labels, clients and the resamples of the latter."""
    return Judged.of(rows["label"], rows["client_id"], resamples=settings.train.bootstrap_resamples, seed=settings.seed)


def probabilities(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """What is judged, by name; the model first."""
    named = {"model": "probability"} | BASELINES
    return {name: rows[column].to_numpy(np.float64) for name, column in named.items()}


def write_plots(folder: Path, rows: pd.DataFrame, settings: Settings) -> None:
    """Gain and calibration curves of these rows, as CSV and as PNG."""
    gain = gain_curve(rows["label"].to_numpy(np.float64), probabilities(rows))
    calibration = calibration_curve(judged_rows(rows, settings), rows["probability"].to_numpy(np.float64))
    period = f"as_of {rows['as_of'].min()} to {rows['as_of'].max()}, {len(rows):,} snapshots of {rows['client_id'].nunique():,} clients"
    with folder_written_whole(folder) as temporary:
        write_text(temporary / "gain.csv", gain.to_csv(index=False))
        write_text(temporary / "calibration.csv", calibration.to_csv(index=False))
        draw_gain(temporary / "gain.png", gain, float(rows["label"].mean()), period)
        draw_calibration(temporary / "calibration.png", calibration, period)


def draw_gain(path: Path, gain: pd.DataFrame, share_churned: float, period: str) -> None:
    """Share of the churned clients found against share of clients contacted."""
    axes, save = _axes("Gain: who is found by calling the riskiest first", period)
    for name, label in {"model": "model", "rfm": "windowed RFM + logistic regression", "recency": "recency rule"}.items():
        curve = gain[gain["name"] == name]
        axes.plot(100 * curve["contacted"], 100 * curve["found"], label=label, linewidth=2 if name == "model" else 1.2)
    axes.plot([0, 100 * share_churned, 100], [0, 100, 100], color="0.75", linestyle=":", label="perfect order")
    axes.plot([0, 100], [0, 100], color="0.75", linestyle="--", label="at random")
    axes.set(xlabel="snapshots contacted, riskiest first (%)", ylabel="churned found (%)", xlim=(0, 100), ylim=(0, 101))
    axes.legend(loc="lower right", frameon=False)
    save(path)


def draw_calibration(path: Path, calibration: pd.DataFrame, period: str) -> None:
    """Observed share of churned against mean predicted probability, in bins of equally many snapshots."""
    axes, save = _axes("Calibration: does 30 % predicted happen 30 % of the time?", period)
    shown = calibration.dropna()
    spread = 100 * np.stack([shown["observed"] - shown["low"], shown["high"] - shown["observed"]]).clip(min=0)
    axes.errorbar(
        100 * shown["predicted"], 100 * shown["observed"], yerr=spread, fmt="o-", capsize=2, label="bins of equally many, 95 % interval"
    )
    axes.plot([0, 100], [0, 100], color="0.75", linestyle="--", label="perfectly calibrated")
    top = min(100.0, 100 * float(max(shown["predicted"].max(), shown["high"].max(), 0.05)) + 3)
    axes.set(xlabel="predicted probability of churn (%)", ylabel="churned (%)", xlim=(0, top), ylim=(0, top))
    axes.legend(loc="upper left", frameon=False)
    save(path)


def _axes(title: str, subtitle: str):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure  # here: half a second, needed by nothing else in this stage

    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"{title}\n", loc="left", fontsize=11)
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, fontsize=8, color="0.35")
    axes.spines[["top", "right"]].set_visible(False)

    def save(path: Path) -> None:
        figure.savefig(path, metadata={"Software": None})  # equal curves, equal bytes

    return axes, save


def predictions_table(backtest: pd.DataFrame, target: str) -> pa.Table:
    """The contract's columns of every out-of-time prediction, by fold, as_of and client."""
    named = backtest.assign(target=target)[PREDICTIONS.names]
    return pa.Table.from_pandas(named, schema=PREDICTIONS, preserve_index=False).replace_schema_metadata(None)


PARTS = (
    {"model": "model", "recency": "recency rule", "rfm": "windowed RFM"},
    {"model_minus_recency": "model − recency", "model_minus_rfm": "model − RFM", "unseen_clients": "unseen clients"},
)


def told(found: Mapping[str, Any]) -> Group:
    """The test period's figures for the terminal: what each does, and the paired differences; both fit in 90 columns."""
    test = found["test"]
    caption = (
        f"test: as_of {test['from']} to {test['until']}, {test['n_rows']:,} snapshots of {test['n_clients']:,} clients, "
        f"{test['n_churned_clients']:,} of whom churned;\nin brackets: {INTERVAL[1] - INTERVAL[0]:.0f} % interval over clients; "
        f"data {found['data_version'][:12]}"
    )
    return Group(*(_part(test, headings) for headings in PARTS), caption)


def _part(test: Mapping[str, Any], headings: Mapping[str, str]) -> Table:
    table = Table(pad_edge=False, box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True, min_width=max(map(len, WORDS.values())))
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True, min_width=23)
    for measure in MEASURES:
        table.add_row(WORDS[measure], *(shown(test[part][measure], is_difference="minus" in part) for part in headings))
    return table


def in_one_line(test: Mapping[str, Any]) -> str:
    """The AUCs of the test period."""
    parts = (
        f"{name} {shown(test[key]['auc'])}" for key, name in (("model", "model"), ("recency", "recency rule"), ("rfm", "windowed RFM"))
    )
    return f"AUC on {test['n_rows']:,} test snapshots: {', '.join(parts)}"


def shown(figure: Mapping[str, float | None], *, is_difference: bool = False) -> str:
    """A figure with its interval; a dash where it is not defined.

    >>> shown({"value": 0.7215, "low": 0.7, "high": 0.74})
    '0.722 [0.700, 0.740]'
    """
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return "–"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" if is_difference else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """data/<source>/train/<target> -> data/<source>/evaluate/<target>."""
    source = selected_source()
    target = chosen_target(source)
    training, folder = source.output / "train" / target, source.output / "evaluate" / target
    backtest = read_parquet(training / "backtest.parquet").to_pandas()
    facts = read_json(training / "training.json")
    found = {
        "target": target,
        "data_version": data_version(source.output / "validate"),
        **evaluation(backtest, source.settings),
        "training": facts["evaluated"],
    }
    write_parquet(folder / "predictions.parquet", predictions_table(backtest, target))
    write_plots(folder / "plots", backtest[backtest["fold"] == TEST], source.settings)
    write_json(folder / "metrics.json", found)
    console.print(in_one_line(found["test"]))  # `make train` ends with the whole table (pipeline/summary.py)
    if not facts["evaluated"]["is_reliable"]:
        console.print(f"[bold]not to be relied upon[/bold]: {facts['evaluated']['size_reason']}")


if __name__ == "__main__":
    stage("evaluate", main)

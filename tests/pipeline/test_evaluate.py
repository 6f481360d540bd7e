"""The evaluate stage: the contract of predictions.parquet, every figure with its interval beside the baselines, curves as CSV and PNG."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.metrics import MEASURES
from pipeline import evaluate
from pipeline.tables import read_json

PARTS = ("model", "recency", "rfm", "model_minus_recency", "model_minus_rfm", "unseen_clients")


@pytest.fixture
def evaluated(small, monkeypatch):
    """The stage run as a command."""
    monkeypatch.setattr("sys.argv", ["evaluate", "churn"])
    monkeypatch.setattr(evaluate, "selected_source", lambda: small.source)
    evaluate.main()
    return small.source.output / "evaluate" / "churn"


def test_predictions_keep_to_the_contract(evaluated):
    table = pq.read_table(evaluated / "predictions.parquet")
    assert table.schema == pa.schema(
        [
            ("target", pa.string()),
            ("client_id", pa.string()),
            ("as_of", pa.date32()),
            ("fold", pa.string()),
            ("label", pa.int8()),
            ("probability", pa.float64()),
        ]
    )
    predictions = table.to_pandas()
    assert set(predictions["target"]) == {"churn"}
    assert predictions["fold"].nunique() == 2
    assert not predictions.duplicated(["client_id", "as_of"]).any()
    assert not predictions.isna().any().any()


def test_every_figure_has_an_interval_and_stands_beside_the_baselines(evaluated):
    metrics = read_json(evaluated / "metrics.json")
    assert len(metrics["data_version"]) == 64
    for period in ("test", "origins"):
        for part in PARTS:
            assert list(metrics[period][part]) == list(MEASURES)
            for measure, figure in metrics[period][part].items():
                if part == "unseen_clients" and figure["value"] is None:
                    continue  # so few members that no leaver is unknown to any of them
                assert figure["low"] <= figure["high"], (period, part, measure)
                assert figure["low"] <= figure["value"] <= figure["high"] or part != "model", (period, part, measure)
    test = metrics["test"]
    assert test["n_rows"] == test["n_clients"] > 20
    assert test["prevalence"]["value"] == pytest.approx(test["n_churned_clients"] / test["n_clients"])
    difference = test["model"]["auc"]["value"] - test["recency"]["auc"]["value"]
    assert test["model_minus_recency"]["auc"]["value"] == pytest.approx(difference)


def test_curves_are_written_for_dvc_and_drawn(evaluated):
    gain = pd.read_csv(evaluated / "plots" / "gain.csv")
    calibration = pd.read_csv(evaluated / "plots" / "calibration.csv")
    assert set(gain["name"]) == {"model", "recency", "rfm"}
    assert gain.groupby("name")["found"].last().to_list() == [1.0, 1.0, 1.0]
    assert list(calibration.columns) == ["bin", "n_rows", "predicted", "observed", "low", "high"]
    for name in ("gain.png", "calibration.png"):
        assert (evaluated / "plots" / name).read_bytes().startswith(b"\x89PNG")


def test_a_second_run_gives_equal_bytes(evaluated):
    before = {path.name: path.read_bytes() for path in evaluated.rglob("*") if path.is_file()}
    evaluate.main()
    assert {path.name: path.read_bytes() for path in evaluated.rglob("*") if path.is_file()} == before
    assert set(before) == {"predictions.parquet", "metrics.json", "gain.csv", "calibration.csv", "gain.png", "calibration.png"}


def test_a_history_without_room_for_origins_has_none(small):
    backtest = pq.read_table(small.source.output / "train" / "churn" / "backtest.parquet").to_pandas()
    found = evaluate.evaluation(backtest[backtest["fold"] == "test"], small.source.settings)
    assert found["origins"] is None


def test_a_test_period_in_which_nobody_left_has_no_ranking_and_says_so_by_a_dash(small):
    backtest = pq.read_table(small.source.output / "train" / "churn" / "backtest.parquet").to_pandas()
    found = evaluate.evaluation(backtest.assign(label=0), small.source.settings)
    assert found["test"]["model"]["auc"] == {"value": None, "low": None, "high": None}
    assert found["test"]["model"]["brier"]["value"] is not None
    assert evaluate.shown(found["test"]["model"]["auc"]) == "–"


def test_the_table_for_the_terminal_shows_model_and_baselines(evaluated):
    from rich.console import Console

    console = Console(width=100, record=True)
    console.print(evaluate.told(read_json(evaluated / "metrics.json")))
    text = console.export_text()
    assert "model − recency" in text
    assert "lift at 10 %" in text


def test_a_difference_carries_its_sign():
    assert evaluate.shown({"value": 0.01, "low": -0.02, "high": 0.04}, is_difference=True) == "+0.010 [-0.020, +0.040]"

"""The evaluate stage: predictions by contract, every figure with its interval beside the baselines, plots, a card, and a counted read."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_business import verdicts_at_random

from models.metrics import MEASURES
from pipeline import evaluate, summary
from pipeline.tables import read_json, write_json
from pipeline.traits import traits_of
from pipeline.wording import words_of

PARTS = ("model", "recency", "rfm", "model_minus_recency", "model_minus_rfm", "unseen_clients")
PLOTS = ("gain", "lift", "reliability", "backtest", "slices", "decay", "importance")


@pytest.fixture
def evaluated(small, monkeypatch):
    """The stage run as a command."""
    monkeypatch.setattr("sys.argv", ["evaluate", "churn"])
    monkeypatch.setattr(evaluate, "selected_source", lambda: small.source)
    evaluate.main()
    return small.source.output / "evaluate" / "churn"


def evaluated_with(small, **changes):
    """The figures where train had left other things: changes of Predicted's parts."""
    predicted = evaluate.read_predicted(small.source.output / "train" / "churn")
    parts = {name: getattr(predicted, name) for name in ("backtest", "later", "horizons", "facts")} | changes
    predicted = evaluate.Predicted(**parts)
    traits = traits_of(predicted.backtest, small.source.output, small.source.settings.evaluate)
    return evaluate.evaluation(predicted, traits, small.source.settings, words_of(small.source, "churn"))


def backtest_of(small) -> pd.DataFrame:
    return evaluate.read_predicted(small.source.output / "train" / "churn").backtest


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
                if figure["value"] is None and (part == "unseen_clients" or measure == "value_lift_at_10_percent"):
                    continue  # so few members that no leaver is unknown to any of them; this business has no invoices
                assert figure["low"] <= figure["high"], (period, part, measure)
    test = metrics["test"]
    assert test["n_rows"] == test["n_clients"] > 20
    assert test["prevalence"]["value"] == pytest.approx(test["n_churned_clients"] / test["n_clients"])
    assert test["model"]["value_lift_at_10_percent"]["value"] is None


def test_figures_stand_by_origin_slice_age_and_horizon(evaluated):
    metrics = read_json(evaluated / "metrics.json")
    assert [own["is_test"] for own in metrics["by_origin"]] == [False, True]
    assert metrics["validation_gap"]["size"] == pytest.approx(abs(metrics["validation_gap"]["rolling_minus_test"]["value"]))
    assert {own["trait"] for own in metrics["slices"]["slices"]} == {"size", "tenure", "history"}
    assert set(metrics["slices"]["left_out"]) == {"segment", "language"}  # this business has no clients table
    assert metrics["decay"]
    main = next(own for own in metrics["horizons"] if own["horizon_days"] == 60)
    assert main["test"]["auc"]["value"] == pytest.approx(metrics["test"]["model"]["auc"]["value"])


def test_curves_are_written_for_dvc_and_drawn(evaluated):
    gain = pd.read_csv(evaluated / "plots" / "gain.csv")
    assert set(gain["name"]) == {"model", "recency", "rfm"}
    assert gain.groupby("name")["found"].last().to_list() == [1.0, 1.0, 1.0]
    for name in PLOTS:
        assert (evaluated / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        pd.read_csv(evaluated / "plots" / f"{name}.csv")


def test_a_second_run_gives_equal_bytes(evaluated):
    before = {path.name: path.read_bytes() for path in evaluated.rglob("*") if path.is_file()}
    evaluate.main()
    assert {path.name: path.read_bytes() for path in evaluated.rglob("*") if path.is_file()} == before
    assert set(before) == {
        "predictions.parquet",
        "metrics.json",
        "model_card.md",
        *(f"{name}.{end}" for name in PLOTS for end in ("csv", "png")),
    }


def test_each_evaluation_is_a_read_of_the_final_period_and_the_same_model_is_one(evaluated, small, capsys):
    log = small.root / ".mlflow" / "reads" / "alpha-churn.jsonl"
    evaluate.main()
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["from_on"] == read_json(evaluated / "metrics.json")["test"]["from"]
    assert "this final period has been read by this model alone" in capsys.readouterr().out
    facts = read_json(small.source.output / "train" / "churn" / "training.json")
    changed = facts | {"model_hash": "another", "evaluated_hash": "another"}
    (small.source.output / "train" / "churn" / "training.json").write_text(json.dumps(changed))
    before = (evaluated / "metrics.json").read_bytes()
    evaluate.main()
    assert "has now been read by 2 models; each further look makes its figures less honest" in capsys.readouterr().out
    assert (evaluated / "metrics.json").read_bytes() == before
    assert "client-29" not in log.read_text()


def test_a_history_without_room_for_origins_has_none(small):
    backtest = backtest_of(small)
    found = evaluated_with(small, backtest=backtest[backtest["fold"] == "test"].reset_index(drop=True), later=None, horizons=None)
    assert found["origins"] is None
    assert (found["decay"], found["horizons"]) == ([], [])
    assert found["validation_gap"]["size"] is None
    assert [own["is_test"] for own in found["by_origin"]] == [True]


def test_a_test_period_in_which_nobody_left_has_no_ranking_and_says_so_by_a_dash(small):
    found = evaluated_with(small, backtest=backtest_of(small).assign(label=0))
    assert found["test"]["model"]["auc"] == {"value": None, "low": None, "high": None}
    assert found["test"]["model"]["brier"]["value"] is not None
    assert evaluate.shown(found["test"]["model"]["auc"]) == "–"
    assert found["grade"]["level"] in ("unknown", "unreliable")
    assert found["slices"]["n_comparisons"] == 0


def test_values_weight_the_lift_where_there_are_any(small):
    backtest = backtest_of(small)
    found = evaluated_with(small, backtest=backtest.assign(value=[float(place) for place in range(len(backtest))]))
    assert found["test"]["model"]["value_lift_at_10_percent"]["value"] is not None
    assert found["slices"]["about"]["size"] == "thirds by revenue of the last year"


def test_a_difference_carries_its_sign():
    assert evaluate.shown({"value": 0.01, "low": -0.02, "high": 0.04}, is_difference=True) == "+0.010 [-0.020, +0.040]"


# ---- misfit -----------------------------------------------------------------------------------------------------------------------


def test_misfit_stands_beside_its_own_rule_and_is_judged_where_that_says_nothing(small):
    found = read_json(small.source.output / "evaluate" / "misfit" / "metrics.json")
    assert found["basis"] == "marked"
    assert list(found["test"]["same_rule"]) == list(found["test"]["model_minus_same_rule"]) == list(MEASURES)
    assert "thin_margin" not in found["test"]  # this business has no invoices
    beyond = found["beyond_rule"]
    assert beyond["n_rows_that_meet_it"] > 0
    assert 0 < beyond["test"]["n_rows"] <= found["test"]["n_rows"]
    backtest = evaluate.read_predicted(small.source.output / "train" / "misfit").backtest
    assert beyond["n_rows_that_meet_it"] == (backtest["same_rule"] == 1).sum()
    card = (small.source.output / "evaluate" / "misfit" / "model_card.md").read_text()
    assert "a client that nobody marked counts as none" in card
    assert [own["horizon_days"] for own in found["horizons"]] == [60]  # it answers the main horizon only
    churn = read_json(small.source.output / "evaluate" / "churn" / "metrics.json")
    assert churn["beyond_rule"] is None
    assert "basis" not in churn


def test_verdicts_at_random_stand_beside_misfits_assumption_in_figures_card_and_summary(small, capsys):
    folder = small.source.output / "evaluate" / "misfit"
    assert read_json(folder / "metrics.json")["review_estimate"] is None
    with verdicts_at_random(small.source) as (n_misfits, n):
        evaluate.evaluate(small.source, "misfit")
    found = read_json(folder / "metrics.json")["review_estimate"]
    assert (found["misfits"]["n_positive"], found["misfits"]["n"]) == (n_misfits, n)
    assert found["misfits"]["low"] <= found["misfits"]["value"] <= found["misfits"]["high"]
    assert found["labelled"]["n"] > 0
    assert "\n" + "\n".join(f"  - {line}" for line in found["words"]) + "\n" in (folder / "model_card.md").read_text()
    for target in ("churn", "misfit"):
        written = {"model": small.source.registered(target), "version": 1, "role": "champion"}
        write_json(small.source.output / "register" / target / "registration.json", written)
    summary.summarise(small.source)
    assert " ".join(found["words"]) in " ".join(capsys.readouterr().out.split())
    assert "review_estimate" not in read_json(small.source.output / "evaluate" / "churn" / "metrics.json")


def test_the_terminal_says_how_it_does_where_the_rule_says_nothing(small, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evaluate", "misfit"])
    monkeypatch.setattr(evaluate, "selected_source", lambda: small.source)
    evaluate.main()
    told = capsys.readouterr().out
    assert "same rule, last window" in told
    assert "of them that do not meet the same rule already" in told


def test_where_there_is_no_model_the_outputs_say_why(small, monkeypatch, capsys):
    facts = {"target": "misfit", "basis": "policy", "no_model": "nobody is [marked]"}
    write_json(small.source.output / "train" / "misfit" / "training.json", facts)
    monkeypatch.setattr("sys.argv", ["evaluate", "misfit"])
    monkeypatch.setattr(evaluate, "selected_source", lambda: small.source)
    evaluate.main()
    folder = small.source.output / "evaluate" / "misfit"
    found = read_json(folder / "metrics.json")
    assert {name: found[name] for name in facts} == facts
    assert len(found["data_version"]) == 64
    assert pq.read_table(folder / "predictions.parquet").num_rows == 0
    assert [path.name for path in (folder / "plots").iterdir()] == ["README.txt"]
    assert "nobody is [marked]" in (folder / "model_card.md").read_text()
    assert "no misfit model: nobody is [marked]" in capsys.readouterr().out

"""Figures by period, origin, age and horizon: what stands beside what, on which rows, and what is said where there is nothing to judge."""

import datetime

import numpy as np
import pandas as pd
import pytest

from models.judgement import Rules, beyond_rule, by_horizon, by_origin, decay, of_period, validation_gap
from models.metrics import MEASURES

RULES = Rules(resamples=60, seed=1, capacity=3)
UNDEFINED = {"value": None, "low": None, "high": None}


def month(number: int) -> datetime.date:
    return datetime.date(2025, number, 1)


def predictions(fold: str, as_of: datetime.date, n_clients: int = 80, seed: int = 1) -> pd.DataFrame:
    """One as_of of a fold: the probability knows the risk, the rules less of it; a fifth of the clients was seen by all members."""
    random = np.random.default_rng([seed, as_of.month])
    log_odds = random.normal(-1, 1.5, n_clients)
    probability = 1 / (1 + np.exp(-log_odds))
    vague = 1 / (1 + np.exp(-(log_odds + random.normal(0, 3, n_clients)) / 3))
    return pd.DataFrame(
        {
            "fold": fold,
            "client_id": [f"client {number}" for number in range(n_clients)],
            "as_of": as_of,
            "label": (random.random(n_clients) < probability).astype(np.int8),
            "probability": probability,
            "unseen_probability": np.where(np.arange(n_clients) % 5 == 0, np.nan, probability),
            "recency_probability": vague,
            "rfm_probability": vague,
            "value": 100.0,
        }
    )


@pytest.fixture(scope="module")
def backtest() -> pd.DataFrame:
    """Two rolling origins and a test period of two as_ofs."""
    folds = [("2025-01-01", month(1)), ("2025-03-01", month(3)), ("test", month(7)), ("test", month(8))]
    return pd.concat([predictions(fold, as_of) for fold, as_of in folds], ignore_index=True)


FOLDS = [
    {"fold": "2025-01-01", "calibrated_on": "out-of-bag", "oob_auc": 0.9},
    {"fold": "2025-03-01", "calibrated_on": "out-of-bag", "oob_auc": None},
    {"fold": "test", "calibrated_on": "rolling", "oob_auc": 0.8},
]


def test_a_period_has_every_measure_of_model_and_baselines_and_their_differences(backtest):
    found = of_period(backtest[backtest["fold"] == "test"], RULES)
    for part in ("model", "recency", "rfm", "model_minus_recency", "model_minus_rfm", "unseen_clients"):
        assert list(found[part]) == list(MEASURES)
    assert (found["from"], found["until"], found["n_as_ofs"], found["n_rows"], found["n_clients"]) == (
        "2025-07-01",
        "2025-08-01",
        2,
        160,
        80,
    )
    difference = found["model"]["auc"]["value"] - found["recency"]["auc"]["value"]
    assert found["model_minus_recency"]["auc"]["value"] == pytest.approx(difference)
    assert found["at_capacity"]["capacity"] == found["at_capacity"]["contacted"] == 3
    assert found["at_capacity"]["found_by_chance"]["value"] == pytest.approx(3 * found["prevalence"]["value"])


def test_a_team_that_can_contact_more_than_there_are_contacts_all(backtest):
    rows = backtest[backtest["fold"] == "2025-01-01"]
    found = of_period(rows, Rules(resamples=50, seed=1, capacity=500))
    assert found["at_capacity"]["contacted"] == 80
    assert found["model"]["lift_at_capacity"]["value"] == pytest.approx(1.0)


def test_origins_stand_in_their_order_each_with_its_calibration_and_its_promise(backtest):
    found = by_origin(backtest, FOLDS, "test", RULES)
    assert [own["fold"] for own in found] == ["2025-01-01", "2025-03-01", "test"]
    assert [own["is_test"] for own in found] == [False, False, True]
    assert [own["oob_auc"] for own in found] == [0.9, None, 0.8]
    assert found[0]["calibrated_on"] == "out-of-bag"
    assert found[0]["auc"]["low"] <= found[0]["auc"]["value"] <= found[0]["auc"]["high"]
    assert found[0]["n_rows"] == 80
    assert found[2]["n_rows"] == 160


def test_an_origin_of_one_class_has_a_brier_score_and_no_ranking(backtest):
    found = by_origin(backtest.assign(label=np.where(backtest["fold"] == "2025-01-01", 0, backtest["label"])), FOLDS, "test", RULES)
    assert found[0]["auc"] == UNDEFINED
    assert found[0]["brier"]["value"] is not None
    assert found[1]["auc"]["value"] is not None


def test_the_gap_is_between_rolling_origins_and_test_and_between_promise_and_what_came(backtest):
    origins = by_origin(backtest, FOLDS, "test", RULES)
    gap = validation_gap(backtest, backtest["fold"] == "test", origins, RULES)
    difference = gap["rolling_minus_test"]["value"]
    assert difference == pytest.approx(gap["rolling_auc"] - gap["test_auc"])
    assert gap["size"] == pytest.approx(abs(difference))
    assert gap["rolling_minus_test"]["low"] <= difference <= gap["rolling_minus_test"]["high"]
    promised = [own["difference"] and own["difference"]["value"] for own in gap["oob_minus_realised"]]
    assert promised == [pytest.approx(0.9 - origins[0]["auc"]["value"]), None, pytest.approx(0.8 - origins[2]["auc"]["value"])]
    assert gap["oob_mean_difference"] == pytest.approx((promised[0] + promised[2]) / 2)
    assert gap["oob_mean_size"] == pytest.approx((abs(promised[0]) + abs(promised[2])) / 2)


def test_without_origins_there_is_no_gap_to_the_test(backtest):
    test = backtest[backtest["fold"] == "test"]
    gap = validation_gap(test, test["fold"] == "test", by_origin(test, FOLDS, "test", RULES), RULES)
    assert (gap["rolling_minus_test"], gap["size"]) == (None, None)
    assert len(gap["oob_minus_realised"]) == 1


def test_aged_models_stand_by_month_and_beside_the_fresh_one_where_there_is_one(backtest):
    """The model of January on February and March; in March a fresh one was made."""
    aged = pd.concat([predictions("2025-01-01", month(2)), predictions("2025-01-01", month(3))], ignore_index=True)
    later = aged.assign(days_on=[(on - month(1)).days for on in aged["as_of"]], probability=1 - aged["probability"])
    found = decay(later[["fold", "client_id", "as_of", "days_on", "label", "probability"]], backtest, RULES)
    assert [own["months"] for own in found] == [1, 2]
    assert found[0]["paired"] is None
    paired = found[1]["paired"]
    assert paired["n_rows"] == 80
    assert paired["fresh"]["auc"]["value"] == pytest.approx(1 - paired["aged"]["auc"]["value"])  # this aged model has all turned round
    assert paired["aged_minus_fresh"]["auc"]["high"] < 0


@pytest.mark.parametrize("later", [None, pd.DataFrame(columns=["fold", "client_id", "as_of", "days_on", "label", "probability"])])
def test_without_later_rows_nothing_is_known_of_decay(backtest, later):
    assert decay(later, backtest, RULES) == []


def test_each_horizon_is_judged_on_the_rows_whose_label_is_known(backtest):
    main = backtest.assign(horizon_days=90, label=backtest["label"].astype(float))
    long = main.assign(horizon_days=180, label=np.where(main["as_of"] == month(8), np.nan, main["label"]))
    found = by_horizon(pd.concat([long, main], ignore_index=True), "test", RULES)
    assert [own["horizon_days"] for own in found] == [90, 180]
    assert [own["test"]["n_rows"] for own in found] == [160, 80]
    assert [own["origins"]["n_rows"] for own in found] == [160, 160]
    assert found[0]["origins"]["auc"] == of_period(backtest[backtest["fold"] != "test"], RULES)["model"]["auc"]


def test_a_horizon_longer_than_the_data_has_no_figures_and_no_horizons_are_no_error(backtest):
    only_early = backtest.assign(horizon_days=180, label=np.where(backtest["fold"] == "test", np.nan, backtest["label"]))
    assert by_horizon(only_early, "test", RULES)[0]["test"] is None
    assert by_horizon(only_early.assign(label=np.nan), "test", RULES) == []
    assert by_horizon(None, "test", RULES) == []


def test_of_very_many_rows_whole_clients_are_drawn_the_same_each_time(monkeypatch, backtest):
    monkeypatch.setattr("models.judgement.MOST_ROWS", 160)
    assert RULES.some(backtest.head(160)).all()
    kept = RULES.some(backtest)  # 320 rows of 80 clients
    assert kept.sum() == 160
    assert set(backtest.loc[kept, "client_id"]).isdisjoint(backtest.loc[~kept, "client_id"])
    assert (RULES.some(backtest) == kept).all()


def test_a_target_with_a_rule_of_its_own_is_judged_beside_it_and_where_the_rule_says_nothing(backtest):
    meets = (backtest["client_id"].str[-1] == "7").astype(float)  # a tenth of the clients
    meets[backtest["client_id"] == "client 8"] = np.nan  # unknown is not met
    with_rule = backtest.assign(same_rule=meets, same_rule_probability=0.2 + 0.3 * (meets == 1))
    is_test = backtest["fold"] == "test"
    assert with_rule.pipe(lambda rows: of_period(rows[is_test], RULES))["same_rule"]["auc"]["value"] is not None
    found = beyond_rule(with_rule, is_test, RULES)
    assert found is not None
    assert (found["rule"], found["n_rows_that_meet_it"]) == ("same_rule", 4 * 8)
    assert (found["test"]["n_rows"], found["origins"]["n_rows"]) == (2 * 72, 2 * 72)
    assert found["test"]["same_rule"]["auc"]["value"] == 0.5  # there the rule says the same of all
    nowhere = beyond_rule(with_rule.assign(same_rule=1.0), is_test, RULES)
    assert (nowhere["test"], nowhere["origins"]) == (None, None)


def test_a_target_without_a_rule_of_its_own_has_no_such_figures(backtest):
    assert beyond_rule(backtest, backtest["fold"] == "test", RULES) is None
    assert "same_rule" not in of_period(backtest, RULES)

"""Figures by hand, against scikit-learn as oracle, and their intervals: clients are resampled, differences are paired."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from models.metrics import (
    MEASURES,
    Judged,
    Ranking,
    auc,
    average_precision,
    calibration_curve,
    figures,
    gain_curve,
    log_odds_of,
    prevalence,
)


def judged(label, clients=None, resamples=100):
    return Judged.of(label, np.arange(len(label)) if clients is None else clients, resamples=resamples, seed=1)


def values(label, probability, **kwargs):
    by_name, _ = figures(judged(label, **kwargs), {"model": np.asarray(probability, float)})
    return {measure: figure["value"] for measure, figure in by_name["model"].items()}


def test_a_perfect_order():
    found = values([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.8, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1])
    assert found["auc"] == 1.0
    assert found["average_precision"] == 1.0
    assert found["lift_at_10_percent"] == pytest.approx(5.0)  # the top tenth holds one of two leavers: half of them in a tenth
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 2 * 0.09 + 2 * 0.04 + 4 * 0.01) / 10)


def test_a_constant_prediction_ranks_nobody():
    found = values([1, 0, 0, 0, 1], [0.4] * 5)
    assert found["auc"] == 0.5
    assert found["average_precision"] == pytest.approx(0.4)
    assert found["lift_at_10_percent"] == pytest.approx(1.0)
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] == pytest.approx(0.0, abs=1e-6)


def test_one_class_alone_has_no_ranking_but_a_brier_score():
    found = values([0, 0, 0], [0.1, 0.2, 0.3])
    assert (found["auc"], found["average_precision"], found["lift_at_10_percent"], found["calibration_slope"]) == (None, None, None, None)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.09) / 3)


def test_figures_are_those_of_scikit_learn_ties_included():
    random = np.random.default_rng(1)
    probability = random.random(500).round(2)
    label = (random.random(500) < probability).astype(float)
    found = values(label, probability)
    assert found["auc"] == pytest.approx(roc_auc_score(label, probability), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(label, probability), abs=1e-12)
    assert found["brier"] == pytest.approx(brier_score_loss(label, probability), abs=1e-12)
    oracle = LogisticRegression(C=1e9, tol=1e-10).fit(log_odds_of(probability)[:, None], label)
    assert found["calibration_slope"] == pytest.approx(oracle.coef_[0, 0], abs=1e-4)


def test_every_resample_is_as_if_its_clients_were_written_out():
    """The weighted figures of each resample equal scikit-learn's on the drawn rows, clients and all."""
    random = np.random.default_rng(2)
    clients = np.repeat(np.arange(40), 3)
    probability = random.random(120).round(1)
    label = (random.random(120) < probability).astype(float)
    rows = judged(label, clients, resamples=5)
    for place, draws in enumerate(rows.draws):
        written = np.repeat(np.arange(120), draws[rows.client].astype(int))
        weight = rows.draws[[place]][:, rows.client]
        ranked = Ranking.of(probability).above(weight, label)
        assert auc(ranked)[0] == pytest.approx(roc_auc_score(label[written], probability[written]), abs=1e-12)
        assert average_precision(ranked)[0] == pytest.approx(average_precision_score(label[written], probability[written]), abs=1e-12)


def test_a_model_twice_as_sure_as_it_should_be_has_slope_one_half():
    random = np.random.default_rng(3)
    log_odds = random.normal(-1, 1, 50_000)
    label = random.random(50_000) < 1 / (1 + np.exp(-log_odds))
    found = values(label.astype(float), 1 / (1 + np.exp(-2 * log_odds)), resamples=0)
    assert found["calibration_slope"] == pytest.approx(0.5, abs=0.02)


def test_copies_of_snapshots_do_not_narrow_an_interval():
    random = np.random.default_rng(4)
    probability = random.random(100)
    label = (random.random(100) < probability).astype(float)
    once, _ = figures(judged(label, resamples=400), {"model": probability})
    copied, _ = figures(judged(np.tile(label, 10), np.tile(np.arange(100), 10), resamples=400), {"model": np.tile(probability, 10)})
    assert copied["model"]["auc"] == {key: pytest.approx(value, abs=1e-9) for key, value in once["model"]["auc"].items()}


def test_an_interval_covers_what_it_should():
    """Of 60 samples of 200 clients, about 95 % of the intervals hold the true AUC."""
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(60):
        score = random.normal(size=200)
        label = (random.random(200) < 1 / (1 + np.exp(-score))).astype(float)
        figure = figures(judged(label, resamples=200), {"model": 1 / (1 + np.exp(-score))})[0]["model"]["auc"]
        covered += figure["low"] <= 0.7399 <= figure["high"]  # the AUC of this world, from ten million draws
    assert covered >= 52


def test_differences_are_paired():
    """Two models that differ in one row differ by far less than their intervals are wide."""
    random = np.random.default_rng(6)
    model = random.random(300)
    label = (random.random(300) < model).astype(float)
    other = model.copy()
    other[0] = 1 - other[0]
    by_name, differences = figures(judged(label), {"model": model, "other": other})
    width = by_name["model"]["auc"]["high"] - by_name["model"]["auc"]["low"]
    paired = differences["other"]["auc"]
    assert paired["value"] == pytest.approx(by_name["model"]["auc"]["value"] - by_name["other"]["auc"]["value"])
    assert paired["high"] - paired["low"] < width / 5


def test_nothing_to_judge_gives_nulls():
    by_name, _ = figures(judged([]), {"model": np.zeros(0)})
    assert by_name["model"] == {measure: {"value": None, "low": None, "high": None} for measure in MEASURES}


def test_the_share_of_leavers_has_an_interval_too():
    figure = prevalence(judged([1, 0, 0, 0] * 25))
    assert figure["value"] == 0.25
    assert 0.15 < figure["low"] < 0.25 < figure["high"] < 0.36


def test_the_gain_curve_runs_from_nobody_to_everybody():
    curve = gain_curve(np.array([1.0, 0, 0, 0]), {"model": np.array([0.9, 0.1, 0.2, 0.3])}, n_points=4)
    assert curve.to_dict("list") == {"name": ["model"] * 5, "contacted": [0.0, 0.25, 0.5, 0.75, 1.0], "found": [0.0, 1.0, 1.0, 1.0, 1.0]}


def test_the_calibration_curve_has_bins_of_equal_size():
    probability = np.repeat([0.1, 0.5], 50)
    label = np.array([1.0] * 5 + [0.0] * 45 + [1.0] * 30 + [0.0] * 20)
    curve = calibration_curve(judged(label), probability, n_bins=2)
    assert curve["n_rows"].tolist() == [50, 50]
    assert curve["predicted"].tolist() == pytest.approx([0.1, 0.5])
    assert curve["observed"].tolist() == pytest.approx([0.1, 0.6])
    assert (curve["low"] < curve["observed"]).all()


def test_intervals_of_ten_thousand_rows_take_seconds():
    random = np.random.default_rng(7)
    probability = random.random(10_000)
    label = (random.random(10_000) < probability).astype(float)
    clients = np.repeat(np.arange(2_500), 4)
    began = time.process_time()
    figures(judged(label, clients, resamples=100), {"model": probability, "other": random.random(10_000)})
    assert time.process_time() - began < 10  # one on an idle machine: 300 resamples take three

"""Figures by hand, against scikit-learn as oracle, and their intervals: clients are resampled, differences are paired."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from models.metrics import (
    BINS,
    MEASURES,
    Judged,
    Ranking,
    auc,
    average_precision,
    figures,
    log_odds_of,
    measured,
    prevalence,
    recalibration,
)


def judged(label, clients=None, resamples=100, **known):
    return Judged.of(label, np.arange(len(label)) if clients is None else clients, resamples=resamples, seed=1, **known)


def values(label, probability, **kwargs):
    by_name, _ = figures(judged(label, **kwargs), {"model": np.asarray(probability, float)})
    return {measure: figure["value"] for measure, figure in by_name["model"].items()}


def test_a_perfect_order():
    found = values([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.8, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1])
    assert found["auc"] == 1.0
    assert found["average_precision"] == 1.0
    assert found["lift_at_10_percent"] == pytest.approx(5.0)  # the top tenth holds one of two leavers: half of them in a tenth
    assert found["average_precision_over_base_rate"] == pytest.approx(5.0)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 2 * 0.09 + 2 * 0.04 + 4 * 0.01) / 10)
    assert found["brier_skill"] == pytest.approx(1 - 0.035 / 0.16)
    assert found["predicted_over_observed"] == pytest.approx(3.1 / 2)


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
    assert (found["brier_skill"], found["predicted_over_observed"], found["average_precision_over_base_rate"]) == (None, None, None)


def test_a_team_s_list_is_judged_within_each_as_of():
    """Two as_ofs, one name each: the first is right, the second wrong, though its right one ranks above the first's of all."""
    label = [1, 0, 0, 0, 0, 1, 0, 0]
    probability = [0.2, 0.1, 0.1, 0.1, 0.9, 0.8, 0.1, 0.1]
    found = values(label, probability, as_ofs=["a"] * 4 + ["b"] * 4, capacity=1)
    assert found["found_at_capacity"] == 0.5  # leavers per as_of
    assert found["lift_at_capacity"] == pytest.approx(2.0)  # one found of two named, where a random name is right one time in four


def test_a_tie_across_the_border_of_a_list_counts_in_proportion():
    found = values([1, 1, 0, 0, 0], [0.9, 0.5, 0.5, 0.5, 0.1], as_ofs=["a"] * 5, capacity=2)
    assert found["found_at_capacity"] == pytest.approx(1 + 1 / 3)


def test_a_team_that_can_contact_everybody_finds_everybody():
    found = values([1, 1, 0], [0.1, 0.2, 0.3], as_ofs=["a"] * 3, capacity=20)
    assert (found["found_at_capacity"], found["lift_at_capacity"]) == (2.0, 1.0)


def test_value_lift_counts_money_and_not_heads():
    """Of 20 rows the first two are the riskiest tenth: one leaver of four, who is worth nine tenths of what leaves."""
    label = np.array([1.0, 0, 1, 1, 1] + [0.0] * 15)
    value = np.array([900.0, 5_000, 50, 50, -7] + [1_000.0] * 15)  # a client with more credit than invoices is worth nothing
    probability = np.linspace(0.9, 0.1, 20)
    found = values(label, probability, value=value)
    assert found["value_lift_at_10_percent"] == pytest.approx(9.0)
    assert found["lift_at_10_percent"] == pytest.approx(2.5)


@pytest.mark.parametrize("value", [None, [np.nan] * 4])
def test_without_values_as_ofs_or_capacity_the_measures_that_need_them_are_undefined(value):
    found = values([1, 0, 0, 1], [0.4, 0.3, 0.2, 0.1], value=value)
    assert (found["value_lift_at_10_percent"], found["lift_at_capacity"], found["found_at_capacity"]) == (None, None, None)


def test_values_of_some_clients_count_the_others_as_worth_nothing():
    assert values([1, 1, 0, 0], [0.9, 0.1, 0.1, 0.1], value=[10, np.nan, np.nan, 3])["value_lift_at_10_percent"] == pytest.approx(4.0)


def test_figures_are_those_of_scikit_learn_ties_included():
    random = np.random.default_rng(1)
    probability = random.random(500).round(2)
    label = (random.random(500) < probability).astype(float)
    found = values(label, probability)
    assert found["auc"] == pytest.approx(roc_auc_score(label, probability), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(label, probability), abs=1e-12)
    assert found["brier"] == pytest.approx(brier_score_loss(label, probability), abs=1e-12)
    assert found["brier_skill"] == pytest.approx(1 - brier_score_loss(label, probability) / label.var(), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(label, np.clip(probability, 1e-9, 1 - 1e-9)), abs=1e-9)
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


def test_every_measure_of_every_resample_is_that_of_its_rows_written_out():
    """Capacity, values, errors and calibration too: a resample's figures are those of a data set that holds each drawn row so often."""
    random = np.random.default_rng(8)
    clients, as_ofs = np.repeat(np.arange(30), 3), np.tile(np.array(["a", "b", "c"], object), 30)
    value = random.integers(0, 100, 90).astype(float)
    probability = random.random(90).round(1).clip(0.05, 0.95)
    label = (random.random(90) < probability).astype(float)
    rows = judged(label, clients, resamples=4, as_ofs=as_ofs, capacity=5, value=value)
    found = measured(rows, probability)
    for place, draws in enumerate(rows.draws):
        written = np.repeat(np.arange(90), draws[rows.client].astype(int))
        once = judged(label[written], resamples=0, as_ofs=as_ofs[written], capacity=5, value=value[written])
        assert {name: values[place] for name, values in found.items()} == {
            name: pytest.approx(values[0], abs=1e-5) for name, values in measured(once, probability[written]).items()
        }


def test_lift_at_capacity_is_what_a_loop_over_lists_counts():
    random = np.random.default_rng(9)
    as_ofs, score = random.integers(0, 4, 200), random.permutation(200) / 200.0
    label = (random.random(200) < 0.2).astype(float)
    named = [row for look in range(4) for row in sorted(np.flatnonzero(as_ofs == look), key=lambda row: -score[row])[:7]]
    expected = sum(7 * label[as_ofs == look].mean() for look in range(4))
    found = values(label, score, as_ofs=as_ofs, capacity=7)
    assert found["found_at_capacity"] == pytest.approx(label[named].sum() / 4)
    assert found["lift_at_capacity"] == pytest.approx(label[named].sum() / expected)


def test_slopes_of_many_rows_are_fitted_on_bins_and_those_of_the_rows():
    """The data's own slope is exact; a resample's differs from that of its rows by far less than resamples differ."""
    random = np.random.default_rng(10)
    log_odds = random.normal(-2, 1.5, 5 * BINS)
    label = (random.random(len(log_odds)) < 1 / (1 + np.exp(-0.8 * log_odds))).astype(float)
    probability = 1 / (1 + np.exp(-log_odds))
    rows = judged(label, np.repeat(np.arange(len(label) // 5), 5), resamples=20)
    found = measured(rows, probability, ("calibration_slope", "calibration_intercept"))
    weight = rows.draws[:, rows.client]
    _, slopes = recalibration(weight, weight * label, log_odds_of(probability), with_slope=True)
    intercepts, _ = recalibration(weight, weight * label, log_odds_of(probability), with_slope=False)
    assert found["calibration_slope"][0] == pytest.approx(slopes[0], abs=1e-7)
    assert found["calibration_intercept"][0] == pytest.approx(intercepts[0], abs=1e-7)
    assert np.abs(found["calibration_slope"] - slopes).max() < slopes.std() / 50
    assert np.abs(found["calibration_intercept"] - intercepts).max() < intercepts.std() / 50


def test_parts_are_judged_on_the_draws_of_the_whole():
    rows = judged([1, 0, 1, 0], ["a", "a", "b", "b"], resamples=30)
    part = rows.at(np.array([True, True, False, False]))
    assert part.draws is rows.draws
    assert part.label.tolist() == [1, 0]
    assert measured(part, np.array([0.9, 0.1]), ("auc",))["auc"][0] == 1.0


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


def test_intervals_of_ten_thousand_rows_take_seconds():
    random = np.random.default_rng(7)
    probability = random.random(10_000)
    label = (random.random(10_000) < probability).astype(float)
    clients = np.repeat(np.arange(2_500), 4)
    began = time.process_time()
    figures(judged(label, clients, resamples=100), {"model": probability, "other": random.random(10_000)})
    assert time.process_time() - began < 10  # one on an idle machine: 300 resamples take three


@pytest.mark.parametrize("seed", range(8))
def test_a_slope_of_a_few_leavers_among_small_risks_is_found(seed):
    """Log-odds far from 0 and five leavers: level and slope pull at one another, and clipped steps once went to and fro for ever."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-4, 0.35, 110)
    label = np.zeros(110)
    label[np.argsort(-log_odds + random.normal(0, 0.3, 110))[:5]] = 1.0
    oracle = LogisticRegression(C=1e9, tol=1e-10, max_iter=1_000).fit(log_odds[:, None], label).coef_[0, 0]
    _, slope = recalibration(np.ones((1, 110)), label[None, :], log_odds, with_slope=True)
    assert slope[0] == pytest.approx(np.clip(oracle, -20, 20), rel=0.01)

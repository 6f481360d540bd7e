"""The yardsticks: recency orders by silence whatever the sample says; windowed RFM is a plain logistic regression."""

import numpy as np
import pandas as pd
import pytest

from models.baselines import recency_rule, windowed_rfm, yes_or_no


def silence(days):
    return pd.DataFrame({"recency_days": np.asarray(days, float)})


def test_longer_silence_is_riskier_whatever_the_sample_says():
    days = np.arange(1, 101)
    known, clients = silence(days), days.astype(object)
    for label in ((days > 50).astype(float), (days <= 50).astype(float)):
        asked = recency_rule(known, label, clients, silence([5, 50, 500]), "recency_days")
        assert asked[0] < asked[1] < asked[2]


def test_recency_is_calibrated_on_the_training_rows():
    days = np.tile([10.0, 100.0], 500)
    label = np.where(days > 50, np.arange(1000) % 2, np.arange(1000) % 10 == 0).astype(float)
    found = recency_rule(silence(days), label, np.arange(1000).astype(object), silence([10, 100]), "recency_days")
    assert found == pytest.approx([label[days == 10].mean(), label[days == 100].mean()], abs=0.03)


def test_never_in_contact_counts_as_the_longest_silence():
    days = np.arange(1, 101)
    found = recency_rule(silence(days), (days > 50).astype(float), days.astype(object), silence([np.nan, 100]), "recency_days")
    assert found[0] == found[1]


def test_a_silence_that_is_always_the_same_or_never_known_ranks_nobody():
    label, clients = np.array([0.0, 1, 0, 1]), np.array(list("abcd"), object)
    for days in ([7.0] * 4, [np.nan] * 4):
        assert recency_rule(silence(days), label, clients, silence(days), "recency_days") == pytest.approx([0.5] * 4)


def test_windowed_rfm_learns_its_columns_and_no_other():
    random = np.random.default_rng(1)
    known = pd.DataFrame({"orders_90": random.poisson(5, 2_000).astype(float), "answer": np.nan})
    label = (random.random(2_000) < 1 / (1 + np.exp(known["orders_90"] - 4))).astype(float)
    known["answer"] = label
    asked = pd.DataFrame({"orders_90": [0.0, 4.0, 12.0, np.nan], "answer": [0.0, 1.0, 1.0, 0.0]})
    found = windowed_rfm(known, label, asked, ["orders_90"])
    assert found[0] > 0.9 > found[1] > 0.2 > found[2]
    assert found[1] > found[3] > found[2]  # unknown = the median, five orders


def test_a_rule_says_the_share_of_those_like_it_in_training():
    met = np.repeat([1.0, 0.0, np.nan], 1_000)
    label = np.concatenate([np.arange(1_000) < 400, np.arange(1_000) < 50, np.arange(1_000) < 100]).astype(float)
    assert yes_or_no(met, label, np.array([1.0, 0.0, np.nan])) == pytest.approx([0.4, 0.05, 0.1], abs=0.001)


def test_a_rule_that_nobody_met_in_training_says_the_share_of_all():
    assert yes_or_no(np.zeros(4), np.array([1.0, 0, 0, 0]), np.array([1.0, np.nan])).tolist() == [0.25, 0.25]

"""Traits from what is known of clients, and figures by slice: too small ones say so, and only those worse beyond luck are flagged."""

import numpy as np
import pytest

from models.metrics import Judged
from models.slices import by_slice, script_of, thirds

ORDER = {"size": ("small", "large")}


def world(n_clients: int = 400, rows_each: int = 2, seed: int = 1):
    """Clients with a true risk, which the prediction knows; half are small."""
    random = np.random.default_rng(seed)
    client = np.repeat(np.arange(n_clients), rows_each)
    log_odds = random.normal(-1, 1.2, n_clients)[client]
    probability = 1 / (1 + np.exp(-log_odds))
    label = (random.random(len(client)) < probability).astype(float)
    size = np.where(client % 2 == 0, "small", "large").tolist()
    return Judged.of(label, client, resamples=200, seed=1), probability, size


def entry(found, name):
    return next(own for own in found["slices"] if own["slice"] == name)


def test_slices_of_a_trait_share_out_the_rows_in_the_order_given():
    judged, probability, size = world()
    found = by_slice(judged, probability, {"size": size}, order=ORDER, least_churned=10)
    assert [own["slice"] for own in found["slices"]] == ["small", "large"]
    assert sum(own["n_rows"] for own in found["slices"]) == found["all"]["n_rows"] == 800
    assert found["all"]["n_clients"] == 400
    assert found["n_comparisons"] == 4


def test_a_slice_that_is_ranked_no_worse_is_not_flagged():
    judged, probability, size = world()
    found = by_slice(judged, probability, {"size": size}, order=ORDER, least_churned=10)
    assert [own["told"] for own in found["slices"]] == ["", ""]


def test_a_slice_ranked_at_random_is_flagged_and_its_better_rest_is_not():
    judged, probability, size = world()
    blind = np.where(np.array(size) == "small", np.random.default_rng(2).permutation(probability), probability)
    found = by_slice(judged, blind, {"size": size}, order=ORDER, least_churned=10)
    assert entry(found, "small")["told"].startswith("ranks worse than the rest (AUC -0.")
    assert entry(found, "small")["auc_minus_rest"]["high"] < 0
    assert entry(found, "large")["told"] == ""


def test_a_trait_that_itself_tells_who_leaves_makes_no_slice_look_bad():
    """Small clients leave far more often, and within each size the model ranks alike: across sizes it ranks better, for that reason."""
    random = np.random.default_rng(3)
    client = np.arange(1_500)
    size = np.where(client % 3 == 0, "small", np.where(client % 3 == 1, "middle", "large"))
    log_odds = random.normal(0, 0.8, 1_500) + np.where(size == "small", 1.0, np.where(size == "middle", -0.5, -2.0))
    probability = 1 / (1 + np.exp(-log_odds))
    label = (random.random(1_500) < probability).astype(float)
    found = by_slice(Judged.of(label, client, resamples=200, seed=1), probability, {"size": size.tolist()}, order={}, least_churned=10)
    assert all(own["auc"]["value"] < found["all"]["auc"]["value"] - 0.05 for own in found["slices"])
    assert [own["told"] for own in found["slices"]] == ["", "", ""]


def test_a_slice_whose_level_is_off_says_which_way():
    judged, probability, size = world()
    doubled = np.where(np.array(size) == "large", np.minimum(2 * probability, 0.99), probability)
    found = by_slice(judged, doubled, {"size": size}, order=ORDER, least_churned=10)
    assert entry(found, "large")["told"].startswith("predicts too much (1.")
    assert entry(found, "small")["told"] == ""


def test_of_many_slices_without_a_difference_hardly_any_is_flagged():
    """30 worlds of 20 slices, 80 comparisons each: at one in twenty each, some four would be flagged in every world."""
    flagged = 0
    for seed in range(30):
        judged, probability, _ = world(200, 2, seed)
        random = np.random.default_rng(100 + seed)
        traits = {f"trait {number}": random.choice(["a", "b"], 200)[judged.client].tolist() for number in range(10)}
        found = by_slice(judged, probability, traits, order={}, least_churned=5)
        flagged += any(own["told"] for own in found["slices"])
    assert flagged <= 6  # 5 % of 30 is 1.5; the bootstrap's errors are a little small


def test_a_slice_with_few_churned_clients_is_not_ranked_and_says_so():
    judged = Judged.of([1, 0, 1, 0, 1, 0], list("aabbcc"), resamples=50, seed=1)
    size = ["few", "few", "many", "many", "many", "many"]
    found = by_slice(judged, np.array([0.9, 0.1, 0.8, 0.2, 0.7, 0.1]), {"size": size}, order={}, least_churned=2)
    few = entry(found, "few")
    assert few["told"] == "too few positives to rank"
    assert (few["n_churned_clients"], few["auc"]["value"], few["predicted_over_observed"]["value"]) == (1, None, None)
    assert few["brier"]["value"] == pytest.approx(0.01)
    assert entry(found, "many")["auc"]["value"] == 1.0


def test_a_trait_with_one_slice_is_compared_with_nothing():
    judged, probability, _ = world(60)
    found = by_slice(judged, probability, {"segment": ["retail"] * 120}, order={}, least_churned=5)
    assert found["n_comparisons"] == 0
    assert entry(found, "retail")["auc_minus_rest"]["value"] is None


def test_a_period_without_churn_has_slices_without_ranking():
    judged = Judged.of([0.0, 0.0], ["a", "b"], resamples=50, seed=1)
    found = by_slice(judged, np.array([0.1, 0.2]), {"size": ["x", "y"]}, order={}, least_churned=2)
    assert [own["told"] for own in found["slices"]] == ["too few positives to rank"] * 2
    assert found["all"]["auc"]["value"] is None


def test_unknown_comes_last():
    judged, probability, _ = world(60)
    slices = (["unknown", "b", "a"] * 40)[:120]
    found = by_slice(judged, probability, {"segment": slices}, order={}, least_churned=5)
    assert [own["slice"] for own in found["slices"]] == ["a", "b", "unknown"]


def test_thirds_are_those_of_each_as_of():
    value = [1, 2, 3, 10, 20, 30]
    assert thirds(value, ["january"] * 3 + ["february"] * 3) == ["smallest third", "middle third", "largest third"] * 2
    assert thirds([0, 0, 0, 9], ["january"] * 4) == ["middle third"] * 3 + ["largest third"]


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ('אלון מתכת 1 בע"מ', "Hebrew"),
        ("Café Zürich GmbH", "Latin"),
        ("شركة الامل", "Arabic"),
        ("ООО Ромашка", "Cyrillic"),
        ("東京商事", "other"),
        ("IBM ישראל", "Hebrew"),  # five letters against three
        ("12345", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_script_of_a_name_stands_in_for_its_language(name, script):
    assert script_of(name) == script

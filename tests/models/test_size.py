"""The size that churned clients allow: trees always carry some weight, never less with more to learn from, and the reason is told."""

import pytest

from models.size import Tuned, size_for


@pytest.mark.parametrize(
    ("n_churned_clients", "trees", "tree_weight", "tier"),
    [
        (0, 100, 0.05, "unreliable"),
        (19, 100, 0.1426, "unreliable"),
        (20, 100, 0.15, "small"),
        (49, 100, 0.2967, "small"),
        (50, 100, 0.30, "medium"),
        (200, 100, 0.50, "full"),
        (1_000, 150, 0.80, "full"),
        (50_000, 150, 0.80, "full"),
    ],
)
def test_churned_clients_decide_the_size(n_churned_clients, trees, tree_weight, tier):
    size = size_for(n_churned_clients)
    assert (size.trees, size.tree_weight, size.tier) == (trees, pytest.approx(tree_weight, abs=1e-4), tier)


def test_trees_always_carry_weight_and_never_less_with_more_churned_clients():
    weights = [size_for(number).tree_weight for number in range(3_000)]
    assert weights[0] == 0.05
    assert weights == sorted(weights)
    assert all(weight >= 0.5 for weight in weights[201:])
    assert max(size_for(number).trees for number in (10, 300, 100_000)) == 150


def test_an_unreliable_model_says_so():
    assert "with fewer than 20 the figures are not to be relied upon" in size_for(7).reason
    assert "relied" not in size_for(20).reason


def test_what_a_search_chose_takes_the_tables_place_and_says_so():
    size = size_for(300, Tuned(60, 0.4, 20, 0.3, because="tuned by 30 trials"))
    assert (size.trees, size.tree_weight, size.leaf_clients, size.column_share) == (60, 0.4, 20, 0.3)
    assert size.reason == "300 positive clients in training: 60 trees per member with weight 0.40, tuned by 30 trials"

"""The bag: the size that churned clients allow, the signs it keeps, what it refuses, and that equal data give equal bytes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import NotEnoughHistory, UserError
from models.bag import Recipe, draw_clients
from models.fitting import Snapshots, bag_margin, fit, margins
from models.metrics import Ranking, auc
from models.rows import Rows, rows_of


def packed(features, label, clients):
    return rows_of(features, list(features.columns), label, np.asarray(clients, object))


# ---- what it refuses --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [[0, 1, np.nan], [0, 1, 2], [0, 1, None]])
def test_an_unknown_label_is_not_a_negative_one(label):
    with pytest.raises(UserError, match="1 of 3 labels that are neither 0 nor 1"):
        packed(pd.DataFrame({"x": [1.0, 2, 3]}), label, ["a", "b", "c"])


def test_infinite_features_are_refused():
    with pytest.raises(UserError, match="infinite value in x"):
        packed(pd.DataFrame({"x": [1.0, np.inf]}), [0, 1], ["a", "b"])


def test_unequal_lengths_are_refused():
    with pytest.raises(UserError, match="2 rows, 3 labels, 2 clients"):
        packed(pd.DataFrame({"x": [1.0, 2]}), [0, 1, 0], ["a", "b"])


@pytest.mark.parametrize("label", [[], [0, 0], [1, 1]])
def test_one_class_alone_is_refused(label):
    """LightGBM would train on it without a word."""
    with pytest.raises(NotEnoughHistory, match="some positive and some not"):
        packed(pd.DataFrame({"x": np.arange(float(len(label)))}), label, ["a", "b"][: len(label)])


# ---- resamples --------------------------------------------------------------------------------------------------------------------


def test_clients_are_drawn_churned_and_others_apart():
    rows = Rows(np.zeros((6, 1)), np.array([1.0, 0, 1, 0, 0, 0]), np.array([0, 0, 1, 2, 3, 4]), np.array(list("abcde"), object))
    drawn = draw_clients(rows, Recipe(members=50, seed=1))
    assert rows.has_churned.tolist() == [True, True, False, False, False]
    assert (drawn[:, :2].sum(axis=1) == 2).all()
    assert (drawn[:, 2:].sum(axis=1) == 3).all()
    assert (drawn == 0).any()
    assert len({tuple(draw) for draw in drawn}) > 10


# ---- the whole --------------------------------------------------------------------------------------------------------------------


def test_the_shipped_coefficients_keep_to_the_signs(model):
    for member in model.spec["members"]:
        for column, coefficient in zip(model.spec["columns"], member["coefficients"], strict=True):
            assert column["sign"] * coefficient >= 0, column["name"]


def area(world, margin):
    return float(auc(Ranking.of(margin).above(np.ones((1, len(margin))), world.rows.label))[0])


@pytest.mark.parametrize(("n_clients", "slack"), [(80, 0.01), (400, 0.004)])
def test_the_blend_is_about_as_good_as_the_better_of_its_parts(make_portfolio, columns, n_clients, slack):
    """At the sizes of a small business; how much better it is than either is measured in the benchmarks."""
    from models.scorer import Model

    unseen = make_portfolio(n_clients=1_500, n_as_ofs=2, seed=99)
    gains = []
    for seed in range(3):
        fitted = fit(make_portfolio(n_clients=n_clients, n_as_ofs=4, seed=seed).rows, columns, Recipe(5, 1))
        ready = Model(fitted.spec, fitted.texts)
        trees, linear = (part.mean(axis=1) for part in ready.part_margins(unseen.rows.features))
        blend = area(unseen, bag_margin(ready.member_margins(unseen.rows.features)))
        gains.append(blend - max(area(unseen, trees), area(unseen, linear)))
    assert np.mean(gains) > -slack


def test_it_comes_near_the_truth(make_portfolio, columns, recipe):
    fitted = fit(make_portfolio(n_clients=600, n_as_ofs=6, seed=1).rows, columns, recipe)
    unseen = make_portfolio(n_clients=1_500, n_as_ofs=2, seed=99)
    assert area(unseen, bag_margin(margins(fitted, unseen.rows.features))) > area(unseen, unseen.log_odds) - 0.02


def test_equal_data_give_equal_bytes(world, columns, recipe, model):
    again = fit(world.rows, columns, recipe)
    assert again.texts == model.texts
    assert json.dumps(again.spec) == json.dumps({key: model.spec[key] for key in again.spec})


def test_another_seed_gives_another_bag(world, columns, model):
    assert fit(world.rows, columns, Recipe(members=4, seed=2)).texts != model.texts


def test_the_spec_tells_what_it_was_trained_on(model):
    told = model.spec["training"]
    assert (told["n_rows"], told["n_clients"], told["tier"], told["is_reliable"]) == (
        3000,
        250,
        "medium" if told["n_churned_clients"] < 200 else "full",
        True,
    )
    assert [column["signal"] for column in model.spec["columns"]][:3] == ["contact_frequency", "contact_frequency", "billing_friction"]


def test_the_spec_states_the_locked_versions_it_was_made_with(model):
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text(encoding="utf-8")
    stated = dict(model.spec["versions"])
    assert stated.pop("python") == "3.11"
    assert stated.keys() == {"lightgbm", "numpy", "pandas", "scipy", "scikit-learn"}
    for name, number in stated.items():
        assert f"\n{name}=={number} " in f"\n{lock}", name


@pytest.mark.parametrize("n_leavers", [1, 2, 5])
def test_a_handful_of_leavers_gives_a_model_that_is_marked(make_portfolio, columns, recipe, n_leavers):
    rows = make_portfolio(n_clients=40, n_as_ofs=3).rows
    label = np.zeros(len(rows.label))
    label[: 3 * n_leavers : 3] = 1.0
    fitted = fit(Snapshots(rows.features, label, rows.client, rows.as_of), columns, recipe)
    assert not fitted.spec["training"]["is_reliable"]
    assert np.isfinite(margins(fitted, rows.features)).all()


def test_all_columns_unknown_gives_the_same_risk_for_everyone(make_portfolio, columns, recipe):
    rows = make_portfolio(n_clients=60, n_as_ofs=3, base=-1).rows
    unknown = pd.DataFrame(np.nan, index=rows.features.index, columns=rows.features.columns)
    fitted = fit(Snapshots(unknown, rows.label, rows.client, rows.as_of), columns, recipe)
    assert np.ptp(margins(fitted, unknown), axis=0).max() == 0

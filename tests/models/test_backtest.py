"""The backtest: honest folds, calibrations that know only their past, baselines on the same rows, and chance where labels are shuffled."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.errors import NotEnoughHistory, UserError
from features.time import Calendar
from models.backtest import TEST, Setup, Yardsticks, backtest, permuted_aucs
from models.bag import Recipe
from models.fitting import Snapshots, fit, margins, unseen_margin

CALENDAR = Calendar(gap_days=0, horizon_days=60, lateness_days=0)
YARDSTICKS = Yardsticks("recency_days", ("recency_days", "contacts_90"))
RECIPE = Recipe(members=3, seed=1)
QUESTION = {"target": "churn", "relationship": "contractual"}


def run(rows, columns, **changed):
    told = {"yardsticks": YARDSTICKS, "question": QUESTION, "grows": True, "calendar": CALENDAR, "recipe": RECIPE}
    setup = Setup(columns=columns, **{name: changed.pop(name, value) for name, value in told.items()})
    return backtest(rows, setup, **({"test_periods": 2, "origins": 4, "tell": print} | changed))


@pytest.fixture(scope="module")
def found(world, columns):
    return run(world.rows, columns)


def test_every_fold_predicts_its_own_as_ofs_once(found):
    as_ofs = found.predictions.groupby("fold")["as_of"].unique().map(sorted).to_dict()
    assert as_ofs == {"1970-04-01": [90], "1970-05-31": [150], "1970-06-30": [180], "1970-08-29": [240], TEST: [300, 330]}
    assert not found.predictions.duplicated(["client_id", "as_of"]).any()


def test_predictions_stand_beside_their_labels(found, world):
    rows = world.rows
    truth = pd.DataFrame({"client_id": rows.client, "as_of": rows.as_of, "truth": rows.label})
    joined = found.predictions.merge(truth, on=["client_id", "as_of"], validate="1:1")
    assert (joined["label"] == joined["truth"]).all()
    assert joined["probability"].between(0, 1).all()
    assert (joined["low"] <= joined["probability"]).all()


def test_the_future_changes_no_earlier_fold(found, world, columns):
    """Labels and features from as_of 300 on replaced: the folds before it stay the same to the last bit."""
    rows = world.rows
    later = rows.as_of >= 300
    features = rows.features.copy()
    features.loc[later, ["recency_days", "complaints"]] = 1.0
    other = run(Snapshots(features, np.where(later, 1 - rows.label, rows.label), rows.client, rows.as_of), columns)
    before = found.predictions["fold"] != TEST
    pd.testing.assert_frame_equal(other.predictions[before], found.predictions[before], check_exact=True)


def test_the_rows_rules_stand_beside_the_model_at_the_share_they_had_in_training(found, world, columns):
    """Here the rule knows the label itself, half the time: an AUC no model has, of rows it shares with the model."""
    rows = world.rows
    hint = np.where(np.random.default_rng(3).random(len(rows)) < 0.5, rows.label, 0.0)
    ruled = run(replace(rows, rules={"same_rule": hint}), columns).predictions
    pd.testing.assert_frame_equal(ruled[found.predictions.columns], found.predictions, check_exact=True)  # a rule is no feature
    truth = pd.DataFrame({"client_id": rows.client, "as_of": rows.as_of, "hint": hint})
    joined = ruled.merge(truth, on=["client_id", "as_of"], validate="1:1")
    assert (joined["same_rule"] == joined["hint"]).all()
    of_test = joined[joined["fold"] == TEST].groupby("same_rule")["same_rule_probability"].agg(["min", "max"])
    past = rows.as_of <= 240
    assert of_test.loc[0.0].tolist() == pytest.approx([rows.label[past & (hint == 0)].mean()] * 2, abs=0.001)
    assert of_test.loc[1.0, "min"] == of_test.loc[1.0, "max"] > 0.99


def test_a_fold_is_calibrated_only_on_folds_judged_before_it(found):
    told = found.folds.set_index("fold")["calibrated_on"].to_dict()
    assert told == {
        "1970-04-01": "client-grouped out-of-bag margins",
        "1970-05-31": "client-grouped out-of-bag margins",
        "1970-06-30": "client-grouped out-of-bag margins",  # of the two before it, only the first has been judged
        "1970-08-29": "rolling out-of-time margins",
        TEST: "rolling out-of-time margins",
    }
    assert found.evaluated.spec["calibration"]["folds"] == ["1970-04-01", "1970-05-31", "1970-06-30", "1970-08-29"]


def test_the_shipped_model_learns_from_everything(found, world):
    assert found.shipped.spec["training"]["n_rows"] == len(world.rows)
    assert found.shipped.spec["calibration"]["folds"][-1] == TEST
    assert found.evaluated.spec["training"]["n_rows"] == 250 * 9


def test_a_model_states_what_it_was_asked_and_until_when_it_learned(found):
    asked = QUESTION | {"gap_days": 0, "horizon_days": 60}
    assert found.shipped.spec["question"] == asked | {"trained_until": "1970-11-27", "outcomes_until": "1971-01-26"}  # days 330 and 390
    assert found.evaluated.spec["question"] == asked | {"trained_until": "1970-08-29", "outcomes_until": "1970-10-28"}  # days 240 and 300
    assert found.shipped.spec["target"] == "churn"


def test_another_question_is_another_model(world, columns, found):
    other = run(world.rows, columns, question=QUESTION | {"relationship": "non_contractual"})
    assert other.shipped.content_hash != found.shipped.content_hash
    assert other.shipped.texts == found.shipped.texts


def test_a_short_history_is_calibrated_out_of_bag_and_says_so(make_portfolio, columns):
    found = run(make_portfolio(n_clients=120, n_as_ofs=4).rows, columns, test_periods=1)
    assert found.folds["fold"].tolist() == [TEST]
    assert found.shipped.spec["calibration"]["fitted_on"] == "client-grouped out-of-bag margins"
    assert found.shipped.spec["calibration"]["n_clients"] > 70


def test_probabilities_mean_what_they_say(make_portfolio, columns):
    found = run(make_portfolio(n_clients=400, seed=3).rows, columns, origins=2)
    test = found.predictions[found.predictions["fold"] == TEST]
    assert test["probability"].mean() == pytest.approx(test["label"].mean(), abs=0.03)


def test_clients_never_seen_are_judged_by_members_that_did_not_see_them(world, columns):
    bag = fit(world.rows, columns, RECIPE)
    asked = world.rows.at([330])
    of_members = margins(bag, asked.features)
    found = unseen_margin(bag, of_members, asked.client)
    for place, client in enumerate(asked.client[:40]):
        out = bag.in_bag[:, list(bag.clients).index(client)] == 0
        expected = of_members[place, out].mean() if out.any() else np.nan
        assert found[place] == pytest.approx(expected, nan_ok=True)
    strangers = np.array(["nobody knows"] * len(asked), object)
    np.testing.assert_allclose(unseen_margin(bag, of_members, strangers), of_members.mean(axis=1))


def test_two_runs_give_equal_bytes(found, world, columns):
    again = run(world.rows, columns)
    assert again.shipped.content_hash == found.shipped.content_hash
    assert again.evaluated.content_hash == found.evaluated.content_hash
    pd.testing.assert_frame_equal(again.predictions, found.predictions, check_exact=True)


def test_shuffled_labels_score_chance(make_portfolio, columns):
    rows = make_portfolio(n_clients=150, n_as_ofs=8, seed=2).rows
    aucs = permuted_aucs(rows, columns, calendar=CALENDAR, test_periods=2, recipe=Recipe(2, 1), permutations=12)
    assert len(aucs) == 12
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.04)  # the benchmark, with 20 permutations of the portfolio, is held to 0.02


def test_a_leak_would_show_in_shuffled_labels(make_portfolio, columns, monkeypatch):
    """The guard, broken on purpose: a column made from the (shuffled) label."""
    import models.backtest as module

    rows = make_portfolio(n_clients=80, n_as_ofs=8).rows
    honest = module.Snapshots

    def leaking(features, label, client, as_of):
        return honest(features.assign(noise=label), label, client, as_of)

    monkeypatch.setattr(module, "Snapshots", leaking)
    aucs = permuted_aucs(rows, columns, calendar=CALENDAR, test_periods=2, recipe=Recipe(2, 1), permutations=2)
    assert min(aucs) > 0.9


def test_a_missing_yardstick_is_told(world, columns):
    with pytest.raises(UserError, match="no column silence"):
        run(world.rows, columns, yardsticks=Yardsticks("silence", ()))


def test_too_little_history_is_told(make_portfolio, columns):
    with pytest.raises(NotEnoughHistory):
        run(make_portfolio(n_clients=50, n_as_ofs=2).rows, columns)


def test_no_labelled_row_at_all_is_told(world, columns):
    with pytest.raises(NotEnoughHistory, match="no eligible snapshot with a known outcome"):
        run(world.rows.at([]), columns)

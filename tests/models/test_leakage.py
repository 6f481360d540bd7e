"""The eight types of leakage of Kapoor and Narayanan (Patterns 2023), each planted once: how far the figure is inflated, and which guard
catches it; the honest twin of each passes. Then the guards' own edges. Days are as_ofs a month of 30 apart; gap 14, horizon 60, lateness 7.
"""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from features.errors import UserError
from features.time import Calendar
from models import leakage
from models.bag import Recipe
from models.fitting import Columns, Snapshots, bag_margin, fit, margins, unseen_margin
from models.leakage import (
    best_reading,
    check_blind,
    check_judged,
    check_population,
    check_rows,
    check_split,
    check_suspects,
    duplicates,
    gain_shares,
    gain_suspects,
    lagged,
    memory,
    paired_difference,
    screen,
    shift,
)
from models.misfit import SAME_RULE
from models.splits import plan_splits

CALENDAR = Calendar(gap_days=14, horizon_days=60, lateness_days=7)  # judged after 81 days: three months
RECIPE = Recipe(members=3, seed=1)
MONTH = 30


def ids_of(client):
    return np.array([f"client {number:03d}" for number in client], object)


def months(n_clients=240, n_as_ofs=12, seed=0):
    """A month in a client's life may hold a leaving; the label is whether one of the two months after the next does. What drives it drifts
    slowly, and 30 honest columns are dim views of it: none ranks with an AUC above 0.8, none ages fast."""
    random = np.random.default_rng(seed)
    mood = np.zeros((n_clients, n_as_ofs + 2))
    mood[:, 0] = random.normal(size=n_clients)
    for place in range(1, n_as_ofs + 2):
        mood[:, place] = 0.9 * mood[:, place - 1] + np.sqrt(1 - 0.9**2) * random.normal(size=n_clients)
    leaves = random.random(mood.shape) < 1 / (1 + np.exp(3.2 - 1.3 * mood))
    label = (leaves[:, 1:-1] | leaves[:, 2:]).astype(float)
    seen = {f"view_{place:02d}": (mood[:, :-2] + random.normal(size=label.shape)).ravel() for place in range(30)}
    client = np.repeat(np.arange(n_clients), n_as_ofs)
    return Snapshots(pd.DataFrame(seen), label.ravel(), ids_of(client), np.tile(np.arange(n_as_ofs) * MONTH, n_clients).astype(np.int64))


def fingerprints(n_clients=150, n_as_ofs=8, seed=0, persistence=1.0):
    """Six columns by which a client is known again and which say nothing of leaving; the label is steady within a client, as far as
    `persistence` goes, and a coin between clients."""
    random = np.random.default_rng(seed)
    client = np.repeat(np.arange(n_clients), n_as_ofs)
    own = random.normal(size=(n_clients, 6))[client]
    steady = (random.random(n_clients) < 0.4).astype(float)[client]
    fresh = (random.random(len(client)) < 0.4).astype(float)
    label = np.where(random.random(len(client)) < persistence, steady, fresh)
    features = pd.DataFrame(own, columns=[f"mark_{place}" for place in range(6)])
    return Snapshots(features, label, ids_of(client), np.tile(np.arange(n_as_ofs) * MONTH, n_clients).astype(np.int64))


def columns_of(rows):
    return Columns(dict.fromkeys(rows.features.columns, "signal"), {})


def with_column(rows, values, name="planted"):
    return Snapshots(rows.features.assign(**{name: values}), rows.label, rows.client, rows.as_of)


def memoriser(learnt):
    """A learner that can know every client again, as a bag of small trees hardly can."""
    return RandomForestClassifier(100, min_samples_leaf=1, random_state=1, n_jobs=1).fit(learnt.features, learnt.label)


def ranked_by(model, asked):
    return roc_auc_score(asked.label, model.predict_proba(asked.features)[:, 1])


def of_bag(learnt, asked):
    """AUC of our own model made from `learnt` on `asked`."""
    return roc_auc_score(asked.label, bag_margin(margins(fit(learnt, columns_of(learnt), RECIPE), asked.features)))


def planned(rows):
    return plan_splits(rows.as_of, rows.label, rows.client, calendar=CALENDAR, test_periods=2, origins=4)


@pytest.fixture(scope="module")
def honest():
    return months()


# ---- L1.1 no test set -------------------------------------------------------------------------------------------------------------


def test_l11_judging_on_the_rows_learnt_from_makes_a_coin_look_like_a_prophet():
    rows = fingerprints(n_clients=400, persistence=0.0)
    learnt, asked = rows.at([0]), rows.at([180, 210])
    model = memoriser(learnt)
    assert ranked_by(model, learnt) > 0.95
    assert ranked_by(model, asked) == pytest.approx(0.5, abs=0.08)
    with pytest.raises(UserError, match="400 snapshots both learnt from and predicted"):
        check_split(learnt, learnt, origin=180, calendar=CALENDAR)
    check_split(learnt, asked, origin=180, calendar=CALENDAR)


@pytest.mark.parametrize(("learns", "predicts", "found"), [([0], [], "no snapshot to predict"), ([], [180], "no snapshot to learn from")])
def test_l11_a_split_without_test_or_training_is_refused(honest, learns, predicts, found):
    with pytest.raises(UserError, match=found):
        check_split(honest.at(learns), honest.at(predicts), origin=180, calendar=CALENDAR)


# ---- L1.2 preprocessing on training and test, L1.3 choosing columns on both -------------------------------------------------------


def made_at_origin(rows):
    """The honest way: everything is fitted on the learnt rows alone."""
    return fit(rows.at(planned(rows).test.learns), columns_of(rows), RECIPE).texts[0]


def test_l12_scaling_by_all_rows_is_seen_in_the_model():
    """It moves a figure by 0.005 at most (Roth 2026), which no figure would show: so it is looked for in the bytes of the model."""
    rows = months(n_clients=80, n_as_ofs=9)
    predicts = planned(rows).test.predicts

    def scaled_by_everyone(seen):
        scaled = (seen.features - seen.features.mean()) / seen.features.std()
        return made_at_origin(Snapshots(scaled, seen.label, seen.client, seen.as_of))

    with pytest.raises(UserError, match="another model once the features of the snapshots to predict were changed"):
        check_blind(scaled_by_everyone, rows, predicts)
    check_blind(made_at_origin, rows, predicts)


def chosen_on(seen, as_ofs):
    """The twenty columns that go best with the label on these as_ofs."""
    rows = seen.at(as_ofs)
    return rows.features.corrwith(pd.Series(rows.label)).abs().sort_values().index[-20:].tolist()


def test_l13_choosing_columns_by_all_rows_finds_signal_in_noise():
    random = np.random.default_rng(3)
    noise = pd.DataFrame(random.normal(size=(320, 400)), columns=[f"noise_{place:03d}" for place in range(400)])
    label = (random.random(320) < 0.4).astype(float)
    rows = Snapshots(noise, label, ids_of(np.repeat(np.arange(40), 8)), np.tile(np.arange(8) * MONTH, 40).astype(np.int64))
    plan = planned(rows).test

    def auc_of(chosen):
        kept = Snapshots(rows.features[chosen], rows.label, rows.client, rows.as_of)
        return of_bag(kept.at(plan.learns), kept.at(plan.predicts))

    everywhere = sorted({int(day) for day in rows.as_of})
    assert auc_of(chosen_on(rows, everywhere)) > 0.7
    assert auc_of(chosen_on(rows, plan.learns)) == pytest.approx(0.5, abs=0.1)
    with pytest.raises(UserError, match="another model once the labels"):
        check_blind(lambda seen: ",".join(chosen_on(seen, everywhere)), rows, plan.predicts)
    check_blind(lambda seen: ",".join(chosen_on(seen, plan.learns)), rows, plan.predicts)


# ---- L1.4 duplicates --------------------------------------------------------------------------------------------------------------


def test_l14_a_client_under_two_ids_spoils_the_figure_for_unseen_clients():
    """Half of the clients are held back as strangers – but a second id of each is learnt from."""
    rows = with_column(fingerprints(n_clients=100), 0.0, "spare")
    for place in range(8):  # rich histories: 14 different values in a row
        rows = with_column(rows, np.random.default_rng(place).normal(size=len(rows)), f"busy_{place}")
    held = np.isin(rows.client, ids_of(range(50)))
    twins = Snapshots(
        rows.features[held], rows.label[held], np.array([f"{name} (CRM)" for name in rows.client[held]], object), rows.as_of[held]
    )
    together = Snapshots(
        pd.concat([rows.features, twins.features], ignore_index=True),
        np.concatenate([rows.label, twins.label]),
        np.concatenate([rows.client, twins.client]),
        np.concatenate([rows.as_of, twins.as_of]),
    )

    def of(names, days):
        chosen = np.isin(together.client, names) & np.isin(together.as_of, days)
        return Snapshots(together.features[chosen], together.label[chosen], together.client[chosen], together.as_of[chosen])

    strangers, known, second_ids = ids_of(range(50)), ids_of(range(50, 100)), sorted(set(twins.client))
    asked = of(strangers, [180, 210])
    assert ranked_by(memoriser(of([*known, *second_ids], [0, 30, 60])), asked) > 0.9
    assert ranked_by(memoriser(of(known, [0, 30, 60])), asked) < 0.65
    assert duplicates(together, [0, 30, 60], [180, 210])[0] == ("client 000", "client 000 (CRM)")
    assert len(duplicates(together, [0, 30, 60], [180, 210])) == 50
    assert duplicates(rows, [0, 30, 60], [180, 210]) == []


def test_l14_near_empty_histories_are_alike_by_nature_and_not_reported():
    features = pd.DataFrame([[1.0, 1.0, 0.0, 30.0, np.nan, *range(5)]] * 4)
    rows = Snapshots(features, np.array([0.0, 1, 0, 1]), np.array(list("abab"), object), np.array([0, 0, 90, 90]))
    assert duplicates(rows, [0], [90]) == []
    richer = with_column(with_column(rows, 77.0, "one"), 78.5, "more")
    assert len(set(richer.features.iloc[0].dropna())) == 8, "as many as chance made alike on real data"
    assert duplicates(richer, [0], [90]) == []
    for place in range(4):
        richer = with_column(richer, 100.0 + place, f"more_{place}")
    assert duplicates(richer, [0], [90]) == [("a", "b")]


def test_l14_a_snapshot_that_stands_twice_is_refused(honest):
    check_rows(honest)
    twice = Snapshots(honest.features, honest.label, np.where(honest.client == "client 001", "client 000", honest.client), honest.as_of)
    with pytest.raises(UserError, match="12 snapshots that stand twice, the first of as_of 1970-01-01"):
        check_rows(twice)


# ---- L2 an illegitimate feature ---------------------------------------------------------------------------------------------------


def noisy_label(rows, spread):
    return rows.label + np.random.default_rng(9).normal(size=len(rows)) * spread


PLANTED = {
    "the label itself": lambda rows: rows.label,
    "the label, turned round": lambda rows: -rows.label,
    "the label with noise, AUC 0.99": lambda rows: noisy_label(rows, 0.3),
    "filled in only for those who leave": lambda rows: np.where(rows.label == 1, np.arange(len(rows)) % 90, np.nan),
    "filled in only for those who stay": lambda rows: np.where(rows.label == 0, 1.0, np.nan),
    "known of few, and right of these": lambda rows: np.where(np.arange(len(rows)) % 3 == 0, rows.label, np.nan),
    "the label with noise, AUC 0.92": lambda rows: noisy_label(rows, 0.5),
}


@pytest.mark.parametrize("how", PLANTED)
def test_l2_a_column_that_knows_the_answer_stands_out_by_itself(honest, how):
    planted = with_column(honest, PLANTED[how](honest))
    assert set(screen(planted, columns_of(planted), CALENDAR).suspects()) == {"planted"}


def test_l2_a_column_that_knows_the_answer_inflates_the_figure(honest):
    plan = planned(honest).test
    planted = with_column(honest, noisy_label(honest, 0.5))
    truth = of_bag(honest.at(plan.learns), honest.at(plan.predicts))
    assert truth < 0.85
    assert of_bag(planted.at(plan.learns), planted.at(plan.predicts)) > truth + 0.08


def test_l2_a_weaker_leak_is_caught_by_its_weight_in_the_trees(honest):
    """AUC 0.87, in a history too short to judge how fast it ages."""
    short = honest.at([0, 30, 60])
    planted = with_column(short, noisy_label(short, 0.6))
    columns = columns_of(planted)
    screened = screen(planted, columns, CALENDAR)
    assert screened.suspects() == {}
    shares = gain_shares(fit(planted, columns, RECIPE).texts, columns.names)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert set(gain_suspects(shares, screened)) == {"planted"}


def test_l2_honest_columns_pass_every_rule(honest):
    columns = columns_of(honest)
    screened = screen(honest, columns, CALENDAR)
    assert (screened.is_judged, screened.is_lag_judged) == (True, True)
    assert screened.suspects() == {}
    assert screened.table["auc"].between(0.6, 0.8).all()
    assert gain_suspects(gain_shares(fit(honest, columns, RECIPE).texts, columns.names), screened) == {}


def test_l2_in_a_table_of_few_columns_one_may_carry_the_trees():
    few = months()
    few = Snapshots(few.features[["view_00"]].assign(constant=1.0), few.label, few.client, few.as_of)
    columns = columns_of(few)
    shares = gain_shares(fit(few, columns, RECIPE).texts, columns.names)
    assert shares == {"view_00": 1.0, "constant": 0.0}
    assert gain_suspects(shares, screen(few, columns, CALENDAR)) == {}


def test_l2_the_error_says_what_why_and_what_to_do(honest):
    planted = with_column(honest, honest.label)
    suspects = screen(planted, columns_of(planted), CALENDAR).suspects()
    with pytest.raises(UserError, match=r"found:  planted alone ranks with AUC 1\.000 \(where known; at most 0\.95\)") as told:
        check_suspects(suspects, [], columns_of(planted).names)
    assert "train.trusted_columns" in told.value.cure


def test_l2_a_column_somebody_vouches_for_passes_and_a_name_unknown_does_not():
    suspects = {"planted": "alone ranks with AUC 1.000"}
    check_suspects(suspects, ["planted"], ["planted", "other"])
    with pytest.raises(UserError, match="found:  planted alone ranks"):
        check_suspects(suspects, ["other"], ["planted", "other"])
    with pytest.raises(UserError, match="plantde, of which this source's features know nothing"):
        check_suspects(suspects, ["plantde"], ["planted", "other"])


# ---- L2 of a target whose label lasts ---------------------------------------------------------------------------------------------


def with_rule(rows):
    """The honest rows with the label's own rule on the last window: what the label said three months before."""
    rule = pd.Series(rows.label).groupby(rows.client).shift(3).to_numpy()
    return Snapshots(rows.features, rows.label, rows.client, rows.as_of, rules={SAME_RULE: rule})


def ledger(noise=0.2, n_clients=150, n_months=30, seed=0):
    """What each client brings a month: steady, with a little noise. A misfit is who brings less than nine tenths of all do in the quarter
    after the next month. Columns: the mean of the last year and of the last quarter, both honest; ahead, the quarter that is asked for."""
    random = np.random.default_rng(seed)
    brings = random.normal(size=(n_clients, 1)) + noise * random.normal(size=(n_clients, n_months))
    until = np.concatenate([np.zeros((n_clients, 1)), brings.cumsum(axis=1)], axis=1)
    as_ofs = np.arange(12, n_months - 4)

    def mean(first, last):
        return ((until[:, as_ofs + last] - until[:, as_ofs + first]) / (last - first)).ravel()

    floor = np.quantile(brings, 0.1)
    client = np.repeat(np.arange(n_clients), len(as_ofs))
    features = pd.DataFrame({"year": mean(-12, 0), "quarter": mean(-3, 0), "ahead": mean(1, 4)})
    label, rule = (mean(1, 4) < floor).astype(float), (mean(-3, 0) < floor).astype(float)
    return Snapshots(features, label, ids_of(client), np.tile(as_ofs * MONTH, n_clients).astype(np.int64), rules={SAME_RULE: rule})


@pytest.mark.parametrize("noise", [0.5, 0.2, 0.05])
def test_l2_where_the_label_lasts_an_honest_column_may_rank_as_well_as_it_knows_the_present(noise):
    rows = ledger(noise)
    screened = screen(rows, columns_of(rows), CALENDAR)
    assert screened.of("quarter", "already") == 1.0, "it is the rule"
    assert screened.of("year", "auc") > 0.95
    assert screened.of("year", "auc") < screened.of("year", "already")
    assert set(screened.suspects()) == {"ahead"}
    assert set(screen(replace(rows, rules={}), columns_of(rows), CALENDAR).suspects()) >= {"year", "ahead"}, "one bar for all"


@pytest.mark.parametrize("how", [how for how in PLANTED if how != "the label with noise, AUC 0.92"])
def test_l2_where_the_label_lasts_a_column_that_knows_the_answer_stands_out_all_the_same(how):
    """The weakest one ages too little to stand out here: beside an honest column of 0.99 it is nothing special."""
    rows = ledger()
    planted = replace(rows, features=rows.features[["year", "quarter"]].assign(planted=PLANTED[how](rows)))
    assert set(screen(planted, columns_of(planted), CALENDAR).suspects()) == {"planted"}


@pytest.mark.parametrize("how", PLANTED)
def test_l2_a_rule_on_the_last_window_hides_no_column_that_knows_the_answer(honest, how):
    rows = with_rule(honest)
    planted = replace(rows, features=rows.features.assign(planted=PLANTED[how](rows)))
    assert set(screen(planted, columns_of(planted), CALENDAR).suspects()) == {"planted"}


def test_l2_the_weight_in_the_trees_alarms_above_the_same_bar(honest):
    rows = ledger()
    assert gain_suspects({"year": 0.9, "quarter": 0.05, "ahead": 0.05}, screen(rows, columns_of(rows), CALENDAR)) == {}
    rows = with_rule(honest)
    planted = replace(rows, features=rows.features.assign(planted=noisy_label(rows, 0.6)))
    assert set(gain_suspects({"planted": 0.9}, screen(planted, columns_of(planted), CALENDAR))) == {"planted"}


def test_l2_with_too_few_who_meet_the_rule_the_bar_is_that_of_all():
    rows = ledger()
    few = np.unique(rows.client[rows.rules[SAME_RULE] == 1])[:9]
    rule = np.where(np.isin(rows.client, few), rows.rules[SAME_RULE], 0.0)
    screened = screen(replace(rows, rules={SAME_RULE: rule}), columns_of(rows), CALENDAR)
    assert np.isnan(screened.of("year", "already"))
    assert "year alone ranks with AUC 0.9" in " ".join(f"{name} {why}" for name, why in screened.suspects().items())


# ---- L3.1 temporal ----------------------------------------------------------------------------------------------------------------


def test_l31_learning_from_windows_that_overlap_the_test_inflates_the_figure():
    """A client's windows overlap, so a client known again is half judged already. Measured on clients that carry nothing but a mark."""
    random = np.random.default_rng(5)
    rows = fingerprints(n_clients=400, n_as_ofs=12)
    leaves = random.random((400, 14)) < 0.2  # each month on its own: nothing lasts but the overlap
    rows = Snapshots(rows.features, (leaves[:, 1:13] | leaves[:, 2:14]).astype(float).ravel(), rows.client, rows.as_of)
    asked = rows.at([300])
    unpurged, purged = rows.at([240, 270]), rows.at([180, 210])
    assert ranked_by(memoriser(unpurged), asked) > 0.6
    assert ranked_by(memoriser(purged), asked) == pytest.approx(0.5, abs=0.06)
    with pytest.raises(UserError, match="labels of as_ofs whose outcome was not judged by then: 1970-08-29, 1970-09-28"):
        check_split(unpurged, asked, origin=300, calendar=CALENDAR)
    check_split(purged, asked, origin=300, calendar=CALENDAR)


SLIPS = {
    "no purge at all": lambda _, days, origin: [day for day in days if day < origin],
    "the gap forgotten": lambda own, days, origin: [day for day in days if day + own.horizon_days + own.lateness_days <= origin],
    "the lateness forgotten": lambda own, days, origin: [day for day in days if day + own.gap_days + own.horizon_days <= origin],
    "one day too early": lambda own, days, origin: [day for day in days if own.is_mature(day, origin + 1)],
}


@pytest.mark.parametrize("slip", SLIPS)
def test_l31_a_slip_in_the_purge_is_caught(monkeypatch, slip):
    """As_ofs lie on every edge, and the guard reckons on its own, so that no slip in `purged` can hide itself."""
    days = sorted({0, *range(150, 340, 30), 300 - 81, 300 - 80, 300 - 74, 300 - 67})
    random = np.random.default_rng(1)
    client, as_of = np.repeat(np.arange(30), len(days)), np.tile(days, 30).astype(np.int64)
    rows = Snapshots(pd.DataFrame({"x": random.normal(size=len(client))}), (random.random(len(client)) < 0.5) * 1.0, ids_of(client), as_of)
    split = planned(rows).test
    assert max(split.learns) == 219, "81 days before the test"
    check_split(rows.at(split.learns), rows.at(split.predicts), origin=split.origin, calendar=CALENDAR)
    monkeypatch.setattr(Calendar, "purged", SLIPS[slip])
    split = planned(rows).test
    with pytest.raises(UserError, match="whose outcome was not judged"):
        check_split(rows.at(split.learns), rows.at(split.predicts), origin=split.origin, calendar=CALENDAR)


def test_l31_a_longer_horizon_waits_longer():
    """A label at 180 days is known 201 days after its as_of: of those learnt from for two months, only the first three are."""
    as_of, longer = np.array([0, 60, 99, 100, 210]), Calendar(gap_days=14, horizon_days=180, lateness_days=7)
    check_judged(as_of, origin=300, calendar=CALENDAR, what="labels")
    check_judged(as_of[:3], origin=300, calendar=longer, what="labels at 180 days")
    with pytest.raises(UserError, match="labels at 180 days of as_ofs whose outcome was not judged by then: 1970-04-11, 1970-07-30"):
        check_judged(as_of, origin=300, calendar=longer, what="labels at 180 days")


def test_l31_a_model_made_after_what_it_predicts_is_refused(honest):
    with pytest.raises(UserError, match="as_ofs to predict before the model was made: 1970-05-31"):
        check_split(honest.at([0]), honest.at([150, 210]), origin=210, calendar=CALENDAR)


def test_l31_every_split_of_the_plan_passes(honest):
    plan = planned(honest)
    assert len(plan.origins) == 4
    for split in (*plan.origins, plan.test):
        check_split(honest.at(split.learns), honest.at(split.predicts), origin=split.origin, calendar=CALENDAR)
        check_population(honest.at(split.predicts), honest)


# ---- L3.2 training and test are not independent -----------------------------------------------------------------------------------


def test_l32_a_figure_that_rests_on_knowing_clients_again_says_so():
    rows = fingerprints()
    asked = rows.at([210])
    fold = np.array([int(name[-3:]) % 2 for name in rows.client])
    of_asked = fold[rows.as_of == 210]
    known = memoriser(rows.at([0, 30, 60])).predict_proba(asked.features)[:, 1]
    unseen = np.empty(len(asked))
    for place in (0, 1):
        learnt = (fold != place) & np.isin(rows.as_of, [0, 30, 60])
        model = memoriser(Snapshots(rows.features[learnt], rows.label[learnt], rows.client[learnt], rows.as_of[learnt]))
        unseen[of_asked == place] = model.predict_proba(asked.features[of_asked == place])[:, 1]
    found = memory(asked.label, known, unseen, asked.client)
    assert found.auc > 0.95
    assert found.unseen_auc == pytest.approx(0.5, abs=0.1)
    assert found.is_large
    assert "much of this figure rests on knowing the same clients again" in found.words


def test_l32_our_bag_on_honest_columns_does_not_need_to_know_a_client(honest):
    plan = planned(honest).test
    bag = fit(honest.at(plan.learns), columns_of(honest), Recipe(members=8, seed=1))
    asked = honest.at(plan.predicts)
    of_members = margins(bag, asked.features)
    found = memory(asked.label, bag_margin(of_members), unseen_margin(bag, of_members, asked.client), asked.client)
    assert abs(found.difference) < 0.03
    assert not found.is_large
    assert "does not need to know a client" in found.words


def test_l32_without_both_classes_nothing_is_claimed():
    found = memory(np.zeros(3), np.array([0.1, 0.2, 0.3]), np.array([0.1, np.nan, 0.3]), np.array(list("abc"), object))
    assert not found.is_large
    assert found.words == "Too few rows to say how much rests on knowing clients again."


# ---- L3.3 the test is not of the population that gets scored ----------------------------------------------------------------------


def test_l33_judging_the_clear_cases_alone_inflates_the_figure(honest):
    plan = planned(honest).test
    learnt, asked = honest.at(plan.learns), honest.at(plan.predicts)
    clear = np.abs(asked.features.mean(axis=1)) > 1.4  # the very calm and the very troubled
    easy = Snapshots(asked.features[clear], asked.label[clear], asked.client[clear], asked.as_of[clear])
    assert len(easy) == 76
    assert of_bag(learnt, easy) > of_bag(learnt, asked) + 0.04
    with pytest.raises(UserError, match="404 of 480 eligible labelled snapshots left out, 0 that are not among them"):
        check_population(easy, honest)
    check_population(asked, honest)


def test_l33_strangers_in_the_test_are_refused(honest):
    asked = honest.at([330])
    others = Snapshots(asked.features, asked.label, np.array([f"new {name}" for name in asked.client], object), asked.as_of)
    with pytest.raises(UserError, match="240 of 240 eligible labelled snapshots left out, 240 that are not among them"):
        check_population(others, honest)


def test_l33_newest_snapshots_unlike_those_judged_are_told_apart(honest):
    judged, newest = honest.at([300]), honest.at([330])
    same = shift(judged.features, judged.client, newest.features, newest.client, seed=1)
    assert same.auc == pytest.approx(0.5, abs=0.08)
    assert same.columns["difference"].abs().max() < 0.2
    moved = newest.features.assign(view_07=newest.features["view_07"] + 5, view_08=np.nan)
    other = shift(judged.features, judged.client, moved, newest.client, seed=1)
    assert other.auc > 0.99
    assert set(other.columns["column"].head(2)) == {"view_07", "view_08"}
    facts = other.columns.set_index("column")
    assert facts.loc["view_07", "difference"] > 0.98
    assert (facts.loc["view_08", "difference"], facts.loc["view_08", "unknown"]) == (0.0, 1.0)
    assert np.isnan(shift(judged.features[:9], judged.client[:9], newest.features[:9], newest.client[:9], seed=1).auc)


# ---- the detector's edges ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "auc", "read"),
    [
        ([1.0, 2, 3, 4], 1.0, "where known"),
        ([4.0, 3, 2, 1], 1.0, "where known"),
        ([1.0, 1, 1, 1], 0.5, "where known"),
        ([1.0, np.nan, 1, 1], 0.75, "unknown lowest"),
        ([5.0, 6, 7, np.nan], 1.0, "unknown highest"),
        ([np.nan, 6.0, np.nan, 6.0], 0.5, "unknown lowest"),
        ([np.nan, np.nan, 1.0, -1.0], 1.0, "unknown lowest"),
    ],
)
def test_unknown_is_a_value_too(column, auc, read):
    found, how = best_reading(np.array(column), np.array([0.0, 0, 1, 1]), np.arange(4))
    assert (found, how) == (auc, read)


def test_readings_are_scikit_learns_auc_ties_included():
    random = np.random.default_rng(2)
    column, label = random.integers(0, 5, 300).astype(float), (random.random(300) < 0.3).astype(float)
    truth = roc_auc_score(label, column)
    assert best_reading(column, label, np.arange(300))[0] == pytest.approx(max(truth, 1 - truth), abs=1e-12)
    for part, read in ((-1.0, leakage.LOWEST), (9.0, leakage.HIGHEST)):
        holed = np.where(random.random(300) < 0.3 + 0.3 * label, np.nan, column)
        score = leakage.as_score(holed, read)
        assert roc_auc_score(label, np.where(np.isinf(score), part, score)) == pytest.approx(
            leakage._pairs_won(score, label == 1) / (label.sum() * (1 - label).sum()), abs=1e-12
        )


@pytest.mark.parametrize(
    ("horizon_days", "as_ofs", "steps"),
    [
        (90, [0, 31, 59, 90], {31: 0, 59: 31, 90: 59}),  # months, of 28 days too: one
        (180, [0, 31, 59, 90], {59: 0, 90: 31}),  # two months: one would hardly move the window
        (90, [0, 7, 14, 21, 28, 35], {28: 0, 35: 7}),  # four weeks
        (14, [0, 31, 59], {31: 0, 59: 31}),
        (900, [0, 31, 59], {}),
    ],
)
def test_a_step_moves_the_outcome_window_by_three_tenths_of_the_horizon(horizon_days, as_ofs, steps):
    rows = Snapshots(
        pd.DataFrame({"x": range(len(as_ofs))}), np.zeros(len(as_ofs)), np.array(["a"] * len(as_ofs), object), np.array(as_ofs)
    )
    today, before = lagged(rows, Calendar(14, horizon_days, 7))
    assert {int(rows.as_of[now]): int(rows.as_of[then]) for now, then in zip(today, before, strict=True)} == steps


def test_a_past_is_the_same_clients_and_exactly_one_step_old():
    rows = Snapshots(pd.DataFrame({"x": range(4)}), np.zeros(4), np.array(list("aabb"), object), np.array([0, 30, 0, 60]))
    assert [places.tolist() for places in lagged(rows, CALENDAR)] == [[1], [0]]  # b has no row at 30


@pytest.mark.parametrize(
    ("fall", "error", "is_caught"), [(0.15, 0.01, True), (0.15, 0.02, False), (0.099, np.nan, False), (0.4, 0.09, True)]
)
def test_a_fall_must_exceed_its_limit_beyond_doubt(fall, error, is_caught):
    found = leakage.Screen(
        pd.DataFrame([{"column": "fast", "auc": 0.7, "read": "where known", "already": np.nan, "fall": fall, "fall_error": error}]),
        is_judged=True,
        is_lag_judged=True,
    )
    assert bool(found.suspects()) == is_caught


def test_the_error_of_a_fall_counts_clients_not_rows():
    random = np.random.default_rng(4)
    client = np.repeat(np.arange(200), 6)
    base = random.normal(size=200)[client]
    label = (random.random(200)[client] < 1 / (1 + np.exp(-base)) - 0.1).astype(float)
    today, before = base + 0.2 * random.normal(size=1200), base + random.normal(size=200)[client]
    error = paired_difference(today, before, label == 1, client)[2]
    falls = []
    for _ in range(300):
        drawn = np.concatenate([np.flatnonzero(client == one) for one in random.integers(0, 200, 200)])
        falls.append(roc_auc_score(label[drawn], today[drawn]) - roc_auc_score(label[drawn], before[drawn]))
    assert error == pytest.approx(np.std(falls), rel=0.2)
    assert error > 1.5 * paired_difference(today, before, label == 1, np.arange(1200))[2]


def test_with_few_clients_of_a_class_no_verdict_is_given():
    rows = months(n_clients=30, n_as_ofs=4)
    few = np.isin(rows.client, sorted(set(rows.client[rows.label == 1]))[:9])
    label = np.where(few, rows.label, 0.0)
    planted = with_column(Snapshots(rows.features, label, rows.client, rows.as_of), label)
    found = screen(planted, columns_of(planted), CALENDAR)
    assert (found.is_judged, found.is_lag_judged, found.suspects()) == (False, False, {})


def test_an_unknown_outcome_is_left_to_the_fit_to_refuse(honest):
    label = honest.label.copy()
    label[0] = np.nan
    rows = Snapshots(honest.features, label, honest.client, honest.as_of)
    assert not screen(rows, columns_of(rows), CALENDAR).is_judged


def test_a_fall_over_two_as_ofs_may_be_a_season_and_is_not_judged(honest):
    rows = honest.at([0, 30, 60])
    found = screen(rows, columns_of(rows), CALENDAR)
    assert (found.is_judged, found.is_lag_judged) == (True, False)
    assert found.table["fall"].isna().all()


def test_a_column_no_model_could_be_fitted_on_is_told(honest):
    planted = with_column(honest, np.inf)
    with pytest.raises(UserError, match="infinite value in planted"):
        screen(planted, columns_of(planted), CALENDAR)


def test_a_large_portfolio_is_screened_in_seconds():
    """50,000 rows of 75 columns, a quarter of the largest promised: a second on an idle machine."""
    random = np.random.default_rng(6)
    features = pd.DataFrame(random.normal(size=(50_000, 75)).round(2), columns=[f"x{place}" for place in range(75)])
    rows = Snapshots(
        features.mask(features > 1.5),
        (random.random(50_000) < 0.1).astype(float),
        ids_of(np.repeat(np.arange(2_500), 20)),
        np.tile(np.arange(20) * MONTH, 2_500).astype(np.int64),
    )
    began = time.process_time()
    assert screen(rows, columns_of(rows), CALENDAR).suspects() == {}
    assert time.process_time() - began < 10

"""The grade in words, level by level: literal sentences, and never more than the intervals carry."""

import copy

import pytest

from models.grade import Words, face_value, grade, level_of

WORDS = Words("leave", "month", "left", "lost", "riskiest")
RELIABLE = {"is_reliable": True, "n_churned_clients": 170}


def figure(value, low, high):
    return {"value": value, "low": low, "high": high}


TEST = {
    "n_clients": 450,
    "n_churned_clients": 31,
    "at_capacity": {"capacity": 20, "contacted": 20.0, "found_by_chance": figure(0.93, 0.6, 1.3)},
    "model": {"auc": figure(0.83, 0.76, 0.89), "found_at_capacity": figure(6.0, 3.7, 8.3)},
    "recency": {"auc": figure(0.70, 0.60, 0.80), "found_at_capacity": figure(4.0, 2.0, 6.0)},
    "model_minus_recency": {"auc": figure(0.13, 0.04, 0.21), "found_at_capacity": figure(2.0, -0.3, 4.0)},
    "model_minus_rfm": {"auc": figure(0.08, 0.01, 0.15)},
}
SOUND = {
    "n_as_ofs": 9,
    "n_churned_clients": 400,
    "prevalence": figure(0.05, 0.04, 0.06),
    "predicted_over_observed": figure(1.02, 0.91, 1.14),
    "calibration_slope": figure(0.98, 0.85, 1.12),
}


def changed(base, **parts):
    """base with some figures replaced: part__measure=figure."""
    found = copy.deepcopy(base)
    for path, value in parts.items():
        *part, name = path.split("__")
        (found[part[0]] if part else found)[name] = value
    return found


def test_good_says_how_many_leave_of_those_it_names_beside_rule_and_chance():
    assert grade(TEST, SOUND, RELIABLE, WORDS).text == (
        "Good: of the 20 clients it names per month, about 6 leave (4 to 8); the recency rule names 4, chance 0.9; among so few, model and "
        "rule may differ by luck. It ranks better than the recency rule beyond noise (AUC 0.83 against 0.70; difference +0.04 to +0.21). "
        "Its probabilities can be taken at face value."
    )


def test_very_good_takes_more_found_and_the_other_baseline_beaten():
    better = changed(TEST, model_minus_recency__found_at_capacity=figure(2.0, 0.3, 4.0))
    assert grade(better, SOUND, RELIABLE, WORDS).text.startswith(
        "Very good: of the 20 clients it names per month, about 6 leave (4 to 8); the recency rule names 4, chance 0.9. It ranks"
    )
    assert level_of(changed(better, model_minus_rfm__auc=figure(0.08, 0.0, 0.15)), is_reliable=True) == "good"


def test_fair_is_better_than_chance_but_not_shown_to_be_better_than_the_rule():
    fair = changed(TEST, model_minus_recency__auc=figure(0.02, -0.03, 0.07))
    found = grade(fair, SOUND, RELIABLE, WORDS)
    assert found.level == "fair"
    assert found.text == (
        "Fair: better than chance, not shown to be better than the recency rule (AUC 0.83 against 0.70; difference -0.03 to +0.07). "
        "Of the 20 clients it names per month, about 6 leave (4 to 8); the recency rule names 4, chance 0.9; among so few, model and rule "
        "may differ by luck. Its probabilities can be taken at face value."
    )


def test_poor_is_worse_than_the_rule_beyond_noise():
    poor = changed(TEST, model_minus_recency__auc=figure(-0.05, -0.09, -0.01))
    assert grade(poor, SOUND, RELIABLE, WORDS).text.startswith(
        "Poor: the recency rule ranks better (AUC 0.83 against 0.70; difference -0.09 to -0.01). Of the 20 clients"
    )


def test_unproven_is_not_shown_to_rank_at_all():
    unproven = changed(TEST, model__auc=figure(0.61, 0.48, 0.73))
    assert grade(unproven, SOUND, RELIABLE, WORDS).text == (
        "Unproven: it is not shown to rank those that leave above the others (AUC 0.61, 0.48 to 0.73; 0.5 is chance). "
        "Its probabilities can be taken at face value."
    )


def test_unknown_is_a_test_period_in_which_nobody_left_or_all_did():
    nobody = changed(TEST, model__auc=figure(None, None, None), n_churned_clients=0)
    assert grade(nobody, SOUND, RELIABLE, WORDS).text == (
        "Not known: of 450 clients in the final test period none left, so no ranking can be judged."
    )
    assert "all left" in grade(changed(nobody, n_churned_clients=450), SOUND, RELIABLE, WORDS).text


def test_too_few_to_learn_from_is_unreliable_however_good_the_figures_look():
    found = grade(TEST, SOUND, {"is_reliable": False, "n_churned_clients": 12}, WORDS)
    assert found.level == "unreliable"
    assert found.text == (
        "Not to be relied upon: it learned from only 12 clients that leave. Its ranking is a hint at best, and its probabilities are no "
        "numbers to plan with."
    )


def test_an_interval_that_is_not_there_carries_nothing():
    assert level_of(changed(TEST, model__auc=figure(0.9, None, None)), is_reliable=True) == "unproven"
    assert level_of(changed(TEST, model_minus_recency__auc=figure(0.2, None, None)), is_reliable=True) == "fair"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "Its probabilities can be taken at face value."),
        (
            {"predicted_over_observed": figure(1.3, 1.1, 1.5)},
            "Its probabilities are too high on average: 6.5% predicted, 5.0% happened.",
        ),
        (
            {"predicted_over_observed": figure(0.7, 0.5, 0.9)},
            "Its probabilities are too low on average: 3.5% predicted, 5.0% happened.",
        ),
        (
            {"calibration_slope": figure(0.6, 0.4, 0.8)},
            "Its probabilities are too sure: the high ones too high, the low ones too low.",
        ),
        (
            {"calibration_slope": figure(1.5, 1.2, 1.9)},
            "Its probabilities are too cautious: the high ones should be higher, the low ones lower.",
        ),
        (
            {"predicted_over_observed": figure(1.0, 0.7, 1.4), "n_churned_clients": 40},
            "Its probabilities are not shown to be off, but 40 clients that leave are too few to take them at face value: what happens may "
            "be 0.7 to 1.4 times what they say.",
        ),
        (
            {"calibration_slope": figure(1.0, 0.6, 1.4), "n_churned_clients": 40},
            "Its probabilities hold on average; 40 clients that leave are too few to say whether the high ones do.",
        ),
        ({"calibration_slope": figure(None, None, None)}, "Whether its probabilities hold could not be checked."),
    ],
    ids=["sound", "too high", "too low", "too sure", "too cautious", "mean uncertain", "slope uncertain", "not known"],
)
def test_what_is_said_of_the_probabilities(parts, said):
    assert face_value(changed(SOUND, **parts), WORDS) == said


def test_one_day_alone_does_not_show_that_probabilities_hold():
    said = grade(TEST, changed(SOUND, n_as_ofs=1), RELIABLE, WORDS).text
    assert said.endswith("Its probabilities held on the one day they were judged from; that says little of another season.")


MISFIT_WORDS = Words("prove misfits", "month", "proved misfits", "misfits", "likeliest misfits")


def test_a_target_with_a_rule_of_its_own_is_held_against_that_and_not_against_recency():
    """Silence says nothing of a misfit: to beat it is no feat."""
    rule = {"auc": figure(0.80, 0.72, 0.86), "found_at_capacity": figure(5.0, 3.0, 7.0)}
    minus = {"auc": figure(0.03, -0.02, 0.08), "found_at_capacity": figure(1.0, -1.0, 3.0)}
    test = changed(TEST, same_rule=rule, model_minus_same_rule=minus)
    found = grade(test, SOUND, RELIABLE, MISFIT_WORDS)
    assert found.level == "fair"
    assert found.text == (
        "Fair: better than chance, not shown to be better than the same rule on the last window (AUC 0.83 against 0.80; difference -0.02 "
        "to +0.08). Of the 20 clients it names per month, about 6 prove misfits (4 to 8); the same rule on the last window names 5, chance "
        "0.9; among so few, model and rule may differ by luck. Its probabilities can be taken at face value."
    )
    nobody = changed(test, model__auc=figure(None, None, None), n_churned_clients=0)
    assert "none proved misfits" in grade(nobody, SOUND, RELIABLE, MISFIT_WORDS).text

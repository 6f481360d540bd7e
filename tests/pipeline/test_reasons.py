"""Reasons: which signals are one, in which order, and what is said of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.contract import Column, spoken
from models.scorer import Explained
from pipeline.reasons import Push, Reason, as_columns, declared_columns, top_reasons
from pipeline.settings import ExplainSettings

COLUMNS = {
    "silence_days": Column(
        "silence_days",
        "silence_days",
        "days",
        "days since the last contact",
        None,
        churn=1,
        raises="Silent for {silence_days:.0f} days.",
        lowers="Silent for only {silence_days:.0f} days.",
    ),
    "contact_change": Column(
        "contact_change",
        "contact_change",
        "ratio",
        "contacts against the client's usual number",
        None,
        churn=-1,
        raises="Contacts are at {contact_change:.0%} of the usual number.",
        lowers="Contacts are at {contact_change:.0%} of the usual number.",
    ),
    "complaints": Column("complaints", "complaints", "count", "complaints", 0, churn=1, raises="{complaints:.0f} complaints."),
    "visits": Column("visits", "visits", "count", "visits", 0),
}


class Scorer:
    """The columns and signals of a model, without the model."""

    columns = tuple(COLUMNS)
    signals = ("contact", "criticism", "visits")
    column_signals = (0, 0, 1, 2)


USUAL = np.array([20.0, 1.0, 1.0, 3.0])


def told(
    values: list[float],
    shares: list[float],
    agreement: list[float] | None = None,
    reasons: int = 3,
    columns: dict[str, Column] = COLUMNS,
    target: str = "churn",
) -> list[Reason]:
    """The reasons of one client: values and contributions by column, agreement by signal."""
    by_column = np.array([shares])
    by_signal = np.array([[shares[0] + shares[1], shares[2], shares[3]]])
    base = -2.0
    explained = Explained(base, base + by_signal.sum(axis=1), by_signal, by_column, np.array([agreement or [1.0, 1.0, 1.0]]))
    frame = pd.DataFrame([values], columns=list(COLUMNS))
    settings = ExplainSettings(reasons=reasons, agreement=0.8, least_contribution=0.02)
    return top_reasons(Scorer(), explained, frame, target=target, usual=USUAL, columns=columns, settings=settings)[0]  # type: ignore[arg-type]


def sentences(found: list[Reason]) -> list[str | None]:
    return [reason.sentence for reason in found]


def test_the_weightiest_signal_comes_first_in_the_clients_own_words():
    found = told([45, 1.0, 3, 0], [0.5, 0.0, 0.9, 0.0])
    assert found == [Reason("criticism", 0.9, "3 complaints."), Reason("contact", 0.5, "Silent for 45 days.")]


def test_no_more_reasons_than_asked_for():
    assert sentences(told([45, 1.0, 3, 0], [0.5, 0.0, 0.9, 0.0], reasons=1)) == ["3 complaints."]


def test_a_signal_that_pushes_against_where_the_client_stands_is_no_reason():
    found = told([5, 1.0, 3, 0], [-0.3, 0.0, 0.9, 0.0])
    assert [reason.signal for reason in found] == ["criticism"]


def test_a_client_below_the_base_value_hears_what_lowers_its_risk():
    assert told([5, 1.0, 3, 0], [-0.9, 0.0, 0.3, 0.0]) == [Reason("contact", -0.9, "Silent for only 5 days.")]


@pytest.mark.parametrize(("agreement", "spoken"), [(0.8, True), (0.79, False)], ids=["just enough", "just too few"])
def test_a_reason_is_given_only_where_the_members_agree(agreement: float, spoken: bool):
    assert bool(told([45, 1.0, 0, 0], [0.5, 0.0, 0.0, 0.0], [agreement, 1.0, 1.0])) is spoken


def test_a_signal_without_any_weight_is_no_reason():
    assert told([20, 1.0, 1, 3], [0.0, 0.0, 0.0, 0.0]) == []


def test_the_column_that_moves_its_signal_most_speaks_for_it():
    assert sentences(told([45, 0.4, 0, 0], [0.2, 0.6, 0.0, 0.0])) == ["Contacts are at 40% of the usual number."]


def test_a_column_that_pushes_the_other_way_does_not_speak_for_its_signal():
    assert sentences(told([45, 0.4, 0, 0], [0.9, -0.2, 0.0, 0.0])) == ["Silent for 45 days."]
    assert sentences(told([45, 1.3, 0, 0], [0.3, -0.2, 0.0, 0.0])) == ["Silent for 45 days."]


def test_more_contact_than_usual_is_not_said_to_raise_the_risk():
    assert sentences(told([45, 1.3, 0, 0], [0.1, 0.6, 0.0, 0.0])) == ["Silent for 45 days."]


def test_less_silence_than_others_is_not_said_to_raise_the_risk():
    assert told([5, 1.3, 0, 0], [0.1, 0.6, 0.0, 0.0]) == [Reason("contact", 0.7, None)]


def test_an_unknown_value_is_not_spoken_of():
    assert sentences(told([float("nan"), 0.5, 0, 0], [0.9, 0.1, 0.0, 0.0])) == ["Contacts are at 50% of the usual number."]


def test_a_signal_without_words_stands_without_them():
    assert told([20, 1.0, 1, 7], [0.0, 0.0, 0.0, 0.4]) == [Reason("visits", 0.4, None)]
    assert told([20, 1.0, 1, 3], [0.0, 0.0, -0.4, 0.0]) == [Reason("criticism", -0.4, None)]


@pytest.mark.parametrize(
    ("column", "raises", "value", "is_opposed"),
    [
        ("silence_days", True, 21.0, False),
        ("silence_days", True, 20.0, True),
        ("silence_days", False, 20.0, False),
        ("silence_days", True, 19.0, True),
        ("silence_days", False, 21.0, True),
        ("contact_change", True, 0.9, False),
        ("contact_change", True, 1.0, True),
        ("contact_change", True, 1.0 - 1e-15, True),
        ("contact_change", False, 1.0, True),
        ("contact_change", True, 1.1, True),
        ("contact_change", False, 1.1, False),
        ("contact_change", False, 0.9, True),
        ("lateness_change_days", True, 3.0, False),
        ("lateness_change_days", True, 0.0, True),
        ("lateness_change_days", False, 3.0, True),
        ("lateness_change_days", False, 0.0, False),
        ("silence_rank", True, 0.6, False),
        ("silence_rank", True, 0.5, True),
        ("silence_rank", False, 0.5, True),
        ("silence_rank", False, 0.4, False),
        ("visits", True, 0.0, False),
    ],
)
def test_words_oppose_what_they_show(column: str, raises: bool, value: float, is_opposed: bool):
    usual = dict(zip(COLUMNS, USUAL.tolist(), strict=True)) | {"lateness_change_days": 5.0, "silence_rank": 0.9}
    declared = COLUMNS | {
        name: replace(COLUMNS["silence_days"], name=name, yardstick=own)
        for name, own in (("lateness_change_days", 0), ("silence_rank", 0.5))
    }
    assert Push(declared[column], "churn", raises, value, usual[column]).opposes is is_opposed


TIMES = replace(
    COLUMNS["contact_change"],
    churn=1,
    raises="Silent for {contact_change:.1f} typical gaps.",
    lowers="Silent for only {contact_change:.1f} typical gaps.",
)
LATE = replace(COLUMNS["complaints"], unit="share", raises="{complaints:.0%} late.", lowers="Only {complaints:.0%} late.")


@pytest.mark.parametrize(
    ("column", "raises", "value", "is_usual"),
    [
        (TIMES, True, 1.04, True),
        (TIMES, True, 1.06, False),
        (TIMES, False, 0.96, True),
        (TIMES, False, 0.94, False),
        (replace(TIMES, raises="Silent for long."), True, 1.04, False),
        (LATE, True, 0.004, True),
        (LATE, True, 0.006, False),
        (LATE, False, 0.0, False),
        (replace(LATE, yardstick=0.2), True, 0.204, True),
        (replace(LATE, yardstick=0.2), False, 0.196, True),
        (COLUMNS["complaints"], True, 0.4, False),
    ],
)
def test_a_figure_that_is_the_usual_one_once_rounded_sets_nobody_apart(column: Column, raises: bool, value: float, is_usual: bool):
    assert Push(column, "churn", raises, value, usual=0.0).reads_as_usual is is_usual


def test_a_figure_that_reads_as_usual_leaves_the_word_to_the_next_column():
    assert sentences(told([45, 0.996, 0, 0], [0.2, 0.6, 0.0, 0.0])) == ["Silent for 45 days."]


def test_words_about_a_column_that_is_unknown_are_left_out_though_they_speak_others():
    of_others = replace(COLUMNS["contact_change"], raises="{visits:.0f} visits.")
    assert sentences(told([45, float("nan"), 0, 2], [0.1, 0.6, 0.0, 0.0], columns=COLUMNS | {"contact_change": of_others})) == [
        "Silent for 45 days."
    ]
    assert sentences(told([45, 0.5, 0, 2], [0.1, 0.6, 0.0, 0.0], columns=COLUMNS | {"contact_change": of_others})) == ["2 visits."]


BLAME = replace(COLUMNS["complaints"], unit="share", misfit=-1, raises="{complaints:.0%} ours.", lowers="Only {complaints:.0%} ours.")


@pytest.mark.parametrize(
    ("target", "raises", "value", "said"),
    [
        ("churn", True, 0.8, "80% ours."),
        ("churn", False, 0.1, "Only 10% ours."),
        ("misfit", True, 0.1, "Only 10% ours."),
        ("misfit", False, 0.8, "80% ours."),
        ("misfit", True, 0.8, None),
        ("misfit", False, 0.1, None),
    ],
)
def test_where_the_targets_are_opposite_the_sentences_change_places(target: str, raises: bool, value: float, said: str | None):
    """Delay of our own making speaks for leaving us, and against the client's being a misfit."""
    share = 0.9 if raises else -0.9
    found = told(
        [20, 1.0, value, 3], [0.0, 0.0, share, 0.0], target=target, columns=COLUMNS | {"complaints": replace(BLAME, yardstick=0.5)}
    )
    assert found == [Reason("criticism", share, said)]


def test_the_blame_split_is_the_one_column_whose_targets_are_opposite():
    opposite = [column for column in declared_columns().values() if column.churn * column.misfit < 0]
    assert [column.name for column in opposite] == ["delay_share_ours_180"]
    pushed = Push(opposite[0], "misfit", raises=True, value=0.1, usual=0.5)
    assert (
        spoken(pushed.words, {"delay_share_ours_180": 0.1})
        == "Of all delay in the last half year, ours and the client's, only 10% was ours."
    )


@pytest.mark.parametrize(
    ("value", "share", "said"),
    [
        (45.0, 0.9, "Silent for 45 days."),
        (5.0, -0.9, "Silent for only 5 days."),
        (5.0, 0.9, None),
        (45.0, -0.9, None),
        (20.0, 0.9, None),
        (20.0, -0.9, None),
    ],
)
def test_where_only_the_other_target_has_a_direction_the_sentences_are_held_to_it(value: float, share: float, said: str | None):
    assert told([value, 1.0, 1, 3], [share, 0.0, 0.0, 0.0], target="misfit") == [Reason("contact", share, said)]


@pytest.mark.parametrize(("value", "said"), [(0.4, "Contacts are at 40% of the usual number."), (1.0, None)])
@pytest.mark.parametrize("share", [0.9, -0.9], ids=["raises", "lowers"])
def test_a_plain_figure_may_speak_either_way_where_the_target_has_no_direction(value: float, said: str | None, share: float):
    assert told([20, value, 1, 3], [0.0, share, 0.0, 0.0], target="misfit") == [Reason("contact", share, said)]


def test_what_reassures_on_misfit_alone_is_no_reason_to_leave():
    rise = declared_columns()["discount_rise_90"]
    assert Push(rise, "churn", raises=True, value=0.0, usual=0.02).opposes, "not said: ↑ the discount has not risen"
    assert Push(rise, "churn", raises=True, value=0.05, usual=0.02).words.startswith("The discount has risen")
    assert not Push(rise, "churn", raises=True, value=0.05, usual=0.02).opposes


def test_a_flag_at_the_usual_value_is_not_denied_where_the_target_has_no_direction():
    """Most clients have lost their decision maker: of one of them it is not said that we know who decides."""
    lost = declared_columns()["without_decision_maker"]
    assert Push(lost, "misfit", raises=False, value=1.0, usual=1.0).opposes
    assert not Push(lost, "misfit", raises=False, value=0.0, usual=1.0).opposes


def test_a_share_without_direction_that_rounds_to_the_usual_is_not_spoken_either_way():
    for raises in (True, False):
        assert Push(replace(LATE, churn=0, misfit=1), "churn", raises, 0.004, usual=0.0).reads_as_usual


def test_places_without_a_reason_are_null():
    table = as_columns([[Reason("criticism", 0.9, None)], []], "churn", places=2)
    assert table.to_dict(orient="list") == {
        "churn_reason_1_signal": ["criticism", None],
        "churn_reason_1_contribution": [0.9, None],
        "churn_reason_1_sentence": [None, None],
        "churn_reason_2_signal": [None, None],
        "churn_reason_2_contribution": [None, None],
        "churn_reason_2_sentence": [None, None],
    }

"""The declaration of misfit: its bases in order, which outcome counts as what, and that each says what it takes for granted."""

from models import misfit
from models.misfit import BASES, ECONOMICS, LABELS, MARKED, POLICY
from pipeline.tables import TABLES


def test_only_being_one_or_none_is_learnt_from():
    assert dict(LABELS) == {
        "no_misfit": 0,
        "misfit": 1,
        "immature": None,
        "left_in_gap": None,
        "disputed": None,
        "left_early": None,
        "unpriced": None,
    }


def test_the_bases_stand_from_the_best_to_none():
    assert list(BASES) == [MARKED, ECONOMICS, POLICY]
    assert {name: basis.tables for name, basis in BASES.items()} == {
        "marked": ("endings", "reviews"),
        "economics": ("invoices", "work"),
        "policy": (),
    }


def test_what_marks_one_are_words_that_the_tables_allow():
    assert misfit.ENDED_BY in TABLES["endings"]["ended_by"].allowed
    assert misfit.REASON in TABLES["endings"]["reason"].allowed
    assert {misfit.AGAINST, misfit.FOR} < set(TABLES["reviews"]["verdict"].allowed)


def test_every_basis_says_what_it_takes_for_granted():
    assert all(basis.question.endswith("?") and basis.outcome and basis.assumption for basis in BASES.values())
    assert "counts as none" in BASES[MARKED].assumption
    assert "not a probability" in BASES[POLICY].assumption

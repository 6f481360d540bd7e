"""The model card: all a consumer of the registry needs, fit for Markdown whatever the data hold, and short enough for the registry."""

import copy

import pytest
from small_business import Small

from pipeline import card, evaluate
from pipeline.tables import read_json

SECTIONS = (
    *(
        "Question and purpose",
        "Data and population",
        "Final test period",
        "Rolling origins before it, pooled",
        "By origin",
        "Slices",
        "Decay",
    ),
    *("Horizons", "Calibration", "Limits", "How to use it", "Where it comes from"),
)


@pytest.fixture
def parts(small: Small) -> tuple[dict, dict]:
    """metrics.json and training.json of the small business, with every optional part of the latter."""
    evaluate.evaluate(small.source, "churn")
    facts = read_json(small.source.output / "train" / "churn" / "training.json")
    facts["importance"] = [
        {"signal": "criticism", "mean_contribution_size": 0.2, "share": 0.4},
        {"signal": "contact_frequency", "mean_contribution_size": 0.3, "share": 0.6},
    ]
    facts["leakage"] = {
        "highest_auc": {"column": "recency_days", "auc": 0.81},
        "largest_fall": None,
        "suspicious_but_trusted": {"recency_days": "why"},
        "ids_with_one_history": 0,
    }
    return read_json(small.source.output / "evaluate" / "churn" / "metrics.json"), facts


def test_the_card_has_all_its_sections_and_begins_with_the_grade(small: Small, parts):
    text = card.model_card(small.source, "churn", *parts)
    assert text.startswith(f"# clientfit-alpha: churn\n\n{parts[0]['grade']['text']}\n")
    for section in (*SECTIONS, "What moves it", "Searched for leaks"):
        assert f"\n## {section}\n\n" in text
    assert "tier: **" in text
    assert "- Contact frequency: 60% (0.30 log-odds on average)\n- Criticism: 40%" in text
    assert "- highest AUC of a column alone: recency_days, 0.81\n- columns too good to be true, but trusted: recency_days\n" in text


@pytest.fixture
def of_misfit(small: Small) -> tuple[dict, dict]:
    """metrics.json and training.json of the small business's misfit model."""
    folders = (small.source.output / stage / "misfit" for stage in ("evaluate", "train"))
    return tuple(read_json(folder / name) for folder, name in zip(folders, ("metrics.json", "training.json"), strict=True))


def test_a_misfit_s_card_says_its_basis_what_it_takes_for_granted_and_speaks_of_misfits(small: Small, of_misfit):
    text = card.model_card(small.source, "misfit", *of_misfit)
    assert text.startswith(f"# clientfit-alpha.misfit: misfit\n\n{of_misfit[0]['grade']['text']}\n")
    assert (
        "Basis of the label: **marked**. Only some misfits are ever marked by people; a client that nobody marked counts as none." in text
    )
    assert text.count("a client that nobody marked counts as none") == 2, "with the question and among the limits"
    for word in ("lost", "leave", "churn", "silent for"):
        assert word not in text, word
    assert "| made on | misfits of |" in text


def test_a_misfit_s_card_has_its_rules_and_the_clients_that_do_not_meet_them_yet(small: Small, of_misfit):
    found, facts = of_misfit
    text = card.model_card(small.source, "misfit", found, facts)
    assert "| same rule, last window |" in text
    assert "| model − same rule, last window |" in text
    beyond = text.partition("## Clients that do not meet the rule already\n\n")[2].partition("\n## ")[0]
    assert f"{found['beyond_rule']['n_rows_that_meet_it']} out-of-time snapshots that meet it are left out" in " ".join(beyond.split())
    assert f"{found['beyond_rule']['test']['n_rows']} snapshots of" in beyond
    assert f"{found['beyond_rule']['origins']['n_rows']} snapshots of" in beyond
    assert found["beyond_rule"]["test"]["n_rows"] < found["test"]["n_rows"]


def test_churn_s_card_has_neither(small: Small, parts):
    text = card.model_card(small.source, "churn", *parts)
    assert "do not meet the rule already" not in text
    assert "Basis of the label" not in text
    assert "misfit" not in text


@pytest.mark.parametrize("target", ["churn", "misfit"])
def test_every_row_of_a_table_has_as_many_cells_as_its_header(small: Small, parts, of_misfit, target: str):
    widths = []
    for line in card.model_card(small.source, target, *(parts if target == "churn" else of_misfit)).splitlines():
        if not line.startswith("|"):
            widths = []
            continue
        widths.append(line.replace("\\|", "").count("|"))
        assert widths[-1] == widths[0], line


def test_no_client_is_named(small: Small, parts):
    assert "client-29" not in card.model_card(small.source, "churn", *parts)


def test_a_segment_called_like_a_table_stays_in_its_cell(small: Small, parts):
    found, facts = copy.deepcopy(parts)
    found["slices"]["slices"][0]["slice"] = "x | <script>\n| y"
    assert "size: x \\| &lt;script> \\| y |" in card.model_card(small.source, "churn", found, facts)


def test_a_history_too_short_for_anything_says_so_section_by_section(small: Small, parts):
    found, facts = parts
    gap = {"rolling_minus_test": None, "oob_mean_size": None, "oob_mean_difference": None}
    bare = found | {"origins": None, "decay": [], "horizons": [], "validation_gap": gap}
    text = card.model_card(
        small.source, "churn", bare, {name: fact for name, fact in facts.items() if name not in ("importance", "leakage")}
    )
    assert "## Rolling origins before it, pooled\n\nNone: the history is too short for any.\n" in text
    assert "## Decay\n\nNot known: no rolling origin has a later as_of before the test period.\n" in text
    assert "## Horizons\n\nOnly the main one, 60 days.\n" in text
    assert "What moves it" not in text


def test_the_registry_s_copy_adds_code_and_reads():
    text = card.registered("# whole\n", code="0123456789abcdef0123456789", reads="this final period has been read by this model alone")
    assert text == "# whole\nCode 0123456789abcdef0123. Of the figures: this final period has been read by this model alone.\n"


def test_the_short_form_of_a_misfit_says_the_basis_and_fits(small: Small, of_misfit):
    found, facts = of_misfit
    text = card.short(small.source, "misfit", found, {"training": facts["shipped"]}, told=[])
    assert "Basis of the label: **marked**. Only some misfits are ever marked by people" in text
    assert len(text) < card.LIMIT


def test_the_short_form_fits_the_registry_whatever_it_has_to_say(small: Small, parts):
    found, facts = parts
    spec = {"training": facts["shipped"]}
    text = card.short(small.source, "churn", found, spec, told=["It is flagged."])
    assert found["grade"]["text"] in text
    assert "It is flagged." in text
    assert "| AUC |" in text
    assert len(text) <= card.LIMIT
    assert len(card.short(small.source, "churn", found, spec, told=["x" * 6_000])) == card.LIMIT


def aged(months: int, low: float, high: float) -> dict:
    difference = {"value": (low + high) / 2, "low": low, "high": high}
    return {"months": months, "paired": {"aged_minus_fresh": {"auc": difference}}}


@pytest.mark.parametrize(
    ("decay", "said"),
    [
        (
            [aged(1, -0.1, 0.1), aged(6, -0.06, -0.02)],
            "A model 6 months old ranks worse than a fresh one: difference in AUC -0.040 [-0.060, -0.020].",
        ),
        (
            [aged(1, -0.06, 0.02)],
            "A model 1 month old is not shown to rank worse than a fresh one: difference in AUC -0.020 [-0.060, +0.020].",
        ),
        (
            [{"months": 1, "paired": None}],
            "How fast models age is not known: none stands beside a fresh one on the same snapshots.",
        ),
    ],
)
def test_what_is_said_of_ageing(decay, said):
    assert card.decay_told(decay) == said

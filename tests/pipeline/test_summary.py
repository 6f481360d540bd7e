"""What `make train` prints at its end: the grade first, the figures within the terminal's width, the log of reads last."""

import pytest
from small_business import Small

from pipeline import evaluate, summary
from pipeline.source import Source
from pipeline.tables import read_json, write_json


@pytest.fixture
def printed(small: Small, capsys: pytest.CaptureFixture[str]) -> str:
    for target in ("churn", "misfit"):
        registered(small.source, target)
    summary.summarise(small.source)
    return capsys.readouterr().out


def registered(source: Source, target: str) -> None:
    """As if it were: what register writes, as far as it is shown."""
    written = {"model": source.registered(target), "version": 1, "role": "champion"}
    write_json(source.output / "register" / target / "registration.json", written)


def test_both_targets_have_their_figures_and_places(printed: str):
    for target in ("churn", "misfit"):
        assert f"\n{target}: Will " in printed
        assert f"  {target}: figures, card, predictions, plots" in printed
        assert f" data/alpha/evaluate/{target}\n" in printed
    assert printed.count("Log of reads: this final period") == 2
    assert "of whom were lost." in " ".join(printed.split())
    assert "of whom were misfits." in " ".join(printed.split())
    assert "Basis of the label: marked. Only some misfits are ever marked by people" in printed
    assert "AUC of further rules" in printed
    assert "that do not meet the same rule already: AUC model" in " ".join(printed.split())
    assert "registered: clientfit-alpha version 1, champion\nregistered: clientfit-alpha.misfit version 1, champion\n" in printed


def test_a_target_without_a_model_is_one_line(small: Small, capsys: pytest.CaptureFixture[str]):
    lack = {"target": "misfit", "basis": "policy", "no_model": "no client is marked by people"}
    registered(small.source, "churn")
    write_json(small.source.output / "register" / "misfit" / "registration.json", lack)
    write_json(small.source.output / "evaluate" / "misfit" / "metrics.json", lack)
    summary.summarise(small.source)
    printed = capsys.readouterr().out
    assert "\nmisfit: no model, no probability: no client is marked by people\n" in printed
    assert "clientfit-alpha.misfit" not in printed
    assert "evaluate/misfit" not in printed
    assert "Final test: as_of" in printed, "churn does not suffer"


def test_the_grade_comes_before_any_figure(printed: str, small: Small):
    grade = read_json(small.source.output / "evaluate" / "churn" / "metrics.json")["grade"]["text"]
    assert " ".join(printed.split()).index(grade[:60]) < printed.index("AUC: 0.5 = chance")


def test_it_fits_into_ninety_columns(printed: str):
    figures = printed.partition("registered:")[0]
    assert max(len(line.rstrip()) for line in figures.splitlines()) <= summary.WIDTH == 90
    assert "…" not in figures  # nothing is cut off


def test_wide_figures_have_fewer_digits_so_that_three_stand_side_by_side():
    figure = {"value": 8.0, "low": -1.25, "high": 10.0}
    assert summary._within(figure, is_difference=True) == "+8.0 [-1.2, +10.0]"
    assert summary._within(figure | {"high": 9.99}, is_difference=True) == "+8.00 [-1.25, +9.99]"


def test_model_and_baselines_origins_horizons_slices_and_reads_are_shown(printed: str):
    for words in ("model − recency", "found at capacity", "final test", "AUC by horizon", "Slices", "Log of reads: this final period"):
        assert words in printed


def test_a_slice_s_name_is_text_and_no_markup(printed: str):
    found = {"n_comparisons": 2, "slices": [{"trait": "segment", "slice": "[red]x[/red]", "told": "predicts too much", "auc": figure()}]}
    assert "\\[red]x" in summary._slices(found)
    assert printed


def figure() -> dict[str, float]:
    return {"value": 0.6, "low": 0.5, "high": 0.7}


def test_a_business_without_origins_and_horizons_is_summarised_too(small: Small, capsys: pytest.CaptureFixture[str]):
    found, _ = evaluate.evaluate(small.source, "churn")
    bare = found | {"decay": [], "horizons": [], "origins": None, "by_origin": found["by_origin"][-1:]}
    bare["validation_gap"] = {"rolling_minus_test": None, "oob_mean_size": None, "oob_mean_difference": None}
    write_json(small.source.output / "evaluate" / "churn" / "metrics.json", bare)
    for target in ("churn", "misfit"):
        registered(small.source, target)
    summary.summarise(small.source)
    assert "Log of reads" in capsys.readouterr().out

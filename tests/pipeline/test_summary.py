"""What `make train` prints at its end: the grade first, the figures within the terminal's width, the log of reads last."""

import pytest
from small_business import Small

from pipeline import evaluate, summary
from pipeline.tables import read_json, write_json


@pytest.fixture
def printed(small: Small, capsys: pytest.CaptureFixture[str]) -> str:
    evaluate.evaluate(small.source, "churn")
    write_json(small.source.output / "register" / "registration.json", {"model": "clientfit-alpha", "version": 1, "role": "champion"})
    summary.summarise(small.source)
    return capsys.readouterr().out


def test_the_grade_comes_before_any_figure(printed: str, small: Small):
    grade = read_json(small.source.output / "evaluate" / "churn" / "metrics.json")["grade"]["text"]
    assert " ".join(printed.split()).index(grade[:60]) < printed.index("AUC: 0.5 = chance")


def test_it_fits_into_ninety_columns(printed: str):
    figures = printed.partition("registered:")[0]
    assert max(len(line.rstrip()) for line in figures.splitlines()) <= summary.WIDTH == 90
    assert "…" not in figures  # nothing is cut off


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
    write_json(small.source.output / "register" / "registration.json", {"model": "clientfit-alpha", "version": 1, "role": "champion"})
    summary.summarise(small.source)
    assert "Log of reads" in capsys.readouterr().out

"""The pictures: a PNG and a table each, equal bytes for equal figures, and a word where there is nothing to draw."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from small_business import Small

from models.judgement import Rules
from pipeline.plots import Drawing, backtest_table, decay_table, drawings, importance_table, slices_table, write_plots
from pipeline.tables import read_json
from pipeline.wording import words_of


def figure(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def test_a_picture_is_written_with_its_table_and_twice_alike(tmp_path: Path):
    table = pd.DataFrame({"x": [1.0, 2.0]})
    drawing = Drawing(table, "Title", "subtitle", lambda axes, drawn: axes.plot(drawn["x"]))
    for folder in ("first", "second"):
        write_plots(tmp_path / folder, {"name": drawing})
    assert (tmp_path / "first" / "name.csv").read_text() == "x\n1.0\n2.0\n"
    assert (tmp_path / "first" / "name.png").read_bytes() == (tmp_path / "second" / "name.png").read_bytes()


def test_nothing_to_draw_is_a_picture_that_says_so_and_a_header(tmp_path: Path):
    def never(*_: object) -> None:
        pytest.fail("there is nothing to draw")

    write_plots(tmp_path / "plots", {"decay": Drawing(decay_table([]), "Decay", "", never, "the history is too short")})
    assert (tmp_path / "plots" / "decay.csv").read_text().startswith("months,n_models,")
    assert (tmp_path / "plots" / "decay.png").stat().st_size > 2_000


def test_the_backtest_s_table_leaves_out_origins_of_one_class_and_names_the_test():
    origins = [
        {"fold": "2025-01-01", "is_test": False, "auc": figure(None), "oob_auc": 0.8, "recency_auc": figure(None)},
        {"fold": "2025-02-01", "is_test": False, "auc": figure(0.7, 0.6, 0.8), "oob_auc": None, "recency_auc": figure(0.6)},
        {"fold": "test", "is_test": True, "auc": figure(0.9, 0.8, 0.95), "oob_auc": 0.8, "recency_auc": figure(0.5)},
    ]
    table = backtest_table(origins)
    assert table["fold"].tolist() == ["2025-02-01", "final test"]
    assert table["auc"].tolist() == [0.7, 0.9]


def test_the_slices_table_keeps_slices_too_small_to_rank():
    slices = {
        "slices": [{"trait": "size", "slice": "small", "n_clients": 3, "n_churned_clients": 1, "auc": figure(None), "told": "too few"}]
    }
    assert slices_table(slices).to_dict("records")[0]["told"] == "too few"
    assert slices_table({"slices": []}).empty


def test_the_decay_table_has_the_fresh_models_where_there_are_some():
    paired = {
        "aged": {"auc": figure(0.7, 0.6, 0.8)},
        "fresh": {"auc": figure(0.75, 0.6, 0.8)},
        "aged_minus_fresh": {"auc": figure(-0.05, -0.1, 0.0)},
    }
    decay = [
        {"months": 1, "n_models": 2, "n_rows": 10, "auc": figure(0.8, 0.7, 0.9), "paired": None},
        {"months": 2, "n_models": 2, "n_rows": 10, "auc": figure(0.7, 0.6, 0.8), "paired": paired},
    ]
    table = decay_table(decay)
    assert table["fresh_auc"].fillna(0).tolist() == [0, 0.75]
    assert table["difference"].fillna(0).tolist() == [0, -0.05]


def test_importance_stands_the_weightiest_first_under_its_title():
    table = importance_table(
        [
            {"signal": "criticism", "mean_contribution_size": 0.1, "share": 0.25},
            {"signal": "contact_frequency", "mean_contribution_size": 0.3, "share": 0.75},
        ]
    )
    assert table["title"].tolist() == ["Contact frequency", "Criticism"]
    assert importance_table([]).empty


def test_misfit_is_drawn_in_its_own_words_with_its_own_rules(small: Small):
    found = read_json(small.source.output / "evaluate" / "misfit" / "metrics.json")
    predicted = pd.read_parquet(small.source.output / "train" / "misfit" / "backtest.parquet")
    test = predicted[predicted["fold"] == "test"]
    drawn = drawings(found, test, Rules(50, 1, 20), importance=[], words=words_of(small.source, "misfit"))
    assert drawn["gain"].title == "Gain: who is found by looking at the likeliest misfits first"
    assert "prove misfits" in drawn["gain"].subtitle
    for name in ("gain", "lift"):
        axes = Figure().add_subplot()
        drawn[name].draw(axes, drawn[name].table)
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels[:4] == ["model", "recency rule", "windowed RFM", "same rule, last window"]
        assert "likeliest misfits first" in axes.get_xlabel()

"""The shipped scorer: what it refuses, what it promises, and that its reasons add up to what it says."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from models import scorer
from models.fitting import Columns, fit
from models.scorer import BadFrame, BadModel, Model, probability_of


@pytest.fixture(scope="module")
def ready(model):
    return model.scorer


@pytest.fixture(scope="module")
def asked(world):
    return world.rows.features.iloc[:300].reset_index(drop=True)


# ---- columns by name --------------------------------------------------------------------------------------------------------------


def test_the_order_of_columns_changes_nothing(ready, asked):
    pd.testing.assert_frame_equal(ready.predict(asked[asked.columns[::-1]]), ready.predict(asked))


def test_extra_columns_are_ignored(ready, asked):
    pd.testing.assert_frame_equal(ready.predict(asked.assign(client_id="x", surplus=1.0)), ready.predict(asked))


def test_a_missing_column_is_named(ready, asked):
    with pytest.raises(BadFrame, match="without complaints; wanted the 8 columns"):
        ready.predict(asked.drop(columns="complaints"))


def test_a_column_given_twice_is_refused(ready, asked):
    with pytest.raises(BadFrame, match="more than one column named noise"):
        ready.predict(pd.concat([asked, asked[["noise"]]], axis=1))


def test_text_is_refused(ready, asked):
    with pytest.raises(BadFrame, match="no numbers in noise"):
        ready.predict(asked.assign(noise="high"))


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_an_infinite_value_is_refused(ready, asked, infinite):
    with pytest.raises(BadFrame, match="infinite value in complaints"):
        ready.predict(asked.assign(complaints=[infinite] + [0.0] * (len(asked) - 1)))


@pytest.mark.parametrize("kind", ["int64", "Int64", "Float64", "float32"])
def test_whole_numbers_and_nullable_numbers_are_numbers(ready, asked, kind):
    pd.testing.assert_frame_equal(ready.predict(asked.astype({"complaints": kind})), ready.predict(asked))


def test_a_column_without_any_value_is_unknown_whatever_its_type(ready, asked):
    pd.testing.assert_frame_equal(ready.predict(asked.assign(never_known=None)), ready.predict(asked))


def test_an_enormous_value_gives_a_probability(ready, asked):
    scores = ready.predict(asked.head(1).assign(days_overdue=1e308, complaints=1e308))
    assert scores["probability"].between(0, 1).all()


# ---- scores -----------------------------------------------------------------------------------------------------------------------


def test_no_rows_give_no_rows(ready, asked):
    answer = scorer.answer(ready, asked.iloc[:0], with_reasons=True)
    assert len(answer) == 0
    assert list(answer.columns[:4]) == ["probability", "low", "high", "base"]


def test_the_range_holds_the_probability(ready, asked):
    scores = ready.predict(asked)
    assert ((scores["low"] <= scores["probability"]) & (scores["probability"] <= scores["high"])).all()
    assert (scores["high"] - scores["low"]).mean() > 0.01


def test_scores_keep_the_frames_index(ready, asked):
    assert list(ready.predict(asked.set_axis(range(100, 400))).index) == list(range(100, 400))


def test_a_rows_score_does_not_depend_on_its_batch(ready, asked):
    together = ready.predict(asked)
    alone = pd.concat([ready.predict(asked.iloc[[place]]) for place in range(60)])
    shuffled = ready.predict(asked.sample(frac=1, random_state=3)).sort_index()
    pd.testing.assert_frame_equal(alone, together.iloc[:60], check_exact=True)
    pd.testing.assert_frame_equal(shuffled, together, check_exact=True)


def test_probability_of_is_the_logistic_function():
    assert probability_of(np.array([-800.0, -1.0, 0.0, 1.0, 800.0])).round(6).tolist() == [0.0, 0.268941, 0.5, 0.731059, 1.0]


@pytest.mark.parametrize("direction", [1, -1])
def test_no_part_ever_goes_against_a_stated_direction(world, asked, columns, recipe, direction):
    """Trees and linear part, each alone, with the true directions and with all of them turned round: then the data pull the other way."""
    signs = {name: direction * sign for name, sign in columns.signs.items()}
    fitted = fit(world.rows, Columns(columns.signals, signs), recipe)
    ready = Model(fitted.spec, fitted.texts)
    for name, sign in signs.items():
        swept = [ready.part_margins(asked.head(60).assign(**{name: value})) for value in np.linspace(-5, 200, 20)]
        for part in (0, 1):
            steps = sign * np.diff(np.stack([margins[part] for margins in swept]), axis=0)
            assert steps.min() >= -1e-9, (name, part)


# ---- reasons ----------------------------------------------------------------------------------------------------------------------


def test_reasons_add_up_to_the_calibrated_log_odds(ready, asked):
    explained = ready.explain(asked)
    slope, intercept = ready.calibration
    log_odds = slope * ready.member_margins(asked).mean(axis=1) + intercept
    np.testing.assert_allclose(explained.log_odds, log_odds, rtol=0, atol=1e-12)
    np.testing.assert_allclose(explained.base + explained.by_signal.sum(axis=1), log_odds, rtol=0, atol=1e-6)
    np.testing.assert_allclose(explained.base + explained.by_column.sum(axis=1), log_odds, rtol=0, atol=1e-6)
    np.testing.assert_allclose(probability_of(explained.log_odds), ready.predict(asked)["probability"], rtol=0, atol=1e-12)


def test_reasons_are_those_of_shap(ready, asked):
    """shap's own explainers on every member's two parts, blended, averaged and scaled by hand, are the oracle."""
    shap = pytest.importorskip("shap")
    explained = ready.explain(asked)
    values = asked[list(ready.columns)].to_numpy()
    z, missing = ready.linear(values)
    w, (slope, intercept) = ready.tree_weight, ready.calibration
    expected, base = np.zeros(values.shape), 0.0
    for booster, member in zip(ready.trees, ready.spec["members"], strict=True):
        trees = shap.TreeExplainer(booster)
        coefficients = np.array(member["coefficients"] + member["flag_coefficients"])
        background = np.array(member["means"] + member["flag_means"])
        linear = shap.LinearExplainer((coefficients, member["intercept"]), background[None, :])
        shares = linear.shap_values(np.hstack([z, missing]))
        tree_shares = trees.shap_values(values)
        expected += (w * tree_shares + (1 - w) * shares[:, : len(ready.columns)]) / len(ready.trees)
        for place, column in enumerate(ready.linear.flags):
            expected[:, column] += (1 - w) * shares[:, len(ready.columns) + place] / len(ready.trees)
        base += (w * float(trees.expected_value) + (1 - w) * float(linear.expected_value)) / len(ready.trees)
    np.testing.assert_allclose(explained.by_column, slope * expected, rtol=0, atol=1e-6)
    assert explained.base == pytest.approx(slope * base + intercept, abs=1e-6)


def test_a_signals_reason_is_the_sum_of_its_columns(ready, asked):
    explained = ready.explain(asked)
    assert ready.signals == ("contact_frequency", "billing_friction", "criticism", "weather")
    np.testing.assert_allclose(explained.by_signal[:, 0], explained.by_column[:, 0] + explained.by_column[:, 1], atol=1e-12)
    np.testing.assert_allclose(explained.by_signal[:, 1], explained.by_column[:, 2] + explained.by_column[:, 3], atol=1e-12)


def test_causes_weigh_more_than_noise(ready, asked):
    size = dict(zip(ready.signals, np.abs(ready.explain(asked).by_signal).mean(axis=0), strict=True))
    assert min(size["contact_frequency"], size["criticism"]) > 3 * size["weather"]


def test_members_agree_on_strong_reasons(ready, asked):
    explained = ready.explain(asked)
    strong = np.abs(explained.by_signal) > 0.5
    assert strong.any()
    assert explained.agreement[strong].mean() > 0.95
    assert set(np.unique(explained.agreement)) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_reasons_do_not_depend_on_the_block(ready, asked, monkeypatch):
    whole = ready.explain(asked)
    monkeypatch.setattr(scorer, "BLOCK_ROWS", 7)
    parts = ready.explain(asked)
    np.testing.assert_array_equal(parts.by_signal, whole.by_signal)
    np.testing.assert_array_equal(parts.agreement, whole.agreement)


def test_an_answer_with_reasons_names_every_signal(ready, asked):
    answer = scorer.answer(ready, asked.head(3), with_reasons=True)
    assert list(answer.columns) == [
        *("probability", "low", "high", "base"),
        *("contribution_contact_frequency", "agreement_contact_frequency", "contribution_billing_friction", "agreement_billing_friction"),
        *("contribution_criticism", "agreement_criticism", "contribution_weather", "agreement_weather"),
    ]


# ---- what is stored ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(model, tmp_path):
    (tmp_path / "spec.json").write_text(json.dumps(model.spec), encoding="utf-8")
    (tmp_path / "members").mkdir()
    for member, text in zip(model.spec["members"], model.texts, strict=True):
        (tmp_path / "members" / member["file"]).write_bytes(text.encode())
    return tmp_path


def test_a_stored_model_scores_the_same(stored, ready, asked):
    again = scorer.load(stored / "spec.json", stored / "members")
    pd.testing.assert_frame_equal(again.predict(asked), ready.predict(asked), check_exact=True)
    assert scorer.content_hash(again.spec) == scorer.content_hash(ready.spec)


@pytest.mark.parametrize("damage", [b"x", b"\xff", b""])
def test_a_damaged_text_never_reaches_lightgbm(stored, monkeypatch, damage):
    path = stored / "members" / "member_02.txt"
    content = path.read_bytes()
    path.write_bytes(content[:1000] + damage + content[1001:] if damage else b"")
    monkeypatch.setattr(lgb, "Booster", lambda **_: pytest.fail("LightGBM saw a damaged text"))
    with pytest.raises(BadModel):
        scorer.load(stored / "spec.json", stored / "members")


def test_a_missing_text_is_told(stored):
    (stored / "members" / "member_01.txt").unlink()
    with pytest.raises(BadModel, match=r"member_01\.txt"):
        scorer.load(stored / "spec.json", stored / "members")


def test_a_spec_of_another_format_is_refused(model):
    with pytest.raises(BadModel, match="format 1; wanted 2"):
        Model(model.spec | {"format": 1}, model.texts)


def test_texts_of_another_model_are_refused(model):
    with pytest.raises(BadModel, match="first that differs being member 0"):
        Model(model.spec, model.texts[::-1])


def test_the_content_hash_changes_with_every_number(model):
    other = model.spec | {"calibration": model.spec["calibration"] | {"slope": 1.2000000001}}
    assert scorer.content_hash(other) != scorer.content_hash(model.spec)
    assert len(scorer.content_hash(model.spec)) == 64


def test_the_spec_holds_no_clients_id(model):
    assert "client 0" not in json.dumps(model.spec)
    assert not any("client 0" in text for text in model.texts)


# ---- alone ------------------------------------------------------------------------------------------------------------------------


def test_the_file_imports_only_what_a_bare_machine_has():
    tree = ast.parse(Path(scorer.__file__).read_text(encoding="utf-8"))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"hashlib", "json", "collections", "dataclasses", "pathlib", "typing", "lightgbm", "numpy", "pandas", "mlflow"}


def test_importing_it_in_the_pipeline_does_not_import_mlflow():
    code = "import sys, models.scorer; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(scorer.__file__).parent.parent).returncode == 0


def test_mlflow_serves_it_from_the_file_alone(stored, ready, asked, monkeypatch):
    """As MLflow does it: the file runs under a name of its own, `set_model` is called, the artifacts are handed over."""
    mlflow = pytest.importorskip("mlflow")
    from mlflow.models.utils import _load_model_code_path

    monkeypatch.setattr(mlflow.models.model, "__mlflow_model__", None)
    served = _load_model_code_path(scorer.__file__, None)

    context = SimpleNamespace(artifacts={"spec": str(stored / "spec.json"), "members": str(stored / "members")})
    served.load_context(context)
    plain = served.predict(context, asked)
    with_reasons = served.predict(context, asked, {"reasons": True})
    pd.testing.assert_frame_equal(plain, ready.predict(asked), check_exact=True)
    assert "contribution_criticism" in with_reasons

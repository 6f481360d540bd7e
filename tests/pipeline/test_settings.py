"""params.yaml and a source's overrides: every fault names the key, what stands there and what is wanted."""

import pytest

from features.errors import UserError
from pipeline.settings import load_settings


def test_a_source_overrides_one_knob_and_keeps_the_others():
    settings = load_settings({"time": {"horizon_days": 180}}, "source.yaml")
    assert (settings.time.horizon_days, settings.time.gap_days) == (180, 14)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"time": {"horizon": 90}}, "time.horizon = 90"),
        ({"time": {"horizon": 90}}, "one of cadence, as_ofs, gap_days, horizon_days, lateness_days, warm_up_days"),
        ({"time": {"horizon_days": "90"}}, "time.horizon_days = '90'"),
        ({"time": {"horizon_days": 0}}, "greater than or equal to 1"),
        ({"time": {"as_ofs": ["2024-01-01"]}}, "YAML dates"),
        (
            {"tim": {}},
            "one of seed, time, snapshot, label, train, evaluate, score, explain, misfit, economics, decide, review_list, targets",
        ),
        ({"time": 5}, "time = 5"),
    ],
)
def test_a_wrong_knob_is_named_with_what_is_wanted(overrides, words):
    with pytest.raises(UserError) as fault:
        load_settings(overrides, "source.yaml")
    assert words in str(fault.value)


def test_malformed_yaml_names_file_and_line(tmp_path):
    broken = tmp_path / "params.yaml"
    broken.write_text("seed: 1\ntime: [1, 2\n")
    with pytest.raises(UserError, match=r"params\.yaml[\s\S]*line 3"):
        load_settings(params=broken)


def test_a_missing_params_file_is_said(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_settings(params=tmp_path / "params.yaml")


def test_nothing_phones_home():
    import os

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"

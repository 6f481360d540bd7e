"""dvc.yaml is true to the code: what a stage is made of, it depends on, so that no change is answered from the cache."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WHOLE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
FLOW = WHOLE["stages"]
PLOTS = {name: plot for stated in WHOLE["plots"] for name, plot in stated.items()}
STAGES = {name: declared.get("do", declared) for name, declared in FLOW.items()}
TEXTS = ("fold", "slice", "title")  # columns of the plots' files that hold no numbers
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_all_of_our_code_and_on_the_chosen_source(name):
    assert {"features", "models", "pipeline"} <= set(STAGES[name]["deps"])
    assert {".source.yaml": ["name", "fingerprint"]} in STAGES[name]["params"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_every_knob_it_reads(name):
    text = (ROOT / f"pipeline/{name}.py").read_text(encoding="utf-8")
    read = {knob for knob in PARAMS if f"settings.{knob}" in text} - {"targets"}
    assert read <= {param for param in STAGES[name]["params"] if isinstance(param, str)}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_has_its_module_and_its_output_folder_under_one_word(name):
    outputs = [next(iter(out)) if isinstance(out, dict) else out for out in STAGES[name]["outs"]]
    assert (ROOT / f"pipeline/{name}.py").exists()
    assert all(out.startswith(f"data/${{name}}/{name}") for out in outputs)


def test_the_flow_stands_in_its_order():
    made: set[str] = set()
    for stage in STAGES.values():
        needed = {dep.removeprefix("data/${name}/").split("/")[0] for dep in stage["deps"] if dep.startswith("data/")}
        assert needed <= made
        made |= {(next(iter(out)) if isinstance(out, dict) else out).removeprefix("data/${name}/").split("/")[0] for out in stage["outs"]}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_shows_the_same_of_both_targets(name):
    of_files = {Path(file).parts[3]: (Path(file).name, columns) for file, columns in PLOTS[name]["y"].items()}
    assert set(of_files) == set(FLOW["evaluate"]["foreach"])
    assert of_files["churn"] == of_files["misfit"]


@pytest.mark.parametrize("name", PLOTS)
def test_names_and_dates_stand_on_the_one_axis_that_dvc_takes_for_names(name):
    """The vertical one of its horizontal bars; elsewhere it takes them for numbers, and draws nothing."""
    [(_, columns), *_] = PLOTS[name]["y"].items()
    is_bars = PLOTS[name].get("template") == "bar_horizontal"
    assert PLOTS[name]["x"] not in TEXTS
    assert (columns in TEXTS) == is_bars

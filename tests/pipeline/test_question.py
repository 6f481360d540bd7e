"""The question of a model: what makes another one, and what a source leaves open."""

from dataclasses import replace

from pipeline.question import asked_of, basis_of, differing, question_of
from pipeline.source import Source


def insisting(source: Source, **knobs: object) -> Source:
    settings = source.settings
    return replace(source, settings=settings.model_copy(update={"misfit": settings.misfit.model_copy(update=knobs)}))


def test_the_basis_is_part_of_misfits_question_and_not_of_churns(small):
    misfit, churn = (question_of(small.source, target) for target in ("misfit", "churn"))
    assert misfit == churn | {"target": "misfit", "basis": "marked", "observed_share_at_least": 0.667}
    assert asked_of({"question": misfit | {"trained_until": "2024-01-01"}}) == misfit


def test_a_model_of_another_basis_or_floor_is_another_questions(small):
    marked = question_of(small.source, "misfit")
    economics = question_of(insisting(small.source, basis="economics"), "misfit")
    assert {"basis", "contribution_floor_per_day", "effort_quantile"} <= set(differing(marked, economics))
    other = question_of(insisting(small.source, basis="economics", contribution_floor_per_day=5.0), "misfit")
    assert differing(economics, other) == ["contribution_floor_per_day"]


def test_whatever_else_defines_the_label_makes_another_question(small):
    settings = small.source.settings

    def asked(basis: str, **knobs: object) -> dict:
        parts = {
            part: getattr(settings, part).model_copy(update={name: knobs[name] for name in knobs if hasattr(getattr(settings, part), name)})
            for part in ("misfit", "economics")
        }
        return question_of(insisting(replace(small.source, settings=settings.model_copy(update=parts)), basis=basis), "misfit")

    for knob, value in {"hourly_cost": 120.0, "financing_rate_a_year": 0.2, "dispute_hours": 3.0, "observed_share_at_least": 0.5}.items():
        assert differing(asked("economics"), asked("economics", **{knob: value})) == [knob]
        assert differing(asked("marked"), asked("marked", **{knob: value})) == ([knob] if knob == "observed_share_at_least" else [])
    assert differing(asked("economics"), asked("economics", reuse_share=0.9, reuse_after_days=1)) == [], "no part of the label"


def test_where_no_label_stage_has_run_the_basis_is_open_and_contradicts_none(small):
    trained = question_of(small.source, "misfit")
    (small.source.output / "label" / "misfit.json").unlink()
    asked = question_of(small.source, "misfit")
    assert basis_of(small.source) is None
    assert "basis" not in asked
    assert differing(trained, asked) == differing(asked, trained) == []
    assert differing(trained, asked | {"horizon_days": 7}) == ["horizon_days"]

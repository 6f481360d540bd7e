"""A source's settings -> the question that a model of it answers; and where two questions differ.

A question: {"target", "relationship", "qualifying": {column: values}, "gap_days", "horizon_days"}; of a misfit also its "basis" and the
knobs that define one. It stands in the model's spec, so that a model is neither asked another question than it was trained
on, nor taken for the same model when only the question changed. The threshold that was frozen is no part of it: it follows from the data,
and would make every newer model another question's.
"""

import json
from collections.abc import Mapping
from typing import Any

from models.misfit import ECONOMICS
from pipeline.source import Source
from pipeline.tables import read_json

OF_ECONOMICS = ("contribution_floor_per_day", "effort_quantile", "hourly_cost", "financing_rate_a_year", "dispute_hours")
OF_MISFIT = ("basis", "observed_share_at_least", *OF_ECONOMICS)
PARTS = ("target", "relationship", "qualifying", "gap_days", "horizon_days", *OF_MISFIT)


def question_of(source: Source, target: str) -> dict[str, Any]:
    """The question the source's settings ask now."""
    asked = {
        "target": target,
        "relationship": source.spec.relationship,
        "qualifying": {column: sorted(values) for column, values in source.spec.qualifying.items()},
        "gap_days": source.settings.time.gap_days,
        "horizon_days": source.settings.time.horizon_days,
    }
    return asked if target == "churn" else asked | _of_misfit(source)


def _of_misfit(source: Source) -> dict[str, Any]:
    """The basis and what defines it; nothing where the settings leave the basis to a label stage that has not run here."""
    basis, misfit = basis_of(source), source.settings.misfit
    if basis is None:
        return {}
    asked = {"basis": basis, "observed_share_at_least": misfit.observed_share_at_least}
    knobs = misfit.model_dump() | source.settings.economics.model_dump()
    return asked | ({name: knobs[name] for name in OF_ECONOMICS} if basis == ECONOMICS else {})


def basis_of(source: Source) -> str | None:
    """The basis of the misfit label: the one that the settings insist on, else the one the label stage chose; None where it has not run."""
    written, insisted = source.output / "label" / "misfit.json", source.settings.misfit.basis
    if insisted != "auto":
        return insisted
    return str(read_json(written)["basis"]) if written.exists() else None


def asked_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The question a model was trained on, from its spec; empty if the spec does not say."""
    stated = spec.get("question", {})
    return {part: stated[part] for part in PARTS if part in stated}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The parts in which two questions differ; a basis that either leaves open is no difference."""
    is_open = any(question.get("target") == "misfit" and "basis" not in question for question in (one, other))
    parts = [part for part in PARTS if not (is_open and part in OF_MISFIT)]
    return [part for part in parts if one.get(part) != other.get(part)]


def worded(question: Mapping[str, Any], parts: list[str]) -> str:
    """These parts of a question in words.

    >>> worded({"gap_days": 14, "horizon_days": 90}, ["horizon_days", "target"])
    'horizon_days 90, target not stated'
    """
    return ", ".join(f"{part} {told(question, part)}" for part in parts)


def told(question: Mapping[str, Any], part: str) -> str:
    """One part's value in words."""
    value = question.get(part)
    return "not stated" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)

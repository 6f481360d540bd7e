"""A source's settings -> the question that a model of it answers; and where two questions differ.

A question: {"target", "relationship", "qualifying": {column: values}, "gap_days", "horizon_days"}. It stands in the model's spec, so that a
model is neither asked another question than it was trained on, nor taken for the same model when only the question changed.
"""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.source import Source

PARTS = ("target", "relationship", "qualifying", "gap_days", "horizon_days")


def question_of(source: Source, target: str) -> dict[str, Any]:
    """The question the source's settings ask now."""
    return {
        "target": target,
        "relationship": source.spec.relationship,
        "qualifying": {column: sorted(values) for column, values in source.spec.qualifying.items()},
        "gap_days": source.settings.time.gap_days,
        "horizon_days": source.settings.time.horizon_days,
    }


def asked_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The question a model was trained on, from its spec; empty if the spec does not say."""
    stated = spec.get("question", {})
    return {part: stated[part] for part in PARTS if part in stated}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The parts in which two questions differ."""
    return [part for part in PARTS if one.get(part) != other.get(part)]


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

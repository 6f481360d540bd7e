"""Every sentence of models/sayings.py is said somewhere, and every knob of what is decided is read somewhere: by parsing the sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from models.sayings import WORDS

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("features", "models", "pipeline") for path in sorted((ROOT / folder).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
KNOBS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SECTIONS = ("decide", "economics", "misfit", "review_list")


def texts(node: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def bound_to(names: set[str], tree: ast.AST) -> Iterator[ast.AST]:
    """What these names may stand for: whatever is assigned to them, or looped over by them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            targets, value = [node.target], node.value
        elif isinstance(node, ast.For | ast.comprehension):
            targets, value = [node.target], node.iter
        else:
            continue
        if value is not None and names & {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}:
            yield value


def said_in(tree: ast.AST) -> set[str]:
    """The codes that calls of `say` may be given: as they stand there, by a name, or as the end of a text such as f"reason_{kind}"."""
    found: set[str] = set()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"]
    for code in (call.args[0] for call in calls):
        found |= texts(code)
        for value in bound_to({part.id for part in ast.walk(code) if isinstance(part, ast.Name)}, tree):
            found |= texts(value)
        if isinstance(code, ast.JoinedStr) and isinstance(code.values[0], ast.Constant):
            found |= {f"{code.values[0].value}{end}" for end in texts(tree)}
    return found


def test_every_sentence_is_said_somewhere():
    said = set().union(*map(said_in, TREES.values()))
    assert [code for code in WORDS if code not in said] == []


def test_a_code_that_only_stands_there_is_not_said():
    tree = ast.parse('ACTION = "win_back"\nif choice == "tried": say("part")\nfor code in ("a", "b"): say(code)\nsay(f"reason_{kind}")')
    assert {"part", "a", "b", "reason_tried"} <= said_in(tree)
    assert {"win_back", "tried"}.isdisjoint(said_in(tree))


def kinds_of(section: str) -> set[str]:
    """The types by which a section is handed on: its settings, and the protocols whose first lines say they stand for it."""
    classes = [node for tree in TREES.values() for node in tree.body if isinstance(node, ast.ClassDef)]
    named = {node.name for node in classes if f"`{section}`" in (text := ast.get_docstring(node) or "") and "params.yaml" in text}
    return named | {f"{section.title().replace('_', '')}Settings"}


def read_in(tree: ast.AST, section: str) -> set[str]:
    """The knobs of a section that are read: of `….<section>`, of a name that was given it, or of a parameter of its type."""
    kinds = kinds_of(section)
    handed = {
        node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation and ast.unparse(node.annotation) in kinds
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and f".{section}" in ast.unparse(node.value):
            handed |= {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if getattr(node.value, "attr", "") == section or getattr(node.value, "id", "") in handed}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_knob_of_the_section_is_read_somewhere(section: str):
    read = set().union(*(read_in(tree, section) for tree in TREES.values()))
    assert KNOBS[section]
    assert [knob for knob in KNOBS[section] if knob not in read] == []


def test_what_is_read_of_something_else_is_not_read_of_the_section():
    tree = ast.parse(
        "def f(knobs: DecideSettings): return knobs.a\nown, day = source.settings.decide, 1\nown.b\nother.c\nsettings.decide.d"
    )
    assert read_in(tree, "decide") == {"a", "b", "d"}

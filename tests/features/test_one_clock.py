"""Time is compared in one module: a scan of features/ and pipeline/ for comparisons of day, known, superseded and as_of elsewhere.

Python is read as a syntax tree: an ordering (<, <=, >, >=, searchsorted, between …) of anything that is called like a clock. SQL is read in
string constants. Lengths of time (…_days) may be compared anywhere; equality of days is no ordering.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOCKS = {"day", "known", "superseded", "as_of", "recorded_at", "occurred_at"}
ORDERING = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ORDERING_CALLS = {"between", "searchsorted", "bisect", "bisect_left", "bisect_right", "less", "less_equal", "greater", "greater_equal"}
SQL = re.compile(
    r"\b(" + "|".join(CLOCKS) + r")\b\"?\s*(<=|>=|<(?!>)|>|BETWEEN)|(<=|>=|(?<![-=<])>|<)\s*\"?(\w+\.)?\"?\b(" + "|".join(CLOCKS) + r")\b",
    re.IGNORECASE,
)
EXCEPT = {
    "time.py": "the one module",
    "simulate.py": "invents histories, and so decides what happens when; it looks at none",
}
AS_OF_ASKED_FOR = {("judge.py", "chosen_day"), ("snapshot.py", "as_ofs")}  # whether an as_of lies in the data's range: no row is judged


def clock_in(node: ast.AST) -> str | None:
    """The clock that an expression is, or is reckoned from: x.day, rows["day"], day + 3, days of x.day[...]."""
    if isinstance(node, ast.Name):
        return node.id if node.id in CLOCKS else None
    if isinstance(node, ast.Attribute):
        return node.attr if node.attr in CLOCKS else clock_in(node.value)
    if isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Constant) and node.slice.value in CLOCKS:
            return str(node.slice.value)
        return clock_in(node.value)
    if isinstance(node, ast.BinOp):
        left, right = clock_in(node.left), clock_in(node.right)
        is_length = isinstance(node.op, ast.Sub) and left and right  # day - day is a length of time
        return None if is_length else left or right
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("fill_null", "cast", "astype", "to_numpy")
    ):
        return clock_in(node.func.value)
    return None


def comparisons(text: str, let_pass: frozenset[str] = frozenset()) -> list[tuple[int, str]]:
    """(line, clock) of every ordering of a clock in a Python source, but for the functions to let pass."""
    tree = ast.parse(text)
    passed = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in let_pass for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        operands: list[ast.AST] = []
        if isinstance(node, ast.Compare) and any(isinstance(op, ORDERING) for op in node.ops):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ORDERING_CALLS:
            operands = [node.func.value, *node.args]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDERING_CALLS:
            operands = list(node.args)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\b(SELECT|WHERE|JOIN)\b", node.value):
            found += [(node.lineno, match.group(0)) for match in SQL.finditer(node.value)]
        found += [(node.lineno, clock) for operand in operands if (clock := clock_in(operand))]
    return found


@pytest.mark.parametrize("folder", ["features", "pipeline"])
def test_time_is_compared_in_one_module(folder: str):
    sources = [path for path in sorted((ROOT / folder).glob("*.py")) if path.name not in EXCEPT]
    assert sources
    found = [
        f"{path.name}:{line} orders {clock}"
        for path in sources
        for line, clock in comparisons(
            path.read_text(encoding="utf-8"), frozenset(name for file, name in AS_OF_ASKED_FOR if file == path.name)
        )
    ]
    assert found == [], "move the comparison to features/time.py"


@pytest.mark.parametrize(
    "planted",
    [
        "rows.day < as_of",
        "rows['known'] <= 3",
        "flag = (rows.day + 30) >= limit",
        "rows.filter(rows.superseded.fill_null(9) > x)",
        "rows.day.between(a, b)",
        "bisect_right(as_ofs, day)",
        "con.sql('SELECT * FROM x WHERE known < 5')",
        "con.sql('SELECT * FROM x WHERE 5 >= x.superseded')",
        "con.sql('SELECT 1 FROM x JOIN y ON x.day BETWEEN 1 AND 2')",
    ],
)
def test_the_scan_finds_a_planted_comparison(planted: str):
    assert comparisons(planted)


@pytest.mark.parametrize(
    "innocent",
    [
        "silence_days > 90",
        "rows.day == other.day",
        "as_of - day",
        "n_days < 3",
        "con.sql('SELECT day FROM x WHERE n < 5')",
        "(as_of - day) > 90",
    ],
)
def test_the_scan_lets_lengths_and_equality_pass(innocent: str):
    assert comparisons(innocent) == []

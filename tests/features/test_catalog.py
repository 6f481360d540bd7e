"""The words about signals are true: README's table is the generated one, and every statement a signal cites stands in DOCUMENTS.md."""

import re
from pathlib import Path

import pytest

from features import catalog
from features.contract import Column, Signal, discovered
from features.errors import UserError
from features.measures import every_row, window

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "features/DOCUMENTS.md").read_text(encoding="utf-8")
CODES = re.findall(r"^\| ([A-E]\d+) \|", DOCUMENTS, re.MULTILINE)


@pytest.mark.parametrize("signal", discovered(), ids=lambda signal: signal.name)
def test_every_statement_a_signal_cites_is_in_the_digest(signal: Signal):
    assert set(signal.statements) <= set(CODES)


def test_the_digest_has_each_statement_once():
    assert len(CODES) == len(set(CODES)) == 7 + 6 + 11 + 10 + 5


def test_readme_shows_the_signals_as_they_are():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert catalog.with_table(readme) == readme, "run `python -m features.catalog`"


def test_the_table_tells_what_a_signal_needs_and_which_way_it_points():
    signal = Signal(
        "late",
        "Late",
        ("D10", "A5"),
        ("invoices",),
        lambda _: window("n", "invoices", every_row, 30),
        (Column("n_30", "n_30", "count", "rows", 0, churn=1, misfit=-1), Column("n", "n_30", "count", "rows", 0, churn=-1)),
        also=("settlements", "payments"),
    )
    assert catalog.signal_table([signal]).splitlines()[-1] == "| [Late](features/late.py) | D10, A5 | invoices | payments | 2 | ↑↓ | ↓ |"


def test_a_readme_without_markers_is_told_so():
    with pytest.raises(UserError, match="no place for the table"):
        catalog.with_table("# nothing here\n")

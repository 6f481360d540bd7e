"""Signal files -> the table of signals in README.md, between its markers: `python -m features.catalog` writes it, a test keeps it true."""

import sys
from collections.abc import Sequence
from pathlib import Path

from features.contract import Signal, discovered
from features.derived import DERIVED
from features.errors import UserError

BEGINS, ENDS = "<!-- signals -->", "<!-- /signals -->"
ARROWS = {(True, False): "↑", (False, True): "↓", (True, True): "↑↓", (False, False): ""}


def signal_table(signals: Sequence[Signal] | None = None) -> str:
    """Markdown: signal, statements, what it measures (its first sentence), tables, number of columns, columns that raise each risk."""
    chosen = discovered() if signals is None else signals
    lines = ["| signal | statements | needs | also uses | columns | churn | misfit |", "|---|---|---|---|--:|:--:|:--:|"]
    for signal in chosen:
        also = sorted(set(signal.also) - set(DERIVED))
        cells = [
            f"[{signal.title}](features/{signal.name}.py)",
            ", ".join(signal.statements),
            ", ".join(signal.tables),
            ", ".join(also) or "–",
            f"{len(signal.columns)}",
            _arrow([column.churn for column in signal.columns]),
            _arrow([column.misfit for column in signal.columns]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _arrow(directions: Sequence[int]) -> str:
    """↑ = larger values raise the risk, ↓ = smaller ones do, as far as columns are constrained."""
    return ARROWS[any(sign > 0 for sign in directions), any(sign < 0 for sign in directions)]


def with_table(readme: str) -> str:
    """The README's text with the present table between the markers. Raises UserError where a marker is missing."""
    before, found, rest = readme.partition(BEGINS)
    _, closed, after = rest.partition(ENDS)
    if not found or not closed:
        raise UserError("README.md", found="no place for the table of signals", wanted=f"{BEGINS} … {ENDS}", cure="put the markers back")
    return f"{before}{BEGINS}\n{signal_table()}\n{ENDS}{after}"


def main() -> None:
    """Rewrites README.md in the working folder; with `--print`, prints the table instead."""
    if "--print" in sys.argv:
        print(signal_table())
        return
    readme = Path("README.md")
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

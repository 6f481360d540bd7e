"""The contract's checks catch code broken on purpose: each mutant turns one comparison of time, or plants a signal that looks ahead."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contract_checks import CHECKS

from features import billing_friction, contact_frequency, criticism, measures
from features.contract import Column, Signal
from features.engine import Rows, Versions
from features.errors import UserError
from features.measures import Edge, Interval
from features.time import NEVER, AsOfs

FREQUENCY, BILLING, CRITICISM = contact_frequency.SIGNAL, billing_friction.SIGNAL, criticism.SIGNAL
Patch = Callable[[pytest.MonkeyPatch], None]


def begins(body: Callable[[Any, Any, Any], Any]) -> Patch:
    return lambda patch: patch.setattr(AsOfs, "begins", lambda _, since, day, known: body(since, day, known))


def ends(body: Callable[[Any, Any, Any], Any]) -> Patch:
    return lambda patch: patch.setattr(AsOfs, "ends", lambda _, begins, until, superseded: body(begins, until, superseded))


def after(shift: int) -> Patch:
    right = AsOfs.after
    return lambda patch: patch.setattr(AsOfs, "after", lambda self, day: right(self, day + shift))


def in_replays(body: Callable[[Any, int, int], Any]) -> Patch:
    return lambda patch: patch.setattr(contact_frequency, "in_window", body)


def joint(body: Callable[[Any, Any], Any]) -> Patch:
    return lambda patch: patch.setattr("features.derived.joint_clocks", body)


def facts_are_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rows, "_is_fact", lambda *_: False)


def most(*days: Any) -> Any:
    found = days[0]
    for other in days[1:]:
        found = np.maximum(found, other)
    return found


def _first(columns: list[Any]) -> Any:
    return columns[0]


LOOKS_AHEAD = Signal(
    "looks_ahead",
    "Looks ahead",
    ("D1",),
    ("invoices",),
    lambda _: [Interval("disputed", "invoices", lambda rows: rows.disputed_on.notnull())],
    (Column("disputed", "disputed", "count", "disputes, even those to come", 0),),
)

MUTANTS: dict[str, tuple[Patch, Signal, str]] = {
    "event clock: day <= as_of": (begins(lambda since, day, known: most(since - 1, day - 1, known)), FREQUENCY, "rows_not_yet_happened"),
    "event clock: not compared": (begins(lambda _since, _day, known: known), FREQUENCY, "rows_not_yet_happened"),
    "event clock: not compared where a plan date begins": (
        begins(lambda since, _day, known: most(since, known)),
        BILLING,
        "rows_not_yet_happened",
    ),
    "event clock: day < as_of - 1": (begins(lambda since, day, known: most(since, day + 1, known)), FREQUENCY, "rows_seen_count"),
    "record clock: known <= as_of": (begins(lambda since, day, known: most(since, day, known - 1)), FREQUENCY, "rows_not_yet_known"),
    "record clock: not compared": (begins(lambda since, day, _known: most(since, day)), FREQUENCY, "rows_not_yet_known"),
    "record clock: known < as_of - 1": (begins(lambda since, day, known: most(since, day, known + 1)), FREQUENCY, "rows_seen_count"),
    "versions: as_of < superseded": (
        ends(lambda begins, until, gone: most(np.minimum(until, gone - 1), begins)),
        FREQUENCY,
        "rows_seen_count",
    ),
    "versions: as_of <= superseded + 1": (
        ends(lambda begins, until, gone: most(np.minimum(until, gone + 1), begins)),
        FREQUENCY,
        "rows_already_superseded",
    ),
    "versions: superseding not compared": (
        lambda patch: patch.setattr(Versions, "__init__", _without_superseded(Versions.__init__)),
        FREQUENCY,
        "rows_already_superseded",
    ),
    "ends: a late row leaves before it enters": (ends(lambda _begins, until, gone: np.minimum(until, gone)), BILLING, "the_oracle"),
    "ends: until not compared": (ends(lambda begins, _until, gone: most(gone, begins)), FREQUENCY, "the_oracle"),
    "as_of index: one day early": (after(-1), FREQUENCY, "rows_not_yet_happened"),
    "as_of index: one day late": (after(1), FREQUENCY, "rows_seen_count"),
    "replays: a window one day too long": (in_replays(lambda day, as_of, days: as_of - day <= days + 1), FREQUENCY, "known_windows"),
    "payments: known without their invoice": (
        joint(lambda known, gone: (_first(known), _right_joint([known[0]], gone)[1])),
        BILLING,
        "the_oracle",
    ),
    "payments: superseded invoices stay": (joint(lambda known, gone: _right_joint(known, gone[:1])), BILLING, "the_oracle"),
    "facts as values": (facts_are_values, LOOKS_AHEAD, "facts_after_as_of"),
}


def _right_joint(known: Any, gone: Any) -> Any:
    import ibis

    return ibis.greatest(*known) if len(known) > 1 else known[0], ibis.least(*(g.fill_null(NEVER) for g in gone)) if len(
        gone
    ) > 1 else gone[0]


def _without_superseded(init: Any) -> Any:
    def forgetful(self: Any, columns: dict[str, Any], *rest: Any) -> None:
        init(self, columns | {"superseded": np.full(len(columns["superseded"]), NEVER, np.int32)}, *rest)

    return forgetful


def known_windows(_: Signal) -> None:
    """A drawn example: what the oracle takes over from the declarations (replays) is held by literal values."""
    from histories import columns_of

    found = columns_of(FREQUENCY, interactions="ago\n 90\n 91")
    assert found["active_days_90"] == 1


EXAMPLES = {"known_windows": known_windows}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_break_of_time_is_caught(name: str, monkeypatch: pytest.MonkeyPatch):
    patch, signal, check_name = MUTANTS[name]
    patch(monkeypatch)  # unbroken, the same checks pass: test_contract.py
    with pytest.raises(AssertionError):
        (CHECKS | EXAMPLES)[check_name](signal)


def test_without_the_break_a_fact_date_is_no_value_at_all():
    with pytest.raises(UserError, match="a date that comes true"):
        CHECKS["facts_after_as_of"](LOOKS_AHEAD)


def test_a_fact_cannot_be_counted_before_it_has_come_true():
    early = Interval("disputed", "invoices", measures.every_row, Edge("disputed_on", -30))
    with pytest.raises(UserError, match="an edge before disputed_on"):
        CHECKS["facts_after_as_of"](replace(LOOKS_AHEAD, measures=lambda _: [early]))


def test_the_trickle_too_is_replayed_on_what_was_seen(monkeypatch: pytest.MonkeyPatch):
    begins(lambda since, day, _known: most(since, day))(monkeypatch)
    with pytest.raises(AssertionError):
        CHECKS["rows_not_yet_known"](CRITICISM)

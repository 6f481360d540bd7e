"""Joined tables: all contract checks over a probe that measures each of them in every way, and drawn examples of what they mean."""

from random import Random

import pytest
from contract_checks import CHECKS, random_histories, the_oracle
from histories import columns_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.contract import Column, Signal
from features.derived import DERIVED
from features.measures import every_row, first_day, last_day, state, window
from features.time import days_past

VALUES = {
    "settlements": lambda rows: rows.amount,
    "replies": lambda rows: rows.latency_minutes,
    "answered": lambda rows: rows.direction == "inbound",
    "fulfilments": lambda rows: days_past(rows.due_on, rows.day),
    "neighbours": every_row,
    "neighbour_endings": lambda rows: rows.ended_by == "client",
    "industry_moves": lambda rows: rows.value_milli,
    "running_agreements": lambda rows: rows.monthly_value,
    "strategic_agreements": lambda rows: rows.weight_milli * rows.monthly_value.fill_null(0),
}
UNTIL = {
    "neighbours": ("until_on",),
    "running_agreements": ("ends_on",),
    "strategic_agreements": ("ends_on",),
}
SINCE = {"running_agreements": "starts_on", "strategic_agreements": "starts_on"}


def probe(table: str) -> Signal:
    """A signal on one joined table: the sum of a value in a window and as a state, and the first and last day."""
    own = VALUES[table]

    def measures(_):
        return [
            *window("in_90", table, own, 90),
            state("now", table, own, since=SINCE.get(table, "day"), until=UNTIL.get(table, ())),
            first_day("first", table),
            last_day("last", table),
        ]

    columns = (
        Column(f"{table}_90", "in_90_90", "sum", "value of the last 90 days", 0),
        Column(f"{table}_now", "now", "sum", "value as it stands", 0),
        Column(f"{table}_first", lambda view: view.days_since("first"), "days", "since the first", None),
        Column(f"{table}_last", lambda view: view.days_since("last"), "days", "since the last", None),
    )
    return Signal("probe", "Probe", ("A1",), DERIVED[table], measures, columns, also=(table,))


@pytest.mark.parametrize("table", DERIVED)
@pytest.mark.parametrize("check_name", CHECKS)
def test_every_joined_table_keeps_the_contract(table: str, check_name: str):
    CHECKS[check_name](probe(table))


@pytest.mark.parametrize("table", DERIVED)
@settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(n=st.integers(0, 12), seed=st.integers(0, 2**32))
def test_every_joined_table_agrees_with_the_oracle_on_random_histories(table: str, n: int, seed: int):
    the_oracle(probe(table), random_histories(Random(seed).randint, n))  # noqa: S311


def test_a_reply_tells_how_long_it_took():
    found = columns_of(
        probe("replies"),
        interactions="""
        id  ago  at     reply_to  direction
        m1  20   09:00  -         inbound
        r1  20   11:30  m1        outbound
        m2  10   16:00  -         inbound
        m3  9    16:00  m2        inbound
        r2  8    08:00  m2        outbound
        r3  5    08:00  nobody    outbound
        """,
    )
    assert found["replies_90"] == 150 + (16 + 24) * 60
    assert found["replies_last"] == 8


def test_a_message_is_answered_once_however_many_replies_it_has_and_only_once_one_is_known():
    drawing = """
    id  ago  known  superseded  reply_to  direction
    m1  40   40     -           -         inbound
    m2  40   40     -           m1        inbound
    r1  39   39     20          m1        outbound
    r1  39   20     10          m9        outbound
    r2  38   12     -           m1        outbound
    m3  30   30     -           -         inbound
    """
    seen = [
        columns_of(probe("answered"), as_of=19_905 - ago, interactions=_moved(drawing, ago))["answered_now"]
        for ago in (45, 39, 38, 20, 19, 12, 11, 5)
    ]
    assert seen == [0, 0, 1, 1, 0, 0, 1, 1]


def _moved(drawing: str, by: int) -> str:
    """The same days, drawn as of an earlier day; what then lies ahead has a negative age."""
    head, *rows = [line.split() for line in drawing.strip().splitlines()]
    ages = [head.index(name) for name in ("ago", "known", "superseded")]
    moved = [[str(int(cell) - by) if at in ages and cell != "-" else cell for at, cell in enumerate(row)] for row in rows]
    return "\n".join(" ".join(row) for row in [head, *moved])


def test_a_promise_kept_late_is_dated_by_the_day_it_was_done():
    found = columns_of(
        probe("fulfilments"),
        commitments="""
        ago  owed_by  due_ago  done_ago
        60   us       50       44
        30   us       20       25
        30   us       20       -
        """,
    )
    assert (found["fulfilments_90"], found["fulfilments_last"]) == (6, 25)


def test_a_neighbour_is_seen_from_either_end():
    drawn = {
        "ties": "client other_client_id kind ago\n a b referral 400\n c a partner 400",
        "endings": "client ended_by ago\n b client 20\n c us 10",
    }
    assert columns_of(probe("neighbour_endings"), client="a", **drawn)["neighbour_endings_90"] == 1
    assert columns_of(probe("neighbours"), client="b", **drawn)["neighbours_now"] == 1


def test_a_service_weighs_what_it_weighed_then():
    found = columns_of(
        probe("strategic_agreements"),
        agreements="service ago monthly_value\n air 300 10\n sea 300 5",
        services="""
        id   strategic_weight  ago  known  superseded
        air  1                 900  900    100
        air  0.2               100  100    -
        sea  0.5               900  900    -
        """,
    )
    assert found["strategic_agreements_now"] == 200 * 1_000 + 500 * 500


def test_an_agreement_runs_from_its_start_to_its_end_unless_it_renews():
    found = columns_of(
        probe("running_agreements"),
        agreements="""
        monthly_value  ago  starts_ago  ends_ago  renews
        1              300  -           -         -
        2              300  100         1         no
        4              300  100         0         no
        8              300  100         1         yes
        16             300  0           -         no
        32             300  1           -         -
        """,
    )
    assert found["running_agreements_now"] == 100 * (1 + 4 + 8 + 32)

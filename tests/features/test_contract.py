"""What every signal is born into: each check of tests/contract_checks.py over each signal found in the package; and what a bad declaration,
a missing table or a stranger's table gives."""

import importlib
import sys
from dataclasses import replace
from random import Random

import pandas as pd
import pytest
from contract_checks import AS_OFS, CHECKS, Histories, a_history, assert_equal, random_histories, tables_of, the_oracle
from histories import OFFICE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import contract
from features.contract import Column, Features, Signal, check, discovered, features, spoken
from features.derived import DERIVED
from features.engine import PLANS
from features.errors import UserError
from features.measures import Peer, every_row, window
from pipeline.tables import TABLES, Role

SIGNALS = {signal.name: signal for signal in discovered()}


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("check_name", CHECKS)
def test_every_signal_keeps_the_contract(name: str, check_name: str):
    CHECKS[check_name](SIGNALS[name])


def histories() -> st.SearchStrategy[Histories]:
    """A size and a seed: drawing every cell from Hypothesis takes longer than checking it."""
    return st.builds(lambda n, seed: random_histories(Random(seed).randint, n), st.integers(0, 12), st.integers(0, 2**32))  # noqa: S311


@pytest.mark.parametrize("name", SIGNALS)
@settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(chosen=histories())
def test_every_signal_agrees_with_the_oracle_on_random_histories(name: str, chosen: Histories):
    the_oracle(SIGNALS[name], chosen)


@pytest.mark.nightly
@pytest.mark.parametrize("name", SIGNALS)
@settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(chosen=histories())
def test_every_signal_agrees_with_the_oracle_on_many_random_histories(name: str, chosen: Histories):
    the_oracle(SIGNALS[name], chosen)


# ---- all signals together -------------------------------------------------------------------------------------------------------


def made(*without: str) -> Features:
    tables = {name: table for name, table in tables_of(a_history()).items() if name not in without}
    return features(tables, pd.DataFrame({"client_id": ["a", "b", "c"], "as_of": AS_OFS[2]}), OFFICE)


def test_a_signal_without_its_table_is_reported_and_changes_nothing_else():
    everything, less = made(), made("invoices", "payments")
    assert less.unavailable == {"billing_friction": ["invoices"]}
    assert {name for name, (signal, _) in less.left_out.items() if signal == "contact_frequency"} == {
        f"revenue_{part}" for part in ("90", "180", "365", "ever", "per_invoice_365")
    }
    assert all(missing == ["invoices"] for _, missing in less.left_out.values())
    assert_equal(everything.frame[less.frame.columns], less.frame)


def test_a_column_without_its_further_table_is_left_out_and_changes_nothing_else():
    everything, less = made(), made("payments")
    assert less.unavailable == {}
    assert set(less.left_out) == {
        *("open_balance", "overdue_balance", "overdue_share", "overdue_age_days"),
        *("days_late_90", "days_late_365", "paid_late_share_365", "late_trend_days"),
    }
    assert all(missing == ["payments"] for _, missing in less.left_out.values())
    assert_equal(everything.frame[less.frame.columns], less.frame)


def test_with_contacts_alone_every_other_signal_says_what_it_lacks():
    less = made(*(name for name in TABLES if name not in ("interactions", "clients")))
    with_contacts = {name for name, signal in SIGNALS.items() if signal.tables == ("interactions",)}
    assert {signal.name for signal in less.signals} == with_contacts
    assert all(less.unavailable[name] for name in set(SIGNALS) - with_contacts)
    assert_equal(made().frame[less.frame.columns], less.frame)


def test_no_more_than_180_columns_and_all_are_floats():
    frame = made().frame.drop(columns=["client_id", "as_of"])
    assert len(frame.columns) <= 180
    assert set(frame.dtypes.astype(str)) == {"float64"}


def test_columns_that_the_documents_give_a_direction_have_words_for_it():
    silent = [
        column.name for signal in SIGNALS.values() for column in signal.columns if column.churn and not (column.raises and column.lowers)
    ]
    assert silent == []


SMOOTHED = {
    *("contact_change_30", "contact_change_90", "silence_rank", "demand_spike_30", "demand_spike_90", "demands_after_quiet"),
    *("criticism_spike_90", "criticism_trickle", "off_hours_spike_90", "price_talk_rise_90", "tone_fall_90", "scope_request_spike_90"),
    *("change_spike_90", "intake_score", "contribution_margin_fall_180", "crowding_out_90", "opportunity_cost_per_hour_365"),
    *("nps_fall_365", "csat_fall_365", "alike_dissatisfaction_730", "alike_margin_gap_730", "client_reply_rise_90", "our_reply_rise_90"),
    *("our_initiative_change_90", "our_reply_lag_ratio_90", "client_broken_spike_90", "industry_left_ratio_180"),
    "deliverables_change_90",
}


def test_no_sentence_speaks_a_smoothed_value():
    columns = {column.name: column for signal in SIGNALS.values() for column in signal.columns}
    assert set(columns) >= SMOOTHED
    assert {name for name in columns if "_spike_" in name or name.startswith("contact_change_")} <= SMOOTHED
    spoken_of = {name for column in columns.values() for words in (column.raises, column.lowers) for name in contract.columns_in(words)}
    assert spoken_of & SMOOTHED == set()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("contact_change_90", {"contacts_90": 0, "contacts_365": 7}, "Qualifying contacts: 0 in the last 90 days, 7 in the last 365."),
        ("recency_days", {"recency_days": 1}, "Days since the last qualifying contact: 1."),
        (
            "silence_rank",
            {"recency_days": 40, "typical_gap_days": 7.5},
            "Days since the last qualifying contact: 40, longer than most of this client's earlier gaps (typically 7.5 days).",
        ),
        (
            "demands_after_quiet",
            {"demands_90": 8, "demands_365": 17},
            "8 of the last year's 17 report requests and instructions came in the last 90 days.",
        ),
        (
            "demand_spike_30",
            {"demands_30": 1, "demands_365": 4},
            "Report requests and instructions: 1 in the last 30 days, 4 in the last year.",
        ),
        (
            "criticism_spike_90",
            {"criticism_90": 1, "criticism_365": 3},
            "Complaints and escalations: 1 in the last 90 days, 3 in the last year.",
        ),
        (
            "criticism_trickle",
            {"criticism_90": 1, "criticism_365": 5},
            "Complaints and escalations: 5 in the last year, 1 of them in the last 90 days.",
        ),
        (
            "off_hours_spike_90",
            {"off_hours_90": 2, "off_hours_share_90": 0.4},
            "2 contacts outside service hours in the last 90 days (40% of the client's contacts).",
        ),
        ("overdue_share", {"overdue_share": 1.3}, "What is overdue comes to 130% of what was invoiced in the last year."),
        ("disputed_share_365", {"disputed_share_365": 1.5}, "In the last year 150% as many invoices were disputed as were issued."),
    ],
)
def test_words_that_raise_the_risk_are_plain_facts(name: str, values: dict[str, float], words: str):
    column = next(column for signal in SIGNALS.values() for column in signal.columns if column.name == name)
    assert contract.spoken(column.raises, values) == words


def test_raw_volumes_are_not_constrained_outside_contact_frequency():
    constrained = [
        column.name
        for signal in SIGNALS.values()
        for column in signal.columns
        if column.unit in ("count", "currency") and (column.churn or column.misfit) and signal.name != "contact_frequency"
    ]
    assert constrained == ["criticism_trickle"]  # a spike over the client's own pace, counted in criticisms


def test_tables_and_plan_dates_are_the_canonical_ones():
    assert contract.TABLES - set(DERIVED) == set(TABLES)
    assert {column.name for table in TABLES.values() for column in table.columns if column.role is Role.PLAN} == PLANS


# ---- declarations ---------------------------------------------------------------------------------------------------------------

PLAIN = Signal(
    "plain",
    "Plain",
    ("B1",),
    ("interactions",),
    lambda _: window("n", "interactions", every_row, 30),
    (Column("n_30", "n_30", "count", "rows", 0),),
)


@pytest.mark.parametrize(
    ("signals", "found"),
    [
        ([PLAIN, replace(PLAIN, name="other")], "column n_30, declared by plain too"),
        ([replace(PLAIN, tables=("interaction",))], "table interaction"),
        ([replace(PLAIN, statements=())], "no statements"),
        ([replace(PLAIN, columns=(replace(PLAIN.columns[0], churn=2),))], "a direction of n_30 that is no sign"),
        ([replace(PLAIN, columns=(replace(PLAIN.columns[0], raises="{n_90:.0f} rows"),))], "a sentence of n_30 on n_90"),
    ],
)
def test_a_bad_declaration_is_named(signals: list[Signal], found: str):
    with pytest.raises(UserError, match=found):
        check(signals)


@pytest.mark.parametrize(
    ("signal", "found"),
    [
        (replace(PLAIN, columns=(replace(PLAIN.columns[0], value="n_90"),)), "column n_30 of measure n_90"),
        (replace(PLAIN, measures=lambda _: window("n", "invoices", every_row, 30)), "a measure on invoices"),
        (replace(PLAIN, measures=lambda _: [*window("n", "interactions", every_row, 30)] * 2), "plain.n_30 twice"),
        (replace(PLAIN, measures=lambda _: window("n", "interactions", lambda rows: rows.kinds == "order", 30)), "no such column"),
        (replace(PLAIN, measures=lambda _: window("n", "interactions", lambda rows: rows.known > 3, 30)), "a clock"),
        (replace(PLAIN, measures=lambda _: window("n", "interactions", lambda rows: rows.tone, 30)), "a row value of type float64"),
        (replace(PLAIN, measures=lambda _: window("n", "interactions", every_row, 30, since="signed_on")), "an edge at signed_on"),
        (replace(PLAIN, measures=lambda _: window("n", "interactions", every_row, 30, since="known")), "an edge at known"),
    ],
)
def test_a_bad_measure_is_named(signal: Signal, found: str):
    with pytest.raises(UserError, match=found):
        features(tables_of(a_history()), pd.DataFrame({"client_id": ["a"], "as_of": [AS_OFS[0]]}), OFFICE, [signal])


def test_a_column_of_peers_whose_table_is_missing_is_left_out():
    measures = [*window("bills", "invoices", every_row, 30), Peer("all_bills", of="bills_30")]
    signal = replace(
        PLAIN,
        also=("invoices",),
        measures=lambda _: [*window("n", "interactions", every_row, 30), *measures],
        columns=(*PLAIN.columns, Column("all_bills", "all_bills", "count", "everyone's bills", 0)),
    )
    tables = {name: table for name, table in tables_of(a_history()).items() if name != "invoices"}
    found = features(tables, pd.DataFrame({"client_id": ["a"], "as_of": [AS_OFS[0]]}), OFFICE, [signal])
    assert found.left_out == {"all_bills": ("plain", ["invoices"])}


def test_a_table_without_clocks_is_named():
    bare = {"interactions": tables_of(a_history())["interactions"].drop_columns(["known"])}
    with pytest.raises(UserError, match="no column known"):
        features(bare, pd.DataFrame({"client_id": ["a"], "as_of": [AS_OFS[0]]}), OFFICE, [PLAIN])


def test_a_division_by_zero_in_a_column_is_named():
    broken = replace(PLAIN, columns=(replace(PLAIN.columns[0], value=lambda view: 1 / (view["n_30"] * 0)),))
    with pytest.raises(UserError, match="infinite values of n_30"), pytest.warns(RuntimeWarning):
        features(tables_of(a_history()), pd.DataFrame({"client_id": ["a"], "as_of": [AS_OFS[0]]}), OFFICE, [broken])


def test_nothing_is_said_where_a_value_is_unknown():
    assert spoken("{a:.0f} days", {"a": 3.0}) == "3 days"
    assert spoken("{a:.0f} days", {"a": float("nan")}) is None
    assert spoken("", {}) is None


# ---- adding a signal ------------------------------------------------------------------------------------------------------------

PLANTED = """
from features.contract import Column, Signal
from features.measures import Peer, every_row, window

SIGNAL = Signal(
    {name!r}, "Planted", ("B1",), ("interactions",), lambda _: window("n", "interactions", every_row, 7),
    (Column("planted_7", "n_7", "count", "rows of the last week", 0),),
)
"""


@pytest.fixture
def plant(tmp_path, monkeypatch):
    def planted(name: str) -> None:
        (tmp_path / "planted.py").write_text(PLANTED.format(name=name), encoding="utf-8")
        monkeypatch.setattr(contract.package, "__path__", [*contract.package.__path__, str(tmp_path)])
        importlib.invalidate_caches()

    yield planted
    sys.modules.pop("features.planted", None)


def test_adding_a_signal_is_adding_a_file(plant):
    before = made().frame
    plant("planted")
    after = made().frame
    assert set(after.columns) - set(before.columns) == {"planted_7"}
    assert_equal(after[before.columns], before)


def test_a_signal_is_called_like_its_file(plant):
    plant("other")
    with pytest.raises(UserError, match="name other in"):
        discovered()

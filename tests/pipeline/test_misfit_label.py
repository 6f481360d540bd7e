"""Who proved a misfit: drawn histories, literal outcomes; each basis, both clocks, and what a rule knew. Gap 14, horizon 90, lateness 7.

The as_of of most tests is 2024-03-01, its outcome window [2024-03-15, 2024-06-13).
"""

from datetime import date
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from contract_checks import AS_OFS, random_histories
from drawn import day, drawn, source_of
from histories import OFFICE, table_of

from features.contract import discovered, features
from features.economics import totals
from features.engine import measure
from features.errors import UserError
from features.time import in_retrospect, month_starts, to_date
from pipeline import label, misfit_label
from pipeline.featurize import featurize
from pipeline.snapshot import canonical_tables, snapshots
from pipeline.tables import TABLES, Kind, write_parquet

AS_OF = "2024-03-01"
NUMBERS = (Kind.MONEY, Kind.INTEGER)


def write(folder: Path, table: str, text: str) -> None:
    """A canonical table from a drawing: on, recorded, superseded, and the table's own columns; money in minor units."""
    declared, rows = TABLES[table], []
    for number, cells in enumerate(drawn(text)):
        on, recorded, superseded = (cells.pop(name, None) for name in ("on", "recorded", "superseded"))
        row = {declared.key: f"{table}-{number:06d}", "day": day(on), "known": day(recorded or on)}
        row |= {"superseded": day(superseded) if superseded else None}
        for name, cell in cells.items():
            kind = declared[name].kind
            row[name] = cell if cell is None else int(cell) if kind in NUMBERS else date.fromisoformat(cell) if kind is Kind.DATE else cell
        rows.append(row)
    rows.sort(key=lambda row: row.get("client_id", ""))
    write_parquet(folder / f"{table}.parquet", table_of(table, rows))


def business(exported: str = "2024-12-31", *, basis: str = "auto", **misfit: object):
    knobs = {"basis": basis, "marked_clients_at_least": 1, **misfit}
    return source_of("contractual", exported, misfit=knobs, train={"test_periods": 1}, economics={})


def clients(folder: Path, names: str) -> None:
    write(folder, "interactions", "client_id on kind\n" + "\n".join(f"{name} 2022-01-10 order" for name in names))


def labelled(folder: Path, source, *on: str) -> misfit_label.Labelled:
    seen = snapshots(canonical_tables(folder), [day(text) for text in on or (AS_OF,)], source)
    eligible = seen.filter(pc.equal(seen["status"], "eligible"))
    judged = label.outcomes(eligible, folder, source, [source.settings.time.horizon_days])
    return misfit_label.labelled(judged, canonical_tables(folder), source)


def outcomes(found: misfit_label.Labelled, on: str = AS_OF) -> dict[str, str]:
    return {row["client_id"]: row["outcome"] for row in found.label.to_pylist() if row["as_of"] == date.fromisoformat(on)}


def rules(found: misfit_label.Labelled, name: str, on: str = AS_OF) -> dict[str, int | None]:
    return {row["client_id"]: row[name] for row in found.rules.to_pylist() if row["as_of"] == date.fromisoformat(on)}


# ---- marked by people -------------------------------------------------------------------------------------------------------------

MARKED_BESIDE = "z 2024-04-01 2024-04-01 - misfit"  # somebody is marked in every test of this basis, else there is none


def of_reviews(folder: Path, *lines: str, **changes: object) -> dict[str, str]:
    clients(folder, "az")
    write(folder, "reviews", "client_id on recorded superseded verdict\n" + "\n".join([MARKED_BESIDE, *lines]))
    return outcomes(labelled(folder, business(basis="marked", **changes)))


@pytest.mark.parametrize(
    ("on", "outcome"),
    [
        ("2024-03-14", "no_misfit"),  # in the gap: the owner knows already, and there is nothing to foretell
        ("2024-03-15", "misfit"),
        ("2024-06-12", "misfit"),
        ("2024-06-13", "no_misfit"),
    ],
)
def test_a_verdict_counts_in_the_window_alone(tmp_path, on, outcome):
    assert of_reviews(tmp_path, f"a {on} - - misfit") == {"a": outcome, "z": "misfit"}


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [
        ("misfit", "misfit"),
        ("misfit keep", "disputed"),
        ("misfit misfit keep", "misfit"),
        ("misfit keep keep", "no_misfit"),
        ("misfit unsure", "misfit"),
        ("unsure", "no_misfit"),
        ("", "no_misfit"),
    ],
)
def test_more_must_speak_against_a_client_than_for_it(tmp_path, verdicts, outcome):
    """Alike verdicts of one day are several opinions, not one."""
    assert of_reviews(tmp_path, *(f"a 2024-05-02 - - {verdict}" for verdict in verdicts.split()))["a"] == outcome


def test_a_verdict_known_late_counts_and_one_taken_back_does_not(tmp_path):
    assert of_reviews(tmp_path, "a 2024-05-02 2024-11-01 - misfit")["a"] == "misfit"
    assert of_reviews(tmp_path, "a 2024-05-02 2024-05-02 2024-11-01 misfit", "a 2024-05-02 2024-11-01 - keep")["a"] == "no_misfit"


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("2024-03-15 - us fit", "misfit"),
        ("2024-06-12 - us fit", "misfit"),
        ("2024-06-13 - us fit", "no_misfit"),
        ("2024-03-01 - us fit", "left_in_gap"),  # nobody could have acted on the score
        ("2024-03-14 - client price", "left_in_gap"),
        ("2024-04-01 - us price", "left_early"),  # a third of the window seen
        ("2024-04-01 - client fit", "left_early"),  # its own decision, whatever the reason
        ("2024-04-01 2024-06-01 client price", "no_misfit"),  # notice runs for two thirds and more
        ("2024-05-20 - client price", "no_misfit"),
    ],
)
def test_an_ending_marks_one_if_it_is_ours_and_for_fit(tmp_path, ending, outcome):
    clients(tmp_path, "az")
    write(tmp_path, "endings", f"client_id on ended_on ended_by reason\n z 2024-04-01 - us fit\n a {ending}")
    found = labelled(tmp_path, business(basis="marked"))
    assert outcomes(found) == {"a": outcome, "z": "misfit"}


def test_who_is_marked_and_then_leaves_early_is_one(tmp_path):
    write(tmp_path, "endings", "client_id on ended_by reason\n a 2024-04-01 client price")
    assert of_reviews(tmp_path, "a 2024-03-20 - - misfit")["a"] == "misfit"


def test_an_ending_known_only_later_takes_the_snapshot_out(tmp_path):
    write(tmp_path, "endings", "client_id on recorded ended_by reason\n a 2024-02-20 2024-03-10 us fit")
    assert of_reviews(tmp_path)["a"] == "left_in_gap"


def test_a_window_that_has_not_passed_is_unknown_and_marks_nobody(tmp_path):
    clients(tmp_path, "az")
    write(tmp_path, "reviews", "client_id on verdict\n z 2024-04-01 misfit\n a 2024-08-20 misfit")
    found = labelled(tmp_path, business("2024-09-01", basis="marked"), AS_OF, "2024-08-01")
    assert outcomes(found, "2024-08-01") == {"a": "immature", "z": "immature"}
    assert found.facts.n_marked_clients == 1


def test_the_same_rule_on_the_last_window_knows_what_was_known_then(tmp_path):
    clients(tmp_path, "abcz")
    lines = [
        MARKED_BESIDE,
        "a 2024-01-10 2024-01-10 - misfit",
        "b 2024-01-10 2024-03-01 - misfit",  # entered on the day itself: not yet seen
        "c 2023-12-01 2023-12-01 - misfit",  # 91 days before
    ]
    write(tmp_path, "reviews", "client_id on recorded superseded verdict\n" + "\n".join(lines))
    found = labelled(tmp_path, business(basis="marked"))
    assert rules(found, "same_rule") == {"a": 1, "b": 0, "c": 0, "z": 0}
    assert rules(found, "costly") == {"a": None, "b": None, "c": None, "z": None}  # no invoices, no work


# ---- economics --------------------------------------------------------------------------------------------------------------------

MONTHS = [to_date(first + 9) for first in month_starts(day("2022-06-01"), day("2024-12-01"))]  # a bill and a time entry on each tenth
LOOKS = [str(to_date(first)) for first in month_starts(day("2023-01-01"), day("2024-06-01"))]
HOUR = 6_000  # minor units an hour costs
#           revenue a month, hours a month
PORTFOLIO = {"a": (10_000, 8), "b": (100_000, 5), "c": (None, 6), "d": (100, 1), "e": (90_000, 2)}


def books(folder: Path, portfolio=PORTFOLIO, *, cost: bool = True, currency: str = "EUR", also: dict[str, list[str]] | None = None) -> None:
    clients(folder, "".join(portfolio))
    also = also or {}
    bills = [f"{c} {on} {on} - {money} {currency}" for c, (money, _) in portfolio.items() if money is not None for on in MONTHS]
    hours = [f"{c} {on} {on} - {h * 60} {h * HOUR if cost else '-'} EUR" for c, (_, h) in portfolio.items() for on in MONTHS]
    write(folder, "invoices", "client_id on recorded superseded amount currency\n" + "\n".join(bills + also.get("invoices", [])))
    work = "client_id on recorded superseded duration_minutes cost currency\n"
    write(folder, "work", work + "\n".join(hours + also.get("work", [])))


def by_books(folder: Path, **changes: object) -> misfit_label.Labelled:
    return labelled(folder, business(basis="economics", **changes), *LOOKS)


def test_a_misfit_brings_less_than_it_costs_and_takes_more_time_than_most(tmp_path):
    books(tmp_path)
    found = by_books(tmp_path)
    assert outcomes(found) == {
        "a": "misfit",
        "b": "no_misfit",
        "c": "unpriced",  # not one invoice: nobody knows when one is to be expected
        "d": "no_misfit",  # a loss, but a small one
        "e": "no_misfit",
    }
    assert found.facts.contribution_floor_per_day_minor == 0
    assert found.facts.hours_per_day_threshold == pytest.approx(3 * 5 / 90, abs=0.01)  # the median client's
    assert (found.facts.threshold_from or {})["first"] == "2023-01-01"


def test_the_floor_is_in_currency_units_a_day(tmp_path):
    books(tmp_path, PORTFOLIO | {"a": (80_000, 8)})  # 320 units a month after its cost, some 10.7 a day
    assert outcomes(by_books(tmp_path, contribution_floor_per_day=10.0))["a"] == "no_misfit"
    assert outcomes(by_books(tmp_path, contribution_floor_per_day=11.0))["a"] == "misfit"


def test_equal_invoices_of_one_day_are_two(tmp_path):
    again = [f"a {on} {on} - 20000 EUR" for on in MONTHS] * 2
    books(tmp_path, also={"invoices": again})
    assert outcomes(by_books(tmp_path))["a"] == "no_misfit"


@pytest.mark.parametrize(
    ("ended_on", "outcome"),
    [("2024-05-13", "left_early"), ("2024-05-15", "misfit")],  # 59 and 61 of 90 days
)
def test_who_was_seen_for_less_than_two_thirds_is_unknown(tmp_path, ended_on, outcome):
    books(tmp_path)
    write(tmp_path, "endings", f"client_id on ended_on ended_by reason\n a 2024-04-01 {ended_on} client price")
    assert outcomes(by_books(tmp_path))["a"] == outcome


def test_figures_are_per_day_observed(tmp_path):
    """Ten hours in two thirds of the window are more a day than twelve in all of it."""
    books(tmp_path, dict.fromkeys("abcd", (1, 5)))
    write(tmp_path, "endings", "client_id on ended_on ended_by reason\n a 2024-04-01 2024-05-15 client price")
    assert outcomes(by_books(tmp_path, effort_quantile=0.9))["a"] == "misfit"  # 15 hours over 61 days, the others' over 90


def test_late_records_and_amended_amounts_count_in_hindsight_and_not_in_the_rule(tmp_path):
    paid_late = ["a 2024-02-20 2024-05-01 - 900000 EUR"]  # of the last window, known after the as_of
    amended = ["b 2024-04-20 2024-04-20 2024-09-01 -900000 EUR"]  # taken back since
    books(tmp_path, also={"invoices": paid_late + amended})
    found = by_books(tmp_path, effort_quantile=0.25)
    assert rules(found, "same_rule") == {"a": 1, "b": 0, "c": None, "d": 0, "e": 0}
    assert outcomes(found)["b"] == "no_misfit"
    assert outcomes(found, "2024-02-01")["a"] == "no_misfit"  # its window holds the late record
    assert rules(found, "same_rule", "2024-05-01")["a"] == 1  # entered on that day, hence not yet seen
    assert rules(found, "same_rule", "2024-06-01") == {"a": 1, "b": 1, "c": None, "d": 0, "e": 0}  # b's credit stood; a's bill is too old


def test_the_threshold_is_frozen_before_the_test_begins(tmp_path):
    books(tmp_path)
    before = by_books(tmp_path, effort_quantile=0.99)
    last = day((before.facts.threshold_from or {})["last"])
    assert str(to_date(last)) == "2024-02-01"  # its window and lateness end before the test's 2024-06-01
    later = [f"{name} 2024-09-10 2024-09-10 - 60000 - EUR" for name in "abcde"]  # the test's window alone
    books(tmp_path, also={"work": later})
    after = by_books(tmp_path, effort_quantile=0.99)
    assert after.facts.hours_per_day_threshold == before.facts.hours_per_day_threshold
    books(tmp_path, also={"work": [line.replace("2024-09", "2023-09") for line in later]})
    assert by_books(tmp_path, effort_quantile=0.99).facts.hours_per_day_threshold != before.facts.hours_per_day_threshold


def test_work_without_a_cost_is_valued_at_the_portfolios_minute(tmp_path):
    extra = [f"b {on} {on} - 1200 - EUR" for on in MONTHS]  # 20 hours more, whose cost nobody wrote down
    books(tmp_path, also={"work": extra})
    assert outcomes(by_books(tmp_path))["b"] == "misfit"


def test_an_invoice_in_a_currency_without_rate_makes_money_unknown(tmp_path):
    books(tmp_path, also={"invoices": ["a 2024-04-20 2024-04-20 - 900000 USD"]})
    found = by_books(tmp_path)
    assert outcomes(found)["a"] == "unpriced"
    assert outcomes(found, "2024-01-01")["a"] == "misfit"  # before it
    assert rules(found, "same_rule", "2024-05-01")["a"] is None


def rated(folder: Path, table: str, of: dict[str | None, float | None]) -> None:
    """The table's currencies exchanged for others, with a rate each, as validate writes them; our own is at 1."""
    path = canonical_tables(folder)[table]
    rows = [row | {"rate": of.get(row["currency"], 1.0)} for row in pq.read_table(path).to_pylist()]
    write_parquet(path, table_of(table, rows))


def test_with_a_rate_the_same_invoice_tells_what_the_client_brings(tmp_path):
    also = {"invoices": [f"a {on} {on} - 10000 USD" for on in MONTHS] + ["e 2024-04-20 2024-04-20 - 1 CHF"]}
    for rate, outcome in ((3.6, "misfit"), (3.9, "no_misfit")):  # its 8 hours a month cost 48,000; 10,000 of ours come beside
        books(tmp_path, also=also)
        rated(tmp_path, "invoices", {"USD": rate, "CHF": None})
        found = by_books(tmp_path)
        assert outcomes(found)["a"] == outcome, rate
        assert outcomes(found)["e"] == "unpriced"
        assert rules(found, "same_rule", "2024-05-01") == {
            "a": int(outcome == "misfit"),
            "b": 0,
            "c": None,
            "d": 0,
            "e": None,
        }


def test_books_wholly_in_another_currency_are_a_basis_once_they_have_rates(tmp_path):
    """The same labels, rules and facts as in our own: amounts in the other are half, at a rate of 2."""
    books(tmp_path)
    ours = by_books(tmp_path)
    halved = {name: (money and money // 2, hours) for name, (money, hours) in PORTFOLIO.items()}
    books(tmp_path, halved, currency="USD")
    assert labelled(tmp_path, business(), *LOOKS).facts.basis == "policy"
    rated(tmp_path, "invoices", {"USD": 2.0})
    theirs = by_books(tmp_path)
    assert theirs.label.equals(ours.label)
    assert theirs.rules.equals(ours.rules)
    assert theirs.facts == ours.facts


def test_a_cost_at_a_rate_is_a_cost(tmp_path):
    books(tmp_path)
    path = canonical_tables(tmp_path)["work"]
    write_parquet(path, table_of("work", [row | {"currency": "USD"} for row in pq.read_table(path).to_pylist()]))
    assert "no time entry has a cost" in labelled(tmp_path, business(), *LOOKS).facts.why
    for rate, outcome in ((0.1, "no_misfit"), (0.3, "misfit")):  # 48,000 a month in theirs, against 10,000 in ours
        rated(tmp_path, "work", {"USD": rate})
        assert outcomes(by_books(tmp_path))["a"] == outcome


def test_who_is_invoiced_more_rarely_than_the_horizon_is_not_judged(tmp_path):
    rare = {
        "a": [f"a {year}-01-10 {year}-01-10 - 900000 EUR" for year in (2023, 2024)],  # a year in advance
        "b": [f"b {on} {on} - 1000 EUR" for on in MONTHS[::3]],  # quarters of 91 days and more
        "c": [f"c {on} {on} - 1000 EUR" for on in MONTHS[::2]],
        "d": [f"d {on} {on} - 1000 EUR" for on in MONTHS if str(on) < "2024-03"],  # monthly, and nothing since: it pays nothing
        "e": ["e 2024-02-10 2024-02-10 - 1000 EUR"],
        "f": ["f 2023-12-10 2023-12-10 - 1000 EUR", "f 2024-01-10 2024-05-01 - 1000 EUR"],  # the second is entered late
    }
    busy = dict.fromkeys("abcdef", (None, 8))
    idle = dict.fromkeys("ghijkl", (100_000, 1))
    books(tmp_path, busy | idle, also={"invoices": [line for lines in rare.values() for line in lines]})
    found = by_books(tmp_path, effort_quantile=0.5)
    judged = {name: outcome for name, outcome in outcomes(found).items() if name in rare}
    assert judged == {"a": "unpriced", "b": "unpriced", "c": "misfit", "d": "misfit", "e": "unpriced", "f": "misfit"}
    for name in ("same_rule", "costly", "thin_margin"):
        known = rules(found, name)
        assert [known[client] for client in "abef"] == [None] * 4, name
        assert None not in [known[client] for client in "cdg"], name
    assert "more rarely than once a horizon" in found.facts.assumption


@pytest.mark.parametrize(
    ("table", "since", "until", "outcome"),
    [
        ("work", "2024-03-11", "2025-01-01", "unpriced"),  # begins on 10 April, after the window does
        ("work", "2022-01-01", "2024-05-15", "unpriced"),  # ends on 10 May
        ("work", "2022-01-01", "2024-06-11", "misfit"),  # on 10 June
        ("invoices", "2024-03-11", "2025-01-01", "unpriced"),
        ("invoices", "2022-01-01", "2024-04-15", "unpriced"),  # ends on 10 April
        ("invoices", "2022-01-01", "2024-05-15", "misfit"),  # on 10 May: that of June may come in July
    ],
)
def test_a_stretch_in_which_books_were_not_kept_is_not_judged(tmp_path, table, since, until, outcome):
    books(tmp_path)
    kept_between(tmp_path, table, since, until)
    source = business("2025-06-30", basis="economics")
    late = [str(to_date(first)) for first in month_starts(day("2024-07-01"), day("2024-12-01"))]
    found = labelled(tmp_path, source, *LOOKS, *late)
    assert outcomes(found)["a"] == outcome
    assert outcomes(found, "2023-06-01")["a"] == ("unpriced" if since > "2024" else "misfit")


def test_a_rule_looks_back_only_on_days_of_which_books_were_kept(tmp_path):
    books(tmp_path)
    kept_between(tmp_path, "work", "2023-12-15", "2025-01-01")  # begins on 10 January: a window of 90 days and a quarter reach before it
    found = by_books(tmp_path)
    assert [rules(found, name)["a"] for name in ("same_rule", "costly", "thin_margin")] == [None] * 3
    assert [rules(found, name, "2024-05-01")["a"] for name in ("same_rule", "costly", "thin_margin")] == [1] * 3


def kept_between(folder: Path, table: str, since: str, until: str) -> None:
    """The table's rows of [since, until) alone."""
    path = canonical_tables(folder)[table]
    rows = [row for row in pq.read_table(path).to_pylist() if day(since) <= row["day"] < day(until)]
    write_parquet(path, table_of(table, rows))


@pytest.mark.parametrize("table", ["invoices", "work"])
def test_an_empty_table_is_no_basis_even_where_an_hours_cost_is_stated(tmp_path, table):
    books(tmp_path)
    kept_between(tmp_path, table, "2022-01-01", "2022-01-01")
    source = source_of("contractual", "2024-12-31", train={"test_periods": 1}, economics={"hourly_cost": 60.0})
    found = labelled(tmp_path, source, *LOOKS)
    assert (found.facts.basis, set(found.rules["costly"].to_pylist())) == ("policy", set())
    assert f"there is not one row of {table}" in found.facts.why


def test_two_rules_from_practice(tmp_path):
    """Margin under 20 % in both of the last two months; cost to serve over 20 % of a quarter's revenue."""
    thick, thin = (100_000, 5), (100_000, 15)  # margins of 70 % and 10 %
    recovered = [f"c {on} {on} - 300000 EUR" for on in MONTHS if str(on) == "2024-02-10"]
    books(tmp_path, {"a": thin, "b": thick, "c": thin, "d": (100_000, 2), "e": (0, 0)}, also={"invoices": recovered})
    found = by_books(tmp_path)
    assert rules(found, "thin_margin") == {"a": 1, "b": 0, "c": 0, "d": 0, "e": 0}
    assert rules(found, "costly") == {"a": 1, "b": 1, "c": 1, "d": 0, "e": 0}


def test_a_loss_everywhere_marks_those_that_take_the_more_time(tmp_path):
    books(tmp_path, {name: (0, hours) for name, hours in zip("abcde", (1, 2, 3, 4, 5), strict=True)})
    assert outcomes(by_books(tmp_path)) == {"a": "no_misfit", "b": "no_misfit", "c": "no_misfit", "d": "misfit", "e": "misfit"}


def test_no_hours_anywhere_make_nobody_a_burden(tmp_path):
    books(tmp_path, dict.fromkeys("abc", (-100, 0)))
    source = source_of(
        "contractual",
        "2024-12-31",
        misfit={"basis": "economics"},
        train={"test_periods": 1},
        economics={"hourly_cost": 60.0},
    )
    assert set(outcomes(labelled(tmp_path, source, *LOOKS)).values()) == {"no_misfit"}


# ---- which basis ------------------------------------------------------------------------------------------------------------------


def test_too_few_marked_give_way_to_the_books(tmp_path):
    books(tmp_path)
    write(tmp_path, "reviews", "client_id on verdict\n b 2024-04-01 misfit")
    few = labelled(tmp_path, business(marked_clients_at_least=2), *LOOKS)
    assert (few.facts.basis, few.facts.n_marked_clients, outcomes(few)["b"]) == ("economics", 1, "no_misfit")
    assert few.facts.why == "1 client is marked, fewer than 2, and invoices and work tell what each brings and costs"
    enough = labelled(tmp_path, business(), *LOOKS)
    assert (enough.facts.basis, outcomes(enough)["b"], enough.facts.hours_per_day_threshold) == ("marked", "misfit", None)
    assert set(rules(enough, "costly").values()) == {0, 1, None}  # the rules from practice need the books alone


def test_too_few_marked_are_better_than_none(tmp_path):
    clients(tmp_path, "ab")
    write(tmp_path, "reviews", "client_id on verdict\n b 2024-04-01 misfit")
    found = labelled(tmp_path, business(marked_clients_at_least=20))
    assert (found.facts.basis, found.facts.missing_tables) == ("marked", ["endings", "invoices", "work"])
    assert "there is nothing else: the source has no invoices and no work" in found.facts.why


def test_with_neither_there_is_no_label(tmp_path):
    clients(tmp_path, "ab")
    found = labelled(tmp_path, business())
    assert (found.facts.basis, found.label.num_rows, found.rules.num_rows) == ("policy", 0, 0)
    assert found.label.schema == label.SCHEMA
    assert "not a probability" in found.facts.assumption
    assert next(misfit_label.told(found)).startswith("misfit, basis policy: no label, hence no model; in force since no client is marked")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cost": False}, "no time entry has a cost, and economics.hourly_cost is not set"),
        ({"currency": "USD"}, "no invoice is in EUR, the source's currency, and of no other is a rate known"),
    ],
)
def test_books_that_tell_no_contribution_are_no_basis(tmp_path, changes, why):
    books(tmp_path, **changes)
    found = labelled(tmp_path, business(), *LOOKS)
    assert found.facts.basis == "policy"
    assert why in found.facts.why
    with pytest.raises(UserError, match=r"misfit\.basis") as fault:
        by_books(tmp_path)
    assert fault.value.found == f"economics, but {why}"


def test_hours_without_a_cost_are_valued_at_the_stated_rate(tmp_path):
    books(tmp_path, cost=False)
    source = source_of(
        "contractual", "2024-12-31", misfit={"basis": "economics"}, train={"test_periods": 1}, economics={"hourly_cost": 60.0}
    )
    assert outcomes(labelled(tmp_path, source, *LOOKS))["a"] == "misfit"


def test_a_history_too_short_to_freeze_a_threshold_is_no_basis(tmp_path):
    books(tmp_path)
    found = labelled(tmp_path, business(), AS_OF)
    assert found.facts.basis == "policy"
    assert "no as_of was judged before the final test begins" in found.facts.why


def test_insisting_on_marks_that_nobody_made_is_an_error(tmp_path):
    books(tmp_path)
    with pytest.raises(UserError, match="no client was marked in any outcome window that has passed"):
        labelled(tmp_path, business(basis="marked"), *LOOKS)


def test_insisting_on_the_policy_leaves_marks_aside(tmp_path):
    clients(tmp_path, "ab")
    write(tmp_path, "reviews", "client_id on verdict\n b 2024-04-01 misfit")
    found = labelled(tmp_path, business(basis="policy"))
    assert (found.facts.basis, found.label.num_rows) == ("policy", 0)


# ---- order, clocks, and what is no feature ----------------------------------------------------------------------------------------


def test_rows_come_in_the_snapshots_order_in_small_batches_too(tmp_path, monkeypatch):
    books(tmp_path)
    found = by_books(tmp_path)
    seen = snapshots(canonical_tables(tmp_path), [day(text) for text in LOOKS], business())
    assert found.label.select(["client_id", "as_of"]).equals(seen.select(["client_id", "as_of"]).combine_chunks())
    assert found.rules.select(["client_id", "as_of"]).equals(found.label.select(["client_id", "as_of"]))
    engine = misfit_label.batches
    monkeypatch.setattr(misfit_label, "batches", lambda *given, **named: engine(*given, **named, batch_clients=2))
    again = by_books(tmp_path)
    assert again.label.equals(found.label)
    assert again.rules.equals(found.rules)
    assert again.facts == found.facts


@pytest.mark.parametrize("rates", [{}, {"USD": 3.605, None: 0.37}])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_look_back_is_what_had_happened_by_then_as_known_now(seed, rates):
    """Against tables filtered by hand to what was known: late, amended and prepaid rows, credits, disputes; with and without rates."""
    tables = drawn_books(Random(seed), rates)  # noqa: S311  # no secret
    measures, backs = totals(OFFICE), (0, 31, 90)
    rows = pa.table({"client_id": list("abc") * len(AS_OFS)})
    until = np.repeat(AS_OFS, 3)
    asked = misfit_label.Asked(rows, *(np.zeros(len(until), np.int64),) * 4)
    looked = misfit_label.looks_back(tables, measures, asked, until, backs)
    for as_of in AS_OFS:
        then = {name: in_retrospect(table, as_of) for name, table in tables.items()}
        expected = measure(then, [as_of - back for back in backs], measures, clients=pa.array(["a", "b", "c"])).set_index("as_of")
        for back in backs:
            for name in expected.columns.drop("client_id"):
                here = expected.loc[as_of - back, name]
                assert looked[back][name][until == as_of].tolist() == here.tolist(), (as_of, back, name)
                if name in misfit_label.PAID_BY:
                    assert set(looked[back][f"all {name}"][until == as_of]) == {here.sum()}


def drawn_books(choose: Random, rates: dict[str | None, float]) -> dict[str, pa.Table]:
    """Random invoices, payments and work; nothing is due before it is issued. rates: by currency."""
    histories = random_histories(choose.randint, 60)
    for row in histories["invoices"]:
        row["due_on"] = row["due_on"] and max(row["due_on"], to_date(row["day"]))
    for row in (*histories["invoices"], *histories["work"]) if rates else ():
        row["rate"] = rates.get(row["currency"], 1.0)
    for row in histories["payments"] if rates else ():
        row["invoice_id"] = f"{int(row['invoice_id']) % 7}"  # several of one invoice
        row["amount"] += 1
    return {name: canonical_of(name, histories[name]) for name in ("invoices", "payments", "work")}


def canonical_of(table: str, rows: list[dict[str, object]]) -> pa.Table:
    return table_of(table, [row | {TABLES[table].key: row["key"]} for row in rows])


def test_what_came_before_the_first_window_moves_no_label_and_what_comes_in_it_no_feature(tmp_path):
    """Every amount and hour before the first outcome window changed; then every row within the last one, verdicts and endings too."""
    first, last = LOOKS[0], LOOKS[-1]
    books(tmp_path)
    write(tmp_path, "reviews", "client_id on verdict\n a 2024-07-10 misfit")
    write(tmp_path, "endings", "client_id on ended_by reason\n b 2024-08-10 us fit")
    source = business(basis="economics")
    before, seen = by_books(tmp_path), made_features(tmp_path, source, last)
    for table, column in (("invoices", "amount"), ("work", "cost"), ("work", "duration_minutes")):
        changed(tmp_path, table, column, until=day(first) + 14)
    after = by_books(tmp_path)
    assert after.label.equals(before.label)
    assert after.facts == before.facts
    assert not after.rules.equals(before.rules)

    books(tmp_path)
    for table, column in (("invoices", "amount"), ("work", "cost"), ("work", "duration_minutes")):
        changed(tmp_path, table, column, since=day(last) + 14)
    write(tmp_path, "reviews", "client_id on verdict\n a 2024-07-10 keep\n c 2024-07-10 misfit")
    write(tmp_path, "endings", "client_id on ended_by reason\n c 2024-08-10 client price")
    assert made_features(tmp_path, source, last).equals(seen)
    assert not by_books(tmp_path).label.equals(before.label)


def made_features(folder: Path, source, on: str):
    return featurize(folder, snapshots(canonical_tables(folder), [day(on)], source), source).frame


def changed(folder: Path, table: str, column: str, *, since: int = 0, until: int = 10**6) -> None:
    """The column's values made others in rows of [since, until)."""
    path = canonical_tables(folder)[table]
    rows = pq.read_table(path).to_pylist()
    rows = [row | {column: (row[column] or 0) * 3 + 700} if since <= row["day"] < until else row for row in rows]
    write_parquet(path, table_of(table, rows))


def test_no_signal_is_the_labels_own_rule():
    """Whatever reviews say, and for whatever reason clients ended, no feature moves."""
    assert [signal.name for signal in discovered() if "reviews" in (*signal.tables, *signal.also)] == []
    histories = random_histories(Random(5).randint, 60)  # noqa: S311  # no secret
    assert {row["reason"] for row in histories["endings"]} >= {"fit"}
    tables = {name: canonical_of(name, rows) for name, rows in histories.items()}
    for_other_reasons = canonical_of("endings", [row | {"reason": "price"} for row in histories["endings"]])
    asked = pd.DataFrame({"client_id": list("abc") * 2, "as_of": np.repeat([AS_OFS[0], AS_OFS[-1]], 3)})
    reviews = [{"key": name, "client_id": name, "day": AS_OFS[0] - 9, "known": AS_OFS[0] - 9, "verdict": "misfit"} for name in "abc"]
    before = features(tables, asked, OFFICE).frame
    given = tables | {"endings": for_other_reasons, "reviews": canonical_of("reviews", reviews)}
    assert features(given, asked, OFFICE).frame.equals(before)

"""What became of each snapshot: drawn histories, literal outcomes. Gap 14 days, horizon 90, lateness 7."""

import pyarrow.parquet as pq
import pytest
from drawn import canonical, day, source_of

from pipeline.label import labels, told
from pipeline.snapshot import canonical_tables, snapshots


def outcomes(folder, source, *on: str) -> dict[tuple[str, str], tuple[str, int | None]]:
    looked = snapshots(canonical_tables(folder), [day(text) for text in on], source)
    found = labels(looked, folder, source)
    return {(row["client_id"], row["as_of"].isoformat()): (row["outcome"], row["label"]) for row in found.to_pylist()}


def contracts(folder, decided: str, ended_by: str = "client") -> None:
    canonical("interactions", "client_id on kind\n a 2023-01-01 order\n b 2023-01-01 order", folder)
    canonical("endings", f"client_id on ended_by\n a {decided} {ended_by}", folder)


@pytest.mark.parametrize(
    ("decided", "outcome"),
    [
        ("2024-03-01", ("left_in_gap", None)),  # the as_of's own day: not yet seen, too late to act on
        ("2024-03-14", ("left_in_gap", None)),
        ("2024-03-15", ("churned", 1)),  # first day of the window
        ("2024-06-12", ("churned", 1)),  # its last
        ("2024-06-13", ("stayed", 0)),
    ],
)
def test_a_contract_ends_in_the_gap_in_the_window_or_after_it(tmp_path, decided, outcome):
    contracts(tmp_path, decided)
    found = outcomes(tmp_path, source_of("contractual", "2024-12-31"), "2024-03-01")
    assert found == {("a", "2024-03-01"): outcome, ("b", "2024-03-01"): ("stayed", 0)}


@pytest.mark.parametrize("ended_by", ["us", "mutual", "closed_down", "paused"])
def test_an_ending_that_is_not_the_clients_is_censored(tmp_path, ended_by):
    contracts(tmp_path, "2024-04-01", ended_by)
    assert outcomes(tmp_path, source_of("contractual", "2024-12-31"), "2024-03-01")["a", "2024-03-01"] == ("ended_otherwise", None)


@pytest.mark.parametrize(("exported", "outcome"), [("2024-06-20", ("stayed", 0)), ("2024-06-19", ("immature", None))])
def test_a_label_matures_when_window_and_lateness_have_passed(tmp_path, exported, outcome):
    contracts(tmp_path, "2024-12-01")
    assert outcomes(tmp_path, source_of("contractual", exported), "2024-03-01")["b", "2024-03-01"] == outcome


def test_an_early_leaver_of_an_open_window_is_unknown_too(tmp_path):
    contracts(tmp_path, "2024-04-01")
    assert outcomes(tmp_path, source_of("contractual", "2024-05-01"), "2024-03-01")["a", "2024-03-01"] == ("immature", None)


@pytest.mark.parametrize(
    ("next_order", "outcome"),
    [
        ("2024-03-14", ("churned", 1)),  # an order in the gap says nothing of the window
        ("2024-03-15", ("stayed", 0)),
        ("2024-06-12", ("stayed", 0)),
        ("2024-06-13", ("churned", 1)),
    ],
)
def test_without_contract_a_silent_window_is_churn(tmp_path, next_order, outcome):
    canonical(
        "interactions",
        f"client_id on kind\n a 2023-12-01 order\n a 2024-02-01 order\n a {next_order} order\n a 2024-04-01 return",
        tmp_path,
    )
    assert outcomes(tmp_path, source_of("non_contractual", "2024-12-31"), "2024-03-01")["a", "2024-03-01"] == outcome


def test_hindsight_takes_the_newest_version_and_late_records(tmp_path):
    canonical(
        "interactions",
        """
        client_id  on          recorded    superseded  kind
        a          2023-12-01  2023-12-01  -           order
        a          2024-02-01  2024-02-01  -           order
        a          2024-04-01  2024-07-01  -           order
        b          2023-12-01  2023-12-01  -           order
        b          2024-02-01  2024-02-01  -           order
        b          2024-04-01  2024-04-01  2024-07-01  order
        """,
        tmp_path,
    )
    found = outcomes(tmp_path, source_of("non_contractual", "2024-12-31"), "2024-03-01")
    assert found == {("a", "2024-03-01"): ("stayed", 0), ("b", "2024-03-01"): ("churned", 1)}  # b's order was amended away


def test_without_a_gap_the_window_begins_at_the_as_of(tmp_path):
    contracts(tmp_path, "2024-03-01")
    source = source_of("contractual", "2024-12-31", time={"gap_days": 0})
    assert outcomes(tmp_path, source, "2024-03-01")["a", "2024-03-01"] == ("churned", 1)


def test_only_eligible_snapshots_are_labelled_and_the_count_is_told(tmp_path):
    contracts(tmp_path, "2024-04-01")
    source = source_of("contractual", "2024-12-31")
    looked = snapshots(canonical_tables(tmp_path), [day("2024-03-01"), day("2024-05-01")], source)
    found = labels(looked, tmp_path, source)
    assert told(found) == "3 eligible snapshots: 2 stayed, 1 churned; 1 distinct clients left; known up to as_of 2024-05-01"
    assert pq.read_metadata(tmp_path / "interactions.parquet").num_rows == 2

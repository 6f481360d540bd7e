"""Who is in the portfolio at an as_of, and in which status: drawn histories, literal statuses."""

from datetime import date

import pyarrow as pa
import pytest
from drawn import canonical, day, source_of

from features.errors import NotEnoughHistory, UserError
from features.time import to_date
from pipeline.snapshot import as_ofs, canonical_tables, notes, snapshots


def statuses(folder, source, *on: str) -> dict[tuple[str, str], str]:
    found = snapshots(canonical_tables(folder), [day(text) for text in on], source)
    return {(row["client_id"], row["as_of"].isoformat()): row["status"] for row in found.to_pylist()}


def test_a_client_without_contract_is_judged_by_its_own_rhythm(tmp_path):
    canonical(
        "interactions",
        """
        client_id   on          kind
        weekly      2024-01-01  order
        weekly      2024-01-08  order
        weekly      2024-01-15  order
        weekly      2024-03-01  order
        slow        2023-06-01  order
        slow        2023-11-01  order
        slow        2024-04-01  order
        new         2024-05-20  order
        hushed      2024-01-01  order
        hushed      2024-01-11  order
        hushed      2024-01-21  order
        asleep      2023-01-01  order
        asleep      2023-02-01  order
        talker      2024-01-01  message
        """,
        tmp_path,
    )
    found = statuses(tmp_path, source_of("non_contractual", "2024-12-31"), "2024-06-01")
    assert found == {
        ("weekly", "2024-06-01"): "silent",  # 92 days, its typical gap is 7
        ("slow", "2024-06-01"): "too_infrequent",  # 61 days are nothing to it, but 90 would not be either
        ("new", "2024-06-01"): "too_new",
        ("hushed", "2024-06-01"): "silent",
        ("asleep", "2024-06-01"): "gone",
        ("talker", "2024-06-01"): "gone",  # never a sign of life
    }


@pytest.mark.parametrize(("last_order", "status"), [("2024-04-02", "eligible"), ("2024-04-01", "silent")])
def test_silence_is_called_silent_on_the_day_after_the_floor(tmp_path, last_order, status):
    canonical("interactions", f"client_id on kind\n a 2024-03-26 order\n a {last_order} order\n b 2024-03-01 order", tmp_path)
    source = source_of("non_contractual", "2024-12-31", snapshot={"too_new_days": 0})
    assert statuses(tmp_path, source, "2024-06-01")["a", "2024-06-01"] == status


def test_a_contractual_client_is_gone_from_the_notice_on_and_back_with_its_next_order(tmp_path):
    canonical(
        "interactions",
        """
        client_id  on          kind
        a          2023-01-01  order
        a          2024-02-20  order
        a          2024-09-01  order
        quiet      2022-01-01  order
        """,
        tmp_path,
    )
    canonical(
        "endings",
        """
        client_id  on          ended_on    ended_by
        a          2024-02-10  2024-05-01  client
        """,
        tmp_path,
    )
    found = statuses(tmp_path, source_of("contractual", "2024-12-31"), "2024-02-10", "2024-02-11", "2024-03-01", "2024-06-01", "2024-10-01")
    assert found == {
        ("a", "2024-02-10"): "eligible",  # the notice of that very day is not yet seen
        ("a", "2024-02-11"): "gone",
        ("a", "2024-03-01"): "gone",  # an order within the notice period is no return
        ("a", "2024-06-01"): "gone",
        ("a", "2024-10-01"): "eligible",
        ("quiet", "2024-02-10"): "eligible",
        ("quiet", "2024-02-11"): "eligible",
        ("quiet", "2024-03-01"): "eligible",
        ("quiet", "2024-06-01"): "eligible",
        ("quiet", "2024-10-01"): "eligible",  # a contract lives without contact
    }


def test_an_ending_without_an_end_date_took_effect_at_once(tmp_path):
    canonical("interactions", "client_id on kind\n a 2023-01-01 order\n a 2024-03-20 order", tmp_path)
    canonical("endings", "client_id on decided_on ended_by\n a 2024-02-10 2024-02-10 client", tmp_path)
    found = statuses(tmp_path, source_of("contractual", "2024-12-31"), "2024-03-01", "2024-04-01")
    assert found == {("a", "2024-03-01"): "gone", ("a", "2024-04-01"): "eligible"}


def test_an_ending_recorded_late_is_seen_late(tmp_path):
    canonical("interactions", "client_id on kind\n a 2023-01-01 order", tmp_path)
    canonical("endings", "client_id on recorded ended_by\n a 2024-02-10 2024-04-10 client", tmp_path)
    found = statuses(tmp_path, source_of("contractual", "2024-12-31"), "2024-04-10", "2024-04-11")
    assert found == {("a", "2024-04-10"): "eligible", ("a", "2024-04-11"): "gone"}


def test_a_client_has_no_row_before_it_was_known_and_its_tenure_counts_from_its_start(tmp_path):
    canonical("interactions", "client_id on kind\n a 2024-03-01 order\n b 2024-05-01 order", tmp_path)
    canonical("clients", "client_id started_on recorded\n a 2024-01-01 2024-03-15\n b - 2024-03-15", tmp_path)
    found = snapshots(canonical_tables(tmp_path), [day("2024-03-01"), day("2024-04-01")], source_of("contractual", "2024-12-31"))
    assert found.select(["client_id", "as_of", "tenure_days", "silence_days", "status"]).to_pylist() == [
        {"client_id": "a", "as_of": date(2024, 4, 1), "tenure_days": 91, "silence_days": 31, "status": "eligible"},
        {
            "client_id": "b",
            "as_of": date(2024, 4, 1),
            "tenure_days": 17,
            "silence_days": None,
            "status": "too_new",
        },  # listed, no contact yet
    ]


def test_a_qualifying_kind_that_never_occurs_is_a_fault(tmp_path):
    canonical("interactions", "client_id on kind\n a 2024-03-01 message", tmp_path)
    with pytest.raises(UserError, match=r"no interaction that qualifies[\s\S]*'kind': \['order'\]"):
        statuses(tmp_path, source_of("contractual", "2024-12-31"), "2024-06-01")


def test_listed_clients_without_a_snapshot_and_a_far_first_day_are_told(tmp_path):
    rows = (
        "\n".join(f"a 2024-03-{day:02d} order" for day in range(1, 31))
        + "\n"
        + "\n".join(f"a 2024-04-{day:02d} order" for day in range(1, 31))
    )
    rows += (
        "\n"
        + "\n".join(f"b 2024-05-{day:02d} order" for day in range(1, 31))
        + "\n"
        + "\n".join(f"b 2024-06-{day:02d} order" for day in range(1, 31))
    )
    canonical("interactions", f"client_id on kind\n a 1999-01-01 order\n{rows}", tmp_path)
    canonical("clients", "client_id recorded\n a 2024-03-15\n c 2024-12-31", tmp_path)
    found = snapshots(canonical_tables(tmp_path), [day("2024-08-01")], source_of("contractual", "2024-12-31"))
    told = list(notes(found, tmp_path))
    assert told[0].startswith("1 listed clients are in no snapshot")
    assert "1999-01-01" in told[1]


def test_the_flat_rule_replaces_all_others(tmp_path):
    canonical("interactions", "client_id on kind\n a 2024-05-31 order\n b 2024-01-01 order\n c 2024-03-01 return", tmp_path)
    source = source_of("non_contractual", "2024-12-31", snapshot={"active_within_days": 90})
    assert statuses(tmp_path, source, "2024-06-01") == {
        ("a", "2024-06-01"): "eligible",
        ("b", "2024-06-01"): "silent",
        ("c", "2024-06-01"): "silent",
    }


def test_as_ofs_begin_after_the_warm_up_and_end_with_the_export():
    settings = source_of("contractual", "2024-05-01", time={"warm_up_days": 60}).settings
    found = as_ofs(settings.time, day("2024-01-01"), day("2024-05-01"))
    assert [to_date(look).isoformat() for look in found] == ["2024-03-01", "2024-04-01", "2024-05-01"]


def test_too_short_a_history_is_said_with_what_is_needed():
    settings = source_of("contractual", "2024-05-01").settings
    with pytest.raises(NotEnoughHistory, match=r"2024-04-01 to an export on 2024-05-01[\s\S]*warm_up_days = 90"):
        as_ofs(settings.time, day("2024-04-01"), day("2024-05-01"))


def test_listed_as_ofs_are_taken_as_they_stand_but_not_beyond_the_export():
    listed = {"cadence": "listed", "as_ofs": [date(2024, 3, 5), date(2024, 1, 31)]}
    assert as_ofs(source_of("contractual", "2024-05-01", time=listed).settings.time, 0, day("2024-05-01")) == [
        day("2024-01-31"),
        day("2024-03-05"),
    ]
    with pytest.raises(UserError, match="2024-03-05, after the export"):
        as_ofs(source_of("contractual", "2024-03-01", time=listed).settings.time, 0, day("2024-03-01"))


def test_snapshots_do_not_depend_on_the_order_of_rows(tmp_path):
    import pyarrow.parquet as pq

    path = canonical("interactions", "client_id on kind\n a 2024-01-01 order\n b 2024-02-01 order\n a 2024-04-01 order", tmp_path)
    source = source_of("non_contractual", "2024-12-31")
    before = snapshots({"interactions": path}, [day("2024-06-01")], source)
    pq.write_table(pa.concat_tables([pq.read_table(path).slice(2), pq.read_table(path).slice(0, 2)]), path)
    assert snapshots({"interactions": path}, [day("2024-06-01")], source).equals(before)

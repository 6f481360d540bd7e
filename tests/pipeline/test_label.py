"""What became of each snapshot: drawn histories, literal outcomes. Gap 14 days, horizon 90, lateness 7."""

import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from drawn import canonical, day, source_of
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from features.errors import UserError
from pipeline import label
from pipeline.label import at_horizon, horizon_labels, labels, told
from pipeline.settings import load_settings
from pipeline.snapshot import canonical_tables, snapshots
from pipeline.tables import write_parquet


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


@pytest.mark.parametrize(("recorded", "outcome"), [("2024-03-01", ("left_in_gap", None)), ("2024-09-01", ("left_in_gap", None))])
def test_who_had_left_unbeknown_to_us_did_not_stay(tmp_path, recorded, outcome):
    canonical("interactions", "client_id on kind\n a 2023-01-01 order\n b 2023-01-01 order", tmp_path)
    canonical("endings", f"client_id on recorded ended_by\n a 2024-02-27 {recorded} client", tmp_path)
    assert outcomes(tmp_path, source_of("contractual", "2024-12-31"), "2024-03-01")["a", "2024-03-01"] == outcome


TWICE = "a 2023-06-01 2023-06-01 2023-06-01 - client\n a 2023-06-01 2023-06-01 2023-06-01 - client"  # an ending under two contracts


@pytest.mark.parametrize(
    ("earlier", "later", "outcome"),
    [
        (TWICE, "a 2024-03-05 2024-03-05 2024-03-05 - client", ("left_in_gap", None)),
        (TWICE, "a 2024-02-27 2024-02-27 2024-03-03 - client", ("left_in_gap", None)),
        (
            "a 2023-06-01 2023-06-01 2023-06-01 2024-05-01 client",
            "a 2023-06-01 2023-06-01 2024-05-01 - us",
            ("stayed", 0),
        ),  # amended: by whose hand it was
    ],
)
def test_an_ending_long_past_hides_no_new_one_and_makes_none(tmp_path, earlier, later, outcome):
    canonical("interactions", "client_id on kind\n a 2023-01-01 order\n a 2023-09-01 order", tmp_path)
    canonical("endings", f"client_id on ended_on recorded superseded ended_by\n {earlier}\n {later}", tmp_path)
    assert outcomes(tmp_path, source_of("contractual", "2024-12-31"), "2024-03-01")["a", "2024-03-01"] == outcome


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


# ---- several horizons -------------------------------------------------------------------------------------------------------------


def by_horizon(folder, source, *on: str) -> dict[tuple[str, int], tuple[str, int | None]]:
    looked = snapshots(canonical_tables(folder), [day(text) for text in on], source)
    return {
        (row["client_id"], row["horizon_days"]): (row["outcome"], row["label"])
        for row in horizon_labels(looked, folder, source).to_pylist()
    }


def test_who_has_left_within_a_month_has_left_within_a_quarter(tmp_path):
    contracts(tmp_path, "2024-04-13")  # the thirtieth day of the window; the next is the thirty-first
    source = source_of("contractual", "2024-12-31")
    found = by_horizon(tmp_path, source, "2024-03-01")
    assert {horizon: found["a", horizon] for horizon in (30, 90, 180)} == dict.fromkeys((30, 90, 180), ("churned", 1))
    contracts(tmp_path, "2024-04-14")
    found = by_horizon(tmp_path, source, "2024-03-01")
    assert [found["a", horizon] for horizon in (30, 90, 180)] == [("stayed", 0), ("churned", 1), ("churned", 1)]


def test_who_leaves_twice_has_left(tmp_path):
    canonical("interactions", "client_id on kind\n a 2023-01-01 order", tmp_path)
    canonical("endings", "client_id on ended_by\n a 2024-03-20 client\n a 2024-05-20 client", tmp_path)
    found = by_horizon(tmp_path, source_of("contractual", "2024-12-31"), "2024-03-01")
    assert [found["a", horizon] for horizon in (30, 90, 180)] == [("churned", 1)] * 3


def test_who_is_silent_for_a_quarter_is_silent_for_its_first_month(tmp_path):
    canonical("interactions", "client_id on kind\n a 2023-12-01 order\n a 2024-02-01 order\n a 2024-06-13 order", tmp_path)
    found = by_horizon(tmp_path, source_of("non_contractual", "2024-12-31"), "2024-03-01")
    assert [found["a", horizon] for horizon in (30, 90, 180)] == [("churned", 1), ("churned", 1), ("stayed", 0)]


def test_each_horizon_matures_in_its_own_time(tmp_path):
    contracts(tmp_path, "2024-12-01")
    found = by_horizon(tmp_path, source_of("contractual", "2024-06-20"), "2024-03-01")
    assert [found["b", horizon][0] for horizon in (30, 90, 180)] == ["stayed", "stayed", "immature"]


def test_a_horizon_longer_than_the_data_is_unknown(tmp_path):
    contracts(tmp_path, "2024-04-01")
    source = source_of("contractual", "2024-12-31", time={"horizon_days": 700})
    found = by_horizon(tmp_path, source, "2024-03-01")
    assert [found["a", horizon] for horizon in (30, 90, 180, 700)] == [("churned", 1)] * 3 + [("immature", None)]


def test_listed_as_ofs_say_until_when_the_data_are_trusted(tmp_path):
    contracts(tmp_path, "2024-12-01")
    listed = {"cadence": "listed", "as_ofs": [date(2024, 2, 1), date(2024, 3, 1)]}
    source = source_of("contractual", "2024-12-31", time=listed)  # the newest window ends on 2024-06-13, and is judged on 2024-06-20
    assert [by_horizon(tmp_path, source, "2024-03-01")["b", horizon][0] for horizon in (30, 90, 180)] == ["stayed", "stayed", "immature"]


def test_a_main_horizon_that_is_not_listed_joins_the_others():
    assert load_settings({"time": {"horizon_days": 60}}, "source.yaml").time.horizons == [30, 60, 90, 180]


@pytest.mark.parametrize("listed", [[], [90, 30], [30, 30], [0, 30], ["30"], 30])
def test_a_list_of_horizons_is_ascending_days(listed):
    with pytest.raises(UserError, match=r"time\.horizons_days"):
        load_settings({"time": {"horizons_days": listed}}, "source.yaml")


LIVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 700), st.sampled_from(["order", "client", "us", "paused"])), min_size=1, max_size=25
)


@hypothesis(max_examples=25, deadline=None)
@given(lives=LIVES, relationship=st.sampled_from(["contractual", "non_contractual"]), gap_days=st.sampled_from([0, 14]))
def test_horizons_never_contradict_each_other(lives, relationship, gap_days):
    """Known labels grow with the horizon where clients end and shrink where they fall silent; the main horizon's are those of `labels`."""
    start = date(2022, 1, 1).toordinal()
    orders = [("a", 0), *[(client, on) for client, on, kind in lives if kind == "order"]]
    ended = [(client, on, kind) for client, on, kind in lives if kind != "order"]
    with TemporaryDirectory() as made:
        folder = Path(made)
        canonical(
            "interactions", "client_id on kind\n" + "\n".join(f"{c} {date.fromordinal(start + on)} order" for c, on in orders), folder
        )
        if ended:
            canonical(
                "endings", "client_id on ended_by\n" + "\n".join(f"{c} {date.fromordinal(start + on)} {by}" for c, on, by in ended), folder
            )
        source = source_of(relationship, "2024-01-01", time={"gap_days": gap_days}, snapshot={"active_within_days": 730})
        looked = snapshots(canonical_tables(folder), [day(f"2022-{month:02d}-01") for month in range(2, 13)], source)
        found = horizon_labels(looked, folder, source)
        assert at_horizon(found, 90).equals(labels(looked, folder, source))
    wide = found.to_pandas().pivot(index=["client_id", "as_of"], columns="horizon_days", values="label")
    sign = 1 if relationship == "contractual" else -1
    for shorter, longer in ((30, 90), (90, 180), (30, 180)):
        assert (sign * (wide[longer] - wide[shorter]).dropna() >= 0).all()


# ---- the stage --------------------------------------------------------------------------------------------------------------------


def a_shop(folder: Path, n_clients: int = 12) -> None:
    """Clients of a shop: each third one orders every three weeks, every seven weeks, or stops in spring and comes back in winter."""
    rhythm = {0: 21, 1: 50, 2: 21}
    rows = []
    for number in range(n_clients):
        for on in range(number, 1_000, rhythm[number % 3]):
            if number % 3 < 2 or not 400 < on < 400 + 40 * number:
                rows.append(f"c{number:02d} {date.fromordinal(date(2022, 1, 1).toordinal() + on)} order")
    canonical("interactions", "client_id on kind\n" + "\n".join(rows), folder)


def staged(monkeypatch, root: Path, source, *on: str) -> Path:
    """The stage's command on a source whose canonical tables stand in root/validate."""
    source.output = root
    looked = snapshots(canonical_tables(root / "validate"), [day(text) for text in on], source)
    write_parquet(root / "snapshot" / "snapshots.parquet", looked)
    monkeypatch.setattr(label, "selected_source", lambda: source)
    label.main()
    return root / "label"


MONTHS = [f"{year}-{month:02d}-01" for year in (2022, 2023) for month in range(1, 13)][4:]


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "validate").mkdir()
    a_shop(tmp_path / "validate")
    return tmp_path


def test_the_stage_writes_labels_design_and_pictures_and_tells_them_briefly(shop, monkeypatch, capsys):
    source = source_of("non_contractual", "2024-09-01", label={"clients_at_least": 3})
    folder = staged(monkeypatch, shop, source, *MONTHS)
    assert {path.name for path in folder.iterdir()} == {
        *("misfit.parquet", "misfit_rules.parquet", "misfit.json"),
        *("churn.parquet", "horizons.parquet", "design.json", "return_rate.png", "sensitivity.png"),
        *("return_curve.csv", "eligibility_gaps.csv", "eligibility_floors.csv", "sensitivity.csv"),
    }
    horizons = pq.read_table(folder / "horizons.parquet")
    assert horizons.schema.equals(label.HORIZONS_SCHEMA)
    assert at_horizon(horizons, 90).equals(pq.read_table(folder / "churn.parquet"))
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) <= 12 + 4  # the design's, and the basis of misfit
    assert [line for line in lines if len(line) > 90] == []


def test_equal_data_give_equal_bytes(shop, monkeypatch):
    source = source_of("non_contractual", "2024-09-01", label={"clients_at_least": 3})
    first = {path.name: path.read_bytes() for path in staged(monkeypatch, shop, source, *MONTHS).iterdir()}
    assert first == {path.name: path.read_bytes() for path in staged(monkeypatch, shop, source, *MONTHS).iterdir()}


@pytest.mark.parametrize("ended_by", [None, "us", "client"])
def test_the_chosen_row_of_the_sensitivity_is_the_label_itself(shop, monkeypatch, ended_by):
    if ended_by:  # in the spring in which c02 falls silent: censored, or dropped where it lies in the gap
        canonical("endings", f"client_id on ended_by\n c02 2023-02-10 {ended_by}\n unheard-of 2023-02-10 us", shop / "validate")
    source = source_of("non_contractual", "2024-09-01", label={"clients_at_least": 3})
    folder = staged(monkeypatch, shop, source, *MONTHS)
    design, found = json.loads((folder / "design.json").read_text()), pq.read_table(folder / "churn.parquet")
    known = found.filter(pc.is_valid(found["label"]))
    (row,) = [row for row in design["sensitivity"] if (row["horizon_days"], row["silent_gaps"], row["silent_floor_days"]) == (90, 4, 60)]
    assert row["n_labelled"] == known.num_rows > 100
    assert row["base_rate"] == pytest.approx(pc.mean(known["label"]).as_py(), abs=1e-6)
    assert row["n_as_ofs"] == len(pc.unique(known["as_of"]))
    assert row["n_churned_clients"] == len(pc.unique(known.filter(pc.equal(known["label"], 1))["client_id"])) > 0


def test_a_flat_rule_of_eligibility_leaves_the_thresholds_out(shop, monkeypatch, capsys):
    source = source_of("non_contractual", "2024-09-01", snapshot={"active_within_days": 120}, label={"clients_at_least": 3})
    folder = staged(monkeypatch, shop, source, *MONTHS)
    assert "silent_gaps and silent_floor_days are not used" in capsys.readouterr().out
    design, found = json.loads((folder / "design.json").read_text()), pq.read_table(folder / "churn.parquet")
    counts = {row["n_labelled"] for row in design["sensitivity"] if row["horizon_days"] == 90}
    assert counts == {found.filter(pc.is_valid(found["label"])).num_rows}


def test_too_few_clients_are_said_to_be_too_few(shop, monkeypatch, capsys):
    folder = staged(monkeypatch, shop, source_of("non_contractual", "2024-09-01"), *MONTHS)
    design = json.loads((folder / "design.json").read_text())
    assert (design["horizon"]["proposed"], design["horizon"]["because"]) == (None, "too_little_data")
    assert "proposed: none; fewer than 30 clients were watched for long enough" in capsys.readouterr().out


def test_a_horizon_beyond_the_data_leaves_all_immature_and_is_said(shop, monkeypatch, capsys):
    source = source_of("non_contractual", "2024-09-01", time={"horizon_days": 1_400})
    folder = staged(monkeypatch, shop, source, *MONTHS)
    assert set(pq.read_table(folder / "churn.parquet")["outcome"].to_pylist()) == {"immature"}
    assert "of those silent so long an unknown share are back" in capsys.readouterr().out


def test_nobody_eligible_is_no_fault(shop, monkeypatch):
    source = source_of("non_contractual", "2024-09-01")
    folder = staged(monkeypatch, shop, source, "2022-01-10")  # all are too new
    assert pq.read_table(folder / "churn.parquet").num_rows == pq.read_table(folder / "horizons.parquet").num_rows == 0


def test_the_design_of_contracts_tells_who_ends_them(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "validate"
    folder.mkdir()
    canonical("interactions", "client_id on kind\n" + "\n".join(f"{client} 2023-01-01 order" for client in "abcdef"), folder)
    canonical(
        "endings",
        """
        client_id  on          ended_on    ended_by     reason
        a          2023-06-20  2023-07-20  client       price
        b          2023-09-01  2023-09-15  us           non_payment
        c          2023-01-20  2023-02-01  client       fit
        d          2023-06-08  2023-07-08  client       -
        """,
        folder,
    )
    source = source_of("contractual", "2024-06-01")
    found = staged(monkeypatch, tmp_path, source, "2023-06-01")
    design = json.loads((found / "design.json").read_text())
    shares = {(row["horizon_days"], row["outcome"]): row["n"] for row in design["outcomes"]}
    assert shares == {
        **{(30, name): n for name, n in {"client": 1, "left_in_gap": 1, "stayed": 3, "us": 0}.items()},
        **{(90, name): n for name, n in {"client": 1, "left_in_gap": 1, "stayed": 2, "us": 1}.items()},
        **{(180, name): n for name, n in {"client": 1, "left_in_gap": 1, "stayed": 2, "us": 1}.items()},
    }
    assert [(row["ended_by"], row["met"], row["n"]) for row in design["unseen_endings"]] == [
        *[("client", met, 1) for met in ("in_gap", "labelled", "never_looked_at")],
        ("us", "labelled", 1),
    ]
    assert (found / "outcomes.png").exists()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) <= 12 + 4  # the design's, and the basis of misfit
    assert [line for line in lines if len(line) > 90] == []
    assert "a client's notice runs 30 days" in "".join(lines)


def test_a_contract_without_any_ending_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "validate").mkdir()
    canonical("interactions", "client_id on kind\n a 2023-01-01 order", tmp_path / "validate")
    folder = staged(monkeypatch, tmp_path, source_of("contractual", "2024-06-01"), "2023-06-01")
    assert "no ending is on record" in capsys.readouterr().out
    assert pq.read_table(folder / "churn.parquet")["outcome"] == pa.chunked_array([["stayed"]])

"""The invented portfolio: the same bytes every time, with the blemishes of real exports, its causes planted and visible only with noise."""

import csv
import shutil
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.errors import UserError
from features.time import to_day, zone
from pipeline import simulate
from pipeline.simulate import CAUSES, Clock, ensure_exports
from pipeline.source import Source, load_source
from pipeline.tables import sha256_of

PROJECT = Path(__file__).parents[2]
FILES = ["accounts.csv", "crm_2023.csv", "crm_2024.csv", "endings.csv", "invoices.csv", "manifest.json", "receipts.csv"]


def small_portfolio(root: Path, **changes: str) -> Source:
    """The default source with 40 clients and one year, as data/sources/simulated of a project folder `root` (the working folder)."""
    folder = root / "data" / "sources" / "simulated"
    shutil.copytree(PROJECT / "data" / "sources" / "simulated", folder)
    shutil.copy(PROJECT / "params.yaml", root)
    text = (folder / "source.yaml").read_text(encoding="utf-8")
    changes = {"clients: 700": "clients: 40", "years: 3": "years: 1", "2026-11-01T": "2024-11-01T"} | changes
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "source.yaml").write_text(text, encoding="utf-8")
    return load_source("simulated")


def hashes(raw: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(raw.iterdir())}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory):
    """The default portfolio in full: the folder data/simulated of a project."""
    root = tmp_path_factory.mktemp("portfolio")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        shutil.copytree(PROJECT / "data" / "sources" / "simulated", root / "data" / "sources" / "simulated")
        shutil.copy(PROJECT / "params.yaml", root)
        ensure_exports(load_source("simulated"))
    return root / "data" / "simulated"


@cache
def exported(portfolio: Path, name: str, **options: object) -> pd.DataFrame:
    paths = sorted((portfolio / "raw").glob(f"{name}*.csv"))
    return pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False, **options) for path in paths], ignore_index=True)


def when(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(text, format="%d/%m/%Y %H:%M", errors="coerce")


# ---- files ----------------------------------------------------------------------------------------------------------------------


def test_the_same_settings_write_the_same_bytes(root):
    source = small_portfolio(root)
    ensure_exports(source)
    first = hashes(root / "data" / "simulated" / "raw")
    shutil.rmtree(root / "data" / "simulated")
    ensure_exports(source)
    assert list(first) == FILES
    assert hashes(root / "data" / "simulated" / "raw") == first


def test_another_seed_is_another_portfolio(root, tmp_path_factory, monkeypatch):
    ensure_exports(small_portfolio(root))
    other = tmp_path_factory.mktemp("other")
    monkeypatch.chdir(other)
    ensure_exports(small_portfolio(other, **{"seed: 18": "seed: 17"}))
    first, second = (hashes(folder / "data" / "simulated" / "raw") for folder in (root, other))
    assert not set(first.values()) & set(second.values())


def test_what_is_there_whole_is_not_written_again(root, monkeypatch):
    source = small_portfolio(root)
    ensure_exports(source)
    monkeypatch.setattr(simulate, "simulated", lambda *_: pytest.fail("simulated again"))
    ensure_exports(source)


@pytest.mark.parametrize("damage", ["edit", "remove", "manifest"])
def test_what_is_not_whole_is_written_again(root, damage):
    source = small_portfolio(root)
    ensure_exports(source)
    raw = root / "data" / "simulated" / "raw"
    first = hashes(raw)
    if damage == "edit":
        (raw / "invoices.csv").write_text("Invoice\n1\n")
    else:
        (raw / ("manifest.json" if damage == "manifest" else "endings.csv")).unlink()
    ensure_exports(source)
    assert hashes(raw) == first


def test_an_interrupted_run_leaves_no_half_written_folder(root, monkeypatch):
    source = small_portfolio(root)
    real, done = simulate._write, []

    def write(path, *arguments, **options):
        done.append(path)
        if len(done) == 3:
            raise KeyboardInterrupt
        real(path, *arguments, **options)

    monkeypatch.setattr(simulate, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        ensure_exports(source)
    assert [path.name for path in (root / "data" / "simulated").iterdir()] == ["truth"]


def test_the_truth_lies_where_no_mapping_looks(portfolio):
    source = load_source(str(PROJECT / "data" / "sources" / "simulated"))
    assert {Path(file.path).parent.as_posix() for file in source.spec.files.values()} == {"../../simulated/raw"}
    assert [path.name for path in (portfolio / "truth").iterdir()] == ["weeks.parquet"]
    raw = " ".join(path.read_text(encoding="utf-8", errors="replace") for path in (portfolio / "raw").glob("*.csv"))
    assert not [word for word in ("hazard", "disaffection", "trickle", "withdrawal") if word in raw]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clients: 40": "clients: many"}, "simulate"),
        ({"seed: 18": "seed: 18\n  weather: fine"}, "weather"),
        ({"../../simulated/raw/invoices.csv": "raw/invoices.csv"}, "../../simulated/raw/invoices.csv: where its exports are written"),
        ({"years: 1": "years: 2"}, "exported_at on 2025-11-01"),
    ],
)
def test_a_wrong_simulate_block_is_named_with_its_cure(root, changes, words):
    with pytest.raises(UserError, match=words):
        ensure_exports(small_portfolio(root, **changes))
    assert not (root / "data" / "simulated").exists()


# ---- blemishes ------------------------------------------------------------------------------------------------------------------


def test_the_accounts_list_is_windows_1255_with_hebrew_and_english_names(portfolio):
    content = (portfolio / "raw" / "accounts.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    names = [row["Name"] for row in csv.DictReader(content.decode("windows-1255").splitlines())]
    assert sum('בע"מ' in name for name in names) > 200
    assert sum(", Ltd" in name for name in names) > 100


def test_lines_stand_twice_are_amended_and_come_late(portfolio):
    crm = exported(portfolio, "crm")
    assert 300 < crm.duplicated().sum() < 700
    once = crm.drop_duplicates()
    amended = once[once["Activity ID"].duplicated(keep=False) & (once["Account"].str.strip() != "")]
    assert 1_000 < amended["Activity ID"].nunique() < 2_500
    assert (amended.groupby("Activity ID")["Logged"].nunique() == 2).all()
    delay_days = (when(crm["Logged"]) - when(crm["When"])).dt.total_seconds() / 86_400
    assert 0.05 < (delay_days > 2).mean() < 0.2


def test_some_ids_dates_and_amounts_are_unusable(portfolio):
    crm, invoices, receipts = exported(portfolio, "crm"), exported(portfolio, "invoices"), exported(portfolio, "receipts", sep=";")
    assert (crm["Account"].str.strip() == "").sum() == 6
    years = when(crm["When"]).dt.year.value_counts(dropna=False)
    assert (years[np.nan], years[1], years[2028]) == (5, 2, 2)  # no date; a slip; after the export
    assert sorted(invoices.loc[~invoices["Amount"].str.fullmatch(r"\d+\.\d\d"), "Amount"]) == ["1.250,00", "n/a", "n/a"]
    assert len(receipts[~receipts["Paid"].str.fullmatch(r"\d\d/\d\d/\d{4}")]) + (receipts["Paid"] == "30/02/2025").sum() == 4


def test_an_hour_that_a_spring_night_skips_is_written_as_the_next():
    night = np.array([to_day(date(2024, 3, 29))] * 3)
    clock = Clock(zone("Asia/Jerusalem"))
    assert list(clock.text(night, np.array([119, 150, 180]))) == ["29/03/2024 01:59", "29/03/2024 03:30", "29/03/2024 03:00"]


# ---- truth ----------------------------------------------------------------------------------------------------------------------


def test_about_one_client_in_seven_leaves_a_year(portfolio):
    endings, accounts = exported(portfolio, "endings"), exported(portfolio, "accounts", encoding="windows-1255")
    left = endings[endings["Given by"] == "Client"]
    assert len(accounts) == 700
    assert left["Account"].nunique() >= 150
    assert 0.12 < len(left) / 1_434 < 0.18  # client years on the books
    assert set(endings["Given by"]) == {"Client", "Us", "Agreed", "Ceased trading", "Suspended"}
    assert endings["Account"].duplicated().sum() >= 2  # a few came back and left again


def test_who_leaves_had_the_higher_hazard_and_most_leavers_had_a_cause(portfolio):
    weeks = pq.read_table(portfolio / "truth" / "weeks.parquet").to_pandas()
    endings = exported(portfolio, "endings")
    left = endings[endings["Given by"] == "Client"]
    decided = pd.to_datetime(left["Notice given"], format="%d/%m/%Y")
    week_on = pd.to_datetime("2023-11-01") + pd.to_timedelta((decided - pd.to_datetime("2023-11-01")).dt.days // 7 * 7, unit="D")
    at_leaving = pd.DataFrame({"client_id": left["Account"], "week_on": week_on}).merge(
        weeks.assign(week_on=pd.to_datetime(weeks["week_on"])), on=["client_id", "week_on"], how="left", validate="1:1"
    )
    assert at_leaving["hazard"].notna().all()
    assert at_leaving["hazard"].median() > 10 * weeks["hazard"].median()
    assert (at_leaving["leading_cause"] != "none").mean() > 0.8
    assert set(at_leaving["leading_cause"]) - {"none"} == {cause.name for cause in CAUSES}


@pytest.fixture(scope="module")
def before_leaving(portfolio):
    """Contacts of clients that left of their own accord: in the 90 days before notice, and in all the time before those."""
    crm = exported(portfolio, "crm").drop_duplicates("Activity ID")
    crm["when"] = when(crm["When"])
    endings = exported(portfolio, "endings")
    left = endings[endings["Given by"] == "Client"].drop_duplicates("Account").set_index("Account")
    noticed = pd.to_datetime(left["Notice given"], format="%d/%m/%Y")
    days_before = (crm["Account"].map(noticed) - crm["when"]).dt.days
    return {"last": crm[(days_before >= 0) & (days_before < 90)], "earlier": crm[days_before >= 180]}


def share(contacts: pd.DataFrame, *topics: str) -> float:
    return float(contacts["Topic"].isin(topics).mean())


def off_hours(contacts: pd.DataFrame) -> float:
    inbound = contacts[(contacts["Direction"] == "In") & (contacts["Type"] != "Portal")]
    hour, weekday = inbound["when"].dt.hour, inbound["when"].dt.day_of_week
    return float(((hour < 8) | (hour >= 18) | weekday.isin([4, 5])).mean())


def test_before_leaving_more_contact_comes_off_hours(before_leaving):
    assert off_hours(before_leaving["last"]) > 1.4 * off_hours(before_leaving["earlier"])


@pytest.mark.parametrize(
    "topics",
    [
        ("Complaint", "Escalation", "Could not reach you"),
        ("Report request", "Instruction"),
        ("Price question", "Discount request"),
        ("Meeting declined", "No show"),
    ],
)
def test_before_leaving_there_is_more_trouble_in_what_is_said(before_leaving, topics):
    assert share(before_leaving["last"], *topics) > 1.5 * share(before_leaving["earlier"], *topics)


def test_before_leaving_ordinary_contact_declines(before_leaving):
    ordinary = ("General", "Shipment order")
    assert share(before_leaving["last"], *ordinary) < 0.9 * share(before_leaving["earlier"], *ordinary)


def test_in_friction_invoices_are_paid_later_and_disputed_more(portfolio):
    invoices = exported(portfolio, "invoices", encoding="utf-8-sig").drop_duplicates("Invoice", keep="last")
    receipts = exported(portfolio, "receipts", sep=";").drop_duplicates("Invoice", keep="last")
    weeks = pq.read_table(portfolio / "truth" / "weeks.parquet", columns=["client_id", "week_on", "friction"]).to_pandas()
    both = invoices.merge(receipts, on="Invoice", how="left", suffixes=("", " paid"))
    issued, due, paid = (pd.to_datetime(both[name], format="%d/%m/%Y", errors="coerce") for name in ("Issued", "Due", "Paid"))
    begins = pd.to_datetime("2023-11-01")
    both["week_on"] = (begins + pd.to_timedelta((issued - begins).dt.days // 7 * 7, unit="D")).dt.date
    both["late_days"], both["is_disputed"] = (paid - due).dt.days, both["Disputed"] != ""
    both = both.merge(weeks, left_on=["Account", "week_on"], right_on=["client_id", "week_on"])
    in_friction, calm = both[both["friction"] > 0.4], both[both["friction"] == 0]
    assert len(in_friction) > 200
    assert in_friction["late_days"].median() > calm["late_days"].median() + 10
    assert in_friction["is_disputed"].mean() > 5 * calm["is_disputed"].mean()

"""source.yaml and its folder: what is right is read rightly, every fault is named with its cure."""

import ast
import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from features.errors import UserError
from features.time import to_day
from pipeline.source import load_source, select

WHOLE = """
description: a test
time_zone: Asia/Jerusalem
working_week: [sun, mon, tue, wed, thu]
service_hours: {opens: "08:30", closes: "17:00"}
holidays: IL
currency: ILS
exported_at: 2024-06-01 06:00:00
relationship: contractual
qualifying: {kind: [order]}
files:
  crm: {path: "crm*.csv", columns: {Id: interaction_id}}
"""


def folder_with(tmp_path, spec: str = WHOLE, **sql: str):
    (tmp_path / "source.yaml").write_text(spec, encoding="utf-8")
    for table, text in (sql or {"interactions": "SELECT 1"}).items():
        (tmp_path / f"{table}.sql").write_text(text)
    return tmp_path


def test_a_source_knows_its_working_week_hours_holidays_and_export(tmp_path):
    source = load_source(str(folder_with(tmp_path)))
    business = source.business
    assert business.working_days == (6, 0, 1, 2, 3)
    assert (business.opens_minute, business.closes_minute) == (510, 1020)
    assert to_day(date(2024, 4, 23)) in business.holidays  # Passover
    assert to_day(date(2024, 4, 21)) not in business.holidays
    assert source.exported_us == 1_717_210_800_000_000  # 03:00 UTC
    assert source.exported_day == to_day(date(2024, 6, 1))


def test_the_fingerprint_follows_the_raw_files_and_the_mapping(tmp_path):
    folder = folder_with(tmp_path)
    (folder / "crm1.csv").write_text("Id\n1\n")
    first = load_source(str(folder)).fingerprint()
    assert load_source(str(folder)).fingerprint() == first
    (folder / "crm1.csv").write_text("Id\n2\n")
    second = load_source(str(folder)).fingerprint()
    (folder / "interactions.sql").write_text("SELECT 2")
    third = load_source(str(folder)).fingerprint()
    (folder / "source.yaml").write_text((folder / "source.yaml").read_text() + "# changed\n")
    assert len({first, second, third, load_source(str(folder)).fingerprint()}) == 4


def test_a_mistake_in_the_sources_own_policy_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    shutil.copy(Path(__file__).parents[2] / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    folder = folder_with(tmp_path)
    (folder / "crm1.csv").write_text("Id\n1\n")
    select(str(folder))
    (tmp_path / ".source.yaml").unlink()
    (folder / "policy.yaml").write_text(
        "rules: {late: {title: Late, statements: [A5], kind: warning, grace_snapshots: 0, evidence: late, "
        "where: [{column: overdue_shares, above: 0}]}}"
    )
    with pytest.raises(UserError, match="overdue_shares"):
        select(str(folder))
    assert not (tmp_path / ".source.yaml").exists()


def test_the_written_policy_is_no_part_of_the_fingerprint_since_no_stage_reads_it(tmp_path):
    """Another rule needs another `make score`, and no other model: what is no stage reads the policy anew each time."""
    folder = folder_with(tmp_path)
    (folder / "crm1.csv").write_text("Id\n1\n")
    first = load_source(str(folder)).fingerprint()
    (folder / "policy.yaml").write_text("rules: {}")
    assert load_source(str(folder)).fingerprint() == first
    root = Path(__file__).parents[2]
    readers = {
        f"{path.stem}.{function.name}"
        for path in (root / "pipeline").glob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and "read_policy(" in ast.unparse(function.body)
    }
    stages = set(yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    assert readers == {"source.select", "decide.looked_at", "decide.decided", "review_list.draw_up", "explain.explain_client"}
    assert {name.split(".")[0] for name in readers} & stages == {"explain"}, "whose stage is its main, which is no reader"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("Asia/Jerusalem", "Asia/Jerusalm", "IANA time zone"),
        ("holidays: IL", "holidays: XQ", "country code"),
        ("currency: ILS", "currency: shekel", "currency"),
        ("relationship: contractual", "relationship: contract", "'contractual' or 'non_contractual'"),
        ("relationship: contractual\n", "", "relationship = nothing"),
        ("description: a test", "descripton: a test", "one of name, description"),
        ('closes: "17:00"', "closes: 17:00", "in quotes"),
        ('closes: "17:00"', 'closes: "08:00"', "opens must lie before closes"),
        ("2024-06-01 06:00:00", "20240601", "a date and time"),
        ("[order]", "[orders]", "wanted some of message, order"),
        ("[order]", "[]", "kind: nothing"),
        ("currency: ILS", "currency: ILS\ncurrency: EUR", "'currency' stands twice"),
        ("description: a test", "description: a test\nname: wholesaler", "the name of another source"),
        ("description: a test", "description: a test\nname: my shop", "name = 'my shop'"),
        ("[sun, mon", "[sunday, mon", "working_week.0 = 'sunday'"),
        ("Id: interaction_id", "Id: Interaction ID", "lower-case letters"),
        ("qualifying: {kind: [order]}", "qualifying: {kinds: [order]}", "kinds"),
        ("files:", "tables: {orders: {history: full}}\nfiles:", "'orders' is no table"),
        ("files:", "params: {time: {horizon: 9}}\nfiles:", "time.horizon = 9"),
        ("files:", "files: [", "line"),
    ],
)
def test_a_fault_in_source_yaml_is_named(tmp_path, before, after, words):
    with pytest.raises(UserError) as fault:
        _ = load_source(str(folder_with(tmp_path, WHOLE.replace(before, after)))).business
    assert words in str(fault.value)
    assert "source.yaml" in str(fault.value)


def test_folders_of_equal_or_hebrew_names_never_share_a_name(tmp_path):
    names = set()
    for place in ("one/export", "two/export", "לקוחות א", "לקוחות ב", "My Data", "My-Data", "sources"):
        (tmp_path / place).mkdir(parents=True)
        names.add(load_source(str(folder_with(tmp_path / place))).name)
    assert len(names) == 7
    assert "sources" not in names


def test_a_name_in_source_yaml_keeps_outputs_and_model_when_the_folder_moves(tmp_path):
    (tmp_path / "here").mkdir()
    assert load_source(str(folder_with(tmp_path / "here", WHOLE + "name: my-shop\n"))).name == "my-shop"


def test_a_mapping_that_is_not_utf_8_is_named(tmp_path):
    folder = folder_with(tmp_path)
    (folder / "interactions.sql").write_bytes("-- הערה\nSELECT 1".encode("cp1255"))
    with pytest.raises(UserError, match=r"interactions\.sql[\s\S]*offset 3"):
        load_source(str(folder))


def test_a_mapping_of_an_unknown_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"invoces\.sql[\s\S]*invoices"):
        load_source(str(folder_with(tmp_path, interactions="SELECT 1", invoces="SELECT 1")))


def test_a_source_without_interactions_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"found: +no interactions"):
        load_source(str(folder_with(tmp_path, clients="SELECT 1")))


def test_an_unknown_source_lists_those_that_exist():
    with pytest.raises(UserError, match=r"no source\.yaml in .*nowhere"):
        load_source("nowhere")


def test_missing_raw_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"files\.crm\.path = crm\*\.csv: no such file"):
        load_source(str(folder_with(tmp_path))).fingerprint()

"""The review list: whom it asks about, what it shows, that nobody's work is overwritten, and that filled lists come back as reviews."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from drawn import canonical, day
from raw_sources import HEAD, as_they_are, raw_run
from small_business import EXPORTED, PROJECT, STRANGE_IDS, folder_of

from features.errors import NotEnoughHistory, UserError
from features.time import to_date
from models.review_estimate import Honest, Share
from pipeline import review_list
from pipeline.judge import Champion
from pipeline.mlstore import Version
from pipeline.source import Source, load_source
from pipeline.tables import write_json

POLICY = """
rules:
  rarely_there:
    title: Rarely in touch
    statements: [B1]
    kind: deal_breaker
    where: [{column: contacts_90, at_most: 11}]
    grace_snapshots: 0
    evidence: "Only {contacts_90:.0f} contacts in 90 days."
"""
AS_OF = day(EXPORTED)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A small business that is not trained, with a policy of its own; its project folder is the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = folder_of(tmp_path, "alpha", seed=1, params={"review_list": {"clients": 12}})
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "data" / "alpha" / "validate" / "reviews.parquet").unlink(missing_ok=True)
    return load_source(str(folder))


class Model:
    """Says 0.01, 0.02 … to the clients in the order of their rows; a tenth were misfits in training, so the cut is 0.2."""

    columns: tuple[str, ...] = ()
    spec: Any = {"training": {"prevalence": 0.1}}  # noqa: RUF012  # never changed

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"probability": np.arange(1, len(features) + 1) / 100})


def list_of(source: Source) -> Path:
    folder = source.output / "review_list" / f"as_of={EXPORTED}"
    review_list.write_list(folder, review_list.draw_up(source, None, AS_OF), {})
    return folder


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


# ---- whom it asks about -----------------------------------------------------------------------------------------------------------


def test_half_are_drawn_from_everybody_and_half_are_the_most_uncertain_of_the_rest():
    doubt = pd.Series(np.arange(100) / 100, index=[f"c{number:02d}" for number in range(100)])
    sampled = review_list.drawn(doubt, 10, seed=1, as_of="2024-01-01")
    at_random = [client for client, how in sampled.items() if how == "random"]
    uncertain = [client for client, how in sampled.items() if how == "uncertain"]
    assert len(at_random) == 5
    assert uncertain == [client for client in doubt.index if client not in at_random][:5]


def test_the_draw_is_the_same_again_another_by_month_and_blind_to_doubt():
    clients = [f"c{number:03d}" for number in range(400)]
    doubt = pd.Series(0.5, index=clients)

    def at_random(doubt: pd.Series, as_of: str) -> set[str]:
        return {client for client, how in review_list.drawn(doubt, 20, seed=1, as_of=as_of).items() if how == "random"}

    january = at_random(doubt, "2024-01-01")
    assert at_random(doubt.iloc[::-1], "2024-01-01") == january
    assert at_random(pd.Series(np.arange(400.0), index=clients), "2024-01-01") == january
    assert len(january & at_random(doubt, "2024-02-01")) <= 3


def test_every_client_is_drawn_as_often_as_any_other():
    """400 months of 5 out of 20 clients: 100 times each, give or take 3.5 standard deviations."""
    doubt = pd.Series(np.arange(20.0), index=[f"c{number}" for number in range(20)])
    times = dict.fromkeys(doubt.index, 0)
    for month in range(400):
        for client, how in review_list.drawn(doubt, 10, seed=1, as_of=f"month {month}").items():
            times[client] += how == "random"
    assert all(abs(n - 100) <= 30 for n in times.values())


@pytest.mark.parametrize(("n_clients", "n_random", "n_uncertain"), [(3, 2, 1), (1, 1, 0)])
def test_a_small_portfolio_is_halved_too(n_clients: int, n_random: int, n_uncertain: int):
    sampled = list(review_list.drawn(pd.Series(0.1, index=list("abc")[:n_clients]), 20, seed=1, as_of="2024-01-01").values())
    assert (sampled.count("random"), sampled.count("uncertain")) == (n_random, n_uncertain)


def test_who_nothing_was_said_of_is_drawn_at_random_only():
    doubt = pd.Series([np.nan] * 9 + [0.3], index=list("abcdefghij"))
    sampled = review_list.drawn(doubt, 6, seed=1, as_of="2024-01-01")
    assert len(sampled) == 6
    assert {client for client, how in sampled.items() if how == "uncertain"} <= {"j"}


def test_uncertainty_is_the_distance_from_the_cut_in_log_odds():
    """From a cut of 0.1, 0.2 is nearer than 0.02, although by plain distance it is not; 0.5 is far."""
    found = review_list.doubts(pd.Series({"high": 0.2, "low": 0.02, "half": 0.5, "at": 0.1}), 0.1)
    assert list(found.sort_values().index) == ["at", "high", "low", "half"]


def test_with_a_model_those_nearest_its_cut_are_asked_about(shop: Source):
    champion = Champion(Version("clientfit-alpha.misfit", 1, "run", "", {}, datetime(2024, 6, 15, tzinfo=UTC)), Model())  # type: ignore[arg-type]
    made = review_list.draw_up(shop, champion, AS_OF)
    assert made.manifest["drawn_by"] == "misfit_probability"
    assert made.manifest["cut"] == pytest.approx(0.2)
    uncertain = made.asked[made.asked["sampled"] == "uncertain"]
    at_random = made.asked[made.asked["sampled"] == "random"]
    said = pd.Series(np.arange(1, made.manifest["n_eligible"] + 1) / 100)
    away = (np.log(said / (1 - said)) - np.log(0.25)).abs()
    free = away[~said.isin(at_random["misfit_probability"])].sort_values()
    assert sorted(uncertain["misfit_probability"]) == sorted(said[free.index[:6]])
    assert made.asked["is_above"].tolist() == [probability >= 0.2 for probability in made.asked["misfit_probability"]]


def test_without_a_model_the_policy_score_stands_in_and_it_is_said(shop: Source, capsys: pytest.CaptureFixture[str]):
    made = review_list.draw_up(shop, None, AS_OF)
    assert made.manifest["drawn_by"] == "policy_score"
    uncertain = made.asked[made.asked["sampled"] == "uncertain"]
    assert len(uncertain) > 0
    assert uncertain["is_above"].tolist() == (uncertain["policy_score"] > 0).tolist() == [True] * len(uncertain)
    assert made.asked["is_above"].tolist() == (made.asked["policy_score"] > 0).tolist()
    review_list.tell(made, Path("there"))
    told = capsys.readouterr().out
    assert "no misfit model (no version of clientfit-alpha.misfit is registered" in told
    assert (
        f"12 of 40 eligible clients on 2024-06-15: {12 - len(uncertain)} drawn at random, {len(uncertain)} the most uncertain; 0 passed"
        in told
    )


def test_where_nobody_meets_a_rule_all_are_drawn_at_random_and_it_is_said(shop: Source, capsys: pytest.CaptureFixture[str]):
    own = shop.folder / "policy.yaml"
    own.write_text(POLICY.replace("at_most: 11", "at_most: 0"), encoding="utf-8")
    made = review_list.draw_up(shop, None, AS_OF)
    assert set(made.asked["sampled"]) == {"random"}
    review_list.tell(made, Path("there"))
    assert "12 drawn at random, 0 the most uncertain" in capsys.readouterr().out


def test_clients_reviewed_of_late_are_passed_over(shop: Source):
    """90 days back counts, 91 do not, nor does what was reviewed before but recorded only on the as_of."""
    everyone = review_list.draw_up(load(shop, clients=1_000), None, AS_OF).asked["client_id"].tolist()
    first, second, third = (client for client in everyone if client in ("client-11", "client-13", "client-14"))
    drawing = f"""
        client_id  on          recorded    verdict
        {first}    2024-03-17  -           keep
        {second}   2024-03-16  -           keep
        {third}    2024-06-10  2024-06-15  keep
    """
    canonical("reviews", drawing, shop.output / "validate")
    asked = review_list.draw_up(load(shop, clients=1_000), None, AS_OF)
    assert set(everyone) - set(asked.asked["client_id"]) == {first}
    assert asked.manifest["n_passed_over"] == 1


def load(source: Source, **review_settings: int) -> Source:
    """The source with other settings of the review list."""
    path = source.folder / "source.yaml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(spec | {"params": {"review_list": review_settings}}, allow_unicode=True), encoding="utf-8")
    return load_source(str(source.folder))


def test_a_portfolio_reviewed_of_late_as_a_whole_leaves_nobody_to_ask_about(shop: Source):
    wide = load(shop, clients=1_000, passed_over_days=90)
    everyone = review_list.draw_up(wide, None, AS_OF).asked["client_id"]
    rows = [
        {"review_id": f"r{n}", "client_id": client, "verdict": "keep", "day": AS_OF - 1, "known": AS_OF - 1}
        for n, client in enumerate(everyone)
    ]
    _write_reviews(shop, rows)
    with pytest.raises(NotEnoughHistory, match="40 eligible clients on 2024-06-15, all reviewed in the 90 days before"):
        review_list.draw_up(wide, None, AS_OF)


def test_a_portfolio_without_an_eligible_client_is_told_as_that(shop: Source):
    path = shop.output / "validate" / "interactions.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.filter([each < AS_OF - 250 for each in rows["day"].to_pylist()]), path)
    with pytest.raises(NotEnoughHistory, match="no eligible client on 2024-06-15") as fault:
        review_list.draw_up(shop, None, AS_OF)
    assert "passed_over_days" not in fault.value.cure


def _write_reviews(source: Source, rows: list[dict[str, Any]]) -> None:
    path = canonical("reviews", "client_id on verdict \n nobody 2024-01-01 keep", source.output / "validate")
    schema = pq.read_schema(path)
    pq.write_table(
        type(pq.read_table(path)).from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema), path
    )


# ---- what it shows ----------------------------------------------------------------------------------------------------------------


def test_the_reviewer_sees_facts_and_rules_met_but_neither_probability_nor_score(shop: Source):
    folder = list_of(shop)
    rows = cells(folder / "reviews.csv")
    assert list(rows[0]) == ["review_id", "client_id", "name", "sampled", "facts", "reviewed_on", "reviewer", "verdict", "reason"]
    assert all(row["facts"].startswith("Client for ") for row in rows)
    met = [row["facts"] for row in rows if "contacts in 90 days" in row["facts"]]
    assert 0 < len(met) < len(rows)
    assert {row[name] for row in rows for name in ("reviewed_on", "reviewer", "verdict", "reason")} == {""}
    assert pq.read_schema(folder / "asked.parquet").names == [
        *("review_id", "client_id", "as_of", "sampled", "misfit_probability", "policy_score", "is_above")
    ]


def strange_list(folder: Path) -> Path:
    """A list of clients whose ids careless code breaks."""
    made = pd.DataFrame({"client_id": sorted(STRANGE_IDS), "as_of": to_date(AS_OF), "sampled": "random", "is_above": None})
    made["review_id"] = [review_list.review_id(client, AS_OF) for client in made["client_id"]]
    made["misfit_probability"] = made["policy_score"] = np.nan
    facts = ["=1+1"] * len(made)
    review_list.write_list(folder, review_list.Drawn(made, facts, {}, []), {"00123": "@sum", "NA": "כהן בע״מ"})
    return folder / "reviews.csv"


def test_no_cell_is_a_formula_and_hebrew_opens_in_a_spreadsheet(tmp_path: Path):
    path = strange_list(tmp_path / "list")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = cells(path)
    assert {"'=2+3", "'-7", "00123", "NA"} <= {row["client_id"] for row in rows}
    assert {row["name"] for row in rows} == {"'@sum", "כהן בע״מ", ""}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


# ---- nobody's work is overwritten -------------------------------------------------------------------------------------------------


def test_the_same_list_again_leaves_the_files_as_they_are(shop: Source):
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in list_of(shop).iterdir()}
    after = {path.name: (path.stat().st_ino, path.read_bytes()) for path in list_of(shop).iterdir()}
    assert after == before


def test_a_list_that_nobody_touched_is_replaced(shop: Source):
    before = (list_of(shop) / "reviews.csv").read_bytes()
    assert (list_of(load(shop, clients=14)) / "reviews.csv").read_bytes() != before


def test_a_filled_list_is_never_overwritten(shop: Source):
    path = list_of(shop) / "reviews.csv"
    rows = cells(path)
    rows[3]["verdict"] = "keep"
    fill(path, rows)
    filled = path.read_bytes()
    for source in (shop, load(shop, clients=14)):
        with pytest.raises(UserError, match=r"filled in or changed since it was written(.|\n)*review_list.sql"):
            list_of(source)
    assert path.read_bytes() == filled


# ---- how it comes back ------------------------------------------------------------------------------------------------------------


def test_a_filled_list_comes_back_as_reviews_with_the_exact_ids(tmp_path: Path):
    """Written, opened in a spreadsheet that makes numbers of ids, filled in but for a row, and brought in as the shipped SQL says."""
    path = strange_list(tmp_path / "list")
    rows = cells(path)
    for row in rows:
        row |= {
            "client_id": row["client_id"].lstrip("0'"),
            "reviewed_on": "2024-06-20",
            "reviewer": "Dana",
            "verdict": " Misfit",
            "reason": '"no"',
        }
    rows[0]["verdict"] = ""
    rows[1]["review_id"] = "review-2024-06-15.zz"  # damaged by hand
    fill(path, rows)
    sql = (PROJECT / review_list.READ_BACK).read_text(encoding="utf-8")
    outcome = raw_run(
        tmp_path,
        {"interactions.csv": f"{HEAD}\n1,00123,2024-06-01T10:00:00,order\n", "filled.csv": path.read_bytes()},
        sql={"reviews": sql},
        files={"interactions": as_they_are(), "review_lists": yaml.safe_load(shipped_entry(sql))["review_lists"] | {"path": "filled.csv"}},
        exported_at="2024-07-01T12:00:00",
    )
    assert outcome.code == 0, outcome.err
    assert sorted(outcome.rows("reviews", "client_id", "verdict", "sampled", "reason")) == [
        (client, "misfit", "random", '"no"') for client in sorted(STRANGE_IDS)[2:]
    ]
    account = outcome.account["raw"]["review_lists"]
    assert account["set_aside"] == {"not reviewed yet": 1}
    assert account["quarantined"] == {"blank_client_id": 1}


def test_two_people_who_fill_in_copies_of_one_list_both_count(tmp_path: Path):
    """Dana's list, sent again with her later mind, replaces her own; Noa's stands beside it."""
    rows = cells(strange_list(tmp_path / "list"))[:2]
    lists = (("dana", "Dana", "misfit"), ("noa", "Noa", "keep"), ("later", " dana ", "unsure"))
    files = {}
    for name, reviewer, verdict in lists:
        reviewed_on = "2024-06-25" if name == "later" else "2024-06-20"
        filled = {"reviewer": reviewer, "verdict": verdict, "reviewed_on": reviewed_on}
        fill(tmp_path / "list" / "reviews.csv", [row | filled for row in rows])
        files[f"filled_{name}.csv"] = (tmp_path / "list" / "reviews.csv").read_bytes()
    sql = (PROJECT / review_list.READ_BACK).read_text(encoding="utf-8")
    outcome = raw_run(
        tmp_path,
        {"interactions.csv": f"{HEAD}\n1,00123,2024-06-01T10:00:00,order\n", **files},
        sql={"reviews": sql},
        files={
            "interactions": as_they_are(),
            "review_lists": yaml.safe_load(shipped_entry(sql))["review_lists"] | {"path": "filled_*.csv"},
        },
        exported_at="2024-07-01T12:00:00",
    )
    assert outcome.code == 0, outcome.err
    clients = sorted(STRANGE_IDS)[:2]
    found = outcome.rows("reviews", "client_id", "reviewer", "verdict", "superseded")
    current = sorted((client, reviewer.strip().lower(), verdict) for client, reviewer, verdict, superseded in found if superseded is None)
    assert current == [(client, *each) for client in clients for each in (("dana", "unsure"), ("noa", "keep"))]


def shipped_entry(sql: str) -> str:
    """The lines for source.yaml that the head of the shipped SQL gives."""
    lines = [line.removeprefix("--   ") for line in sql.splitlines() if line.startswith("--   ")]
    return "\n".join(lines)


def test_verdicts_on_the_random_half_are_held_against_what_the_list_had_said(shop: Source):
    made = review_list.draw_up(load(shop, clients=30), None, AS_OF)
    folder = shop.output / "review_list" / f"as_of={EXPORTED}"
    review_list.write_list(folder, made, {})
    assert review_list.estimate(shop, None) is None
    verdicts = [
        {**row, "verdict": "misfit" if row["is_above"] else "keep", "day": AS_OF + 5, "known": AS_OF + 5}
        for row in made.asked.to_dict("records")
    ]
    _write_reviews(shop, verdicts)
    found = review_list.estimate(shop, None)
    at_random = made.asked[made.asked["sampled"] == "random"]
    n_above = int(at_random["is_above"].astype(bool).sum())
    assert found is not None
    assert 0 < n_above < len(at_random) < 30
    assert found.misfits == Share(n_above, len(at_random))
    assert found.above == Share(n_above, n_above)
    assert found.below == Share(0, len(at_random) - n_above)
    assert next(iter(review_list.in_words(found, "marked"))).startswith("of the clients drawn at random")


@pytest.mark.parametrize(
    ("basis", "labelled", "caveat"),
    [
        ("marked", "2.0% are labelled misfits (", "a label counts marks within one outcome window only, and some will be marked later"),
        ("economics", "2.0% are labelled misfits by the books (", "a person judges the whole client, the books tell hours"),
    ],
)
def test_the_ratio_is_not_told_without_the_caveat_of_its_basis(basis: str, labelled: str, caveat: str):
    share = Share(2, 10)
    told = " ".join(review_list.in_words(Honest(0, share, None, None, Share(1, 50)), basis))
    assert "that is 10.0 [" in told
    assert labelled in told
    assert caveat in told
    assert ("mark" in told) == (basis == "marked"), "the books mark nobody"
    assert "misfits by verdict" not in " ".join(review_list.in_words(Honest(0, share, None, None, None), basis))


@pytest.mark.parametrize(
    ("basis", "unknown"),
    [
        ("marked", "how many misfits go unmarked"),
        ("economics", "how many are misfits by a person's judgement"),
        ("policy", "how many are misfits by a person's judgement"),
        (None, "how many are misfits by a person's judgement"),
    ],
)
def test_what_is_not_known_without_a_verdict_is_told_by_the_basis(basis: str | None, unknown: str):
    assert list(review_list.in_words(None, basis)) == [f"no verdict yet on a client drawn at random: {unknown} is not known"]


def test_those_below_the_cut_are_told_where_nobody_is_above_it():
    share = Share(2, 10)
    told = list(review_list.in_words(Honest(0, share, None, share, None), "marked"))
    assert told[1].startswith("  of those below the cut 20.0% [")
    assert told[1].endswith("; nobody is known to have been above it")
    both = list(review_list.in_words(Honest(0, share, share, share, None), "marked"))
    assert "nobody" not in " ".join(both)


def test_the_words_for_figures_follow_the_basis_of_the_label(shop: Source, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(review_list, "estimate", lambda *_: Honest(0, Share(2, 10), None, None, Share(1, 50)))
    (shop.output / "label").mkdir(exist_ok=True)
    for basis, words in (("marked", "stay unmarked"), ("economics", "the books tell hours")):
        write_json(shop.output / "label" / "misfit.json", {"basis": basis})
        found = review_list.told(shop, {})
        assert found is not None
        assert words in " ".join(found["words"])

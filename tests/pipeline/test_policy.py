"""The deal-breaker policy: what its file may say, when a rule is met, by whom it can be measured, and how rules become a score."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml
from drawn import canonical, drawn, source_of

from features.contract import columns_in
from features.errors import UserError
from pipeline import policy
from pipeline.policy import Condition, Policy, Rule
from pipeline.tables import sha256_of

RULE: dict[str, Any] = {
    "title": "Complains",
    "statements": ["B4"],
    "kind": "deal_breaker",
    "where": [{"column": "criticism_90", "at_least": 3}],
    "grace_snapshots": 0,
    "evidence": "{criticism_90:.0f} complaints.",
}
COVERED = ("A2", "A3", "A5", "C2", "C4", "C5", "C6", "D1", "D2", "D3", "D7", "D10", "E1", "E2", "E4")


def written(folder: Path, **changes: Any) -> Any:
    """A source whose policy has one rule, `complains`: RULE with changes (None = the key is left out)."""
    stated = {key: value for key, value in (RULE | changes).items() if value is not None}
    (folder / "policy.yaml").write_text(yaml.safe_dump({"rules": {"complains": stated}}), encoding="utf-8")
    return SimpleNamespace(folder=folder)


def rule(
    name: str = "r", *where: Condition, grace: int = 0, evidence: str = "{x:.0f}", kind: Any = "deal_breaker", weight: float = 1.0
) -> Rule:
    return Rule(name, name, (), kind, where or (Condition("x", "at_least", 3),), grace, evidence, weight)


def of(*rules: Rule) -> Policy:
    return Policy(rules, Path("policy.yaml"), "sum")


def table(text: str) -> pd.DataFrame:
    rows = pd.DataFrame(drawn(text))
    return rows.astype({name: int if name == "as_of" else float for name in rows if name != "client_id"})


# ---- the file ---------------------------------------------------------------------------------------------------------------------


def test_the_shipped_policy_reads_and_covers_the_documents_deal_breakers(tmp_path: Path):
    shipped = policy.read_policy(SimpleNamespace(folder=tmp_path))  # type: ignore[arg-type]
    assert shipped.path == Path("data/sources/policy.yaml")
    assert shipped.sha256 == sha256_of(shipped.path)
    assert 8 <= len(shipped.rules) <= 12
    assert set(COVERED) <= {code for stated in shipped.rules for code in stated.statements}
    assert {stated.weight for stated in shipped.rules} == {1.0}
    assert all(columns_in(stated.evidence) for stated in shipped.rules)
    assert all(columns_in(stated.told) for stated in shipped.rules if stated.told is not None)
    assert [stated.name for stated in shipped.rules if stated.told is None] == [
        "claims_us_for_itself",
        "wears_out_staff",
        "bad_name",
    ]  # hearsay


def test_a_sources_own_policy_replaces_the_shipped_one_as_a_whole(tmp_path: Path):
    own = policy.read_policy(written(tmp_path, weight=2.5))
    assert own.rules == (
        Rule("complains", "Complains", ("B4",), "deal_breaker", (Condition("criticism_90", "at_least", 3.0),), 0, RULE["evidence"], 2.5),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"where": [{"column": "critisism_90", "at_least": 3}]}, r"where\[0\]\n.*'critisism_90'\n.*nearest: criticism_90"),
        ({"statements": ["D9", "D99"]}, "no statement named 'D99'"),
        ({"evidence": "{criticsm_90:.0f}"}, "'criticsm_90'\n.*nearest: criticism_90"),
        ({"grace": 2}, "rules.complains\n.*grace = 2\n.*grace_snapshots"),
        ({"kind": "dealbreaker"}, "kind = 'dealbreaker'"),
        ({"title": None}, "title = nothing"),
        ({"where": []}, "where = "),
        ({"where": [{"column": "criticism_90", "atleast": 3}]}, r"where\[0\]\n.*atleast = 3\n.*at_least"),
        ({"where": [{"column": "criticism_90", "above": 3, "below": 5}]}, "exactly one of above, below"),
        ({"where": [{"column": "criticism_90"}]}, "exactly one of above, below"),
        ({"where": [{"column": "criticism_90", "above": "3"}]}, "above = '3'"),
        ({"where": [{"column": "criticism_90", "above": float("nan")}]}, "above = nan"),
        ({"evidence": "{criticism_90:.0q}"}, "Unknown format code 'q'"),
        ({"evidence": "{criticism_90"}, "correct the braces"),
        ({"evidence": "{criticism_90:{width}}"}, "correct the braces"),
        ({"evidence": "{criticism_90!r}"}, "a conversion"),
        ({"evidence": "{}"}, "no column named ''"),
        ({"evidence": "{criticism_90.real}"}, "no column named 'criticism_90.real'"),
        ({"told": "{criticsm_90:.0f}"}, r"told\n.*'criticsm_90'\n.*nearest: criticism_90"),
        ({"told": "{criticism_spike_90:.1f} times."}, "told\n.*no plain fact"),
        ({"told": ""}, "told = ''"),
        ({"weight": 0}, "weight = 0"),
        ({"grace_snapshots": -1}, "grace_snapshots = -1"),
    ],
)
def test_what_a_policy_may_not_say_is_told(tmp_path: Path, changes: dict[str, Any], words: str):
    with pytest.raises(UserError, match=words):
        policy.read_policy(written(tmp_path, **changes))


def test_a_smoothed_value_may_be_a_condition_and_is_never_spoken(tmp_path: Path):
    smoothed = {"where": [{"column": "criticism_spike_90", "above": 2}]}
    assert policy.read_policy(written(tmp_path, **smoothed)).rules[0].columns == ("criticism_spike_90", "criticism_90")
    with pytest.raises(UserError, match=r"no plain fact.*\n.*criticism_365, criticism_90"):
        policy.read_policy(written(tmp_path, **smoothed, evidence="{criticism_spike_90:.1f} times the usual."))


@pytest.mark.parametrize(
    ("column", "is_plain"),
    [
        *((name, True) for name in ("overdue_share", "open_balance", "hostile_180", "staff_hours_365", "contribution_margin_365")),
        *((name, False) for name in ("price_talk_rise_90", "alike_margin_gap_730", "criticism_trickle", "tone_fall_90", "intake_score")),
        *((name, False) for name in ("opportunity_cost_per_hour_365", "crowding_out_90", "silence_rank", "demands_after_quiet")),
    ],
)
def test_plain_facts_are_what_signals_speak_and_bare_counts(column: str, is_plain: bool):
    assert (column in policy.plain_facts()) == is_plain


# ---- when a rule is met -----------------------------------------------------------------------------------------------------------


def test_all_conditions_must_hold_each_by_its_own_bound():
    rows = table("""
        client_id  as_of  x  y
        a          90     3  5
        b          90     3  4
        c          90     2  5
        d          90     4  5
    """)
    both = of(
        rule("both", Condition("x", "at_least", 3), Condition("y", "above", 4), Condition("x", "below", 4), Condition("y", "at_most", 5))
    )
    found = policy.hits(both, rows, 90)
    assert found["is_hit"].tolist() == [True, False, False, False]
    assert found["evidence"].tolist() == ["3", None, None, None]


def test_a_rule_is_met_once_it_has_held_through_its_grace():
    rows = table("""
        client_id  as_of  x
        old        30     9
        old        60     9
        old        90     9
        broken     30     9
        broken     60     1
        broken     90     9
        unknown    30     9
        unknown    60     -
        unknown    90     9
        away       30     9
        away       90     9
        newcomer   90     9
        over       30     9
        over       60     9
        over       90     1
    """)
    found = policy.hits(of(rule(grace=1)), rows, 90).set_index("client_id")
    assert found["held_snapshots"].to_dict() == {"away": 1, "broken": 1, "newcomer": 1, "old": 3, "over": 0, "unknown": 1}
    assert found.index[found["is_hit"]].tolist() == ["old"]


def test_what_comes_later_is_not_read_and_who_is_not_there_now_is_not_judged():
    rows = table("""
        client_id  as_of  x
        a          60     9
        a          90     1
        gone       60     9
        gone       30     9
        later      90     9
    """)
    found = policy.hits(of(rule()), rows, 60)
    assert found[["client_id", "is_hit"]].to_numpy().tolist() == [["a", True], ["gone", True]]
    assert policy.hits(of(rule()), rows, 75).empty


def test_what_is_unknown_counts_against_nobody():
    rows = table("""
        client_id  as_of  x  y
        a          90     9  -
        b          90     -  1
        c          90     9  1
    """)
    condition = policy.hits(of(rule("r", Condition("x", "at_least", 3), Condition("y", "at_most", 3))), rows, 90)
    assert condition["is_measurable"].tolist() == condition["is_hit"].tolist() == [False, False, True]
    evidence = policy.hits(of(rule(evidence="{y:.0f}")), rows, 90)
    assert evidence["is_measurable"].tolist() == evidence["is_hit"].tolist() == [False, False, True]
    no_column = policy.hits(of(rule("r", Condition("z", "below", 3))), rows, 90)
    assert no_column["is_measurable"].tolist() == [False, False, False]


def test_the_score_is_the_weighted_share_of_the_measurable_deal_breakers():
    rows = table("""
        client_id  as_of  x  y
        a          90     9  1
        b          90     9  -
        c          90     1  9
        d          90     -  -
    """)
    rules = of(
        rule("x"),
        rule("y", Condition("y", "at_least", 3), evidence="{y:.0f}", weight=3.0),
        rule("told", Condition("x", "below", 3), kind="warning"),
    )
    found = policy.score(policy.hits(rules, rows, 90))
    assert found.drop("d").to_dict() == {"a": 0.25, "b": 1.0, "c": 0.75}
    assert pd.isna(found["d"])


def test_the_order_of_rows_changes_nothing():
    rows = table("""
        client_id  as_of  x
        a          60     9
        b          60     1
        a          90     9
        b          90     9
    """)
    rules = of(rule(grace=1), rule("s"))
    assert policy.hits(rules, rows, 90).equals(policy.hits(rules, rows.iloc[::-1], 90))


def test_a_rule_that_nobody_can_be_measured_by_is_told_with_what_it_lacks(tmp_path: Path):
    canonical("interactions", "client_id on kind \n a 2024-01-31 order", tmp_path / _made(tmp_path, "validate"))
    source = source_of("contractual", "2024-06-01")
    source.output = tmp_path
    rules = of(
        rule("loss", Condition("contribution_margin_365", "below", 0), evidence="{staff_hours_365:.0f}"),
        rule("late", Condition("days_late_365", "above", 0), evidence="{days_late_365:.0f}"),
        rule("hostile", Condition("hostile_share_180", "above", 0), evidence="{hostile_180:.0f}"),
        rule("complains", Condition("criticism_90", "above", 0), evidence="{criticism_90:.0f}"),
    )
    rows = table("client_id as_of criticism_90 hostile_180 hostile_share_180 \n a 90 0 0 -")
    silent = policy.unmeasurable(rules, policy.hits(rules, rows, 90), source)  # type: ignore[arg-type]
    assert silent == {
        "loss": "needs work",
        "late": "needs invoices",
        "hostile": "no client has all of hostile_share_180, hostile_180",
    }
    assert policy.told(rules, silent)[1] == "not measurable: loss (needs work)"


def _made(root: Path, name: str) -> str:
    (root / name).mkdir()
    return name

"""What the champions say + economics, policy and papers -> one advised action per client: data/<source>/decide/as_of=YYYY-MM-DD/.

    decisions.jsonl        one JSON object per eligible client, by client_id:
        client_id, as_of, account_owner (who is advised; null = nobody is named), quadrant, action
        because                     why this action: code, statements (DOCUMENTS.md), values, sentence, as everything that is said
        rungs                       every step considered, in order: name, verdict, and what is said of it
        notes, lacking              what to hear beside it; what parting would still need
        exit_check                  name, state (known, open, unknown) and what is said; empty unless a misfit, or a step beyond a talk
        choice, expected_value, margin_at_risk   of a win-back: how it fared against the others; minor units
        evidence                    what is known of the client, for the rules and for who reads (models/evidence.py); null = unknown
        brief                       of the conversation (pipeline/brief.py)
    economics.parquet      each client's account per window (pipeline/economics.py, SCHEMA); portfolio.json: the portfolio's
    whale.csv              rank, client_id, contribution_minor and cumulative_minor of the last 365 days, the most profitable first: whole
                           minor units (agorot, cents) of `currency`
    actions_to_record.csv  the hold-outs drawn at this as_of, as rows of the table `actions`, so that the effect of the efforts can be
                           measured; data/sources/actions_to_record.sql brings them into a source. A spreadsheet makes 123 of the id 00123,
                           and ids that it would run as formulas stand with an apostrophe: action_id carries the day of the draw and the id
                           letter by letter, as hexadecimal; client_id and done_on are only for show.
    manifest.json          sha256 sums of all, hashes of models, policy and data, and the sum of the scores' manifest that they belong to
                           (`rests_on`); written with the scores: all or nothing, idempotent

Money in minor units of the source's currency. Advice to a named person: nothing here acts, writes to a client or bars one.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.table import Table

from features.time import steps_back, to_date
from models.capacity import Candidate, Lot, choose
from models.decision import Decision, decide, is_leaving, is_misfit, margin_at_risk, no_effort
from models.evidence import ACTIONS, LADDER, Evidence, WhatIf
from models.sayings import MINOR_UNITS, Said
from pipeline.brief import briefs
from pipeline.delivery import Delivery, shown, write_spreadsheet
from pipeline.economics import Economics, economics, without
from pipeline.evidence import Sight, evidences
from pipeline.judge import Champions, Looked, seen
from pipeline.policy import hits, read_policy, unmeasurable
from pipeline.source import SOURCES, Source
from pipeline.stage import console
from pipeline.tables import TABLES, arrow_schema, write_json, write_parquet, write_text

SHOWN = 5  # efforts, and burdens, printed
HOLD_OUT = "hold_out"
TAKEN_FOR_GRANTED = {
    "actions": "every step counts as untried, so the same one is advised until it is on record",
    "reviews": "nobody's opinion is known",
    "ties": "owners, partners and whom it brought are unknown but for clients' own referred_by",
}
READ_BACK = SOURCES / "actions_to_record.sql"
TO_RECORD = pa.schema([arrow_schema(TABLES["actions"]).field(name) for name in TABLES["actions"].names])


@dataclass(frozen=True)
class Decided:
    """What came out. rows: decisions.jsonl's. columns: client_id, quadrant, action, margin_at_risk, policy_score, for the scores.

    whale: as whale.csv. to_record: hold-outs that are not on record yet. facts: what the manifest says of policy and counts.
    """

    day: int
    rows: list[dict[str, Any]]
    columns: pd.DataFrame
    economics: Economics
    whale: pa.Table
    to_record: pa.Table
    facts: dict[str, Any]


def looked_at(source: Source, day: int) -> list[int]:
    """The as_ofs that a decision at `day` has to look at, `day` the last."""
    n_back = max(source.settings.decide.cooling_off_snapshots - 1, read_policy(source).grace_snapshots)
    return [*steps_back(day, source.settings.time.cadence, n_back), day]


def decided(source: Source, champions: Champions, looked: Looked, scores: pa.Table) -> Decided:
    """One decision per eligible client of `scores` (the contract of pipeline/score.py, without the decision's columns) at the newest day of
    `looked`, which are the clients on the days of `looked_at`."""
    day, knobs, policy = looked.day, source.settings.decide, read_policy(source)
    clients = seen(champions, looked)
    everyone = scores.to_pandas()
    with_us = everyone.loc[everyone["status"] != "gone", "client_id"]
    sight = Sight(
        source=source,
        day=day,
        scores=everyone[everyone["status"] == "eligible"],
        seen=clients,
        economics=economics(source.output / "validate", source, list(with_us), day),
        policy=policy,
        hits=hits(policy, clients, day),
        champions=champions,
    )
    known = evidences(sight, looked_at(source, day)[-knobs.cooling_off_snapshots :])
    known = _weighed(_with_what_if(known, sight.economics, source), sight)
    decisions = {client: decide(evidence, knobs) for client, evidence in known.items()}
    spoken = briefs(sight, known, decisions)
    rows = [_row(known[client], decision, spoken[client], day) for client, decision in decisions.items()]
    silent = unmeasurable(policy, sight.hits, source)
    facts = {
        "policy": {"file": f"{policy.path.parent.name}/{policy.path.name}", "sha256": policy.sha256, "unmeasurable": silent},
        "not_on_record": _not_on_record(sight),
        "n_rows": len(rows),
        "actions": _counts(row["action"] for row in rows),
        "quadrants": _counts(row["quadrant"] for row in rows),
        "warnings": _warnings(sight.economics),
    }
    whale = _whale(sight.economics, source.business.currency)
    return Decided(day, rows, _columns(known, decisions), sight.economics, whale, _to_record(known, sight), facts)


def _not_on_record(sight: Sight) -> dict[str, str]:
    """Tables that the source lacks -> what the decision takes for granted without them."""
    return {name: why for name, why in TAKEN_FOR_GRANTED.items() if not (sight.validated / f"{name}.parquet").exists()}


def _warnings(money: Economics) -> list[str]:
    """What would make many of the decisions wrong at once."""
    if not money.is_doubted:
        return []
    losses, hour = money.whale["contribution"] < 0, money.portfolio["hour"]
    return [
        f"{int(losses.sum()):,} of {len(losses):,} clients cost more than they brought in the last year: check that all invoices are there "
        f"and what an hour costs ({hour['cost'] / MINOR_UNITS:,.2f} {money.portfolio['currency']}, from {hour['cost_from']}) before any"
        " talk; until then no price is asked for a loss alone"
    ]


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _with_what_if(known: Mapping[str, Evidence], money: Economics, source: Source) -> dict[str, Evidence]:
    """The what-if of those whose exit is to be thought of, misfits and those priced too low: it costs a look at the portfolio each."""
    found = {}
    for client, evidence in known.items():
        knobs = source.settings.decide
        if is_misfit(evidence, knobs) or (evidence.margin is not None and evidence.margin < knobs.thin_margin):
            lost = without(money, client)
            what_if = WhatIf(**{part.name: lost[part.name] for part in fields(WhatIf)})
            evidence = replace(evidence, what_if=what_if)
        found[client] = evidence
    return found


def _weighed(known: Mapping[str, Evidence], sight: Sight) -> dict[str, Evidence]:
    """Who is leaving, is no misfit and has no effort under way is weighed against the others, within the team's capacity."""
    settings = sight.source.settings
    knobs, hour_cost = settings.decide, sight.economics.portfolio["hour"]["cost"]
    candidates = [
        Candidate(client, probability, _saved(evidence, sight), evidence.revenue, is_held_out=_is_held_out(evidence, sight))
        for client, evidence in known.items()
        if is_leaving(evidence, knobs) and not is_misfit(evidence, knobs) and not no_effort(evidence, knobs)
        if (probability := evidence.churn.probability) is not None
    ]
    chosen = choose(
        candidates,
        save_rate=knobs.save_rate,
        effort_cost=None if hour_cost is None else hour_cost * knobs.win_back_hours,
        capacity=settings.evaluate.capacity,
        lot=_lot(sight),
    )
    weighed = {}
    for client, evidence in known.items():
        choice, value = chosen.get(client, (None, None))
        is_held_out = choice == "held_out" or _is_held_out(evidence, sight)
        weighed[client] = replace(evidence, choice=choice, expected_value=value, is_held_out=is_held_out)
    return weighed


def _saved(evidence: Evidence, sight: Sight) -> float | None:
    """What a client that is kept goes on to bring."""
    a_day = evidence.contribution_a_day
    return None if a_day is None else a_day * sight.source.settings.decide.saved_days


def _epoch_days(sight: Sight) -> int:
    """In which the outcome of leaving alone shows: gap and horizon."""
    return sight.source.settings.time.gap_days + sight.source.settings.time.horizon_days


def _lot(sight: Sight) -> Lot:
    settings = sight.source.settings
    return Lot(settings.seed, sight.day // _epoch_days(sight), settings.decide.hold_out_share)


def _is_held_out(evidence: Evidence, sight: Sight) -> bool:
    """Whether a hold-out on record still stands: drawn again before the first drawing was on record it is the same, and lasts no longer."""
    first: int | None = None
    for ago in sorted((step.days_ago for step in evidence.steps or () if step.kind == HOLD_OUT), reverse=True):
        if first is None or first - ago >= _epoch_days(sight):
            first = ago
    return first is not None and first < _epoch_days(sight)


def _to_record(known: Mapping[str, Evidence], sight: Sight) -> pa.Table:
    """The new hold-outs; the same draw of the same day has the same id, so that one appended twice is one."""
    new = [client for client, evidence in known.items() if evidence.choice == "held_out" and not _is_held_out(evidence, sight)]
    rows = [
        {
            "action_id": action_id(client, sight.day),
            "client_id": client,
            "kind": HOLD_OUT,
            "done_on": to_date(sight.day),
            "outcome": None,
        }
        for client in new
    ]
    return pa.Table.from_pylist(rows, schema=TO_RECORD)


def action_id(client_id: str, day: int) -> str:
    """One per client and day of the draw, and nothing that a spreadsheet would take for a number or a date.

    >>> action_id("=00", 19723)
    'hold-out-2024-01-01.3d3030'
    """
    return f"hold-out-{to_date(day)}.{client_id.encode().hex()}"


# ---- as data ----------------------------------------------------------------------------------------------------------------------


def _row(evidence: Evidence, decision: Decision, brief: Mapping[str, Any], day: int) -> dict[str, Any]:
    return {
        "client_id": evidence.client_id,
        "as_of": str(to_date(day)),
        "account_owner": evidence.account_owner,
        "quadrant": decision.quadrant,
        "action": decision.action,
        "because": decision.because.as_data(),
        "rungs": [{"name": rung.name, "verdict": rung.verdict} | rung.said.as_data() for rung in decision.rungs],
        "notes": _said(decision.notes),
        "lacking": _said(decision.lacking),
        "exit_check": [{"name": item.name, "state": item.state} | item.said.as_data() for item in decision.exit_check],
        "choice": evidence.choice,
        "expected_value": _whole(evidence.expected_value),
        "margin_at_risk": _whole(margin_at_risk(evidence)),
        "evidence": asdict(evidence),
        "brief": brief,
    }


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)


def _said(each: Sequence[Said]) -> list[dict[str, Any]]:
    return [said.as_data() for said in each]


def _columns(known: Mapping[str, Evidence], decisions: Mapping[str, Decision]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "client_id": pd.Series(list(known), dtype=object),
            "quadrant": [decision.quadrant for decision in decisions.values()],
            "action": [decision.action for decision in decisions.values()],
            "margin_at_risk": pd.array([_whole(margin_at_risk(evidence)) for evidence in known.values()], "Int64"),
            "policy_score": pd.Series([evidence.policy_score for evidence in known.values()], dtype=float),
        }
    )


def _whale(money: Economics, currency: str) -> pa.Table:
    amounts = {f"{name}_minor": pa.array(money.whale[name].round().astype("int64")) for name in ("contribution", "cumulative")}
    own = {name: pa.array(money.whale[name], kind) for name, kind in (("rank", pa.int64()), ("client_id", pa.string()))}
    return pa.table(own | amounts | {"currency": pa.array([currency] * len(money.whale), pa.string())})


# ---- files and terminal -----------------------------------------------------------------------------------------------------------


def to_deliver(folder: Path, found: Decided, facts: Mapping[str, Any]) -> Delivery:
    """All files, and what the manifest says beside (`facts`: source, as_of, hashes)."""

    def write(made: Path) -> None:
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in found.rows)
        write_text(made / "decisions.jsonl", "".join(f"{line}\n" for line in lines))
        write_parquet(made / "economics.parquet", found.economics.as_table())
        write_spreadsheet(made / "whale.csv", found.whale)
        write_json(made / "portfolio.json", found.economics.portfolio_json())
        write_spreadsheet(made / "actions_to_record.csv", found.to_record)

    return Delivery(folder, write, {**facts, **found.facts}, stamp="decided_at")


def tell(found: Decided, folder: Path) -> None:
    """Prints how many clients each action is advised for, the most urgent ones, what is missing, and where the files lie."""
    for warning in found.facts["warnings"]:
        console.print(f"note: {warning}", markup=False)
    table = Table(title=f"advised on {to_date(found.day)}, to be decided by a person")
    table.add_column("action")
    table.add_column("clients", justify="right")
    for action in ACTIONS:
        table.add_row(action.replace("_", " "), f"{found.facts['actions'].get(action, 0):,}")
    console.print(table)
    for row in urgent(found.rows):
        owner = f" ({shown(row['account_owner'])})" if row["account_owner"] else ""
        console.print(f"  {row['action'].replace('_', ' ')}: {shown(row['client_id'])}{owner}  {shown(row['because']['sentence'])}")
    policy = found.facts["policy"]
    n_hit = sum(any(rule["is_hit"] for rule in row["evidence"]["rules"] or ()) for row in found.rows)
    silent = policy["unmeasurable"]
    unmeasured = f"; not measurable here: {', '.join(f'{name} ({why})' for name, why in silent.items())}" if silent else ""
    console.print(f"policy {policy['file']}: {n_hit:,} of {len(found.rows):,} clients meet a rule of it{unmeasured}", markup=False)
    for name, why in found.facts["not_on_record"].items():
        console.print(f"no table {name}: {why}", markup=False)
    for what, why in found.economics.missing.items():
        console.print(f"not known: {what}: {why}", markup=False)
    if found.to_record.num_rows:
        console.print(f"{found.to_record.num_rows} held out by lot: bring {folder / 'actions_to_record.csv'} into your table of actions")
        console.print(f"how: {READ_BACK}")
    console.print(f"every decision with its reasons: {folder / 'decisions.jsonl'}")


def urgent(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The efforts worth most, then the burdens: partings first, then those that cost us most."""

    def worth(row: Mapping[str, Any]) -> tuple[float, float, str]:
        return -(row["expected_value"] or 0), -(row["evidence"]["churn"]["seen"][-1] or 0), row["client_id"]

    def weight(row: Mapping[str, Any]) -> tuple[bool, float, str]:
        contribution = row["evidence"]["contribution"]
        return row["action"] != LADDER[-1], contribution if contribution is not None else math.inf, row["client_id"]

    efforts = sorted((row for row in rows if row["action"] == "win_back"), key=worth)
    burdens = sorted((row for row in rows if row["action"] in LADDER), key=weight)
    n_burdens = min(len(burdens), max(SHOWN, 2 * SHOWN - len(efforts)))
    return [*efforts[: 2 * SHOWN - n_burdens], *burdens[:n_burdens]]

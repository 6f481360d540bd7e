"""What the registered champions say, and the decision -> every client's scores at one as_of: data/<source>/score/as_of=YYYY-MM-DD/.

    scores.parquet    one row per client known at as_of, the likeliest to leave first; probabilities and reasons of both targets where
                      status is eligible; misfit's are null where it has no model, and misfit_basis says what they rest on
    horizons.parquet  one row per eligible client and horizon: client_id, as_of, horizon_days, churn_probability; the main horizon's is that
                      of scores.parquet, and no two of a client contradict each other (models/horizons.py)
    scores.csv        the scores for a spreadsheet: UTF-8 with a byte order mark, without which Excel garbles Hebrew; cells that a
                      spreadsheet would run as formulas begin with an apostrophe, so ids are exact in the Parquet files only
    manifest.json     sha256 sums of all, the version of the contract of columns, the registry's version, hashes of model and data, gap and
                      horizon, until when the model learned (trained_until: its last as_of; outcomes_until: the day after its last outcome
                      window), is_hindsight: whether as_of lies before outcomes_until; the same under `misfit` of misfit's model, with its
                      basis, assumption and what verdicts at random say of it, or no_model: why there is none; and when first written

The same models on the same data give the same bytes; scoring again leaves the files as they are. Who speaks, and how a past as_of is seen:
pipeline/judge.py. The reasoning behind quadrant and action is written beside them, to data/<source>/decide/ (pipeline/decide.py).
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.time import to_date
from pipeline import decide, mlstore, reasons, review_list
from pipeline.decide import Decided, decided, looked_at
from pipeline.delivery import Delivery, deliver, shown, write_spreadsheet
from pipeline.judge import (
    CHURN,
    CLEAR,
    MISFIT,
    Champion,
    Champions,
    Judged,
    Verdict,
    champions_of,
    chosen_day,
    confidence,
    hindsight_note,
    horizons_note,
    judge,
    lack_of,
    look,
)
from pipeline.register import code_version
from pipeline.snapshot import STATUSES
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, write_parquet
from pipeline.wording import asked_in_words

PLACES = 3  # reasons per client and target
SHOWN = {CHURN: 10, MISFIT: 5}  # clients printed
CONTRACT = 3  # of scores.parquet: 2 added churn_confidence; 3 misfit_confidence, misfit_basis, policy_score, misfit_model_hash
POLICY = "policy"  # misfit_basis of a client of whom only the written policy says anything
DECIDED = ("policy_score", "margin_at_risk", "quadrant", "action")  # what the decision adds to a client's row


def _reason_fields(prefix: str) -> list[tuple[str, pa.DataType]]:
    kinds = (("signal", pa.string()), ("contribution", pa.float64()), ("sentence", pa.string()))
    return [(f"{prefix}_reason_{place + 1}_{name}", kind) for place in range(PLACES) for name, kind in kinds]


SCHEMA = pa.schema(
    [
        ("client_id", pa.string()),
        ("as_of", pa.date32()),
        ("status", pa.string()),
        ("churn_probability", pa.float64()),  # null unless eligible, as all that follows from it
        ("churn_low", pa.float64()),  # low … high: 80 % interval (models/interval.py)
        ("churn_high", pa.float64()),
        ("churn_confidence", pa.string()),  # clear, unclear or too_little_data; see confidence()
        ("misfit_probability", pa.float64()),
        ("misfit_low", pa.float64()),
        ("misfit_high", pa.float64()),
        ("misfit_confidence", pa.string()),
        ("misfit_basis", pa.string()),  # what the misfit figures rest on: marked, economics (models/misfit.py); policy: policy_score alone
        ("policy_score", pa.float64()),  # 0 … 1: weighted share of the written deal-breakers that are met, not a probability
        ("margin_at_risk", pa.int64()),  # minor units of the source's currency
        ("quadrant", pa.string()),
        ("action", pa.string()),
        *_reason_fields("churn"),
        *_reason_fields("misfit"),
        ("model_hash", pa.string()),  # churn's
        ("misfit_model_hash", pa.string()),
        ("data_version", pa.string()),
    ]
)

HORIZONS = pa.schema(
    [("client_id", pa.string()), ("as_of", pa.date32()), ("horizon_days", pa.int32()), ("churn_probability", pa.float64())]
)


def horizons(judged: Judged) -> pa.Table:
    """One row per eligible client and horizon, by client and length."""
    churn = judged.verdicts[CHURN]
    found = churn.champion.model.at_horizons(churn.answers["probability"].to_numpy(np.float64))
    table = pd.concat([judged.eligible.assign(horizon_days=days, churn_probability=probability) for days, probability in found.items()])
    table = table.sort_values(["client_id", "horizon_days"], kind="stable")
    return pa.table([pa.array(table[field.name], field.type, from_pandas=True) for field in HORIZONS], schema=HORIZONS)


def scores(judged: Judged, data: str, little_data_contacts: int, decided: pd.DataFrame | None = None) -> pa.Table:
    """The scores contract: one row per client, the likeliest to leave first, then the others by id.

    decided: one row per client that the decision speaks of: client_id and DECIDED; null where it is not made.
    """
    parts = [judged.eligible[["client_id"]]]
    for target, verdict in judged.verdicts.items():
        own = verdict.answers.assign(confidence=confidence(verdict, judged.features, little_data_contacts))
        parts += [own.add_prefix(f"{target}_"), reasons.as_columns(verdict.reasons, target, PLACES)]
    table = judged.everyone.merge(pd.concat(parts, axis=1), on="client_id", how="left", validate="1:1")
    if decided is not None:
        table = table.merge(decided[["client_id", *DECIDED]], on="client_id", how="left", validate="1:1")
    table = table.sort_values(["churn_probability", "client_id"], ascending=[False, True], na_position="last", kind="stable")
    table["model_hash"], table["data_version"] = judged.verdicts[CHURN].champion.version.model_hash, data
    table = table.reindex(columns=SCHEMA.names)
    if MISFIT in judged.verdicts:
        champion = judged.verdicts[MISFIT].champion
        table["misfit_model_hash"] = champion.version.model_hash
        table["misfit_basis"] = _where(table["misfit_probability"], champion.question["basis"])
    else:
        table["misfit_basis"] = _where(table["policy_score"], POLICY)
    return pa.table([pa.array(table[field.name], field.type, from_pandas=True) for field in SCHEMA], schema=SCHEMA)


def doubt(source: Source, verdict: Verdict, features: pd.DataFrame) -> list[str]:
    """Per client what its number is to be told with: empty where it is clear, else why not, in words."""
    found = confidence(verdict, features, source.settings.score.little_data_contacts)
    return ["" if word == CLEAR else _in_words(word) for word in found]


def _in_words(confidence: str) -> str:
    return confidence.replace("_", " ")


def _where(known: "pd.Series[Any]", text: str) -> list[str | None]:
    """The text in the rows that have a value."""
    return [text if is_known else None for is_known in known.notna()]


# ---- files ------------------------------------------------------------------------------------------------------------------------


def to_deliver(folder: Path, table: pa.Table, at_horizons: pa.Table, facts: dict[str, Any]) -> Delivery:
    """Scores and horizons, and what the manifest says beside."""

    def write(made: Path) -> None:
        write_parquet(made / "scores.parquet", table)
        write_parquet(made / "horizons.parquet", at_horizons)
        write_spreadsheet(made / "scores.csv", table)

    return Delivery(folder, write, facts | {"n_rows": table.num_rows}, stamp="scored_at")


# ---- on the terminal --------------------------------------------------------------------------------------------------------------


def tell(table: pa.Table, manifest: dict[str, Any], folder: Path) -> None:
    """Prints the riskiest clients of each target with their reasons, the counts, and where the files lie."""
    _tell_riskiest(table, CHURN, f"riskiest of {manifest['n_rows']:,} clients on {manifest['as_of']} (probability, 80 % interval)")
    misfit = manifest["misfit"]
    if "no_model" in misfit:
        console.print(f"no probability of misfit: {misfit['no_model']}", markup=False)
    else:
        _tell_riskiest(table, MISFIT, f"likeliest misfits (basis: {misfit['basis']})")
        for line in (misfit["assumption"], *(misfit["review_estimate"] or {}).get("words", ())):
            console.print(line, markup=False)
    counts = manifest["statuses"]
    console.print(", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts.get(status)))
    models = [own for own in (manifest, misfit) if "model" in own]
    console.print(
        f"risk in the {manifest['horizon_days']} days that begin {manifest['gap_days']} days after that day, by "
        + " and ".join(f"{own['model']} version {own['version']} (model {own['model_hash'][:12]})" for own in models)
    )
    console.print(f"every client: {folder / 'scores.csv'}, {folder / 'scores.parquet'}; sums and versions: {folder / 'manifest.json'}")


def _tell_riskiest(table: pa.Table, target: str, words: str) -> None:
    named = f"{target}_probability"
    judged = table.filter(pc.is_valid(table[named])).sort_by([(named, "descending"), ("client_id", "ascending")])
    risky = judged.slice(0, SHOWN[target]).to_pylist()
    console.print(f"the {len(risky)} {words}:")
    for row in risky:
        range_ = f"{row[f'{target}_low']:.2f}–{row[f'{target}_high']:.2f}"
        confidence_ = row[f"{target}_confidence"]
        doubted = "" if confidence_ == CLEAR else f" {_in_words(confidence_)}"
        console.print(f"  {row[named]:.2f} ({range_}{doubted})  {shown(row['client_id'])}  {_said(row, target)}")


def _said(row: dict[str, Any], target: str) -> str:
    """A client's reasons, those that have words."""
    sentences = [row[f"{target}_reason_{place}_sentence"] for place in range(1, PLACES + 1)]
    if not row[f"{target}_reason_1_signal"]:
        return "no reason that the members agree on"
    return " · ".join(shown(sentence) for sentence in sentences if sentence) or "no reason that can be put in words"


@dataclass(frozen=True)
class Scored:
    """What was written: the scores, their manifest and folder; the decisions and theirs."""

    table: pa.Table
    manifest: dict[str, Any]
    folder: Path
    decided: Decided
    decisions: Path


def score(source: Source, as_of: str | None) -> Scored:
    """Scores every client, decides what to advise, and writes both folders, whole and only where they differ from what stands there.

    One process per source at a time. The decisions' manifest names the scores that they belong to, so that a crash between the two shows;
    scoring again mends it.
    """
    validated = source.output / "validate"
    data = data_version(validated)
    day = chosen_day(source, as_of, validated)
    champions = champions_of(source)
    looked = look(source, looked_at(source, day))
    judged = judge(source, champions, looked)
    little = source.settings.score.little_data_contacts
    found = decided(source, champions, looked, scores(judged, data, little))
    table = scores(judged, data, little, found.columns)
    facts = {
        "contract": CONTRACT,
        "source": source.name,
        "as_of": str(to_date(day)),
        **_facts_of(champions[CHURN], day),
        "misfit": _misfit_facts(source, champions, day),
        "data_version": data,
        "code_version": code_version(),
        "statuses": dict(sorted(Counter(table["status"].to_pylist()).items())),
    }
    folder = source.output / "score" / f"as_of={to_date(day)}"
    if note := hindsight_note(champions[CHURN], day):
        console.print(note)
    if note := horizons_note(source, champions[CHURN]):
        console.print(note)
    decisions = source.output / "decide" / f"as_of={to_date(day)}"
    with mlstore.alone(f"score-{source.name}"):
        manifest, _ = deliver(to_deliver(folder, table, horizons(judged), facts), decide.to_deliver(decisions, found, _decided_on(facts)))
    return Scored(table, manifest, folder, found, decisions)


def _decided_on(facts: dict[str, Any]) -> dict[str, Any]:
    """What the decisions' manifest says of what they rest on."""
    hashes = {CHURN: facts["model_hash"], MISFIT: facts["misfit"].get("model_hash")}
    return {name: facts[name] for name in ("source", "as_of", "data_version", "code_version", "is_hindsight")} | {"model_hashes": hashes}


def _facts_of(champion: Champion, day: int) -> dict[str, Any]:
    """What the manifest says of a champion."""
    asked = ("gap_days", "horizon_days", "trained_until", "outcomes_until")
    return {
        "model": champion.version.name,
        "version": champion.version.number,
        "model_hash": champion.version.model_hash,
        **{part: champion.question[part] for part in asked},
        "is_hindsight": champion.is_hindsight(day),
    }


def _misfit_facts(source: Source, champions: Champions, day: int) -> dict[str, Any]:
    """The same of misfit's, with what its numbers rest on; or why there are none."""
    if MISFIT not in champions:
        return {"no_model": lack_of(source, MISFIT)}
    champion = champions[MISFIT]
    basis = champion.question["basis"]
    return _facts_of(champion, day) | {
        "basis": basis,
        "assumption": asked_in_words(source, MISFIT, basis).assumption,
        "review_estimate": review_list.told(source, champion.model.spec["training"]),
    }


def main(arguments: list[str] | None = None) -> None:
    """The champions of the chosen source on data/<source>/validate -> data/<source>/score/as_of=…"""
    parser = argparse.ArgumentParser(prog="python -m pipeline.score", description="every client's risks and reasons from the champions")
    parser.add_argument("--as-of", metavar="YYYY-MM-DD", help="the day to look from (default: the day of the export)")
    scored = score(selected_source(), parser.parse_args(arguments).as_of)
    tell(scored.table, scored.manifest, scored.folder)
    decide.tell(scored.decided, scored.decisions)


if __name__ == "__main__":
    stage("score", main)

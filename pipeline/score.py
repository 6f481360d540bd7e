"""The registered champion + canonical tables -> every client's risk at one as_of: data/<source>/score/as_of=YYYY-MM-DD/.

    scores.parquet    one row per client known at as_of, the riskiest first; probabilities and reasons where status is eligible
    horizons.parquet  one row per eligible client and horizon: client_id, as_of, horizon_days, churn_probability; the main horizon's is that
                      of scores.parquet, and no two of a client contradict each other (models/horizons.py)
    scores.csv        the scores for a spreadsheet: UTF-8 with a byte order mark, without which Excel garbles Hebrew; cells that a
                      spreadsheet would run as formulas begin with an apostrophe, so ids are exact in the Parquet files only
    manifest.json     sha256 sums of all, the version of the contract of columns, the registry's version, hashes of model and data, gap and
                      horizon, until when the model learned (trained_until: its last as_of; outcomes_until: the day after its last outcome
                      window), is_hindsight: whether as_of lies before outcomes_until; and when they were first written

The same model on the same data gives the same bytes; scoring again leaves the files as they are. A past as_of is seen as the data stood
then, but by today's champion, which may have learned from what came after. What runs is the registered version's
own code, after its files were compared with the registry. Columns of parts that are not built yet are there, and null.
"""

import argparse
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.markup import escape

from features.errors import NotEnoughHistory, UserError
from features.time import is_hindsight, to_date, to_day
from models import scorer
from pipeline import mlstore, reasons
from pipeline.featurize import featurize
from pipeline.mlstore import CHAMPION, Version
from pipeline.question import asked_of, differing, question_of, worded
from pipeline.register import TARGET, code_version
from pipeline.snapshot import STATUSES, canonical_tables, first_event_day, snapshots
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_json, sha256_of, write_json, write_parquet, written_whole

PLACES = 3  # reasons per client and target
SHOWN = 10  # clients printed
FILES = ("scores.parquet", "horizons.parquet", "scores.csv")
CONTRACT = 2  # of scores.parquet: 2 added churn_confidence
CLEAR, UNCLEAR, TOO_LITTLE_DATA = "clear", "unclear", "too_little_data"
# what a spreadsheet may take for a formula: OWASP's list, full-width forms and leading blanks included
FORMULA = re.compile(r"[\t\r\n\x00]|\s*[=+\-@＝＋－＠]")


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
        ("margin_at_risk", pa.int64()),  # minor units of the source's currency
        ("quadrant", pa.string()),
        ("action", pa.string()),
        *_reason_fields("churn"),
        *_reason_fields("misfit"),
        ("model_hash", pa.string()),
        ("data_version", pa.string()),
    ]
)

HORIZONS = pa.schema(
    [("client_id", pa.string()), ("as_of", pa.date32()), ("horizon_days", pa.int32()), ("churn_probability", pa.float64())]
)


@dataclass(frozen=True)
class Champion:
    """The version that scores, loaded: its own code (`model` is its scorer; see models/scorer.py for what it can do)."""

    version: Version
    model: Any

    @property
    def question(self) -> Mapping[str, Any]:
        """What it was trained on: pipeline/question.py's parts, trained_until and outcomes_until."""
        stated: Mapping[str, Any] = self.model.spec["question"]
        return stated

    def is_hindsight(self, day: int) -> bool:
        """Whether it learned from outcomes that lie on or after this as_of."""
        return is_hindsight(day, to_day(date.fromisoformat(self.question["outcomes_until"])))


@dataclass(frozen=True)
class Judged:
    """Clients at one as_of. everyone: client_id, as_of (date), status. eligible: those judged, client_id in the order of the other parts.

    features: their feature columns. answers: probability, low, high. explained: contributions (models/scorer.py, Explained).
    """

    everyone: pd.DataFrame
    eligible: pd.DataFrame
    features: pd.DataFrame
    answers: pd.DataFrame
    explained: Any
    reasons: list[list[reasons.Reason]]


def champion_of(source: Source) -> Champion:
    """The source's champion, its files compared with the registry before any of it is loaded.

    Raises UserError if there is none, or if it was trained on another question than the source's settings ask.
    """
    name = source.model_name
    version = None
    if mlstore.store_exists():
        with mlstore.faults_told():
            store = mlstore.open_store()
            version = store.with_alias(name, CHAMPION)
    if version is None:
        raise UserError(
            name, found="no champion in the registry", wanted="a registered model", cure=f"run `make train SOURCE={source.folder}`"
        )
    import mlflow

    with mlstore.faults_told(), store.files_of(version) as folder:
        loaded = mlflow.pyfunc.load_model(str(folder))
    champion = Champion(version, loaded.unwrap_python_model().model)
    made_as = champion.model.spec.get("format")
    if made_as != scorer.FORMAT:
        raise UserError(
            str(version),
            found=f"a champion of format {made_as}, made by another version of this code",
            wanted=f"format {scorer.FORMAT}",
            cure=f"run `make train SOURCE={source.folder}`: its model takes the champion's place",
        )
    _check_question(source, champion)
    return champion


def _check_question(source: Source, champion: Champion) -> None:
    trained_on, wanted = asked_of(champion.model.spec), question_of(source, TARGET)
    parts = differing(trained_on, wanted)
    if parts:
        raise UserError(
            str(champion.version),
            found=f"a champion trained on {worded(trained_on, parts)}",
            wanted=f"{worded(wanted, parts)}, as the settings of {source.name} have it now",
            cure=f"run `make train SOURCE={source.folder}`: its model takes the champion's place; or set the settings back",
        )


def hindsight_note(champion: Champion, day: int) -> str | None:
    """A line that warns of hindsight, where there is any."""
    if not champion.is_hindsight(day):
        return None
    until = champion.question["outcomes_until"]
    return (
        f"note: the champion learned from outcomes up to {until}; this is what it says of the clients as they stood on {to_date(day)}, "
        "not what would have been said then"
    )


def horizons_note(source: Source, champion: Champion) -> str | None:
    """A line that names the horizons asked for of which the champion says nothing, where there are any."""
    stated = champion.model.spec["horizons"]
    known = {stated["main_days"], *(step["horizon_days"] for step in stated["steps"])}
    lacking = [str(days) for days in source.settings.time.horizons if days not in known]
    if not lacking:
        return None
    return (
        f"note: no probability at {', '.join(lacking)} days: when the champion was trained, nothing was known or asked of so long a horizon"
    )


def chosen_day(source: Source, text: str | None, validated: Path) -> int:
    """The as_of as a local day; by default the latest that the export allows. Raises UserError for a bad date, or one outside the data."""
    latest = source.exported_day
    first = first_event_day(validated)
    earliest = first + source.settings.time.warm_up_days
    if text is None:
        day = latest
    else:
        try:
            day = to_day(date.fromisoformat(text))
        except ValueError as problem:
            raise UserError("AS_OF", found=text, wanted="a date such as 2024-01-31", cure="make score AS_OF=YYYY-MM-DD") from problem
    if day > latest:
        raise UserError(
            "AS_OF",
            found=f"{to_date(day)}, after the export of {to_date(latest)}",
            wanted=f"a date up to {to_date(latest)}",
            cure="choose an earlier date, or bring newer data",
        )
    if day < earliest:
        raise NotEnoughHistory(
            "AS_OF",
            found=f"{to_date(day)}, while the data begin on {to_date(first)}",
            wanted=f"a date from {to_date(earliest)} on: time.warm_up_days = {source.settings.time.warm_up_days} days of history",
            cure="choose a later date, or bring a longer history",
        )
    return day


def judge(source: Source, champion: Champion, day: int, *, only: str | None = None) -> Judged:
    """Every client known at `day` with its status; the eligible ones (or only the one asked for) judged by the champion."""
    validated = source.output / "validate"
    everyone = snapshots(canonical_tables(validated), [day], source).select(["client_id", "as_of", "status"]).to_pandas()
    if everyone.empty:
        raise NotEnoughHistory(
            "AS_OF",
            found=f"no client known on {to_date(day)}",
            wanted="at least one",
            cure="choose a later date, or bring a longer history",
        )
    eligible = everyone[everyone["status"] == "eligible"]
    if only is not None:
        eligible = eligible[eligible["client_id"] == only]
    eligible = eligible.sort_values("client_id", kind="stable").reset_index(drop=True)
    features = features_for(source, champion, eligible)
    model = champion.model
    explained = model.explain(features)
    found = reasons.top_reasons(
        model,
        explained,
        features,
        usual=model.linear.median,
        columns=reasons.declared_columns(),
        settings=source.settings.explain,
    )
    return Judged(everyone, eligible, features, model.predict(features), explained, found)


def features_for(source: Source, champion: Champion, asked: pd.DataFrame) -> pd.DataFrame:
    """The feature columns of the clients of `asked` (client_id, as_of), in its order, as featurize makes them for training.

    Raises UserError if the champion needs columns that this source's tables or this code no longer give.
    """
    made = featurize(source.output / "validate", pa.Table.from_pandas(asked, preserve_index=False), source)
    lacking = [name for name in champion.model.columns if name not in made.frame.columns]
    if lacking:
        gone = [f"{signal} (needs {', '.join(tables)})" for signal, tables in made.unavailable.items()]
        gone += [f"{name} (needs {', '.join(tables)})" for name, (_, tables) in made.left_out.items() if name in lacking]
        raise UserError(
            str(champion.version),
            found=f"no {', '.join(lacking[:5])} ({len(lacking)} in all) in the features; unavailable: {', '.join(gone) or 'nothing'}",
            wanted=f"the {len(champion.model.columns)} columns it was trained on",
            cure="bring the missing tables, or train anew on what there is: `make train`",
        )
    placed = asked[["client_id"]].merge(made.frame, on="client_id", how="left", validate="1:1")
    return placed[[column.name for _, column in made.columns]]


def confidence(judged: Judged, champion: Champion, little_data_contacts: int) -> "pd.Series[str]":
    """How far the numbers of each judged client can be taken, in one word.

    too_little_data  the client has fewer than `little_data_contacts` qualifying contacts on record, or the model had too few leavers to
                     learn from (its tier is unreliable): the number says little more than the portfolio's average
    unclear          low … high holds the share of leavers in training: whether the risk lies above or below the average is not known
    clear            it does not
    """
    training, answers = champion.model.spec["training"], judged.answers
    contacts = judged.features["contacts_ever"] if "contacts_ever" in judged.features else pd.Series(np.inf, index=answers.index)
    is_little = (contacts.to_numpy(np.float64) < little_data_contacts) | (not training["is_reliable"])
    is_unclear = (answers["low"] <= training["prevalence"]) & (training["prevalence"] <= answers["high"])
    return pd.Series(np.select([is_little, is_unclear], [TOO_LITTLE_DATA, UNCLEAR], CLEAR), index=answers.index)


def horizons(judged: Judged, champion: Champion) -> pa.Table:
    """One row per eligible client and horizon, by client and length."""
    found = champion.model.at_horizons(judged.answers["probability"].to_numpy(np.float64))
    there = judged.eligible[["client_id", "as_of"]]
    table = pd.concat([there.assign(horizon_days=days, churn_probability=probability) for days, probability in found.items()])
    table = table.sort_values(["client_id", "horizon_days"], kind="stable")
    return pa.table([pa.array(table[field.name], field.type, from_pandas=True) for field in HORIZONS], schema=HORIZONS)


def scores(judged: Judged, champion: Champion, data: str, little_data_contacts: int) -> pa.Table:
    """The scores contract: one row per client, the riskiest first, then the others by id."""
    own = pd.DataFrame(
        {
            "client_id": judged.eligible["client_id"],
            "churn_probability": judged.answers["probability"],
            "churn_low": judged.answers["low"],
            "churn_high": judged.answers["high"],
            "churn_confidence": confidence(judged, champion, little_data_contacts),
        }
    )
    own = pd.concat([own, reasons.as_columns(judged.reasons, "churn", PLACES)], axis=1)
    table = judged.everyone.merge(own, on="client_id", how="left", validate="1:1")
    table = table.sort_values(["churn_probability", "client_id"], ascending=[False, True], na_position="last", kind="stable")
    table["model_hash"], table["data_version"] = champion.version.model_hash, data
    table = table.reindex(columns=SCHEMA.names)
    return pa.table([pa.array(table[field.name], field.type, from_pandas=True) for field in SCHEMA], schema=SCHEMA)


# ---- files ------------------------------------------------------------------------------------------------------------------------


def write_scores(folder: Path, table: pa.Table, at_horizons: pa.Table, facts: dict[str, Any]) -> dict[str, Any]:
    """Writes scores, horizons and manifest, all or nothing, and only where they differ from what stands there; returns the manifest."""
    with tempfile.TemporaryDirectory(prefix="clientfit-") as own:
        made = Path(own)
        write_parquet(made / "scores.parquet", table)
        write_parquet(made / "horizons.parquet", at_horizons)
        write_spreadsheet(made / "scores.csv", table)
        files = {name: {"sha256": sha256_of(made / name)} for name in FILES}
        manifest = facts | {"n_rows": table.num_rows, "files": files}
        earlier = read_json(folder / "manifest.json") if (folder / "manifest.json").exists() else {}
        scored_at = earlier.pop("scored_at", None) if isinstance(earlier, dict) else None
        fits = bool(scored_at) and earlier == manifest
        manifest |= {"scored_at": scored_at if fits else datetime.now(UTC).isoformat(timespec="seconds")}
        if not (fits and all((folder / name).is_file() and sha256_of(folder / name) == files[name]["sha256"] for name in FILES)):
            with folder_written_whole(folder) as building:
                for name in FILES:
                    shutil.copyfile(made / name, building / name)
                write_json(building / "manifest.json", manifest)
    return manifest


def write_spreadsheet(path: Path, table: pa.Table) -> None:
    """The table as CSV that is safe to open: no cell of text is a formula."""
    cells = table.to_pandas()
    for field in table.schema:
        if pa.types.is_string(field.type):
            cells[field.name] = [inert(text) if isinstance(text, str) else text for text in cells[field.name]]
    with written_whole(path) as temporary:
        cells.to_csv(temporary, index=False, encoding="utf-8-sig", lineterminator="\n")


def inert(text: str) -> str:
    """Text that a spreadsheet shows instead of running it.

    >>> inert("=1+1"), inert("Cohen - Levi")
    ("'=1+1", 'Cohen - Levi')
    """
    return f"'{text}" if FORMULA.match(text) else text


# ---- on the terminal --------------------------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """Text of the data, safe to print: control and direction characters are written out, markup is not markup."""
    return escape("".join(letter if letter.isprintable() or letter == " " else f"\\u{ord(letter):04x}" for letter in text))


def tell(table: pa.Table, manifest: dict[str, Any], folder: Path) -> None:
    """Prints the riskiest clients with their reasons, the counts, and where the files lie."""
    risky = [row for row in table.slice(0, SHOWN).to_pylist() if row["churn_probability"] is not None]
    console.print(f"the {len(risky)} riskiest of {manifest['n_rows']:,} clients on {manifest['as_of']} (probability, 80 % interval):")
    for row in risky:
        said = " · ".join(_said(row, place) for place in range(1, PLACES + 1) if row[f"churn_reason_{place}_signal"])
        range_ = f"{row['churn_low']:.2f}–{row['churn_high']:.2f}"
        doubt = "" if row["churn_confidence"] == CLEAR else f" {row['churn_confidence'].replace('_', ' ')}"
        said = said or "no reason that the members agree on"
        console.print(f"  {row['churn_probability']:.2f} ({range_}{doubt})  {shown(row['client_id'])}  {said}")
    counts = manifest["statuses"]
    console.print(", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts.get(status)))
    console.print(
        f"risk of leaving in the {manifest['horizon_days']} days that begin {manifest['gap_days']} days after that day,"
        f" by {manifest['model']} version {manifest['version']} (model {manifest['model_hash'][:12]})"
    )
    console.print(f"every client: {folder / 'scores.csv'}, {folder / 'scores.parquet'}; sums and versions: {folder / 'manifest.json'}")


def _said(row: dict[str, Any], place: int) -> str:
    return shown(row[f"churn_reason_{place}_sentence"] or row[f"churn_reason_{place}_signal"].replace("_", " "))


def score(source: Source, as_of: str | None) -> tuple[pa.Table, dict[str, Any], Path]:
    """Scores every client and writes the files: the table, its manifest and the folder. One process per source at a time."""
    validated = source.output / "validate"
    data = data_version(source.output / "validate")
    day = chosen_day(source, as_of, validated)
    champion = champion_of(source)
    judged = judge(source, champion, day)
    table = scores(judged, champion, data, source.settings.score.little_data_contacts)
    facts = {
        "contract": CONTRACT,
        "source": source.name,
        "as_of": str(to_date(day)),
        "model": champion.version.name,
        "version": champion.version.number,
        "model_hash": champion.version.model_hash,
        "data_version": data,
        "code_version": code_version(),
        **{part: champion.question[part] for part in ("gap_days", "horizon_days", "trained_until", "outcomes_until")},
        "is_hindsight": champion.is_hindsight(day),
        "statuses": dict(sorted(Counter(table["status"].to_pylist()).items())),
    }
    folder = source.output / "score" / f"as_of={to_date(day)}"
    if note := hindsight_note(champion, day):
        console.print(note)
    if note := horizons_note(source, champion):
        console.print(note)
    with mlstore.alone(f"score-{source.name}"):
        return table, write_scores(folder, table, horizons(judged, champion), facts), folder


def main(arguments: list[str] | None = None) -> None:
    """The champion of the chosen source on data/<source>/validate -> data/<source>/score/as_of=…"""
    parser = argparse.ArgumentParser(prog="python -m pipeline.score", description="every client's risk and reasons from the champion")
    parser.add_argument("--as-of", metavar="YYYY-MM-DD", help="the day to look from (default: the day of the export)")
    tell(*score(selected_source(), parser.parse_args(arguments).as_of))


if __name__ == "__main__":
    stage("score", main)

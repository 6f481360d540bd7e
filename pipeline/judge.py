"""Registered champions + canonical tables -> what they say of every eligible client on some days; the scores and the decision rest on it.

A champion is loaded only after its files were compared with the registry, and scores with its own code. A past day is seen as the data
stood then, but by today's champions, which may have learned from what came after.

Churn has a champion or nothing can be said. Misfit may have none: where the last training here says that there is nothing to learn from, or
none was ever registered. What an earlier training registered is then left alone and not asked: it answers for other data, perhaps another
basis. Nor is a champion asked that cannot be used: trained on another question or on tables that are gone, or damaged. Misfit's lack is
told and never stops churn.

Features cost most, so clients are looked at once, over all the days that matter; then `judge` says all of the newest day, `seen` the
probabilities of every day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.errors import NotEnoughHistory, UserError
from features.time import is_hindsight, to_date, to_day
from models import scorer
from pipeline import mlstore, reasons
from pipeline.featurize import NO_CLIENTS, featurize
from pipeline.mlstore import CHAMPION, Version
from pipeline.question import asked_of, differing, question_of, worded
from pipeline.register import no_model
from pipeline.snapshot import canonical_tables, first_event_day, snapshots
from pipeline.source import Source

CHURN, MISFIT = "churn", "misfit"
CLEAR, UNCLEAR, TOO_LITTLE_DATA = "clear", "unclear", "too_little_data"
KEYS = ["client_id", "as_of"]


@dataclass(frozen=True)
class Champion:
    """The version that speaks for a target, loaded: its own code (`model` is its scorer; see models/scorer.py for what it can do)."""

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


Champions = Mapping[str, Champion]


@dataclass(frozen=True)
class Looked:
    """Clients as they stood on some days, `day` the newest. everyone: client_id, as_of (date), status. eligible: client_id, as_of of
    those, by both. features: the feature columns of `eligible`, in its order.
    """

    day: int
    everyone: pd.DataFrame
    eligible: pd.DataFrame
    features: pd.DataFrame


@dataclass(frozen=True)
class Verdict:
    """What one champion says of the eligible clients, in their order. answers: probability, low, high. explained: contributions
    (models/scorer.py, Explained).
    """

    champion: Champion
    answers: pd.DataFrame
    explained: Any
    reasons: list[list[reasons.Reason]]


@dataclass(frozen=True)
class Judged(Looked):
    """Clients on `day` alone, with a verdict per target that has a champion: churn always, misfit where it can."""

    verdicts: Mapping[str, Verdict]


def champions_of(source: Source) -> dict[str, Champion]:
    """Target -> its champion; churn's is always there, or UserError is raised as by `champion_of`."""
    found = {target: usable_champion_of(source, target) for target in dict.fromkeys([CHURN, *source.settings.targets])}
    return {target: champion for target, champion in found.items() if champion is not None}


def usable_champion_of(source: Source, target: str) -> Champion | None:
    """As `champion_of`; but a champion of misfit that cannot be used is none, and `lack_of` says why."""
    try:
        return champion_of(source, target)
    except UserError:
        if target == CHURN:
            raise
        return None


def champion_of(source: Source, target: str) -> Champion | None:
    """The source's champion of a target, its files compared with the registry before any of it is loaded; None: misfit has none.

    Raises UserError if churn has none, and for either target if the champion was trained on another question than the source's settings
    ask or on columns that there are no longer, is of another format, or damaged.
    """
    name = source.registered(target)
    version = None
    if mlstore.store_exists() and (target == CHURN or not no_model(source, target)):
        with mlstore.faults_told():
            store = mlstore.open_store()
            version = store.with_alias(name, CHAMPION)
    if version is None and target != CHURN:
        return None
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
    _check_question(source, champion, target)
    _check_columns(source, champion)
    return champion


def lack_of(source: Source, target: str) -> str:
    """Why a target has no champion that can be used, in one line."""
    if why := no_model(source, target):
        return why
    try:
        champion_of(source, target)
    except UserError as unusable:
        return unusable.in_one_line
    return f"no version of {source.registered(target)} is registered; `make train` says why"


def _check_question(source: Source, champion: Champion, target: str) -> None:
    trained_on, wanted = asked_of(champion.model.spec), question_of(source, target)
    parts = differing(trained_on, wanted)
    if parts:
        raise UserError(
            str(champion.version),
            found=f"a champion trained on {worded(trained_on, parts)}",
            wanted=f"{worded(wanted, parts)}, as the settings of {source.name} have it now",
            cure=f"run `make train SOURCE={source.folder}`: its model takes the champion's place; or set the settings back",
        )


def _check_columns(source: Source, champion: Champion) -> None:
    made = featurize(source.output / "validate", NO_CLIENTS, source)
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
            raise UserError("AS_OF", found=text, wanted="a date such as 2024-01-31", cure="AS_OF=YYYY-MM-DD") from problem
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


def look(source: Source, days: Sequence[int], *, only: str | None = None) -> Looked:
    """Every client known on each of `days`, with its status; and the features of the eligible ones (or of the only one asked for).

    Features are computed once for all days; a row is the same bit for bit whichever days it is asked for with.
    Raises NotEnoughHistory if no client is known on any.
    """
    day = max(days)
    everyone = snapshots(canonical_tables(source.output / "validate"), sorted(set(days)), source).select([*KEYS, "status"]).to_pandas()
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
    eligible = eligible[KEYS].sort_values(KEYS, kind="stable", ignore_index=True)
    return Looked(day, everyone, eligible, features_for(source, eligible))


def judge(source: Source, champions: Champions, looked: Looked) -> Judged:
    """Every client known on the newest day that was looked at; the eligible ones judged by each champion."""
    everyone, eligible = (rows[rows["as_of"] == to_date(looked.day)].reset_index(drop=True) for rows in (looked.everyone, looked.eligible))
    features = looked.features[looked.eligible["as_of"] == to_date(looked.day)].reset_index(drop=True)
    verdicts = {target: _verdict(source, target, champion, features) for target, champion in champions.items()}
    return Judged(looked.day, everyone, eligible, features, verdicts)


def _verdict(source: Source, target: str, champion: Champion, features: pd.DataFrame) -> Verdict:
    model = champion.model
    explained = model.explain(features)
    found = reasons.top_reasons(
        model,
        explained,
        features,
        target=target,
        usual=model.linear.median,
        columns=reasons.declared_columns(),
        settings=source.settings.explain,
    )
    return Verdict(champion, model.predict(features), explained, found)


def seen(champions: Champions, looked: Looked) -> pd.DataFrame:
    """One row per eligible client and as_of that was looked at, by both: client_id, as_of (local day), churn_probability,
    misfit_probability (NaN without a champion), then the feature columns."""
    probabilities = {
        f"{target}_probability": champions[target].model.predict(looked.features)["probability"] if target in champions else np.nan
        for target in (CHURN, MISFIT)
    }
    keys = looked.eligible.assign(as_of=np.array([to_day(on) for on in looked.eligible["as_of"]], np.int64), **probabilities)
    return pd.concat([keys, looked.features], axis=1)


def features_for(source: Source, asked: pd.DataFrame) -> pd.DataFrame:
    """The feature columns of the clients of `asked` (client_id, as_of as a date), in its order, as featurize makes them for training."""
    made = featurize(source.output / "validate", pa.Table.from_pandas(asked, preserve_index=False), source)
    days = np.array([to_day(on) for on in asked["as_of"]], np.int64)
    placed = asked[["client_id"]].assign(as_of=days).merge(made.frame, on=KEYS, how="left", validate="1:1")
    return placed[[column.name for _, column in made.columns]]


def confidence(verdict: Verdict, features: pd.DataFrame, little_data_contacts: int) -> "pd.Series[str]":
    """How far a verdict's numbers can be taken, in one word per client (`features`: theirs).

    too_little_data  the client has fewer than `little_data_contacts` qualifying contacts on record, or the model had too few clients that
                     left (misfit: that were one) to learn from (its tier is unreliable): the number says little more than the average
    unclear          low … high holds their share in training: whether the risk lies above or below the average is not known
    clear            it does not
    """
    training, answers = verdict.champion.model.spec["training"], verdict.answers
    contacts = features["contacts_ever"] if "contacts_ever" in features else pd.Series(np.inf, index=answers.index)
    is_little = (contacts.to_numpy(np.float64) < little_data_contacts) | (not training["is_reliable"])
    is_unclear = (answers["low"] <= training["prevalence"]) & (training["prevalence"] <= answers["high"])
    return pd.Series(np.select([is_little, is_unclear], [TOO_LITTLE_DATA, UNCLEAR], CLEAR), index=answers.index)

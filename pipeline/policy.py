"""policy.yaml (written rules over feature columns) + features at several as_ofs -> hits: one row per client and rule, with evidence.

D9: write down which behaviour is a deal-breaker, so that each new case is judged objectively. A rule is a row of conditions on feature
columns, all of which must hold; it is met once it has held on the newest as_of and on `grace_snapshots` as_ofs in a row before it, so that
one bad month is no verdict (A4). What is not known does not count against anybody: a rule that needs an unknown value is *not measurable*
for that client, and one whose tables the source does not have, for nobody at all.

A source's own policy.yaml, beside its source.yaml, replaces the shipped one as a whole: rules are a business's own, and half of somebody
else's would be nobody's. Every name in it is checked when it is read. Its votes are a score, not a probability: nothing was learned.
"""

import re
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

import features as signals_package
from features.contract import Column, columns_in, discovered, spoken
from features.errors import UserError
from pipeline.featurize import NO_CLIENTS, featurize
from pipeline.settings import checked, read_yaml
from pipeline.source import SOURCES, Source
from pipeline.tables import sha256_of

NAME = "policy.yaml"
DEAL_BREAKER = "deal_breaker"
BOUNDS: dict[str, Callable[[Any, Any], Any]] = {"above": gt, "below": lt, "at_least": ge, "at_most": le}
HITS = ["client_id", "rule", "kind", "weight", "is_measurable", "is_hit", "held_snapshots", "evidence"]


@dataclass(frozen=True)
class Condition:
    """One bound on a feature column."""

    column: str
    bound: str  # of BOUNDS
    value: float

    def holds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Where it holds; an unknown value (NaN) meets no bound."""
        found: npt.NDArray[np.bool_] = BOUNDS[self.bound](values, self.value)
        return found


@dataclass(frozen=True)
class Rule:
    """One written rule. statements: codes of features/DOCUMENTS.md. evidence, told: format strings on columns of plain facts.

    evidence is for our own eyes; told is what may be said to the client, without blame (D7). None: the rule is not for the talk.
    """

    name: str
    title: str
    statements: tuple[str, ...]
    kind: Literal["deal_breaker", "warning"]
    where: tuple[Condition, ...]
    grace_snapshots: int  # as_ofs in a row, before the newest, on which it must have held too
    evidence: str
    weight: float  # of a deal-breaker's vote in the policy score
    told: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What must be known for it to be judged: without its evidence no rule is held against anybody."""
        spoken_of = [*columns_in(self.evidence), *columns_in(self.told or "")]
        return tuple(dict.fromkeys([*(condition.column for condition in self.where), *spoken_of]))


@dataclass(frozen=True)
class Policy:
    """The rules in their order, and the file they stand in with its content hash."""

    rules: tuple[Rule, ...]
    path: Path
    sha256: str

    @property
    def grace_snapshots(self) -> int:
        """How many as_ofs before the newest `hits` needs, to judge every rule."""
        return max(rule.grace_snapshots for rule in self.rules)


# ---- reading ----------------------------------------------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Condition(_Strict):
    column: str
    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_bound(self) -> "_Condition":
        if sum(getattr(self, bound) is not None for bound in BOUNDS) != 1:
            raise ValueError(f"exactly one of {', '.join(BOUNDS)}")
        return self


class _Rule(_Strict):
    title: str = Field(min_length=1)
    statements: list[str]
    kind: Literal["deal_breaker", "warning"]
    where: list[dict[str, Any]] = Field(min_length=1)
    grace_snapshots: int = Field(ge=0, le=24)
    evidence: str = Field(min_length=1)
    told: str | None = Field(default=None, min_length=1)
    weight: float = Field(default=1.0, gt=0, le=100)


class _Policy(_Strict):
    rules: dict[str, dict[str, Any]] = Field(min_length=1)


def read_policy(source: Source) -> Policy:
    """The source's policy.yaml, else the shipped one.

    Raises UserError for an unknown key, column, statement or placeholder (with the nearest known names), and for a value that would be
    spoken though it is no plain fact.
    """
    own = source.folder / NAME
    path = own if own.is_file() else SOURCES / NAME
    content: _Policy = checked(_Policy, read_yaml(path), str(path))
    rules = tuple(_rule(name, stated, f"{path}, rules.{name}") for name, stated in content.rules.items())
    return Policy(rules, path, sha256_of(path))


def _rule(name: str, stated: dict[str, Any], where: str) -> Rule:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(where, found=f"a rule named {name}", wanted="lower-case letters, digits and _", cure="rename it")
    read: _Rule = checked(_Rule, stated, where)
    conditions = tuple(_condition(item, f"{where}.where[{at}]") for at, item in enumerate(read.where))
    for code in read.statements:
        _known(code, statement_codes(), f"{where}.statements", "statement")
    sentences = {key: " ".join(text.split()) for key, text in (("evidence", read.evidence), ("told", read.told)) if text is not None}
    for key, sentence in sentences.items():
        _check_sentence(sentence, f"{where}.{key}")
    return Rule(
        name=name,
        title=read.title,
        statements=tuple(read.statements),
        kind=read.kind,
        where=conditions,
        grace_snapshots=read.grace_snapshots,
        weight=read.weight,
        **sentences,
    )


def _condition(stated: dict[str, Any], where: str) -> Condition:
    read: _Condition = checked(_Condition, stated, where)
    _known(read.column, _declared(), where, "column")
    bound = next(bound for bound in BOUNDS if getattr(read, bound) is not None)
    return Condition(read.column, bound, float(getattr(read, bound)))


def _check_sentence(sentence: str, where: str) -> None:
    try:
        columns = columns_in(sentence)
        for column in columns:
            _known(column, _declared(), where, "column")
        smoothed = [column for column in columns if column not in plain_facts()]
        if smoothed:
            raise UserError(
                where,
                found=f"{{{smoothed[0]}}}, which is no plain fact: it is smoothed, ranked or compared",
                wanted=f"what its own words speak: {', '.join(_own_words(smoothed[0])) or 'counts and shares of the same signal'}",
                cure="speak of those; conditions may stand on it all the same",
            )
        if any(conversion for _, _, _, conversion in string.Formatter().parse(sentence)):
            raise ValueError("a conversion such as !r")
        sentence.format_map(dict.fromkeys(columns, 1.0))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as problem:
        raise UserError(
            where,
            found=f"{sentence!r}: {problem}",
            wanted="a sentence with placeholders such as {overdue_share:.0%} or {hostile_180:.0f}",
            cure="correct the braces and formats",
        ) from problem


def _known(name: str, known: Collection[str], where: str, kind: str) -> None:
    if name in known:
        return
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    raise UserError(
        where,
        found=f"no {kind} named {name!r}",
        wanted=f"nearest: {', '.join(near)}" if near else f"one of the {len(known)} {kind}s there are",
        cure="correct the name; data/<source>/featurize/columns.json lists the columns, features/DOCUMENTS.md the statements",
    )


@cache
def _declared() -> Mapping[str, Column]:
    return {column.name: column for signal in discovered() for column in signal.columns}


@cache
def statement_codes() -> tuple[str, ...]:
    """The codes of the documents' statements: A1, A2 …"""
    text = (Path(signals_package.__path__[0]) / "DOCUMENTS.md").read_text(encoding="utf-8")
    return tuple(re.findall(r"^\| ([A-Z]\d+) \|", text, re.MULTILINE))


@cache
def plain_facts() -> frozenset[str]:
    """The columns that may be spoken: those that some signal's words speak, and counts and amounts that have neither words nor direction.

    A signal's words leave out what is smoothed, and a column with a direction but without words of its own is such a one.
    """
    declared = _declared()
    said = {name for column in declared.values() for words in (column.raises, column.lowers) for name in columns_in(words)}
    silent = {name for name, column in declared.items() if not (column.raises or column.lowers or column.churn or column.misfit)}
    return frozenset(said | silent)


def _own_words(column: str) -> list[str]:
    return sorted(set(columns_in(_declared()[column].raises)))


# ---- judging ----------------------------------------------------------------------------------------------------------------------


def hits(policy: Policy, features: pd.DataFrame, day: int) -> pd.DataFrame:
    """One row per client at `day` and rule, by client and in the policy's order: the columns HITS.

    features: client_id, as_of (local day), feature columns; for `day` and, in steps of the source's cadence, for the
    `policy.grace_snapshots` as_ofs before it; later ones are not read. A column that is not there is unknown, and an as_of at which the
    client has no row breaks the run. held_snapshots: as_ofs in a row up to `day` on which the rule held; evidence: None unless it is hit.
    """
    looks = sorted(set(features["as_of"]))
    if day not in looks:
        return pd.DataFrame(columns=HITS)
    looks = looks[: looks.index(day) + 1]
    seen = features[features["as_of"].isin(looks)]
    clients = pd.Index(sorted(seen.loc[seen["as_of"] == day, "client_id"]), name="client_id")
    row, place = clients.get_indexer(seen["client_id"]), pd.Index(looks).get_indexer(seen["as_of"])
    values = {
        column: _grid(seen, column, row, place, shape=(len(clients), len(looks)))
        for column in dict.fromkeys(column for rule in policy.rules for column in rule.columns)
    }
    judged = [_judged(rule, values, clients) for rule in policy.rules]
    table = pd.concat(judged).sort_values("client_id", kind="stable").reset_index(drop=True)
    return table[HITS]


def _grid(
    seen: pd.DataFrame, column: str, row: npt.NDArray[np.intp], place: npt.NDArray[np.intp], *, shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """The column's values, clients × as_ofs; NaN where there are none."""
    grid = np.full(shape, np.nan)
    if column in seen:
        there = row >= 0
        grid[row[there], place[there]] = seen[column].to_numpy(np.float64)[there]
    return grid


def _judged(rule: Rule, values: Mapping[str, npt.NDArray[np.float64]], clients: "pd.Index[str]") -> pd.DataFrame:
    is_known = np.all([np.isfinite(values[column]) for column in rule.columns], axis=0)
    holds = is_known & np.all([condition.holds(values[condition.column]) for condition in rule.where], axis=0)
    held = np.cumprod(holds[:, ::-1], axis=1).sum(axis=1)
    is_hit = held > rule.grace_snapshots
    newest = {column: values[column][:, -1] for column in columns_in(rule.evidence)}
    evidence = [
        spoken(rule.evidence, {name: float(of[at]) for name, of in newest.items()}) if hit else None for at, hit in enumerate(is_hit)
    ]
    return pd.DataFrame(
        {
            "client_id": clients,
            "rule": rule.name,
            "kind": rule.kind,
            "weight": rule.weight,
            "is_measurable": is_known[:, -1],
            "is_hit": is_hit,
            "held_snapshots": held,
            "evidence": pd.Series(evidence, dtype=object),
        }
    )


def score(hits: pd.DataFrame) -> "pd.Series[float]":
    """Per client_id, the weighted share of the measurable deal-breakers that it meets, 0..1; NaN where none is measurable.

    A policy score, not a probability: it says how much of what the owner wrote down is met, not how likely anything is.
    """
    counted = hits[(hits["kind"] == DEAL_BREAKER) & hits["is_measurable"].astype(bool)]
    weight = counted.groupby("client_id")["weight"].sum()
    met = counted["weight"].where(counted["is_hit"].astype(bool), 0.0).groupby(counted["client_id"]).sum()
    share: pd.Series[float] = (met / weight).astype(np.float64)
    return share.reindex(pd.Index(sorted(set(hits["client_id"])), name="client_id")).rename("policy_score")


def unmeasurable(policy: Policy, hits: pd.DataFrame, source: Source) -> dict[str, str]:
    """Rules that are measurable for none of the clients of `hits` -> why, in the policy's order: the tables the source lacks, or values."""
    measured = set(hits.loc[hits["is_measurable"].astype(bool), "rule"])
    silent = [rule for rule in policy.rules if rule.name not in measured]
    if not silent:
        return {}
    made = featurize(source.output / "validate", NO_CLIENTS, source)
    gone = [signal for signal in discovered() if signal.name in made.unavailable]
    lacking = {column.name: made.unavailable[signal.name] for signal in gone for column in signal.columns}
    lacking |= {column: tables for column, (_, tables) in made.left_out.items()}
    return {rule.name: _why(rule, lacking) for rule in silent}


def _why(rule: Rule, lacking: Mapping[str, list[str]]) -> str:
    tables = dict.fromkeys(table for column in rule.columns for table in lacking.get(column, []))
    return f"needs {', '.join(tables)}" if tables else f"no client has all of {', '.join(rule.columns)}"


def told(policy: Policy, silent: Mapping[str, str]) -> list[str]:
    """What the policy is, and which of its rules say nothing here and why (`unmeasurable`), in lines."""
    lines = [f"policy: {len(policy.rules)} rules of {policy.path} ({policy.sha256[:12]})"]
    return lines + [f"not measurable: {name} ({why})" for name, why in silent.items()]

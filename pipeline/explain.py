"""A target's shipped model on the newest snapshots -> why: data/<source>/explain/<target>/. And one client's reasons, on the terminal.

    contributions.parquet  one row per eligible client: base, contribution_<signal> …, agreement_<signal> …; base and they add up to
                           log_odds, the calibrated log-odds behind `probability`
    importance.csv         one row per signal: mean size of its contribution, in log-odds, and its share of all
    reasons.parquet        one row per client and reason: rank, signal, contribution, sentence
    beeswarm.png           every client's contributions by column, coloured by the column's value
    waterfall.png          the riskiest client: from the base value to its log-odds, signal by signal
    no_model.json          instead of all that, why there is nothing to explain

`python -m pipeline.explain --client ID` shows one client as the registered champions see it on the newest data, hence with the figures that
`make score` gives: whether it leaves, and whether it is a misfit, and with the step that `make score` advised on that day, if it ran; and
draws their waterfalls under data/<source>/clients/.
"""

import argparse
import difflib
import json
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.contract import spoken
from features.errors import NotEnoughHistory, UserError
from features.time import steps_back, to_date
from models import fitting, scorer
from pipeline import policy, reasons
from pipeline.delivery import shown
from pipeline.featurize import featurize
from pipeline.judge import (
    CHURN,
    MISFIT,
    Looked,
    Verdict,
    champions_of,
    chosen_day,
    hindsight_note,
    judge,
    lack_of,
    look,
    seen,
)
from pipeline.register import no_model, read_trained_model
from pipeline.score import doubt
from pipeline.source import Source, selected_source
from pipeline.stage import command, console, stage
from pipeline.tables import folder_written_whole, read_parquet, write_json, write_parquet, written_whole
from pipeline.train import chosen_target
from pipeline.wording import asked_in_words

MOST_COLUMNS = 15  # shown in the beeswarm
MOST_POINTS = 2_000  # clients drawn in the beeswarm, evenly spaced
RISK = {CHURN: "leaving", MISFIT: "being a misfit"}
AXIS = "contribution to the calibrated log-odds of {risk}"
NEAR = 5  # similar ids offered for one that is unknown

REASONS = pa.schema(
    [
        ("client_id", pa.string()),
        ("as_of", pa.date32()),
        ("rank", pa.int8()),
        ("signal", pa.string()),
        ("contribution", pa.float64()),
        ("sentence", pa.string()),
    ]
)


@dataclass(frozen=True)
class Explanation:
    """Why, for the clients of `asked` (client_id, as_of), in its order."""

    asked: pd.DataFrame
    features: pd.DataFrame
    answers: pd.DataFrame
    explained: scorer.Explained
    reasons: list[list[reasons.Reason]]


def newest(source: Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """client_id and as_of of the eligible clients at the newest as_of, and their features, in one order."""
    table = read_parquet(source.output / "snapshot" / "snapshots.parquet", ["client_id", "as_of", "status"])
    latest = pc.max(table["as_of"]).as_py()
    eligible = table.filter(pc.and_(pc.equal(table["as_of"], pa.scalar(latest, pa.date32())), pc.equal(table["status"], "eligible")))
    if not eligible.num_rows:
        raise NotEnoughHistory(
            str(source.output / "snapshot"),
            found=f"no eligible client on {latest}, the newest as_of",
            wanted="at least one",
            cure="see the statuses that snapshot printed; params.yaml (snapshot) holds their rules",
        )
    made = read_parquet(source.output / "featurize" / "features.parquet")
    made = made.filter(pc.equal(made["as_of"], pa.scalar(latest, pa.date32())))
    asked = eligible.select(["client_id", "as_of"]).to_pandas().sort_values("client_id", kind="stable").reset_index(drop=True)
    features = asked[["client_id"]].merge(made.to_pandas(), on="client_id", how="left", validate="1:1")
    return asked, features.drop(columns=["client_id", "as_of"])


def explain(model: scorer.Model, asked: pd.DataFrame, features: pd.DataFrame, source: Source) -> Explanation:
    """Contributions and reasons of every row of `features`."""
    explained = model.explain(features)
    found = reasons.top_reasons(
        model,
        explained,
        features,
        target=model.spec["target"],
        usual=model.linear.median,
        columns=reasons.declared_columns(),
        settings=source.settings.explain,
    )
    return Explanation(asked, features, model.predict(features), explained, found)


def contributions(model: scorer.Model, found: Explanation) -> pa.Table:
    """One row per client; see the module's first lines."""
    table = found.asked.assign(**{name: found.answers[name] for name in ("probability", "low", "high")})
    table = table.assign(base=found.explained.base, log_odds=found.explained.log_odds)
    for kind, values in (("contribution", found.explained.by_signal), ("agreement", found.explained.agreement)):
        table = table.assign(**{f"{kind}_{signal}": values[:, place] for place, signal in enumerate(model.signals)})
    return pa.Table.from_pandas(table, preserve_index=False)


def importance(model: scorer.Model, found: Explanation) -> pd.DataFrame:
    """One row per signal, the weightiest first: signal, title, mean_contribution_size (log-odds), share."""
    table = fitting.importance(model.signals, found.explained.by_signal)
    names = reasons.titles()
    table.insert(1, "title", [names.get(signal, signal) for signal in table["signal"]])
    return table


def spoken_reasons(found: Explanation) -> pa.Table:
    """One row per client and reason: client_id, as_of, rank, signal, contribution, sentence."""
    rows = [
        (client, as_of, rank, reason.signal, reason.contribution, reason.sentence)
        for client, as_of, own in zip(found.asked["client_id"], found.asked["as_of"], found.reasons, strict=True)
        for rank, reason in enumerate(own, start=1)
    ]
    return pa.Table.from_pylist([dict(zip(REASONS.names, row, strict=True)) for row in rows], schema=REASONS)


# ---- pictures ---------------------------------------------------------------------------------------------------------------------


def draw_beeswarm(path: Path, model: scorer.Model, found: Explanation) -> None:
    """shap's beeswarm of the contributions by column."""
    import shap

    rows = np.unique(np.linspace(0, len(found.asked) - 1, min(len(found.asked), MOST_POINTS)).astype(int))
    explanation = shap.Explanation(
        found.explained.by_column[rows],
        base_values=np.full(len(rows), found.explained.base),
        data=found.features.loc[:, list(model.columns)].to_numpy(np.float64)[rows],
        feature_names=list(model.columns),
    )
    with _picture(path), _same_jitter():
        axes = shap.plots.beeswarm(explanation, max_display=MOST_COLUMNS, show=False)
        axes.set_xlabel(AXIS.format(risk=RISK[model.spec["target"]]))


def draw_waterfall(path: Path, model: Any, explained: Any, row: int) -> None:
    """shap's waterfall of one client: base value, contributions by signal, log-odds."""
    import shap

    names = reasons.titles()
    explanation = shap.Explanation(
        explained.by_signal[row],
        base_values=explained.base,
        feature_names=[names.get(signal, signal) for signal in model.signals],
    )
    with _picture(path):
        shap.plots.waterfall(explanation, max_display=len(model.signals), show=False)


@contextmanager
def _picture(path: Path) -> Iterator[None]:
    """Whatever the block draws becomes the PNG at `path`, whole or not at all, and leaves no figure open."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a title in Hebrew still leaves a readable picture
            yield
            with written_whole(path) as temporary:
                plt.gcf().savefig(temporary, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    finally:
        plt.close("all")


@contextmanager
def _same_jitter() -> Iterator[None]:
    """shap scatters points by NumPy's global generator: the same scatter in every run, and the generator as it was before."""
    state = np.random.get_state()  # the global generator is what shap uses
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


# ---- the stage --------------------------------------------------------------------------------------------------------------------


def write_explanation(folder: Path, model: scorer.Model, found: Explanation) -> pd.DataFrame:
    """Writes the stage's files and returns the importance of the signals."""
    table = importance(model, found)
    riskiest = int(np.argmax(found.explained.log_odds))
    with folder_written_whole(folder) as building:
        write_parquet(building / "contributions.parquet", contributions(model, found))
        write_parquet(building / "reasons.parquet", spoken_reasons(found))
        with written_whole(building / "importance.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
        draw_beeswarm(building / "beeswarm.png", model, found)
        draw_waterfall(building / "waterfall.png", model, found.explained, riskiest)
    return table


def main() -> None:
    """data/<source>/train/<target>, featurize and snapshot -> data/<source>/explain/<target>."""
    source = selected_source()
    target = chosen_target(source)
    folder = source.output / "explain" / target
    if why := no_model(source, target):
        with folder_written_whole(folder) as building:
            write_json(building / "no_model.json", {"target": target, "no_model": why})
        console.print(f"no {target} model to explain: {why}", markup=False)
        return
    model = read_trained_model(source, target)
    found = explain(model, *newest(source), source)
    table = write_explanation(folder, model, found)
    moves = f"what moves their risk of {RISK[target]} (mean size, in log-odds)"
    console.print(f"{len(found.asked):,} eligible clients on {found.asked['as_of'][0]}; {moves}:")
    for row in table.itertuples():
        console.print(f"  {row.mean_contribution_size:.3f}  {row.share:4.0%}  {shown(str(row.title))}")
    n_said = sum(any(reason.sentence for reason in own) for own in found.reasons)
    console.print(f"{n_said:,} clients have a reason in words; contributions, reasons and pictures: {folder}")


# ---- one client -------------------------------------------------------------------------------------------------------------------


def explain_client(source: Source, client: str) -> list[Path]:
    """Prints what the champions see in one client on the newest data, and draws it; returns the pictures' paths, one per target judged."""
    validated = source.output / "validate"
    day = chosen_day(source, None, validated)
    champions = champions_of(source)
    rules = policy.read_policy(source)
    looked = look(source, [*steps_back(day, source.settings.time.cadence, rules.grace_snapshots), day], only=client)
    found = judge(source, champions, looked)
    status = _status_of(client, found.everyone, source)
    console.print(f"[bold]{shown(client)}[/bold] on {to_date(day)}: {status}")
    if not len(found.eligible):
        console.print(f"no probability: only eligible clients are judged ({_why(status)})")
        if status == "too_new" and (screen := first_meeting(source, validated, client, day)):
            console.print(f"first meeting: {screen}")
        return []
    if note := hindsight_note(champions[CHURN], day):
        console.print(note)
    pictures = []
    for target, verdict in found.verdicts.items():
        pictures.append(_tell_verdict(source, client, target, verdict, doubt(source, verdict, found.features)[0]))
    if MISFIT not in found.verdicts:
        console.print(f"no probability of {RISK[MISFIT]}: {lack_of(source, MISFIT)}", markup=False)
        _tell_policy(rules, looked)
    if advice := advised(source, client, day):
        console.print(advice, markup=False)
    return pictures


def advised(source: Source, client: str, day: int) -> str | None:
    """The step that `make score` advised for the client on `day`, and why, in a line; None where none was decided on that day."""
    path = source.output / "decide" / f"as_of={to_date(day)}" / "decisions.jsonl"
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as lines:
        own = next((row for row in map(json.loads, lines) if row["client_id"] == client), None)
    return own and f"advised on {own['as_of']} by `make score`: {own['action'].replace('_', ' ')}. {own['because']['sentence']}"


def _tell_policy(rules: policy.Policy, looked: Looked) -> None:
    """Prints which rules of the written policy the client meets: all that can be said of its fit without a model."""
    found = policy.hits(rules, seen({}, looked), looked.day)
    met = found[found["is_hit"].astype(bool)]
    console.print(f"  of the {found['is_measurable'].sum()} written rules that can be measured it meets {len(met)} ({rules.path})")
    for evidence in met["evidence"]:
        console.print(f"  {shown(evidence)}")


def _tell_verdict(source: Source, client: str, target: str, verdict: Verdict, doubted: str) -> Path:
    """Prints one target's probability and reasons, and draws its waterfall; returns its path. doubted: why the number is not clear."""
    model, version, answer = verdict.champion.model, verdict.champion.version, verdict.answers.iloc[0]
    range_ = f"{answer['low']:.2f}–{answer['high']:.2f}"
    console.print(f"probability of {RISK[target]} {answer['probability']:.2f} (80 % interval: {range_}{doubted and f', {doubted}'})")
    if (asked := asked_in_words(source, target, verdict.champion.question.get("basis"))).assumption:
        console.print(f"  {asked.assumption}")
    for reason in verdict.reasons[0]:
        console.print(f"  {'↑' if reason.contribution > 0 else '↓'} {shown(reason.sentence or _title(reason.signal))}")
    if not verdict.reasons[0]:
        console.print("  no reason that the members agree on")
    _print_table(model, verdict.explained)
    picture = source.output / "clients" / f"{file_name(client)}-{target}.png"
    draw_waterfall(picture, model, verdict.explained, 0)
    console.print(f"by {version} ({version.model_hash[:12]}); picture: {picture}")
    return picture


def first_meeting(source: Source, validated: Path, client: str, day: int) -> str | None:
    """What the first contacts of a client without a history of its own show (C10), in words; None where they are not on record."""
    asked = pa.table({"client_id": [client], "as_of": pa.array([to_date(day)], pa.date32())})
    values = {str(name): value for name, value in featurize(validated, asked, source).frame.iloc[0].items()}
    words = spoken(reasons.declared_columns()["intake_score"].raises, values)
    score = values["intake_score"]
    if words is None or not math.isfinite(score):
        return None
    return f"{words} Intake score, smoothed: {score:.1f} (1 = as much talk of price as is usual in so many contacts)."


def _status_of(client: str, everyone: pd.DataFrame, source: Source) -> str:
    known = everyone.set_index("client_id")["status"]
    if client in known.index:
        return str(known[client])
    near = difflib.get_close_matches(client, [str(name) for name in known.index], n=NEAR, cutoff=0.5)
    raise UserError(
        "CLIENT",
        found=f"{client!r}, which no client of {source.name} is called",
        wanted=f"a client_id, such as {', '.join(map(repr, near or sorted(known.index)[:NEAR]))}",
        cure=f"make explain CLIENT=<client_id>; {source.output / 'validate'} holds them all; ids are exact text, 00123 is not 123",
    )


def _why(status: str) -> str:
    return {
        "gone": "this one has left, or has been silent for very long",
        "silent": "this one is silent for longer than its own rhythm explains: ask it, do not wait for a score",
        "too_new": "this one is too new to have a history of its own",
        "too_infrequent": "this one comes more rarely than the horizon is long, so silence says nothing",
    }.get(status, status)


def _title(signal: str) -> str:
    return reasons.titles().get(signal, signal)


def _print_table(model: Any, explained: Any) -> None:
    """Contributions by signal, the weightiest first, with their sum."""
    shares = explained.by_signal[0]
    console.print("  log-odds  members agree  from")
    console.print(f"  {explained.base:+8.3f}                 base: the average client in training")
    for place in np.argsort(-np.abs(shares), kind="stable"):
        console.print(f"  {shares[place]:+8.3f}  {explained.agreement[0, place]:12.0%}  {shown(_title(model.signals[place]))}")
    console.print(f"  {explained.log_odds[0]:+8.3f}                 sum: calibrated log-odds of the probability above")


def file_name(client: str) -> str:
    """A file name for an id, whatever it holds: its letters and digits, and a hash that keeps similar ids apart.

    >>> file_name("../a b")
    'a_b-2c2c791a'
    """
    return f"{re.sub(r'[^0-9A-Za-z]+', '_', client).strip('_')[:40]}-{scorer.text_hash(client)[:8]}".lstrip("-")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.explain", description="why: all clients' contributions, or one client's reasons"
    )
    parser.add_argument("target", nargs="?", help="write all clients' contributions to this target's risk: churn or misfit")
    parser.add_argument("--client", metavar="ID", help="show this client as the champions see it on the newest data")
    chosen = parser.parse_args().client
    if chosen is None:
        stage("explain", main)
    else:
        command(lambda: explain_client(selected_source(), chosen))

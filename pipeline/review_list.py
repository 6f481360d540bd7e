"""What model or policy say of the eligible clients at one as_of -> a list for a person to judge: data/<source>/review_list/as_of=…/.

    reviews.csv    one row per client asked about, for a spreadsheet: plain facts and the written rules it meets, and empty columns
                   reviewed_on, reviewer, verdict (keep, misfit, unsure) and reason, to be filled in
    asked.parquet  the same clients, with what was said of them when the list was drawn up: what verdicts are later held against
    manifest.json  what the list was drawn by, its cut, counts, and sha256 sums, by which a filled list is known and never overwritten

Half are the clients that the machine is least sure of: those nearest the cut at which its advice turns (models/decision.py), in log-odds,
the model's own scale. Not those nearest 0.5: where few are misfits that asks about the likeliest only. Half are drawn at random, for what
the machine does not see (models/review_estimate.py). The draw comes first and from everybody, the uncertain ones from the rest: drawn from
what the uncertain leave over, it would be a sample of the clear cases.

Without a misfit model a met deal-breaker is what advice turns on, so those are uncertain that meet one, the fewest by the policy score
first: whether one crossed line makes a misfit is for a person to say. Where too few do, more are drawn at random. Both are said.

The reviewer is to judge alone. So the list shows neither probability nor reasons, which would tell how the model leans; the facts are the
same for every client, and rows stand in the order of their ids.

How a filled list comes back as rows of `reviews`: data/sources/review_list.sql. A spreadsheet makes 123 of the id 00123, and ids that it
would run as formulas stand with an apostrophe: review_id carries the id letter by letter, as hexadecimal; client_id is only for show.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.contract import spoken
from features.engine import measure
from features.errors import NotEnoughHistory, UserError
from features.measures import every_row, window
from features.time import steps_back, to_date, to_day
from models.decision import cut
from models.misfit import ECONOMICS, MARKED
from models.review_estimate import Honest, Share, honest_precision
from pipeline import policy
from pipeline.delivery import shown, write_spreadsheet
from pipeline.judge import MISFIT, Champion, chosen_day, hindsight_note, lack_of, look, seen, usable_champion_of
from pipeline.question import basis_of
from pipeline.snapshot import canonical_tables
from pipeline.source import SOURCES, Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_json, read_parquet, sha256_of, write_json, write_parquet

RANDOM, UNCERTAIN = "random", "uncertain"
PROBABILITY, POLICY_SCORE = "misfit_probability", "policy_score"
LIST, ASKED = "reviews.csv", "asked.parquet"
READ_BACK = SOURCES / "review_list.sql"
TO_FILL = ("reviewed_on", "reviewer", "verdict", "reason")
FACTS = (
    "Client for {tenure_days:.0f} days.",
    "Invoiced in the last 365 days: {revenue_365:,.0f} {currency}.",
    "Hours worked in the last 365 days: {staff_hours_365:,.0f}.",
    "Revenue less the cost of our work in the last 365 days: {contribution_margin_365:.0%} of the larger of the two.",
    "Complaints and escalations in the last 365 days: {criticism_365:.0f}.",
)
# why verdicts and labels differ: where the label is made of marks, and where it is read off the books
OF_MARKS = (
    "Not all of them stay unmarked: a verdict stands, a label counts marks within one outcome window only, and some will be marked later"
)
OF_BOOKS = "The two ask differently: a person judges the whole client, the books tell hours and what they left within one outcome window"
ASKED_SCHEMA = pa.schema(
    [
        ("review_id", pa.string()),
        ("client_id", pa.string()),
        ("as_of", pa.date32()),
        ("sampled", pa.string()),
        (PROBABILITY, pa.float64()),  # null without a model
        (POLICY_SCORE, pa.float64()),  # null where no deal-breaker is measurable
        ("is_above", pa.bool_()),  # of the cut: probability at or above it, or without a model a deal-breaker met; null where not known
    ]
)


@dataclass(frozen=True)
class Drawn:
    """A list drawn up. asked: ASKED_SCHEMA's columns, by client_id. facts: in words, in its order. manifest: what it was drawn by.

    policy: its lines, with the rules that say nothing here.
    """

    asked: pd.DataFrame
    facts: list[str]
    manifest: dict[str, Any]
    policy: list[str]


# ---- whom to ask about ------------------------------------------------------------------------------------------------------------


def drawn(doubt: "pd.Series[float]", n: int, seed: int, as_of: str) -> dict[str, str]:
    """Client -> random or uncertain, of at most n clients.

    doubt: per client (index), the distance from the cut; NaN = nothing was said, so it can only be drawn at random. Which clients are drawn
    depends on seed, as_of and their ids alone: the same again, and another month another draw.

    >>> drawn(pd.Series({"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.9}), 2, seed=1, as_of="2024-01-01")
    {'b': 'random', 'a': 'uncertain'}
    """
    lots = {client: hashlib.sha256(f"{seed} {as_of} {client}".encode()).hexdigest() for client in doubt.index}
    in_lot = sorted(lots, key=lambda client: (lots[client], client))
    n, known = min(n, len(in_lot)), set(doubt.dropna().index)
    n_uncertain = next(few for few in range(n // 2, -1, -1) if len(known.intersection(in_lot[n - few :])) >= few)
    at_random = in_lot[: n - n_uncertain]
    rest = doubt.loc[in_lot[len(at_random) :]].dropna().sort_values(kind="stable")
    return dict.fromkeys(at_random, RANDOM) | dict.fromkeys(rest.index[:n_uncertain], UNCERTAIN)


def doubts(probability: "pd.Series[float]", at: float) -> "pd.Series[float]":
    """How far each client's probability lies from the cut, in log-odds."""
    found: pd.Series[float] = (_log_odds(probability) - _log_odds(at)).abs()
    return found


def _log_odds(probability: Any) -> Any:
    return np.log(probability / (1 - probability))


def draw_up(source: Source, champion: Champion | None, day: int) -> Drawn:
    """The list at `day`. Raises NotEnoughHistory where no client is eligible, or none that was not reviewed of late."""
    settings, rules = source.settings, policy.read_policy(source)
    days = [*steps_back(day, settings.time.cadence, rules.grace_snapshots), day]
    clients = seen({MISFIT: champion} if champion else {}, look(source, days))
    now = clients[clients["as_of"] == day].set_index("client_id")
    if now.empty:
        raise NotEnoughHistory(
            "AS_OF",
            found=f"no eligible client on {to_date(day)}",
            wanted="clients to ask about",
            cure="choose another date; if there should be some, `make score` counts the clients by status, such as silent or too new",
        )
    met = policy.hits(rules, clients, day)
    now[POLICY_SCORE] = policy.score(met)
    is_due = ~now.index.isin(reviewed_lately(source, day))
    if not is_due.any():
        raise NotEnoughHistory(
            "AS_OF",
            found=f"{len(now)} eligible clients on {to_date(day)}, all reviewed in the {settings.review_list.passed_over_days} days before",
            wanted="clients to ask about",
            cure="choose a later date, or lower review_list.passed_over_days",
        )
    by = PROBABILITY if champion else POLICY_SCORE
    at = misfit_cut(source, champion.model.spec["training"]) if champion else 0.0
    doubt = doubts(now[PROBABILITY], at) if champion else now[POLICY_SCORE].where(now[POLICY_SCORE] > 0)
    sampled = drawn(doubt[is_due], settings.review_list.clients, settings.seed, str(to_date(day)))
    asked = now.loc[sorted(sampled)]
    is_above = asked[by] >= at if champion else asked[by] > at
    table = pd.DataFrame(
        {
            "review_id": [review_id(client, day) for client in asked.index],
            "client_id": asked.index,
            "as_of": to_date(day),
            "sampled": [sampled[client] for client in asked.index],
            PROBABILITY: asked[PROBABILITY].to_numpy(),
            POLICY_SCORE: asked[POLICY_SCORE].to_numpy(),
            "is_above": is_above.astype(object).where(asked[by].notna(), None).to_numpy(),
        }
    )
    manifest = {
        "source": source.name,
        "as_of": str(to_date(day)),
        "drawn_by": by,
        "cut": at,
        "model": str(champion.version) if champion else None,
        "no_model": None if champion else lack_of(source, MISFIT),
        "policy_sha256": rules.sha256,
        "data_version": data_version(source.output / "validate"),
        "n_clients": len(table),
        "n_random": int((table["sampled"] == RANDOM).sum()),
        "n_eligible": len(now),
        "n_passed_over": int((~is_due).sum()),
    }
    evidence = met[met["is_hit"].astype(bool)].groupby("client_id")["evidence"].agg(list).to_dict()
    facts = [_facts(asked.loc[client], evidence.get(client, []), source.spec.currency) for client in asked.index]
    return Drawn(table, facts, manifest, policy.told(rules, policy.unmeasurable(rules, met, source)))


def misfit_cut(source: Source, training: Mapping[str, Any]) -> float:
    """The probability from which a model calls a client a misfit. training: its spec's."""
    return cut(float(training["prevalence"]), source.settings.decide.misfit_times_base)


def reviewed_lately(source: Source, day: int) -> set[str]:
    """The clients with a review in the days before `day` in which a verdict is still good."""
    tables = canonical_tables(source.output / "validate")
    if "reviews" not in tables:
        return set()
    days = source.settings.review_list.passed_over_days
    found = measure({"reviews": tables["reviews"]}, [day], window("reviews", "reviews", every_row, days))
    return set(found.loc[found[f"reviews_{days}"] > 0, "client_id"])


def review_id(client_id: str, day: int) -> str:
    """One per client and as_of, and nothing that a spreadsheet would take for a number or a date.

    >>> review_id("=00", 19723)
    'review-2024-01-01.3d3030'
    """
    return f"review-{to_date(day)}.{client_id.encode().hex()}"


def _facts(client: "pd.Series[Any]", evidence: list[str], currency: str) -> str:
    """The same facts of every client, as far as they are known; then the written rules that it meets."""
    plain = (spoken(words.replace("{currency}", currency), _Unknown(client)) for words in FACTS)
    return " ".join([*filter(None, plain), *evidence])


class _Unknown(dict[str, float]):
    """A client's columns; one that the source does not give is unknown."""

    def __missing__(self, name: str) -> float:
        return float("nan")


# ---- files ------------------------------------------------------------------------------------------------------------------------


def write_list(folder: Path, made: Drawn, names: Mapping[str, str]) -> None:
    """Writes the list, all or nothing, and only where it differs from what stands there. Raises UserError over a list that is filled in."""
    asked = pa.table([pa.array(made.asked[field.name], field.type, from_pandas=True) for field in ASKED_SCHEMA], schema=ASKED_SCHEMA)
    texts: dict[str, Iterable[str | None]] = {
        "review_id": made.asked["review_id"],
        "client_id": made.asked["client_id"],
        "name": [names.get(client) for client in made.asked["client_id"]],
        "sampled": made.asked["sampled"],
        "facts": made.facts,
        **dict.fromkeys(TO_FILL, [None] * len(made.asked)),
    }
    with tempfile.TemporaryDirectory(prefix="clientfit-") as own:
        path = Path(own)
        write_parquet(path / ASKED, asked)
        write_spreadsheet(path / LIST, pa.table({name: pa.array(list(cells), pa.string()) for name, cells in texts.items()}))
        files = {name: {"sha256": sha256_of(path / name)} for name in (ASKED, LIST)}
        manifest = made.manifest | {"files": files}
        if not _is_written(folder, manifest):
            with folder_written_whole(folder) as building:
                for name in files:
                    (building / name).write_bytes((path / name).read_bytes())
                write_json(building / "manifest.json", manifest)


def _is_written(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether just this list stands there. Raises UserError if a list does that somebody has changed since it was written."""
    there = folder / LIST
    if not there.exists():
        return False
    stated = read_json(folder / "manifest.json") if (folder / "manifest.json").exists() else {}
    if sha256_of(there) != stated.get("files", {}).get(LIST, {}).get("sha256"):
        raise UserError(
            str(there),
            found="a list that was filled in or changed since it was written",
            wanted="to overwrite nobody's work",
            cure=f"bring it into the source ({READ_BACK} tells how) and move it away, or draw up a list for another AS_OF",
        )
    return dict(stated) == dict(manifest) and (folder / ASKED).exists() and sha256_of(folder / ASKED) == manifest["files"][ASKED]["sha256"]


def names_of(source: Source) -> dict[str, str]:
    """Client -> its name today: for the reader's eye, no feature."""
    path = source.output / "validate" / "clients.parquet"
    if not path.exists():
        return {}
    rows = read_parquet(path, ["client_id", "name", "superseded"]).to_pandas()
    current = rows[rows["superseded"].isna() & rows["name"].notna()]
    return dict(zip(current["client_id"], current["name"], strict=True))


# ---- what filled lists tell -------------------------------------------------------------------------------------------------------


def estimate(source: Source, training: Mapping[str, Any] | None) -> Honest | None:
    """The honest shares from every verdict on a client drawn at random that the source's reviews hold; None while there is none.

    What the model had said is taken from the lists themselves and, where no list of ours asked, from its out-of-time predictions.
    training: of the model's spec; None = there is no model.
    """
    path = source.output / "validate" / "reviews.parquet"
    if not path.exists():
        return None
    rows = read_parquet(path, ["client_id", "day", "verdict", "sampled", "superseded"]).to_pandas()
    reviews = rows[rows["superseded"].isna()]
    lists = [read_parquet(listed).to_pandas() for listed in sorted((source.output / "review_list").glob(f"as_of=*/{ASKED}"))]
    said = [_with_days(rows[["client_id", "as_of", "is_above"]].dropna()) for rows in lists]
    if training:
        said += [_predicted(source.output / "evaluate" / MISFIT / "predictions.parquet", misfit_cut(source, training))]
    together = pd.concat([pd.DataFrame(columns=["client_id", "as_of", "is_above"]), *said]).drop_duplicates(["client_id", "as_of"])
    return honest_precision(reviews, together, _labels(source), source.settings.time.calendar)


def _predicted(path: Path, at: float) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=["client_id", "as_of", "is_above"])
    rows = read_parquet(path, ["client_id", "as_of", "probability"]).to_pandas()
    return _with_days(rows.assign(is_above=rows["probability"] >= at)[["client_id", "as_of", "is_above"]])


def _labels(source: Source) -> pd.DataFrame:
    path = source.output / "label" / f"{MISFIT}.parquet"
    if not path.exists():
        return pd.DataFrame(columns=["client_id", "as_of", "label"])
    return _with_days(read_parquet(path, ["client_id", "as_of", "label"]).to_pandas())


def _with_days(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(as_of=np.array([to_day(on) for on in rows["as_of"]], np.int64))


def told(source: Source, training: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same for whoever reads a model's figures: as numbers and in `words`; None while nobody drawn at random was reviewed."""
    found = estimate(source, training)
    return None if found is None else found.to_json() | {"words": [line.strip() for line in in_words(found, basis_of(source))]}


def in_words(found: Honest | None, basis: str | None) -> Iterator[str]:
    """What the random half tells so far, in lines. basis: of the misfit label (models/misfit.py); None where none was made."""
    if found is None:
        unknown = "how many misfits go unmarked" if basis == MARKED else "how many are misfits by a person's judgement"
        yield f"no verdict yet on a client drawn at random: {unknown} is not known"
        return
    yield f"of the clients drawn at random {_said(found.misfits)} are misfits by their reviewers; {found.n_unsure} more were unsure"
    if found.above:
        yield f"  of those at or above the cut {_said(found.above)}: the honest precision"
    if found.below:
        yield f"  of those below the cut {_said(found.below)}" + ("" if found.above else "; nobody is known to have been above it")
    if found.labelled:
        share, n = found.labelled.value, found.labelled.n
        by = " by the books" if basis == ECONOMICS else ""
        yield f"  of those never asked about, at the same as_ofs, {share:.1%} are labelled misfits{by} ({n:,} snapshots)"
    if ratio := found.misfits_per_labelled:
        why = OF_BOOKS if basis == ECONOMICS else OF_MARKS
        yield f"  that is {ratio[0]:.1f} [{ratio[1]:.1f}, {ratio[2]:.1f}] misfits by verdict to each labelled one. {why}"


def _said(share: Share) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}] ({share.n_positive} of {share.n})"


# ---- on the terminal --------------------------------------------------------------------------------------------------------------


def tell(made: Drawn, folder: Path) -> None:
    """Prints what the list is and what to do with it."""
    for line in made.policy:
        console.print(shown(line))
    stated = made.manifest
    console.print(
        f"{stated['n_clients']} of {stated['n_eligible']:,} eligible clients on {stated['as_of']}: {stated['n_random']} drawn at random,"
        f" {stated['n_clients'] - stated['n_random']} the most uncertain; {stated['n_passed_over']:,} passed over, reviewed of late"
    )
    if stated["no_model"]:
        console.print(f"no misfit model ({shown(stated['no_model'])}): uncertain are those that meet a deal-breaker, the fewest first")
    console.print(f"to fill in: {folder / LIST} – verdict keep, misfit or unsure; the model's number is left out, lest it judge for you")
    console.print(f"how it comes back as reviews: {READ_BACK}")


def main(arguments: list[str] | None = None) -> None:
    """The chosen source's misfit champion and policy on data/<source>/validate -> data/<source>/review_list/as_of=…"""
    parser = argparse.ArgumentParser(prog="python -m pipeline.review_list", description="clients to be judged by a person, as a CSV")
    parser.add_argument("--as-of", metavar="YYYY-MM-DD", help="the day to look from (default: the day of the export)")
    source = selected_source()
    day = chosen_day(source, parser.parse_args(arguments).as_of, source.output / "validate")
    champion = usable_champion_of(source, MISFIT)
    if champion and (note := hindsight_note(champion, day)):
        console.print(note)
    made = draw_up(source, champion, day)
    folder = source.output / "review_list" / f"as_of={to_date(day)}"
    write_list(folder, made, names_of(source))
    tell(made, folder)
    for line in in_words(estimate(source, champion.model.spec["training"] if champion else None), basis_of(source)):
        console.print(line)


if __name__ == "__main__":
    stage("review_list", main)

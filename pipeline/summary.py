"""A source's outputs -> what `make train` prints at its end: the grade, the figures, how often they were read, where results lie."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from models.judgement import is_known
from models.metrics import INTERVAL
from pipeline import reads
from pipeline.card import decay_told, gap_told
from pipeline.source import Source, selected_source
from pipeline.stage import command, console
from pipeline.tables import read_json
from pipeline.wording import MEASURE_WORDS, MODEL_WORDS, number, shown

WIDTH = 90  # columns of a terminal that nobody has made wider
MEASURES = (
    *("auc", "average_precision_over_base_rate", "lift_at_10_percent", "found_at_capacity", "value_lift_at_10_percent"),
    *("brier_skill", "predicted_over_observed", "calibration_slope"),
)
WORDS = MEASURE_WORDS | {"average_precision_over_base_rate": "precision / base"}
PARTS = (MODEL_WORDS, {"model_minus_recency": "model − recency", "model_minus_rfm": "model − RFM", "unseen_clients": "unseen clients"})
RESULTS = (
    ("rows: account and quarantine", "validate"),
    ("features and what they mean", "featurize"),
    ("figures, card, predictions, plots", "evaluate/churn"),
    ("contributions, importance, plots", "explain"),
)


def told(found: Mapping[str, Any]) -> Group:
    """The grade and the figures for the terminal, within WIDTH columns."""
    test = found["test"]
    return Group(
        f"[bold]{found['grade']['text']}[/bold]\n",
        f"Final test: as_of {test['from']} to {test['until']}, {test['n_rows']:,} snapshots of {test['n_clients']:,} clients,"
        f" {test['n_churned_clients']:,} of whom were lost. In brackets: {INTERVAL[1] - INTERVAL[0]:.0f} % interval over clients.",
        *(_part(test, headings) for headings in PARTS),
        _legend(test),
        "",
        _by_origin(found["by_origin"]),
        " ".join(gap_told(found["validation_gap"])),
        *([decay_told(found["decay"])] if found["decay"] else []),
        *_horizons(found["horizons"]),
        _slices(found["slices"]),
        f"Data {found['data_version'][:12]}.",
    )


def _part(test: Mapping[str, Any], headings: Mapping[str, str]) -> Table:
    table = Table(pad_edge=False, box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True, min_width=max(len(WORDS[measure]) for measure in MEASURES))
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True, min_width=20)
    for measure in MEASURES:
        table.add_row(WORDS[measure], *(shown(test[part][measure], is_difference="minus" in part, digits=2) for part in headings))
    return table


def _legend(test: Mapping[str, Any]) -> str:
    at_capacity = test["at_capacity"]
    return (
        "AUC: 0.5 = chance, 1 = perfect. Precision / base and lifts: 1 = a random list. Found at capacity: those lost among the"
        f" {at_capacity['contacted']:.0f} riskiest of an as_of, by chance {shown(at_capacity['found_by_chance'], digits=2)}. Brier skill:"
        " 0 = saying the base rate of everybody, 1 = perfect. Predicted/observed and slope: 1 = right. Unseen clients: judged by members"
        " that never saw the client."
    )


def _by_origin(by_origin: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(pad_edge=False, box=SIMPLE_HEAD, title="By origin: the AUC that training promised, and what came", title_justify="left")
    table.add_column("made on", no_wrap=True)
    for heading in ("lost of", "promised", "came", "predicted/observed", "slope"):
        table.add_column(heading, justify="right", no_wrap=True)
    for own in by_origin:
        table.add_row(
            "final test" if own["is_test"] else own["fold"],
            f"{own['n_churned_clients']:,} of {own['n_clients']:,}",
            number(own["oob_auc"]),
            *(shown(own[name], digits=2) for name in ("auc", "predicted_over_observed")),
            number(own["calibration_slope"]["value"]),
        )
    return table


def _horizons(horizons: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    parts = []
    for own in horizons:
        where = "test" if own["test"] and is_known(own["test"]["auc"]) else "origins"
        if own[where] and is_known(own[where]["auc"]):
            since = "" if where == "test" else " (rolling origins; the final test's outcomes are not known yet)"
            lost = own[where]["prevalence"]["value"]
            parts.append(f"  {own['horizon_days']:>3} days {shown(own[where]['auc'], digits=2)}, {lost:.1%} lost{since}")
    if parts:
        yield "AUC by horizon, on the final test:"
        yield from parts


def _slices(slices: Mapping[str, Any]) -> str:
    worse = [f"{own['trait']} {own['slice']}: {own['told']}" for own in slices["slices"] if own["told"] and is_known(own["auc"])]
    if not worse:
        return f"Slices: none fares worse than the rest beyond noise ({slices['n_comparisons']} comparisons, Holm at 5 %)."
    return "Slices that fare worse beyond noise: " + escape("; ".join(worse)) + "."


def summarise(source: Source) -> None:
    """Prints the figures of the last training and where everything lies."""
    page = Console(highlight=False, width=WIDTH)
    page.print(f"\n[bold]{source.name}[/bold]: {source.spec.description.strip()}\n")
    found = read_json(source.output / "evaluate/churn/metrics.json")
    facts = read_json(source.output / "train/churn/training.json")
    page.print(told(found))
    n_read = reads.n_models(reads.Read.of(source.name, found, facts))
    page.print(f"Log of reads: {reads.told(n_read)}.")
    columns = read_json(source.output / "featurize/columns.json")
    for lack in columns["unavailable"]:
        console.print(f"signal {lack['signal']} is unavailable: the source has no {', '.join(lack['missing_tables'])}")
    registered = read_json(source.output / "register/registration.json")
    console.print(f"\nregistered: {registered['model']} version {registered['version']}, {registered['role']}")
    for what, where in RESULTS:
        console.print(f"  {what:<35}{Path(source.output) / where}")
    console.print(f"next: make score SOURCE={source.asked_as}   make explain SOURCE={source.asked_as} CLIENT=<client_id>")


if __name__ == "__main__":
    command(lambda: summarise(selected_source()))

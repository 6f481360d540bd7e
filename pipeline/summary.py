"""A source's outputs -> what `make train` prints at its end: per target grade, figures, how often they were read; where all lies."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from models.grade import Words
from models.judgement import is_known
from models.metrics import INTERVAL
from pipeline import reads
from pipeline.card import decay_told, gap_told
from pipeline.source import Source, selected_source
from pipeline.stage import command, console
from pipeline.tables import read_json
from pipeline.wording import MEASURE_WORDS, MODEL_WORDS, RULE_WORDS, asked_in_words, number, shown, words_of

WIDTH = 90  # columns of a terminal that nobody has made wider
WIDE = 9.995  # is written with two digits before the point
MEASURES = (
    *("auc", "average_precision_over_base_rate", "lift_at_10_percent", "found_at_capacity", "value_lift_at_10_percent"),
    *("brier_skill", "predicted_over_observed", "calibration_slope"),
)
WORDS = MEASURE_WORDS | {"average_precision_over_base_rate": "precision / base"}
PARTS = (MODEL_WORDS, {"model_minus_recency": "model − recency", "model_minus_rfm": "model − RFM", "unseen_clients": "unseen clients"})
RESULTS = (
    ("rows: account and quarantine", "validate"),
    ("features and what they mean", "featurize"),
)
RESULTS_OF_A_TARGET = (
    ("figures, card, predictions, plots", "evaluate"),
    ("contributions, importance, plots", "explain"),
)


def told(found: Mapping[str, Any], words: Words) -> Group:
    """One target's grade and figures (metrics.json) for the terminal, within WIDTH columns."""
    test = found["test"]
    return Group(
        f"[bold]{found['grade']['text']}[/bold]\n",
        f"Final test: as_of {test['from']} to {test['until']}, {test['n_rows']:,} snapshots of {test['n_clients']:,} clients,"
        f" {test['n_churned_clients']:,} of whom were {words.positive}. In brackets: {INTERVAL[1] - INTERVAL[0]:.0f} % interval over"
        " clients.",
        *(_part(test, headings) for headings in PARTS),
        _legend(test, words),
        *_rules(test, found.get("beyond_rule")),
        "",
        _by_origin(found["by_origin"], words),
        " ".join(gap_told(found["validation_gap"])),
        *([decay_told(found["decay"])] if found["decay"] else []),
        *_horizons(found["horizons"], words),
        _slices(found["slices"]),
        f"Data {found['data_version'][:12]}.",
    )


def _part(test: Mapping[str, Any], headings: Mapping[str, str]) -> Table:
    table = Table(pad_edge=False, box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True, min_width=max(len(WORDS[measure]) for measure in MEASURES))
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True, min_width=20)
    for measure in MEASURES:
        table.add_row(WORDS[measure], *(_within(test[part][measure], is_difference="minus" in part) for part in headings))
    return table


def _within(figure: Mapping[str, float | None], *, is_difference: bool) -> str:
    """In two digits, or one where it has ten or more before the point, so that three stand side by side."""
    is_wide = any(abs(end) >= WIDE for end in figure.values() if end is not None)
    return shown(figure, is_difference=is_difference, digits=1 if is_wide else 2)


def _rules(test: Mapping[str, Any], beyond: Mapping[str, Any] | None) -> Iterator[Table | str]:
    """The rules that only some targets have beside the model; and how it does where the label's own rule says nothing."""
    rules = [name for name in RULE_WORDS if name in test]
    if rules:
        table = Table(pad_edge=False, box=SIMPLE_HEAD, title="AUC of further rules", title_justify="left")
        for heading in ("", "rule", "model − rule"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for name in rules:
            difference = shown(test[f"model_minus_{name}"]["auc"], is_difference=True, digits=2)
            table.add_row(RULE_WORDS[name], shown(test[name]["auc"], digits=2), difference)
        yield table
    if beyond and beyond["test"]:
        known = beyond["test"]
        aucs = ", ".join(f"{words} {shown(known[name]['auc'], digits=2)}" for name, words in MODEL_WORDS.items())
        yield f"Of the {known['n_rows']:,} snapshots that do not meet the same rule already: AUC {aucs}."


def _legend(test: Mapping[str, Any], words: Words) -> str:
    at_capacity = test["at_capacity"]
    return (
        f"AUC: 0.5 = chance, 1 = perfect. Precision / base and lifts: 1 = a random list. Found at capacity: {words.positive} among the"
        f" {at_capacity['contacted']:.0f} that it names first of an as_of, by chance {shown(at_capacity['found_by_chance'], digits=2)}."
        " Brier skill: 0 = saying the base rate of everybody, 1 = perfect. Predicted/observed and slope: 1 = right. Unseen"
        " clients: judged by members that never saw the client."
    )


def _by_origin(by_origin: Sequence[Mapping[str, Any]], words: Words) -> Table:
    table = Table(pad_edge=False, box=SIMPLE_HEAD, title="By origin: the AUC that training promised, and what came", title_justify="left")
    table.add_column("made on", no_wrap=True)
    for heading in (f"{words.positive} of", "promised", "came", "predicted/observed", "slope"):
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


def _horizons(horizons: Sequence[Mapping[str, Any]], words: Words) -> Iterator[str]:
    parts = []
    for own in horizons if len(horizons) > 1 else ():
        where = "test" if own["test"] and is_known(own["test"]["auc"]) else "origins"
        if own[where] and is_known(own[where]["auc"]):
            since = "" if where == "test" else " (rolling origins; the final test's outcomes are not known yet)"
            share = own[where]["prevalence"]["value"]
            parts.append(f"  {own['horizon_days']:>3} days {shown(own[where]['auc'], digits=2)}, {share:.1%} {words.positive}{since}")
    if parts:
        yield "AUC by horizon, on the final test:"
        yield from parts


def _slices(slices: Mapping[str, Any]) -> str:
    worse = [f"{own['trait']} {own['slice']}: {own['told']}" for own in slices["slices"] if own["told"] and is_known(own["auc"])]
    if not worse:
        return f"Slices: none fares worse than the rest beyond noise ({slices['n_comparisons']} comparisons, Holm at 5 %)."
    return "Slices that fare worse beyond noise: " + escape("; ".join(worse)) + "."


def summarise(source: Source) -> None:
    """Prints every target's figures of the last training, or why it has none, and where everything lies."""
    page = Console(highlight=False, width=WIDTH)
    page.print(f"\n[bold]{source.name}[/bold]: {escape(source.spec.description.strip())}\n")
    for target in source.settings.targets:
        _summarise(source, target, page)
    columns = read_json(source.output / "featurize/columns.json")
    for lack in columns["unavailable"]:
        console.print(f"signal {lack['signal']} is unavailable: the source has no {', '.join(lack['missing_tables'])}")
    registered = {target: read_json(source.output / "register" / target / "registration.json") for target in source.settings.targets}
    for own in registered.values():
        if "version" in own:
            console.print(f"registered: {own['model']} version {own['version']}, {own['role']}")
    places = [*RESULTS]
    places += [
        (f"{target}: {what}", f"{where}/{target}")
        for target, own in registered.items()
        if "version" in own
        for what, where in RESULTS_OF_A_TARGET
    ]
    for what, where in places:
        console.print(f"  {what:<43}{Path(source.output) / where}")
    console.print(f"next: make score SOURCE={source.asked_as}   make explain SOURCE={source.asked_as} CLIENT=<client_id>")


def _summarise(source: Source, target: str, page: Console) -> None:
    found = read_json(source.output / "evaluate" / target / "metrics.json")
    if "no_model" in found:
        page.print(f"[bold]{target}[/bold]: no model, no probability: {escape(found['no_model'])}\n")
        return
    asked = asked_in_words(source, target, found.get("basis"))
    page.print(f"[bold]{target}[/bold]: {asked.question} Positive: {asked.outcome}.")
    if found.get("basis"):
        page.print(f"Basis of the label: {found['basis']}. {asked.assumption}")
    for line in (found.get("review_estimate") or {}).get("words", ()):
        page.print(line, markup=False)
    page.print(told(found, words_of(source, target)))
    facts = read_json(source.output / "train" / target / "training.json")
    page.print(f"Log of reads: {reads.told(reads.n_models(reads.Read.of(source.name, found, facts)))}.\n")


if __name__ == "__main__":
    command(lambda: summarise(selected_source()))

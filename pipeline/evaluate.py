"""Out-of-time predictions -> data/<source>/evaluate/<target>/: figures with intervals beside the baselines, plots, a grade, a card.

    predictions.parquet  target, client_id, as_of, fold, label, probability: every out-of-time prediction
    metrics.json         every figure as {value, low, high}, with the 95 % interval of a bootstrap over clients:
        grade            a level and two or three sentences (models/grade.py)
        test, origins    the final period, and the rolling origins pooled: the population, `model`, `recency`, `rfm`,
                         `model_minus_recency`, `model_minus_rfm` and `unseen_clients`, each with all measures (models/metrics.py)
        by_origin        each fold by itself, its calibration, and what training inside promised (oob_auc)
        validation_gap   how far rolling origins lay from the test, and training inside from what came
        decay            models as they age, by month, and beside fresh ones on the same snapshots
        slices           by size, tenure, segment, language and history, on all out-of-time rows
        horizons         the main horizon's figures for the others too
        beyond_rule      misfit: test and origins once more, of the clients only that do not meet the label's own rule already
        training         what the evaluated model was trained on; basis of the label (misfit); data_version
        review_estimate  misfit: what verdicts on clients drawn at random say of the label's unmarked (models/review_estimate.py), in
                         numbers and `words`; null while there are none
    model_card.md        all of it for whoever finds the model in the registry
    plots/               pictures, and the same as CSV for `dvc plots` (pipeline/plots.py)

`unseen_clients` judges the same snapshots by those members only that never saw the client: how the model does on clients it does not know.
Where train made no model, metrics.json says why (`no_model`), predictions have no row, and plots/ holds a word only.
Every evaluation reads the final period and is counted (pipeline/reads.py). The count is printed, not stored here, so that equal inputs
give equal bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.markup import escape

from models.backtest import TEST
from models.grade import Words, grade
from models.judgement import Rules, beyond_rule, by_horizon, by_origin, decay, of_period, validation_gap
from models.slices import by_slice
from pipeline import card, plots, reads, review_list
from pipeline.judge import MISFIT
from pipeline.settings import Settings
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_json, read_parquet, write_json, write_parquet, write_text
from pipeline.train import basis_in, chosen_target
from pipeline.traits import Traits, traits_of
from pipeline.wording import MODEL_WORDS, RULE_WORDS, shown, words_of

PREDICTIONS = pa.schema(
    [
        ("target", pa.string()),
        ("client_id", pa.string()),
        ("as_of", pa.date32()),
        ("fold", pa.string()),
        ("label", pa.int8()),
        ("probability", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Predicted:
    """What train left. backtest: every out-of-time prediction; later, horizons: see models/judgement.py; facts: training.json.

    later and horizons may be None or without rows: a history too short for them.
    """

    backtest: pd.DataFrame
    later: pd.DataFrame | None
    horizons: pd.DataFrame | None
    facts: Mapping[str, Any]

    @property
    def is_test(self) -> "pd.Series[bool]":
        return self.backtest["fold"] == TEST


def read_predicted(training: Path) -> Predicted:
    """The outputs of train. Raises UserError where one is missing."""
    backtest, later, horizons = (read_parquet(training / f"{name}.parquet").to_pandas() for name in ("backtest", "later", "horizons"))
    return Predicted(backtest, later, horizons, read_json(training / "training.json"))


def rules_of(settings: Settings) -> Rules:
    """The knobs of the figures."""
    return Rules(settings.train.bootstrap_resamples, settings.seed, settings.evaluate.capacity)


def evaluation(predicted: Predicted, traits: Traits, settings: Settings, words: Words) -> dict[str, Any]:
    """All figures; `origins` is null, and lists are empty, where the history has no room for them."""
    rows, rules, facts = predicted.backtest, rules_of(settings), predicted.facts
    test, origins = rows[predicted.is_test], rows[~predicted.is_test]
    of_test = of_period(test, rules)
    each, some = by_origin(rows, facts["folds"], TEST, rules), rules.some(rows)
    slices = by_slice(
        rules.judged(rows[some]),
        rows.loc[some, "probability"].to_numpy(float),
        {trait: np.asarray(of_row, object)[some].tolist() for trait, of_row in traits.of_row.items()},
        order=traits.order,
        least_churned=settings.evaluate.slice_least_churned,
    )
    slices["all"]["n_as_ofs"] = int(rows["as_of"].nunique())
    return {
        "grade": grade(of_test, slices["all"], facts["evaluated"], words).to_json(),
        "test": of_test,
        "origins": of_period(origins, rules) if len(origins) else None,
        "by_origin": each,
        "validation_gap": validation_gap(rows, predicted.is_test, each, rules),
        "decay": decay(predicted.later, rows, rules),
        "slices": slices | {"about": traits.about, "left_out": traits.left_out},
        "horizons": by_horizon(predicted.horizons, TEST, rules),
        "beyond_rule": beyond_rule(rows, predicted.is_test, rules),
        "training": facts["evaluated"],
    }


def predictions_table(backtest: pd.DataFrame, target: str) -> pa.Table:
    """The contract's columns of every out-of-time prediction, by fold, as_of and client."""
    named = backtest.assign(target=target)[PREDICTIONS.names]
    return pa.Table.from_pandas(named, schema=PREDICTIONS, preserve_index=False).replace_schema_metadata(None)


def evaluate(source: Source, target: str) -> tuple[dict[str, Any], int]:
    """Writes data/<source>/evaluate/<target>; returns the figures, and how many models the final period has now been read by."""
    training, folder = source.output / "train" / target, source.output / "evaluate" / target
    predicted, words = read_predicted(training), words_of(source, target)
    traits = traits_of(predicted.backtest, source.output, source.settings.evaluate)
    found = {
        "target": target,
        **basis_in(predicted.facts),
        "data_version": data_version(source.output / "validate"),
        **evaluation(predicted, traits, source.settings, words),
    }
    n_read = reads.note(reads.Read.of(source.name, found, predicted.facts))  # before anybody can see a figure
    write_parquet(folder / "predictions.parquet", predictions_table(predicted.backtest, target))
    if target == MISFIT:
        found["review_estimate"] = review_list.told(source, predicted.facts["shipped"])
    test = predicted.backtest[predicted.is_test]
    importance = predicted.facts.get("importance", [])
    drawn = plots.drawings(found, test, rules_of(source.settings), importance=importance, words=words)
    plots.write_plots(folder / "plots", drawn)
    write_json(folder / "metrics.json", found)
    write_text(folder / "model_card.md", card.model_card(source, target, found, predicted.facts))
    return found, n_read


def write_no_model(source: Source, target: str, facts: Mapping[str, Any]) -> None:
    """The stage's outputs where train made no model. facts: training.json."""
    folder = source.output / "evaluate" / target
    write_parquet(folder / "predictions.parquet", PREDICTIONS.empty_table())
    with folder_written_whole(folder / "plots") as plotted:
        write_text(plotted / "README.txt", "There is no model, hence no picture.\n")
    write_json(folder / "metrics.json", dict(facts) | {"data_version": data_version(source.output / "validate")})
    write_text(folder / "model_card.md", f"# {source.registered(target)}: {target}\n\nThere is no model: {facts['no_model']}.\n")


def in_one_line(judged: Mapping[str, Any], what: str) -> str:
    """The AUCs of model and baselines."""
    words = MODEL_WORDS | RULE_WORDS
    parts = (f"{words[key]} {shown(judged[key]['auc'])}" for key in words if key in judged)
    return f"AUC on {judged['n_rows']:,} {what}: {', '.join(parts)}"


def main() -> None:
    """data/<source>/train/<target> -> data/<source>/evaluate/<target>."""
    source = selected_source()
    target = chosen_target(source)
    facts = read_json(source.output / "train" / target / "training.json")
    if "no_model" in facts:
        write_no_model(source, target, facts)
        console.print(f"no {target} model: {escape(facts['no_model'])}")
        return
    found, n_read = evaluate(source, target)
    console.print(found["grade"]["text"])  # `make train` ends with the tables (pipeline/summary.py)
    console.print(in_one_line(found["test"], "test snapshots"))
    if found["beyond_rule"] and found["beyond_rule"]["test"]:
        console.print(in_one_line(found["beyond_rule"]["test"], "of them that do not meet the same rule already"))
    console.print(reads.told(n_read))


if __name__ == "__main__":
    stage("evaluate", main)

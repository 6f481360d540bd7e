"""A model's figures and facts -> its card: what a consumer of the registry must know, as Markdown; and the same in short.

The whole card is written by evaluate and logged beside the model; register adds the code's version and how often the final period was read.
The short form is the version's description in the registry, which takes LIMIT characters and no more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.grade import Words
from models.judgement import is_known
from models.metrics import MEASURES
from pipeline.reasons import titles
from pipeline.source import Source
from pipeline.wording import MEASURE_WORDS, MODEL_WORDS, RULE_WORDS, asked_in_words, number, shown, words_of

LIMIT = 5_000  # characters of a description in MLflow's store
SHORTER = {"recency": "recency", "rfm": "RFM"}  # beside "model −"
BASELINES = {**MODEL_WORDS, **RULE_WORDS}
MINUS = {f"model_minus_{name}": f"model − {SHORTER.get(name, words)}" for name, words in BASELINES.items() if name != "model"}
COLUMNS = {**BASELINES, **MINUS, "unseen_clients": "unseen clients"}
IN_SHORT = ("auc", "lift_at_10_percent", "found_at_capacity", "brier_skill", "predicted_over_observed", "calibration_slope")
OF_ORIGIN = ("average_precision", "brier", "predicted_over_observed", "calibration_slope")
FULL_WORDS = MEASURE_WORDS | {"average_precision_over_base_rate": "average precision over base rate", "calibration_intercept": "intercept"}
PLOTS = ("gain", "lift", "reliability", "backtest", "slices", "decay", "importance")

Facts = Mapping[str, Any]


def model_card(source: Source, target: str, found: Facts, facts: Facts) -> str:
    """The whole card. found: metrics.json. facts: training.json."""
    words = words_of(source, target)
    sections: dict[str, Iterable[str]] = {
        "Question and purpose": _question(source, target, found.get("basis"), words),
        "Data and population": _population(source, facts, words),
        "Final test period": _figures(found["test"], words),
        "Rolling origins before it, pooled": _figures(found["origins"], words),
        "Clients that do not meet the rule already": _beyond_rule(found.get("beyond_rule"), words),
        "By origin": _by_origin(found, words),
        "Slices": _slices(found["slices"], words),
        "Decay": _decay(found["decay"]),
        "Horizons": _horizons(found["horizons"], source.settings.time.horizon_days),
        "Calibration": _calibration(found["slices"]["all"], facts["calibration"]),
        "What moves it": _importance(facts.get("importance", [])),
        "Searched for leaks": _leaks(facts.get("leakage", {})),
        "Limits": _limits(source, target, found, words),
        "How to use it": _use(),
        "Where it comes from": [f"Data {found['data_version'][:12]}, model {facts['model_hash'][:12]}."],
    }
    told = [f"# {source.registered(target)}: {target}", found["grade"]["text"]]
    told += [f"## {title}\n\n{text}" for title, lines in sections.items() if (text := "\n".join(lines))]
    return "\n\n".join(told) + "\n"


def registered(whole: str, *, code: str, reads: str) -> str:
    """The whole card with what only the registry knows: the code's version, and how often the final period was read."""
    return f"{whole.rstrip()}\nCode {code[:20]}. Of the figures: {reads}.\n"


def short(source: Source, target: str, found: Facts, spec: Facts, *, told: Sequence[str]) -> str:
    """The description of a version: grade, question, reliability, flags (`told`), the final test's main figures, where the rest is."""
    training, test, words = spec["training"], found.get("test", {}), words_of(source, target)
    lines = [
        f"# {source.registered(target)}: {target}\n",
        found.get("grade", {}).get("text", "") + "\n",
        *_question(source, target, found.get("basis"), words),
        f"\nTrained on {_trained(training, words)}. Reliability: {training['tier']}; {training['size_reason']}.\n",
        *told,
        "",
        *(_compared(test, IN_SHORT) if test else ()),
        "\nThe artifact model_card.md says the rest: by origin, slices, decay, horizons, leaks searched for, limits, how to use it.",
    ]
    text = "\n".join(lines)
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 2]} …"


# ---- sections, each a run of lines ------------------------------------------------------------------------------------------------


def _question(source: Source, target: str, basis: str | None, words: Words) -> Iterator[str]:
    asked, time = asked_in_words(source, target, basis), source.settings.time
    yield f"{asked.question} Positive: {asked.outcome}."
    if basis:
        yield f"Basis of the label: **{basis}**. {asked.assumption}"
    yield f"Outcome window: {time.horizon_days} days, beginning {time.gap_days} days after the day of scoring: the time to act."
    yield f"For the people who know the clients: whom to look at first each {words.each} (target {target}, {source.spec.relationship})."


def _population(source: Source, facts: Facts, words: Words) -> Iterator[str]:
    yield f"{source.spec.description.strip()}\n"
    yield "Only clients whose status at the day of scoring is *eligible* are learned from, judged and scored. Those gone, silent, too new"
    yield f"(under {source.settings.snapshot.too_new_days} days) or too infrequent get a status and no probability.\n"
    yield f"- shipped model: {_trained(facts['shipped'], words)}"
    yield f"- evaluated model (the same recipe before the final test period): {_trained(facts['evaluated'], words)}"
    yield f"- tier: **{facts['shipped']['tier']}**, since {facts['shipped']['size_reason']}"


def _trained(training: Facts, words: Words) -> str:
    return (
        f"{training['n_rows']:,} snapshots of {training['n_clients']:,} clients, {training['n_churned_clients']:,} of them {words.positive}"
        f" at some time ({training['prevalence']:.1%} of the snapshots)"
    )


def _figures(judged: Facts | None, words: Words) -> Iterator[str]:
    if judged is None:
        yield "None: the history is too short for any."
        return
    at_capacity = judged["at_capacity"]
    yield f"as_of {judged['from']} to {judged['until']}: {judged['n_rows']:,} snapshots of {judged['n_clients']:,} clients, of whom"
    yield f"{judged['n_churned_clients']:,} were {words.positive}; base rate {shown(judged['prevalence'])}. In brackets: 95 % interval of a"
    yield f"bootstrap over clients; differences are paired. Capacity: {at_capacity['capacity']} clients per as_of, of whom"
    yield f"{shown(at_capacity['found_by_chance'], digits=2)} would be found by chance.\n"
    yield from _compared(judged, MEASURES)


def _beyond_rule(beyond: Facts | None, words: Words) -> Iterator[str]:
    if not beyond:
        return
    yield f"Whoever meets the label's own rule ({RULE_WORDS[beyond['rule']]}) already is known without a model. Here are the others;"
    yield f"{beyond['n_rows_that_meet_it']:,} out-of-time snapshots that meet it are left out.\n"
    yield "Final test period:\n"
    yield from _figures(beyond["test"], words)
    yield "\nRolling origins before it, pooled:\n"
    yield from _figures(beyond["origins"], words)


def _compared(judged: Facts, measures: Sequence[str]) -> Iterator[str]:
    names = [name for name in COLUMNS if name in judged]
    rows = (
        (FULL_WORDS[measure], *(shown(judged[name].get(measure), is_difference="minus" in name) for name in names)) for measure in measures
    )
    return table(["", *(COLUMNS[name] for name in names)], rows)


def _by_origin(found: Facts, words: Words) -> Iterator[str]:
    yield "Each model is judged on outcomes that came after it was made. *Promised*: its AUC inside training, on clients its members did"
    yield "not see.\n"
    header = ["made on", f"{words.positive} of", "AUC", "promised", *(FULL_WORDS[name] for name in OF_ORIGIN), "calibrated on"]
    yield from table(
        header,
        (
            (
                "final test" if own["is_test"] else own["fold"],
                _positive(own),
                _two(own["auc"]),
                number(own["oob_auc"]),
                *_own(own, OF_ORIGIN),
                own["calibrated_on"] or "–",
            )
            for own in found["by_origin"]
        ),
    )
    yield "\n" + " ".join(gap_told(found["validation_gap"]))


def gap_told(gap: Facts) -> Iterator[str]:
    """How far what was believed beforehand lay from what came: a sentence or two."""
    if is_known(gap["rolling_minus_test"]):
        yield f"AUC of the rolling origins minus the later test's: {shown(gap['rolling_minus_test'], is_difference=True)}."
    if gap["oob_mean_size"] is not None:
        yield f"What training promised lay {gap['oob_mean_size']:.3f} from what came, on average (mean {gap['oob_mean_difference']:+.3f})."


def _slices(slices: Facts, words: Words) -> Iterator[str]:
    yield f"{slices['all']['n_rows']:,} out-of-time snapshots, rolling origins and test. A slice with fewer than"
    yield f"{slices['least_churned_clients']} clients that {words.happened} is not ranked. A word stands where one fares worse beyond"
    yield "noise: in AUC than the other slices of its trait, each within itself, or in predicted/observed than 1; Holm's procedure over all"
    yield f"{slices['n_comparisons']} comparisons at 5 %. Where all slices lie below the whole, the trait itself tells which clients"
    yield f"{words.happens}.\n"
    named = {"all": slices["all"]} | {f"{own['trait']}: {own['slice']}": own for own in slices["slices"]}
    yield from table(
        ["slice", f"{words.positive} of", "base rate", "AUC", "Brier", "predicted/observed", ""],
        (
            (
                name,
                _positive(own),
                number(own["prevalence"]["value"], 3),
                *_own(own, ("auc", "brier", "predicted_over_observed")),
                own["told"],
            )
            for name, own in named.items()
        ),
    )
    yield ""
    yield from (f"- *{trait}*: {slices['about'][trait]}" for trait in dict.fromkeys(own["trait"] for own in slices["slices"]))
    yield from (f"- *{trait}* is left out: {why}" for trait, why in slices["left_out"].items())


def _decay(decay: Sequence[Facts]) -> Iterator[str]:
    if not decay:
        yield "Not known: no rolling origin has a later as_of before the test period."
        return
    yield "Models of the rolling origins on later snapshots before the test period, and beside the fresh models where one was made that"
    yield "day, on the same snapshots.\n"
    yield from table(
        ["months old", "models", "AUC", "Brier", "predicted/observed", "AUC − a fresh model's", "Brier − a fresh model's"],
        (
            (own["months"], own["n_models"], *_own(own, ("auc", "brier", "predicted_over_observed")), *_against_fresh(own["paired"]))
            for own in decay
        ),
    )
    yield f"\n{decay_told(decay)}"


def _against_fresh(paired: Facts | None) -> tuple[str, str]:
    difference = paired["aged_minus_fresh"] if paired else {}
    return shown(difference.get("auc"), is_difference=True), shown(difference.get("brier"), is_difference=True)


def decay_told(decay: Sequence[Facts]) -> str:
    """What the oldest models that stand beside fresh ones lose, as a sentence."""
    compared = [own for own in decay if own["paired"] and is_known(own["paired"]["aged_minus_fresh"]["auc"])]
    if not compared:
        return "How fast models age is not known: none stands beside a fresh one on the same snapshots."
    difference = compared[-1]["paired"]["aged_minus_fresh"]["auc"]
    verdict = "ranks worse" if difference["high"] < 0 else "is not shown to rank worse"
    age = "1 month" if compared[-1]["months"] == 1 else f"{compared[-1]['months']} months"
    return f"A model {age} old {verdict} than a fresh one: difference in AUC {shown(difference, is_difference=True)}."


def _horizons(horizons: Sequence[Facts], main_days: int) -> Iterator[str]:
    if len(horizons) < 2:
        yield f"Only the main one, {main_days} days."
        return
    yield f"The main one is {main_days} days. The probabilities of one snapshot never contradict one another.\n"
    periods = {"test": "final test", "origins": "rolling"}
    parts = [(own["horizon_days"], words, own[key]) for own in horizons for key, words in periods.items()]
    yield from table(
        ["days", "period", "snapshots", "base rate", "AUC", *(FULL_WORDS[name] for name in OF_ORIGIN)],
        (
            (days, words, f"{own['n_rows']:,}", number(own["prevalence"]["value"], 3), _two(own["auc"]), *_own(own, OF_ORIGIN))
            for days, words, own in parts
            if own
        ),
    )


def _calibration(everything: Facts, platt: Facts) -> Iterator[str]:
    yield f"The shipped model's margins are calibrated by Platt's two numbers (slope {platt['slope']:.2f}, intercept"
    yield f"{platt['intercept']:+.2f}), fitted on {platt['fitted_on']}. In the backtest each origin is calibrated on earlier ones only, or,"
    yield "where fewer than two had been judged by then, on its own training out of bag: see the table by origin."
    yield f"Over all out-of-time predictions: predicted/observed {_two(everything['predicted_over_observed'])} (1 is right), slope"
    yield f"{_two(everything['calibration_slope'])} (1 is right; below, too sure of itself)."


def _importance(importance: Sequence[Facts]) -> Iterator[str]:
    names = titles()
    for own in sorted(importance, key=lambda own: (-own["mean_contribution_size"], own["signal"])):
        yield f"- {names.get(own['signal'], own['signal'])}: {own['share']:.0%} ({own['mean_contribution_size']:.2f} log-odds on average)"


def _leaks(leakage: Facts) -> Iterator[str]:
    """What was searched for, as train wrote it; what it did not write is not said."""
    for key, figure, words in (
        ("highest_auc", "auc", "highest AUC of a column alone"),
        ("largest_fall", "fall", "largest fall in AUC of a column taken one step older"),
        ("largest_gain_share", "gain_share", "largest share of the trees' gain"),
    ):
        if leakage.get(key):
            yield f"- {words}: {leakage[key]['column']}, {leakage[key][figure]:.2f}"
    if "suspicious_but_trusted" in leakage:
        yield f"- columns too good to be true, but trusted: {', '.join(sorted(leakage['suspicious_but_trusted'])) or 'none'}"
    if "ids_with_one_history" in leakage:
        yield f"- pairs of ids, learnt from and tested, with one and the same history: {leakage['ids_with_one_history']}"
    if leakage.get("knowing_clients_again", {}).get("words"):
        yield f"- {leakage['knowing_clients_again']['words']}"
    apart = leakage.get("population", {}).get("told_apart_auc")
    if apart is not None:
        yield f"- the snapshots judged and the newest, which will be scored, can be told apart with AUC {apart:.2f} (0.5 = not at all)"


def _limits(source: Source, target: str, found: Facts, words: Words) -> Iterator[str]:
    yield f"- It says who resembles clients that {words.happened} before, not why, and not what would change it."
    if target == "churn" and source.spec.relationship == "non_contractual":
        yield "- Silence stands in for leaving: a content client that needs nothing looks the same."
    if found.get("basis"):
        yield f"- {asked_in_words(source, target, found['basis']).assumption}"
    for line in (found.get("review_estimate") or {}).get("words", ()):
        yield f"  - {line}"
    yield f"- Nobody recorded who was looked after already; where that worked, they count as clients that do not {words.happens} anyway."
    yield "- The figures hold for the period they were measured in; a new price list or another way of recording ends that."
    yield "- An interval holds the luck of the draw of clients, not that of the period: a year unlike those before is not in it."
    for own in found["slices"]["slices"]:
        if own["told"] and own["auc"]["value"] is not None:
            yield f"- {own['trait']}, {cell(own['slice'])}: {own['told']}."


def _use() -> Iterator[str]:
    yield "Input: a frame with the columns of the signature as float64, NaN = unknown, made by the same version of the pipeline for clients"
    yield "whose status is eligible. Output: probability, low, high (80 % interval); with"
    yield '`params={"reasons": True}` also contributions by signal, which add up to the calibrated log-odds; with'
    yield '`params={"horizons": True}` also the probability at every horizon.\n'
    yield "Use: advice to a person who knows the client, never an automatic act.\n"
    yield f"Pictures beside this card: {', '.join(f'plots/{name}.png' for name in PLOTS)}."


# ---- Markdown -----------------------------------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A Markdown table, line by line."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell(str(content)) for content in row)} |"


def cell(text: str) -> str:
    """Text from the data made fit for a table: a segment may be called anything.

    >>> cell("A|B <b>\\nC")
    'A\\\\|B &lt;b> C'
    """
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _positive(own: Facts) -> str:
    return f"{own['n_churned_clients']:,} of {own['n_clients']:,}"


def _two(figure: Mapping[str, float | None]) -> str:
    return shown(figure, digits=2)


def _own(own: Facts, names: Sequence[str]) -> list[str]:
    """Figures in two digits; Brier scores, which differ by little, in three."""
    return [shown(own[name], digits=3 if name == "brier" else 2) for name in names]

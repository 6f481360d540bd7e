"""The benchmarks' figures (.figures/*.json, written by `make figures` and `make bench`) -> the README's table of figures.

    python tests/benchmarks/readme.py          rewrites what stands between <!-- figures --> and <!-- /figures -->

A figure that has not been measured on this machine is left out, but for those that take an hour (curves, worlds) and for speed and memory,
whose lines stay as they were last written; nothing is typed by hand.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from models.misfit import SAME_RULE
from pipeline.evaluate import shown

FIGURES = Path(".figures")
README = Path("README.md")
WORLDS, SIZES, HORIZONS, TUNING = "**Worlds of known truth**", "**By size**", "**Other horizons**", "**Optuna search for sizes**"
MISFITS, ADVICE = "**Misfits in worlds of known truth**", "**What the advice is worth**"
LITTLE = "**With an order book alone**"
RULES = {
    "same_rule": "the label's own rule, last window",
    "thin_margin": "margin under 20 %, two months",
    "costly": "cost over 20 % of revenue",
}
POLICIES = {
    "advice": "clientfit's advice",
    "save_riskiest": "save the riskiest",
    "fire_20": "fire by the 20 % rule",
    "fire_losers": "fire whoever cost more than it brought in the last year",
    "truth": "part with whom the truth says",
}
CHANCE = "chance"  # the world without any sign: there is no way to a ceiling
MODELS = {
    "clientfit": "clientfit",
    "strong": "windowed RFM, LightGBM + logistic regression",
    "rich": "the same with own rhythm and lifetime totals",
    "plain": "logistic regression on recency and counts",
    "rfm": "windowed RFM, logistic regression",
    "five": "clientfit on its first five signals alone",
    "recency": "recency rule",
}


def read(name: str) -> Any:
    """A benchmark's figures, or None where it has not run."""
    path = FIGURES / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def real(found: dict[str, Any]) -> list[str]:
    """One real source: every model, and ours minus it, on the same test snapshots."""
    lines = [
        f"**{found['source']}**, as_of {found['as_of']}: {found['n_clients']:,} clients, {found['share_silent']:.1%} fell silent; "
        f"trained on {found['training']['n_churned_clients']:,} clients that had. Defaults; nothing tuned on it; "
        f"data `{found['data_version'][:12]}`.",
        "",
        "| | AUC | average precision | Brier (0 is best) | clientfit's AUC minus it | clientfit's Brier minus it |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in found["figures"].items():
        minus = found["clientfit_minus"].get(name)
        paired = [shown(minus[measure], is_difference=True) if minus else "" for measure in ("auc", "brier")]
        lines.append(
            f"| {MODELS[name]} | "
            + " | ".join(shown(figures[m]) for m in ("auc", "average_precision", "brier"))
            + f" | {' | '.join(paired)} |"
        )
    pooled, *each = (f"{name} {_level(own)}" for name, own in found["origins"].items())
    lines += [
        "",
        "Rolling origins before it, each calibrated on earlier ones (the first two of them out of bag, on their own training), predicted "
        "over observed (1 is right) and calibration slope: "
        f"{'; '.join([pooled, *each])}. Final period read by {found['reads']} model{'s' if found['reads'] > 1 else ''} so far.",
    ]
    return [*lines, ""]


def _level(own: dict[str, Any]) -> str:
    return f"{shown(own['predicted_over_observed'])}, slope {shown(own['calibration_slope'])}"


def portfolio(found: dict[str, Any]) -> list[str]:
    """The default portfolio's held-out period."""
    test = found["test"]
    lines = [
        f"**default portfolio** (simulated: its level is plausible by design and no evidence for the model), as_of {test['from']} to "
        f"{test['until']}: {test['n_rows']:,} snapshots of {test['n_clients']:,} clients, {test['n_churned_clients']} left; "
        f"data `{found['data_version'][:12]}`.",
        "",
        "| | AUC | average precision | Brier (0 is best) | lift at 10 % | calibration slope |",
        "|---|---|---|---|---|---|",
    ]
    measures = ("auc", "average_precision", "brier", "lift_at_10_percent", "calibration_slope")
    for key, name in (("model", "clientfit"), ("rfm", MODELS["rfm"]), ("recency", MODELS["recency"])):
        lines.append(f"| {name} | " + " | ".join(shown(test[key][measure]) for measure in measures) + " |")
    return [*lines, ""]


def portfolio_misfits(found: dict[str, Any]) -> list[str]:
    """Misfits of the default portfolio's held-out period; all snapshots, and those that do not meet the label's own rule already."""
    if "no_model" in found:
        return []
    test, beyond = found["test"], found["beyond_rule"]["test"]
    lines = [
        f"**Misfits of the default portfolio** (basis: {found['basis']}), as_of {test['from']} to {test['until']}: {test['n_rows']:,} "
        f"snapshots of {test['n_clients']:,} clients, {test['n_churned_clients']} marked; beyond = the {beyond['n_rows']:,} that do not "
        "meet the label's own rule already.",
        "",
        "| | AUC | average precision | Brier (0 is best) | clientfit's AUC minus it | AUC beyond |",
        "|---|---|---|---|---|---|",
    ]
    names = {"model": "clientfit", "rfm": MODELS["rfm"], "recency": MODELS["recency"]} | RULES
    for key, name in names.items():
        if key not in test:
            continue
        minus = test.get(f"model_minus_{key}")
        cells = [shown(test[key][measure]) for measure in ("auc", "average_precision", "brier")]
        cells += [shown(minus["auc"], is_difference=True) if minus else "", shown(beyond[key]["auc"]) if key in beyond else ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def misfits(found: list[dict[str, Any]]) -> list[str]:
    """Misfit beside the truth and the rules of practice, per world and size: ranking, then what the probabilities are worth."""
    names = {"truth": "truth", "model": "clientfit"} | RULES
    lines = [
        f"{MISFITS} (seed {found[0]['seed']}; nine months that nothing was learned from; `make evaluate`): AUC. `truth` is the probability "
        "of being marked, given the hidden states; way: clientfit's share of the way from chance to it; beyond: of those that do not meet "
        "the label's own rule already:",
        "",
        f"| world | clients | marked | {' | '.join(names.values())} | way | clientfit beyond |",
        f"|---|--:|--:|{'---|' * (len(names) + 2)}",
    ]
    for one in found:
        every, beyond = one["all"], one["beyond"]
        cells = [one["world"], f"{one['n_clients']:,}", str(every["n_marked_clients"])]
        cells += [shown(every["figures"].get(key, {}).get("auc")) for key in names]
        cells += ["" if one["world"] == CHANCE else _share(every["way"]), shown(beyond["figures"]["model"]["auc"])]
        lines.append(f"| {' | '.join(cells)} |")
    titles = {"average_precision": "AP", "brier": "Brier"}
    each = [(measure, key) for measure in titles for key in names if key != SAME_RULE]
    heads = [f"{titles[measure]}, {names[key]}" for measure, key in each]
    lines += [
        "",
        "The same: average precision and Brier score, and clientfit's calibration (1 is right):",
        "",
        f"| world | clients | {' | '.join(heads)} | slope | predicted/observed |",
        f"|---|--:|{'---|' * (len(heads) + 2)}",
    ]
    for one in found:
        own = one["all"]["figures"]
        cells = [one["world"], f"{one['n_clients']:,}"]
        cells += [shown(own.get(key, {}).get(measure)) for measure, key in each]
        cells += [shown(own["model"][measure]) for measure in ("calibration_slope", "predicted_over_observed")]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def advice(found: dict[str, Any]) -> list[str]:
    """Money of a year under each policy, partings that the truth confirms, and flips."""
    advised = ", ".join(f"{name.replace('_', ' ')} {own:.1f}" for name, own in found["advised_per_world"].items())
    lines = [
        f"{ADVICE} ({found['n_worlds']} simulated firms of {found['n_clients']} clients ever on the books, world {found['world']}, seeds "
        f"{min(found['seeds'])} to {max(found['seeds'])}; the effects of steps are assumptions, stated in pipeline/world/advice.py). Total "
        "contribution of the year after the first advice, against doing nothing; each policy is followed on the first day and after each "
        "quarter. Halved: the good of every effect half as strong. Staff kept: freed hours that find no other work are paid all the same:",
        "",
        "| policy | gain over doing nothing | halved | staff kept | clientfit's advice minus it | staff kept |",
        "|---|---|---|---|---|---|",
    ]
    for key, name in POLICIES.items():
        gain, minus = found["minus_nothing"][key], found["advice_minus"].get(key)
        cells = [_percent(gain[effects]) for effects in ("stated", "halved", "staff_kept")]
        cells += [_percent(minus[effects]) if minus else "" for effects in ("stated", "staff_kept")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    alone = ", ".join(f"{kind.replace('_', ' ')} {_percent(own)}" for kind, own in found["alone_minus_nothing"].items())
    confirmed, heavy, flips = found["confirmed"], found["heavy"], found["flips"]
    is_dearer = found["advice_minus"]["fire_losers"]["stated"]["value"] < 0
    caution = (
        " Who fires all that lost money at once, without a word, gains more in money than the advice, which waits for records and takes"
        " its steps one at a time: that is what caution costs."
        if is_dearer
        else ""
    )
    lines += [
        "",
        f"If of the advice only one kind of step is followed: {alone}. A price far above the present one parts most clients, as the"
        f" simulator has it, so most of what new prices gain is losses that end.{caution} The rules were made on other seeds; these were"
        " read once before the last faults that reviewers had found were mended.",
        "",
        f"Advised per firm on the first day: {advised}; the 20 % rule would fire {found['fired_per_world']:.0f} in the year. Better off "
        f"without, in money (truth; of all clients {_share(confirmed['any'])}) and among the tenth with the heaviest true burden, of those "
        "advised so on any of the four days: "
        + "; ".join(
            f"{key.replace('_', ' ')} {_share(confirmed[key])} and {_share(heavy[key])} of {confirmed[key]['n']}"
            for key in ("part_respectfully", "refer_out", "reprice", "set_boundaries", "keep_and_grow", "fire_20", "fire_losers")
            if key in confirmed and confirmed[key].get("n")
        )
        + f". Advice that flips within a month: {_share(flips['all'])}, where nothing new was known {_share(flips['quiet'])}.",
    ]
    return [*lines, ""]


def little(found: dict[str, Any]) -> list[str]:
    """What economics, policy and advice tell where a source has next to nothing, and what they ask for."""
    tops = ", ".join(f"the largest {top['percent']} % of the clients {top['share']:.0%}" for top in found["top"])
    actions = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in found["actions"].items())
    missing = "; ".join(f"{', '.join(whats)}: {why}" for why, whats in found["missing"].items())
    absent = "; ".join(f"no table `{name}`: {why}" for name, why in found["not_on_record"].items())
    return [
        f"{LITTLE} ({found['source']}, as_of {found['as_of']}, data version {found['data_version'][:12]}; `make figures`): misfit rests on "
        f"{' and '.join(found['basis'])}, without a probability. Revenue of the last year: {found['revenue'] / 100:,.0f} "
        f"{found['currency']} of {found['n_clients']:,} clients, of which bring: {tops}. Of {found['n_rules']} rules of the policy "
        f"{found['n_rules_measurable']} can be measured; {found['n_clients_with_a_hit']:,} clients meet one. Advised to "
        f"{found['n_advised']:,}: {actions}. Said to be missing: {missing}. {absent}.",
        "",
    ]


def _percent(figure: dict[str, float | None]) -> str:
    bounds = f" [{figure['low']:+.1%}, {figure['high']:+.1%}]" if figure["low"] is not None else ""
    return f"{figure['value']:+.1%}{bounds}"


def sizes(found: dict[str, Any]) -> list[str]:
    """The curve by size: models, interval, what validation promised."""
    lines = [
        "**By size** (simulated portfolios of seeds that nothing was chosen by, judged on 6,000 other clients in a later period; means, "
        "and paired differences ± their standard error over portfolios; `make curves`):",
        "",
        "| clients | churned | AUC | − ridge alone | − LightGBM part alone | − plain LightGBM | − 24 columns | interval covers | "
        "members alone | rolling AUC − later | grouped AUC − later |",
        "|--:|--:|--:|---|---|---|---|--:|--:|---|---|",
    ]
    for clients, row in found.items():
        models, interval, rolling = row["models"], row["interval"], row["rolling"]
        minus = [_plus_minus(models[name]["auc"]["bag_minus"]) for name in ("ridge", "trees", "lightgbm", "capped")]
        cells = [f"{int(clients):,}", f"{row['n_churned']:.0f}", f"{models['bag']['auc']['mean']:.3f}", *minus]
        cells += [f"{interval['coverage']:.0%}", f"{interval['coverage_of_members']:.0%}"]
        cells += [_plus_minus(rolling["gap"]), _plus_minus(rolling["grouped_gap"])]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| clients | log loss: Platt | none | beta | isotonic | rolling predicted/observed | rolling slope | random folds: bag − later | "
        "random folds: plain LightGBM − later |",
        "|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for clients, row in found.items():
        loss = [f"{row['calibrators'][name]['log_loss']['mean']:.4f}" for name in ("platt", "none", "beta", "isotonic")]
        level = [f"{row['rolling']['expected_to_observed']:.2f}", f"{row['rolling']['slope']:.2f}"]
        random = [_plus_minus(row["random_folds"][name]) if row["random_folds"] else "" for name in ("bag", "lightgbm")]
        lines.append(f"| {' | '.join([f'{int(clients):,}', *loss, *level, *random])} |")
    return [*lines, ""]


def _plus_minus(spread: dict[str, float | None]) -> str:
    error = spread["standard_error"]
    return f"{spread['mean']:+.3f}" + (f" ± {error:.3f}" if error is not None else "")


def horizons(found: dict[str, Any]) -> list[str]:
    """The chain beside bags of their own."""
    lines = [
        "**Other horizons**: the chain, which can never contradict the main horizon, beside a bag of its own for each (simulated):",
        "",
        "| clients | days | AUC: chain | own bag | own − chain | predicted/observed: chain | own |",
        "|--:|--:|--:|--:|---|--:|--:|",
    ]
    for row in found["rows"]:
        gap = {"mean": row["own_auc"] - row["chain_auc"], "standard_error": row["auc_gap_error"]}
        lines.append(
            f"| {row['n_clients']:,} | {row['horizon_days']} | {row['chain_auc']:.3f} | {row['own_auc']:.3f} | {_plus_minus(gap)} | "
            f"{row['chain_expected_to_observed']:.2f} | {row['own_expected_to_observed']:.2f} |"
        )
    return [*lines, ""]


def tuning(found: dict[str, Any]) -> list[str]:
    """What the optional search gained."""
    own = found["simulated"]
    lines = [
        f"**Optuna search for sizes** (off by default; {found['trials']} trials): on {own['portfolios']} simulated portfolios of "
        f"{own['n_clients']} clients it was taken in {own['n_taken']}; AUC {_plus_minus(own['auc_tuned_minus_table'])}, log loss "
        f"{own['log_loss_tuned_minus_table']['mean']:+.4f} ± {own['log_loss_tuned_minus_table']['standard_error']:.4f}. "
        + " ".join(
            f"{one['source']}, before its final period: AUC of the table minus it {shown(one['table_minus']['auc'], is_difference=True)}."
            for one in found["real"]
        )
    ]
    return [*lines, ""]


def worlds(found: list[dict[str, Any]]) -> list[str]:
    """Worlds of known truth: how near models come, causes among the reasons, what each signal adds."""
    lines = [
        f"**Worlds of known truth** (simulated, seed {found[0]['seed']}, which nothing was chosen by; "
        f"{found[0]['n_judging_rows']:,} snapshots of other clients in the last nine months judge; `make evaluate`). `truth` is the "
        "probability given the hidden states; `endless` the same recipe on so many clients; shares are of the way from chance to it, in "
        "AUC:",
        "",
        "| world | learned from | churned | AUC | average precision | Brier | of endless | of truth |",
        "|---|--:|--:|---|---|---|---|---|",
    ]
    for world in found:
        for name, own in world["ceilings"].items():
            learned = f"endless: {world['endless_clients']:,}" if name == "endless" else name
            cells = [world["world"], learned, "", *(shown(own[m]) for m in ("auc", "average_precision", "brier")), ""]
            lines.append(f"| {' | '.join(cells)} | {_share(world['endless_share_of_truth']) if name == 'endless' else ''} |")
        for row in world["curve"]:
            cells = [world["world"], f"{row['n_clients']:,}", f"{row['n_churned']:.0f}"]
            cells += [shown(row[m]) for m in ("auc", "average_precision", "brier")]
            of_truth = None if world["world"] == CHANCE else row["share_of_truth"]
            lines.append(f"| {' | '.join(cells)} | {_share(row.get('share_of_endless'))} | {_share(of_truth)} |")
    lines += [
        "",
        "The true leading cause among the reasons of the riskiest tenth, as far as they have one. `observer`: reads the causes off the "
        "same columns, having been told the leading cause of other clients; `commonest`: always names the commonest causes:",
        "",
        "| world | clients | first reason | first three | observer: first | first three | commonest: first | first three |",
        "|---|--:|---|---|---|---|---|---|",
    ]
    for world in found:
        if own := world.get("causes"):
            cells = [_share(own[f"{who}_top_{first}"]) for who in ("reasons", "observer", "always") for first in (1, 3)]
            lines.append(f"| {world['world']} | {own['n_with_cause']:,} | {' | '.join(cells)} |")
    return [*lines, "", *signals_add(found), ""]


def signals_add(found: list[dict[str, Any]]) -> list[str]:
    """Per signal and world: AUC lost without it, for leaving; and for being a burden, in the first world."""
    names = [world["world"] for world in found]
    first = found[0]
    lines = [
        "What each signal adds: AUC for leaving lost without it (2,000 clients), per world; AUC by itself; and the same for being among "
        f"the tenth with which the firm is likeliest to part ({first['world']}). ° = beyond noise:",
        "",
        f"| signal | {' | '.join(names)} | alone | misfit: lost without | alone |",
        f"|---|{'--:|' * len(names)}--:|--:|--:|",
    ]
    by_world = {world["world"]: {row["signal"]: row for row in world["signals"]} for world in found}
    for row in first["signals"][1:]:
        lost = [_starred(by_world[name].get(row["signal"], {}).get("churn_lost_without")) for name in names]
        own = [_value(row["churn_alone"]), _starred(row.get("misfit_lost_without")), _value(row.get("misfit_alone"))]
        lines.append(f"| {row['signal']} | {' | '.join([*lost, *own])} |")
    every = [f"{name} {_value(by_world[name]['all']['churn_alone'])}" for name in names]
    return [*lines, "", f"All signals together, AUC for leaving: {', '.join(every)}."]


def _value(figure: dict[str, float | None] | None) -> str:
    return "–" if figure is None or figure["value"] is None else f"{figure['value']:.3f}"


def _starred(figure: dict[str, float | None] | None) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    beyond = figure["low"] is not None and figure["high"] is not None and (figure["low"] > 0 or figure["high"] < 0)
    return f"{figure['value']:+.3f}{'°' if beyond else ''}"


def _share(figure: dict[str, float | None] | None) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    bounds = f" [{figure['low']:.0%}, {figure['high']:.0%}]" if figure["low"] is not None else ""
    return f"{figure['value']:.0%}{bounds}"


def load(
    engine: list[dict[str, Any]] | None,
    signals: dict[str, Any] | None,
    ingest: dict[str, Any] | None,
    permuted: dict[str, Any] | None,
    training: dict[str, Any] | None,
) -> list[str]:
    """Speed, memory and the check against chance."""
    lines = [] if engine else kept("- feature engine")
    for row in engine or []:
        beyond = row["engine"]["cpu_s"] - row["read"]["cpu_s"]
        pandas = (
            f"; hand-written pandas {row['pandas']['cpu_s']:.1f} s, {row['pandas']['peak_gib']:.2f} GiB, equal values"
            if "pandas" in row
            else ""
        )
        lines.append(
            f"- feature engine, {row['n_events']:,} events, 24 as_ofs, 60 interval columns: {beyond:.1f} CPU s beyond reading, "
            f"peak {row['engine']['peak_gib']:.2f} GiB{pandas}"
        )
    lines += all_signals(signals) if signals else kept("- all signals")
    lines += [] if ingest else kept("- 10,000,000 raw rows")
    if ingest:
        stages = ", ".join(
            f"{stage} {took['cpu_s']:.0f} CPU s, peak {took['peak_gib']:.2f} GiB" for stage, took in ingest["stages"].items()
        )
        lines.append(f"- {ingest['n_rows']:,} raw rows: {stages}")
    if training:
        lines.append(
            f"- training, {training['n_clients']:,} clients, {training['n_as_ofs']} as_ofs, {training['n_rows']:,} labelled snapshots × "
            f"{training['n_columns']} columns, {training['n_folds']} folds and the shipped model: {training['seconds']:.0f} s on "
            f"{training['n_cores']} cores, peak {training['peak_gib']:.2f} GiB"
        )
    if permuted:
        lines.append(
            f"- labels permuted ({permuted['source']}): mean AUC {permuted['mean']:.3f} over {permuted['permutations']} permutations "
            f"(standard error {permuted['standard_error']:.3f}; wanted 0.5 ± 0.02)"
        )
    return [*lines, ""]


def all_signals(found: dict[str, Any]) -> list[str]:
    """All signals together at each size, growth, and each alone."""
    lines, sizes = [], found["sizes"]
    for row in sizes:
        beyond = row["all"]["cpu_s"] - sum(row["reading_cpu_s"].values())
        lines.append(
            f"- all signals, {row['n_events']:,} events in {len(row['n_rows'])} tables, {row['n_snapshots']:,} snapshots × "
            f"{row['n_columns']} columns of {row['n_signals']} signals: {beyond:.0f} CPU s beyond reading, {row['all']['wall_s']:.0f} s, "
            f"peak {row['all']['peak_gib']:.2f} GiB"
        )
    grown = f"{found['growth']} times linear from {sizes[0]['n_events']:,} events on; " if found["growth"] else ""
    each = sorted(sizes[-1]["signals"].items(), key=lambda pair: -pair[1]["beyond_cpu_s"])
    costs = ", ".join(f"{name} {own['beyond_cpu_s']:.1f}" for name, own in each)
    return [*lines, f"- all signals: {grown}each alone at {sizes[-1]['n_events']:,} events, CPU s beyond reading its tables: {costs}"]


def kept(beginning: str) -> list[str]:
    """The README's lines that begin so."""
    return [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith(beginning)]


def kept_section(heading: str) -> list[str]:
    """The README's lines from a heading to the next, or to the list of speed and memory."""
    lines = README.read_text(encoding="utf-8").splitlines()
    first = next((place for place, line in enumerate(lines) if line.startswith(heading)), None)
    if first is None:
        return []
    ends = (place for place, line in enumerate(lines) if place > first and line.startswith(("**", "- ", "<!--")))
    return lines[first : next(ends)]


def table() -> str:
    """The whole block, as Markdown."""
    lines = [
        "Out of time, with the 95 % interval of a bootstrap over clients; `make figures`, `make evaluate`, `make curves` and `make bench` "
        "write this block.",
        "",
    ]
    for name in ("wholesaler", "helpdesk"):
        lines += real(found) if (found := read(name)) else []
    lines += portfolio(found) if (found := read("simulated")) else []
    lines += portfolio_misfits(found) if (found := read("simulated_misfit")) else []
    parts = (
        ("misfit_truth", misfits, MISFITS),
        ("advice", advice, ADVICE),
        ("wholesaler_decide", little, LITTLE),
        ("known_truth", worlds, WORLDS),
        ("size_curve", sizes, SIZES),
        ("horizon_chain", horizons, HORIZONS),
        ("tuning", tuning, TUNING),
    )
    for name, told, heading in parts:
        lines += told(found) if (found := read(name)) else kept_section(heading)
    lines += load(read("feature_engine"), read("all_signals"), read("ingest_load"), read("permuted_labels"), read("training_load"))
    return "\n".join(lines).strip()


def main() -> None:
    """Rewrites the README's block."""
    text = README.read_text(encoding="utf-8")
    block = f"<!-- figures -->\n{table()}\n<!-- /figures -->"
    README.write_text(re.sub(r"<!-- figures -->.*<!-- /figures -->", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()

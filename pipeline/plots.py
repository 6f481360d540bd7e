"""Figures and curves -> evaluate/<target>/plots/: each picture as PNG, and as CSV for `dvc plots`; equal figures give equal bytes.

gain, lift, reliability   of the test period: who is found by calling the riskiest first; whether 30 % predicted happens 30 % of the time
backtest                  AUC over time: what training promised, and what each origin's model then did
slices                    AUC of each slice of clients, beside that of all
decay                     how models age: AUC by months since they were made, beside fresh ones
importance                what moves the shipped model, by signal
A picture for which there is nothing to draw says so, and its CSV has a header only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.curves import gain_curve, lift_curve, reliability_curve
from models.grade import Words
from models.judgement import Rules, probabilities
from pipeline.reasons import titles
from pipeline.tables import folder_written_whole, write_text
from pipeline.wording import MODEL_WORDS, RULE_WORDS

STRONG, QUIET, WARM, FAINT = "#1f4e79", "#7f7f7f", "#d1792b", "#c9c9c9"
COLOURS = {"recency": QUIET, "rfm": WARM, "same_rule": "#5b8c5a", "thin_margin": "#b07aa1", "costly": "#c7a76c", "model": STRONG}
WORDS = {**MODEL_WORDS, **RULE_WORDS}
DEEPEST_LIFT = 40  # percent of the clients beyond which nobody works a list off


@dataclass(frozen=True)
class Drawing:
    """One picture: the table behind it, and how it is drawn. empty: what to say where the table has no row."""

    table: pd.DataFrame
    title: str
    subtitle: str
    draw: Callable[[Any, pd.DataFrame], None]
    empty: str = "nothing to draw"
    height: float = 4.6


def write_plots(folder: Path, drawings: Mapping[str, Drawing]) -> None:
    """<name>.csv and <name>.png of each."""
    with folder_written_whole(folder) as temporary:
        for name, drawing in drawings.items():
            write_text(temporary / f"{name}.csv", drawing.table.to_csv(index=False, lineterminator="\n"))
            _save(temporary / f"{name}.png", drawing)


def drawings(
    found: Mapping[str, Any], test: pd.DataFrame, rules: Rules, *, importance: Sequence[Mapping[str, Any]], words: Words
) -> dict[str, Drawing]:
    """All pictures, by name. found: the figures (metrics.json). test: the test fold's predictions. words: how the target is spoken of."""
    told, happens = found["test"], words.happens
    period = (
        f"final test, as_of {told['from']} to {told['until']}: {len(test):,} snapshots, {told['n_churned_clients']:,} clients {happens}"
    )
    curves = gain_curve(test["label"].to_numpy(np.float64), probabilities(test)).dropna()
    judged = rules.judged(test)
    reliability = reliability_curve(judged, {name: probabilities(test)[name] for name in ("model", "rfm")})
    share = float(test["label"].mean())
    nobody = f"nobody in the test period would {happens}, or all do: no ranking to draw"
    return {
        "gain": Drawing(curves, f"Gain: who is found by looking at the {words.foremost} first", period, _gain(share, words), nobody),
        "lift": Drawing(lift_curve(curves), "Lift: how many times better than a random list", period, _lift(share, words), nobody),
        "reliability": Drawing(
            reliability, "Reliability: does 30 % predicted happen 30 % of the time?", period, _reliability(happens), "no snapshot"
        ),
        "backtest": Drawing(
            backtest_table(found["by_origin"]),
            "Backtest over time: what training promised, what came",
            "each model is judged on outcomes after the day it was made; bars: 95 % interval over clients",
            _backtest,
            "no origin with both outcomes",
        ),
        "slices": Drawing(
            slices_table(found["slices"]),
            "Slices: where the model ranks well, and where not",
            f"{found['slices']['all']['n_rows']:,} out-of-time snapshots; in brackets: clients that {happens}, of all",
            _slices(found["slices"]["all"]),
            "no trait is known",
            height=1.6 + 0.27 * len(slices_table(found["slices"])),
        ),
        "decay": Drawing(
            decay_table(found["decay"]),
            "Decay: how models age",
            "AUC on snapshots so many months after the model was made; bars: 95 % interval over clients",
            _decay,
            "no origin has a later as_of before the test period: the history is too short to see a model age",
        ),
        "importance": Drawing(
            importance_table(importance),
            "Importance: what moves the shipped model",
            "mean size of a signal's contribution to the log-odds, over the rows it was trained on",
            _importance,
            "train wrote no importance",
            height=1.6 + 0.34 * len(importance),
        ),
    }


# ---- the tables behind the pictures -------------------------------------------------------------------------------------------------


def backtest_table(by_origin: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per fold with an AUC: fold, auc, low, high, oob_auc (inside training), recency_auc; `final test` is the last."""
    rows = [
        ("final test" if own["is_test"] else own["fold"], *_ends(own["auc"]), own["oob_auc"], own["recency_auc"]["value"])
        for own in by_origin
        if _has(own["auc"])
    ]
    return pd.DataFrame(rows, columns=["fold", "auc", "low", "high", "oob_auc", "recency_auc"])


def slices_table(slices: Mapping[str, Any]) -> pd.DataFrame:
    """One row per slice: trait, slice, n_clients, n_churned_clients, auc, low, high, told."""
    rows = [
        (own["trait"], own["slice"], own["n_clients"], own["n_churned_clients"], *_ends(own["auc"]), own["told"])
        for own in slices["slices"]
    ]
    return pd.DataFrame(rows, columns=["trait", "slice", "n_clients", "n_churned_clients", "auc", "low", "high", "told"])


def decay_table(decay: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per month of age: months, n_models, n_rows, auc, low, high of the aged, and the AUC of aged and fresh on shared snapshots."""
    columns = [
        "months",
        "n_models",
        "n_rows",
        "auc",
        "low",
        "high",
        "paired_auc",
        "fresh_auc",
        "difference",
        "difference_low",
        "difference_high",
    ]
    rows = []
    for own in decay:
        paired = own["paired"]
        both = (
            (paired["aged"]["auc"]["value"], paired["fresh"]["auc"]["value"], *_ends(paired["aged_minus_fresh"]["auc"]))
            if paired
            else (None,) * 5
        )
        if _has(own["auc"]):
            rows.append((own["months"], own["n_models"], own["n_rows"], *_ends(own["auc"]), *both))
    return pd.DataFrame(rows, columns=columns)


def importance_table(importance: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per signal, the weightiest first: signal, title, mean_contribution_size, share."""
    names = titles()
    rows = [(own["signal"], names.get(own["signal"], own["signal"]), own["mean_contribution_size"], own["share"]) for own in importance]
    table = pd.DataFrame(rows, columns=["signal", "title", "mean_contribution_size", "share"])
    return table.sort_values(["mean_contribution_size", "signal"], ascending=[False, True], kind="stable", ignore_index=True)


def _ends(figure: Mapping[str, float | None]) -> tuple[float | None, float | None, float | None]:
    return figure["value"], figure["low"], figure["high"]


def _has(figure: Mapping[str, float | None]) -> bool:
    return figure["value"] is not None


# ---- drawing ------------------------------------------------------------------------------------------------------------------------


def _save(path: Path, drawing: Drawing) -> None:
    from matplotlib.figure import Figure  # here: half a second, needed by nothing else in this stage

    figure = Figure(figsize=(7.2, drawing.height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(drawing.title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    if drawing.table.empty:
        axes.set_axis_off()
        axes.text(0.5, 0.5, drawing.empty, ha="center", va="center", transform=axes.transAxes, color="0.35", wrap=True)
    else:
        axes.set_title(drawing.subtitle, loc="left", fontsize=8, color="0.35")
        drawing.draw(axes, drawing.table)
    figure.savefig(path, metadata={"Software": None})  # equal curves, equal bytes


def _lines(axes: Any, table: pd.DataFrame, y: str) -> None:
    for name in (name for name in COLOURS if name in set(table["name"])):  # the model last, on top
        own = table[table["name"] == name]
        axes.plot(100 * own["contacted"], own[y], label=WORDS[name], color=COLOURS[name], linewidth=2.2 if name == "model" else 1.2)


def _legend(axes: Any, place: str, **options: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    first = [*WORDS.values(), *labels]
    order = sorted(range(len(labels)), key=lambda at: first.index(labels[at]))
    axes.legend([handles[at] for at in order], [labels[at] for at in order], loc=place, frameon=False, fontsize=8, **options)


def _gain(share: float, words: Words) -> Callable[[Any, pd.DataFrame], None]:
    def draw(axes: Any, table: pd.DataFrame) -> None:
        _lines(axes, table.assign(found=100 * table["found"]), "found")
        axes.plot([0, 100 * share, 100], [0, 100, 100], color=FAINT, linestyle=":", label="perfect order")
        axes.plot([0, 100], [0, 100], color=FAINT, linestyle="--", label="at random")
        axes.set(
            xlabel=f"snapshots looked at, {words.foremost} first (%)",
            ylabel=f"found of those that {words.happens} (%)",
            xlim=(0, 100),
            ylim=(0, 101),
        )
        _legend(axes, "lower right")

    return draw


def _lift(share: float, words: Words) -> Callable[[Any, pd.DataFrame], None]:
    def draw(axes: Any, table: pd.DataFrame) -> None:
        shown = table[table["contacted"] * 100 <= DEEPEST_LIFT]
        _lines(axes, shown, "lift")
        axes.axhline(1, color=FAINT, linestyle="--", label="at random")
        top = 1.15 * float(shown["lift"].max())
        axes.set(
            xlabel=f"snapshots looked at, {words.foremost} first (%); {100 * share:.1f} % {words.happens}",
            ylabel="times as many found as at random",
            xlim=(0, DEEPEST_LIFT),
            ylim=(0, top),
        )
        _legend(axes, "upper right")

    return draw


def _reliability(happens: str) -> Callable[[Any, pd.DataFrame], None]:
    def draw(axes: Any, table: pd.DataFrame) -> None:
        model, rfm = table[table["name"] == "model"].dropna(), table[table["name"] == "rfm"]
        axes.plot(
            100 * rfm["predicted"], 100 * rfm["observed"], "s-", color=WARM, alpha=0.35, markersize=3, linewidth=1, label=MODEL_WORDS["rfm"]
        )
        spread = 100 * np.stack([model["observed"] - model["low"], model["high"] - model["observed"]]).clip(min=0)
        axes.errorbar(
            100 * model["predicted"],
            100 * model["observed"],
            yerr=spread,
            fmt="o-",
            color=STRONG,
            capsize=2,
            linewidth=1.2,
            label=MODEL_WORDS["model"],
        )
        axes.plot([0, 100], [0, 100], color=FAINT, linestyle="--", label="as predicted")
        top = min(100.0, 100 * float(np.nanmax([table["predicted"].max(), model["high"].max(), 0.05])) * 1.05)
        axes.set(
            xlabel="predicted (%), in ten bins of equally many snapshots", ylabel=f"of whom {happens} (%)", xlim=(0, top), ylim=(0, top)
        )
        _legend(axes, "upper left")

    return draw


def _backtest(axes: Any, table: pd.DataFrame) -> None:
    place = np.arange(len(table))
    for at, inside, came in zip(place, table["oob_auc"].astype(float), table["auc"], strict=True):
        if not np.isnan(inside):
            axes.plot([at, at], [inside, came], color=WARM, linewidth=5, alpha=0.25, solid_capstyle="butt")
    axes.errorbar(place, table["auc"], yerr=_spread(table), fmt="o", color=STRONG, capsize=3, label="realised: on outcomes that came later")
    axes.plot(place, table["oob_auc"], "D", color=WARM, markersize=6, label="promised: inside training, clients not seen")
    axes.plot(place, table["recency_auc"], "_", color=QUIET, markersize=14, markeredgewidth=2, label="recency rule, realised")
    axes.axhline(0.5, color=FAINT, linestyle="--")
    if len(table) > 1:  # a line before the final test
        axes.axvline(len(table) - 1.5, color=FAINT, linewidth=1)
    axes.set_xticks(place, table["fold"], rotation=30, ha="right", fontsize=8)
    axes.set(
        ylabel="AUC (0.5 = chance)",
        xlabel="model made on",
        xlim=(-0.6, len(table) - 0.4),
        ylim=_limits(table, extra=("oob_auc", "recency_auc")),
    )
    axes.legend(loc="lower left", frameon=False, fontsize=8)


def _slices(everyone: Mapping[str, Any]) -> Callable[[Any, pd.DataFrame], None]:
    def draw(axes: Any, table: pd.DataFrame) -> None:
        place = -np.arange(len(table), dtype=float)
        ranked = table["auc"].notna().to_numpy()
        is_flagged = ranked & (table["told"] != "").to_numpy()
        for chosen, colour in ((ranked & ~is_flagged, STRONG), (is_flagged, WARM)):
            if chosen.any():
                axes.errorbar(
                    table["auc"][chosen], place[chosen], xerr=_spread(table[chosen]), fmt="o", color=colour, capsize=2, markersize=4
                )
        for at in np.flatnonzero(~ranked):
            beside = axes.get_yaxis_transform()  # x as a share of the axis, y in data
            axes.text(0.02, place[at], table["told"].iloc[at], fontsize=7, color="0.45", va="center", transform=beside)
        if everyone["auc"]["value"] is not None:
            axes.axvline(everyone["auc"]["value"], color=FAINT, linestyle="--", zorder=0)
            axes.text(everyone["auc"]["value"], 0.75, "all", fontsize=7, color="0.45", ha="center")
        for at in np.flatnonzero((table["trait"] != table["trait"].shift()).to_numpy())[1:]:
            axes.axhline(-at + 0.5, color="0.92", linewidth=0.8, zorder=0)
        names = [f"{own.trait}: {own.slice}  ({own.n_churned_clients:,} of {own.n_clients:,})" for own in table.itertuples()]
        axes.set_yticks(place, names, fontsize=8)
        axes.set(xlabel="AUC (0.5 = chance)", ylim=(-len(table) + 0.4, 1.3))

    return draw


def _decay(axes: Any, table: pd.DataFrame) -> None:
    axes.errorbar(
        table["months"],
        table["auc"],
        yerr=_spread(table),
        fmt="o-",
        color=STRONG,
        capsize=2,
        linewidth=1.2,
        label="aged models, all later snapshots",
    )
    paired = table.dropna(subset=["fresh_auc", "paired_auc"])
    if len(paired):
        axes.plot(paired["months"] + 0.12, paired["fresh_auc"], "^", color=WARM, label="fresh models, where one was made that day")
        axes.plot(
            paired["months"] + 0.12,
            paired["paired_auc"],
            "v",
            color=STRONG,
            fillstyle="none",
            label="aged models, on the same snapshots as the fresh",
        )
        axes.vlines(paired["months"] + 0.12, paired["paired_auc"], paired["fresh_auc"], color=WARM, linewidth=4, alpha=0.25)
    axes.axhline(0.5, color=FAINT, linestyle="--")
    axes.set(xlabel="months since the model was made", ylabel="AUC (0.5 = chance)", ylim=_limits(table, extra=("fresh_auc", "paired_auc")))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower left", frameon=False, fontsize=8)


def _importance(axes: Any, table: pd.DataFrame) -> None:
    place = -np.arange(len(table), dtype=float)
    axes.barh(place, table["mean_contribution_size"], color=STRONG, height=0.6)
    for at, own in zip(place, table.itertuples(), strict=True):
        axes.text(own.mean_contribution_size, at, f" {own.share:.0%}", va="center", fontsize=8, color="0.35")
    axes.set_yticks(place, table["title"], fontsize=9)
    axes.set(xlabel="log-odds", xlim=(0, 1.12 * float(table["mean_contribution_size"].max()) or 1))


def _spread(table: pd.DataFrame) -> Any:
    value = table["auc"].to_numpy(np.float64)
    low, high = (np.nan_to_num(np.abs(table[end].to_numpy(np.float64) - value)) for end in ("low", "high"))
    return np.stack([low, high])


def _limits(table: pd.DataFrame, extra: Sequence[str]) -> tuple[float, float]:
    """Around everything drawn, and 0.5; some room below for the legend."""
    values = table[["auc", "low", "high", *extra]].to_numpy(np.float64)
    low, high = min(float(np.nanmin(values)), 0.5), float(np.nanmax(values))
    return low - 0.35 * (high - low), high + 0.05 * (high - low)

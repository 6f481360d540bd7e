"""The label's design (design.json) -> its pictures, and a digest in words: one per source.

return_rate.png   how many come back, by length of silence; chosen and proposed horizon marked (non-contractual)
sensitivity.png   share labelled as lost, and how many of them come back, by horizon and silent_gaps (non-contractual)
outcomes.png      how often each ending happens within each horizon (contractual)
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from models.label_design import NO_ROOM, NONE_REACHES, REACHED, as_frame

ENDED_BY = {
    "client": "the client left",
    "us": "ended by us",
    "mutual": "ended by mutual consent",
    "closed_down": "the client closed down",
    "paused": "paused",
    "left_in_gap": "left within the gap",
    "stayed": "stayed",
}
CHOSEN, PROPOSED, LIMIT = "tab:blue", "tab:orange", "0.45"
FINE_BELOW = 0.095  # smaller shares are told with a decimal
GREYS = ("0.8", "0.7", "0.6", "0.5", "0.4", "0.3")


# ---- words ------------------------------------------------------------------------------------------------------------------------


def digest(design: Mapping[str, Any]) -> list[str]:
    """The design in at most a dozen lines of at most 90 characters."""
    return list(_of_endings(design) if design["relationship"] == "contractual" else _of_silence(design))


def _of_silence(design: Mapping[str, Any]) -> Iterator[str]:
    chosen, asked, silences = design["chosen"], design["asked"], design["silences"]
    yield f"label design: {silences['n_clients']:,} clients, watched until {silences['watched_until']}; the choices stand in params.yaml"
    at_horizon = _row(design["return_curve"], "silent_days", chosen["horizon_days"])
    so_long = f"of those silent so long {_back(at_horizon)} are back within {asked['follow_up_days']}"
    yield f"  horizon: chosen {chosen['horizon_days']} days; {so_long}"
    yield f"    {_horizon_in_words(design['horizon'])}"
    if chosen["active_within_days"]:
        yield f"  eligible: a contact within {chosen['active_within_days']} days; silent_gaps and silent_floor_days are not used"
    else:
        at_gaps = _row(design["eligibility_gaps"], "silent_gaps", chosen["silent_gaps"])
        yield f"  silent_gaps: chosen {chosen['silent_gaps']:g}; past it {_back(at_gaps)} are back within {asked['window_days']}"
        yield f"    {_threshold_in_words(design['silent_gaps'], 'own gaps')}"
        at_floor = _row(design["eligibility_floors"], "silent_days", chosen["silent_floor_days"])
        yield f"  silent_floor_days: chosen {chosen['silent_floor_days']}; past it {_back(at_floor)} are back within {asked['window_days']}"
        yield f"    {_threshold_in_words(design['silent_floor_days'], 'days')}"
    yield from _by_horizon(design)


def _by_horizon(design: Mapping[str, Any]) -> Iterator[str]:
    """How the label looks at three horizons: the chosen one and its neighbours among the candidates."""
    chosen = design["chosen"]
    rows = [row for row in design["sensitivity"] if all(row[name] == chosen[name] for name in ("silent_gaps", "silent_floor_days"))]
    at = next(place for place, row in enumerate(rows) if row["horizon_days"] == chosen["horizon_days"])
    yield "  horizon  as_ofs  snapshots  lost (share)   clients lost  of those watched on, came back"
    for row in rows[max(at - 1, 0) : at + 2]:
        mark = "*" if row["horizon_days"] == chosen["horizon_days"] else " "
        yield (
            f"  {row['horizon_days']:>6}{mark}  {row['n_as_ofs']:>6}  {row['n_labelled']:>9,}  {_percent(row['base_rate']):>12}"
            f"  {row['n_churned_clients']:>13,}  {_percent(row['came_back']):>10} of {row['n_followed']:,}"
        )


def _row(rows: Sequence[Mapping[str, Any]], name: str, value: float) -> Mapping[str, Any]:
    return next(row for row in rows if row[name] == value)


def _percent(share: float | None) -> str:
    """
    >>> _percent(0.374), _percent(0.0412), _percent(None)
    ('37 %', '4.1 %', '–')
    """
    return "–" if share is None else f"{100 * share:.0f} %" if share >= FINE_BELOW else f"{100 * share:.1f} %"


def _back(row: Mapping[str, Any]) -> str:
    """A share that comes back, with its band; or that nobody was watched for so long."""
    if row["returned"] is None:
        return "an unknown share"
    low, high = row["low"], row["high"]
    digits = 0 if row["returned"] >= FINE_BELOW else 1
    return _percent(row["returned"]) + ("" if low is None else f" [{100 * low:.{digits}f}–{100 * high:.{digits}f}]")


def _horizon_in_words(found: Mapping[str, Any]) -> str:
    wanted = f"{100 * found['at_most']:g} % or less"
    if found["because"] == REACHED:
        return f"proposed: {found['proposed']} days: {_back(found)}, the shortest with {wanted}"
    if found["because"] == NO_ROOM:
        return f"proposed: none; {found['would_reach']} would do but leaves nothing to learn from; else {_lowest(found, 'days')}"
    if found["because"] == NONE_REACHES:
        return f"proposed: none is at {wanted}; lowest with room to learn: {_lowest(found, 'days')}"
    return _too_little(found)


def _threshold_in_words(found: Mapping[str, Any], unit: str) -> str:
    wanted = f"{100 * found['at_most']:g} % or less"
    if found["because"] == REACHED:
        return f"proposed: {found['proposed']:g} {unit}: {_back(found)}, the fewest with {wanted}"
    if found["because"] == NONE_REACHES:
        return f"proposed: none is at {wanted}; lowest: {_lowest(found, unit)}"
    return _too_little(found)


def _lowest(found: Mapping[str, Any], unit: str) -> str:
    return f"{found['compromise']:g} {unit}, {_back(found)}"


def _too_little(found: Mapping[str, Any]) -> str:
    return f"proposed: none; fewer than {found['clients_at_least']} clients were watched for long enough"


def _of_endings(design: Mapping[str, Any]) -> Iterator[str]:
    chosen, horizons = design["chosen"], design["chosen"]["horizons_days"]
    total = sum(row["n_endings"] for row in design["leavers"])
    yield f"label design: {total:,} endings, judged until {design['judged_until']}; the choices stand in params.yaml"
    if not total:
        yield "  no ending is on record: nothing can be learnt until endings.sql gives some"
        return
    by_client = [row for row in design["leavers"] if row["ended_by"] == "client"]
    n_left = sum(row["n_endings"] for row in by_client)
    reasons = ", ".join(f"{row['reason']} {row['n_endings']:,}" for row in by_client[:4])
    yield f"  {n_left:,} by the client" + (f" ({reasons})" if reasons else "") + _others(design["leavers"])
    yield from _shares(design, horizons)
    yield from _of_notice(design)
    unseen = {row["met"]: row["n"] for row in design["unseen_endings"] if row["ended_by"] == "client" and row["met"] != "labelled"}
    parts = ", ".join(f"{met} {n:,}" for met, n in unseen.items())
    if n_left:
        yield f"  no label at {chosen['horizon_days']} days shows {sum(unseen.values()):,} of {n_left:,} clients' endings" + (
            f": {parts}" if parts else ""
        )


def _others(leavers: Sequence[Mapping[str, Any]]) -> str:
    counts = pd.DataFrame(list(leavers)).groupby("ended_by")["n_endings"].sum().drop("client", errors="ignore")
    return "".join(f", {ended_by} {n:,}" for ended_by, n in counts.items())


def _shares(design: Mapping[str, Any], horizons: Sequence[int]) -> Iterator[str]:
    """A line per outcome, a column per horizon (at most three, the main one among them)."""
    chosen = design["chosen"]["horizon_days"]
    shown = sorted({chosen, *[horizon for horizon in horizons if horizon != chosen][:2]})
    figures = {(row["outcome"], row["horizon_days"]): row for row in design["outcomes"]}
    titles = "".join(f"{f'{horizon} days' + ('*' if horizon == chosen else ''):>20}" for horizon in shown)
    yield f"  {'eligible snapshots, within':<27}{titles}"
    for outcome, words in ENDED_BY.items():
        rows = [figures.get((outcome, horizon)) for horizon in shown]
        if outcome != "stayed" and any(row and row["n"] for row in rows):
            yield f"  {words:<27}" + "".join(f"{_with_band(row):>20}" for row in rows)


def _with_band(row: Mapping[str, Any] | None) -> str:
    if row is None or row["share"] is None:
        return "–"
    band = "" if row["low"] is None else f" [{100 * row['low']:.1f}–{100 * row['high']:.1f}]"
    return f"{100 * row['share']:.1f} %{band}"


def _of_notice(design: Mapping[str, Any]) -> Iterator[str]:
    found = next((row for row in design["notice"] if row["ended_by"] == "client" and row["p50_days"] is not None), None)
    if found:
        yield f"  a client's notice runs {found['p50_days']:g} days (half of them {found['p25_days']:g} to {found['p75_days']:g})"


# ---- pictures ---------------------------------------------------------------------------------------------------------------------


def draw(folder: Path, design: Mapping[str, Any]) -> None:
    """The source's pictures into `folder`; equal designs give equal bytes. Where there is nothing to draw, none."""
    if design["relationship"] == "contractual":
        if any(row["n"] and row["outcome"] != "stayed" for row in design["outcomes"]):
            _draw_outcomes(folder / "outcomes.png", design)
        return
    if any(row["returned"] is not None for row in design["return_curve"]):
        _draw_return_rate(folder / "return_rate.png", design)
    if any(row["n_labelled"] for row in design["sensitivity"]):
        _draw_sensitivity(folder / "sensitivity.png", design)


def _draw_return_rate(path: Path, design: Mapping[str, Any]) -> None:
    asked, found, silences = design["asked"], design["horizon"], design["silences"]
    curve = as_frame(design["return_curve"]).astype({"returned": float, "low": float, "high": float})
    curve = curve[curve["returned"].notna() & (curve["n_followed"] >= found["clients_at_least"])]
    (axes,), save = _panels(
        f"Of clients silent for so long, how many come back within {asked['follow_up_days']} days?",
        f"{silences['n_clients']:,} clients, {silences['n']:,} silences watched until {silences['watched_until']}; band: 95 % over clients",
    )
    axes.fill_between(curve["silent_days"], 100 * curve["low"], 100 * curve["high"], color=CHOSEN, alpha=0.2, linewidth=0)
    axes.plot(curve["silent_days"], 100 * curve["returned"], color=CHOSEN, marker=".", linewidth=1.6)
    axes.axhline(100 * found["at_most"], color=LIMIT, linestyle=":", label=f"tolerated: {100 * found['at_most']:g} %")
    axes.axvline(design["chosen"]["horizon_days"], color=CHOSEN, linestyle="--", label=f"chosen: {design['chosen']['horizon_days']} days")
    if found["proposed"] is not None:
        axes.axvline(found["proposed"], color=PROPOSED, linestyle="--", label=f"proposed: {found['proposed']} days")
    elif found["compromise"] is not None:
        axes.axvline(
            found["compromise"], color=PROPOSED, linestyle="--", label=f"none meets it; lowest with room to learn: {found['compromise']}"
        )
    axes.set(xlabel="whole days of silence", ylabel="come back (%)", xlim=(0, None), ylim=(0, 100))
    axes.legend(loc="upper right", framealpha=0.9, edgecolor="white")
    save(path)


def _draw_sensitivity(path: Path, design: Mapping[str, Any]) -> None:
    chosen = design["chosen"]
    rows = as_frame(design["sensitivity"]).astype({"base_rate": float, "came_back": float})
    rows = rows[(rows["silent_floor_days"] == chosen["silent_floor_days"]) & (rows["n_as_ofs"] > 0)]
    panels, save = _panels(
        "What the label is like under another horizon or silent_gaps",
        f"silent_floor_days = {chosen['silent_floor_days']}, gap {chosen['gap_days']} days; the dotted line is the chosen horizon",
        n_panels=2,
    )
    at_least = design["horizon"]["clients_at_least"]
    gaps = sorted(rows["silent_gaps"].unique())
    for axes, name, words in (
        (panels[0], "base_rate", "labelled as lost (%)"),
        (panels[1], "came_back", f"of these, back within {design['asked']['follow_up_days']} days after (%)"),
    ):
        for place, multiple in enumerate(gaps):
            some = rows[(rows["silent_gaps"] == multiple) & rows[name].notna()]
            some = some[some["n_followed"] >= at_least] if name == "came_back" else some
            is_chosen = multiple == chosen["silent_gaps"]
            style = (
                {"color": CHOSEN, "linewidth": 2.2, "zorder": 3} if is_chosen else {"color": GREYS[place % len(GREYS)], "linewidth": 1.2}
            )
            axes.plot(some["horizon_days"], 100 * some[name], marker=".", label=f"{multiple:g}{' (chosen)' if is_chosen else ''}", **style)
        axes.axvline(chosen["horizon_days"], color=CHOSEN, linestyle=":")
        axes.set(xlabel="horizon (days)", ylabel=words, ylim=(0, 100))
    panels[0].legend(title="silent_gaps", loc="best", frameon=False, fontsize=8)
    save(path)


def _draw_outcomes(path: Path, design: Mapping[str, Any]) -> None:
    rows = as_frame(design["outcomes"]).astype({"share": float, "low": float, "high": float})
    rows = rows[(rows["outcome"] != "stayed") & rows["share"].notna()]
    outcomes = [name for name in ENDED_BY if name in set(rows["outcome"])]
    counted = rows.drop_duplicates("horizon_days").set_index("horizon_days")["n_snapshots"]
    (axes,), save = _panels(
        "What becomes of eligible clients within each horizon",
        "; ".join(f"{horizon} days: {n:,} snapshots" for horizon, n in counted.items()) + "; bars: 95 % over clients",
    )
    height = 0.8 / max(len(counted), 1)
    for place, horizon in enumerate(counted.index):
        some = rows[rows["horizon_days"] == horizon].set_index("outcome").reindex(outcomes)
        at = [line + place * height for line in range(len(outcomes))]
        spread = [100 * (some["share"] - some["low"]).clip(lower=0), 100 * (some["high"] - some["share"]).clip(lower=0)]
        color = CHOSEN if horizon == design["chosen"]["horizon_days"] else GREYS[min(2 * place, len(GREYS) - 1)]
        axes.barh(
            at, 100 * some["share"], height, xerr=spread, color=color, label=f"{horizon} days", error_kw={"capsize": 2, "elinewidth": 0.8}
        )
    axes.set_yticks([line + 0.4 - height / 2 for line in range(len(outcomes))], [ENDED_BY[name] for name in outcomes])
    axes.invert_yaxis()
    axes.set(xlabel="of eligible snapshots (%)", xlim=(0, None))
    axes.legend(loc="best", frameon=False)
    save(path)


def _panels(title: str, subtitle: str, n_panels: int = 1):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure  # here: half a second, needed by nothing else in this stage

    figure = Figure(figsize=(7 if n_panels == 1 else 10, 5), dpi=120, layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False, sharex=True)[0]
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=11)
    figure.text(0.011, 0.925, subtitle, fontsize=8, color="0.35")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)

    def save(path: Path) -> None:
        figure.savefig(path, metadata={"Software": None})  # equal curves, equal bytes

    return panels, save

"""The benchmarks' figures (.figures/*.json, written by `make figures` and `make bench`) -> the README's table of figures.

    python tests/benchmarks/readme.py          rewrites what stands between <!-- figures --> and <!-- /figures -->

A figure that has not been measured on this machine is left out; nothing is typed by hand.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from pipeline.evaluate import shown

FIGURES = Path(".figures")
README = Path("README.md")
MODELS = {
    "clientfit": "clientfit",
    "strong": "windowed RFM, LightGBM + logistic regression",
    "rich": "the same with own rhythm and lifetime totals",
    "plain": "logistic regression on recency and counts",
    "rfm": "windowed RFM, logistic regression",
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
    return [*lines, ""]


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


def load(engine: list[dict[str, Any]] | None, ingest: dict[str, Any] | None, permuted: dict[str, Any] | None) -> list[str]:
    """Speed, memory and the check against chance."""
    lines = []
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
    if ingest:
        stages = ", ".join(
            f"{stage} {took['cpu_s']:.0f} CPU s, peak {took['peak_gib']:.2f} GiB" for stage, took in ingest["stages"].items()
        )
        lines.append(f"- {ingest['n_rows']:,} raw rows: {stages}")
    if permuted:
        lines.append(
            f"- labels permuted ({permuted['source']}): mean AUC {permuted['mean']:.3f} over {permuted['permutations']} permutations "
            f"(standard error {permuted['standard_error']:.3f}; wanted 0.5 ± 0.02)"
        )
    return [*lines, ""]


def table() -> str:
    """The whole block, as Markdown."""
    lines = ["Out of time, with the 95 % interval of a bootstrap over clients; `make figures` and `make bench` write this block.", ""]
    for name in ("wholesaler", "helpdesk"):
        lines += real(found) if (found := read(name)) else []
    lines += portfolio(found) if (found := read("simulated")) else []
    lines += load(read("feature_engine"), read("ingest_load"), read("permuted_labels"))
    return "\n".join(lines).strip()


def main() -> None:
    """Rewrites the README's block."""
    text = README.read_text(encoding="utf-8")
    block = f"<!-- figures -->\n{table()}\n<!-- /figures -->"
    README.write_text(re.sub(r"<!-- figures -->.*<!-- /figures -->", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()

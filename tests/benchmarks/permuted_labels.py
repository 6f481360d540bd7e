"""A source's features with shuffled labels -> AUC on its test period, 20 times: chance (0.5 ± 0.02), unless something leaks.

    make train && python tests/benchmarks/permuted_labels.py [NAME_OR_FOLDER] [--json FILE]     default: the simulated portfolio

Labels are shuffled among the clients of each as_of, so that only the share of leavers is kept. Exits with 1 outside the band.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from models.backtest import permuted_aucs
from models.bag import Recipe
from pipeline.source import load_source
from pipeline.stage import command
from pipeline.tables import write_json
from pipeline.train import training_rows

PERMUTATIONS = 20
BAND = 0.02


def main(name: str, to: Path | None) -> None:
    """Prints the mean, its standard error and the spread; writes them to `to`."""
    source = load_source(name)
    settings = source.settings
    rows, columns = training_rows(source.output, "churn")
    aucs = np.array(
        permuted_aucs(
            rows,
            columns,
            calendar=settings.time.calendar,
            test_periods=settings.train.test_periods,
            recipe=Recipe(settings.train.members, settings.seed),
            permutations=PERMUTATIONS,
        )
    )
    error = aucs.std(ddof=1) / np.sqrt(len(aucs))
    is_chance = abs(aucs.mean() - 0.5) <= BAND
    print(
        f"permuted labels, {source.name}: mean AUC {aucs.mean():.4f} ± {error:.4f} (standard error) over {len(aucs)} permutations, "
        f"from {aucs.min():.3f} to {aucs.max():.3f}; wanted 0.5 ± {BAND}: {'held' if is_chance else 'NOT HELD'}"
    )
    if to:
        facts = {"source": source.name, "permutations": len(aucs), "mean": float(aucs.mean()), "standard_error": float(error)}
        write_json(to, facts)
    if not is_chance:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="simulated")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    command(lambda: main(asked.source, asked.json))

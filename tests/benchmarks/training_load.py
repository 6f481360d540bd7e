"""A simulated portfolio of about 5,000 clients at a time over 36 months -> seconds and memory of the train stage; target: two minutes.

    python tests/benchmarks/training_load.py [--json FILE]

9,000 clients are on the books in the course of three years, so that at any time some 5,700 are; the stage makes its whole backtest, the
shipped model, the search for leaks and the importance of signals, in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pipeline.tables import write_json

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds what lies beside it
from benchmarks.worlds import FRESH_SEEDS, portfolio

CLIENTS = 9_000
STAGE = """
import json
from pipeline.source import load_source
from pipeline.train import train, training_rows, write_training
source = load_source("simulated")
rows, columns = training_rows(source.output, "churn")
found = train(rows, columns, target="churn", source=source, tell=lambda _: None)
write_training(source.output / "train" / "churn", found)
print(json.dumps({
    "n_rows": len(rows), "n_clients": len(set(rows.client)), "n_columns": len(columns.names), "n_as_ofs": len(set(rows.as_of.tolist())),
    "n_folds": len(found.backtest.folds), "n_churned_clients": found.backtest.shipped.spec["training"]["n_churned_clients"],
}))
"""


def main() -> None:
    """Prints and stores the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    with portfolio(FRESH_SEEDS[0], CLIENTS):
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", STAGE], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("train failed")
        took = {"seconds": time.perf_counter() - began, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_gib": usage.ru_maxrss / 2**20}
    found = json.loads(told.splitlines()[-1]) | took | {"n_cores": os.cpu_count()}
    print(found)
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()

"""Delivered decisions of a source -> what economics, policy and advice could tell of it, and what they say is missing.

    python tests/benchmarks/little_data.py wholesaler --json .figures/wholesaler_decide.json     # after `make train` and `make score` of it

Reads the newest folder of data/<source>/decide/ alone: it shows what a reader of the delivery learns where a source has contacts and
invoices and nothing else.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from features.errors import UserError
from pipeline.tables import read_json, write_json


def told_of(name: str) -> dict[str, Any]:
    """Counts and shares for one source. Raises UserError where nothing was delivered yet."""
    folders = sorted(Path("data", name, "decide").glob("as_of=*"))
    if not folders:
        raise UserError(f"data/{name}/decide", found="no decisions", wanted="a delivery", cure=f"run `make score SOURCE={name}`")
    folder = folders[-1]
    portfolio, manifest = read_json(folder / "portfolio.json"), read_json(folder / "manifest.json")
    rows = [json.loads(line) for line in (folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    rules = [rule for row in rows for rule in row["evidence"]["rules"] or ()]
    missing: dict[str, list[str]] = defaultdict(list)
    for what, why in portfolio["missing"].items():
        missing[why.split(";")[0]].append(what)
    return {
        "source": name,
        "as_of": manifest["as_of"],
        "data_version": manifest["data_version"],
        "basis": sorted({row["evidence"]["misfit_basis"] for row in rows}),
        "n_clients": portfolio["n_clients"],
        "n_advised": len(rows),
        "currency": portfolio["currency"],
        "revenue": portfolio["totals"]["365"]["revenue"],
        "top": portfolio["concentration"]["revenue"]["top"],
        "n_rules": len({rule["name"] for rule in rules}),
        "n_rules_measurable": len({rule["name"] for rule in rules} - set(manifest["policy"]["unmeasurable"])),
        "n_clients_with_a_hit": sum(any(rule["is_hit"] for rule in row["evidence"]["rules"] or ()) for row in rows),
        "actions": manifest["actions"],
        "missing": dict(missing),
        "not_on_record": manifest["not_on_record"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    found = told_of(asked.source)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()

"""A small firm drawn in days before as_of -> canonical tables on disk, a source to go with them, and champions of plain rules.

The clients, all with an order every fourth Monday for a year: calm, whom nothing troubles; leaver, who complains; tough, who is harsh, pays
late and takes work for nothing. A champion's probability is 0.4 where its column is at least 3, else 0.05, at an average of 0.1: so a test
draws who is leaving and who is a misfit, and nothing need be trained.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from histories import AS_OF, OFFICE, history

from pipeline import decide
from pipeline.delivery import deliver
from pipeline.judge import look
from pipeline.settings import load_settings
from pipeline.snapshot import canonical_tables, snapshots
from pipeline.tables import TABLES

CLIENTS = ("calm", "leaver", "tough")
TELLS = {"churn": "criticism_90", "misfit": "hostile_180"}


def contacts(extra: str = "", clients: tuple[str, ...] = CLIENTS) -> str:
    """A drawing of interactions: the orders, complaints of the leaver, harsh calls of the tough one, and more."""
    orders = [f"{client} {ago} order portal inbound - 12:00" for client in clients for ago in range(14, 400, 28)]
    complaints = [f"leaver {ago} complaint email inbound - 12:00" for ago in (5, 20, 40, 75, 100)]
    harsh = [f"tough {ago} message call inbound -0.9 22:30" for ago in (3, 30, 60, 100, 150, 170)]
    return "\n".join(["client ago kind channel direction tone at", *orders, *complaints, *harsh, *extra.strip().splitlines()])


MONEY = {  # an invoice a month of 1,000 each, paid but for the tough one's last two; a day's work costs 400
    "invoices": "\n".join(
        ["client id ago due_ago amount", *(f"{c} {c}-{ago} {ago} {ago - 30} 1000" for c in CLIENTS for ago in range(45, 390, 30))]
    ),
    "payments": "\n".join(
        [
            "invoice_id ago amount",
            *(f"{c}-{ago} {ago - 20} 1000" for c in CLIENTS for ago in range(45, 390, 30) if c != "tough" or ago > 75),
        ]
    ),
    "work": "\n".join(
        [
            "client ago duration_minutes cost is_billable is_in_scope invoice_id",
            *(f"{c} {ago} 480 400 yes yes {c}-{ago}" for c in CLIENTS for ago in range(45, 390, 30)),
            *(f"tough {ago} 960 800 no no -" for ago in range(50, 390, 30)),
            "tough 8 120 100 yes yes -",
        ]
    ),
}
PAPERS = {
    "clients": "client known account_owner\ncalm 500 dana\nleaver 500 dana\ntough 500 avi",
    "commitments": """
        client id owed_by kind ago due_ago done_ago
        calm p1 us deliverable 100 90 95
        leaver p2 us deliverable 100 90 85
        leaver p3 us deliverable 60 50 55
        leaver p4 us quote 20 -10 -
        tough p5 client material 90 80 60
        tough p6 client task 60 40 -
        tough p7 us deliverable 90 80 85
    """,
    "agreements": """
        client service ago ends_ago renews notice_days terms_sent_ago has_scope has_service_hours has_delivery_time has_payment_terms
        calm s1 400 -60 yes 30 400 yes yes yes yes
        leaver s1 400 -60 no 60 400 yes yes yes yes
        tough s2 400 -90 yes 90 - yes no no no
    """,
    "services": "id ago name strategic_weight\ns1 500 Advice 0.9\ns2 500 Paperwork 0.2\ns3 500 Audits 0.8",
    "contacts": """
        client id ago role is_decision_maker until_ago
        leaver k1 400 CEO yes -
        leaver k2 300 clerk no -
        leaver k3 400 CFO yes 30
    """,
    "ties": "client other_client_id kind ago until_ago\ncalm tough referral 300 -",
    "reviews": "client id ago reviewer verdict\ntough r1 100 dana keep\ntough r2 40 dana misfit\ntough r3 30 avi misfit",
    "endings": "client ago ended_by\nnobody 20 client",
}


def firm(root: Path, tables: Mapping[str, str] | None = None, **overrides: Any) -> Any:
    """Writes the tables (default: all of them) and gives what the stages read of a source."""
    drawings = {"interactions": contacts()} | (dict(MONEY | PAPERS) if tables is None else dict(tables))
    for name, drawing in drawings.items():
        path = root / "validate" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(history(name, drawing), path)
    assert set(drawings) <= set(TABLES)
    return SimpleNamespace(
        name="firm",
        folder=root,
        output=root,
        spec=SimpleNamespace(relationship="contractual"),
        business=OFFICE,
        settings=load_settings(overrides, "drawn"),
        exported_day=AS_OF,
    )


def champions(*targets: str, prevalence: float = 0.1) -> dict[str, Any]:
    """Stand-ins for the registered models."""
    return {target: _champion(target, prevalence) for target in targets}


def _champion(target: str, prevalence: float) -> Any:
    def predict(features: pd.DataFrame) -> pd.DataFrame:
        column = features.get(TELLS[target], pd.Series(0.0, index=features.index))
        return pd.DataFrame({"probability": np.where(column >= 3, 0.4, 0.05)})

    model = SimpleNamespace(columns=(), spec={"training": {"prevalence": prevalence}}, predict=predict)
    return SimpleNamespace(model=model, question={"basis": "marked"}, version="stand-in")


def scored(source: Any, found: Mapping[str, Any], **columns: Any) -> pa.Table:
    """The part of the scores' contract that the decision reads."""
    everyone = snapshots(canonical_tables(source.output / "validate"), [AS_OF], source).select(["client_id", "as_of", "status"]).to_pandas()
    frame = everyone.assign(churn_low=0.3, churn_high=0.5, churn_confidence="clear", **columns)
    if "misfit" in found:
        frame = frame.assign(misfit_low=0.3, misfit_high=0.5, misfit_confidence="clear")
    return pa.Table.from_pandas(frame, preserve_index=False)


def decided(source: Any, *targets: str, prevalence: float = 0.1, **columns: Any) -> decide.Decided:
    """The decision with champions for the targets (default: both)."""
    found = champions(*(targets or ("churn", "misfit")), prevalence=prevalence)
    looked = look(source, decide.looked_at(source, AS_OF))
    return decide.decided(source, found, looked, scored(source, found, **columns))


def write_decisions(folder: Path, found: decide.Decided, source_name: str = "firm") -> dict[str, Any]:
    """Writes the decision's files alone, as `make score` writes them beside the scores; the manifest."""
    return deliver(decide.to_deliver(folder, found, {"source": source_name}))[0]


def by_client(found: decide.Decided) -> dict[str, Any]:
    """Its rows as they are written."""
    return {row["client_id"]: json.loads(json.dumps(row)) for row in found.rows}

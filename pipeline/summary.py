"""A source's outputs -> what `make train` prints at its end: the rows' account, the figures, the model's place, where results lie."""

from pathlib import Path

from pipeline.evaluate import told
from pipeline.source import Source, selected_source
from pipeline.stage import command, console
from pipeline.tables import read_json

RESULTS = (
    ("rows: account and quarantine", "validate"),
    ("features and what they mean", "featurize"),
    ("figures, predictions, plots", "evaluate/churn"),
    ("contributions, importance, plots", "explain"),
)


def summarise(source: Source) -> None:
    """Prints the figures of the last training and where everything lies."""
    console.print(f"\n[bold]{source.name}[/bold]: {source.spec.description.strip()}\n")
    console.print(told(read_json(source.output / "evaluate/churn/metrics.json")))
    columns = read_json(source.output / "featurize/columns.json")
    for lack in columns["unavailable"]:
        console.print(f"signal {lack['signal']} is unavailable: the source has no {', '.join(lack['missing_tables'])}")
    registered = read_json(source.output / "register/registration.json")
    console.print(f"\nregistered: {registered['model']} version {registered['version']}, {registered['role']}")
    for what, where in RESULTS:
        console.print(f"  {what:<34}{Path(source.output) / where}")
    console.print(f"next: make score SOURCE={source.asked_as}   make explain SOURCE={source.asked_as} CLIENT=<client_id>")


if __name__ == "__main__":
    command(lambda: summarise(selected_source()))

"""What stands on disk and in the registry -> the terminal: how fresh the data are, the last run, champions, newest scores and decisions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.time import to_date
from models.evidence import ACTIONS
from pipeline import mlstore
from pipeline.delivery import MANIFEST, is_of_one_run, shown
from pipeline.mlstore import CHALLENGER, CHAMPION, Store, Version
from pipeline.question import asked_of, differing, question_of, worded
from pipeline.register import BECAUSE, no_model
from pipeline.snapshot import canonical_tables
from pipeline.source import Source, selected_source
from pipeline.stage import command, console
from pipeline.tables import data_version, read_json

STAGES = ("ingest", "validate", "snapshot", "label", "featurize", "train", "evaluate", "register", "explain")
FIGURES = ("auc", "average_precision", "brier", "lift_at_10_percent", "calibration_slope")


def data_lines(source: Source) -> Iterator[str]:
    """The export, and per table its rows and the newest event."""
    yield f"source {source.name} ({source.folder}), exported {_moment(source.spec.exported_at, source.spec.time_zone)}"
    tables = canonical_tables(source.output / "validate")
    if not tables:
        yield "no canonical tables yet: run `make train`"
    for name, path in tables.items():
        file = pq.ParquetFile(path)
        newest = pc.max(file.read(["day"])["day"]).as_py()
        yield f"  {name:<13} {file.metadata.num_rows:>11,} rows, newest {'–' if newest is None else to_date(newest)}"


def run_lines(source: Source) -> Iterator[str]:
    """When each stage last wrote."""
    for name in STAGES:
        files = [path for path in (source.output / name).rglob("*") if path.is_file()]
        written = max((path.stat().st_mtime for path in files), default=None)
        yield f"  {name:<13} {_moment(datetime.fromtimestamp(written, UTC)) if written else 'not run yet'}"


def registry_lines(source: Source, target: str, store: Store) -> Iterator[str]:
    """A target's champion with its figures, and the challenger; or why it has none."""
    name = source.registered(target)
    if why := no_model(source, target):
        yield f"no model of {target}: {why}"
        return
    champion, challenger = store.with_alias(name, CHAMPION), store.with_alias(name, CHALLENGER)
    if champion is None:
        yield f"no champion named {name} yet: run `make train`"
        return
    yield f"champion {_version_line(champion)}"
    yield from _figure_lines(champion, store)
    if champion.tags.get("beats_recency") != "yes":
        yield "  flagged: not shown to beat the recency rule"
    if champion.tags.get("basis"):
        yield f"  basis of its label: {champion.tags['basis']}"
    if champion.tags.get(BECAUSE):
        yield f"  champion because {champion.tags[BECAUSE]}"
    spec, asked = store.spec_of(champion), question_of(source, target)
    if spec is None:
        yield "  its files are gone or differ from the registry: `make score` will refuse them; what `make train` registers takes its place"
    elif parts := differing(asked_of(spec), asked):
        yield f"  trained on {worded(asked_of(spec), parts)}; the settings ask {worded(asked, parts)}: run `make train`"
    elif champion.tags.get("data_version") != _present_data(source):
        yield "  trained on other data than stand here now"
    if challenger is not None:
        yield f"challenger {_version_line(challenger)}"


def _version_line(version: Version) -> str:
    return f"{version.name} version {version.number}, registered {_moment(version.created_at)}, model {version.model_hash[:12]}"


def _figure_lines(version: Version, store: Store) -> Iterator[str]:
    """The held-out figures, with their intervals, of the run behind a version."""
    metrics = store.client.get_run(version.run_id).data.metrics if version.run_id else {}
    for figure in FIGURES:
        path = f"test.model.{figure}"
        if path in metrics:
            yield f"  {figure.replace('_', ' '):<19} {metrics[path]:.3f} [{metrics[f'{path}_low']:.3f}, {metrics[f'{path}_high']:.3f}]"


def _present_data(source: Source) -> str:
    return data_version(source.output / "validate") if canonical_tables(source.output / "validate") else ""


def score_lines(source: Source) -> Iterator[str]:
    """The newest scores, and what was decided on them: how many steps are advised, and whether the decisions are theirs."""
    manifests = sorted((source.output / "score").glob("as_of=*/manifest.json"))
    if not manifests:
        yield "no scores yet: run `make score`"
        return
    newest: dict[str, Any] = read_json(manifests[-1])
    counts = ", ".join(f"{count:,} {status}" for status, count in newest["statuses"].items())
    written = _moment(datetime.fromisoformat(newest["scored_at"]))
    yield f"scores for {newest['as_of']}: {newest['n_rows']:,} clients ({counts}), written {written}"
    models = [own for own in (newest, newest.get("misfit", {})) if "model" in own]
    by = " and ".join(f"{own['model']} version {own['version']} (model {own['model_hash'][:12]})" for own in models)
    yield f"  by {by}: {manifests[-1].parent}"
    decisions = source.output / "decide" / manifests[-1].parent.name
    if not (decisions / MANIFEST).exists() or not is_of_one_run(decisions):
        yield f"  the decisions beside them are missing or of another run: `make score AS_OF={newest['as_of']}` mends that"
        return
    made: dict[str, Any] = read_json(decisions / MANIFEST)
    steps = {action: n for action in ACTIONS if action != "wait_and_watch" and (n := made["actions"].get(action))}
    counts = "".join(f", {n:,} {action.replace('_', ' ')}" for action, n in steps.items())
    yield f"decisions for {made['as_of']}: {sum(steps.values()):,} steps advised for {made['n_rows']:,} eligible clients{counts}"
    yield f"  made {_moment(datetime.fromisoformat(made['decided_at']))}: {decisions}"


def _moment(at: datetime, zone: str = "UTC") -> str:
    return f"{at:%Y-%m-%d %H:%M} {zone}"


def status(source: Source) -> None:
    """Prints it all."""
    for line in data_lines(source):
        console.print(shown(line))
    console.print("last run")
    for line in run_lines(source):
        console.print(line)
    if mlstore.store_exists():
        with mlstore.faults_told():
            store = mlstore.open_store()
            for target in source.settings.targets:
                for line in registry_lines(source, target, store):
                    console.print(shown(line))
    else:
        console.print("no registry yet: run `make train`")
    for line in score_lines(source):
        console.print(shown(line))


if __name__ == "__main__":
    command(lambda: status(selected_source()))

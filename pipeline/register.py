"""A target's shipped model and its figures -> a version in the registry, found again by content; data/<source>/register/<target>/.

registration.json says which version stands for the model that was trained last; or, where training found nothing to learn from, that
there is none and why (`no_model`). An earlier version is then left as it is, and not asked (pipeline/judge.py).

Idempotent: a model whose content hash is registered already, with its files whole, is not registered twice, so that training source A,
then B, then A again finds A's version and its alias. The first version of a target becomes `champion`, flagged if it does not beat the
recency rule; a later one becomes `challenger`. Nothing is promoted on its merits here: that is for the gate. Only a champion that can no
longer score is replaced, one that is damaged or that was trained on another question than the source asks now; the tag
`champion_because` says which.

A version is created last, in one step, from files that have been logged, loaded back and found to score like this code, bit for bit. A
process that dies before that leaves a run without a version; one that dies after it leaves a version that the next run finds and aliases.
No client's id or row enters the registry: parameters, tags and the input example come from the model's own spec.

Beside the model go its card (pipeline/card.py), its figures, plots and grade, the tier and why, and how many models the final test
period has been read by: as it was when the version was made in the card, as it is now in the tag `final_period_reads`.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.errors import UserError
from models import scorer
from pipeline import card, reads
from pipeline.mlstore import CHALLENGER, CHAMPION, Store, Version, alone, copied, faults_told, files_sha256, open_store
from pipeline.question import asked_of, differing, told
from pipeline.source import Source, selected_source
from pipeline.stage import console, stage
from pipeline.tables import data_version, folder_written_whole, read_json, sha256_of, write_json
from pipeline.train import chosen_target
from pipeline.wording import asked_in_words

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

BECAUSE, READS = "champion_because", "final_period_reads"  # tags of a version
TAG_LENGTH = 5_000  # characters that MLflow's store takes
SHIPPED_WITH = ("lightgbm", "numpy", "pandas", "mlflow")  # what the scorer imports, in the versions it was made with
PROJECT = Path(__file__).parents[1]
CODE = ("features", "models", "pipeline")
ANSWER = ("probability", "low", "high")
PARAMETER_LENGTH = 500  # MLflow takes 6,000, no reader does


@dataclass(frozen=True)
class Trained:
    """What train and evaluate left: the model, its content hash, its figures and facts; the folders of spec.json and of metrics.json."""

    model: scorer.Model
    model_hash: str
    metrics: dict[str, Any]
    facts: dict[str, Any]
    training: Path
    evaluation: Path

    @property
    def target(self) -> str:
        return str(self.model.spec["target"])

    @property
    def basis(self) -> str:
        """What the label rests on, for misfit; empty for churn."""
        return str(self.model.spec.get("question", {}).get("basis", ""))


@dataclass(frozen=True)
class Registration:
    """Which version stands for the model that was trained last. role: champion, challenger or superseded.

    basis: what the label rests on, for misfit (models/misfit.py); empty for churn.
    """

    target: str
    basis: str
    model: str
    version: int
    role: str
    model_hash: str
    files_sha256: str
    run_id: str
    beats_recency: str
    data_version: str
    code_version: str
    champion_because: str  # why it took a former champion's place; empty if it took none


def no_model(source: Source, target: str) -> str | None:
    """Why the last training made no model of this target; None where it made one, or none was run here."""
    path = source.output / "train" / target / "training.json"
    why: str | None = read_json(path).get("no_model") if path.exists() else None
    return why


def read_trained_model(source: Source, target: str) -> scorer.Model:
    """The shipped model of the last training. Raises UserError if it is missing or damaged."""
    training = source.output / "train" / target
    if not (training / "spec.json").exists():
        raise UserError(str(training), found="no model", wanted="the output of train", cure="run `make train` first")
    try:
        return scorer.load(training / "spec.json", training / "members")
    except scorer.BadModel as problem:
        raise UserError(str(training), found=str(problem), wanted="a whole model", cure="run `make train`") from problem


def read_trained(source: Source, target: str) -> Trained:
    """The shipped model of the last training with its figures."""
    training, evaluation = source.output / "train" / target, source.output / "evaluate" / target
    model = read_trained_model(source, target)
    metrics, facts = read_json(evaluation / "metrics.json"), read_json(training / "training.json")
    return Trained(model, scorer.content_hash(model.spec), metrics, facts, training, evaluation)


def register(source: Source, trained: Trained, store: Store) -> tuple[Registration, bool]:
    """The version of the trained model, and whether it is new. One process per model at a time."""
    name = source.registered(trained.target)
    n_read = reads.note(reads.Read.of(source.name, trained.metrics, trained.facts))  # evaluate did not, where DVC's cache answered
    with alone(name):
        known = [version for version in store.versions(name) if version.model_hash == trained.model_hash]
        found = next((version for version in reversed(known) if store.is_whole(version)), None)
        is_new = found is None
        found = found or _log(source, trained, store, n_read)
        store.client.set_model_version_tag(name, str(found.number), READS, str(n_read))
        found = _give_alias(found, trained.model.spec, store)
        return _registration(found, _role(found, store)), is_new


def _give_alias(found: Version, spec: Mapping[str, Any], store: Store) -> Version:
    """Makes the version champion or challenger; returns it with its tags. spec: its model's."""
    champion = store.with_alias(found.name, CHAMPION)
    if champion is not None and champion.number == found.number:
        return found
    because = "" if champion is None else _why_replaced(champion, spec, store)
    if champion is None or because:
        if because:
            # before the alias: a process that dies in between leaves a tag too many, not a champion without its reason
            store.client.set_model_version_tag(found.name, str(found.number), BECAUSE, because)
        store.client.set_registered_model_alias(found.name, CHAMPION, str(found.number))
        challenger = store.with_alias(found.name, CHALLENGER)
        if challenger is not None and challenger.number == found.number:
            store.client.delete_registered_model_alias(found.name, CHALLENGER)
    elif champion.model_hash != found.model_hash:
        store.client.set_registered_model_alias(found.name, CHALLENGER, str(found.number))
    return next(version for version in store.versions(found.name) if version.number == found.number)


def _why_replaced(champion: Version, spec: Mapping[str, Any], store: Store) -> str:
    """Why the champion can no longer score for the source whose newest model has this spec; empty if it can."""
    former = store.spec_of(champion)
    if former is None:
        return f"the former champion, version {champion.number}, is damaged"
    if former.get("format") != spec["format"]:
        return f"the former champion's format {former.get('format')} is not {spec['format']}, which this version of the code reads"
    before, now = asked_of(former), asked_of(spec)
    changed = [f"{part} {told(before, part)} -> {told(now, part)}" for part in differing(before, now)]
    if changed:
        return f"the question changed: {', '.join(changed)}"
    made = {column["name"] for column in spec["columns"]}
    lost = [column["name"] for column in former["columns"] if column["name"] not in made]
    return f"columns that it needs are no longer made: {', '.join(lost[:5])}" if lost else ""


def _role(found: Version, store: Store) -> str:
    for alias in (CHAMPION, CHALLENGER):
        holder = store.with_alias(found.name, alias)
        if holder is not None and holder.number == found.number:
            return alias
    return "superseded"


def _registration(found: Version, role: str) -> Registration:
    tags = found.tags
    return Registration(
        target=tags["target"],
        basis=tags.get("basis", ""),
        model=found.name,
        version=found.number,
        role=role,
        model_hash=tags["model_hash"],
        files_sha256=tags["files_sha256"],
        run_id=found.run_id,
        beats_recency=tags["beats_recency"],
        data_version=tags["data_version"],
        code_version=tags["code_version"],
        champion_because=tags.get(BECAUSE, "") if role == CHAMPION else "",
    )


# ---- one new version --------------------------------------------------------------------------------------------------------------


def _log(source: Source, trained: Trained, store: Store, n_read: int) -> Version:
    import mlflow

    name = source.registered(trained.target)
    tags = _tags(source, trained) | {READS: str(n_read)}
    card_text = card.registered(
        (trained.evaluation / "model_card.md").read_text(encoding="utf-8"), code=tags["code_version"], reads=reads.told(n_read)
    )
    experiment = store.experiment(name)
    with mlflow.start_run(experiment_id=experiment, run_name=trained.model_hash[:12], tags=tags) as run:
        mlflow.log_params(dict(parameters(source, trained.model.spec)))
        mlflow.log_artifacts(str(trained.evaluation / "plots"), "plots")
        mlflow.log_artifact(str(trained.evaluation / "metrics.json"))
        mlflow.log_text(card_text, "model_card.md")
        logged = _log_scorer(trained)
        # after the model: of a run that has figures already, log_model reads the history of each, a query apiece
        mlflow.log_metrics(dict(figures(trained.metrics)), model_id=logged.model_id)
    _ensure_model(source, trained, store)
    checked = _checked_sum(trained, logged)
    made = store.client.create_model_version(
        name,
        logged.model_uri,
        run_id=run.info.run_id,
        model_id=logged.model_id,
        tags=tags | {"files_sha256": checked},
        description=card.short(source, trained.target, trained.metrics, trained.model.spec, told=_flags(tags)),
    )
    return next(version for version in store.versions(name) if version.number == int(made.version))


def _tags(source: Source, trained: Trained) -> dict[str, str]:
    training, grade = trained.model.spec.get("training", {}), trained.metrics.get("grade", {})
    tags = {
        "model_hash": trained.model_hash,
        "data_version": data_version(source.output / "validate"),
        "code_version": code_version(),
        "beats_recency": beats_recency(trained.metrics),
        "tier": training.get("tier", ""),
        "tier_reason": training.get("size_reason", ""),
        "is_reliable": training.get("is_reliable", ""),
        "grade": grade.get("level", ""),
        "grade_text": grade.get("text", ""),
        "target": trained.target,
    }
    tags |= {"basis": trained.basis} if trained.basis else {}
    return {name: str(value)[:TAG_LENGTH] for name, value in tags.items()}


def _flags(tags: Mapping[str, str]) -> list[str]:
    """What a consumer must see first."""
    flag = {
        "yes": "It ranks better than the recency rule (95 % interval of the paired difference above zero).",
        "no": "**It does not beat the recency rule** (the 95 % interval of the paired difference in AUC reaches zero).",
    }.get(tags["beats_recency"], "It could not be compared with the recency rule.")
    times = int(tags[READS])
    return [flag, *([f"Of the figures: {reads.told(times)}."] if times > 1 else [])]


def _log_scorer(trained: Trained) -> Any:
    import mlflow

    return mlflow.pyfunc.log_model(
        name="scorer",
        python_model=str(Path(scorer.__file__)),
        artifacts={"spec": str(trained.training / "spec.json"), "members": str(trained.training / "members")},
        signature=signature(trained.model.columns),
        input_example=input_example(trained.model),
        pip_requirements=[f"{package}=={version(package)}" for package in SHIPPED_WITH],
        metadata={"model_hash": trained.model_hash, "target": trained.target},
    )


def _checked_sum(trained: Trained, logged: Any) -> str:
    """sha256 of the logged files, once they load as a consumer loads them and score like this code. Raises UserError if they do not."""
    import mlflow

    example = input_example(trained.model)
    with copied(logged.model_uri) as folder:
        found = files_sha256(folder)
        shipped = mlflow.pyfunc.load_model(str(folder)).predict(example)
    expected = trained.model.predict(example)
    if not np.array_equal(shipped[list(ANSWER)].to_numpy(), expected[list(ANSWER)].to_numpy(), equal_nan=True):
        raise UserError(
            logged.model_uri,
            found="a logged model that scores differently from this code",
            wanted="the same numbers, bit for bit",
            cure="check that the installed packages are those of requirements.lock (`make setup`), then `make train`",
        )
    return found


def _ensure_model(source: Source, trained: Trained, store: Store) -> None:
    from mlflow.exceptions import MlflowException

    asked = asked_in_words(source, trained.target, trained.basis or None)
    try:
        store.client.create_registered_model(
            source.registered(trained.target), description=f"{asked.question} The probability; see the versions' cards."
        )
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def signature(columns: tuple[str, ...]) -> "ModelSignature":
    """Columns of float64 by name -> probability, low, high; the parameter `reasons` adds contributions by signal, `horizons` the
    probability at every horizon."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("double", name) for name in columns]),
        outputs=Schema([ColSpec("double", name) for name in ANSWER]),
        params=ParamSchema([ParamSpec("reasons", "boolean", False), ParamSpec("horizons", "boolean", False)]),
    )


def input_example(model: scorer.Model) -> pd.DataFrame:
    """Three made-up rows: every column at its training median, at its lowest, at its highest. No client's own row leaves the project."""
    linear = model.linear
    return pd.DataFrame([linear.median, linear.low, linear.high], columns=list(model.columns), dtype=np.float64)


# ---- what is written beside it ----------------------------------------------------------------------------------------------------


def parameters(source: Source, spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The knobs of the run and what training made of them, as text, one level deep: `time.horizon_days`, `model.tree_weight` …"""
    yield "source", source.name
    yield "relationship", source.spec.relationship
    yield "exported_at", source.spec.exported_at.isoformat()
    for section, knobs in source.settings.model_dump(mode="json").items():
        for knob, value in knobs.items() if isinstance(knobs, dict) else [("", knobs)]:
            yield f"{section}.{knob}".rstrip("."), str(value)[:PARAMETER_LENGTH]
    facts = {"tree_weight": spec["tree_weight"], "members": len(spec["members"]), "columns": len(spec["columns"])}
    facts |= {key: value for key, value in spec.get("training", {}).items() if not isinstance(value, list | dict)}
    facts |= {f"calibration_{key}": spec["calibration"][key] for key in ("slope", "intercept")}
    for key, value in facts.items():
        yield f"model.{key}", str(value)[:PARAMETER_LENGTH]


def figures(metrics: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of metrics.json by its place in it; a figure with an interval gives three: `x`, `x_low`, `x_high`. No nulls."""
    if isinstance(metrics, dict):
        is_interval = {"value", "low", "high"} <= set(metrics)
        for key, value in metrics.items():
            if is_interval and key in ("value", "low", "high"):
                yield from figures(value, path if key == "value" else f"{path}_{key}")
            else:
                yield from figures(value, f"{path}.{key}".strip("."))
    elif isinstance(metrics, int | float) and not isinstance(metrics, bool):
        yield path, float(metrics)


def code_version(root: Path = PROJECT) -> str:
    """The git commit of a clean tree; `<commit>+<sha256>` with uncommitted changes in the code; `sha256:…` of the code without git."""
    lines = [f"{path.relative_to(root).as_posix()} {sha256_of(path)}\n" for part in CODE for path in sorted((root / part).rglob("*.py"))]
    content = scorer.text_hash("".join(lines))
    if not (root / ".git").exists() or not shutil.which("git"):
        return f"sha256:{content}"
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if not commit:
        return f"sha256:{content}"
    return f"{commit}+{content[:12]}" if _git(root, "status", "--porcelain", "--", *CODE) else commit


def _git(root: Path, *arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603, S607  # fixed words
    return found.stdout.strip() if found.returncode == 0 else ""


# ---- figures --------------------------------------------------------------------------------------------------------------------


def beats_recency(metrics: Mapping[str, Any]) -> str:
    """yes if the model ranks better than the recency rule on the held-out period and the paired interval leaves out zero; no; unknown."""
    low = _part(metrics, "test", "model_minus_recency", "auc").get("low")
    return "unknown" if low is None else "yes" if low > 0 else "no"


def _part(metrics: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    found: Any = metrics
    for step in path:
        found = found.get(step, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


# ---- the stage --------------------------------------------------------------------------------------------------------------------


def main() -> None:
    """data/<source>/train/<target> and evaluate -> the registry and data/<source>/register/<target>/registration.json."""
    source = selected_source()
    target = chosen_target(source)
    if no_model(source, target):
        written: dict[str, Any] = read_json(source.output / "train" / target / "training.json")
        console.print(f"no {target} model is registered: {written['no_model']}", markup=False)
    else:
        trained = read_trained(source, target)
        with faults_told():
            found, is_new = register(source, trained, open_store())
        _tell(found, is_new)
        written = asdict(found)
    with folder_written_whole(source.output / "register" / target) as folder:
        write_json(folder / "registration.json", written)


def _tell(found: Registration, is_new: bool) -> None:
    news = "registered" if is_new else "already registered, found by its content:"
    console.print(f"{news} {found.model} version {found.version}, {found.role} ({found.model_hash[:12]})")
    if found.beats_recency != "yes":
        console.print(
            "note: "
            + ("not compared with" if found.beats_recency == "unknown" else "does not beat")
            + " the recency rule; flagged so in the registry"
        )
    if found.champion_because:
        console.print(f"champion because {found.champion_because}; flagged so in the registry", markup=False)
    if found.role == CHALLENGER:
        console.print("the champion stays what `make score` uses: nothing is promoted silently")


if __name__ == "__main__":
    stage("register", main)

"""The whole line as a user runs it: make train and make score on one portfolio, another, and the first again, in a copy of the project.

The second training of the first portfolio starts from nothing (outputs and DVC's cache removed), so equal bytes show that the whole is
deterministic, and that the other portfolio left no trace in it.

The notebooks run on what the line wrote; the review also on the wholesaler, where its raw file lies beside the project.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 150  # fewer than the default portfolio: the same code, sooner done
WHOLESALER = "shared/data/wholesaler/order_lines.csv.gz"  # beside the project


def make(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=quiet())
    assert done.returncode == 0, f"make {' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def quiet() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MLFLOW", "MAKE"))}


def hashes(folder: Path) -> dict[str, str]:
    from pipeline.tables import sha256_of

    kept = [path for path in folder.rglob("*") if path.is_file() and path.suffix in {".parquet", ".json", ".jsonl", ".txt", ".csv"}]
    is_dated = {path for path in kept if {"score", "register"} & set(path.parts) or path.match("decide/*/manifest.json")}
    return {str(path.relative_to(folder)): sha256_of(path) for path in kept if path not in is_dated}


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A copy of the project's tracked files, with two small portfolios; beside it what lies beside the project."""
    folder = tmp_path_factory.mktemp("copy") / "clientfit"
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    if (ROOT.parent / "shared").exists():
        (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    first, other = folder / "data/sources/simulated", folder / "data/sources/other"
    shrink(first, seed=17)
    shutil.copytree(first, other)
    (other / "source.yaml").write_text((other / "source.yaml").read_text().replace("simulated/raw", "other/raw"))
    shrink(other, seed=18)
    return folder


def shrink(folder: Path, seed: int) -> None:
    import re

    text = (folder / "source.yaml").read_text()
    text = re.sub(r"(?m)^  clients: \d+", f"  clients: {CLIENTS}", text)
    (folder / "source.yaml").write_text(re.sub(r"(?m)^  seed: \d+", f"  seed: {seed}", text))


@pytest.fixture(scope="session")
def trained(project) -> Path:
    """The first portfolio trained and scored."""
    make(project, "train")
    make(project, "score")
    return project


@pytest.fixture(scope="session")
def retrained(trained) -> dict[str, dict[str, str]]:
    """Hashes of the first portfolio's outputs before and after: the other was trained and scored, then the first anew from nothing."""
    before = hashes(trained / "data/simulated") | {"scores": scores_hash(trained, "simulated")}
    make(trained, "train", "SOURCE=other")
    make(trained, "score", "SOURCE=other")
    shutil.rmtree(trained / "data/simulated")
    shutil.rmtree(trained / ".dvc/cache")
    make(trained, "train")
    make(trained, "score")
    return {"before": before, "after": hashes(trained / "data/simulated") | {"scores": scores_hash(trained, "simulated")}}


def newest_scores(folder: Path, source: str) -> Path:
    return max((folder / "data" / source / "score").glob("as_of=*"))


def scores_hash(folder: Path, source: str) -> str:
    from pipeline.tables import sha256_of

    return sha256_of(newest_scores(folder, source) / "scores.parquet")


def test_every_stage_leaves_what_the_readme_names(trained):
    folder = trained / "data/simulated"
    for name in (
        "validate/account.json",
        "validate/interactions.parquet",
        "featurize/features.parquet",
        "featurize/columns.json",
        "evaluate/churn/metrics.json",
        "evaluate/churn/predictions.parquet",
        "evaluate/churn/plots/gain.png",
        "evaluate/misfit/metrics.json",
        "explain/churn/importance.csv",
        "explain/misfit",
        "register/churn/registration.json",
        "register/misfit/registration.json",
    ):
        assert (folder / name).exists(), name
    assert (newest_scores(trained, "simulated") / "scores.csv").exists()


def test_every_client_has_one_row_and_a_probability_where_eligible(trained):
    scores = pq.read_table(newest_scores(trained, "simulated") / "scores.parquet").to_pandas()
    assert scores["client_id"].is_unique
    assert set(scores["status"]) <= {"eligible", "gone", "silent", "too_new", "too_infrequent"}
    eligible = scores["status"] == "eligible"
    assert eligible.sum() > 20
    assert scores["churn_probability"].notna().equals(eligible)
    assert scores.loc[eligible, "churn_probability"].between(0, 1, inclusive="neither").all()


def test_training_another_source_in_between_changes_no_byte_of_the_first(retrained):
    assert retrained["before"] == retrained["after"]
    assert len(retrained["before"]) > 20


def test_both_sources_are_registered_and_scored_with_their_own_model(trained, retrained):
    assert retrained
    registered = {
        name: json.loads((trained / f"data/{name}/register/churn/registration.json").read_text()) for name in ("simulated", "other")
    }
    scored = {
        name: set(pq.read_table(newest_scores(trained, name) / "scores.parquet", columns=["model_hash"])["model_hash"].to_pylist())
        for name in registered
    }
    assert registered["simulated"]["model_hash"] != registered["other"]["model_hash"]
    for name, facts in registered.items():
        assert facts["model"] == f"clientfit-{name}"
        assert facts["version"] == 1  # the same content is not registered twice
        assert scored[name] == {facts["model_hash"]}


def test_a_second_make_train_runs_no_stage_anew_and_says_where_results_are(trained):
    stages = ("ingest", "validate", "snapshot", "label", "featurize", "train/churn", "evaluate/churn", "explain/churn", "train/misfit")
    made = {stage: (trained / "data/simulated" / stage).stat().st_ctime_ns for stage in stages}
    printed = make(trained, "train")
    assert {stage: (trained / "data/simulated" / stage).stat().st_ctime_ns for stage in stages} == made
    assert "data/simulated/evaluate/churn" in printed
    assert "AUC" in printed


def test_explain_and_status_speak(trained):
    client = (
        pq.read_table(newest_scores(trained, "simulated") / "scores.parquet").to_pandas().query("status == 'eligible'")["client_id"].iloc[0]
    )
    assert client in make(trained, "explain", f"CLIENT={client}")
    assert "clientfit-simulated" in make(trained, "status")


def test_make_names_a_missing_client_and_source(trained):
    for arguments, words in ((["explain", "CLIENT=nobody"], "nobody"), (["train", "SOURCE=nowhere"], "no source.yaml")):
        done = subprocess.run(["make", *arguments], cwd=trained, capture_output=True, text=True, check=False, env=quiet())
        assert done.returncode != 0
        assert words in done.stderr
        assert "Traceback" not in done.stderr


# ---- notebooks --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def wholesaler(trained) -> Path:
    """The project with the wholesaler trained beside the first portfolio."""
    if not (trained.parent / WHOLESALER).exists():
        pytest.skip(f"no ../{WHOLESALER}")
    make(trained, "train", "SOURCE=wholesaler")
    return trained


def view(project: Path, folder: Path, *sources: str) -> Path:
    """The project as if only these sources had been trained: `folder`, with the sources' own figures and links to all else."""
    folder.mkdir()
    for path in project.iterdir():
        if path.name != "data":
            (folder / path.name).symlink_to(path)
    (folder / "data").mkdir()
    (folder / "data/sources").symlink_to(project / "data/sources")
    for source in sources:
        shutil.copytree(project / "data" / source, folder / "data" / source)
    return folder


def printed_by(notebook: str, folder: Path) -> str:
    """What the notebook prints and shows as text when it is run in `folder`. Raises CellExecutionError where a cell fails."""
    import nbformat
    from nbclient import NotebookClient

    read = nbformat.read(folder / "notebooks" / notebook, as_version=4)
    NotebookClient(read, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in read.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}).get(kind, "") for output in outputs for kind in ("text/markdown", "text/plain")]
    return "\n".join([*(output.get("text", "") for output in outputs), *shown])


def test_the_notebook_runs_on_what_the_line_wrote(trained):
    printed = printed_by("portfolio.ipynb", trained)
    assert "rows_in" in printed
    assert "model_minus_recency" in printed


def test_notebooks_are_kept_without_outputs():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path.name


def test_the_review_holds_for_the_default_portfolio(trained, tmp_path):
    printed = printed_by("review.ipynb", view(trained, tmp_path / "clientfit", "simulated"))
    assert "The wholesaler has not been trained here and is left out" in printed
    assert "every claim above held for simulated" in printed
    assert "label design: " in printed
    assert "AUC that training promised" in printed
    assert "clientfit-simulated version 1" in printed
    assert "scored on " in printed


def test_the_review_holds_for_the_wholesaler_beside_it(wholesaler, tmp_path):
    printed = printed_by("review.ipynb", view(wholesaler, tmp_path / "clientfit", "simulated", "wholesaler"))
    assert "left out: its raw file" not in printed
    assert "every claim above held for wholesaler and simulated" in printed
    assert "of those silent so long 62 % [60–64] are back within 180" in printed
    assert "0 of 5,454" in printed  # labels counted anew that differ
    assert "wholesaler: no rolling origins before the test" in printed
    assert "clientfit-wholesaler version 1" in printed


def an_auc_too_good(folder: Path) -> None:
    path = folder / "evaluate/churn/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["test"]["model"]["auc"]["value"] += 0.01
    path.write_text(json.dumps(metrics))


def a_hard_case_left_out(folder: Path) -> None:
    path = folder / "evaluate/churn/predictions.parquet"
    predictions = pq.read_table(path).to_pandas()
    predictions[predictions.index != predictions.loc[predictions["label"] == 1, "probability"].idxmin()].to_parquet(path)


@pytest.mark.parametrize(
    ("broken", "claim"),
    [(an_auc_too_good, "scikit-learn finds the same AUC"), (a_hard_case_left_out, "all eligible labelled rows")],
)
def test_the_review_stops_at_a_claim_that_is_false(trained, tmp_path, broken, claim):
    from nbclient.exceptions import CellExecutionError

    folder = view(trained, tmp_path / "clientfit", "simulated")
    broken(folder / "data/simulated")
    with pytest.raises(CellExecutionError) as stopped:
        printed_by("review.ipynb", folder)
    assert (stopped.value.ename, stopped.value.evalue) == ("AssertionError", claim)

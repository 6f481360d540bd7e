"""The log of reads: one line per model and period, whole or not at all, counted, and without any client."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from features.errors import UserError
from pipeline import mlstore, reads
from pipeline.reads import Read

FIRST = Read("alpha", "churn", "2024-01-01", "2024-03-01", "d1", "m1")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines() -> list[dict[str, str]]:
    return [json.loads(line) for line in (Path(".mlflow") / "reads" / "alpha-churn.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_read_is_a_line_with_its_moment():
    assert reads.note(FIRST) == 1
    (line,) = lines()
    assert set(line) == {"read_at", "source", "target", "from_on", "until_on", "data_version", "model_hash"}
    assert line["read_at"].endswith("+00:00")


def test_the_same_model_on_the_same_data_and_period_is_read_once():
    reads.note(FIRST)
    assert reads.note(FIRST) == 1
    assert len(lines()) == 1


def test_each_further_model_counts_and_the_sentence_says_what_it_costs():
    reads.note(FIRST)
    assert reads.told(1) == "this final period has been read by this model alone"
    assert reads.told(reads.note(replace(FIRST, model_hash="m2"))) == (
        "this final period has now been read by 2 models; each further look makes its figures less honest"
    )


def test_the_same_model_on_newer_data_is_another_read_by_the_same_model():
    reads.note(FIRST)
    assert reads.note(replace(FIRST, data_version="d2")) == 1
    assert len(lines()) == 2


def test_other_periods_targets_and_sources_are_counted_apart():
    reads.note(FIRST)
    assert reads.note(replace(FIRST, from_on="2024-04-01", until_on="2024-06-01", model_hash="m2")) == 1
    assert reads.note(replace(FIRST, target="misfit", model_hash="m3")) == 1
    assert reads.note(replace(FIRST, source="beta", model_hash="m4")) == 1
    assert reads.n_models(FIRST) == 1


def test_the_log_stays_with_the_project_where_the_registry_is_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(mlstore.VARIABLE, "http://127.0.0.1:1")
    reads.note(FIRST)
    assert len(lines()) == 1


def test_a_source_s_name_cannot_lead_out_of_the_folder():
    assert reads.log_of("../../etc", "churn").parent == Path(".mlflow") / "reads"


def test_a_damaged_log_is_told_and_not_overwritten():
    reads.note(FIRST)
    path = reads.log_of("alpha", "churn")
    path.write_text(path.read_text() + "{half a li\n")
    with pytest.raises(UserError, match="half a li"):
        reads.note(replace(FIRST, model_hash="m2"))
    assert path.read_text().endswith("{half a li\n")


def test_a_process_that_dies_while_writing_leaves_the_log_as_it_was(monkeypatch: pytest.MonkeyPatch):
    reads.note(FIRST)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            reads.note(replace(FIRST, model_hash="m2"))
    assert [line["model_hash"] for line in lines()] == ["m1"]
    assert reads.note(replace(FIRST, model_hash="m2")) == 2


def _notes(number: int) -> int:
    return reads.note(replace(FIRST, model_hash=f"m{number}"))


def test_processes_at_once_lose_no_line():
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_notes, range(12))
    assert {line["model_hash"] for line in lines()} == {f"m{number}" for number in range(12)}
    assert reads.n_models(FIRST) == 12


def test_the_evaluated_model_is_the_one_that_was_read():
    found = {"target": "churn", "data_version": "d1", "test": {"from": "2024-01-01", "until": "2024-03-01"}}
    assert Read.of("alpha", found, {"model_hash": "shipped", "evaluated_hash": "m1"}) == FIRST


def test_a_period_that_shares_days_is_the_same_period():
    """One month more of data, or one test period more, is another look at the same months."""
    reads.note(FIRST)
    assert reads.note(replace(FIRST, from_on="2024-02-01", until_on="2024-04-01", model_hash="m2")) == 2

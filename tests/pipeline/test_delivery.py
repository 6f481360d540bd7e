"""Two folders that belong together: killed at any moment nothing is half-written, a reader can tell, and the next run mends it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.delivery import Delivery, deliver, is_of_one_run
from pipeline.tables import read_json, sha256_of

ROOT = Path(__file__).parents[2]
KILLED_BEFORE = """
import os, signal, sys
from pathlib import Path
sys.path.append({here!r})
from test_delivery import hand_over
import pipeline.delivery
owner, name = {{"copy": (pipeline.delivery.shutil, "copyfile"), "rename": (Path, "rename")}}[{what!r}]
left, as_before = [{nth}], getattr(owner, name)
def counted(*given):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return as_before(*given)
setattr(owner, name, counted)
hand_over(Path({root!r}), "new")
"""


def hand_over(root: Path, word: str) -> list[dict[str, object]]:
    """Two folders that belong together, of two files each."""

    def one(name: str) -> Delivery:
        def write(folder: Path) -> None:
            for file in ("a.txt", "b.txt"):
                (folder / file).write_text(f"{word} {name} {file}", encoding="utf-8")

        return Delivery(root / name / "as_of=2024-01-01", write, {"said": word}, stamp="at")

    return deliver(one("score"), one("decide"))


def folders(root: Path) -> tuple[Path, Path]:
    return root / "score" / "as_of=2024-01-01", root / "decide" / "as_of=2024-01-01"


def stands(folder: Path) -> str:
    """What a folder says, all of whose files are those of its manifest; nothing where there is none."""
    if not folder.exists():
        return ""
    manifest = read_json(folder / "manifest.json")
    assert {name: {"sha256": sha256_of(folder / name)} for name in ("a.txt", "b.txt")} == manifest["files"], "half-written"
    return str(manifest["said"])


@pytest.mark.parametrize(
    ("what", "nth", "left"),
    [
        ("copy", 1, ("old", "old")),
        ("copy", 4, ("old", "old")),
        ("rename", 1, ("old", "old")),
        ("rename", 2, ("", "old")),
        ("rename", 3, ("new", "old")),  # between the two
        ("rename", 4, ("new", "")),
    ],
)
def test_killed_at_any_moment_nothing_is_half_written_a_reader_can_tell_and_the_next_run_mends_it(
    tmp_path: Path, what: str, nth: int, left: tuple[str, str]
):
    scores, decisions = folders(tmp_path)
    hand_over(tmp_path, "old")
    script = KILLED_BEFORE.format(here=str(Path(__file__).parent), what=what, nth=nth, root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (stands(scores), stands(decisions)) == left
    if decisions.exists():
        assert is_of_one_run(decisions) == (left == ("old", "old"))
    first = sha256_of(scores / "manifest.json") if left[0] == "new" else ""
    hand_over(tmp_path, "new")
    assert (stands(scores), stands(decisions)) == ("new", "new")
    assert is_of_one_run(decisions)
    assert first in ("", sha256_of(scores / "manifest.json")), "what the killed run had put in its place is left as it was"
    assert [path for folder in (scores, decisions) for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_the_same_again_writes_nothing_and_a_folder_spoiled_is_mended_alone(tmp_path: Path):
    scores, decisions = folders(tmp_path)
    first = hand_over(tmp_path, "old")
    inodes = [path.stat().st_ino for path in (scores, decisions)]
    assert hand_over(tmp_path, "old") == first
    assert [path.stat().st_ino for path in (scores, decisions)] == inodes
    (scores / "a.txt").write_text("spoiled", encoding="utf-8")
    assert hand_over(tmp_path, "old") == first
    assert stands(scores) == "old"
    assert decisions.stat().st_ino == inodes[1]


def test_a_manifest_names_those_before_it_by_their_place_and_sum(tmp_path: Path):
    scores, decisions = folders(tmp_path)
    of_scores, of_decisions = hand_over(tmp_path, "old")
    assert "rests_on" not in of_scores
    assert of_decisions["rests_on"] == {"score/as_of=2024-01-01/manifest.json": sha256_of(scores / "manifest.json")}
    assert read_json(decisions / "manifest.json") == of_decisions


def test_what_fails_while_the_second_is_made_leaves_both_as_they_were(tmp_path: Path):
    hand_over(tmp_path, "old")
    scores, decisions = folders(tmp_path)

    def fails(_: Path) -> None:
        raise OSError("No space left on device")

    new = Delivery(scores, lambda folder: (folder / "a.txt").touch(), {"said": "new"}, stamp="at")
    with pytest.raises(OSError, match="No space"):
        deliver(new, Delivery(decisions, fails, {}, stamp="at"))
    assert (stands(scores), stands(decisions)) == ("old", "old")

"""Files to hand over -> folders with manifests of their sha256 sums: all or nothing, and only where something differs from what stands.

Also what makes text of the data safe where others open it: a spreadsheet runs no cell, a terminal shows no markup.
"""

import glob
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.markup import escape

from pipeline.tables import folder_written_whole, read_json, sha256_of, write_json, written_whole

MANIFEST = "manifest.json"
# what a spreadsheet may take for a formula: OWASP's list, full-width forms and leading blanks included
FORMULA = re.compile(r"[\t\r\n\x00]|\s*[=+\-@＝＋－＠]")


@dataclass(frozen=True)
class Delivery:
    """A folder to hand over. write: fills a folder with its files. facts: what its manifest says beside `files`. stamp: the manifest's key
    for the moment of the first writing, the one thing that a second run would change.
    """

    folder: Path
    write: Callable[[Path], None]
    facts: Mapping[str, Any]
    stamp: str

    @property
    def manifest(self) -> Path:
        return self.folder / MANIFEST

    @property
    def manifest_name(self) -> str:
        """What other manifests call it: its place below the source's outputs."""
        return "/".join(self.manifest.parts[-3:])


def deliver(*deliveries: Delivery) -> list[dict[str, Any]]:
    """Makes every folder and puts each in its place with a manifest; the manifests are returned. One process at a time for a folder.

    All are written and synced before the first is put in its place, in the order given. Two folders cannot be replaced at once, so each
    manifest names those of the folders before it by their sums (`rests_on`): what a crash in between leaves, `is_of_one_run` tells, and
    the next delivery mends it. Where all of a folder is as it stands, nothing is written and the earlier moment stays.
    """
    with ExitStack() as made, ExitStack() as swaps:  # left in the reverse order: swapped before what was made is thrown away
        staged: list[Path] = []
        manifests: list[dict[str, Any]] = []
        sums: dict[str, str] = {}
        for one in deliveries:
            staged.append(Path(made.enter_context(tempfile.TemporaryDirectory(prefix="clientfit-"))))
            manifests.append(_made(one, staged[-1], sums))
            sums[one.manifest_name] = sha256_of(staged[-1] / MANIFEST)
        for one, own in reversed([*zip(deliveries, staged, strict=True)]):  # the last to be entered is the first to be swapped
            _swept(one.folder)
            if not _stands(one.folder, own):
                building = swaps.enter_context(folder_written_whole(one.folder))
                for path in own.iterdir():
                    with written_whole(building / path.name) as temporary:
                        shutil.copyfile(path, temporary)
    return manifests


def _made(one: Delivery, folder: Path, sums: Mapping[str, str]) -> dict[str, Any]:
    """Fills the folder with files and manifest; the manifest. sums: of the manifests that it rests on."""
    one.write(folder)
    files = {path.name: {"sha256": sha256_of(path)} for path in sorted(folder.iterdir())}
    manifest = {**one.facts, **({"rests_on": dict(sums)} if sums else {}), "files": files}
    earlier = read_json(one.manifest) if one.manifest.exists() else {}
    stamped_at = earlier.pop(one.stamp, None) if isinstance(earlier, dict) else None
    fits = bool(stamped_at) and earlier == manifest
    manifest[one.stamp] = stamped_at if fits else datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / MANIFEST, manifest)
    return manifest


def _stands(folder: Path, made: Path) -> bool:
    """Whether every file of `made` stands in `folder`, byte for byte."""
    return all((folder / path.name).is_file() and sha256_of(folder / path.name) == sha256_of(path) for path in made.iterdir())


def _swept(folder: Path) -> None:
    """Removes what a killed run was building beside the folder."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        shutil.rmtree(left)


def is_of_one_run(folder: Path) -> bool:
    """Whether what a delivered folder says it rests on stands beside it as it did when the folder was delivered."""
    sums = read_json(folder / MANIFEST).get("rests_on", {})
    paths = {folder.parent.parent / name: stated for name, stated in sums.items()}
    return all(path.is_file() and sha256_of(path) == stated for path, stated in paths.items())


def write_spreadsheet(path: Path, table: pa.Table) -> None:
    """The table as CSV that is safe to open: UTF-8 with a byte order mark, and no cell of text is a formula."""
    cells = table.to_pandas()
    for field in table.schema:
        if pa.types.is_string(field.type):
            cells[field.name] = [inert(text) if isinstance(text, str) else text for text in cells[field.name]]
    with written_whole(path) as temporary:
        cells.to_csv(temporary, index=False, encoding="utf-8-sig", lineterminator="\n")


def inert(text: str) -> str:
    """Text that a spreadsheet shows instead of running it.

    >>> inert("=1+1"), inert("Cohen - Levi")
    ("'=1+1", 'Cohen - Levi')
    """
    return f"'{text}" if FORMULA.match(text) else text


def shown(text: str) -> str:
    """Text of the data, safe to print: control and direction characters are written out, markup is not markup."""
    return escape("".join(letter if letter.isprintable() or letter == " " else f"\\u{ord(letter):04x}" for letter in text))

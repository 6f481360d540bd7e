"""Files to hand over -> one folder with a manifest of their sha256 sums: all or nothing, and only where something differs from what stands.

Also what makes text of the data safe where others open it: a spreadsheet runs no cell, a terminal shows no markup.
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.markup import escape

from pipeline.tables import folder_written_whole, read_json, sha256_of, write_json, written_whole

MANIFEST = "manifest.json"
# what a spreadsheet may take for a formula: OWASP's list, full-width forms and leading blanks included
FORMULA = re.compile(r"[\t\r\n\x00]|\s*[=+\-@＝＋－＠]")


def deliver(folder: Path, write: Callable[[Path], None], facts: dict[str, Any], *, stamp: str) -> dict[str, Any]:
    """Lets `write` fill a folder and puts it in the place of `folder` with a manifest, which is returned.

    facts: what the manifest says beside `files`. stamp: its key for the moment of the first writing, the one thing that a second run would
    change: where facts and files are as they stand, nothing is written and the earlier moment stays.
    """
    with tempfile.TemporaryDirectory(prefix="clientfit-") as own:
        made = Path(own)
        write(made)
        files = {path.name: {"sha256": sha256_of(path)} for path in sorted(made.iterdir())}
        manifest = facts | {"files": files}
        earlier = read_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
        stamped_at = earlier.pop(stamp, None) if isinstance(earlier, dict) else None
        fits = bool(stamped_at) and earlier == manifest
        manifest |= {stamp: stamped_at if fits else datetime.now(UTC).isoformat(timespec="seconds")}
        if not (fits and all((folder / name).is_file() and sha256_of(folder / name) == files[name]["sha256"] for name in files)):
            with folder_written_whole(folder) as building:
                for name in files:
                    shutil.copyfile(made / name, building / name)
                write_json(building / MANIFEST, manifest)
    return manifest


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

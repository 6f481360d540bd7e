"""`simulate:` of a source.yaml -> raw exports of an invented freight forwarder in data/<source>/raw, the truth in data/<source>/truth.

The steps, each a module of pipeline/world: hidden states per client and week (lives) -> contacts (events), money and papers -> the firm's
exports -> the blemishes that real exports have -> files. Nothing downstream knows that a firm is invented: it is mapped by an ordinary
source folder. Clients are made in blocks, so that a large portfolio needs the memory of one block.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import UserError
from features.time import to_day, zone
from pipeline.settings import checked
from pipeline.source import Source
from pipeline.tables import folder_written_whole, read_json, sha256_of, write_json, written_whole
from pipeline.world.almanac import Almanac
from pipeline.world.blemishes import blemished
from pipeline.world.events import Weeks, happened
from pipeline.world.exports import Desk, Numbers, common_exports, exported
from pipeline.world.files import Files
from pipeline.world.lives import Lives, lived
from pipeline.world.money import money
from pipeline.world.people import people
from pipeline.world.settings import Simulate
from pipeline.world.truth import truth_of

WORLD = Path(__file__).parent / "world"


def simulated(source: Source, settings: Simulate) -> Iterator[tuple[Lives, dict[str, pa.Table]]]:
    """The blocks of the world, one after the other: hidden lives, and the lines of each export."""
    almanac = Almanac.of(source, zone(source.spec.time_zone), to_day(settings.starts_on), to_day(settings.ends_on))
    numbers = Numbers()
    for first, n in settings.blocks:
        lives = lived(settings, first, n)
        weeks, who = Weeks.of(lives), people(lives)
        contacts = happened(weeks, almanac, who)
        desk = Desk(almanac, numbers, lives)
        lines = blemished(desk, exported(desk, weeks, contacts, who, money(weeks, contacts, almanac)))
        yield lives, lines if first else lines | common_exports(desk)


def ensure_exports(source: Source) -> None:
    """Writes data/<source>/raw and data/<source>/truth unless they are there, whole, from these settings and this code.

    Raises UserError if the block is wrong, or if source.yaml does not look for the files where they are written.
    """
    where = str(source.folder / "source.yaml")
    settings: Simulate = checked(Simulate, source.spec.simulate, f"{where} (simulate)")
    raw, truth = source.output / "raw", source.output / "truth"
    _check_places(source, settings, raw, where)
    recipe = {"settings": settings.model_dump(mode="json"), "spec": _spec_of(source), "code": _code()}
    if _is_whole(raw, recipe):
        return
    with folder_written_whole(raw) as folder, written_whole(truth / "months.parquet") as months:
        _write(source, settings, folder, months)
        files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        write_json(folder / "manifest.json", recipe | {"files": files})


def _write(source: Source, settings: Simulate, folder: Path, months: Path) -> None:
    files, writer = Files(folder), None
    try:
        for lives, lines in simulated(source, settings):
            known = truth_of(lives)
            writer = writer or pq.ParquetWriter(months, known.schema, compression="zstd")
            writer.write_table(known)
            files.add(lines)
    finally:
        if writer:
            writer.close()


def _code() -> str:
    """Content hash of everything that makes the world."""
    paths = [Path(__file__), *sorted(WORLD.glob("*.py"))]
    return hashlib.sha256("".join(f"{path.name} {sha256_of(path)}\n" for path in paths).encode()).hexdigest()


def _spec_of(source: Source) -> str:
    """What else the exports hang on: time zone, working week and holidays."""
    said = f"{source.spec.time_zone} {source.business.working_days} {source.business.holidays} numpy {np.__version__}"
    return hashlib.sha256(said.encode()).hexdigest()


def _is_whole(raw: Path, recipe: Mapping[str, object]) -> bool:
    if not (raw / "manifest.json").exists():
        return False
    manifest = read_json(raw / "manifest.json")
    files = manifest.pop("files")
    return manifest == recipe and all((raw / name).is_file() and sha256_of(raw / name) == content for name, content in files.items())


def _check_places(source: Source, settings: Simulate, raw: Path, where: str) -> None:
    for name, file in source.spec.files.items():
        folder = Path(os.path.normpath(source.folder.resolve() / file.path)).parent
        if folder != raw.resolve():
            wanted = Path(os.path.relpath(raw.resolve(), source.folder.resolve())) / Path(file.path).name
            raise UserError(
                where, found=f"files.{name}.path: {file.path}", wanted=f"{wanted}: where its exports are written", cure="correct it"
            )
    if source.spec.exported_at.date() != settings.ends_on:
        raise UserError(
            where,
            found=f"exported_at: {source.spec.exported_at}, but simulate begins on {settings.starts_on} and lasts {settings.years} years",
            wanted=f"exported_at on {settings.ends_on}",
            cure="change exported_at, starts_on or years",
        )

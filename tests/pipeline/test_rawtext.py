"""Strict reading: every value as the file has it, with its line; the fast reader and the exact one never differ; nothing is guessed."""

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.errors import UserError
from pipeline import rawtext
from pipeline.rawtext import open_raw
from pipeline.source import RawFile

AB = RawFile(path="x.csv", columns={"a": "a", "b": "b"})


def read(path, content: str | bytes, raw: RawFile = AB) -> tuple[list[tuple[int, str, str]], list[tuple[int, str]]]:
    """(line, a, b) of every row, and the rows of another width."""
    (path / "x.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    rows, ragged = [], []
    for batch in open_raw(path / "x.csv", raw).batches:
        rows += list(zip(batch.lines.tolist(), *(column.to_pylist() for column in batch.values.columns), strict=True))
        ragged += batch.ragged
    return rows, ragged


def test_a_row_knows_the_line_it_begins_on(tmp_path):
    content = 'a,b\n1,"two\nlines"\n2,"three\r\n\nlines"\n\n3,x\n4\n5,y,z\n'
    assert read(tmp_path, content) == ([(2, "1", "two\nlines"), (4, "2", "three\r\n\nlines"), (8, "3", "x")], [(9, "4"), (10, "5,y,z")])


def test_texts_are_left_alone(tmp_path):
    content = 'b,x,a\n"",?,00123\n NA ,?,1e5\n"say ""so""",?,"a,b"\nx"y,?,שלום\n'
    assert [row[1:] for row in read(tmp_path, content)[0]] == [("00123", ""), ("1e5", " NA "), ("a,b", 'say "so"'), ("שלום", 'x"y')]


CELLS = st.text(alphabet='ab1 ,;"\r\nש', max_size=4)
TEXTS = st.text(alphabet='a1,"\r\n', max_size=30)


def exactly(text: str) -> tuple[list[list[str]], bool]:
    """The csv module's reading of a whole text, and whether it found a fault."""
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return rows, True
    return rows, False


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, chunk=st.integers(1, 9))
@example(text='1,"x\n2,y\n', chunk=4)
@example(text='1,""\n"a""b",2\n', chunk=3)
@example(text='1,"a"b\n', chunk=9)
@example(text="1,2\r3,4\r\n5,6\n", chunk=1)
def test_whatever_the_file_holds_both_readers_agree_or_refuse_it(tmp_path_factory, text, chunk):
    wanted, is_faulty = exactly("a,b\n" + text)
    is_cut_short = len(wanted[-1]) == 1 and not text.endswith(("\r", "\n"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rawtext, "CHUNK_BYTES", chunk)
        if is_faulty or is_cut_short:
            with pytest.raises(UserError):
                read(tmp_path_factory.getbasetemp(), "a,b\n" + text)
            return
        rows, ragged = read(tmp_path_factory.getbasetemp(), "a,b\n" + text)
    assert [list(row[1:]) for row in rows] == [row for row in wanted[1:] if len(row) == 2]
    assert len(ragged) == sum(len(row) not in (0, 2) for row in wanted[1:])
    lines = io.StringIO("a,b\n" + text, newline="").readlines()
    for line, first, _ in rows:
        assert lines[line - 1].lstrip('"').startswith(first[:1].replace("\r", "").replace("\n", "").replace('"', ""))


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.tuples(CELLS, CELLS), max_size=8), chunk=st.integers(1, 50))
def test_what_was_written_is_what_is_read(tmp_path_factory, cells, chunk):
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("a", "b"), *cells])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rawtext, "CHUNK_BYTES", chunk)
        rows, ragged = read(tmp_path_factory.getbasetemp(), written.getvalue())
    assert [row[1:] for row in rows] == cells
    assert not ragged


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1_000])
def test_the_offset_of_a_bad_byte_is_exact_wherever_the_pieces_are_cut(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(rawtext, "CHUNK_BYTES", chunk)
    content = "\ufeffa,b\nשלום,1\n".encode() + b"x,\xe9\n"
    with pytest.raises(UserError) as fault:
        read(tmp_path, content)
    assert content[20] == 0xE9
    assert "byte 0xE9 at offset 20" in fault.value.found
    assert fault.value.where.endswith("x.csv, line 3")


def test_a_byte_that_windows_1255_has_not_stops_the_run(tmp_path):
    with pytest.raises(UserError, match=r"byte 0xFF at offset 6, which is not windows-1255"):
        read(tmp_path, b"a,b\n1,\xff\n", AB.model_copy(update={"encoding": "windows-1255"}))


def test_a_line_or_a_value_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(rawtext, "LONGEST_LINE", 1_000)
    monkeypatch.setattr(rawtext, "CHUNK_BYTES", 100)
    with pytest.raises(UserError, match="a line of more than 1,000 characters"):
        read(tmp_path, "a,b\n1," + "x" * 5_000 + "\n")
    monkeypatch.undo()
    with pytest.raises(UserError, match="line 2\n  found:  a value of more than 1,000,000 characters, or a quote that is never closed"):
        read(tmp_path, 'a,b\n1,"' + "x\n" * 600_000)
    with pytest.raises(UserError, match="5,000 columns"):
        read(tmp_path, ",".join(["a", "b", *map(str, range(4_998))]) + "\n")

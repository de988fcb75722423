"""Text files: their form is found, not guessed; a row's line is the one that an editor shows."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pytest

from workbench.intake import delimited, lines
from workbench.intake.delimited import Delimited, survey
from workbench.intake.lines import LINE, Rows
from workbench.kernel.errors import InvalidInput

KNOWN = ("a", "b", "c")


def surveyed(path: Path, content: bytes, name: str = "x.csv") -> Delimited:
    place = path / name
    place.write_bytes(content)
    return survey(place, name, KNOWN)


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [("a,b,c", ","), ("A;B;C", ";"), ("a\tb\tc", "\t"), ("a|b|c", "|"), ('"a";"b";"c, d; e"', ";"), ("a;x,y,z;b", ";")],
)
def test_the_delimiter_is_the_one_that_gives_most_known_names(tmp_path: Path, header: str, delimiter: str) -> None:
    assert surveyed(tmp_path, f"{header}\n1\n".encode()).delimiter == delimiter


@pytest.mark.parametrize(
    ("content", "encoding", "value"),
    [
        ("a,b\n1,é œ\n".encode(), "utf-8", "é œ"),
        ("a,b\n1,é œ\n".encode("utf-8-sig"), "utf-8", "é œ"),
        ("a,b\n1,é œ €\n".encode("cp1252"), "windows-1252", "é œ €"),
        ("a,b\n1,é\x81\n".encode("latin-1"), "iso-8859-1", "é\x81"),
        ("a,b\n1,é œ\n".encode("utf-16"), "utf-16-le", "é œ"),
        (b"a,b\n1,plain\n", "utf-8", "plain"),
    ],
)
def test_the_encoding_is_found_and_named(tmp_path: Path, content: bytes, encoding: str, value: str) -> None:
    for name, stored in (("x.csv", content), ("y.csv.gz", gzip.compress(content))):
        file = surveyed(tmp_path, stored, name)
        assert (file.encoding, file.names) == (encoding, ("a", "b"))
        rows = Rows([file], tmp_path / "ragged").reader().read_all().to_pylist()
        assert (rows[0]["b"], rows[0][LINE]) == (value, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 22])
@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ('a,b\n1,"x ""y"" z"\n2,"p\nq"\n', None, 0),
        ('a,b\n1,5" needle\n2,a "quoted" word\n', None, 0),
        ('a,b\n1,"x"\n2,"never\n3,ends\n', "intake.quote_open", 3),
        ('a,b\n1,x\n2,"y"z\n3,"w"\n', "intake.quote_stray", 3),
        ('a,b\n1,"swallows\n2,"the next"\n', "intake.quote_stray", 2),
        ('a,b\r\n1,"x\r\ny"\r\n2,""\r\n3,""""\r\n', None, 0),
    ],
)
def test_quotes_that_leave_doubt_are_refused_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, code: str | None, line: int, size: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK", size)
    if code is None:
        assert surveyed(tmp_path, content.encode()).quoted
        return
    with pytest.raises(InvalidInput) as refusal:
        surveyed(tmp_path, content.encode())
    assert (refusal.value.code, refusal.value.facts) == (code, {"file": "x.csv", "line": line})


def test_a_file_in_two_encodings_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        surveyed(tmp_path, "a,b\n1,é\n".encode() + "2,è\n".encode("latin-1"))
    assert (refusal.value.code, refusal.value.facts) == ("intake.encoding_mixed", {"file": "x.csv", "line": 3})


def test_a_tab_separated_file_without_quotes_has_none(tmp_path: Path) -> None:
    file = surveyed(tmp_path, b'a\tb\n1\t"half open\n2\tfive" wide\n')
    rows = Rows([file], tmp_path / "ragged").reader().read_all().to_pylist()
    assert [row["b"] for row in rows] == ['"half open', 'five" wide']


@pytest.mark.parametrize("seed", range(40))
def test_every_row_has_the_line_on_which_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Rows, blank lines, ragged records and quoted line breaks in any order, in blocks of any size."""
    draw = random.Random(seed)
    monkeypatch.setattr(lines, "_BLOCK", draw.choice([64, 200, 1 << 20]))
    end = draw.choice(["\n", "\r\n"])
    text, line = f"a,b,c{end}", 2
    rows: list[tuple[int, str]] = []
    ragged: list[tuple[int, str]] = []
    for number in range(draw.randrange(60)):
        kind = draw.random()
        breaks = draw.choice([0, 0, 1, 2])
        if kind < 0.1:
            record, breaks = "", 0
        elif kind < 0.3:
            record = f'{number},"x{chr(10) * breaks}"' + draw.choice(["", ",y,z"])
            ragged.append((line, record))
        else:
            record = f'{number},"v{chr(10) * breaks}""é",z'
            rows.append((line, str(number)))
        text, line = text + record + end, line + 1 + breaks
    content = text if draw.random() < 0.7 else text.rstrip("\r\n")
    file = surveyed(tmp_path, content.encode(draw.choice(["utf-8", "cp1252", "utf-16"])))
    read = Rows([file], tmp_path / "ragged.parquet")
    found = [(row[LINE], row["a"]) for row in read.reader().read_all().to_pylist() if row["a"]]
    read.close()
    assert found == rows
    kept = pl.read_parquet(read.ragged).select("line", "text").rows() if read.ragged_rows else []
    assert kept == ragged


def test_a_record_longer_than_a_block_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_BLOCK", 64)
    file = surveyed(tmp_path, b"a,b\n1,x\n2," + b"y" * 500 + b"\n3,z\n")
    with pytest.raises(InvalidInput) as refusal:
        Rows([file], tmp_path / "ragged").reader().read_all()
    assert (refusal.value.code, refusal.value.facts["line"]) == ("intake.record_too_long", 3)

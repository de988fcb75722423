"""Files on their way out, read with suspicion: names, bombs, formulas, pictures, drawings, notebooks, identifiers."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.governance.airlock import content, figures, identifiers, pages
from workbench.governance.airlock.content import prepare, read_bytes
from workbench.governance.airlock.verdicts import Check
from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import LANGS, catalogue

PSEUDONYM = 5_080_243_798_271
GIB = 1 << 30


def refused(name: str, raw: bytes) -> str:
    with pytest.raises(InvalidInput) as error:
        prepare(name, raw)
    assert len(str(error.value)) < 600
    return error.value.code


def verdict(checks: list[Check], code: str) -> str:
    return next(check.verdict for check in checks if check.code == code)


# -- names and sizes


@pytest.mark.parametrize(
    "name",
    ["../up.csv", "/etc/x.csv", "a\\b.csv", 'quo"te.csv', "it's.csv", "new\nline.csv", "nul\0.csv", ".hidden.csv",
     "=cmd.csv", "<b>.csv", "x" * 5_000 + ".csv", ""],
)  # fmt: skip
def test_names_with_paths_quotes_controls_markup_or_5000_letters_are_refused(name: str) -> None:
    assert refused(name, b"a\n1\n") == "airlock.name"


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "rows.zip", "rows.xlsx", "data", "t.csv.gz", "m.pickle"])
def test_kinds_that_cannot_be_checked_are_refused(name: str) -> None:
    assert refused(name, b"\x80\x04") == "airlock.kind"


def test_names_of_people_pass() -> None:
    assert prepare("Tableau 1 (âge et sexe) v2.csv", b"a\n1\n").kind == "table"


def test_a_file_too_big_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.parquet"
    with path.open("wb") as stream:
        stream.truncate(40 * GIB)
    with pytest.raises(InvalidInput) as error:
        read_bytes(path)
    assert error.value.code == "airlock.too_big"


def parquet(table: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def bombs() -> dict[str, bytes]:
    """Small files that say, or hide, that they hold gigabytes."""
    zeros = pa.array(np.zeros(20_000_000, np.int64))
    long = pa.DictionaryArray.from_arrays(np.zeros(5_000, np.int32), ["x" * 1_000_000])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for place in range(3):
            made.writestr(f"{place}.npy", b"\0" * (100 << 20))
    nested = pa.table({"a": pa.array([[1, 2]] * 20)})
    return {
        "rows.parquet": parquet(pa.table({"n": zeros}), compression="zstd"),
        "texts.parquet": parquet(pa.table({"t": long}), compression="zstd"),
        "nested.parquet": parquet(nested),
        "model.skops": archive.getvalue(),
        "wide.csv": b"," * 1_500_000 + b"\n1\n",
        "deep.ipynb": b"[" * 1_000_000,
        "pixels.png": png(60_000, 60_000),
        "laughs.svg": b'<!DOCTYPE s [<!ENTITY a "aaaaaaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
    }


def test_bombs_are_refused_in_seconds_under_1_gb(tmp_path: Path) -> None:
    """In a process of its own, whose highest memory is read at the end."""
    code = """
import sys, time
from pathlib import Path
from workbench.kernel.errors import UserError
from workbench.services.judging import prepared
for path in sorted(Path(sys.argv[1]).iterdir()):
    start = time.process_time()
    try:
        prepared(path.name, path.read_bytes())
        print(path.name, "PASSED")
    except UserError as error:
        print(path.name, error.code, time.process_time() - start < 3)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print("memory", int(peak.split()[1]) < 1_000_000)
"""
    folder = tmp_path / "bombs"
    folder.mkdir()
    made = bombs()
    for name, raw in made.items():
        assert len(raw) < 3_000_000, name
        (folder / name).write_bytes(raw)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert lines.pop("memory") == "True"
    assert set(lines) == set(made)
    assert {line.split()[0] for line in lines.values()} <= {"airlock.unpacked", "airlock.unreadable"}
    assert all(line.endswith("True") for line in lines.values()), lines


# -- tables


@pytest.mark.parametrize(
    ("cell", "kept"),
    [("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-cmd", "'-cmd"), ("@SUM(A1)", "'@SUM(A1)"), (" =1", "' =1"),
     ("-1.5", "-1.5"), ("+3", "+3"), ("-1,5", "-1,5"), ("a=b", "a=b"), ("'=1", "'=1")],
)  # fmt: skip
def test_formulas_are_put_behind_an_apostrophe_and_numbers_are_not(cell: str, kept: str) -> None:
    made = prepare("t.csv", f'label;n\n"{cell}";1\n'.encode())
    assert made.sheet is not None
    assert made.sheet.lines[0][0] == kept
    assert made.defused == (cell != kept)
    assert made.raw.decode().splitlines()[1].split(";")[0].strip('"') == kept


@pytest.mark.parametrize("raw", [b"", b"only,names\n", b"a,b\n1\n", b"a\n\xff\xfe\n", b'a\n"open\n', b"a\n1\0\n"])
def test_a_csv_that_is_none_is_refused(raw: bytes) -> None:
    assert refused("t.csv", raw) == "airlock.unreadable"


def test_parquet_leaves_without_statistics_and_metadata() -> None:
    table = pa.table({"group": ["a", "b"], "n": [15, 20]}).replace_schema_metadata({"pandas": "index of persons"})
    made = prepare("t.parquet", parquet(table))
    read = pq.ParquetFile(io.BytesIO(made.raw))
    assert read.metadata.row_group(0).column(1).statistics is None
    assert b"persons" not in made.raw
    assert made.sheet == content.Sheet(("group", "n"), (("a", "15"), ("b", "20")))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_say_what_they_unpack_to_whatever_the_footer_says(version: Any) -> None:
    table = pa.table({"n": np.arange(50_000), "t": [f"g{i % 7}" for i in range(50_000)], "b": [True, None] * 25_000})
    raw = parquet(table, compression="zstd", data_page_version=version, data_page_size=10_000, row_group_size=20_000)
    about = pq.ParquetFile(io.BytesIO(raw)).metadata
    chunks = [about.row_group(group).column(place) for group in range(3) for place in range(3)]
    headers = sum(chunk.total_uncompressed_size for chunk in chunks) - pages.unpacked_size(raw, about)
    assert 0 < headers < 20_000
    with pytest.raises(ValueError, match="header of a page"):
        pages.unpacked_size(bytes(len(raw)), about)


def test_a_page_larger_than_the_footer_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "UNPACKED", 30_000)
    raw = parquet(pa.table({"n": np.zeros(5_000, np.int64)}), compression="zstd", use_dictionary=False)
    assert refused("t.parquet", raw) == "airlock.unpacked"
    monkeypatch.setattr(content, "UNPACKED", 50_000)
    assert prepare("t.parquet", raw).kind == "table"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (f"{PSEUDONYM}", "identifiers"), (f"id {PSEUDONYM}.0", "identifiers"), ("5 080 243 798 271", "identifiers"),
        ("5_080_243_798_271", "identifiers"), ("2021-03-04", "dates"), ("04/03/2021", "dates"), ("20210304", "dates"),
        ("x" * 101, "free_text"), ("two\nlines", "free_text"),
    ],
)  # fmt: skip
def test_what_points_at_a_person_fails(cell: str, code: str) -> None:
    made = prepare("t.csv", f'label,n\n"{cell}",1\n'.encode())
    assert made.sheet is not None
    checks = identifiers.check_sheet(made.sheet, {PSEUDONYM}, made)
    assert {check.code for check in checks if check.verdict == "failed"} == {code}


@pytest.mark.parametrize("cell", [f"{PSEUDONYM + 1}", "2021", "1 000", "x" * 100, "12/25", "3.14159265"])
def test_labels_and_numbers_pass(cell: str) -> None:
    made = prepare("t.csv", f'label,n\n"{cell}",1\n'.encode())
    assert made.sheet is not None
    assert {check.verdict for check in identifiers.check_sheet(made.sheet, {PSEUDONYM}, made)} == {"passed"}


@pytest.mark.parametrize(
    ("name", "closed"),
    [("person_id", True), ("drug_source_value", True), ("visit_occurrence_id", True), ("note_text", True),
     ("drug_concept_id", False), ("n", False), ("inside", False)],
)  # fmt: skip
def test_columns_of_identifiers_and_sources_are_closed(name: str, closed: bool) -> None:
    made = prepare("t.csv", f"{name}\n1\n".encode())
    assert made.sheet is not None
    assert (verdict(identifiers.check_sheet(made.sheet, set(), made), "identifiers") == "failed") is closed


def test_identifiers_are_all_ids_but_concepts() -> None:
    table = pl.DataFrame({"person_id": [PSEUDONYM], "visit_occurrence_id": [99], "drug_concept_id": [1_118_084]})
    assert identifiers.identifiers({"drug_exposure": table}) == {PSEUDONYM, 99}


# -- pictures, drawings, notebooks


def png(width: int, height: int, *extra: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *(chunk(*each) for each in extra), chunk(b"IDAT", zlib.compress(b"\0\0"))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"") + tail


def test_a_picture_leaves_without_hidden_text_and_is_read_by_a_person() -> None:
    made = prepare("p.png", png(1, 1, (b"tEXt", b"Comment\0person 12"), tail=b"rows of persons"))
    assert made.raw == png(1, 1)
    assert made.stripped == ("tEXt", "…")
    assert verdict(figures.check_png(made), "figure") == "to_review"


def svg(inside: str, attributes: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


def checked(raw: bytes) -> list[Check]:
    return figures.check_svg(figures.prepare_svg(prepare("d.svg", raw)), {PSEUDONYM})


@pytest.mark.parametrize(
    "inside",
    ["<script>1</script>", '<rect onload="x()"/>', '<image href="data:image/png;base64,AA"/>', "<foreignObject/>",
     '<a href="https://example.org"><rect/></a>', '<rect fill="url(http://example.org/x)"/>',
     "<style>@import 'https://example.org'</style>", '<use href="other.svg#a"/>'],
)  # fmt: skip
def test_drawings_that_run_embed_or_fetch_fail(inside: str) -> None:
    assert verdict(checked(svg(inside)), "active") == "failed"


@pytest.mark.parametrize(("points", "found"), [(500, "to_review"), (501, "failed")])
def test_points_are_counted_in_marks_and_in_lines(points: int, found: str) -> None:
    assert verdict(checked(svg("<circle/>" * points)), "points") == found
    path = "M0 0" + "L1 1" * (points - 1)
    assert verdict(checked(svg(f'<path d="{path}"/>')), "points") == found


def test_a_plain_drawing_is_to_review_and_its_text_is_read() -> None:
    plain = checked(svg('<defs><g id="a"/></defs><use href="#a"/><text>15</text>'))
    assert {check.verdict for check in plain} == {"passed", "to_review"}
    assert verdict(checked(svg(f"<text>{PSEUDONYM}</text>")), "identifiers") == "failed"
    hidden = figures.prepare_svg(prepare("d.svg", svg(f"<metadata>{PSEUDONYM}</metadata><!-- {PSEUDONYM} --><rect/>")))
    assert str(PSEUDONYM).encode() not in hidden.raw


def test_a_notebook_leaves_without_outputs_and_attachments() -> None:
    cells = [
        {"cell_type": "code", "source": ["x = 1\n", "x"], "outputs": [{"data": {"text/plain": "row 12"}}],
         "execution_count": 3, "metadata": {"tags": ["secret"]}},
        {"cell_type": "markdown", "source": "words", "metadata": {}, "attachments": {"a.png": {}}},
    ]  # fmt: skip
    raw = json.dumps({"cells": cells, "metadata": {"path": "/home/x"}, "nbformat": 4, "nbformat_minor": 5}).encode()
    made = prepare("n.ipynb", raw)
    assert b"row 12" not in made.raw
    assert b"secret" not in made.raw
    assert b"/home/x" not in made.raw
    assert json.loads(made.raw)["cells"][0]["source"] == "x = 1\nx"
    assert {check.verdict for check in figures.check_notebook(made, set())} == {"passed", "to_review"}
    told = prepare("n.ipynb", raw.replace(b"words", str(PSEUDONYM).encode()))
    assert verdict(figures.check_notebook(told, {PSEUDONYM}), "identifiers") == "failed"


# -- words


def test_every_verdict_has_its_sentences_in_both_languages() -> None:
    french, english = ({k: v for k, v in catalogue(lang)["text"].items() if k.startswith("airlock.")} for lang in LANGS)
    assert french.keys() == english.keys()
    codes = {key.removeprefix("airlock.name_") for key in french if key.startswith("airlock.name_")}
    for code in codes:
        assert any(f"airlock.check_{code}_{found}" in french for found in ("passed", "to_review", "failed"))

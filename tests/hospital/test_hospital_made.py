"""Making the hospital: the same from the same seed whatever the threads, whole or absent, at any number."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.hospital.conftest import Hospital
from workbench.engines.content import content_digest
from workbench.hospital import make as making
from workbench.hospital.chance import Chance, exponential_table, normal_table
from workbench.hospital.make import make
from workbench.kernel.errors import InvalidInput

PERSONS = ("person", "visit_occurrence", "condition_occurrence", "drug_exposure", "measurement")


def digest(folder: Path) -> str:
    """One digest of the content of all OMOP tables."""
    parts = [f"{path.stem} {content_digest(path)}" for path in sorted(folder.glob("*.parquet"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def made_by_another_process(folder: Path, threads: int) -> str:
    """Make a small hospital in a process of so many threads."""
    names = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, str(threads))}
    code = (
        "import sys, pathlib, pyarrow; pyarrow.set_cpu_count(int(sys.argv[2]));"
        "from workbench.hospital.make import make; make(pathlib.Path(sys.argv[1]), patients=400, seed=7, tables=True)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), str(threads)], check=True, env=env)
    return digest(folder / "omop")


def test_the_same_seed_gives_the_same_whatever_the_threads(tmp_path: Path) -> None:
    one, two = made_by_another_process(tmp_path / "one", 1), made_by_another_process(tmp_path / "two", 2)
    assert one == two
    for name in ("truths.json", *(f"tables/{path.name}" for path in (tmp_path / "one" / "tables").iterdir())):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_it_does_not_depend_on_how_many_are_made_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "at_once", patients=150, seed=3)
    monkeypatch.setattr(making, "_AT_ONCE", 37)
    make(tmp_path / "in_parts", patients=150, seed=3)
    assert digest(tmp_path / "at_once" / "omop") == digest(tmp_path / "in_parts" / "omop")
    assert (tmp_path / "at_once" / "truths.json").read_text() == (tmp_path / "in_parts" / "truths.json").read_text()


def test_another_seed_gives_others(tmp_path: Path) -> None:
    for seed in (1, 2):
        make(tmp_path / str(seed), patients=50, seed=seed)
    assert digest(tmp_path / "1" / "omop") != digest(tmp_path / "2" / "omop")


def test_a_person_is_the_same_in_a_larger_hospital(tmp_path: Path, hospital: Hospital) -> None:
    make(tmp_path / "small", patients=60)
    for name in PERSONS:
        small = pl.read_parquet(tmp_path / "small" / "omop" / f"{name}.parquet").filter(pl.col("person_id") <= 60)
        large = hospital.omop(name).filter(pl.col("person_id") <= 60)
        keys = [column for column in small.columns if column.endswith(("occurrence_id", "detail_id", "exposure_id"))]
        left = [*keys, "measurement_id"]
        assert small.drop(left, strict=False).equals(large.drop(left, strict=False)), name


def test_draws_are_those_of_any_machine() -> None:
    chance = Chance(1)
    tags = np.arange(4, dtype=np.uint64)
    assert [int(bits) for bits in chance.bits("known", tags)] == [
        9754978246980241513,
        821193222337141622,
        17490590970050871541,
        14972142383354367698,
    ]
    assert hashlib.sha256(normal_table().tobytes()).hexdigest()[:16] == "3e53f4a51f78f72b"
    assert hashlib.sha256(exponential_table().tobytes()).hexdigest()[:16] == "d9d9bf56fb13d6b9"


def test_draws_have_their_laws() -> None:
    chance, tags = Chance(5), np.arange(200_000, dtype=np.uint64)
    assert abs(chance.happens("rare", tags, 0.01).mean() - 0.01) < 0.001
    assert abs(chance.normal("height", tags).mean()) < 10
    assert abs(chance.normal("height", tags).std() - 1024) < 10
    assert abs(chance.exponential("wait", tags).mean() / 1_000_000 - 1) < 0.01
    shares = np.bincount(chance.pick("which", tags, [1, 2, 7])) / len(tags)
    assert np.allclose(shares, [0.1, 0.2, 0.7], atol=0.005)
    assert set(chance.below("die", tags, 6)) == set(range(6))


def test_nobody_and_one(tmp_path: Path) -> None:
    nobody = make(tmp_path / "nobody", patients=0, tables=True)
    assert nobody.rows["person"] == nobody.rows["measurement"] == 0
    assert nobody.rows["concept"] > 2000
    one = make(tmp_path / "one", patients=1, tables=True)
    assert one.rows["person"] == one.rows["observation_period"] == 1
    assert one.rows["visit_occurrence"] >= 1
    assert (
        pl.read_parquet(nobody.omop / "measurement.parquet").schema
        == pl.read_parquet(one.omop / "measurement.parquet").schema
    )


@pytest.mark.parametrize("patients", [-1, 50_000_001])
def test_a_number_that_cannot_be_is_refused(tmp_path: Path, patients: int) -> None:
    with pytest.raises(InvalidInput, match=r"hospital\.patients"):
        make(tmp_path / "x", patients=patients)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("here")
    with pytest.raises(InvalidInput, match=r"hospital\.folder_not_empty"):
        make(tmp_path / "mine", patients=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["note.txt"]


def test_stopped_half_way_nothing_is_left(tmp_path: Path) -> None:
    def stop(share: float, _: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "half", patients=10, progress=stop)
    assert not list(tmp_path.iterdir())


def test_the_first_extraction_lacks_the_late_corrections(tmp_path: Path, hospital: Hospital) -> None:
    first = make(tmp_path / "first", patients=2_000, extraction=1)
    before = pl.read_parquet(first.omop / "condition_occurrence.parquet")
    after = hospital.omop("condition_occurrence")
    same = before.join(after, on="condition_occurrence_id", suffix="_after")
    assert same.height == before.height == after.height
    changed = same.filter(pl.col("condition_source_value") != pl.col("condition_source_value_after"))
    assert 0 < changed.height <= hospital.truths["counts"]["diagnoses_recoded"]
    assert changed["condition_status_source_value"].unique().to_list() == ["DP"]
    deaths = hospital.omop("death").height - pl.read_parquet(first.omop / "death.parquet").height
    assert deaths == hospital.truths["counts"]["deaths_known_late"] > 0
    assert pl.read_parquet(first.omop / "measurement.parquet").equals(hospital.omop("measurement"))

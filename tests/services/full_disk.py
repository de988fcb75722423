"""Loading onto a disk that is full, then onto one that is read-only, in a mount namespace of its own.

`python -m tests.services.full_disk FOLDER` mounts a small disk on FOLDER/disk and prints what happened, a line a step.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from tests.intake.forms import SMALL, as_folder
from tests.services.loader import load, settings_of
from workbench.repository import releases

DISK = "3m"


def source(folder: Path, rows: int) -> Path:
    """A source of some megabytes: texts that do not compress."""
    draws = pl.select(pl.int_range(1, rows + 1, dtype=pl.Int64).alias("n"))["n"]
    notes = pl.DataFrame(
        {
            "note_id": draws,
            "person_id": pl.repeat(1, rows, dtype=pl.Int64, eager=True),
            "note_date": pl.repeat("2020-01-01", rows, eager=True),
            "note_text": draws.hash(1).cast(pl.String) + draws.hash(2).cast(pl.String),
        }
    )
    return as_folder(folder, {**SMALL, "note": notes}, "parquet")


def state(home: Path) -> str:
    """What is served, whether all of it is sound, and whether anything half made lies about."""
    root = settings_of(home).releases
    now = releases.current(root)
    sound = all(not releases.verify(each, content=True) for each in releases.list_releases(root))
    left = [path.name for path in root.iterdir() if path.name.startswith(".")]
    return f"{now.id if now else None} {'sound' if sound else 'damaged'} {' '.join(left) or 'clean'}"


def main(folder: Path) -> None:
    """Fill the disk, load, make room, load; then the same read-only."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)], check=True)
    home = disk / "home"
    load(home, as_folder(folder / "small", SMALL, "csv"))
    print(state(home))
    large = source(folder / "large", 200_000)
    load(home, large)
    print(state(home))
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    load(home, large)
    print(state(home))
    root = str(settings_of(home).releases)
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
    load(home, folder / "small")
    print(state(home))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

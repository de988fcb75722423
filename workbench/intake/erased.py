"""A release without some persons, made of the release that holds them: the source is not needed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.engines.duckdb import connect
from workbench.intake import aside, derived, erasing, notices, observation_period, quality
from workbench.intake.sharing import Before
from workbench.intake.work import Ids, Objecting, Options, Work
from workbench.kernel.errors import Unavailable
from workbench.kernel.progress import Progress, part, silent
from workbench.repository.releases import Release, check_sound, link, write_manifest

_MEMORY = "2GB"
_AFTER = "after_release"


@dataclass(frozen=True)
class Erased:
    """What came of an erasure: the new release's manifest, and who was taken out (never to be shown or kept)."""

    manifest: dict[str, Any]
    persons: Ids = field(repr=False)


def erase(release: Release, into: Path, objecting: Objecting, progress: Progress = silent) -> Erased | None:
    """Write a release without the persons who object into an empty folder; None where it holds nothing of them.

    Tables without a row of theirs keep their files. Observation periods and eras that were derived are derived again,
    so that not even a gap in their numbers is left; quality is assessed again. What a server's tables held, by buckets,
    is left out: digests of few rows. `sources` still names what was read. The release is sound: `concerns` looked.
    """
    into.mkdir(parents=True, exist_ok=True)
    spill = into / ".spill"
    with connect(memory=_MEMORY, spill=spill) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        try:
            work = _again(connection, release, into)
            persons = erasing.take_out(work, objecting)
            if not persons.size:
                return None
            manifest = _manifest(work, release.manifest, progress)
        finally:
            shutil.rmtree(spill, ignore_errors=True)
    return Erased(write_manifest(into, manifest), persons)


def concerns(release: Release, objecting: Objecting) -> bool:
    """Answer whether a release holds anything of persons who object: a look at its persons and its rows set aside.

    Raises `Unavailable`: `release.damaged` where a file is not what was written (nothing can be made of it then),
    `vocabulary.parent_old` for a release of the first format.
    """
    if release.manifest["format"] == "workbench/release/1":
        raise Unavailable("vocabulary.parent_old", release=release.id)
    check_sound(release)
    with connect(memory=_MEMORY) as connection:
        work = Work(connection, release.folder, Options(), observation_period.Rule(), Before(None, {}, connection))
        for entry in release.manifest["tables"]:
            work.add(entry["name"], entry["rows"])
        work.readings += release.manifest["intake"]["tables"]
        return bool(objecting(erasing.seen(work)).size)


def _again(connection: Any, release: Release, into: Path) -> Work:
    """Return a load under way that holds what the release read, and nothing of what was derived."""
    manifest = release.manifest
    options = Options(extracted_on=manifest["intake"]["rules"]["extracted_on"])
    rule = manifest["observation_period_rule"]
    asked = observation_period.Rule(_asked(rule), rule.get("days", 0))
    work = Work(connection, into, options, asked, Before(None, {}, connection))
    made = derived.made(manifest)
    for entry in manifest["tables"]:
        if entry["name"] not in made:
            link(release.folder / entry["files"][0]["path"], work.place(entry["name"]))
            work.add(entry["name"], entry["rows"])
            work.before.taken[entry["name"]] = entry
    for reading in manifest["intake"]["tables"]:
        work.readings.append(dict(reading))
        if reading["set_aside"]:
            link(aside.place_of(release.folder, reading["name"]), aside.place_of(into, reading["name"]))
    return work


def _asked(rule: Mapping[str, Any]) -> str:
    """Return the code that leads to a rule: what was recorded, or is absent, is not derived."""
    return observation_period.RECORDED if rule["code"] in {"as_recorded", "none"} else rule["code"]


def _manifest(work: Work, before: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    rule = derived.observation_periods(work)
    absent = before["observation_period_rule"]["code"] == "none"
    era_rules = {name: derived.era_rule(work, name) for name in before["era_rules"]}
    summary = quality.assess(work.connection, work.files, work.rows, part(progress, 0.0, 0.5))
    return {
        **before,
        "tables": work.entries(part(progress, 0.5, 1.0)),
        "observation_period_rule": before["observation_period_rule"] if absent else rule,
        "era_rules": era_rules,
        "quality": summary,
        "intake": {
            **before["intake"],
            "tables": sorted(work.readings, key=lambda reading: reading["name"]),
            "notices": _notices(work, before["intake"]["notices"]),
            "buckets_digest": None,
        },
    }


def _notices(work: Work, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count again what notices count; those about the source's names and texts stand."""
    of_versions = [each for each in before if each["code"].startswith("cdm_version")]
    of_vocabulary = [*notices.of_vocabulary(work.connection, work.files)]
    counted = {"vocabulary_version_disagrees", "vocabulary_absent", "vocabulary_does_not_fit", _AFTER}
    others = [each for each in before if each not in of_versions and each["code"] not in counted]
    late = [] if work.options.extracted_on else [*notices.after_release(work.connection, work.files)]
    return [*of_versions, *of_vocabulary, *others, *late]

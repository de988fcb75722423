"""`workbench doctor`: what is missing or unsafe on this machine, and the mend."""

from __future__ import annotations

from dataclasses import asdict

import typer

from workbench.cli.common import Home, Json, give, language, settings_of, tell
from workbench.kernel.text import say
from workbench.services.doctor import diagnose


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("doctor")(doctor)


def doctor(home: Home = None, as_json: Json = False) -> int:
    """Check this machine and the home; exit 1 where something needs a mend."""
    findings = diagnose(settings_of(home))
    fine = all(finding.fine for finding in findings)
    report = [asdict(finding) for finding in findings]
    give(as_json, {"id": "doctor", "state": "sound" if fine else "unsound", "findings": report})
    if not as_json:
        lang = language()
        for finding in findings:
            mark = "note" if finding.note else "fine" if finding.fine else "mend"
            tell(f"{say(f'doctor.{mark}', lang):<10} {say(f'doctor.{finding.code}', lang, **finding.facts)}")
    return 0 if fine else 1

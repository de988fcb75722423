"""The open workbench: its settings, store and keys, and the frame in which every verb runs."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from workbench.governance import audit, keys, log_periods, policy
from workbench.governance.actors import Actor
from workbench.governance.vault import Vault
from workbench.kernel.errors import Refused, Unavailable
from workbench.kernel.progress import Progress, silent
from workbench.kernel.settings import Settings
from workbench.repository import releases
from workbench.services import erased_releases, holding, key_deeds
from workbench.store import documents, files, jobs, making, migrate, successors
from workbench.store.chain import Event
from workbench.store.store import Store

RETIRED = "release_retired"
"""The kind of state that says whether a release was retired (`retired`) or came back (`kept`)."""

READ_SECONDS = 3600.0
"""How long the same person's same reading stays one entry."""

TYPED: Final = "(…)"
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9](?:[ .-]?[0-9AB]){4,}")
_OURS: Final = re.compile(r"[a-z]{3}-[0-9a-f]{12}|[0-9a-f]{64}|[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""Numbers of five digits and more, in groups or not (a social security number may have a letter); what is an id, a
digest or a day."""

_depth: ContextVar[int] = ContextVar("depth", default=0)


@dataclass
class Workbench:
    """One installation, opened. `job` is set where the whole process is a job's worker."""

    settings: Settings
    store: Store
    keys: keys.KeyRing
    demo: bool = False
    job: jobs.Job | None = None
    recovered: list[str] = field(default_factory=list[str])
    verified: set[str] = field(default_factory=set[str])
    seen: dict[tuple[str, str, str | None], float] = field(default_factory=dict[tuple[str, str, str | None], float])
    _sealed: int = -1

    @property
    def head_file(self) -> Path:
        """Where the log's signed head is kept: with the keys, apart from the data."""
        return self.settings.keys / "audit-head.json"

    @property
    def trail_file(self) -> Path:
        """Where the hash of each entry is kept, beside the head: it tells from which entry on a log is another."""
        return self.settings.keys / "audit-trail"

    def seal(self) -> None:
        """Sign and keep the log's head, if the log grew since this process last did.

        A log that does not hold the head kept before was cut or rebuilt: then that head stays, as the proof of it.
        """
        head = audit.sign_head(self.store, self.keys)
        if head["seq"] <= self._sealed:
            return
        with jobs.locked(self.settings.keys / ".audit-head.lock"):
            if audit.extends(self.store, self.head_file, head["seq"]):
                audit.save_head(self.head_file, head)
                audit.extend_trail(self.store, self.trail_file)
        self._sealed = head["seq"]

    def close(self) -> None:
        """Close the store's connections."""
        self.store.close()


def open_workbench(settings: Settings, *, create: bool = False, demo: bool = False) -> Workbench:
    """Open a home, making it where `create` says so, and clean up after processes that died.

    A demonstration home (`demo`) takes its keys from a published seed, so that its digests are the same anywhere;
    it never takes patients' data. Raises `Unavailable`: `store.no_home`, `store.home_newer`, `store.damaged`,
    `governance.keys_missing`, `services.not_a_demo`.
    """
    new = not migrate.sqlite_path(settings.store_url).exists()
    if new and not create:
        raise Unavailable("store.no_home", home=settings.home)
    ring = _key_ring(settings, create=new, demo=demo)
    if demo and not ring.demonstration:
        raise Refused("services.not_a_demo", home=settings.home)
    workbench = Workbench(settings, Store.open(settings.store_url, create=create), ring, demo=ring.demonstration)
    workbench.recovered = making.recover(workbench.store, settings.jobs)
    if not workbench.head_file.exists() and audit.is_empty(workbench.store):
        workbench.seal()
    _mend_current(workbench)
    key_deeds.go_on(workbench)
    sweep_retired(workbench)
    _go_on_erasing(workbench)
    _expire(workbench)
    if workbench.recovered:
        workbench.seal()
    return workbench


def _key_ring(settings: Settings, *, create: bool, demo: bool) -> keys.KeyRing:
    first = keys.demonstration_entropy if demo else keys.random_entropy
    vault = Vault(settings.key_command) if settings.key_command else None
    ring = keys.KeyRing.open(settings.keys, create=create, entropy=first, vault=vault)
    entropy = keys.demonstration_entropy if ring.demonstration else keys.random_entropy
    return keys.KeyRing.open(settings.keys, entropy=entropy, vault=vault)


def _mend_current(wb: Workbench) -> None:
    """Point `current` at the release that the store calls current: a load may have died between the two."""
    with wb.store.read() as connection:
        state = documents.state(connection, "release", "current")
        wanted = documents.find(connection, state.digest) if state else None
    # The pointer's text alone is compared: a damaged release must not lock its home, least of all its doctor.
    if wanted and releases.pointer(wb.settings.releases) != wanted.id:
        files.write_text(wb.settings.releases / releases.CURRENT, f"{wanted.id}\n")


def _go_on_erasing(wb: Workbench) -> None:
    """Finish what a process that died left of an erasure."""
    erased_releases.sweep(wb)
    if erased_releases.pending(wb):
        from workbench.services import erasures  # noqa: PLC0415 - it needs this module, and is slow to import

        erasures.go_on(wb)


def _expire(wb: Workbench) -> None:
    """End what is past its day, whoever opens the home and whatever for: a retention ends without being looked at."""
    from workbench.services import expiry  # noqa: PLC0415 - it needs this module

    expiry.expire(wb)


def sweep_retired(wb: Workbench) -> None:
    """Remove the folders and caches of releases that were retired, and what is remembered of numbers shown on them.

    Also at each opening: a process may have died between the decision and the deed.
    """
    with wb.store.read() as connection:
        retired = [state.id for state in documents.states_of(connection, RETIRED) if state.state == "retired"]
    for release in retired:
        with holding.removing(wb, release) as alone:
            if alone:
                remove_retired(wb, release)


def remove_retired(wb: Workbench, release: str) -> None:
    """Remove the folder and the caches of a release that was retired and that nobody reads (`holding.removing`), and
    what is remembered of numbers shown on it."""
    with wb.store.read() as connection:
        document = documents.find(connection, release)
        first = documents.find(connection, successors.first(connection, document.digest)) if document else None
    if first is not None:
        shutil.rmtree(wb.settings.disclosure / first.id, ignore_errors=True)
    for root in (wb.settings.releases, wb.settings.cache):
        if (root / release).is_dir():
            aside = root / f".retired-{release}"
            shutil.rmtree(aside, ignore_errors=True)
            (root / release).rename(aside)
        shutil.rmtree(root / f".retired-{release}", ignore_errors=True)


def event(actor: Actor, verb: str, **facts: Any) -> Event:
    """Return an audit event of this actor."""
    return Event(actor=actor.name, role=actor.role.value, verb=verb, **facts)


@contextmanager
def acting(
    wb: Workbench, actor: Actor, verb: str, *, study: str | None = None, subject: str | None = None
) -> Generator[None]:
    """Run the block as one verb: the policy is checked first, a refusal is logged, the log's head is sealed after.

    Reading is logged too: once an hour for each person, verb and subject, and only where it is not part of another
    verb, so that the log says who saw what without drowning in it. Releases that the block opens stay until its end.
    """
    depth = _depth.set(_depth.get() + 1)
    try:
        policy.check(actor, verb)
        with holding.reading():
            yield
        if verb in log_periods.READS and _depth.get() == 1:
            _saw(wb, actor, verb, study, subject)
    except Refused as error:
        facts = {name: _unsaid(wb, str(value)) for name, value in error.facts.items()}
        named = {"study": study and _unsaid(wb, study), "subject": subject and _unsaid(wb, subject)}
        denied = event(actor, verb, **named, outcome="denied", reason=error.code, payload=facts)
        with wb.store.write(denied):
            pass
        raise
    finally:
        _depth.reset(depth)
        wb.seal()


def _unsaid(wb: Workbench, text: str) -> str:
    """Return what the log says of a text that somebody typed: `TYPED` for a number of five digits and more that names
    nothing here. It may be a patient's, and the log keeps what it was told for good."""
    if not _NUMBER.search(text) or _OURS.fullmatch(text):
        return text
    with wb.store.read() as connection:
        return text if documents.is_named(connection, text) else _NUMBER.sub(TYPED, text)


def _saw(wb: Workbench, actor: Actor, verb: str, study: str | None, subject: str | None) -> None:
    key, moment = (actor.name, verb, subject), time.monotonic()
    if moment < wb.seen.get(key, 0.0):
        return
    with wb.store.write(event(actor, verb, study=study, subject=subject)):
        pass
    wb.seen[key] = moment + READ_SECONDS


@contextmanager
def working(
    wb: Workbench, actor: Actor, verb: str, args: dict[str, Any], progress: Progress = silent
) -> Generator[tuple[jobs.Job, Progress]]:
    """Run the block as a job (the worker's own, or a new one of this process) and give it and its progress."""
    if wb.job is not None:
        yield wb.job, _both(wb.job.progress, progress)
        return
    job_id = jobs.queue(wb.store, actor.name, verb, args)
    with jobs.running(wb.store, wb.settings.jobs, job_id) as job:
        yield job, _both(job.progress, progress)


def _both(first: Progress, second: Progress) -> Progress:
    def report(share: float, message: str) -> None:
        first(share, message)
        second(share, message)

    return report


@contextmanager
def alone(wb: Workbench) -> Generator[None]:
    """Hold the home's load lock; raises `Unavailable` (`store.loading`) where another process holds it."""
    held = jobs.try_lock(wb.settings.home / "load.lock")
    if held is None:
        raise Unavailable("store.loading")
    try:
        yield
    finally:
        held.close()

"""The store's tables. Documents are kept by digest and never change; what changes is kept in `states`.

`links` holds the thread: one row for each digest that a document names, so that one query walks either way.
Schema changes are Alembic revisions in `migrations/versions/`; a test holds these tables and the revisions equal.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("display", String, nullable=False),
    Column("role", String, nullable=False),
    Column("os_user", String, unique=True),
    Column("closed_at", String),
)

documents = Table(
    "documents",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("study", String),
    Column("made_by", String, nullable=False),
    Column("made_at", String, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("kind", "id", "digest"),
    Index("documents_id", "id"),
    Index("documents_kind", "kind", "study"),
)

links = Table(
    "links",
    metadata,
    Column("child", String(64), ForeignKey("documents.digest"), primary_key=True),
    Column("relation", String, primary_key=True),
    Column("parent", String(64), primary_key=True),
    Index("links_parent", "parent"),
)

states = Table(
    "states",
    metadata,
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("study", String),
    Column("state", String, nullable=False),
    Column("expires_on", String),
    Column("changed_at", String, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("actor", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("args", JSON, nullable=False),
    Column("args_digest", String(64), nullable=False),
    Column("state", String, nullable=False),
    Column("progress", String, nullable=False, default=""),
    Column("share", Integer, nullable=False, default=0),
    Column("cancel", Integer, nullable=False, default=0),
    Column("result_digest", String(64)),
    Column("error", String),
    Column("pid", Integer),
    Column("heartbeat", String),
)

intents = Table(
    "intents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("root", String, nullable=False),
    Column("target", String),
    Column("event", JSON, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("time", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("role", String, nullable=False),
    Column("study", String),
    Column("verb", String, nullable=False),
    Column("subject", String),
    Column("before", String),
    Column("after", String),
    Column("outcome", String, nullable=False),
    Column("reason", Text),
    Column("payload_digest", String(64), nullable=False),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_subject", "subject"),
)

payloads = Table(
    "payloads",
    metadata,
    Column("seq", Integer, ForeignKey("audit.seq"), primary_key=True),
    Column("salt", String(32), nullable=False),
    Column("body", JSON, nullable=False),
)

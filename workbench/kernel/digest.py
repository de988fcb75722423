"""Digests of documents: SHA-256 over RFC 8785 canonical JSON, as 64 lower-case hexadecimal digits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

SHORT = 12


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 (JCS) form of a JSON value: one byte string for one meaning, on any machine."""
    return rfc8785.dumps(value)


def digest_document(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return the SHA-256 of a document's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def digest_bytes(content: bytes) -> str:
    """Return the SHA-256 of raw bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def without_files(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without its `files` and the `files` member of its tables.

    A file's bytes follow the writer's version and its threads, the content digest does not: identity is content,
    integrity is files. So a manifest's digest leaves `files` out (docs/decisions/0002-digests.md).
    """
    if "tables" not in manifest:
        return dict(manifest)
    tables = [{key: value for key, value in table.items() if key != "files"} for table in manifest["tables"]]
    return {**{key: value for key, value in manifest.items() if key != "files"}, "tables": tables}


def digest_manifest(manifest: Mapping[str, Any]) -> str:
    """Return the identity of a release, extract or feature set: the digest of its manifest without `files`."""
    return digest_document(without_files(manifest))


def short(digest: str) -> str:
    """Return the first twelve digits of a digest: what ids are made of and what people read."""
    return digest[:SHORT]

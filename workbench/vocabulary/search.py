"""Concept search: words in any order, each as long as it was typed, or a code; accents and case do not count."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.store.files import sha256_file
from workbench.vocabulary.search_index import INDEX, VERSION
from workbench.vocabulary.words import words

Array = np.ndarray[Any, Any]
_FEW = 1_000
_SHARE = 256
_BLOCK = 65_536
_CODE = 3
"""The fewest letters that may be the beginning of a code: "2" means a two, not every code that begins with it."""


@dataclass(frozen=True)
class Found:
    """A concept as search shows it. `french`, `english`: its synonyms in these languages, where it has any; `records`:
    how often the release's records name it, exact; `crowd`: at least so many persons are behind them (0 to 64)."""

    concept_id: int
    name: str
    french: str | None
    english: str | None
    code: str
    domain: str
    vocabulary: str
    concept_class: str
    standard: str | None
    invalid: str | None
    valid_start: str | None
    valid_end: str | None
    records: int
    crowd: int


@dataclass(frozen=True)
class Filters:
    """What a search is narrowed to; names in any case. `standard`: standard concepts only."""

    domain: str | None = None
    vocabulary: str | None = None
    standard: bool = False


@dataclass(frozen=True)
class Answer:
    """The best concepts, in the order of `search_index` (a code that is exactly what was typed comes first), and how
    many fit in all."""

    concepts: tuple[Found, ...]
    total: int


class ConceptIndex:
    """An index that was opened. Its files are memory maps: opening costs nothing, reading costs what is read."""

    def __init__(self, folder: Path) -> None:
        """Open an index. Raises FileNotFoundError or ValueError where it is absent, of another version, or cut."""
        self._folder = folder
        self._index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if self._index["format"] != VERSION:
            raise ValueError(self._index["format"])
        for name, file in self._index["files"].items():
            if (folder / name).stat().st_size != file["bytes"]:
                raise ValueError(name)
        self.release: str = self._index["release"]
        self.count: int = self._index["concepts"]
        self._terms, self._term_ends = self._map("terms", np.uint8), self._map("term_ends", np.uint32)
        self._postings, self._posting_ends = self._map("postings", np.uint32), self._map("posting_ends", np.uint64)
        self._rows, self._row_ends = self._map("rows", np.uint8), self._map("row_ends", np.uint64)
        self._facets = {
            "domain": self._map("domains", np.uint16),
            "vocabulary": self._map("vocabularies", np.uint16),
        }
        self._standard = self._map("standard", np.uint8)

    def is_sound(self) -> bool:
        """Answer whether every file still holds the bytes that were written (reads all of them)."""
        files: Mapping[str, Any] = self._index["files"]
        return all(sha256_file(self._folder / name) == file["sha256"] for name, file in files.items())

    @property
    def domains(self) -> list[str]:
        """The domains that the vocabulary's concepts have."""
        return list(self._index["facets"]["domain"])

    @property
    def vocabularies(self) -> list[str]:
        """The vocabularies that its concepts belong to."""
        return list(self._index["facets"]["vocabulary"])

    def search(self, text: str, limit: int = 20, filters: Filters | None = None) -> Answer:
        """Return the best `limit` concepts that have every word of `text`; no word gives none."""
        typed = [each for each in text.split() if words(each)]
        if not typed:
            return Answer((), 0)
        found = self._filtered(self._matching(typed), filters or Filters())
        best = list(dict.fromkeys([*self._exactly(text, found), *found.first(limit)]))[:limit]
        return Answer(tuple(self.concept(rank) for rank in best), len(found))

    def _matching(self, typed: list[str]) -> Ranks:
        """Return the concepts that have all words, the rarest word first: where nothing is left, nothing is read."""
        ordered = sorted(typed, key=self._most)
        found = self._word(ordered[0])
        for word in ordered[1:]:
            if not len(found):
                break
            found = found & self._word(word)
        return found

    def _most(self, word: str) -> int:
        """Return a number that no word's concepts exceed."""
        return min(_length(self._slice(piece)) for piece in words(word)) + sum(map(_length, self._codes(word)))

    def _word(self, word: str) -> Ranks:
        """Return the concepts with all pieces of a word among their labels' words, or with such a code or id."""
        pieces = words(word)
        found = self._beginning(pieces[0])
        for piece in pieces[1:]:
            found = found & self._beginning(piece)
        for bounds in self._codes(word):
            found = found | self._listed(bounds)
        return found

    def _codes(self, word: str) -> list[tuple[int, int]]:
        """Return where the postings of the codes that a word may stand for lie: a code that begins so, if the word is
        long enough to mean one, or is exactly this; the id that is exactly this."""
        joined = "".join(words(word))
        code = self._slice(f"={joined}") if len(joined) >= _CODE else self._exact(f"={joined}")
        return [each for each in (code, self._exact(f"#{joined}")) if _length(each)]

    def _beginning(self, start: str) -> Ranks:
        """Return the concepts that have a term that begins so."""
        line = self._index["bits"].get(start)
        if line is not None:
            width = -(-self.count // 8)
            packed = self._map("bits", np.uint8)[line * width : (line + 1) * width]
            return Ranks(self.count, mask=np.unpackbits(packed, count=self.count).view(bool))
        return self._listed(self._slice(start))

    def _listed(self, bounds: tuple[int, int]) -> Ranks:
        postings = self._postings[slice(*bounds)]
        if len(postings) <= max(_FEW, self.count // _SHARE):
            return Ranks(self.count, listed=np.unique(postings))
        mask = np.zeros(self.count, bool)
        mask[postings] = True
        return Ranks(self.count, mask=mask)

    def _slice(self, start: str) -> tuple[int, int]:
        """Return where the postings of the terms that begin so lie."""
        wanted = start.encode()
        return self._above(self._place(wanted)), self._above(self._place(wanted + b"\xff"))

    def _place(self, wanted: bytes) -> int:
        """Return how many terms are smaller."""
        return bisect_left(_Terms(self._terms, self._term_ends), wanted)

    def _above(self, place: int) -> int:
        return int(self._posting_ends[place - 1]) if place else 0

    def _filtered(self, found: Ranks, filters: Filters) -> Ranks:
        for name, wanted in (("domain", filters.domain), ("vocabulary", filters.vocabulary)):
            if wanted is not None:
                names = [each.casefold() for each in self._index["facets"][name]]
                number = names.index(wanted.casefold()) if wanted.casefold() in names else len(names)
                found = found.where(self._facets[name], number)
        return found.where(self._standard, 1) if filters.standard else found

    def _exact(self, term: str) -> tuple[int, int]:
        """Return where the postings of exactly this term lie."""
        wanted = term.encode()
        place = self._place(wanted)
        there = place < len(self._term_ends) and _Terms(self._terms, self._term_ends)[place] == wanted
        return (self._above(place), self._above(place + 1)) if there else (0, 0)

    def _exactly(self, text: str, found: Ranks) -> list[int]:
        """Return the concepts among `found` whose code or id is what was typed, the code first."""
        joined = "".join(words(text))
        bounds = [self._exact(f"={joined}"), self._exact(f"#{joined}")]
        return [rank for first, last in bounds for rank in found.among(self._postings[first : min(last, first + _FEW)])]

    def concept(self, rank: int) -> Found:
        """Return the concept of a rank."""
        start = int(self._row_ends[rank - 1]) if rank else 0
        fields = self._rows[start : int(self._row_ends[rank])].tobytes().decode().split("\n")
        given = [each or None for each in fields]
        values: list[Any] = [int(fields[0]), fields[1], *given[2:4], *fields[4:8], *given[8:12], *map(int, fields[12:])]
        return Found(**dict(zip(Found.__annotations__, values, strict=True)))

    def _map(self, name: str, kind: Any) -> Array:
        path = self._folder / name
        return np.memmap(path, kind, "r") if path.stat().st_size else np.empty(0, kind)


class Ranks:
    """A set of ranks below `count`: a mask where it is large, a rising list where it is small."""

    def __init__(self, count: int, *, mask: Array | None = None, listed: Array | None = None) -> None:
        self._count, self._mask, self._listed = count, mask, listed

    def __len__(self) -> int:
        return int(np.count_nonzero(self._mask)) if self._mask is not None else len(self._list)

    def __and__(self, other: Ranks) -> Ranks:
        if self._mask is not None and other._mask is not None:
            return Ranks(self._count, mask=self._mask & other._mask)
        small, large = (self, other) if self._mask is None else (other, self)
        if large._mask is None:
            return Ranks(self._count, listed=np.intersect1d(small._list, large._list, assume_unique=True))
        return Ranks(self._count, listed=small._list[large._mask[small._list]])

    def __or__(self, other: Ranks) -> Ranks:
        if self._mask is None and other._mask is None:
            return Ranks(self._count, listed=np.union1d(self._list, other._list))
        mask = np.array(self._mask if self._mask is not None else other._mask)
        for each in (self, other):
            mask[each._list if each._mask is None else each._mask] = True
        return Ranks(self._count, mask=mask)

    @property
    def _list(self) -> Array:
        if self._listed is not None:
            return self._listed
        return np.flatnonzero(self._mask if self._mask is not None else np.empty(0, bool))

    def where(self, values: Array, wanted: int) -> Ranks:
        """Return those whose value (one a rank) is the wanted one."""
        if self._mask is not None:
            return Ranks(self._count, mask=self._mask & (values == wanted))
        return Ranks(self._count, listed=self._list[values[self._list] == wanted])

    def among(self, ranks: Array) -> list[int]:
        """Return which of some ranks are in the set, in their order."""
        inside = self._mask[ranks] if self._mask is not None else np.isin(ranks, self._list)
        return [int(rank) for rank in ranks[inside]]

    def first(self, limit: int) -> list[int]:
        """Return the lowest ranks."""
        if self._mask is None:
            return [int(rank) for rank in self._list[:limit]]
        result: list[int] = []
        for start in range(0, self._count, _BLOCK):
            result += (np.flatnonzero(self._mask[start : start + _BLOCK]) + start).tolist()
            if len(result) >= limit:
                break
        return result[:limit]


class _Terms(Sequence[bytes]):
    """The terms as a sorted sequence, read one at a time."""

    def __init__(self, texts: Array, ends: Array) -> None:
        self._texts, self._ends = texts, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: Any) -> Any:
        start = int(self._ends[place - 1]) if place else 0
        return self._texts[start : int(self._ends[place])].tobytes()


def _length(bounds: tuple[int, int]) -> int:
    return bounds[1] - bounds[0]
